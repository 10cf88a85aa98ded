"""What the chat's events and methods speak of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal

from attrs import field, frozen

from connectycube.stanzas import Attachment

from .errors import ConnectFailed
from .machines.connection import State

__all__ = ["ChatMessage", "ChatState", "Contact", "PrivacyRule", "SentMessage", "Subscription"]

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@frozen(kw_only=True)
class SentMessage:
    """A message that the server has acknowledged.

    :ivar id: its id, 24 hexadecimal digits.
    :ivar dialog_id: id of its dialog; `None` in a first private message, where only the server knows it (U-27).
    :ivar date_sent: when it was sent, in Unix seconds.
    """

    id: str
    dialog_id: str | None
    date_sent: int


@frozen(kw_only=True)
class ChatMessage:
    """A message that came in (K-12, K-13).

    :ivar id: its id; `None` where the sender gave none.
    :ivar body: the text; empty where there is none.
    :ivar sender_id: user id of the sender; `None` where the sender is no user.
    :ivar recipient_id: user id of the recipient in a private dialog; `None` in a group.
    :ivar dialog_id: id of its dialog, if it is known.
    :ivar type: `chat` in a private dialog, `groupchat` in a group or public one.
    :ivar date_sent: Unix seconds; of the server's delay stamp where the sender gave none, `None` without either.
    :ivar attachments: files, places, contact cards (K-14).
    :ivar extra: all further parameters by name, as text (facts 3.3).
    :ivar markable: the sender wants to know how far the message gets (K-17).
    :ivar destroy_after: seconds after which it is to vanish once it is read (K-16).
    :ivar delayed: when the server stored it for a user who was away, in UTC (K-30).
    :ivar carbon: a copy: of one's own message from another device, or of one that went to another device.
    """

    id: str | None
    body: str
    sender_id: int | None
    recipient_id: int | None
    dialog_id: str | None
    type: Literal["chat", "groupchat"]
    date_sent: int | None = None
    attachments: tuple[Attachment, ...] = ()
    extra: Mapping[str, Any] = EMPTY
    markable: bool = False
    destroy_after: int | None = None
    delayed: dt.datetime | None = None
    carbon: bool = False


class Subscription(StrEnum):
    """Who sees whose presence (RFC 6121 section 2.1.2.5)."""

    NONE = "none"
    """Nobody."""
    TO = "to"
    """The user sees the contact."""
    FROM = "from"
    """The contact sees the user."""
    BOTH = "both"
    """Each sees the other."""


@frozen(kw_only=True)
class Contact:
    """An entry of the contact list that is accepted on at least one side.

    :ivar user_id: id of the user.
    :ivar name: the name that it has in the list; `None` without one.
    :ivar subscription: who sees whose presence.
    :ivar online: whether one of the contact's devices is online.
    :ivar status: the status text that was sent last, if any.
    """

    user_id: int
    name: str | None
    subscription: Subscription
    online: bool = False
    status: str | None = None


@frozen
class PrivacyRule:
    """What a privacy list says of a user (facts 3.4).

    :ivar user_id: id of the user.
    :ivar deny: blocked if true, else explicitly allowed.
    :ivar mutual: neither may write to the other; without it only the blocked user may not write. Only with `deny`.
    :ivar groups: it holds in groups, too.
    :ivar private: it holds in private dialogs.
    """

    user_id: int
    deny: bool = field(default=True, kw_only=True)
    mutual: bool = field(default=False, kw_only=True)
    groups: bool = field(default=True, kw_only=True)
    private: bool = field(default=True, kw_only=True)


@frozen(kw_only=True)
class ChatState:
    """Where the connection stands.

    :ivar name: the state of the connection machine, such as `online` or `waiting`.
    :ivar attempt: failed attempts in a row.
    :ivar error: why the connection was lost or not made; `None` while all is well.
    :ivar retry_at: when the next attempt begins, in UTC; only while `waiting`.
    """

    name: State
    attempt: int = 0
    error: ConnectFailed | None = None
    retry_at: dt.datetime | None = None
