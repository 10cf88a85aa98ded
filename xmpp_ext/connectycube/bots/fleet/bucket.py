"""The bucket that holds the leases, in NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Protocol

from attrs import frozen
from nats.errors import Error as NatsError
from nats.js.errors import APIError, KeyWrongLastSequenceError, NoStreamResponseError
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

    def watch(self) -> AsyncGenerator[Change | None]:
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

    async def _open(self) -> KeyValue:
        return await self._js.key_value(self._engine.layout.stream("leases"))
