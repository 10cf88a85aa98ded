"""Messages on their way: from `send` to the server's acknowledgement, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from connectycube.rest import InvalidArgument
from connectycube.stanzas import MessageError

from .. import events
from .._bus import Bus
from ..errors import MessageNotSent, MessageRefused, NotConnected, RecipientBlocked
from ..models import SentMessage

__all__ = ["Outbox", "Outgoing"]


class Outgoing:
    """A stanza that is sent. Only one with a `message_id` outlives its session.

    :ivar xml: its text.
    :ivar message_id: id of the message, if it is one that must arrive.
    :ivar sent: what the caller gets, if it is a message of a user.
    :ivar user_id: its recipient.
    :ivar written: it was written in the current session.
    """

    __slots__ = ("future", "message_id", "sent", "user_id", "written", "xml")

    def __init__(
        self, xml: str, message_id: str | None = None, sent: SentMessage | None = None, user_id: int | None = None
    ) -> None:
        self.xml = xml
        self.message_id = message_id
        self.sent = sent
        self.user_id = user_id
        self.written = False
        self.future: asyncio.Future[None] | None = None


class Outbox:
    """The messages that are not acknowledged, in the order in which they were sent."""

    __slots__ = ("_bus", "_settled", "pending")

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.pending: dict[str, Outgoing] = {}
        self._settled = asyncio.Event()

    def add(self, item: Outgoing) -> None:
        """Take a message.

        :raises InvalidArgument: if one with this id is on its way already.
        """
        number = item.message_id or ""
        if number in self.pending:
            raise InvalidArgument("message_id", f"{number} belongs to a message that is on its way already")
        self.pending[number] = item

    def unwritten(self) -> Iterator[Outgoing]:
        """What waits for a session."""
        return (item for item in list(self.pending.values()) if not item.written)

    def waiting(self) -> tuple[str, ...]:
        """The ids of what is not acknowledged."""
        return tuple(self.pending)

    async def settled(self) -> None:
        """Until the next message is acknowledged or has failed, or the session is lost."""
        await self._settled.wait()

    def acknowledged(self, items: tuple[object, ...]) -> None:
        """The server has handled them."""
        pending = self.pending
        for item in items:
            if not isinstance(item, Outgoing):
                continue
            if item.message_id is not None and pending.pop(item.message_id, item) is not item:
                continue
            if item.future is not None and not item.future.done():
                item.future.set_result(None)
                if item.sent is not None:
                    self._bus.tell(events.MessageSent(message=item.sent))
        self._wake()

    def requeue(self, items: tuple[object, ...]) -> None:
        """The session ended before the server acknowledged them: messages wait for the next one, with the same id."""
        for item in items:
            if isinstance(item, Outgoing):
                item.written = False
                if item.message_id is None and item.future is not None and not item.future.done():
                    item.future.set_exception(NotConnected("the connection was lost before the server had it"))
        self._wake()

    def give_up(self, item: Outgoing) -> None:
        """Nobody waits for a message any more: it is not sent again."""
        if item.message_id is not None and self.pending.get(item.message_id) is item:
            del self.pending[item.message_id]
        self._wake()

    def refused(self, error: MessageError, user_id: int | None, dialog_id: str | None) -> None:
        """A message came back as an error (K-27, U-33)."""
        number = error.id or ""
        item = self.pending.pop(number, None)
        fault = error.error
        blocked = fault is not None and fault.condition == "service-unavailable" and dialog_id is None
        failure = (RecipientBlocked if blocked else MessageRefused)(number, fault)
        if item is not None and item.future is not None and not item.future.done():
            item.future.set_exception(failure)
        if blocked:
            self._bus.tell(events.MessageBlocked(message_id=number, user_id=user_id))
        else:
            failed = events.MessageFailed(message_id=number, user_id=user_id, dialog_id=dialog_id, error=failure)
            self._bus.tell(failed)
        self._wake()

    def fail(self, problem: str) -> None:
        """There will be no session any more."""
        pending, self.pending = self.pending, {}
        for number, item in pending.items():
            failure = MessageNotSent(number, problem)
            if item.future is not None and not item.future.done():
                item.future.set_exception(failure)
            if item.sent is not None:
                failed = events.MessageFailed(
                    message_id=number, user_id=item.user_id, dialog_id=item.sent.dialog_id, error=failure
                )
                self._bus.tell(failed)
        self._wake()

    def _wake(self) -> None:
        self._settled.set()
        self._settled = asyncio.Event()
