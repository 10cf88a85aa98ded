"""What a bot keeps: the messages it received until they are handled, its answers until they are sent.

A backend implements `Store`. Each method is a transaction of its own and returns once its effect is durable; nothing
depends on two of them succeeding together. Positions are the only order: a later entry has a higher one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Protocol

from attrs import define, field, frozen

__all__ = ["Counts", "Entry", "Failure", "Reply", "Store", "Stored"]


@frozen(kw_only=True)
class Entry:
    """A message that was received.

    :ivar key: what tells it apart from all others, and is the same for all of its copies.
    :ivar dialog: messages with the same value are handled in order.
    :ivar message: the message as JSON.
    :ivar from_history: whether it was read from the history.
    """

    key: str
    dialog: str
    message: bytes
    from_history: bool = False


@frozen
class Stored:
    """An entry and its position."""

    position: int
    entry: Entry


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
    """

    id: str
    kind: str
    dialog: str
    error: str
    failed_at: dt.datetime
    content: bytes = field(repr=False)


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


class Store(Protocol):
    """Keeps a bot's messages and replies. All methods raise `StoreError` if they have had no effect."""

    @property
    def name(self) -> str:
        """What errors and logs call it."""
        ...

    @property
    def durable(self) -> bool:
        """Whether it outlives the process."""
        ...

    @property
    def position(self) -> int:
        """The position of the latest entry or reply."""
        ...

    async def open(self) -> None:
        """Open it for this process alone."""
        ...

    async def close(self) -> None:
        """Close it. It can be opened again."""
        ...

    # -- messages

    async def put(self, entries: Sequence[Entry], moved: Collection[str] = ()) -> list[int | None]:
        """Store messages in this order.

        :param moved: keys of messages that get a new position if they are stored and not handled yet.
        :returns: the position of each; `None` if it was stored before and has not moved.
        """
        ...

    async def pending(self, after: int, limit: int) -> list[Stored]:
        """Return the first messages beyond a position that are not handled yet."""
        ...

    async def finish(self, key: str) -> None:
        """Note that a message was handled."""
        ...

    async def fail(self, key: str, error: str) -> Failure | None:
        """Note that a message can't be handled. Returns `None` if it is not stored."""
        ...

    async def known(self, ids: Collection[str], until: dt.datetime | None) -> set[str]:
        """Return the keys of messages that were stored, and ids of replies that were sent, up to a time.

        :param until: the time; `None` for all that is stored, replies that are not sent yet included.
        """
        ...

    # -- replies

    async def put_reply(self, reply: Reply) -> Reply | None:
        """Store a reply. Returns it with its position, or `None` if its id was stored before: the first one counts."""
        ...

    async def unsent(self) -> list[Reply]:
        """Return the replies that are not sent yet, in order."""
        ...

    async def sent(self, reply_id: str) -> None:
        """Note that the server has a reply."""
        ...

    async def fail_reply(self, reply_id: str, error: str) -> Failure | None:
        """Note that a reply can't be sent. Returns `None` if it is not stored."""
        ...

    # -- failures, and the store as a whole

    async def failures(self, limit: int) -> list[Failure]:
        """Return the latest failures, oldest first."""
        ...

    async def retry(self, failure_id: str) -> Stored | Reply | None:
        """Let a failed message or reply wait again, at the end. Returns `None` if there is no such failure."""
        ...

    async def changed(self) -> bool:
        """Return whether another process has changed it since the last call."""
        ...

    async def checkpoint(self) -> dt.datetime | None:
        """Return the time up to which nothing is missing."""
        ...

    async def set_checkpoint(self, at: dt.datetime) -> None:
        """Set the time up to which nothing is missing."""
        ...

    async def prune(self, before: dt.datetime, failed_before: dt.datetime) -> int:
        """Forget what was handled or sent before a time, and what failed before another. Returns how many."""
        ...

    async def counts(self) -> Counts:
        """Return how much it holds."""
        ...
