"""The objects that the chat's methods and events use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict

from attrs import field, frozen

from connectycube.rest import CallHistory, File, Place
from connectycube.stanzas import Attachment

from .errors import ConnectError
from .machines.connection import State

__all__ = ["ChatMessage", "ChatState", "Contact", "PrivacyRule", "SendOptions", "SentMessage", "Subscription"]

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class SendOptions(TypedDict, total=False):
    """The options of `send` and `reply`, for functions that pass them on.

    :ivar attachments: files from `cube.files.upload`, `Attachment` objects, or mappings with the same fields.
    :ivar save_to_history: keep the message in the dialog's history, by default true.
    :ivar markable: request delivered and read marks, by default true.
    :ivar extra: further parameters: strings, numbers, booleans or nested mappings.
    :ivar destroy_after: seconds after reading until the message disappears; it is then not kept in the history.
    :ivar silent: do not send push notifications to offline users.
    """

    attachments: Sequence[Attachment | File | Mapping[str, Any]]
    save_to_history: bool
    markable: bool
    extra: Mapping[str, Any] | None
    destroy_after: int | None
    silent: bool


@frozen(kw_only=True)
class SentMessage:
    """A message that the server has acknowledged.

    :ivar id: the message's id, 24 hexadecimal digits.
    :ivar dialog_id: the id of its dialog; `None` for a private message addressed to a user id.
    :ivar date_sent: when it was sent, in UTC.
    """

    id: str
    dialog_id: str | None  # U-27: in a first private message, only the server knows it.
    date_sent: dt.datetime


@frozen(kw_only=True)
class ChatMessage:
    """A message that was received, or sent from another of the user's devices.

    :ivar id: the message's id; `None` if the sender gave none.
    :ivar body: the text; empty if there is none.
    :ivar sender_id: the sender's user id; `None` if the sender is not a user of the application.
    :ivar recipient_id: the recipient's user id in a private dialog; `None` in a group.
    :ivar dialog_id: the id of its dialog, if known; in a private dialog, it comes from the sender and is not verified.
    :ivar type: `chat` in a private dialog, `groupchat` in a group or public dialog.
    :ivar date_sent: when it was sent, in UTC; the server's delay stamp if the sender gave no valid time; `None` without
        either.
    :ivar attachments: files, places and contact cards.
    :ivar extra: all further parameters by name, as text.
    :ivar markable: whether the sender requests delivered and read marks.
    :ivar destroy_after: seconds after reading until the message disappears.
    :ivar delayed: when the server stored it for an offline user, in UTC.
    :ivar carbon: whether it is a copy of a message that another of the user's devices sent or received.
    :ivar sender_jid: the sender's full JID, or their JID in the room in a group. Ignored in comparisons.
    """

    id: str | None
    body: str
    sender_id: int | None
    recipient_id: int | None
    dialog_id: str | None
    type: Literal["chat", "groupchat"]
    date_sent: dt.datetime | None = None
    attachments: tuple[Attachment, ...] = ()
    extra: Mapping[str, Any] = EMPTY
    markable: bool = False
    destroy_after: int | None = None
    delayed: dt.datetime | None = None
    carbon: bool = False
    sender_jid: str | None = field(default=None, eq=False)

    @property
    def call_history(self) -> CallHistory | None:
        """The call that the message records; `None` for an ordinary message."""
        return CallHistory.from_message(self)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places among its attachments."""
        return tuple(filter(None, map(Place.from_attachment, self.attachments)))


class Subscription(StrEnum):
    """Who sees whose presence (RFC 6121 section 2.1.2.5)."""

    NONE = "none"
    """Neither."""
    TO = "to"
    """The user sees the contact."""
    FROM = "from"
    """The contact sees the user."""
    BOTH = "both"
    """Each sees the other."""


@frozen(kw_only=True)
class Contact:
    """An entry of the contact list, accepted by at least one side.

    :ivar user_id: the user's id.
    :ivar name: the name in the list, if any.
    :ivar subscription: who sees whose presence.
    :ivar online: whether any of the contact's devices is online.
    :ivar status: the latest status text, if any.
    """

    user_id: int
    name: str | None
    subscription: Subscription
    online: bool = False
    status: str | None = None


@frozen
class PrivacyRule:
    """A rule of a privacy list about a user.

    :ivar user_id: the user's id.
    :ivar deny: whether the user is blocked; otherwise explicitly allowed.
    :ivar mutual: whether neither can write to the other; otherwise only the blocked user can't. Ignored unless
        `deny` is true.
    :ivar groups: whether the rule applies in groups.
    :ivar private: whether the rule applies in private dialogs.
    """

    user_id: int
    deny: bool = field(default=True, kw_only=True)
    mutual: bool = field(default=False, kw_only=True)
    groups: bool = field(default=True, kw_only=True)
    private: bool = field(default=True, kw_only=True)


@frozen(kw_only=True)
class ChatState:
    """The state of the connection.

    :ivar name: the connection's state, such as `online` or `waiting`.
    :ivar attempt: the number of consecutive failed attempts.
    :ivar error: why the connection was lost or not established; `None` if there is no problem.
    :ivar retry_at: when the next attempt starts, in UTC; only while `waiting`.
    """

    name: State
    attempt: int = 0
    error: ConnectError | None = None
    retry_at: dt.datetime | None = None
