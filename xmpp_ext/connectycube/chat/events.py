"""What the chat tells: one frozen class per event.

The order of events is that of the stream: state changes first, then the event, so that whoever handles an event finds
`state`, `contacts` and the rest as they are after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from connectycube.stanzas import CallSignal

from . import errors
from .models import ChatMessage, SentMessage

__all__ = [
    "CallSignalReceived",
    "Connected",
    "ConnectionFailed",
    "ContactAccepted",
    "ContactPresence",
    "ContactRejected",
    "ContactRequested",
    "ContactsChanged",
    "Disconnected",
    "Event",
    "LastActivityChanged",
    "MessageBlocked",
    "MessageDeleted",
    "MessageDelivered",
    "MessageEdited",
    "MessageFailed",
    "MessageRead",
    "MessageReceived",
    "MessageSent",
    "OccupantJoined",
    "OccupantKicked",
    "OccupantLeft",
    "PrivacyListChanged",
    "ReactionsChanged",
    "Reconnected",
    "Reconnecting",
    "StanzaRejected",
    "StreamFailed",
    "SystemMessageReceived",
    "TypingStarted",
    "TypingStopped",
]


@frozen
class Event:
    """The base of all events: `@chat.on(Event)` gets every one."""


# -- the connection


@frozen(kw_only=True)
class Connected(Event):
    """The first connection is made (F-005).

    :ivar jid: the full JID that the server gave.
    """

    jid: str


@frozen(kw_only=True)
class Reconnecting(Event):
    """The connection is lost; it will be tried again.

    :ivar error: why.
    :ivar attempt: number of the attempt, from 1.
    :ivar delay: seconds until then.
    :ivar retry_at: the same as a time in UTC.
    """

    error: errors.ConnectFailed
    attempt: int
    delay: float
    retry_at: dt.datetime


@frozen(kw_only=True)
class Reconnected(Event):
    """The connection is there again (F-006).

    :ivar resumed: the server took up the old stream, so that nothing was missed (XEP-0198 section 5); else a new
        session was begun and rooms, presence and the like were restored.
    """

    resumed: bool


@frozen(kw_only=True)
class Disconnected(Event):
    """The connection is closed on one's own wish (F-007).

    :ivar unacknowledged: ids of the messages that the server had not acknowledged by then.
    """

    unacknowledged: tuple[str, ...] = ()


@frozen(kw_only=True)
class ConnectionFailed(Event):
    """The connection could not be made, or not again, and is given up (F-008).

    :ivar error: why.
    """

    error: errors.ConnectFailed


@frozen(kw_only=True)
class StreamFailed(Event):
    """The server ended the stream with an error (F-009, RFC 6120 section 4.9). A further event tells what follows.

    :ivar condition: such as `conflict` or `system-shutdown`.
    :ivar text: the server's words.
    """

    condition: str
    text: str


@frozen(kw_only=True)
class StanzaRejected(Event):
    """A stanza was not believed or could not be read; the connection is kept.

    :ivar problem: what is wrong with it.
    :ivar xml: its text, the first 1,000 characters.
    """

    problem: str
    xml: str


# -- messages


@frozen(kw_only=True)
class MessageReceived(Event):
    """A message came in (F-045, F-049).

    :ivar message: the message.
    """

    message: ChatMessage


@frozen(kw_only=True)
class MessageSent(Event):
    """The server acknowledged a message (F-052).

    :ivar message: what was sent.
    """

    message: SentMessage


@frozen(kw_only=True)
class MessageFailed(Event):
    """A message was not taken (F-046, F-052).

    :ivar message_id: its id.
    :ivar user_id: its recipient in a private dialog; `None` in a group, or where the server does not name one.
    :ivar dialog_id: its dialog, if it is known.
    :ivar error: why.
    """

    message_id: str
    user_id: int | None
    dialog_id: str | None
    error: errors.MessageNotSent


@frozen(kw_only=True)
class MessageBlocked(Event):
    """A private message came back because its recipient blocks the sender (F-109).

    The wire does not tell a block from a recipient whom the server does not know or keeps no messages for (K-27).

    :ivar message_id: its id.
    :ivar user_id: the recipient; `None` where the server does not name one.
    """

    message_id: str
    user_id: int | None


@frozen(kw_only=True)
class _Mark(Event):
    message_id: str
    dialog_id: str | None
    user_id: int | None


@frozen(kw_only=True)
class MessageDelivered(_Mark):
    """A message reached a device of a user (F-057).

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if the mark names it.
    :ivar user_id: whom it reached; `None` where that is no user.
    """


@frozen(kw_only=True)
class MessageRead(_Mark):
    """A user read a message (F-059).

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if the mark names it.
    :ivar user_id: who read it; `None` where that is no user.
    """


@frozen(kw_only=True)
class MessageEdited(_Mark):
    """A message has a new text (F-065).

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if it is known.
    :ivar user_id: who changed it; `None` where that is no user.
    :ivar body: the new text.
    :ivar last: whether it is the last of its dialog; `None` where that was not told.
    """

    body: str
    last: bool | None


@frozen(kw_only=True)
class MessageDeleted(_Mark):
    """A message was removed (F-069).

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if it is known.
    :ivar user_id: who removed it; `None` where the server did.
    """


@frozen(kw_only=True)
class ReactionsChanged(_Mark):
    """A user's reactions to a message changed (X-26).

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if it is known.
    :ivar user_id: whose reactions; `None` where that was not told.
    :ivar added: those that are new.
    :ivar removed: those that are gone.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]


