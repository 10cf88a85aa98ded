"""Check arguments and encode them for the wire. Nothing here touches the network.

Every encoder takes an argument's name and its value and raises `InvalidArgument` with that name.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from enum import Enum
from typing import Any, Final, Literal
from urllib.parse import quote

from ._scalars import (
    boolean,
    bounds,
    date,
    flag,
    flag_text,
    integer,
    is_decimal,
    is_uuid,
    iso,
    kind_name,
    number,
    text,
    unix,
)
from .errors import InvalidArgument

__all__ = [
    "OMIT",
    "Omit",
    "boolean",
    "date",
    "flag",
    "flag_text",
    "integer",
    "iso",
    "kind_name",
    "number",
    "text",
    "unix",
]

Encoder = Callable[[str, Any], Any]
Pairs = list[tuple[str, str]]


class Omit(Enum):
    """The type of `OMIT`."""

    OMIT = "omit"

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final[Literal[Omit.OMIT]] = Omit.OMIT
"""The default of arguments that accept `None`: the field is left out. `None` itself sends null."""


def _is_model(value: object) -> bool:
    return hasattr(type(value), "to_dict")


def anything(name: str, value: Any, *, max_properties: int | None = None) -> Any:
    """Encode any value that JSON can hold; models and times take their wire form."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, int):
        return integer(name, value)
    if isinstance(value, float):
        return number(name, value)
    if isinstance(value, dt.datetime):
        return iso(name, value)
    if isinstance(value, dt.date):
        return date(name, value)
    try:
        if _is_model(value):
            return mapping(name, value.to_dict(), anything)
        if isinstance(value, Mapping):
            return mapping(name, value, anything)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [anything(f"{name}[{index}]", entry) for index, entry in enumerate(value)]
    except RecursionError:
        raise InvalidArgument(name.partition("[")[0], "is nested too deeply, or contains itself") from None
    if hasattr(type(value), "__index__") or is_decimal(value):
        return number(name, value)
    if is_uuid(value):
        return str(value)
    raise InvalidArgument(name, f"can't be written as JSON: {kind_name(value)}")


def choice(name: str, value: Any, values: Sequence[Any]) -> Any:
    """Check a value of a closed set."""
    if not isinstance(value, bool):
        for known in values:
            if known == value:
                return known
    raise InvalidArgument(name, f"must be one of {', '.join(map(repr, values))}, not {value!r}")


def _entries(name: str, value: Any, min_items: int | None, max_items: int | None) -> list[Any]:
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument(name, f"must be a list, not {kind_name(value)}")
    entries = list(value)
    if min_items == 1 and not entries:
        raise InvalidArgument(name, "must not be empty")
    bounds(name, len(entries), "have entries:", min_items, max_items)
    return entries


def array(
    name: str, value: Any, encode: Encoder, *, min_items: int | None = None, max_items: int | None = None
) -> list[Any]:
    entries = _entries(name, value, min_items, max_items)
    return [encode(f"{name}[{index}]", entry) for index, entry in enumerate(entries)]


def _is_single(value: Any) -> bool:
    return isinstance(value, str) or not isinstance(value, Iterable)


def or_null(encode: Encoder) -> Encoder:
    """Let `None` be sent as null."""
    return lambda name, value: None if value is None else encode(name, value)


def one_or_more(name: str, value: Any, encode: Encoder, **limits: int | None) -> list[Any]:
    """Encode one entry or several as a list."""
    return [encode(name, value)] if _is_single(value) else array(name, value, encode, **limits)


def commas(
    name: str, value: Any, encode: Encoder, *, min_items: int | None = None, max_items: int | None = None
) -> str:
    """Encode a list as comma-separated text."""
    return joined(name, array(name, value, encode, min_items=min_items, max_items=max_items))


def joined(name: str, entries: list[Any]) -> str:
    return ",".join(separable(name, entries, ","))


def separable(name: str, entries: list[Any], separator: str) -> list[str]:
    """Return entries as texts, none of which holds what separates them."""
    texts = [query_text(entry) for entry in entries]
    for index, entry in enumerate(texts):
        if separator in entry:
            mark = {",": "a comma", " ": "a space", "|": "a vertical bar"}[separator]
            raise InvalidArgument(f"{name}[{index}]", f"must not contain {mark}, which separates entries on the wire")
    return texts


def index_map(
    name: str,
    value: Any,
    encode: Encoder,
    *,
    start: int = 0,
    min_items: int | None = None,
    max_items: int | None = None,
) -> dict[str, Any]:
    """Encode a list as an object with ascending numbers as keys."""
    found = array(name, value, encode, min_items=min_items, max_items=max_items)
    return {str(start + index): entry for index, entry in enumerate(found)}


