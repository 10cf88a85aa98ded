"""The chat's events, one frozen class each.

Events are emitted in stream order, each after the state has changed: a handler sees `state`, `contacts` and everything
else as they are after the event.

A `user_id` comes from the sender's address, which the server vouches for. It is `None` for users of other applications
and hosts, where the same id means a different person; `jid` has their address. In a group, it comes from the sender's
nickname: only the platform guarantees that this is a user's id. The `dialog_id` of a private message comes from its
sender and is not verified.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from connectycube.rest import SystemNotice
from connectycube.stanzas import CallSignal, Stanza

from . import errors
from .models import EMPTY, ChatMessage, SentMessage

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
    "HandlerFailed",
    "LastActivityChanged",
    "MessageBlocked",
    "MessageDeleted",
    "MessageDelivered",
    "MessageEdited",
    "MessageFailed",
    "MessageRead",
    "MessageReceived",
    "MessageSent",
    "MessageSentElsewhere",
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
    """The base class of all events. `@chat.on(Event)` receives every event."""


# -- the connection


@frozen(kw_only=True)
class Connected(Event):
    """The first connection is established, and the server has handled the user's presence.

    From now on it delivers messages at once. Those that it kept while the user was offline may come before.

    :ivar jid: the full JID assigned by the server.
    """

    jid: str


@frozen(kw_only=True)
class Reconnecting(Event):
    """The connection was lost, and the chat will reconnect.

    :ivar error: the reason.
    :ivar attempt: the number of the next attempt, from 1.
    :ivar delay: seconds until the next attempt.
    :ivar retry_at: when the next attempt starts, in UTC.
    """

    error: errors.ConnectError
    attempt: int
    delay: float
    retry_at: dt.datetime


@frozen(kw_only=True)
class Reconnected(Event):
    """The connection is established again.

    :ivar resumed: whether the server resumed the old stream, so that nothing was missed (XEP-0198 section 5).
        Otherwise a new session began, and rooms, presence and so on have been restored.
    """

    resumed: bool


@frozen(kw_only=True)
class Disconnected(Event):
    """The connection was closed by `disconnect`.

    :ivar unacknowledged: ids of the messages that the server had not acknowledged by then.
    """

    unacknowledged: tuple[str, ...] = ()


@frozen(kw_only=True)
class ConnectionFailed(Event):
    """The connection could not be established, or was lost for good. The chat does not reconnect.

    :ivar error: the reason.
    """

    error: errors.ConnectError


@frozen(kw_only=True)
class StreamFailed(Event):
    """The server ended the stream with an error (RFC 6120 section 4.9). Another event reports what follows.

    :ivar condition: the error condition, such as `conflict` or `system-shutdown`.
    :ivar text: the server's explanation.
    """

    condition: str
    text: str


@frozen(kw_only=True)
class StanzaRejected(Event):
    """A stanza was rejected as forged or unreadable. The connection stays open.

    :ivar problem: what is wrong with it.
    :ivar xml: the first 1,000 characters of its XML.
    """

    problem: str
    xml: str


@frozen(kw_only=True)
class HandlerFailed(Event):
    """A handler raised an exception. It is also logged, and other handlers are not affected.

    If a handler of this event raises an exception, it is only logged.

    :ivar handler: the function.
    :ivar event: what it was called with, an event or a stanza.
    :ivar error: the exception.
    """

    handler: Callable[..., Any]
    event: Event | Stanza
    error: BaseException


# -- messages


@frozen(kw_only=True)
class MessageReceived(Event):
    """A message from another user was received.

    In a group, the sender is identified by a nickname. Only the platform guarantees that it is the user's id.

    :ivar message: the message.
    """

    message: ChatMessage


@frozen(kw_only=True)
class MessageSent(Event):
    """The server acknowledged a message.

    :ivar message: the message that was sent.
    """

    message: SentMessage


@frozen(kw_only=True)
class MessageSentElsewhere(Event):
    """The user sent a message from another device, over REST or through another connection.

    This is not reported as `MessageReceived`, so a bot does not reply to itself.

    :ivar message: the message.
    """

    message: ChatMessage


@frozen(kw_only=True)
class MessageFailed(Event):
    """A message was rejected, was not acknowledged in time, or made the server close the stream.

    :ivar message_id: its id.
    :ivar user_id: its recipient in a private dialog; `None` in a group.
    :ivar dialog_id: its dialog, if known.
    :ivar error: the reason.
    """

    message_id: str
    user_id: int | None
    dialog_id: str | None
    error: errors.MessageNotSent


@frozen(kw_only=True)
class MessageBlocked(Event):
    """A private message was returned because its recipient blocks the sender.

    The server responds in the same way if the recipient does not exist, or if it stores no messages for the recipient.

    :ivar message_id: its id.
    :ivar user_id: the recipient.
    """

    message_id: str
    user_id: int | None


@frozen(kw_only=True)
class _Mark(Event):
    message_id: str
    dialog_id: str | None
    user_id: int | None
    jid: str | None = field(default=None, eq=False)


@frozen(kw_only=True)
class MessageDelivered(_Mark):
    """A message reached a user's device.

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if the mark names it.
    :ivar user_id: the user it reached; `None` if the mark is not from a user.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """


@frozen(kw_only=True)
class MessageRead(_Mark):
    """A user read a message.

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if the mark names it.
    :ivar user_id: the user who read it; `None` if the mark is not from a user.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """


@frozen(kw_only=True)
class MessageEdited(_Mark):
    """A message was edited.

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if known.
    :ivar user_id: the user who edited it; `None` if the sender is not a user.
    :ivar body: the new text.
    :ivar last: whether it is the last message of its dialog, according to that user; `None` if unknown.
    :ivar from_author: whether that user wrote the message; `None` if its author is unknown, for example after a
        restart. In a group, an administrator may change other users' messages.
    :ivar extra: all further parameters by name, as text.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """

    body: str
    last: bool | None
    from_author: bool | None = None
    extra: Mapping[str, Any] = EMPTY


@frozen(kw_only=True)
class MessageDeleted(_Mark):
    """A message was deleted.

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if known.
    :ivar user_id: the user who deleted it; `None` if the server did.
    :ivar from_author: whether that user wrote the message; `None` if its author is unknown, for example after a
        restart. In a group, an administrator may change other users' messages.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """

    from_author: bool | None = None


