"""Leases: which member of a fleet serves an account, or handles a partition.

Each lease is a key in a bucket whose keys expire: taken, renewed and released by compare-and-set, so the engine decides
who holds it. A holder knows by its own clock when the engine may have given a lease to another, and stops before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from attrs import frozen

from .bucket import Bucket
from .engine import FleetError
from .layout import token
from .metrics import lease_moves
from .records import encode_record

__all__ = ["Holder", "Lease", "Leases", "boot_clock", "decode_holder"]

DRIFT: Final = 0.05
"""The part of the TTL by which a holder stops early, since two clocks may not run at the same speed."""

QUIET: Final = 0.65
"""The part of the TTL after which a watcher without any change is replaced. A renewal comes after a third of the TTL;
if it is not answered, the next one comes after another sixth."""

logger = logging.getLogger("connectycube.bots")


def boot_clock() -> float:
    """Return seconds of a clock that goes on while the process is stopped, and on Linux while the machine sleeps."""
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


@frozen
class _Key:
    """What is known of a key: its holder, if there is one, and its revision."""

    holder: Holder | None
    revision: int


class Lease:
    """A lease that this member holds, or held.

    :ivar name: the account or partition.
    :ivar problem: what keeps the holder from using it; others see it within a third of the TTL.
    """

    def __init__(self, name: str, clock: Callable[[], float] = boot_clock) -> None:
        self.name = name
        self.problem: str | None = None
        self.since = time.time()
        self.renewed = self._until = -math.inf
        self._clock = clock
        self._ended = False

    def __repr__(self) -> str:
        return f"<Lease {self.name}{'' if self.valid else ' ended'}>"

    @property
    def valid(self) -> bool:
        """Whether no one else can hold it. Check before each write; once it is `False`, it stays so."""
        if not self._ended and self._clock() >= self._until:
            self._ended = True
        return not self._ended

    def renew(self, sent: float, ttl: float) -> None:
        """Note a renewal that was sent at that time, by its clock."""
        self.renewed, self._until = sent, sent + ttl * (1 - DRIFT)

    def end(self) -> None:
        """Make it invalid."""
        self._ended = True


class Leases:
    """The leases of one member: its fair share of all names, taken and released as members come and go.

    Each lease goes through `take`, which may last; then, in the end, through `give_up`, once. If the lease ends while
    `take` runs, it is cancelled first. Neither should raise: an exception is logged, and one of `take` is shown as the
    lease's `problem`; otherwise, it changes nothing.

    :param bucket: `EngineBucket(engine)`.
    :param kind: the kind of what is leased.
    :param role: the role of the members that share it.
    :param member_id: identifies this process, and is never used again by another; a valid token.
    :param wanted: the names of all that is leased. Members with other names don't share with this one: each takes what
        the others leave.
    :param take: called with each lease that was taken.
    :param give_up: called with each lease that ends. If its second argument, `lost`, is `False`, the lease is valid and
        renewed until the call returns, and then released. If it is `True`, others may hold it already.
    :param pace: maximum number of leases to take per second, and to move to other members.
    :param clock: returns seconds, which must go on while the process is stopped.
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
        self._ttl = bucket.ttl
        self._kind = kind
        self._members = f"member.{role}."
        self._me = f"{self._members}{member_id}"
        self._id = member_id
        self._take = take
        self._give_up = give_up
        self._pace = pace
        self._clock = clock
        # Each member prefers others, so they seldom try to take the same at once.
        names = sorted(set(wanted), key=lambda name: zlib.crc32(f"{member_id} {name}".encode()))
        self._names = {f"{kind}.{token(name)}": name for name in names}
        self._presence = Holder(
            holder=member_id,
            name=role,
            host=socket.gethostname(),
            pid=os.getpid(),
            since=time.time(),
            names=sha256("\n".join(sorted(names)).encode()).hexdigest()[:16],
        )
        self._announced = -math.inf
        self._held: dict[str, Lease] = {}
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        # What is read from a new watcher replaces what was known as soon as it is complete.
        self._known: dict[str, _Key] = {}
        self._fresh: dict[str, _Key] = {}
        self._synced = False
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._next_move = -math.inf
        self._share = 0

    @property
    def held(self) -> Mapping[str, Lease]:
        """The leases of this member by name, including those that are being taken or given up."""
        return {lease.name: lease for lease in self._held.values()}

    async def serve(self) -> None:
        """Take and hold leases until `stop` is called. If it is cancelled, all leases end at once, as in a crash."""
        self._stopped.clear()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                watching = self._tasks.create_task(self._watch())
                renewing = self._tasks.create_task(self._renew_all())
                await self._balance()
                await self._leave()
                renewing.cancel()
                watching.cancel()
        finally:
            for lease in self._held.values():
                lease.end()
            self._held.clear()
            self._stopped.set()

    async def stop(self) -> None:
        """Give up all leases, release them for others at once, and let `serve` return."""
        self._stopping.set()
        self._changed.set()
        await self._stopped.wait()

    async def _leave(self) -> None:
        # Released first, so that the others' shares include what follows.
        if (writing := self._writing.get(self._me)) is not None:
            await asyncio.wait([writing])
        await self._release(self._me)
        for key in list(self._held):
            self._end(key, lost=False)
        while self._ending:
            await asyncio.wait(self._ending.values())

    # -- what the bucket holds

    async def _watch(self) -> None:
        level = logging.WARNING
        while True:
            self._fresh = {}
            try:
                # The member's own renewals are among the changes: without any for so long, it is broken.
                quiet = QUIET * self._ttl
                async with asyncio.timeout(quiet) as limit, aclosing(self._bucket.watch()) as changes:
                    async for change in changes:
                        limit.reschedule(asyncio.get_running_loop().time() + quiet)
                        if change is None:
                            level = logging.WARNING
                            self._sync()
                        else:
                            self._note(change.key, change.value, change.revision)
            except (FleetError, TimeoutError) as error:
                logger.log(level, "the leases can't be watched: %s", str(error) or "no change was seen")
                level = logging.DEBUG
                await asyncio.sleep(self._ttl / 10)

    def _sync(self) -> None:
        self._known = self._fresh
        self._synced = True
        self._divide()
        for key in list(self._held):
            if self._holder(key) != self._id:
                self._end(key, lost=True)

    def _note(self, key: str, value: bytes | None, revision: int) -> None:
        """Note a key's state, unless a later one is known."""
        if key not in self._names and not key.startswith(self._members):
            return
        found = _Key(None if value is None else decode_holder(value), revision)
        before = self._holder(key)
        for known in (self._known, self._fresh):
            if key not in known or known[key].revision < revision:
                known[key] = found
        if self._holder(key) != before:
            self._changed.set()
            if key not in self._names:
                self._divide()
            if before == self._id and key in self._held:
                self._end(key, lost=True)

    def _divide(self) -> None:
        """Compute the fair share."""
        members = {
            known.holder.holder
            for key, known in self._known.items()
            if key.startswith(self._members) and known.holder and known.holder.names == self._presence.names
        }
        self._share = math.ceil(len(self._names) / len(members | {self._id}))
        self._changed.set()

    def _holder(self, key: str) -> str | None:
        """Return who holds a key."""
        known = self._known.get(key)
        return None if known is None or known.holder is None else known.holder.holder

    # -- writing to it; all of it is compare-and-set

    async def _write(self, key: str, holder: Holder, last: int) -> bool:
        value = encode_record(holder)
        try:
            revision = await self._bucket.put(key, value, last)
        except FleetError as error:
            logger.debug("the lease %s can't be written: %s", key, error)
            return False
        if revision is not None:
            self._note(key, value, revision)
        return revision is not None

    async def _claim(self, key: str, holder: Holder) -> bool:
        """Write a key that no one else holds. Its expiry marker may have been removed unnoticed, so 0 is tried, too."""
        known = self._known.get(key)
        for last in {known.revision if known else 0: None, 0: None}:
            if await self._write(key, holder, last):
                return True
        return False

    async def _release(self, key: str) -> None:
        if self._holder(key) == self._id:
            try:
                await self._bucket.delete(key, self._known[key].revision)
            except FleetError as error:
                logger.debug("the lease %s can't be released, and expires: %s", key, error)

    # -- renewals

    async def _renew_all(self) -> None:
        """Renew each lease after a third of the TTL, and end those that were not renewed in time."""
        while True:
            due = self._clock() - self._ttl / 3
            if self._announced <= due and not self._stopping.is_set():
                self._begin_write(self._me, self._announce())
            for key, lease in list(self._held.items()):
                if not lease.valid:
                    self._end(key, lost=True)
                elif lease.renewed <= due:
                    self._begin_write(key, self._renew(key, lease))
            await asyncio.sleep(self._ttl / 30)

    def _begin_write(self, key: str, write: Coroutine[Any, Any, None]) -> None:
        if key in self._writing:
            write.close()
            return
        self._writing[key] = task = self._tasks.create_task(write)
        task.add_done_callback(lambda _: self._writing.pop(key))

    async def _announce(self) -> None:
        sent = self._clock()
        if await self._claim(self._me, self._presence):
            self._announced = sent

    async def _renew(self, key: str, lease: Lease) -> None:
        # A write that was not answered may have changed the revision: the watcher tells.
        sent = self._clock()
        if self._holder(key) == self._id and await self._write(key, self._value(lease), self._known[key].revision):
            lease.renew(sent, self._ttl)

    def _value(self, lease: Lease) -> Holder:
        return msgspec.structs.replace(
            self._presence, name=lease.name, since=lease.since, problem=lease.problem, names=None
        )

    # -- the fair share

    async def _balance(self) -> None:
        """Take what is free, up to the fair share, and release what is above it."""
        while not self._stopping.is_set():
            self._changed.clear()
            for key in self._free():
                if self._stopping.is_set() or self._spare() >= 0:
                    break
                if self._is_free(key) and await self._acquire(key):
                    await _wait(self._stopping, 1 / self._pace)
            self._move()
            await _wait(self._changed, self._ttl / 10)

    def _free(self) -> list[str]:
        return [key for key in self._names if self._is_free(key)] if self._synced else []

    def _is_free(self, key: str) -> bool:
        """Return whether no one holds it; or only this member, by a write that was not answered."""
        return key not in self._held and self._holder(key) in (None, self._id)

    def _spare(self) -> int:
        """Return how many leases this member has beyond its fair share; below 0, how many it lacks."""
        return len(self._held) - len(self._ending) - self._share

    def _move(self) -> None:
        """Release what is above the fair share, as fast as others take it, so that little is free at a time."""
        now, burst = self._clock(), max(1, int(self._pace))
        count = min(self._spare(), burst - len(self._free()) - len(self._ending))
        if count > 0 and now >= self._next_move:
            self._next_move = now + count / self._pace
            # Those last that it prefers.
            kept = [key for key in self._names if key in self._held and key not in self._ending]
            for key in kept[-count:]:
                self._end(key, lost=False)

    async def _acquire(self, key: str) -> bool:
        lease = Lease(self._names[key], self._clock)
        sent = self._clock()
        # Another may hold it by now, if this process was slow.
        if not await self._claim(key, self._value(lease)) or self._holder(key) != self._id:
            return False
        lease.renew(sent, self._ttl)
        self._held[key] = lease
        lease_moves.add(1, {"kind": self._kind, "move": "taken"})
        self._taking[key] = self._tasks.create_task(self._begin(key, lease))
        return True

    async def _begin(self, key: str, lease: Lease) -> None:
        try:
            await self._take(lease)
        except Exception as error:
            logger.exception("%s was leased, but can't be used", key)
            lease.problem = str(error)
        finally:
            self._taking.pop(key, None)

    def _end(self, key: str, *, lost: bool) -> None:
        if lost:
            self._held[key].end()
        if key not in self._ending:
            logger.info("the lease %s %s", key, "is lost" if lost else "goes to others")
            lease_moves.add(1, {"kind": self._kind, "move": "lost" if lost else "released"})
            self._ending[key] = self._tasks.create_task(self._finish(key, self._held[key], lost))

    async def _finish(self, key: str, lease: Lease, lost: bool) -> None:
        if (taking := self._taking.pop(key, None)) is not None:
            taking.cancel()
            await asyncio.wait([taking])
        try:
            await self._give_up(lease, lost)
        except Exception:
            logger.exception("%s is no longer leased, but giving it up failed", key)
        lease.end()
        if not lost:
            if (writing := self._writing.get(key)) is not None:
                await asyncio.wait([writing])
            await self._release(key)
        del self._held[key], self._ending[key]
        self._changed.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer than this."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
