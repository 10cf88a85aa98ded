"""`python -m benchmarks.generator`: how long the generator takes, and how it grows with the spec."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.generator import made_up

ROOT = Path(__file__).parent.parent

SIZES = (250, 500, 1000)
RUNS = 3
"""The best of so many counts: a busy machine makes a run longer, nothing makes it shorter."""

SECOND_RUN = 3.0
"""Seconds that `make generate` may take when the output is there already."""

LARGEST = 15.0
"""Seconds that the largest size may take."""

STEEPEST = 1.3
"""How many times the processors' seconds per operation may grow from the smallest size to the largest."""


@dataclass(frozen=True)
class Time:
    """What a run took: by the clock, and of the processors."""

    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.clock:7.2f} s  ({self.processor:.2f} s of the processors)"


def measured(*arguments: object) -> Time:
    """The shortest of some whole runs of the generator, each in a process of its own."""
    found = []
    for _ in range(RUNS):
        clock, processor = time.perf_counter(), _processors()
        subprocess.run(
            [sys.executable, "-m", "generator", *map(str, arguments)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        found.append(Time(time.perf_counter() - clock, _processors() - processor))
    return min(found, key=lambda entry: entry.clock)


def _processors() -> float:
    """Seconds of the processors that the processes started from here have used."""
    used = os.times()
    return used.children_user + used.children_system


def verdict(kept: bool) -> str:
    return "ok" if kept else "MISSED"


def main() -> int:
    """Measure, print, and tell by the exit status whether all bars are kept."""
    with tempfile.TemporaryDirectory() as scratch:
        # All the work of `make generate` but the last renaming, so that nothing is touched.
        second = measured("--check")
        bars = [second.clock < SECOND_RUN]
        print(f"make generate, second run  {second}  bar {SECOND_RUN:g} s: {verdict(bars[-1])}")
        found: dict[int, Time] = {}
        for size in SIZES:
            spec = made_up.write(size, Path(scratch))
            found[size] = measured("--spec", spec, "--out", Path(scratch) / str(size))
            print(f"{size:5} operations           {found[size]}")
    bars.append(found[SIZES[-1]].clock < LARGEST)
    print(f"{SIZES[-1]} operations: bar {LARGEST:g} s: {verdict(bars[-1])}")
    first, last = (found[size].processor / size for size in (SIZES[0], SIZES[-1]))
    bars.append(last < STEEPEST * first)
    growth = f"{1000 * first:.2f} ms each at {SIZES[0]}, {1000 * last:.2f} ms at {SIZES[-1]}"
    print(f"growth: {growth}, linear is up to {STEEPEST:g} times: {verdict(bars[-1])}")
    return 0 if all(bars) else 1


if __name__ == "__main__":
    sys.exit(main())
