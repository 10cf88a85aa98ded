"""The storage over HTTP: uploads by form, and downloads by address (R-051, R-055, R-056).

It needs no session, because forms and addresses are signed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from xml.sax.saxutils import escape

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive

from ..core import Core
from ..domain.files import BUCKET, CHUNK, StorageRefused
from ..errors import Refused, not_found, session_expired
from ..storage import Unwritable
from .call import Exchanged

__all__ = ["Storage"]

FORM_BYTES = 1 << 20
"""More than a form needs besides its file."""


class Storage:
    """The routes of the storage.

    :param finish: adds the common headers to an answer and records the call.
    """

    def __init__(self, core: Core, finish: Callable[[Exchanged, Response], Response]) -> None:
        self._files = core.files
        self._sessions = core.sessions
        self._finish = finish
        self._most = core.settings.limits.file_bytes + FORM_BYTES

    def routes(self) -> list[Route]:
        return [
            Route(f"/{BUCKET}", self.upload, methods=["POST"]),
            Route(f"/{BUCKET}/{{uid}}", self.read, methods=["GET"]),
            Route("/blobs/{uid}", self.address, methods=["GET", "PUT", "DELETE"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Take an upload by form."""
        seen = Exchanged(request)
        try:
            response = await self._upload(request, seen)
        except StorageRefused as refused:
            response = _refusal(refused)
        except Unwritable as error:
            response = _refusal(StorageRefused(507, "InsufficientStorage", str(error)))
        except HTTPException as error:
            response = _refusal(StorageRefused(400, "MalformedPOSTRequest", str(error.detail)))
        except ClientDisconnect:
            return Response(status_code=400)
        return self._finish(seen, response)

    async def _upload(self, request: Request, seen: Exchanged) -> Response:
        limited = Request(request.scope, self._limited(request))
        async with limited.form(max_part_size=1 << 16) as form:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            upload = form.get("file")
            seen.body = {"key": fields.get("key"), "Content-Type": fields.get("Content-Type")}
            if not isinstance(upload, UploadFile):
                raise StorageRefused(400, "InvalidArgument", "POST requires exactly one file upload per request.")
            file = self._files.check_form(fields)
            seen.owner = file.user_id
            seen.body["file"] = f"{upload.size} bytes"
            with self._files.writing(file) as writing:
                # Other calls are served between two chunks, because a large upload is read on a thread.
                while chunk := await upload.read(CHUNK):
                    writing.add(chunk)
                etag = writing.finish()
        location = f"{str(request.base_url).rstrip('/')}/{BUCKET}/{file.uid}"
        text = (
            f"<PostResponse><Location>{escape(location)}</Location><Bucket>{BUCKET.rpartition('/')[2]}</Bucket>"
            f"<Key>{file.uid}</Key><ETag>{escape(etag)}</ETag></PostResponse>"
        )
        return Response(text, 201, {"ETag": etag, "Location": location}, "application/xml")

    def _limited(self, request: Request) -> Receive:
        """Return a way to read a body that fails if it is larger than the largest file and its form."""
        size = 0

        async def receive() -> Message:
            nonlocal size
            message = await request.receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise StorageRefused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
            return message

        return receive

    async def read(self, request: Request) -> Response:
        """Send a file's content."""
        seen = Exchanged(request)
        query = request.query_params
        try:
            file = self._files.check_address(
                request.path_params["uid"], query.get("Expires", ""), query.get("X-Amz-Signature", "")
            )
        except StorageRefused as refused:
            return self._finish(seen, _refusal(refused))
        seen.answer = f"{file.size} bytes"
        headers = {"Content-Length": str(file.stored_size), "ETag": file.etag or ""}
        # The uploader chose the content type, so a browser must not treat the file as a page of the sandbox.
        headers |= {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        chunks: Iterator[bytes] = self._files.chunks(file)
        return self._finish(seen, StreamingResponse(_each(chunks), 200, headers, file.content_type))

    async def address(self, request: Request) -> Response:
        """Redirect from a file's uid to its content. The token of a session may be in the address (R-056)."""
        seen = Exchanged(request)
        seen.query = list(request.query_params.multi_items())
        try:
            if request.method not in ("GET", "HEAD"):
                # Calls that change files name them by id, and ids are numbers.
                raise not_found()
            file = self._files.get_by_uid(request.path_params["uid"])
            token = request.query_params.get("token") or request.headers.get("cb-token")
            if token is not None:
                seen.session = self._sessions.use(token)
            if not file.public and seen.session is None:
                raise session_expired()
            address = self._files.download_address(file, str(request.base_url).rstrip("/"))
        except Refused as refused:
            return self._finish(seen, seen.refused(refused))
        return self._finish(seen, RedirectResponse(address, 302))


async def _each(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _refusal(refused: StorageRefused) -> Response:
    text = f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
    return Response(text, refused.status, media_type="application/xml")
