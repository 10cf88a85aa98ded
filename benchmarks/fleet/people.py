"""Users who are online and write to the accounts of a fleet."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from connectycube.chat import AsyncChat, MessageNotSent, MessageReceived, Reconnected
from connectycube.rest import AsyncConnectyCube, ConnectyCubeError

from ..bots.trial import History
from ..bots.world import PASSWORD, World


class Dialog:
    """A user's dialog with an account.

    :ivar live: the answers that the chat brought, in order.
    :ivar texts: the ids of each answer: more than one is an answer seen twice.
    :ivar arrived: when the first copy of each answer arrived, by `time.monotonic()`.
    """

    def __init__(self, person: Person, account: int) -> None:
        self.account = account
        self.live: list[str] = []
        self.texts: dict[str, set[str | None]] = {}
        self.arrived: dict[str, float] = {}
        self._person = person
        self._changed = asyncio.Event()

    def received(self, text: str, message_id: str | None) -> None:
        """Note an answer that the chat has brought."""
        if message_id not in self.texts.get(text, ()):
            self.live.append(text)
            self.note(text, message_id)

    def note(self, text: str, message_id: str | None) -> None:
        """Note an answer, wherever it was found."""
        self.texts.setdefault(text, set()).add(message_id)
        self.arrived.setdefault(text, time.monotonic())
        self._changed.set()

    async def say(self, text: str) -> None:
        """Send a message to the account until the server has it."""
        await self._person.say(self.account, text)

    async def answers(self, count: int) -> None:
        """Wait until so many different answers have arrived."""
        while len(self.texts) < count:
            self._changed.clear()
            await self._changed.wait()

    async def answer(self, text: str) -> float:
        """Wait for an answer, and return when it arrived."""
        while text not in self.arrived:
            self._changed.clear()
            await self._changed.wait()
        return self.arrived[text]


class Person:
    """A user who is online.

    :ivar dialogs: by the account's user id.
    """

    def __init__(self, cube: AsyncConnectyCube, user_id: int, world: World, context: ssl.SSLContext) -> None:
        found = world.addresses
        self.dialogs: dict[int, Dialog] = {}
        self._cube = cube
        self.chat = AsyncChat(
            app_id=found["app_id"], user_id=user_id, password=PASSWORD,
            host=found["chat_host"], port=found["chat_tls_port"], ssl_context=context,
        )  # fmt: skip
        self.chat.on(MessageReceived)(self._received)
        self.chat.on(Reconnected)(self._back)

    def with_account(self, account: int) -> Dialog:
        """Return the dialog with an account."""
        return self.dialogs.setdefault(account, Dialog(self, account))

    def _received(self, event: MessageReceived) -> None:
        message = event.message
        if (dialog := self.dialogs.get(message.sender_id or 0)) is not None:
            dialog.received(message.body, message.id)

    async def _back(self, event: Reconnected) -> None:
        """Read what was sent before a new session, as all clients do."""
        if not event.resumed:
            for account, history in (await self.histories()).items():
                for text, message_id in history:
                    self.dialogs[account].note(text, message_id)

    async def histories(self) -> dict[int, History]:
        """Return the messages of each account and their ids, as the server has them."""
        while True:
            try:
                found: dict[int, History] = {account: [] for account in self.dialogs}
                async for dialog in self._cube.dialogs.list(filters={"type": 3}):
                    for account in found.keys() & set(dialog.occupants_ids):
                        found[account] = await self._history(dialog.id, account)
                return found
            except ConnectyCubeError:
                await asyncio.sleep(0.2)

    async def _history(self, dialog_id: str, account: int) -> History:
        messages = self._cube.messages.list(
            chat_dialog_id=dialog_id, sort_asc="date_sent", limit=100, mark_as_read=False
        )
        return [(one.message or "", one.id) async for one in messages if one.sender_id == account]

    async def say(self, account: int, text: str) -> None:
        """Send a message until the server has it."""
        message_id = os.urandom(12).hex()
        while True:
            try:
                await self.chat.send(account, text, message_id=message_id)
                return
            except MessageNotSent:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def people(world: World, names: Sequence[str]) -> AsyncIterator[list[Person]]:
    """Yield users, online."""
    context = ssl.create_default_context(cafile=world.addresses["ca_file"])
    async with AsyncExitStack() as stack:
        found = []
        for name in names:
            cube = await stack.enter_async_context(world.cube())
            person = Person(cube, (await cube.login(login=name, password=PASSWORD)).user_id or 0, world, context)
            await stack.enter_async_context(person.chat)
            found.append(person)
        yield found


async def histories(dialogs: Sequence[Dialog], found: Sequence[Person]) -> list[History]:
    """Return what the server has of each dialog."""
    known = {
        id(person.dialogs[account]): one for person in found for account, one in (await person.histories()).items()
    }
    return [known[id(dialog)] for dialog in dialogs]
