"""Measure how long the generator takes, and how that grows with the spec: `python -m benchmarks.generator`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.generator import made_up

from .report import Table, children_cpu

ROOT = Path(__file__).parent.parent

SIZES = (250, 500, 1000)
RUNS = 3
"""The best of these counts: a busy machine can only make a run longer."""

SECOND_RUN = 3.0
"""Seconds that `make generate` may take when the output already exists."""

LARGEST = 15.0
"""Seconds that the largest size may take."""

STEEPEST = 1.3
"""By how much the CPU time per operation may grow from the smallest size to the largest."""


class Time(NamedTuple):
    """The wall and CPU seconds of a run."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.cpu:.2f} s CPU)"


def measured(*arguments: object) -> Time:
    """Return the time of the fastest of several runs of the generator, each in its own process."""
    found = []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), children_cpu()
        subprocess.run(
            [sys.executable, "-m", "generator", *map(str, arguments)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        found.append(Time(time.perf_counter() - wall, children_cpu() - cpu))
    return min(found)


def main() -> int:
    """Measure, print, and return 1 if a bar is missed."""
    table = Table()
    # Everything that `make generate` does except the final renaming, so that no file changes.
    second = measured("--check")
    table.row("make generate, second run", str(second), f"{SECOND_RUN:g} s", second.wall < SECOND_RUN)
    found: dict[int, Time] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for size in SIZES:
            spec = made_up.write(size, Path(scratch))
            found[size] = measured("--spec", spec, "--out", Path(scratch) / str(size))
            bar = f"{LARGEST:g} s" if size == SIZES[-1] else ""
            table.row(f"{size} operations", str(found[size]), bar, not bar or found[size].wall < LARGEST)
    first, last = (found[size].cpu / size * 1000 for size in (SIZES[0], SIZES[-1]))
    growth = f"{first:.2f} to {last:.2f} ms"
    table.row("CPU time per operation, smallest to largest", growth, f"{STEEPEST:g} times", last < STEEPEST * first)
    return table.status


if __name__ == "__main__":
    sys.exit(main())
