"""An HTTP server on loopback that does what a test tells it, well or badly, and keeps what it was asked.

Plain sockets and threads, so that it can break the protocol at any byte.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

PATIENCE = 30.0
"""Seconds after which a stalled server gives up, so that a broken test ends."""

CHUNK = 64 * 1024


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """The only value of a header; `None` where it is absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What a request gets.

    :ivar stall: the answer waits until this is set.
    :ivar repeat: how many times the body's bytes are sent.
    :ivar cut: how many bytes of the body are sent before the connection is closed.
    :ivar close: close the connection in place of an answer.
    :ivar reset: close it so that the client's socket sees a reset.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    stall: threading.Event | None = None
    repeat: int = 1
    cut: int | None = None
    close: bool = False
    reset: bool = False

    def send(self, connection: socket.socket) -> None:
        """Send head and body."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        kind = "application/octet-stream" if isinstance(self.body, bytes) else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(len(body) * self.repeat), **self.headers}
        head = [f"HTTP/1.1 {self.status} Reason", *(f"{name}: {value}" for name, value in headers.items())]
        if self.cut is not None:
            body = body[: self.cut]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        for _ in range(self.repeat - 1):
            connection.sendall(body)


Script = Answer | Callable[[Request], Answer]


class Server:
    """Use it as a context manager. Each path has a row of answers, of which the last one repeats."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, port: int = 0, drain: bool = False) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.refuse_before = 0
        """So many connections are closed before a request is read from them, under TLS once the handshake began."""
        self.drain = drain
        """Requests are kept without their bodies."""
        self._tls = tls
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.port = port
        self._listener: socket.socket | None = None
        self._accepting = threading.Thread(target=self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def on(self, method: str, path: str, *scripts: Script) -> None:
        """Answer a path's requests with these, in turn."""
        self._scripts[method, path] = list(scripts)

    def to(self, path: str, method: str | None = None) -> list[Request]:
        """The requests of a path."""
        with self._lock:
            return [one for one in self.requests if one.path == path and method in (None, one.method)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and answer."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._accepting.start()

    def stop(self) -> None:
        """Close the port and all connections."""
        if self._listener is None or not self._accepting.is_alive():
            return
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join()

    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def wait_until_idle(self) -> None:
        """Wait for the end of all connections that clients have closed."""
        for thread in self._threads:
            thread.join(PATIENCE)

    def hang_up(self) -> None:
        """Close all connections that are open."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                refused = self.connections <= self.refuse_before
                self._open.add(connection)
            if refused:
                if self._tls is not None:
                    # Inside the handshake: before it, CPython 3.11 forgets to close its side.
                    connection.settimeout(PATIENCE)
                    connection.recv(1)
                _reset(connection)
                self._open.discard(connection)
                continue
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(connection)
            with connection.makefile("rb") as reader:
                while (request := _read(reader, self.drain)) is not None and self._answer(connection, request):
                    pass
        except OSError:
            pass  # The client went away, as some tests want it to.
        finally:
            with self._lock:
                self._open.discard(plain)
                self._open.discard(connection)
            plain.close()
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        with self._lock:
            self.requests.append(request)
            scripts = self._scripts.get((request.method, request.path), [Answer(404, {"errors": {"base": ["none"]}})])
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        answer = script(request) if callable(script) else script
        if answer.stall is not None:
            answer.stall.wait(PATIENCE)
        if answer.reset:
            _reset(connection)
            return False
        if not answer.close:
            answer.send(connection)
        return not answer.close and answer.cut is None


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _read(reader: Any, drain: bool) -> Request | None:
    start = reader.readline().decode("latin-1")
    # The bytes of a TLS handshake may look like a line.
    if not start.endswith("\r\n") or len(start.split()) != 3:
        return None
    method, target, _ = start.split()
    headers: list[tuple[str, str]] = []
    while (line := reader.readline().decode("latin-1")) not in ("\r\n", ""):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    known = {name.lower(): value for name, value in headers}
    if known.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        length = int(known.get("content-length", 0))
        if drain:
            while length and (chunk := reader.read(min(length, CHUNK))):
                length -= len(chunk)
        body = reader.read(length)
        if len(body) < length:
            return None
    return Request(method, target, headers, body)


def free_port() -> int:
    """Return a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
