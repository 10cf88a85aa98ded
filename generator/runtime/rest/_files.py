"""The steps of uploads and downloads. The bytes of a file are never held in memory as a whole."""

from __future__ import annotations

import contextlib
import html
import inspect
import io
import logging
import mimetypes
import os
import re
import select
import stat
import tempfile
from collections.abc import AsyncIterable, Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpx

from . import _wire as wire
from . import errors
from ._body import LARGEST_RAW, Unpacker, text_of, too_large
from ._call import Call, Operation, refusal

if TYPE_CHECKING:
    from typing import Protocol

    from . import models
    from ._sink import Sink

    class AsyncFile(Protocol):
        """What aiofiles, anyio and web frameworks open."""

        async def read(self, size: int, /) -> bytes: ...

    Progress = Callable[[int, int | None], object]
    Source = str | os.PathLike[str] | bytes | IO[bytes]
    AsyncSource = Source | AsyncIterable[bytes] | AsyncFile

LARGEST: Final = 100 * 1024 * 1024
"""Bytes that a file may have (wire facts, part 5)."""

SPOOLED: Final = 1024 * 1024
"""Bytes of a stream of unknown length to keep in memory; longer ones go to a temporary file."""

CHUNK: Final = 64 * 1024
MOST_REDIRECTS: Final = 5

_MEDIA_TYPE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
"""No line break, which would begin another header of the form."""

UPLOAD: Operation[None] = Operation("files.upload", "POST", None, idempotent=False, foreign=True)
DOWNLOAD: Operation[None] = Operation("files.download", "GET", None)

signed: ContextVar[bool] = ContextVar("signed", default=False)
"""Set while receiving a response whose headers hold a signed URL."""


class _WithoutHeaders(logging.Filter):
    """Keeps signed URLs out of httpcore's log, which at DEBUG shows the headers of responses."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (signed.get() and "receive_response_headers.complete" in record.getMessage())


for _logger in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_logger).addFilter(_WithoutHeaders())


class _Part:
    """A file as httpx's multipart encoder reads it: from its starting position, up to its size."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._start = file.tell()
        self._size = size

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            return self._file.seek(self._start + offset) - self._start
        return self._file.seek(self._start + self._size + offset) - self._start

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self.tell())
        chunk = self._file.read(left if size < 0 else min(size, left))
        if left and not chunk:
            raise errors.InvalidArgument("file", f"has become {left} bytes shorter during the upload")
        return chunk


class BaseForm:
    """The body of an upload, which can be sent again."""

    def __init__(self, parts: httpx.SyncByteStream, part: _Part, size: int, progress: Progress | None) -> None:
        self._parts = parts
        self._part = part
        self._size = size
        self._progress = progress

    def encoded(self) -> Iterator[bytes]:
        """Yield the form's bytes without reporting progress."""
        self._part.seek(0)
        return iter(self._parts)

    def following(self, parts: Iterator[bytes]) -> bytes | None:
        """Return the next of the bytes, `None` at their end."""
        return next(parts, None)

    def report(self, before: int) -> int:
        """Report progress if the file's position has changed; return the new position."""
        sent = self._part.tell()
        if self._progress is not None and (sent > before or (before < 0 and not self._size)):
            self._progress(sent, self._size)
        return sent


class OpenSource:
    """A source as a seekable file of known size, with a name and a type. Use it as a context manager.

    :param copied: the content of an async source, which has been read already.
    """

    def __init__(
        self, source: Source, name: str | None, content_type: str | None, copied: IO[bytes] | None = None
    ) -> None:
        if content_type is not None and not (isinstance(content_type, str) and _MEDIA_TYPE.fullmatch(content_type)):
            raise errors.InvalidArgument("content_type", "must be a media type, such as image/jpeg")
        with contextlib.ExitStack() as stack:
            file: IO[bytes]
            given: Any = os.fspath(source) if isinstance(source, os.PathLike) else source
            if copied is not None:
                file, given = stack.enter_context(copied), getattr(source, "name", None)
            elif isinstance(given, str):
                file = stack.enter_context(_open(given))
            elif isinstance(given, (bytes, bytearray, memoryview)):
                file = stack.enter_context(io.BytesIO(given))
            elif is_async(source):
                raise errors.InvalidArgument("file", "is asynchronous: use the async client")
            elif hasattr(given, "read"):
                file, given = given, getattr(given, "name", None)
            else:
                kind = type(source).__name__
                raise errors.InvalidArgument("file", f"must be a path, bytes or a binary file, not {kind}")
            try:
                if not _is_sized(file):
                    file = _spool(stack.enter_context(tempfile.SpooledTemporaryFile(SPOOLED)), file)
                if isinstance(file.read(0), str):
                    raise errors.InvalidArgument("file", "must be opened in binary mode")
                start = file.tell()
                self.size = max(0, file.seek(0, os.SEEK_END) - start)
                file.seek(start)
            except (OSError, ValueError) as error:
                if isinstance(error, errors.InvalidArgument):
                    raise
                raise errors.InvalidArgument("file", f"can't be read: {error}") from error
            if self.size > LARGEST:
                raise errors.InvalidArgument("file", f"must have at most {LARGEST} bytes, not {self.size}")
            self._stack = stack.pop_all()
        self.name = name or (Path(given).name if isinstance(given, str) else "") or "file"
        self.content_type = content_type or mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        self.part = _Part(file, self.size)

    def __enter__(self) -> OpenSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def is_async(source: object) -> bool:
    """Return whether a source is an async file or iterator."""
    return hasattr(source, "__aiter__") or inspect.iscoroutinefunction(getattr(source, "read", None))


