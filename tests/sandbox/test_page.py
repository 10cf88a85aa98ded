"""The page at the root and what it is fed with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectycube.chat import MessageReceived
from connectycube.sandbox import Sandbox
from tests.sandbox.conftest import Join, user_id


def test_the_page_and_its_assets_are_local(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert named == ["data:,", "/_sandbox/page.css", "/_sandbox/page.js", "/_sandbox/conversation.js"]
    texts = [page.text, *(http.get(name).raise_for_status().text for name in named[1:])]
    assert not any("http://" in text or "https://" in text for text in texts)
    assert http.get("/_sandbox/other.js").status_code == 404


def test_the_page_shows_users_and_dialogs(http: httpx.Client, join: Join, sandbox: Sandbox) -> None:
    mary = join("mary")
    mary.dialogs.create(type=4, name="News")
    sandbox.call(sandbox.core.presence.came_online, user_id(mary))
    state = http.get("/_sandbox/state").json()
    assert state["users"] == [{"id": user_id(mary), "name": "mary", "login": "mary", "online": True, "sessions": 1}]
    assert [(one["name"], one["type"], one["members"]) for one in state["dialogs"]] == [
        ("News", "public", [user_id(mary)])
    ]


@pytest.fixture
def own(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client that writes as the page does."""
    with httpx.Client(base_url=sandbox.api_url, headers={"Origin": sandbox.api_url}) as client:
        yield client


def test_a_message_written_on_the_page_reaches_the_chat_and_the_history(own: httpx.Client, sandbox: Sandbox) -> None:
    mary, ada = sandbox.create_user("mary"), sandbox.create_user("ada")
    with sandbox.rest_sync(ada) as cube, sandbox.chat_sync(cube) as chat, chat.events(MessageReceived) as received:
        sent = {"sender_id": mary.id, "recipient_id": ada.id, "message": "From the page"}
        first = own.post("/_sandbox/messages", json=sent).raise_for_status().json()
        heard = next(received).message
        assert (heard.id, heard.body, heard.sender_id, heard.markable) == (first["id"], "From the page", mary.id, True)
        more = {"sender_id": ada.id, "dialog_id": first["dialog_id"], "message": "An answer"}
        assert own.post("/_sandbox/messages", json=more).status_code == 201
        picture = [{"type": "photo", "uid": "1", "name": "bridge.jpg"}]
        cube.messages.create(chat_dialog_id=first["dialog_id"], attachments=picture)
        kept = [(one.sender_id, one.message) for one in cube.messages.list(chat_dialog_id=first["dialog_id"])]
        assert kept == [(mary.id, "From the page"), (ada.id, "An answer"), (ada.id, None)]
    shown = own.get("/_sandbox/messages", params={"dialog_id": first["dialog_id"]}).json()
    assert [(one["sender_id"], one["message"], one["attachments"]) for one in shown] == [
        (mary.id, "From the page", []),
        (ada.id, "An answer", []),
        (ada.id, None, ["bridge.jpg"]),
    ]
    assert own.get("/_sandbox/messages", params={"dialog_id": "none"}).json() == []


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"sender_id": 99}, 404, "base"),
        ({"sender_id": 2**70}, 400, "base"),
        ({"sender_id": "81001"}, 422, "sender_id"),
        ({"recipient_id": 99}, 404, "base"),
        ({"recipient_id": 81001}, 422, "recipient_id"),
        ({"dialog_id": "none"}, 404, "base"),
        ({"message": " \n"}, 422, "message"),
        ({"message": "\0"}, 422, "message"),
        ({"mesage": "typing error"}, 422, "mesage"),
    ],
    ids=str,
)
def test_an_invalid_message_is_rejected(
    own: httpx.Client, sandbox: Sandbox, changes: dict[str, Any], status: int, field: str
) -> None:
    mary, ada = sandbox.create_user("mary"), sandbox.create_user("ada")
    sent = {"sender_id": mary.id, "recipient_id": ada.id, "message": "Hello", **changes}
    answer = own.post("/_sandbox/messages", json=sent)
    assert (answer.status_code, [*answer.json()["errors"]]) == (status, [field])
    assert sandbox.call(sandbox.core.db.value, "SELECT count(*) FROM dialogs") == 0


