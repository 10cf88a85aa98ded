"""What a server refuses, at whatever step."""

from __future__ import annotations

from ..machines.connection import Reason

__all__ = ["Refusal"]


class Refusal(Exception):
    """The server refused, or offers nothing that this client may use.

    :ivar reason: the kind of failure.
    :ivar condition: the server's error condition; empty without one.
    """

    def __init__(self, reason: Reason, problem: str, condition: str = "") -> None:
        super().__init__(problem)
        self.reason = reason
        self.condition = condition
