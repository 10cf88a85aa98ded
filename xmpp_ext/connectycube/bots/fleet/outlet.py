"""The replies of an account, on their way from the engine to the chat."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from functools import partial
from typing import Final

import msgspec
from attrs import define
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from connectycube.chat._tracing import continued

from ..calls import Tasks
from ..outbox import MOST_AT_ONCE, Outbox
from ..store import Failure, Reply, StoreError
from .engine import Engine
from .layout import token
from .leases import Lease
from .metrics import failures, replies
from .records import FailedItem, Outbound, decode_outbound, encode_record, problem_of

__all__ = ["Outlet", "consumer_of"]

NEVER: Final = 30 * 86_400.0
"""Seconds after which the engine delivers a reply again. A new consumer does so at once, and nothing else should."""

logger = logging.getLogger("connectycube.bots")


def consumer_of(account: str) -> str:
    """Return the name of the consumer of an account's replies."""
    return f"out-{token(account)}"


@define(eq=False)
class _Item:
    """A reply that the stream still has.

    :ivar ack: the subject that acknowledges it.
    """

    record: Outbound
    ack: str
    over: asyncio.Event


class Outlet:
    """Feeds an account's outbox from the engine, and keeps what became of the replies.

    The engine delivers all that is not acknowledged, in order, to whoever creates the account's consumer anew.

    :param deliver: the subject where the gateway gets replies.
    """

    def __init__(self, engine: Engine, lease: Lease, deliver: str) -> None:
        self._engine = engine
        self._layout = engine.layout
        self._lease = lease
        self._account = lease.name
        self._deliver = deliver
        self._items: dict[str, _Item] = {}
        self._arrived: asyncio.Event | None = None
        """Set when a reply arrives, for those who wait: an event takes 700 bytes."""
        self._expected = 0
        """The consumer's next number: what is on its way while a connection is lost may be lost, too."""
        self._stored = 0
        """The stream's last message when the consumer was created."""
        self._position = 0
        self._unchecked: list[str] = []
        self._checking = False
        self._opening: asyncio.Task[None] | None = None
        self._tasks = Tasks("outlet")
        self.outbox: Outbox

    # -- the consumer

    def open(self) -> asyncio.Task[None]:
        """Create the consumer anew, which delivers all that is not acknowledged."""
        if self._opening is None or self._opening.done():
            self._opening = self._tasks.begin(self._insist())
        return self._opening

    async def reopen(self, anew: bool) -> None:
        """Create the consumer anew, or only if it is gone. Nothing happens after `close`."""
        with contextlib.suppress(StoreError):  # The gateway stops.
            stream, name = self._layout.stream("out"), consumer_of(self._account)
            if self._expected and (anew or not await self._engine.delivers(stream, name, self._deliver)):
                # It may be cancelled, which does not concern the caller.
                await asyncio.wait([self.open()])

    async def _insist(self) -> None:
        with contextlib.suppress(StoreError):  # The gateway stops.
            await self._engine.insist(f"receive the replies of {self._account}", self._open)

    async def _open(self) -> None:
        layout, js = self._layout, self._engine.js
        stream, name = layout.stream("out"), consumer_of(self._account)
        if not self._lease.valid:
            return
        with contextlib.suppress(NotFoundError):
            await js.delete_consumer(stream, name)
        self._stored = (await js.stream_info(stream)).state.last_seq
        self._expected = 1
        config = ConsumerConfig(
            durable_name=name,
            deliver_subject=self._deliver,
            deliver_policy=DeliverPolicy.ALL,
            filter_subject=layout.subject("out", token(self._account), ">"),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=NEVER,
            max_ack_pending=MOST_AT_ONCE,
        )
        if self._lease.valid:
            await js.add_consumer(stream, config)

    async def close(self, timeout: float) -> None:
        """Receive nothing more. The next gateway would delete the consumer anyway, so it may remain."""
        self._expected = 0
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        with contextlib.suppress(TimeoutError, NatsError):
            async with asyncio.timeout(timeout):
                await self._engine.js.delete_consumer(self._layout.stream("out"), consumer_of(self._account))

    def received(self, message: Msg) -> None:
        """Take a reply from the engine."""
        sequence = message.metadata.sequence
        if sequence.consumer != self._expected:
            if self._expected:
                self.open()
            return
        self._expected += 1
        try:
            record = decode_outbound(message.data)
        except msgspec.MsgspecError as error:
            logger.error("reply %d of the stream out can't be read, and stays there: %s", sequence.stream, error)
            return
        known = self._items.get(record.id)
        if known is not None:
            known.ack = message.reply
            return
        self._items[record.id] = _Item(record, message.reply, asyncio.Event())
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None
        if sequence.stream > self._stored and not self._checking:
            self._add(record)
        else:
            self._unchecked.append(record.id)
            if not self._checking:
                self._checking = True
                self._tasks.begin(self._check())

    async def _check(self) -> None:
        """Look up whether the server has got replies already that an earlier gateway may have sent."""
        stream = self._layout.stream("done")
        try:
            while self._unchecked:
                item = self._items[self._unchecked.pop(0)]
                if await self._engine.find(stream, self._subject("done", item)) is None:
                    self._add(item.record)
                else:
                    await self._forget(item)
        except StoreError as error:
            logger.debug("replies of %s stay in the stream: %s", self._account, error)
        finally:
            self._checking = False

    def _add(self, record: Outbound) -> None:
        self._position += 1
        reply = Reply(id=record.id, dialog=record.dialog, content=bytes(record.content), position=self._position)
        with continued(record.trace):
            self.outbox.add(reply, partial(self._report, record))

    def _subject(self, kind: str, item: _Item) -> str:
        return self._layout.of(kind, self._account, item.record.id)

    def _report(self, record: Outbound, error: Exception, reply_id: str) -> None:
        """Tell the worker that its reply was refused."""
        if record.worker is not None:
            subject, problem = self._layout.subject("told", record.worker), problem_of(error, reply_id)
            self._tasks.begin(self._tell(subject, encode_record(problem)))

    async def _tell(self, subject: str, problem: bytes) -> None:
        with contextlib.suppress(StoreError):  # It is among the failures.
            await self._engine.insist("tell a worker", partial(self._engine.nc.publish, subject, problem))

    # -- for the outbox

    def put_reply(self, reply: Reply) -> asyncio.Future[Reply | None]:
        """Store a reply, which comes back from the engine."""
        record = Outbound(account=self._account, id=reply.id, dialog=reply.dialog, content=msgspec.Raw(reply.content))
        return asyncio.ensure_future(self._put(record))

    async def _put(self, record: Outbound) -> Reply | None:
        subject = self._layout.of("out", self._account, record.id)
        await self._engine.publish(subject, encode_record(record), f"{self._account}:{record.id}")
        return None

    def unsent(self, after: int) -> asyncio.Future[list[Reply]]:
        """Return nothing: the engine delivers what is not sent yet."""
        found: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        found.set_result([])
        return found

    def sent(self, reply_id: str) -> asyncio.Future[None]:
        """Note that the server has a reply."""
        replies.add(1)
        return self._tasks.begin(self._sent(self._items[reply_id]))

    async def _sent(self, item: _Item) -> None:
        with contextlib.suppress(StoreError):  # It is sent again, and recipients recognize it.
            await self._finish(item)

    async def fail(self, failure_id: str, error: str) -> Failure | None:
        """Note that a reply can't be sent."""
        failures.add(1, {"kind": "reply"})
        item, now = self._items[failure_id], dt.datetime.now(dt.UTC)
        record = item.record
        failed = FailedItem(error=error, failed_at=now, outbound=record)
        try:
            await self._engine.publish(self._subject("failed", item), encode_record(failed))
            await self._finish(item)
        except StoreError as problem:
            logger.debug("the failure of reply %s is not kept: %s", failure_id, problem)
        return Failure(
            id=failure_id,
            kind="reply",
            dialog=record.dialog,
            error=error,
            failed_at=now,
            content=bytes(record.content),
        )

    async def _finish(self, item: _Item) -> None:
        await self._engine.publish(self._subject("done", item), b"")
        await self._forget(item)

    async def _forget(self, item: _Item) -> None:
        """Let the stream forget a reply. If that is lost, a new consumer delivers it again, and it is found done."""
        await self._engine.insist("acknowledge a reply", lambda: self._engine.nc.publish(item.ack, b"+ACK"))
        self._items.pop(item.record.id, None)
        item.over.set()

    # -- for those who edit a reply

    async def left(self, reply_id: str) -> None:
        """Wait until the server has a reply or has refused it."""
        while True:
            arrived = self._arrived = self._arrived or asyncio.Event()
            item = self._items.get(reply_id)
            if item is not None:
                await item.over.wait()
                return
            subject = self._layout.of("out", self._account, reply_id)
            if await self._engine.find(self._layout.stream("out"), subject) is None:
                return
            if reply_id not in self._items:
                await arrived.wait()

    async def stop(self, grace: float) -> None:
        """Finish what has begun within these seconds; cancel it at once if the account's lease has ended."""
        self._expected = 0
        await self._tasks.finish(grace if self._lease.valid else 0)
