"""The page that the author of a stage reads.

A stage is a frozen value: its fields are the YAML entry, the keyword arguments, the documentation and the identity, all
at once. It opens into a worker where it is needed; a regex, a tokenizer or a model is never part of the value.

    class MaxLength(RowStage):
        '''Drop documents longer than `limit` characters.'''
        use: ClassVar[str] = "max_length"
        rules: ClassVar[tuple[str, ...]] = ("too_long",)
        limit: PositiveInt = 10_000
        '''Longest text kept, in characters.'''

        def open(self, env):
            def judge(doc):
                return Drop("too_long", len(doc.text), self.limit) if len(doc.text) > self.limit else None
            return per_document(judge)

Four bases, by what a stage needs to see:

    SourceStage   files -> rows, a file at a time                (ingest)
    RowStage      a batch of rows -> Outcome, any order          (neighbours run fused: one read, one write a shard)
    CorpusStage   all shards at once, a wall in the pipeline     (dedup, synthesize, pack)
    SinkStage     looks at all shards, changes none; always runs (export)

A row stage that compares measured values with thresholds is a MeasuredStage (quality): it gives its signals and its
verdicts apart, so that a moved threshold measures nothing again.

`use` names the stage; `version` is bumped by hand when its behaviour changes; `takes` says which kinds of row it reads;
`rules` lists every word it may drop a row with. Two instances with equal identity make equal bytes, whatever the
worker count, batch size, executor or machine. Module level of a stage file imports no heavy package (pyarrow, numba,
torch ...): `datakit check` loads the value only, workers import inside `open` and `run`.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from datakit.canon import digest_file, key_of
from datakit.errors import ConfigError, Problem, failing_at
from datakit.outcome import Drop, Outcome, drops_table
from datakit.schemas import KINDS, Document, Kind, documents, kind_of, replace_column

if TYPE_CHECKING:
    import pyarrow as pa


class _FileMark:
    """Marks a field that names an input file: its content is keyed, its path is not."""


class _ExecutionMark:
    """Marks a field that can't change the rows (a path of output, a limit of concurrency): it is not keyed."""


FileRef = Annotated[str, _FileMark()]
"""Type of a field that names one input file; `tuple[FileRef, ...]` names several."""
Execution = _ExecutionMark()
"""`Annotated[int, Execution]`: a field that says how, not what; never part of a key."""


def _keep_quiet(text: str) -> None:
    """The default of `Env.tell`: a top-level function, so that an Env can travel to a worker."""


@dataclass(frozen=True, slots=True)
class Env:
    """What a worker may use beside its rows. Bears no identity, except the seed for stages that say `seeded`."""

    seed: int = 0
    cache: Path = Path(".datakit-cache")
    """Folder for derived things that may be deleted at any time (converted models, trained tokenizers)."""
    tell: Callable[[str], None] = _keep_quiet
    """Says one line to the person at the terminal (stderr). Never text of a document."""

    def rng(self, *parts: Any) -> random.Random:
        """A random stream that depends on the seed and `parts` only."""
        return random.Random(key_of(self.seed, *parts))


