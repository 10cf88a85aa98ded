"""A worker: handles the messages of the partitions that it holds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from connectycube.chat import AsyncChat, SendOptions, SentMessage
from connectycube.rest import AsyncConnectyCube, ConfigurationError

from ..calls import Calls, Tasks
from ..content import To, content_of
from ..dispatch import Capacity, Dispatcher
from ..handling import Handling
from ..link import LINK
from ..models import Stats
from ..store import Entry, Failure, StoreError
from .bucket import EngineBucket
from .cubes import Cubes
from .engine import Engine
from .failures import Failures
from .inbox import Inbox, Received
from .leases import Lease, Leases
from .metrics import lag
from .records import decode_problem
from .remote import FleetLink, Post

if TYPE_CHECKING:
    from .. import Bot
    from .accounts import Account
    from .gateway import Gateway

__all__ = ["Worker"]

GRACE: Final = 10.0
"""Seconds that handlers have to finish when their partition goes to another worker, or the worker stops."""
LOOK: Final = 2.0
"""Seconds between two looks at what has failed."""
CHECK: Final = 10.0
"""Seconds between two looks whether all consumers are there."""
FIRST: Final = "0"
"""The partition whose worker calls the functions of `@bot.every`."""

logger = logging.getLogger("connectycube.bots")


@frozen(eq=False)
class _Part:
    """A partition that this worker holds."""

    lease: Lease
    inbox: Inbox
    dispatcher: Dispatcher
    jobs: Tasks


class Worker:
    """Handles the messages of its share of all partitions, with the handlers of a bot.

    :param accounts: the accounts whose REST clients handlers may use as `ctx.cube`.
    :param rest: arguments for these clients.
    :param gateway: the gateway in this process, if there is one.
    :param cubes: REST clients that are logged in already, by account.
    """

    def __init__(
        self,
        engine: Engine,
        bot: Bot,
        *,
        accounts: Iterable[Account] = (),
        rest: Mapping[str, Any] | None = None,
        gateway: Gateway | None = None,
        cubes: Mapping[str, AsyncConnectyCube] | None = None,
    ) -> None:
        self.id: Final = os.urandom(8).hex()
        self._engine = engine
        self._bot = bot
        self._gateway = gateway
        self._cubes = Cubes(accounts, cubes or {}, rest or {})
        self._calls = Calls(bot._stats)
        self._capacity = Capacity(bot._concurrency)
        self._post = Post(engine, self.id)
        self._failures = Failures(engine)
        self._parts: dict[str, _Part] = {}
        self._subscriptions: list[Subscription] = []
        self._serving: asyncio.Task[None] | None = None
        self._deliver = engine.nc.new_inbox()
        names = map(str, range(engine.layout.partitions))
        self._leases = Leases(
            EngineBucket(engine),
            "partition",
            "worker",
            self.id,
            names,
            take=self._take,
            give_up=self._give_up,
            pace=10.0 * engine.layout.partitions,
        )

    # -- life

    async def serve(self) -> None:
        """Run until `stop` or `bot.stop` is called, or the task is cancelled. Then finish what is in progress.

        :raises ConfigurationError: if the bot is already running.
        :raises FleetError: if the engine ends the connection for good.
        """
        await self._bot._serve(self)

    async def stop(self) -> None:
        """Stop the worker, and wait until it has stopped. What is not handled waits for another worker."""
        await self._bot.stop()

    async def begin(self) -> None:
        """Take partitions and handle their messages, in the background."""
        if self._bot._listeners and self._gateway is None:
            logger.warning("a worker has no chat: its handlers of @bot.on are not called")
        nc = self._engine.nc
        unlimited: dict[str, Any] = {
            "pending_msgs_limit": 0,
            "pending_bytes_limit": 0,
        }  # The engine limits what is not handled.
        self._subscriptions = [
            await nc.subscribe(self._deliver, cb=self._received, **unlimited),
            await nc.subscribe(self._engine.layout.subject("told", self.id), cb=self._told),
        ]
        jobs = self._calls.jobs
        jobs.begin(self._calls.watch())
        jobs.begin(self._calls.repeat(LOOK, self._failures.look))
        jobs.begin(self._reopen())
        self._serving = asyncio.create_task(self._engine.during(self._leases.serve()), name="connectycube leases")

    async def finish(self) -> None:
        """Let handlers finish, and give up all partitions."""
        await self._calls.jobs.finish(0)
        await self._leases.stop()
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)  # `closed` raises what it has raised.
        for part in list(self._parts.values()):
            await self._give_up(part.lease, True)
        await self._calls.background.finish(GRACE)
        for subscription in self._subscriptions:
            with contextlib.suppress(NatsError):  # The connection may have ended.
                await subscription.unsubscribe()
        await self._cubes.close()

    @property
    def error(self) -> Exception | None:
        """Why the engine has ended the connection for good; `None` if it has not."""
        return self._engine.error

    async def caught_up(self) -> None:
        """Do nothing: gateways read what was missed."""

    async def closed(self) -> None:
        """Wait until the worker has given up its partitions."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def _reopen(self) -> None:
        """Create the consumers anew after each loss of the connection, and now and then those that are gone."""
        reconnected = self._engine.reconnected
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK):
                    await reconnected.wait()
            anew, reconnected = reconnected.is_set(), self._engine.reconnected
            for part in list(self._parts.values()):
                with contextlib.suppress(StoreError):  # The worker stops.
                    await (part.inbox.open() if anew else part.inbox.check())

    # -- partitions

    async def _take(self, lease: Lease) -> None:
        bot = self._bot
        inbox = Inbox(self._engine, lease, self._deliver, self._has_failed)
        handling = Handling(
            bot, inbox, partial(self._link, lease), self._calls, bot._stats, bot._attempts, bot._handler_timeout
        )

        async def handle(entry: Entry) -> float | None:
            if not lease.valid:
                return None  # Whoever holds the partition now handles it.
            if isinstance(entry, Received) and not entry.attempts:
                lag.record(max(0.0, time.time() - entry.stored_at))
            return await handling.handle(entry)

        part = _Part(lease, inbox, Dispatcher(handle, inbox, self._capacity), Tasks("bot job"))
        self._parts[lease.name] = part
        await inbox.open()
        if lease.name == FIRST:
            for seconds, job in bot._jobs:
                part.jobs.begin(self._calls.repeat(seconds, job))

    async def _give_up(self, lease: Lease, lost: bool) -> None:
        part = self._parts.pop(lease.name, None)
        if part is None:
            return
        grace = 0 if lost else GRACE
        await part.jobs.finish(0)
        await part.dispatcher.stop(grace)
        await part.inbox.close(grace)

    async def _received(self, message: Msg) -> None:
        part = self._parts.get(message.subject.split(".")[-3])  # P.in.PARTITION.ACCOUNT.KEY
        if part is not None and (entry := part.inbox.received(message)) is not None:
            part.dispatcher.feed([entry])

    def _link(self, lease: Lease, entry: Entry) -> FleetLink:
        assert isinstance(entry, Received)
        record = entry.record
        return FleetLink(
            engine=self._engine,
            post=self._post,
            cubes=self._cubes,
            account=record.account,
            user_id=record.user_id,
            lease=lease,
            held=None if self._gateway is None else self._gateway.chat_of(record.account),
            again=entry.redelivered or entry.attempts > 0 or record.retried > 0,
        )

    # -- what the bot offers while it runs

    @property
    def chat(self) -> AsyncChat:
        """The chat of the only account, if a gateway in this process holds it.

        :raises ConfigurationError: otherwise.
        """
        chats = [] if self._gateway is None else list(self._gateway.chats.values())
        if len(chats) != 1:
            raise ConfigurationError("a bot in a fleet has no chat of its own: use ctx.chat")
        return chats[0]

    @property
    def cube(self) -> AsyncConnectyCube:
        """The REST client of the handler's account, or of the only account.

        :raises ConfigurationError: if the account has no REST client.
        """
        return self._cubes.of(self._account(None))

    def _account(self, name: str | None) -> str:
        """Return the account to use, where the program names none."""
        link, names = LINK.get(), self._cubes.names
        if name is not None:
            return name
        if isinstance(link, FleetLink):
            return link.account
        if len(names) != 1:
            raise ConfigurationError("the bot has no account, or several: pass account=, the login or user id of one")
        return names[0]

    async def send(
        self, to: To, body: str | None, options: SendOptions, message_id: str | None, account: str | None
    ) -> SentMessage:
        """Store a message for the gateway that holds the account."""
        name, link = self._account(account), LINK.get()
        chat = None if self._gateway is None else self._gateway.chat_of(name)
        user_id = link.user_id if link is not None and account is None else chat.user_id if chat is not None else 0
        content = content_of(body, options, to=to, user_id=user_id)
        is_known = message_id is not None
        return await self._post.put(name, message_id or os.urandom(12).hex(), content, is_known=is_known)

    def stats(self) -> Stats:
        """Return what this process has done."""
        dispatchers = [part.dispatcher for part in self._parts.values()]
        running, waiting = sum(one.running for one in dispatchers), sum(one.waiting for one in dispatchers)
        return evolve(self._bot._stats, running=running, waiting=waiting)

    @property
    def failed(self) -> Mapping[str, Failure]:
        """The latest failures of the fleet, by id."""
        return self._failures.latest

    def retry(self, failure_id: str) -> None:
        """Let a failed message or reply wait again."""
        del self._failures.latest[failure_id]
        self._calls.background.begin(self._failures.retry(failure_id))

    def _has_failed(self) -> None:
        self._calls.background.begin(self._failures.look())

    async def _told(self, message: Msg) -> None:
        self._bot._stats.failed += 1
        self._post.told(decode_problem(message.data))
