"""The connections of the async client: one set for each event loop and process, replaced when calls get stuck."""

from __future__ import annotations

import asyncio  # async only
import threading
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from weakref import WeakSet

import httpx

from . import _process, errors
from ._async_body import aread_body
from ._base import Owner, kept_headers
from ._call import Operation

ANY: Operation[None] = Operation("the call", "GET", None)

LEAKS: Final = 10
"""Connections that may be lost to cancelled calls before the others are replaced, too. Fewer in a small pool."""


def transport(proxy: httpx.Proxy | None = None) -> httpx.AsyncHTTPTransport:
    """Return a transport whose calls end at their deadlines."""
    # Imported late: httpcore is slow to import, and httpx does so only for the first client, too.
    from ._network import bounded

    return bounded(httpx.AsyncHTTPTransport(verify=_process.tls(), proxy=proxy))


class AsyncRoute(httpx.AsyncBaseTransport):
    """Goes through a proxy of the environment, except to the hosts that need none."""

    def __init__(self, proxy: httpx.Proxy, direct: httpx.AsyncHTTPTransport, hosts: str) -> None:
        self._proxied = transport(proxy)
        self._pool = self._proxied._pool
        self._direct = direct
        self._hosts = hosts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        chosen = self._direct if _process.direct(request.url, self._hosts) else self._proxied
        return await chosen.handle_async_request(request)

    async def aclose(self) -> None:
        await self._proxied.aclose()


class AsyncBody(httpx.AsyncByteStream):
    """The body of a response, which ends the call's use of its connection."""

    def __init__(self, response: httpx.Response, pool: AsyncPool, used: AsyncConnections) -> None:
        self._response = response
        self._stream: Any = response.stream
        self._pool = pool
        self._used: AsyncConnections | None = used

    def __aiter__(self) -> AsyncIterator[bytes]:
        found: AsyncIterator[bytes] = self._stream.__aiter__()
        return found

    async def aclose(self) -> None:
        used, self._used = self._used, None
        if used is None:
            return
        try:
            if _left_over(self._stream):
                # The next request would take them for its response. A closed connection is not used again.
                await self._response.extensions["network_stream"].aclose()
            await self._stream.aclose()
        except BaseException:
            self._pool.give_back(used, broken=True)
            raise
        self._pool.give_back(used)


