"""Forked processes, several event loops, and calls that are cancelled: connections are never mixed up or lost."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
import warnings
from typing import Any

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCubeError
from tests.rest.both import APP_ID, AUTH_KEY, TOKEN
from tests.rest.server import Answer, Request, Server

PAGE = b'{"items": []}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(PAGE)


def numbered(request: Request) -> Answer:
    """Answer with the dialog whose number the request names."""
    skip = int(dict(request.query)["skip"])
    return Answer(200, {"items": [{"_id": f"{skip:024x}"}]})


# -- forks


@pytest.mark.parametrize(
    ("kind", "given", "forks"), [("sync", "own", 40), ("sync", "given", 8), ("async", "own", 8), ("async", "given", 8)]
)
def test_parent_and_child_get_their_own_responses(server: Server, kind: str, given: str, forks: int) -> None:
    server.on("GET", "/chat/Dialog", numbered)
    command = [sys.executable, "-W", "ignore", "-m", "tests.rest.forking", server.url, kind, given, str(forks)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert json.loads(run.stdout.splitlines()[-1]) == {"wrong": [], "failed": 0}, run.stdout + run.stderr


FORK_IN_RENEWAL = """
import os, sys, threading
from connectycube.rest import ConnectyCube

cube = ConnectyCube(1, "key", base_url=sys.argv[1], max_retries=0, on_session_expired=lambda _: ask())
cube.use_session("old")
asked, forked = threading.Event(), threading.Event()

def ask():
    asked.set()
    forked.wait(60)
    return "new"

thread = threading.Thread(target=cube.dialogs.list)
thread.start()
asked.wait(60)
if (pid := os.fork()) == 0:
    forked.set()
    try:
        cube.dialogs.list()
        print("done", flush=True)
    finally:
        os._exit(0)
os.waitpid(pid, 0)
forked.set()
thread.join()
"""


def test_child_forked_during_a_renewal_renews_by_itself(server: Server) -> None:
    def answer(request: Request) -> Answer:
        known = request.header("CB-Token") == "new"
        return Answer(200, {"items": []}) if known else Answer(401, {"errors": ["Required session does not exist"]})

    server.on("GET", "/chat/Dialog", answer)
    command = [sys.executable, "-W", "ignore", "-c", FORK_IN_RENEWAL, server.url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert run.stdout == "done\n", run.stderr


FORK_IN_A_RESOURCE = """
import os, signal, threading
from connectycube.rest import ConnectyCube
from connectycube.rest.resources.dialogs import Dialogs

cube = ConnectyCube(1, "key", token="the-token")
inside, forked = threading.Event(), threading.Event()
make = Dialogs.__init__

def slow(self, client):
    make(self, client)
    if threading.current_thread() is thread:
        inside.set()
        forked.wait(60)

Dialogs.__init__ = slow
thread = threading.Thread(target=lambda: cube.dialogs)
thread.start()
inside.wait(60)
if os.fork() == 0:
    signal.alarm(60)
    print(type(cube.dialogs).__name__, flush=True)
    os._exit(0)
_, status = os.wait()
forked.set()
thread.join()
print(os.waitstatus_to_exitcode(status), cube.dialogs is cube.dialogs)
"""


def test_child_forked_while_a_resource_is_made_can_use_it() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK_IN_A_RESOURCE]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert run.stdout == "Dialogs\n0 True\n", run.stderr


# -- event loops


@pytest.mark.parametrize("given", [False, True])
def test_one_async_client_in_several_live_event_loops(server: Server, given: bool) -> None:
    server.on("GET", "/chat/Dialog", numbered)
    http = httpx.AsyncClient() if given else None
    cube = AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=server.url, token=TOKEN, http_client=http, max_retries=0)
    found: list[tuple[int, Any]] = []
    together = threading.Barrier(3)

    async def calls(base: int) -> None:
        for number in range(base, base + 20):
            found.append((number, (await cube.dialogs.list(skip=number)).items[0].id))
        await asyncio.to_thread(together.wait, 60)

    threads = [threading.Thread(target=asyncio.run, args=(calls(100 * n),)) for n in range(3)]
    with warnings.catch_warnings():
        # The connections of loops that have ended can't be closed any more.
        warnings.simplefilter("ignore", ResourceWarning)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(cube.aclose())
        assert len(found) == 60
        assert [id_ for _, id_ in found] == [f"{number:024x}" for number, _ in found]


# -- cancelled calls


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request after a short while."""
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(random.random() * 0.02)
            writer.write(HEAD + PAGE)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("limit", [None, 100, 4])