class Stage(BaseModel):
    """Base of all stages: frozen, unknown fields refused, every field documented by the line below it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    use: ClassVar[str] = ""
    version: ClassVar[int] = 1
    takes: ClassVar[frozenset[Kind]] = frozenset({"document", "example"})
    rules: ClassVar[tuple[str, ...]] = ()
    folds: ClassVar[bool] = True
    """Whether `matched` of a drop names a row that stands for it; else it names something outside the corpus."""
    seeded: ClassVar[bool] = False
    """Whether the pipeline's seed is part of this stage's identity."""
    origin: ClassVar[str] = ""
    """`file.py:Class` for a stage of the user's own that was named so; never part of identity."""

    id: Annotated[str | None, Execution] = None
    """Name of this entry in reports and `--set`; default: its `use`."""

    def __reduce__(self) -> Any:
        if self.origin:
            return _stage_from_file, (self.origin, self.model_dump(mode="json"))
        return super().__reduce__()

    @property
    def frees_gil(self) -> bool:
        """Whether nearly all of its time goes into kernels that hold no GIL, and its work may be called from several
        threads at once. Then `--workers` are threads, unless an executor is named."""
        return False

    @classmethod
    def class_for(cls, settings: Mapping[str, Any]) -> type[Stage]:
        """The class that holds these settings: this one, unless one of them decides which others there are."""
        return cls

    @classmethod
    def variants(cls) -> Mapping[str, type[Stage]]:
        """The classes that `class_for` chooses from, by the value that chooses (synthesize: by recipe)."""
        return {}

    @property
    def name(self) -> str:
        """The entry's id, by default its `use`."""
        return self.id or self.use

    def gives(self, kind: Kind | None) -> Kind:
        """The kind of rows that come out when rows of `kind` go in (None: nothing goes in)."""
        if kind is None:
            raise TypeError(f"{self.use} needs rows")
        return kind

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """None if this stage can stand after `before`, whose rows are of `kind`; else one sentence with the remedy."""
        if kind is None:
            return f"`{self.use}` reads rows, but nothing before it makes any; begin with `ingest`"
        if kind in self.takes:
            return None
        taken = " or ".join(name for name in KINDS if name in self.takes)
        return f"`{self.use}` takes {taken} rows but gets {kind} rows{_bridge(kind, self.takes)}"

    def problems(self) -> list[Problem]:
        """Problems found by looking outside the value (a missing file); cheap, no heavy import."""
        return [
            Problem(name, f"no file at {path!r}", "paths are relative to the current directory")
            for name in _marked(type(self), _FileMark)
            for path in _paths(getattr(self, name))
            if not Path(path).is_file()
        ]

    def notes(self, env: Env) -> dict[str, Any]:
        """What stages and trainers behind may want to know of a row stage's value; kept in the manifest."""
        return {}

    def identity(self) -> dict[str, Any]:
        """What makes two stages the same: settings without execution fields, files by content digest."""
        hidden = set(_marked(type(self), _ExecutionMark))
        settings = self.model_dump(mode="json", exclude=hidden)
        for name in _marked(type(self), _FileMark):
            value = getattr(self, name)
            if digests := [digest_file(path) for path in _paths(value)]:
                settings[name] = digests[0] if isinstance(value, str) else digests
        return settings

    def keyed_as(self, seed: int = 0) -> dict[str, Any]:
        """The stage as a key sees it: use, version, settings, and the seed where it matters."""
        recipe = {"use": self.use, "version": self.version, "settings": self.identity()}
        return {**recipe, "seed": seed} if self.seeded else recipe


