"""What an account receives, on its way from the chat to the engine."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from connectycube.chat._tracing import receiving, traceparent

from ..content import decode_message
from ..store import Entry, StoreError
from .engine import Engine, FleetError
from .layout import token
from .leases import Lease
from .records import Inbound, decode_inbound, encode_record

__all__ = ["Inlet"]

T = TypeVar("T")

AT_ONCE: Final = 50
"""Messages that are looked up at a time."""

logger = logging.getLogger("connectycube.bots")


class Inlet:
    """Publishes an account's messages for the workers. It is the store and the lanes of an `Intake` and a `Backfill`.

    What a dialog receives while its history is being read is published behind that: until then, it is kept under
    `held`. All that concerns a dialog happens one after another, so that no retry can change the order.

    The engine recognizes copies of messages that wait, or arrived within the last ten minutes. Messages that may be
    older than that are looked up first.

    :param user_id: the account's user id.
    """

    def __init__(self, engine: Engine, lease: Lease, user_id: int) -> None:
        self._engine = engine
        self._layout = engine.layout
        self._lease = lease
        self._account = lease.name
        self._user_id = user_id
        self._held: Collection[str] | None = ()
        """The dialogs whose messages are held; `None` for all."""
        self._kept: dict[str, list[str]] = {}
        """The keys of the messages that are held, by dialog, in order."""
        self._latest: dict[str, asyncio.Task[Any]] = {}
        """What each dialog has to wait for."""
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- for the intake and the backfill: lanes

    def feed(self, entries: Iterable[Entry]) -> None:
        """Do nothing: the workers are fed by the engine."""

    def hold(self) -> None:
        """Hold the messages that arrive from now on, until their dialog is released."""
        self._held = None

    def hold_only(self, dialogs: Collection[str] = ()) -> None:
        """Release all dialogs but these."""
        self._held = dialogs
        for dialog in [dialog for dialog in self._kept if not self._holds(dialog)]:
            self._after(dialog, partial(self._release, dialog, self._kept.pop(dialog)))

    def keys(self, dialog: str) -> set[str]:
        """Return nothing: what is held can move behind other messages, and what is published was never asked for."""
        return set()

    def _holds(self, dialog: str) -> bool:
        return self._held is None or dialog in self._held

    async def load(self) -> None:
        """Take up what an earlier gateway held and did not release."""
        stream, subject, sequence = self._layout.stream("in"), self._layout.of("held", self._account, "-"), 0
        subject = f"{subject.rpartition('.')[0]}.>"
        while (found := await self._look(stream, subject, sequence + 1)) is not None:
            sequence = found.seq or 0
            try:
                record = decode_inbound(found.data or b"")
            except msgspec.MsgspecError as error:
                logger.error("message %d of the stream %s can't be read, and stays there: %s", sequence, stream, error)
            else:
                self._kept.setdefault(record.dialog, []).append(record.key)

    # -- for the intake and the backfill: the store

    def put(self, entries: Sequence[Entry], moved: Collection[str] = ()) -> asyncio.Future[list[bool]]:
        """Publish messages in this order; one after another in each dialog.

        :param moved: is not needed, since live messages are held back themselves.
        """
        dialogs: dict[str, list[Entry]] = {}
        for entry in entries:
            dialogs.setdefault(entry.dialog, []).append(entry)
        works = [self._after(dialog, self._put_work(dialog, found)) for dialog, found in dialogs.items()]
        return works[0] if len(works) == 1 else self._begin(self._joined(entries, list(dialogs), works))

    def _put_work(self, dialog: str, entries: list[Entry]) -> Callable[[], Awaitable[list[bool]]]:
        live = [entry.key for entry in entries if not entry.from_history]
        holds = bool(live) and self._holds(dialog)
        if holds:
            self._kept.setdefault(dialog, []).extend(live)
        return partial(self._publish, entries, holds)

    async def _joined(
        self, entries: Sequence[Entry], dialogs: list[str], works: list[asyncio.Task[list[bool]]]
    ) -> list[bool]:
        found = dict(zip(dialogs, map(iter, await asyncio.gather(*works)), strict=True))
        return [next(found[entry.dialog]) for entry in entries]

    async def _publish(self, entries: list[Entry], holds: bool) -> list[bool]:
        # A server keeps what a killed gateway has not acknowledged until it gives up that session.
        old = [entry.key for entry in entries if entry.from_history or decode_message(entry.message).delayed]
        done = await self._among("done", old) if old else {}
        new = []
        for entry in entries:
            if entry.key in done:
                new.append(False)
                continue
            with receiving(entry.key.rpartition(":")[2], entry.dialog):
                record = Inbound(
                    account=self._account,
                    user_id=self._user_id,
                    key=entry.key,
                    dialog=entry.dialog,
                    message=msgspec.Raw(entry.message),
                    from_history=entry.from_history,
                    trace=traceparent(),
                )
                if holds and not entry.from_history:
                    subject = self._layout.of("held", self._account, entry.key)
                    new.append(await self._store(subject, encode_record(record), f"{self._account}:{entry.key}:held"))
                else:
                    new.append(await self._let_go(entry.dialog, entry.key, encode_record(record)))
        return new

    async def _let_go(self, dialog: str, key: str, record: bytes) -> bool:
        subject = self._layout.waiting(self._account, dialog, key)
        return await self._store(subject, record, f"{self._account}:{key}")

    async def _store(self, subject: str, record: bytes, message_id: str) -> bool:
        if not self._lease.valid:
            raise FleetError(self._engine.name, f"gives the account {self._account} to another gateway")
        return await self._engine.publish(subject, record, message_id)

    async def _release(self, dialog: str, keys: list[str]) -> None:
        """Publish what was held, unless it was handled before: the history may have had it, too."""
        stream = self._layout.stream("in")
        try:
            for key in keys:
                subject = self._layout.of("held", self._account, key)
                found = await self._look(stream, subject)
                if found is None:
                    continue  # It has been released already.
                if not await self._among("done", [key]):
                    await self._let_go(dialog, key, found.data or b"")
                await self._engine.insist(
                    "release a message", partial(self._engine.js.purge_stream, stream, subject=subject)
                )
        except StoreError as error:
            logger.debug("messages of %s stay where they are held: %s", self._account, error)

    def put_answered(self, entries: Sequence[Entry]) -> asyncio.Future[None]:
        """Note that messages were handled."""
        return self._begin(self._put_answered([entry.key for entry in entries]))

    async def _put_answered(self, keys: list[str]) -> None:
        for key in keys:
            await self._engine.publish(self._layout.of("done", self._account, key), b"")

    def known(self, ids: Collection[str], until: dt.datetime | None) -> asyncio.Future[set[str]]:
        """Return those that were handled or sent up to a time, and those that were published up to then and wait."""
        return self._begin(self._known(list(ids), until))

    async def _known(self, ids: list[str], until: dt.datetime | None) -> set[str]:
        found = await self._among("done", ids)
        rest = [one for one in ids if one not in found]
        # Only the keys of messages have a colon.
        found |= await self._among("waiting", [one for one in rest if ":" in one])
        if until is None:
            return {*found, *await self._among("out", [one for one in rest if ":" not in one])}
        return {key for key, at in found.items() if at <= until}

    def checkpoint(self) -> asyncio.Future[dt.datetime | None]:
        """Return the time up to which nothing is missing."""
        return self._begin(self._checkpoint())

    async def _checkpoint(self) -> dt.datetime | None:
        bucket = self._layout.stream("checkpoints")
        found = await self._engine.find(f"KV_{bucket}", f"$KV.{bucket}.{token(self._account)}")
        return None if not found else dt.datetime.fromisoformat(found.decode())

    def set_checkpoint(self, at: dt.datetime) -> asyncio.Future[None]:
        """Set the time up to which nothing is missing."""
        return self._begin(self._set_checkpoint(at))

    async def _set_checkpoint(self, at: dt.datetime) -> None:
        if self._lease.valid:  # Otherwise, messages may have gone elsewhere.
            subject = f"$KV.{self._layout.stream('checkpoints')}.{token(self._account)}"
            await self._engine.publish(subject, at.isoformat().encode())

    # -- the engine

    async def _among(self, kind: str, keys: Sequence[str]) -> dict[str, dt.datetime]:
        """Return when those were stored that are there: `done`, `out`, or `waiting` to be handled."""
        found: dict[str, dt.datetime] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            at = await asyncio.gather(*(self._time_of(kind, key) for key in part))
            found |= {key: time for key, time in zip(part, at, strict=True) if time is not None}
        return found

    async def _time_of(self, kind: str, key: str) -> dt.datetime | None:
        layout = self._layout
        if kind != "waiting":
            found = await self._look(layout.stream(kind), layout.of(kind, self._account, key))
        else:
            # Its partition depends on its dialog.
            subject = layout.subject("in", "*", token(self._account), token(key))
            found = await self._look(layout.stream("in"), subject)
        return None if found is None else found.time

    async def _look(self, stream: str, subject: str, sequence: int | None = None) -> RawStreamMsg | None:
        """Return the last message on a subject; with a sequence number, the first from there on."""

        async def look() -> RawStreamMsg | None:
            try:
                return await self._engine.js.get_msg(stream, sequence, subject, next=sequence is not None)
            except NotFoundError:
                return None

        return await self._engine.insist("read a message", look)

    # -- tasks

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, name="connectycube inlet")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Callers that don't depend on a call need not look at it.

    def _after(self, dialog: str, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Begin what concerns a dialog once everything before it is over."""
        previous = self._latest.get(dialog)

        async def later() -> T:
            if previous is not None:
                await asyncio.wait([previous])
            return await work()

        self._latest[dialog] = task = self._begin(later())
        task.add_done_callback(lambda _: self._latest.pop(dialog) if self._latest.get(dialog) is task else None)
        return task

    async def stop(self, grace: float) -> None:
        """Finish what has begun within these seconds; cancel it at once if the account's lease has ended."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace if self._lease.valid else 0)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
