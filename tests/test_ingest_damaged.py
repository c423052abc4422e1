"""Bad input in the document formats: a counted drop or one clear error with the file's name; never a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from datakit.errors import ConfigError, SourceError
from datakit.stages.ingest import Ingest, whole
from datakit.stages.ingest.whole import PACKAGES
from tests.office_files import docx, epub, hwp, hwp_p, hwp_table, hwpx, owpml_p, owpml_table, word_p, word_table
from tests.reading import read

SECRET = "비밀번호는 천사백입니다"
ROWS = [["가", "나"], [SECRET, "라"]]
FILES = {
    "a.docx": docx(word_p(SECRET) + word_table(ROWS)),
    "a.hwpx": hwpx(owpml_p(SECRET, owpml_table(ROWS))),
    "a.hwp": hwp(hwp_p(SECRET, extended=1) + hwp_table(ROWS)),
    "a.epub": epub(f"<p>{SECRET}</p>"),
}
for needed in ("pypdfium2", "reportlab", "olefile", "fastwarc", "mwparserfromhell"):
    pytest.importorskip(needed, reason="needs the documents and web extras")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    from tests.test_ingest_pdf import lines, pdf
    from tests.test_ingest_warc import page, response
    from tests.test_ingest_wiki import dump
    from tests.test_ingest_wiki import page as article

    return {
        **FILES,
        "a.pdf": pdf(lines(SECRET)),
        "a.warc": response(page(SECRET).encode()) * 3,
        "a.xml": dump(article("가", SECRET), article("나", f"'''{SECRET}''' {{{{틀|가=나}}}}")),
    }


NAMES = [*FILES, "a.pdf", "a.warc", "a.xml"]


def outcome(path: Path, data: bytes) -> str:
    """What came of a file: rows and drops, or the lines of the one error that may be raised."""
    try:
        found = read(path, data)
    except SourceError as error:
        return "\n".join([*error.lines(), "" if path.name in error.where else SECRET])
    return f"{len(found.rows)} rows, {found.drops}"


def broken(data: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
    return bytes(spoilt[: chance.randrange(len(spoilt))] if chance.random() < 0.4 else spoilt)


@pytest.mark.parametrize("name", NAMES)
def test_any_damage_is_a_drop_or_one_error_without_text(tmp_path: Path, name: str, files: dict[str, bytes]) -> None:
    chance = random.Random(name)
    for _ in range(120):
        said = outcome(tmp_path / name, broken(files[name], chance))
        assert SECRET not in said
        assert "Traceback" not in said


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [lambda data: b"", lambda data: b"\0" * 4096, lambda data: data[: len(data) // 2]])
def test_empty_zeroed_and_cut_files_are_accounted_for(
    tmp_path: Path, name: str, make: Callable[[bytes], bytes], files: dict[str, bytes]
) -> None:
    assert outcome(tmp_path / name, make(files[name]))


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_read(tmp_path: Path, name: str, files: dict[str, bytes]) -> None:
    """The planted breach for the laws above: a reader that drops everything would pass them."""
    found = read(tmp_path / name, files[name])
    assert found.drops == []
    assert SECRET in found.texts[-1]


@pytest.mark.parametrize("name", ["a.docx", "a.hwpx", "a.hwp", "a.pdf", "a.epub"])
def test_file_beyond_the_bound_is_too_large(tmp_path: Path, name: str, files: dict[str, bytes]) -> None:
    found = read(tmp_path / name, files[name] + bytes(1 << 20), max_row_mb=1)
    assert [drop[:2] for drop in found.drops] == [(f"{name}:1", "too_large")]


def test_document_of_many_megabytes_is_read(tmp_path: Path) -> None:
    paragraph = "긴 문서의 한 문단입니다. " * 40
    found = read(tmp_path / "a.docx", docx(word_p(paragraph) * 8000))
    assert len(found.texts[0].encode()) > 9_000_000


@pytest.mark.parametrize("name", ["a.docx", "a.warc", "a.xml"])
def test_documents_as_instruction_rows_are_refused(tmp_path: Path, name: str, files: dict[str, bytes]) -> None:
    with pytest.raises(SourceError, match="holds documents"):
        read(tmp_path / name, files[name], form="alpaca")


@pytest.mark.parametrize(("name", "form"), [("a.pdf", "pdf"), ("a.hwp", "hwp"), ("a.warc", "warc"), ("a.xml", "wiki")])
def test_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str, files: dict[str, bytes]
) -> None:
    monkeypatch.setitem(PACKAGES, form, ("no_such_package", PACKAGES[form][1]))
    fix = f"pip install 'datakit[{PACKAGES[form][1]}]'"
    assert [problem.fix for problem in Ingest(files=str(tmp_path / name)).problems()] == [fix]
    with pytest.raises(SourceError) as caught:
        read(tmp_path / name, files[name])
    assert caught.value.fix == fix


def test_missing_package_stops_a_pipeline_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from datakit.pipeline import Pipeline

    monkeypatch.setitem(whole.PACKAGES, "pdf", ("no_such_package", "documents"))
    with pytest.raises(ConfigError, match="no_such_package"):
        Pipeline.from_dict({"name": "a", "stages": [{"use": "ingest", "files": "reports/*.pdf"}]})
