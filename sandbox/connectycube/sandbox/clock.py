"""The sandbox's time, which a test can move."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Final

JAVASCRIPT_DATE = "%a %b %d %Y %H:%M:%S GMT%z"
"""What JavaScript's `String(date)` begins with."""

__all__ = ["Clock", "iso", "moment"]

Listener = Callable[[float], None]


class Clock:
    """Unix time as the sandbox sees it: the system's, moved by what tests ask for, or standing still."""

    def __init__(self, system: Callable[[], float] = time.time) -> None:
        self._system: Final = system
        self._offset = 0.0
        self._frozen: float | None = None
        self._listeners: list[Listener] = []

    def now(self) -> float:
        """Unix seconds."""
        return self._frozen if self._frozen is not None else self._system() + self._offset

    def seconds(self) -> int:
        """Whole Unix seconds, the form of `date_sent` and its like."""
        return int(self.now())

    def advance(self, seconds: float) -> None:
        """Move on.

        :raises ValueError: if it is to go back: `set` does that.
        """
        if seconds < 0:
            raise ValueError("the clock goes back only by set()")
        self.set(self.now() + seconds)

    def set(self, when: float | dt.datetime) -> None:
        """Go to a time; the clock runs on from there unless it is frozen."""
        target = when.timestamp() if isinstance(when, dt.datetime) else float(when)
        if self._frozen is not None:
            self._frozen = target
        else:
            self._offset = target - self._system()
        for listener in list(self._listeners):
            listener(target)

    def freeze(self) -> None:
        """Stand still; `advance` and `set` still move it."""
        self._frozen = self.now()

    def unfreeze(self) -> None:
        """Run again from where it stands."""
        if self._frozen is not None:
            self._offset = self._frozen - self._system()
            self._frozen = None

    def reset(self) -> None:
        """Show the system's time."""
        self._frozen = None
        self._offset = 0.0

    def on_move(self, listener: Listener) -> Callable[[], None]:
        """Have a function called with the new time whenever the clock is moved, not as it runs.

        :returns: what ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def iso(seconds: float | None) -> str | None:
    """ISO 8601 text of a Unix time, as the platform writes it."""
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """Unix seconds of an ISO 8601 text, a number, or a date as JavaScript's SDK writes it into a filter of users.

    :raises ValueError: if it is none of these.
    """
    try:
        number = float(text)
    except ValueError:
        try:
            if " GMT" in text:
                return dt.datetime.strptime(text.partition(" (")[0], JAVASCRIPT_DATE).timestamp()
            found = dt.datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
        except OverflowError as error:
            raise ValueError(f"{text!r} is out of range") from error
    if not -1e15 < number < 1e15:
        raise ValueError(f"{text!r} is out of range")
    # Milliseconds where a client sends them (CX-07).
    return number / 1000 if abs(number) > 1e11 else number
