"""A bot that keeps a group polite: it deletes messages with certain words, warns their authors, and then removes them.

python examples/moderation.py                       shows itself on a sandbox (see local_sandbox.py)
python examples/moderation.py DIALOG_ID WORD ...    watches a group until Ctrl-C, with the account in the environment,
                                                    which must be an admin of the group

Offences are kept in a file by the ids of their messages. So a restart does not clear them, and a message whose handler
runs again counts once. Messages that were sent while the bot was away are judged when it is back; edits are not.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from connectycube.bots import Bot, Context
from connectycube.chat import Connected, MessageDeleted, MessageEdited, MessageReceived, OccupantKicked
from connectycube.rest import NotFound
from connectycube.sandbox import Sandbox
from local_sandbox import play

WARNINGS = 1
"""How often a user is warned before being removed from the group and blocked."""


class Offences:
    """The offences of all users, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, user_id: int, message_id: str) -> int:
        """Add an offence, unless it is known, and return how many the user has committed."""
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS offences (user_id, message_id, PRIMARY KEY (user_id, message_id))")
            db.execute("INSERT OR IGNORE INTO offences VALUES (?, ?)", (user_id, message_id))
            (count,) = db.execute("SELECT count(*) FROM offences WHERE user_id = ?", (user_id,)).fetchone()
            return int(count)


def moderator(dialog_id: str, words: Iterable[str], folder: Path) -> Bot:
    """Return a bot that watches a group and keeps its files in a folder."""
    bot, offences = Bot(store=folder / "moderation.db"), Offences(folder / "offences.db")
    bad = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)

    @bot.on(Connected)
    async def connected(event: Connected) -> None:
        await bot.chat.join(dialog_id)
        print(f"user {bot.chat.user_id} watches {dialog_id}", flush=True)

    @bot.message(lambda message: message.type == "groupchat" and message.dialog_id == dialog_id)
    async def received(ctx: Context) -> None:
        await judge(ctx.sender_id, ctx.message.id, ctx.text)

    @bot.on(MessageEdited)
    async def edited(event: MessageEdited) -> None:
        if event.dialog_id == dialog_id:
            await judge(event.user_id, event.message_id, event.body)

    async def judge(user_id: int | None, message_id: str | None, text: str) -> None:
        if user_id is None or message_id is None or not bad.search(text):
            return
        await delete(user_id, message_id)
        count = await asyncio.to_thread(offences.add, user_id, message_id)
        if count <= WARNINGS:
            # A message with the same id is sent once, even if this runs again.
            warning_id = hashlib.sha256(f"{user_id} {message_id}".encode()).hexdigest()[:24]
            print(f"warning user {user_id}", flush=True)
            await bot.send(user_id, "Please mind your words in our group.", message_id=warning_id)
        else:
            print(f"removing user {user_id}", flush=True)
            await bot.chat.privacy.block(user_id)
            await bot.cube.dialogs.remove_occupants(dialog_id, [user_id])

    async def delete(user_id: int, message_id: str) -> None:
        with suppress(NotFound):  # It need not be in the history.
            # Senders choose the ids of their messages: this one may be someone else's.
            if (await bot.cube.messages.get(dialog_id, message_id)).sender_id != user_id:
                return
        await bot.chat.delete_message(dialog_id, message_id)  # For those who are online.
        await bot.cube.messages.delete(message_id, force=True)

    return bot


async def scene(sandbox: Sandbox) -> None:
    cube, ada, omar = sandbox.rest("bot"), sandbox.chat("ada"), sandbox.chat("omar")
    with tempfile.TemporaryDirectory() as folder:
        async with cube, ada, omar:
            members = [ada.user_id, omar.user_id]
            group = await cube.dialogs.create(type=2, name="Climbing", occupants_ids=members)
            await ada.join(group)
            await omar.join(group)
            bot = moderator(group.id, ["rotten"], Path(folder))
            async with sandbox.bot(bot, store=Path(folder) / "moderation.db"):
                deleted, removed = ada.events(MessageDeleted), ada.events(OccupantKicked)
                warned = omar.events(MessageReceived)
                print("Omar: Rotten weather")
                await omar.send(group, "Rotten weather")
                await anext(deleted)
                print(f"Bot, to Omar: {(await anext(warned)).message.body}")
                print("Omar: Fine weather")
                sent = await omar.send(group, "Fine weather")
                print("Omar, in an edit: Rotten as ever")
                await omar.edit_message(group, sent, "Rotten as ever")
                await anext(deleted)
                await anext(removed)
            history = await cube.messages.list(chat_dialog_id=group.id)
            print(f"messages in the group: {len(history)}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        moderator(sys.argv[1], sys.argv[2:], Path()).run()
    elif len(sys.argv) == 1:
        play(scene)
    else:
        sys.exit("give the id of a group dialog, and words")
