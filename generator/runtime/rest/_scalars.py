"""Check and encode single values: text, numbers, booleans, times.

Every encoder takes an argument's name and its value and raises `InvalidArgument` with that name.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from typing import Any, Final

from .errors import InvalidArgument

SURROGATE: Final = re.compile("[\ud800-\udfff]")


def kind_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


def bounds(name: str, value: float, what: str, least: float | None, most: float | None) -> None:
    if least is not None and value < least:
        raise InvalidArgument(name, f"must {what} at least {least}, not {value}")
    if most is not None and value > most:
        raise InvalidArgument(name, f"must {what} at most {most}, not {value}")


# A program that passes a Decimal or a UUID has loaded its module: others need not wait for it.


def is_decimal(value: object) -> bool:
    from decimal import Decimal

    return isinstance(value, Decimal)


def is_uuid(value: object) -> bool:
    from uuid import UUID

    return isinstance(value, UUID)


def _whole(value: Any) -> Any:
    """Return a `Decimal` without a fraction as an integer, and anything else as it is."""
    if isinstance(value, (int, str, float)) or not is_decimal(value) or not value.is_finite():
        return value
    return int(value) if value.adjusted() < 20 and value == int(value) else value


def text(
    name: str,
    value: Any,
    *,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
) -> str:
    if not isinstance(value, str):
        if not is_uuid(value):
            raise InvalidArgument(name, f"must be text, not {kind_name(value)}")
        value = str(value)
    if min_length == 1 and not value:
        raise InvalidArgument(name, "must not be empty")
    bounds(name, len(value), "have characters:", min_length, max_length)
    if pattern is not None and re.search(pattern, value) is None:
        raise InvalidArgument(name, f"must match {pattern}")
    if SURROGATE.search(value):
        raise InvalidArgument(name, "holds a lone surrogate, which UTF-8 can't encode")
    return str.__str__(value)  # `str` would return the name of an enum's member.


def integer(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    try:
        found = operator.index(_whole(value))
    except TypeError:
        found = None
    if found is None or isinstance(value, bool):
        raise InvalidArgument(name, f"must be an integer, not {kind_name(value)}")
    if found.bit_length() > 63:
        raise InvalidArgument(name, "exceeds the platform's 64-bit integers")
    bounds(name, found, "be", minimum, maximum)
    return found


def number(name: str, value: Any, *, minimum: float | None = None, maximum: float | None = None) -> float:
    found = _whole(value)
    if hasattr(type(found), "__index__"):
        found = integer(name, found)
    elif not isinstance(value, float) and is_decimal(value):
        found = float(value)
        if value.is_finite() and type(value)(repr(found)) != value:
            raise InvalidArgument(name, "has more digits than a JSON number keeps: pass it as text")
    if not isinstance(found, (int, float)) or not math.isfinite(found):
        raise InvalidArgument(name, f"must be a finite number, not {kind_name(value)}")
    bounds(name, found, "be", minimum, maximum)
    return found if isinstance(found, int) else float(found)


def boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(name, f"must be True or False, not {kind_name(value)}")
    return value


def flag(name: str, value: Any) -> int:
    """Encode a bool as 1 or 0."""
    return 1 if boolean(name, value) else 0


def flag_text(name: str, value: Any) -> str:
    """Encode a bool as "1" or "0"."""
    return "1" if boolean(name, value) else "0"


def _aware(name: str, value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise InvalidArgument(name, "must have a time zone, as in datetime.now(timezone.utc)")
    return value


def _start(value: dt.date) -> dt.datetime:
    """Return when a day starts in UTC, the platform's time zone."""
    return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)


def iso(name: str, value: Any) -> str:
    """Encode a time as ISO 8601 in UTC; a date is its start in UTC, and text is sent unchanged."""
    if isinstance(value, dt.datetime):
        return _aware(name, value).astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return iso(name, _start(value))
    if isinstance(value, str):
        return text(name, value, min_length=1)
    raise InvalidArgument(name, f"must be a datetime or ISO 8601 text, not {kind_name(value)}")


def unix(name: str, value: Any) -> int:
    """Encode a time as Unix seconds; a date is its start in UTC."""
    if isinstance(value, dt.datetime):
        return int(_aware(name, value).timestamp())
    if isinstance(value, dt.date):
        return unix(name, _start(value))
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    if isinstance(value, bool) or not (hasattr(type(value), "__index__") or is_decimal(value)):
        raise InvalidArgument(name, f"must be a datetime or Unix seconds, not {kind_name(value)}")
    return integer(name, value)


def date(name: str, value: Any) -> str:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str):
        return text(name, value, min_length=1)
    raise InvalidArgument(name, f"must be a date or its ISO 8601 text, not {kind_name(value)}")
