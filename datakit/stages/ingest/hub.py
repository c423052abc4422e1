"""Data sets of the Hugging Face hub, streamed through the `datasets` library.

    hf:owner/name                                 the split `train`
    hf:owner/name?config=ko&split=test&revision=v1
    hf://datasets/owner/name                      the same, as the hub writes it
    hf:./folder                                   a folder on this machine, opened as `datasets` opens it

(`hf://datasets/owner/name/data/*.parquet` names files and is read like any fsspec URL.) What is keyed is the commit of
the data set, or the bytes of the folder's files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from datakit.canon import digest_file, key_of
from datakit.errors import SourceError
from datakit.stage import Source

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1_000
OFFLINE = "connect to the internet, or `hf download --repo-type dataset NAME` elsewhere and name the folder in `files`"


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    config: str | None
    split: str
    revision: str | None

    @property
    def folder(self) -> Path | None:
        """The folder on this machine, None for a data set of the hub."""
        return Path(self.name) if Path(self.name).is_dir() else None


def is_hub(pattern: str) -> bool:
    """Whether a pattern names a data set rather than files."""
    if pattern.startswith("hf://datasets/"):
        return pattern.split("?")[0].removeprefix("hf://datasets/").strip("/").count("/") <= 1
    return pattern.startswith("hf:") and not pattern.startswith("hf://")


def source_of(pattern: str) -> Source:
    """The data set as a source; its digest needs one request to the hub."""
    wanted = _wanted(pattern)
    if folder := wanted.folder:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        commit = key_of([[path.relative_to(folder).as_posix(), digest_file(path)] for path in files])
    else:
        commit = _commit(wanted)
    name = "/".join(part for part in (wanted.name.rstrip("/"), wanted.config, wanted.split) if part)
    return Source(pattern, name, key_of(commit, wanted.config, wanted.split))


def tables(pattern: str) -> Iterator[pa.Table]:
    """The rows of the data set as Arrow tables, streamed."""
    from datasets import load_dataset

    wanted = _wanted(pattern)
    with_revision = {"revision": wanted.revision} if wanted.revision else {}
    try:
        rows = load_dataset(wanted.name, wanted.config, split=wanted.split, streaming=True, **with_revision)
        yield from rows.with_format("arrow").iter(batch_size=BATCH_ROWS)
    except (OSError, ValueError) as error:
        message = f"the data set can't be opened ({type(error).__name__})"
        fix = f"check its name, `config` and `split` ({wanted.split}); offline: {OFFLINE}"
        raise SourceError(message, where=pattern, fix=fix) from error


def _wanted(pattern: str) -> _Wanted:
    name, _, query = pattern.removeprefix("hf://datasets/").removeprefix("hf:").partition("?")
    asked = dict(parse_qsl(query))
    if unknown := sorted(set(asked) - {"config", "split", "revision"}):
        fix = "a data set takes ?config=, split= and revision="
        raise SourceError(f"no such part of a data set's address: {unknown[0]}", where=pattern, fix=fix)
    return _Wanted(name.strip(), asked.get("config"), asked.get("split", "train"), asked.get("revision"))


def _commit(wanted: _Wanted) -> str:
    """The commit that a name and revision stand for."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return str(HfApi().dataset_info(wanted.name, revision=wanted.revision, timeout=20).sha)
    except HFValidationError as error:
        fix = "a data set is called owner/name; a folder must exist"
        raise SourceError("this is no name of a data set", where=wanted.name, fix=fix) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        fix = "check the name; a private or gated data set needs `hf auth login`"
        raise SourceError(f"the hub refuses this data set (HTTP {status})", where=wanted.name, fix=fix) from error
    except Exception as error:
        if not _is_network(error):
            raise
        raise SourceError("the Hugging Face hub can't be reached", where=wanted.name, fix=OFFLINE) from error


def _is_network(error: Exception) -> bool:
    """Whether an error of the hub's client says "no connection": httpx and requests have trees of their own."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    roots = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return isinstance(error, OSError | OfflineModeIsEnabled) or bool(roots & {"httpx", "httpcore", "requests"})
