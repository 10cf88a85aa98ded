"""The examples of bots do what they say when they are killed, blocked, and told lies."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dialog_greeter
from connectycube.chat import (
    MessageDeleted,
    MessageEdited,
    MessageNotSent,
    MessageReceived,
    OccupantKicked,
    OccupantLeft,
)
from connectycube.rest import SystemNotice, SystemNoticeKind
from connectycube.sandbox import Sandbox
from moderation import moderator
from tests.integration.support import run

EXAMPLES = Path(__file__).parents[2] / "examples"
WARNING = "Please mind your words in our group."


class Group:
    """A group of the bot, whose owner it is, and two users who are online.

    :ivar folder: where the bot keeps its files.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.cube, self.ada, self.omar = sandbox.rest("bot"), sandbox.chat("ada"), sandbox.chat("omar")
        self.id = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, sandbox: Sandbox, folder: Path) -> AsyncIterator[Group]:
        group = cls(sandbox, folder)
        async with group.cube as cube, group.ada as ada, group.omar as omar:
            members = [ada.user_id, omar.user_id]
            group.id = (await cube.dialogs.create(type=2, name="Climbing", occupants_ids=members)).id
            await ada.join(group.id)
            await omar.join(group.id)
            yield group

    @asynccontextmanager
    async def moderated(self) -> AsyncIterator[int]:
        """A bot watches it; its user id."""
        bot = moderator(self.id, ["rotten", "(bad"], self.folder)
        async with self.sandbox.bot(bot, store=self.folder / "moderation.db") as account:
            yield account.id

    async def texts(self) -> list[str | None]:
        """The history."""
        return [message.message async for message in self.cube.messages.list(chat_dialog_id=self.id)]


def test_moderator_counts_across_a_restart(connectycube_sandbox: Sandbox, tmp_path: Path) -> None:
    async def main() -> None:
        async with Group.open(connectycube_sandbox, tmp_path) as group:
            ada, omar = group.ada, group.omar
            deleted, removed = ada.events(MessageDeleted), ada.events(OccupantKicked)
            told = omar.events(MessageReceived)
            async with group.moderated():
                await omar.send(group.id, "Fine weather")
                first = await omar.send(group.id, "Rotten weather")
                assert (await anext(deleted)).message_id == first.id
                assert (await anext(told)).message.body == WARNING
            second = await omar.send(group.id, "It is (BAD)")
            async with group.moderated() as bot_id:
                assert (await anext(deleted)).message_id == second.id
                assert (await anext(removed)).user_id == omar.user_id
                assert await group.texts() == ["Fine weather"]
                try:
                    await omar.send(bot_id, "Why?")
                except MessageNotSent:
                    pass
                else:
                    raise AssertionError("the bot has not blocked the user")

    run(main())


def test_moderator_judges_edits(connectycube_sandbox: Sandbox, tmp_path: Path) -> None:
    async def main() -> None:
        async with Group.open(connectycube_sandbox, tmp_path) as group:
            omar = group.omar
            deleted, told = group.ada.events(MessageDeleted), omar.events(MessageReceived)
            async with group.moderated():
                sent = await omar.send(group.id, "Fine weather")
                await omar.edit_message(group.id, sent, "Rotten as ever")
                assert (await anext(deleted)).message_id == sent.id
                assert (await anext(told)).message.body == WARNING
            assert await group.texts() == []

    run(main())


def test_moderator_carries_on_when_it_is_blocked(connectycube_sandbox: Sandbox, tmp_path: Path) -> None:
    async def main() -> None:
        async with Group.open(connectycube_sandbox, tmp_path) as group:
            omar = group.omar
            removed = group.ada.events(OccupantKicked)
            async with group.moderated() as bot_id:
                await omar.privacy.block(bot_id)
                await omar.send(group.id, "Rotten weather")
                await omar.send(group.id, "Rotten weather again")
                assert (await anext(removed)).user_id == omar.user_id
            assert await group.texts() == []

    run(main())


