"""Reading what SDKs really send into the form that the spec describes.

The official SDKs differ from the documentation, and from each other, in where they put arguments and in how they write
lists, numbers and flags (CR-07, CR-11, CR-27, CR-31, CR-45, U-56). The sandbox reads whatever any of them sends. All
else stays as it is, for the check against the spec to refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from ..errors import Refused, bad_request
from ..filters import LARGEST_INTEGER, parse_key
from .document import Operation, resolve

__all__ = ["acceptable", "body_of", "fit_body", "fit_query", "query_of", "read_bytes", "require_groups"]

FORM = "application/x-www-form-urlencoded"
MOST_PAIRS = 1000
_INTEGER = re.compile(r"-?[0-9]{1,19}")
MOST_DEEP = 100
"""How deep lists and objects may nest. No SDK comes near."""
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


async def read_bytes(request: Request, most: int) -> bytes:
    """Return the body.

    :raises Refused: if it is too large.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise bad_request(f"The body is larger than {most} bytes")
    return bytes(data)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def body_of(data: bytes, content_type: str) -> Any:
    """Return the value of a body: JSON, a form as the object that it describes, or `None` if it is empty.

    :raises Refused: if it is malformed.
    """
    if not data:
        return None
    if content_type.partition(";")[0].strip().lower() == FORM:
        value = _unflatten(_pairs(data, "The form is malformed"))
    else:
        try:
            value = json.loads(data, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            raise bad_request("The body is not JSON") from error
    if not acceptable(value):
        raise bad_request("The body nests too deep, or holds a number that is too large, or broken Unicode")
    return value


def query_of(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a query.

    :raises Refused: if it is malformed.
    """
    return _pairs(text, "The query is malformed")


def _pairs(text: str | bytes, problem: str) -> list[tuple[str, str]]:
    try:
        decoded = text if isinstance(text, str) else text.decode("ascii")
        return parse_qsl(decoded, keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS)
    except ValueError as error:
        raise bad_request(problem) from error


def fit_query(operation: Operation, query: Sequence[tuple[str, str]], body: Any) -> list[tuple[str, str]]:
    """Return the query, with lists under their plain names, and what SDKs put into a GET's or DELETE's body (CR-09)."""
    found = list(query)
    if operation.method in ("GET", "DELETE") and isinstance(body, Mapping):
        found += _flat(body)
    fitted = []
    for name, text in found:
        plain = name.removesuffix("[]")
        fitted.append((plain if plain in operation.array_names else name, text))
    return fitted


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return the pairs that describe an object."""
    if isinstance(value, Mapping):
        return [
            pair for name, inner in value.items() for pair in _flat(inner, f"{prefix}[{name}]" if prefix else str(name))
        ]
    if isinstance(value, list):
        return [(prefix, ",".join(str(one) for one in value))]
    if isinstance(value, bool):
        return [(prefix, "1" if value else "0")]
    return [(prefix, "" if value is None else str(value))]


def fit_body(operation: Operation, body: Any) -> Any:
    """Return the body in the form that the spec describes, as far as it can be read that way."""
    schema = operation.body_schema
    if schema is None:
        return None
    envelope = operation.envelope
    if envelope is not None and isinstance(body, dict) and body and envelope not in body:
        # Fields without their envelope (CR-11).
        body = {envelope: body}
    return _coerce(body, schema, operation.document)


def require_groups(operation: Operation, query: Sequence[tuple[str, str]], fields: Mapping[str, Any]) -> None:
    """Check that one argument of each group is given (`x-exactly-one`, `x-at-least-one`).

    :raises Refused: if one is missing.
    """
    given = fields.keys() | {name for name, _ in query}
    for keyword in ("x-exactly-one", "x-at-least-one"):
        for group in operation.source.get(keyword, ()):
            if "filters" not in group and not given & set(group):
                status = 422 if 422 in operation.statuses else 400
                raise Refused(status, {"base": [f"{' or '.join(group)} is required"]})


def _coerce(value: Any, schema: Any, document: Mapping[str, Any]) -> Any:
    """Return a value in the form of its schema, as far as it can be read that way."""
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
    return [_coerce(one, schema.get("items"), document) for one in value]


def _object(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    if schema.get("format") == "index-map" and isinstance(value, list):
        start = schema.get("x-index-from", 0)
        value = {str(start + index): one for index, one in enumerate(value)}
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    other = schema.get("additionalProperties")
    fields = {name: _coerce(one, properties.get(name, other), document) for name, one in value.items()}
    if isinstance(other, Mapping) and other.get("type") == "string":
        # A dialog's own fields become text.
        fields = {name: "true" if one is True else "false" if one is False else one for name, one in fields.items()}
    return fields


def _unflatten(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the object that a form's pairs describe: `user[login]=mary`, `ids[]=1&ids[]=2`.

    :raises Refused: if a key is malformed, or two keys contradict each other.
    """
    found: dict[str, Any] = {}
    for key, text in pairs:
        parts = parse_key(key)
        if parts is None:
            raise bad_request(f"{key} is not a valid key")
        path = [parts[0], *parts[1]]
        node: Any = found
        for index, part in enumerate(path):
            last = index == len(path) - 1
            following: Any = text if last else [] if path[index + 1] == "" else {}
            if isinstance(node, list):
                if not last or part:
                    raise bad_request(f"{key} is not a valid key")
                node.append(following)
            elif not isinstance(node, dict):
                raise bad_request(f"{key} contradicts another key")
            elif last:
                node[part] = following
            else:
                node = node.setdefault(part, following)
    return found


def acceptable(value: Any, depth: int = MOST_DEEP) -> bool:
    """Return whether the store can hold a JSON value: no integers over 64 bits, broken Unicode or excessive nesting."""
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
