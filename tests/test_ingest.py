"""ingest: what is found, what it is called, what a row becomes, and what bad input costs."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import random
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datakit.errors import SourceError
from datakit.outcome import Outcome
from datakit.schemas import schema_of
from datakit.stage import Env
from datakit.stages.ingest import Ingest
from tests.conftest import ROOT

KO, EN = "서울에는 비가 옵니다. 우산을 챙기세요.", "It is raining in Seoul. Take an umbrella."
CORPUS = ROOT / "sample_data/corpus"


def outcomes(stage: Ingest, env: Env | None = None) -> list[Outcome]:
    return [outcome for source in stage.sources() for outcome in stage.read(source, env or Env())]


def table(stage: Ingest) -> pa.Table:
    return pa.concat_tables([o.kept for o in outcomes(stage)], promote_options="default")


def rows(stage: Ingest) -> list[dict[str, Any]]:
    return table(stage).to_pylist()


def texts(stage: Ingest) -> list[str]:
    return table(stage).column("text").to_pylist()


def drops(stage: Ingest) -> list[tuple[str, str, str | None]]:
    told = [row for o in outcomes(stage) if o.drops is not None for row in o.drops.to_pylist()]
    return [(row["source_id"], row["rule"], row["value"]) for row in told]


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def write(path: Path, data: bytes | str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def refusal(stage: Ingest) -> str:
    with pytest.raises(SourceError) as caught:
        outcomes(stage)
    assert caught.value.exit_code == 3
    return "\n".join(caught.value.lines())


# Formats


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "arrow", "feather"])
def test_formats_of_rows_give_the_same_rows(tmp_path: Path, ending: str) -> None:
    records = [{"text": KO, "n": "1"}, {"text": EN + '\n"quoted", too', "n": "2"}]
    path = tmp_path / f"a.{ending}"
    if ending in ("jsonl", "ndjson"):
        path.write_bytes(lines(*records))
    elif ending == "json":
        path.write_text(json.dumps(records, ensure_ascii=False, indent=1))
    elif ending in ("csv", "tsv"):
        joint = "," if ending == "csv" else "\t"
        cells = [[f'"{record["text"].replace(chr(34), chr(34) * 2)}"', record["n"]] for record in records]
        path.write_bytes("\r\n".join(joint.join(row) for row in [["text", "n"], *cells]).encode())
    elif ending == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif ending == "arrow":
        whole = pa.Table.from_pylist(records)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as out:
            out.write_table(whole)
    else:
        feather.write_feather(pa.Table.from_pylist(records), str(path))
    found = rows(Ingest(files=str(path)))
    assert [row["text"] for row in found] == [record["text"] for record in records]
    assert [row["source.n"] for row in found] == ["1", "2"]
    first = {"csv": 2, "tsv": 2}.get(ending, 1)
    assert [row["source_id"] for row in found] == [f"a.{ending}:{first}", f"a.{ending}:{first + 1}"]
    assert all(row["family"] == row["id"] and row["parents"] == [] and row["made_by"] == "ingest" for row in found)


@pytest.mark.parametrize("ending", ["txt", "md", "markdown"])
def test_text_file_is_one_document_as_it_stands(tmp_path: Path, ending: str) -> None:
    text = f"# 제목\n\n{KO}\r\n\u2028{EN}\n"
    assert texts(Ingest(files=write(tmp_path / f"a.{ending}", text))) == [text]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_packed_files_are_unpacked_also_from_many_members(tmp_path: Path, packing: str) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}[packing]
    data = pack(lines({"text": KO})) + pack(lines({"text": EN}))
    assert texts(Ingest(files=write(tmp_path / f"a.jsonl.{packing}", data))) == [KO, EN]


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_cut_off_packed_file_is_refused(tmp_path: Path, packing: str) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}[packing]
    data = pack(lines(*({"text": f"{KO} {random.Random(n).random()}"} for n in range(200))))
    assert "damaged or cut off" in refusal(Ingest(files=write(tmp_path / f"a.jsonl.{packing}", data[:-20])))


def test_packed_parquet_is_read(tmp_path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": [KO]}), sink)
    path = write(tmp_path / "a.parquet.gz", gzip.compress(sink.getvalue().to_pybytes()))
    assert texts(Ingest(files=path)) == [KO]


@pytest.mark.parametrize(
    "value",
    [[{"text": KO}], {"version": 1, "data": [{"text": KO}]}, {"text": KO}],
    ids=["list", "object with one list", "one object"],
)
def test_json_shapes_are_all_read(tmp_path: Path, value: object) -> None:
    assert texts(Ingest(files=write(tmp_path / "a.json", json.dumps(value)))) == [KO]


def test_json_file_of_lines_is_read_as_lines(tmp_path: Path) -> None:
    assert texts(Ingest(files=write(tmp_path / "a.json", lines({"text": KO}, {"text": EN})))) == [KO, EN]


def test_sample_corpus_is_read_whole() -> None:
    stage = Ingest(files=str(CORPUS), id_field=None)
    found = {source.name: source for source in stage.sources()}
    assert "reviews_ko.csv" in found
    assert len(drops(stage)) < 0.05 * table(stage).num_rows
    counters = sum((o.counters for o in outcomes(stage)), Counter())
    assert counters["encoding.cp949"] >= 1
    assert counters["encoding.utf-16"] >= 1
    csv = Ingest(files=str(CORPUS / "reviews_ko.csv"), id_field="id")
    assert rows(csv)[0]["source_id"] == "review-ko-001"
    assert "영화" in texts(csv)[0]


# Finding and naming


def test_files_keep_the_order_of_patterns_and_sort_within(tmp_path: Path) -> None:
    for name in ("b/2.jsonl", "b/10.jsonl", "b/deep/1.txt", "a/x.jsonl"):
        write(tmp_path / name, lines({"text": name}) if name.endswith("l") else name)
    write(tmp_path / "b/.hidden.jsonl", "")
    write(tmp_path / "b/notes.pptx", "")
    stage = Ingest(files=[str(tmp_path / "b"), f"{tmp_path}/*/x.jsonl", f"{tmp_path}/b/*.jsonl"])
    assert [source.name for source in stage.sources()] == ["10.jsonl", "2.jsonl", "deep/1.txt", "a/x.jsonl"]


def test_files_of_one_name_get_their_folders(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{year}/ko/a.jsonl", lines({"text": KO})) for year in (2024, 2025)]
    stage = Ingest(files=files)
    assert [source.name for source in stage.sources()] == ["2024/ko/a.jsonl", "2025/ko/a.jsonl"]
    assert len({row["id"] for row in rows(stage)}) == 2


def test_moving_a_corpus_keeps_ids_and_decomposed_names_are_one(tmp_path: Path) -> None:
    import unicodedata

    ids = []
    for folder, form in (("here", "NFC"), ("there/deeper", "NFD")):
        write(tmp_path / folder / unicodedata.normalize(form, "문서.jsonl"), lines({"text": KO}))
        ids.append([(row["id"], row["source_id"]) for row in rows(Ingest(files=f"{tmp_path}/{folder}/*.jsonl"))])
    assert ids[0] == ids[1]
    assert ids[0][0][1] == "문서.jsonl:1"


def test_brackets_in_a_file_name_are_no_glob(tmp_path: Path) -> None:
    assert texts(Ingest(files=write(tmp_path / "[1] 글.txt", KO))) == [KO]


def test_fsspec_addresses_are_read(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/datakit-test/a.jsonl", lines({"text": KO}))
    memory.pipe("/datakit-test/b.txt", EN.encode())
    try:
        stage = Ingest(files="memory://datakit-test")
        assert next((s.url, s.name) for s in stage.sources()) == ("memory:///datakit-test/a.jsonl", "a.jsonl")
        assert texts(stage) == [KO, EN]
    finally:
        memory.rm("/datakit-test", recursive=True)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("in/a.jsonl", lines({"text": KO}))
    assert texts(Ingest(files=f"zip://in/*.jsonl::{tmp_path}/pack.zip")) == [KO]
    assert texts(Ingest(files=f"file://{write(tmp_path / 'a.txt', EN)}")) == [EN]


def test_addresses_are_no_part_of_identity(tmp_path: Path) -> None:
    assert Ingest(files="a.jsonl").keyed_as() == Ingest(files=["b", "c"]).keyed_as()
    assert Ingest(files="a.jsonl").keyed_as() != Ingest(files="a.jsonl", text="body").keyed_as()


def test_missing_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "tickets.jsonl", "")
    assert "did you mean 'tickets.jsonl'?" in refusal(Ingest(files=str(tmp_path / "ticket.jsonl")))


def test_folder_without_readable_files_is_refused(tmp_path: Path) -> None:
    assert "nothing is there" in refusal(Ingest(files=str(tmp_path)))
    write(tmp_path / "a.pptx", "")
    assert "(.pptx)" in refusal(Ingest(files=str(tmp_path)))
    assert "datakit reads .jsonl" in refusal(Ingest(files=str(tmp_path / "a.pptx")))
    assert "no file to read" in refusal(Ingest(files=str(tmp_path / "*.jsonl")))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.jsonl", lines({"text": KO})))
    path.chmod(0)
    assert "no permission" in refusal(Ingest(files=str(path)))


def test_file_that_may_not_be_opened_is_refused() -> None:
    import fsspec

    class Locked(fsspec.AbstractFileSystem):
        protocol = "locked"

        def info(self, path: str, **options: Any) -> dict[str, Any]:
            return {"name": path, "size": 2, "type": "file"}

        def _open(self, path: str, *args: Any, **options: Any) -> Any:
            raise PermissionError(13, "Permission denied", path)

    fsspec.register_implementation("locked", Locked, clobber=True)
    assert "no permission to read" in refusal(Ingest(files="locked://a.jsonl"))


# Rows


def test_ids_are_stable_and_repeats_are_told_apart(tmp_path: Path) -> None:
    stage = Ingest(files=write(tmp_path / "a.jsonl", lines({"text": KO}, {"text": EN}, {"text": KO}, {"text": KO})))
    ids = [row["id"] for row in rows(stage)]
    assert len(set(ids)) == 4
    write(tmp_path / "a.jsonl", lines({"text": "new"}, {"text": KO}, {"text": EN}, {"text": KO}))
    assert [row["id"] for row in rows(stage)][1:] == [ids[0], ids[1], ids[2]]


def test_id_field_is_kept_as_source_id(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines({"key": 7, "text": KO}, {"key": None, "text": EN}))
    found = rows(Ingest(files=path, id_field="key", licence="CC-BY-4.0"))
    assert [row["source_id"] for row in found] == ["7", "a.jsonl:2"]
    assert "source.key" not in found[0]
    assert found[0]["licence"] == "CC-BY-4.0"


def test_extra_columns_keep_their_type_where_they_agree(tmp_path: Path) -> None:
    records = [
        {"text": "1", "n": 1, "x": 1, "b": True, "mixed": 1, "nested": {"a": [1]}, "big": 2**63},
        {"text": "2", "n": 2, "x": 0.5, "b": None, "mixed": "둘", "nested": None, "big": 1},
    ]
    found = table(Ingest(files=write(tmp_path / "a.jsonl", lines(*records))))
    kinds = {name: str(found.schema.field(f"source.{name}").type) for name in records[0] if name != "text"}
    assert kinds == {
        "n": "int64",
        "x": "double",
        "b": "bool",
        "mixed": "large_string",
        "nested": "large_string",
        "big": "large_string",
    }
    assert found.column("source.mixed").to_pylist() == ["1", "둘"]
    assert found.column("source.nested").to_pylist() == ['{"a":[1]}', None]


def test_shards_of_a_file_have_the_same_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datakit.stages.ingest.rows.SHARD_ROWS", 2)
    records = [{"text": "1", "a": 0.5}, {"text": "2"}, {"text": "3", "a": 1}, {"text": "4"}, {"text": "5"}]
    parts = outcomes(Ingest(files=write(tmp_path / "a.jsonl", lines(*records))))
    assert [part.kept.num_rows for part in parts] == [2, 2, 1]
    assert len({str(part.kept.schema) for part in parts}) == 1


def test_shards_end_at_8_mib_of_text(tmp_path: Path) -> None:
    line = json.dumps({"text": "x" * 1_000_000}).encode()
    parts = outcomes(Ingest(files=write(tmp_path / "a.jsonl", b"\n".join([line] * 20))))
    assert [part.kept.num_rows for part in parts] == [9, 9, 2]


def test_typed_columns_of_parquet_travel(tmp_path: Path) -> None:
    whole = pa.table(
        {
            "text": pa.array([KO, EN]).dictionary_encode(),
            "n": pa.array([1, 2], pa.int8()),
            "when": pa.array([0, 1000], pa.timestamp("ms")),
            "tags": [["가"], None],
            "blob": pa.array([b"\xff", b""]),
        }
    )
    pq.write_table(whole, tmp_path / "a.parquet")
    found = rows(Ingest(files=str(tmp_path / "a.parquet")))
    assert [row["text"] for row in found] == [KO, EN]
    assert found[0]["source.n"] == 1
    assert found[0]["source.tags"] == '["가"]'
    assert found[1]["source.when"] == "1970-01-01 00:00:01.000"
    assert "source.blob" not in found[0]


# Bad input


def test_broken_lines_cost_only_themselves(tmp_path: Path) -> None:
    data = b"".join(
        [
            lines({"text": KO}),
            b'{"text": "open\n',
            b'{"text": "\xff\xfe"}\n',
            b"[1, 2]\n",
            b"\n",
            lines({"text": None}, {"other": 1}, {"text": ""}, {"text": ["x"]}),
            b'{"text": "\\ud83d half", "n": NaN}\n',
            b'{"text": "nul \\u0000 inside"}\r\n',
            lines({"text": "U+2028 \u2028 and U+0085 \x85 are text"}),
        ]
    )
    stage = Ingest(files=write(tmp_path / "a.jsonl", data))
    assert drops(stage) == [
        ("a.jsonl:2", "unreadable", "column 15"),
        ("a.jsonl:3", "unreadable", "not utf-8"),
        ("a.jsonl:4", "unreadable", "not an object"),
        ("a.jsonl:6", "no_text", "null"),
        ("a.jsonl:7", "no_text", "null"),
        ("a.jsonl:8", "no_text", "empty"),
        ("a.jsonl:9", "no_text", "list"),
    ]
    kept = rows(stage)
    assert [row["position"] for row in kept] == [1, 10, 11, 12]
    assert kept[1]["text"] == "\ufffd half"
    assert kept[2]["text"] == "nul \0 inside"
    assert kept[3]["text"] == "U+2028 \u2028 and U+0085 \x85 are text"
    assert outcomes(stage)[0].counters["mended_surrogates"] == 1


def test_drops_and_rows_never_share_an_id(tmp_path: Path) -> None:
    stage = Ingest(files=write(tmp_path / "a.jsonl", lines({"text": "2"}, {"text": ""}, {"text": "2"})))
    gone = [i for o in outcomes(stage) if o.drops is not None for i in o.drops.column("id").to_pylist()]
    assert len({*gone, *(row["id"] for row in rows(stage))}) == 3


def test_raw_nul_in_text_file_survives(tmp_path: Path) -> None:
    assert texts(Ingest(files=write(tmp_path / "a.txt", f"{KO}\0{EN}"))) == [f"{KO}\0{EN}"]


def test_long_line_is_read_and_too_long_a_one_is_dropped_unheld(tmp_path: Path) -> None:
    data = lines({"text": "짧은"}, {"text": "가" * 3_500_000}, {"text": "끝"})
    path = write(tmp_path / "a.jsonl", data)
    assert [len(text) for text in texts(Ingest(files=path))] == [2, 3_500_000, 1]
    small = Ingest(files=path, max_row_mb=1)
    assert texts(small) == ["짧은", "끝"]
    assert drops(small) == [("a.jsonl:2", "too_large", "10")]
    assert drops(Ingest(files=write(tmp_path / "a.txt", "가" * 400_000), max_row_mb=1))[0][1] == "too_large"


def test_empty_file_is_counted_and_fine(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", b"")
    write(tmp_path / "b.csv", b"")
    write(tmp_path / "c.txt", b"")
    write(tmp_path / "d.json", b"")
    parts = outcomes(Ingest(files=str(tmp_path)))
    assert [part.counters["empty_files"] for part in parts] == [1] * 4
    assert all(part.kept.schema.equals(schema_of("document")) for part in parts)


def test_file_without_the_column_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines({"Body": KO, "id": 1}))
    assert "did you mean 'Body'?" in refusal(Ingest(files=path, text="body"))
    assert "no column 'text'; the file has Body, id" in refusal(Ingest(files=path))
    assert "for the id" in refusal(Ingest(files=path, text="Body", id_field="key"))


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"instruction": "a", "output": "b"}, "alpaca"),
        ({"conversations": []}, "sharegpt"),
        ({"messages": []}, "messages"),
    ],
)
def test_instruction_rows_read_as_documents_are_refused_with_the_form(tmp_path: Path, row: dict, form: str) -> None:
    assert f"add `form: {form}`" in refusal(Ingest(files=write(tmp_path / "a.jsonl", lines(row))))


def test_headerless_csv_is_refused_without_quoting_it(tmp_path: Path) -> None:
    said = refusal(Ingest(files=write(tmp_path / "a.csv", "홍길동,010-1234-5678,kim@example.com\n다른,줄,x\n")))
    assert "010" not in said
    assert "kim" not in said
    assert "first line" in said


def test_too_many_unreadable_rows_stop_the_run(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines(*({"text": str(n)} for n in range(300))) + b"{broken\n" * 30)
    assert "30 of 330 rows can't be read (9%)" in refusal(Ingest(files=path))
    assert len(texts(Ingest(files=path, max_unreadable=0.1))) == 300


def test_broken_json_array_and_damaged_parquet_are_refused(tmp_path: Path) -> None:
    assert "line 1 column" in refusal(Ingest(files=write(tmp_path / "a.json", '[{"text": "secret"}, {')))
    assert "secret" not in refusal(Ingest(files=str(tmp_path / "a.json")))
    assert "damaged" in refusal(Ingest(files=write(tmp_path / "a.parquet", "no parquet")))
    assert "damaged" in refusal(Ingest(files=write(tmp_path / "a.arrow", "no arrow")))


def test_csv_damage_costs_only_its_rows(tmp_path: Path) -> None:
    data = (
        "\ufefftext,n\r\n".encode()
        + f'"{KO}\n둘째 줄",1\r\n'.encode()
        + b"bad \xff,2\r\n"
        + "너무,많은,칸\r\n".encode()
        + b"only one\r\n\r\n"
        + b"lone \r return,3\n"
        + '"열린 따옴표,4\n다음,5\n'.encode()
    )
    stage = Ingest(files=write(tmp_path / "a.csv", data))
    assert [(row["position"], row["text"], row["source.n"]) for row in rows(stage)] == [
        (2, f"{KO}\n둘째 줄", "1"),
        (6, "only one", None),
    ]
    assert [(place, rule) for place, rule, _ in drops(stage)] == [
        (f"a.csv:{line}", "unreadable") for line in (4, 5, 8, 9, 10)
    ]


def test_csv_with_semicolons_wants_the_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"text;n\n{KO};1\n")
    assert "set `delimiter`" in refusal(Ingest(files=path))
    assert texts(Ingest(files=path, delimiter=";")) == [KO]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=30), st.text(max_size=20).map(lambda t: lines({"text": t})[:-1]))))
def test_every_line_is_kept_or_dropped(tmp_path: Path, content: list[bytes]) -> None:
    """The law: no line vanishes, whatever the bytes are; blank lines are no rows."""
    data = b"\n".join(content)
    stage = Ingest(files=write(tmp_path / "a.jsonl", data), max_unreadable=1, encoding="utf-8")
    counted = sum(not (line == b"" or line.isspace()) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    assert len(drops(stage)) + sum(o.kept.num_rows for o in outcomes(stage)) == counted


# Forms


def test_alpaca_rows_become_messages_and_keep_their_parts(tmp_path: Path) -> None:
    records = [
        {"instruction": "번역하세요", "input": "rain", "output": "비", "source": "손"},
        {"instruction": "인사하세요", "input": "", "output": "안녕하세요"},
        {"instruction": "", "input": "x", "output": "y"},
        {"instruction": "x", "output": None},
    ]
    stage = Ingest(files=write(tmp_path / "a.json", json.dumps(records)), form="alpaca")
    found = rows(stage)
    assert stage.gives(None) == "example"
    assert [[(m["role"], m["content"]) for m in row["messages"]] for row in found] == [
        [("user", "번역하세요\n\nrain"), ("assistant", "비")],
        [("user", "인사하세요"), ("assistant", "안녕하세요")],
    ]
    assert [(row["source.instruction"], row["source.input"]) for row in found] == [
        ("번역하세요", "rain"),
        ("인사하세요", ""),
    ]
    assert [row["source.source"] for row in found] == ["손", None]
    assert [(rule, value) for _, rule, value in drops(stage)] == [("no_text", "instruction"), ("no_text", "output")]


def test_alpaca_columns_may_have_other_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "question,answer\n왜?,그래서.\n")
    stage = Ingest(files=path, form="alpaca", columns={"instruction": "question", "output": "answer"})
    assert [m["content"] for m in rows(stage)[0]["messages"]] == ["왜?", "그래서."]
    with pytest.raises(ValidationError, match="no part of a row of form 'alpaca'"):
        Ingest(files=path, form="alpaca", columns={"answer": "x"})


def test_sharegpt_rows_become_messages(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "비 와?"}, {"from": "gpt", "value": "네."}]
    records = [
        {"conversations": turns, "system": "짧게", "tools": [{"name": "f"}]},
        {"conversations": [{"from": "alien", "value": "?"}]},
        {"conversations": []},
    ]
    stage = Ingest(files=write(tmp_path / "a.jsonl", lines(*records)), form="sharegpt")
    found = rows(stage)
    assert [(m["role"], m["content"]) for m in found[0]["messages"]] == [
        ("system", "짧게"),
        ("user", "비 와?"),
        ("assistant", "네."),
    ]
    assert found[0]["tools"] == '[{"name":"f"}]'
    assert [(rule, value) for _, rule, value in drops(stage)] == [
        ("bad_turns", "turn 1: unknown role"),
        ("no_text", "empty"),
    ]


def test_messages_keep_weights_parts_and_preferences(tmp_path: Path) -> None:
    user, good, bad = (
        {"role": r, "content": c} for r, c in (("user", "질문"), ("assistant", "좋음"), ("assistant", "나쁨"))
    )
    records = [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "가"}]}, {**good, "weight": 0.5}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
    ]
    stage = Ingest(files=write(tmp_path / "a.jsonl", lines(*records)), form="messages")
    [first] = rows(stage)
    assert [(m["content"], m["weight"]) for m in first["messages"]] == [("가", None), ("좋음", 0.5)]
    assert drops(stage) == [("a.jsonl:2", "bad_turns", "turn 1: no text")]
    pairs = [{"chosen": [user, good], "rejected": [user, bad]}, {"prompt": "질문", "chosen": [good], "rejected": [bad]}]
    second, third = rows(Ingest(files=write(tmp_path / "b.jsonl", lines(*pairs)), form="preference"))
    for row in (second, third):
        told = [[(turn["role"], turn["content"]) for turn in row[part]] for part in ("messages", "chosen", "rejected")]
        assert told == [[tuple(turn.values())] for turn in (user, good, bad)]


def test_text_file_is_no_instruction_row(tmp_path: Path) -> None:
    assert "holds documents" in refusal(Ingest(files=write(tmp_path / "a.txt", KO), form="alpaca"))


# Hub


def test_hub_reads_a_local_dataset_through_the_library(tmp_path: Path) -> None:
    write(tmp_path / "set/train.jsonl", lines({"text": KO, "n": 1}, {"text": EN, "n": 2}))
    write(tmp_path / "set/test.jsonl", lines({"text": "시험", "n": 3}))
    stage = Ingest(files=f"hf:{tmp_path}/set?split=test")
    assert [(row["text"], row["source.n"]) for row in rows(stage)] == [("시험", 3)]
    assert len(texts(Ingest(files=f"hf:{tmp_path}/set"))) == 2
    before = stage.sources()[0].digest
    write(tmp_path / "set/test.jsonl", lines({"text": "다른", "n": 3}))
    assert stage.sources()[0].digest != before


def test_hub_that_cannot_be_reached_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    said = refusal(Ingest(files="hf://datasets/owner/name?split=train"))
    assert "can't be reached" in said
    assert "hf download" in said
    assert "no such part" in refusal(Ingest(files="hf:owner/name?spilt=train"))


# Settings and laws


@pytest.mark.parametrize("setting", [{"encoding": "utf-9"}, {"files": []}, {"delimiter": ";;"}, {"max_row_mb": 0}])
def test_wrong_settings_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Ingest(**{"files": "a.jsonl", **setting})


def test_reading_twice_gives_the_same_bytes() -> None:
    stage = Ingest(files=str(CORPUS))
    assert table(stage).equals(table(stage))


def test_memory_is_bounded_by_the_shard(tmp_path: Path) -> None:
    """48 MB of lines are streamed: what is held at any moment stays near one shard."""
    import tracemalloc

    line = json.dumps({"text": "비" * 20_000}, ensure_ascii=False).encode() + b"\n"
    write(tmp_path / "a.jsonl", line * 800)

    def peak(parts: Iterator[Outcome]) -> int:
        tracemalloc.start()
        for _ in parts:
            pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    stage = Ingest(files=str(tmp_path / "a.jsonl"))
    assert peak(stage.read(stage.sources()[0], Env())) < 40 * 2**20
