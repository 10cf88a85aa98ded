"""A bot that echoes every message, in private and in groups, until Ctrl-C or until the chat ends permanently.

python examples/echo_bot.py [STORE]     with the account from chat_account.py

What it has received and not answered yet is in the file STORE (default: echo_bot.db), so nothing is lost if it is
killed. If CONNECTYCUBE_AUTH_KEY and CONNECTYCUBE_LOGIN are set, too, it also reads what it missed from the history.
"""

from __future__ import annotations

import sys

from chat_account import account
from connectycube.bots import Bot, Context
from connectycube.chat import Connected, ContactRequested

bot = Bot(store=sys.argv[1] if len(sys.argv) > 1 else "echo_bot.db")


@bot.on(Connected)
async def connected(event: Connected) -> None:
    print(f"user {bot.chat.user_id} is online")


@bot.on(ContactRequested)
async def welcome(event: ContactRequested) -> None:
    await bot.chat.contacts.accept(event.user_id)


@bot.message(lambda message: message.body and message.sender_id)
async def echo(ctx: Context) -> None:
    await ctx.reply(f"You said: {ctx.text}")
    if ctx.message.id is not None:
        await ctx.mark_read()


if __name__ == "__main__":
    account()  # It names what is missing.
    bot.run()
