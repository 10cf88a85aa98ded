"""Measure what a fleet promises, and print each figure with its bar: `python -m benchmarks.fleet`.

The exit status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..report import Table
from . import cluster, connections, frozen, killed, speed, takeover

Part = Callable[[Table, Path, bool], Awaitable[None]]


async def kills(table: Table, folder: Path, quick: bool) -> None:
    if quick:
        await killed.ordeal(table, folder, accounts=12, users=6, dialogs=2, each=12, kills=2, nats_kills=1)
    else:
        await killed.ordeal(table, folder, accounts=200, users=40, dialogs=2, each=25, kills=5, nats_kills=2)


async def dies(table: Table, folder: Path, quick: bool) -> None:
    await takeover.measure(table, folder, accounts=12 if quick else 200, times=1 if quick else 3)


async def freezes(table: Table, folder: Path, quick: bool) -> None:
    await frozen.measure(table, folder, accounts=6 if quick else 40)


async def servers(table: Table, folder: Path, quick: bool) -> None:
    await cluster.measure(table, folder, accounts=4 if quick else 20, times=1 if quick else 3)


async def rate(table: Table, folder: Path, quick: bool) -> None:
    await speed.rate(table, folder, *((320, 1) if quick else (4_000, 5)))


async def workers(table: Table, folder: Path, quick: bool) -> None:
    await speed.workers(table, folder, *((5.0, 1) if quick else (20.0, 3)))


async def many(table: Table, folder: Path, quick: bool) -> None:
    await connections.measure(table, folder, 100 if quick else 2_000)


PARTS: dict[str, Part] = {
    "killed": kills,
    "takeover": dies,
    "frozen": freezes,
    "cluster": servers,
    "rate": rate,
    "workers": workers,
    "connections": many,
}


async def main(only: list[str], quick: bool, logs: Path | None) -> int:
    table = Table()
    for name, part in PARTS.items():
        if not only or name in only:
            with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as temporary:
                folder = logs / name if logs else Path(temporary)
                folder.mkdir(parents=True, exist_ok=True)
                await part(table, folder, quick)
    return table.status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", default=[], help="run this part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="use small counts, to check that everything works")
    parser.add_argument("--logs", type=Path, help="new folder for what the processes write, which is kept")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.only, given.quick, given.logs)))
