"""Runs killed at random moments, the whole process group by SIGKILL, and run again: the bytes must be those of an
undisturbed run, and after no kill may anything be torn.

    python -m tests.bench.bench_crash [--kills 200] [--a-run 20] [--seed 0] [--json]

The chain is that of tests/test_laws.py, ingest to pack, with two workers: shards, parts, drops, signals, steps, the
export and the name are being written while it dies. Each run is killed `--a-run` times on its way, at moments drawn
over the number of files that the store ends with, and then left to end.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from tests.test_laws import Settle, differences, kill_at, made_so_far, settled, torn


def main() -> None:
    """Kill, run again, compare."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--a-run", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        found = killed(settled(Path(folder)), given.kills, given.a_run, given.seed)
        found["seconds"] = round(time.monotonic() - started)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{found['kills']} kills of {found['runs']} runs, {found['at_work']} of them at work when they died")
    print(f"files torn after a kill: {found['torn']}; files other than in an undisturbed run: {found['different']}")
    print(f"{found['seconds']} s")


def killed(settle: Settle, kills: int, a_run: int, seed: int) -> dict[str, int]:
    """Counts of kills, of torn files after each, and of files that differ in the end."""
    whole, dice = settle("whole").run(), random.Random(seed)
    last = made_so_far(whole.root)
    found = {"kills": 0, "runs": 0, "at_work": 0, "torn": 0, "different": 0}
    while found["kills"] < kills:
        place = settle(f"killed-{found['runs']}")
        for files in sorted(dice.sample(range(last), min(a_run, kills - found["kills"]))):
            found["at_work"] += kill_at(place, files, dice.uniform(0, 0.05))
            found["torn"] += len(torn(place.root))
            found["kills"] += 1
        place.run("--workers", "2")
        found["torn"] += len(torn(place.root))
        found["different"] += len(differences(whole, place))
        found["runs"] += 1
    return found


if __name__ == "__main__":
    main()
