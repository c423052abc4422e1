"""The verbs as functions. The command line calls these and nothing else; names and options are the same, word for word.

import datakit
result = datakit.run("pipelines/quickstart.yaml", store="store", workers=2)
adapter = datakit.train(result.manifest, "lora", {"base": "smollm2", "rank": 8}, store="store", out="adapter")
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from datakit.describing import describe_plugin, describe_prompts, describe_stage
from datakit.errors import ConfigError
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.pipeline import Pipeline
from datakit.registry import GROUPS, names, stage_class, unknown
from datakit.schemas import Message
from datakit.shipped import GITIGNORE, shipped

if TYPE_CHECKING:
    from datakit.collecting import Collected
    from datakit.doctoring import Diagnosis
    from datakit.forgetting import Forgotten
    from datakit.redaction import Redaction, Scan
    from datakit.refreshing import RefreshResult
    from datakit.runner import RunResult, StepPlan
    from datakit.teachers import TeacherSpec
    from datakit.trainer import Report

DEFAULT_STORE = "store"
NEW_CHAT = "/new"
"""What a person types to begin a conversation anew."""


@dataclass(slots=True)
class Done:
    """What `run` did: the run, and the adapter and evaluation if the pipeline asks for them."""

    run: RunResult
    adapter: AdapterArtifact | None = None
    evaluation: dict[str, Any] | None = None

    @property
    def manifest(self) -> DatasetManifest:
        """The dataset version that came out."""
        return self.run.manifest

    def as_json(self) -> dict[str, Any]:
        """The document that `datakit run --json` prints."""
        manifest = self.manifest
        stages = [{"id": s.id, "use": s.use, "kind": s.kind, **s.stats, "notes": s.notes} for s in manifest.stages]
        return {
            "dataset": manifest.ref,
            "digest": manifest.digest,
            "kind": manifest.kind,
            "rows": manifest.rows,
            "published": self.run.published,
            "reused": self.run.reused,
            "ran": self.run.ran,
            "seconds": self.run.seconds,
            "stages": stages,
            "adapter": as_json(self.adapter),
            "evaluation": self.evaluation,
        }


def init(folder: str | Path, *, force: bool = False) -> list[Path]:
    """Start a project: a folder with the shipped pipelines and sample data, ready to run, and a .gitignore."""
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ConfigError("a file stands where the folder should be", where=str(target), fix="choose another folder")
    if target.exists() and any(target.iterdir()) and not force:
        raise ConfigError("the folder is not empty", where=str(target), fix="choose another folder, or give --force")
    for name in ("pipelines", "sample_data"):
        shutil.copytree(shipped(name), target / name, dirs_exist_ok=True)
    if not (target / ".gitignore").exists():
        (target / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
    return sorted(path.relative_to(target) for path in (target / "pipelines").glob("*.yaml"))


def check(file: str | Path | Pipeline, *, set: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline file and report every problem in it; returns the pipeline. Reads no rows."""
    return file if isinstance(file, Pipeline) else Pipeline.load(file, set)


def plan(file: str | Path | Pipeline, *, store: str = DEFAULT_STORE, set: Sequence[str] = ()) -> list[StepPlan]:
    """What `run` would do: how many jobs of each step are done in the store and how many would run."""
    from datakit.runner import plan
    from datakit.store import Store

    return plan(check(file, set=set), Store(store))


def run(
    file: str | Path | Pipeline,
    *,
    store: str = DEFAULT_STORE,
    workers: int = 1,
    executor: str | None = None,
    set: Sequence[str] = (),
    report: Report | None = None,
    tell: Callable[[str], None] | None = None,
) -> Done:
    """Run a pipeline into a store, publish the dataset, and train and evaluate if the file has `train:`."""
    from datakit.lease import lease
    from datakit.runner import ignore, run
    from datakit.store import Store

    pipeline, heard = check(file, set=set), report or ignore
    target = Store(store).prepare()
    with lease(target, f"run {pipeline.name}"):
        done = Done(run(pipeline, target, workers=workers, executor=executor, report=heard, tell=tell))
    if pipeline.train is not None:
        done.adapter = _train_for(pipeline, done.manifest, store, heard, tell)
        if pipeline.evaluate is not None:
            asked = pipeline.evaluate
            done.evaluation = evaluate(
                done.adapter.path,
                rows=asked.rows,
                samples=asked.samples,
                max_new_tokens=asked.max_new_tokens,
                report=heard,
            )
    return done


