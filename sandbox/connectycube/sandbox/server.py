"""The sandbox's thread and event loop, and what runs on it.

The domain belongs to this loop. Other threads reach it through `Server.call`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .core import Core
from .rest.app import RestApp

__all__ = ["Server", "Service"]

T = TypeVar("T")
log = logging.getLogger("connectycube.sandbox")
GRACE = 0.5
"""Seconds that REST calls have to finish when the sandbox stops."""


class Service(Protocol):
    """A part of the sandbox that listens on its own ports, such as the chat. Its methods run on the loop."""

    async def start(self) -> None:
        """Start listening. The domain is ready."""

    async def stop(self) -> None:
        """Close all connections, and wait until they are closed."""


class Server:
    """Runs REST and other services on a thread of its own.

    :param make_core: builds the domain, on the new thread.
    :param services: builds the other services.
    :param host: the address that REST listens on.
    :ivar failure: why the sandbox ended on its own.
    """

    def __init__(
        self,
        make_core: Callable[[], Core],
        rest_socket: socket.socket,
        services: Callable[[Core], Sequence[Service]] = lambda core: (),
        host: str = "127.0.0.1",
    ) -> None:
        self._make_core = make_core
        self._socket = rest_socket
        self._make_services = services
        self._host = host
        self._services: Sequence[Service] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._uvicorn: uvicorn.Server | None = None
        self._stopping: asyncio.Event | None = None
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="connectycube-sandbox", daemon=True)
        self.core: Core | None = None
        self.failure: Exception | None = None
        self.started: Future[Core] = Future()
        self.stopped: Future[None] = Future()

    def start(self) -> Future[Core]:
        """Start. The future is done when all services listen."""
        self._thread.start()
        return self.started

    def stop(self) -> Future[None]:
        """Stop. The future is done when everything is closed."""
        with self._ending:
            if self._loop is not None and self._stopping is not None:
                self._loop.call_soon_threadsafe(self._stopping.set)
        return self.stopped

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function on the sandbox's loop, and return its result.

        :raises RuntimeError: if the sandbox is not running.
        :raises ChatStartError: if it ended on its own.
        """
        if threading.current_thread() is self._thread:
            return function(*args, **kwargs)

        async def run() -> T:
            return function(*args, **kwargs)

        with self._ending:
            if self.failure is not None:
                raise self.failure
            if self._loop is None:
                raise RuntimeError("the sandbox is not running")
            called = asyncio.run_coroutine_threadsafe(run(), self._loop)
        return called.result()

    # -- on the thread

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if self.started.done():
                log.exception("the sandbox crashed")
                self.stopped.set_exception(error)
            else:
                self.started.set_exception(error)
                self.stopped.set_result(None)
        else:
            if self.failure is None:
                self.stopped.set_result(None)
            else:
                self.stopped.set_exception(self.failure)

    def _fail(self, error: Exception) -> None:
        """Stop the sandbox because one of its services can't work, and remember why."""
        if self.failure is None:
            self.failure = error
        assert self._stopping is not None
        self._stopping.set()

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="connectycube-sandbox"))
        try:
            core = self.core = self._make_core()
            core.failed = self._fail
            try:
                await self._serve(core)
            finally:
                core.close()
        finally:
            self._socket.close()
            with self._ending:
                self._loop = None

    async def _serve(self, core: Core) -> None:
        rest = RestApp(core, self._drop, self._host)
        warming = asyncio.create_task(rest.warm())
        config = uvicorn.Config(
            rest.app,
            http=H11Protocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = self._uvicorn = _ReadyServer(config)
        self._services = self._make_services(core)
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        try:
            await _first(server.ready.wait(), serving)
            for service in self._services:
                await service.start()
            if self.failure is not None:
                raise self.failure
            self.started.set_result(core)
            assert self._stopping is not None
            await _first(self._stopping.wait(), serving)
        finally:
            for service in reversed(self._services):
                await service.stop()
            rest.page.close()
            server.should_exit = True
            # Requests in progress can delay the end only briefly.
            await asyncio.wait({serving}, timeout=GRACE)
            self._drop()
            await serving
            await warming

    def _drop(self, client: tuple[str, int] | None = None) -> None:
        """Break the REST connection of one client, or of all, without an answer."""
        if self._uvicorn is None:
            return
        for protocol in list(self._uvicorn.server_state.connections):
            if client is None or getattr(protocol, "client", None) == client:
                transport: Any = getattr(protocol, "transport", None)
                if transport is not None:
                    transport.abort()


async def _first(waited: Awaitable[object], serving: asyncio.Task[None]) -> None:
    """Wait for something, and raise an error if the server ends first."""
    waiting = asyncio.ensure_future(waited)
    await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await serving
        raise RuntimeError("the REST server ended on its own")


class _ReadyServer(uvicorn.Server):
    """A server with an event for when it listens. Outside the main thread, uvicorn leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()
