"""Timers that follow the sandbox's clock, whether time passes or a test moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define

from ..clock import Clock

__all__ = ["Alarm", "Alarms"]

LONGEST = 3600.0
SHORTEST = 0.01


@define(eq=False)
class Alarm:
    """One timer."""

    due: float
    ring: Callable[[], None]
    _alarms: set[Alarm]
    handle: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Stop the timer."""
        self._alarms.discard(self)
        if self.handle is not None:
            self.handle.cancel()


class Alarms:
    """All timers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarms: set[Alarm] = set()
        self._end = clock.on_move(self._moved)

    def set(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """Call a function once, when the sandbox's clock has advanced."""
        alarm = Alarm(self._clock.now() + seconds, ring, self._alarms)
        self._alarms.add(alarm)
        self._look(alarm)
        return alarm

    def close(self) -> None:
        """Stop every timer."""
        self._end()
        for alarm in list(self._alarms):
            alarm.cancel()

    def _moved(self, now: float) -> None:
        for alarm in sorted(self._alarms, key=lambda one: one.due):
            if alarm in self._alarms:
                self._look(alarm)

    def _look(self, alarm: Alarm) -> None:
        """Ring if the time has come, else look again after some real time."""
        left = alarm.due - self._clock.now()
        if left <= 0:
            alarm.cancel()
            alarm.ring()
            return
        if alarm.handle is not None:
            alarm.handle.cancel()
        delay = min(max(left, SHORTEST), LONGEST)
        alarm.handle = asyncio.get_running_loop().call_later(delay, self._look, alarm)