def rethreshold(
    file: str | Path | Pipeline, *, store: str = DEFAULT_STORE, set: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What moved thresholds would do to the rows of a run: let back in, newly gone; from kept signals, no text read."""
    from datakit.store import Store
    from datakit.thresholds import rethreshold

    before = check(file)
    return rethreshold(before, Pipeline.from_dict(before.to_dict(), set), Store(store))


def stages(name: str | None = None) -> list[dict[str, Any]]:
    """All stages, or one with its settings: what it does, what it takes, every setting with type and default."""
    listed = [name] if name else list(names("stage"))
    return [as_json(describe_stage(use)) for use in listed]


def prompts(name: str | None = None, *, folder: str = "") -> list[dict[str, Any]]:
    """The prompts of the recipes, those of a folder in the place of shipped ones: all, or those of one name
    (`grounded`, `grounded.ko`) with their text."""
    return describe_prompts(name, folder)


def plugins(name: str | None = None) -> list[dict[str, Any]]:
    """Everything found by entry point: stages, trainers, teachers; a broken one is listed with its error.

    With a name: that plugin alone, and every setting of it with type, default and what it does.
    """
    found = [(group, entry) for group in GROUPS for entry in names(group).values() if name in (None, entry.name)]
    if not found:
        known = [entry.name for group in GROUPS for entry in names(group).values()]
        raise ConfigError((unknown(f"no plugin {name!r}", str(name), known, "plugins"),))
    return [describe_plugin(group, entry, settings=name is not None) for group, entry in found]


def datasets(*, store: str = DEFAULT_STORE) -> list[dict[str, Any]]:
    """The datasets of a store and their versions, newest first: rows, kind, day, bytes, the adapters trained on it."""
    from datakit.store import Store
    from datakit.viewing import versions

    return versions(Store(store))


def show(
    dataset: str | None = None,
    *,
    store: str = DEFAULT_STORE,
    stage: str | None = None,
    rows: int = 3,
    raw: bool = False,
    template: str | None = None,
    tokenizer: str = "smollm2",
) -> list[dict[str, Any]]:
    """Rows of a dataset as they left a stage (default: the last with text); only text from after `pii`, unless raw.
    No dataset: the only one of the store.

    With `template` (a style of the stage `template`, or a Jinja file) as tokens of `tokenizer`, each learned or not;
    then the dataset `example` is a conversation that ships with datakit, unless the store has one of that name.
    """
    from datakit.cache import cache_folder
    from datakit.store import Store
    from datakit.viewing import manifest_of, rows_after

    opened = Store(store)
    if template is None:
        return rows_after(manifest_of(opened, dataset), opened, stage, rows, raw)
    from datakit.previewing import EXAMPLE, previewed

    shipped = dataset == EXAMPLE and EXAMPLE not in {ref.partition("@")[0] for ref in opened.datasets()}
    found = None if shipped else rows_after(manifest_of(opened, dataset), opened, stage, rows, raw)
    return previewed(found, template, tokenizer, cache_folder())


def drops(
    dataset: str | None = None,
    *,
    store: str = DEFAULT_STORE,
    stage: str | None = None,
    rule: str | None = None,
    rows: int = 20,
    raw: bool = False,
) -> dict[str, Any]:
    """What stages took out of a dataset: rows by rule, and the first of them with value, limit, the row that stands
    for it, and both texts where they may be shown (as they stand after `pii`, or raw).
    No dataset: the only one of the store."""
    from datakit.store import Store
    from datakit.viewing import dropped_rows, manifest_of

    opened = Store(store)
    return dropped_rows(manifest_of(opened, dataset), opened, stage, rule, rows, raw)


def compare(a: str, b: str, *, store: str = DEFAULT_STORE) -> dict[str, Any]:
    """How two datasets, or two versions of one, differ: rows and why they are not in the other, settings, the funnel,
    and how far lengths, languages, signals and sources shifted."""
    from datakit.comparing import compare
    from datakit.store import Store

    opened = Store(store)
    return compare(opened.manifest(a), opened.manifest(b), opened)


def blame(a: str, b: str, *, store: str = DEFAULT_STORE) -> dict[str, Any]:
    """Which stage made the number of rows move from dataset A to dataset B, and what was set differently there."""
    from datakit.comparing import blame
    from datakit.store import Store

    opened = Store(store)
    return blame(opened.manifest(a), opened.manifest(b))


def provenance(
    dataset: str, *, form: Literal["openlineage", "prov"] = "openlineage", store: str = DEFAULT_STORE
) -> dict[str, Any]:
    """Where DATASET came from and which adapters came of it, as an OpenLineage event or a W3C PROV document."""
    from datakit.origins import provenance
    from datakit.store import Store

    opened = Store(store)
    return provenance(opened.manifest(dataset), opened, form)


def why(id: str, *, store: str = DEFAULT_STORE, dataset: str | None = None) -> dict[str, Any]:
    """The story of one row: from source line through every stage to packed rows and adapters."""
    from datakit.lineage import why
    from datakit.store import Store

    return why(id, Store(store), dataset=dataset)


def report(
    dataset: str, *, store: str = DEFAULT_STORE, out: str | Path = "report.html", adapter: str | Path | None = None
) -> dict[str, Any]:
    """Write the dataset's report: one HTML page that works offline, and the dataset card beside it."""
    from datakit.reporting import dataset_card, write_report
    from datakit.store import Store

    opened = Store(store)
    manifest = opened.manifest(dataset)
    figures = write_report(manifest, opened, out, adapter=adapter)
    card = Path(out).with_name(f"{Path(out).stem}.card.md")
    card.write_text(dataset_card(manifest, opened), encoding="utf-8")
    return {"dataset": manifest.ref, "page": str(out), "card": str(card), **figures}


def stats(dataset: str, *, store: str = DEFAULT_STORE) -> dict[str, Any]:
    """Tokens by source, language, split and role, what is learned, lengths, what each seq_len would lose, and the one
    to take. As pandas frames: `datakit.statistics.frames`."""
    from datakit.statistics import stats
    from datakit.store import Store

    opened = Store(store)
    return stats(opened.manifest(dataset), opened)


def index(path: str | Path, *, remove: Sequence[str] = (), compact: bool = False) -> dict[str, Any]:
    """What the index of a `dedup` stage holds; `remove` forgets documents by id, `compact` takes them off the disk."""
    from datakit.stages.dedup.archive import Archive

    archive = Archive(path)
    removed = archive.remove(remove) if remove else 0
    if compact:
        archive.compact()
    return {**archive.describe(), "removed": removed}


def export(
    dataset: str,
    path: str | Path,
    *,
    format: str = "parquet",
    columns: str = "all",
    push: str | None = None,
    public: bool = False,
    store: str = DEFAULT_STORE,
) -> dict[str, Any]:
    """Write a published dataset as a folder that `datasets.load_dataset` opens; `push` puts it on the Hugging Face hub
    as OWNER/NAME, with the token in HF_TOKEN, private unless `public`."""
    from datakit.corpus import StoredCorpus, StoredShard
    from datakit.executors import Serial
    from datakit.stage import Env, SinkStage
    from datakit.store import Store

    opened = Store(store)
    manifest = opened.manifest(dataset)
    sink = stage_class("export").model_validate({"format": format, "columns": columns, "path": str(path)})
    if not isinstance(sink, SinkStage):
        raise ConfigError("the stage `export` is not a sink")
    shards = [StoredShard(r.key, r.rows, r.source, opened) for r in manifest.shards]
    notes = sink.write(StoredCorpus(opened, Serial(), manifest.kind, Env(manifest.seed), shards))
    told = {"dataset": manifest.ref, "path": str(path), **notes}
    if push is not None:
        from datakit.stages.export import push_to_hub

        told["commit"] = push_to_hub(path, push, f"{manifest.ref} {manifest.digest[:12]}", private=not public)
    return told


def train(
    dataset: str | DatasetManifest,
    trainer: str = "lora",
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | Path = "adapter",
    store: str = DEFAULT_STORE,
    plan: bool = False,
    report: Report | None = None,
    tell: Callable[[str], None] | None = None,
) -> Any:
    """Train an adapter on a published dataset; nothing is trained again if the folder holds the same adapter.

    With `plan` nothing is trained: what comes back is how much memory the run would need, by what it is for.
    """
    from datakit.runner import ignore
    from datakit.store import Store
    from datakit.trainer import keep_quiet
    from datakit.training import plan_training, train

    opened = Store(store)
    manifest = dataset if isinstance(dataset, DatasetManifest) else opened.manifest(dataset)
    heard, said = report or ignore, tell or keep_quiet
    if plan:
        return plan_training(manifest, trainer, settings or {}, store=opened, out=out)
    return train(manifest, trainer, settings or {}, store=opened, out=out, report=heard, tell=said)


def merge(
    adapter: str | Path,
    out: str | Path,
    *,
    dtype: str = "bfloat16",
    gguf: str | None = None,
    rows: str | Path | None = None,
) -> dict[str, Any]:
    """Write base and adapter as one model, its loss beside the adapter's; with `gguf` as a GGUF file too."""
    from datakit.evaluation import read_rows
    from datakit.training import merge

    held_out = [row.messages for row in read_rows(rows)] if rows is not None else []
    return merge(adapter, out, dtype=dtype, gguf=gguf, rows=held_out)


def evaluate(
    adapter: str | Path,
    *,
    rows: str | Path,
    samples: int = 4,
    max_new_tokens: int = 64,
    rules: str | Path | None = None,
    few_shot: int = 0,
    judge: str | Mapping[str, Any] | TeacherSpec | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Compare an adapter with its base on held-out rows: loss by language and category, and answers side by side.

    `rules`: a file of prompts whose answers are checked by code; `few_shot`: the base also with so many examples in its
    prompt; `judge`: a teacher that scores the answers and says whose are better.
    """
    from datakit.evaluation import evaluate
    from datakit.runner import ignore

    return evaluate(
        adapter,
        rows,
        samples=samples,
        max_new_tokens=max_new_tokens,
        rules=rules,
        few_shot=few_shot,
        judge=judge,
        report=report or ignore,
    )


def ablate(
    file: str | Path | Pipeline,
    *,
    without: Sequence[str],
    seeds: int = 2,
    out: str | Path = "ablation",
    store: str = DEFAULT_STORE,
    workers: int = 1,
    executor: str | None = None,
    set: Sequence[str] = (),
    report: Report | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """What stages are worth: adapters trained on the pipeline's rows and on those without each stage, their held-out
    losses by seed. Datasets are NAME-with-all and NAME-without-STAGE, adapters lie below `out`."""
    from datakit.ablating import ablate
    from datakit.runner import ignore

    heard = report or ignore

    def made(trial: Pipeline) -> DatasetManifest:
        rows = trial.model_copy(update={"train": None, "evaluate": None})
        return run(rows, store=store, workers=workers, executor=executor, report=heard, tell=tell).manifest

    def judged(trial: Pipeline, manifest: DatasetManifest) -> dict[str, Any]:
        assert trial.train is not None  # `ablate` saw to both
        assert trial.evaluate is not None
        place = Path(out) / trial.name / f"seed-{trial.train['seed']}"
        adapter = _train_for(trial, manifest, store, heard, tell, out=place)
        return evaluate(adapter.path, rows=trial.evaluate.rows, samples=0, report=heard)

    return ablate(check(file, set=set), without, seeds, made, judged)


def generate(
    adapter: str | Path, *, prompt: Sequence[str], max_new_tokens: int = 128, base: bool = False
) -> list[dict[str, str]]:
    """Answer prompts with an adapter (greedily); `base` answers without the adapter."""
    from datakit.training import open_adapter

    _, model = open_adapter(adapter)
    turns = [[Message("user", text)] for text in prompt]
    answers = model.generate(turns, max_new_tokens=max_new_tokens, adapter=not base)
    return [{"prompt": text, "answer": answer} for text, answer in zip(prompt, answers, strict=True)]


def chat(
    adapter: str | Path,
    *,
    max_new_tokens: int = 128,
    base: bool = False,
    ask: Iterable[str] = (),
    tell: Callable[[str], None] | None = None,
) -> list[dict[str, str]]:
    """Talk with an adapter: each line of `ask` is answered (greedily) with all turns before it in view and told at
    once; `/new` forgets them. `base` answers without the adapter. Returns the turns since the last `/new`."""
    from datakit.trainer import keep_quiet
    from datakit.training import open_adapter

    _, model = open_adapter(adapter)
    turns: list[Message] = []
    for line in ask:
        if line.strip() == NEW_CHAT:
            turns.clear()
        elif line.strip():
            turns.append(Message("user", line.strip()))
            [answer] = model.generate([turns], max_new_tokens=max_new_tokens, adapter=not base)
            turns.append(Message("assistant", answer))
            (tell or keep_quiet)(answer)
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def refresh(
    file: str | Path | Pipeline,
    *,
    store: str = DEFAULT_STORE,
    workers: int = 1,
    executor: str | None = None,
    set: Sequence[str] = (),
    report: Report | None = None,
) -> RefreshResult:
    """One idempotent pass: run on what is new, hold the gates, publish, train if asked, keep the newest versions."""
    from datakit.refreshing import refresh
    from datakit.runner import ignore
    from datakit.store import Store

    pipeline, heard = check(file, set=set), report or ignore

    def train_new(manifest: DatasetManifest, out: Path) -> AdapterArtifact:
        return _train_for(pipeline, manifest, store, heard, out=out)

    def judge(adapter: Path) -> float:
        assert pipeline.evaluate is not None
        found = evaluate(adapter, rows=pipeline.evaluate.rows, samples=0, report=heard)
        return float(found["adapter_loss"])

    compared = judge if pipeline.evaluate else None
    target = Store(store)
    return refresh(pipeline, target, train=train_new, judge=compared, report=heard, workers=workers, executor=executor)


def schedule(
    file: str | Path, *, form: Literal["systemd", "cron"] = "systemd", at: str = "03:00", store: str = DEFAULT_STORE
) -> str:
    """The systemd units, or the crontab line, that refresh FILE every day at a time of day; nothing is installed."""
    from datakit.refreshing.clock import schedule

    return schedule(Path(file), check(file).name, store, form, at)


def rollback(dataset: str, *, to: str | None = None, store: str = DEFAULT_STORE) -> DatasetManifest:
    """Make an older version of DATASET the newest again: `to`, else the one before the newest."""
    from datakit.refreshing.withdrawing import rollback
    from datakit.store import Store

    return rollback(dataset, Store(store), to=to)


def trace(rows: Sequence[str], *, store: str = DEFAULT_STORE) -> list[dict[str, Any]]:
    """Where rows went: every version that read them, what was made of them, the packs and adapters that hold it."""
    from datakit.forgetting import trace
    from datakit.store import Store

    return [one.as_json() for one in trace(rows, Store(store))]


def forget(
    rows: Sequence[str] = (), *, match_file: str | None = None, dry_run: bool = False, store: str = DEFAULT_STORE
) -> Forgotten:
    """Take rows (ids, FILE:LINE, whole files, or by text) and all that was made of them out of the store; run again
    without them, remove the versions that held them, mark the adapters, and keep the proof."""
    from datakit.forgetting import forget
    from datakit.runner import run_anew
    from datakit.store import Store

    opened = Store(store)

    def again(manifest: DatasetManifest, publish: bool) -> DatasetManifest:
        return run_anew(Pipeline.from_dict(manifest.recipe, ["train=null", "evaluate=null"]), opened, publish=publish)

    return forget(rows, opened, again, match_file=match_file, dry_run=dry_run)


def gc(*, store: str = DEFAULT_STORE, dry_run: bool = False) -> Collected:
    """Free the room of what no published version, newest run or adapter of the store needs."""
    from datakit.collecting import gc
    from datakit.store import Store

    return gc(Store(store), dry_run=dry_run)


def doctor(*, store: str = DEFAULT_STORE, mend: bool = False, report: Report | None = None) -> Diagnosis:
    """Read every file of the store and name what is damaged; with `mend`, take away what the next run makes anew."""
    from datakit.doctoring import doctor
    from datakit.runner import ignore
    from datakit.store import Store
    from datakit.trainer import Event

    heard = report or ignore
    return doctor(Store(store), mend=mend, tick=lambda done, total: heard(Event("files", done, total)))


def pii_scan(
    files: Sequence[str], settings: Mapping[str, Any] | None = None, *, text: str | None = None, id_field: str = "id"
) -> Scan:
    """Where personal data stands in FILES: places, types and rules of every row, never a value."""
    from datakit.redaction import pii_of, scan

    return scan(files, stage=pii_of(settings or {}), text=text, id_field=id_field)


def pii_redact(
    source: str, out: str, settings: Mapping[str, Any] | None = None, *, text: str | None = None
) -> Redaction:
    """Write the rows of a JSON lines file without their personal data; all else stays as it is."""
    from datakit.redaction import pii_of, redact

    return redact(source, out, stage=pii_of(settings or {}), text=text)


def review_export(
    dataset: str,
    file: str | Path,
    *,
    store: str = DEFAULT_STORE,
    stage: str | None = None,
    rows: int | None = None,
    raw: bool = False,
) -> dict[str, Any]:
    """Write rows of a dataset to a CSV or JSONL file for people to judge and edit (as `show` would show them)."""
    from datakit.reviewing import export_review
    from datakit.store import Store

    opened = Store(store)
    return export_review(opened.manifest(dataset), opened, Path(file), stage=stage, rows=rows, raw=raw)


def review_import(file: str | Path, *, store: str = DEFAULT_STORE, workers: int = 1) -> dict[str, Any]:
    """Take a reviewed file: its dataset's pipeline runs with a `review` stage, and the result is published."""
    from datakit.reviewing import reviewed_pipeline
    from datakit.store import Store

    pipeline, entry, place = reviewed_pipeline(Path(file), Store(store))
    done = run(pipeline, store=store, workers=workers)
    counts = done.manifest.stages[place].stats["counters"]
    return {"dataset": done.manifest.ref, "rows": done.manifest.rows, **counts, "entry": entry}


def as_json(value: Any) -> Any:
    """A result as plain JSON values; a number that JSON lacks (NaN) becomes null."""
    if hasattr(value, "as_json"):
        return as_json(value.as_json())
    if isinstance(value, Pipeline):
        return as_json(value.to_dict())
    if isinstance(value, BaseModel):
        return as_json(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # A row may hold dates, bytes and decimals of the file it came from.
    return value if value is None or isinstance(value, str | int) else str(value)


def _train_for(
    pipeline: Pipeline,
    manifest: DatasetManifest,
    store: str,
    report: Report,
    tell: Callable[[str], None] | None = None,
    out: Path | None = None,
) -> AdapterArtifact:
    from datakit.refreshing import adapter_folder

    section = dict(pipeline.train or {})
    section.setdefault("seed", pipeline.seed)
    out = out or adapter_folder(pipeline)
    return train(manifest, str(section["use"]), section, out=out, store=store, report=report, tell=tell)


__all__ = [
    "Done", "ablate", "as_json", "blame", "chat", "check", "compare", "datasets", "doctor", "drops", "evaluate",
    "export", "forget", "gc", "generate", "index", "init", "merge", "pii_redact", "pii_scan", "plan", "plugins",
    "prompts", "provenance", "refresh", "report", "rethreshold", "review_export", "review_import", "rollback",
    "run", "schedule", "show", "stages", "stats", "trace", "train", "why",
]  # fmt: skip
