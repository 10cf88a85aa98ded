"""Both clients behind one face, so that one test body drives the sync and the async one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import httpx

from connectycube.rest import AsyncConnectyCube, ConnectyCube
from connectycube.rest.pages import AsyncPage, Page

T = TypeVar("T")

APP_ID = 7001
AUTH_KEY = "auth-key-4f1e"
TOKEN = "token-of-a-session-0a1b2c"

AT_ONCE = httpx.Timeout(30, read=0.05)
"""For a server that never answers. Only the answer is given up at once: on a loaded machine a connection takes time."""


class Both:
    """Makes clients of one kind. An async client is wrapped, so that its methods block; `raw` gives it bare.

    All clients are closed at the end.
    """

    def __init__(self, kind: str) -> None:
        self.is_async = kind == "async"
        self._runner = asyncio.Runner()
        self._made: list[ConnectyCube | AsyncConnectyCube] = []
        self._http: list[httpx.Client | httpx.AsyncClient] = []

    def cube(self, base_url: str, **options: Any) -> ConnectyCube:
        """A client with a session, unless other options say otherwise."""
        given = {"app_id": APP_ID, "auth_key": AUTH_KEY, "token": TOKEN, "base_url": base_url, **options}
        made = AsyncConnectyCube(**given) if self.is_async else ConnectyCube(**given)
        self._made.append(made)
        return self.blocking(made)

    def http(self, **options: Any) -> Any:
        """An HTTP client of the right kind for `http_client`, which loads no certificates unless options say so."""
        options = {"verify": False, **options}
        made = httpx.AsyncClient(**options) if self.is_async else httpx.Client(**options)
        self._http.append(made)
        return made

    def blocking(self, client: Any) -> ConnectyCube:
        """A client whose methods block, whatever it is."""
        return cast("ConnectyCube", _Blocking(client, self._runner)) if self.is_async else cast("ConnectyCube", client)

    def hook(self, function: Callable[[ConnectyCube], T]) -> Callable[[Any], Any]:
        """A hook `on_session_expired` of the right kind; the function must not call the client."""

        async def ahook(cube: Any) -> T:
            return function(cube)

        return ahook if self.is_async else function

    def gather(self, cube: ConnectyCube, call: Callable[[ConnectyCube], T], times: int) -> list[T | BaseException]:
        """Make a call many times at once: in as many threads, or as many tasks."""
        if not self.is_async:
            with ThreadPoolExecutor(times) as pool:
                futures = [pool.submit(call, cube) for _ in range(times)]
            return [future.exception() or future.result() for future in futures]

        async def all_at_once() -> list[Any]:
            calls = [cast("Awaitable[T]", call(raw(cube))) for _ in range(times)]
            return await asyncio.gather(*calls, return_exceptions=True)

        return self._runner.run(all_at_once())

    def run(self, value: Awaitable[T] | T) -> T:
        """The result of a coroutine, or the value itself."""
        return self._runner.run(_wait(value)) if inspect.isawaitable(value) else value

    def walk(self, page: Page[T]) -> list[T]:
        """All items from a page to the end of its list."""
        found: Any = page
        return self._runner.run(_walk(found)) if isinstance(found, AsyncPage) else list(page)

    def close(self, cube: ConnectyCube) -> None:
        made = raw(cube)
        if isinstance(made, AsyncConnectyCube):
            self._runner.run(made.aclose())
        else:
            made.close()

    def close_all(self) -> None:
        for made in [*self._made, *self._http]:
            self.run(made.aclose() if isinstance(made, (AsyncConnectyCube, httpx.AsyncClient)) else made.close())
        self._runner.close()


def raw(cube: ConnectyCube) -> Any:
    """The client itself."""
    return vars(cube)["target"] if isinstance(cube, _Blocking) else cube


async def _wait(value: Awaitable[T]) -> T:
    return await value


async def _walk(page: AsyncPage[T]) -> list[T]:
    return [item async for item in page]


class _Blocking:
    """Wrap an async client, resource or page and wait for the results of its methods."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self.target = target
        self.runner = runner

    def __getattr__(self, name: str) -> Any:
        return self._wrap(getattr(self.target, name))

    def __iter__(self) -> Any:
        return iter(self.runner.run(_walk(self.target)))

    def __repr__(self) -> str:
        return repr(self.target)

    def _wrap(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._wrap(self.runner.run(_wait(value)))
        if callable(value) and not isinstance(value, type):
            return lambda *args, **kwargs: self._wrap(value(*args, **kwargs))
        module = type(value).__module__
        if ".resources." in module or module.endswith(".client") or isinstance(value, AsyncPage):
            return _Blocking(value, self.runner)
        return value
