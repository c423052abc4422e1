"""Passes by a clock: every so often, by a cron expression, or by the machine's own scheduler (`datakit schedule`).

A pass that takes longer than its interval makes the next one late, not double: missed times collapse into one.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from datakit.errors import ConfigError, DatakitError, Problem

SYSTEMD = """\
# ~/.config/systemd/user/{name}.service
[Unit]
Description=datakit refresh of {name}

[Service]
Type=oneshot
WorkingDirectory={folder}
ExecStart={command}
# 5: a gate held the new version back; the last one stands
SuccessExitStatus=5

# ~/.config/systemd/user/{name}.timer
[Unit]
Description=datakit refresh of {name}, every day

[Timer]
OnCalendar=*-*-* {hour:02}:{minute:02}:00
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl --user daemon-reload && systemctl --user enable --now {name}.timer
"""


def every(interval: str, action: Callable[[], Any]) -> None:
    """Run `action` now and then every "30m", "6h", "1d"; a pass that fails is told by its caller, the clock goes on."""
    seconds = parse_interval(interval)
    while True:
        started = time.monotonic()
        action()
        time.sleep(max(0.0, seconds - (time.monotonic() - started)))


def by_cron(expression: str, action: Callable[[], Any]) -> None:
    """Run `action` by a cron expression of five fields in local time; missed times collapse into one."""
    try:
        from apscheduler.schedulers.blocking import BlockingScheduler
        from apscheduler.triggers.cron import CronTrigger
    except ImportError as error:
        raise ConfigError(
            (Problem("--cron", "needs the package apscheduler", "pip install 'datakit[schedule]'"),)
        ) from error
    try:
        trigger = CronTrigger.from_crontab(expression)
    except ValueError as error:
        problem = Problem("--cron", f"{expression!r} is not a cron expression", 'five fields, such as "0 3 * * *"')
        raise ConfigError((problem,)) from error
    scheduler = BlockingScheduler()
    scheduler.add_job(action, trigger, coalesce=True, max_instances=1, misfire_grace_time=None)
    scheduler.start()


def parse_interval(interval: str) -> float:
    """Seconds of "45s", "30m", "6h", "1d"."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = interval[:-1], interval[-1:]
    if unit not in units or not number.isdigit() or int(number) == 0:
        raise ConfigError((Problem("--every", f"{interval!r} is not an interval", "write 30m, 6h or 1d"),))
    return int(number) * units[unit]


def failed(error: DatakitError) -> str:
    """One line about a failed pass, for the log of a scheduler."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ} " + " | ".join(error.lines())


def schedule(file: Path, name: str, store: str, form: Literal["systemd", "cron"], at: str) -> str:
    """The systemd units, or the crontab line, that refresh a pipeline file every day at a time of day, "03:00"."""
    hour, _, minute = at.partition(":")
    if not (hour.isdigit() and minute.isdigit() and len(minute) == 2 and int(hour) < 24 and int(minute) < 60):
        raise ConfigError((Problem("--at", f"{at!r} is not a time of day", "write 03:00"),))
    folder = Path.cwd()
    words = [sys.executable, "-m", "datakit", "refresh", str(file), "--store", store]
    if form == "systemd":
        # systemd reads quotes as a shell does, and % as its own sign.
        command = shlex.join(words).replace("%", "%%")
        return SYSTEMD.format(
            name=f"datakit-{name}", folder=str(folder).replace("%", "%%"), command=command, hour=int(hour),
            minute=int(minute),
        )  # fmt: skip
    # cron takes % for the end of the line.
    line = f"cd {shlex.quote(str(folder))} && {shlex.join(words)} >> {name}.log 2>&1".replace("%", r"\%")
    return f"{int(minute)} {int(hour)} * * * {line}\n"
