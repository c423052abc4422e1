"""The index of dedup: what comes later is judged by what came before, whatever happens to the run or to the index."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit import api
from datakit.errors import ConfigError, StoreError
from datakit.executors import Processes
from datakit.kernels.folding import fold_text
from datakit.kernels.minhash import signature_of
from datakit.kernels.shingles import Cut, runs_of, shingles_of
from datakit.outcome import drops_schema
from datakit.runner import Applied, apply
from datakit.schemas import table_from_rows
from datakit.stages.dedup import Dedup, archive, history, records, segments, views
from datakit.stages.dedup.archive import Archive
from datakit.stages.dedup.signatures import shingle_hash32, to_datasketch
from tests.command_line import call, pipeline_file
from tests.test_dedup import ENGLISH, KOREAN, OTHER, documents, jaccard, many

NEAR_KOREAN = KOREAN.replace("닷새", "엿새")
NEAR_ENGLISH = ENGLISH.replace("five days", "six days")


def month(number: int, *texts: str) -> list[dict[str, Any]]:
    """Documents of one file, whose ids tell the file. Later months sort first: age must not come from the name."""
    return [{**row, "id": f"m{number}-{row['id']}"} for row in documents(*texts, source=f"{99 - number}.jsonl")]


def ids_of(found: Applied) -> list[str]:
    return list(found.rows.column("id").to_pylist())


def folds_of(found: Applied) -> dict[str, str]:
    return dict(zip(*(found.drops.column(name).to_pylist() for name in ("id", "matched")), strict=True))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@dataclass
class Told:
    """What became of some runs that share an index: every text, who stayed (the oldest first), who went for whom."""

    texts: dict[str, str] = field(default_factory=dict)
    stayed: list[str] = field(default_factory=list)
    gone: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, rows: list[dict[str, Any]], found: Applied) -> None:
        self.texts |= {row["id"]: row["text"] for row in rows}
        before = set(self.stayed)
        self.gone += [{**drop, "older": drop["matched"] in before} for drop in found.drops.to_pylist()]
        self.stayed += ids_of(found)

    def breaches(self, threshold: float = 0.8) -> list[str]:
        """Everything wrong, by brute force."""
        wrong = []
        if sorted([*self.stayed, *(drop["id"] for drop in self.gone)]) != sorted(self.texts):
            wrong.append("rows are lost or doubled")
        for drop in self.gone:
            value = jaccard(self.texts[drop["id"]], self.texts[drop["matched"]])
            if drop["matched"] not in self.stayed:
                wrong.append(f"{drop['id']} is folded into a row that goes")
            if value < threshold or f"{value:.6g}" != drop["value"]:
                wrong.append(f"{drop['id']} claims {drop['value']}, is {value:.6g}")
        for place, one in enumerate(self.stayed):
            alike = [(other, jaccard(self.texts[one], self.texts[other])) for other in self.stayed[:place]]
            wrong += [f"{one} and {other} stay at {value}" for other, value in alike if value >= threshold]
        return wrong


def runs(folder: Path, seed: int, count: int = 4) -> Told:
    """Some runs over new documents that repeat each other and those before."""
    stream, told = random.Random(seed), Told()
    rows = [row for row in many(30, seed) if row["text"]]
    stream.shuffle(rows)
    for number in range(count):
        share = [{**row, "source": f"{99 - number}.jsonl"} for row in rows[number::count]]
        told.hear(share, apply(Dedup(index=str(folder)), share))
    return told


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_runs_that_share_an_index_keep_the_law(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    assert runs(tmp_path_factory.mktemp("index"), seed).breaches() == []


def test_law_planted_breaches_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = runs(tmp_path / "a", 3)
    assert any(drop["older"] for drop in told.gone)
    assert any(not drop["older"] for drop in told.gone)
    pointing = replace(told, gone=[{**told.gone[0], "matched": told.gone[0]["id"]}, *told.gone[1:]])
    assert any("row that goes" in wrong for wrong in pointing.breaches())
    assert any(
        "claims" in wrong for wrong in replace(told, gone=[{**d, "value": "0.99"} for d in told.gone]).breaches()
    )
    monkeypatch.setattr(views.View, "find_digests", lambda self, digests: np.full(len(digests), -1))
    monkeypatch.setattr(views.View, "candidates", lambda *_: iter(()))
    assert any("stay at" in wrong for wrong in runs(tmp_path / "b", 3).breaches())


@pytest.mark.parametrize("unit", ["script", "char"])
def test_new_rows_are_compared_with_old_ones_and_with_each_other(tmp_path: Path, unit: str) -> None:
    stage = Dedup(index=str(tmp_path / "i"), unit=unit)
    assert ids_of(apply(stage, month(0, KOREAN))) == ["m0-r0"]
    found = apply(stage, month(1, NEAR_KOREAN, ENGLISH, NEAR_ENGLISH, KOREAN.upper(), OTHER))
    assert folds_of(found) == {"m1-r0": "m0-r0", "m1-r2": "m1-r1", "m1-r3": "m0-r0"}
    told = {drop["id"]: (drop["rule"], drop["value"], drop["threshold"]) for drop in found.drops.to_pylist()}
    assert told["m1-r3"] == ("exact_copy", "1", "1")
    assert told["m1-r0"] == ("near_copy", f"{jaccard(KOREAN, NEAR_KOREAN, unit):.6g}", "0.8")


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_the_older_document_stays_whatever_rule_orders_new_ones(tmp_path: Path, keep: str) -> None:
    stage = Dedup(index=str(tmp_path / "i"), keep=keep)
    apply(stage, month(0, KOREAN))
    found = apply(stage, month(1, KOREAN + " 끝."))
    assert folds_of(found) == {"m1-r0": "m0-r0"}
    assert found.notes["index"]["examples"] == [
        {"id": "m1-r0", "matched": "m0-r0", "matched_source_id": "0", "jaccard": pytest.approx(0.97, abs=0.03)}
    ]


def test_the_most_alike_of_older_documents_is_named_and_the_oldest_on_a_tie(tmp_path: Path) -> None:
    words = [f"낱말{i}" for i in range(120)]
    text = " ".join(words[:100])
    far, near, twin = (" ".join(words[start : start + 100]) for start in (7, 3, 0))
    stage = Dedup(index=str(tmp_path / "i"), threshold=0.95)
    apply(stage, month(0, far))
    apply(stage, month(1, near, twin.replace("낱말50", "다른")))
    apply(stage, month(2, text.replace("낱말20", "다른")))
    loose = Archive(tmp_path / "i")
    loose._write(scheme={**loose.record.scheme, "threshold": 0.8})  # so that all four are in one index
    found = apply(Dedup(index=str(tmp_path / "i")), month(3, text))
    assert folds_of(found) == {"m3-r0": "m1-r1"}


def test_settled_rows_stay_and_are_never_matched_with_themselves(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"))
    first = apply(stage, month(0, KOREAN, ENGLISH, KOREAN.upper()))
    both = apply(stage, [month(1, NEAR_KOREAN, OTHER), month(0, KOREAN, ENGLISH, KOREAN.upper())])
    assert set(ids_of(first)) <= set(ids_of(both)) == {"m0-r0", "m0-r1", "m1-r1"}
    assert folds_of(both) == {"m0-r2": "m0-r0", "m1-r0": "m0-r0"}
    assert both.notes["index"]["settled"] == 2


def test_rows_that_are_cleaned_otherwise_now_are_judged_anew_and_not_by_their_old_text(tmp_path: Path) -> None:
    stage, folder = Dedup(index=str(tmp_path / "i")), tmp_path / "i"
    apply(stage, month(0, f"{KOREAN} 저작권자 가나다", f"{OTHER} 저작권자 라마바", ENGLISH))
    found = apply(stage, month(0, KOREAN, KOREAN, ENGLISH))
    assert (ids_of(found), folds_of(found)) == (["m0-r0", "m0-r2"], {"m0-r1": "m0-r0"})
    assert found.notes["index"]["settled"] == 1
    assert folds_of(apply(stage, month(1, OTHER + " 저작권자 라마바", KOREAN))) == {"m1-r1": "m0-r0"}
    told = Archive(folder).describe()
    assert (told["rows"], told["hidden"]) == (3, 2)
    Archive(folder).compact()
    assert (Archive(folder).describe()["rows"], Archive(folder).describe()["hidden"]) == (3, 0)
    assert Archive(folder).states[-1] == told["state"]


def test_two_rows_with_one_id_leave_one(tmp_path: Path) -> None:
    stage, rows = Dedup(index=str(tmp_path / "i")), [*month(0, KOREAN), *month(0, KOREAN)]
    for _ in range(2):
        found = apply(stage, rows)
        assert (ids_of(found), folds_of(found)) == (["m0-r0"], {"m0-r0": "m0-r0"})
    assert Archive(tmp_path / "i").describe()["rows"] == 1


def test_empty_texts_stay_and_are_not_in_the_index(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"))
    for number in range(2):
        assert apply(stage, month(number, "", " \n", "")).stats.kept == 3
    assert (
        Archive(tmp_path / "i").describe() | {"rows": 0, "runs": 2, "segments": 0} == Archive(tmp_path / "i").describe()
    )


def test_exact_copies_alone_need_no_signatures(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"), near=False)
    apply(stage, month(0, KOREAN, ENGLISH))
    found = apply(stage, month(1, NEAR_KOREAN, ENGLISH.upper()))
    assert (ids_of(found), folds_of(found)) == (["m1-r0"], {"m1-r1": "m0-r1"})
    assert not list(tmp_path.glob("i/segments/*/signatures.u32"))


def example(name: str, question: str, answer: str) -> dict[str, Any]:
    turns = [
        {"role": role, "content": text, "weight": None} for role, text in (("user", question), ("assistant", answer))
    ]
    return {"id": name, "source_id": name, "messages": turns, "source": f"{name}.jsonl", "position": 0}


def test_examples_are_copies_of_older_ones_if_both_question_and_answer_are(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"), template=0)
    apply(stage, [example("z", KOREAN, ENGLISH)], kind="example")
    later = [example("a", NEAR_KOREAN, OTHER), example("b", OTHER, ENGLISH), example("c", NEAR_KOREAN, NEAR_ENGLISH)]
    found = apply(stage, [*later, example("d", KOREAN, ENGLISH)], kind="example")
    assert folds_of(found) == {"c": "z", "d": "z"}
    least = min(jaccard(KOREAN, NEAR_KOREAN), jaccard(ENGLISH, NEAR_ENGLISH))
    assert found.drops.column("value").to_pylist() == [f"{least:.6g}", "1"]
    Archive(tmp_path / "i").compact()
    assert folds_of(apply(stage, [example("e", NEAR_KOREAN, OTHER)], kind="example")) == {"e": "a"}
    with pytest.raises(ConfigError, match=r"2 compared part\(s\), these have 1"):
        apply(stage, month(0, KOREAN))


def test_examples_are_compared_by_the_chosen_messages(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"), text="assistant", template=0)
    apply(stage, [example("z", "다음을 줄여 쓰세요.", KOREAN)], kind="example")
    later = [example("a", "Sum this up, please.", NEAR_KOREAN), example("b", "다음을 줄여 쓰세요.", ENGLISH)]
    assert folds_of(apply(stage, later, kind="example")) == {"a": "z"}


def test_what_an_index_can_t_take_is_refused(tmp_path: Path) -> None:
    rows = [example("a", KOREAN, ENGLISH)]
    for settings_, told in (
        ({}, "compared whole"),
        ({"template": 0.2}, "whole"),
        ({"mode": "annotate"}, "all rows do"),
    ):
        with pytest.raises(ConfigError, match=told):
            apply(Dedup(index=str(tmp_path / "i"), **settings_), rows, kind="example")


def test_without_sets_the_estimate_tells_its_standard_error(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"), index_sets=False)
    apply(stage, month(0, KOREAN, ENGLISH))
    drops = apply(stage, month(1, NEAR_KOREAN, OTHER, ENGLISH)).drops.to_pylist()
    assert [(drop["id"], drop["matched"], drop["rule"]) for drop in drops] == [
        ("m1-r0", "m0-r0", "near_copy"), ("m1-r2", "m0-r1", "exact_copy"),
    ]  # fmt: skip
    signed = [signature_of(shingles_of(fold_text(text), Cut("script")), 128) for text in (KOREAN, NEAR_KOREAN)]
    share = float((signed[0] == signed[1]).mean())
    assert drops[0]["value"] == f"{share:.3f}±{(share * (1 - share) / 128) ** 0.5:.3f}"
    assert not list(tmp_path.glob("i/segments/*/sets.u32"))


def test_a_crowd_of_one_template_is_bounded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST", 8)
    letter = " ".join(f"{word}{i}" for i, word in enumerate(KOREAN.split() * 3))
    stage = Dedup(index=str(tmp_path / "i"), threshold=0.98)
    apply(stage, month(0, *(f"{letter} 번호 {number} 이름 {number * 7}" for number in range(60))))
    found = apply(stage, month(1, f"{letter} 번호 777 이름 888"))
    assert found.notes["index"]["verified"]["uncompared"] == 1
    assert found.notes["index"]["verified"]["pairs"] <= 8 * 18


def segment_bytes(folder: Path) -> list[dict[str, bytes]]:
    """The files of every segment, in order, without its name."""
    return [bytes_of(segment.folder) for segment in Archive(folder).segments]


def test_index_and_answers_do_not_depend_on_workers_or_on_how_shards_are_cut(tmp_path: Path) -> None:
    rows = [row for row in many(60, 8) if row["text"]]
    cuts: list[list[Any]] = [[rows], [rows[:3], rows[3:20], rows[20:33], rows[33:]], [rows[:30], rows[30:]]]
    answers = []
    for number, cut in enumerate(cuts):
        stage, executor = Dedup(index=str(tmp_path / f"i{number}")), Processes(2) if number == 2 else None
        apply(stage, [{**row, "id": f"old-{row['id']}"} for row in rows[10:40]])
        found = apply(stage, cut, executor=executor)
        answers.append((ids_of(found), found.drops.to_pylist(), segment_bytes(tmp_path / f"i{number}")))
    assert len(answers[0][1]) > 30
    assert answers[0] == answers[1] == answers[2]


# Runs of a pipeline: keys, reuse, crashes


def write(name: str, *texts: str) -> None:
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    Path(name).write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def project(here: Path) -> Path:
    """A pipeline over the files in `in`, with an index."""
    (here / "in").mkdir()
    write("in/b.jsonl", KOREAN, ENGLISH, KOREAN.upper())
    pipeline_file("{use: ingest, files: in/*.jsonl}", "normalize", "{use: dedup, index: known}")
    return here


def kept(done: api.Done, store: str = "store") -> list[str]:
    from datakit.store import Store

    opened = Store(store)
    return [row for shard in done.manifest.shards for row in opened.read(shard.key).column("text").to_pylist()]


def test_the_same_run_again_changes_nothing(project: Path) -> None:
    first, before = api.run("p.yaml"), bytes_of(project / "known")
    again = api.run("p.yaml")
    assert (again.run.ran, again.manifest.digest) == (0, first.manifest.digest)
    assert bytes_of(project / "known") == before
    assert [step.run for step in api.plan("p.yaml")] == [0, 0, 0]


def test_the_same_run_again_is_reused_after_others_have_extended_the_index(project: Path) -> None:
    first = api.run("p.yaml")
    write("other.jsonl", OTHER, NEAR_ENGLISH)
    pipeline_file("{use: ingest, files: other.jsonl}", "{use: dedup, index: known}", name="q")
    assert kept(api.run("q.yaml")) == [OTHER]
    api.index("known", compact=True)
    assert api.run("p.yaml").run.ran == 0
    anew = api.run("p.yaml", store="new")  # looks at what it looked at then
    assert (anew.run.ran, anew.manifest.digest) == (3, first.manifest.digest)
    assert anew.manifest.stages[-1].stats == first.manifest.stages[-1].stats
    assert Archive("known").describe()["runs"] == 2


def test_one_more_file_judges_only_its_rows(project: Path) -> None:
    api.run("p.yaml")
    write("in/a.jsonl", NEAR_KOREAN, OTHER, NEAR_ENGLISH, OTHER)
    done = api.run("p.yaml")
    assert sorted(kept(done)) == sorted([KOREAN, ENGLISH, OTHER])
    notes = done.manifest.stages[-1].notes["index"]
    assert (notes["documents"], notes["settled"], notes["folded"]) == (2, 2, 3)
    assert api.run("p.yaml").run.ran == 0
    (project / "in/a.jsonl").unlink()
    assert kept(api.run("p.yaml")) == [KOREAN, ENGLISH]
    assert api.run("p.yaml").run.ran == 0


def test_without_looking_the_same_files_in_one_run_keep_another_row(project: Path) -> None:
    """The planted opposite: what stays in the test before stays because it is older, not by its place."""
    write("in/a.jsonl", NEAR_KOREAN, OTHER)
    assert sorted(kept(api.run("p.yaml"))) == sorted([NEAR_KOREAN, OTHER, ENGLISH])


def test_a_step_that_is_reused_fills_a_new_index_too(project: Path) -> None:
    api.run("p.yaml")
    before = bytes_of(project / "known")
    shutil.rmtree(project / "known")
    assert api.run("p.yaml").run.ran == 0
    assert bytes_of(project / "known") == before


def key_of_step(done: api.Done) -> str:
    return str(done.manifest.stages[-1].steps[0])


def test_key_holds_what_the_index_held_and_not_where_it_lies(project: Path) -> None:
    pipeline_file("{use: ingest, files: in/*.jsonl}", "normalize", "{use: dedup, index: elsewhere/known}", name="q")
    first = api.run("p.yaml")
    assert key_of_step(api.run("q.yaml")) == key_of_step(first)
    write("in/a.jsonl", OTHER)
    one = api.run("p.yaml")
    shutil.rmtree(project / "elsewhere")
    assert key_of_step(api.run("q.yaml")) != key_of_step(one)  # these rows were never judged by an older one
    shutil.copytree(project / "known", project / "copy")
    pipeline_file("{use: ingest, files: in/*.jsonl}", "normalize", "{use: dedup, index: copy}", name="r")
    assert api.run("r.yaml").run.ran == 0


class Killed(BaseException):
    """Stands for SIGKILL: no `except Exception` sees it."""


def killed_at(call_number: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> bool:
    """Do `work` with the index's n-th write to the disk failing for good; whether it came to that."""
    count = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count >= call_number:
                raise Killed
            return real(*arguments, **named)

        return act

    with monkeypatch.context() as patch:
        for module, name in ((segments, "flush"), (records, "flush"), (archive, "put"), (records, "put")):
            patch.setattr(module, name, dying(getattr(module, name)))
        patch.setattr(archive.shutil, "rmtree", dying(shutil.rmtree))
        try:
            work()
        except Killed:
            return True
    return False