class SourceStage(Stage):
    """A stage that reads files into rows, a file or a few small ones at a time.

    Fields that say where the files are must be `Execution`: a file enters the keys by its name and digest.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset()

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """A source may begin a pipeline, or add rows of the same kind in the middle of it."""
        mine = self.gives(None)
        if kind is None or kind == mine:
            return None
        return f"`{self.use}` adds {mine} rows to a pipeline of {kind} rows; move it, or change what it reads"

    def sources(self) -> list[Source]:
        """The files this stage reads, in order, with names and digests. Raises SourceError if there are none."""
        raise NotImplementedError(f"{type(self).__name__} must say which files it reads")

    def groups(self) -> list[tuple[Source, ...]]:
        """The files in order, parted into what is read, keyed and stored together. Here each file stands alone."""
        return [(source,) for source in self.sources()]

    def read(self, source: Source, env: Env) -> Iterator[Outcome]:
        """The rows of one file, one Outcome for each shard to be written (`kept` holds the rows)."""
        raise NotImplementedError(f"{type(self).__name__} must read a file")

    def read_group(self, group: Sequence[Source], env: Env) -> Iterator[Outcome]:
        """The rows of some files, in order. A stage whose `groups` hold many files lets them share shards here."""
        for source in group:
            with failing_at(self.name, source.name):
                yield from self.read(source, env)


class RowStage(Stage):
    """A stage that looks at rows one by one, in any order, any shard, any batch."""

    def open(self, env: Env) -> RowWork:
        """The function that does the work; regexes, tokenizers and models are made here, once a worker."""
        raise NotImplementedError(f"{type(self).__name__} must open into a function")


class MeasuredStage(RowStage):
    """A row stage that measures every row, then decides from the figures alone.

    The signals of a shard are kept under a key of `measures()` and the shard before, thresholds left out: a run with a
    moved threshold decides anew and measures nothing, and `datakit rethreshold` tells what would change without reading
    a text. So `judge` may look at nothing but the signals.
    """

    def measures(self) -> dict[str, Any]:
        """What the signals depend on: settings and versions, no thresholds."""
        return {"use": self.use, "version": self.version}

    def measure(self, env: Env) -> MeasureWork:
        """The function that measures: `id`, and signals of every row of a batch, in order."""
        raise NotImplementedError(f"{type(self).__name__} must measure rows")

    def judge(self, signals: pa.RecordBatch, kind: Kind) -> Judged:
        """A verdict for every row of some signals."""
        raise NotImplementedError(f"{type(self).__name__} must judge signals")

    def settle(self, batch: pa.RecordBatch, signals: pa.RecordBatch) -> Outcome:
        """The Outcome of rows whose signals are known."""
        judged = self.judge(signals, kind_of(batch.schema))
        for name, column in judged.columns.items():
            batch = replace_column(batch, name, column)
        return keep_where(batch, judged.verdicts, judged.counters)

    def open(self, env: Env) -> RowWork:
        """Measure and decide at once, where nothing is kept."""
        measure = self.measure(env)

        def work(batch: pa.RecordBatch) -> Outcome:
            return self.settle(batch, measure(batch))

        return work


@dataclass(frozen=True, slots=True)
class Judged:
    """What a MeasuredStage decides about some rows."""

    verdicts: Sequence[Drop | None]
    counters: Counter[str] = field(default_factory=Counter)
    columns: Mapping[str, pa.Array] = field(default_factory=dict)
    """Columns that the rows get, one value a row, dropped rows too."""


class CorpusStage(Stage):
    """A stage that must see all shards."""

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Read `corpus`, write output shards to `out`."""
        raise NotImplementedError(f"{type(self).__name__} must run over a corpus")

    def forecast(self, corpus: Corpus) -> dict[str, Any] | None:
        """What a run over `corpus` would cost in money, for `datakit plan`; None: nothing. Must write nothing."""
        return None

    def beside(self, key: str) -> str | None:
        """Digest of what the stage looks at beside its rows (an index that runs extend), None for nothing: it joins
        the step's key, which is `key` without it."""
        return None

    def settle(self, before: Corpus, after: Corpus) -> None:
        """Called when the step's record is written, and again whenever the step is found done: the place to extend
        what lies beside. `before.key` says which step it is; doing it twice must be doing it once."""


class SinkStage(Stage):
    """A stage that writes the rows somewhere outside the store and passes them on unchanged; runs every time."""

    def write(self, corpus: Corpus) -> dict[str, Any]:
        """Write the rows; returns notes for the report. Must leave an equal output alone and mend a different one.

        The note `written`, how many files were written this time, is for the caller: no manifest holds it.
        """
        raise NotImplementedError(f"{type(self).__name__} must write a corpus")


RowWork = Callable[["pa.RecordBatch"], Outcome]
MeasureWork = Callable[["pa.RecordBatch"], "pa.RecordBatch"]
TableWork = Callable[["pa.Table", dict[str, Any]], "pa.Table"]
ShardWork = Callable[["pa.Table", dict[str, Any]], Outcome]


@dataclass(frozen=True, slots=True)
class Source:
    """One input file: where it is, what it is called in ids and reports, the digest of its bytes, and its size."""

    url: str
    name: str
    digest: str
    size: int | None = None
    """Bytes as it lies there, packed or not; None where nobody knows."""


