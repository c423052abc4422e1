"""Tables and bars on a terminal of 80 cells: columns stand under their heads, also where letters take two cells."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from datakit import display
from datakit.progress import ProgressBars, _bars
from datakit.trainer import Event

KOREAN = "거의 같은 사본이라서 뺐습니다"


def printed(capsys: pytest.CaptureFixture[str], *columns: str, rows: list[tuple[object, ...]]) -> list[str]:
    display.table(*columns, rows=rows)
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as on a terminal of 80 cells."""
    monkeypatch.setattr(display, "WIDE", 80)


def at(line: str, text: str) -> int:
    """The cell at which a text begins."""
    return cell_len(line[: line.index(text)])


def test_columns_stand_under_one_another_with_korean_between(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(
        capsys, "규칙", "rows>", "what", rows=[(KOREAN, 5, "x"), ("near_copy", 12_345, "x"), ("ㅋㅋ", 7, "x")]
    )
    assert len({at(line, "x") for line in lines[1:]}) == 1
    ends = {at(line, number) + len(number) for line, number in zip(lines[1:], ("5", "12,345", "7"), strict=True)}
    assert ends == {at(lines[0], "rows") + 4}


def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(
    capsys: pytest.CaptureFixture[str], terminal: None
) -> None:
    rows = [("forum_ko.jsonl:18", KOREAN * 6, "a" * 90)]
    lines = printed(capsys, "source_id", "text", "id", rows=rows)
    assert max(map(cell_len, lines)) <= 80
    letters = "".join(lines[1:])
    assert [letters.count(letter) for letter in "a뺐"] == [90, 6]


def test_nobody_at_a_terminal_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "text", rows=[(KOREAN * 20,)])
    assert lines[1].strip() == KOREAN * 20


def test_table_without_heads_has_no_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "", "", rows=[("stays", "글")]) == ["stays  글"]


@pytest.mark.parametrize("width", [80, 120])
def test_bars_of_korean_and_latin_steps_are_aligned_and_fit(width: int) -> None:
    out = io.StringIO()
    bars = _bars(Console(file=out, width=width, force_terminal=True, color_system=None))
    for name in ("normalize+language+quality", "품질 고르기", "dedup"):
        task = bars.add_task(name, total=100, figures="rows 1,234")
        bars.update(task, completed=50)
    bars.console.print(bars.get_renderable())
    lines = [line for line in out.getvalue().splitlines() if "50/100" in line]
    assert len(lines) == 3
    assert len({at(line, "50/100") for line in lines}) == 1
    assert max(cell_len(line.rstrip()) for line in lines) <= width
    assert all("rows 1,234" in line for line in lines)


def test_log_lines_of_korean_steps_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as bars:
        for name in ("품질 고르기", "dedup"):
            bars.report(Event(name, 2, 2))
    lines = [line for line in capsys.readouterr().err.splitlines() if "2/2" in line]
    assert len({at(line, "2/2") for line in lines}) == 1


def test_sizes_are_told_in_the_unit_that_fits() -> None:
    from datakit.findings import size

    assert [size(n) for n in (0, 1, 1023, 1024, 1536, 5 * 1024**2, 3 * 1024**5)] == [
        "0 B", "1 B", "1,023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3,072.0 TiB",
    ]  # fmt: skip
