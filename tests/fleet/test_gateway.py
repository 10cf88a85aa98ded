"""Gateways: what they store, send and answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectycube.bots.fleet import served
from connectycube.bots.fleet.accounts import Account
from connectycube.bots.fleet.leases import decode_holder
from connectycube.chat import MessageEdited, MessageRead, TypingStarted, _history
from connectycube.rest import ConfigurationError, Unauthorized
from tests.bots.conftest import PASSWORD, World
from tests.bots.test_backfill import write
from tests.integration.proxy import FaultProxy
from tests.integration.support import drained, eventually, run

from .fleet import BOT, Process, gateway, workers
from .server import NatsServer


def test_messages_are_stored_and_replies_are_sent(nats_server: NatsServer, world: World) -> None:
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
            await bot.emptied("out", "out.>")

    run(main())


def test_a_message_is_acknowledged_only_once_it_is_stored(nats_server: NatsServer, world: World) -> None:
    """The gateway is killed while it can't store the message, so the chat server has to send it again."""

    async def main() -> None:
        url = f"{nats_server.url}?ttl=1.5"
        async with world.friends("ada") as (ada,):
            async with Process(world, url, by_id=True) as process:
                nats_server.kill()
                await ada.chat.send(world.bot_id, "hello")
                assert await process.line() == "received"
            nats_server.start()
            world.sandbox.advance(world.sandbox.settings.limits.resume_seconds + 1)
            account = Account(user_id=world.bot_id, password=PASSWORD)
            chat = {"app_id": world.sandbox.app_id}
            async with workers(url) as bot, gateway(world, url, account, chat=chat):
                assert await bot.texts(1) == ["hello"]

    run(main())


