"""The report and the card: figures agree with the records, text comes from behind `pii` only, bytes are stable."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from datakit import api
from datakit.canon import canonical
from datakit.errors import StoreError, TrainError
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.outcome import Drop, Outcome, drops_table
from datakit.pipeline import Pipeline
from datakit.registry import names, stage_class
from datakit.reporting import dataset_card, write_report
from datakit.reporting import labels as words
from datakit.reporting.charts import loss_curve
from datakit.reporting.clusters import duplicates
from datakit.reporting.figures import EDGES, collect
from datakit.reporting.page import settings_of
from datakit.reporting.texts import cut, gate, in_turn
from datakit.runner import run
from datakit.schemas import Kind, row_id, schema_of, table_from_rows
from datakit.stage import (
    Corpus,
    CorpusStage,
    Env,
    Judged,
    MeasuredStage,
    MeasureWork,
    Outbox,
    RowStage,
    RowWork,
    Source,
    SourceStage,
)
from datakit.store import Store

SECRET = "canary.kim@example.com"
SCRIPT = "<script>alert('x')</script>"
TEXTS = [
    ("ko", f"주문한 의자가 아직 오지 않았어요. 연락은 {SECRET}으로 주세요. 배송 기사님이 오시는 날을 알고 싶습니다."),
    ("ko", f"주문한 의자가 아직 오지 않았어요. 연락은 {SECRET}으로 주세요. 배송 기사님이 오시는 날을 알고 싶습니다."),
    ("en", f"The kettle leaks at the handle. {SCRIPT} Write to {SECRET} & I'll send a picture."),
    ("en", "ok"),
    (
        "en",
        "Turn the valve a quarter to the left, wait for the light, then press start. The filter lasts two months.",
    ),
    ("ko", "필터는 두 달에 한 번 갈아 주세요. 밸브를 왼쪽으로 반의반 바퀴 돌리고 불이 들어오면 시작을 누릅니다."),
    ("und", "1234 5678"),
]


class Read(SourceStage):
    """Rows made in memory, one file."""

    use: ClassVar[str] = "ingest"
    id_field: str | None = None
    """As the real stage has it."""
    prefix: str = ""
    """Stands before every text."""

    def gives(self, kind: Kind | None) -> Kind:
        return "document"

    def sources(self) -> list[Source]:
        return [Source(f"memory://{self.name}", f"{self.name}.jsonl", "0")]

    def read(self, source: Source, env: Env) -> Iterator[Outcome]:
        rows = []
        for place, (lang, text) in enumerate(TEXTS):
            name = row_id(source.name, text, place)
            found = {"id": name, "source_id": f"{source.name}:{place + 1}", "source": source.name, "position": place}
            shared = {"lang": lang, "parents": [], "made_with": [], "family": name, "licence": "CC-BY-4.0"}
            rows.append({**found, **shared, "text": self.prefix + text})
        yield Outcome(table_from_rows(rows, "document"))


class Short(MeasuredStage):
    """Drops short texts and measures all."""

    use: ClassVar[str] = "quality"
    rules: ClassVar[tuple[str, ...]] = ("few_characters",)

    def measure(self, env: Env) -> MeasureWork:
        def work(batch: pa.RecordBatch) -> pa.RecordBatch:
            sizes = pa.array([len(text) for text in batch.column("text").to_pylist()], pa.float32())
            return pa.RecordBatch.from_pydict({"id": batch.column("id"), "quality.characters": sizes})

        return work

    def judge(self, signals: pa.RecordBatch, kind: Kind) -> Judged:
        sizes = signals.column("quality.characters").to_pylist()
        return Judged([Drop("few_characters", int(size), 5) if size < 5 else None for size in sizes])


class Fold(CorpusStage):
    """Folds equal texts into the first."""

    use: ClassVar[str] = "dedup"
    rules: ClassVar[tuple[str, ...]] = ("exact_copy",)

    def run(self, corpus: Corpus, out: Outbox) -> None:
        seen: dict[str, str] = {}
        for shard in corpus.shards:
            table = shard.read()
            gone, keep = [], []
            for row in table.select(["id", "source_id", "text"]).to_pylist():
                first = seen.setdefault(row["text"], row["id"])
                keep.append(first == row["id"])
                if first != row["id"]:
                    gone.append((row["id"], row["source_id"], Drop("exact_copy", 1.0, 0.8, first)))
            out.write(table.filter(pa.array(keep)), drops=drops_table(gone))


class Tag(RowStage):
    """Replaces the one personal value of the fixture."""

    use: ClassVar[str] = "pii"
    deny: tuple[str, ...] = ()
    """As the real stage has it: values of a person."""
    kinds: list[str] | None = None
    """As the real stage has it."""

    def open(self, env: Env) -> RowWork:
        def work(batch: pa.RecordBatch) -> Outcome:
            texts = batch.column("text").to_pylist()
            counts = Counter({"EMAIL": sum(text.count(SECRET) for text in texts), "rows_searched": len(texts)})
            clean = pa.array([text.replace(SECRET, "[EMAIL]") for text in texts], pa.large_string())
            place = batch.schema.get_field_index("text")
            return Outcome(batch.set_column(place, "text", clean), counters=+counts)

        return work


class Ask(CorpusStage):
    """Two rows out of every document."""

    use: ClassVar[str] = "synthesize"

    def gives(self, kind: Kind | None) -> Kind:
        return "example"

    def run(self, corpus: Corpus, out: Outbox) -> None:
        for shard in corpus.shards:
            rows = [self._row(row, task) for row in shard.read().to_pylist() for task in ("summary", "title")]
            out.write(table_from_rows(rows, "example"))
            out.account(folded=shard.rows)

    def _row(self, row: dict[str, Any], task: str) -> dict[str, Any]:
        asked = f"{'요약해 주세요' if row['lang'] == 'ko' else 'Sum up'} ({task})\n\n{row['text']}"
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": row["text"][:20]}]
        made_by = f"synthesize/mine/{task}"
        origin = {"parents": [row["id"]], "made_by": made_by, "id": row_id(made_by, row["id"]), "messages": messages}
        return {
            **{name: row[name] for name in ("source", "source_id", "position", "lang", "family", "licence")},
            **origin,
        }


class Cut(CorpusStage):
    """Characters as tokens."""

    use: ClassVar[str] = "tokenize"

    def gives(self, kind: Kind | None) -> Kind:
        return "tokens"

    def run(self, corpus: Corpus, out: Outbox) -> None:
        total = 0
        for shard in corpus.shards:
            rows = []
            for row in shard.read(["id", "source_id", "messages", "family"]).to_pylist():
                ids = [ord(c) for turn in row.pop("messages") for c in turn["content"]]
                total += len(ids)
                rows.append({**row, "input_ids": ids, "labels": ids, "split": "val" if len(rows) == 1 else "train"})
            out.write(table_from_rows(rows, "tokens"))
            out.account(folded=shard.rows)
        fertility = {"ko": 3.21, "en": 1.5}
        figures = {"tokens": total, "trained_tokens": total // 4, "vocab_size": 49152}
        out.note(tokenizer="smollm2", fertility=fertility, **figures)


class Fill(CorpusStage):
    """One pack a row."""

    use: ClassVar[str] = "pack"
    takes: ClassVar[frozenset[Kind]] = frozenset({"tokens"})

    def gives(self, kind: Kind | None) -> Kind:
        return "packed"

    def run(self, corpus: Corpus, out: Outbox) -> None:
        packs = 0
        for shard in corpus.shards:
            rows = [
                {
                    "input_ids": row["input_ids"],
                    "labels": row["labels"],
                    "position_ids": list(range(len(row["input_ids"]))),
                    "spans": [{"id": row["id"], "start": 0, "length": len(row["input_ids"])}],
                    "split": row["split"],
                }
                for row in shard.read().to_pylist()
            ]
            packs += len(rows)
            out.write(pa.Table.from_pylist(rows, schema_of("packed")))
            out.account(folded=shard.rows)
        out.note(packs=packs, seq_len=512, fill=0.9731, padding=137, longest=300, rows=packs)


def whole(**pii: Any) -> list[Any]:
    return [Read(), Short(), Fold(), Tag(**pii), Ask(), Cut(), Fill()]


def published(folder: Path, stages: list[Any]) -> tuple[DatasetManifest, Store]:
    store = Store(folder / "store")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return run(Pipeline(name="tickets", stages=stages), store, now=now).manifest, store


def adapter_in(
    folder: Path, manifest: DatasetManifest, digest: str | None = None, files: dict[str, str] | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    curve = [{"step": n, "tokens": 100 * n, "loss": 3.2 - 0.02 * n, "lr": 1e-3, "gradient": 1.0} for n in range(1, 41)]
    evals = [{"step": 0, "nll": 3.1, "tokens": 90}, {"step": 40, "nll": 2.65, "tokens": 90}]
    metrics = {"curve": curve, "evals": evals, "eval_before": evals[0], "eval_after": evals[1], "seconds": 71.25}
    artifact = AdapterArtifact(
        name="a",
        trainer="lora",
        base="smollm2",
        dataset=manifest.ref,
        dataset_digest=digest or manifest.digest,
        config={"rank": 16, "learning_rate": 0.001, "target_modules": "all-linear", "max_steps": None},
        metrics={**metrics, "tokens_per_s": {"slot": 980.5, "real": 950.1}},
        seed=0,
        files=files or {},
    )
    (folder / "artifact.json").write_bytes(canonical(artifact.model_dump(mode="json")))
    return folder


def evaluated(folder: Path, **more: Any) -> Path:
    figures = {"count": 2, "tokens": 40, "base_loss": 3.5, "adapter_loss": 2.8, "change": -0.2}
    worse = {**figures, "count": 1, "adapter_loss": 3.6, "change": 0.0286}
    sample = {
        "id": "h1",
        "prompt": f"의자는 언제 오나요? {SCRIPT}",
        "reference": "내일 옵니다.",
        "base": "I",
        "adapter": "내일요.",
    }
    groups = {"by_language": {"en": worse, "ko": figures}, "by_category": {"summary": figures}}
    data = {"file": "/somewhere/private/heldout.jsonl", **figures, **groups, **more, "samples": [sample]}
    (folder / "evaluation.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[DatasetManifest, Store]:
    return published(tmp_path_factory.mktemp("built"), whole())


@pytest.fixture(scope="module")
def page(built: tuple[DatasetManifest, Store], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    adapter = evaluated(adapter_in(folder / "adapter", built[0]))
    write_report(*built, folder / "report.html", adapter=adapter)
    return (folder / "report.html").read_text(encoding="utf-8")


class Tree(HTMLParser):
    """Opens and closes tags; keeps what the laws below look at."""

    VOID: ClassVar[set[str]] = {"meta", "input", "br", "img", "link"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def parsed(page: str) -> Tree:
    tree = Tree()
    tree.feed(page)
    tree.close()
    return tree


def text_of(page: str) -> str:
    return re.sub(r"<[^>]+>", "", page.partition("<body>")[2])


# The page as a file


def test_page_of_a_whole_run_is_well_formed(page: str) -> None:
    tree = parsed(page)
    assert (tree.wrong, tree.open) == ([], [])
    assert len(tree.ids) == len(set(tree.ids))
    anchors = {attrs["href"] for tag, attrs in tree.tags if tag == "a"}
    assert anchors == {f"#{name}" for name in tree.ids} & anchors
    assert len(anchors) >= 10


def test_page_loads_nothing_from_outside(page: str) -> None:
    assert not re.search(r"https?://|@import|url\(|//[a-z]+\.", page)
    loading = [tag for tag, attrs in parsed(page).tags if "src" in attrs or tag in ("link", "img", "iframe", "object")]
    assert loading == []


def test_page_has_every_label_in_both_languages(page: str) -> None:
    assert page.count('class="en"') == page.count('class="ko"') > 100


@pytest.mark.parametrize("table", [words.WORDS, *words.TABLES.values()])
def test_labels_have_korean_and_the_same_figures_in_both(table: dict[str, tuple[str, str]]) -> None:
    for name, (english, korean) in table.items():
        assert english, name
        assert re.search("[가-힣]", korean) or korean == english, name
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", korean)), name


@pytest.mark.parametrize("use", list(names("stage")))
def test_labels_name_every_shipped_stage_and_its_rules(use: str) -> None:
    if names("stage")[use].value.startswith("datakit."):
        assert use in words.STAGES
        assert [rule for rule in stage_class(use).rules if rule not in words.RULES] == []


def test_page_twice_has_the_same_bytes(built: tuple[DatasetManifest, Store], tmp_path: Path) -> None:
    adapter = evaluated(adapter_in(tmp_path / "adapter", built[0]))
    pages = []
    for place in ("one", "two/deep"):
        write_report(*built, tmp_path / place / "report.html", adapter=adapter)
        pages.append((tmp_path / place / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_page_into_a_folder_that_is_a_file_says_so(built: tuple[DatasetManifest, Store], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="can't be written"):
        write_report(*built, tmp_path / "file" / "report.html")


# What it says


def test_figures_agree_with_the_records(built: tuple[DatasetManifest, Store]) -> None:
    figures = collect(*built)
    steps = {step.id: step for step in figures.steps}
    assert (steps["ingest"].rows_in, steps["quality"].dropped, steps["dedup"].folded) == (7, 1, 1)
    assert [kind for kind, _ in figures.funnel] == ["document", "example", "tokens"]
    assert steps["synthesize"].made == 10
    assert steps["quality"].rules == [("few_characters", 1)]
    assert figures.pii == [("EMAIL", 2)]
    assert figures.tasks["synthesize/mine/title"] == {"ko": 2, "en": 2, "und": 1}
    assert dict(figures.languages)["document"] == [("en", 2), ("ko", 2), ("und", 1)]
    assert figures.splits == {"train": 9, "val": 1}
    assert [(signal.name, signal.rows) for signal in figures.signals] == [("quality.characters", 7)]


def test_figures_of_lengths_count_every_row_once(built: tuple[DatasetManifest, Store]) -> None:
    charts = {chart.name: chart for chart in collect(*built).lengths}
    before, after = charts["lengths_documents"].series
    assert (sum(before.counts), sum(after.counts)) == (7, 5)
    assert sum(charts["lengths_examples"].series[0].counts) == 10
    place = next(n for n in range(len(EDGES) - 1) if EDGES[n] <= len("1234 5678") < EDGES[n + 1])
    assert after.counts[place] == 1


def test_page_shows_the_story_in_figures(page: str) -> None:
    text = text_of(page)
    assert "7 documents were read and 5 remained after cleaning (1 dropped, 1 folded" in text
    assert "문서 7건을 읽어 정리한 뒤 5건이 남았습니다" in text
    assert "10 instruction rows came of them; 10 lie in 10 packs that are 97.3% full" in text
    assert "from 3.100 to 2.650 (−14.5%)" in text
    assert "거의" not in text  # no near copies here
    for label in ("이메일", "똑같은 사본", "어절당 토큰", "따로 둔 행의 손실"):
        assert label in text


def test_page_of_another_version_than_the_adapters_says_so(
    built: tuple[DatasetManifest, Store], tmp_path: Path
) -> None:
    adapter = adapter_in(tmp_path / "adapter", built[0], digest="other")
    write_report(*built, tmp_path / "report.html", adapter=adapter)
    assert "not on the version this page describes" in (tmp_path / "report.html").read_text("utf-8")


def test_page_shows_the_base_with_examples_the_rules_and_the_judge(
    built: tuple[DatasetManifest, Store], page: str, tmp_path: Path
) -> None:
    shares = {"prompts": 20, "rules": 31, "base_prompts": 0.15, "adapter_prompts": 0.35}
    rules = {**shares, "by_language": {"ko": {**shares, "prompts": 11}}}
    better = {"adapter": 3, "base": 1, "tie": 0, "unclear": 4}
    judge = {
        "teacher": SCRIPT,
        "answers": 8,
        "scores": {"base": 2.25, "few_shot": None, "adapter": 3.75},
        "better": better,
    }
    group = {"count": 2, "tokens": 40, "base_loss": 3.5, "few_shot_loss": 3.25, "adapter_loss": 2.8, "change": -0.2}
    more = {**group, "by_language": {"ko": group}, "by_category": {}, "rules": rules, "judge": judge}
    adapter = evaluated(adapter_in(tmp_path / "adapter", built[0]), **more)
    write_report(*built, tmp_path / "report.html", adapter=adapter)
    shown = (tmp_path / "report.html").read_text("utf-8")
    for told in ("3.25", "35", "adapter 3, base 1, tie 0, unclear 4", "3.75"):
        assert told in shown
    assert SCRIPT not in shown
    assert "Base with examples" in shown
    for told in ("Base with examples", "Following instructions", "Judged by"):
        assert told not in page


def test_page_lists_rows_by_what_they_taught(built: tuple[DatasetManifest, Store], tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter", built[0], files={"row_losses.parquet": "x"})
    columns = {
        "id": ["knownbyheart", "gotworse"],
        "split": ["train"] * 2,
        "loss_before": [2.0, 1.5],
        "loss_after": [0.02, 4.25],
    }
    pq.write_table(pa.table({**columns, "tokens": [3, 3]}), adapter / "row_losses.parquet")
    write_report(*built, tmp_path / "report.html", adapter=adapter)
    shown = (tmp_path / "report.html").read_text("utf-8")
    for told in ("Memorised: 1", "knownbyheart", "loss rose: 1", "gotworse", "4.25", "외운 행: 1"):
        assert told in shown


def test_page_with_a_damaged_evaluation_names_the_file(built: tuple[DatasetManifest, Store], tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter", built[0])
    (adapter / "evaluation.json").write_text("{")
    with pytest.raises(TrainError, match=r"evaluation\.json"):
        write_report(*built, tmp_path / "report.html", adapter=adapter)


def test_report_of_documents_only_shows_documents(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [Read(), Tag()])
    told = write_report(manifest, store, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert told["text"] == "after_pii"
    assert "The dataset holds 7 documents" in page
    assert 'class="turn document"' in page
    assert parsed(page).wrong == []


def test_report_of_no_rows_at_all_is_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.TEXTS", [])
    manifest, store = published(tmp_path, [Read(), Short(), Fold(), Tag()])
    write_report(manifest, store, tmp_path / "report.html")
    assert parsed((tmp_path / "report.html").read_text("utf-8")).wrong == []
    assert dataset_card(manifest, store)


# What it must not say


def test_page_escapes_text_of_documents_and_models(page: str) -> None:
    scripts = [attrs for tag, attrs in parsed(page).tags if tag == "script"]
    assert len(scripts) == 2  # the page's own: one picks the language, one finds clusters
    assert "&lt;script&gt;alert(" in page
    assert SCRIPT not in page


def test_page_holds_no_value_that_pii_replaced(page: str) -> None:
    assert SECRET not in page
    assert "[EMAIL]" in page


def test_page_says_which_rule_found_what_and_why_without_a_value(here: Path) -> None:
    text = "연락처 010-1234-5678, 메일 hong@naver.com, 주민번호 900101-1234567"
    (here / "a.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
    (here / "p.yaml").write_text("name: p\nstages: [{use: ingest, files: a.jsonl}, pii]\n", encoding="utf-8")
    api.run("p.yaml")
    api.report("p", out="page.html")
    shown = text_of(Path("page.html").read_text(encoding="utf-8"))
    for rule, evidence in (
        ("phone_labelled", "앞에 붙은 이름표"),
        ("email", "꼴"),
        ("rrn_separated", "앞에 붙은 이름표"),
    ):
        assert re.search(rf"{rule}.{{0,60}}{evidence}", shown, re.DOTALL), rule
    assert not any(value in shown for value in ("5678", "hong", "1234567"))


def test_page_without_pii_stage_shows_no_text_and_says_why(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [s for s in whole() if s.use != "pii"])
    adapter = evaluated(adapter_in(tmp_path / "adapter", manifest))
    told = write_report(manifest, store, tmp_path / "report.html", adapter=adapter)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert told["text"] == "pii_missing"
    for text in (SECRET, "kettle", "의자", "내일요", "필터"):
        assert text not in page
    assert "No <code>pii</code> stage ran" in page


def test_page_without_pii_stage_shows_text_only_when_asked_for_raw(tmp_path: Path) -> None:
    """The planted breach of the law above: with `raw` the same check must find text."""
    manifest, store = published(tmp_path, [s for s in whole() if s.use != "pii"])
    write_report(manifest, store, tmp_path / "report.html", raw=True)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert SECRET in page
    assert "Do not pass this page on" in page


def test_page_with_rows_read_after_pii_shows_no_text(tmp_path: Path) -> None:
    late = Read(id="late", prefix="늦게 읽은 글. ")
    manifest, store = published(tmp_path, [Read(), Tag(), late, Short()])
    assert gate(manifest).state == "pii_late_source"
    write_report(manifest, store, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert SECRET not in page
    assert "필터" not in page


def test_report_hides_ids_that_the_file_gave_its_rows(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [Read(id_field="customer"), Fold(), Tag()])
    found = duplicates(manifest, store, gate(manifest))
    assert found is not None
    assert found.examples[0].source_id == found.examples[0].copies[0].source_id == ""
    manifest, store = published(tmp_path / "plain", [Read(), Fold(), Tag()])
    found = duplicates(manifest, store, gate(manifest))
    assert found is not None
    assert found.examples[0].copies[0].source_id == "ingest.jsonl:2"
    assert "[이메일]" in (found.examples[0].text or "")
    assert SECRET not in str(found)


def test_settings_hide_personal_lists_and_credentials() -> None:
    told = dict(settings_of({"deny": ["김철수"], "url": "https://me:pw@host/x?key=1", "keep": ["ko", "en"], "n": True}))
    assert "김철수" not in str(told)
    assert told["url"] == "https://host/x?"
    assert (told["keep"], told["n"]) == ("ko, en", "true")


def test_card_and_page_keep_denied_names_to_themselves(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, whole(deny=("김철수",), kinds=["EMAIL"]))
    write_report(manifest, store, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    card = dataset_card(manifest, store)
    assert "김철수" not in page + card
    assert "Looked for these kinds only: EMAIL" in page
    assert "EMAIL" in card


# The card


def test_card_has_front_matter_and_figures(built: tuple[DatasetManifest, Store]) -> None:
    card = dataset_card(*built)
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "CC-BY-4.0"
    assert front["language"] == ["en", "ko"]
    assert front["size_categories"] == ["n<1K"]
    assert "synthetic" in front["tags"]
    assert front["configs"][0]["data_files"][1] == {"split": "validation", "path": "validation-*.parquet"}
    assert built[0].ref in card
    assert built[0].digest in card
    assert "| dedup | documents | 6 | 5 | 0 | 1 | 0 | exact\\_copy 1 |" in card
    assert "This reduces personal data" in card
    assert "anonym" not in card.lower()
    assert SECRET not in card
    assert card == dataset_card(*built)


def test_card_without_pii_stage_warns(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [Read(), Short()])
    card = dataset_card(manifest, store)
    assert "as if it held personal data" in card
    assert "validation" not in card


# Small parts


def test_cut_shortens_and_removes_controls() -> None:
    assert cut("가나다라마", 3) == "가나다 …"
    assert cut("a\x00b\tc\n", 9) == "a\ufffdb\tc"


def test_in_turn_takes_one_of_each_group() -> None:
    assert in_turn([[1, 2, 3], [], ["가"]]) == [1, "가", 2, 3]


def test_loss_curve_of_one_step_is_drawn() -> None:
    drawn = str(loss_curve([{"step": 1, "loss": 2.0}], [(0, 2.5)]))
    assert "nan" not in drawn
    assert drawn.count("<circle") == 1


def test_unknown_names_are_shown_as_they_are_escaped() -> None:
    assert str(words.called("rule", "my_<rule>")).count("my &lt;rule&gt;") == 2


# Variety


class Twice(CorpusStage):
    """Half of the rows, and what was refused on the way."""

    use: ClassVar[str] = "synthesize"
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})

    def run(self, corpus: Corpus, out: Outbox) -> None:
        for shard in corpus.shards:
            table = shard.read()
            out.write(table, counters=Counter({"rejected.repeat": 5, "rejected.refusal": 2}))


def test_page_shows_variety_before_and_after_with_what_was_refused(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [Read(), Tag(), Ask(), Twice(id="again")])
    told = write_report(manifest, store, tmp_path / "report.html")["diversity"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert [one["lang"] for one in told["after"]] == [one["lang"] for one in told["before"]]
    assert sum(one["rows"] for one in told["after"]) == manifest.rows
    assert told["refused"] == {"repeat": 5, "refusal": 2}
    shown = text_of(page)
    for word in ("Variety of the instructions", "지시문의 다양성", "요약하다", "앞선 지시문의 되풀이", "ROUGE-L"):
        assert word in shown
    assert parsed(page).wrong == []


def test_variety_without_pii_stage_shows_figures_but_no_verb(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [Read(), Ask()])
    told = write_report(manifest, store, tmp_path / "report.html")["diversity"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert told["before"] is None
    assert told["after"]
    assert "지시문의 다양성" in page
    assert "요약하다" not in page


def test_report_of_documents_has_no_variety(tmp_path: Path) -> None:
    manifest, store = published(tmp_path, [Read(), Tag()])
    assert write_report(manifest, store, tmp_path / "report.html")["diversity"] is None
    assert 'id="diversity"' not in (tmp_path / "report.html").read_text("utf-8")
