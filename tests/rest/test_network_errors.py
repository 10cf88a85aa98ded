"""What a broken network, a broken TLS or a silent server becomes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
import trustme

from connectycube.rest import errors
from tests.rest.both import AT_ONCE, Both
from tests.rest.server import Answer, Server, free_port

PAGE = Answer(200, {"items": [{"_id": "66f1a7c2e4b0d93a51c8e110"}], "limit": 100})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.contextmanager
def tls_server(authority: trustme.CA, name: str = "127.0.0.1") -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    with Server(context) as server:
        server.on("GET", "/chat/Dialog", PAGE)
        yield server


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_connection_refused(both: Both) -> None:
    with pytest.raises(errors.ConnectionFailed, match=r"dialogs\.list") as caught:
        both.cube(f"http://127.0.0.1:{free_port()}", max_retries=0).dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert not isinstance(caught.value, errors.TlsFailed)


def test_errors_name_the_host(both: Both, server: Server) -> None:
    cube = both.cube(server.url, max_retries=0, timeout=AT_ONCE)
    release = threading.Event()
    failures: list[tuple[Answer, type[Exception]]] = [
        (Answer(close=True), errors.ConnectionFailed),
        (Answer(stall=release), errors.RequestTimeout),
        (Answer(200, b"<html>"), errors.DecodeError),
        (Answer(200, b"x", {"Content-Encoding": "gzip"}), errors.DecodeError),
        (Answer(404), errors.NotFound),
    ]
    for answer, kind in failures:
        server.on("GET", "/chat/Dialog", answer)
        with pytest.raises(kind, match=rf"dialogs\.list.*\(127\.0\.0\.1:{server.port}\)$"):
            cube.dialogs.list()
    release.set()


@pytest.mark.parametrize("text", ["\x1b[31mred", "line\nbreak", "\u202eback"])
def test_quoted_failure_has_no_control_characters(both: Both, text: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError(text)

    http = both.http(transport=httpx.MockTransport(fail))
    with pytest.raises(errors.ConnectionFailed, match=r"dialogs\.list failed") as caught:
        both.cube("http://127.0.0.1", http_client=http, max_retries=0).dialogs.list()
    assert str(caught.value).isprintable()


def test_no_network(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    with pytest.raises(errors.ConnectionFailed, match="name resolution") as caught:
        both.cube("https://api.connectycube.com", max_retries=0).users.get(81001)
    assert caught.value.operation == "users.get"


@pytest.mark.parametrize(
    "answer", [Answer(close=True), Answer(reset=True), Answer(200, b"x" * 4000, cut=2000), Answer(200, b"x", cut=0)]
)
def test_broken_connection(both: Both, server: Server, answer: Answer) -> None:
    server.on("GET", "/chat/Dialog", answer)
    with pytest.raises(errors.ConnectionFailed, match=r"^dialogs\.list failed: .") as caught:
        both.cube(server.url, max_retries=0).dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert isinstance(caught.value.__cause__, httpx.TransportError)


def test_server_does_not_speak_http(both: Both) -> None:
    def greet(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,))
        thread.start()
        cube = both.cube(f"http://127.0.0.1:{listener.getsockname()[1]}", max_retries=0)
        with pytest.raises(errors.ConnectionFailed):
            cube.dialogs.list()
        thread.join()


# -- time-outs


def test_silent_server_times_out(both: Both, server: Server) -> None:
    released = threading.Event()
    server.on("GET", "/chat/Dialog", Answer(200, stall=released))
    try:
        with pytest.raises(errors.RequestTimeout, match=r"dialogs\.list got no response in time") as caught:
            both.cube(server.url, max_retries=0, timeout=AT_ONCE).dialogs.list()
        assert caught.value.operation == "dialogs.list"
        assert isinstance(caught.value.__cause__, httpx.ReadTimeout)
    finally:
        released.set()


def test_copy_has_its_own_timeout(both: Both, server: Server) -> None:
    released = threading.Event()
    server.on("GET", "/chat/Dialog", Answer(200, stall=released))
    cube = both.cube(server.url, max_retries=0, timeout=None)
    try:
        with pytest.raises(errors.RequestTimeout):
            cube.with_options(timeout=AT_ONCE).dialogs.list()
    finally:
        released.set()


def test_host_that_accepts_no_connection(both: Both) -> None:
    """A port whose queue is full keeps a connection waiting, as a firewall does that drops packets."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        timeout = httpx.Timeout(10, connect=0.1)
        cube = both.cube(f"http://127.0.0.1:{listener.getsockname()[1]}", max_retries=0, timeout=timeout)
        with pytest.raises(errors.RequestTimeout, match="ConnectTimeout"):
            cube.dialogs.list()


def test_get_timeout_is_retried(both: Both, server: Server, waits: list[float]) -> None:
    released = threading.Event()
    server.on("GET", "/chat/Dialog", Answer(200, stall=released), PAGE)
    try:
        assert len(both.cube(server.url, timeout=httpx.Timeout(30, read=2)).dialogs.list().items) == 1
    finally:
        released.set()
    assert len(waits) == 1


def test_post_timeout_is_not_retried(both: Both, server: Server, waits: list[float]) -> None:
    released = threading.Event()
    server.on("POST", "/chat/Dialog", Answer(200, {"_id": "a"}, stall=released))
    try:
        with pytest.raises(errors.RequestTimeout):
            both.cube(server.url, timeout=AT_ONCE).dialogs.create(type=3, occupants_ids=[81002])
    finally:
        released.set()
    assert len(server.requests) == 1
    assert waits == []


