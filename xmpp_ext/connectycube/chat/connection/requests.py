"""Requests that wait for an answer: info/query stanzas (RFC 6120 section 8.2.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from connectycube.rest import DecodeError
from connectycube.stanzas import IqError, Stanza, StanzaError, parse

from ..errors import NotConnected, RequestRefused, RequestUnanswered

__all__ = ["Requests"]

logger = logging.getLogger("connectycube.chat")


class _Pending:
    __slots__ = ("asked", "future", "then", "what")

    def __init__(
        self, what: str, asked: str, future: asyncio.Future[Stanza], then: Callable[[Stanza], None] | None
    ) -> None:
        self.what = what
        self.asked = asked
        self.future = future
        self.then = then


class Requests:
    """The unanswered requests of one session.

    :ivar own: the addresses from which the server may answer for the account.
    """

    __slots__ = ("_pending", "own")

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self.own: frozenset[str] = frozenset()

    def add(
        self,
        stanza: Any,
        what: str,
        loop: asyncio.AbstractEventLoop,
        then: Callable[[Stanza], None] | None = None,
    ) -> asyncio.Future[Stanza]:
        """Register a request.

        :param then: called with the answer before the next stanza is processed. Code that awaits the future runs later.
        :returns: a future for the answer.
        """
        future: asyncio.Future[Stanza] = loop.create_future()
        self._pending[stanza.id] = _Pending(what, stanza.to or "", future, then)
        return future

    @property
    def pending(self) -> bool:
        """Whether a request waits for its answer."""
        return bool(self._pending)

    def drop(self, request_id: str) -> None:
        """Forget a request."""
        self._pending.pop(request_id, None)

    async def answer(self, stanza: Any, future: asyncio.Future[Stanza], what: str, seconds: float) -> Stanza:
        """Wait for the answer to a registered request.

        :raises RequestRefused: if the answer is an error.
        :raises RequestUnanswered: if no answer arrives in time.
        :raises DecodeError: if the answer can't be read.
        :raises NotConnected: if the session ends first.
        """
        try:
            async with asyncio.timeout(seconds):
                found = await future
        except TimeoutError:
            raise RequestUnanswered(what, seconds) from None
        finally:
            self.drop(stanza.id)
        if isinstance(found, IqError):
            raise RequestRefused(what, found.error)
        return found

    def take(self, element: Element, reject: Callable[[str, Element], None]) -> bool:
        """Process an info/query element if it answers a request.

        :param reject: called with the problem and the element if the answer can't be read.
        :returns: whether it was an answer.
        """
        if element.get("type") not in ("result", "error"):
            return False
        pending = self._pending.get(element.get("id", ""))
        if pending is None:
            return False
        # Anyone could guess an id: an answer counts only if it comes from the address that was asked. The server may
        # omit its own address or use the account's (RFC 6120 section 8.1.2.1).
        sender = element.get("from", "")
        if sender != pending.asked and not (sender in self.own and pending.asked in self.own):
            return False
        if pending.future.done():
            return True
        try:
            answer = parse(element)
        except StanzaError as error:
            reject(str(error), element)
            pending.future.set_exception(DecodeError(f"the answer to {pending.what} can't be read: {error}"))
            return True
        pending.future.set_result(answer)
        if pending.then is not None:
            try:
                pending.then(answer)
            except Exception:
                # As in `Traffic.dispatch`: a bug in our code must not cost the connection.
                logger.exception("the answer to %s could not be handled", pending.what)
        return True

    def fail(self) -> None:
        """Fail all requests: their session is over."""
        pending, self._pending = self._pending, {}
        for entry in pending.values():
            if not entry.future.done():
                entry.future.set_exception(NotConnected(f"the connection was lost before {entry.what} was answered"))
