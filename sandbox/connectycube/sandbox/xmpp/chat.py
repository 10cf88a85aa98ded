"""The chat as a whole: binding and ending sessions, and which part handles a stanza."""

from __future__ import annotations

import logging
from xml.etree.ElementTree import Element as XMLElement

from attrs import define, field

from connectycube.stanzas import IqGet, JIDError, StanzaError, UserJID

from ..addresses import Addresses, Jid
from ..clock import Clock
from ..config import Settings
from ..errors import Refused
from ..storage import Unwritable
from .alarms import Alarms
from .faults import StanzaRefused, error_to, refusal
from .kinds import Message, Presence, Subscription, read
from .messages import Messages
from .presences import Presences
from .requests import Requests
from .rooms import Rooms
from .roster import Roster
from .router import Router
from .session import Connection, Session

__all__ = ["Chat"]

log = logging.getLogger("connectycube.sandbox")


@define(eq=False)
class Chat:
    """All connections, and the parts that serve them. It belongs to the sandbox's loop.

    :ivar streams: every connection, bound or not.
    """

    _settings: Settings
    _clock: Clock
    _addresses: Addresses
    _alarms: Alarms
    router: Router
    _messages: Messages
    _rooms: Rooms
    _presences: Presences
    _roster: Roster
    _requests: Requests
    streams: set[Connection] = field(factory=set, init=False)

    # -- binding and ending

    def bind(self, stream: Connection, user_id: int, wished: str | None) -> Session:
        """Bind a connection to a resource, replacing a session that has it (RFC 6120 section 7.7.2.2).

        :param wished: without it, the server makes one up (facts 3.1).
        :raises StanzaRefused: if it is not a valid resource.
        """
        bare = self._addresses.user(user_id)
        resource = wished or self.router.new_id(f"{self._clock.seconds()}-connectycube")
        try:
            UserJID(user_id=user_id, app_id=self._settings.app_id, host=self._addresses.host, resource=resource)
            Jid.parse(f"{bare}/{resource}")
        except (JIDError, ValueError):
            raise StanzaRefused("bad-request", "the resource is not valid") from None
        old = self.router.session(user_id, resource)
        if old is not None:
            if old.stream is not None:
                old.stream.replaced()
                old.stream = None
            self.end(old)
        session = Session(user_id, bare, resource, stream, self._settings.limits, self._alarms, self.end)
        self.router.add(session)
        log.info("user %d is connected to the chat with the resource %s", user_id, resource)
        return session

    def end(self, session: Session) -> None:
        """End a session for good: tell others, and redeliver what it did not acknowledge."""
        if not self._forget(session):
            return
        stream, session.stream = session.stream, None
        if stream is not None:
            stream.resource = None
        log.info("the chat session of user %d with the resource %s has ended", session.user_id, session.resource)
        self._presences.gone(session)
        self._messages.redeliver(session)

    def _forget(self, session: Session) -> bool:
        if session.ended:
            return False
        session.ended = True
        session.cancel_alarm()
        self.router.remove(session)
        return True

    def drop(self, user_id: int | None) -> None:
        """Break the connections of a user, or of all. Their sessions may be resumed."""
        for stream in list(self.streams):
            if user_id is None or stream.user_id == user_id:
                stream.abort()

    def expel(self, user_id: int) -> None:
        """End the sessions of a deleted user."""
        for session in self.router.sessions(user_id):
            stream = session.stream
            self.end(session)
            if stream is not None:
                stream.fail("not-authorized", "the account was deleted")

    def shut_down(self) -> None:
        """Close every stream, keeping what clients did not acknowledge."""
        for stream in list(self.streams):
            stream.fail("system-shutdown")
        for session in self.router.all():
            self.end(session)
        self._alarms.close()

    def reset(self) -> None:
        """Forget everything and break all connections."""
        for session in self.router.all():
            self._forget(session)
            if session.stream is not None:
                session.stream.resource = None
        self.drop(None)
        self._rooms.reset()
        self._presences.reset()

    # -- stanzas

    def receive(self, session: Session, element: XMLElement) -> None:
        """Handle a client's stanza, and answer with a stanza error if that fails."""
        try:
            self._handle(session, element)
        except Refused as refused:
            self._refuse(session, element, refusal(refused))
        except StanzaRefused as refused:
            self._refuse(session, element, refused)
        except Unwritable as error:
            self._refuse(session, element, StanzaRefused("resource-constraint", str(error)))
        except Exception:
            log.exception("a stanza could not be handled")
            self._refuse(session, element, StanzaRefused("internal-server-error"))
        finally:
            if session.management is not None:
                session.management.received()

    def _refuse(self, session: Session, element: XMLElement, refused: StanzaRefused) -> None:
        answer = error_to(element, session.jid, refused)
        if answer is not None:
            session.send(answer)

    def _handle(self, session: Session, element: XMLElement) -> None:
        self._check_sender(session, element)
        address = element.get("to")
        try:
            to = None if address is None else Jid.parse(address)
        except ValueError:
            raise StanzaRefused("jid-malformed") from None
        try:
            stanza = read(element)
        except StanzaError as error:
            raise StanzaRefused("bad-request", str(error)) from None
        if element.tag == IqGet.tag and element.get("type") in ("get", "set") and len(element) != 1:
            raise StanzaRefused("bad-request", "a request has exactly one child (RFC 6120 section 8.2.3)")
        if isinstance(stanza, Message):
            # Without an address, it is for the user's own account (RFC 6120 section 8.1.1.1).
            self._message(session, stanza, to or Jid.parse(session.bare))
        elif not isinstance(stanza, Presence):
            self._requests.handle(session, stanza, to)
        elif to is None:
            self._presences.broadcast(session, stanza)
        else:
            self._presence(session, stanza, to)

    def _check_sender(self, session: Session, element: XMLElement) -> None:
        """Clients speak only for themselves (RFC 6120 section 8.1.2.1)."""
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

    def _message(self, session: Session, message: Message, to: Jid) -> None:
        dialog_id, user_id = self._addresses.dialog_id(to), self._addresses.user_id(to)
        if dialog_id is not None:
            self._rooms.message(session, message, dialog_id, to.resource)
        elif user_id is not None:
            self._messages.handle(session, message, user_id, to)
        else:
            raise StanzaRefused("service-unavailable" if self._local(to) else "remote-server-not-found")

    def _presence(self, session: Session, presence: Presence, to: Jid) -> None:
        dialog_id, user_id = self._addresses.dialog_id(to), self._addresses.user_id(to)
        if dialog_id is not None:
            self._rooms.presence(session, presence, dialog_id, to.resource)
        elif user_id is not None:
            if isinstance(presence, Subscription):
                self._roster.handle(session, presence, user_id)
            else:
                self._presences.handle(session, presence, user_id, to)
        elif not self._local(to):
            raise StanzaRefused("remote-server-not-found")

    def _local(self, to: Jid) -> bool:
        return to.domain in (self._addresses.host, self._addresses.muc_host)
