"""Chats of this server's users, and the events they receive."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from connectycube.chat import AsyncChat, Event, MessageRefused, RequestRefused, SystemMessageReceived
from connectycube.rest import Dialog, DialogType
from tests.integration.server import APP_ID, HOST, Server, User
from tests.integration.support import Seen

E = TypeVar("E", bound=Event)

Users: TypeAlias = Callable[[], User]


def chat_of(server: Server, user: User, **options: Any) -> AsyncChat:
    """A chat with TLS from the first byte, unless the options say otherwise."""
    options = {"user_id": user.id, "password": user.password, "app_id": APP_ID, "host": HOST, **options}
    options.setdefault("port", server.ports.tls)
    if options.get("tls") != "none":
        options.setdefault("ssl_context", server.ssl_context())
    return AsyncChat(**options)


class Told:
    """The events of a chat, in order, from the creation of this object on."""

    def __init__(self, chat: AsyncChat) -> None:
        self.seen: Seen[Event] = Seen()
        chat.on()(self.seen.append)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one type so far."""
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


def private(server: Server, one: Person, other: Person) -> Dialog:
    """The private dialog of two."""
    found = server.private(one.user, other.user)
    return Dialog(id=found, type=DialogType.PRIVATE, occupants_ids=[one.id, other.id])


async def gather(server: Server, *persons: Person) -> str:
    """A new group dialog, whose room all have joined in this order."""
    found = server.group(*(person.user for person in persons))
    for person in persons:
        await person.chat.join(found)
    return found


async def refused(person: Person, to: int | str) -> str:
    """Send what will come back; its id. A server may refuse it before it acknowledges it, or after that."""
    try:
        return (await person.chat.send(to, "let me in")).id
    except MessageRefused as error:
        return error.message_id


@contextlib.contextmanager
def perhaps(condition: str) -> Iterator[None]:
    """What the standards have refused with a condition, and ejabberd lets one do."""
    try:
        yield
    except RequestRefused as error:
        if error.condition != condition:
            raise


class Person:
    """A user who is online with one device."""

    def __init__(self, server: Server, user: User, **options: Any) -> None:
        self.user = user
        self.chat = chat_of(server, user, **options)
        self.told = Told(self.chat)
        self._marks = 0

    @property
    def id(self) -> int:
        return self.user.id

    async def caught_up(self, other: Person) -> None:
        """Wait until the other has received all that this one has sent: the server keeps the order."""
        self._marks += 1
        mark = {"mark": f"{self.chat.jid} {self._marks}"}
        await self.chat.send_system(other.id, mark)
        await other.told.one(SystemMessageReceived, lambda event: event.params == mark)


@asynccontextmanager
async def people(server: Server, *users: User, **options: Any) -> AsyncIterator[list[Person]]:
    """Users who are online; the options are of all their chats."""
    async with contextlib.AsyncExitStack() as stack:
        found = [Person(server, user, **options) for user in users]
        for person in found:
            await stack.enter_async_context(person.chat)
        yield found
