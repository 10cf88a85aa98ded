"""The bucket that holds the leases, in NATS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import Final, Protocol

from attrs import frozen
from nats.errors import Error as NatsError
from nats.js.errors import APIError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

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

        self._kv: KeyValue | None = None

    async def put(self, key: str, value: bytes, last: int) -> int | None:
        with self._answered():
            try:
                return await (await self._open()).update(key, value, last)
            except KeyWrongLastSequenceError:
                return None

    async def delete(self, key: str, last: int) -> None:
        with self._answered():
            try:
                await (await self._open()).delete(key, last)
            except APIError as error:
                if error.err_code not in WRONG_REVISION:
                    raise

    async def watch(self) -> AsyncGenerator[Change | None, None]:
        reconnected = self._engine.reconnected
        with self._answered():
            watcher = await (await self._open()).watchall()
        # A server that was restarted has forgotten the watcher.
        ending = asyncio.ensure_future(self._stop(watcher, reconnected))
        try:
            async for entry in watcher:
                if entry is None:
                    yield None
                else:
                    yield Change(entry.key, None if entry.operation else entry.value, entry.revision or 0)
        finally:
            ending.cancel()
            await self._stop(watcher)

    @staticmethod
    async def _stop(watcher: KeyValue.KeyWatcher, when: asyncio.Event | None = None) -> None:
        if when is not None:
            await when.wait()
        # It may be stopped already, or the connection closed.
        with contextlib.suppress(NatsError):
            await watcher.stop()  # type: ignore[no-untyped-call]

    async def _open(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._js.key_value(self._engine.layout.stream("leases"))
        return self._kv

    @contextlib.contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except NatsError as error:
            raise FleetError(self._engine.name, f"does not answer: {error or type(error).__name__}") from error
