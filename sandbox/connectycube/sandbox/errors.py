"""Errors with which the sandbox refuses a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

__all__ = [
    "NotPlayed",
    "Refused",
    "bad_request",
    "forbidden",
    "not_found",
    "required",
    "session_expired",
    "unauthorized",
    "unprocessable",
]


class Refused(Exception):
    """A rule forbids something. REST answers with `status` and `errors`, the chat with a matching stanza error.

    :ivar status: the HTTP status.
    :ivar errors: texts by the name of a field, or by `base` (U-04).
    """

    def __init__(self, status: int, errors: Mapping[str, Sequence[str]]) -> None:
        self.status = status
        self.errors = {name: list(texts) for name, texts in errors.items()}
        super().__init__("; ".join(f"{name}: {', '.join(texts)}" for name, texts in self.errors.items()))

    def body(self) -> dict[str, dict[str, list[str]]]:
        """Return the answer's body."""
        return {"errors": self.errors}


class NotPlayed(Refused):
    """The sandbox doesn't simulate this call."""

    def __init__(self, row: str, why: str) -> None:
        super().__init__(501, {"base": [f"The sandbox does not simulate {row}: {why}"]})
        self.row = row


def bad_request(text: str, field: str = "base") -> Refused:
    """Return a 400: the request is malformed, or an argument is invalid."""
    return Refused(400, {field: [text]})


def unauthorized(text: str = "Unauthorized") -> Refused:
    """Return a 401: the credentials are wrong."""
    return Refused(401, {"base": [text]})


def session_expired() -> Refused:
    """Return the 401 by which SDKs recognize an expired session."""
    return unauthorized("Required session does not exist")


def forbidden(text: str = "You don't have appropriate permissions to perform this operation") -> Refused:
    """Return a 403: the user may not do this."""
    return Refused(403, {"base": [text]})


def not_found(text: str = "The resource wasn't found") -> Refused:
    """Return a 404: what the call names doesn't exist."""
    return Refused(404, {"base": [text]})


def required(found: T | None) -> T:
    """Return the result of a look-up.

    :raises Refused: 404 if there is none.
    """
    if found is None:
        raise not_found()
    return found


def unprocessable(field: str, text: str) -> Refused:
    """Return a 422: an argument is understood, but can't be accepted."""
    return Refused(422, {field: [text]})
