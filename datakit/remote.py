"""Filesystems by URL: a folder of this machine, `memory://`, an object store, or whatever else fsspec opens.

    s3:// s3a://  gs:// gcs://  az:// abfs://   obstore (extra `s3`): one package for all three, tested on S3
                                                fsspec's own s3fs, gcsfs, adlfs where they are installed
    hdfs:// sftp:// ...                         by fsspec; untested

A put to an object store is whole or not there, and `create` (If-None-Match: *) fails where an object stands already.
Keys come from the environment (AWS_ACCESS_KEY_ID ...) or fsspec's configuration. A URL that holds one is refused: URLs
stand in records, logs and errors.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

from datakit.errors import StoreError

OWN_PACKAGE = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""What fsspec opens these with; obstore is asked where it is missing."""
WHOLE_PUTS = frozenset({*OWN_PACKAGE, "memory"})
"""Protocols whose puts are whole or not there; on others a file is written beside its place and moved."""
SECRET = re.compile(
    r"//(?P<user>[^/@\s:]*):(?P<password>[^/@\s]+)@"
    r"|(?<=[?&;])(?P<name>x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|sig|signature"
    r"|token|access_token|api_?key|key|secret|password)=(?P<value>[^&;\s]+)",
    re.IGNORECASE,
)
"""A password before the host, or a signature or key among the parameters of a URL."""


def open_filesystem(url: str) -> tuple[Any, str]:
    """The filesystem of a URL and the path on it; StoreError if it can't be opened."""
    import fsspec

    if holds_secret(url):
        fix = "take it out of the URL and set it in the environment (AWS_ACCESS_KEY_ID and so on)"
        raise StoreError("the URL of a store must hold no password or key", where=redacted(url), fix=fix)
    know_object_stores()
    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        protocol = url.partition("://")[0]
        fix = "pip install 'datakit[s3]'" if protocol in OWN_PACKAGE else f"install fsspec's package for {protocol}"
        raise StoreError("this kind of address can't be opened", where=url, fix=fix) from error


def puts_whole(fs: Any) -> bool:
    """Whether what is put on a filesystem is whole or not there, and can be refused where something stands."""
    named = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    return bool(named & WHOLE_PUTS)


def holds_secret(url: str) -> bool:
    """Whether a URL holds a password, a key or a signature."""
    return "://" in url and SECRET.search(url) is not None


def redacted(url: str) -> str:
    """A URL without the secrets in it."""
    return SECRET.sub(lambda found: "//***@" if found["password"] else f"{found['name']}=***", url)


@cache
def know_object_stores() -> None:
    """Tell fsspec to open object stores with obstore where its own packages are missing."""
    import fsspec

    if find_spec("obstore") is None:
        return
    for protocol, package in OWN_PACKAGE.items():
        if find_spec(package) is None:
            fsspec.register_implementation(protocol, _object_store(protocol), clobber=True)


def _object_store(protocol: str) -> type:
    """obstore's filesystem for a protocol, with `create` and with errors of Python's kinds."""
    from obstore.fsspec import FsspecStore

    class ObjectStore(FsspecStore):
        async def _pipe_file(self, path: str, value: bytes, mode: Any = "overwrite", **_: Any) -> None:
            bucket, place = self._split_path(path)
            with _as_os_errors(path):
                try:
                    await self._construct_store(bucket).put_async(place, value, mode=mode)
                except FileNotFoundError:
                    raise OSError(errno.ENXIO, "there is no such bucket", path) from None

        async def _cat_file(self, path: str, start: Any = None, end: Any = None, **more: Any) -> bytes:
            with _as_os_errors(path):
                return await super()._cat_file(path, start, end, **more)

        async def _info(self, path: str, **more: Any) -> dict[str, Any]:
            with _as_os_errors(path):
                return await super()._info(path, **more)

        async def _ls(self, path: str, detail: Any = True, **more: Any) -> Any:
            with _as_os_errors(path):
                return await super()._ls(path, detail=detail, **more)

        async def _rm_file(self, path: str, **more: Any) -> None:
            with _as_os_errors(path):
                await super()._rm_file(path, **more)

    ObjectStore.protocol = protocol
    return ObjectStore


@contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """obstore's errors as OSError of one line. Their own words are left out: they quote requests and answers."""
    from obstore import exceptions as told

    try:
        yield
    except (told.AlreadyExistsError, FileExistsError):
        raise FileExistsError(errno.EEXIST, "is there already", path) from None
    except (told.NotFoundError, FileNotFoundError):
        raise FileNotFoundError(errno.ENOENT, "is not there", path) from None
    except (told.PermissionDeniedError, told.UnauthenticatedError, PermissionError):
        raise OSError(errno.EPERM, "the server refuses the key, or the access with it", path) from None
    except told.BaseError as error:
        raise OSError(errno.EIO, f"the server can't be reached ({type(error).__name__})", path) from None
