"""Back-pressure: what consumers have not taken yet is bounded, by reading less from the socket.

A queue that has grown too large (`_bus.BOUND`) stops the reading, unless the chat waits for an answer: acknowledgements
come over the same socket, and a handler that waits for one would wait forever. At twice the bound even that stops. As
long as nothing is read, the server gets no acknowledgements from here, so a consumer that takes nothing for a while
does not hold up the chat any longer: its oldest events are dropped until it takes one again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from .. import _bus
from .._bus import Queue
from .stream import Stream
from .traffic import Traffic

__all__ = ["Flow"]

logger = logging.getLogger("connectycube.chat")

INTERVAL: Final = 0.05
"""Seconds between two looks at the queues, while one is too large."""
PATIENCE: Final = 30.0
"""Seconds without taking an event after which a consumer counts as gone. Servers wait a minute for acknowledgements."""


class Flow:
    """Stops and resumes reading from the socket of a chat."""

    __slots__ = ("_full", "_loop", "_stopped", "_traffic")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._full: dict[Queue[Any], tuple[int, float]] = {}
        """For each queue that is too large how many events were taken from it, and when the last one was."""
        self._stopped: Stream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        traffic.bus.on_full = self.watch

    def watch(self, queue: Queue[Any]) -> None:
        """Hold back the socket until a queue that is too large has shrunk."""
        loop = self._traffic.loop
        if not self._full or self._loop is not loop:  # The previous loop may have been closed before the next look.
            self._loop = loop
            loop.call_soon(self._look)
        elif queue in self._full:
            return
        self._full[queue] = (queue.taken, loop.time())
        logger.info("%s is slow: less is read from the server until it has caught up", queue.name)

    def _look(self) -> None:
        loop = self._traffic.loop
        now = loop.time()
        for queue, (taken, since) in list(self._full.items()):
            if queue.size <= _bus.BOUND // 2:
                del self._full[queue]
            elif queue.taken != taken:
                self._full[queue] = (queue.taken, now)
            elif now - since >= PATIENCE:
                queue.abandoned = True
                del self._full[queue]
        self._set(self._is_to_stop())
        if self._stopped is not None:
            self._stopped.last_data = now  # The silence is ours, not the server's.
        if self._full:
            loop.call_later(INTERVAL, self._look)

    def _is_to_stop(self) -> bool:
        if not self._full or not self._traffic.online:
            return False
        waits = bool(self._traffic.outbox.pending or self._traffic.requests.pending)
        return not waits or any(queue.size >= 2 * _bus.BOUND for queue in self._full)

    def _set(self, stop: bool) -> None:
        stream = self._traffic.stream if stop else None
        if stream is self._stopped:
            return
        if self._stopped is not None:
            self._stopped.release("consumers")
        self._stopped = stream
        if stream is not None:
            stream.hold("consumers")
