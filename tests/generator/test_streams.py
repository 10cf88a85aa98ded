"""Streams of generated clients, over real connections: item by item, and closed in every way in which they can end."""

from __future__ import annotations

import asyncio
import gc
import gzip
import queue
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from types import ModuleType
from typing import Any

import httpx
import pytest

from generator.runtime.rest._streams import Event, Events, JsonLines, JsonSequence

from .support import document, generated

PATIENCE = 60
"""Seconds after which a test gives up."""

EVENTS = {"description": "ok", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
FILE = {"description": "ok", "content": {"application/zip": {}}}
PATHS = {
    "/events": {"get": {"operationId": "events", "responses": {"200": EVENTS}}},
    "/file": {"get": {"operationId": "file", "responses": {"200": FILE}}},
}


@dataclass
class Server:
    """Sends the pieces that a test puts into it, each at once; `None` ends a response, `BREAK` the connection."""

    url: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    pieces: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    paths: list[str] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)
    """The client's address in each request."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set once the client has closed a connection."""

    def send(self, *pieces: bytes | None) -> None:
        for piece in pieces:
            self.pieces.put(piece)


BREAK = b"\0break"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@contextmanager
def running() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.paths.append(self.path)
            server.peers.append(self.client_address)
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                while (piece := server.pieces.get(timeout=PATIENCE)) is not None:
                    if piece == BREAK:
                        self.close_connection = True
                        return
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

        def finish(self) -> None:
            super().finish()
            server.left.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.send(None, None)
            http.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("streams")
    place = generated(folder, document(paths=PATHS), "streaming").parent
    sys.path.insert(0, str(place))
    yield import_module("streaming")
    sys.path.remove(str(place))
    for name in [name for name in sys.modules if name.partition(".")[0] == "streaming"]:
        del sys.modules[name]


