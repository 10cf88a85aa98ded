"""Reading what SDKs really send into the form that the spec describes.

The official SDKs differ from the documents, and from each other, in how they write lists, numbers and flags (CR-07,
CR-11, CR-27, CR-31, CR-45, U-56). What any of them sends is read; what none of them means stays as it is, for the
spec to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import bad_request
from ..filters import LARGEST_INTEGER, parse_key
from .document import resolve

__all__ = ["acceptable", "coerce", "unflatten"]

_INTEGER = re.compile(r"-?[0-9]{1,19}")
MOST_DEEP = 100
"""How deep lists and objects may nest: no SDK comes near."""
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def coerce(value: Any, schema: Any, document: Mapping[str, Any]) -> Any:
    """A value in the form of its schema, as far as it can be read so."""
    schema = resolve(document, schema)
    if not isinstance(schema, Mapping):
        return value
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    match kind:
        case "integer" | "number":
            return _number(value, schema)
        case "boolean":
            return _flag(value)
        case "string":
            return _text(value, schema)
        case "array":
            return _list(value, schema, document)
        case "object":
            return _object(value, schema, document)
        case _:
            return value


def _number(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("format") == "bool-int":
        flag = _flag(value)
        return int(flag) if isinstance(flag, bool) else value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        number = int(value)
        return number if acceptable(number) else value
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return _FLAGS.get(str(value).lower(), value) if isinstance(value, (str, int)) else value


def _text(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("format") == "comma-list" and isinstance(value, list):
        return ",".join(str(one) for one in value)
    if schema.get("format") == "bool-int" and isinstance(value, (bool, int)):
        return str(int(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _list(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        value = [part.strip() for part in str(value).split(",") if part.strip()]
    elif isinstance(value, dict) and value and all(key.isdigit() for key in value):
        value = [value[key] for key in sorted(value, key=int)]
    if not isinstance(value, list):
        return value
    return [coerce(one, schema.get("items"), document) for one in value]


def _object(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    if schema.get("format") == "index-map" and isinstance(value, list):
        start = schema.get("x-index-from", 0)
        value = {str(start + index): one for index, one in enumerate(value)}
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    other = schema.get("additionalProperties")
    fields = {name: coerce(one, properties.get(name, other), document) for name, one in value.items()}
    if isinstance(other, Mapping) and other.get("type") == "string":
        # A dialog's own fields become text.
        fields = {name: "true" if one is True else "false" if one is False else one for name, one in fields.items()}
    return fields


def unflatten(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A form's pairs as the object that they spell: `user[login]=mary`, `ids[]=1&ids[]=2`.

    :raises Refused: if a key is malformed or two keys contradict each other.
    """
    found: dict[str, Any] = {}
    for key, text in pairs:
        parts = parse_key(key)
        if parts is None:
            raise bad_request(f"{key} is no key")
        path = [parts[0], *parts[1]]
        node: Any = found
        for index, part in enumerate(path):
            last = index == len(path) - 1
            following: Any = text if last else [] if path[index + 1] == "" else {}
            if isinstance(node, list):
                if not last or part:
                    raise bad_request(f"{key} is no key")
                node.append(following)
            elif not isinstance(node, dict):
                raise bad_request(f"{key} contradicts another key")
            elif last:
                node[part] = following
            else:
                node = node.setdefault(part, following)
    return found


def acceptable(value: Any, depth: int = MOST_DEEP) -> bool:
    """Whether the store can hold a JSON value: no numbers past 64 bits, no broken Unicode, not too deep to walk."""
    if isinstance(value, str):
        return value.isascii() or _encodes(value)
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) <= LARGEST_INTEGER
    if isinstance(value, dict):
        return depth > 0 and all(acceptable(key) and acceptable(one, depth - 1) for key, one in value.items())
    return depth > 0 and all(acceptable(one, depth - 1) for one in value) if isinstance(value, list) else True


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
