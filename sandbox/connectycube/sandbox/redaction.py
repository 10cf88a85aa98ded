"""Taking secrets out of what is shown: the journal, the page, the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["HIDDEN", "headers", "pairs", "value", "xml"]

HIDDEN = "•••"

_SECRETS = frozenset(
    """
    password old_password oldPassword token secret auth_key authkey signature access_token
    cb-token cb-authkey cb-administration-api-key authorization cookie set-cookie
    params download_url dowload_url web_auth web_p256dh client_identification_sequence
    """.split()
)

_SASL = re.compile(r"(<(?:\w+:)?(auth|response|challenge|success)\b(?=[^>]*xmpp-sasl)[^>]*>)[^<]+(?=<)")


def secret(name: str) -> bool:
    """Whether what goes by this name is never shown."""
    return name.rpartition("[")[2].rstrip("]").lower() in _SECRETS or name in _SECRETS


def value(found: Any) -> Any:
    """A JSON value with its secrets hidden, at any depth."""
    if isinstance(found, Mapping):
        return {
            key: HIDDEN if isinstance(inner, (str, int)) and secret(str(key)) else value(inner)
            for key, inner in found.items()
        }
    return [value(inner) for inner in found] if isinstance(found, list) else found


def pairs(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """A query's or form's pairs with their secrets hidden."""
    return [(name, HIDDEN if secret(name) else text) for name, text in found]


def headers(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers with their secrets hidden."""
    return {name: HIDDEN if secret(name) else text for name, text in found if name.lower() != "location"}


def xml(text: str) -> str:
    """A stanza with what SASL carries hidden."""
    return _SASL.sub(rf"\1{HIDDEN}", text) if "xmpp-sasl" in text else text
