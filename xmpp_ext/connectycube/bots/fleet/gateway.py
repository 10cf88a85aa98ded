"""`Gateway`: connects accounts to the chat, as many as are its share of a fleet's.

Inbound, a message goes from the chat through the intake and the inlet to the engine, where a worker gets it. Outbound,
it goes from the engine through the outlet and the outbox to the chat.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from connectycube.chat import AsyncChat, NotConnected
from connectycube.rest import AsyncConnectyCube, ConfigurationError, ConnectyCubeError, InvalidArgument

from ..calls import Tasks, end
from ..content import decode_message
from ..models import Stats
from ..store import StoreError
from .accounts import Account
from .bucket import EngineBucket
from .engine import Engine
from .leases import Lease, Leases
from .outlet import consumer_of
from .records import Request, decode_request, encode_record, problem_of
from .served import Listener, Ready, Served, Setup

__all__ = ["Gateway"]

CHECKPOINT: Final = 30.0
"""Seconds between checkpoints. What is read twice after a takeover is recognized."""
CHECK: Final = 30.0
"""Seconds between two looks whether all consumers are there."""
AT_ONCE: Final = 20
"""Consumers that are created or looked at at a time."""

logger = logging.getLogger("connectycube.bots")


class Gateway:
    """Holds the connections of accounts.

    It takes its share of all accounts; other gateways of the fleet hold the rest. What they receive is stored for the
    workers before it is acknowledged to the chat server, and what the workers reply is sent. An account that can't log
    in, or whose chat ends permanently, is retried, less and less often, in the end every five minutes.

    :param engine: the connection to the fleet's engine, which is open.
    :param accounts: all accounts of the fleet.
    :param catch_up: how far back to look for missed messages.
    :param chat: arguments for each `AsyncChat`.
    :param rest: arguments for the `AsyncConnectyCube` whose connections all accounts share.
    :param logins_per_second: maximum number of accounts to log in per second.
    :param listeners: event types, and what to call with these events of each chat.
    :param ready: the REST client and chat of the only account, instead of a login.
    :param member_id: what others call this process; default: a random id.
    :ivar chats: the chats that are online, by the names of their accounts.
    :ivar stats: what the gateway has received and sent.
    :raises InvalidArgument: if an account is given twice, or an argument is invalid.
    """

    def __init__(
        self,
        engine: Engine,
        accounts: Iterable[Account],
        *,
        catch_up: dt.timedelta = dt.timedelta(days=1),
        chat: Mapping[str, Any] = MappingProxyType({}),
        rest: Mapping[str, Any] = MappingProxyType({}),
        logins_per_second: float = 20.0,
        listeners: Sequence[Listener] = (),
        ready: Ready | None = None,
        member_id: str | None = None,
    ) -> None:
        self._engine = engine
        self._accounts: dict[str, Account] = {}
        for account in accounts:
            if account.name in self._accounts:
                raise InvalidArgument("accounts", f"has the account {account.name} twice")
            self._accounts[account.name] = account
        if not logins_per_second > 0:
            raise InvalidArgument("logins_per_second", f"must be a positive number, not {logins_per_second!r}")
        if ready is not None and len(self._accounts) != 1:
            raise InvalidArgument("ready", "requires exactly one account")
        self.member_id = member_id or os.urandom(6).hex()
        self.stats = Stats()
        self._inbox = engine.nc.new_inbox()
        self._rest = rest
        self._cube: AsyncConnectyCube | None = None
        self._stack = AsyncExitStack()
        self._setup = Setup(
            engine=engine,
            deliver=self._inbox,
            catch_up=catch_up,
            chat=chat,
            cube=self._shared_cube,
            ready=ready,
            listeners=listeners,
            stats=self.stats,
            turn=self._turn,
            claim=self._claim,
        )
        self._interval = 1 / logins_per_second
        self._next_login = 0.0
        self._claiming = asyncio.Lock()
        self._served: dict[str, Served] = {}
        self._by_consumer: dict[str, Served] = {}
        self._changed = asyncio.Event()
        self._requests = Tasks("request")
        self._leases = Leases(
            EngineBucket(engine),
            "account",
            "gateway",
            self.member_id,
            self._accounts,
            take=self._take,
            give_up=self._give_up,
            pace=logins_per_second,
        )

    def __repr__(self) -> str:
        return f"<Gateway {self.member_id} {len(self._served)} accounts>"

    @property
    def chats(self) -> Mapping[str, AsyncChat]:
        """The chats that are online, by the names of their accounts."""
        return {name: one.chat for name, one in self._served.items() if one.chat is not None and one.online}

    def chat_of(self, name: str) -> AsyncChat | None:
        """Return the chat of an account, if it is online here."""
        served = self._served.get(name)
        return served.chat if served is not None and served.online else None

    @property
    def unsent(self) -> int:
        """How many replies in memory wait for the chat's server."""
        outlets = [served.outlet for served in self._served.values() if served.outlet is not None]
        return sum(outlet.outbox.unsent for outlet in outlets)

    async def serve(self) -> None:
        """Hold accounts until `stop` is called.

        :raises StoreError: if the engine ends the connection for good.
        """
        nc, layout = self._engine.nc, self._engine.layout
        async with self._stack, contextlib.AsyncExitStack() as stack:
            for subject, callback in ((self._inbox, self._replied), (layout.subject("do", "*"), self._asked)):
                subscription = await nc.subscribe(subject, cb=callback)
                stack.push_async_callback(self._unsubscribe, subscription)
            jobs = [asyncio.create_task(job()) for job in (self._reopen, self._advance)]
            try:
                await self._engine.during(self._leases.serve())
            finally:
                await end(jobs)
                await asyncio.gather(*(served.stop() for served in self._served.values()))
                await self._requests.finish(0)

    @staticmethod
    async def _unsubscribe(subscription: Subscription) -> None:
        with contextlib.suppress(NatsError):  # The connection may have ended.
            await subscription.unsubscribe()

    async def stop(self) -> None:
        """Send what is in memory, disconnect, and leave the accounts to others."""
        await self._leases.stop()

    async def caught_up(self, name: str) -> AsyncChat:
        """Wait until an account is online and its missed messages are stored.

        :raises ConnectyCubeError: if it can't log in or connect.
        """
        while name not in self._served:
            await self._changed.wait()
        return await self._served[name].caught_up()

    # -- accounts

    async def _take(self, lease: Lease) -> None:
        served = Served(self._setup, self._accounts[lease.name], lease)
        self._served[lease.name] = self._by_consumer[consumer_of(lease.name)] = served
        self._changed.set()
        self._changed = asyncio.Event()

    async def _give_up(self, lease: Lease, lost: bool) -> None:
        served = self._served.get(lease.name)
        if served is not None:
            await served.stop()
            del self._served[lease.name], self._by_consumer[consumer_of(lease.name)]

    def _shared_cube(self) -> AsyncConnectyCube:
        if self._cube is None:
            self._cube = AsyncConnectyCube(**self._rest)
            self._stack.push_async_callback(self._cube.aclose)
        return self._cube

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._next_login = max(self._next_login + self._interval, now)
        await asyncio.sleep(self._next_login - now)

    async def _claim(self, name: str, user_id: int) -> None:
        """Note which account a user has. Two accounts of the same user would take each other's messages."""
        bucket = self._engine.layout.stream("checkpoints")
        subject = f"$KV.{bucket}.user.{user_id}"
        async with self._claiming:  # Of two accounts that log in at once, one must see the other.
            found = await self._engine.find(f"KV_{bucket}", subject)
            other = (found or b"").decode()
            if other == name:
                return
            if other in self._accounts:
                raise ConfigurationError(
                    f"the accounts {other} and {name} are the same user, {user_id}: remove one of them"
                )
            await self._engine.publish(subject, name.encode())

    # -- jobs

    async def _reopen(self) -> None:
        """Create the consumers anew after each loss of the connection: what was on its way may be lost.

        Now and then, create those anew that are gone: a process that has lost the lease may have been late to learn it.
        """
        limit, reconnected = asyncio.Semaphore(AT_ONCE), self._engine.reconnected

        async def reopen(served: Served, anew: bool) -> None:
            async with limit:
                if served.outlet is not None:
                    await served.outlet.reopen(anew)

        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK):
                    await reconnected.wait()
            anew, reconnected = reconnected.is_set(), self._engine.reconnected
            await asyncio.gather(*(reopen(served, anew) for served in list(self._served.values())))

    async def _advance(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT)
            for served in list(self._served.values()):
                await served.advance()

    # -- from the workers

    async def _replied(self, message: Msg) -> None:
        if not message.reply:
            return
        served = self._by_consumer.get(message.metadata.consumer)
        if served is not None and served.outlet is not None:
            served.outlet.received(message)

    async def _asked(self, message: Msg) -> None:
        served = self._by_consumer.get(f"out-{message.subject.rpartition('.')[2]}")
        if served is not None:
            self._requests.begin(self._answer(served, message))

    async def _answer(self, served: Served, message: Msg) -> None:
        answer = b""
        try:
            await _call(served, decode_request(message.data))
        except (ConnectyCubeError, msgspec.MsgspecError) as error:
            answer = encode_record(problem_of(error))
        if message.reply:
            with contextlib.suppress(StoreError):
                await self._engine.insist("answer a worker", partial(self._engine.nc.publish, message.reply, answer))


async def _call(served: Served, request: Request) -> None:
    chat, outlet = served.chat, served.outlet
    if chat is None or outlet is None:
        raise NotConnected(f"the account {served.account.name} is offline")
    place = request.place or ""
    if request.call == "start_typing":
        await chat.start_typing(place)
    elif request.call == "stop_typing":
        await chat.stop_typing(place)
    elif request.call == "mark_read":
        await chat.mark_read(decode_message(request.message))
    elif request.call == "edit_message":
        message_id = request.message_id or ""
        await outlet.left(message_id)
        await chat.edit_message(place, message_id, request.body or "", last=request.last, extra=request.extra)
    else:
        raise InvalidArgument("call", f"is not known to this gateway: {request.call!r}")
