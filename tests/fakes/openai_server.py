"""A small OpenAI-compatible server on loopback whose answers a test scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


@dataclass
class Answer:
    """What the server sends for one request."""

    status: int = 200
    text: str = "fine"
    raw: bytes | None = None
    """Sent instead of a completion."""
    headers: dict[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"


Script = Callable[[int, dict[str, Any]], Answer]
"""From the number of the request (0, 1, …) and its body to the answer."""


@dataclass
class FakeServer:
    """A running server: its address and what it was asked."""

    url: str
    bodies: list[dict[str, Any]]
    keys: list[str]


@contextmanager
def openai_server(script: Script) -> Iterator[FakeServer]:
    """Serve `script` on a free port until the block ends."""
    bodies: list[dict[str, Any]] = []
    keys: list[str] = []
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(bodies)
                bodies.append(body)
                keys.append(self.headers.get("Authorization", ""))
            answer = script(number, body)
            data = answer.raw if answer.raw is not None else json.dumps(_completion(answer)).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield FakeServer(f"http://127.0.0.1:{server.server_address[1]}/v1", bodies, keys)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _completion(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        return {"error": {"message": "scripted", "code": answer.text}}
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": "fake",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
