"""The network half of the async client: connections, retries, pages."""

from __future__ import annotations

import inspect  # async only
import logging
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from . import _deadline, _retry, _wire
from ._async_body import aread_body
from ._async_pool import LEAKS, AsyncBody, AsyncPool
from ._base import BaseClient, deadline_of, logger, retry_limit, timeout_of
from ._call import LONGEST_PATH, Call, RawResponse, divided, merged, parse_response, refusal
from ._masking import hide_frames
from ._names import RESOURCES, PackageError
from ._paging import BasePage, PageCall, PageData, walk_from

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

MOST_REDIRECTS = 20
"""That a call follows if the caller's own HTTP client does."""

LARGE = 256 * 1024  # async only
"""Bytes of a body that is read in a thread."""  # async only


class AsyncPage(BasePage[T]):
    """One page of a list. `items` is this page; `async for` iterates over the whole rest of the list.

    `len(page)`, `bool(page)` and `page[0]` are those of `items`.

    Iterating requests further pages as it reaches them. If the list changes meanwhile, no entry comes twice, and no
    entry that was there all the time is left out; the page remembers the ids of what it has given for that. Lists with
    page numbers promise less: an entry may be left out if as many entries go as come between two requests.

    :ivar items: the entries of this page.
    :ivar total_entries: the length of the whole list, if the server reports it.
    :ivar limit: the size of the page as the server has it, if reported.
    :ivar skip: the number of entries before this page, if reported.
    """

    __slots__ = ()

    __iter__ = None  # async only
    """A plain `for` would see only this page."""  # async only

    async def first(self, count: int) -> list[T]:
        """Return the first entries from this page on, and request further pages only if it is shorter.

        :param count: the most entries to return.
        :raises InvalidArgument: if the count is negative.
        """
        _wire.integer("count", count, minimum=0)
        walk = walk_from(self._call)
        items, following = walk.take(self._data)
        while following is not None and len(items) < count:
            more, following = walk.take(await self._fetch(following))
            items += more
        return items[:count]

    async def __aiter__(self) -> AsyncIterator[T]:
        walk = walk_from(self._call)
        items, following = walk.take(self._data)
        for item in items:
            yield item
        while following is not None:
            items, following = walk.take(await self._fetch(following))
            for item in items:
                yield item


class PendingPage(Coroutine[Any, Any, AsyncPage[T]]):  # async only
    """A call for a page: await it for the page, or iterate over the whole list with `async for`."""

    __slots__ = ("_call",)

    def __init__(self, call: Any, name: str) -> None:
        # Python warns of a coroutine that is never awaited by this name.
        call.__qualname__ = name
        self._call: Coroutine[Any, Any, AsyncPage[T]] = call

    def __await__(self) -> Generator[Any, Any, AsyncPage[T]]:
        return self._call.__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for item in await self._call:
            yield item

    # -- the rest of a coroutine, so that a task can be made of it

    def send(self, value: Any) -> Any:
        return self._call.send(value)

    def throw(self, *error: Any) -> Any:
        return self._call.throw(*error)

    def close(self) -> None:
        self._call.close()


