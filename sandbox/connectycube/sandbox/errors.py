"""How the sandbox refuses a call."""

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
    """A rule says no. REST answers with `status` and `errors`, the chat with the stanza error that fits.

    :ivar status: as REST would answer.
    :ivar errors: texts under `base` or under the name of a field (U-04).
    """

    def __init__(self, status: int, errors: Mapping[str, Sequence[str]]) -> None:
        self.status = status
        self.errors = {name: list(texts) for name, texts in errors.items()}
        super().__init__("; ".join(f"{name}: {', '.join(texts)}" for name, texts in self.errors.items()))

    def body(self) -> dict[str, dict[str, list[str]]]:
        """The answer's body."""
        return {"errors": self.errors}


class NotPlayed(Refused):
    """The sandbox doesn't play this row."""

    def __init__(self, row: str, why: str) -> None:
        super().__init__(501, {"base": [f"The sandbox does not play {row}: {why}"]})
        self.row = row


def bad_request(text: str, field: str = "base") -> Refused:
    """The request is malformed or an argument is wrong."""
    return Refused(400, {field: [text]})


def unauthorized(text: str = "Unauthorized") -> Refused:
    """The credentials are wrong."""
    return Refused(401, {"base": [text]})


def session_expired() -> Refused:
    """What SDKs know an expired session by."""
    return unauthorized("Required session does not exist")


def forbidden(text: str = "You don't have appropriate permissions to perform this operation") -> Refused:
    """The user may not do this."""
    return Refused(403, {"base": [text]})


def not_found(text: str = "The resource wasn't found") -> Refused:
    """What the call names does not exist."""
    return Refused(404, {"base": [text]})


def required(found: T | None) -> T:
    """Return what a look-up found.

    :raises Refused: 404 if it found nothing.
    """
    if found is None:
        raise not_found()
    return found


def unprocessable(field: str, text: str) -> Refused:
    """The arguments are understood but can't be accepted."""
    return Refused(422, {field: [text]})
