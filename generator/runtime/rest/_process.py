"""What clients take from their process: certificates, proxies, and what a fork leaves of them."""

from __future__ import annotations

import copy
import importlib
import inspect
import ipaddress
import os
import re
import ssl
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.request import getproxies
from weakref import WeakSet

import httpx

from . import errors

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)

# -- forks


class Forked(Protocol):
    """What must not be the same in parent and child."""

    def forked(self) -> None:
        """Start anew, in the child, without a look at locks: another thread may have held them."""


_forked: WeakSet[Forked] = WeakSet()

inherited: list[object] = []
"""Connections of the parent, which the child neither uses nor closes. Closing an event loop's transport would take it
out of the parent's epoll set."""


def at_fork(thing: Forked) -> None:
    """Call `thing.forked()` in each child process."""
    _forked.add(thing)


def _start_anew() -> None:
    # OpenSSL's own locks are part of a context.
    inherited.extend(_contexts.values())
    _contexts.clear()
    for thing in list(_forked):
        thing.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


# -- certificates

CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_contexts: dict[object, ssl.SSLContext] = {}


def tls() -> ssl.SSLContext:
    """Return the TLS settings that all clients of the process share; loading the certificates takes its time.

    :raises ConfigurationError: if a variable names files that can't be used.
    """
    values = {name: os.environ.get(name) for name in CERTIFICATES}
    key = (*values.values(), _changed(values["SSL_CERT_FILE"]))
    context = _contexts.get(key)
    if context is None:
        _check_certificates(values)
        try:
            context = httpx.create_ssl_context()
        except (OSError, ValueError) as error:
            used = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if values[name]][:1]
            names = " or ".join([*used, *(["SSLKEYLOGFILE"] if values["SSLKEYLOGFILE"] else [])]) or "certifi"
            reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
            raise errors.ConfigurationError(f"the certificates can't be loaded, check {names}: {reason}") from error
        _contexts.clear()  # Of earlier variables or files: clients that use one keep it.
        _contexts[key] = context
    return context


def _changed(path: str | None) -> int:
    """Return when a file was changed last."""
    try:
        return os.stat(path).st_mtime_ns if path else 0
    except (OSError, ValueError):
        return 0


def _check_certificates(values: dict[str, str | None]) -> None:
    file, folders = values["SSL_CERT_FILE"], values["SSL_CERT_DIR"]
    if file and not os.path.isfile(file):
        raise errors.ConfigurationError(f"SSL_CERT_FILE names no file: {file!r}")
    if not file and folders and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise errors.ConfigurationError(f"SSL_CERT_DIR names no folder: {folders!r}")


# -- proxies


def proxies() -> dict[str, httpx.Proxy]:
    """Return the proxies of the environment by scheme: `http`, `https` or `all`.

    :raises ConfigurationError: if a variable holds no usable address.
    """
    found: dict[str, httpx.Proxy] = {}
    for scheme, address in getproxies().items():
        if scheme not in ("http", "https", "all") or not address:
            continue
        problem = "isn't a proxy's address, such as http://proxy.example.com:3128"
        try:
            proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
            if proxy.url.host:
                if proxy.url.scheme.startswith("socks"):
                    problem = "names a SOCKS proxy, which needs the package socksio: pip install 'httpx[socks]'"
                    importlib.import_module("socksio")
                found[scheme] = proxy
                continue
        except (httpx.InvalidURL, ValueError, ImportError):
            pass
        # Raised outside of the handler: httpx's error may quote the address, and that may hold a password.
        raise errors.ConfigurationError(f"{_variable(scheme)} {problem}")
    return found


def _variable(scheme: str) -> str:
    name = f"{scheme}_proxy"
    return name if name in os.environ else name.upper()


def no_proxy() -> str:
    """Return the hosts that need no proxy, as `direct` reads them."""
    return getproxies().get("no", "")


def direct(url: httpx.URL, hosts: str) -> bool:
    """Return whether a URL needs no proxy.

    :param hosts: names, which stand for their subdomains too, addresses, and ranges of addresses; `*` for all.
    """
    host = url.host.lower().rstrip(".")
    for entry in hosts.lower().split(","):
        entry = entry.strip().rpartition("://")[2]
        if entry == "*" or (entry and _matches(host, url.port, entry)):
            return True
    return False


def _matches(host: str, port: int | None, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False)
    except (ValueError, TypeError):
        pass  # The host or the entry is a name, or the entry has a port.
    name, _, wanted = entry.rpartition(":") if re.search(r":[0-9]+$", entry) else (entry, "", "")
    if wanted and wanted != str(port):
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return host == name or (host.endswith(f".{name}") and not name[-1:].isdigit())


# -- an HTTP client of the caller's own


def copy_of(given: Client, *, shared: bool) -> Client:
    """Return a copy of a caller's HTTP client that can be changed without changing the original.

    :param shared: whether it has the original's connections; otherwise it has its own, with the same settings.
    """
    made = copy.copy(given)
    if not shared:
        made._transport = _renewed(given._transport)
        made._mounts = cast("Any", {pattern: _renewed(transport) for pattern, transport in given._mounts.items()})
    return made


def _renewed(transport: Any, depth: int = 4) -> Any:
    """Return a transport like this one, or one that wraps another, with connections of its own."""
    pool = getattr(transport, "_pool", None)
    changes: dict[str, Any] = {}
    if _is_pool(pool):
        kind: Any = type(pool)
        names = list(inspect.signature(kind).parameters)
        changes["_pool"] = kind(**{name: getattr(pool, f"_{name}") for name in names if hasattr(pool, f"_{name}")})
    elif depth and isinstance(transport, (httpx.BaseTransport, httpx.AsyncBaseTransport)):
        for name, value in getattr(transport, "__dict__", {}).items():
            if isinstance(value, (httpx.BaseTransport, httpx.AsyncBaseTransport)):
                changes[name] = _renewed(value, depth - 1)
    if not changes:
        return transport
    made = copy.copy(transport)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def pools(client: httpx.Client | httpx.AsyncClient) -> list[Any]:
    """Return the connection pools of an HTTP client."""
    transports = [client._transport, *client._mounts.values()]
    found = [getattr(transport, "_pool", None) for transport in transports]
    return [pool for pool in found if _is_pool(pool)]


def _is_pool(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "httpcore"


def close_soon(client: httpx.Client | httpx.AsyncClient, tasks: set[Any]) -> None:
    """Close an HTTP client without regard to the call that causes it, which may be cancelled once more.

    :param tasks: gets the task that closes an async one.
    """
    if isinstance(client, httpx.Client):
        client.close()
        return
    # Imported late: the sync client does not need it.
    import asyncio

    task = asyncio.ensure_future(client.aclose())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
