"""HTTP clients from outside, and the environment: they change nothing that is sent, and are named when unusable."""

from __future__ import annotations

import copy
import gzip
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, ConnectyCube, errors
from tests.rest.both import APP_ID, AUTH_KEY, TOKEN, Both
from tests.rest.server import Answer, Server
from tests.rest.storage import UID

PAGE = Answer(200, {"items": []})
GONE = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
OPENED = {"session": {"id": 1, "user_id": 81001, "token": "new-token"}}
USER = {"user": {"id": 81001}}
REOPENED = {"session": {"id": 2, "user_id": 81001, "token": "newer-token"}}


# -- a client from outside


def test_settings_of_a_client_change_nothing_that_is_sent(both: Both, server: Server) -> None:
    server.on("GET", "/users/v2", PAGE)
    http = both.http(
        params={"limit": "1", "trace": "1"},
        cookies={"session": "of-somebody"},
        base_url="http://127.0.0.1:9/elsewhere",
        headers={"cb-token": "other", "accept": "text/html", "content-type": "text/plain", "X-Gateway-Key": "key-1"},
    )
    both.cube(server.url, http_client=http).users.list(filters={"login": "mary"}, limit=5)
    (request,) = server.requests
    assert sorted(request.query) == [("limit", "5"), ("login", "mary")]
    assert request.header("CB-Token") == TOKEN
    assert request.header("Accept") == "application/json"
    assert request.header("Cookie") is None
    assert request.header("Content-Type") is None
    assert request.header("X-Gateway-Key") == "key-1"


def test_client_from_outside_stays_as_it_is(both: Both, server: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(200, {"items": []}, {"Set-Cookie": "session=1; Path=/"}))
    http = both.http(params={"trace": "1"}, cookies={"a": "b"}, headers={"X-Gateway-Key": "key-1"})
    before = copy.copy(vars(http))
    both.cube(server.url, http_client=http).dialogs.list()
    assert {name: vars(http)[name] for name in before if name != "_state"} == {
        name: value for name, value in before.items() if name != "_state"
    }
    assert dict(http.cookies) == {"a": "b"}


@pytest.mark.parametrize("given", [False, True])
def test_cookies_do_not_outlive_a_user(both: Both, server: Server, given: bool) -> None:
    server.on("POST", "/session", Answer(201, OPENED, {"Set-Cookie": "_session=1; Path=/"}))
    server.on("POST", "/login", Answer(200, USER))
    cube = both.cube(server.url, token=None, **({"http_client": both.http()} if given else {}))
    cube.login(login="mary", password="correct-horse-9")
    cube.login(login="john", password="battery-staple-4")
    assert [request.header("Cookie") for request in server.requests] == [None] * 4


def test_hook_that_raises_for_a_status_does_not_prevent_renewals(both: Both, server: Server) -> None:
    server.on("POST", "/session", Answer(201, OPENED), Answer(201, REOPENED))
    server.on("POST", "/login", Answer(200, USER))
    server.on("GET", "/chat/Dialog", GONE, PAGE, Answer(404, {"errors": ["none"]}))
    seen: list[int] = []

    def check(response: httpx.Response) -> None:
        seen.append(response.status_code)
        response.raise_for_status()

    async def acheck(response: httpx.Response) -> None:
        check(response)

    http = both.http(event_hooks={"response": [acheck if both.is_async else check]})
    cube = both.cube(server.url, token=None, http_client=http)
    cube.login(login="mary", password="correct-horse-9")
    assert cube.dialogs.list().items == []
    with pytest.raises(errors.NotFound, match="none"):
        cube.dialogs.list()
    assert seen == [201, 200, 401, 201, 200, 200, 404]


def test_own_server_stands_for_the_other_hosts_of_the_platform(both: Both, server: Server) -> None:
    server.on("POST", "/unfurl", Answer(200, {"title": "Climbing"}))
    both.cube(server.url).link_previews.create(url="https://intranet.example/secret")
    assert [request.header("CB-Token") for request in server.to("/unfurl")] == [TOKEN]


def test_redirects_are_followed_where_the_client_says_so(both: Both, server: Server, storage: Server) -> None:
    """With the token to the same host, without it to another one, and never with a body."""
    server.on("GET", "/chat/Dialog", Answer(302, b"", {"Location": "/new/Dialog"}))
    server.on("GET", "/new/Dialog", Answer(302, b"", {"Location": f"{storage.url}/Dialog"}))
    server.on("POST", "/chat/Dialog", Answer(307, b"", {"Location": f"{storage.url}/Dialog"}))
    storage.on("GET", "/Dialog", PAGE)
    with pytest.raises(errors.ApiError, match="302"):
        both.cube(server.url, http_client=both.http()).dialogs.list()
    cube = both.cube(server.url, http_client=both.http(follow_redirects=True, cookies={"a": "b"}))
    assert cube.dialogs.list().items == []
    assert server.to("/new/Dialog")[0].header("CB-Token") == TOKEN
    assert storage.requests[0].header("CB-Token") is None
    assert storage.requests[0].header("Cookie") is None
    with pytest.raises(errors.ApiError, match="307"):
        cube.dialogs.create(type=3, occupants_ids=[81002])
    assert len(storage.requests) == 1


