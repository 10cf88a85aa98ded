"""The bot that the workers run: it answers each message once for each letter of `ECHO_PARTS`."""

from __future__ import annotations

import asyncio
import os

from connectycube.bots import Bot, Context

PARTS = os.environ.get("ECHO_PARTS", "a")
SECONDS = float(os.environ.get("ECHO_SECONDS", "0"))
"""How long each message takes."""

bot = Bot(concurrency=int(os.environ.get("ECHO_CONCURRENCY", "16")))


@bot.message()
async def echo(ctx: Context) -> None:
    if SECONDS:
        await asyncio.sleep(SECONDS)
    for part in PARTS:
        await ctx.reply(f"{ctx.text} {part}")
