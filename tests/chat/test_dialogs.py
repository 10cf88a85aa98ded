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
    MessageDelivered,
    MessageReceived,
    MessageSent,
    MessageSentElsewhere,
    Subscription,
    TypingStarted,
)
from connectycube.rest import AsyncConnectyCube, ConnectyCube, InvalidArgument, User
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
        self.cube: Any = cube
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
    """The methods of the REST calls about dialogs so far."""
    return [entry.method for entry in sandbox.journal.exchanges() if "/chat/Dialog" in entry.path]


async def group_of(owner: Member, *others: Member) -> str:
    others_ids = [other.id for other in others]
    return str((await owner.cube.dialogs.create(type=2, name="Hikers", occupants_ids=others_ids)).id)


def test_private_message_carries_the_dialog_that_is_looked_up_once(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog = await bob.cube.dialogs.create(type=3, occupants_ids=[ann.id])
            sandbox.journal.clear()
            first, second = await asyncio.gather(ann.chat.send(bob.id, "one"), ann.chat.send(bob.id, "two"))
            assert first.dialog_id == second.dialog_id == dialog.id
            await ann.chat.edit_message(bob.id, first.id, "three")
            assert calls(sandbox) == ["POST"]
            assert [event.message.body for event in await bob.told.all(MessageReceived, 2)] == ["one", "two"]
            assert (await ann.told.one(MessageDelivered)).dialog_id == dialog.id

    run(main())


@pytest.mark.parametrize("known", ["the user", "the dialog"])
def test_private_dialog_as_the_recipient(sandbox: Sandbox, known: str) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog = await ann.cube.dialogs.create(type=3, occupants_ids=[bob.id])
            if known == "the user":
                await ann.chat.send(bob.id, "first")
            else:
                await ann.chat.send(dialog, "first")
            await bob.told.all(MessageReceived, 1)
            sandbox.journal.clear()
            assert (await ann.chat.send(str(dialog.id), "second")).dialog_id == dialog.id
            assert calls(sandbox) == []
            message = (await bob.told.all(MessageReceived, 2))[1].message
            assert (message.type, message.dialog_id, message.body) == ("chat", dialog.id, "second")

    run(main())


def test_unknown_private_dialog_is_looked_up_once(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog = await ann.cube.dialogs.create(type=3, occupants_ids=[bob.id])
            sandbox.journal.clear()
            await ann.chat.start_typing(str(dialog.id).upper())
            sent = await ann.chat.send(str(dialog.id), "hello")
            await ann.chat.delete_message(str(dialog.id), sent.id)
            assert calls(sandbox) == ["GET"]
            assert (await bob.told.one(TypingStarted)).dialog_id is None
            assert (await bob.received()).type == "chat"
            with pytest.raises(InvalidArgument, match="has no room"):
                await ann.chat.join(str(dialog.id))

    run(main())


def test_group_is_looked_up_once(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog_id = await group_of(ann, bob)
            sandbox.journal.clear()
            for body in ("one", "two"):
                assert (await ann.chat.send(dialog_id, body)).dialog_id == dialog_id
            assert calls(sandbox) == ["GET"]
            assert [event.message.type for event in await bob.told.all(MessageReceived, 2)] == ["groupchat"] * 2

    run(main())


def test_given_dialog_is_not_looked_up(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog = await ann.cube.dialogs.create(type=3, occupants_ids=[bob.id])
            sandbox.journal.clear()
            assert (await ann.chat.send(bob.id, "hello", dialog_id=dialog.id)).dialog_id == dialog.id
            assert calls(sandbox) == []
            with pytest.raises(InvalidArgument, match=r"^dialog_id must be 24 hexadecimal digits"):
                await ann.chat.send(bob.id, "hello", dialog_id="nonsense")
            with pytest.raises(InvalidArgument, match=r"^dialog_id is for a message to a user"):
                await ann.chat.send(UNKNOWN, "hello", dialog_id=UNKNOWN)
            assert calls(sandbox) == []

    run(main())


def test_nothing_is_looked_up_if_not_wanted(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob", resolve_dialogs=False) as (ann, bob):
            sandbox.journal.clear()
            assert (await ann.chat.send(bob.id, "hello")).dialog_id is None
            assert (await bob.received()).body == "hello"
            assert calls(sandbox) == []

    run(main())


def test_users_and_contacts_as_recipients(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            await ann.chat.send(User(id=bob.id), "one")
            await ann.chat.send(Contact(user_id=bob.id, name=None, subscription=Subscription.BOTH), "two")
            assert [event.message.body for event in await bob.told.all(MessageReceived, 2)] == ["one", "two"]

    run(main())


def test_blocking_cube_looks_up_too(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "bob") as (bob,):
            with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
                cube.login(login="ann", password=PASSWORD)
                ann = Member(sandbox, cube)
                async with ann.chat:
                    sent = await ann.chat.send(bob.id, "hello")
                    assert sent.dialog_id == cube.dialogs.create(type=3, occupants_ids=[bob.id]).id
                    assert (await bob.received()).dialog_id == sent.dialog_id

    run(main())


@pytest.mark.parametrize("status", [500, 429, 404])
def test_message_is_sent_while_the_rest_api_fails(sandbox: Sandbox, status: int) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            sandbox.faults.fail_next(status, 2, method="POST", path="/chat/Dialog")
            sandbox.journal.clear()
            for body in ("one", "two"):
                assert (await ann.chat.send(bob.id, body)).dialog_id is None
            assert [event.message.body for event in await bob.told.all(MessageReceived, 2)] == ["one", "two"]
            # What an error of this kind says about one message, it says about the next.
            assert len(calls(sandbox)) == (2 if status == 404 else 1)

    run(main())


def test_cube_of_another_user_is_not_asked(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            await ann.cube.login(login="carl", password=PASSWORD)
            sandbox.journal.clear()
            assert (await ann.chat.send(bob.id, "hello")).dialog_id is None
            assert (await bob.received()).sender_id == ann.id
            assert calls(sandbox) == []

    run(main())


def test_cancelled_lookup_leaves_the_others(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            tasks = [asyncio.create_task(ann.chat.send(bob.id, body)) for body in ("one", "two")]
            await asyncio.sleep(0)  # Both have begun: the first one asks, the second one waits for it.
            tasks[0].cancel()
            assert (await tasks[1]).dialog_id is not None
            assert (await bob.received()).body == "two"

    run(main())


def test_messages_that_waited_for_a_lookup_are_not_overtaken(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            tasks: list[asyncio.Task[Any]] = []
            while not ann.told.of(MessageSent):  # From before the lookup until after it.
                tasks.append(asyncio.create_task(ann.chat.send(bob.id, str(len(tasks)))))
                await asyncio.sleep(0.001)
            await asyncio.gather(*tasks)
            received = await bob.told.all(MessageReceived, len(tasks))
            assert [event.message.body for event in received] == [str(number) for number in range(len(tasks))]

    run(main())


@pytest.mark.parametrize("options", [{}, {"body": "x", "extra": {"body": 1}}, {"body": "x", "message_id": "1"}])
def test_invalid_message_creates_no_dialog(sandbox: Sandbox, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            sandbox.journal.clear()
            with pytest.raises(InvalidArgument):
                await ann.chat.send(bob.id, **options)
            assert calls(sandbox) == []

    run(main())


# Replies


def test_private_reply(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            await ann.chat.send(bob.id, "hello")
            message = await bob.received()
            sandbox.journal.clear()
            sent = await bob.chat.reply(message, "back", extra={"mood": "happy"})
            answer = await ann.received()
            assert sent.dialog_id == message.dialog_id == answer.dialog_id
            assert (answer.body, answer.type, answer.extra) == ("back", "chat", {"mood": "happy"})
            assert calls(sandbox) == []

    run(main())


def test_reply_in_a_group(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            dialog_id = await group_of(ann, bob)
            await ann.chat.send(dialog_id, "hello")
            sandbox.journal.clear()
            assert (await bob.chat.reply(await bob.received(), "back")).dialog_id == dialog_id
            answer = await ann.received()
            assert (answer.body, answer.type, answer.dialog_id) == ("back", "groupchat", dialog_id)
            assert calls(sandbox) == []

    run(main())


def test_reply_to_a_message_of_ones_own(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob", "ann") as (ann, bob, phone):
            await ann.chat.send(bob.id, "hello")
            copy = (await phone.told.one(MessageSentElsewhere)).message
            await phone.chat.reply(copy, "and more")
            assert [event.message.body for event in await bob.told.all(MessageReceived, 2)] == ["hello", "and more"]

    run(main())


def test_reply_does_not_repeat_what_is_no_dialog_id(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            message = ChatMessage(
                id=UNKNOWN, body="x", sender_id=bob.id, recipient_id=ann.id, dialog_id="<x>", type="chat"
            )
            sent = await ann.chat.reply(message, "back")
            assert sent.dialog_id == (await ann.cube.dialogs.create(type=3, occupants_ids=[bob.id])).id

    run(main())


def test_reply_carries_the_known_dialog_whatever_the_sender_names(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann", "bob") as (ann, bob):
            group_id = await group_of(ann, bob)
            first = await ann.chat.send(bob.id, "hello")
            forged = ChatMessage(
                id=UNKNOWN, body="x", sender_id=bob.id, recipient_id=ann.id, dialog_id=group_id, type="chat"
            )
            assert (await ann.chat.reply(forged, "back")).dialog_id == first.dialog_id

    run(main())


def test_message_that_cannot_be_answered(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with members(sandbox, "ann") as (ann,):
            nobodys = ChatMessage(
                id=UNKNOWN, body="x", sender_id=ann.id, recipient_id=None, dialog_id=None, type="chat"
            )
            with pytest.raises(InvalidArgument, match=r"^message has nobody who could be answered"):
                await ann.chat.reply(nobodys, "back")
            event: Any = MessageReceived(message=nobodys)
            with pytest.raises(InvalidArgument, match=r"^message must be a ChatMessage like event\.message"):
                await ann.chat.reply(event, "back")

    run(main())
