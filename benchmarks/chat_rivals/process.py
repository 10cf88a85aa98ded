"""Measure one chat library in its own process: a job as JSON on stdin, its results as JSON on stdout."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

Client = TypeVar("Client")
Figures = dict[str, Any]
Job = dict[str, Any]
User = dict[str, Any]
"""An account: `id`, `jid` and `password`."""


class Stopwatch:
    """Measures wall and CPU time from its creation on."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def figures(self) -> Figures:
        return {"seconds": time.perf_counter() - self.wall, "cpu_seconds": time.process_time() - self.cpu}


def resident() -> int:
    """Return how many bytes of this process are in memory after a garbage collection."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def serve(
    messages: Callable[[Job], Awaitable[Figures]],
    login: Callable[[Job, User], Awaitable[Client]],
    leave: Callable[[list[Client]], Awaitable[None]],
) -> None:
    """Do the job that stdin names: send `messages`, or log in its users one after the other.

    The first login isn't measured: it loads what the others share.
    """

    async def logins(job: Job) -> Figures:
        first, *others = job["users"]
        clients = [await login(job, first)]
        before, watch = resident(), Stopwatch()
        for user in others:
            clients.append(await login(job, user))
        figures = watch.figures()
        grown = resident() - before
        await leave(clients)
        return {"logins": len(others), "bytes_per_connection": grown / len(others), **figures}

    async def main(job: Job) -> Figures:
        return await (messages if job["job"] == "messages" else logins)(job)

    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
