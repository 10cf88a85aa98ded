"""Chats behind a line that breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connectycube.chat import MessageReceived, Reconnected, Reconnecting
from connectycube.chat.machines.connection import Backoff
from tests.integration.chats import Person, people
from tests.integration.proxy import FaultProxy
from tests.integration.server import Server, User
from tests.integration.support import eventually

FAST = Backoff(first=0.02, maximum=0.1)
"""Waits for tests that connect again often."""

NEVER = Backoff(first=3600, maximum=3600, spread=0)
"""A wait that only the user ends."""

PLAIN: dict[str, Any] = {"tls": "none", "ssl_context": None}
"""Options of a chat whose bytes the proxy can read."""


@asynccontextmanager
async def line(server: Server, **options: Any) -> AsyncIterator[FaultProxy]:
    """A proxy that stands before the port which the options of a chat want."""
    plain = options.get("tls") in ("none", "starttls")
    async with FaultProxy("127.0.0.1", server.ports.starttls if plain else server.ports.tls) as proxy:
        yield proxy


@asynccontextmanager
async def behind(server: Server, user: User, **options: Any) -> AsyncIterator[tuple[Person, FaultProxy]]:
    """A user who is online behind a proxy of their own."""
    options = {"backoff": FAST, **options}
    async with line(server, **options) as proxy:
        person = Person(server, user, port=proxy.port, **options)
        async with person.chat:
            await person.chat.ping()
            yield person, proxy
            # A server takes a tenth of a second to close its side of a stream.
            proxy.calm()
            proxy.cut()


@asynccontextmanager
async def present(server: Server, *users: User, **options: Any) -> AsyncIterator[list[Person]]:
    """Users who are online, and of whom the server knows that they are: it keeps no message for later."""
    async with people(server, *users, **options) as found:
        for person in found:
            await person.chat.ping()
        yield found


async def unplug(person: Person, proxy: FaultProxy) -> None:
    """Cut the connection, refuse new ones, and wait until the chat has noticed."""
    known = len(person.told.of(Reconnecting))
    proxy.refuse()
    proxy.cut()
    await person.told.all(Reconnecting, known + 1)


async def forget(server: Server, person: Person) -> None:
    """Let the server forget the session of a chat that is unplugged: it can't be resumed."""
    await eventually(lambda: not server.resources(person.user) or server.kick(person.user) < 0)


async def back(person: Person, count: int) -> bool:
    """Wait until a chat was connected again so many times; whether the last one was a resumption."""
    return (await person.told.all(Reconnected, count))[-1].resumed


async def lose_session(server: Server, person: Person, proxy: FaultProxy) -> None:
    """Cut the connection, and wait until a new session is ready."""
    known = len(person.told.of(Reconnected))
    await unplug(person, proxy)
    await forget(server, person)
    await proxy.accept()
    assert not await back(person, known + 1)


def bodies(person: Person) -> list[str]:
    """The texts that a user has got, in their order."""
    return [event.message.body for event in person.told.of(MessageReceived)]


def wait_body(person: Person, body: str) -> Any:
    """Wait for a message."""
    return person.told.one(MessageReceived, lambda event: event.message.body == body)
