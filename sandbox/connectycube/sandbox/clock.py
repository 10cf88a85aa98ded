"""The sandbox's time, which tests can change."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Final

JAVASCRIPT_DATE = "%a %b %d %Y %H:%M:%S GMT%z"
"""The beginning of JavaScript's `String(date)`."""

__all__ = ["Clock", "iso", "moment"]

Listener = Callable[[float], None]


class Clock:
    """Unix time as the sandbox sees it: the system's time with an offset, or a frozen time."""

    def __init__(self, system: Callable[[], float] = time.time) -> None:
        self._system: Final = system
        self._offset = 0.0
        self._frozen: float | None = None
        self._listeners: list[Listener] = []

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return self._frozen if self._frozen is not None else self._system() + self._offset

    def seconds(self) -> int:
        """Return the time in whole Unix seconds, the form of `date_sent`."""
        return int(self.now())

    def advance(self, seconds: float) -> None:
        """Move the time forward.

        :raises ValueError: if it would go back; use `set` for that.
        """
        if seconds < 0:
            raise ValueError("advance() can't go back, use set()")
        self.set(self.now() + seconds)

    def set(self, when: float | dt.datetime) -> None:
        """Set the time. The clock continues from there, unless it is frozen."""
        target = when.timestamp() if isinstance(when, dt.datetime) else float(when)
        if self._frozen is not None:
            self._frozen = target
        else:
            self._offset = target - self._system()
        for listener in list(self._listeners):
            listener(target)

    def freeze(self) -> None:
        """Stop the clock. `advance` and `set` still change the time."""
        self._frozen = self.now()

    def unfreeze(self) -> None:
        """Let a frozen clock continue."""
        if self._frozen is not None:
            self._offset = self._frozen - self._system()
            self._frozen = None

    def reset(self) -> None:
        """Return to the system's time."""
        self._frozen = None
        self._offset = 0.0

    def on_move(self, listener: Listener) -> Callable[[], None]:
        """Call a function with the new time whenever the clock is set or advanced.

        :returns: a function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def iso(seconds: float | None) -> str | None:
    """Return the platform's ISO 8601 form of a Unix time."""
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """Return the Unix time of an ISO 8601 text, a number, or a date as the JavaScript SDK writes it in a filter.

    :raises ValueError: if it has another form.
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
    # Some clients send milliseconds (CX-07).
    return number / 1000 if abs(number) > 1e11 else number
