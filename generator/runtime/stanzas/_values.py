"""The types of the spec: text to values and back."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from ._xml import ILLEGAL, MAX_DEPTH, BuildError, StanzaError, escape_attribute

MILLISECONDS: Final = 100_000_000_000
"""Unix times above this are milliseconds."""

_INT = re.compile(r"\s*[+-]?[0-9]{1,19}\s*").fullmatch
_JID = re.compile(
    r"(?:[^\x00-\x20\"&'/:<>@\x7f]{1,1023}@)?[^\x00-\x20\"&'/<>@\x7f]{1,1023}(?:/[^\x00-\x1f\x7f]{1,1023})?"
).fullmatch
_BRACKETS = re.compile(r"[\[\]{}]").findall
_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL).sub
_BOOLS: Final = {"1": True, "true": True, "0": False, "false": False}


LONGEST_JID: Final = 3071
"""Characters of the longest JID: 1023 for each part, and two separators (RFC 7622 section 3.1)."""


def is_jid(text: str) -> bool:
    """Tell whether a text is a JID (RFC 7622)."""
    return len(text) <= LONGEST_JID and _is_jid(text)


# A chat sees the same few addresses again and again. What strangers can make it remember is bounded by the length.
@lru_cache(maxsize=4096)
def _is_jid(text: str) -> bool:
    return _JID(text) is not None


# -- text to values


def to_int(text: str, what: str, least: int | None = None, most: int | None = None) -> int:
    if not (text.isdigit() and text.isascii() and len(text) < 20) and _INT(text) is None:
        raise StanzaError(f"{what} is not an integer: {text[:40]!r}")
    number = int(text)
    if (least is not None and number < least) or (most is not None and number > most):
        raise StanzaError(f"{what} is out of range: {number}")
    return number


def to_bool(text: str, what: str) -> bool:
    found = _BOOLS.get(text)
    if found is None:
        found = _BOOLS.get(text.strip().lower())
        if found is None:
            raise StanzaError(f"{what} is not a boolean: {text[:40]!r}")
    return found


def to_jid(text: str, what: str) -> str:
    return text if is_jid(text) else no_jid(text, what)


def no_jid(text: str, what: str) -> str:
    raise StanzaError(f"{what} is not a JID: {text[:80]!r}")


def to_enum(text: str, what: str, values: frozenset[str]) -> Any:
    """Check a value of a closed set."""
    if text not in values:
        raise StanzaError(f"{what} must be one of {', '.join(sorted(values))}, not {text[:40]!r}")
    return text


def to_time(text: str, what: str) -> dt.datetime:
    """Read a time of XEP-0082, in UTC; a time without a zone is UTC."""
    try:
        time = dt.datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise StanzaError(f"{what} is not a time: {text[:40]!r}") from None


def to_unix(text: str, what: str) -> int:
    """Read Unix seconds, or milliseconds if the number is large."""
    number = to_int(text, what)
    if -MILLISECONDS <= number <= MILLISECONDS:
        return number
    # Some senders write milliseconds (CX-07).
    return to_int(str(number // 1000), what, -MILLISECONDS, MILLISECONDS)


def to_base64(text: str, what: str) -> bytes:
    if text.strip() == "=":
        return b""  # RFC 6120 section 6.4.2: data of length zero, as opposed to no data.
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise StanzaError(f"{what} is not base64") from None


def to_json(text: str, what: str) -> Any:
    """Read a JSON value, even one that was encoded twice (F-076); any other text stays text."""
    found: Any = text
    while isinstance(found, str):
        for candidate in (found, unquote(found)):  # Some senders percent-encode it (CX-20).
            try:
                found = _loads(candidate)
                break
            except (ValueError, RecursionError):
                continue
        else:
            break
    return found


def _loads(text: str) -> Any:
    if text.count("[") + text.count("{") > MAX_DEPTH:
        depth = most = 0
        for mark in _BRACKETS(_JSON_TEXT("", text)):
            depth += 1 if mark in "[{" else -1
            most = max(most, depth)
        if most > MAX_DEPTH:
            raise ValueError("too deep")
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


# -- values to text


def from_int(value: Any, what: str, least: int | None = None, most: int | None = None) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BuildError(f"must be an integer, not {type(value).__name__}", what)
    if (least is not None and value < least) or (most is not None and value > most) or abs(value) >= 10**19:
        raise BuildError(f"is out of range: {value}", what)
    return str(value)


def from_bool(value: Any, what: str) -> str:
    if value is True or value is False:
        return "1" if value else "0"
    raise BuildError(f"must be True or False, not {type(value).__name__}", what)


def from_bool_words(value: Any, what: str) -> str:
    return "true" if from_bool(value, what) == "1" else "false"


def from_jid(value: Any, what: str) -> str:
    text = str(value)
    if not is_jid(text):
        raise BuildError(f"is not a JID: {text[:80]!r}", what)
    return escape_attribute(text, what)


def from_enum(value: Any, what: str, values: frozenset[str]) -> str:
    if not isinstance(value, str) or value not in values:
        raise BuildError(f"must be one of {', '.join(sorted(values))}", what)
    return str(value)


def _aware(value: Any, what: str) -> dt.datetime:
    if not isinstance(value, dt.datetime) or value.utcoffset() is None:
        raise BuildError("must be a datetime with a time zone", what)
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        raise BuildError(f"is out of range: {value}", what) from None


def from_time(value: Any, what: str) -> str:
    """Write a time of XEP-0082 in UTC, to the millisecond if that loses nothing."""
    time = _aware(value, what)
    digits = "auto" if time.microsecond % 1000 or not time.microsecond else "milliseconds"
    return time.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def from_unix(value: Any, what: str) -> str:
    """Write Unix seconds, given as a number or as a datetime."""
    if isinstance(value, dt.datetime):
        value = int(_aware(value, what).timestamp())
    return from_int(value, what, -MILLISECONDS, MILLISECONDS)


def from_base64(value: Any, what: str) -> str:
    if not isinstance(value, (bytes, bytearray)):
        raise BuildError(f"must be bytes, not {type(value).__name__}", what)
    return base64.b64encode(value).decode() or "="


def from_json(value: Any, what: str) -> str:
    """Write a value as JSON; text is JSON already, or not meant to be (N-14)."""
    if isinstance(value, str):
        return value
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text = ILLEGAL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
        _loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise BuildError(f"can't be written as JSON: {type(error).__name__}", what) from error
    return text
