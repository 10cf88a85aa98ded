"""Recordings of meetings, and the webhook that reports them (R-082, R-093, R-094, N-04)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectycube.rest import errors
from connectycube.sandbox import Outgoing, Sandbox, Settings
from tests.rest.both import Both
from tests.rest.server import Answer, Server
from tests.sandbox.conftest import PASSWORD, Join, user_id
from tests.sandbox.serving import example, serving
from tests.sandbox.test_other_resources import START

CONTENT = b"not really a film" * 1000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def planned(cube: Any) -> str:
    """Plan a meeting, and return its id."""
    return str(cube.meetings.create(name="Tour", start_date=START, end_date=START + 60, attendees=[]).id)


def test_a_recording_is_listed_until_it_is_deleted(join: Join, both: Both, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    admin: Any = both.cube(sandbox.api_url, admin_key=sandbox.admin_key, token=None)
    meeting_id = planned(mary)
    added = sandbox.add_recording(meeting_id, CONTENT, participants=[user_id(mary), user_id(ada)], duration=312.5)
    (found,) = mary.meetings.list_recordings(meeting_id)
    assert (found.id, found.room_id, found.duration, found.size) == (added.id, meeting_id, 312.5, 0.02)
    assert (found.participants_ids, found.participants_count) == ([user_id(mary), user_id(ada)], 2)
    assert httpx.get(found.download_url).content == CONTENT
    sandbox.advance(3601)
    assert httpx.get(found.download_url).status_code == 403
    (by_admin,) = admin.admin.list_recordings(meeting_id)
    assert (by_admin.duration, by_admin.size) == (312_500, len(CONTENT))
    assert by_admin.file_uid
    admin.admin.delete_recordings(meeting_id)
    assert mary.meetings.list_recordings(meeting_id) == []
    assert sandbox.call(sandbox.core.db.value, "SELECT count(*) FROM files") == 0


def test_only_members_of_a_meeting_see_its_recordings(join: Join, sandbox: Sandbox) -> None:
    meeting_id = planned(join("mary"))
    sandbox.add_recording(meeting_id)
    with pytest.raises(errors.Forbidden):
        join("ada").meetings.list_recordings(meeting_id)


def with_webhook(both: Both, sandbox: Sandbox) -> Any:
    cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None)
    cube.login(login="mary", password=PASSWORD, create=True)
    return cube


def called(sandbox: Sandbox, after: int = 0) -> Outgoing:
    """Wait for a call of the webhook."""
    entry = sandbox.journal.wait_for(
        lambda entry: isinstance(entry, Outgoing) and entry.medium == "webhook", after=after, timeout=30
    )
    assert isinstance(entry, Outgoing)
    return entry


def test_the_webhook_gets_the_meeting_its_host_and_all_recordings(both: Both, server: Server) -> None:
    server.on("POST", "/recordings", Answer(200))
    with Sandbox(Settings(app_id=7001, recording_webhook=f"{server.url}/recordings")) as sandbox:
        mary = with_webhook(both, sandbox)
        meeting_id = planned(mary)
        first = sandbox.add_recording(meeting_id, CONTENT)
        call = called(sandbox)
        assert (call.to, call.status, call.user_id) == (f"{server.url}/recordings", 200, user_id(mary))
        assert call.content["callRecords"][0]["download_url"] == "•••"
        second = sandbox.add_recording(meeting_id, b"the rest", duration=1)
        called(sandbox, after=call.number)
        event = server.to("/recordings", "POST")[1].json()
        assert set(event) == {"meeting", "hostUser", "callRecords"}
        assert (event["meeting"]["_id"], event["meeting"]["name"]) == (meeting_id, "Tour")
        assert (event["hostUser"]["id"], event["hostUser"]["login"]) == (user_id(mary), "mary")
        records = event["callRecords"]
        assert [one["_id"] for one in records] == [first.id, second.id]
        assert [one["duration"] for one in records] == [60, 1]
        assert mary.files.download(records[0]["file_uid"]) == CONTENT
        assert [httpx.get(one["download_url"]).content for one in records] == [CONTENT, b"the rest"]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (Answer(500), 500, None),
        (Answer(307, headers={"Location": "/elsewhere"}), 307, None),
        (Answer(close=True), None, "the server can't be reached (RemoteProtocolError)"),
    ],
)
def test_a_webhook_that_fails_is_called_once(
    both: Both, server: Server, answer: Answer, status: int | None, error: str | None
) -> None:
    server.on("POST", "/recordings", answer)
    with Sandbox(Settings(app_id=7001, recording_webhook=f"{server.url}/recordings")) as sandbox:
        mary = with_webhook(both, sandbox)
        meeting_id = planned(mary)
        sandbox.add_recording(meeting_id)
        call = called(sandbox)
        assert (call.status, call.error) == (status, error)
        assert len(mary.meetings.list_recordings(meeting_id)) == 1
    assert len(server.requests) == 1


def test_the_example_stores_each_recording(both: Both, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = example("recordings_webhook.py")
    with ExitStack() as receiver:
        url = receiver.enter_context(serving(module["receiver"](tmp_path)))
        with Sandbox(Settings(app_id=7001, recording_webhook=f"{url}/recordings")) as sandbox:
            added = sandbox.add_recording(planned(with_webhook(both, sandbox)), CONTENT)
            assert called(sandbox).status == 200
            # The receiver stops when it has downloaded the file.
            receiver.close()
    assert (tmp_path / f"{added.id}.mp4").read_bytes() == CONTENT
    assert f"stored {added.id}.mp4" in capsys.readouterr().out
    assert not module["trusted"]("https://evil.example/s3.amazonaws.com", module["HOSTS"])
    assert module["trusted"]("https://bucket.s3.amazonaws.com/x", module["HOSTS"])


def test_an_invalid_webhook_is_rejected() -> None:
    with pytest.raises(ValueError, match="recording_webhook must be a web address"):
        Settings(recording_webhook="recordings")
