"""Read values from the wire without ever raising, except for a missing identity.

Any other field is read completely or not at all: a value that can't be read leaves the field empty and is kept raw in
the model's `extra`, so that nothing is lost and `to_dict` writes it back. Numbers may come as text, times as ISO 8601
text or Unix seconds (milliseconds above 1e11), lists as comma-separated text.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

from .errors import DecodeError

T = TypeVar("T")

UNREADABLE = (ValueError, TypeError, OverflowError, OSError)
"""What converters raise for values that they can't read."""

MILLISECONDS = 1e11
"""Unix times above this are milliseconds."""


def unknown(data: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the fields that a model does not have."""
    return {} if known.issuperset(data) else {key: value for key, value in data.items() if key not in known}


def odd(value: Any, key: str, extra: dict[str, Any], convert: Callable[[Any], T]) -> T | None:
    """Convert a value that is not of the expected class, or keep it raw."""
    if value is None:
        return None
    try:
        return convert(value)
    except UNREADABLE:
        extra[key] = value
        return None


def identity(value: Any, model: str, key: str, convert: Callable[[Any], T]) -> T:
    """Convert an identity that is not of the expected class.

    :raises DecodeError: if it is missing or can't be read.
    """
    try:
        return convert(value)
    except UNREADABLE:
        pass
    # Raised outside of the handler: a chained error may hold the value, which may be a token.
    raise DecodeError(f"{model} has no {key}" if value is None else f"{model} has a {key} that can't be read")


def many(value: Any, key: str, extra: dict[str, Any], convert: Callable[[Any], T], *, commas: bool = False) -> list[T]:
    """Read a list; comma-separated text and numbered objects are accepted as well."""
    try:
        return to_list(convert, commas=commas)(value)
    except UNREADABLE:
        extra[key] = value
        return []


def integers(value: Any, key: str, extra: dict[str, Any]) -> list[int]:
    """Read a list of integers: `many`, with a fast path for the usual case."""
    if value.__class__ is list and _INTEGER.issuperset(map(type, value)):
        return [*value]
    return many(value, key, extra, to_integer)


def texts(value: Any, key: str, extra: dict[str, Any]) -> list[str]:
    """Read a list of texts, with the same fast path."""
    if value.__class__ is list and _TEXT.issuperset(map(type, value)):
        return [*value]
    return many(value, key, extra, to_text)


def texts_by_name(value: Any, key: str, extra: dict[str, Any]) -> dict[str, str] | None:
    """Read a map of names to texts, with the same fast path."""
    if value.__class__ is dict and _TEXT.issuperset(map(type, value.values())):
        return {**value}
    return odd(value, key, extra, to_map(to_text))


_INTEGER: frozenset[type] = frozenset({int})
_TEXT: frozenset[type] = frozenset({str})


def moment(value: Any, key: str, extra: dict[str, Any]) -> dt.datetime | None:
    """Read a time, with a fast path for its usual forms."""
    try:
        if value.__class__ is int and 0 <= value <= MILLISECONDS:
            return dt.datetime.fromtimestamp(value, dt.UTC)
        if value.__class__ is str and (time := dt.datetime.fromisoformat(value)).tzinfo is dt.UTC:
            return time
    except ValueError:
        pass
    return odd(value, key, extra, to_time)


def further(extra: dict[str, Any], convert: Callable[[Any], T]) -> dict[str, T]:
    """Move the fields out of `extra` that can be read as the model's typed additional fields."""
    found: dict[str, T] = {}
    for key in list(extra):
        try:
            found[key] = convert(extra[key])
        except UNREADABLE:
            continue
        del extra[key]
    return found


def to_any(value: Any) -> Any:
    return value


def to_text(value: Any) -> str:
    if value.__class__ is str:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError


def to_integer(value: Any) -> int:
    if value.__class__ is int:
        return value
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.strip().lstrip("-").isdigit():
        return int(value)
    raise ValueError


def to_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    number = float(value)
    if not math.isfinite(number) or (isinstance(value, str) and ("_" in value or not value.isascii())):
        raise ValueError
    if isinstance(value, int) and number != value:
        raise ValueError  # A float would lose its last digits.
    return number


def to_boolean(value: Any) -> bool:
    if value.__class__ is bool:
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        try:
            return _BOOLEANS[value.lower()]
        except KeyError as error:
            raise ValueError from error
    raise ValueError


_BOOLEANS = {"0": False, "1": True, "false": False, "true": True}


def to_time(value: Any) -> dt.datetime:
    """Read ISO 8601 text (UTC unless it names a zone) or Unix seconds."""
    if value.__class__ is str:
        if value.isdigit():
            return _unix(to_number(value))  # Python would read some of these as dates without dashes.
        try:
            time = dt.datetime.fromisoformat(value)
        except ValueError:
            return _unix(to_number(value))
        if time.tzinfo is None:
            return time.replace(tzinfo=dt.UTC)
        # Raises for a time outside of UTC's years, which could be neither compared nor written back.
        time.astimezone(dt.UTC)
        return time
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _unix(value)
    raise ValueError


def _unix(value: float) -> dt.datetime:
    if abs(value) > MILLISECONDS:
        value = value / 1000
    return dt.datetime.fromtimestamp(value, dt.UTC)


def to_date(value: Any) -> dt.date:
    return dt.date.fromisoformat(value)


def to_object(value: Any) -> Any:
    """Reject a nested object that isn't one."""
    raise ValueError


def to_list(convert: Callable[[Any], T], *, commas: bool = False) -> Callable[[Any], list[T]]:
    def read(value: Any) -> list[T]:
        if value.__class__ is not list:
            value = _entries(value, commas)
        return [convert(entry) for entry in value]

    return read


def _entries(value: Any, commas: bool) -> list[Any]:
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        return [part for part in parts if part]
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    if commas and isinstance(value, (int, float)):
        return [value]
    raise ValueError


def or_none(convert: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Let null be null."""
    return lambda value: None if value is None else convert(value)


def to_map(convert: Callable[[Any], T]) -> Callable[[Any], dict[str, T]]:
    def read(value: Any) -> dict[str, T]:
        if not isinstance(value, dict):
            raise ValueError
        return {key: convert(entry) for key, entry in value.items()}

    return read


def to_enum(kind: type[Enum]) -> Callable[[Any], Any]:
    """Read a member of an enum; unknown values stay as they are."""
    values = {member.value: member for member in kind}
    convert: Callable[[Any], Any] = to_text if issubclass(kind, str) else to_integer

    def read(value: Any) -> Any:
        value = convert(value)
        return values.get(value, value)

    return read


def iso_text(time: dt.datetime) -> str:
    """Write ISO 8601 in UTC with a `Z`, in milliseconds if they suffice."""
    digits = "auto" if time.microsecond % 1000 or not time.microsecond else "milliseconds"
    return time.astimezone(dt.UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def unix_number(time: dt.datetime) -> int | float | str:
    """Write Unix seconds, or ISO 8601 text if they would be read as another time."""
    seconds = time.timestamp()
    if abs(seconds) > MILLISECONDS or _unix(seconds) != time:
        return iso_text(time)
    return int(seconds) if seconds.is_integer() else seconds


def comma_text(entries: list[Any]) -> str | list[Any]:
    """Write a list as comma-separated text, or as it is if the text would be read as another list."""
    texts = [str(entry) for entry in entries]
    plain = all(text and text == text.strip() and "," not in text for text in texts)
    return ",".join(texts) if plain else list(entries)


def represent(self: Any) -> str:
    """Return the `repr` of a model, with long values shortened and secrets left out."""
    hidden = {attribute.name for attribute in self.__attrs_attrs__ if not attribute.repr}
    shown = []
    for attribute in self.__attrs_attrs__:
        value = getattr(self, attribute.name)
        if attribute.name == "extra":
            value = {key: entry for key, entry in value.items() if key not in hidden}
        if attribute.repr and value is not None and value != [] and value != {}:
            text = repr(value)
            shown.append(f"{attribute.name}={text if len(text) <= LONG else text[: LONG - 3] + '...'}")
    return f"{type(self).__name__}({', '.join(shown)})"


LONG = 80
"""Characters of a value that a `repr` shows."""
