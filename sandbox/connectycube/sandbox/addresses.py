"""JIDs, and what they mean on this platform (RFC 7622, facts 3.1)."""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import frozen

from .config import Settings

__all__ = ["Addresses", "Jid"]

_JID = re.compile(
    r"(?:([^\x00-\x20\"&'/:<>@\x7f]{1,1023})@)?([^\x00-\x20\"&'/<>@\x7f]{1,1023})(?:/([^\x00-\x1f\x7f]{1,1023}))?"
).fullmatch
_USER = re.compile(r"([0-9]{1,18})-([0-9]{1,18})").fullmatch
_ROOM = re.compile(r"([0-9]{1,18})_([0-9a-f]{24})").fullmatch


@frozen
class Jid:
    """An address in its three parts."""

    local: str | None
    domain: str
    resource: str | None = None

    @staticmethod
    def parse(text: str) -> Jid:
        """Parse an address, lowercasing its domain.

        :raises ValueError: if it is malformed.
        """
        return _parse(text)

    @property
    def bare(self) -> str:
        """The address without its resource."""
        return self.domain if self.local is None else f"{self.local}@{self.domain}"

    def __str__(self) -> str:
        return self.bare if self.resource is None else f"{self.bare}/{self.resource}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Jid:
    """Parse with a cache, because a chat sees the same few addresses again and again."""
    found = _JID(text)
    if found is None:
        raise ValueError("not a JID")
    local, domain, resource = found.groups()
    return Jid(local, domain.lower().removesuffix("."), resource)


class Addresses:
    """Converts between JIDs and the ids of users and dialogs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.host = settings.chat_host.lower()
        self.muc_host = settings.muc_host.lower()

    def user_id(self, jid: Jid) -> int | None:
        """Return the user of an address, or `None` if it is not a user's of this application."""
        found = None if jid.local is None or jid.domain != self.host else _USER(jid.local)
        return None if found is None or int(found[2]) != self._settings.app_id else int(found[1])

    def dialog_id(self, jid: Jid) -> str | None:
        """Return the dialog of a room's address, or `None` if it is not a room of this application."""
        found = None if jid.local is None or jid.domain != self.muc_host else _ROOM(jid.local.lower())
        return None if found is None or int(found[1]) != self._settings.app_id else found[2]

    def login(self, name: str) -> tuple[int, int] | None:
        """Return the user and application in a login name, or `None` if it has another form."""
        found = _USER(name)
        return None if found is None else (int(found[1]), int(found[2]))

    def user(self, user_id: int) -> str:
        """Return a user's bare JID."""
        return self._settings.user_jid(user_id)

    def room(self, dialog_id: str) -> str:
        """Return the JID of a dialog's room."""
        return self._settings.room_jid(dialog_id)

    def occupant(self, dialog_id: str, user_id: int) -> str:
        """Return the JID of a user in a dialog's room, where the nick is the user's id."""
        return f"{self.room(dialog_id)}/{user_id}"
