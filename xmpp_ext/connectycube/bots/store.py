"""What a bot keeps: the messages it received until they are handled, its replies until they are sent.

A backend implements `Store`, the sum of what the bot's parts need. Calls take effect in the order in which they are
made, each as a transaction of its own. The future that a call returns is done once its effect is durable; callers that
don't depend on that need not await it. A call that fails is reported once, and repeated until it succeeds or the store
is closed. Only in the latter case does the future hold a `StoreError`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import define, field, frozen

from connectycube.rest import ConnectyCubeError

__all__ = [
    "MOST_FAILURES",
    "Arrivals",
    "Counts",
    "Entry",
    "Failure",
    "Progress",
    "Replies",
    "Reply",
    "Store",
    "StoreError",
    "StoreLocked",
    "Waiting",
    "note_failure",
]

MOST_FAILURES: Final = 1000
"""How many failures are kept in memory; a store may hold more."""


class StoreError(ConnectyCubeError):
    """The store can't be opened, read or written.

    :ivar name: the store, such as the path of its file.
    :ivar problem: what is wrong and how to fix it.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"the store {self.name} {self.problem}"


class StoreLocked(StoreError):
    """Another process uses the store.

    :ivar holder: that process.
    """

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(name, f"is in use by {holder}: stop it first, or give each bot its own store")
        self.holder = holder

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.holder)


@define(kw_only=True)
class Entry:
    """A message that was received.

    :ivar key: what tells it apart from all others, and is the same for all of its copies.
    :ivar dialog: messages with the same value are handled in order.
    :ivar message: the message as JSON.
    :ivar from_history: whether it was read from the history.
    :ivar attempts: how often a handler was called for it; the store may not know of the first time.
    :ivar redelivered: whether an earlier process stored it, and may have called a handler for it.
    :ivar trace: the trace that the process which received it began, as W3C `traceparent`.
    """

    key: str
    dialog: str
    message: bytes
    from_history: bool = False
    attempts: int = 0
    redelivered: bool = False
    trace: str | None = None


@frozen(kw_only=True)
class Reply:
    """A message to send.

    :ivar id: its message id.
    :ivar dialog: replies with the same value are sent in order.
    :ivar content: where it goes and what it says, as JSON.
    :ivar position: its place among all replies; 0 until it is stored.
    """

    id: str
    dialog: str
    content: bytes
    position: int = 0


@frozen(kw_only=True)
class Failure:
    """A message that could not be handled, or a reply that could not be sent.

    :ivar id: what `bot.retry` takes.
    :ivar kind: `message` or `reply`.
    :ivar dialog: the dialog's id, or the other user's id in a private dialog.
    :ivar error: the exception, as text.
    :ivar failed_at: when it failed for the last time, in UTC.
    :ivar content: the message or reply as JSON.
    :ivar account: the account that received or sends it, in a fleet.
    """

    id: str
    kind: str
    dialog: str
    error: str
    failed_at: dt.datetime
    content: bytes = field(repr=False)
    account: str | None = None


@define(kw_only=True)
class Counts:
    """How much a store holds.

    :ivar pending: messages that wait to be handled.
    :ivar handled: messages that were handled and are kept to recognize copies of them.
    :ivar failed: messages and replies that failed.
    :ivar unsent: replies that wait to be sent.
    """

    pending: int = 0
    handled: int = 0
    failed: int = 0
    unsent: int = 0


class Arrivals(Protocol):
    """Keeps what the intake and the backfill bring, and up to when nothing is missing."""

    def put(self, entries: Sequence[Entry], moved: Sequence[str] = ()) -> asyncio.Future[list[bool]]:
        """Store messages in this order. Returns for each whether it is new.

        :param moved: keys of messages that move behind all others if they were stored before and still wait: first
            those of the entries, and then the rest, in its order.
        """
        ...

    def put_answered(self, entries: Sequence[Entry]) -> asyncio.Future[None]:
        """Store messages as handled, unless they were stored before."""
        ...

    def known(self, ids: Collection[str], until: dt.datetime | None) -> asyncio.Future[set[str]]:
        """Return the keys of messages that were stored, and ids of replies that were sent, up to a time.

        :param until: the time; `None` for everything that is stored, including replies that are not sent yet.
        """
        ...

    def checkpoint(self) -> asyncio.Future[dt.datetime | None]:
        """Return the time up to which nothing is missing."""
        ...

    def set_checkpoint(self, at: dt.datetime) -> asyncio.Future[None]:
        """Set the time up to which nothing is missing."""
        ...


class Waiting(Protocol):
    """Gives the dispatcher what waits to be handled."""

    def dialogs(self) -> Awaitable[dict[str, int]]:
        """Return how many messages wait in each dialog, the one with the oldest message first."""
        ...

    def pending(self, dialog: str, limit: int) -> Awaitable[list[Entry]]:
        """Return the first messages of a dialog that wait to be handled."""
        ...


class Progress(Protocol):
    """Keeps what became of the messages that were handled."""

    def begin(self, key: str, attempts: int) -> asyncio.Future[None]:
        """Note how often a handler was called for a message, including the call that follows."""
        ...

    def finish(self, key: str) -> asyncio.Future[None]:
        """Note that a message was handled."""
        ...

    async def fail(self, failure_id: str, error: str) -> object:
        """Note that a message can't be handled."""
        ...


class Replies(Protocol):
    """Keeps replies for the outbox, until the server has them."""

    def put_reply(self, reply: Reply) -> asyncio.Future[Reply | None]:
        """Store a reply. Returns it with its position; `None` if its id was stored before: the first one counts."""
        ...

    def unsent(self, after: int) -> asyncio.Future[list[Reply]]:
        """Return the replies beyond a position that are not sent yet, in order."""
        ...

    def sent(self, reply_id: str) -> asyncio.Future[None]:
        """Note that the server has a reply."""
        ...

    async def fail(self, failure_id: str, error: str) -> Failure | None:
        """Note that a message can't be handled, or a reply not be sent. Returns `None` if that was done already."""
        ...


class Store(Arrivals, Waiting, Replies, Progress, Protocol):
    """Keeps a bot's messages and replies."""

    @property
    def name(self) -> str:
        """What errors and logs call it."""
        ...

    @property
    def durable(self) -> bool:
        """Whether it outlives the process."""
        ...

    @property
    def failed(self) -> Mapping[str, Failure]:
        """The latest failures by id, oldest first. A retry removes its own at once."""
        ...

    async def open(self) -> None:
        """Open it for this process alone. Raises `StoreError` if that is not possible."""
        ...

    async def close(self) -> None:
        """Finish all calls, without repeating what fails, and close it. It can be opened again."""
        ...

    def retry(self, failure_id: str) -> asyncio.Future[bool]:
        """Let a failed message or reply wait again, at the end. Returns whether there is such a failure."""
        ...

    def changed(self) -> asyncio.Future[bool]:
        """Return whether another process has changed it since the last call, and look at its failures."""
        ...

    def prune(self, before: dt.datetime, failed_before: dt.datetime) -> asyncio.Future[int]:
        """Forget what was handled or sent before a time, and what failed before another. Returns how many."""
        ...

    def counts(self) -> asyncio.Future[Counts]:
        """Return how much it holds."""
        ...


def note_failure(failed: dict[str, Failure], failure: Failure) -> None:
    """Add the latest failure, and forget the oldest if there are too many."""
    failed.pop(failure.id, None)
    failed[failure.id] = failure
    if len(failed) > MOST_FAILURES:
        del failed[next(iter(failed))]
