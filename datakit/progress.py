"""Progress for people: one bar a step with rate and time left on a terminal, one line a step in a log. On stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from datakit.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from datakit.trainer import Event

QUIET_SECONDS = 10.0
"""In a log, a long step says something this often."""
OVER = -1.0
"""Stands for the time at which a step last spoke once it is over."""


class ProgressBars:
    """A `report` that draws: `with ProgressBars() as bars: api.run(..., report=bars.report, tell=bars.tell)`."""

    def __init__(self) -> None:
        self.live: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.said: dict[str, float] = {}
        self.begun: dict[str, float] = {}

    def __enter__(self) -> ProgressBars:
        if sys.stderr.isatty():
            self.live = _bars()
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def report(self, event: Event) -> None:
        """Show one event."""
        if self.live is None:
            self._log(event)
            return
        if event.what not in self.tasks:
            self.tasks[event.what] = self.live.add_task(visible(event.what), total=event.total or None, figures="")
        figures = _figures(event.values)
        self.live.update(self.tasks[event.what], completed=event.done, total=event.total or None, figures=figures)

    def tell(self, text: str) -> None:
        """Say one line."""
        text = visible(text)
        if self.live is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self.live.console.print(text, markup=False, highlight=False)

    def _log(self, event: Event) -> None:
        now = time.monotonic()
        over = event.total > 0 and event.done >= event.total
        if not over and self.said.get(event.what) == OVER:
            # The step goes over its shards once more.
            del self.said[event.what], self.begun[event.what]
        if event.done == 0 and event.what not in self.begun:
            print(f"{event.what} ...", file=sys.stderr, flush=True)
        self.begun.setdefault(event.what, now)
        if not over and now - self.said.get(event.what, self.begun[event.what]) < QUIET_SECONDS:
            return
        if over and self.said.get(event.what) == OVER:
            return
        self.said[event.what] = OVER if over else now
        share = f"{event.done}/{event.total}" if event.total else f"{event.done}"
        spent = f"{now - self.begun[event.what]:.1f} s"
        line = "  ".join(part for part in (_padded(event.what, 28), share, spent, _figures(event.values)) if part)
        print(line, file=sys.stderr, flush=True)


def _padded(name: str, cells: int) -> str:
    """The name with blanks up to so many cells of a terminal; a Korean letter takes two."""
    from rich.cells import cell_len

    return name + " " * (cells - cell_len(name))


def _bars(console: Console | None = None) -> Progress:
    """The bars; on a narrow terminal the figures have room because the bar gives way."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    console = console or Console(stderr=True)
    narrow = console.width < 100
    return Progress(
        TextColumn(
            "{task.description}", markup=False, table_column=Column(min_width=18 if narrow else 24, no_wrap=True)
        ),
        BarColumn(bar_width=10 if narrow else 24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", style="dim", markup=False, table_column=Column(no_wrap=True)),
        console=console,
    )


def _figures(values: dict[str, Any] | None) -> str:
    """A few figures in one line: `loss 1.234  1,024 rows`."""
    told = []
    for name, value in (values or {}).items():
        shown = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
        told.append(f"{name} {shown}")
    return "  ".join(told)
