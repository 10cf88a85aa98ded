"""A REST call as the handlers see it, and how they are found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from ..clock import moment
from ..core import Core
from ..domain.sessions import Session
from ..errors import Refused, bad_request, session_expired
from ..filters import Condition, parse
from .document import Operation

__all__ = ["Answer", "Call", "Handler", "Routes"]

_NUMBER = re.compile(r"-?[0-9]{1,19}")
LARGEST_NUMBER = 10**9
"""No list is as long: what is larger is a mistake."""


@frozen(kw_only=True)
class Answer:
    """An answer that is more than a JSON value with the usual status."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict)


@define(kw_only=True)
class Call:
    """A request that is as the spec says."""

    core: Core
    operation: Operation
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: dict[str, Any] = field(factory=dict)
    """What stands inside the envelope, where there is one."""
    session: Session | None = None
    base_url: str = ""
    """Address that the client knows the sandbox by."""

    @property
    def user_id(self) -> int:
        """Whose call it is.

        :raises Refused: if the session is none of a user.
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
            raise bad_request(f"{name} is no number")
        found = int(text)
        if abs(found) > LARGEST_NUMBER:
            raise bad_request(f"{name} is out of range")
        return found

    def time(self, name: str) -> float | None:
        """A query parameter that is a time, in Unix seconds."""
        text = self.get(name)
        try:
            return None if text is None else moment(text)
        except ValueError as error:
            raise bad_request(f"{name} is no time") from error

    def flag(self, name: str, default: bool = False) -> bool:
        """A query parameter that is on or off."""
        text = self.get(name)
        return default if text is None else text.lower() in ("1", "true")

    def page(self, most: int | None = None, skip: str = "skip") -> tuple[int, int]:
        """How many entries to pass over, and how many to answer with."""
        limits = self.core.settings.limits
        return self.number(skip, 0), min(self.number("limit", limits.page), most or limits.largest_page)

    def numbered_page(self) -> tuple[int, int]:
        """Number and size of a page, for lists that count pages."""
        return self.number("page", 1), self.number("per_page", 10)

    def order(self, default: tuple[str, bool] | None = None) -> tuple[str, bool] | None:
        """What to sort by, and whether from the highest."""
        up, down = self.get("sort_asc"), self.get("sort_desc")
        if up is not None and down is not None:
            raise bad_request("sort_asc and sort_desc exclude each other")
        if up is None and down is None:
            return default
        return (up, False) if up is not None else (str(down), True)

    def conditions(self) -> list[Condition]:
        """The filters of the query."""
        spec = self.operation.filters
        return [] if spec is None else parse(self.query, spec)


Handler = Callable[[Call], Any]


class Routes:
    """Handlers by the id of their operation, and by further paths that SDKs use."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.aliases: list[tuple[str, str, str]] = []

    def plays(self, operation_id: str, *aliases: tuple[str, str]) -> Callable[[Handler], Handler]:
        """Marks the handler of an operation.

        :param aliases: further methods and paths.
        """

        def mark(handler: Handler) -> Handler:
            self.handlers[operation_id] = handler
            self.aliases += [(method, path, operation_id) for method, path in aliases]
            return handler

        return mark

    def include(self, others: Iterable[Routes]) -> None:
        """Take in the handlers of other modules."""
        for other in others:
            self.handlers |= other.handlers
            self.aliases += other.aliases
