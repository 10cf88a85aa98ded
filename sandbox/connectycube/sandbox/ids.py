"""Ids and secrets that the platform hands out."""

from __future__ import annotations

import re
import secrets

from .clock import Clock

__all__ = ["ObjectIds", "is_object_id", "new_token", "new_uid"]

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


class ObjectIds:
    """Makes 24-hex ids that sort by time: 8 digits of time, 10 of chance, 6 of a counter."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chance = secrets.token_hex(5)
        self._counter = secrets.randbelow(1 << 20)

    def new(self) -> str:
        self._counter = (self._counter + 1) & 0xFFFFFF
        return f"{self._clock.seconds() & 0xFFFFFFFF:08x}{self._chance}{self._counter:06x}"


def is_object_id(text: str) -> bool:
    """Whether a text has the form of an id of a dialog, message or record."""
    return _OBJECT_ID.fullmatch(text) is not None


def new_token() -> str:
    """A session's token."""
    return secrets.token_hex(20)


def new_uid() -> str:
    """A file's uid: 32 hex digits of which the first is a letter, so that it is never taken for a file's id."""
    return f"{secrets.choice('abcdef')}{secrets.token_hex(16)[1:]}"
