"""Sources and targets of every kind, and transfers that break, move or are too large."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import re
import stat
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from connectycube.rest import AsyncConnectyCube, errors, models
from tests.rest.both import TOKEN, Both
from tests.rest.server import Answer, Request, Server
from tests.rest.storage import UID, parts, play

CONTENT = bytes(range(256)) * 1000
PATH = f"/blobs/{UID}/download"
ETAG = {"ETag": '"1"'}


class AsyncFile:
    """What aiofiles opens."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return self._inner.read(size)


async def generated() -> AsyncIterator[bytes]:
    for start in range(0, len(CONTENT), 1000):
        yield CONTENT[start : start + 1000]


@pytest.mark.parametrize("kind", ["file", "generator"])
def test_async_source(server: Server, storage: Server, kind: str) -> None:
    play(server, storage)

    async def upload() -> models.File:
        async with AsyncConnectyCube(1, "k", base_url=server.url, token=TOKEN) as cube:
            return await cube.files.upload(AsyncFile(CONTENT) if kind == "file" else generated())

    assert asyncio.run(upload()).size == len(CONTENT)
    assert parts(storage.requests[0])[-1].content == CONTENT


def test_blocked_source_does_not_block_the_loop(server: Server, storage: Server) -> None:
    """The writer is a task of the same loop."""
    play(server, storage)
    source, sink = os.pipe()

    async def produce() -> None:
        await asyncio.sleep(0.01)
        os.write(sink, CONTENT[:1000])
        os.close(sink)

    async def upload() -> models.File:
        async with AsyncConnectyCube(1, "k", base_url=server.url, token=TOKEN) as cube:
            with os.fdopen(source, "rb") as file:
                uploaded, _ = await asyncio.gather(cube.files.upload(file), produce())
                return uploaded

    assert asyncio.run(upload()).size == 1000


def test_text_from_an_async_source(server: Server) -> None:
    class Text:
        async def read(self, size: int) -> str:
            return "text"

    source: Any = Text()

    async def upload() -> None:
        async with AsyncConnectyCube(1, "k", base_url=server.url, token=TOKEN) as cube:
            await cube.files.upload(source)

    with pytest.raises(errors.InvalidArgument, match="binary mode"):
        asyncio.run(upload())
    assert server.requests == []


def test_async_source_needs_the_async_client(server: Server) -> None:
    both = Both("sync")
    sources: list[Any] = [AsyncFile(b"x"), generated()]
    for source in sources:
        with pytest.raises(errors.InvalidArgument, match="use the async client"):
            both.cube(server.url).files.upload(source)
    both.close_all()


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/status"])
def test_source_without_a_size(both: Both, server: Server, storage: Server, path: str) -> None:
    play(server, storage)
    if path == "/dev/zero":
        with pytest.raises(errors.InvalidArgument, match="at most"):
            both.cube(server.url).files.upload(path)
    else:
        assert (both.cube(server.url).files.upload(path).size or 0) > 100


def test_source_that_shrinks(both: Both, server: Server, storage: Server, tmp_path: Path) -> None:
    play(server, storage)
    path = tmp_path / "log"
    path.write_bytes(CONTENT)
    with pytest.raises(errors.InvalidArgument, match="bytes shorter during the upload") as caught:
        both.cube(server.url).files.upload(path, progress=lambda sent, total: os.truncate(path, 1000))
    assert caught.value.file_id == 5001


@pytest.mark.parametrize("content_type", ["text/plain\r\nX: 1", "text/plain\n", "", "ä/b", 7])
def test_invalid_content_type(both: Both, server: Server, content_type: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="content_type"):
        both.cube(server.url).files.upload(b"x", content_type=content_type)
    assert server.requests == []


