"""What does the engine add to the time that an endpoint takes, and how much memory do queued requests need?

    python -m tests.bench.bench_teacher [--requests 1000] [--in-flight 100] [--queued 10000] [--json]

A server on loopback, in a process of its own, answers each chat completion after 200 ms. Asked are `--requests`
requests with `--in-flight` at once, best of three: the ideal is requests / in-flight x 0.2 s. Every reply is checked
against its prompt, and must be on disk. Then the same with the `openai` client as it comes (`chat.completions.create`
and a semaphore), which keeps nothing, and `--queued` requests at once for the memory of the process at its highest.

Wall time counts here, since waiting is the point; it needs two cores that have nothing else to do. CPU seconds beside
it say how far the machine was busy with other things.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datakit.teachers import Reply, Request, TeacherSpec, open_teacher

DELAY = 0.2
SERVER = '''
import asyncio, json, sys

class Chat(asyncio.Protocol):
    """Keep-alive HTTP: each request is answered after a while with what it said."""

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data:
            head, _, rest = self.data.partition(b"\\r\\n\\r\\n")
            size = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            if len(rest) < size:
                return
            body, self.data = json.loads(rest[:size]), rest[size:]
            asyncio.get_running_loop().call_later(float(sys.argv[1]), self.answer, body["messages"][0]["content"])

    def answer(self, said):
        message = {"role": "assistant", "content": said[::-1] + "." * 400}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 60, "completion_tokens": 110, "total_tokens": 170}
        base = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
        body = json.dumps({**base, "choices": [choice], "usage": usage}).encode()
        head = "HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)

async def main():
    server = await asyncio.get_running_loop().create_server(Chat, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
'''


@contextmanager
def slow_server() -> Iterator[str]:
    """The address of a server that takes its time."""
    with subprocess.Popen([sys.executable, "-c", SERVER, str(DELAY)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        server.kill()


def requests(count: int) -> list[Request]:
    """Requests of a few hundred bytes, all different."""
    return [
        Request((("user", f"{n} 번째 질문: " + "비가 오면 왜 무지개가 뜨나요? " * 6),), number=n) for n in range(count)
    ]


def ours(url: str, asked: list[Request], in_flight: int) -> tuple[float, float, dict[str, float]]:
    """Wall and CPU seconds of the engine, replies kept on disk and checked; seconds of a second run from disk."""
    spec = TeacherSpec(base_url=url, model="m", concurrency=in_flight)
    with tempfile.TemporaryDirectory() as folder:
        teacher = open_teacher(spec, Path(folder))
        teacher.complete(asked[:1], _nothing)  # imports the client, opens the loop
        wall, cpu, replies = _timed(lambda: teacher.complete(asked, _nothing))
        teacher.close()
        again = open_teacher(spec, Path(folder))
        _, disk, kept = _timed(lambda: again.complete(asked, _nothing))
        again.close()
        lines = sum(path.read_bytes().count(b"\n") for path in Path(folder).rglob("*.jsonl"))
    good = [
        reply.text == request.messages[0][1][::-1] + "." * 400 for request, reply in zip(asked, replies, strict=True)
    ]
    if not all(good) or kept != replies or lines != len(asked) or again.spent.from_disk != len(asked):
        sys.exit("a reply is not that of its request, or not on disk; no times are shown")
    return wall, cpu, {"disk_s": disk}


def plain(url: str, asked: list[Request], in_flight: int) -> tuple[float, float]:
    """Wall and CPU seconds of the client as it comes."""
    from openai import AsyncOpenAI

    async def main() -> list[Any]:
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            places = asyncio.Semaphore(in_flight)

            async def one(request: Request) -> Any:
                messages: Any = [{"role": role, "content": content} for role, content in request.messages]
                async with places:
                    return await client.chat.completions.create(model="m", messages=messages, max_tokens=1024)

            return await asyncio.gather(*(one(request) for request in asked))

    wall, cpu, _ = _timed(lambda: asyncio.run(main()))
    return wall, cpu


def queued(count: int, in_flight: int) -> dict[str, float]:
    """Highest memory of a fresh process that has so many requests waiting, in MB, before and after."""
    program = (
        "from tests.bench.bench_teacher import *; from tests.bench.bench_teacher import _memory\n"
        f"asked = requests({count})\nimport openai\nbefore = _memory()\n"
        f"with slow_server() as url: wall, cpu, _ = ours(url, asked, {in_flight})\n"
        "print(json.dumps({'before_MB': before, 'highest_MB': _memory(), 'wall_s': wall, 'cpu_s': cpu}))"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def _nothing(place: int, reply: Reply) -> None:
    """Nobody listens."""


def main() -> None:
    """Run the bench."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--requests", type=int, default=1000)
    given.add_argument("--in-flight", type=int, default=100)
    given.add_argument("--queued", type=int, default=10_000)
    given.add_argument("--json", action="store_true")
    told = given.parse_args()
    load, ideal = os.getloadavg()[0], told.requests / told.in_flight * DELAY
    asked = requests(told.requests)
    with slow_server() as url:
        engine = min(ours(url, asked, told.in_flight) for _ in range(3))
        client = min(plain(url, asked, told.in_flight) for _ in range(3))
    memory = queued(told.queued, told.in_flight)
    figures = {"ideal_s": ideal, "wall_s": engine[0], "cpu_s": engine[1], **engine[2], "ratio": engine[0] / ideal}
    figures |= {"client_wall_s": client[0], "client_cpu_s": client[1], "queued": memory, "load": load}
    if told.json:
        print(json.dumps(figures))
        return
    print(f"load before the run {load:.1f}; every reply is that of its request, and on disk")
    print(f"{told.requests:,} requests, {told.in_flight} in flight, 200 ms each; ideal {ideal:.2f} s")
    print(f"datakit        {engine[0]:.2f} s ({engine[0] / ideal:.2f}x the ideal), CPU {engine[1]:.2f} s", end="; ")
    print(f"again from disk {engine[2]['disk_s']:.2f} s CPU")
    print(f"openai client  {client[0]:.2f} s ({client[0] / ideal:.2f}x), CPU {client[1]:.2f} s, nothing kept")
    print(f"{told.queued:,} queued: {memory['highest_MB']:.0f} MB at the highest ({memory['before_MB']:.0f} before)")


if __name__ == "__main__":
    main()
