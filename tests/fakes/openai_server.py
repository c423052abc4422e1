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
    usage: tuple[int, int] | None = (3, 2)
    """Tokens of prompt and reply that the server tells; None: it tells nothing."""
    cut: bool = False
    """Close the connection in the middle of the answer."""


Script = Callable[[int, dict[str, Any]], Answer]
"""From the number of the request (0, 1, …) and its body to the answer."""


@dataclass
class FakeServer:
    """A running server: its address and what it was asked."""

    url: str
    bodies: list[dict[str, Any]]
    keys: list[str]


class QuietServer(ThreadingHTTPServer):
    """Says nothing about clients that went away, and takes as many at once as come."""

    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client was killed, or its patience ended: that is what some tests are about."""


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
            try:
                answer = script(number, body)
            except Exception:  # the test is over, or wants no answer
                self.close_connection = True
                return
            data = answer.raw if answer.raw is not None else json.dumps(_completion(answer)).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if answer.cut else data)
            self.close_connection = answer.cut

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    server = QuietServer(("127.0.0.1", 0), Handler)
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
        code, _, param = answer.text.partition(":")
        return {"error": {"message": "scripted", "code": code, "param": param or None}}
    message = {"role": "assistant", "content": answer.text}
    tokens = dict(zip(("prompt_tokens", "completion_tokens"), answer.usage, strict=True)) if answer.usage else {}
    return {
        "id": "fake",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": {**tokens, "total_tokens": sum(answer.usage)} if answer.usage else None,
    }