@frozen(kw_only=True)
class ReactionsChanged(_Mark):
    """A user's reactions to a message changed.

    Reactions that a user sends in another user's name are rejected. Reactions from the server or the room itself are
    trusted: only the platform vouches for their `user_id`.

    :ivar message_id: its id.
    :ivar dialog_id: its dialog, if known.
    :ivar user_id: the user who reacted; `None` if unknown.
    :ivar added: the new reactions.
    :ivar removed: the reactions that were withdrawn.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]


@frozen(kw_only=True)
class _Typing(Event):
    user_id: int | None
    dialog_id: str | None
    jid: str | None = field(default=None, eq=False)


@frozen(kw_only=True)
class TypingStarted(_Typing):
    """A user is typing.

    :ivar user_id: the user; `None` if the sender is not a user.
    :ivar dialog_id: the dialog in a group, `None` in a private one.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """


@frozen(kw_only=True)
class TypingStopped(_Typing):
    """A user stopped typing.

    :ivar user_id: the user; `None` if the sender is not a user.
    :ivar dialog_id: the dialog in a group, `None` in a private one.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """


@frozen(kw_only=True)
class SystemMessageReceived(Event):
    """A system message was received.

    :ivar user_id: the sender; `None` if the sender is not a user.
    :ivar params: its parameters by name, as text.
    :ivar body: its text; usually `None`.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """

    user_id: int | None
    params: Mapping[str, Any]
    body: str | None
    jid: str | None = field(default=None, eq=False)

    @property
    def notice(self) -> SystemNotice | None:
        """What it announces if it comes from one of the official clients, such as a new dialog; `None` otherwise."""
        return SystemNotice.from_message(self.body, self.params)


@frozen(kw_only=True)
class CallSignalReceived(Event):
    """A call signal was received.

    :ivar user_id: the sender; `None` if the sender is not a user.
    :ivar signal: the stanza. Its parameters are in `signal.extra.params`.
    :ivar jid: the full JID of the sender. Ignored in comparisons.
    """

    user_id: int | None
    signal: CallSignal
    jid: str | None = field(default=None, eq=False)


# -- rooms


@frozen(kw_only=True)
class _Occupant(Event):
    dialog_id: str
    user_id: int


@frozen(kw_only=True)
class OccupantJoined(_Occupant):
    """A user joined the room of a dialog.

    :ivar dialog_id: the dialog.
    :ivar user_id: the user.
    """


@frozen(kw_only=True)
class OccupantLeft(_Occupant):
    """A user left the room of a dialog.

    :ivar dialog_id: the dialog.
    :ivar user_id: the user.
    """


@frozen(kw_only=True)
class OccupantKicked(_Occupant):
    """A user was kicked or banned from the room of a dialog.

    :ivar dialog_id: the dialog.
    :ivar user_id: the user.
    """


# -- the contact list


@frozen(kw_only=True)
class _OfContact(Event):
    user_id: int


@frozen(kw_only=True)
class ContactRequested(_OfContact):
    """A user sent a contact request. Respond with `chat.contacts.accept` or `reject`.

    :ivar user_id: the user who sent it.
    """


@frozen(kw_only=True)
class ContactAccepted(_OfContact):
    """A user accepted a contact request.

    :ivar user_id: the user who accepted.
    """


@frozen(kw_only=True)
class ContactRejected(_OfContact):
    """A user rejected a contact request, or revoked an earlier acceptance.

    :ivar user_id: the user who rejected.
    """


@frozen(kw_only=True)
class ContactPresence(_OfContact):
    """A contact's device came online, changed its status or went offline.

    :ivar user_id: the contact.
    :ivar online: whether any device of the contact is online.
    :ivar status: the status text, if any.
    """

    online: bool
    status: str | None


@frozen(kw_only=True)
class ContactsChanged(Event):
    """The contact list changed.

    :ivar user_ids: the users whose entries changed.
    """

    user_ids: tuple[int, ...]


# -- privacy lists, last activity


@frozen(kw_only=True)
class PrivacyListChanged(Event):
    """One of the user's devices changed a privacy list (XEP-0016 section 2.3).

    :ivar name: its name.
    """

    name: str


@frozen(kw_only=True)
class LastActivityChanged(Event):
    """A user that `subscribe_last_activity` follows came online or went offline.

    :ivar user_id: the user.
    :ivar seconds: seconds since the user was last active; 0 means online.
    """

    user_id: int
    seconds: int
