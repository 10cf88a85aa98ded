"""The dialog of a private message: looked up, given, or that of the message being answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectycube.chat import (
    AsyncChat,
    ChatMessage,
    Contact,
    InvalidArgument,
    MessageDelivered,
    MessageReceived,
    MessageSentElsewhere,
    Subscription,
)
from connectycube.rest import AsyncConnectyCube, ConnectyCube, Dialog, DialogType, User
from connectycube.sandbox import Sandbox
from tests.integration.chats import Told
from tests.integration.support import run

PASSWORD = "correct-horse-9"
UNKNOWN = "66f1a7c2e4b0d93a51c8e2ff"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        for name in ("ann", "bob", "carl"):
            found.create_user(name, PASSWORD)
        yield found


class Member:
    """A user with a REST client and a chat."""

    def __init__(self, sandbox: Sandbox, cube: AsyncConnectyCube | ConnectyCube, **options: Any) -> None:
        self.cube = cube
        self.chat = AsyncChat(
            cube, host=sandbox.chat_host, port=sandbox.chat_tls_port, ssl_context=sandbox.ssl_context, **options
        )
        self.told = Told(self.chat)

    @property
    def id(self) -> int:
        return self.chat.user_id

    async def received(self) -> ChatMessage:
        return (await self.told.one(MessageReceived)).message


@asynccontextmanager
async def members(sandbox: Sandbox, *names: str, **options: Any) -> AsyncIterator[list[Member]]:
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for name in names:
            cube = AsyncConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url)
            await stack.enter_async_context(cube)
            await cube.login(login=name, password=PASSWORD)
            found.append(Member(sandbox, cube, **options))
            await stack.enter_async_context(found[-1].chat)
        yield found


def calls(sandbox: Sandbox) -> list[str]:
    """The REST calls about dialogs so far."""
    return [entry.summary for entry in sandbox.journal.entries() if "/chat/Dialog" in entry.summary]


def test_private_message_carries_the_dialog_that_was_looked_up(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog = await bob.cube.dialogs.create(type=3, occupants_ids=[ann.id])
            before = len(calls(sandbox))
            first, second = await asyncio.gather(ann.chat.send(bob.id, "one"), ann.chat.send(bob.id, "two"))
            assert first.dialog_id == second.dialog_id == dialog.id
            await ann.chat.edit_message(bob.id, first.id, "three")
            assert len(calls(sandbox)) == before + 1
            assert [event.message.body for event in await bob.told.all(MessageReceived, 2)] == ["one", "two"]
            assert (await ann.told.one(MessageDelivered)).dialog_id == dialog.id

    run(main())
