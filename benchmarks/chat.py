"""The chat beside raw slixmpp and the official JavaScript SDK, on one ejabberd: `python -m benchmarks.chat`.

What is compared runs in turns. It ends with status 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.integration.ejabberd import Ejabberd
from tests.integration.server import APP_ID, HOST

from . import chat_cycles
from .chat_rivals import rivals

MESSAGES = 5_000
CONNECTIONS = 200
LOGINS = 50
CYCLES = 100

Figures = dict[str, Any]


def job(server: Ejabberd, name: str, count: int, *, tls: bool, **more: Any) -> tuple[list[str], Figures]:
    """The command and the job of a process of ours, with so many new users."""
    users = [server.register() for _ in range(count)]
    given = {
        "job": name,
        "app_id": APP_ID,
        "host": HOST,
        "port": server.ports.tls if tls else server.ports.starttls,
        "tls": tls,
        "ca_file": str(server.ca_file),
        "users": [[user.id, user.password] for user in users],
    }
    return [sys.executable, "-m", f"{__package__}.chat_client"], given | more


async def our_messages(server: Ejabberd) -> Figures:
    """Our chat sends messages to a reader on another connection; each caller waits for its acknowledgement."""
    reader = server.register()
    command = job(server, "messages", 1, tls=False, messages=MESSAGES, to=reader.id)
    return await rivals.to_reader(server, reader, MESSAGES, command)


async def rounds(
    server: Ejabberd, measures: Sequence[Callable[[Ejabberd], Awaitable[Figures]]], count: int, figure: str
) -> list[list[float]]:
    """A figure of several measures, in turns."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(count):
        for values, measure in zip(found, measures, strict=True):
            values.append(float((await measure(server))[figure]))
    return found


class Report:
    """Lines of the report, and whether all bars were reached."""

    def __init__(self) -> None:
        self.missed = 0

    def line(self, what: str, value: str, bar: str = "", reached: bool = True) -> None:
        self.missed += not reached
        mark = "" if not bar else f"   bar: {bar}{'' if reached else '   MISSED'}"
        print(f"{what:58} {value:>22}{mark}", flush=True)


async def throughput(server: Ejabberd, report: Report, count: int) -> None:
    measures = [
        our_messages,
        lambda server: rivals.slixmpp_messages(server, MESSAGES),
        lambda server: rivals.slixmpp_messages(server, MESSAGES, params=True),
        lambda server: rivals.js_messages(server, MESSAGES),
    ]
    ours, raw, full, script = await rounds(server, measures, count, "seconds")
    for name, values in (
        ("connectycube, typed, with parameters and marker", ours),
        ("raw slixmpp, body only, window 5", raw),
        ("raw slixmpp, with the same parameters", full),
        ("the official JavaScript SDK, body only", script),
    ):
        report.line(f"{MESSAGES:,} acked: {name}", f"{statistics.median(values):.2f} s (min {min(values):.2f})")
    of_raw = statistics.median(raw) / statistics.median(ours)
    of_script = statistics.median(script) / statistics.median(ours)
    report.line("  messages per second, of raw slixmpp's", f"{of_raw:.2f} x", "0.8 x", of_raw >= 0.8)
    report.line("  messages per second, of the JavaScript SDK's", f"{of_script:.2f} x", "ahead", of_script > 1)


async def resources(server: Ejabberd, report: Report, count: int) -> None:
    async def our_memory(server: Ejabberd) -> Figures:
        return await rivals.figures(*job(server, "memory", CONNECTIONS + 1, tls=True))

    async def our_logins(server: Ejabberd) -> Figures:
        return await rivals.figures(*job(server, "logins", LOGINS + 1, tls=True))

    ours, raw = await rounds(
        server, [our_memory, lambda server: rivals.slixmpp_memory(server, CONNECTIONS)], 1, "bytes_per_connection"
    )
    kib, of_raw = ours[0] / 1024, ours[0] / raw[0]
    report.line(f"memory per connection, {CONNECTIONS} over TLS: raw slixmpp", f"{raw[0] / 1024:.0f} KiB")
    report.line("  connectycube", f"{kib:.0f} KiB, {of_raw:.2f} x", "0.2 x (200 KiB)", of_raw <= 0.2 and kib <= 200)
    mine, theirs = await rounds(
        server, [our_logins, lambda server: rivals.slixmpp_logins(server, LOGINS)], count, "cpu_seconds"
    )
    ms, raw_ms = (statistics.median(values) / LOGINS * 1000 for values in (mine, theirs))
    report.line("processor time of a login over TLS: raw slixmpp", f"{raw_ms:.1f} ms")
    report.line("  connectycube", f"{ms:.1f} ms, {ms / raw_ms:.2f} x", "0.25 x", ms <= 0.25 * raw_ms)


async def cycles(server: Ejabberd, report: Report) -> None:
    found = await chat_cycles.cycles(server, CYCLES, lost=False)
    median = found["seconds"]["median"]
    words = f"{found['back']} times, median {median:.2f} s"
    reached = found["back"] == CYCLES and median < 1
    report.line(f"{CYCLES} cut-and-restore cycles: online again", words, "every time, under 1 s", reached)


async def main(count: int) -> int:
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, {dt.date.today()}")
    report = Report()
    with Ejabberd() as server:
        await throughput(server, report, count)
        await resources(server, report, count)
        await cycles(server, report)
    return 1 if report.missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    sys.exit(asyncio.run(main(parser.parse_args().rounds)))
