"""How requests authenticate."""

from __future__ import annotations

from ..source import Map
from . import naming
from .document import deref
from .model import Scheme
from .reading import Reading

#: The arguments of every client.
TAKEN = "base_url path_suffix timeout max_retries deadline http_client on_retry httpx server_variables self".split()

OF_HTTP_CLIENT = "The requests are sent without it: pass an http_client that authenticates"


def schemes(reading: Reading) -> dict[str, Scheme | None]:
    """The security schemes by their names in the document; `None` for one that the HTTP client has to deal with."""
    found: dict[str, Scheme | None] = {}
    used = set(TAKEN)
    section: Map = (reading.document.get("components") or {}).get("securitySchemes") or Map()
    for name, entry in section.items():
        scheme = deref(reading.document, entry)
        kind, place, http = (str(scheme.get(key) or "") for key in ("type", "in", "scheme"))
        wire, prefix, where, basic = "Authorization", "", "header", False
        if kind == "mutualTLS":
            found[name] = None
            continue
        if kind == "apiKey" and place in ("header", "query", "cookie"):
            wire, where = str(scheme.get("name") or ""), place
        elif kind in ("oauth2", "openIdConnect") or (kind, http.lower()) == ("http", "bearer"):
            prefix = "Bearer "
        elif (kind, http.lower()) == ("http", "basic"):
            prefix, basic = "Basic ", True
        else:
            label = (
                f"the security scheme {name!r} is left out: {f'{kind} {http}'.strip() or 'no type'} is not supported"
            )
            reading.warn(section, name, label, OF_HTTP_CLIENT)
            found[name] = None
            continue
        if not (wire if where == "query" else naming.TOKEN.fullmatch(wire)):
            problem = f"the security scheme {name!r} is left out: {wire!r} is not a valid {where} name"
            reading.warn(section, name, problem, OF_HTTP_CLIENT)
            found[name] = None
            continue
        argument = naming.unique(naming.field(naming.argument(name)), used)
        used.add(argument)
        # In errors, a client names what its caller has to pass.
        label = name if reading.api.platform else argument
        found[name] = Scheme(label, wire, prefix, argument, where, basic)
    return found


def security_of(reading: Reading, holder: Map) -> tuple[tuple[str, ...], ...]:
    """The alternatives of an object's `security`, that of anonymous requests last."""
    found: list[tuple[str, ...]] = []
    for entry in holder.get("security") or ():
        schemes = [reading.security[name] for name in entry]
        found.append(tuple(dict.fromkeys(scheme.name for scheme in schemes if scheme is not None)))
    found = list(dict.fromkeys(found))
    return tuple(sorted(found, key=lambda names: not names)) if any(found) else ()
