"""A bot that streams long replies: it sends the beginning, and edits the message while the rest is written.

python examples/assistant.py    runs until Ctrl-C with the account in the environment; without one, it shows itself on a
                                sandbox (see local_sandbox.py)

If the bot is killed, the handler runs again after the restart. Its reply has the same id, so the stream continues in
the same message.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from connectycube.bots import Bot, Context
from connectycube.chat import Connected, MessageEdited, MessageReceived
from connectycube.sandbox import Sandbox
from local_sandbox import run

EDIT_INTERVAL = 0.5
"""Seconds between two edits: enough to read along, and far below what servers limit."""

REPLY = """
You asked: {question} There are three ways up. The gully on the left is the shortest, but it stays wet until noon. The
ridge takes an hour longer and has the view. The path through the wood is for those who carry the rope. Whichever you
choose, be back at the old bridge by six.
"""

bot = Bot(store="assistant.db")


async def model(question: str) -> AsyncIterator[str]:
    """Yield a reply piece by piece, as a language model does.

    This one knows a single reply. To use a real model, yield what it streams; with the package `anthropic`, for
    example, the body becomes:

        async with anthropic.AsyncAnthropic().messages.stream(
            model="claude-sonnet-4-5", max_tokens=2000, messages=[{"role": "user", "content": question}]
        ) as stream:
            async for piece in stream.text_stream:
                yield piece
    """
    for word in REPLY.format(question=question).split():
        await asyncio.sleep(0.04)
        yield f"{word} "


@bot.on(Connected)
async def connected(event: Connected) -> None:
    print(f"user {bot.chat.user_id} is online", flush=True)


@bot.message()
async def reply(ctx: Context) -> None:
    loop = asyncio.get_running_loop()
    async with ctx.typing():
        reply = await ctx.reply("…")
        text, due = "", loop.time() + EDIT_INTERVAL
        async for piece in model(ctx.text):
            text += piece
            if loop.time() >= due:
                await ctx.edit(reply, f"{text}…")
                due = loop.time() + EDIT_INTERVAL
        await ctx.edit(reply, text.strip())


async def scene(sandbox: Sandbox) -> None:
    async with sandbox.bot(bot) as account, sandbox.chat("ada") as ada:
        events = ada.events(MessageReceived, MessageEdited)
        print("Ada: Which way?")
        await ada.send(account.id, "Which way?")
        async for event in events:
            text = event.body if isinstance(event, MessageEdited) else event.message.body
            print(f"Bot: {text}")
            if text.endswith("by six."):
                break


if __name__ == "__main__":
    run(bot, scene)
