"""Timers by the sandbox's clock: they ring when it gets there, be it that time passes or that a test moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..clock import Clock

__all__ = ["Alarm", "Alarms"]

LONGEST = 3600.0
SHORTEST = 0.01


class Alarm:
    """One timer."""

    def __init__(self, alarms: Alarms, due: float, ring: Callable[[], None]) -> None:
        self.due = due
        self.ring = ring
        self._alarms = alarms
        self._handle: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """Look at the clock again after some real time."""
        self.stop()
        delay = min(max(seconds, SHORTEST), LONGEST)
        self._handle = asyncio.get_running_loop().call_later(delay, self._alarms.look, self)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def cancel(self) -> None:
        """Don't ring any more."""
        self._alarms.forget(self)


class Alarms:
    """All timers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarms: set[Alarm] = set()
        self._end = clock.on_move(self._moved)

    def set(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """Have a function called once, after some time of the sandbox's."""
        alarm = Alarm(self, self._clock.now() + seconds, ring)
        self._alarms.add(alarm)
        alarm.wait(seconds)
        return alarm

    def look(self, alarm: Alarm) -> None:
        """Ring if it is time."""
        if alarm not in self._alarms:
            return
        left = alarm.due - self._clock.now()
        if left > 0:
            alarm.wait(left)
        else:
            self.forget(alarm)
            alarm.ring()

    def forget(self, alarm: Alarm) -> None:
        alarm.stop()
        self._alarms.discard(alarm)

    def close(self) -> None:
        """Let nothing ring any more."""
        self._end()
        for alarm in list(self._alarms):
            self.forget(alarm)

    def _moved(self, now: float) -> None:
        for alarm in sorted(self._alarms, key=lambda one: one.due):
            self.look(alarm)
