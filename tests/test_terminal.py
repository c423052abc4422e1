"""Nothing that data holds reaches a terminal as a command to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit import display
from datakit.progress import ProgressBars
from datakit.terminal import COMMANDS, visible, visible_json
from tests.command_line import call, pipeline_file

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m가\r나\u202egpj.exe\u2066 [bold red]글[/] :boom:"
KEPT = "한글 English 👩‍👧 é 각 \t\n[bold]글[/bold] :smile:"


@given(st.text())
def test_no_command_is_left_and_all_else_stands(text: str) -> None:
    assert not COMMANDS.search(visible(text))
    assert visible(visible(text)) == visible(text)
    assert "".join(c for c in text if not COMMANDS.match(c)) == text if visible(text) == text else COMMANDS.search(text)


@given(st.recursive(st.none() | st.text(st.characters(exclude_categories=["Cs"])), st.lists))
def test_json_for_the_terminal_is_the_same_value(value: object) -> None:
    told = visible_json(value)
    assert not COMMANDS.search(told)
    assert json.loads(told) == value


def test_letters_emoji_and_markup_stay_as_they_are() -> None:
    assert visible(KEPT) == KEPT


def test_tables_and_lines_show_hostile_text_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    display.line(HOSTILE)
    display.table("text", rows=[(HOSTILE,), (KEPT,)])
    ProgressBars().tell(HOSTILE)
    told = capsys.readouterr()
    assert not COMMANDS.search(told.out + told.err)
    assert "\\x1b]0;owned\\x07" in told.out
    assert "[bold red]글[/] :boom:" in told.out
    assert "\\u202egpj.exe" in told.err


def test_bars_take_no_markup_from_names() -> None:
    from io import StringIO

    from rich.console import Console

    from datakit.progress import _bars

    out = StringIO()
    with _bars(Console(file=out, force_terminal=True, width=120)) as bars:
        bars.add_task("[blink]글[/blink]", total=1, figures="[link=http://x]y[/link]")
    assert "[blink]글[/blink]" in out.getvalue()
    assert "[link=http://x]y[/link]" in out.getvalue()


def test_commands_show_rows_and_file_names_spelled_out(here: Path) -> None:
    name = "\x1b[31m글\u202e.jsonl"
    (here / "data").mkdir()
    (here / "data" / name).write_text(json.dumps({"text": f"A row of {HOSTILE} that is long enough."}) + "\n{", "utf-8")
    file = pipeline_file("{use: ingest, files: data, max_unreadable: 1}", "{use: pii}")
    told = [
        call("run", file),
        call("show", "p"),
        call("show", "p", "--json"),
        call("why", f"{name}:2"),
        call("why", f"{name}:1", "--json"),
        call("run", "no\x1b[31msuch.yaml"),
        call("run", file, "--set", "ingest.files=\x1b[2Jnowhere"),
    ]
    for one in told:
        assert not COMMANDS.search(one.out + one.err)
    assert [one.code for one in told] == [0, 0, 0, 0, 0, 2, 3]