def test_live_messages_are_held_behind_the_history(
    nats_server: NatsServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        reading, go_on, pages = asyncio.Event(), asyncio.Event(), _history.History.pages

        async def slow(self: _history.History, *arguments: Any) -> AsyncIterator[Any]:
            reading.set()
            await go_on.wait()
            async for page in pages(self, *arguments):
                yield page

        monkeypatch.setattr(_history.History, "pages", slow)
        async with world.friends("ada", "mary") as (ada, mary), workers(nats_server.url) as bot:
            await write(world, ada.id, "1", "2", to=world.bot_id)
            async with gateway(world, nats_server.url) as held:
                await reading.wait()
                await ada.chat.send(world.bot_id, "3")
                await ada.chat.send(world.bot_id, "4")
                assert await bot.texts(2, "held.>") == ["3", "4"]
                # A dialog whose history is complete need not wait.
                await mary.chat.send(world.bot_id, "hello")
                assert await bot.texts(1) == ["hello"]
                go_on.set()
                await held.caught_up("bot")
                assert await bot.texts(5) == ["hello", "1", "2", "3", "4"]
                await ada.chat.send(world.bot_id, "5")
                assert await bot.texts(6) == ["hello", "1", "2", "3", "4", "5"]
                assert not await bot.inbound("held.>")

    run(main())


def test_what_a_killed_gateway_held_is_published_behind_the_history(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        url = f"{nats_server.url}?ttl=1.5"
        async with world.friends("ada") as (ada,), workers(url) as bot:
            await write(world, ada.id, "1", "2", to=world.bot_id)
            world.sandbox.faults.fail_next(503, times=1000, path="/chat/Message")
            async with Process(world, url):
                await ada.chat.send(world.bot_id, "3")
                assert await bot.texts(1, "held.>") == ["3"]
            world.sandbox.faults.clear()
            async with gateway(world, url) as held:
                await held.caught_up("bot")
                assert await bot.texts(3) == ["1", "2", "3"]
                await bot.emptied("in", "held.>")

    run(main())


def test_copies_of_handled_messages_are_recognized(nats_server: NatsServer, world: World) -> None:
    """The engine has forgotten them, and there is no checkpoint: the whole history is read again."""

    async def main() -> None:
        async with world.friends("ada") as (ada,):
            async with workers(nats_server.url) as bot, gateway(world, nats_server.url) as held:
                await held.caught_up("bot")
                await ada.chat.send(world.bot_id, "1")
                await bot.texts(1)
                await bot.handle()
            nats_server.kill()
            nats_server.start()
            async with workers(nats_server.url) as bot:
                await bot.engine.js.purge_stream("KV_connectycube-checkpoints")
                await write(world, ada.id, "2", to=world.bot_id)
                async with gateway(world, nats_server.url) as held:
                    await held.caught_up("bot")
                    assert await bot.texts(1) == ["2"]

    run(main())


def test_a_restarted_engine_loses_nothing(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        async with (
            workers(nats_server.url) as bot,
            gateway(world, nats_server.url) as held,
            world.friends("ada") as (ada,),
        ):
            await held.caught_up("bot")
            nats_server.kill()
            await ada.chat.send(world.bot_id, "1")
            await ada.chat.send(world.bot_id, "2")
            nats_server.start()
            assert await bot.texts(2) == ["1", "2"]
            for number in range(3):
                await bot.reply(number, ada.id, f"{number}")
            assert await ada.texts.wait(3) == ["0", "1", "2"]
            assert len(await bot.done(3)) == 3

    run(main())


def test_accounts_that_cannot_log_in_are_reported_and_tried_again(
    nats_server: NatsServer, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(served, "FIRST_PAUSE", 0.2)

    async def main() -> None:
        url, wrong = f"{nats_server.url}?ttl=1.5", Account(login="other", password="wrong-secret")
        async with workers(url) as bot, gateway(world, url, BOT, wrong) as held:
            with pytest.raises(Unauthorized):
                await held.caught_up("other")
            await held.caught_up("bot")
            bucket = await bot.engine.bucket("leases")

            async def problem() -> str | None:
                return decode_holder((await bucket.get("account.other")).value or b"").problem

            while "Unauthorized" not in (await problem() or ""):
                await asyncio.sleep(0.05)
            world.sandbox.create_user("other", "wrong-secret")
            await eventually(lambda: "other" in held.chats)
            assert "wrong-secret" not in caplog.text
            assert "the account other is offline, retrying" in caplog.text

    run(main())


def test_two_accounts_of_the_same_user_are_reported(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        twice = Account(user_id=world.bot_id, password=PASSWORD)
        chat = {"app_id": world.sandbox.app_id}
        async with gateway(world, nats_server.url, BOT, twice, chat=chat) as held:
            found = await asyncio.gather(
                held.caught_up("bot"), held.caught_up(str(world.bot_id)), return_exceptions=True
            )
            (error,) = [one for one in found if isinstance(one, BaseException)]
            assert isinstance(error, ConfigurationError)
            assert "are the same user" in str(error)

    run(main())


def test_refused_replies_are_kept_and_reported(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        async with (
            workers(nats_server.url) as bot,
            gateway(world, nats_server.url) as held,
            world.friends("ada", "mary") as (ada, mary),
        ):
            await held.caught_up("bot")
            await ada.chat.privacy.block(world.bot_id)
            reply_id = await bot.reply(1, ada.id, "refused")
            await bot.reply(2, mary.id, "hello")
            problem = await bot.problems.one()
            assert (problem.error, problem.id) == ("RecipientBlocked", reply_id)
            assert await mary.texts.one() == "hello"
            too_long = await bot.reply(3, mary.id, "x" * 300_000)
            assert (await bot.problems.wait(2))[1].error == "MessageTooLong"
            assert too_long in await bot.done(3)
            failed = [(one.subject or "").rpartition(".")[2] for one in await bot.stored("failed", "failed.>")]
            assert failed == [reply_id, too_long]

    run(main())


def test_workers_can_show_typing_mark_and_edit(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        async with (
            workers(nats_server.url) as bot,
            gateway(world, nats_server.url) as held,
            world.friends("ada") as (ada,),
        ):
            await held.caught_up("bot")
            sent = await ada.chat.send(world.bot_id, "hello", markable=True)
            await bot.texts(1)
            (record,) = await bot.inbound()
            events: list[Any] = []
            ada.chat.on(TypingStarted, MessageRead, MessageEdited)(events.append)
            assert await bot.ask(call="start_typing", place=ada.id) is None
            assert await bot.ask(call="mark_read", message=record.message) is None
            reply_id = await bot.reply(1, ada.id, "draft")
            asking: dict[str, Any] = {"call": "edit_message", "place": ada.id, "message_id": reply_id, "body": "final"}
            assert await bot.ask(**asking) is None
            await eventually(lambda: len(events) == 3)
            assert ada.texts.items == ["draft"]
            assert events[1].message_id == sent.id
            assert events[2].body == "final"
            problem = await bot.ask(call="dance")
            assert problem is not None
            assert problem.error == "InvalidArgument"

    run(main())


def test_replies_are_sent_once_across_a_kill(nats_server: NatsServer, world: World) -> None:
    """The gateway is killed after it has sent replies whose acknowledgement it has not passed on."""

    async def main() -> None:
        url = f"{nats_server.url}?ttl=1.5"
        expected = [f"{number}" for number in range(60)]
        async with world.friends("ada") as (ada,), workers(url) as bot:
            async with Process(world, url):
                for number in range(30):
                    await bot.reply(number, ada.id, expected[number])
                await ada.texts.wait(10)
            for number in range(30, 60):
                await bot.reply(number, ada.id, expected[number])
            async with gateway(world, url):
                assert await ada.texts.wait(60) == expected
                await bot.emptied("out", "out.>")
                assert ada.texts.items == expected

    run(main())


def test_a_frozen_gateway_writes_nothing_once_it_has_lost_its_lease(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        url = f"{nats_server.url}?ttl=1.5"
        async with (
            FaultProxy("127.0.0.1", world.sandbox.chat_tls_port) as proxy,
            world.friends("ada") as (ada,),
            workers(url) as bot,
            Process(world, url, port=proxy.port) as frozen,
            gateway(world, url) as second,
        ):
            frozen.freeze()
            await drained()
            before = proxy.received["up"]
            await second.caught_up("bot")
            # Both get the message, and the frozen one will want to acknowledge it.
            await ada.chat.send(world.bot_id, "hello")
            assert await bot.texts(1) == ["hello"]
            await bot.reply(1, ada.id, "hello")
            frozen.thaw()
            assert await ada.texts.one() == "hello"
            # It reads the message, and can't do anything with it.
            assert {await frozen.line(), await frozen.line()} == {"received", "offline"}
            await proxy.idle()
            assert (proxy.received["up"], proxy.connections) == (before, 1)
            assert list(second.chats) == ["bot"]

    run(main())
