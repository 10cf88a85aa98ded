"""Ids: of messages as the platform has them, and of requests; and a window of ids that were seen."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from itertools import count

__all__ = ["IdMaker", "Window", "is_object_id"]

is_object_id = re.compile(r"[0-9a-fA-F]{24}").fullmatch


class IdMaker:
    """Makes ids of 24 hexadecimal digits: 8 of the time, 10 at random, 6 that count (3.1 of the facts)."""

    __slots__ = ("_number", "_random")

    def __init__(self) -> None:
        self._random = os.urandom(5).hex()
        self._number = count(int.from_bytes(os.urandom(3)))

    def message(self) -> str:
        """The id of a new message."""
        return f"{int(time.time()):08x}{self._random}{next(self._number) & 0xFFFFFF:06x}"

    def request(self) -> str:
        """The id of a new request, unique on this chat."""
        return f"{self._random}{next(self._number):x}"


class Window:
    """The last ids that were seen, at most `size` of them (U-36)."""

    __slots__ = ("_order", "_seen", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._order: deque[object] = deque()
        self._seen: set[object] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._seen

    def add(self, key: object) -> bool:
        """Note an id.

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