def mapping(name: str, value: Any, encode: Encoder, *, max_properties: int | None = None) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(name, f"must be a mapping, not {kind_name(value)}")
    if max_properties is not None and len(value) > max_properties:
        raise InvalidArgument(name, f"must have at most {max_properties} keys, not {len(value)}")
    found: dict[str, Any] = {}
    for key, entry in value.items():
        inside = f"{name}[{key!r}]"
        found[text(inside, key, min_length=1)] = encode(inside, entry)
    return found


def json64(name: str, value: Any) -> str:
    """Encode a mapping as base64 of its JSON; text is sent unchanged."""
    if isinstance(value, str):
        return text(name, value, min_length=1)
    return base64.b64encode(json_text(name, value).encode()).decode()


def json_text(name: str, value: Any) -> str:
    """Encode a mapping as JSON text; text is sent unchanged."""
    if isinstance(value, str):
        return text(name, value)
    return json.dumps(mapping(name, value, anything), ensure_ascii=False, separators=(",", ":"))


def json_bytes(name: str, value: Any) -> bytes:
    """Encode a body as JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = type(error).__name__
    # Raised outside of the handler: a chained error may keep the body, which may hold a password.
    raise InvalidArgument(name, f"can't be written as JSON: {problem}")


def record(
    name: str,
    value: Any,
    fields: Mapping[str, tuple[str, Encoder]],
    *,
    required: tuple[str, ...] = (),
    nullable: frozenset[str] = frozenset(),
    further: Encoder | None = None,
    read_only: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Encode a nested object: a mapping with known keys, here or on the wire, or a model from a response.

    :param read_only: keys that only responses have: they are left out, so that what was received can be sent back.
    """
    if _is_model(value) and all(hasattr(value, key) for key in fields):
        given = {key: getattr(value, key) for key in fields}
        rest = value.extra if further is not None else {}
        value = {**rest, **{key: entry for key, entry in given.items() if entry is not None and entry != []}}
    if not isinstance(value, Mapping):
        raise InvalidArgument(name, f"must be a mapping, not {kind_name(value)}")
    found: dict[str, Any] = {}
    for key, entry in value.items():
        inside = f"{name}[{key!r}]"
        if key not in fields and key not in read_only:
            key = next((own for own, (wire_key, _) in fields.items() if wire_key == key), key)
        if key in fields:
            wire_key, encode = fields[key]
            if wire_key in found:
                raise InvalidArgument(inside, "is given twice")
            if entry is not None:
                found[wire_key] = encode(inside, entry)
            elif key in nullable:
                found[wire_key] = None
        elif key in read_only:
            continue
        elif further is not None:
            found[text(inside, key, min_length=1)] = further(inside, entry)
        else:
            raise InvalidArgument(inside, f"is unknown; the fields are {', '.join(fields)}")
    for key in required:
        if fields[key][0] not in found:
            raise InvalidArgument(f"{name}[{key!r}]", "is missing")
    return found


def more(name: str, value: Any, known: Iterable[str], encode: Encoder = anything) -> dict[str, Any]:
    """Encode additional fields of a body, none of which may replace a known one."""
    found = mapping(name, value, encode)
    for key in known:
        if key in found:
            raise InvalidArgument(f"{name}[{key!r}]", "has an argument of its own")
    return found


def id_of(name: str, value: Any, kind: str, field: str = "id") -> Any:
    """Return the id of an object that stands for its id, and any other value as it is.

    :param kind: the class of the object.
    :param field: which of its fields is the id.
    """
    if isinstance(value, (str, int)) or not _is_model(value):
        return value
    if kind not in [base.__name__ for base in type(value).__mro__]:
        raise InvalidArgument(name, f"must be the {kind} or its {field}, not {kind_name(value)}")
    found = getattr(value, field)
    if found is None:
        raise InvalidArgument(name, f"is a {kind} without {field}")
    return found


# -- paths


def path_text(name: str, value: Any) -> str:
    """Encode a segment of a path: never empty, never `.` or `..`."""
    segment = text(name, value, min_length=1)
    if not segment.strip() or segment in (".", ".."):
        raise InvalidArgument(name, "must not be empty" if not segment.strip() else f"can't be {segment!r}")
    return quote(segment, safe="")


def path_integer(name: str, value: Any, *, minimum: int = 0, maximum: int | None = None) -> str:
    return str(integer(name, value, minimum=minimum, maximum=maximum))


def path_value(name: str, value: Any) -> str:
    """Encode an argument of any other type as a segment."""
    return path_text(name, query_text(value))


def path_list(name: str, value: Any, encode: Callable[[str, Any], str]) -> str:
    """Encode one id or several, separated by commas."""
    if _is_single(value):
        return encode(name, value)
    return ",".join(encode(f"{name}[{index}]", entry) for index, entry in enumerate(_entries(name, value, 1, None)))


