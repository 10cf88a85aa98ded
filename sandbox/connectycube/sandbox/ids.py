"""Ids and secrets that the platform assigns."""

from __future__ import annotations

import re
import secrets

from .clock import Clock

__all__ = ["ObjectIds", "is_object_id", "new_token", "new_uid"]

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


class ObjectIds:
    """Creates ids of 24 hex digits that sort by time: 8 of the time, 10 random ones, 6 of a counter."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chance = secrets.token_hex(5)
        self._counter = secrets.randbelow(1 << 20)

    def new(self) -> str:
        """Return an id."""
        self._counter = (self._counter + 1) & 0xFFFFFF
        return f"{self._clock.seconds() & 0xFFFFFFFF:08x}{self._chance}{self._counter:06x}"


def is_object_id(text: str) -> bool:
    """Return whether a text has the form of a dialog's, message's or record's id."""
    return _OBJECT_ID.fullmatch(text) is not None


def new_token() -> str:
    """Return a token for a session."""
    return secrets.token_hex(20)


def new_uid() -> str:
    """Return a file's uid: 32 hex digits, the first of which is a letter, so that it never looks like a file's id."""
    return f"{secrets.choice('abcdef')}{secrets.token_hex(16)[1:]}"