class AsyncConnections:
    """An HTTP client, and how many calls are using it."""

    __slots__ = ("calls", "http", "loop", "retired", "shared")

    def __init__(self, http: httpx.AsyncClient, shared: bool) -> None:
        self.http = http
        self.loop: Any = None
        self.calls = 0
        self.retired = False
        """No further call gets it; the last one closes it."""
        self.shared = shared
        """The caller's own connections, which are not ours to close."""

    def stuck(self, patience: int) -> bool:
        """Return whether connections are busy with calls that have ended (encode/httpcore#1093)."""
        pools = _process.pools(self.http)
        if not pools:
            return False
        busy = {id(one) for pool in pools for one in pool.connections if not (one.is_idle() or one.is_closed())}
        lost: int = len(busy - {id(request.connection) for pool in pools for request in pool._requests})
        if patience == 1 or not self.shared:
            # The caller may use its own HTTP client for other calls.
            lost = max(lost, len(busy) - self.calls)
        smallest: int = min(pool._max_connections for pool in pools)
        return lost >= max(1, min(patience, smallest // LEAKS))


class AsyncPool:
    """The connections that a client shares with its copies, and with the clients of other sessions."""

    def __init__(self, given: httpx.AsyncClient | None, owner: Owner, *, cookies: bool = False) -> None:
        """Open connections, or take over those of a caller's own HTTP client.

        :param cookies: keep the cookies of that client. Without it, a cookie of one user can't reach the next.
        """
        if given is not None and not isinstance(given, httpx.AsyncClient):
            raise errors.ConfigurationError(
                f"http_client must be an httpx.{httpx.AsyncClient.__name__}, not {type(given).__name__}"
            )
        self._given = given
        self._cookies = cookies and given is not None
        self._owners = WeakSet([owner])
        self._closed = False
        self._lock = threading.Lock()
        self._open: dict[Any, AsyncConnections] = {}
        """By event loop."""
        self._closing: set[Any] = set()
        """Tasks that close connections."""
        self._first: AsyncConnections | None = self._connections(shared=given is not None)
        self._client: httpx.AsyncClient | None = self._first.http
        """The latest."""
        _process.at_fork(self)

    @property
    def follows(self) -> bool:
        """Whether the caller's HTTP client follows redirects."""
        return self._given is not None and self._given.follow_redirects

    def share(self, owner: Owner) -> None:
        """Remain usable until this owner is closed, too."""
        with self._lock:
            self._owners.add(owner)

    def take(self, name: str, owner: Owner) -> AsyncConnections:
        """Return connections for a call of this name, which has to give them back.

        :raises ConfigurationError: if the client is closed.
        """
        key = None
        key = asyncio.get_running_loop()  # async only
        with self._lock:
            used = self._open.get(key)
            if used is None and not self._closed:
                self._forget_ended_loops()  # async only
                used = self._open[key] = self._first or self._connections(shared=False)
                self._first = None
                self._client = used.http
                used.loop = key
            if (
                used is None
                or owner.closed
                or used.http.is_closed
                or (self._given is not None and self._given.is_closed)
            ):
                error = errors.ConfigurationError(f"{name} can't be sent: the client is closed")
                error.operation = name
                raise error
            used.calls += 1
            return used

    def give_back(self, used: AsyncConnections, *, broken: bool = False, patience: int = LEAKS) -> None:
        """End a call's use of connections; replace those that are stuck.

        :param broken: whether the call was cancelled or failed.
        :param patience: how many connections may be lost.
        """
        with self._lock:
            used.calls -= 1
            if broken and not used.retired and used.stuck(patience):
                used.retired = True
                for key in [key for key, value in self._open.items() if value is used]:
                    del self._open[key]
            ended = used.retired and not used.calls and not used.shared
        if ended:
            _process.close_soon(used.http, self._closing)

    async def aclose(self, owner: Owner) -> None:
        """Close the connections, unless the caller provided them. The last call in progress closes those in use.

        While other sessions' clients are open, only the first owner closes connections; they open others if necessary.
        """
        with self._lock:
            owner.closed = self._given is None
            shared = any(not other.closed for other in self._owners if other is not owner)
            if shared and not owner.first:
                return
            self._closed = owner.closed and not shared
            opened, self._open = self._open, {}
            if self._closed and self._first is not None:
                opened[None], self._first = self._first, None
            if self._given is not None:
                self._open = {key: used for key, used in opened.items() if used.shared}
            for used in opened.values():
                used.retired = not used.shared
            idle = [used for used in opened.values() if used.retired and not used.calls]
        here = None
        here = asyncio.get_running_loop()  # async only
        self._client = None
        for used in idle:
            if used.loop in (None, here):
                await used.http.aclose()
        for used in idle:  # async only
            if used.loop not in (None, here) and used.loop.is_running():
                asyncio.run_coroutine_threadsafe(used.http.aclose(), used.loop)
        for task in list(self._closing):  # async only
            if task.get_loop() is here:
                await task

    def forked(self) -> None:
        """Leave the connections to the parent."""
        _process.inherited.append((self._first, self._open, self._client))
        self._lock = threading.Lock()
        self._open = {}
        self._first = self._client = None
        self._closing = set()

    def _connections(self, *, shared: bool) -> AsyncConnections:
        """Return new connections, or those of the caller's own HTTP client."""
        if self._given is None:
            context = _process.tls()
            direct, hosts = transport(), _process.no_proxy()
            routes = {f"{scheme}://": AsyncRoute(proxy, direct, hosts) for scheme, proxy in _process.proxies().items()}
            http = httpx.AsyncClient(verify=context, trust_env=False, transport=direct, mounts=routes)
        else:
            # Only connections and hooks are taken over. What else it has would change or drop what is sent.
            http = _process.copy_of(self._given, shared=shared)
            http.headers = kept_headers(self._given.headers)
            http.params = httpx.QueryParams()
            http.base_url = httpx.URL("")
            hooks = self._given.event_hooks
            if hooks["response"]:
                http.event_hooks = {"request": hooks["request"], "response": [_read_failure, *hooks["response"]]}
        if not self._cookies:
            http.cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        return AsyncConnections(http, shared)

    def _forget_ended_loops(self) -> None:  # async only
        """Drop the connections of event loops that have ended, and can't close them."""
        for loop in [loop for loop in self._open if loop.is_closed()]:
            del self._open[loop]


async def _read_failure(response: httpx.Response) -> None:
    """Read a body before a hook of the caller's own raises for the status."""
    if not (response.is_success or response.is_closed):
        await aread_body(ANY, response)


def _left_over(stream: Any) -> bool:
    """Return whether bytes follow a response in its connection (encode/httpx#1474)."""
    for name in ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state"):
        stream = getattr(stream, name, None)
    return stream is not None and bool(stream.trailing_data[0])
