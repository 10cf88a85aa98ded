"""Reading an HTTP request: body, form, query, what of it is where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from ..errors import Refused, bad_request
from .document import Operation
from .lenient import acceptable, coerce, unflatten

__all__ = ["body_of", "fit_body", "fit_query", "read_bytes"]

FORM = "application/x-www-form-urlencoded"
MOST_PAIRS = 1000


async def read_bytes(request: Request, most: int) -> bytes:
    """The body.

    :raises Refused: if it is larger than it may be.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise bad_request(f"The body is larger than {most} bytes")
    return bytes(data)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def body_of(data: bytes, content_type: str) -> Any:
    """The value of a body: JSON, or a form read as the object that it spells; `None` for nothing.

    :raises Refused: if it is neither.
    """
    if not data:
        return None
    if content_type.partition(";")[0].strip().lower() == FORM:
        value = unflatten(form_pairs(data))
    else:
        try:
            value = json.loads(data, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            raise bad_request("The body is not JSON") from error
    if not acceptable(value):
        raise bad_request("The body nests too deep, or holds a number that is too large, or broken Unicode")
    return value


def form_pairs(data: bytes) -> list[tuple[str, str]]:
    """The pairs of a form's body.

    :raises Refused: if it is malformed.
    """
    try:
        return parse_qsl(data.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS)
    except ValueError as error:
        raise bad_request("The form is malformed") from error


def query_of(text: str) -> list[tuple[str, str]]:
    """The pairs of a query.

    :raises Refused: if it is malformed.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS)
    except ValueError as error:
        raise bad_request("The query is malformed") from error


def fit_query(operation: Operation, query: Sequence[tuple[str, str]], body: Any) -> list[tuple[str, str]]:
    """The query with what SDKs put into the body of a GET or DELETE (CR-09), and lists under their plain names."""
    found = list(query)
    if operation.method in ("GET", "DELETE") and isinstance(body, Mapping):
        found += _flat(body)
    fitted = []
    for name, text in found:
        plain = name.removesuffix("[]")
        fitted.append((plain if plain in operation.array_names else name, text))
    return fitted


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """The pairs that spell an object."""
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
    """The body in the form that the spec describes, as far as it can be read so."""
    schema = operation.body_schema
    if schema is None:
        return None
    envelope = operation.envelope
    if envelope is not None and isinstance(body, dict) and body and envelope not in body:
        # Fields without their envelope (CR-11).
        body = {envelope: body}
    return coerce(body, schema, operation.document)


def require_groups(operation: Operation, query: Sequence[tuple[str, str]], fields: Mapping[str, Any]) -> None:
    """Of some arguments one must be given (`x-exactly-one`, `x-at-least-one`).

    :raises Refused: if none is.
    """
    given = fields.keys() | {name for name, _ in query}
    for keyword in ("x-exactly-one", "x-at-least-one"):
        for group in operation.source.get(keyword, ()):
            if "filters" not in group and not given & set(group):
                status = 422 if 422 in operation.statuses else 400
                raise Refused(status, {"base": [f"{' or '.join(group)} is required"]})