class Sync:
    """A stream of the async client, with the methods of the sync one."""

    def __init__(self, stream: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._stream = stream
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def following() -> Any:
            return await anext(self._stream, self)

        found = self._run(following())
        if found is self:
            raise StopIteration
        return found

    def close(self) -> None:
        self._run(self._stream.aclose())

    def __enter__(self) -> Sync:
        self._run(self._stream.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self._run(self._stream.__aexit__(*error))


Open = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def opened(request: pytest.FixtureRequest, package: ModuleType, server: Server) -> Iterator[Open]:
    """Opens a stream with one of the clients."""
    if request.param == "sync":
        clients = []

        def sync(call: Callable[[Any], Any], base: str = "", **options: Any) -> Any:
            http = httpx.Client(follow_redirects=True) if base else None
            client = package.Client(server.url + base, http_client=http, **options)
            clients.append((client, http))
            return call(client.default)

        yield sync
        for client, http in clients:
            client.close()
            if http is not None:
                http.close()
        return
    with asyncio.Runner() as runner:
        more: list[Any] = []

        def wait(call: Callable[[Any], Any], base: str = "", **options: Any) -> Any:
            async def make() -> Any:
                http = httpx.AsyncClient(follow_redirects=True) if base else None
                client = package.AsyncClient(server.url + base, http_client=http, **options)
                more.extend(one for one in (client, http) if one is not None)
                return await call(client.default)

            return Sync(runner.run(make()), runner.run)

        yield wait
        for one in more:
            runner.run(one.aclose())


def events(default: Any) -> Any:
    return default.events()


def test_each_event_comes_before_the_next_is_sent(opened: Open, server: Server) -> None:
    server.send(b"data: 1\n\n")
    stream = opened(events)
    assert next(stream).data == "1"
    server.send(b"data: 2\r\ndata: 3\r\n\r")
    assert next(stream).data == "2\n3"
    server.send(b"\ndata: 4\n\n", None)
    assert [event.data for event in stream] == ["4"]
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"


def test_a_finished_stream_leaves_its_connection_to_the_next(package: ModuleType, server: Server) -> None:
    server.send(b"data: 1\n\n", None, b"data: 2\n\n", None)
    with package.Client(server.url) as client:
        assert [event.data for event in client.default.events()] == ["1"]
        assert [event.data for event in client.default.events()] == ["2"]
    assert server.peers[0] == server.peers[1]


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("end", ["close", "with", "exception"])
def test_closing(opened: Open, server: Server, end: str, begun: bool) -> None:
    server.send(b"data: 1\n\ndata: 2\n\n")
    stream = opened(events)
    if end == "close":
        if begun:
            assert next(stream).data == "1"
        stream.close()
        stream.close()
        assert [event.data for event in stream] == (["2"] if begun else [])
    elif end == "with":
        with stream as entered:
            if begun:
                assert next(entered).data == "1"
        assert list(stream) == []
    else:
        with pytest.raises(ZeroDivisionError), stream:
            raise ZeroDivisionError
    server.send(None)
    assert server.left.wait(PATIENCE)


@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_nobody_holds_is_closed(package: ModuleType, server: Server, begun: bool) -> None:
    server.send(b"data: 1\n\n")
    with package.Client(server.url) as client:
        stream = client.default.events()
        if begun:
            next(stream)
        del stream
        gc.collect()
        pool = client._http._open[None]
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.daemon and "close" in thread.name:
                thread.join(PATIENCE)
        assert pool.calls == 0
        server.send(None)
        assert server.left.wait(PATIENCE)


@pytest.mark.parametrize("begun", [False, True])
def test_an_async_stream_that_nobody_holds_is_closed(package: ModuleType, server: Server, begun: bool) -> None:
    server.send(b"data: 1\n\n")

    async def run() -> None:
        async with package.AsyncClient(server.url) as client:
            stream = await client.default.events()
            pool = client._http._open[asyncio.get_running_loop()]
            if begun:
                await anext(stream)
            assert pool.calls == 1
            del stream
            gc.collect()
            while pool.calls:
                await asyncio.sleep(0)
            server.send(None)
            assert await asyncio.to_thread(server.left.wait, PATIENCE)

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_a_broken_stream_keeps_what_came_and_is_not_repeated(opened: Open, server: Server, package: ModuleType) -> None:
    server.send(b"data: 1\n\ndata: 2\n\ndata: 3", BREAK)
    stream = opened(events)
    assert [next(stream).data, next(stream).data] == ["1", "2"]
    with pytest.raises(package.ConnectionFailed) as caught:
        next(stream)
    assert caught.value.operation == "default.events"
    assert list(stream) == []
    assert server.paths == ["/events"]


def test_a_timeout_is_for_each_piece(opened: Open, server: Server, package: ModuleType) -> None:
    server.send(b"data: 1\n\n")
    stream = opened(events, timeout=0.1)
    assert next(stream).data == "1"
    with pytest.raises(package.RequestTimeout):
        next(stream)
    assert list(stream) == []


def test_an_event_has_a_largest_size(opened: Open, server: Server, package: ModuleType) -> None:
    server.send(b"data: 1\n\n", *[b"data: " + b"x" * 1024 * 1024 + b"\n"] * 9)
    stream = opened(events)
    assert next(stream).data == "1"
    with pytest.raises(package.ResponseTooLarge, match=r"default\.events has more than 8388608 bytes"):
        next(stream)


def test_packed_events_come_one_by_one(opened: Open, server: Server) -> None:
    packer = zlib.compressobj(wbits=31)
    server.headers["Content-Encoding"] = "gzip"
    server.send(packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH))
    stream = opened(events)
    assert next(stream).data == "1"
    server.send(packer.compress(b"data: 2\n\n") + packer.flush(), None)
    assert [event.data for event in stream] == ["2"]


def test_redirects_lead_to_a_stream(opened: Open, server: Server) -> None:
    server.send(b"data: 1\n\n", None)
    assert [event.data for event in opened(events, base="/moved")] == ["1"]
    assert server.paths == ["/moved/events", "/events"]


def test_chunks_of_a_file(opened: Open, server: Server) -> None:
    server.headers["Content-Type"] = "application/zip"
    server.send(b"PK")
    with opened(lambda default: default.with_streaming_response.file()) as chunks:
        assert next(chunks) == b"PK"
        server.send(b"one", b"two", None)
        assert b"".join(chunks) == b"onetwo"


def test_chunks_are_unpacked(opened: Open, server: Server) -> None:
    server.headers |= {"Content-Type": "application/zip", "Content-Encoding": "gzip"}
    server.send(gzip.compress(b"x" * 1_000_000), None)
    with opened(lambda default: default.with_streaming_response.file()) as chunks:
        sizes = [len(chunk) for chunk in chunks]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 65_536


def test_raw_response_is_read_whole(package: ModuleType) -> None:
    body = b"data: 1\n\ndata: 2\n\n"
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with httpx.Client(transport=transport) as http:
        client = package.Client("http://stub", http_client=http)
        raw = client.default.with_raw_response.events()
        assert raw.body == body
        assert [event.data for event in raw.parse()] == ["1", "2"]
        # Such a transport has the body in memory before it is read.
        assert [event.data for event in client.default.events()] == ["1", "2"]


def test_a_cancelled_wait_closes_the_stream(package: ModuleType, server: Server) -> None:
    async def run() -> None:
        async with package.AsyncClient(server.url) as client:
            server.send(b"data: 1\n\n")
            stream: AsyncIterator[Any] = await client.default.events()
            assert (await anext(stream)).data == "1"
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert [event async for event in stream] == []
            server.send(None)
            assert await asyncio.to_thread(server.left.wait, PATIENCE)

    asyncio.run(run())


# -- the decoders alone

STREAM = (
    "\ufeff: comment\r\ndata: é\r\rdata:b\n\n:\n\nevent: x\nid: 1\ndata: c\r\ndata: d\r\n\r\nid: \0\nretry: soon\n"
    "retry: 9\ndata:\ndata\n\nunknown: 1\ndata: [DONE]\n\nid\ndata: e\n\ndata: lost"
).encode()

FOUND = [
    Event("é"),
    Event("b"),
    Event("c\nd", event="x", id="1"),
    Event("\n", id="1", retry=9),
    Event("[DONE]", id="1", retry=9),
    Event("e", retry=9),
]


def fed(decoder: Any, *chunks: bytes) -> list[Any]:
    return [item for chunk in chunks for item in decoder.feed(chunk)] + list(decoder.finish())


@pytest.mark.parametrize("size", [*range(1, 12), len(STREAM)])
def test_events_however_they_are_cut(size: int) -> None:
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert fed(Events(str, json=False), *pieces) == FOUND


def test_events_cut_once_anywhere() -> None:
    for place in range(len(STREAM)):
        assert fed(Events(str, json=False), STREAM[:place], b"", STREAM[place:]) == FOUND


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("decoder", "stream"),
    [
        (JsonLines, b'\xef\xbb\xbf{"a": "\xc3\xa9"}\r\n\n \n[1,\r2]\n3'),
        (JsonSequence, b'\x1e{"a":\n "\xc3\xa9"}\n\x1e\x1e[1,2]\n\x1e3\n'),
    ],
)
def test_values_however_they_are_cut(decoder: Any, stream: bytes, size: int) -> None:
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert fed(decoder(lambda value: value), *pieces) == [{"a": "é"}, [1, 2], 3]


def test_a_value_of_a_sequence_does_not_wait_for_the_next() -> None:
    decoder = JsonSequence(lambda value: value)
    assert list(decoder.feed(b"\x1e[1,")) == []
    assert list(decoder.feed(b"2]\n")) == [[1, 2]]
    assert list(decoder.feed(b"\x1e3\n")) == [3]
    assert list(decoder.finish()) == []
