"""Leases: which member of a fleet serves an account, or handles a partition.

Each lease is a key in a bucket whose keys expire: taken, renewed and released by compare-and-set, so the engine decides
who holds it. A holder knows by its own clock when the engine may have given a lease to another, and stops before that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec
from attrs import define, field

from .bucket import Bucket

__all__ = ["Holder", "Lease", "Leases", "boot_clock", "decode_holder"]

DRIFT: Final = 0.05
"""The part of the TTL by which a holder stops early, since two clocks may not run at the same speed."""

logger = logging.getLogger("connectycube.bots")


def boot_clock() -> float:
    """Return seconds that go on while the process is stopped, and on Linux while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Holder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bucket holds for each lease, and for each member under `member.ROLE.ID`.

    :ivar holder: the member's id.
    :ivar name: what is leased; the role for a member.
    :ivar since: Unix time at which it was taken.
    :ivar problem: what keeps the holder from using it, such as a wrong password.
    :ivar names: a digest of all names that the member shares in. Only members with equal names share.
    """

    holder: str
    name: str
    host: str
    pid: int
    since: float
    problem: str | None = None
    names: str | None = None


decode_holder: Final = msgspec.json.Decoder(Holder).decode


@define(eq=False)
class Lease:
    """A lease that this member holds, or held.

    :ivar name: the account or partition.
    :ivar problem: shown to others, within a third of the TTL: what keeps the holder from using it.
    """

    name: str
    since: float
    problem: str | None = None
    _clock: Callable[[], float] = field(repr=False, default=boot_clock)
    _until: float = 0.0
    _ended: bool = False

    @property
    def valid(self) -> bool:
        """Whether no one else can hold it. Check before each write; once it is `False`, it stays so."""
        if not self._ended and self._clock() >= self._until:
            self._ended = True
        return not self._ended


class Leases:
    """The leases of one member: its fair share of all names, taken and released as members come and go.

    Each lease goes through `take`, which may last; then, in the end, through `give_up`, once. If the lease ends while
    `take` runs, it is cancelled first. Neither should raise: an exception is logged, shown as the lease's `problem`, and
    changes nothing else.

    :param bucket: `EngineBucket(engine)`.
    :param kind: the kind of what is leased.
    :param role: the role of the members that share it.
    :param member_id: identifies this process, and is never used again by another; a valid token.
    :param wanted: the names of all that is leased. All members of a role should have the same.
    :param take: called with each lease that was taken.
    :param give_up: called with each lease that ends. If its second argument, `lost`, is `False`, the lease is valid and
        renewed until the call returns, and then released. If it is `True`, others may hold it already.
    :param pace: maximum number of leases to take per second; also about how many are moved to others at a time.
    :param clock: seconds that go on while the process is stopped.
    """

    def __init__(
        self,
        bucket: Bucket,
        kind: Literal["account", "partition"],
        role: Literal["gateway", "worker"],
        member_id: str,
        wanted: Iterable[str],
        *,
        take: Callable[[Lease], Awaitable[None]],
        give_up: Callable[[Lease, bool], Awaitable[None]],
        pace: float = 20.0,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._bucket = bucket
        self._kind = kind
        self._role = role
        self._id = member_id
        self._wanted = list(dict.fromkeys(wanted))
        self._take = take
        self._give_up = give_up
        self._pace = pace
        self._clock = clock
        self._held: dict[str, Lease] = {}

    @property
    def held(self) -> Mapping[str, Lease]:
        """The leases of this member by name, including those that are being taken or given up."""
        return self._held

    async def serve(self) -> None:
        """Take and hold leases until `stop` is called. If it is cancelled, all leases end at once, as in a crash."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Give up all leases, release them for others at once, and let `serve` return."""
        raise NotImplementedError
