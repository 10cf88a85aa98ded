"""Where requests go."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ..source import Map
from .reading import Reading

VARIABLE = re.compile(r"{([^{}]*)}")


def server_of(reading: Reading, holder: Map) -> str | None:
    """The first of an object's servers, its variables at their defaults.

    A server without a host is relative to the client's base URL: it starts with a slash. A server with variables is
    also noted in the API.

    :returns: its address, or `None` if it has none that can be used.
    """
    servers = holder.get("servers") or ()
    if not servers:
        return None
    server = servers[0]
    url = str(server.get("url") or "").strip()
    variables = server.get("variables") or Map()
    address = url
    for name in dict.fromkeys(VARIABLE.findall(url)):
        if not isinstance(variables.get(name), Map) or "default" not in variables[name]:
            problem = f"the server variable {name!r} has no default"
            return _unusable(reading, server, problem)
        address = address.replace(f"{{{name}}}", str(variables[name]["default"]))
    try:
        parts = urlsplit(address)
        host, scheme, _ = parts.hostname, parts.scheme, parts.port
    except ValueError:
        return _unusable(reading, server, f"the server {address!r} has no valid address")
    if parts.query or parts.fragment:
        reading.warn(server, "url", f"the query of the server {address!r} is left out")
        url, address = (re.split("[?#]", text)[0] for text in (url, address))
    if scheme not in ("", "http", "https") or (scheme and not host) or parts.username is not None:
        return _unusable(reading, server, f"the server {address!r} is not an http or https address")
    if host and not scheme:
        url, address = f"https:{url}", f"https:{address}"
    elif not host:
        first = address.lstrip("./").partition("/")[0]
        if not address.startswith(("/", ".")) and "." in first:
            return _unusable(reading, server, f"the server {address!r} has no scheme, such as https")
        # Relative to the document, which may be anywhere.
        return "/" + re.sub(r"^(?:\.{0,2}/)+", "", address).strip("/.")
    address = address.rstrip("/")
    known = {
        name: (str(entry["default"]), tuple(map(str, entry.get("enum") or ())))
        for name, entry in variables.items()
        if name in VARIABLE.findall(url)
    }
    if known:
        reading.api.servers[address] = (url.rstrip("/"), known)
    return address


def _unusable(reading: Reading, server: Map, problem: str) -> str | None:
    reading.warn(server, "url", problem, "Pass base_url to the client")
    return None


def base_server(reading: Reading) -> None:
    """Read the server of the whole document."""
    address = server_of(reading, reading.document) or ""
    if address.startswith("/"):
        reading.api.server_path = address.rstrip("/")
    else:
        reading.api.base_url = address


def common_server(reading: Reading) -> None:
    """If the document names no server but all operations do, let the first of them be the client's."""
    api = reading.api
    found = [operation.server for resource in api.resources for operation in resource.operations]
    if found and not api.base_url and all(server.startswith("http") for server in found):
        api.base_url = found[0]


def own_server(reading: Reading, *holders: Any) -> str:
    """The server of an operation: its own, or that of its path; empty if that of the document is."""
    for holder in holders:
        if holder.get("servers"):
            return server_of(reading, holder) or ""
    return ""