def test_auth_of_a_client_stays_with_its_host(both: Both, server: Server, storage: Server) -> None:
    server.on("GET", "/chat/Dialog", Answer(302, b"", {"Location": "/new/Dialog"}))
    server.on("GET", "/new/Dialog", Answer(302, b"", {"Location": f"{storage.url}/Dialog"}))
    storage.on("GET", "/Dialog", PAGE)
    http = both.http(auth=("gateway", "its-password"), follow_redirects=True)
    both.cube(server.url, http_client=http).dialogs.list()
    assert [request.header("Authorization") is None for request in server.requests] == [False, False]
    assert storage.requests[0].header("Authorization") is None


def test_refusals_are_bounded_before_a_hook_sees_them(both: Both, server: Server) -> None:
    bomb = gzip.compress(bytes(1024 * 1024), 1)
    server.on("GET", "/chat/Dialog", Answer(404, bomb, {"Content-Encoding": "gzip"}))
    sizes: list[int] = []

    def check(response: httpx.Response) -> None:
        sizes.append(len(response.content))
        response.raise_for_status()

    async def acheck(response: httpx.Response) -> None:
        check(response)

    http = both.http(event_hooks={"response": [acheck if both.is_async else check]})
    with pytest.raises(errors.NotFound):
        both.cube(server.url, http_client=http).dialogs.list()
    assert sizes == [256 * 1024]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_download_through_a_transport_without_a_network(both: Both, encoding: str) -> None:
    """Its response is in memory already, and unpacked."""
    content = gzip.compress(b"x" * 200_000) if encoding == "gzip" else b"x" * 200_000

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=content, headers={"Content-Encoding": encoding})

    cube = both.cube("https://api.example.com", http_client=both.http(transport=httpx.MockTransport(answer)))
    assert cube.files.download(UID) == b"x" * 200_000


@pytest.mark.parametrize("http", [httpx.AsyncClient(), object(), "http://proxy"], ids=["async", "object", "text"])
def test_client_of_the_wrong_kind_is_rejected(http: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"http_client must be an httpx\.Client, not "):
        ConnectyCube(APP_ID, AUTH_KEY, http_client=http)


def test_blocking_client_is_rejected_by_the_async_one() -> None:
    with httpx.Client() as http, pytest.raises(errors.ConfigurationError, match=r"an httpx\.AsyncClient, not Client"):
        AsyncConnectyCube(APP_ID, AUTH_KEY, http_client=http)  # type: ignore[arg-type]


# -- settings


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e12, "30", True, httpx.Timeout(-1), (1, 2)])
def test_invalid_timeout_is_rejected(timeout: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="timeout must be"):
        ConnectyCube(APP_ID, AUTH_KEY, timeout=timeout)
    with ConnectyCube(APP_ID, AUTH_KEY) as cube, pytest.raises(errors.ConfigurationError, match="timeout must be"):
        cube.with_options(timeout=timeout)


@pytest.mark.parametrize(
    "url",
    [
        *("https://api..example", "https://", f"https://{'a' * 64}.com", "https://xn--a", "https://api.example:99999"),
        *("ftp://api.example", "api.example", "https://api\n.example", 5, b"https://api.example"),
    ],
)
def test_invalid_base_url_is_rejected(url: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="base_url must be an http or https address"):
        ConnectyCube(APP_ID, AUTH_KEY, base_url=url)


def test_variable_of_an_invalid_base_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_BASE_URL", "api.example")
    with pytest.raises(errors.ConfigurationError, match="CONNECTYCUBE_BASE_URL must be"):
        ConnectyCube(APP_ID, AUTH_KEY)


@pytest.mark.parametrize("host", ["api.example", "10.1.2.3", "localhost.example", "[2001:db8::1]"])
def test_http_needs_a_second_opt_in(host: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="allow_insecure=True"):
        ConnectyCube(APP_ID, AUTH_KEY, base_url=f"http://{host}")
    ConnectyCube(APP_ID, AUTH_KEY, base_url=f"http://{host}", allow_insecure=True).close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "[::1]", "api.localhost"])
def test_http_is_allowed_on_this_machine(host: str) -> None:
    ConnectyCube(APP_ID, AUTH_KEY, base_url=f"http://{host}:8080").close()


def test_server_does_not_lead_a_download_out_of_https(both: Both, server: Server) -> None:
    """Here from this machine's http to another's; `allow_insecure` permits both."""
    server.on("GET", f"/blobs/{UID}/download", Answer(302, b"", {"Location": "http://storage.example/file"}))
    with pytest.raises(errors.ConfigurationError, match="allow_insecure=True") as caught:
        both.cube(server.url).files.download(UID)
    assert caught.value.operation == "files.download"


