"""Stanzas on their way to the server, and the queue of those that survive the loss of a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from connectycube.rest import InvalidArgument

from ..errors import ChatError, NotConnected

__all__ = ["Outbox", "Outgoing"]


class Outgoing:
    """A stanza on its way to the server. Only one with a `message_id` survives the loss of its session.

    :ivar xml: its text.
    :ivar message_id: its id, if it must arrive.
    :ivar on_result: called with `None` once the server has acknowledged it, or with the error if it never will.
    :ivar written: whether it was written in the current session.
    """

    __slots__ = ("message_id", "on_result", "written", "xml")

    def __init__(
        self, xml: str, message_id: str | None = None, on_result: Callable[[ChatError | None], None] | None = None
    ) -> None:
        self.xml = xml
        self.message_id = message_id
        self.on_result = on_result
        self.written = False


class Outbox:
    """The items that must arrive and are not acknowledged yet, in the order in which they were sent.

    :ivar pending: the items by id.
    """

    __slots__ = ("_changed", "pending")

    def __init__(self) -> None:
        self.pending: dict[str, Outgoing] = {}
        self._changed = asyncio.Event()

    def add(self, item: Outgoing) -> None:
        """Add an item.

        :raises InvalidArgument: if one with the same id is pending.
        """
        message_id = item.message_id or ""
        if message_id in self.pending:
            raise InvalidArgument("message_id", f"{message_id} belongs to a message that is on its way already")
        self.pending[message_id] = item

    def unwritten(self) -> Iterator[Outgoing]:
        """Iterate over the items that wait for a session."""
        return (item for item in list(self.pending.values()) if not item.written)

    async def changed(self) -> None:
        """Wait until an item is acknowledged, fails or loses its session."""
        await self._changed.wait()

    def acknowledged(self, items: tuple[object, ...]) -> None:
        """Report items as handled by the server."""
        pending = self.pending
        for item in items:
            if not isinstance(item, Outgoing):
                continue
            # An id may have been used again after `discard`: only the item that holds it now counts.
            if item.message_id is not None and pending.pop(item.message_id, item) is not item:
                continue
            if item.on_result is not None:
                item.on_result(None)
        self._wake()

    def requeue(self, items: tuple[object, ...]) -> None:
        """Keep the items with an id for the next session, and fail the others: their session is over."""
        for item in items:
            if isinstance(item, Outgoing):
                item.written = False
                if item.message_id is None and item.on_result is not None:
                    item.on_result(NotConnected("the connection was lost before the server had it"))
        self._wake()

    def discard(self, item: Outgoing) -> None:
        """Forget an item: it will not be sent again."""
        if item.message_id is not None and self.pending.get(item.message_id) is item:
            del self.pending[item.message_id]
        self._wake()

    def refuse(self, message_id: str, error: ChatError) -> None:
        """Fail the item with this id, if there is one: the server sent it back."""
        item = self.pending.pop(message_id, None)
        if item is not None and item.on_result is not None:
            item.on_result(error)
        self._wake()

    def fail(self, error: ChatError) -> None:
        """Fail all items: there will be no further session."""
        pending, self.pending = self.pending, {}
        for item in pending.values():
            if item.on_result is not None:
                item.on_result(error)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
