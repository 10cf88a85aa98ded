"""What web pages of strangers, open in a browser on the same machine, can't do."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from connectycube.rest import ConnectyCube
from connectycube.sandbox import Sandbox, Settings
from tests.sandbox.test_cli import first_line, running

MINE = "http://localhost:3000"
STRANGERS = ["http://evil.example", "http://localhost:3001", "https://localhost:3000", "null", "http://localhost:30000"]
PAGE = ["/", *(f"/_sandbox/{name}" for name in ("state", "journal", "events", "connection", "messages"))]
PATHS = [*PAGE, "/session", "/admin/chat/list", "/nowhere"]


def stream(sandbox: Sandbox, origin: str | None) -> ClientConnection:
    return connect(
        sandbox.websocket_url, origin=None if origin is None else Origin(origin), subprotocols=[Subprotocol("xmpp")]
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", STRANGERS)
def test_pages_of_other_origins_get_nothing(sandbox: Sandbox, http: httpx.Client, origin: str, path: str) -> None:
    headers = {"Origin": origin, "CB-Administration-API-Key": sandbox.admin_key}
    for method in ("GET", "OPTIONS", "POST"):
        answer = http.request(method, path, headers=headers)
        assert answer.status_code == 403
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:8480", "[", "127.0.0.1.evil"])
@pytest.mark.parametrize("path", PATHS)
def test_names_that_lead_here_by_dns_rebinding_get_nothing(http: httpx.Client, path: str, host: str) -> None:
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert http.get(path, headers=headers).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_get_nothing_of_the_page_without_an_origin(http: httpx.Client, site: str) -> None:
    for path in PAGE:
        assert http.get(path, headers={"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": MINE},
        {"Origin": MINE, "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://OWN"},
        {"Origin": "http://OWN", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=["none", "listed", "same-site", "no origin", "another scheme", "cross-site"],
)
def test_only_its_own_page_writes(headers: dict[str, str]) -> None:
    """Not even an origin that may use REST, and no form, whose origin an old browser leaves out."""
    with Sandbox(Settings(origins=(MINE,))) as sandbox:
        own = sandbox.api_url.removeprefix("http://")
        mary, ada = sandbox.create_user("mary"), sandbox.create_user("ada")
        sent = {"sender_id": mary.id, "recipient_id": ada.id, "message": "Hello"}
        given = {name: value.replace("OWN", own) for name, value in headers.items()}
        answer = httpx.post(f"{sandbox.api_url}/_sandbox/messages", json=sent, headers=given)
        assert answer.status_code == 403
        assert sandbox.call(sandbox.core.db.value, "SELECT count(*) FROM messages") == 0
        if "Origin" in given and given["Origin"] != f"http://{own}":
            assert httpx.get(f"{sandbox.api_url}/_sandbox/connection", headers=given).status_code == 403
        given = {"Origin": sandbox.api_url, "Sec-Fetch-Site": "same-origin"}
        assert httpx.post(f"{sandbox.api_url}/_sandbox/messages", json=sent, headers=given).status_code == 201


def test_its_own_page_and_programs_without_an_origin_are_let_in(sandbox: Sandbox, http: httpx.Client) -> None:
    port = sandbox.api_url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "192.0.2.1"):
        for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
            assert http.get("/_sandbox/state", headers=headers).status_code == 200


def test_listed_origins_can_use_rest_and_the_chat() -> None:
    with Sandbox(Settings(origins=(MINE,))) as sandbox:
        answer = httpx.options(f"{sandbox.api_url}/session", headers={"Origin": MINE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, MINE)
        answer = httpx.get(f"{sandbox.api_url}/users", headers={"Origin": MINE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, MINE)
        for origin in STRANGERS:
            assert httpx.get(f"{sandbox.api_url}/users", headers={"Origin": origin}).status_code == 403
            with pytest.raises(InvalidStatus, match="403"), stream(sandbox, origin):
                pass
        for allowed in (None, MINE):
            with stream(sandbox, allowed) as socket:
                assert socket.subprotocol == "xmpp"


@pytest.mark.parametrize("origin", ["*", "", "localhost:3000", "http://localhost:3000/", "ftp://x", "http://A"])
def test_an_invalid_origin_is_rejected(origin: str) -> None:
    with pytest.raises(ValueError, match="origins must be origins such as"):
        Settings(origins=(origin,))


def test_the_command_lists_origins_and_prints_random_keys() -> None:
    found = []
    for _ in range(2):
        with running("--json", "--allow-origin", MINE) as process:
            found.append(json.loads(first_line(process)))
            answer = httpx.get(f"{found[-1]['api_url']}/users", headers={"Origin": MINE})
            assert answer.headers["access-control-allow-origin"] == MINE
    for name in ("app_id", "auth_key", "admin_key"):
        assert found[0][name] != found[1][name]


def test_a_data_file_keeps_the_keys(tmp_path: Path) -> None:
    data = tmp_path / "sandbox.db"
    with Sandbox(data=data) as sandbox:
        sandbox.reset()
        first = sandbox.app_id, sandbox.auth_key, sandbox.admin_key
    with Sandbox(data=data) as sandbox:
        assert (sandbox.app_id, sandbox.auth_key, sandbox.admin_key) == first
        with ConnectyCube(first[0], first[1], base_url=sandbox.api_url) as cube:
            assert cube.login(login="mary", password="correct-horse-9", create=True).application_id == first[0]
    with Sandbox(Settings(auth_key="own"), data=data) as sandbox:
        assert (sandbox.app_id, sandbox.auth_key, sandbox.admin_key) == (first[0], "own", first[2])
