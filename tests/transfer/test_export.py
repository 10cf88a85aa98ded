"""What an export holds, and how it copes with changes, failures and folders that it can't use."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from connectycube.cli.transfer import TransferError
from connectycube.cli.transfer.folder import is_name
from connectycube.rest import ConnectionFailed
from connectycube.sandbox.domain.message_model import Draft
from tests.transfer.conftest import PAGE, Account, account, lines, read

CONTENT = bytes(range(256)) * 40


def fill(source: Account) -> dict[str, str]:
    """Create a dialog of each type with messages of several kinds, and return their ids by name."""
    ada, joe = source.friend("ada"), source.friend("joe")
    with source.cube() as cube, ada.cube() as other:
        file = cube.files.upload(CONTENT, name="rock.jpg", content_type="image/jpeg")
        group = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[ada.id, joe.id], photo=file.uid)
        public = cube.dialogs.create(type=4, name="Café ☕", description="open")
        private = other.dialogs.create(type=3, occupants_ids=[source.id])
        hidden = other.files.upload(b"of another user", name="../../../etc/passwd")
        cube.messages.create(
            chat_dialog_id=group,
            message="line 1\nline 2\u2028 🧗",
            attachments=[{"type": "image", "uid": file.uid, "width": 3, "own": {"deep": [1]}}],
            extra={"meeting_point": "car park", "nested": {"list": [1, "2", None]}},
        )
        other.messages.create(
            chat_dialog_id=private, message="hi", attachments=[{"type": "text", "id": str(hidden.id)}]
        )
        other.messages.create(
            chat_dialog_id=private, attachments=[{"type": "place", "latitude": 45.0, "longitude": 7.7}]
        )
        source.write(group.id, 3 * PAGE)
        source.write(public.id, 1)
        assert private.id is not None
        return {
            "group": group.id,
            "public": public.id,
            "private": private.id,
            "file": file.uid,
            "hidden": hidden.uid,
        }


def all_messages(source: Account) -> set[str]:
    sandbox = source.sandbox
    return set(sandbox.call(sandbox.core.db.column, "SELECT id FROM messages"))


def test_an_export_holds_everything_and_changes_nothing(source: Account, folder: Path) -> None:
    ids = fill(source)
    with source.cube() as cube:
        before = cube.messages.unread_count().total
        summary = source.export(folder)
        assert cube.messages.unread_count().total == before == 2
        found = read(folder)
        assert {row["_id"] for row in found.dialogs} == {ids["group"], ids["public"], ids["private"]}
        for dialog in cube.dialogs.list():
            assert dialog.to_dict() in found.dialogs
            wanted = [message.to_dict() for message in cube.messages.list(chat_dialog_id=dialog, mark_as_read=False)]
            assert found.messages[dialog.id] == wanted
    assert found.files[ids["file"]][1] == CONTENT
    assert found.files[ids["file"]][0]["name"] == "rock.jpg"
    assert found.files[ids["hidden"]][1] == b"of another user"
    assert "X-Amz-Signature" not in (folder / "files.jsonl").read_text()
    assert summary.counts == {"dialogs": 3, "messages": 3 * PAGE + 4, "files": 2}
    assert (summary.problems, summary.report) == (0, None)
    assert not (folder / "report.jsonl").exists()


def test_an_application_export_holds_the_dialogs_of_all_users(source: Account, folder: Path) -> None:
    fill(source)
    ada, joe = source.friend("ada2"), source.friend("joe2")
    with ada.cube() as cube:
        file = cube.files.upload(CONTENT, name="a")
        cube.messages.create(recipient_id=joe.id, message="secret", attachments=[{"uid": file.uid}])
    summary = source.export(folder, application=True)
    found = read(folder)
    assert sorted(found.message_ids) == sorted(all_messages(source))
    assert summary.counts["dialogs"] == len(found.dialogs) == 4
    assert found.files[file.uid][1] == CONTENT


@pytest.mark.parametrize("application", [False, True], ids=["account", "application"])
def test_the_next_run_adds_only_what_is_new(source: Account, folder: Path, application: bool) -> None:
    ids = fill(source)
    source.export(folder, application=application)
    first = read(folder)
    again = source.export(folder, application=application)
    assert again.news == {"dialogs": 0, "messages": 0, "files": 0}
    assert read(folder) == first
    source.write(ids["group"], PAGE + 1)
    late = source.write(ids["public"], 1, date_sent=1_000_000_000)
    with source.cube() as cube:
        new = cube.dialogs.create(type=2, name="New", occupants_ids=[])
        file = cube.files.upload(b"new", name="new")
        cube.messages.create(chat_dialog_id=new, message="first", attachments=[{"uid": file.uid}])
    assert source.export(folder, application=application).news == {"dialogs": 1, "messages": PAGE + 3, "files": 1}
    found = read(folder)
    assert len(found.message_ids) == len(set(found.message_ids))
    assert set(found.message_ids) == all_messages(source)
    assert found.messages[ids["public"]][-1]["_id"] == late[0]
    for dialog, messages in first.messages.items():
        assert found.messages[dialog][: len(messages)] == messages


@pytest.mark.parametrize("application", [False, True], ids=["account", "application"])
def test_nothing_is_lost_or_stored_twice_while_messages_come_and_go(
    source: Account, folder: Path, application: bool
) -> None:
    core = source.sandbox.core
    with source.cube() as cube:
        dialogs = [cube.dialogs.create(type=2, name=f"{n}", occupants_ids=[]).id for n in range(PAGE + 1)]
    for number, dialog in enumerate(dialogs):
        for second in range(2):
            # The last second has more messages than a page.
            source.write(dialog, 3 + second * 10, date_sent=1_770_000_000 + number + second)
    before = all_messages(source)
    deleted: set[str] = set()
    calls = 0

    def change() -> None:
        """With each call, delete a message, and add one to the same dialog: an early, a current or a late one."""
        nonlocal calls
        calls += 1
        dialog = core.dialogs.get(dialogs[calls % len(dialogs)])
        sent = (1_770_000_000, None, 1_770_000_001 + calls % len(dialogs))[calls % 3]
        core.messages.store(dialog, Draft(sender_id=source.id, body="new", date_sent=sent))
        offset = calls * 5 % 13
        sql = (
            "SELECT id FROM messages WHERE dialog_id = ? AND body != 'new' ORDER BY date_sent, number LIMIT 1 OFFSET ?"
        )
        gone = core.db.value(sql, dialog.id, offset)
        if gone is not None and calls < 300:
            deleted.add(gone)
            core.messages.remove(core.messages.get(gone), source.id, tell_chat=False)

    stop = source.sandbox.journal.subscribe(change)
    source.export(folder, application=application)
    stop()
    assert calls > 50
    assert len(deleted) > 30
    found = read(folder).message_ids
    assert len(found) == len(set(found))
    assert before - deleted <= set(found)
    source.export(folder, application=application)
    found = read(folder).message_ids
    assert len(found) == len(set(found))
    assert all_messages(source) <= set(found) <= all_messages(source) | deleted


def test_rate_limits_are_waited_for(source: Account, folder: Path) -> None:
    fill(source)
    source.sandbox.faults.fail_next(429, 4, path="/chat/Message", retry_after=0)
    assert source.export(folder).counts["messages"] == 3 * PAGE + 4


def test_files_that_cannot_be_fetched_are_reported(source: Account, folder: Path) -> None:
    ids, core = fill(source), source.sandbox.core
    with source.cube() as cube:
        bad = [cube.files.upload(b"content", name=f"{number}") for number in range(3)]
        gone, shorter, outside = bad
        cube.messages.create(chat_dialog_id=ids["group"], attachments=[{"uid": one.uid} for one in (gone, shorter)])
        cube.messages.create(chat_dialog_id=ids["group"], attachments=[{"id": str(outside.id)}])
        cube.messages.create(chat_dialog_id=ids["group"], attachments=[{"uid": "../../outside"}])
        cube.files.delete(gone)
    source.sandbox.call(core.db.run, "UPDATE files SET size = 99 WHERE id = ?", shorter.id)
    source.sandbox.call(core.db.run, "UPDATE files SET uid = '../../outside' WHERE id = ?", outside.id)
    summary = source.export(folder)
    assert summary.report == folder / "report.jsonl"
    problems = {row["id"]: row["problem"] for row in lines(summary.report) if row["kind"] == "file"}
    assert problems[gone.uid].startswith("files.get_object was refused with 404")
    assert problems[shorter.uid] == "has 7 bytes, but the server reports 99"
    assert "can't be the name of a file" in problems[str(outside.id)]
    assert {path.name for path in (folder / "files").iterdir()} == {ids["file"], ids["hidden"]}
    assert not (folder.parent / "outside").exists()
    source.sandbox.call(core.db.run, "UPDATE files SET size = 7 WHERE id = ?", shorter.id)
    assert source.export(folder).news["files"] == 1
    assert shorter.uid not in (folder / "report.jsonl").read_text()


def test_a_file_whose_connection_always_breaks_is_reported(
    source: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectycube.cli.transfer.exporting.RETRIES", 0)
    ids, faults = fill(source), source.sandbox.faults
    faults.drop_next(100, path=f"/blobs/{ids['file']}")
    summary = source.export(folder)
    assert summary.report is not None
    assert [row["id"] for row in lines(summary.report)] == [ids["file"]]
    assert summary.counts["files"] == 1
    faults.clear()
    assert source.export(folder).problems == 0


def test_an_export_that_loses_its_connection_ends(
    source: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectycube.cli.transfer.exporting.RETRIES", 0)
    ids, faults = fill(source), source.sandbox.faults
    source.export(folder)
    faults.drop_next(100, path="/chat/Message")
    source.write(ids["group"], 1)
    with pytest.raises(ConnectionFailed):
        source.export(folder)
    faults.clear()
    assert source.export(folder).news["messages"] == 1


def test_a_dialog_that_refuses_its_messages_is_reported(source: Account, folder: Path) -> None:
    ids = fill(source)
    source.sandbox.faults.fail_next(403, 100, method="GET", path="/chat/Message")
    summary = source.export(folder)
    assert summary.report is not None
    assert {row["id"] for row in lines(summary.report)} == {ids["group"], ids["public"], ids["private"]}
    source.sandbox.faults.clear()
    source.sandbox.faults.fail_next(403, method="GET", path="/chat/Message")
    # The dialog is active, so that the next round reads it again.
    assert source.export(folder).problems == 0
    assert set(read(folder).messages) == {ids["group"], ids["public"], ids["private"]}


def test_what_a_killed_run_left_is_cut_off(source: Account, folder: Path) -> None:
    ids = fill(source)
    source.export(folder)
    wanted = read(folder)
    with open(folder / "messages" / f"{ids['group']}.jsonl", "ab") as file:
        file.write(b'{"_id": "torn')
    (folder / "messages" / "66f1a7c2e4b0d93a51c8e201.jsonl").write_bytes(b"{}\n")
    (folder / "files" / ".0123456789abcdef.part").write_bytes(b"half")
    source.export(folder)
    assert read(folder) == wanted
    assert set((folder / "files").iterdir()) == {folder / "files" / uid for uid in wanted.files}


def test_a_run_that_is_killed_at_once_continues(source: Account, folder: Path) -> None:
    folder.mkdir()
    (folder / "state.db").touch()
    assert source.export(folder).counts == {"dialogs": 0, "messages": 0, "files": 0}


def test_links_in_the_folder_are_not_followed(source: Account, folder: Path) -> None:
    ids = fill(source)
    source.export(folder)
    path = folder / "messages" / f"{ids['group']}.jsonl"
    outside = path.rename(folder.with_name("outside"))
    path.symlink_to(outside)
    with open(outside, "a") as file:
        file.write("private")
    with pytest.raises(TransferError, match=rf"{path.name} is a link, a pipe or a device"):
        source.export(folder)
    assert outside.read_text().endswith("private")


def test_devices_of_windows_are_not_names_of_files() -> None:
    assert not any(map(is_name, ("NUL", "con", "Com1", "a/b", "..", "a\n", "")))
    assert all(map(is_name, ("null", "66f1a7c2e4b0d93a51c8e201")))


def test_a_folder_that_is_not_an_export_is_refused(source: Account, folder: Path) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(TransferError, match=r"export is not a folder that `connectycube export` wrote$"):
        source.export(folder)
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_the_folder_of_another_account_is_refused(source: Account, folder: Path) -> None:
    source.export(folder)
    message = f"holds an export of user {source.id} of application 7001 at {source.sandbox.api_url}: choose another"
    with pytest.raises(TransferError, match=message):
        source.friend("ada").export(folder)
    with pytest.raises(TransferError, match=message):
        source.export(folder, application=True)
    for other in account(7001):
        with pytest.raises(TransferError, match=message):
            other.export(folder)


def test_a_newer_format_is_refused(source: Account, folder: Path) -> None:
    source.export(folder)
    with sqlite3.connect(folder / "state.db") as state:
        state.execute("PRAGMA user_version = 2")
    state.close()
    with pytest.raises(TransferError, match=r"is in format 2, but this release supports up to 1: upgrade it$"):
        source.export(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder, path: (folder / "state.db").write_bytes(b"not a database" * 100), "is damaged"),
        (lambda folder, path: path.write_bytes(b"{}\n"), "is shorter than it was written: export to a new folder"),
        (lambda folder, path: path.unlink(), "is missing: export to a new folder"),
    ],
    ids=["state", "shorter", "missing"],
)
def test_a_damaged_folder_is_refused(source: Account, folder: Path, damage: Any, message: str) -> None:
    ids = fill(source)
    source.export(folder)
    damage(folder, folder / "messages" / f"{ids['group']}.jsonl")
    with pytest.raises(TransferError, match=message):
        source.export(folder)


def test_a_folder_in_use_is_refused(source: Account, folder: Path) -> None:
    source.export(folder)
    other = sqlite3.connect(folder / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransferError, match=rf"^another export or import is using {folder}$"):
        source.export(folder)
    other.close()
    source.export(folder)


def test_a_folder_that_cannot_be_written_is_refused(source: Account, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TransferError, match=r"^can't write to .*file.*: Not a directory$"):
        source.export(tmp_path / "file" / "export")


def test_a_server_without_a_clock_costs_only_time(
    source: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectycube.cli.transfer.exporting.server_time", lambda headers: None)
    ids = fill(source)
    source.export(folder)
    source.write(ids["group"], 2)
    assert source.export(folder).news["messages"] == 2
    assert set(read(folder).message_ids) == all_messages(source)


def test_a_server_that_ignores_the_offset_is_an_error(source: Account, folder: Path) -> None:
    with source.cube() as cube:
        dialog = cube.dialogs.create(type=2, name="Busy second", occupants_ids=[])
    source.write(dialog.id, 3 * PAGE, date_sent=1_770_000_000)
    core: Any = source.sandbox.core
    search = core.messages.search
    # The sandbox's own object is slotted, so that its class is changed for the test.
    kind = type(core.messages)
    patched = pytest.MonkeyPatch()
    patched.setattr(kind, "search", lambda self, *args, **options: search(*args, **{**options, "skip": 0}))
    with pytest.raises(
        TransferError, match=rf"the server ignores `skip`, so more than {PAGE} entries of 1770000000 can't be read"
    ):
        source.export(folder)
    patched.undo()
    assert source.export(folder).counts["messages"] == 3 * PAGE
