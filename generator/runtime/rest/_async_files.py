"""Uploads and downloads of the async client."""

from __future__ import annotations

import asyncio  # async only
import contextlib
import functools
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from typing import IO, TYPE_CHECKING, Any, TypeVar, overload

import httpx

from . import _retry, errors
from ._call import Call
from ._deadline import awithin
from ._files import (
    CHUNK,
    LARGEST,
    MOST_REDIRECTS,
    SPOOLED,
    BaseForm,
    OpenSource,
    Receiving,
    check_upload,
    download_call,
    download_limit,
    file_url,
    is_async,
    moved_upload,
    redirect_call,
    signed,
    too_many_redirects,
    unreadable,
    upload_call,
)
from ._names import PackageError
from ._sink import Sink

if TYPE_CHECKING:
    from . import models
    from ._async_session import AsyncSessionClient
    from ._files import AsyncSource, Progress
    from ._sink import Target


T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: object) -> T:  # async only
    """Call what may block. A call that is cancelled leaves its thread behind, which does not keep the process alive."""
    # Neither asyncio's nor anyio's threads: a process waits for those when it ends, even for one that is stuck.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(settled: Callable[[Any], None], value: object) -> None:
        if future.done():
            abandon(value)
        else:
            settled(value)

    def abandon(value: object) -> None:
        """Close what a cancelled call has no use for, such as an open file."""
        if isinstance(value, contextlib.AbstractContextManager):
            value.__exit__(None, None, None)

    def run() -> None:
        settled: Callable[[Any], None] = future.set_result
        value: object
        try:
            value = function(*arguments)
        except BaseException as error:
            settled, value = future.set_exception, error
        try:
            loop.call_soon_threadsafe(settle, settled, value)
        except RuntimeError:  # The loop has been closed.
            abandon(value)

    threading.Thread(target=run, daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        if not future.cancelled() and future.exception() is None:
            abandon(future.result())
        raise


async def spool(source: Any) -> IO[bytes]:  # async only
    """Copy an async file or iterator to a temporary file, stopping once it is too large."""
    file: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED)
    chunks = None if hasattr(source, "read") else aiter(source)
    waiting = bytearray()
    try:
        written = 0
        while written <= LARGEST:
            chunk = await source.read(CHUNK) if chunks is None else await anext(chunks, None)
            if chunk is None or not (chunk or chunks):
                break
            waiting += chunk
            if len(waiting) >= CHUNK:
                written += await in_thread(file.write, bytes(waiting))
                waiting.clear()
        await in_thread(file.write, bytes(waiting))
        file.seek(0)
    except TypeError as error:
        file.close()
        raise errors.InvalidArgument("file", "must be opened in binary mode") from error
    except BaseException:
        file.close()
        raise
    return file


