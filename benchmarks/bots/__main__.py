"""Measure what bots promise, and print each figure with its bar: `python -m benchmarks.bots`.

The exit status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from ..report import Table
from . import killed, million, missed, speed, trouble

Part = Callable[[Table, bool], Awaitable[None]]


async def kills(table: Table, quick: bool) -> None:
    if quick:
        await killed.ordeal(table, "killed", users=4, each=25, kills=4, cuts=3)
    else:
        await killed.ordeal(table, "killed", users=20, each=100, kills=40, cuts=20)


async def sandbox_kills(table: Table, quick: bool) -> None:
    if quick:
        await killed.ordeal(table, "sandbox killed, too", users=4, each=25, kills=3, cuts=2, sandbox_kills=1)
    else:
        await killed.ordeal(table, "sandbox killed, too", users=20, each=100, kills=40, cuts=20, sandbox_kills=5)


async def down(table: Table, quick: bool) -> None:
    if quick:
        await missed.measure(table, messages=300, dialogs=3, quiet=5)
    else:
        await missed.measure(table, messages=5_000, dialogs=30, quiet=70)


async def rate(table: Table, quick: bool) -> None:
    await speed.rate(table, *((320, 1) if quick else (4_000, 5)))


async def start(table: Table, quick: bool) -> None:
    await speed.start(table, 1 if quick else 7)


async def memory(table: Table, quick: bool) -> None:
    await million.measure(table, *((5_000, 10) if quick else (1_000_000, million.DAYS)))


async def failures(table: Table, quick: bool) -> None:
    await trouble.measure(table)


PARTS: dict[str, Part] = {
    "killed": kills,
    "sandbox": sandbox_kills,
    "missed": down,
    "rate": rate,
    "start": start,
    "memory": memory,
    "trouble": failures,
}


async def main(only: list[str], quick: bool) -> int:
    table = Table()
    for name, part in PARTS.items():
        if not only or name in only:
            await part(table, quick)
    return table.status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bots", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", default=[], help="run this part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="use small counts, to check that everything works")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.only, given.quick)))
