"""What text people may see: as it stands after the pipeline's `pii` stage, or as it is if somebody asks for it raw.

    stage    ingest  quality  dedup  pii  synthesize  ingest-2  dedup-2
    stored      no       no     no   yes         yes        no       no     text that `show` and the report may print

A row that was dropped before `pii` never went through it. `Reader` puts its text through the pipeline's own `pii` stage
on the way to the screen (the stage is idempotent, so what went through it already stays as it is); without such a
stage, or with one that can't open here (its key is missing), there is no text. Ids that files gave take the same way.
Cost: the id column of one stage's shards, and the text of the few rows that are shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from datakit.errors import ConfigError
from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.registry import stage_class
from datakit.schemas import table_from_rows, text_view
from datakit.stage import Env, RowStage, RowWork
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_KINDS = ("document", "example")
ORIGIN = ("id", "source_id", "source", "position", "lang")


CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@|(?<=[?&])[^=&\s]+=[^&\s]*")
"""Credentials in a URL, which stay out of everything that is shown."""
HIDDEN_SETTINGS = frozenset({"allow", "deny"})
"""Settings of `pii` that hold values of personal data."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row as people see it: `source_id` without personal data, `text` None where it may not be shown."""

    source_id: str
    text: str | None


def shown_setting(name: str, value: Any) -> Any:
    """A setting as people may see it: no credentials, and of lists of personal data only how long they are."""
    if name in HIDDEN_SETTINGS and isinstance(value, list | tuple):
        return f"{len(value)} entries"
    return CREDENTIALS.sub("", value) if isinstance(value, str) else value


def is_source(report: StageReport) -> bool:
    """Whether a stage read rows in from outside: no text came in, yet text went out."""
    return report.use == "ingest" or (report.stats["characters_in"] == 0 and report.stats["characters_out"] > 0)


def safe_places(reports: Sequence[StageReport]) -> list[bool]:
    """For every stage whether the rows behind it have all been through `pii`: a later source brings in others."""
    safe, found = False, []
    for report in reports:
        safe = report.use == "pii" or (safe and not is_source(report))
        found.append(safe)
    return found


def stored_places(reports: Sequence[StageReport]) -> dict[int, int]:
    """Which stages' rows are in the store, and behind which stage they lie: sinks pass rows on, so theirs lie behind
    the stage before; of fused row stages, which share their steps, only the last one's are written."""
    steps = [report.steps for report in reports]
    found: dict[int, int] = {}
    for place, mine in enumerate(steps):
        if not mine and place:
            found[place] = found.get(place - 1, 0)
        elif place + 1 == len(steps) or steps[place + 1] != mine:
            found[place] = place
    return found


@dataclass(slots=True)
class Reader:
    """Rows of one dataset version as people may see them."""

    manifest: DatasetManifest
    store: Store
    raw: bool = False
    _work: RowWork | None = field(default=None, init=False)
    state: Literal["raw", "after_pii", "pii_missing", "key_missing"] = field(default="raw", init=False)
    """How text is shown, or why it is not."""

    def __post_init__(self) -> None:
        if self.raw:
            return
        self._work = _cleaner(self.manifest)
        runs = any(report.use == "pii" for report in self.manifest.stages)
        self.state = "after_pii" if self._work else "key_missing" if runs else "pii_missing"

    @property
    def allowed(self) -> bool:
        """Whether any text may be shown."""
        return self.state in ("raw", "after_pii")

    def before(self, place: int, ids: Collection[str]) -> dict[str, Shown]:
        """Rows by id as they were last stored before the stage at `place`."""
        stored = stored_places(self.manifest.stages)
        behind = max((stored[at] for at in range(place) if at in stored), default=None)
        if behind is None or not ids:
            return {}
        return self._shown(self.store.shards_of(self.manifest.stages[behind]), set(ids))

    def names(self, rows: Sequence[tuple[str, str]]) -> list[str]:
        """The source ids of some (id, source_id) without personal data; such a one becomes the row's own id."""
        if self._work is None or not rows:
            return [source_id for _, source_id in rows]
        bare = [{"id": str(at), "source_id": source_id, "text": ""} for at, (_, source_id) in enumerate(rows)]
        kept = self._work(_batch(table_from_rows(bare, "document"))).kept
        named = dict(zip(kept.column("id").to_pylist(), kept.column("source_id").to_pylist(), strict=True))
        return [own if named.get(str(at), str(at)) == str(at) else named[str(at)] for at, (own, _) in enumerate(rows)]

    def _shown(self, shards: Sequence[ShardRecord], missing: set[str]) -> dict[str, Shown]:
        import pyarrow as pa
        import pyarrow.compute as pc

        found: dict[str, Shown] = {}
        for shard in shards:
            if not missing or shard.kind not in TEXT_KINDS:
                break
            held = self.store.read(shard.key, ["id"]).column("id")
            mask = pc.is_in(held, pa.array(sorted(missing), held.type))
            if pc.any(mask).as_py():
                columns = [*ORIGIN, "text" if shard.kind == "document" else "messages"]
                found |= self._cleaned(_batch(self.store.read(shard.key, columns).filter(mask)))
                missing = missing - found.keys()
        return found

    def _cleaned(self, batch: pa.RecordBatch) -> dict[str, Shown]:
        """The rows of a batch; one that the stage would drop keeps its own id alone."""
        found = {own: Shown(own, None) for own in batch.column("id").to_pylist()}
        kept = batch if self._work is None else _batch(self._work(batch).kept)
        texts = text_view(kept).to_pylist() if self.allowed else [None] * kept.num_rows
        columns = (kept.column("id").to_pylist(), kept.column("source_id").to_pylist(), texts)
        return found | {own: Shown(source_id or own, text) for own, source_id, text in zip(*columns, strict=True)}


def _cleaner(manifest: DatasetManifest) -> RowWork | None:
    """The pipeline's last `pii` stage at work; None if there is none or if it can't open here."""
    pairs = zip(manifest.stages, manifest.recipe.get("stages", []), strict=False)
    entries = [entry for report, entry in pairs if report.use == "pii"]
    if not entries:
        return None
    try:
        settings = {name: value for name, value in entries[-1].items() if name != "use"}
        stage = stage_class(entries[-1]["use"]).model_validate(settings)
        return stage.open(Env(manifest.seed)) if isinstance(stage, RowStage) else None
    except ConfigError:
        # The key for `hash` is stored nowhere: without it there is no text to show, and the caller says so.
        return None


def _batch(table: Any) -> pa.RecordBatch:
    """The rows as one batch."""
    import pyarrow as pa

    if isinstance(table, pa.RecordBatch):
        return table
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)
