"""Requests that wait for an answer: info/query stanzas (RFC 6120 section 8.2.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from connectycube.rest import DecodeError
from connectycube.stanzas import Stanza, StanzaFault

from ..errors import NotConnected, RequestRefused, RequestUnanswered

__all__ = ["Pending", "Requests"]

logger = logging.getLogger("connectycube.chat")


class Pending:
    """A request that waits for its answer.

    :ivar refused: whether the answer is an error, of whatever class.
    """

    __slots__ = ("asked", "future", "refused", "then", "what")

    def __init__(
        self, what: str, asked: str, future: asyncio.Future[Stanza], then: Callable[[Stanza], None] | None
    ) -> None:
        self.what = what
        self.asked = asked
        self.future = future
        self.then = then
        self.refused = False


class Requests:
    """The unanswered requests of one session.

    :ivar own: the addresses from which the server may answer for the account.
    """

    __slots__ = ("_pending", "own")

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}
        self.own: frozenset[str] = frozenset()

    def add(
        self,
        stanza: Any,
        what: str,
        loop: asyncio.AbstractEventLoop,
        then: Callable[[Stanza], None] | None = None,
    ) -> Pending:
        """Register a request.

        :param then: called with the answer before the next stanza is processed. Code that awaits the future runs later.
        """
        pending = self._pending[stanza.id] = Pending(what, stanza.to or "", loop.create_future(), then)
        return pending

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._pending

    @property
    def pending(self) -> bool:
        """Whether a request waits for its answer."""
        return bool(self._pending)

    def drop(self, request_id: str) -> None:
        """Forget a request."""
        self._pending.pop(request_id, None)

    async def answer(
        self, stanza: Any, pending: Pending, seconds: float, refusal: type[RequestRefused] = RequestRefused
    ) -> Stanza:
        """Wait for the answer to a registered request.

        :param refusal: what to raise if the answer is an error.
        :raises RequestRefused: if the answer is an error.
        :raises RequestUnanswered: if no answer arrives in time.
        :raises DecodeError: if the answer can't be read.
        :raises NotConnected: if the session ends first.
        """
        try:
            async with asyncio.timeout(seconds):
                found = await pending.future
        except TimeoutError:
            raise RequestUnanswered(pending.what, seconds) from None
        finally:
            self.drop(stanza.id)
        if pending.refused:
            fault = getattr(found, "error", None)
            raise refusal(pending.what, fault if isinstance(fault, StanzaFault) else None)
        return found

    def take(self, element: Element, answer: Stanza) -> bool:
        """Process an info/query stanza if it answers a request.

        :returns: whether it did.
        """
        pending = self._asked(element)
        if pending is None:
            return False
        if pending.future.done():
            return True
        pending.refused = element.get("type") == "error"
        pending.future.set_result(answer)
        if pending.then is not None:
            try:
                pending.then(answer)
            except Exception:
                # As in `Traffic.dispatch`: a bug in our code must not cost the connection.
                logger.exception("the answer to %s could not be handled", pending.what)
        return True

    def unreadable(self, element: Element, problem: str) -> None:
        """Fail the request that an info/query element answers, if there is one: the answer can't be read."""
        pending = self._asked(element)
        if pending is not None and not pending.future.done():
            pending.future.set_exception(DecodeError(f"the answer to {pending.what} can't be read: {problem}"))

    def _asked(self, element: Element) -> Pending | None:
        """Return the request that an info/query element answers."""
        if element.get("type") not in ("result", "error"):
            return None
        pending = self._pending.get(element.get("id", ""))
        if pending is None:
            return None
        # Anyone could guess an id: an answer counts only if it comes from the address that was asked. The server may
        # omit its own address or use the account's (RFC 6120 section 8.1.2.1).
        sender = element.get("from", "")
        if sender != pending.asked and not (sender in self.own and pending.asked in self.own):
            return None
        return pending

    def fail(self) -> None:
        """Fail all requests: their session is over."""
        pending, self._pending = self._pending, {}
        for entry in pending.values():
            if not entry.future.done():
                entry.future.set_exception(NotConnected(f"the connection was lost before {entry.what} was answered"))
