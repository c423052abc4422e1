"""What is forgotten is in no file of the store, comes back by no run, and what held it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from datakit import api
from datakit.errors import ConfigError, SourceError
from datakit.forgetting import holdings
from datakit.manifests import AdapterArtifact
from datakit.store import Store
from tests.command_line import pipeline_file
from tests.tiny_llama import make_tiny_tokenizer

SECRET = "홍두깨 주무관이 민원을 남겼습니다"
TEXTS = [
    f"{SECRET}. 가로등이 꺼져 밤길이 어둡다고 합니다. 현장을 살펴 다음 주까지 고치기로 했습니다.",
    f"{SECRET}. 가로등이 꺼져 밤길이 어둡다고 합니다. 현장을 살펴 다음 주까지 고치기로 하였습니다.",
    "도서관은 월요일마다 쉽니다. 다른 날은 아홉 시에 열고 여섯 시에 닫습니다. 명절에는 문을 열지 않습니다.",
    "The pool closes for cleaning in March. It opens again in April with new lanes for children and beginners.",
]


@pytest.fixture
def store(here: Path) -> Store:
    """A store with one version, from two files, packed, with an index and an export."""
    for name, texts in (("a.jsonl", TEXTS[:1] + TEXTS[2:3]), ("b.jsonl", [TEXTS[1], TEXTS[3]])):
        rows = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        (here / name).write_text("\n".join(rows), encoding="utf-8")
    make_tiny_tokenizer(here / "tiny")
    pipeline_file(
        "{use: ingest, files: ['a.jsonl', 'b.jsonl']}", "normalize", "{use: dedup, index: known, threshold: 0.6}",
        "{use: export, format: jsonl, path: out}", "{use: tokenize, tokenizer: tiny}", "{use: pack, seq_len: 1024}",
    )  # fmt: skip
    api.run("p.yaml")
    return Store("store")


def everything(store: Store) -> Iterator[str]:
    """All that the store, the index and the export hold, as text."""
    for path in store.files():
        yield str(store.table(path).to_pylist()) if path.endswith(".parquet") else store.content(path).decode()
    for path in [*Path("known").rglob("*"), *Path("out").rglob("*")]:
        if path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")


def test_the_planted_text_is_found_before_and_nowhere_after(store: Store) -> None:
    assert any("홍두깨" in text for text in everything(store))
    done = api.forget(["a.jsonl:1"])
    assert (done.left, len(done.ids)) == (0, 2), "its near copy in the other file holds the same"
    assert not any("홍두깨" in text for text in everything(store))
    assert done.removed == [one.manifest.ref for one in done.holdings]
    assert store.datasets() == done.published


def test_later_runs_do_not_read_it_again_and_other_rows_stay(store: Store) -> None:
    api.forget(["a.jsonl:1"])
    again = api.run("p.yaml")
    assert (again.run.published, again.run.ran) == (False, 0)
    assert sorted(row["text"] for row in api.show("p", stage="dedup", rows=9, raw=True)) == sorted(TEXTS[2:])
    assert [drop["rule"] for drop in api.drops("p", raw=True)["rows"]] == ["forgotten", "forgotten"]
    shutil.rmtree("store/objects")
    api.run("p.yaml")
    assert not any("홍두깨" in text for text in everything(store))


def test_by_text_by_file_and_by_id_the_same_rows_are_meant(store: Store, here: Path) -> None:
    (here / "names.txt").write_text("\n홍두깨 주무관\n", encoding="utf-8")
    by_text = api.forget([], match_file="names.txt", dry_run=True)
    by_line = api.forget(["b.jsonl:1"], dry_run=True)
    assert sorted(by_text.ids) == sorted(by_line.ids) == sorted(api.forget([min(by_text.ids)], dry_run=True).ids)
    assert len(api.forget(["b.jsonl"], dry_run=True).ids) == 3
    assert "홍두깨" not in json.dumps(api.as_json(by_text), ensure_ascii=False)


def test_a_dry_run_changes_nothing(store: Store) -> None:
    before = store.files()
    api.forget(["a.jsonl:1"], dry_run=True)
    assert store.files() == before


def test_adapters_that_learned_it_are_marked_and_the_proof_names_them(store: Store, here: Path) -> None:
    digest = store.manifest("p").digest
    for name, learned in (("mine", digest), ("other", "elsewhere")):
        (here / name).mkdir()
        store.put_adapter(name, AdapterArtifact(
            name=name, trainer="t", base="b", dataset="p", dataset_digest=learned, config={}, metrics={}, seed=0,
            files={}, path=name,
        ))  # fmt: skip
    assert api.trace(["a.jsonl:1"])[0]["adapters"] == ["mine"]
    done = api.forget(["a.jsonl:1"])
    assert done.marked == ["mine"]
    assert (here / "mine" / "forgotten.json").is_file()
    assert not (here / "other" / "forgotten.json").exists()
    proof = json.loads(store.content(done.proof))
    assert (proof["marked"], proof["left"], len(proof["rows"])) == (["mine"], 0, 2)


def test_trace_tells_packs_and_exports_of_every_version(store: Store) -> None:
    [found] = api.trace(["b.jsonl:2"])
    assert (found["dataset"], found["exports"], found["indexes"]) == (store.datasets()[0], ["out"], ["known"])
    assert [pack["row"] for pack in found["packs"]] == found["rows"]


def test_what_is_not_there_can_not_be_forgotten(store: Store, here: Path) -> None:
    with pytest.raises(SourceError, match=r"no row 'c\.jsonl:9'"):
        api.forget(["c.jsonl:9"])
    with pytest.raises(ConfigError, match="which rows"):
        api.forget([])
    with pytest.raises(ConfigError, match="can't be read"):
        api.forget([], match_file="nowhere.txt")


def test_killed_in_the_middle_and_run_again_it_is_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in ("bury", "publish", "unpublish", "put_proof"):
        with monkeypatch.context() as patch:

            def die(*_: object) -> None:
                raise KeyboardInterrupt

            patch.setattr(Store, step, die)
            with pytest.raises(KeyboardInterrupt):
                api.forget(["a.jsonl:1"])
        if step == "put_proof":
            break
    assert not any("홍두깨" in text for text in everything(store))
    with pytest.raises(SourceError):
        holdings(["a.jsonl:1"], store)