def _open(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except (OSError, ValueError) as error:
        raise errors.InvalidArgument("file", f"can't be opened: {error}") from error


def _is_sized(file: IO[bytes]) -> bool:
    """Return whether a file can seek and knows its size, as pipes, devices and the files of /proc do not."""
    seekable = getattr(file, "seekable", None)
    if seekable is None or not seekable():
        return False
    with contextlib.suppress(OSError, AttributeError, TypeError):
        status = os.fstat(file.fileno())
        return stat.S_ISREG(status.st_mode) and status.st_size > 0
    return True


def _spool(file: IO[bytes], stream: IO[bytes]) -> IO[bytes]:
    """Copy a stream of unknown size, stopping once it is too large."""
    while file.tell() <= LARGEST and (chunk := cast("Any", stream.read(CHUNK))) != b"":
        if chunk is None:
            # A non-blocking stream with nothing there yet.
            try:
                select.select([stream], [], [])
            except (TypeError, ValueError) as error:
                raise errors.InvalidArgument("file", "has nothing to read yet, and can't be waited for") from error
        elif isinstance(chunk, bytes):
            file.write(chunk)
        else:
            raise errors.InvalidArgument("file", "must be opened in binary mode")
    file.seek(0)
    return file


def upload_call(params: str | None, source: OpenSource, make: Callable[[httpx.SyncByteStream], BaseForm]) -> Call[None]:
    """Return the form POST to the storage: every pair of the signed URL, decoded once, in its order, `file` last.

    :param make: makes the body from the encoded form.
    :raises DecodeError: if there is no signed URL.
    """
    # A `+` stays a plus, because some fields are base64 (CR-15). No header of the platform's may reach that
    # host (CR-14).
    address = _address(params or "")
    if address is None:
        raise unreadable("files.create", "no upload address in blob_object_access.params")
    fields: list[tuple[str, tuple[Any, ...]]] = []
    for pair in filter(None, address.query.split("&")):
        key, _, value = pair.partition("=")
        fields.append((unquote(key), (None, unquote(value))))
    part: Any = source.part
    encoded = httpx.Request("POST", "http://_", files=[*fields, ("file", (source.name, part, source.content_type))])
    headers = {name: encoded.headers[name] for name in ("Content-Type", "Content-Length")}
    assert isinstance(encoded.stream, httpx.SyncByteStream)
    server = f"{address.scheme}://{address.netloc}"
    return Call(_upload_to(server), address.path or "/", content=make(encoded.stream), headers=headers)


def _upload_to(server: str) -> Operation[None]:
    return Operation(UPLOAD.name, UPLOAD.method, None, idempotent=False, foreign=True, server=server)


def moved_upload(call: Call[None], response: httpx.Response) -> Call[None] | None:
    """Return the upload that a storage's redirect asks for, if it does: S3 sends 307 for a young bucket elsewhere.

    :raises DecodeError: if the redirect has no usable target.
    """
    if response.status_code not in (307, 308):
        return None
    operation = _upload_to(_target(UPLOAD.name, response))
    return Call(operation, "", content=call.content, headers=call.headers)


def _target(operation: str, response: httpx.Response) -> str:
    """Return the absolute address that a redirect leads to."""
    location: str = response.headers.get("location", "")
    try:
        address = urljoin(str(httpx.URL(response.request.url)), location)
    except ValueError:
        address = ""
    if not location or _address(address) is None:
        raise unreadable(operation, "a redirect without an address")
    return address


def _address(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL, `None` for anything else."""
    try:
        address = urlsplit(text)
        return address if address.scheme in ("http", "https") and address.hostname and address.port != 0 else None
    except ValueError:
        return None


def unreadable(operation: str, lack: str) -> errors.DecodeError:
    error = errors.DecodeError(f"the response to {operation} has {lack}")
    error.operation = operation
    return error


def check_upload(response: httpx.Response) -> None:
    """Raise the storage's refusal, with its own message."""
    # 303 is the answer to a form with a `success_action_redirect`.
    if 200 <= response.status_code < 300 or response.status_code == 303:
        return
    error = refusal(UPLOAD, response)
    _, _, rest = text_of(response).partition("<Message>")
    message, end, _ = rest.partition("</Message>")
    if end and not error.errors:
        error.errors = {"base": [html.unescape(message.strip())]}
    raise error


def uid_path(uid: str | models.File) -> str:
    """Encode the uid of a file as a segment of a path."""
    return wire.path_text("uid", wire.id_of("uid", uid, "File", "uid"))


def download_call(uid: str | models.File, signed_in: bool, headers: dict[str, str]) -> Call[None]:
    """Return the first step of a download."""
    operation: Operation[None] = Operation("files.download", "GET", None, security=("session",) if signed_in else ())
    return Call(operation, f"/blobs/{uid_path(uid)}/download", headers=headers)


def redirect_call(call: Call[None], response: httpx.Response) -> Call[None] | None:
    """Return the next step of a download, a redirect's target without the platform's headers, if any.

    :raises DecodeError: if the redirect has no usable target.
    """
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    address = _target(DOWNLOAD.name, response)
    operation: Operation[None] = Operation("files.download", "GET", None, foreign=True, server=address)
    return Call(operation, "", headers=call.headers)


def too_many_redirects(operation: str) -> errors.ConnectionFailed:
    error = errors.ConnectionFailed(f"{operation} was redirected more than {MOST_REDIRECTS} times")
    error.operation = operation
    return error


class Receiving:
    """The progress of a download, which may take several responses.

    :param limit: bytes that the file may have.
    """

    def __init__(self, sink: Sink, limit: int, progress: Progress | None) -> None:
        self.sink = sink
        self._limit = limit
        self._progress = progress
        self._known = ""
        self._total: int | None = None
        self._skip = 0
        self._unpacker: Unpacker | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest of the file."""
        if not self.sink.size or (self._unpacker is not None and self._unpacker.wbits):
            return {}
        validator = {"If-Range": self._known} if self._known and not self._known.startswith("W/") else {}
        return {"Range": f"bytes={self.sink.size}-", **validator}

    def start(self, response: httpx.Response) -> None:
        """Check a response's head.

        :raises ApiError: if it is a refusal.
        :raises DecodeError: if it is another part of the file, or the file has changed.
        """
        if not response.is_success:
            raise refusal(DOWNLOAD, response)
        size, self._unpacker = self.sink.size, Unpacker(response)
        length = content_length(response)
        total, known = length, response.headers.get("etag", "")
        if response.status_code == 206:
            found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("content-range", ""))
            if not size or found is None or int(found[1]) != size:
                raise unreadable(DOWNLOAD.name, "another part of the file than was asked for")
            total = None if found[2] == "*" else int(found[2])
        if size and ((known and self._known and known != self._known) or (self._total and total != self._total)):
            raise unreadable(DOWNLOAD.name, "a file that has changed since the download began")
        self._known, self._total = known, total
        self._skip = size if response.status_code != 206 else 0
        if total is not None and total > self._limit:
            raise self._too_large()

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk from the wire adds to the file."""
        assert self._unpacker is not None
        for piece in self._unpacker.unpack(chunk):
            new, self._skip = piece[self._skip :], max(0, self._skip - len(piece))
            if self.sink.size + len(new) > self._limit:
                raise self._too_large()
            if new:
                yield new

    def finish(self) -> None:
        """Check that the response was complete."""
        assert self._unpacker is not None
        self._unpacker.finish()

    def report(self) -> None:
        if self._progress is not None:
            self._progress(self.sink.size, self._total)

    def _too_large(self) -> errors.ResponseTooLarge:
        return too_large(DOWNLOAD.name, self._limit, "; pass max_bytes= to allow more")


def download_limit(max_bytes: int | None, to: object) -> int:
    """Return how many bytes a download may have."""
    if max_bytes is None:
        return LARGEST_RAW if to is None else LARGEST
    return wire.integer("max_bytes", max_bytes, minimum=0)


def content_length(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    plain = length.isascii() and length.isdigit() and len(length) < 19
    return int(length) if plain and "content-encoding" not in response.headers else None


def file_url(base_url: str, uid: str | models.File, token: str | None) -> str:
    """Return the URL of a file."""
    url = f"{base_url}/blobs/{uid_path(uid)}"
    return url if token is None else f"{url}?{wire.query_string([('token', token)])}"
