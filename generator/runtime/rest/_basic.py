"""Credentials of HTTP's basic authentication (RFC 7617)."""

from __future__ import annotations

import base64
from typing import Any

from ._masking import Secret
from .errors import ConfigurationError


def encoded(name: str, value: Any) -> str | None:
    """Encode a user name and a password for the `Authorization` header.

    :param name: the client's argument.
    :param value: both as a pair, or as one text with a colon between them.
    :raises ConfigurationError: if it is neither.
    """
    if value is None:
        return None
    pair = value.split(":", 1) if isinstance(value, str) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise ConfigurationError(f'{name} must be a pair of user name and password, or a text like "user:password"')
    user, password = pair
    if ":" in user:
        raise ConfigurationError(f"the user name in {name} must not contain a colon")
    if not (user.isprintable() and password.isprintable()):
        raise ConfigurationError(f"{name} must not contain control characters")
    return Secret(base64.b64encode(Secret(f"{user}:{password}").encode()).decode("ascii"))