def test_killed_at_any_write_of_the_index_and_run_again_gives_the_same_bytes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.run("p.yaml")
    shutil.copytree("known", "begun")
    shutil.copytree("store", "store-begun")
    write("in/a.jsonl", NEAR_KOREAN, OTHER)
    whole = api.run("p.yaml")
    wanted = bytes_of(project / "known")
    deaths = 0
    for number in range(1, 40):
        for name, begun in (("known", "begun"), ("store", "store-begun")):
            shutil.rmtree(name)
            shutil.copytree(begun, name)
        if not killed_at(number, monkeypatch, lambda: api.run("p.yaml")):
            break
        deaths += 1
        Archive("known").view().find_digests(np.zeros((1, 2), np.uint64))  # it can be read as it is
        assert api.run("p.yaml").manifest.digest == whole.manifest.digest
        assert bytes_of(project / "known") == wanted
    assert deaths > 8


def test_killed_in_compaction_leaves_all_documents_and_nothing_more_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Dedup(index=str(tmp_path / "i"))
    for number, text in enumerate((KOREAN, ENGLISH, OTHER)):
        apply(stage, month(number, text))
    shutil.copytree(tmp_path / "i", tmp_path / "begun")
    Archive(tmp_path / "i").compact()
    wanted = bytes_of(tmp_path / "i")
    assert Archive(tmp_path / "i").describe()["segments"] == 1
    for number in range(1, 30):
        shutil.rmtree(tmp_path / "i")
        shutil.copytree(tmp_path / "begun", tmp_path / "i")
        if not killed_at(number, monkeypatch, lambda: Archive(tmp_path / "i").compact()):
            break
        assert Archive(tmp_path / "i").describe()["rows"] == 3
        Archive(tmp_path / "i").compact()
        assert bytes_of(tmp_path / "i") == wanted
    assert number > 8


