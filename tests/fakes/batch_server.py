"""A server on loopback that speaks OpenAI's files and batches; a test says what becomes of each batch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Lock, Thread
from typing import Any

from tests.fakes.openai_server import QuietServer


@dataclass
class Result:
    """What a batch says about one of its requests."""

    text: str = "fine"
    status: int = 200
    code: str = ""
    missing: bool = False
    """No line at all."""


@dataclass
class BatchServer:
    """What it holds, and how it behaves."""

    url: str = ""
    answer: Callable[[dict[str, Any]], Result] = lambda body: Result()
    """From the body of a request to its result."""
    ends: Callable[[int], str] = lambda number: "completed"
    """From the number of a batch to the status that it ends in."""
    looks: int = 1
    """How often a batch is looked at before it has ended."""
    before: Callable[[str, str], int] = lambda method, path: 200
    """Called before a request is worked on; another status than 200 is sent instead."""
    after: Callable[[str, str], None] = lambda method, path: None
    """Called when it was worked on and is not answered yet."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)

    @property
    def paid(self) -> list[str]:
        """The custom ids of all requests in all batches."""
        uploads = [self.files[batch["input_file_id"]] for batch in self.batches.values()]
        return [json.loads(line)["custom_id"] for data in uploads for line in data.splitlines()]

    def upload(self, data: bytes, content_type: str) -> dict[str, Any]:
        boundary = re.search(r"boundary=(\S+)", content_type)
        assert boundary
        parts = data.split(b"--" + boundary[1].encode())
        content = next(part for part in parts if b'name="file"' in part).partition(b"\r\n\r\n")[2][:-2]
        return self._file(content)

    def create(self, told: dict[str, Any]) -> dict[str, Any]:
        name, number = f"batch-{len(self.batches)}", len(self.batches)
        lines = [json.loads(line) for line in self.files[told["input_file_id"]].splitlines()]
        good, bad = [], []
        for line in lines:
            assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
            result = self.answer(line["body"])
            if not result.missing:
                (good if result.status == 200 else bad).append(_line(line["custom_id"], result))
        status = self.ends(number)
        output = {} if status == "failed" else {"output_file_id": self._lines(good), "error_file_id": self._lines(bad)}
        counts = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        errors = {"errors": {"object": "list", "data": [{"code": "bad_file"}]}} if status == "failed" else {}
        base = {
            "id": name,
            "object": "batch",
            "created_at": 0,
            "completion_window": "24h",
            "endpoint": told["endpoint"],
        }
        self.batches[name] = {
            **base, **output, **errors, "input_file_id": told["input_file_id"], "status": status,
            "request_counts": counts,
        }  # fmt: skip
        return {**self.batches[name], "status": "validating"}

    def look(self, name: str) -> dict[str, Any] | None:
        self.looked[name] = self.looked.get(name, 0) + 1
        if name in self.batches and self.looked[name] <= self.looks:
            return {**self.batches[name], "status": "in_progress"}
        return self.batches.get(name)

    def _file(self, content: bytes) -> dict[str, Any]:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        base = {"id": name, "object": "file", "bytes": len(content), "created_at": 0, "filename": "x.jsonl"}
        return {**base, "purpose": "batch", "status": "processed"}

    def _lines(self, lines: list[dict[str, Any]]) -> str | None:
        return str(self._file(b"".join(json.dumps(line).encode() + b"\n" for line in lines))["id"]) if lines else None


def _line(name: str, result: Result) -> dict[str, Any]:
    message = {"role": "assistant", "content": result.text}
    good = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    body = good if result.status == 200 else {"error": {"code": result.code, "message": "scripted"}}
    return {"custom_id": name, "response": {"status_code": result.status, "body": body}, "error": None}


@contextmanager
def batch_server() -> Iterator[BatchServer]:
    """Serve files and batches on a free port until the block ends."""
    state, lock = BatchServer(), Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._work()

        def do_POST(self) -> None:
            self._work()

        def _work(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].removeprefix("/v1")
            with lock:
                status = state.before(self.command, path)
                found = self._found(path, data) if status == 200 else {"error": {"message": "scripted"}}
                state.after(self.command, path)
            if found is None:
                status, found = 404, {"error": {"message": "scripted"}}
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header(
                "Content-Type", "application/octet-stream" if isinstance(found, bytes) else "application/json"
            )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _found(self, path: str, data: bytes) -> Any:
            if (self.command, path) == ("POST", "/files"):
                return state.upload(data, self.headers["Content-Type"])
            if (self.command, path) == ("POST", "/batches"):
                return state.create(json.loads(data))
            if path == "/batches":
                return {"object": "list", "data": list(reversed(state.batches.values())), "has_more": False}
            if path.startswith("/batches/"):
                return state.look(path.split("/")[2])
            return state.files.get(path.split("/")[2])

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
