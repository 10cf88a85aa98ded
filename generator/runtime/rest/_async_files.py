"""Uploads and downloads of the async client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import httpx

from . import errors
from ._call import Call, refusal
from ._files import (
    CHUNK,
    DOWNLOAD,
    MOST_REDIRECTS,
    OpenSource,
    Sink,
    check_upload,
    content_length,
    download_call,
    file_url,
    redirect_call,
    signed,
    too_many_redirects,
    unreadable,
    upload_call,
)
from ._retry import translate

if TYPE_CHECKING:
    from . import models
    from ._async_session import AsyncSessionClient
    from ._files import Progress, Source, Target


class AsyncFilesHelpers:
    """Methods that make several calls, or none. The generated resource adds its own."""

    _client: AsyncSessionClient
    create: Any
    complete: Any

    async def upload(
        self,
        file: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        public: bool = False,
        progress: Progress | None = None,
    ) -> models.File:
        """Upload a file: create it, send its bytes, mark it complete.

        The bytes are streamed. A binary stream that can't seek is first copied to a temporary file, because the
        storage needs the length in advance.

        :param file: a path, bytes, or a binary file, read from its current position.
        :param name: name of the file, 1 to 100 characters; default: that of the path, else `file`.
        :param content_type: its media type; default: guessed from the name.
        :param public: whether everybody may read it without a token.
        :param progress: called with the number of bytes sent so far and in total.
        :raises InvalidArgument: if the file can't be read or has more than 100 MB.
        :raises ApiError: if the platform or the storage refuses the file.
        """
        # CR-10 is `public`.
        with OpenSource(file, name, content_type, progress) as source:
            created: models.File = await self.create(name=source.name, content_type=source.content_type, public=public)
            if created.id is None or created.blob_object_access is None:
                raise unreadable("files.create", "no id or no blob_object_access")
            call = upload_call(created.blob_object_access.params, source.part, source.name, source.content_type)
            check_upload(await self._client._send(call))
            await self.complete(created.id, size=source.size)
            created.size = source.size
            return created

    @overload
    async def download(self, uid: str, to: None = None, *, progress: Progress | None = None) -> bytes: ...

    @overload
    async def download(self, uid: str, to: Target, *, progress: Progress | None = None) -> int: ...

    async def download(self, uid: str, to: Target | None = None, *, progress: Progress | None = None) -> bytes | int:
        """Download a file.

        :param uid: uid of the file.
        :param to: a path or a binary file to write to. The path's file appears only once it is complete.
        :param progress: called with the number of bytes so far and in total (`None` if the storage does not say).
        :returns: the bytes if `to` is not given, otherwise their number.
        :raises InvalidArgument: if `to` can't be written.
        :raises NotFound: if there is no such file.
        :raises ConnectionFailed: if the connection broke before the file was complete.
        """
        #
        call = download_call(uid, self._client._session.token is not None)
        with Sink(to) as sink:
            for _ in range(MOST_REDIRECTS + 1):
                response = await self._follow(call)
                try:
                    following = redirect_call(response)
                    if following is None:
                        await self._receive(response, sink, progress)
                        break
                except httpx.HTTPError as error:
                    raise translate(call, error) from error
                finally:
                    await response.aclose()
                call = following
            else:
                raise too_many_redirects()
            sink.done()
            return bytes(sink.data) if sink.data is not None else sink.size

    async def _follow(self, call: Call[None]) -> httpx.Response:
        """Make one step of a download."""
        flag = signed.set(True)
        try:
            return await self._client._send(call, stream=True)
        finally:
            signed.reset(flag)

    async def _receive(self, response: httpx.Response, sink: Sink, progress: Progress | None) -> None:
        """Read the file from the last response of a download."""
        if not response.is_success:
            await response.aread()
            raise refusal(DOWNLOAD, response)
        total = content_length(response)
        async for chunk in response.aiter_bytes(CHUNK):
            sink.write(chunk)
            if progress is not None:
                progress(sink.size, total)

    def url(self, uid: str, *, private: bool = False) -> str:
        """Return the URL of a file.

        :param uid: uid of the file.
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
