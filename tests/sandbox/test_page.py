"""The page at the root and what it is fed with."""

from __future__ import annotations

import json
import re

import httpx

from connectycube.sandbox import Sandbox
from tests.sandbox.conftest import Join, user_id


def test_the_page_and_its_assets_are_local(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert named == ["data:,", "/_sandbox/page.css", "/_sandbox/page.js"]
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
