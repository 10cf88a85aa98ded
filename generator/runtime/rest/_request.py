"""Calls that the spec lacks, pure: method, path, query and body in, request out; decoded JSON out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from . import _wire as wire
from ._call import LONGEST_PATH, Call, Operation
from .errors import InvalidArgument

METHODS: Final = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH")
REPEATABLE: Final = METHODS[:5]
"""May be repeated even if the server has seen them (RFC 9110 section 9.2.2)."""

SECURITY: Final = ("session", "adminKey", "authKey")


def request_call(base_url: str, method: str, path: str, query: Mapping[str, Any] | None, json: Any) -> Call[Any]:
    """Check the arguments of a request and return its call.

    :raises InvalidArgument: if one is invalid, such as a path that leads to another host.
    """
    method = wire.choice("method", wire.text("method", method).upper(), METHODS)
    operation: Operation[Any] = Operation(
        "request", method, _any, quick=_nothing, security=SECURITY, idempotent=method in REPEATABLE
    )
    pairs: wire.Pairs = []
    for key, value in wire.mapping("query", query or {}, wire.anything).items():
        if value is not None:
            pairs += wire.pairs(key, value, style="deepObject")
    body = None if json is None else wire.anything("json", json)
    return Call(operation, _path(base_url, path), query=pairs, json=body)


def _path(base_url: str, path: str) -> str:
    path = wire.text("path", path, min_length=1)
    if path.startswith(f"{base_url}/"):
        path = path.removeprefix(base_url)
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidArgument("path", f"must start with / and stay on the client's host, {base_url}")
    if not {"?", "#", "\\"}.isdisjoint(path) or not path.isprintable():
        raise InvalidArgument("path", "must have no query, fragment, backslash or control character: pass query=")
    if not {".", ".."}.isdisjoint(unquote(path).split("/")):
        raise InvalidArgument("path", "must have no segments . or ..")
    found = quote(path, safe="/%:@!$&'()*+,;=-._~")
    if len(found) > LONGEST_PATH:
        raise InvalidArgument("path", wire.TOO_LONG)
    return found


def _any(data: Any) -> Any:
    return data


def _nothing(body: bytes) -> None:
    """Read an empty body; any other is left to the parser of JSON."""
    if body.strip():
        raise msgspec.DecodeError("is not empty")
