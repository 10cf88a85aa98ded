"""The kinds of stanzas, and how the server treats each kind of message (RFC 6121 section 8, XEP-0160, XEP-0280)."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, TypeVar
from xml.etree.ElementTree import Element as XMLElement

import attrs

from connectycube.stanzas import (
    AvailablePresence,
    BareInvitationMessage,
    CallSignal,
    ChatMessage,
    ChatStateMessage,
    Delay,
    DeliveredMark,
    EditMessage,
    GroupMessage,
    HeadlineMessage,
    InvitationMessage,
    IqError,
    IqGet,
    IqResult,
    IqSet,
    MessageError,
    PausedMessage,
    PresenceError,
    PresenceProbe,
    ReactionsMessage,
    ReadMark,
    ReceivedCarbonMessage,
    RemovalMessage,
    RoomJoin,
    RoomJoinError,
    RoomOccupant,
    RoomOccupantLeft,
    SentCarbonMessage,
    Stanza,
    StanzaError,
    Subscribe,
    Subscribed,
    SystemMessage,
    TypingMessage,
    UnavailablePresence,
    Unsubscribe,
    Unsubscribed,
    parse,
)

__all__ = [
    "Message",
    "Presence",
    "Subscription",
    "addressed",
    "copied",
    "delayed",
    "has_content",
    "kept_offline",
    "message_type",
    "plain",
    "read",
]

ChatState = TypingMessage | PausedMessage | ChatStateMessage
Headline = HeadlineMessage | SystemMessage | CallSignal
Mark = DeliveredMark | ReadMark
Message = (
    ChatMessage
    | GroupMessage
    | Headline
    | ChatState
    | Mark
    | EditMessage
    | RemovalMessage
    | ReactionsMessage
    | BareInvitationMessage
    | InvitationMessage
    | SentCarbonMessage
    | ReceivedCarbonMessage
    | MessageError
)
Subscription = Subscribe | Subscribed | Unsubscribe | Unsubscribed
Presence = (
    AvailablePresence
    | UnavailablePresence
    | PresenceProbe
    | PresenceError
    | RoomJoin
    | RoomJoinError
    | RoomOccupant
    | RoomOccupantLeft
    | Subscription
)

S = TypeVar("S", bound=Stanza)
PLAIN: Final[dict[tuple[str, str | None], type[Stanza]]] = {
    ("message", "groupchat"): GroupMessage,
    ("message", "headline"): HeadlineMessage,
    ("message", "error"): MessageError,
    ("presence", None): AvailablePresence,
    ("presence", "unavailable"): UnavailablePresence,
    ("presence", "error"): PresenceError,
    ("presence", "probe"): PresenceProbe,
    ("presence", "subscribe"): Subscribe,
    ("presence", "subscribed"): Subscribed,
    ("presence", "unsubscribe"): Unsubscribe,
    ("presence", "unsubscribed"): Unsubscribed,
    ("iq", "get"): IqGet,
    ("iq", "set"): IqSet,
    ("iq", "result"): IqResult,
    ("iq", "error"): IqError,
}
"""The classes of stanzas of which only the type counts. Any other message is `normal` (RFC 6121 section 5.2.2)."""
_evolve: Any = attrs.evolve


def read(element: XMLElement) -> Stanza:
    """Read a stanza. A message or presence of a kind that the server doesn't know becomes a plain one.

    :raises StanzaError: if it can't be read.
    """
    stanza = parse(element)
    known = element.tag == IqGet.tag or isinstance(stanza, (Message, Presence))
    return stanza if known else plain(element)


def plain(element: XMLElement) -> Stanza:
    """Read a stanza by its type alone. Its content is kept, and delivered as it is.

    :raises StanzaError: if there is no such type.
    """
    name, kind = element.tag.rpartition("}")[2], element.get("type")
    found = PLAIN.get((name, kind), ChatMessage if name == "message" else None)
    if found is None:
        raise StanzaError(f"has the unknown type {kind}", name)
    return found.from_element(element)


def addressed(stanza: S, *, from_: str | None, to: str | None) -> S:
    """Return a stanza with other addresses."""
    found: S = _evolve(stanza, from_=from_, to=to)
    return found


def delayed(stanza: S, delay: Delay) -> S:
    """Return a stanza with the time at which the server received it (XEP-0203), unless it already has one."""
    any_stanza: Any = stanza
    if not hasattr(stanza, "delay"):
        marked: S = _evolve(stanza, unknown=(*any_stanza.unknown, delay.to_xml()))
        return marked
    found: S = stanza if any_stanza.delay is not None else _evolve(stanza, delay=delay)
    return found


def delay_of(host: str, at: float) -> Delay:
    """Return the mark of a stanza that the server has kept since a time."""
    return Delay(from_=host, stamp=dt.datetime.fromtimestamp(int(at), dt.UTC))


def message_type(message: Message) -> str:
    """Return the stanza's `type`."""
    if isinstance(message, GroupMessage):
        return "groupchat"
    if isinstance(message, Headline):
        return "headline"
    return "error" if isinstance(message, MessageError) else message.type


def has_content(message: Message) -> bool:
    """Return whether a message creates a dialog and may be saved."""
    if not isinstance(message, (ChatMessage, GroupMessage)):
        return False
    extra = message.extra
    return message.body is not None or (extra is not None and bool(extra.attachments or extra.save_to_history))


def destroyed(message: Message) -> bool:
    """Return whether a message disappears once it is read, and so must not be stored (K-16, U-53)."""
    return isinstance(message, (ChatMessage, GroupMessage)) and message.destroy is not None


def kept_offline(message: Message) -> bool:
    """Return whether a message waits for a user who is offline (RFC 6121 section 8.5.2.2, XEP-0160).

    Chat states, errors, self-destructing messages and headlines, which include system messages and call signals
    (CX-14), don't wait. A group's messages are in the history, but wait if they got lost with a stream (XEP-0198
    section 5).
    """
    if isinstance(message, (*ChatState.__args__, *Headline.__args__, MessageError)) or destroyed(message):
        return False
    return not isinstance(message, (SentCarbonMessage, ReceivedCarbonMessage))


def copied(message: Message) -> bool:
    """Return whether the user's other devices receive a carbon (XEP-0280 section 6.1)."""
    if any(mark in text for text in message.unknown for mark in ("urn:xmpp:carbons:2", "<no-copy ")):
        return False
    kind = message_type(message)
    return kind == "chat" or (kind == "normal" and getattr(message, "body", None) is not None)
