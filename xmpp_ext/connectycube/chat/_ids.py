"""Ids of messages, requests, users and dialogs, and the addresses that carry them (section 3.1 of the facts).

A chat meets the same few addresses again and again, so building and parsing them is cached.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic, NamedTuple, TypeVar

from attrs import frozen

from connectycube.rest import InvalidArgument
from connectycube.stanzas import JIDError, RoomJID, UserJID

__all__ = ["Addresses", "IdMaker", "Recent", "Sender", "bare", "checked_user_id", "is_object_id"]

K = TypeVar("K")
V = TypeVar("V")

BLOCK: Final = 512
"""Ids for which random digits are drawn at once."""

is_object_id = re.compile(r"[0-9a-fA-F]{24}").fullmatch
is_user_id = re.compile(r"[1-9][0-9]{0,18}").fullmatch


class IdMaker:
    """Makes ids that nobody can predict, even from those already seen.

    Random digits are drawn in blocks, because a system call for each id would cost more than the rest of it.
    """

    __slots__ = ()

    def message(self) -> str:
        """Return the id of a new message: 24 hexadecimal digits, 8 for the time and 16 random ones."""
        return f"{int(time.time()):08x}{self.request()}"

    def request(self) -> str:
        """Return the id of a new request: 16 random hexadecimal digits."""
        try:
            return _random.pop()
        except IndexError:
            digits = os.urandom(8 * BLOCK).hex()
            _random.extend(digits[start : start + 16] for start in range(16, len(digits), 16))
            return digits[:16]


_random: list[str] = []
if hasattr(os, "register_at_fork"):  # Otherwise parent and child would use the same ids.
    os.register_at_fork(after_in_child=_random.clear)


class Recent(Generic[K, V]):
    """A mapping of the last `size` keys added."""

    __slots__ = ("_oldest", "_order", "_size", "_values", "get")

    def __init__(self, size: int) -> None:
        self._size = size
        self._order: list[K] = []
        """A ring, once it is full. Chats have several of these, and even an empty deque takes 600 bytes."""
        self._oldest = 0
        self._values: dict[K, V] = {}
        self.get = self._values.get

    def put(self, key: K, value: V) -> None:
        """Set the value of a key. A key that is known already keeps its age."""
        values = self._values
        if key not in values:
            order = self._order
            if len(order) < self._size:
                order.append(key)
            else:
                oldest = self._oldest
                del values[order[oldest]]
                order[oldest] = key
                self._oldest = (oldest + 1) % self._size
        values[key] = value


# -- from ids to addresses


class Sender(NamedTuple):
    """Whom an address belongs to.

    :ivar user_id: the user, in a room the occupant; `None` if it is not a user of the application.
    :ivar dialog_id: the dialog of a room; `None` outside of rooms.
    :ivar identity: what tells senders apart: the user's id, or the full address if there is none.
    """

    user_id: int | None
    dialog_id: str | None
    identity: int | str | None


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

    @property
    def sender(self) -> Callable[[str | None], Sender]:
        """A function that returns whom an address belongs to. In a room, its occupants' names are user ids."""
        return _senders(self.app_id, self.host, self.muc_host)

    def user_of(self, jid: str | None) -> int | None:
        """Return the user's id, or `None` if the address does not belong to a user of this application and host."""
        sender = self.sender(jid)
        return sender.user_id if sender.dialog_id is None else None

    def room_of(self, jid: str | None) -> tuple[str, int | None] | None:
        """Return the dialog and occupant of an address, or `None` if it does not belong to a room of this application.

        The occupant is `None` for the room itself, and for a name that is not a user id.
        """
        sender = self.sender(jid)
        return None if sender.dialog_id is None else (sender.dialog_id, sender.user_id)


@lru_cache(maxsize=4096)
def _user_jid(user_id: int, app_id: int, host: str) -> str:
    return str(UserJID(user_id=user_id, app_id=app_id, host=host))


@lru_cache(maxsize=4096)
def _room_jid(dialog_id: str, app_id: int, host: str) -> str:
    return str(RoomJID(app_id=app_id, dialog_id=dialog_id, host=host))


def checked_user_id(user_id: object, name: str = "user_id") -> int:
    """Return the id of a user if it is valid.

    :param name: the argument to name in an error.
    :raises InvalidArgument: if it is not.
    """
    if isinstance(user_id, bool) or not isinstance(user_id, int) or not 0 < user_id < 10**19:
        raise InvalidArgument(name, f"must be a positive whole number, not {user_id!r}")
    return user_id


# -- from addresses to ids


def bare(jid: str) -> str:
    """Return an address without its resource."""
    return jid.partition("/")[0]


@lru_cache(maxsize=16)
def _senders(app_id: int, host: str, muc_host: str) -> Callable[[str | None], Sender]:
    """Return the function of an application's addresses. Its chats share the cache, keyed by the JID alone."""

    @lru_cache(maxsize=4096)
    def sender(jid: str | None) -> Sender:
        if jid is None:
            return Sender(None, None, None)
        address, _, name = jid.partition("/")
        address = address.lower()
        # Compared as a whole: the same number with a leading zero, at another host or in another application belongs to
        # someone else.
        try:
            if "_" in address:
                room = RoomJID.parse(address)
                if address == f"{app_id}_{room.dialog_id}@{muc_host}":
                    user_id = int(name) if is_user_id(name) else None
                    return Sender(user_id, room.dialog_id, jid if user_id is None else user_id)
            else:
                user = UserJID.parse(address)
                if address == f"{user.user_id}-{app_id}@{host}":
                    return Sender(user.user_id, None, user.user_id)
        except JIDError:
            return Sender(None, None, jid)
        return Sender(None, None, jid)

    return sender