@frozen(kw_only=True)
class _Typing(Event):
    user_id: int | None
    dialog_id: str | None


@frozen(kw_only=True)
class TypingStarted(_Typing):
    """A user types (F-062).

    :ivar user_id: the user; `None` where the sender is no user.
    :ivar dialog_id: the dialog in a group, `None` in a private one.
    """


@frozen(kw_only=True)
class TypingStopped(_Typing):
    """A user stopped typing (F-063).

    :ivar user_id: the user; `None` where the sender is no user.
    :ivar dialog_id: the dialog in a group, `None` in a private one.
    """


@frozen(kw_only=True)
class SystemMessageReceived(Event):
    """A system message (K-25, X-27).

    :ivar user_id: the sender; `None` where that is no user.
    :ivar params: its parameters by name, as text.
    :ivar body: its text; mostly `None`.
    """

    user_id: int | None
    params: Mapping[str, Any]
    body: str | None


@frozen(kw_only=True)
class CallSignalReceived(Event):
    """A signal of a call (K-26).

    :ivar user_id: the sender; `None` where that is no user.
    :ivar signal: the stanza; its parameters are in `signal.extra.params`.
    """

    user_id: int | None
    signal: CallSignal


# -- rooms


@frozen(kw_only=True)
class _Occupant(Event):
    dialog_id: str
    user_id: int


@frozen(kw_only=True)
class OccupantJoined(_Occupant):
    """A user came into the room of a dialog (K-37).

    :ivar dialog_id: the dialog.
    :ivar user_id: the user.
    """


@frozen(kw_only=True)
class OccupantLeft(_Occupant):
    """A user left the room of a dialog (K-38).

    :ivar dialog_id: the dialog.
    :ivar user_id: the user.
    """


@frozen(kw_only=True)
class OccupantKicked(_Occupant):
    """A user was put out of the room of a dialog, perhaps for good (K-39, CX-06).

    :ivar dialog_id: the dialog.
    :ivar user_id: the user.
    """


# -- the contact list


@frozen(kw_only=True)
class _OfContact(Event):
    user_id: int


@frozen(kw_only=True)
class ContactRequested(_OfContact):
    """A user asks to be a contact: `chat.contacts.accept` or `reject` (F-090).

    :ivar user_id: who asks.
    """


@frozen(kw_only=True)
class ContactAccepted(_OfContact):
    """A user accepted one's request (F-092).

    :ivar user_id: who accepted.
    """


@frozen(kw_only=True)
class ContactRejected(_OfContact):
    """A user rejected one's request, or took an earlier acceptance back (F-094).

    :ivar user_id: who rejected.
    """


@frozen(kw_only=True)
class ContactPresence(_OfContact):
    """A contact's device came online or went offline (F-097).

    :ivar user_id: the contact.
    :ivar online: whether any device of the contact is online.
    :ivar status: the status text that came with it; `None` without one.
    """

    online: bool
    status: str | None


@frozen(kw_only=True)
class ContactsChanged(Event):
    """The contact list changed (F-096).

    :ivar user_ids: whose entries.
    """

    user_ids: tuple[int, ...]


# -- privacy lists, last activity


@frozen(kw_only=True)
class PrivacyListChanged(Event):
    """A privacy list was changed, by any device (XEP-0016 section 2.3).

    :ivar name: its name.
    """

    name: str


@frozen(kw_only=True)
class LastActivityChanged(Event):
    """A user of whom `subscribe_last_activity` asked came or went (K-50, X-30).

    :ivar user_id: the user.
    :ivar seconds: seconds since the user was last active; 0 means online.
    """

    user_id: int
    seconds: int
