"""`deadline` ends a call, whatever the server does."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from connectycube.rest import ConnectyCube, errors
from tests.rest.both import APP_ID, AUTH_KEY, Both, raw
from tests.rest.server import Answer, Request, Server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

#: What a server sends, piece after piece, without an end.
ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "nothing": lambda: itertools.repeat(b""),
    "a header": lambda: itertools.chain([HEAD, b"X: "], itertools.repeat(b"x")),
    "interim responses": lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": lambda: itertools.chain([HEAD, b"Content-Length: 5000000\r\n\r\n"], itertools.repeat(b" ")),
    "chunks": lambda: itertools.chain([HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1\r\n \r\n")),
}


class Drip:
    """A server that sends a piece every few milliseconds, more often than any timeout of a step."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                for piece in self._pieces():
                    if self._stop.wait(0.01):
                        return
                    connection.sendall(piece)
            except OSError:
                pass  # The client has hung up.

    def close(self) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_response(both: Both, what: str) -> None:
    drip = Drip(ENDLESS[what])
    try:
        cube = both.cube(drip.url, deadline=0.5, timeout=60)
        with pytest.raises(
            errors.RequestTimeout, match=r"dialogs\.list did not end within its deadline of 0\.5 s"
        ) as caught:
            cube.dialogs.list()
        assert caught.value.operation == "dialogs.list"
    finally:
        drip.close()


@pytest.mark.parametrize("connections", [None, 1])
def test_deadline_of_a_caller_s_own_http_client(both: Both, server: Server, connections: int | None) -> None:
    """The server is silent, or the only connection is in use."""
    release = threading.Event()
    server.on("GET", "/chat/Dialog", Answer(200, {"items": []}, stall=release))
    http = both.http(limits=httpx.Limits(max_connections=connections))
    cube = both.cube(server.url, http_client=http, timeout=60)
    short = both.blocking(raw(cube).with_options(deadline=0.3))
    try:
        calls = both.gather(short, lambda one: one.dialogs.list(), 2)
    finally:
        release.set()
    assert [str(error) for error in calls] == ["dialogs.list did not end within its deadline of 0.3 seconds"] * 2


def test_deadline_while_another_thread_renews_the_session(server: Server) -> None:
    release = threading.Event()
    opened = {"session": {"id": 1, "user_id": 81001, "token": "new"}}

    def answer(request: Request) -> Answer:
        known = request.header("CB-Token") == "new"
        return Answer(200, {"items": []}) if known else Answer(401, {"errors": ["Required session does not exist"]})

    server.on("GET", "/chat/Dialog", answer)
    server.on("POST", "/session", Answer(201, {"session": {**opened["session"], "token": "old"}}))
    server.on("POST", "/login", Answer(200, {"user": {"id": 81001}}))
    with ConnectyCube(APP_ID, AUTH_KEY, base_url=server.url, timeout=60) as cube, ThreadPoolExecutor(1) as pool:
        cube.login(login="mary", password="correct-horse-9")
        server.on("POST", "/session", Answer(201, opened, stall=release))
        try:
            first = pool.submit(cube.dialogs.list)
            while len(server.to("/session")) < 2:
                time.sleep(0.001)
            with pytest.raises(errors.RequestTimeout, match=r"deadline of 0\.3 seconds"):
                cube.with_options(deadline=0.3).dialogs.list()
        finally:
            release.set()
        assert first.result().items == []


def test_retries_share_the_deadline(both: Both, server: Server, waits: list[float]) -> None:
    """The wait that the server asks for would end after the deadline."""
    server.on("GET", "/chat/Dialog", Answer(503, headers={"Retry-After": "20"}))
    with pytest.raises(errors.Unavailable):
        both.cube(server.url, deadline=15).dialogs.list()
    assert waits == []


def test_deadline_of_a_copy(both: Both, server: Server, waits: list[float]) -> None:
    server.on("GET", "/chat/Dialog", Answer(503, headers={"Retry-After": "20"}))
    cube = both.cube(server.url, deadline=15)
    with pytest.raises(errors.Unavailable):
        cube.with_options(deadline=None).dialogs.list()
    assert waits == [20.0, 20.0]


def test_deadline_covers_both_requests_of_a_login(both: Both, server: Server) -> None:
    release = threading.Event()

    def slow(_: Request) -> Answer:
        release.wait(0.7)
        return Answer(201, {"session": {"id": 1, "token": "new"}})

    server.on("POST", "/session", slow)
    server.on("POST", "/login", Answer(200, {"user": {"id": 1}}, stall=release))
    try:
        with pytest.raises(
            errors.RequestTimeout, match=r"sessions\.create did not end within its deadline of 1 seconds"
        ):
            both.cube(server.url, deadline=1).login(login="mary", password="correct-horse-9")
    finally:
        release.set()


@pytest.mark.parametrize("wrong", [0, -1, True, "30", float("nan"), float("inf")])
def test_invalid_deadline_is_rejected(both: Both, wrong: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="deadline"):
        both.cube("http://127.0.0.1:9", deadline=wrong)
    with pytest.raises(errors.ConfigurationError, match="deadline"):
        both.cube("http://127.0.0.1:9").with_options(deadline=wrong)