# -- TLS


def test_untrusted_certificate(both: Both, authority: trustme.CA, waits: list[float]) -> None:
    refused = pytest.raises(
        errors.TlsFailed, match=r"dialogs\.list failed in the TLS handshake: .*issuer.*SSL_CERT_FILE"
    )
    with tls_server(authority) as server, refused as caught:
        both.cube(server.url).dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert server.requests == []
    assert waits == []


def test_certificate_for_another_host(both: Both, authority: trustme.CA) -> None:
    http = both.http(verify=trusting(authority))
    refused = pytest.raises(errors.TlsFailed, match=r"not valid for '127\.0\.0\.1'\. \(127")
    with tls_server(authority, "other.example") as server, refused:
        both.cube(server.url, http_client=http).dialogs.list()
    assert server.requests == []


def test_tls_settings_of_a_custom_http_client_are_used(both: Both, authority: trustme.CA) -> None:
    http = both.http(verify=trusting(authority))
    with tls_server(authority) as server:
        cube = both.cube(server.url, http_client=http)
        assert len(cube.dialogs.list().items) == 1
        both.close(cube)
        assert not http.is_closed
        assert len(both.cube(server.url, http_client=http).dialogs.list().items) == 1


def test_https_to_a_plain_http_port(both: Both, server: Server) -> None:
    with pytest.raises(errors.ConnectionFailed) as caught:
        both.cube(server.url.replace("http:", "https:"), max_retries=0).dialogs.list()
    assert caught.value.operation == "dialogs.list"
    assert server.requests == []


def test_http_to_a_tls_port(both: Both, authority: trustme.CA) -> None:
    with tls_server(authority) as server, pytest.raises(errors.ConnectionFailed) as caught:
        both.cube(server.url.replace("https:", "http:"), max_retries=0).dialogs.list()
    assert caught.value.operation == "dialogs.list"


@pytest.mark.parametrize("broken", [Answer(close=True), Answer(200, b"x" * 100, cut=50)])
def test_broken_tls_connection_is_retried(
    both: Both, authority: trustme.CA, waits: list[float], broken: Answer
) -> None:
    """The server closes without `close_notify`, which OpenSSL reports as a distinct error."""
    http = both.http(verify=trusting(authority))
    with tls_server(authority) as server:
        server.on("GET", "/chat/Dialog", broken, PAGE)
        assert len(both.cube(server.url, http_client=http).dialogs.list().items) == 1
        server.on("GET", "/chat/Dialog", broken)
        with pytest.raises(errors.ConnectionFailed) as caught:
            both.cube(server.url, http_client=http).dialogs.list()
    assert not isinstance(caught.value, errors.TlsFailed)
    assert len(waits) == 3


def test_broken_handshake_is_retried_even_for_a_post(both: Both, authority: trustme.CA, waits: list[float]) -> None:
    http = both.http(verify=trusting(authority))
    with tls_server(authority) as server:
        server.refuse_before = 2
        server.on("POST", "/chat/Dialog", Answer(201, {"_id": "66f1a7c2e4b0d93a51c8e110"}))
        both.cube(server.url, http_client=http).dialogs.create(type=3, occupants_ids=[81002])
    assert len(server.requests) == 1
    assert len(waits) == 2


# -- what can't be sent


@pytest.mark.parametrize(
    "address",
    [
        "api.example",
        "ftp://api.example",
        "http://",
        "http://[::1",
        "http://api.example:port",
        "http://api.example:70000",
        "https://mary:hidden-word@api.example",
        "https://api.example/?key=hidden-word",
        "https://api.example/#hidden-word",
    ],
)
def test_invalid_base_url(both: Both, address: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="base_url") as caught:
        both.cube(address)
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize("secret", ["hidden\n", "hidden\nX-Injected: 1", "hidden wörd", " hidden", "hidden\0"])
@pytest.mark.parametrize("what", ["token", "auth_key", "admin_key"])
def test_secret_invalid_in_a_header(both: Both, server: Server, what: str, secret: str) -> None:
    """A key read from a file often ends in a line break."""
    cube = both.cube(server.url, **{"token": None, what: secret})
    calls: dict[str, Callable[[], object]] = {
        "token": lambda: cube.dialogs.list(),
        "auth_key": lambda: cube.users.create(login="mary", password="correct-horse-9"),
        "admin_key": lambda: cube.admin.list_dialogs(),
    }
    with pytest.raises(errors.ConfigurationError, match="printable ASCII") as caught:
        calls[what]()
    assert caught.value.operation
    assert "hidden" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    "headers",
    [{"X-Trace": "hidden\r\nX-Injected: 1"}, {"X-Trace": "wörd"}, {"X Trace": "1"}, {"": "1"}, {"X-Trace": 1}],
)
def test_invalid_header(both: Both, server: Server, headers: dict[str, str]) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        both.cube(server.url).with_options(headers=headers)
    assert "hidden" not in str(caught.value)


def test_invalid_header_of_a_custom_http_client_is_not_quoted(both: Both, server: Server) -> None:
    http = both.http(headers={"X-Gateway-Key": "hidden-word\n"})
    with pytest.raises(errors.ConnectionFailed, match="breaks the rules of HTTP") as caught:
        both.cube(server.url, http_client=http).dialogs.list()
    assert "hidden-word" not in str(caught.value)
