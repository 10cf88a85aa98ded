"""Ids of messages, requests, users and dialogs, and the addresses that carry them (section 3.1 of the facts).

A chat meets the same few addresses again and again, so building and parsing them is cached.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from functools import lru_cache
from itertools import count

from attrs import frozen

from connectycube.rest import InvalidArgument
from connectycube.stanzas import JIDError, OccupantJID, RoomJID, UserJID

__all__ = ["Addresses", "IdMaker", "Window", "bare", "checked_user_id", "is_object_id", "room_of", "user_of"]

is_object_id = re.compile(r"[0-9a-fA-F]{24}").fullmatch


class IdMaker:
    """Makes ids of 24 hexadecimal digits: 8 for the time, 10 random ones, 6 that count up."""

    __slots__ = ("_counter", "_random")

    def __init__(self) -> None:
        self._random = os.urandom(5).hex()
        self._counter = count(int.from_bytes(os.urandom(3)))

    def message(self) -> str:
        """Return the id of a new message."""
        return f"{int(time.time()):08x}{self._random}{next(self._counter) & 0xFFFFFF:06x}"

    def request(self) -> str:
        """Return the id of a new request, unique within this chat."""
        return f"{self._random}{next(self._counter):x}"


class Window:
    """The last `size` ids seen."""

    __slots__ = ("_order", "_seen", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._order: deque[object] = deque()
        self._seen: set[object] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._seen

    def add(self, key: object) -> bool:
        """Add an id.

        :returns: whether it is new.
        """
        seen = self._seen
        if key in seen:
            return False
        seen.add(key)
        order = self._order
        order.append(key)
        if len(order) > self._size:
            seen.discard(order.popleft())
        return True


# -- from ids to addresses


@frozen
class Addresses:
    """The addresses of an application's users and rooms."""

    app_id: int
    host: str
    muc_host: str

    def user(self, user_id: int) -> str:
        """Return the bare JID of a user.

        :raises InvalidArgument: if the id is not valid.
        """
        return _user_jid(checked_user_id(user_id), self.app_id, self.host)

    def room(self, dialog_id: str) -> str:
        """Return the JID of a dialog's room.

        :raises InvalidArgument: if the id is not valid.
        """
        try:
            return _room_jid(dialog_id, self.app_id, self.muc_host)
        except JIDError as error:
            raise InvalidArgument("dialog_id", f"is not a valid dialog id: {error.problem}") from error


@lru_cache(maxsize=4096)
def _user_jid(user_id: int, app_id: int, host: str) -> str:
    return str(UserJID(user_id=user_id, app_id=app_id, host=host))


@lru_cache(maxsize=4096)
def _room_jid(dialog_id: str, app_id: int, host: str) -> str:
    return str(RoomJID(app_id=app_id, dialog_id=dialog_id, host=host))


def checked_user_id(user_id: object) -> int:
    """Return the id of a user if it is valid.

    :raises InvalidArgument: if it is not.
    """
    if isinstance(user_id, bool) or not isinstance(user_id, int) or not 0 < user_id < 10**19:
        raise InvalidArgument("user_id", f"must be a positive whole number, not {user_id!r}")
    return user_id


# -- from addresses to ids


def bare(jid: str) -> str:
    """Return an address without its resource."""
    return jid.partition("/")[0]


@lru_cache(maxsize=4096)
def user_of(jid: str | None) -> int | None:
    """Return the user's id, or `None` if the address does not belong to a user."""
    if jid is None:
        return None
    try:
        return UserJID.parse(jid).user_id
    except JIDError:
        return None


@lru_cache(maxsize=4096)
def room_of(jid: str | None) -> tuple[str, int | None] | None:
    """Return the dialog and occupant of an address, or `None` if it does not belong to a room."""
    if jid is None:
        return None
    try:
        if "/" in jid:
            occupant = OccupantJID.parse(jid)
            return occupant.room.dialog_id, occupant.user_id
        return RoomJID.parse(jid).dialog_id, None
    except JIDError:
        return None
