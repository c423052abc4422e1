"""The records that name things: a shard, a step, a dataset version, an adapter. Frozen, JSON, nothing dated inside.

Keys are blake2b hex (see canon). A record is written after the data it speaks of, so its existence means "done".
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from datakit.canon import canonical, digest_bytes
from datakit.schemas import Kind

STORE_FORMAT = 3
"""Version of the store's layout; a store of another version is refused by name."""


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)
SEAL = b',"seal":"'


def sealed(record: Record) -> bytes:
    """A record as JSON, with a digest of itself at its end: a flipped bit in it must not pass for a figure."""
    body = canonical(record.model_dump(mode="json"))
    return body[:-1] + SEAL + digest_bytes(body).encode() + b'"}'


def unsealed(data: bytes, cls: type[R]) -> R:
    """The record in the bytes that `sealed` gave (or in JSON without a seal); ValueError if they were changed."""
    body, seal, digest = data.rpartition(SEAL)
    if seal and digest != digest_bytes(body + b"}").encode() + b'"}':
        raise ValueError("the record is not what was written")
    return cls.model_validate_json(body + b"}" if seal else data)


class PassRecord(Record):
    """What one stage did while a shard was made (fused row stages leave several in one shard record)."""

    stage: str
    """Id of the stage in its pipeline."""
    key: str
    """Key of the shard as it stood after this stage."""
    stats: dict[str, Any]
    """`StageStats.as_dict()`."""
    signals: str = ""
    """Key of the signals that the stage measured of every row it got, kept and dropped; "" if it measures none."""


class ShardRecord(Record):
    """One Parquet file of rows in the store."""

    key: str
    kind: Kind
    rows: int
    digest: str
    """Content digest of the Parquet file."""
    bytes: int
    passes: tuple[PassRecord, ...] = ()
    drops: int = 0
    """Rows in the drop sidecar; 0: there is no sidecar."""
    drops_digest: str = ""
    """Content digest of the drop sidecar."""
    source: str = ""
    """The file, or the files, that this shard was read from, for messages; "" behind a corpus stage."""


class StepRecord(Record):
    """What a source or corpus stage made of its whole input: the output shards, its drops and figures."""

    key: str
    stage: str
    shards: tuple[str, ...]
    stats: dict[str, Any]
    drops: int = 0
    drops_digest: str = ""
    """Content digest of the drop sidecar."""
    notes: dict[str, Any] = {}
    """Small findings for people: duplicate clusters, packing efficiency, encodings. Never text of a document."""
    sources: tuple[tuple[str, str], ...] = ()
    """Name and content digest of each file that a source stage read."""
    parts: tuple[str, ...] = ()
    """Keys of the per-shard work that the stage kept (signatures, tokens): `gc` keeps it as long as the step."""


class StageReport(Record):
    """A stage's line in the funnel of a dataset."""

    id: str
    use: str
    kind: Kind
    """Kind of the rows that came out."""
    stats: dict[str, Any]
    notes: dict[str, Any] = {}
    steps: tuple[str, ...] = ()
    """Keys of the records behind this stage: shards of a row stage (fused stages share them), steps of any other."""


class DatasetManifest(Record):
    """A published dataset: name@version, the shards that make it up, and the recipe that made them."""

    name: str
    version: str
    kind: Kind
    digest: str
    """Digest of the content digests of all shards, in order: equal data, equal digest."""
    rows: int
    shards: tuple[ShardRecord, ...]
    recipe: dict[str, Any]
    """The pipeline as data; `Pipeline.from_dict(recipe)` is the pipeline again."""
    stages: tuple[StageReport, ...]
    seed: int = 0
    parent: str | None = None
    """The version before this one, as name@version."""
    datakit_version: str = ""

    @property
    def ref(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"

    def note(self, use: str) -> dict[str, Any]:
        """The notes of the last stage that is a `use` (say "tokenize"), {} if there is none."""
        return next((stage.notes for stage in reversed(self.stages) if stage.use == use), {})


class AdapterArtifact(Record):
    """A trained adapter: where it lies, which files it has, which dataset and base it came from."""

    name: str
    trainer: str
    base: str
    """The base model as it was named: `smollm2`, a folder, a hub name, a GGUF file."""
    dataset: str
    """name@version of the dataset."""
    dataset_digest: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    seed: int
    files: dict[str, str]
    """File name -> content digest."""
    datakit_version: str = ""
    path: str = ""
    """Folder of the adapter; "" inside artifact.json, so that the folder can be moved."""
