"""Compare the chat with raw slixmpp and the official JavaScript SDK on one ejabberd: `python -m benchmarks.chat`.

The libraries run in turns. The exit status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tests.integration.ejabberd import Ejabberd

from . import chat_cycles
from .chat_rivals import rivals
from .chat_rivals.process import Figures
from .report import Table

MESSAGES = 5_000
CONNECTIONS = 200
LOGINS = 50
CYCLES = 100

Measure = Callable[[Ejabberd], Awaitable[Figures]]


async def rounds(server: Ejabberd, measures: Sequence[Measure], count: int, figure: str) -> list[list[float]]:
    """Return one figure of several measurements that run in turns."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(count):
        for values, measure in zip(found, measures, strict=True):
            values.append(float((await measure(server))[figure]))
    return found


async def throughput(server: Ejabberd, table: Table, count: int) -> None:
    measures = {
        "connectycube, typed, with parameters and marker": partial(rivals.our_messages, count=MESSAGES),
        "raw slixmpp, body only, window 5": partial(rivals.slixmpp_messages, count=MESSAGES),
        "raw slixmpp, with the same parameters": partial(rivals.slixmpp_messages, count=MESSAGES, params=True),
        "the official JavaScript SDK, body only": partial(rivals.js_messages, count=MESSAGES),
    }
    found = await rounds(server, list(measures.values()), count, "seconds")
    for name, values in zip(measures, found, strict=True):
        table.row(f"{MESSAGES:,} acknowledged: {name}", f"{statistics.median(values):.2f} s (min {min(values):.2f})")
    ours, raw, _, script = map(statistics.median, found)
    table.row("  messages per second, of raw slixmpp's", f"{raw / ours:.2f} x", "0.8 x", raw / ours >= 0.8)
    table.row("  messages per second, of the JavaScript SDK's", f"{script / ours:.2f} x", "ahead", script / ours > 1)


async def resources(server: Ejabberd, table: Table, count: int) -> None:
    def logins(number: int) -> list[Measure]:
        return [partial(rivals.our_logins, count=number), partial(rivals.slixmpp_logins, count=number)]

    ((ours,), (raw,)) = await rounds(server, logins(CONNECTIONS), 1, "bytes_per_connection")
    kib, of_raw = ours / 1024, ours / raw
    table.row(f"memory per connection, {CONNECTIONS} over TLS: raw slixmpp", f"{raw / 1024:.0f} KiB")
    table.row("  connectycube", f"{kib:.0f} KiB, {of_raw:.2f} x", "0.2 x (200 KiB)", of_raw <= 0.2 and kib <= 200)
    found = await rounds(server, logins(LOGINS), count, "cpu_seconds")
    ms, raw_ms = (statistics.median(values) / LOGINS * 1000 for values in found)
    table.row("CPU time of a login over TLS: raw slixmpp", f"{raw_ms:.1f} ms")
    table.row("  connectycube", f"{ms:.1f} ms, {ms / raw_ms:.2f} x", "0.25 x", ms <= 0.25 * raw_ms)


async def cycles(server: Ejabberd, table: Table) -> None:
    found = await chat_cycles.cycles(server, CYCLES, lost=False)
    median = found["seconds"]["median"]
    words = f"{found['back']} times, median {median:.2f} s"
    reached = found["back"] == CYCLES and median < 1
    table.row(f"{CYCLES} cut-and-restore cycles: online again", words, "every time, under 1 s", reached)


async def main(count: int) -> int:
    table = Table()
    with Ejabberd() as server:
        await throughput(server, table, count)
        await resources(server, table, count)
        await cycles(server, table)
    return table.status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how many times to measure each (default: 5)")
    sys.exit(asyncio.run(main(parser.parse_args().rounds)))
