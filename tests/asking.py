"""What the tests of teachers share: requests, specs, and teachers that wait next to nothing before they try again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datakit.teachers import Reply, Request, TeacherSpec, open_teacher
from datakit.teachers.budget import Budget
from datakit.teachers.metered import Metered


def ask(text: str, number: int = 0, **settings: Any) -> Request:
    return Request((("user", text),), "instructions", "ko", number, **{"max_tokens": 16, "seed": number, **settings})


def endpoint(url: str, **settings: Any) -> TeacherSpec:
    return TeacherSpec.model_validate({"model": "m", "base_url": url, **settings})


def nothing(place: int, reply: Reply) -> None:
    """Nobody listens."""


@contextmanager
def opened(
    spec: TeacherSpec, cache: Path, budget: Budget | None = None, tell: Callable[[str], None] | None = None
) -> Iterator[Metered]:
    """A teacher as a stage gets it; `.teacher` are the replies on disk, `.teacher.teacher` is who is asked."""
    teacher = open_teacher(spec, cache, budget, tell)
    asked = getattr(teacher.teacher, "teacher", None)
    for patience in ("first_wait", "first_poll"):
        if hasattr(asked, patience):
            setattr(asked, patience, 0.001)
    try:
        yield teacher
    finally:
        teacher.close()


def replies_to(spec: TeacherSpec, cache: Path, requests: list[Request], budget: Budget | None = None) -> list[Reply]:
    """Open, ask, close."""
    with opened(spec, cache, budget) as teacher:
        return teacher.complete(requests, nothing)
