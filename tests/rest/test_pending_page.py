"""A list of the async client, before its first page is requested."""

from __future__ import annotations

import asyncio
import functools
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from connectycube.rest import AsyncConnectyCube, InvalidArgument, errors
from connectycube.rest.pages import AsyncPage
from tests.rest.both import TOKEN
from tests.rest.server import Answer, Request, Server

ENTRIES = [{"_id": f"66f1a7c2e4b0d93a51c8e1{number:02}"} for number in range(5)]


def run(test: Callable[[Server], Coroutine[Any, Any, None]]) -> Callable[[Server], None]:
    @functools.wraps(test)
    def running(server: Server) -> None:
        asyncio.run(test(server))

    return running


def serve(server: Server) -> None:
    def page(request: Request) -> Answer:
        query = dict(request.query)
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", 2))
        return Answer(200, {"total_entries": 5, "skip": skip, "limit": limit, "items": ENTRIES[skip : skip + limit]})

    server.on("GET", "/chat/Dialog", page)


@run
async def test_is_iterated_without_await(server: Server) -> None:
    serve(server)
    async with AsyncConnectyCube(token=TOKEN, base_url=server.url) as cube:
        assert [dialog.id async for dialog in cube.dialogs.list()] == [entry["_id"] for entry in ENTRIES]
        assert [dialog.id async for dialog in await cube.dialogs.list()] == [entry["_id"] for entry in ENTRIES]


@run
async def test_is_awaited_for_the_page(server: Server) -> None:
    serve(server)
    async with AsyncConnectyCube(token=TOKEN, base_url=server.url) as cube:
        page = await cube.dialogs.list(limit=3)
        assert isinstance(page, AsyncPage)
        assert (len(page), page[0].id, bool(page)) == (3, ENTRIES[0]["_id"], True)
        assert [one.id for one in page[1:]] == [entry["_id"] for entry in ENTRIES[1:3]]
        assert len(await page.first(4)) == 4


@run
async def test_is_a_coroutine_for_tasks_and_timeouts(server: Server) -> None:
    serve(server)
    async with AsyncConnectyCube(token=TOKEN, base_url=server.url) as cube:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(cube.dialogs.list())
        assert len(task.result()) == 2
        one, other = await asyncio.gather(cube.dialogs.list(), asyncio.wait_for(cube.dialogs.list(limit=1), 60))
        assert (len(one), len(other)) == (2, 1)


@run
async def test_failed_call_raises_where_it_is_iterated(server: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(403, {"errors": ["no"]}))
    async with AsyncConnectyCube(token=TOKEN, base_url=server.url) as cube:
        with pytest.raises(errors.Forbidden):
            async for _ in cube.dialogs.list():
                pass
        with pytest.raises(InvalidArgument, match="limit"):
            cube.dialogs.list(limit=0)


def test_unused_call_warns_by_its_name() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AsyncConnectyCube(token=TOKEN).dialogs.list()
        gc.collect()
    assert [str(one.message) for one in caught] == ["coroutine 'dialogs.list' was never awaited"]
