"""What is known of a call by the time it is over, for the journal."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..domain.sessions import Session
from ..errors import Refused
from ..faults import RestFault
from .document import Operation

__all__ = ["SENT_PATH", "Exchanged"]

SENT_PATH = "connectycube.sent_path"
"""Where a request's scope keeps the path that it came with."""


class Exchanged:
    """A call and its answer.

    :ivar answer: what the answer says, or a word about it where that is no JSON.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.started = time.perf_counter()
        self.operation: Operation | None = None
        self.session: Session | None = None
        self.query: list[tuple[str, str]] = []
        self.body: Any = None
        self.answer: Any = None
        self.fault: RestFault | None = None
        self.owner: int | None = None
        """Whose call it is, where it has no session to tell."""

    @property
    def path(self) -> str:
        """As the client sent it: some write `.json` behind it (CR-01)."""
        return str(self.request.scope[SENT_PATH])

    @property
    def route(self) -> str:
        """In the one form that the sandbox knows it by."""
        return str(self.request.scope["path"])

    def refused(self, refused: Refused) -> JSONResponse:
        """The answer that a rule makes."""
        self.answer = refused.body()
        return JSONResponse(self.answer, refused.status)
