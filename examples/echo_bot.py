"""A bot that echoes every message, in private and in groups.

python examples/echo_bot.py     runs until Ctrl-C with the account in the environment; without one, it shows itself on a
                                sandbox (see local_sandbox.py)

It keeps what it has received and not replied to yet in the file echo_bot.db, so nothing is lost if it is killed.
"""

from __future__ import annotations

from connectycube.bots import Bot, Context
from connectycube.chat import Connected, ContactRequested, MessageReceived
from connectycube.sandbox import Sandbox
from local_sandbox import run

bot = Bot(store="echo_bot.db")


@bot.on(Connected)
async def connected(event: Connected) -> None:
    print(f"user {bot.chat.user_id} is online", flush=True)


@bot.on(ContactRequested)
async def welcome(event: ContactRequested) -> None:
    await bot.chat.contacts.accept(event.user_id)


@bot.message()
async def echo(ctx: Context) -> None:
    await ctx.reply(f"You said: {ctx.text}")


async def scene(sandbox: Sandbox) -> None:
    async with sandbox.bot(bot) as account, sandbox.chat("ada") as ada:
        replies = ada.events(MessageReceived)
        for text in ("Hello", "Are you there?"):
            print(f"Ada: {text}")
            await ada.send(account.id, text)
            print(f"Bot: {(await anext(replies)).message.body}")


if __name__ == "__main__":
    run(bot, scene)
