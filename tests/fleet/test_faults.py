"""What a fleet does when NATS closes a connection for good, when consumers vanish, and when a lease ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any

import pytest
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig

from connectycube.bots import Bot, Context, calls
from connectycube.bots.calls import Tasks
from connectycube.bots.fleet import engine as engines
from connectycube.bots.fleet import gateway as gateways
from connectycube.bots.fleet import worker as workers_
from connectycube.bots.fleet.engine import Address, Engine, FleetError
from connectycube.bots.fleet.gateway import Gateway
from connectycube.bots.fleet.inbox import Inbox
from connectycube.bots.fleet.local import Local
from connectycube.bots.fleet.outlet import Outlet
from connectycube.bots.fleet.worker import Worker
from tests.bots.conftest import World
from tests.integration.support import Seen, drained, eventually, run

from .desk import desk, working
from .fleet import BOT, fail_to_send, gateway, opened, workers
from .server import NatsServer
from .test_worker import echo_bot


async def be_closed(engine: Engine) -> None:
    """Let the server close a connection for good, as it does when credentials expire."""
    await engine.nc._send_command(b"NO SUCH COMMAND\r\n")
    await engine.nc._flush_pending()
    await engine.ended.wait()


async def fails(serving: Awaitable[None]) -> None:
    with pytest.raises(FleetError, match="has ended the connection: nats: unknown protocol operation"):
        await serving


def test_a_gateway_ends_with_its_connection(nats_server: NatsServer, world: World) -> None:
    async def main() -> None:
        sandbox = world.sandbox
        rest = {"app_id": sandbox.app_id, "auth_key": sandbox.auth_key, "base_url": sandbox.api_url}
        async with opened(f"{nats_server.url}?ttl=1.5") as engine:
            found = Gateway(engine, [BOT], rest=rest, chat=world.chat_options)
            serving = asyncio.ensure_future(found.serve())
            await found.caught_up("bot")
            await be_closed(engine)
            await fails(serving)
            assert not found.chats
            await found.stop()

    run(main(), timeout=50)


def test_a_worker_ends_with_its_connection(nats_server: NatsServer) -> None:
    async def main() -> None:
        bot, begun, cancelled = Bot(), asyncio.Event(), asyncio.Event()

        @bot.message()
        async def hang(ctx: Context) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        url = f"{nats_server.url}?ttl=1.5"
        async with desk(url) as office, opened(url) as engine:
            serving = asyncio.ensure_future(Worker(engine, bot).serve())
            await office.say(1, "hello")
            await begun.wait()
            await be_closed(engine)
            await fails(serving)
            assert cancelled.is_set()
            # Another worker takes over.
            async with working(url, echo_bot()):
                assert await office.replies.one() == ("bot", "1", "hello")

    run(main(), timeout=50)


def test_a_bot_ends_with_its_connection(nats_server: NatsServer, world: World) -> None:
    async def runs(bot: Bot) -> None:
        async with bot.running():
            await be_closed(engine_of(bot))

    async def main() -> None:
        async with world.bot(store=f"{nats_server.url}?ttl=1.5") as bot:
            await fails(runs(bot))

    run(main(), timeout=50)


def engine_of(bot: Bot) -> Engine:
    assert isinstance(bot._run, Local)
    return bot._run._working._engine


def test_the_end_of_a_connection_is_noticed_even_if_the_client_fails_to_send_what_was_left(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LOOK", 0.05)

    async def main() -> None:
        async with opened(nats_server.url) as engine:
            working = asyncio.ensure_future(engine.during(asyncio.Event().wait()))
            await fail_to_send(engine, monkeypatch)
            assert engine.nc._transport is not None
            engine.nc._transport.write(b"NO SUCH COMMAND\r\n")
            await fails(working)

    run(main(), timeout=50)


def test_a_message_whose_handling_the_end_of_the_connection_cancels_is_no_bug(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        begun = asyncio.Event()
        bot = Bot()

        @bot.message()
        async def hang(ctx: Context) -> None:
            begun.set()
            await asyncio.Event().wait()

        async with desk(nats_server.url) as office, opened(nats_server.url) as engine:
            await office.say(1, "hello")
            serving = asyncio.ensure_future(Worker(engine, bot).serve())
            await begun.wait()
            await be_closed(engine)
            await fails(serving)

    run(main(), timeout=50)
    assert "Exception in callback" not in caplog.text


ELSEWHERE = "another.process"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_worker_notices_that_its_consumer_is_gone(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    monkeypatch.setattr(workers_, "CHECK", 0.1)

    async def main() -> None:
        url = f"{nats_server.url}?partitions=1"
        async with desk(url) as office, working(url, echo_bot()):
            await office.say(1, "before")
            await office.replies.one()
            await lose(office.engine, "in", "in-0", office.layout.subject("in", "0", ">"), is_replaced)
            await office.say(1, "after")
            assert (await office.replies.wait(2))[1] == ("bot", "1", "after")

    run(main(), timeout=50)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_gateway_notices_that_its_consumer_is_gone(
    nats_server: NatsServer, world: World, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    monkeypatch.setattr(gateways, "CHECK", 0.1)

    async def main() -> None:
        async with (
            workers(nats_server.url) as bot,
            gateway(world, nats_server.url) as held,
            world.friends("ada") as (ada,),
        ):
            await held.caught_up("bot")
            await bot.reply(1, ada.id, "before")
            await ada.texts.one()
            await lose(bot.engine, "out", "out-bot", bot.layout.subject("out", "bot", ">"), is_replaced)
            await bot.reply(2, ada.id, "after")
            assert (await ada.texts.wait(2))[1] == "after"

    run(main(), timeout=50)


async def lose(engine: Engine, stream: str, name: str, subject: str, is_replaced: bool) -> None:
    """Delete a consumer, and perhaps create it anew, as a process does that is late to learn that it lost the lease."""
    await engine.js.delete_consumer(engine.layout.stream(stream), name)
    if is_replaced:
        config = ConsumerConfig(durable_name=name, deliver_subject=ELSEWHERE, filter_subject=subject)
        await engine.js.add_consumer(engine.layout.stream(stream), config)


def test_a_connection_that_is_lost_while_consumers_are_created_anew(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        opened: Seen[str] = Seen()
        opening, is_slow = Inbox._open, asyncio.Event()

        async def slow(self: Inbox) -> None:
            if is_slow.is_set() and opened.items:
                is_slow.clear()
                await asyncio.Event().wait()
            await opening(self)
            opened.append(self._lease.name)

        monkeypatch.setattr(Inbox, "_open", slow)
        url = f"{nats_server.url}?partitions=2"
        async with desk(url), working(url, echo_bot()):
            await opened.wait(2)
            opened.items.clear()
            is_slow.set()
            restart(nats_server)
            (first,) = await opened.wait(1)
            await eventually(lambda: not is_slow.is_set())
            restart(nats_server)
            await opened.wait(2, lambda name: name == first)

    run(main(), timeout=50)


def test_accounts_that_leave_do_not_keep_others_from_getting_their_replies(
    nats_server: NatsServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        opened: Seen[str] = Seen()
        opening, leaves = Outlet._open, asyncio.Event()

        async def leave(self: Outlet) -> None:
            if leaves.is_set():
                leaves.clear()
                opened.append("left")
                raise asyncio.CancelledError
            await opening(self)
            opened.append("opened")

        monkeypatch.setattr(Outlet, "_open", leave)
        async with gateway(world, nats_server.url) as held:
            await held.caught_up("bot")
            await opened.wait(1)
            leaves.set()
            for number in range(2, 4):
                restart(nats_server)
                await opened.wait(number)

    run(main(), timeout=50)


def restart(server: NatsServer) -> None:
    server.kill()
    server.start()


def test_what_cannot_be_sent_is_not_sent_later(nats_server: NatsServer) -> None:
    """By then, another process may have the lease, and its consumer would be deleted."""

    async def main() -> None:
        async with opened(nats_server.url) as engine:
            stream = engine.layout.stream("in")
            await engine.js.add_consumer(
                stream, ConsumerConfig(durable_name="in-0", filter_subject="connectycube.in.>")
            )
            reconnected = engine.reconnected
            nats_server.kill()
            await eventually(lambda: not engine.online)
            deleting = asyncio.ensure_future(engine.js.delete_consumer(stream, "in-0"))
            await asyncio.sleep(0)
            nats_server.start()
            await reconnected.wait()
            with pytest.raises(NatsError):
                await deleting
            assert (await engine.js.consumer_info(stream, "in-0")).name == "in-0"

    run(main(), timeout=50)


def test_a_message_whose_partition_is_lost_is_not_failed(nats_server: NatsServer) -> None:
    async def main() -> None:
        url = f"{nats_server.url}?partitions=1&ttl=1.5"
        bot, lost = Bot(attempts=1), asyncio.Event()
        async with desk(url) as office, working(url, bot) as worker:

            @bot.message()
            async def echo(ctx: Context) -> None:
                if ctx.text == "loses it" and not lost.is_set():
                    lost.set()
                    worker._parts["0"].lease.end()
                await ctx.reply(ctx.text)

            await office.say(1, "hello")
            await office.replies.one()
            await office.say(1, "loses it")
            assert (await office.replies.wait(2))[1] == ("bot", "1", "loses it")
            assert not (await office.engine.js.stream_info(office.layout.stream("failed"))).state.messages

    run(main(), timeout=50)


def test_an_unexpected_exception_takes_an_account_offline_only_for_a_while(
    nats_server: NatsServer, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("connectycube.bots.fleet.served.FIRST_PAUSE", 0.1)

    async def main() -> None:
        loading, failures = Outlet.__init__, iter([True])

        def fail(self: Outlet, *arguments: Any) -> None:
            if next(failures, False):
                raise RuntimeError("a bug")
            loading(self, *arguments)

        monkeypatch.setattr(Outlet, "__init__", fail)
        async with gateway(world, nats_server.url) as held:
            await eventually(lambda: "bot" in held.chats)

    run(main(), timeout=50)
    assert "the account bot is offline, retrying in 0.1 s: RuntimeError: a bug" in caplog.text


def test_a_lost_cancellation_does_not_prevent_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "AGAIN", 0.01)

    async def loses() -> None:
        """Loses a cancellation, as `asyncio.wait_for` does if the answer arrives at the same time."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def main() -> None:
        tasks = Tasks("test")
        task = tasks.begin(loses())
        await drained()
        await tasks.finish(0)
        assert task.cancelled()

    run(main(), timeout=50)


def test_what_is_not_a_record_is_logged(nats_server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with desk(nats_server.url) as office, working(nats_server.url, Bot()) as worker:
            await eventually(lambda: worker._subscriptions)
            await office.engine.nc.publish(office.layout.subject("told", worker.id), b"nonsense")
            await eventually(lambda: "a message from NATS was not processed" in caplog.text)

    run(main(), timeout=50)


@pytest.mark.parametrize("url", ["bot:secret@host", "nats://bot:se,cret@host", "nats://bot:se?cret@host"])
def test_an_invalid_address_is_named_without_its_password(url: str) -> None:
    with pytest.raises(FleetError) as found:
        Address.parse(url)
    assert str(found.value).startswith("the store host has")
