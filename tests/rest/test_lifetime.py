"""Opening and closing clients: no connection is left behind, and a closed client says so."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, errors
from tests.rest.both import TOKEN, Both, raw
from tests.rest.server import Answer, Server
from tests.rest.storage import UID

PAGE = Answer(200, {"items": []})


@pytest.fixture(autouse=True)
def nothing_left_open() -> Any:
    """Whatever a test leaves open is found while its own warnings are errors."""
    yield
    gc.collect()


def test_close_closes_connections(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)
    cube = both.cube(server.url)
    cube.dialogs.list()
    cube.dialogs.list()
    assert server.connections == 1
    assert server.open_connections() == 1
    both.close(cube)
    server.wait_until_idle()
    assert server.open_connections() == 0


def test_closing_twice_is_allowed(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)
    cube = both.cube(server.url)
    cube.dialogs.list()
    both.close(cube)
    both.close(cube)


def test_closed_client_rejects_calls(both: Both, server: Server) -> None:
    cube = both.cube(server.url)
    copy = cube.with_options(timeout=1)
    both.close(cube)
    for client in (cube, copy):
        with pytest.raises(errors.ConfigurationError, match="the client is closed") as caught:
            client.dialogs.list()
        assert caught.value.operation == "dialogs.list"
        with pytest.raises(errors.ConfigurationError, match="the client is closed"):
            client.files.download(UID)
    assert server.requests == []


def test_client_with_a_closed_http_client_rejects_calls(both: Both, server: Server) -> None:
    http = both.http()
    cube = both.cube(server.url, http_client=http)
    both.run(http.aclose() if both.is_async else http.close())
    with pytest.raises(errors.ConfigurationError, match="the client is closed"):
        cube.dialogs.list()


def test_external_http_client_stays_open(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)
    http = both.http()
    cube = both.cube(server.url, http_client=http)
    cube.dialogs.list()
    both.close(cube)
    assert not http.is_closed
    cube.dialogs.list()
    assert server.connections == 1


def test_calls_in_progress_outlive_the_client(both: Both, server: Server) -> None:
    """Closing breaks none of them; the last one closes the connections."""
    release = threading.Event()
    server.on("GET", "/chat/Dialog", Answer(200, {"items": []}, stall=release))
    cube = both.cube(server.url, timeout=60)

    def call(one: ConnectyCube) -> Any:
        return one.dialogs.list()

    async def close_meanwhile() -> list[Any]:
        calls = [asyncio.ensure_future(call(raw(cube))) for _ in range(3)]
        while len(server.requests) < 3:
            await asyncio.sleep(0.001)
        await raw(cube).aclose()
        release.set()
        return await asyncio.gather(*calls)

    def close() -> list[Any]:
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(call, cube) for _ in range(3)]
            while len(server.requests) < 3:
                time.sleep(0.001)
            cube.close()
            release.set()
        return [one.result() for one in calls]

    try:
        pages: list[Any] = both.run(close_meanwhile()) if both.is_async else close()
    finally:
        release.set()
    assert [page.items for page in pages] == [[]] * 3
    with pytest.raises(errors.ConfigurationError, match="the client is closed"):
        cube.dialogs.list()


def test_closing_a_copy_keeps_the_client_open(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)
    cube = both.cube(server.url)
    both.close(cube.with_options(timeout=1))
    cube.dialogs.list()


def test_context_managers(server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)
    with ConnectyCube(base_url=server.url, token=TOKEN) as cube:
        cube.dialogs.list()
    with pytest.raises(errors.ConfigurationError, match="closed"):
        cube.dialogs.list()

    async def run() -> None:
        async with AsyncConnectyCube(base_url=server.url, token=TOKEN) as acube:
            await acube.dialogs.list()
        with pytest.raises(errors.ConfigurationError, match="closed"):
            await acube.dialogs.list()

    asyncio.run(run())


def test_context_managers_close_after_an_error(server: Server) -> None:
    with pytest.raises(ZeroDivisionError), ConnectyCube(base_url=server.url, token=TOKEN) as cube:
        raise ZeroDivisionError
    with pytest.raises(errors.ConfigurationError, match="closed"):
        cube.dialogs.list()

    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            async with AsyncConnectyCube(base_url=server.url, token=TOKEN) as acube:
                raise ZeroDivisionError
        with pytest.raises(errors.ConfigurationError, match="closed"):
            await acube.dialogs.list()

    asyncio.run(run())


@pytest.mark.parametrize("answer", [Answer(404), Answer(200, b"x" * 200_000, cut=100_000), Answer(302)])
def test_failed_download_releases_its_connection(both: Both, server: Server, answer: Answer) -> None:
    """With a single connection, a leaked one would block the next call forever."""
    server.on("GET", f"/blobs/{UID}/download", answer)
    server.on("GET", "/chat/Dialog", PAGE)
    http = both.http(limits=httpx.Limits(max_connections=1))
    cube = both.cube(server.url, http_client=http, max_retries=0, timeout=5)
    with pytest.raises(errors.ConnectyCubeError):
        cube.files.download(UID)
    cube.dialogs.list()


def test_one_client_per_event_loop(server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)

    async def run() -> None:
        async with AsyncConnectyCube(base_url=server.url, token=TOKEN) as cube:
            await cube.dialogs.list()

    asyncio.run(run())
    asyncio.run(run())
    assert len(server.requests) == 2


def test_one_client_in_successive_event_loops(server: Server) -> None:
    server.on("GET", "/chat/Dialog", PAGE)
    cube = AsyncConnectyCube(base_url=server.url, token=TOKEN)
    copy = cube.with_options(timeout=5)

    async def run() -> None:
        await cube.dialogs.list()
        await copy.dialogs.list()

    with warnings.catch_warnings():
        # The connections of a loop that has ended can't be closed any more.
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            asyncio.run(run())
        asyncio.run(cube.aclose())
        gc.collect()
    assert len(server.requests) == 6
    assert server.connections == 3
    with pytest.raises(errors.ConfigurationError, match="closed"):
        asyncio.run(run())


def test_unused_client_needs_no_event_loop() -> None:
    """The async client may be made at the top of a module."""
    cube = AsyncConnectyCube(base_url="http://127.0.0.1:9", token=TOKEN)
    asyncio.run(cube.aclose())
