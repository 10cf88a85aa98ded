"""Bots that lose no messages, over a durable store. Install `connectycube[bots]`.

from connectycube.bots import Bot, Context

bot = Bot(store="bot.db")

@bot.command("weather")
async def weather(ctx: Context, city: str, days: int = 1) -> None:
    await ctx.reply(f"{city}: sunny")

bot.run()
"""

from connectycube._extras import missing_extra

try:
    from .bot import Bot
    from .context import Context
    from .models import Stats
    from .store import Failure, StoreError, StoreLocked
except ModuleNotFoundError as error:
    raise missing_extra("bots", error) from error

__all__ = ["Bot", "Context", "Failure", "Stats", "StoreError", "StoreLocked"]
