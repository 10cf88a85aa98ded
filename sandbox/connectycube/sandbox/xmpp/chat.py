"""The chat as a whole: who is connected, and which part of it takes a stanza."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element as XMLElement

from connectycube.stanzas import JIDError, Stanza, StanzaError, UserJID, parse

from ..errors import Refused
from .addresses import Addresses, Jid
from .alarms import Alarms
from .faults import StanzaRefused, error_to, refusal
from .kinds import Message, Presence
from .messages import Messages
from .presences import Presences
from .privacy_lists import PrivacyLists
from .requests import Requests
from .rooms import Rooms
from .roster import Roster
from .session import Session

if TYPE_CHECKING:
    from ..core import Core
    from .stream import Stream

__all__ = ["Chat"]

log = logging.getLogger("connectycube.sandbox")


class Chat:
    """All connections, and the parts that serve them. It belongs to the sandbox's loop."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.limits = core.settings.limits
        self.addresses = Addresses(core.settings)
        self.alarms = Alarms(core.clock)
        self.started_at = core.clock.now()
        self.streams: set[Stream] = set()
        """Every connection, bound or not."""
        self.resumable: dict[str, Session] = {}
        """By the id of their stream management."""
        self._sessions: dict[int, dict[str, Session]] = {}
        self._last_number = 0
        self.privacy = PrivacyLists(self)
        self.roster = Roster(self)
        self.presences = Presences(self)
        self.rooms = Rooms(self)
        self.messages = Messages(self)
        self.requests = Requests(self)

    # -- who is there

    def sessions(self, user_id: int) -> list[Session]:
        """A user's devices, those included whose connection is lost and may be resumed."""
        return list(self._sessions.get(user_id, {}).values())

    def available(self, user_id: int) -> list[Session]:
        """A user's devices that have sent presence."""
        return [session for session in self.sessions(user_id) if session.available]

    def session(self, user_id: int, resource: str | None) -> Session | None:
        """One device."""
        return self._sessions.get(user_id, {}).get(resource or "")

    def all_sessions(self) -> list[Session]:
        return [session for devices in self._sessions.values() for session in devices.values()]

    def number(self) -> int:
        """One that was not given out before, for ids."""
        self._last_number += 1
        return self._last_number

    def later(self, callback: Callable[[], None]) -> None:
        """Call a function when what happens now is done."""
        asyncio.get_running_loop().call_soon(callback)

    # -- binding and ending

    def bind(self, stream: Stream, user_id: int, wished: str | None) -> Session:
        """Give a connection a resource; one that another has is taken from it (RFC 6120 section 7.7.2.2).

        :param wished: without it one is made (facts 3.1).
        :raises StanzaRefused: if it can't be one.
        """
        resource = wished or f"{self.core.clock.seconds()}-connectycube-{self.number()}"
        try:
            UserJID(user_id=user_id, app_id=self.core.settings.app_id, host=self.addresses.host, resource=resource)
            Jid.parse(f"{self.addresses.user(user_id)}/{resource}")
        except (JIDError, ValueError):
            raise StanzaRefused("bad-request", "this is no resource") from None
        old = self.session(user_id, resource)
        if old is not None:
            if old.stream is not None:
                old.stream.replaced()
                old.stream = None
            self.end(old)
        session = Session(self, user_id, resource, stream)
        self._sessions.setdefault(user_id, {})[resource] = session
        return session

    def end(self, session: Session, *, abort: bool = False) -> None:
        """A device is gone for good: others are told, and what it did not confirm goes another way.

        :param abort: whether its connection is broken too.
        """
        if not self._forget(session):
            return
        stream, session.stream = session.stream, None
        if stream is not None:
            stream.resource = None
            if abort:
                stream.abort()
        self.presences.gone(session)
        if session.management is not None:
            self.messages.undelivered(session, session.management.unacked)

    def _forget(self, session: Session) -> bool:
        if session.ended:
            return False
        session.ended = True
        session.silence()
        devices = self._sessions.get(session.user_id, {})
        devices.pop(session.resource, None)
        if not devices:
            self._sessions.pop(session.user_id, None)
        if session.management is not None and session.management.id is not None:
            self.resumable.pop(session.management.id, None)
        return True

    def drop(self, user_id: int | None) -> None:
        """Break the connections of a user, or all, without a word; resources may be resumed."""
        for stream in list(self.streams):
            if user_id is None or stream.user_id == user_id:
                stream.abort()

    def shut_down(self) -> None:
        """The end: clients are told, and what they did not confirm is kept."""
        for stream in list(self.streams):
            stream.fail("system-shutdown")
        for session in self.all_sessions():
            self.end(session)
        self.alarms.close()

    def empty(self) -> None:
        """Forget all, and tell nobody."""
        for session in self.all_sessions():
            self._forget(session)
            if session.stream is not None:
                session.stream.resource = None
        self.drop(None)
        self.rooms.forget()
        self.presences.forget()

    # -- stanzas

    def receive(self, session: Session, element: XMLElement) -> None:
        """A stanza of a client. Whatever goes wrong is told to it as the protocol has it."""
        try:
            self._handle(session, self._read(session, element))
        except Refused as refused:
            self._refuse(session, element, refusal(refused))
        except StanzaRefused as refused:
            self._refuse(session, element, refused)
        except Exception:
            log.exception("a stanza could not be handled")
            self._refuse(session, element, StanzaRefused("internal-server-error"))

    def _read(self, session: Session, element: XMLElement) -> Stanza:
        self._check_sender(session, element)
        to = element.get("to")
        if to is not None:
            try:
                Jid.parse(to)
            except ValueError:
                raise StanzaRefused("jid-malformed") from None
        try:
            return parse(element)
        except StanzaError as error:
            raise StanzaRefused("bad-request", str(error)) from None

    def _check_sender(self, session: Session, element: XMLElement) -> None:
        """A client speaks for itself only (RFC 6120 section 8.1.2.1)."""
        sender = element.get("from")
        if sender is None:
            return
        try:
            jid = Jid.parse(sender)
        except ValueError:
            jid = None
        if jid is None or jid.bare != session.bare or jid.resource not in (None, session.resource):
            if session.stream is not None:
                session.stream.fail("invalid-from")
            raise StanzaRefused("not-authorized")

    def _handle(self, session: Session, stanza: Stanza) -> None:
        if isinstance(stanza, Message):
            self.messages.handle(session, stanza)
        elif isinstance(stanza, Presence):
            self.presences.handle(session, stanza)
        else:
            self.requests.handle(session, stanza)

    def _refuse(self, session: Session, element: XMLElement, refused: StanzaRefused) -> None:
        answer = error_to(element, session.jid, refused)
        if answer is not None:
            session.send(answer)