@pytest.mark.parametrize("body", ["", "[]", "{", "sender_id=81001&recipient_id=81002&message=x"])
def test_invalid_body_of_a_message_is_rejected(own: httpx.Client, body: str) -> None:
    assert own.post("/_sandbox/messages", content=body).status_code in (400, 422)


def test_a_user_who_may_not_write_can_not_on_the_page(own: httpx.Client, sandbox: Sandbox, join: Join) -> None:
    mary, ada = join("mary"), sandbox.create_user("ada")
    news = mary.dialogs.create(type=1, name="News", occupants_ids=[ada.id])
    sent = {"sender_id": ada.id, "dialog_id": news.id, "message": "Hello"}
    answer = own.post("/_sandbox/messages", json=sent)
    assert answer.status_code == 403


def test_the_page_tells_how_to_connect(http: httpx.Client, sandbox: Sandbox) -> None:
    found = http.get("/_sandbox/connection").json()
    rows = {row["label"]: row["value"] for row in found["rows"]}
    assert rows == {
        "REST and page": sandbox.api_url,
        "application id": str(sandbox.app_id),
        "authorization key": sandbox.auth_key,
        "administration key": sandbox.admin_key,
        "chat domain": "localhost",
        "chat port": str(sandbox.chat_port),
        "chat port (TLS)": str(sandbox.chat_tls_port),
        "WebSocket": sandbox.websocket_url,
        "WebSocket (TLS)": sandbox.secure_websocket_url,
        "CA certificate": str(sandbox.ca_file),
    }
    assert f"export CONNECTYCUBE_AUTH_KEY={sandbox.auth_key}\n" in found["exports"]


def test_a_certificate_that_cannot_be_kept_is_reported(tmp_path: Path) -> None:
    with Sandbox(ca_file=tmp_path / "missing" / "ca.pem") as sandbox:
        answer = httpx.get(f"{sandbox.api_url}/_sandbox/connection")
    assert answer.status_code == 500
    assert "ca.pem: No such file or directory" in answer.json()["errors"]["base"][0]


def test_journal_entries_are_listed_and_streamed(http: httpx.Client, join: Join, sandbox: Sandbox) -> None:
    mary = join("mary")
    found = http.get("/_sandbox/journal", params={"text": "SESSION", "user_id": user_id(mary)}).json()
    assert [(one["method"], one["path"], one["status"]) for one in found] == [("POST", "/session", 201)]
    with http.stream("GET", "/_sandbox/events", params={"after": sandbox.journal.last_number}) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        sandbox.call(sandbox.journal.stanza, "in", "<message/>", user_id=user_id(mary))
        data = next(line for line in lines if line.startswith("data: "))
    entry = json.loads(data.removeprefix("data: "))
    assert (entry["kind"], entry["xml"], entry["user_id"]) == ("stanza", "<message/>", user_id(mary))


def test_the_stream_announces_a_reset_to_current_and_returning_readers(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.call(sandbox.journal.stanza, "in", "<message/>", user_id=None)
    last = sandbox.journal.last_number
    cleared = ["event: cleared", f"data: {last}", ""]
    with http.stream("GET", "/_sandbox/events", params={"after": last}) as stream:
        lines = stream.iter_lines()
        assert [next(lines), next(lines)] == ["retry: 1000", ""]
        sandbox.reset()
        assert [next(lines) for _ in cleared] == cleared
        sandbox.journal.stanza("in", "<presence/>", user_id=None)
        assert next(lines) == f"id: {last + 1}"
    with http.stream("GET", "/_sandbox/events", headers={"Last-Event-ID": str(last)}) as stream:
        lines = stream.iter_lines()
        assert [next(lines) for _ in range(6)] == ["retry: 1000", "", *cleared, f"id: {last + 1}"]


def test_an_open_stream_does_not_delay_stopping() -> None:
    with Sandbox() as sandbox:
        client = httpx.Client()
        stream = client.send(client.build_request("GET", f"{sandbox.api_url}/_sandbox/events"), stream=True)
    stream.close()
    client.close()
