"""`catch_up` when requests fail, readers give up or arguments are wrong, and with blocking clients."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import aclosing
from typing import Any

import pytest

from connectycube.chat import AsyncChat, Chat, ChatMessage
from connectycube.rest import (
    AsyncConnectyCube,
    ConfigurationError,
    ConnectyCube,
    InvalidArgument,
    RateLimited,
    Unavailable,
)
from connectycube.sandbox import Sandbox
from tests.chat.histories import HOUR, PASSWORD, World, numbers, rest, texts
from tests.integration.support import run


@pytest.fixture
def world(connectycube_sandbox: Sandbox) -> World:
    return World(connectycube_sandbox)


# -- failures


@pytest.mark.parametrize(("status", "error"), [(429, RateLimited), (503, Unavailable)])
def test_failed_request_ends_the_iterator_and_a_new_one_starts_over(
    world: World, status: int, error: type[Exception]
) -> None:
    async def main() -> None:
        world.write(world.private(world.ann, world.bob), world.bob, *numbers(150))
        async with world.chat(max_retries=0) as chat:
            found: list[ChatMessage] = []
            missed = chat.catch_up(since=HOUR)
            found.append(await anext(missed))
            world.sandbox.faults.fail_next(status, path="/chat/Message")

            async def read_on() -> None:
                async for message in missed:
                    found.append(message)

            with pytest.raises(error):
                await read_on()
            assert [message.body for message in found] == numbers(100)
            assert [message async for message in missed] == []
            found += [message async for message in chat.catch_up(since=HOUR)]
            assert list({message.id: message.body for message in found}.values()) == numbers(150)

    run(main())


def test_passing_failure_is_retried_by_the_rest_client(world: World) -> None:
    async def main() -> None:
        world.write(world.private(world.ann, world.bob), world.bob, *numbers(150))
        async with world.chat() as chat:
            world.sandbox.faults.fail_next(429, path="/chat/Dialog", retry_after=0)
            world.sandbox.faults.drop_next(path="/chat/Message")
            assert await texts(chat) == numbers(150)

    run(main())


@pytest.mark.parametrize("cancel", [False, True], ids=["closed", "cancelled"])
def test_ended_iterator_makes_no_further_request(world: World, cancel: bool) -> None:
    async def main() -> None:
        world.write(world.private(world.ann, world.bob), world.bob, *numbers(250))
        async with world.chat() as chat:
            reached = asyncio.Event()

            async def read() -> None:
                async with aclosing(chat.catch_up(since=HOUR)) as missed:
                    async for message in missed:
                        if message.body == "99" and cancel:
                            world.sandbox.faults.delay_next(30, path="/chat/Message")
                            reached.set()
                        elif message.body == "99":
                            return

            task = asyncio.ensure_future(read())
            if cancel:
                await reached.wait()
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() is cancel
            world.sandbox.faults.clear()
            await rest(chat).dialogs.list(limit=1)
        assert len(world.queries()) == 1

    run(main())


@pytest.mark.parametrize(
    ("since", "problem"),
    [
        (dt.datetime(2026, 1, 1), "must have a time zone"),
        (-HOUR, "must not be negative"),
        (1_700_000_000, "must be a datetime or a timedelta, not int"),
        (None, "must be a datetime or a timedelta, not NoneType"),
        (dt.date(2026, 1, 1), "must be a datetime or a timedelta, not date"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("kind", [AsyncChat, Chat])
def test_invalid_since_is_rejected_at_once(kind: type[AsyncChat | Chat], since: Any, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=f"since {problem}"):
        kind(user_id=81001, password="secret", app_id=7001).catch_up(since=since)


@pytest.mark.parametrize("kind", [AsyncChat, Chat])
def test_chat_without_a_cube_is_told_to_pass_one(kind: type[AsyncChat | Chat]) -> None:
    with pytest.raises(ConfigurationError, match="catch_up needs the REST API: create the chat with a logged-in cube"):
        kind(user_id=81001, password="secret", app_id=7001).catch_up(since=HOUR)


def test_history_of_another_user_is_not_read(world: World) -> None:
    async def main() -> None:
        async with world.chat() as chat, chat:
            await rest(chat).login(login="bob", password=PASSWORD)
            with pytest.raises(ConfigurationError, match=f"needs a session of user {world.ann}"):
                chat.catch_up(since=HOUR)

    run(main())


# -- blocking clients


def test_async_chat_reads_with_a_blocking_cube(world: World) -> None:
    world.write(world.private(world.ann, world.bob), world.bob, *numbers(150))
    world.write(world.private(world.ann, world.carl), world.ann, "own")
    world.write(world.private(world.ann, world.carl), world.carl, "last")
    with world.cube(ConnectyCube) as cube:
        cube.login(login="ann", password=PASSWORD)
        chat = AsyncChat(cube, **world.options())
        assert run(texts(chat)) == [*numbers(150), "last"]
        assert run(texts(chat, include_own=True)) == [*numbers(150), "own", "last"]


def test_blocking_chat_reads_without_a_connection(world: World) -> None:
    first, left = world.private(world.ann, world.bob), world.group(world.bob, world.ann)
    world.write(first, world.bob, *numbers(150), ago=60)
    world.write(left, world.bob, "left")
    with world.blocking_chat() as chat:
        found: list[str] = []
        for message in chat.catch_up(since=HOUR):
            if not found:
                rest(chat._chat).dialogs.delete(left)
            found.append(message.body)
        assert found == numbers(150)
        with chat:
            assert [message.body for message in chat.catch_up(since=HOUR)] == numbers(150)


def test_abandoned_blocking_iterator_makes_no_further_request(world: World) -> None:
    world.write(world.private(world.ann, world.bob), world.bob, *numbers(250))
    with world.blocking_chat() as chat, chat:
        for message in chat.catch_up(since=HOUR):
            if message.body == "99":
                break
    assert len(world.queries()) == 1


def test_blocking_chat_rejects_an_async_cube(world: World) -> None:
    async def log_in(cube: AsyncConnectyCube) -> None:
        await cube.login(login="ann", password=PASSWORD)
        await cube.aclose()

    cube = world.cube()
    run(log_in(cube))
    with pytest.raises(ConfigurationError, match="catch_up of Chat needs a ConnectyCube"):
        Chat(cube, **world.options()).catch_up(since=HOUR)
