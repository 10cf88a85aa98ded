"""The messages of one partition, as its worker gets them from the engine."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Callable
from itertools import islice
from typing import Final

import msgspec
from attrs import define, field
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from ..calls import Tasks
from ..store import Entry
from .engine import Engine
from .layout import token
from .leases import Lease
from .metrics import failures, waiting
from .records import FailedItem, Inbound, decode_inbound, encode_record

__all__ = ["Inbox", "Received"]

MOST_UNHANDLED: Final = 20_000
"""Messages of a partition that the engine delivers before some of them are handled."""
MOST_KEPT: Final = 300
"""Messages of a partition that are kept in memory beside those that the dispatcher has. Others are read again."""
NEVER: Final = 30 * 86_400.0
"""Seconds after which the engine delivers a message again. A new consumer does so at once, and nothing else should."""

logger = logging.getLogger("connectycube.bots")


@define(kw_only=True)
class Received(Entry):
    """A message as the handling gets it.

    :ivar record: as the stream holds it.
    :ivar stored_at: Unix time at which the gateway stored it.
    """

    record: Inbound
    stored_at: float


@define(eq=False)
class _Item:
    """A message that the stream still has.

    :ivar name: the account and key, as the last parts of subjects.
    :ivar sequence: its place in the stream.
    :ivar ack: the subject that acknowledges it.
    :ivar stored_at: Unix time at which the gateway stored it.
    :ivar redelivered: whether an earlier holder of the partition may have had it.
    :ivar record: `None` if it must be read again.
    """

    key: str
    lane: str
    name: str
    sequence: int
    ack: str
    stored_at: float
    redelivered: bool
    record: Inbound | None = field(repr=False)


class Inbox:
    """Receives the messages of a partition, and keeps what became of them.

    The engine delivers all that is not acknowledged, in order, to whoever creates the partition's consumer anew.

    :param lease: the partition.
    :param deliver: the subject where the worker gets its messages.
    :param failed: called after a message has failed.
    """

    def __init__(self, engine: Engine, lease: Lease, deliver: str, failed: Callable[[], object]) -> None:
        self._engine = engine
        self._layout = engine.layout
        self._lease = lease
        self._deliver = deliver
        self._consumer = f"in-{lease.name}"
        self._failed = failed
        self._items: dict[str, _Item] = {}
        """What the stream still has, by key."""
        self._lanes: dict[str, dict[str, _Item]] = {}
        """What is not handled yet, by dialog and key, in order."""
        self._stored = 0
        """The stream's last message when the consumer was created."""
        self._tasks = Tasks("inbox")

    async def open(self) -> None:
        """Let the engine deliver. Again after the connection was lost, since what was on its way may be lost, too."""
        await self._engine.insist(f"take partition {self._lease.name}", self._open)

    async def check(self) -> None:
        """Let the engine deliver again if another process, which was late to learn that it lost the lease, ended it."""
        if not await self._engine.delivers(self._layout.stream("in"), self._consumer, self._deliver):
            await self.open()

    async def _open(self) -> None:
        js, stream, name = self._engine.js, self._layout.stream("in"), self._consumer
        if not self._lease.valid:
            return
        with contextlib.suppress(NotFoundError):
            await js.delete_consumer(stream, name)
        self._stored = (await js.stream_info(stream)).state.last_seq
        config = ConsumerConfig(
            durable_name=name,
            deliver_subject=self._deliver,
            deliver_policy=DeliverPolicy.ALL,
            filter_subject=self._layout.subject("in", self._lease.name, ">"),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=NEVER,
            max_ack_pending=MOST_UNHANDLED,
        )
        if self._lease.valid:
            await js.add_consumer(stream, config)

    async def close(self, grace: float) -> None:
        """Let what was handled be noted. What was not stays in the stream."""
        await self._tasks.finish(grace)
        waiting.add(-sum(map(len, self._lanes.values())))

    def received(self, message: Msg) -> Entry | None:
        """Take a message from the engine. Returns it if it is new."""
        sequence = message.metadata.sequence.stream
        try:
            record = decode_inbound(message.data)
        except msgspec.MsgspecError as error:
            logger.error("message %d of the stream in can't be read, and stays there: %s", sequence, error)
            return None
        key, lane = f"{record.account}:{record.key}", f"{record.account}:{record.dialog}"
        if (known := self._items.get(key)) is not None:
            known.ack = message.reply
            return None
        item = _Item(
            key=key,
            lane=lane,
            name=f"{token(record.account)}.{token(record.key)}",
            sequence=sequence,
            ack=message.reply,
            stored_at=message.metadata.timestamp.timestamp(),
            redelivered=sequence <= self._stored,
            record=record if len(self._items) < MOST_KEPT else None,
        )
        self._items[key] = self._lanes.setdefault(lane, {})[key] = item
        waiting.add(1)
        return _entry(item, record)

    # -- for the dispatcher

    async def dialogs(self) -> dict[str, int]:
        """Return how many messages wait in each dialog."""
        return {lane: len(items) for lane, items in self._lanes.items()}

    async def pending(self, dialog: str, limit: int) -> list[Entry]:
        """Return the first messages of a dialog that wait to be handled."""
        found: list[Entry] = []
        items = iter(list(self._lanes.get(dialog, {}).values()))
        while self._lease.valid and (some := list(islice(items, limit - len(found)))):
            found += [entry for entry in await asyncio.gather(*map(self._look_up, some)) if entry is not None]
        return found

    async def _look_up(self, item: _Item) -> Entry | None:
        """Return a message with what became of it before, unless it was handled."""
        attempts = None
        if item.redelivered:
            done, attempts = await asyncio.gather(self._find("done", item), self._find("attempts", item))
            if done is not None:
                await self._acknowledge(self._over(item.key))
                return None
        record = item.record or await self._read(item)
        if record is None:
            await self._acknowledge(self._over(item.key))
            return None
        entry = _entry(item, record)
        entry.attempts = int(attempts or b"0")
        return entry

    async def _find(self, kind: str, item: _Item) -> bytes | None:
        layout = self._layout
        if kind == "attempts":
            return await self._engine.find(f"KV_{layout.stream(kind)}", f"$KV.{layout.stream(kind)}.{item.name}")
        return await self._engine.find(layout.stream(kind), layout.subject(kind, item.name))

    async def _read(self, item: _Item) -> Inbound | None:
        """Read a message again; `None` if it is gone."""
        found = await self._engine.find(self._layout.stream("in"), sequence=item.sequence)
        return None if found is None else decode_inbound(found)

    # -- for the handling

    def begin(self, key: str, attempts: int) -> asyncio.Future[None]:
        """Note how often a handler was called for a message."""
        return self._tasks.begin(self._count(self._items[key], attempts))

    async def _count(self, item: _Item, attempts: int) -> None:
        if attempts or item.redelivered:
            await self._engine.publish(f"$KV.{self._layout.stream('attempts')}.{item.name}", b"%d" % attempts)

    def finish(self, key: str) -> asyncio.Future[None]:
        """Note that a message was handled."""
        return self._tasks.begin(self._finish(self._over(key)))

    async def _finish(self, item: _Item) -> None:
        # In this order: what is not acknowledged comes again, and is then known.
        await self._engine.publish(self._layout.subject("done", item.name), b"")
        await self._acknowledge(item)

    async def fail(self, failure_id: str, error: str) -> None:
        """Note that a message can't be handled."""
        if not self._lease.valid:
            return  # Whoever holds the partition now handles it.
        failures.add(1, {"kind": "message"})
        item = self._over(failure_id)
        record = item.record or await self._read(item)
        if record is not None:
            failed = FailedItem(error=error, failed_at=dt.datetime.now(dt.UTC), inbound=record)
            await self._engine.publish(self._layout.subject("failed", item.name), encode_record(failed))
        await self._finish(item)
        self._failed()

    def _over(self, key: str) -> _Item:
        waiting.add(-1)
        item = self._items[key]
        lane = self._lanes[item.lane]
        del lane[key]
        if not lane:
            del self._lanes[item.lane]
        return item

    async def _acknowledge(self, item: _Item) -> None:
        del self._items[item.key]
        with contextlib.suppress(NatsError):  # Then it comes again.
            await self._engine.nc.publish(item.ack)


def _entry(item: _Item, record: Inbound) -> Received:
    return Received(
        key=item.key,
        dialog=item.lane,
        message=bytes(record.message),
        from_history=record.from_history,
        redelivered=item.redelivered,
        trace=record.trace,
        record=record,
        stored_at=item.stored_at,
    )
