"""What the platform's own clients agree on beyond the API: places, call history, notices, whiteboard addresses.

Everything here works with the messages and attachments of the REST client and of the chat alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol, Self
from urllib.parse import urlencode

from attrs import field, frozen

from ._lenient import UNREADABLE, to_integer, to_number
from ._wire import integer, number, text
from .errors import InvalidArgument

__all__ = ["CallHistory", "CallOutcome", "Place", "SystemNotice", "SystemNoticeKind", "whiteboard_url"]


class _HasExtra(Protocol):
    """A message: of the REST client, or of the chat."""

    @property
    def extra(self) -> Mapping[str, Any]: ...


class _HasPlace(Protocol):
    """An attachment: of the REST client, or of the chat."""

    @property
    def latitude(self) -> Any: ...

    @property
    def longitude(self) -> Any: ...

    @property
    def data(self) -> Any: ...


def _latitude(value: float) -> float:
    return number("latitude", value, minimum=-90, maximum=90)


def _longitude(value: float) -> float:
    return number("longitude", value, minimum=-180, maximum=180)


@frozen
class Place:
    """A place on a map, as an attachment of a message.

    :ivar latitude: degrees north of the equator, -90 to 90.
    :ivar longitude: degrees east of Greenwich, -180 to 180.
    """

    latitude: float = field(converter=_latitude)
    longitude: float = field(converter=_longitude)

    def to_attachment(self) -> dict[str, Any]:
        """Return the attachment to send with `cube.messages.create` or `chat.send`."""
        # N-15
        return {"type": "place", "latitude": self.latitude, "longitude": self.longitude}

    @classmethod
    def from_attachment(cls, attachment: _HasPlace) -> Self | None:
        """Return the place in an attachment, from its own fields or `data`, or `None` without one.

        :param attachment: an attachment that was received.
        """
        # CX-19: lat, lng in `data`; latitude, longitude in attributes.
        found = {"latitude": attachment.latitude, "longitude": attachment.longitude}
        data = attachment.data
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except (ValueError, RecursionError):
                data = None
        for values in (found, data):
            if isinstance(values, Mapping):
                latitude = values.get("latitude", values.get("lat"))
                longitude = values.get("longitude", values.get("lng"))
                try:
                    return cls(to_number(latitude), to_number(longitude))
                except (*UNREADABLE, InvalidArgument):
                    continue
        return None


class CallOutcome(StrEnum):
    """How a call ended."""

    # N-08
    REJECT = "reject"
    """The other user rejected it."""
    CANCEL = "cancel"
    """The caller gave up."""
    HUNG_UP = "hungUp"
    """A user ended it after talking."""
    NOT_ANSWER = "notAnswer"
    """Nobody answered."""


@frozen(kw_only=True)
class CallHistory:
    """A call, as the official clients record it in a message of its dialog.

    :ivar outcome: how it ended; a text that is not a `CallOutcome` stays as it is.
    :ivar call_type: the kind of call, as the sender wrote it; `None` if missing.
    :ivar duration: seconds; `None` if missing.
    """

    outcome: CallOutcome | str
    call_type: str | None = None
    duration: int | None = None

    @classmethod
    def from_message(cls, message: _HasExtra) -> Self | None:
        """Return the call that a message records; `None` if it is an ordinary message.

        :param message: a message from the history or from the chat.
        """
        extra = message.extra
        if extra.get("callHistory") in (None, False, 0, "", "0", "false"):
            return None
        # The text of a message is its `message` over REST, and its `body` in the chat.
        body = getattr(message, "message", None) or getattr(message, "body", None) or ""
        call_type = extra.get("callType")
        try:
            duration = int(to_number(extra.get("duration")))
        except UNREADABLE:
            duration = None
        return cls(
            outcome=CallOutcome(body) if body in CALL_OUTCOMES else body,
            call_type=None if call_type is None else str(call_type),
            duration=duration,
        )


CALL_OUTCOMES: Final = frozenset(outcome.value for outcome in CallOutcome)


class SystemNoticeKind(StrEnum):
    """What a system message of the official clients announces: its text."""

    # N-02
    NEW_DIALOG = "dialog/NEW_DIALOG"
    """To the occupants of a new dialog."""
    ADDED_TO_DIALOG = "dialog/ADDED_TO_DIALOG"
    """To users who were added to a dialog."""
    REMOVED_FROM_DIALOG = "dialog/REMOVED_FROM_DIALOG"
    """To the other occupants: the sender has left."""
    ADD_PARTICIPANTS = "dialog/ADD_PARTICIPANTS"
    """To the occupants: `user_ids` were added."""
    REMOVE_PARTICIPANTS = "dialog/REMOVE_PARTICIPANTS"
    """To the occupants: `user_ids` were removed. Without ids, to the removed users themselves."""
    DELETE_DIALOG = "dialog/DELETE_DIALOG"
    """To the occupants of a dialog that was deleted."""
    USER_UPDATE = "user/UPDATE"
    """The sender's account has changed."""