class AsyncApiClient(BaseClient):
    """Sends calls; the generated client adds the resources."""

    _http: AsyncPool

    def _content(self, content: Any) -> Any:  # async only
        return content.achunks() if hasattr(content, "achunks") else content

    async def _renewed(self, call: Call[Any], mark: Any) -> Any:
        """Renew a lost session and return the one to repeat a call with. A client with sessions overrides this."""
        return None

    async def _fill_user(self, call: Call[Any]) -> None:
        """Put the session's user into the path and the query. A client with sessions overrides this."""

    async def _send(self, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        """Make one call: authorize, send, retry if that is safe, renew a lost session.

        :param stream: leave the body of a successful response unread.
        :raises ConfigurationError: if the client lacks what the call needs.
        :raises ConnectionFailed: if no complete response arrived.
        :raises RequestTimeout: if none arrived in time.
        """
        if call.operation.own:
            await self._fill_user(call)
        attempts = _retry.Attempts(call.operation.name, self.max_retries, self.deadline)
        async with _deadline.awithin(attempts.ends):
            return await self._attempts(call, attempts, stream)

    async def _attempts(self, call: Call[Any], attempts: _retry.Attempts, stream: bool) -> httpx.Response:
        renewed = False
        mark = self._mark()
        while True:
            try:
                response = await self._exchange(call, mark, stream)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                pause = _retry.after_error(call, error, attempts)
                if pause is None:
                    raise _retry.translate(call, error) from error
                await self._wait(_retry.translate(call, error), attempts, pause)
                continue
            if self._lost(call, response, mark) and not renewed:
                renewed = True
                newer = await self._renewed(call, mark)
                if newer is not None:
                    mark = newer
                    continue
            if _retry.is_done(call, response, attempts):
                return httpx.Response(204, request=response.request)
            pause = _retry.after_status(call, response, attempts)
            if pause is None:
                return response
            await self._wait(refusal(call.operation, response), attempts, pause)

    async def _wait(self, failure: PackageError, attempts: _retry.Attempts, seconds: float) -> None:
        """Report a retry, and wait for it."""
        logger.info("retry %d of %d in %.2f s: %s", attempts.made, attempts.most, seconds, failure)
        if self._on_retry is not None:
            _result: Any = self._on_retry(failure, seconds)
            if inspect.isawaitable(_result):  # async only
                await _result
        await _retry.asleep(seconds)

    async def _exchange(self, call: Call[Any], mark: Any, stream: bool) -> httpx.Response:
        """Send a call once and read the response, except the body of a successful one if `stream` is true."""
        pool, name = self._http, call.operation.name
        following: httpx.Request | None = None
        hops = 0
        while True:
            used = pool.take(name, self._owner)
            response = None
            try:
                request = following or self._request(call, used.http, mark)
                # The caller's `auth` is for the platform, not for where a redirect leads.
                own = call.operation.foreign or following is not None or "authorization" in request.headers
                _deadline.shorten(request)
                response = await used.http.send(
                    request, stream=True, auth=None if own else httpx.USE_CLIENT_DEFAULT, follow_redirects=False
                )
                if response.is_closed:
                    pool.give_back(used)  # A transport or hook of the caller's own has read the body.
                else:
                    response.stream = AsyncBody(response, pool, used)
                    if not stream or not response.is_success:
                        await aread_body(call.operation, response)
            except BaseException as error:
                hide_frames(error)
                if response is not None:
                    await response.aclose()
                else:
                    pool.give_back(used, broken=True, patience=1 if isinstance(error, httpx.PoolTimeout) else LEAKS)
                if isinstance(error, httpx.PoolTimeout) and used.retired:
                    logger.info("%s found all connections stuck, and opens new ones", name)
                    continue
                if isinstance(error, httpx.HTTPStatusError):
                    return error.response  # From a hook of the caller's own HTTP client.
                if type(error).__module__.partition(".")[0] == "idna":
                    raise self._bad_redirect(call) from error
                raise
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s: %s %s, status %d", name, request.method, request.url.path, response.status_code)
            # A download follows its redirects itself.
            follows = pool.follows and (not stream or call.operation.raw)
            following = self._redirect(call, response) if follows else None
            hops += 1
            if following is None or hops > MOST_REDIRECTS:
                return response

    async def _call(self, call: Call[T]) -> T:
        if len(call.path) > LONGEST_PATH:
            return await self._divided(call)
        response = await self._send(call)
        if len(response.content) > LARGE:  # async only
            import asyncio

            return await asyncio.to_thread(parse_response, call.operation, response)
        return parse_response(call.operation, response)

    async def _divided(self, call: Call[T]) -> T:
        """Make a call with too many ids in its path: in parts, each of which may fail after others have succeeded."""
        found: Any = None
        async with _deadline.awithin(_deadline.earliest(call.operation.name, self.deadline)):
            for part in divided(call):
                found = merged(found, parse_response(part.operation, await self._send(part)))
        return cast("T", found)

    async def _page(self, call: PageCall[T]) -> AsyncPage[T]:
        return AsyncPage(call, await self._call(call), self._call)

    def _list(self, call: PageCall[T]) -> PendingPage[T]:  # async only
        return PendingPage(self._page(call), call.operation.name)

    def _copy(self) -> Self:
        copy = object.__new__(type(self))
        copy.__dict__.update({key: value for key, value in self.__dict__.items() if key not in RESOURCES})
        return copy

    def with_options(
        self,
        *,
        timeout: float | httpx.Timeout | _wire.Omit | None = _wire.OMIT,
        max_retries: int | None = None,
        deadline: float | _wire.Omit | None = _wire.OMIT,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a client that differs in some settings and shares everything else with this one.

        :param timeout: seconds that each step of a call may take; `None` waits forever.
        :param max_retries: how often to repeat a failed call if that is safe.
        :param deadline: seconds that a whole call may take; `None` for no limit.
        :param headers: additional headers of each call.
        """
        copy = self._copy()
        copy._owns_http = False
        if not isinstance(timeout, _wire.Omit):
            copy.timeout = timeout_of(timeout)
        if max_retries is not None:
            copy.max_retries = retry_limit(max_retries)
        if not isinstance(deadline, _wire.Omit):
            copy.deadline = deadline_of(deadline)
        if headers is not None:
            copy._headers = self._with_headers(headers)
        return copy

    async def aclose(self) -> None:
        """Close the connections, unless the caller provided the HTTP client. Calls in progress may still finish."""
        if self._owns_http:
            await self._http.aclose(self._owner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"


class AsyncRawView:
    """The client as `with_raw_response` sees it: it returns responses unread."""

    def __init__(self, client: AsyncApiClient) -> None:
        self._client = client

    async def _call(self, call: Call[T]) -> T:
        response = await self._client._send(call)
        return cast("T", RawResponse(call.operation, response))

    async def _page(self, call: PageCall[T]) -> AsyncPage[T]:
        def wrap(data: PageData[T]) -> AsyncPage[T]:
            return AsyncPage(call, data, self._client._call)

        response = await self._client._send(call)
        return cast("AsyncPage[T]", RawResponse(call.operation, response, wrap))

    _list = _page  # async only
