"""Chats of this server's users, and what they are told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from connectycube.chat import AsyncChat, Event, SystemMessageReceived
from tests.integration.ejabberd import APP_ID, HOST, Ejabberd, User
from tests.integration.support import Seen

E = TypeVar("E", bound=Event)

Users: TypeAlias = Callable[[], User]


def chat_of(ejabberd: Ejabberd, user: User, **options: Any) -> AsyncChat:
    """A chat with TLS from the first byte, unless the options say otherwise."""
    options = {"user_id": user.id, "password": user.password, "app_id": APP_ID, "host": HOST, **options}
    options.setdefault("port", ejabberd.ports.tls)
    if options.get("tls") != "none":
        options.setdefault("ssl_context", ejabberd.ssl_context())
    return AsyncChat(**options)


class Told:
    """What a chat tells, in its order, from the making of this on."""

    def __init__(self, chat: AsyncChat) -> None:
        self.seen: Seen[Event] = Seen()
        chat.on()(self.seen.append)

    def of(self, kind: type[E]) -> list[E]:
        """What was told of a kind until now."""
        return [event for event in self.seen.items if isinstance(event, kind)]

    async def all(self, kind: type[E], count: int) -> list[E]:
        """The first events of a kind."""
        await self.seen.wait(count, lambda event: isinstance(event, kind))
        return self.of(kind)[:count]

    async def one(self, kind: type[E], matches: Callable[[E], bool] = lambda event: True) -> E:
        """The first event of a kind that matches."""
        found = await self.seen.one(lambda event: isinstance(event, kind) and matches(event))
        assert isinstance(found, kind)
        return found


class Person:
    """A user who is online with one device."""

    def __init__(self, ejabberd: Ejabberd, user: User, **options: Any) -> None:
        self.user = user
        self.chat = chat_of(ejabberd, user, **options)
        self.told = Told(self.chat)
        self._marks = 0

    @property
    def id(self) -> int:
        return self.user.id

    async def caught_up(self, other: Person) -> None:
        """Wait until the other has been told of all that this one has sent: the server keeps the order."""
        self._marks += 1
        mark = {"mark": f"{self.chat.jid} {self._marks}"}
        await self.chat.send_system(other.id, mark)
        await other.told.one(SystemMessageReceived, lambda event: event.params == mark)


@asynccontextmanager
async def people(ejabberd: Ejabberd, *users: User, **options: Any) -> AsyncIterator[list[Person]]:
    """Users who are online; the options are of all their chats."""
    async with contextlib.AsyncExitStack() as stack:
        found = [Person(ejabberd, user, **options) for user in users]
        for person in found:
            await stack.enter_async_context(person.chat)
        yield found
