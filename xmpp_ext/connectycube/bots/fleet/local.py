"""`Local`: a bot with one account that runs in one process, but keeps its messages in NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from attrs import evolve

from connectycube.chat import AsyncChat, Connected, NotConnected, Reconnected, Reconnecting, SendOptions, SentMessage
from connectycube.rest import AsyncConnectyCube

from .. import account as own
from ..content import To
from ..link import checked_cube
from ..models import Stats
from ..single import NOT_RUNNING, Outage
from ..store import Failure
from .accounts import Account
from .engine import Address, Engine
from .gateway import Gateway
from .worker import Worker

if TYPE_CHECKING:
    from .. import Bot

__all__ = ["Local"]


class Local:
    """A gateway for the bot's own account, and a worker.

    If another process holds the account, this one waits to take it over, and handles messages meanwhile.
    """

    def __init__(self, bot: Bot, account: own.Account, address: Address) -> None:
        self._bot = bot
        self._account = account
        self._address = address
        self._stack = AsyncExitStack()
        self._cube = account[0]
        self._chat: AsyncChat | None = None
        self._worker: Worker | None = None
        self._gateway: Gateway
        self._serving: asyncio.Task[None]

    async def begin(self) -> None:
        """Connect to NATS, log in, and work in the background."""
        bot = self._bot
        async with AsyncExitStack() as stack:
            engine = Engine(self._address)
            await engine.open()
            stack.push_async_callback(engine.close)
            self._cube, self._chat = cube, chat = await own.open_account(self._account, stack)
            account = Account(user_id=chat.user_id)
            online = asyncio.Event()

            async def connected(event: Connected) -> None:
                online.set()

            self._gateway = gateway = Gateway(
                engine,
                [account],
                catch_up=bot._catch_up,
                listeners=[
                    ((Connected,), connected),
                    ((Connected, Reconnected, Reconnecting), Outage().noticed),
                    *bot._listeners,
                ],
                ready=(cube, chat),
            )
            self._serving = asyncio.create_task(gateway.serve(), name="connectycube gateway")
            stack.push_async_callback(self._stop)
            self._worker = Worker(
                engine, bot, gateway=gateway, accounts=[account], cubes={} if cube is None else {account.name: cube}
            )
            await self._worker.begin()
            stack.push_async_callback(self._worker.finish)
            await self._first(online)
            self._stack = stack.pop_all()

    async def _first(self, online: asyncio.Event) -> None:
        """Wait until the account is online or the bot is stopped. Raises what prevents the former."""
        assert self._bot._stopping is not None
        waiting = [asyncio.ensure_future(one) for one in (self.caught_up(), online.wait(), self._bot._stopping.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if waiting[0].done():
                waiting[0].result()
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _stop(self) -> None:
        await self._gateway.stop()
        await asyncio.gather(self._serving, return_exceptions=True)  # `closed` raises what it has raised.

    async def finish(self) -> None:
        """Let handlers finish, send what they have replied, and disconnect."""
        await self._stack.aclose()

    async def closed(self) -> None:
        """Wait until the gateway ends."""
        await asyncio.shield(self._serving)

    @property
    def error(self) -> Exception | None:
        """Why the engine has ended the connection for good. Whatever happens to the chat, the gateway tries again."""
        return self._working.error

    async def caught_up(self) -> None:
        """Wait until missed messages are stored."""
        await self._gateway.caught_up(str(self.chat.user_id))

    # -- at work

    @property
    def chat(self) -> AsyncChat:
        """The bot's chat."""
        if self._chat is None:
            raise NotConnected(NOT_RUNNING)
        return self._chat

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client."""
        return checked_cube(self._cube)

    @property
    def _working(self) -> Worker:
        if self._worker is None:
            raise NotConnected(NOT_RUNNING)
        return self._worker

    async def send(
        self, to: To, body: str | None, options: SendOptions, message_id: str | None, account: str | None
    ) -> SentMessage:
        """Store a message, which is then sent."""
        return await self._working.send(to, body, options, message_id, account)

    def stats(self) -> Stats:
        """Return what this process has done, and what it has in memory."""
        worker, gateway = self._working.stats(), self._gateway
        received = gateway.stats
        return evolve(
            worker,
            received=received.received,
            duplicates=received.duplicates,
            backfilled=received.backfilled,
            sent=received.sent,
            unsent=gateway.unsent,
        )

    @property
    def failed(self) -> Mapping[str, Failure]:
        """The latest failures of the fleet, by id."""
        return self._working.failed

    def retry(self, failure_id: str) -> None:
        """Let a failed message or reply wait again."""
        self._working.retry(failure_id)
