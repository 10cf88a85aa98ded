"""Stanzas of any class, sent as they are, and requests."""

from __future__ import annotations

from typing import Any, Final
from xml.etree.ElementTree import fromstring

import attrs

from connectycube.rest import InvalidArgument
from connectycube.stanzas import Stanza

from .._bus import STANZAS
from .._ids import bare, is_object_id
from .._settings import checked_seconds
from ..connection.outbox import xml_of
from ..connection.traffic import IQ, Traffic
from ..errors import MessageNotSent, NotConnected, StanzaRefused
from .messages import Messages

__all__ = ["StanzaCalls", "Stanzas"]

MESSAGE: Final = "{jabber:client}message"


class Stanzas:
    """Sends stanzas of any class, and requests."""

    def __init__(self, traffic: Traffic, messages: Messages) -> None:
        self._traffic = traffic
        self._messages = messages

    async def send(self, stanza: Stanza) -> str:
        """Send a message, a presence or an answer, wait for its acknowledgement, and return its id."""
        checked = self._checked("stanza", stanza)
        if checked.tag != IQ:
            await self._messages.send_and_wait(checked, checked.id)
        elif _type_of(checked) in ("get", "set"):
            raise InvalidArgument("stanza", f"is a request, a {type(stanza).__name__}: pass it to request()")
        else:
            # Its id was chosen by the other side, and may be that of a message on its way. It answers this session.
            try:
                await self._traffic.post_and_wait(checked)
            except NotConnected as error:
                raise MessageNotSent(checked.id, str(error)) from None
        return str(checked.id)

    async def request(self, iq: Stanza, timeout: float | None) -> Stanza:
        """Send a request and return the answer."""
        if timeout is not None:
            checked_seconds("timeout", timeout)
        checked = self._checked("iq", iq)
        if checked.tag != IQ or _type_of(checked) not in ("get", "set"):
            raise InvalidArgument("iq", f"must be a request, an iq of type get or set, not a {type(iq).__name__}")
        if checked.id in self._traffic.requests:
            raise InvalidArgument("iq", f"has the id {checked.id!r} of a request that waits for its answer")
        what = f"the {type(iq).__name__} {checked.id}"
        return await self._traffic.request(checked, what, timeout, refusal=StanzaRefused)

    def _checked(self, name: str, stanza: Any) -> Any:
        """Return a stanza with an id and without the sender, which the server fills in.

        :raises InvalidArgument: if it can't be sent as it is.
        """
        kind = type(stanza).__name__
        if not isinstance(stanza, Stanza) or stanza.tag not in STANZAS:
            raise InvalidArgument(name, f"must be a message, presence or iq of connectycube.stanzas, not a {kind}")
        if not all(hasattr(stanza, field) for field in ("id", "from_", "to")):
            raise InvalidArgument(name, f"can't be sent: {kind} lacks id, from_ or to; let it be `like` its base")
        any_stanza: Any = stanza
        sender, to, own = any_stanza.from_, any_stanza.to, self._traffic.jid
        if sender is not None and sender not in (own, bare(own)):
            raise InvalidArgument(name, f"has from_ {sender!r}, not the chat's own address: leave it out")
        if to is None and stanza.tag == MESSAGE:
            raise InvalidArgument(name, f"has no recipient: set the `to` of the {kind} to a JID")
        if to is not None and (not isinstance(to, str) or is_object_id(to) or to.isdecimal()):
            raise InvalidArgument(name, f"has to={to!r}, which is not a JID: see UserJID and RoomJID")
        stanza_id = any_stanza.id
        if stanza_id is None or stanza_id == "":
            stanza_id = self._traffic.ids.request() if stanza.tag == IQ else self._traffic.ids.message()
        elif sender is None:
            return stanza
        return attrs.evolve(any_stanza, id=stanza_id, from_=None)


def _type_of(stanza: Stanza) -> str | None:
    return fromstring(xml_of(stanza)).get("type")


class StanzaCalls:
    """The methods of a chat for stanzas of any class."""

    _stanzas: Stanzas

    async def send_stanza(self, stanza: Stanza) -> str:
        """Send a message, a presence or the answer to a request, and wait until the server has it.

        Messages and presences wait while the chat reconnects; an answer does not outlive its session.

        :param stanza: a stanza of any class. A message needs `to`, a JID. `from_` must not be another's address: the
            server fills it in. An empty or missing id is replaced by a new one.
        :returns: the id with which it was sent.
        :raises InvalidArgument: if it is not such a stanza, or can't be sent as it is; nothing was sent.
        :raises RecipientBlocked: if the recipient blocks the user.
        :raises MessageRefused: if the server refuses it for another reason.
        :raises MessageNotSent: if there is no connection, or no acknowledgement in time.
        """
        return await self._stanzas.send(stanza)

    async def request(self, iq: Stanza, *, timeout: float | None = None) -> Stanza:
        """Send a request and return the answer.

        A request is never sent again in a new session, since it may have had its effect already.

        :param iq: a request of any class, of type `get` or `set`. Without `to`, it goes to the server on behalf of the
            account. An empty id is replaced by a new one.
        :param timeout: seconds; default: the chat's `timeout`.
        :returns: the answer, as an object of the class that it belongs to.
        :raises InvalidArgument: if it is not a request, or can't be sent as it is; nothing was sent.
        :raises StanzaRefused: if the answer is an error.
        :raises RequestUnanswered: if there is no answer in time.
        :raises DecodeError: if the answer can't be read.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return await self._stanzas.request(iq, timeout)
