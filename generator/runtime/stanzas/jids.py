"""Build and parse the platform's addresses.

Domains are compared in lower case (RFC 7622 section 3.2). Ids are decimal or hexadecimal digits, so they need no
escaping; anything else in their place is rejected.
"""

from __future__ import annotations

import re
from typing import Final, Self

from attrs import field, frozen

from ._xml import StanzaError

__all__ = ["GroupPrivacyValue", "JIDError", "OccupantJID", "RoomJID", "UserJID"]

CHAT_HOST: Final = "chat.connectycube.com"
MUC_HOST: Final = "muc.chat.connectycube.com"

# Internationalized names are written as such (RFC 7622 section 3.2).
_LETTER = r"(?:[a-z0-9]|[^\x00-\x7f\s])"
_LABEL = rf"{_LETTER}(?:(?:{_LETTER}|-){{0,61}}{_LETTER})?"
_HOST = re.compile(rf"(?=.{{1,255}}$){_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]").fullmatch
_USER = re.compile(r"([0-9]{1,19})-([0-9]{1,19})@([^/@]+)(?:/(.+))?", re.DOTALL).fullmatch
_ROOM = re.compile(r"([0-9]{1,19})_([0-9a-fA-F]{24})@([^/@]+)(?:/([0-9]{1,19}))?").fullmatch
_GROUP = re.compile(r"([^/@]+)/([0-9]{1,19})").fullmatch
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]").search
_DIALOG = re.compile(r"[0-9a-f]{24}").fullmatch


class JIDError(StanzaError):
    """A text or a part of it is not an address of the platform."""


def _host(value: str) -> str:
    host = value.lower().removesuffix(".") if isinstance(value, str) else ""
    if _HOST(host) is None:
        raise JIDError(f"{str(value)[:80]!r} is not a host name")
    return host


def _number(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**19:
        raise JIDError(f"{value!r} is not an id: expected a non-negative integer")
    return value


def _dialog(value: str) -> str:
    dialog = value.lower() if isinstance(value, str) else ""
    if _DIALOG(dialog) is None:
        raise JIDError(f"{str(value)[:40]!r} is not a dialog id: expected 24 hexadecimal digits")
    return dialog


def _resource(value: str | None) -> str | None:
    if value is None:
        return None
    # RFC 7622 section 3.4
    if not isinstance(value, str) or _CONTROL(value) or not 1 <= len(value.encode()) <= 1023:
        raise JIDError("the resource must be a text of 1 to 1023 bytes without control characters")
    return value


def _refuse(kind: str, text: str) -> JIDError:
    return JIDError(f"{text[:80]!r} is not a {kind}")


@frozen(kw_only=True, str=False)
class UserJID:
    """The address of a user, `{user_id}-{app_id}@{host}`, or with a resource, of one of their devices.

    :ivar user_id: the user's id.
    :ivar app_id: the application's id.
    :ivar host: the chat host.
    :ivar resource: the device; `None` in a bare JID.
    """

    user_id: int = field(converter=_number)
    app_id: int = field(converter=_number)
    host: str = field(default=CHAT_HOST, converter=_host)
    resource: str | None = field(default=None, converter=_resource)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        :raises JIDError: if it is not the address of a user.
        """
        found = _USER(text)
        if found is None:
            raise _refuse("user JID", text)
        user, app, host, resource = found.groups()
        return cls(user_id=int(user), app_id=int(app), host=host, resource=resource)

    @property
    def bare(self) -> UserJID:
        """The address without the resource."""
        return UserJID(user_id=self.user_id, app_id=self.app_id, host=self.host)

    @property
    def login(self) -> str:
        """The user name for authentication."""
        return f"{self.user_id}-{self.app_id}"

    def __str__(self) -> str:
        bare = f"{self.user_id}-{self.app_id}@{self.host}"
        return bare if self.resource is None else f"{bare}/{self.resource}"


@frozen(kw_only=True, str=False)
class RoomJID:
    """The address of a group or public dialog's room, `{app_id}_{dialog_id}@{host}`.

    :ivar app_id: the application's id.
    :ivar dialog_id: the dialog's id, 24 hexadecimal digits.
    :ivar host: the host of the rooms.
    """

    app_id: int = field(converter=_number)
    dialog_id: str = field(converter=_dialog)
    host: str = field(default=MUC_HOST, converter=_host)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        :raises JIDError: if it is not the address of a room.
        """
        found = _ROOM(text)
        if found is None or found.group(4) is not None:
            raise _refuse("room JID", text)
        return cls(app_id=int(found.group(1)), dialog_id=found.group(2), host=found.group(3))

    def occupant(self, user_id: int) -> OccupantJID:
        """Return the address of a user in this room."""
        return OccupantJID(room=self, user_id=user_id)

    def __str__(self) -> str:
        return f"{self.app_id}_{self.dialog_id}@{self.host}"


@frozen(kw_only=True, str=False)
class OccupantJID:
    """The address of a user in a room, `{room}/{user_id}`.

    :ivar room: the room.
    :ivar user_id: the user's id, which is also the nick.
    """

    room: RoomJID
    user_id: int = field(converter=_number)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        :raises JIDError: if it is not the address of an occupant.
        """
        found = _ROOM(text)
        if found is None or found.group(4) is None:
            raise _refuse("occupant JID", text)
        room = RoomJID(app_id=int(found.group(1)), dialog_id=found.group(2), host=found.group(3))
        return cls(room=room, user_id=int(found.group(4)))

    def __str__(self) -> str:
        return f"{self.room}/{self.user_id}"


@frozen(kw_only=True, str=False)
class GroupPrivacyValue:
    """A user in all rooms, `{host}/{user_id}`, as the value of a privacy item.

    :ivar user_id: the user's id.
    :ivar host: the host of the rooms.
    """

    user_id: int = field(converter=_number)
    host: str = field(default=MUC_HOST, converter=_host)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a value.

        :raises JIDError: if it is not a value for groups.
        """
        found = _GROUP(text)
        if found is None:
            raise _refuse("privacy value for groups", text)
        return cls(user_id=int(found.group(2)), host=found.group(1))

    def __str__(self) -> str:
        return f"{self.host}/{self.user_id}"
