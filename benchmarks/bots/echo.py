"""The bot that the runs start: `python echo.py STORE [PARTS]` answers each message once for each letter of PARTS."""

from __future__ import annotations

import sys

from connectycube.bots import Bot, Context
from connectycube.chat import Connected

PARTS = sys.argv[2] if len(sys.argv) > 2 else "a"

bot = Bot(store=sys.argv[1])


@bot.on(Connected)
async def connected(event: Connected) -> None:
    print("online", flush=True)


@bot.message()
async def echo(ctx: Context) -> None:
    for part in PARTS:
        await ctx.reply(f"{ctx.text} {part}")


if __name__ == "__main__":
    bot.run()
