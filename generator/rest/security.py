"""Where requests go, and how they authenticate."""

from __future__ import annotations

import re
from typing import Any

from . import naming
from .document import deref
from .model import Scheme
from .reading import Reading


def schemes(reading: Reading) -> list[Scheme]:
    schemes = []
    components = reading.document.get("components") or {}
    # The arguments of every client.
    used = set("base_url path_suffix timeout max_retries deadline http_client httpx".split())
    for name, scheme in (components.get("securitySchemes") or {}).items():
        scheme = deref(reading.document, scheme)
        kind = (scheme.get("type"), scheme.get("in"), str(scheme.get("scheme", "")).lower())
        if kind[:2] == ("apiKey", "header"):
            header, prefix = str(scheme.get("name")), ""
        elif kind[0] in ("oauth2", "openIdConnect") or (kind[0], kind[2]) == ("http", "bearer"):
            header, prefix = "Authorization", "Bearer "
        elif kind[0] == "http" and kind[2] == "basic":
            header, prefix = "Authorization", "Basic "
        else:
            header = ""
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", header):
            reading.warn(components["securitySchemes"], name, f"the security scheme {name!r} is left out: no header")
            continue
        argument = naming.unique(naming.field(naming.argument(name)), used)
        used.add(argument)
        schemes.append(Scheme(name, header, prefix, argument))
    return schemes


def security_of(reading: Reading, entries: Any) -> tuple[str, ...]:
    known = {scheme.name for scheme in reading.api.schemes}
    names: list[str] = []
    for entry in entries or ():
        if not entry:
            return ()
        names.extend(name for name in entry if name in known)
    return tuple(dict.fromkeys(names))


def server_of(server: Any) -> str:
    url = str(server.get("url", ""))
    for name, variable in (server.get("variables") or {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url.rstrip("/")