# -- queries


def query_text(value: Any) -> str:
    """Return a value as text; what OpenAPI's styles have no form for is written as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (dict, list)):
        return compact(value)
    return str.__str__(value) if isinstance(value, str) else str(value)


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


LONGEST_ADDRESS: Final = 8000
"""Bytes of a URL that every server accepts (RFC 9110 section 4.1)."""

TOO_LONG: Final = f"is too long: the address would exceed {LONGEST_ADDRESS} bytes; pass less at once"


class Escaped(str):
    """Text of a query that is escaped already."""

    __slots__ = ()


BARE: Final = Escaped("")
"""The value of a key that stands alone, without `=`."""

SEPARATORS: Final = {"spaceDelimited": " ", "pipeDelimited": "|"}

RESERVED: Final = "*!$'(),/:;=?@[]"
"""The reserved characters that have no meaning of their own within the value of a query."""


def pairs(key: str, value: Any, *, style: str = "form", explode: bool = True, reserved: bool = False) -> Pairs:
    """Encode a query parameter in one of OpenAPI's styles, as `json` or as `text`.

    Members of objects and lists that are null are left out. An object in the style `deepObject` may hold objects, as in
    `key[a][b]=1`, and lists, as in `key[a]=1&key[a]=2`, or `key[a][0][b]=1` if the entries are objects or lists. In the
    other styles, objects and lists inside of others are written as JSON.

    :param reserved: leave reserved characters as they are.
    """
    if style == "deepObject" and isinstance(value, dict):
        found = _deep(key, value)
    elif style == "json":
        found = [(key, compact(value))]
    elif style == "text" or not isinstance(value, (dict, list)):
        found = [(key, query_text(value))]
    elif not explode:
        separator = SEPARATORS.get(style, ",")
        safe = RESERVED.replace(",", "") if reserved else "*"
        texts = [quote(text, safe=safe) for text in separable(key, members(value), separator)]
        return [(key, Escaped(("," if separator == "," else quote(separator)).join(texts)))]
    elif isinstance(value, dict):
        given = {name: entry for name, entry in value.items() if entry is not None}
        found = [(name, query_text(one)) for name, entry in given.items() for one in _repeated(entry)]
    else:
        found = [(key, query_text(entry)) for entry in members(value)]
    return [(name, Escaped(quote(text, safe=RESERVED))) for name, text in found] if reserved else found


def members(value: dict[str, Any] | list[Any]) -> list[Any]:
    """Return the entries of a list, or the keys and values of an object in turn, without those that are null."""
    if isinstance(value, list):
        return [entry for entry in value if entry is not None]
    return [part for pair in value.items() if pair[1] is not None for part in pair]


def _repeated(value: Any) -> list[Any]:
    return members(value) if isinstance(value, list) else [value]


def _deep(key: str, value: Any) -> Pairs:
    if isinstance(value, list):
        numbered = any(isinstance(entry, (dict, list)) for entry in value)
        inner = [(f"{key}[{index}]" if numbered else key, entry) for index, entry in enumerate(value)]
    elif isinstance(value, dict):
        inner = [(f"{key}[{name}]", entry) for name, entry in value.items()]
    else:
        return [(key, query_text(value))]
    return [pair for name, entry in inner if entry is not None for pair in _deep(name, entry)]


def keyset_order(query: Pairs, field: str) -> Pairs:
    """Sort a list that is paged by a field by that field, unless the caller asked for another order."""
    return query if any(key.startswith("sort_") for key, _ in query) else [*query, ("sort_desc", field)]


def query_string(query: Pairs) -> str:
    """Encode a query: brackets stay readable, everything else is escaped, a space becomes a plus."""
    parts = []
    for key, value in query:
        name = quote(key, safe="[]* ").replace(" ", "+")
        text = value if isinstance(value, Escaped) else quote(value, safe="* ").replace(" ", "+")
        parts.append(name if value is BARE else f"{name}={text}")
    return "&".join(parts)


# -- rules between arguments


def _given(arguments: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in arguments.items()
        if value is not None and value is not OMIT and (isinstance(value, str) or not isinstance(value, Sized) or value)
    ]


def exactly_one(**arguments: Any) -> None:
    at_least_one(**arguments)
    at_most_one(**arguments)


def at_least_one(**arguments: Any) -> None:
    if not _given(arguments):
        names = " or ".join(arguments)
        raise InvalidArgument(names, "is missing" if len(arguments) == 1 else "must be given")


def at_most_one(**arguments: Any) -> None:
    given = _given(arguments)
    if len(given) > 1:
        raise InvalidArgument(given[1], f"can't be combined with {given[0]}")
