"""A real HTTP server on the loopback interface: it records requests and sends the response it is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """What a client sent. Names of headers are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    target: str = ""
    """The path and the query, byte for byte."""
    header_lines: list[tuple[str, str]] = field(default_factory=list)
    """All headers, also those that came several times."""


@dataclass
class Server:
    """The answer to all requests, and the requests.

    :ivar more_headers: sent with the answer, besides its type and length.
    """

    url: str = ""
    status: int = 200
    content_type: str = "application/json"
    answer: bytes = b"{}"
    more_headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def says(self, answer: bytes, content_type: str = "application/json", status: int = 200) -> None:
        """Answer this from now on."""
        self.answer, self.content_type, self.status = answer, content_type, status

    @property
    def last(self) -> Request:
        return self.requests[-1]


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length", 0)))
    found = b""
    while size := int(handler.rfile.readline(), 16):
        found += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return found


@contextmanager
def running() -> Iterator[Server]:
    """A server for the time of a test."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            query = parse_qsl(url.query, keep_blank_values=True)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body, lines = _body(self), self.headers.items()
            server.requests.append(Request(self.command, url.path, query, headers, body, self.path, lines))
            self.send_response(server.status)
            body = b"" if server.status == 204 or self.command == "HEAD" else server.answer
            if body and server.content_type:
                self.send_header("Content-Type", server.content_type)
            for name, value in server.more_headers.items():
                self.send_header(name, value)
            if server.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_TRACE = do_QUERY = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/api"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