def test_a_process_killed_for_real_leaves_an_index_that_goes_on(project: Path) -> None:
    code = (
        "import os, signal\nfrom datakit import api\nfrom datakit.stages.dedup import archive\n"
        "archive.write_record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\napi.run('p.yaml')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list((project / "known/segments").iterdir())
    assert (project / "known/lease.json").exists()
    assert api.run("p.yaml").manifest.rows == 2
    after = bytes_of(project / "known")
    shutil.rmtree("known")
    api.run("p.yaml")
    assert bytes_of(project / "known") == after


@pytest.mark.parametrize("sets", [True, False])
def test_report_and_story_name_an_older_document_of_another_dataset(project: Path, sets: bool) -> None:
    dedup = f"{{use: dedup, index: known, index_sets: {str(sets).lower()}}}"
    for name in ("p", "q"):
        pipeline_file(f"{{use: ingest, files: {name}.jsonl}}", dedup, name=name)
    write("q.jsonl", KOREAN, ENGLISH)
    write("p.jsonl", NEAR_KOREAN, OTHER, ENGLISH)
    old = [row["id"] for row in api.show("q", rows=2, raw=True)] if api.run("q.yaml") else []
    assert kept(api.run("p.yaml")) == [OTHER]
    for row, matched, sign in ((1, old[0], "" if sets else "±"), (3, old[1], "")):
        told = api.why(f"p.jsonl:{row}")["story"][-1]
        assert (told["what"], told["matched"]) == ("folded", matched)
        assert sign in told["value"]
    assert api.report("p")["dataset"].startswith("p@")


# Forgetting, joining, refusing


def traces(folder: Path, row: str, text: str) -> list[str]:
    """Files of an index that hold something of a document: id, digest, signature or shingles."""
    from hashlib import blake2b

    from datakit.kernels.digests import digests_of

    folded = fold_text(text)
    data = np.frombuffer(folded.encode(), np.uint8)
    shingles = shingles_of(folded, Cut("script"))
    halves = np.array(sorted({shingle >> 32 for shingle in shingles}), "<u4")
    secrets = {
        "id": row.encode(),
        "digest": digests_of(np.array([0, len(data)]), data).tobytes(),
        "signature": signature_of(shingles, 128).astype("<u4").tobytes()[:16],
        "shingle": halves[:3].tobytes(),
        "id key": blake2b(row.encode(), digest_size=4).digest(),
    }
    return [f"{name} in {path}" for path, data in bytes_of(folder).items() for name, s in secrets.items() if s in data]


def test_removed_document_is_unknown_at_once_and_in_no_file_after_compaction(tmp_path: Path) -> None:
    folder = tmp_path / "i"
    stage = Dedup(index=str(folder))
    apply(stage, month(0, KOREAN, ENGLISH))
    apply(stage, month(1, OTHER))
    assert len(traces(folder, "m0-r0", KOREAN)) == 5
    told = api.index(folder, remove=["m0-r0", "nobody"])
    assert (told["removed"], told["rows"], told["hidden"]) == (1, 2, 1)
    assert api.index(folder, remove=["m0-r0"])["removed"] == 0
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    api.index(copy, compact=True)
    assert traces(copy, "m0-r0", KOREAN) == []
    assert len(traces(copy, "m0-r1", ENGLISH)) == 5
    assert Archive(copy).states == Archive(folder).states
    for place in (folder, copy):
        found = apply(Dedup(index=str(place)), month(2, NEAR_KOREAN, NEAR_ENGLISH))
        assert (ids_of(found), folds_of(found)) == (["m2-r0"], {"m2-r1": "m0-r1"})


def test_removing_everything_leaves_an_index_that_takes_new_rows(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"))
    apply(stage, month(0, KOREAN))
    told = api.index(tmp_path / "i", remove=["m0-r0"], compact=True)
    assert (told["rows"], told["segments"], told["bytes"]) == (0, 0, 0)
    assert ids_of(apply(stage, month(1, KOREAN))) == ["m1-r0"]


def test_what_was_dropped_for_a_forgotten_document_comes_in_with_the_next_run(project: Path) -> None:
    write("old.jsonl", KOREAN)
    pipeline_file("{use: ingest, files: old.jsonl}", "{use: dedup, index: known}", name="q")
    old = api.show("q", rows=1, raw=True)[0]["id"] if api.run("q.yaml") else ""
    assert kept(api.run("p.yaml")) == [ENGLISH]
    api.index("known", remove=[old])
    for ran in (1, 0):  # the step behind the hole is done anew, once; the next finds it
        done = api.run("p.yaml")
        assert (kept(done), done.run.ran) == ([KOREAN, ENGLISH], ran)
    api.index("known", compact=True)
    assert api.run("p.yaml").run.ran == 0


def test_joined_segments_answer_like_many(tmp_path: Path) -> None:
    rows = [row for row in many(80, 21) if row["text"]]
    stage = Dedup(index=str(tmp_path / "i"))
    for start in range(0, 60, 12):
        apply(stage, [{**row, "id": f"a{row['id']}"} for row in rows[start : start + 12]])
    shutil.copytree(tmp_path / "i", tmp_path / "j")
    Archive(tmp_path / "j").compact()
    answers = [apply(Dedup(index=str(tmp_path / name)), rows[30:]) for name in ("i", "j")]
    assert answers[0].drops.num_rows > 20
    assert answers[0].drops.equals(answers[1].drops)
    assert answers[0].rows.equals(answers[1].rows)
    assert Archive(tmp_path / "i").states == Archive(tmp_path / "j").states
    assert len(Archive(tmp_path / "j").segments) == 2 < len(Archive(tmp_path / "i").segments)


@pytest.mark.parametrize("change", [{"ngram": 7}, {"unit": "word"}, {"threshold": 0.9}, {"index_sets": False}])
def test_another_scheme_is_refused_with_what_differs(project: Path, change: dict[str, Any]) -> None:
    api.run("p.yaml")
    before = bytes_of(project / "known")
    name = next(iter(change)).removeprefix("index_")
    with pytest.raises(ConfigError, match=f"{name} .*now {next(iter(change.values()))}") as caught:
        apply(Dedup(index="known", **change), month(0, KOREAN))
    assert "new folder" in caught.value.fix
    setting, value = next(iter(change.items()))
    call("check", "p.yaml", "--set", f"dedup.{setting}={json.dumps(value)}").is_an_error(2, name, "new folder")
    assert bytes_of(project / "known") == before


def test_signatures_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(Dedup(index=str(tmp_path / "i")), month(0, KOREAN))
    monkeypatch.setattr("datakit.stages.dedup.stage.SIGN_VERSION", 10**6)
    with pytest.raises(ConfigError, match=r"version .*now 1000000"):
        apply(Dedup(index=str(tmp_path / "i")), month(1, KOREAN))


def test_a_folder_of_other_files_and_a_file_are_refused(here: Path) -> None:
    (here / "notes").mkdir()
    (here / "notes/diary.txt").write_text("일기", encoding="utf-8")
    for path, told in (("notes", "other files"), ("notes/diary.txt", "a file stands"), ("s3://a/b", "local folder")):
        with pytest.raises(ConfigError, match=told):
            apply(Dedup(index=path), month(0, KOREAN))
    call("index", "nothing").is_an_error(6, "no index", "nothing", "dedup")


@pytest.mark.parametrize(
    "name", ["rows.arrow", "digests.u64", "signatures.u32", "lookup.u64", "sets.u32", "places.i64"]
)
@pytest.mark.parametrize("harm", ["missing", "torn"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, harm: str) -> None:
    stage = Dedup(index=str(tmp_path / "i"))
    apply(stage, month(0, KOREAN))
    path = next(tmp_path.glob(f"i/segments/*/{name}"))
    path.unlink() if harm == "missing" else os.truncate(path, path.stat().st_size - 3)
    with pytest.raises(StoreError, match="missing or damaged") as caught:
        apply(stage, [*month(1, NEAR_KOREAN), *month(0, KOREAN)])
    assert caught.value.where.endswith(name)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    stage = Dedup(index=str(tmp_path / "i"))
    apply(stage, month(0, KOREAN))
    path = tmp_path / "i/index.json"
    whole = path.read_text()
    for text, told in (
        (whole[:-9], "record of the index is damaged"),
        (whole.replace('"format":1', '"format":9'), "9"),
    ):
        path.write_text(text)
        with pytest.raises(StoreError, match=told):
            apply(stage, month(1, KOREAN))


def test_a_run_that_another_one_overtook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, real = Dedup(index=str(tmp_path / "i")), history._additions

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(history, "_additions", real)
        apply(stage, month(1, KOREAN))
        return real(*arguments)

    monkeypatch.setattr(history, "_additions", overtaken)
    with pytest.raises(StoreError, match="changed the index meanwhile"):
        apply(stage, month(0, NEAR_KOREAN))
    assert folds_of(apply(stage, month(0, NEAR_KOREAN))) == {"m0-r0": "m1-r0"}


def test_index_opens_in_datasketch(tmp_path: Path) -> None:
    from datasketch import MinHash

    stage = Dedup(index=str(tmp_path / "i"))
    apply(stage, month(0, KOREAN, ENGLISH))
    apply(stage, month(1, OTHER))
    api.index(tmp_path / "i", remove=["m0-r1"])
    index = to_datasketch(Archive(tmp_path / "i").tables())
    assert sorted(index.keys) == ["m0-r0", "m1-r0"]
    query = MinHash(num_perm=128, scheme="affine32", hashfunc=shingle_hash32)
    query.update_batch(runs_of(fold_text(NEAR_KOREAN), Cut()))
    assert index.query(query) == ["m0-r0"]


def test_no_rows_leave_the_index_alone(tmp_path: Path) -> None:
    found = apply(Dedup(index=str(tmp_path / "i")), table_from_rows([], "document"))
    assert found.drops.schema.equals(drops_schema())
    assert not (tmp_path / "i").exists()
