"""export: a folder that other tools open, in order, left alone when equal, mended when not, foreign files untouched."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from datakit.errors import StoreError
from datakit.schemas import Kind, kind_of, table_from_rows
from datakit.stage import Env
from datakit.stages.export import LIST_NAME, Export

DOCUMENTS = [
    {"id": f"d{n}", "source_id": f"a.jsonl:{n}", "text": f"{n}번째 글, text {n}\u2028", "lang": "ko", "source.n": n}
    for n in range(7)
]


@dataclass
class OneShard:
    key: str
    table: pa.Table
    source: str = ""

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def read(self, columns: Any = None) -> pa.Table:
        return self.table.select(columns) if columns else self.table


@dataclass
class Shards:
    """A corpus in memory."""

    shards: list[OneShard]
    kind: Kind = "document"
    env: Env = field(default_factory=Env)


def corpus(*shards: list[dict[str, Any]], kind: Kind = "document") -> Any:
    tables = [table_from_rows(rows, kind) for rows in shards]
    return Shards([OneShard(f"{n}-{t.num_rows}", t) for n, t in enumerate(tables)], kind)


def example(n: int, **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"질문 {n}"}, {"role": "assistant", "content": f"answer {n}"}]
    return {"id": f"e{n}", "source_id": f"s:{n}", "messages": turns, "parents": [], **fields}


def loaded(folder: Path, cache: Path) -> Any:
    from datasets import load_dataset

    return load_dataset(str(folder), cache_dir=str(cache))


def jsonl(folder: Path, name: str = "train-00000-of-00001.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_bytes().split(b"\n")[:-1]]


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())}


def write(folder: Path, rows: Any, form: str = "jsonl") -> dict[str, Any]:
    return Export(path=str(folder), format=form).write(rows)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_documents_open_with_datasets_in_order(tmp_path: Path, form: str) -> None:
    notes = write(tmp_path / "out", corpus(DOCUMENTS[:4], DOCUMENTS[4:]), form)
    found = loaded(tmp_path / "out", tmp_path / "cache")["train"]
    assert found["id"] == [row["id"] for row in DOCUMENTS]
    assert found["text"] == [row["text"] for row in DOCUMENTS]
    assert found["source.n"] == list(range(7))
    assert found.column_names[:3] == ["id", "source_id", "text"]
    assert notes["rows"] == 7
    assert notes["splits"] == {"train": 7}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_examples_are_messages_as_trl_wants_them(tmp_path: Path, form: str) -> None:
    rows = [example(n, split=split) for n, split in enumerate(["train", "val", None, "test"], start=1)]
    write(tmp_path / "out", corpus(rows, kind="example"), form)
    found = loaded(tmp_path / "out", tmp_path / "cache")
    ids = {name: part["id"] for name, part in found.items()}
    assert ids == {"train": ["e1", "e3"], "validation": ["e2"], "test": ["e4"]}
    assert found["train"][0]["messages"] == rows[0]["messages"]
    assert not {"tools", "chosen", "rejected"} & set(found["train"].column_names)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_weights_and_preferences_stay_where_there_are_any(tmp_path: Path, form: str) -> None:
    good, bad = ([{"role": "assistant", "content": content}] for content in ("좋음", "no"))
    heavy = example(2, chosen=good, rejected=bad)
    heavy["messages"] = [{"role": "user", "content": "질문", "weight": 0.5}]
    write(tmp_path / "out", corpus([example(1)], [heavy], kind="example"), form)
    first, second = loaded(tmp_path / "out", tmp_path / "cache")["train"]
    assert [turn["weight"] for turn in first["messages"] + second["messages"]] == [None, None, 0.5]
    assert second["chosen"] == good
    assert first["chosen"] is None


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["tokens", "packed"])
def test_token_rows_open_with_datasets(tmp_path: Path, kind: Kind, form: str) -> None:
    ids = {"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}
    more = {"tokens": {"id": "t", "source_id": "s:1", "family": "t"}}
    spans = [{"id": "t", "start": 0, "length": 3}]
    row = {**ids, **more.get(kind, {"position_ids": [0, 1, 2], "spans": spans}), "split": "train"}
    write(tmp_path / "out", corpus([row], kind=kind), form)
    found = loaded(tmp_path / "out", tmp_path / "cache")["train"][0]
    assert {name: found[name] for name in ids} == ids
    assert kind == "tokens" or found["spans"] == spans


def test_jsonl_opens_with_pandas(tmp_path: Path) -> None:
    write(tmp_path / "out", corpus(DOCUMENTS))
    frame = pd.read_json(tmp_path / "out/train-00000-of-00001.jsonl", lines=True)
    assert list(frame["text"]) == [row["text"] for row in DOCUMENTS]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_shards_that_disagree_share_one_schema(tmp_path: Path, form: str) -> None:
    first = {"id": "1", "text": "하나", "source.n": 1, "source.m": 1, "source.only": True}
    second = {"id": "2", "text": "둘", "source.n": 0.5, "source.m": "m"}
    write(tmp_path / "out", corpus([first], [second]), form)
    found = loaded(tmp_path / "out", tmp_path / "cache")["train"]
    assert found["source.n"] == [1.0, 0.5]
    assert found["source.m"] == ["1", "m"]
    assert found["source.only"] == [True, None]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_no_rows_still_open_with_their_columns(tmp_path: Path, form: str) -> None:
    """As a stream: a split without rows that is not streamed is refused by `datasets`, whatever its files hold."""
    from datasets import load_dataset

    write(tmp_path / "out", corpus(), form)
    assert "streaming=True" in (tmp_path / "out/README.md").read_text(encoding="utf-8")
    found = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), streaming=True)["train"]
    assert list(found) == []
    assert list(found.features) == ["id", "source_id", "text"]


def test_no_rows_still_make_a_file_with_columns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(tmp_path / "out", corpus(), "parquet")
    found = pq.read_table(tmp_path / "out/train-00000-of-00001.parquet")
    assert (found.num_rows, found.column_names) == (0, ["id", "source_id", "text"])


def test_large_exports_are_cut_into_numbered_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datakit.stages.export.files.FILE_BYTES", 100)
    write(tmp_path / "out", corpus(DOCUMENTS[:3], DOCUMENTS[3:5], DOCUMENTS[5:]))
    names = sorted(path.name for path in (tmp_path / "out").glob("*.jsonl"))
    assert names == [f"train-{n:05d}-of-00003.jsonl" for n in range(3)]
    assert [row["id"] for name in names for row in jsonl(tmp_path / "out", name)] == [row["id"] for row in DOCUMENTS]


# Written again, left alone, never too much


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_equal_export_is_left_alone(tmp_path: Path, form: str) -> None:
    assert write(tmp_path, corpus(DOCUMENTS), form)["written"] == 3
    before = stamps(tmp_path)
    assert write(tmp_path, corpus(DOCUMENTS), form)["written"] == 0
    assert stamps(tmp_path) == before


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_harmed_export_is_mended(tmp_path: Path, harm: str) -> None:
    write(tmp_path, corpus(DOCUMENTS))
    path = tmp_path / "train-00000-of-00001.jsonl"
    data = path.read_bytes()
    path.unlink() if harm == "missing" else path.write_bytes(data[:-9])
    assert write(tmp_path, corpus(DOCUMENTS))["written"] == 1
    assert path.read_bytes() == data


def test_other_rows_replace_the_files_and_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "README.md").write_text("my own card")
    write(tmp_path, corpus(DOCUMENTS), "parquet")
    write(tmp_path, corpus(DOCUMENTS[:2], DOCUMENTS[2:3]), "jsonl")
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt",
        "README.md",
        "train-00000-of-00001.jsonl",
        "dataset_info.json",
        LIST_NAME,
    }
    assert (tmp_path / "README.md").read_text() == "my own card"
    assert len(jsonl(tmp_path)) == 3


def test_foreign_file_in_the_way_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "train-00000-of-00001.jsonl"
    path.write_text("mine")
    with pytest.raises(StoreError, match="did not write"):
        write(tmp_path, corpus(DOCUMENTS))
    assert path.read_text() == "mine"


def test_killed_export_is_finished_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datakit.stages.export as export

    write(tmp_path, corpus(DOCUMENTS[:2]))
    moved: list[Path] = []

    def die(source: Path, target: Path) -> None:
        if Path(target).suffix == ".jsonl":
            raise KeyboardInterrupt
        moved.append(Path(target))
        source.replace(target)

    with monkeypatch.context() as patch:
        patch.setattr(export.os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            Export(path=str(tmp_path), format="jsonl").write(corpus(DOCUMENTS))
    write(tmp_path, corpus(DOCUMENTS))
    assert [row["id"] for row in jsonl(tmp_path)] == [row["id"] for row in DOCUMENTS]


def test_same_rows_in_other_shards_give_the_same_bytes(tmp_path: Path) -> None:
    for name, rows in (("a", corpus(DOCUMENTS)), ("b", corpus(DOCUMENTS[:1], DOCUMENTS[1:]))):
        write(tmp_path / name, rows, "jsonl")
        write(tmp_path / f"{name}-parquet", rows, "parquet")
    for form in ("", "-parquet"):
        one, other = (
            {path.name: path.read_bytes() for path in (tmp_path / f"{name}{form}").iterdir() if path.name != LIST_NAME}
            for name in "ab"
        )
        assert one == other


# What trainers read


def pack_rows() -> Any:
    from datakit.runner import apply
    from datakit.stages.pack import Pack

    sizes = (5, 3, 9, 8, 10)
    rows = [
        {"id": f"행{n}", "source_id": str(n), "input_ids": ids, "labels": [-100, *ids[1:]], "split": "train"}
        for n, ids in enumerate([list(range(100 * n, 100 * n + size)) for n, size in enumerate(sizes)])
    ]
    return rows, apply(Pack(seq_len=10), rows, kind="tokens").rows


@pytest.mark.parametrize("columns", ["all", "trainer"])
def test_packs_have_the_lengths_that_trl_makes_position_ids_of(tmp_path: Path, columns: Any) -> None:
    _, packs = pack_rows()
    Export(path=str(tmp_path / "out"), columns=columns).write(Shards([OneShard("k", packs)], "packed"))  # type: ignore[arg-type]
    found = loaded(tmp_path / "out", tmp_path / "cache")["train"]
    assert len(found) == packs.num_rows
    for row in found:
        assert [place for length in row["seq_lengths"] for place in range(length)] == row["position_ids"]
    wanted = ["input_ids", "labels", "position_ids", "seq_lengths"]
    assert found.column_names == wanted if columns == "trainer" else set(wanted) < set(found.column_names)


def test_tokens_for_axolotl_have_exactly_its_columns(tmp_path: Path) -> None:
    """Its documentation: columns must be exactly input_ids, attention_mask, labels."""
    rows, _ = pack_rows()
    Export(path=str(tmp_path / "out"), columns="trainer").write(corpus(rows[:2], rows[2:], kind="tokens"))
    found = loaded(tmp_path / "out", tmp_path / "cache")["train"]
    assert found.column_names == ["input_ids", "attention_mask", "labels"]
    assert [row["attention_mask"] for row in found] == [[1] * len(row["input_ids"]) for row in rows]
    assert found["labels"] == [row["labels"] for row in rows]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_llama_factory_finds_every_file_in_dataset_info(tmp_path: Path, form: str) -> None:
    """Its data/README.md: file_name, formatting, columns and tags name what is in the files."""
    turns = [{"role": role, "content": f"말 {role}"} for role in ("system", "user", "assistant", "tool")]
    rows = [example(1, messages=turns, split="train", tools="[]"), example(2, split="val")]
    write(tmp_path / "out", corpus(rows, kind="example"), form)
    info = json.loads((tmp_path / "out/dataset_info.json").read_bytes())
    assert sorted(info) == ["train-00000", "validation-00000"]
    from datasets import load_dataset

    for entry in info.values():
        kind = {"jsonl": "json", "parquet": "parquet"}[form]
        path = str(tmp_path / "out" / entry["file_name"])
        found = load_dataset(kind, data_files=[path], split="train", cache_dir=str(tmp_path / "cache"))
        assert set(entry["columns"].values()) <= set(found.column_names)
        assert entry["formatting"] == "sharegpt"
        roles = {turn[entry["tags"]["role_tag"]] for row in found[entry["columns"]["messages"]] for turn in row}
        assert roles <= {entry["tags"][f"{who}_tag"] for who in ("user", "assistant", "observation", "system")}


def test_preferences_and_tokens_have_no_dataset_info(tmp_path: Path) -> None:
    good, bad = ([{"role": "assistant", "content": content}] for content in ("좋음", "no"))
    write(tmp_path / "a", corpus([example(1, chosen=good, rejected=bad)], kind="example"))
    write(tmp_path / "b", corpus(pack_rows()[0], kind="tokens"))
    assert not list(tmp_path.glob("*/dataset_info.json"))


def test_row_groups_are_fixed_and_hold_a_bounded_number_of_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("datakit.stages.export.files.GROUP_TOKENS", 25)
    Export(path=str(tmp_path)).write(Shards([OneShard("k", pack_rows()[1])], "packed"))  # type: ignore[arg-type]
    file = pq.ParquetFile(tmp_path / "train-00000-of-00001.parquet")
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [2, 2][: len(groups)]
    assert groups[0].column(0).compression == "ZSTD"


def test_lost_file_of_an_export_is_noticed_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets.exceptions import DatasetGenerationError
    from datasets.utils.info_utils import NonMatchingSplitsSizesError

    monkeypatch.setattr("datakit.stages.export.files.FILE_BYTES", 100)
    write(tmp_path / "out", corpus(DOCUMENTS[:3], DOCUMENTS[3:]))
    (tmp_path / "out/train-00001-of-00002.jsonl").unlink()
    with pytest.raises((NonMatchingSplitsSizesError, DatasetGenerationError)):
        loaded(tmp_path / "out", tmp_path / "cache")


# The card, and refusals


def test_card_tells_the_figures_and_no_text(tmp_path: Path) -> None:
    rows = [{**row, "licence": "CC-BY-4.0", "lang": "ko" if n else "en"} for n, row in enumerate(DOCUMENTS)]
    write(tmp_path, corpus(rows))
    card = (tmp_path / "README.md").read_text()
    head = card.split("---")[1]
    for line in ("license: cc-by-4.0", "- ko", "- n<1K", "path: train-*.jsonl"):
        assert line in head
    assert "| ko | 6 |" in card
    assert "번째" not in card


def test_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match="a file stands where the folder should be") as caught:
        write(tmp_path / "out", corpus(DOCUMENTS))
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")]
)
def test_trouble_with_the_disk_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    import os

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("datakit.stages.export.files._write_jsonl", fail)
    with pytest.raises(StoreError, match=said) as caught:
        write(tmp_path, corpus(DOCUMENTS))
    assert caught.value.fix
    assert not list(tmp_path.glob("*.jsonl"))


def test_address_is_refused_and_path_is_no_identity() -> None:
    with pytest.raises(ValidationError, match="on this machine"):
        Export(path="s3://bucket/out")
    assert Export(path="a").keyed_as() == Export(path="b").keyed_as()


def test_corpus_of_the_tests_has_the_kinds_it_says() -> None:
    assert kind_of(corpus([example(1)], kind="example").shards[0].table.schema) == "example"


def test_card_tells_who_made_the_rows_under_which_licence(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    shared = {"messages": turns, "licence": "CC-BY-4.0"}
    made = {"synthesize.recipe": "grounded", "synthesize.teacher": "openai:a|b"}
    rows = [{**shared, "id": "1", **made}, {**shared, "id": "2", **made}, {**shared, "id": "3", "licence": None}]
    write(tmp_path, corpus(rows, kind="example"))
    card = (tmp_path / "README.md").read_text()
    assert "| grounded | openai:a\\|b | CC-BY-4.0 | 2 |" in card
    assert "| read in | none | not named | 1 |" in card
    assert "terms of that model" in card
    write(tmp_path / "read", corpus([{**shared, "id": "3"}], kind="example"))
    assert "made by" not in (tmp_path / "read/README.md").read_text()
