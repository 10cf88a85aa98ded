"""Streams of the async client: what a server sends, item by item, as it arrives."""

from __future__ import annotations

import asyncio  # async only
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import httpx

from . import _retry
from ._answers import Answers
from ._async import AsyncApiClient, AsyncRawView
from ._async_body import aread_body
from ._body import Unpacker
from ._call import Call, RawResponse, parse_response
from ._masking import hide_frames
from ._streams import UNREADABLE, Chunks, Decoder, Source, TooLarge, abandon, failure

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")


class AsyncStream(Generic[T]):
    """What a server sends, item by item, as it arrives.

    Iterate over it with `async for`. The connection is closed at the end of the stream, after an error, and by `aclose`
    or the end of an `async with` block. The client's `timeout` limits the wait for each piece, its `deadline` only the
    time until the stream begins. A stream that breaks is not resumed.

    :ivar status: HTTP status.
    :ivar headers: headers; names match in any case.
    :raises ConnectionFailed: while iterating, if the connection breaks.
    :raises RequestTimeout: while iterating, if nothing comes in time.
    :raises DecodeError: while iterating, if an item can't be read.
    """

    __slots__ = ("_call", "_chunks", "_decoder", "_error", "_loop", "_open", "_ready", "_response", "headers", "status")

    def __init__(self, call: Call[Any], response: httpx.Response, decoder: Decoder[T]) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self._call = call
        self._response = response
        self._decoder = decoder
        self._ready: deque[T] = deque()
        self._error: Exception | None = None
        self._loop: Any = None
        self._loop = asyncio.get_running_loop()  # async only
        self._chunks = _chunks(response)
        self._open = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            error, self._error = self._error, None
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # Its traceback would keep this frame, and this frame the error.
            if not self._open:
                raise StopAsyncIteration
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        """Read the next bytes. An error is kept until the items before it are taken."""
        try:
            chunk = await anext(self._chunks, None)
            for item in self._decoder.finish() if chunk is None else self._decoder.feed(chunk):
                self._ready.append(item)
            if chunk is None or self._decoder.ended:
                await self.aclose()
        except httpx.HTTPError as error:
            hide_frames(error)
            await self.aclose()
            self._error = _retry.translate(self._call, error)
            self._error.__cause__ = error
        except (*UNREADABLE, TooLarge) as error:
            # Not chained: the error may hold what the server has sent.
            await self.aclose()
            self._error = failure(self._call.operation, self._response, error)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection; iterating ends then."""
        if self._open:
            self._open = False
            await self._response.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ready.clear()
        await self.aclose()

    def __del__(self) -> None:
        if self._open and not self._response.is_closed:
            abandon(self._response, self._loop)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._call.operation.name}>"


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the bytes of a body, unpacked, as they arrive."""
    if response.is_closed:
        yield response.content  # Read already, by a transport or hook of the caller's own or for `with_raw_response`.
        return
    unpacker = Unpacker(response)
    async for chunk in response.aiter_raw():
        for piece in unpacker.unpack(chunk):
            yield piece
    unpacker.finish()


async def aopen_stream(client: AsyncApiClient | AsyncRawView | AsyncStreamView, call: Call[Any]) -> Any:
    """Make a call whose response may be a stream; any other response is read as a whole.

    :raises ApiError: if the server refused.
    :raises DecodeError: if the response can't be read.
    """
    if isinstance(client, AsyncStreamView):
        return await client._call(call)
    if isinstance(client, AsyncRawView):
        whole = await client._client._send(call)
        return RawResponse(call.operation, whole, lambda found: _opened(call, whole, found))
    response = await client._send(call, stream=True)
    answers = cast("Answers", call.operation.parse)
    if response.is_success:
        source = answers.choose(response).read
        if isinstance(source, Source) and source.fits(response):
            return _opened(call, response, source)
    if not response.is_closed:
        try:
            await aread_body(call.operation, response)
        except httpx.HTTPError as error:
            hide_frames(error)
            raise _retry.translate(call, error) from error
    return parse_response(call.operation, response)


def _opened(call: Call[Any], response: httpx.Response, found: Any) -> Any:
    """Return the stream of a response that is one, and any other result as it is."""
    return AsyncStream(call, response, found.decoder()) if isinstance(found, Source) else found


class AsyncStreamView:
    """The client as `with_streaming_response` sees it: it returns the chunks of bodies."""

    def __init__(self, client: AsyncApiClient) -> None:
        self._client = client

    async def _call(self, call: Call[T]) -> T:
        response = await self._client._send(call, stream=True)
        if not response.is_success:
            return parse_response(call.operation, response)
        return cast("T", AsyncStream(call, response, Chunks()))
