"""A real S3 server on loopback: moto's, in an environment of its own (it wants older packages than ours)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

from tests.bench import peers

BUCKET = "corpus"
SECRET = "canary-hidden-4f1b9c"
"""Stands for a secret key; no file, error or output may hold it."""


def environment(address: str) -> dict[str, str]:
    """What a process needs to reach the server."""
    return {
        "AWS_ACCESS_KEY_ID": "AKIACANARY4F1B9C",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
    }


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server that holds one empty bucket, until the block ends."""
    program = str(peers.ENVIRONMENTS / "moto" / "bin" / "moto_server")
    server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    drain: subprocess.Popen[bytes] | None = None
    try:
        said = (re.search(r"Running on (http://127\.0\.0\.1:\d+)", line) for line in server.stderr)
        address = next(found[1] for found in said if found)
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        with urlopen(Request(f"{address}/{BUCKET}", method="PUT")):
            yield address
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()
        if drain is not None:
            drain.wait()
