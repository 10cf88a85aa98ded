"""From the name of a server to a connected socket: SRV, addresses, proxies, and what failed before."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from itertools import chain, zip_longest
from threading import Thread
from typing import Any, Final, TypeAlias

import aiohappyeyeballs

from connectycube.stanzas import StreamError

from .._settings import Settings, split_address

__all__ = ["Dialer", "FencedSocket", "ProxyFailed"]

AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
Target: TypeAlias = tuple[str, int]

ATTEMPT_DELAY: Final = 0.25
"""Seconds until the next address is tried as well (RFC 8305 section 5)."""
SRV_TIMEOUT: Final = 3.0
"""Seconds for the SRV records. A resolver that does not know the type may never answer."""
MOST_LOOKUPS: Final = 4
"""Lookups of the same name that may hang at the same time, so that a broken resolver can't use up the threads."""
STALE: Final = 10.0
"""Seconds after which another attempt no longer relies on a lookup that has not ended."""

logger = logging.getLogger("connectycube.chat")


class ProxyFailed(OSError):
    """The proxy could not be reached, or refused."""


class Dialer:
    """Opens the sockets of a chat, and prefers addresses where the previous attempt did not fail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failures: dict[tuple[Any, ...], int] = {}
        self._used: tuple[Any, ...] | None = None
        self._redirect: Target | None = None

    async def dial(self) -> socket.socket:
        """Connect to the server, directly or through the proxy.

        :raises OSError: if that fails.
        """
        settings = self._settings
        self._used = None
        redirect, self._redirect = self._redirect, None
        if redirect is not None:
            targets = [redirect]
        else:
            targets = (await _services(settings) if settings.srv else []) or [settings.dial]
        if settings.proxy is None:
            return await self._reach(targets)
        target = min(targets, key=lambda target: self._failures.get(target, 0))
        sock = await self._through(settings.proxy, target)
        self._used = target
        return sock

    def failed(self) -> None:
        """Put the address of the last attempt behind the others: it failed after the connection was made."""
        if self._used is not None:
            if len(self._failures) > 100:
                self._failures.clear()
            self._failures[self._used] = self._failures.get(self._used, 0) + 1

    def succeeded(self) -> None:
        """Forget the failures: the last attempt succeeded."""
        self._failures.clear()

    def redirect(self, error: StreamError, *, secure: bool) -> None:
        """Use the address of a see-other-host error for the next attempt (RFC 6120 section 4.9.3.19).

        The certificate must still be the original host's. If the error did not come over TLS, anyone may have sent it,
        so only the same host or a part of its domain is followed.
        """
        try:
            host, port = split_address(error.see_other_host or "")
        except ValueError:
            return
        ours = self._settings.dial[0]
        if host and (secure or host == ours or host.endswith(f".{ours}")):
            self._redirect = (host, port or self._settings.dial[1])

    # For python-socks, this object is the proxy before the proxy: it opens the connection.

    async def connect(self, dest_host: str, dest_port: int, timeout: float | None = None) -> socket.socket:
        """Connect to the proxy."""
        try:
            return await self._reach([(dest_host, dest_port)])
        except OSError as error:
            raise ProxyFailed(f"the proxy {dest_host}:{dest_port} can't be reached: {error}") from error

    async def _through(self, url: str, target: Target) -> socket.socket:
        from python_socks import ProxyError
        from python_socks.async_.asyncio import Proxy

        opener: Any = self
        # Names are resolved by the proxy: the network may not resolve them here.
        proxy = Proxy.from_url(url.replace("socks5h://", "socks5://", 1), rdns=True, forward=opener)
        try:
            return await proxy.connect(*target, timeout=self._settings.timeout)
        except ProxyError as error:
            raise ProxyFailed(f"the proxy refused the connection to {target[0]}:{target[1]}: {error}") from error

    async def _reach(self, targets: Sequence[Target]) -> socket.socket:
        found = await asyncio.gather(*(_addresses(*target) for target in targets), return_exceptions=True)
        lists = [each for each in found if not isinstance(each, BaseException)]
        if not any(lists):
            raise next((error for error in found if isinstance(error, BaseException)), OSError("no addresses"))
        addresses: list[AddressInfo] = sorted(
            chain.from_iterable(map(_interleaved, lists)), key=lambda info: self._failures.get(info[4], 0)
        )
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=ATTEMPT_DELAY, interleave=0)
        self._used = sock.getpeername()
        return sock


def _interleaved(addresses: Sequence[AddressInfo]) -> list[AddressInfo]:
    """Alternate between the address families, the preferred one first (RFC 8305 section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in addresses:
        families.setdefault(info[0], []).append(info)
    rounds = zip_longest(*families.values())
    return [info for each in rounds for info in each if info is not None]


async def _services(settings: Settings) -> list[Target]:
    """Return the servers that the domain names in SRV records (RFC 6120 section 3.2.1, XEP-0368), best first."""
    import dns.asyncresolver
    import dns.exception

    service = "xmpps-client" if settings.tls == "direct" else "xmpp-client"
    name = f"_{service}._tcp.{settings.dial[0]}."
    try:
        answer = await dns.asyncresolver.Resolver().resolve(name, "SRV", lifetime=SRV_TIMEOUT)
    except dns.exception.DNSException as error:
        logger.debug("no SRV records of %s: %s", name, error)
        return []
    records: Any = answer.rrset.processing_order() if answer.rrset is not None else []
    targets = [(record.target.to_text(omit_final_dot=True), record.port) for record in records]
    if any(host in ("", ".") for host, _ in targets):
        raise OSError(f"{settings.dial[0]} does not offer this service: {name} says so")
    return targets


# -- the resolver

_lookups: dict[Target, deque[tuple[float, Future[list[AddressInfo]]]]] = {}
"""The lookups in progress, which all chats of the process share."""

if hasattr(os, "register_at_fork"):  # Their threads do not exist in the child.
    os.register_at_fork(after_in_child=_lookups.clear)


async def _addresses(host: str, port: int) -> list[AddressInfo]:
    """Return the addresses of a host, preferred ones first.

    asyncio's own resolver occupies threads that the application shares, and keeps the loop from ending, for as long as
    the system's resolver hangs. A loop with another resolver is asked.
    """
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    if getattr(loop.getaddrinfo, "__func__", None) is not asyncio.BaseEventLoop.getaddrinfo:
        own: Any = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(own)
    running = _lookups.setdefault((host, port), deque())
    if not running or (loop.time() - running[-1][0] > STALE and len(running) < MOST_LOOKUPS):
        running.append((loop.time(), _start_lookup(host, port)))
    found: list[AddressInfo] = await asyncio.wrap_future(running[-1][1])
    return found


def _start_lookup(host: str, port: int) -> Future[list[AddressInfo]]:
    future: Future[list[AddressInfo]] = Future()
    future.set_running_or_notify_cancel()  # Nobody who stops waiting cancels it for the others.

    def work() -> None:
        try:
            result = _look_up(host, port)
        except Exception as error:
            _finished(host, port, future)
            future.set_exception(error)
        else:
            _finished(host, port, future)
            future.set_result(result)

    Thread(target=work, name=f"connectycube resolver of {host}", daemon=True).start()
    return future


def _finished(host: str, port: int, future: Future[list[AddressInfo]]) -> None:
    # A copy, because the loop's thread may add to it meanwhile.
    running = tuple(_lookups.get((host, port), ()))
    left = deque(each for each in running if each[1] is not future)
    if left:
        _lookups[host, port] = left
    else:
        _lookups.pop((host, port), None)


def _look_up(host: str, port: int, flags: int = 0) -> list[AddressInfo]:
    found: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(found)


class FencedSocket(socket.socket):
    """A socket that asks before each write.

    A process that is frozen can have data in the transport, and asyncio writes it as soon as the process goes on,
    before any of our code runs. TLS writes by itself, too. So the fence has to be at the socket. Event loops that do
    not use the socket's methods, such as those of Windows, have only the stream's own check.
    """

    def __init__(self, sock: socket.socket, may_write: Callable[[], bool]) -> None:
        """:param sock: the socket that this one replaces."""
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self._may_write = may_write

    def send(self, *arguments: Any) -> int:
        self._check()
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self._check()
        return super().sendmsg(*arguments)

    def _check(self) -> None:
        if not self._may_write():
            raise ConnectionAbortedError("the fence is closed")