KINDS: Final = {kind.value: kind for kind in SystemNoticeKind}
IDS: Final = {
    SystemNoticeKind.ADD_PARTICIPANTS: "addedParticipantsIds",
    SystemNoticeKind.REMOVE_PARTICIPANTS: "removedParticipantsIds",
}
"""The parameter that lists users, by kind."""


def _kind(value: SystemNoticeKind | str) -> SystemNoticeKind:
    if not isinstance(value, str) or value not in KINDS:
        raise InvalidArgument("kind", f"must be a SystemNoticeKind, not {str(value)[:40]!r}")
    return KINDS[str(value)]


def _user_ids(value: Iterable[int]) -> tuple[int, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InvalidArgument("user_ids", "must be a list of user ids")
    return tuple(integer(f"user_ids[{index}]", entry) for index, entry in enumerate(value))


@frozen
class SystemNotice:
    """What a system message of the official clients announces. They learn of new dialogs in no other way.

    :ivar kind: what happened.
    :ivar dialog_id: the dialog; `None` only for `USER_UPDATE`.
    :ivar user_ids: the users who were added or removed.
    :raises InvalidArgument: if the dialog is missing, or the kind has no list of users.
    """

    kind: SystemNoticeKind = field(converter=_kind)
    dialog_id: str | None = None
    user_ids: tuple[int, ...] = field(default=(), converter=_user_ids)

    def __attrs_post_init__(self) -> None:
        if self.dialog_id is not None:
            text("dialog_id", self.dialog_id, min_length=1)
        elif self.kind is not SystemNoticeKind.USER_UPDATE:
            raise InvalidArgument("dialog_id", f"is missing: {self.kind} is about a dialog")
        if self.user_ids and self.kind not in IDS:
            raise InvalidArgument("user_ids", f"must be empty: {self.kind} lists no users")

    @property
    def body(self) -> str:
        """The text of the message."""
        return self.kind.value

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the message."""
        found = {} if self.dialog_id is None else {"dialogId": self.dialog_id}
        if self.user_ids:
            found[IDS[self.kind]] = ",".join(map(str, self.user_ids))
        return found

    @classmethod
    def from_message(cls, body: str | None, params: Mapping[str, Any]) -> Self | None:
        """Return what a system message announces; `None` if it is another one. Unreadable user ids are left out.

        :param body: the message's text.
        :param params: its parameters.
        """
        # The text of a message created over REST may arrive as a parameter.
        kind = KINDS.get(str(body or params.get("body")))
        dialog_id = params.get("dialogId")
        if kind is None or (not dialog_id and kind is not SystemNoticeKind.USER_UPDATE):
            return None
        user_ids = []
        for entry in str(params.get(IDS.get(kind, ""), "")).split(","):
            try:
                user_ids.append(integer("user_ids", to_integer(entry)))
            except (*UNREADABLE, InvalidArgument):
                continue
        return cls(kind, str(dialog_id) if dialog_id else None, user_ids)


class _HasName(Protocol):
    """A whiteboard."""

    @property
    def id(self) -> str | None: ...

    @property
    def name(self) -> str | None: ...


def whiteboard_url(whiteboard: _HasName, *, username: str, host: str = "https://whiteboard.connectycube.com") -> str:
    """Return the address at which a browser shows a whiteboard.

    :param whiteboard: the whiteboard.
    :param username: shown next to what this user draws.
    :param host: the server of whiteboards.
    :raises InvalidArgument: if the whiteboard has no id.
    """
    #
    if whiteboard.id is None:
        raise InvalidArgument("whiteboard", "has no id")
    query = {"whiteboardid": whiteboard.id, "username": text("username", username), "title": whiteboard.name or ""}
    return f"{host}?{urlencode(query)}"