# -- the environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("HTTPS_PROXY", "http://proxy:port"), ("HTTP_PROXY", "ftp://proxy"), ("ALL_PROXY", "socks4://proxy:1")),
        *(("SSL_CERT_FILE", "/nonexistent.pem"), ("SSL_CERT_FILE", __file__), ("SSL_CERT_DIR", "/nonexistent")),
        ("SSLKEYLOGFILE", "/nonexistent/keys"),
        ("CONNECTYCUBE_LOG", "loud"),
    ],
)
def test_unusable_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for other in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    for kind in (ConnectyCube, AsyncConnectyCube):
        with pytest.raises(errors.ConfigurationError, match=name):
            kind(APP_ID, AUTH_KEY)


def test_proxy_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://mary:hidden@proxy:port")
    with pytest.raises(errors.ConfigurationError) as caught:
        ConnectyCube(APP_ID, AUTH_KEY)
    assert "hidden" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


RANGES = [
    "10.0.0.0/8,127.0.0.0/8",
    "127.0.0.1",
    "http://127.0.0.1",
    "fd00::/8,127.1.1.1/8",
    "*",
    "[::1],.local,127.0.0.1",
]


@pytest.mark.parametrize("hosts", [*RANGES, "10.0.0.0/8", "fd00::/8,[::1]", "0.0.1", ""])
def test_no_proxy(both: Both, server: Server, storage: Server, monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    """A request through the proxy names the whole address."""
    monkeypatch.setenv("HTTP_PROXY", storage.url)
    monkeypatch.setenv("NO_PROXY", hosts)
    for one in (server, storage):
        one.on("GET", "/chat/Dialog", PAGE)
    both.cube(server.url).dialogs.list()
    assert len(server.requests) == (hosts in RANGES)
    assert [request.target for request in storage.requests] == [f"{server.url}/chat/Dialog"] * (hosts not in RANGES)


def test_certificates_are_loaded_once_and_again_when_they_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import certifi

    loaded: list[Any] = []
    load = httpx.create_ssl_context

    def count() -> Any:
        loaded.append(load())
        return loaded[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", count)
    own = tmp_path / "own.pem"
    own.write_bytes(Path(certifi.where()).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    for _ in range(3):
        ConnectyCube(APP_ID, AUTH_KEY).close()
    assert len(loaded) == 1
    own.write_bytes(own.read_bytes() + b"\n")
    ConnectyCube(APP_ID, AUTH_KEY).close()
    assert len(loaded) == 2


# -- the log


def test_retries_and_renewals_are_logged(
    both: Both, server: Server, caplog: pytest.LogCaptureFixture, waits: list[float]
) -> None:
    server.on("POST", "/session", Answer(201, OPENED), Answer(201, REOPENED))
    server.on("POST", "/login", Answer(200, USER))
    server.on("GET", "/chat/Dialog", Answer(503, {"errors": ["busy"]}), Answer(close=True), GONE, PAGE)
    cube = both.cube(server.url, token=None)
    with caplog.at_level(logging.INFO, "connectycube.rest"):
        cube.login(login="mary", password="correct-horse-9")
        cube.dialogs.list()
    host = server.url.removeprefix("http://")
    first, second, third = [record.getMessage() for record in caplog.records if record.name == "connectycube.rest"]
    assert first == f"retry 1 of 2 in {waits[0]:.2f} s: dialogs.list was refused with 503: busy ({host})"
    assert second.startswith(f"retry 2 of 2 in {waits[1]:.2f} s: dialogs.list failed: ")
    assert second.endswith(f"({host})")
    assert third == f"the session was renewed for dialogs.list ({host})"


@pytest.mark.parametrize(("level", "lines"), [("", 0), ("info", 1), ("DEBUG", 3)])
def test_variable_turns_the_log_on(server: Server, monkeypatch: pytest.MonkeyPatch, level: str, lines: int) -> None:
    server.on("GET", "/chat/Dialog", Answer(503, headers={"Retry-After": "0"}), PAGE)
    code = "import sys; from connectycube.rest import ConnectyCube; "
    code += "ConnectyCube(1, 'k', base_url=sys.argv[1], token='hidden').dialogs.list()"
    monkeypatch.setenv("CONNECTYCUBE_LOG", level)
    run = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True)
    assert len(run.stderr.splitlines()) == lines, run.stderr
    assert "hidden" not in run.stderr


# -- what shows secrets


def test_headers_show_no_token(both: Both, server: Server) -> None:
    """As httpcore and hpack log them."""
    shown: list[str] = []

    def look(request: httpx.Request) -> None:
        shown.append(repr(request.headers.raw))

    async def alook(request: httpx.Request) -> None:
        look(request)

    server.on("GET", "/chat/Dialog", PAGE)
    http = both.http(event_hooks={"request": [alook if both.is_async else look]})
    both.cube(server.url, http_client=http).dialogs.list()
    assert "b'***'" in shown[0]
    assert TOKEN not in shown[0]
    assert server.requests[0].header("CB-Token") == TOKEN


@pytest.mark.parametrize("name", ["hpack.hpack", "hpack.table"])
def test_hpack_logs_no_headers(caplog: pytest.LogCaptureFixture, name: str) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(name).debug("Decoded %s", (b"location", b"https://storage.example/?signature=hidden"))
        logging.getLogger(name).warning("kept")
    assert [record.getMessage() for record in caplog.records] == ["kept"]
