"""Every reader and the YAML loader on bytes that hypothesis makes up or spoils: rows, counted drops, or one error.

A StageError is none of them: it stands for an exception that nobody thought of. The same cases every time, some dozens
a format; `make test-all` tries over a thousand.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import ConfigError, SourceError, StageError
from datakit.pipeline import Pipeline, read_yaml
from datakit.stages.ingest.files import FORMATS, PACKINGS
from tests.conftest import ROOT
from tests.office_files import docx, epub, hwp, hwp_p, hwp_table, hwpx, owpml_p, owpml_table, word_p, word_table
from tests.reading import Read, read

for needed in ("pypdfium2", "reportlab", "olefile", "fastwarc", "mwparserfromhell"):
    pytest.importorskip(needed, reason="needs the documents and web extras")

SECRET = "비밀번호는 천사백입니다"
CELLS = [["가", "나"], [SECRET, "라"]]
FEW, MANY = 30, 1500


def _pdf() -> bytes:
    from tests.test_ingest_pdf import lines, pdf

    return pdf(lines(SECRET))


def _warc() -> bytes:
    from tests.test_ingest_warc import page, response

    return response(page(SECRET).encode()) * 2


def _wiki() -> bytes:
    from tests.test_ingest_wiki import dump, page

    return dump(page("가", SECRET), page("나", f"'''{SECRET}''' {{{{틀|가=나}}}} [[고리|말]] {{|\n|a\n|}}"))


def _parquet() -> bytes:
    sink = BytesIO()
    pq.write_table(pa.table({"text": [SECRET, "b"], "n": [[1], [2, 3]]}), sink)
    return sink.getvalue()


def _arrow() -> bytes:
    sink = BytesIO()
    pa.feather.write_feather(pa.table({"text": [SECRET, "b"]}), sink, compression="lz4")
    return sink.getvalue()


ROWS = [{"text": SECRET, "n": 1.5, "tags": ["a", None]}, {"text": "A row.\u2028 In English 👩‍👧"}, {"messages": []}]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()
PAGE = (
    f"<html><head><meta charset=euc-kr><title>글</title></head><body><article><p>{SECRET}</p></article></body></html>"
)
SEEDS = {
    "a.jsonl": LINES,
    "a.json": json.dumps(ROWS, ensure_ascii=False).encode(),
    "a.csv": f'text,n\n"{SECRET}, ""둘""\n줄",1\nb,2\n'.encode(),
    "a.tsv": f"text\tn\n{SECRET}\t1\n".encode("cp949"),
    "a.txt": SECRET.encode("utf-16"),
    "a.md": f"# 제목\n\n{SECRET}\n".encode(),
    "a.html": PAGE.encode("cp949"),
    "a.docx": docx(word_p(SECRET) + word_table(CELLS)),
    "a.hwpx": hwpx(owpml_p(SECRET, owpml_table(CELLS))),
    "a.hwp": hwp(hwp_p(SECRET, extended=1) + hwp_table(CELLS)),
    "a.epub": epub(f"<p>{SECRET}</p>"),
    "a.pdf": _pdf(),
    "a.warc": _warc(),
    "a.xml": _wiki(),
    "a.parquet": _parquet(),
    "a.arrow": _arrow(),
    "a.jsonl.gz": gzip.compress(LINES),
    "a.txt.bz2": bz2.compress(SECRET.encode()),
    "a.csv.xz": lzma.compress(f"text\n{SECRET}\n".encode()),
    "a.jsonl.zst": zstandard.ZstdCompressor().compress(LINES),
    "a.warc.gz": gzip.compress(_warc()),
    "a.xml.bz2": bz2.compress(_wiki()),
}
YAML = (ROOT / "pipelines" / "quickstart.yaml").read_bytes()


@st.composite
def spoilt(draw: st.DrawFn, seed: bytes) -> bytes:
    """A good file with pieces changed, cut out, put twice or put in; now and then bytes of no file at all."""
    if draw(st.integers(0, 7)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([0, 1, 1, 2, 4, 16, 200]))
        piece = draw(
            st.binary(max_size=6)
            | st.sampled_from([b"\0" * 8, b"\xff" * 4, b"\n", b'"', b"<", bytes(data[at : at + 40])])
        )
        data[at : at + length] = piece
    return bytes(data)


def tried(name: str, data: bytes) -> None:
    """Hold that a file gives rows, counted drops or one error that tells nothing of it."""
    with TemporaryDirectory() as folder:
        try:
            found = read(Path(folder) / name, data, max_unreadable=1, max_row_mb=1)
        except SourceError as error:
            said = "\n".join(error.lines())
            assert name in said
        else:
            said = "\n".join([*map(str, found.drops), *found.told])
    assert SECRET not in said


@pytest.mark.parametrize("name", SEEDS)
def test_any_bytes_are_rows_drops_or_one_error(name: str) -> None:
    settings(max_examples=FEW)(given(spoilt(SEEDS[name]))(lambda data: tried(name, data)))()


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_any_of_thousands_of_bytes_are_rows_drops_or_one_error(name: str) -> None:
    settings(max_examples=MANY)(given(spoilt(SEEDS[name]))(lambda data: tried(name, data)))()


@pytest.mark.parametrize("name", SEEDS)
def test_the_files_that_are_spoilt_are_good(name: str, tmp_path: Path) -> None:
    found: Read = read(tmp_path / name, SEEDS[name])
    assert SECRET in "".join(str(row["text"]) for row in found.rows)


def test_every_format_and_packing_is_spoilt() -> None:
    tried_ones = {part for name in SEEDS for part in name.split(".")[1:]}
    assert {FORMATS[part] for part in tried_ones & set(FORMATS)} == set(FORMATS.values())
    assert set(PACKINGS) <= tried_ones


def test_a_reader_that_raises_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from datakit.stages.ingest import READERS

    def broken(stream: object, how: object) -> object:
        raise IndexError("planted")

    monkeypatch.setitem(READERS, "txt", broken)
    with pytest.raises(StageError, match="IndexError"):
        test_any_bytes_are_rows_drops_or_one_error("a.md")


def loaded(data: bytes) -> None:
    """Hold that a pipeline file is a pipeline or one ConfigError."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_bytes(data)
        with suppress(ConfigError):
            Pipeline.from_dict(read_yaml(path))


def test_any_yaml_is_a_pipeline_or_one_error() -> None:
    settings(max_examples=FEW * 4)(given(spoilt(YAML))(loaded))()


@pytest.mark.slow
def test_any_of_thousands_of_yaml_is_a_pipeline_or_one_error() -> None:
    settings(max_examples=MANY)(given(spoilt(YAML))(loaded))()


def test_yaml_that_is_spoilt_is_a_pipeline() -> None:
    assert Pipeline.from_dict(yaml.safe_load(YAML)).stages


@pytest.mark.parametrize(
    "data",
    [
        "text\n".encode("utf-32") + b"\x00\x00\x11\x00" + "\n끝 줄".encode("utf-32-le"),
        "text\n".encode("utf-16") + b"\x00\xd8" + "\n끝 줄".encode("utf-16-le"),
        "text\n끝 줄\n".encode("utf-32") + b"\x00",
        "text\n끝 줄\n".encode("utf-16") + b"\x00",
    ],
)
def test_a_wide_character_that_is_none_costs_its_line_alone(tmp_path: Path, data: bytes) -> None:
    found = read(tmp_path / "a.csv", data)
    assert found.texts == ["끝 줄"]
    assert [drop[1] for drop in found.drops] == ["unreadable"]