def test_cancelled_calls_do_not_use_up_the_connections(limit: int | None) -> None:
    """With the client's own pool, with a caller's, and with one that a single lost connection cripples."""
    chance = random.Random(11)
    calls = 750 if limit != 4 else 150

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        http = None if limit is None else httpx.AsyncClient(limits=httpx.Limits(max_connections=limit))
        cube = AsyncConnectyCube(
            APP_ID, AUTH_KEY, base_url=url, token=TOKEN, http_client=http, max_retries=0, timeout=60
        )
        for _ in range(calls // 150):
            tasks = [asyncio.ensure_future(cube.dialogs.list()) for _ in range(150)]
            for task in tasks:
                asyncio.get_running_loop().call_later(chance.random() * 0.2, task.cancel)
            await asyncio.wait(tasks)
            assert {type(task.exception()) for task in tasks if not task.cancelled()} <= {type(None)}
        pages = await asyncio.gather(*(cube.dialogs.list() for _ in range(120)), return_exceptions=True)
        assert [page for page in pages if isinstance(page, BaseException)] == []
        await cube.aclose()
        if http is not None:
            await http.aclose()
        server.close()

    with warnings.catch_warnings():
        # httpcore leaves some sockets of cancelled calls to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(run())


def test_cancelled_streams_release_their_connection(server: Server) -> None:
    """A call that is cancelled while its body arrives."""
    server.on("GET", "/chat/Dialog", Answer(200, b"{", {"Content-Length": "100"}), Answer(200, {"items": []}))

    async def run() -> None:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as http:
            cube = AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=server.url, token=TOKEN, http_client=http, timeout=60)
            task = asyncio.ensure_future(cube.dialogs.list())
            while not server.requests:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await cube.dialogs.list()).items == []

    asyncio.run(run())


# -- bytes behind a response


@pytest.mark.parametrize(
    "answer",
    [
        Answer(204, b'{"x": 1}'),
        Answer(204, b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"_id": "not"}'),
        Answer(200, b'{}HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"_id": "not"}', {"Content-Length": "2"}),
    ],
)
def test_leftover_bytes_do_not_answer_the_next_call(both: Any, server: Server, answer: Answer) -> None:
    server.on("DELETE", "/chat/Dialog/66f1a7c2e4b0d93a51c8e201", answer)
    server.on("POST", "/chat/Dialog", Answer(201, {"_id": "66f1a7c2e4b0d93a51c8e110"}))
    cube = both.cube(server.url)
    cube.dialogs.delete("66f1a7c2e4b0d93a51c8e201")
    assert cube.dialogs.create(type=3, occupants_ids=[81002]).id == "66f1a7c2e4b0d93a51c8e110"
    assert len(server.to("/chat/Dialog", "POST")) == 1


def test_stuck_connections_of_a_caller_are_left_to_the_caller(server: Server) -> None:
    """A call that finds no free connection says so; the caller's own limit holds."""
    release = threading.Event()
    server.on("GET", "/chat/Dialog", Answer(200, {"items": []}, stall=release))

    async def run() -> None:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as http:
            options: Any = {"base_url": server.url, "token": TOKEN, "http_client": http, "max_retries": 0}
            cube = AsyncConnectyCube(APP_ID, AUTH_KEY, timeout=httpx.Timeout(60, pool=0.05), **options)
            first = asyncio.ensure_future(cube.dialogs.list())
            while not server.requests:
                await asyncio.sleep(0)
            with pytest.raises(ConnectyCubeError, match="PoolTimeout"):
                await cube.dialogs.list()
            release.set()
            await first

    try:
        asyncio.run(run())
    finally:
        release.set()
    assert server.connections == 1
