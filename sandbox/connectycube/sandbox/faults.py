"""Failures on demand, for testing how a client copes with them.

All methods may be called from any thread.
"""

from __future__ import annotations

import math
import threading
from typing import Literal

from attrs import define

__all__ = ["ChatFaults", "Faults", "RestFault"]


@define(kw_only=True)
class RestFault:
    """A failure of the next matching REST calls.

    :ivar action: `status` answers with a status, `drop` breaks the connection without an answer, `delay` answers late.
    """

    action: Literal["status", "drop", "delay"]
    times: int = 1
    status: int = 503
    retry_after: int | None = None
    seconds: float = 0.0
    method: str | None = None
    path: str | None = None
    """The beginning of the path, without suffix."""

    def fits(self, method: str, path: str) -> bool:
        """Return whether a call matches."""
        return (self.method is None or self.method.upper() == method) and (
            self.path is None or path.startswith(self.path)
        )

    def __str__(self) -> str:
        match self.action:
            case "status":
                return f"answered with {self.status}"
            case "drop":
                return "connection dropped"
            case _:
                return f"delayed by {self.seconds} s"


@define(kw_only=True)
class ChatFaults:
    """Failures of the chat, which reads them and counts down those with a number of times."""

    refuse_resume: int = 0
    """How many stream resumptions to refuse."""
    refuse_auth: int = 0
    """How many logins to refuse, whatever the password."""
    delay: float = 0.0
    """Seconds by which to delay each stanza to a client."""
    drop_next: int = 0
    """How many of the next stanzas from clients to answer by breaking the connection."""


class Faults:
    """All pending failures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rest: list[RestFault] = []
        self.chat = ChatFaults()

    def fail_next(
        self,
        status: int,
        times: int = 1,
        *,
        method: str | None = None,
        path: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Answer the next REST calls with a status such as 429 or 503.

        :param method: only calls with this method.
        :param path: only calls whose path begins with this.
        :param retry_after: seconds for the header `Retry-After`.
        :raises ValueError: if the status is not 400 to 599.
        """
        if not 400 <= status <= 599:
            raise ValueError(f"{status} is not an error status (400 to 599)")
        self._add(
            RestFault(action="status", times=times, status=status, retry_after=retry_after, method=method, path=path)
        )

    def drop_next(self, times: int = 1, *, method: str | None = None, path: str | None = None) -> None:
        """Break the connections of the next REST calls without an answer."""
        self._add(RestFault(action="drop", times=times, method=method, path=path))

    def delay_next(self, seconds: float, times: int = 1, *, method: str | None = None, path: str | None = None) -> None:
        """Answer the next REST calls late."""
        self._add(RestFault(action="delay", times=times, seconds=seconds, method=method, path=path))

    def _add(self, fault: RestFault) -> None:
        if fault.times < 1 or not 0 <= fault.seconds < math.inf:
            raise ValueError("times must be at least 1, and seconds finite and not negative")
        with self._lock:
            self._rest.append(fault)

    def take(self, method: str, path: str) -> RestFault | None:
        """Return and count down the failure of a REST call, if there is one."""
        with self._lock:
            for fault in self._rest:
                if fault.fits(method, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._rest.remove(fault)
                    return fault
        return None

    def take_chat(self, name: Literal["refuse_resume", "refuse_auth", "drop_next"]) -> bool:
        """Return whether a counted chat failure is due, and count it down."""
        with self._lock:
            left: int = getattr(self.chat, name)
            if left > 0:
                setattr(self.chat, name, left - 1)
            return left > 0

    def pending(self) -> list[RestFault]:
        """Return the REST failures that have not happened yet."""
        with self._lock:
            return list(self._rest)

    def clear(self) -> None:
        """Remove all failures."""
        with self._lock:
            self._rest.clear()
            self.chat = ChatFaults()
