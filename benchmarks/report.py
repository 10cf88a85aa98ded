"""Compare functions side by side, and print results with their bars."""

from __future__ import annotations

import datetime as dt
import gc
import os
import platform
import statistics
from collections.abc import Callable, Mapping


class Table:
    """A table of results that is printed row by row and remembers which bars were missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []
        print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, {dt.date.today()}")

    @property
    def status(self) -> int:
        """The program's exit status: 1 if a bar was missed, otherwise 0."""
        return int(bool(self.missed))

    def verdict(self, measure: str, met: bool) -> str:
        """Record whether a bar was met, and return what to print after the figure."""
        if not met:
            self.missed.append(measure)
        return "" if met else " MISSED"

    def row(self, measure: str, value: str, bar: str = "", met: bool = True) -> None:
        mark = f"   bar: {bar}{self.verdict(measure, met)}" if bar else ""
        print(f"{measure:<62} {value:>24}{mark}", flush=True)

    def compare(self, measure: str, value: str, ratio: float, most: float | None = None) -> None:
        """Add a row with a ratio to a rival, which may be limited."""
        self.row(measure, f"{value} {ratio:7.2f}", "" if most is None else f"{most:g}", most is None or ratio <= most)


class SideBySide:
    """The times of functions that run in turns, so that a busy machine slows them all."""

    def __init__(
        self,
        clock: Callable[[], float],
        rounds: int,
        functions: Mapping[str, Callable[[], object]],
        calls: Callable[[Callable[[], object]], int] = lambda function: 1,
    ) -> None:
        """Run all functions in each round, each as many times as `calls` says, and keep the seconds of one call."""
        self.times: dict[str, list[float]] = {name: [] for name in functions}
        counts = {name: calls(function) for name, function in functions.items()}
        for function in functions.values():
            function()
        gc.collect()
        for _ in range(rounds):
            for name, function in functions.items():
                self.times[name].append(seconds(clock, function, counts[name]))

    def median(self, name: str) -> float:
        """Return the median time of one call, in seconds."""
        return statistics.median(self.times[name])

    def ratio(self, name: str, other: str) -> float:
        """Return the median of the rounds' ratios."""
        return statistics.median(one / two for one, two in zip(self.times[name], self.times[other], strict=True))


def seconds(clock: Callable[[], float], function: Callable[[], object], calls: int) -> float:
    """Return the seconds that one of several calls takes."""
    start = clock()
    for _ in range(calls):
        function()
    return (clock() - start) / calls or 1e-9


def children_cpu() -> float:
    """Return the CPU seconds of all finished child processes."""
    used = os.times()
    return used.children_user + used.children_system
