"""Uploads through all three steps: create, the storage's form on another host, complete."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from connectycube.rest import errors, models
from tests.rest.both import TOKEN, Both
from tests.rest.server import Answer, Server
from tests.rest.storage import FIELDS, SIGNATURE, UID, parts, play

CONTENT = bytes(range(256)) * 1000
LARGEST = 100 * 1024 * 1024


class Pipe(io.RawIOBase):
    """A stream that can't seek, such as that of a subprocess."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._inner.readinto(memoryview(buffer)[:1000])
        self.taken += count
        return count


class OnlyReads:
    """The least that can be called a stream."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(size)


def opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    file.seek(100)
    return file


def a_path(folder: Path) -> Path:
    path = folder / "rock.jpg"
    path.write_bytes(CONTENT)
    return path


def non_blocking(content: bytes, buffering: int) -> IO[bytes]:
    """A pipe with nothing to read yet, whose name is only a number."""
    source, sink = os.pipe()
    os.set_blocking(source, False)

    def feed() -> None:
        with os.fdopen(sink, "wb") as file:
            file.write(content)

    threading.Timer(0.05, feed).start()
    return os.fdopen(source, "rb", buffering)


SOURCES: dict[str, tuple[Callable[[Path], Any], bytes, str, str]] = {
    "path": (a_path, CONTENT, "rock.jpg", "image/jpeg"),
    "path as text": (lambda folder: str(a_path(folder)), CONTENT, "rock.jpg", "image/jpeg"),
    "bytes": (lambda _: CONTENT, CONTENT, "file", "application/octet-stream"),
    "bytearray": (lambda _: bytearray(CONTENT), CONTENT, "file", "application/octet-stream"),
    "memoryview": (lambda _: memoryview(CONTENT), CONTENT, "file", "application/octet-stream"),
    "open file": (lambda folder: opened(a_path(folder)), CONTENT[100:], "rock.jpg", "image/jpeg"),
    "stream": (lambda _: io.BytesIO(CONTENT), CONTENT, "file", "application/octet-stream"),
    "pipe": (lambda _: io.BufferedReader(Pipe(CONTENT)), CONTENT, "file", "application/octet-stream"),
    "large pipe": (lambda _: Pipe(CONTENT * 8), CONTENT * 8, "file", "application/octet-stream"),
    "only read()": (lambda _: OnlyReads(CONTENT), CONTENT, "file", "application/octet-stream"),
    "nothing": (lambda _: b"", b"", "file", "application/octet-stream"),
    "non-blocking pipe": (lambda _: non_blocking(CONTENT, 0), CONTENT, "file", "application/octet-stream"),
    "buffered non-blocking pipe": (lambda _: non_blocking(CONTENT, -1), CONTENT, "file", "application/octet-stream"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_three_steps(both: Both, server: Server, storage: Server, tmp_path: Path, kind: str) -> None:
    make, content, name, content_type = SOURCES[kind]
    play(server, storage)
    source = make(tmp_path)
    told: list[tuple[int, int | None]] = []
    file = both.cube(server.url).files.upload(source, progress=lambda sent, total: told.append((sent, total)))
    if hasattr(source, "close"):
        assert not source.closed
        source.close()

    create, complete = server.requests
    assert (create.method, create.path) == ("POST", "/blobs")
    assert create.json() == {"blob": {"name": name, "content_type": content_type, "public": False}}
    assert (complete.method, complete.path) == ("PUT", "/blobs/5001/complete")
    assert complete.json() == {"blob": {"size": len(content)}}
    assert {request.header("CB-Token") for request in server.requests} == {TOKEN}

    (form,) = storage.requests
    assert (form.method, form.target) == ("POST", "/bucket")
    assert form.header("Transfer-Encoding") is None
    assert form.header("Content-Length") == str(len(form.body))
    *fields, last = parts(form)
    assert [(part.name, part.content.decode()) for part in fields] == FIELDS
    assert {(part.filename, part.content_type) for part in fields} == {(None, None)}
    assert (last.name, last.filename, last.content_type) == ("file", name, content_type)
    assert last.content == content

    assert told == sorted(set(told))
    assert told[-1] == (len(content), len(content))
    assert {total for _, total in told} == {len(content)}
    assert isinstance(file, models.File)
    assert (file.id, file.uid, file.size) == (5001, UID, len(content))


def test_plus_sign_is_preserved(both: Both, server: Server, storage: Server) -> None:
    """Decoded once and not as a form: base64 holds pluses (CR-15)."""
    play(server, storage, query="a=x%2By&b=x+y&c=x%252By&d=%C3%A9")
    both.cube(server.url).files.upload(b"x")
    sent = [(part.name, part.content.decode()) for part in parts(storage.requests[0])]
    assert sent == [("a", "x+y"), ("b", "x+y"), ("c", "x%2By"), ("d", "é"), ("file", "x")]


@pytest.mark.parametrize(
    ("name", "content_type", "sent_name", "sent_type"),
    [
        ("route.pdf", None, "route.pdf", "application/pdf"),
        ("route.pdf", "text/plain", "route.pdf", "text/plain"),
        (None, "image/png", "rock.jpg", "image/png"),
        ("no-ending", None, "no-ending", "application/octet-stream"),
        ("Größe 5a.jpg", None, "Größe 5a.jpg", "image/jpeg"),
    ],
)
def test_name_and_type(
    both: Both,
    server: Server,
    storage: Server,
    tmp_path: Path,
    name: str | None,
    content_type: str | None,
    sent_name: str,
    sent_type: str,
) -> None:
    play(server, storage)
    both.cube(server.url).files.upload(a_path(tmp_path), name=name, content_type=content_type, public=True)
    assert server.requests[0].json() == {"blob": {"name": sent_name, "content_type": sent_type, "public": True}}
    last = parts(storage.requests[0])[-1]
    assert (last.filename, last.content_type) == (sent_name, sent_type)


def test_quotes_in_a_file_name_are_escaped(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    both.cube(server.url).files.upload(b"x", name='a"; name="key\r\nX: 1')
    assert parts(storage.requests[0])[-1].filename == "a%22; name=%22key%0D%0AX: 1"


# -- nothing of the platform's goes to the storage


def test_storage_receives_no_platform_data(both: Both, server: Server, storage: Server) -> None:
    """Neither what this client adds nor what an HTTP client from outside adds to each request."""
    play(server, storage)
    http = both.http(
        headers={"CB-Token": "hidden", "Authorization": "Bearer hidden", "X-Gateway-Key": "hidden"},
        cookies={"session": "hidden"},
        params={"gateway": "hidden"},
        auth=("mary", "hidden"),
    )
    cube = both.cube(server.url, http_client=http, admin_key="hidden").with_options(headers={"X-Mine": "hidden"})
    cube.files.upload(b"x")
    (form,) = storage.requests
    names = {name.lower() for name, _ in form.headers}
    assert names == {"host", "user-agent", "content-length", "content-type"}
    assert form.target == "/bucket"
    assert b"hidden" not in form.body.replace(SIGNATURE.encode(), b"")
    assert TOKEN.encode() not in form.body
    # The platform itself does get them.
    assert server.requests[0].header("X-Gateway-Key") == "hidden"
    assert server.requests[0].header("X-Mine") == "hidden"


# -- what goes wrong


def test_storage_error_message_is_reported(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    text = (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>\n<Message>Policy &amp; time expired.</Message></Error>"
    )
    storage.on("POST", "/bucket", Answer(403, text, {"Content-Type": "application/xml"}))
    with pytest.raises(errors.Forbidden) as caught:
        both.cube(server.url).files.upload(b"x")
    error = caught.value
    host = storage.url.removeprefix("http://")
    assert str(error) == f"files.upload was refused with 403: Policy & time expired. ({host})"
    assert (error.status, error.operation, error.body) == (403, "files.upload", text.decode())
    assert error.request is not None
    assert (error.request.method, error.request.url) == ("POST", f"{storage.url}/bucket")
    assert len(server.requests) == 1


def test_storage_upload_is_not_retried(both: Both, server: Server, storage: Server, waits: list[float]) -> None:
    play(server, storage)
    storage.on("POST", "/bucket", Answer(503, b"<Error><Message>Slow down</Message></Error>"))
    with pytest.raises(errors.Unavailable, match="Slow down"):
        both.cube(server.url).files.upload(b"x")
    storage.on("POST", "/bucket", Answer(close=True))
    with pytest.raises(errors.ConnectionFailed) as caught:
        both.cube(server.url).files.upload(b"x")
    assert caught.value.operation == "files.upload"
    assert len(storage.requests) == 2
    assert waits == []


def test_storage_upload_is_retried_if_nothing_was_sent(
    both: Both, server: Server, storage: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is used to start a storage that was down."""
    storage.stop()
    again = Server(port=storage.port)
    play(server, again)

    def start(_: float) -> None:
        again.start()

    async def astart(_: float) -> None:
        again.start()

    monkeypatch.setattr("connectycube.rest._retry.sleep", start)
    monkeypatch.setattr("connectycube.rest._retry.asleep", astart)
    told: list[int] = []
    try:
        both.cube(server.url).files.upload(CONTENT, progress=lambda sent, _: told.append(sent))
        assert parts(again.requests[0])[-1].content == CONTENT
    finally:
        again.stop()
    assert told == sorted(set(told))