class AsyncForm(BaseForm):
    """The body of an upload as the HTTP client reads it."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self.encoded()
        sent = -1
        while (chunk := await in_thread(self.following, chunks)) is not None:
            yield chunk
            sent = self.report(sent)


class AsyncFilesHelpers:
    """Methods that make several calls, or none. The generated resource adds its own."""

    _client: AsyncSessionClient
    create: Any
    complete: Any

    async def upload(
        self,
        file: AsyncSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        public: bool = False,
        progress: Progress | None = None,
    ) -> models.File:
        """Upload a file: create it, send its bytes, mark it complete.

        The bytes are streamed. A source of unknown length, such as a pipe, is first copied to a temporary file,
        because the storage needs the length in advance.

        :param file: a path, bytes, or a binary file, read from its current position. Where calls are awaited, also an
            asynchronous file or iterator of bytes.
        :param name: name of the file, 1 to 100 characters; default: that of the path, else `file`.
        :param content_type: its media type; default: guessed from the name.
        :param public: whether everybody may read it without a token.
        :param progress: called with the number of bytes sent so far and in total.
        :raises InvalidArgument: if the file can't be read or has more than 100 MB.
        :raises ApiError: if the platform or the storage refuses the file.
        """
        # CR-10 is `public`.
        copied: IO[bytes] | None = None
        if is_async(file):  # async only
            copied = await spool(file)
        with await in_thread(OpenSource, file, name, content_type, copied) as source:
            created: models.File = await self.create(name=source.name, content_type=source.content_type, public=public)
            if created.blob_object_access is None:
                raise unreadable("files.create", "no blob_object_access")
            make = functools.partial(AsyncForm, part=source.part, size=source.size, progress=progress)
            try:
                call: Call[None] | None = upload_call(created.blob_object_access.params, source, make)
                for _ in range(MOST_REDIRECTS + 1):
                    assert call is not None
                    response = await self._client._send(call)
                    call = moved_upload(call, response)
                    if call is None:
                        break
                else:
                    raise too_many_redirects("files.upload")
                check_upload(response)
                await self.complete(created.id, size=source.size)
            except PackageError as error:
                error.file_id = created.id
                raise
            created.size = source.size
            return created

    @overload
    async def download(
        self, uid: str | models.File, to: None = None, *, progress: Progress | None = None, max_bytes: int | None = None
    ) -> bytes: ...

    @overload
    async def download(
        self, uid: str | models.File, to: Target, *, progress: Progress | None = None, max_bytes: int | None = None
    ) -> int: ...

    async def download(
        self,
        uid: str | models.File,
        to: Target | None = None,
        *,
        progress: Progress | None = None,
        max_bytes: int | None = None,
    ) -> bytes | int:
        """Download a file. A transfer that breaks is resumed, as often as `max_retries` says.

        :param uid: uid of the file, or the file.
        :param to: a path or a binary file to write to. The path's file appears only once it is complete; it keeps the
            mode of the file that it replaces. Links are followed, and pipes and devices are written to.
        :param progress: called with the number of bytes so far and in total (`None` if the storage does not say).
        :param max_bytes: bytes that the file may have; default: 100 MiB, into memory 64 MiB.
        :returns: the bytes if `to` is not given, otherwise their number.
        :raises InvalidArgument: if `to` can't be written.
        :raises FileFailed: if writing fails, for example because the disk is full.
        :raises NotFound: if there is no such file.
        :raises ResponseTooLarge: if the file has more bytes than allowed.
        :raises ConnectionFailed: if the connection broke before the file was complete.
        """
        #
        attempts = _retry.Attempts("files.download", self._client.max_retries, self._client.deadline)
        limit = download_limit(max_bytes, to)
        with await in_thread(Sink, to) as sink:
            async with awithin(attempts.ends):
                await self._receive(uid, Receiving(sink, limit, progress), attempts)
            return await in_thread(sink.done)

    async def _receive(self, uid: str | models.File, receiving: Receiving, attempts: _retry.Attempts) -> None:
        """Receive a file, resuming after each break."""
        while True:
            call = download_call(uid, self._client._session.token is not None, receiving.headers())
            try:
                await self._attempt(call, receiving)
                return
            except httpx.HTTPError as error:
                pause = _retry.after_error(call, error, attempts)
                if pause is None:
                    raise _retry.translate(call, error) from error
                await _retry.asleep(pause)

    async def _attempt(self, call: Call[None], receiving: Receiving) -> None:
        """Follow the redirects of a download and read the file from the last response."""
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._follow(call)
            try:
                following = redirect_call(call, response)
                if following is None:
                    receiving.start(response)
                    read = response.is_stream_consumed  # By a transport or hook of the caller's own.
                    async for chunk in response.aiter_bytes(CHUNK) if read else response.aiter_raw(CHUNK):
                        for piece in receiving.pieces(chunk):
                            await in_thread(receiving.sink.write, piece)
                            receiving.report()
                    receiving.finish()
                    return
            finally:
                await response.aclose()
            call = following
        raise too_many_redirects("files.download")

    async def _follow(self, call: Call[None]) -> httpx.Response:
        """Make one step of a download."""
        flag = signed.set(True)
        try:
            return await self._client._send(call, stream=True)
        finally:
            signed.reset(flag)

    def url(self, uid: str | models.File, *, private: bool = False) -> str:
        """Return the URL of a file.

        :param uid: uid of the file, or the file.
        :param private: put the session's token into the URL, so that it works for a file that is not public. Whoever
            sees such a URL can act as the user: don't log or share it.
        :raises ConfigurationError: if `private` is true and there is no session.
        """
        # R-056; CR-13 is the token in the URL.
        token = None
        if private:
            token = self._client._session.token
            if token is None:
                error = errors.ConfigurationError("files.url needs a session: call login() or use_session() first")
                error.operation = "files.url"
                raise error
        return file_url(self._client.base_url, uid, token)
