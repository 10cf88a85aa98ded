"""A REST call on its way through the sandbox, and the table of handlers."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..clock import moment
from ..core import Core
from ..domain.sessions import Session
from ..errors import Refused, bad_request, session_expired
from ..faults import RestFault
from ..filters import Condition, parse
from .document import Operation

__all__ = ["SENT_PATH", "Answer", "Call", "Exchanged", "Handler", "Routes"]

SENT_PATH = "connectycube.sent_path"
"""The key under which a request's scope holds the path as it was sent."""
_NUMBER = re.compile(r"-?[0-9]{1,19}")
LARGEST_NUMBER = 10**9
"""No list is this long, so larger numbers are mistakes."""


@frozen(kw_only=True)
class Answer:
    """An answer that needs another status or headers, besides its body."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict)


@define(kw_only=True)
class Call:
    """A request that has passed the checks against the spec."""

    core: Core
    operation: Operation
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: dict[str, Any] = field(factory=dict)
    """The fields of the body, inside their envelope if there is one."""
    session: Session | None = None
    base_url: str = ""
    """The address under which the client reached the sandbox."""
    vouched: str | None = None
    """The user's id at the identity provider that vouches for them."""

    @property
    def user_id(self) -> int:
        """The user of the session.

        :raises Refused: if the session has no user.
        """
        if self.session is None:
            raise session_expired()
        if self.session.user_id is None:
            status = 403 if 403 in self.operation.statuses else 401
            raise Refused(status, {"base": ["A session of a user is required"]})
        return self.session.user_id

    def get(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return next((text for key, text in reversed(self.query) if key == name), None)

    def texts(self, name: str) -> list[str] | None:
        """A query parameter that is a list, with commas or repeated."""
        found = [text for key, text in self.query if key == name]
        return [part for text in found for part in text.split(",") if part] if found else None

    def number(self, name: str, default: int) -> int:
        text = self.get(name)
        if text is None:
            return default
        if not _NUMBER.fullmatch(text):
            raise bad_request(f"{name} is not a number")
        found = int(text)
        if abs(found) > LARGEST_NUMBER:
            raise bad_request(f"{name} is out of range")
        return found

    def time(self, name: str) -> float | None:
        """Return a time parameter in Unix seconds."""
        text = self.get(name)
        try:
            return None if text is None else moment(text)
        except ValueError as error:
            raise bad_request(f"{name} is not a time") from error

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a parameter that is on or off."""
        text = self.get(name)
        return default if text is None else text.lower() in ("1", "true")

    def page(self, skip: str = "skip") -> tuple[int, int]:
        """Return how many entries to skip, and how many to answer with."""
        limits = self.core.settings.limits
        return self.number(skip, 0), min(self.number("limit", limits.page), limits.largest_page)

    def numbered_page(self) -> tuple[int, int]:
        """Return the number and size of a page, for lists that count pages."""
        return self.number("page", 1), min(self.number("per_page", 10), self.core.settings.limits.largest_page)

    def order(self, default: tuple[str, bool] | None = None) -> tuple[str, bool] | None:
        """Return the field to sort by, and whether to sort descending."""
        up, down = self.get("sort_asc"), self.get("sort_desc")
        if up is not None and down is not None:
            raise bad_request("sort_asc and sort_desc exclude each other")
        if up is None and down is None:
            return default
        return (up, False) if up is not None else (str(down), True)

    def conditions(self) -> list[Condition]:
        """Return the filters of the query."""
        spec = self.operation.filters
        return [] if spec is None else parse(self.query, spec)


class Exchanged:
    """What the journal records of a call and its answer.

    :ivar answer: the answer's JSON, or a description of another kind of content.
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
        """The user it belongs to, if there is no session to tell."""

    @property
    def path(self) -> str:
        """The path as the client sent it, which may end in `.json` (CR-01)."""
        return str(self.request.scope[SENT_PATH])

    @property
    def route(self) -> str:
        """The path in the form that the routes have."""
        return str(self.request.scope["path"])

    def refused(self, refused: Refused) -> JSONResponse:
        """Build the answer for a refusal."""
        self.answer = refused.body()
        return JSONResponse(self.answer, refused.status)


Handler = Callable[[Call], Any]
Preparation = Callable[[Call], Awaitable[None]]


class Routes:
    """Handlers by operation id, and the extra paths that SDKs use."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.preparations: dict[str, Preparation] = {}
        self.aliases: list[tuple[str, str, str]] = []

    def plays(self, operation_id: str, *aliases: tuple[str, str]) -> Callable[[Handler], Handler]:
        """Register the decorated function as an operation's handler.

        :param aliases: extra methods and paths for it.
        """

        def mark(handler: Handler) -> Handler:
            self.handlers[operation_id] = handler
            self.aliases += [(method, path, operation_id) for method, path in aliases]
            return handler

        return mark

    def prepares(self, operation_id: str) -> Callable[[Preparation], Preparation]:
        """Register the decorated coroutine to run before an operation's handler, outside its transaction."""

        def mark(preparation: Preparation) -> Preparation:
            self.preparations[operation_id] = preparation
            return preparation

        return mark

    def include(self, others: Iterable[Routes]) -> None:
        """Add the handlers of other modules."""
        for other in others:
            self.handlers |= other.handlers
            self.preparations |= other.preparations
            self.aliases += other.aliases
