"""The bucket that holds the leases, in NATS."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Final, Protocol

from attrs import frozen
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, KeyWrongLastSequenceError
from nats.js.kv import KV_MARKER_REASON, KV_OP, KeyValue

from .engine import Engine, FleetError

__all__ = ["Bucket", "Change", "EngineBucket"]

WRONG_REVISION: Final = (10071, 10164)
"""The engine's error codes when a key has another revision than expected."""


@frozen
class Change:
    """A key's latest state.

    :ivar value: `None` if the key was deleted or has expired.
    :ivar revision: increases with each change in the bucket.
    """

    key: str
    value: bytes | None
    revision: int


class Bucket(Protocol):
    """Keys that expire unless they are written again within the TTL.

    Each write is a compare-and-set: it takes effect only if the key's latest revision is `last`. A key that was never
    there, or whose end is forgotten, has revision 0.
    """

    @property
    def ttl(self) -> float:
        """Seconds after which a key expires."""
        ...

    async def put(self, key: str, value: bytes, last: int) -> int | None:
        """Write a key. Returns its new revision, or `None` if `last` is not its latest.

        :raises FleetError: if there is no answer. The key may have been written nevertheless.
        """
        ...

    async def delete(self, key: str, last: int) -> None:
        """Delete a key, unless `last` is not its latest revision.

        :raises FleetError: if there is no answer. The key may have been deleted nevertheless.
        """
        ...

    def watch(self) -> AsyncGenerator[Change | None, None]:
        """Yield what there is, then `None`, and then each change. Ends when changes may have been missed.

        :raises FleetError: if it can't begin.
        """
        ...


class EngineBucket:
    """The bucket of a fleet's leases."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.ttl = engine.layout.ttl
        # An answer that takes longer than the pause between two renewals is of no use.
        self._js = engine.nc.jetstream(timeout=self.ttl / 3)
        self._patience: float = self.ttl / 3
        """Seconds that an answer may take: half of that while answers come in time."""
        bucket = engine.layout.stream("leases")
        self._stream, self._prefix = f"KV_{bucket}", f"$KV.{bucket}."
        self._kv: KeyValue | None = None

    async def put(self, key: str, value: bytes, last: int) -> int | None:
        async with self._answered():
            try:
                return await (await self._open()).update(key, value, last)
            except KeyWrongLastSequenceError:
                return None

    async def delete(self, key: str, last: int) -> None:
        async with self._answered():
            try:
                await (await self._open()).delete(key, last)
            except APIError as error:
                if error.err_code not in WRONG_REVISION:
                    raise

    async def watch(self) -> AsyncGenerator[Change | None, None]:
        # Not by nats-py's watcher: it leaves a subscription and its task behind whenever it can't begin.
        reconnected = self._engine.reconnected
        inbox = self._engine.nc.new_inbox()
        try:
            subscription = await self._engine.nc.subscribe(inbox)
        except NatsError as error:
            raise self._silence(error) from error
        # A server that was restarted has forgotten the consumer.
        ending = asyncio.ensure_future(_unsubscribe(subscription, reconnected))
        try:
            async with self._answered():
                info = await self._js.add_consumer(self._stream, _latest(inbox, f"{self._prefix}>"))
            is_empty = not info.num_pending and not (info.delivered and info.delivered.consumer_seq)
            if is_empty:
                yield None
            is_complete, count = is_empty, 0
            async for message in subscription.messages:
                count += 1
                if message.metadata.sequence.consumer != count:
                    return
                headers = message.headers or {}
                is_gone = KV_OP in headers or KV_MARKER_REASON in headers
                key = message.subject.removeprefix(self._prefix)
                yield Change(key, None if is_gone else message.data, message.metadata.sequence.stream)
                if not is_complete and not message.metadata.num_pending:
                    is_complete = True
                    yield None
        finally:
            ending.cancel()
            await _unsubscribe(subscription)

    async def _open(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._js.key_value(self._engine.layout.stream("leases"))
        return self._kv

    @contextlib.asynccontextmanager
    async def _answered(self) -> AsyncGenerator[None]:
        # A cluster that elects a leader does not answer, so there must be time for several attempts to renew a lease;
        # but where answers are always slow, they must do.
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                yield
        except (NatsError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                self._patience = self.ttl / 3
            raise self._silence(error) from error
        if time.monotonic() - begun < self.ttl / 6:
            self._patience = self.ttl / 6

    def _silence(self, error: Exception) -> FleetError:
        problem = str(error) or type(error).__name__
        return FleetError(self._engine.name, f"does not answer for the leases: {problem}")


def _latest(inbox: str, subjects: str) -> ConsumerConfig:
    """Return a consumer that delivers the latest state of each key, and then its changes."""
    return ConsumerConfig(
        deliver_subject=inbox,
        filter_subject=subjects,
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        num_replicas=1,
    )


async def _unsubscribe(subscription: Subscription, when: asyncio.Event | None = None) -> None:
    if when is not None:
        await when.wait()
    # It may have ended already, with the connection or before.
    with contextlib.suppress(NatsError):
        await subscription.unsubscribe()
