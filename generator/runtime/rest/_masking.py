"""Keep secrets out of tracebacks with local variables and out of the logs of the libraries."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

LIBRARIES: Final = ("httpx", "httpcore", "h11", "h2", "hpack", "anyio", "asyncio", "ssl", "idna")
"""Their frames hold requests, byte by byte."""


class Secret(str):
    """Text whose `repr` is masked. Written into a header or a body, it is the text itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class SecretBytes(bytes):
    """The value of a header whose `repr` is masked: hpack and httpcore log headers at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'***'"


def hide(value: T) -> T:
    """Return text as a secret, a mapping or a tuple with its texts as secrets, and anything else as it is."""
    hidden: Any = value
    if isinstance(value, str):
        hidden = Secret(value)
    elif isinstance(value, Mapping):
        hidden = {key: hide(entry) for key, entry in value.items()}
    elif isinstance(value, tuple):
        hidden = tuple(map(hide, value))
    return cast("T", hidden)


def hide_frames(error: BaseException) -> None:
    """Remove the frames of the HTTP libraries from an error and from what it came from.

    They show the request's bytes to whoever prints a traceback with its local variables.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = _without_libraries(one.__traceback__)
            waiting += [one.__cause__, one.__context__]


def _without_libraries(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in LIBRARIES:
            kept.append(traceback)
        traceback = traceback.tb_next
    found: TracebackType | None = None
    for one in reversed(kept):
        found = TracebackType(found, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return found


class _NoDebug(logging.Filter):
    """Drops what hpack logs at DEBUG: every header of every request and response, in whatever thread decodes it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG


for _logger in ("hpack.hpack", "hpack.table"):
    logging.getLogger(_logger).addFilter(_NoDebug())
