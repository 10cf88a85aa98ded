"""Run the examples of bots with an account, or on a sandbox where users play a short scene with them.

With CONNECTYCUBE_APP_ID, CONNECTYCUBE_AUTH_KEY, CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD in the environment, a bot
runs as that user until Ctrl-C. docs/configuration.md lists the other variables.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

from connectycube.bots import Bot
from connectycube.sandbox import Sandbox

Scene = Callable[[Sandbox], Awaitable[None]]


def run(bot: Bot, scene: Scene) -> None:
    """Run a bot with the account from the environment, or play a scene if no account is set."""
    if "CONNECTYCUBE_APP_ID" in os.environ:
        bot.run()
    else:
        play(scene)


def play(scene: Scene) -> None:
    """Play a scene on a sandbox that lasts as long."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            await scene(sandbox)

    logging.getLogger("connectycube.bots").setLevel(logging.ERROR)  # That the store is lost at the end is no surprise.
    asyncio.run(main())
