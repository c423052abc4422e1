"""`export --push`: one commit with our files alone, to a hub on loopback; the token is told to nobody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from datakit import api
from datakit.errors import ConfigError, StoreError
from tests.command_line import call, pipeline_file

TOKEN = "hf_secret_of_the_tests"


class Hub(ThreadingHTTPServer):
    """Keeps what is committed; refuses a wrong token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files: dict[str, bytes] = {}
        self.commits: list[str] = []
        self.private: bool | None = None
        self.page = f"http://127.0.0.1:{self.server_port}/datasets/kim/answers"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        tree = [
            {"type": "file", "path": name, "oid": "0" * 40, "size": len(d)} for name, d in self.server.files.items()
        ]
        siblings = [{"rfilename": name} for name in self.server.files]
        self._tell(tree if "/tree/" in self.path else {"id": "kim/answers", "sha": "0" * 40, "siblings": siblings})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._tell({"error": "no"}, 403)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.private = asked.get("visibility") == "private" or asked.get("private") is True
            self._tell({"url": self.server.page, "name": "kim/answers"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self._tell({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._tell({"warnings": [], "errors": []})

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.server.commits.append(value["summary"])
            elif line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del self.server.files[value["path"]]
        oid = f"{len(self.server.commits):040d}"
        self._tell({"success": True, "commitOid": oid, "commitUrl": f"{self.server.page}/commit/{oid}"})

    def _tell(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, a dataset `p` in the store, and the token in the environment."""
    (here / "rows.jsonl").write_text(
        '{"text": "대한민국의 수도는 서울입니다."}\n{"text": "Hello."}\n', encoding="utf-8"
    )
    assert call("run", pipeline_file("{use: ingest, files: rows.jsonl}")).code == 0
    server = Hub()
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    # Read once, when the library is imported: another test may have done so before.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()


def test_push_commits_our_files_alone_and_tells_no_token(hub: Hub, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out/diary.txt").write_text("mine")
    told = call("export", "p", "out", "--push", "kim/answers", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["commit"].startswith(f"{hub.page}/commit/")
    assert set(hub.files) == {"README.md", "train-00000-of-00001.parquet", "dataset_info.json"}
    assert hub.files["README.md"] == (here / "out/README.md").read_bytes()
    assert hub.private is True
    assert hub.commits[0].startswith("p@")
    assert TOKEN not in told.out + told.err
    assert not [path for path in here.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_push_again_takes_shards_of_the_larger_export_away(hub: Hub) -> None:
    hub.files |= {"train-00001-of-00002.parquet": b"old", "notes.md": b"by hand"}
    api.export("p", "out", push="kim/answers", public=True)
    assert set(hub.files) == {"README.md", "train-00000-of-00001.parquet", "dataset_info.json", "notes.md"}
    assert hub.private is False


def test_push_without_a_token_or_with_a_bad_name_or_refused_says_how_to_mend(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no name of a dataset"):
        api.export("p", "out", push="no spaces allowed/x")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(StoreError, match=r"refused the dataset \(403\)") as caught:
        api.export("p", "out", push="kim/answers")
    assert "hf_wrong" not in str(caught.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigError, match="no token") as missing:
        api.export("p", "out", push="kim/answers")
    assert "HF_TOKEN" in missing.value.fix
    assert not hub.files
