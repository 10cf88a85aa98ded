"""Addresses of servers: with variables, or without a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ._base import base_address
from ._names import BASE_URL
from .errors import ConfigurationError

Servers = Mapping[str, tuple[str, Mapping[str, tuple[str, tuple[str, ...]]]]]
"""Each server, by its default address: the address with the variables in braces, and the default of each variable with
the values that it may have, if not any."""


def addresses(servers: Servers, given: Mapping[str, str] | None, base_url: str) -> dict[str, str]:
    """Return the address of each server, by its default address.

    :param given: values of variables; the others have their defaults.
    :param base_url: what the client was given, which stands for all servers if it is not the API's own.
    :raises ConfigurationError: if a variable is unknown, or a value is not one of those that it may have.
    """
    if given and BASE_URL not in ("", base_url):
        raise ConfigurationError("server_variables can't be combined with a base_url, which has no variables")
    chosen = _checked(servers, given)
    found = {}
    for default, (address, variables) in servers.items():
        for name, (usual, _) in variables.items():
            address = address.replace(f"{{{name}}}", chosen.get(name, usual))
        found[default] = base_address(address, source="the server that server_variables give") if chosen else default
    return found


def _checked(servers: Servers, given: Any) -> dict[str, str]:
    if given is not None and not isinstance(given, Mapping):
        raise ConfigurationError(f"server_variables must be a mapping, not {type(given).__name__}")
    known: dict[str, tuple[str, ...]] = {}
    for _, variables in servers.values():
        known |= {name: values for name, (_, values) in variables.items()}
    for name, value in (given or {}).items():
        if name not in known:
            raise ConfigurationError(f"server_variables has no {name!r}: known are {', '.join(map(repr, known))}")
        if not isinstance(value, str):
            raise ConfigurationError(f"server_variables[{name!r}] must be text, not {type(value).__name__}")
        if known[name] and value not in known[name]:
            values = ", ".join(map(repr, known[name]))
            raise ConfigurationError(f"server_variables[{name!r}] must be one of {values}, not {value!r}")
    return dict(given or {})


def under(base_url: str, path: str) -> str:
    """Return a base URL, with the path of the API's servers if it names nothing but a host."""
    try:
        bare = urlsplit(base_url).path in ("", "/")
    except (ValueError, TypeError, AttributeError):
        return base_url  # `base_address` refuses it.
    return base_url.rstrip("/") + path if bare and base_url else base_url
