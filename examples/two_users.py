"""Two users talk in one event loop, each over their own connection.

python examples/two_users.py    with both accounts from chat_account.py
"""

from __future__ import annotations

import asyncio

from chat_account import account
from connectycube.chat import (
    AsyncChat,
    EventStream,
    MessageEdited,
    MessageRead,
    MessageReceived,
    TypingStarted,
)


async def next_of(events: EventStream[MessageReceived], sender_id: int) -> MessageReceived:
    """Return the next message from a user, skipping those of others."""
    async for event in events:
        if event.message.sender_id == sender_id:
            return event
    raise SystemExit("the connection is lost")


async def main() -> None:
    (mary_id, mary_password), (ada_id, ada_password) = account(), account("_2")
    async with (
        AsyncChat(user_id=mary_id, password=mary_password) as mary,
        AsyncChat(user_id=ada_id, password=ada_password) as ada,
    ):
        to_mary, to_ada = mary.events(MessageReceived), ada.events(MessageReceived)
        news = mary.events(MessageRead, TypingStarted)
        edits = ada.events(MessageEdited)

        sent = await mary.send(ada_id, "Who drives on Sunday?")
        got = (await next_of(to_ada, mary_id)).message
        print(f"Ada reads: {got.body}")
        await ada.mark_read(got)
        await ada.start_typing(mary_id)
        async for event in news:
            print(f"Mary sees: {type(event).__name__}")
            if isinstance(event, TypingStarted):
                break

        await ada.reply(got, "I do. Seven o'clock?", extra={"seats": 3})
        reply = (await next_of(to_mary, ada_id)).message
        print(f"Mary reads: {reply.body} ({reply.extra['seats']} seats)")

        await mary.edit_message(ada_id, sent.id, "Who drives on Saturday?")
        print(f"Ada sees the edit: {(await anext(edits)).body}")


if __name__ == "__main__":
    asyncio.run(main())
