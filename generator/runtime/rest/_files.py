"""The steps of uploads and downloads. The bytes of a file are never held in memory as a whole."""

from __future__ import annotations

import contextlib
import html
import io
import logging
import mimetypes
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpx

from . import _wire as wire
from . import errors
from ._call import Call, Operation, refusal

if TYPE_CHECKING:
    Progress = Callable[[int, int | None], object]
    Source = str | os.PathLike[str] | bytes | IO[bytes]
    Target = str | os.PathLike[str] | IO[bytes]

LARGEST: Final = 100 * 1024 * 1024
"""Bytes that a file may have (wire facts, part 5)."""

SPOOLED: Final = 1024 * 1024
"""Bytes of a stream of unknown length to keep in memory; longer ones go to a temporary file."""

CHUNK: Final = 64 * 1024
MOST_REDIRECTS: Final = 5

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
    """A file as httpx's multipart encoder reads it: from its starting position, up to its size, counting the bytes."""

    def __init__(self, file: IO[bytes], size: int, progress: Progress | None) -> None:
        self._file = file
        self._start = file.tell()
        self._size = size
        self._progress = progress
        self._sent = 0

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._sent = 0 if offset == 0 else self._sent
            return self._file.seek(self._start + offset) - self._start
        return self._file.seek(self._start + self._size + offset) - self._start

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self.tell())
        chunk = self._file.read(left if size < 0 else min(size, left))
        if self._progress is not None and (chunk or not self._size):
            self._sent += len(chunk)
            self._progress(self._sent, self._size)
        return chunk


class OpenSource:
    """A source as a seekable file of known size, with a name and a type. Use it as a context manager."""

    def __init__(self, source: Source, name: str | None, content_type: str | None, progress: Progress | None) -> None:
        with contextlib.ExitStack() as stack:
            file: IO[bytes]
            given: object = None
            if isinstance(source, (str, os.PathLike)):
                given = os.fspath(source)
                file = stack.enter_context(_open(source))
            elif isinstance(source, (bytes, bytearray, memoryview)):
                file = stack.enter_context(io.BytesIO(source))
            elif hasattr(source, "read"):
                given = getattr(source, "name", None)
                file = source
            else:
                kind = type(source).__name__
                raise errors.InvalidArgument("file", f"must be a path, bytes or a binary file, not {kind}")
            try:
                seekable = getattr(file, "seekable", None)
                if seekable is None or not seekable():
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
        self.part = _Part(file, self.size, progress)

    def __enter__(self) -> OpenSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _open(path: str | os.PathLike[str]) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise errors.InvalidArgument("file", f"can't be opened: {error}") from error


def _spool(file: IO[bytes], stream: IO[bytes]) -> IO[bytes]:
    """Copy a stream that can't seek, stopping once it is too large."""
    while file.tell() <= LARGEST and (chunk := stream.read(CHUNK)):
        if not isinstance(chunk, bytes):
            raise errors.InvalidArgument("file", "must be opened in binary mode")
        file.write(chunk)
    file.seek(0)
    return file


def upload_call(params: str | None, part: _Part, name: str, content_type: str) -> Call[None]:
    """Return the form POST to the storage: every pair of the signed URL, decoded once, in its order, `file` last.

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
    operation: Operation[None] = Operation(
        UPLOAD.name, UPLOAD.method, None, idempotent=False, foreign=True, server=f"{address.scheme}://{address.netloc}"
    )
    return Call(operation, address.path or "/", form=({}, [*fields, ("file", (name, part, content_type))]))


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
    if 200 <= response.status_code < 300:
        return
    error = refusal(UPLOAD, response)
    found = re.search(r"<Message>(.*?)</Message>", response.text, re.DOTALL)
    if found and not error.errors:
        error.errors = {"base": [html.unescape(found.group(1).strip())]}
    raise error


def download_call(uid: str, signed_in: bool) -> Call[None]:
    """Return the first step of a download."""
    operation: Operation[None] = Operation("files.download", "GET", None, security=("session",) if signed_in else ())
    return Call(operation, f"/blobs/{wire.path_text('uid', uid)}/download")


def redirect_call(response: httpx.Response) -> Call[None] | None:
    """Return the next step of a download, a redirect's target without the platform's headers, if any.

    :raises DecodeError: if the redirect has no usable target.
    """
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    location = response.headers.get("location", "")
    try:
        address = urljoin(str(response.request.url), location)
    except ValueError:
        address = ""
    if not location or _address(address) is None:
        raise unreadable("files.download", "a redirect without an address")
    operation: Operation[None] = Operation("files.download", "GET", None, foreign=True, server=address)
    return Call(operation, "")


def too_many_redirects() -> errors.ConnectionFailed:
    error = errors.ConnectionFailed(f"files.download was redirected more than {MOST_REDIRECTS} times")
    error.operation = "files.download"
    return error


class Sink:
    """The destination of a download. A path's file appears only once it is complete."""

    def __init__(self, target: Target | None) -> None:
        self.path: Path | None = None
        self.data: bytearray | None = None
        if target is None:
            self.data = bytearray()
        elif isinstance(target, (str, os.PathLike)):
            self.path = Path(target)
            # Not mkstemp, which would make the file readable by its owner only.
            self.partial = self.path.parent / f".{secrets.token_hex(8)}.part"
            try:
                if self.path.is_dir():
                    raise IsADirectoryError("it is a folder")
                self.file: IO[bytes] = open(self.partial, "xb")
            except (OSError, ValueError) as error:
                raise errors.InvalidArgument("to", f"can't be written: {error}") from error
        elif isinstance(target, io.TextIOBase):
            raise errors.InvalidArgument("to", "must be opened in binary mode")
        elif hasattr(target, "write"):
            self.file = target
        else:
            raise errors.InvalidArgument("to", f"must be a path or a binary file, not {type(target).__name__}")
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.data is not None:
            self.data += chunk
        else:
            self.file.write(chunk)

    def done(self) -> None:
        if self.path is not None:
            self.file.close()
            os.replace(self.partial, self.path)

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            self.file.close()
            self.partial.unlink(missing_ok=True)


def content_length(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() and "content-encoding" not in response.headers else None


def file_url(base_url: str, uid: str, token: str | None) -> str:
    """Return the URL of a file."""
    url = f"{base_url}/blobs/{wire.path_text('uid', uid)}"
    return url if token is None else f"{url}?{wire.query_string([('token', token)])}"
