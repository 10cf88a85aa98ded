"""Gateways: what they store, send and answer."""

from __future__ import annotations

from tests.bots.conftest import World
from tests.integration.support import run

from .fleet import gateway, workers
from .server import NatsServer


def test_a_message_is_stored_and_a_reply_is_sent(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        async with (
            workers(nats_server.url) as bot,
            gateway(world, nats_server.url) as held,
            world.friends("ada") as (ada,),
        ):
            chat = await held.caught_up("bot")
            assert held.chats == {"bot": chat}
            await ada.chat.send(world.bot_id, "hello")
            assert await bot.texts(1) == ["hello"]
            (record,) = await bot.inbound()
            assert (record.account, record.user_id, record.dialog) == ("bot", world.bot_id, str(ada.id))
            for number in range(10):
                await bot.reply(number, ada.id, f"reply {number}")
            await ada.texts.wait(10)
            assert ada.texts.items == [f"reply {number}" for number in range(10)]
            assert len(await bot.done(10)) == 10

    run(main())
