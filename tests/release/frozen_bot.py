"""A bot and the sandbox that it talks to, in one program: `tests.release.check` freezes and runs it."""

from __future__ import annotations

import asyncio

from connectycube.bots import Bot, Context
from connectycube.chat import MessageReceived
from connectycube.sandbox import Sandbox

bot = Bot()


@bot.message()
async def answer(ctx: Context) -> None:
    await ctx.reply(f"You said: {ctx.text}")


async def main() -> None:
    async with Sandbox() as sandbox, sandbox.bot(bot) as robot, sandbox.chat("mary") as mary:
        answers = mary.events(MessageReceived)
        await mary.send(robot.id, "Hello")
        print((await anext(answers)).message.body)


if __name__ == "__main__":
    asyncio.run(main())
