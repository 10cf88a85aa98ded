"""A full disk: what only reads still works, what writes is refused with a reason and has no effect."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectycube.rest import ConnectyCube, errors
from connectycube.sandbox import Sandbox
from tests.sandbox.test_cli import first_line, running
from tests.sandbox.xmpp.raw import Raw


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a user, whose data file can't be written any more."""
    with Sandbox(data=tmp_path / "sandbox.db") as sandbox:
        sandbox.create_user("mary", "pass")
        sandbox.create_user("joe", "pass")
        sandbox.call(sandbox.core.db.run, "PRAGMA query_only = ON")
        yield sandbox


def test_reads_work_and_writes_are_refused(tmp_path: Path) -> None:
    with running("--json", "--data", str(tmp_path / "sandbox.db")) as process:
        found: dict[str, Any] = json.loads(first_line(process))
        with ConnectyCube(found["app_id"], found["auth_key"], base_url=found["api_url"], max_retries=0) as cube:
            cube.login(login="mary", password="correct-horse-9", create=True)
            dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
            assert dialog.id is not None
            cube.messages.create(chat_dialog_id=dialog.id, message="before")
            file = cube.files.upload(b"content", name="a.txt")
            # As when the disk is full, no file of the process can grow.
            limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
            for _ in range(2):
                assert [one.id for one in cube.dialogs.list().items] == [dialog.id]
                assert [one.message for one in cube.messages.list(chat_dialog_id=dialog.id).items] == ["before"]
                assert file.uid is not None
                assert cube.files.download(file.uid) == b"content"
                with pytest.raises(errors.ServerFailure, match="can't be written") as refused:
                    cube.messages.create(chat_dialog_id=dialog.id, message="lost")
                assert refused.value.status == 507
                with pytest.raises(errors.ApiError) as rejected:
                    cube.files.upload(b"x" * 100_000, name="b.txt")
                assert rejected.value.status == 507
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
            cube.messages.create(chat_dialog_id=dialog.id, message="after")
            messages = cube.messages.list(chat_dialog_id=dialog.id).items
            assert [one.message for one in messages] == ["before", "after"]


def test_an_expired_session_is_still_told_apart(full: Sandbox) -> None:
    full.call(full.core.db.run, "PRAGMA query_only = OFF")
    token = full.call(full.core.sessions.open_for, 81001).token
    full.call(full.core.db.run, "PRAGMA query_only = ON")
    for expected in (200, 401):
        assert httpx.get(f"{full.api_url}/chat/Dialog", headers={"CB-Token": token}).status_code == expected
        full.advance(full.settings.limits.session_seconds + 1)


def test_the_chat_works_and_refuses_what_it_cannot_keep(full: Sandbox) -> None:
    mary, joe = full.call(full.core.db.column, "SELECT id FROM users ORDER BY id")
    to = f"{joe}-{full.app_id}@localhost"
    with Raw(full).enter(mary) as sender:
        sender.send(f'<message type="chat" to="{to}" id="m1"><body>lost</body></message>')
        error = sender.read_stanza()
        assert (error.id, error.error.condition, error.error.type) == ("m1", "resource-constraint", "wait")
    full.call(full.core.db.run, "PRAGMA query_only = OFF")
    full.call(
        full.core.presence.store_offline, joe, f'<message xmlns="jabber:client" to="{to}"><body>kept</body></message>'
    )
    full.call(full.core.db.run, "PRAGMA query_only = ON")
    with Raw(full).enter(joe) as receiver:
        assert [one for one in receiver.quiet() if hasattr(one, "body")] == []
    full.call(full.core.db.run, "PRAGMA query_only = OFF")
    with Raw(full).enter(joe) as receiver:
        assert [one.body for one in receiver.quiet() if hasattr(one, "body")] == ["kept"]
