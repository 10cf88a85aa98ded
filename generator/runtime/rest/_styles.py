"""Arguments in paths, headers and cookies, in the styles of OpenAPI.

Members of objects and lists that are null are left out, as in RFC 6570. Objects and lists inside of others are written
as JSON, because these styles have no form for them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import quote

from ._wire import members, query_text, separable
from .errors import InvalidArgument

COOKIE_SAFE: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"
"""What a cookie holds unescaped, besides letters and digits (RFC 6265 section 4.1.1)."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def path(name: str, key: str, value: Any, *, style: str = "simple", explode: bool = False) -> str:
    """Encode an argument as a piece of a path.

    :param key: its name on the wire, which the style `matrix` writes.
    :raises InvalidArgument: if the piece would be empty, `.` or `..`.
    """
    lead, separator = {"label": (".", "."), "matrix": (";", ";")}.get(style, ("", ","))
    if style == "json":
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(value, (dict, list)):
        texts = [_part(name, value)]
    elif isinstance(value, dict) and explode:
        given = {inner: entry for inner, entry in value.items() if entry is not None}
        texts = [f"{quote(inner, safe='')}={_quoted(entry)}" for inner, entry in given.items()]
        key = ""
    elif isinstance(value, dict):
        texts = [_quoted(entry) for entry in members(value)]
    else:
        texts = [_part(f"{name}[{index}]", entry) for index, entry in enumerate(value) if entry is not None]
    if not texts:
        raise InvalidArgument(name, "must not be empty")
    if not explode and len(texts) > 1:
        texts = [",".join(texts)]
    if style == "matrix" and key:
        texts = [f"{quote(key, safe='')}={text}" for text in texts]
    return lead + separator.join(texts)


def _part(name: str, value: Any) -> str:
    found = query_text(value)
    if not found.strip() or found in (".", ".."):
        raise InvalidArgument(name, f"can't be {found!r}" if found.strip() else "must not be empty")
    return quote(found, safe="")


def _quoted(value: Any) -> str:
    return quote(query_text(value), safe="")


def header(name: str, value: Any, *, style: str = "simple", explode: bool = False) -> str:
    """Encode an argument as the value of a header.

    :raises InvalidArgument: if a header can't hold it.
    """
    if style == "json":
        found = json.dumps(value, separators=(",", ":"))
    elif isinstance(value, dict) and explode:
        given = {inner: entry for inner, entry in value.items() if entry is not None}
        texts = separable(name, members(given), ",")
        found = ",".join(f"{inner}={entry}" for inner, entry in zip(texts[::2], texts[1::2], strict=True))
    elif isinstance(value, (dict, list)):
        found = ",".join(separable(name, members(value), ","))
    else:
        found = query_text(value)
    if not (found.isascii() and found.isprintable()):
        raise InvalidArgument(name, "must be printable ASCII, because it is sent in a header")
    if found != found.strip():
        raise InvalidArgument(name, "must not start or end with a space, which a header loses")
    return found


def cookies(name: str, key: str, value: Any, *, style: str = "form", explode: bool = True) -> list[str]:
    """Encode an argument as cookies: one, or one for each entry of an exploded list or object.

    What a cookie can't hold is escaped as in a URL.

    :raises InvalidArgument: if a text holds a control character or a semicolon.
    """
    if style == "json":
        found = [(key, quote(json.dumps(value, separators=(",", ":")), safe=COOKIE_SAFE))]
    elif not isinstance(value, (dict, list)):
        found = [(key, _cookie(name, value))]
    elif not explode:
        texts = separable(name, members(value), ",")
        found = [(key, ",".join(_cookie(name, text) for text in texts))]
    elif isinstance(value, dict):
        parts = members(value)
        keys = [quote(inner, safe="!#$&'*+-.^_`|~") for inner in parts[::2]]
        found = [(inner, _cookie(name, entry)) for inner, entry in zip(keys, parts[1::2], strict=True)]
    else:
        found = [(key, _cookie(name, entry)) for entry in members(value)]
    return [f"{inner}={text}" for inner, text in found]


def _cookie(name: str, value: Any) -> str:
    found = query_text(value)
    if ";" in found or _CONTROLS.search(found):
        raise InvalidArgument(name, "must hold no control character or semicolon, because it is sent in a cookie")
    return quote(found, safe=COOKIE_SAFE)
