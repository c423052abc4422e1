"""kiwipiepy in a child process: its death or its silence is an error of ours, never the end of the worker.

One child a worker process, started when first asked (1 s of CPU, 300 MB), ended with the worker. It gets what
`harmless` leaves: short pieces of Hangul and ASCII without long numbers or repetitions, which is what its known crashes
are made of (kiwipiepy #158: 보통 x 40,000; #172: crawled pages). Nothing it says on stderr is shown: it may be text.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from datakit.errors import StageError
from datakit.stages.pii.kiwi_child import UNKNOWN as UNKNOWN

LONGEST = 200
"""Characters of a piece."""
AT_ONCE = 64
"""Pieces of one request: the child reads all of it before it answers, so neither waits for the other."""
PATIENCE = 120.0
"""Seconds until a silent child is given up; a request takes 0.2 s, its start 2."""
Morpheme = tuple[int, int, str]
"""Start and length in code points, and tag (NNP, JKS ...; UNKNOWN for a word that no dictionary knows)."""

_ODD = re.compile("[^가-힣 -~]")
_LONG_NUMBER = re.compile(r"[0-9]{16,}")
_REPEATED = re.compile(r"(.{1,8}?)\1{5,}")
_DIED = "kiwipiepy died on a text"
_SILENT = "kiwipiepy did not answer"
_FIX = "set `names: rules` for these files; no text was passed on"


def harmless(text: str) -> str:
    """The text as kiwipiepy may see it, character for character: nothing but Hangul and ASCII (a space for the rest),
    spaces in place of numbers of 16 digits or more and of what stands six times in a row."""
    text = _ODD.sub(" ", text)
    for pattern in (_LONG_NUMBER, _REPEATED):
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return text


class KiwiProcess:
    """The child at work."""

    def __init__(self, command: Sequence[str] = ()) -> None:
        own = [sys.executable, "-X", "utf8", "-P", str(Path(__file__).with_name("kiwi_child.py"))]
        self._command = list(command) or own
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self, texts: Sequence[str], patience: float = PATIENCE) -> list[list[Morpheme]]:
        """The morphemes of harmless texts. StageError if the child dies or falls silent; the next call starts anew."""
        found: list[list[Morpheme]] = []
        for at in range(0, len(texts), AT_ONCE):
            found += self._asked(texts[at : at + AT_ONCE], patience)
        return found

    def _asked(self, texts: Sequence[str], patience: float) -> list[list[Morpheme]]:
        child = self._child = self._child or self._started()
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # a dead child answers nothing, which is told below
            child.stdin.write(json.dumps(texts, ensure_ascii=False).encode() + b"\n")
            child.stdin.flush()
        answer, waited = self._line(child, patience)
        if answer is not None:
            return [[(start, length, tag) for start, length, tag in morphemes] for morphemes in json.loads(answer)]
        self.close()
        raise StageError(_DIED if waited else _SILENT, fix=_FIX)

    def _line(self, child: subprocess.Popen[bytes], patience: float) -> tuple[bytes | None, bool]:
        """The child's answer (None: there is none), and whether anything came before patience ended."""
        assert child.stdout is not None
        parts: list[bytes] = []
        with DefaultSelector() as selector:
            selector.register(child.stdout, EVENT_READ)
            while selector.select(patience):
                parts.append(child.stdout.read1(1 << 20))  # type: ignore[attr-defined]
                if not parts[-1]:
                    return None, True
                if parts[-1].endswith(b"\n"):
                    return b"".join(parts), True
        return None, False

    def _started(self) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet)

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


@cache
def kiwi_process() -> KiwiProcess:
    """The one of this worker process."""
    import atexit

    process = KiwiProcess()
    atexit.register(process.close)
    return process