class Shard(Protocol):
    """One stored shard of the corpus a stage runs over."""

    @property
    def key(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def source(self) -> str:
        """The file, or the files, that the rows were read from, for messages; "" behind a corpus stage."""
        ...

    @property
    def columns(self) -> list[str]:
        """The names of its columns, without reading rows."""
        ...

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows, or some of their columns."""
        ...


class Corpus(Protocol):
    """All shards in front of a corpus stage, and the executor to fan out on. Text in memory: one shard a worker."""

    shards: Sequence[Shard]
    kind: Kind | None
    """The kind of rows in the shards; None where the stage begins a pipeline and there are none."""
    env: Env
    key: str
    """Key of the step: of the stage and the shards, without what lies `beside`."""

    def map(
        self, work: TableWork, settings: Mapping[str, Any], *, part: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """`work(table, settings)` for every shard, in order, on the executor; each result is a small table kept in
        the store under the shard's key, `part` and `settings` (canonical JSON values; put a version number in), so
        that only new shards are worked on next time. `work` is a top-level function; its result may have any schema.
        """
        ...


class Outbox(Protocol):
    """Where a corpus stage puts its output. Shards are keyed by their content."""

    def write(
        self, rows: pa.Table, *, drops: pa.Table | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        """One output shard, in order. `drops` (drops_table) and counters belong to the step."""
        ...

    def map(self, work: ShardWork, jobs: Iterable[tuple[Shard, dict[str, Any]]]) -> None:
        """`work(table, settings)` for every (shard, settings) on the executor; each Outcome becomes an output shard
        (kept then made rows; nothing written if there are none), in the order of the jobs. `work` is top-level; its
        settings may hold Arrow arrays and numpy arrays.
        """
        ...

    def drop(self, drops: pa.Table) -> None:
        """Drops without an output shard."""
        ...

    def note(self, **notes: Any) -> None:
        """Findings for the report (JSON values, no text of documents)."""
        ...

    def account(self, **counts: int) -> None:
        """Add to rows_in, kept, made ... where the stage writes rows itself. The runner fills in what it can see:
        rows_in from the shards, dropped and folded from drops; kept and made from Outcomes of `map`; rows given to
        `write` count as `made` when the stage changes the kind of row (synthesize, pack), else as `kept`."""
        ...


def per_document(rule: Callable[[Document], Document | Drop | None]) -> RowWork:
    """A RowStage's work from a rule over one `Document`: a Drop drops the row, None or the document keeps it.

    A changed `doc.text` or `doc.lang` of a *document* row is written back; examples are rewritten with
    `schemas.map_texts` instead, since their text is several messages.
    """

    def work(batch: pa.RecordBatch) -> Outcome:
        import pyarrow as pa

        views = documents(batch)
        before = [(doc.text, doc.lang) for doc in views]
        verdicts = [rule(doc) for doc in views]
        keep = [not isinstance(verdict, Drop) for verdict in verdicts]
        gone = [(d.id, d.source_id, v) for d, v in zip(views, verdicts, strict=True) if isinstance(v, Drop)]
        after = [v if isinstance(v, Document) else d for d, v in zip(views, verdicts, strict=True)]
        if "text" in batch.schema.names and any(d.text != b[0] for d, b in zip(after, before, strict=True)):
            batch = replace_column(batch, "text", pa.array([doc.text for doc in after], pa.large_string()))
        if any(d.lang != b[1] for d, b in zip(after, before, strict=True)):
            batch = replace_column(batch, "lang", pa.array([doc.lang for doc in after], pa.large_string()))
        return Outcome(batch.filter(pa.array(keep, pa.bool_())), drops_table(gone))

    return work


def keep_where(batch: pa.RecordBatch, verdicts: Sequence[Drop | None], counters: Counter[str] | None = None) -> Outcome:
    """The Outcome of a batch given one verdict a row: None keeps it."""
    import pyarrow as pa

    mask = pa.array([verdict is None for verdict in verdicts], pa.bool_())
    if not any(verdicts):
        return Outcome(batch, None, counters=counters or Counter())
    ids, sources = batch.column("id").to_pylist(), batch.column("source_id").to_pylist()
    gone = [(i, s, v) for i, s, v in zip(ids, sources, verdicts, strict=True) if v is not None]
    return Outcome(batch.filter(mask), drops_table(gone), counters=counters or Counter())


def fields_of(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings of a stage or trainer, without `id`."""
    return {name: info for name, info in cls.model_fields.items() if name != "id"}


def require(condition: bool, path: str, message: str, fix: str = "") -> None:
    """Raise a ConfigError about one setting unless `condition` holds."""
    if not condition:
        raise ConfigError((Problem(path, message, fix),))


def _marked(cls: type[Stage], mark: type) -> list[str]:
    return [
        name
        for name, info in cls.model_fields.items()
        if any(isinstance(found, mark) for found in (*info.metadata, *_inner_metadata(info.annotation)))
    ]


def _paths(value: Any) -> list[str]:
    """The files that a field names: none, one, or several."""
    return [path for path in ([value] if isinstance(value, str) else value or ()) if path]


def _inner_metadata(annotation: Any) -> Iterator[Any]:
    """The metadata inside a union: pydantic lifts that of `FileRef`, but not that of `FileRef | None`."""
    for part in get_args(annotation):
        yield from getattr(part, "__metadata__", ())


def _bridge(kind: Kind, takes: frozenset[Kind]) -> str:
    """The stage that usually stands between two kinds, as a remedy."""
    between = {
        ("document", "example"): "; add `synthesize` between",
        ("example", "tokens"): "; add `template` and `tokenize` between",
        ("document", "tokens"): "; add `tokenize` between",
        ("document", "packed"): "; add `tokenize` and `pack` between",
        ("example", "packed"): "; add `template`, `tokenize` and `pack` between",
        ("tokens", "packed"): "; add `pack` between",
    }
    found = [between[kind, taken] for taken in KINDS if taken in takes and (kind, taken) in between]
    return found[0] if found else "; move it before the stage that changes the kind"


def class_from_file(spec: str) -> type:
    """The class that `path/to/file.py:Class` names; its module is loaded once a process and travels by value."""
    path, _, name = spec.rpartition(":")
    module = _module_from_file(str(Path(path).resolve()))
    found = getattr(module, name, None)
    if found is None:
        raise ConfigError((Problem(spec, f"{path} has no class {name!r}", "name the class after the colon"),))
    if isinstance(found, type) and issubclass(found, Stage):
        found.origin = spec
        found.use = found.use or name
    return found


@cache
def _module_from_file(path: str) -> ModuleType:
    import cloudpickle

    name = f"datakit_file_{key_of(path)[:12]}"
    found = spec_from_file_location(name, path)
    if found is None or found.loader is None or not Path(path).is_file():
        raise ConfigError((Problem(path, "no such Python file", "paths are relative to the current directory"),))
    module = module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError((Problem(path, f"the file fails when loaded: {type(error).__name__}: {error}"),)) from error
    cloudpickle.register_pickle_by_value(module)
    return module


def _stage_from_file(spec: str, settings: dict[str, Any]) -> Stage:
    """Opens a stage of the user's own in a worker, where its file is loaded anew."""
    cls: type[Stage] = class_from_file(spec)
    return cls.model_validate(settings)


__all__ = [
    "Annotated", "Corpus", "CorpusStage", "Drop", "Env", "Execution", "Field", "FileRef", "Judged", "MeasureWork",
    "MeasuredStage", "Outbox", "Outcome", "RowStage", "RowWork", "Shard", "SinkStage", "Source", "SourceStage", "Stage",
    "class_from_file", "fields_of", "keep_where", "per_document", "require",
]  # fmt: skip
