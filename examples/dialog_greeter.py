"""A bot that says hello in each group to which it is added.

python examples/dialog_greeter.py   runs until Ctrl-C with the account in the environment; without one, it shows itself
                                    on a sandbox (see local_sandbox.py)

The official clients send a system message to everyone whom they add to a dialog. The platform itself sends none, so do
the same after you create a dialog or add users to it:

    chat.send_system(user_ids, SystemNotice(SystemNoticeKind.NEW_DIALOG, dialog.id))

A program without a chat sends it over REST:

    cube.messages.create_system(recipientId=user_id, body="dialog/NEW_DIALOG", extra={"dialogId": dialog.id})

The bot may miss system messages while it is away, so it also looks through its dialogs when it starts.
"""

from __future__ import annotations

import hashlib
import logging

from connectycube.bots import Bot
from connectycube.chat import Connected, MessageReceived, RequestRefused, SystemMessageReceived
from connectycube.rest import InvalidArgument, SystemNotice, SystemNoticeKind
from connectycube.sandbox import Sandbox
from local_sandbox import run

ADDED = (SystemNoticeKind.NEW_DIALOG, SystemNoticeKind.ADDED_TO_DIALOG)
REMOVED = (SystemNoticeKind.REMOVE_PARTICIPANTS, SystemNoticeKind.DELETE_DIALOG)

bot = Bot(store="dialog_greeter.db")


@bot.on(Connected)
async def connected(event: Connected) -> None:
    print(f"user {bot.chat.user_id} is online", flush=True)
    async for dialog in bot.cube.dialogs.list(filters={"type": 2}):
        await enter(dialog.id)


@bot.on(SystemMessageReceived)
async def noticed(event: SystemMessageReceived) -> None:
    notice = event.notice
    if notice is None or notice.dialog_id is None:
        return
    if notice.kind in ADDED:
        try:
            await enter(notice.dialog_id)
        except (InvalidArgument, RequestRefused) as error:
            # Anyone can send a notice about any dialog, but a room lets only its members in.
            logging.warning("user %s sent a wrong notice: %s", event.user_id, error)
    elif notice.kind in REMOVED and not notice.user_ids:  # With ids, others were removed.
        await bot.chat.leave(notice.dialog_id)
        print(f"left {notice.dialog_id}", flush=True)


async def enter(dialog_id: str) -> None:
    """Join a group, and say hello unless the bot has written there before."""
    await bot.chat.join(dialog_id)
    print(f"joined {dialog_id}", flush=True)
    if not await bot.cube.messages.count(chat_dialog_id=dialog_id, filters={"sender_id": bot.chat.user_id}):
        # A message with the same id is sent once, even if two notices arrive at the same time.
        hello_id = hashlib.sha256(f"hello {dialog_id}".encode()).hexdigest()[:24]
        await bot.send(dialog_id, "Hello, I am the bot of this group.", message_id=hello_id)


async def scene(sandbox: Sandbox) -> None:
    async with sandbox.bot(bot) as account, sandbox.rest("ada") as cube, sandbox.chat(cube) as ada:
        hellos = ada.events(MessageReceived)
        group = await cube.dialogs.create(type=2, name="Climbing", occupants_ids=[account.id])
        await ada.join(group)
        print("Ada creates a group and tells the bot")
        await ada.send_system(account.id, SystemNotice(SystemNoticeKind.NEW_DIALOG, group.id))
        print(f"Bot: {(await anext(hellos)).message.body}")


if __name__ == "__main__":
    run(bot, scene)