def test_complete_is_retried(both: Both, server: Server, storage: Server, waits: list[float]) -> None:
    play(server, storage)
    server.on("PUT", "/blobs/5001/complete", Answer(503), Answer(close=True), Answer(200))
    both.cube(server.url).files.upload(b"x")
    assert len(server.to("/blobs/5001/complete")) == 3
    assert len(storage.requests) == 1
    assert len(waits) == 2


def test_session_expiring_during_the_upload_is_renewed(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    gone = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
    server.on("PUT", "/blobs/5001/complete", gone, Answer(200))
    both.cube(server.url, on_session_expired=both.hook(lambda _: "another-token")).files.upload(b"x")
    assert [one.header("CB-Token") for one in server.to("/blobs/5001/complete")] == [TOKEN, "another-token"]
    assert len(storage.requests) == 1


@pytest.mark.parametrize(
    "blob",
    [
        {"id": 5001, "uid": "f"},
        {"id": 5001, "uid": "f", "blob_object_access": {}},
        {"id": 5001, "uid": "f", "blob_object_access": {"params": ""}},
        {"id": 5001, "uid": "f", "blob_object_access": {"params": "key=1"}},
        {"id": 5001, "uid": "f", "blob_object_access": {"params": "ftp://s3.example/?key=1"}},
        {"id": 5001, "uid": "f", "blob_object_access": {"params": "http://[s3/?key=1"}},
        {"id": 5001, "uid": "f", "blob_object_access": {"params": "http://s3.example:99999/?key=1"}},
    ],
)
def test_missing_upload_url(both: Both, server: Server, blob: dict[str, Any]) -> None:
    server.on("POST", "/blobs", Answer(201, {"blob": blob}))
    with pytest.raises(errors.DecodeError, match=r"the response to files\.create has no") as caught:
        both.cube(server.url).files.upload(b"x")
    assert caught.value.operation == "files.create"
    assert len(server.requests) == 1


def test_progress_exception_stops_the_upload(both: Both, server: Server, storage: Server) -> None:
    class Stopped(Exception):
        pass

    def stop(sent: int, total: int | None) -> None:
        raise Stopped

    play(server, storage)
    with pytest.raises(Stopped):
        both.cube(server.url).files.upload(CONTENT, progress=stop)
    assert len(server.requests) == 1


def test_file_growing_during_upload_keeps_its_original_size(
    both: Both, server: Server, storage: Server, tmp_path: Path
) -> None:
    """A log file that is being written, for one."""
    play(server, storage)
    path = a_path(tmp_path)

    def grow(sent: int, total: int | None) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    both.cube(server.url).files.upload(path, progress=grow)
    assert parts(storage.requests[0])[-1].content == CONTENT
    assert server.requests[-1].json() == {"blob": {"size": len(CONTENT)}}


# -- files that are refused before anything is sent


def too_large(folder: Path) -> Path:
    path = folder / "large.bin"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    return path


def text_file(folder: Path) -> Any:
    return a_path(folder).open(encoding="latin-1")


def text_file_further_on(folder: Path) -> Any:
    file = text_file(folder)
    file.seek(100)
    return file


def closed_file(folder: Path) -> Any:
    with a_path(folder).open("rb") as file:
        return file


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "too large": (too_large, "at most 104857600"),
    "a text file": (text_file, "binary mode"),
    "a text file further on": (text_file_further_on, "binary mode"),
    "a text stream": (lambda _: io.StringIO("climb"), "binary mode"),
    "a closed file": (closed_file, "can't be read"),
    "a file for writing": (lambda folder: (folder / "out").open("wb"), "can't be read"),
    "no such file": (lambda folder: folder / "none", "can't be opened"),
    "a folder": (lambda folder: folder, "can't be opened"),
    "a number": (lambda _: 7, "must be a path"),
    "nothing": (lambda _: None, "must be a path"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_invalid_file(both: Both, server: Server, tmp_path: Path, kind: str) -> None:
    make, words = REFUSED[kind]
    source = make(tmp_path)
    with pytest.raises(errors.InvalidArgument, match=words) as caught:
        both.cube(server.url).files.upload(source)
    assert caught.value.argument == "file"
    assert server.requests == []
    if hasattr(source, "close"):
        source.close()


def test_endless_stream_is_not_read_completely(both: Both, server: Server) -> None:
    class Endless:
        taken = 0

        def read(self, size: int) -> bytes:
            self.taken += size
            return bytes(size)

    stream: Any = Endless()
    with pytest.raises(errors.InvalidArgument, match="at most 104857600"):
        both.cube(server.url).files.upload(stream)
    assert stream.taken <= LARGEST + 1024 * 1024
    assert server.requests == []


def test_failing_stream_is_not_sent(both: Both, server: Server) -> None:
    class Broken(Pipe):
        def readinto(self, buffer: Any) -> int:
            if self.taken > 2 * 1024 * 1024:
                raise OSError("the disk is gone")
            return super().readinto(buffer)

    stream: Any = Broken(CONTENT * 100)
    with pytest.raises(errors.InvalidArgument, match="the disk is gone"):
        both.cube(server.url).files.upload(stream)
    assert server.requests == []


@pytest.mark.parametrize("arguments", [{"name": "x" * 101}, {"content_type": 7}, {"public": "yes"}])
def test_invalid_arguments(both: Both, server: Server, arguments: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidArgument):
        both.cube(server.url).files.upload(b"x", **arguments)
    assert server.requests == []


def test_without_a_session(both: Both, server: Server) -> None:
    with pytest.raises(errors.ConfigurationError, match="login"):
        both.cube(server.url, token=None).files.upload(b"x")
    assert server.requests == []
