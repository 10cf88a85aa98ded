"""Requests on their way: info/query stanzas and the answers to them (RFC 6120 section 8.2.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final
from xml.etree.ElementTree import Element

from connectycube.rest import DecodeError
from connectycube.stanzas import IqError, Stanza, StanzaError, parse

from ..errors import NotConnected, RequestRefused, RequestTimedOut

__all__ = ["IQ", "Requests"]

IQ: Final = "{jabber:client}iq"

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
    """The requests of one session that are not answered yet.

    :ivar own: the addresses that the server may answer from in the account's name.
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
        """Wait for the answer to a stanza.

        :param then: is handed the answer before the next stanza is looked at, unlike whoever awaits the future.
        """
        future: asyncio.Future[Stanza] = loop.create_future()
        self._pending[stanza.id] = _Pending(what, stanza.to or "", future, then)
        return future

    def drop(self, number: str) -> None:
        """Wait no more."""
        self._pending.pop(number, None)

    async def answer(self, stanza: Any, future: asyncio.Future[Stanza], what: str, seconds: float) -> Stanza:
        """The answer to a request that was written.

        :raises RequestRefused: if it is an error.
        :raises RequestTimedOut: if there is none in time.
        :raises DecodeError: if it can't be read.
        :raises NotConnected: if the session ends before.
        """
        try:
            async with asyncio.timeout(seconds):
                found = await future
        except TimeoutError:
            raise RequestTimedOut(what, seconds) from None
        finally:
            self.drop(stanza.id)
        if isinstance(found, IqError):
            raise RequestRefused(what, found.error)
        return found

    def take(self, element: Element, unreadable: Callable[[str], None]) -> bool:
        """Whether an element is the answer to a request: of its id, and from whom was asked (section 8.1.2.1)."""
        if element.tag != IQ or element.get("type") not in ("result", "error"):
            return False
        pending = self._pending.get(element.get("id", ""))
        if pending is None:
            return False
        sender = element.get("from", "")
        if sender != pending.asked and not (sender in self.own and pending.asked in self.own):
            return False
        if pending.future.done():
            return True
        try:
            answer = parse(element)
        except StanzaError as error:
            unreadable(str(error))
            pending.future.set_exception(DecodeError(f"the answer to {pending.what} can't be read: {error}"))
            return True
        pending.future.set_result(answer)
        if pending.then is not None:
            try:
                pending.then(answer)
            except Exception:
                # As in `Wire.dispatch`: a mistake of ours must not cost the connection.
                logger.exception("the answer to %s could not be handled", pending.what)
        return True

    def fail(self) -> None:
        """The session is over: nothing is answered any more."""
        pending, self._pending = self._pending, {}
        for entry in pending.values():
            if not entry.future.done():
                entry.future.set_exception(NotConnected(f"the connection was lost before {entry.what} was answered"))
