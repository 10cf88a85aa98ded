"""A store that fails while a bot is at work: nothing is lost, and nothing is claimed that is not stored."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectycube.bots import Context, StoreError
from connectycube.chat import MessageDelivered
from tests.bots.conftest import World
from tests.integration.support import Seen, eventually, run


@contextmanager
def full_disk() -> Iterator[None]:
    """As when the disk is full, no file can grow."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


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


def test_bot_stops_though_the_store_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with world.friends("ada") as (ada,), world.bot() as bot:

            async def fail(reply_id: str) -> None:
                raise StoreError("bot.db", "is full")

            @bot.message()
            async def echo(ctx: Context) -> None:
                await ctx.reply(ctx.text)

            with monkeypatch.context() as patch:
                patch.setattr(bot._plan.store, "sent", fail)
                async with bot.running():
                    await ada.chat.send(world.bot_id, "one")
                    assert await ada.texts.wait(1) == ["one"]
            # The answer is sent again, with the same id, and dropped.
            async with bot.running():
                await ada.chat.send(world.bot_id, "two")
                assert await ada.texts.wait(2) == ["one", "two"]
                await eventually(lambda: bot.stats.sent == 3)
                assert len(ada.texts.items) == 2

    run(main())
