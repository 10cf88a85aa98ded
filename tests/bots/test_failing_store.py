"""A store that fails while a bot is at work: nothing is lost, and nothing is claimed that is not stored."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import pytest

from connectycube.bots import Context
from connectycube.chat import MessageDelivered
from tests.bots.conftest import World, full_disk
from tests.integration.support import Seen, eventually, run


def test_nothing_is_acknowledged_until_it_works_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world.bot() as bot:

            @bot.message()
            async def echo(ctx: Context) -> None:
                await ctx.reply(f"{ctx.text}!")

            async with world.friends("ada") as (ada,), bot.running():
                marks: Seen[MessageDelivered] = Seen()
                ada.chat.on(MessageDelivered)(marks.append)
                dialog = world.private(ada.id)
                inbox = bot.chat._traffic.inbox
                with full_disk():
                    await ada.chat.send(world.bot_id, "one", dialog_id=dialog)
                    await ada.chat.send(world.bot_id, "two", dialog_id=dialog)
                    await eventually(lambda: "no message is acknowledged" in caplog.text and inbox._unkept >= 2)
                    assert (bot.stats.received, marks.items, ada.texts.items) == (0, [], [])
                assert await ada.texts.wait(2) == ["one!", "two!"]
                assert len(await marks.wait(2)) == 2
                await eventually(lambda: inbox._unkept == 0)

    with caplog.at_level(logging.WARNING, "connectycube.bots"):
        run(main())
    assert caplog.text.count("no message is acknowledged") == 1
    assert caplog.text.count("works again") == 1


def test_bot_stops_though_the_store_fails(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,), world.bot() as bot:

            @bot.message()
            async def echo(ctx: Context) -> None:
                await ctx.reply(ctx.text)

            with ExitStack() as stack:
                async with bot.running():
                    stack.enter_context(full_disk())
                    await ada.chat.send(world.bot_id, "one")
                    await eventually(lambda: "no message is acknowledged" in caplog.text)
            assert (bot.stats.received, ada.texts.items) == (0, [])
            # It was not acknowledged.
            async with bot.running():
                await ada.chat.send(world.bot_id, "two")
                assert await ada.texts.wait(2) == ["one", "two"]

    run(main())
