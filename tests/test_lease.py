"""The lease: one holder at a time, taken over from the dead."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from datakit.errors import StoreError
from datakit.lease import STALE_AFTER, lease
from datakit.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path).prepare()


def test_second_holder_is_told_who_holds_it(store: Store) -> None:
    told = f"refresh a, process {os.getpid()}"
    with lease(store, "refresh a"), pytest.raises(StoreError, match=told), lease(store, "refresh b"):
        pass


def test_lease_is_given_back_also_after_an_error(store: Store) -> None:
    with pytest.raises(ValueError, match="x"), lease(store, "a"):
        raise ValueError("x")
    with lease(store, "b"):
        assert (Path(store.root) / "lease.json").exists()
    assert not (Path(store.root) / "lease.json").exists()


def test_lease_of_a_dead_process_is_taken_over(store: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    held = {"host": socket.gethostname(), "pid": gone.pid, "purpose": "refresh"}
    (Path(store.root) / "lease.json").write_text(json.dumps(held))
    with lease(store, "refresh"):
        pass


def test_silent_lease_of_another_machine_is_taken_over(store: Store) -> None:
    path = Path(store.root) / "lease.json"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "purpose": "refresh"}))
    with pytest.raises(StoreError, match="elsewhere"), lease(store, "refresh"):
        pass
    old = path.stat().st_mtime - STALE_AFTER - 1
    os.utime(path, (old, old))
    with lease(store, "refresh"):
        pass
