"""The network half of the async client: connections, retries, pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from . import _retry, _wire, errors
from ._base import BaseClient, retry_limit
from ._call import Call, RawResponse, parse_response
from ._names import RESOURCES
from ._paging import BasePage, PageCall, PageData, walk_from

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")


class AsyncPool:
    """The connections that a client shares with its copies."""

    def __init__(self, given: httpx.AsyncClient | None) -> None:
        self._given = given is not None
        self._client = httpx.AsyncClient() if given is None else given
        self._loop: asyncio.AbstractEventLoop | None = None  # async only

    def client(self, name: str) -> httpx.AsyncClient:
        """Return the HTTP client for a call of this name.

        :raises ConfigurationError: if it is closed.
        """
        self._follow()  # async only
        if self._client.is_closed:
            error = errors.ConfigurationError(f"{name} can't be sent: the client is closed")
            error.operation = name
            raise error
        return self._client

    async def aclose(self) -> None:
        """Close the connections, unless the caller provided them."""
        if not self._given:
            self._follow()  # async only
            await self._client.aclose()

    def _follow(self) -> None:  # async only
        """Open new connections in a new event loop: the old ones ended with theirs."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop.is_closed() and not (self._given or self._client.is_closed):
            self._client = httpx.AsyncClient()
        self._loop = loop


class AsyncPage(BasePage[T]):
    """One page of a list. `items` is this page; `async for` iterates over the whole rest of the list.

    Iterating requests further pages as it reaches them. If the list changes meanwhile, no entry comes twice, and no
    entry that was there all the time is left out; the page remembers the ids of what it has given for that. Lists with
    page numbers promise less: an entry may be left out if as many entries go as come between two requests.

    :ivar items: the entries of this page.
    :ivar total_entries: the length of the whole list, if the server reports it.
    :ivar limit: the size of the page as the server has it, if reported.
    :ivar skip: the number of entries before this page, if reported.
    """

    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[T]:
        walk = walk_from(self._call)
        items, following = walk.take(self._data)
        for item in items:
            yield item
        while following is not None:
            items, following = walk.take(await self._fetch(following))
            for item in items:
                yield item


class AsyncApiClient(BaseClient):
    """Sends calls; the generated client adds the resources."""

    _http: AsyncPool

    def _content(self, content: Any) -> Any:  # async only
        return _wire.chunks(content) if hasattr(content, "read") else content

    async def _renewed(self, mark: Any) -> bool:
        """Renew a lost session and return whether to repeat the call. A client with sessions overrides this."""
        return False

    async def _send(self, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        """Make one call: authorize, send, retry if that is safe, renew a lost session.

        :param stream: leave the body of a successful response unread.
        :raises ConfigurationError: if the client lacks what the call needs.
        :raises ConnectionFailed: if no complete response arrived.
        :raises RequestTimeout: if none arrived in time.
        """
        retry = None
        auth = None if call.operation.foreign else httpx.USE_CLIENT_DEFAULT
        renewed = False
        while True:
            mark = self._mark()
            http = self._http.client(call.operation.name)
            try:
                request = self._request(call, http)
                response = await http.send(request, stream=stream, auth=auth, follow_redirects=False)
                if stream and response.status_code >= 400:
                    await response.aread()
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                retry = (
                    _retry.after_error(call, error, retry, self.max_retries)
                    if isinstance(error, httpx.HTTPError)
                    else None
                )
                if retry is None:
                    raise _retry.translate(call, error) from error
                await retry.asleep(error)
                continue
            if self._lost(call, response) and not renewed:
                renewed = True
                if await self._renewed(mark):
                    continue
            retry = _retry.after_status(call, response, retry, self.max_retries)
            if retry is None:
                return response
            await retry.asleep(response)

    async def _call(self, call: Call[T]) -> T:
        return parse_response(call.operation, await self._send(call))

    async def _page(self, call: PageCall[T]) -> AsyncPage[T]:
        return AsyncPage(call, await self._call(call), self._call)

    def with_options(
        self,
        *,
        timeout: float | httpx.Timeout | _wire.Omit | None = _wire.OMIT,
        max_retries: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a client that differs in some settings and shares everything else with this one.

        :param timeout: seconds that each step of a call may take; `None` waits forever.
        :param max_retries: how often to repeat a failed call if that is safe.
        :param headers: additional headers of each call.
        """
        copy = object.__new__(type(self))
        copy.__dict__.update({key: value for key, value in self.__dict__.items() if key not in RESOURCES})
        copy._owns_http = False
        if not isinstance(timeout, _wire.Omit):
            copy.timeout = timeout
        if max_retries is not None:
            copy.max_retries = retry_limit(max_retries)
        if headers is not None:
            copy._headers = self._with_headers(headers)
        return copy

    async def aclose(self) -> None:
        """Close the connections, unless the caller provided the HTTP client."""
        if self._owns_http:
            await self._http.aclose()

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
