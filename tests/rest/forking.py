"""`python -m tests.rest.forking ADDRESS KIND GIVEN FORKS`: fork while calls run, and print what went wrong.

A process of its own: a test's has threads that a fork would leave behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from typing import Any

import httpx

from connectycube.rest import AsyncConnectyCube, ConnectyCube
from tests.rest.both import APP_ID, AUTH_KEY

CALLS = 3
THREADS = 3


def check(cube: ConnectyCube | AsyncConnectyCube, base: int) -> list[str]:
    """Ask for numbered dialogs and return the answers that were meant for somebody else."""

    async def all_calls() -> list[str]:
        assert isinstance(cube, AsyncConnectyCube)
        return [
            one
            for number in range(base, base + CALLS)
            if (one := differs(number, await cube.dialogs.list(skip=number)))
        ]

    if isinstance(cube, AsyncConnectyCube):
        return asyncio.run(all_calls())
    return [one for number in range(base, base + CALLS) if (one := differs(number, cube.dialogs.list(skip=number)))]


def differs(number: int, page: Any) -> str:
    got = page.items[0].id
    return "" if got == f"{number:024x}" else f"{number:024x} got {got}"


def child(cube: ConnectyCube | AsyncConnectyCube, base: int) -> int:
    """Return a child process that makes calls and exits with 1 if any goes wrong."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        wrong = check(cube, base)
        print(*wrong, sep="\n", end="", flush=True)
        status = bool(wrong)
    finally:
        os._exit(status)


def main(address: str, kind: str, given: str, forks: str) -> None:
    http = (httpx.Client if kind == "sync" else httpx.AsyncClient)() if given == "given" else None
    make: Any = ConnectyCube if kind == "sync" else AsyncConnectyCube
    cube = make(APP_ID, AUTH_KEY, base_url=address, token="the-token", http_client=http, max_retries=0)
    wrong = check(cube, 1)
    done = threading.Event()

    def go_on(base: int) -> None:
        while not done.is_set():
            wrong.extend(check(cube, base))

    # An async client is used by one thread here, whose event loops come and go.
    threads = [threading.Thread(target=go_on, args=(1000 * (n + 1),)) for n in range(THREADS if kind == "sync" else 1)]
    for thread in threads:
        thread.start()
    children = [child(cube, 100_000 + 100 * n) for n in range(int(forks))]
    failed = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0 for pid in children)
    wrong += check(cube, 50_000)
    done.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"wrong": wrong, "failed": failed}), flush=True)
    os._exit(0)  # The connections of event loops that have ended can't be closed.


if __name__ == "__main__":
    main(*sys.argv[1:])