def test_upload_follows_the_storage(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    storage.on("POST", "/bucket", Answer(307, headers={"Location": "/elsewhere"}))
    storage.on("POST", "/elsewhere", Answer(204))
    assert both.cube(server.url).files.upload(CONTENT).id == 5001
    first, second = storage.requests
    assert parts(first)[-1].content == parts(second)[-1].content == CONTENT


def test_upload_redirect_after_success(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    storage.on("POST", "/bucket", Answer(303, headers={"Location": "/done"}))
    assert both.cube(server.url).files.upload(CONTENT).id == 5001
    assert len(storage.requests) == 1


def test_upload_redirect_loop_names_the_file(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    storage.on("POST", "/bucket", Answer(307, headers={"Location": "/bucket"}))
    with pytest.raises(errors.ConnectionFailed, match="more than 5 times") as caught:
        both.cube(server.url).files.upload(b"x")
    assert (caught.value.operation, caught.value.file_id) == ("files.upload", 5001)


# -- downloads that break


def redirected(server: Server, storage: Server, *answers: Any) -> None:
    server.on("GET", PATH, Answer(302, headers={"Location": f"{storage.url}/file"}))
    storage.on("GET", "/file", *answers)


@pytest.mark.parametrize("resumable", [True, False])
def test_broken_download_is_resumed(
    both: Both, server: Server, storage: Server, waits: list[float], tmp_path: Path, resumable: bool
) -> None:
    def rest(request: Request) -> Answer:
        found = re.fullmatch(r"bytes=(\d+)-", request.header("Range") or "")
        assert found is not None
        assert request.header("If-Range") == '"1"'
        start = int(found[1])
        if not resumable:
            return Answer(200, CONTENT, ETAG)
        span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        return Answer(206, CONTENT[start:], {**ETAG, "Content-Range": span})

    redirected(server, storage, Answer(200, CONTENT, ETAG, cut=100_000), rest)
    path = tmp_path / "file"
    assert both.cube(server.url).files.download(UID, path) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert len(storage.requests) == 2
    assert len(waits) == 1


CHANGED = {
    "length": Answer(200, CONTENT[1:]),
    "tag": Answer(200, CONTENT, {"ETag": '"2"'}),
    "start": Answer(206, CONTENT[5:], {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"}),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_changed_file_is_not_mixed(
    both: Both, server: Server, storage: Server, waits: list[float], tmp_path: Path, kind: str
) -> None:
    redirected(server, storage, Answer(200, CONTENT, ETAG, cut=100_000), CHANGED[kind])
    with pytest.raises(errors.DecodeError):
        both.cube(server.url).files.download(UID, tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_part_that_nobody_asked_for(both: Both, server: Server, storage: Server) -> None:
    redirected(server, storage, Answer(206, b"x", {"Content-Range": "bytes 0-0/100"}))
    with pytest.raises(errors.DecodeError, match="another part"):
        both.cube(server.url).files.download(UID)


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_too_large_a_download(both: Both, server: Server, tmp_path: Path, headers: dict[str, str]) -> None:
    body = gzip.compress(CONTENT) if "Content-Encoding" in headers else CONTENT
    server.on("GET", PATH, Answer(200, body, headers))
    cube = both.cube(server.url)
    assert cube.files.download(UID, max_bytes=len(CONTENT)) == CONTENT
    for target in (io.BytesIO(), tmp_path / "file"):
        with pytest.raises(errors.ResponseTooLarge, match="max_bytes="):
            cube.files.download(UID, target, max_bytes=len(CONTENT) - 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(CONTENT)[:-8], "gzip"), (gzip.compress(CONTENT)[:500], "gzip"), (b"\x1b\x03\x00\xf8", "br")],
    ids=["without its end", "half", "br"],
)
def test_damaged_encoding(both: Both, server: Server, tmp_path: Path, body: bytes, encoding: str) -> None:
    server.on("GET", PATH, Answer(200, body, {"Content-Encoding": encoding}))
    with pytest.raises(errors.DecodeError, match="content encoding"):
        both.cube(server.url).files.download(UID, tmp_path / "file")
    assert os.listdir(tmp_path) == []


# -- targets


def test_pipe_is_written_to(both: Both, server: Server, tmp_path: Path) -> None:
    server.on("GET", PATH, Answer(200, b"x" * 1000))
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert both.cube(server.url).files.download(UID, tmp_path / "pipe") == 1000
    assert os.read(reader, 2000) == b"x" * 1000
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_links_and_modes_are_kept(both: Both, server: Server, tmp_path: Path) -> None:
    server.on("GET", PATH, Answer(200, CONTENT))
    real, link, twin = tmp_path / "real", tmp_path / "link", tmp_path / "twin"
    real.write_bytes(b"x" * 2 * len(CONTENT))
    real.chmod(0o600)
    link.symlink_to(real)
    both.cube(server.url).files.download(UID, link)
    assert link.is_symlink()
    assert real.read_bytes() == CONTENT
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    real.write_bytes(b"x" * 2 * len(CONTENT))
    twin.hardlink_to(real)
    both.cube(server.url).files.download(UID, twin)
    assert real.read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["link", "real", "twin"]


def test_full_disk(both: Both, server: Server, tmp_path: Path) -> None:
    server.on("GET", PATH, Answer(200, CONTENT))
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(errors.FileFailed, match="No space left on device") as caught:
        both.cube(server.url).files.download(UID, tmp_path / "full")
    assert isinstance(caught.value, OSError)
    assert caught.value.operation == "files.download"


def test_short_writes_of_a_stream(both: Both, server: Server) -> None:
    class Short(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data)[:1000])

    server.on("GET", PATH, Answer(200, CONTENT))
    target = Short()
    assert both.cube(server.url).files.download(UID, target) == len(CONTENT)
    assert target.getvalue() == CONTENT


def test_full_non_blocking_stream_is_waited_for(both: Both, server: Server) -> None:
    """It takes 64 KiB, and then nothing until the reader has read."""
    server.on("GET", PATH, Answer(200, CONTENT))
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    with open(source, "rb") as reader, ThreadPoolExecutor(1) as pool:
        with open(sink, "wb", buffering=0) as target:
            read = pool.submit(reader.read)
            assert both.cube(server.url).files.download(UID, target) == len(CONTENT)
        assert read.result() == CONTENT


def test_stream_that_takes_nothing(both: Both, server: Server) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            return 0

    server.on("GET", PATH, Answer(200, CONTENT))
    with pytest.raises(OSError, match="nothing can be written"):
        both.cube(server.url).files.download(UID, Full())


def test_download_that_is_cancelled_while_its_file_is_opened_leaves_none(server: Server, tmp_path: Path) -> None:
    """At each moment: before the thread opens it, and between that and the task's next turn."""
    server.on("GET", PATH, Answer(200, CONTENT))

    async def run() -> None:
        async with AsyncConnectyCube(1, "k", base_url=server.url, token=TOKEN) as cube:
            for turns in [*range(6)] * 5:
                task = asyncio.ensure_future(cube.files.download(UID, tmp_path / "file"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            while any(thread.daemon and thread.name.endswith("(run)") for thread in threading.enumerate()):
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)

    asyncio.run(run())
    assert [name for name in os.listdir(tmp_path) if name != "file"] == []
