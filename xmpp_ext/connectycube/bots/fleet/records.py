"""What the streams hold, as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, cast

import msgspec

import connectycube.chat
import connectycube.rest
from connectycube.rest import ConnectyCubeError

__all__ = [
    "FailedItem",
    "Inbound",
    "Outbound",
    "Problem",
    "Request",
    "decode_failed",
    "decode_inbound",
    "decode_outbound",
    "decode_problem",
    "decode_request",
    "encode_record",
    "error_of",
    "problem_of",
]

PLAIN: Final = (str, int, float, type(None))


class Inbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that waits to be handled.

    :ivar account: the name of the account that received it.
    :ivar user_id: that account's user id.
    :ivar key: what all of its copies have in common.
    :ivar dialog: messages of an account with the same value are handled in order.
    :ivar message: the `ChatMessage`.
    :ivar from_history: whether it was read from the history.
    :ivar retried: how often it was taken from the failures.
    :ivar trace: the trace it belongs to, as W3C `traceparent`.
    """

    account: str
    user_id: int
    key: str
    dialog: str
    message: msgspec.Raw
    from_history: bool = False
    retried: int = 0
    trace: str | None = None


class Outbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply that waits to be sent.

    :ivar account: the name of the account that sends it.
    :ivar id: its message id.
    :ivar dialog: replies of an account with the same value are sent in order.
    :ivar content: the bot's `Content`.
    :ivar worker: the worker to tell if the server refuses it.
    :ivar retried: how often it was taken from the failures.
    :ivar trace: the trace it belongs to, as W3C `traceparent`.
    """

    account: str
    id: str
    dialog: str
    content: msgspec.Raw
    worker: str | None = None
    retried: int = 0
    trace: str | None = None


class FailedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message or reply that failed; one of the two is there."""

    error: str
    failed_at: dt.datetime
    inbound: Inbound | None = None
    outbound: Outbound | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An exception that goes to another process.

    :ivar error: the name of its class.
    :ivar text: the exception as text.
    :ivar args: its arguments.
    :ivar details: its attributes, as far as they are text, numbers or `None`.
    :ivar id: the reply that could not be sent, on `P.told.WORKER`.
    """

    error: str
    text: str
    args: tuple[str | int | float | None, ...] = ()
    details: dict[str, str | int | float | None] = {}
    id: str | None = None


def problem_of(error: Exception, reply_id: str | None = None) -> Problem:
    """Return an exception as a record."""
    details = {name: value for name, value in vars(error).items() if isinstance(value, PLAIN)}
    args = tuple(one if isinstance(one, PLAIN) else str(one) for one in error.args)
    return Problem(error=type(error).__name__, text=str(error), args=args, details=details, id=reply_id)


def error_of(problem: Problem) -> Exception:
    """Return the exception of a record: of the same class if it is one of ours, otherwise a `ConnectyCubeError`."""
    kind = getattr(connectycube.chat, problem.error, None) or getattr(connectycube.rest, problem.error, None)
    if not isinstance(kind, type) or not issubclass(kind, ConnectyCubeError):
        return ConnectyCubeError(f"{problem.error}: {problem.text}")
    # Its `__init__` takes other arguments than those that it keeps.
    error = cast("Exception", kind.__new__(kind, *problem.args))
    vars(error).update(problem.details)
    return error


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Asks the gateway that holds an account, on `P.do.ACCOUNT`. The answer is a `Problem`, or empty if all is well.

    :ivar call: `start_typing` or `stop_typing` (with `place`), `mark_read` (`message`), or `edit_message` (`place`,
        `message_id`, `body`, `last`, `extra`), which waits until the server has the message.
    :ivar place: a user's or dialog's id.
    :ivar message: the `ChatMessage`.
    """

    call: str
    place: int | str | None = None
    message: msgspec.Raw = msgspec.Raw(b"null")
    message_id: str | None = None
    body: str | None = None
    last: bool = True
    extra: dict[str, Any] | None = None


encode_record: Final = msgspec.json.Encoder().encode
decode_inbound: Final = msgspec.json.Decoder(Inbound).decode
decode_outbound: Final = msgspec.json.Decoder(Outbound).decode
decode_failed: Final = msgspec.json.Decoder(FailedItem).decode
decode_problem: Final = msgspec.json.Decoder(Problem).decode
decode_request: Final = msgspec.json.Decoder(Request).decode