def test_moderator_deletes_no_message_of_somebody_else(connectycube_sandbox: Sandbox, tmp_path: Path) -> None:
    async def main() -> None:
        async with Group.open(connectycube_sandbox, tmp_path) as group:
            ada, omar = group.ada, group.omar
            told = omar.events(MessageReceived)
            async with group.moderated() as bot_id:
                sent = await ada.send(group.id, "Fine weather")
                assert (await anext(told)).message.body == "Fine weather"
                await omar.send(bot_id, "Rotten, but private", dialog_id=group.id)
                await omar.send(group.id, "Rotten as ever", message_id=sent.id)
                assert (await anext(told)).message.body == WARNING
            assert await group.texts() == ["Fine weather"]

    run(main())


def test_greeter_joins_what_it_is_in_and_survives_lies(connectycube_sandbox: Sandbox) -> None:
    sandbox, bot = connectycube_sandbox, dialog_greeter.bot

    async def main() -> None:
        async with sandbox.rest("ada") as cube, sandbox.chat(cube) as ada:
            account = sandbox.create_user("bot", "correct-horse-9")
            groups = [
                (await cube.dialogs.create(type=2, name=name, occupants_ids=members)).id
                for name, members in (("Old", [account.id]), ("New", [account.id]), ("Foreign", []))
            ]
            old, new, foreign = groups
            for group in groups:
                await ada.join(group)
            hellos = ada.events(MessageReceived)
            async with sandbox.bot(bot, account):
                assert {(await anext(hellos)).message.dialog_id for _ in (old, new)} == {old, new}
            await cube.dialogs.delete(new)
            new = (await cube.dialogs.create(type=2, name="Newer", occupants_ids=[account.id])).id
            await ada.join(new)
            async with sandbox.bot(bot, account):
                assert (await anext(hellos)).message.dialog_id == new
                left = ada.events(OccupantLeft)
                for dialog_id in (foreign, "nonsense", old):
                    notice = SystemNotice(SystemNoticeKind.NEW_DIALOG, dialog_id)
                    await ada.send_system(account.id, notice)
                await ada.send_system(account.id, SystemNotice(SystemNoticeKind.REMOVE_PARTICIPANTS, old))
                async for event in left:
                    if event.dialog_id == old:
                        break
                assert await cube.messages.count(chat_dialog_id=old) == 1

    run(main())


def test_assistant_finishes_its_answer_after_it_was_killed(connectycube_sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox = connectycube_sandbox
    account = sandbox.create_user("bot", "correct-horse-9")

    async def main() -> None:
        async with sandbox.chat("ada") as ada:
            events = ada.events(MessageReceived, MessageEdited)
            async with assistant(sandbox, tmp_path) as process:
                await ada.send(account.id, "Which way?")
                first = await anext(events)
                assert isinstance(first, MessageReceived)
                edit = await anext(events)
                process.kill()
            assert isinstance(edit, MessageEdited)
            assert edit.body.endswith("…")
            async with assistant(sandbox, tmp_path):
                while not edit.body.endswith("by six."):
                    edit = await anext(events)
                    assert isinstance(edit, MessageEdited)
                    assert edit.message_id == first.message.id

    run(main())


@asynccontextmanager
async def assistant(sandbox: Sandbox, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example as a process, which is killed at the end."""
    environment = os.environ | {
        "CONNECTYCUBE_APP_ID": str(sandbox.app_id),
        "CONNECTYCUBE_AUTH_KEY": sandbox.auth_key,
        "CONNECTYCUBE_BASE_URL": sandbox.api_url,
        "CONNECTYCUBE_LOGIN": "bot",
        "CONNECTYCUBE_PASSWORD": "correct-horse-9",
        "CONNECTYCUBE_CHAT_HOST": sandbox.chat_host,
        "CONNECTYCUBE_CHAT_PORT": str(sandbox.chat_tls_port),
        "SSL_CERT_FILE": str(sandbox.ca_file),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / "assistant.py"), stdout=asyncio.subprocess.PIPE, cwd=folder, env=environment
    )
    try:
        assert process.stdout is not None
        assert b"is online" in await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
