"""An export in another account: what arrives, what can't, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from connectycube.cli.transfer import TransferError, read_users
from connectycube.rest import ConnectyCube
from connectycube.rest.models import Message
from tests.transfer.conftest import PAGE, Account, lines


def history(cube: ConnectyCube, dialog_id: str) -> list[Message]:
    return list(cube.messages.list(chat_dialog_id=dialog_id, mark_as_read=False))


def ids_of(folder: Path) -> dict[str, str]:
    """The new ids by the old ones."""
    (path,) = (folder / "imports").glob("*/ids.csv")
    with open(path, newline="") as file:
        return {row["old"]: row["new"] for row in csv.DictReader(file)}


def test_a_round_trip_keeps_dialogs_messages_and_files(source: Account, target: Account, folder: Path) -> None:
    ada, new_ada = source.friend("ada"), target.friend("ada")
    with source.cube() as cube, ada.cube() as other:
        file = cube.files.upload(b"rock", name="rock.jpg", content_type="image/jpeg", public=True)
        group = cube.dialogs.create(
            type=2,
            name="Climbing",
            description="Saturday",
            occupants_ids=[ada.id],
            admins_ids=[ada.id],
            photo=file.uid,
            extensions={"city": "Turin"},
        )
        public = cube.dialogs.create(type=4, name="Square")
        private = cube.dialogs.create(type=3, occupants_ids=[ada.id])
        attachment = {"type": "image", "uid": file.uid, "id": str(file.id), "url": cube.files.url(file), "width": 3}
        cube.messages.create(chat_dialog_id=group, message="look", attachments=[attachment], extra={"deep": {"a": [1]}})
        pinned = other.messages.create(chat_dialog_id=group, message="nice")
        cube.dialogs.pin(group, pinned)
        other.messages.update_reactions(pinned, add="👍")
        cube.messages.create(chat_dialog_id=private, message="psst")
        source.write(group.id, 3 * PAGE)
    source.export(folder)
    summary = target.import_(folder, users={ada.id: new_ada.id})
    assert summary.counts == {"files": 1, "dialogs": 3, "messages": 3 + 3 * PAGE}
    assert (summary.problems, summary.report) == (0, None)
    assert summary.losses["times at which messages were sent"] == 3 + 3 * PAGE
    assert summary.losses["senders of other users' messages"] == 1
    assert summary.losses["messages' reactions"] == 1
    new = ids_of(folder)
    with target.cube() as cube, new_ada.cube() as other:
        found = cube.dialogs.get(new[group.id])
        uid = new[file.uid]
        assert (found.name, found.description, found.extensions) == ("Climbing", "Saturday", {"city": "Turin"})
        assert (found.occupants_ids, found.admins_ids) == ([target.id, new_ada.id], [new_ada.id])
        assert (found.photo, found.pinned_messages_ids) == (uid, [new[pinned.id]])
        assert cube.files.download(uid) == b"rock"
        stored = cube.files.get_object(uid)
        assert (stored.name, stored.content_type, stored.public) == ("rock.jpg", "image/jpeg", True)
        messages = history(cube, found.id)
        texts = ["look", "nice", *(f"message {number}" for number in range(3 * PAGE))]
        assert [message.message for message in messages] == texts
        assert {message.sender_id for message in messages} == {target.id}
        assert messages[0].extra["deep"] == {"a": [1]}
        assert messages[1].extra["imported_sender_id"] == new_ada.id
        assert messages[1].extra["imported_id"] == pinned.id
        (arrived,) = messages[0].attachments
        assert arrived.to_dict() == {
            "type": "image",
            "uid": uid,
            "id": str(stored.id),
            "url": cube.files.url(uid),
            "width": 3,
        }
        assert [message.message for message in history(other, new[private.id])] == ["psst"]
        assert cube.dialogs.get(new[public.id]).type == 4
        with source.cube() as original:
            assert not target.sandbox.journal.sent("push")
            assert len(history(original, group.id)) == len(messages)


def test_the_next_import_adds_only_what_is_new(source: Account, target: Account, folder: Path) -> None:
    with source.cube() as cube:
        dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
    source.write(dialog.id, PAGE)
    source.export(folder)
    target.import_(folder)
    assert target.import_(folder).news == {"files": 0, "dialogs": 0, "messages": 0}
    source.write(dialog.id, 2)
    source.export(folder)
    assert target.import_(folder).news == {"files": 0, "dialogs": 0, "messages": 2}
    with target.cube() as cube:
        assert cube.dialogs.count() == 1
        assert len(history(cube, ids_of(folder)[dialog.id])) == PAGE + 2


def test_an_application_is_imported_as_far_as_one_user_can(source: Account, target: Account, folder: Path) -> None:
    ada, joe = source.friend("ada"), source.friend("joe")
    new_ada = target.friend("ada")
    with ada.cube() as cube:
        group = cube.dialogs.create(type=2, name="Theirs", occupants_ids=[joe.id])
        private = cube.dialogs.create(type=3, occupants_ids=[joe.id])
        cube.messages.create(chat_dialog_id=group, message="ours")
        cube.messages.create(chat_dialog_id=private, message="ours alone")
    source.export(folder, application=True)
    summary = target.import_(folder, users={ada.id: new_ada.id, source.id: target.id})
    assert summary.counts == {"files": 0, "dialogs": 1, "messages": 1}
    assert summary.losses["owners of dialogs"] == 1
    assert summary.losses["occupants who are not in the --users file"] == 1
    assert summary.report is not None
    assert lines(summary.report) == [
        {
            "kind": "dialog",
            "id": private.id,
            "problem": "is a private dialog of other users, so only they can create it",
        }
    ]


def test_users_that_do_not_exist_are_reported_and_the_rest_is_imported(
    source: Account, target: Account, folder: Path
) -> None:
    ada = source.friend("ada")
    friends = [source.friend(f"friend {number}") for number in range(3)]
    with source.cube() as cube:
        bad = cube.dialogs.create(type=2, name="Bad", occupants_ids=[friends[-1].id])
        cube.dialogs.create(type=2, name="Good", occupants_ids=[])
        cube.messages.create(chat_dialog_id=bad, message="waits")
    source.export(folder)
    summary = target.import_(folder)
    assert summary.counts == {"files": 0, "dialogs": 1, "messages": 0}
    assert summary.report is not None
    (problem,) = lines(summary.report)
    assert problem["id"] == bad.id
    assert "names users who don't exist" in problem["problem"]
    summary = target.import_(folder, users={friends[-1].id: target.friend("late").id, ada.id: target.id})
    assert (summary.problems, summary.report) == (0, None)
    assert summary.counts == {"files": 0, "dialogs": 2, "messages": 1}


def test_a_message_that_is_refused_is_reported_and_the_next_ones_are_imported(
    source: Account, target: Account, folder: Path
) -> None:
    with source.cube() as cube:
        dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
    written = source.write(dialog.id, 3)
    source.export(folder)
    target.sandbox.faults.fail_next(422, method="POST", path="/chat/Message")
    summary = target.import_(folder)
    assert summary.counts["messages"] == 2
    assert summary.report is not None
    assert [row["id"] for row in lines(summary.report)] == [written[0]]
    assert target.import_(folder).problems == 1


def test_an_attachment_without_its_file_is_reported(source: Account, target: Account, folder: Path) -> None:
    with source.cube() as cube:
        file = cube.files.upload(b"gone", name="gone")
        dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
        cube.messages.create(chat_dialog_id=dialog, attachments=[{"type": "image", "uid": file.uid}])
        cube.files.delete(file)
    assert source.export(folder).problems == 1
    summary = target.import_(folder)
    assert summary.losses["attachments whose file is not in the export"] == 1
    with target.cube() as cube:
        (message,) = history(cube, ids_of(folder)[dialog.id])
        assert message.attachments[0].uid == file.uid


def test_an_account_is_not_imported_into_itself(source: Account, folder: Path) -> None:
    source.export(folder)
    with pytest.raises(TransferError, match=r"is an export of this account: log in to another$"):
        source.import_(folder)


def test_an_unfinished_export_is_not_imported(source: Account, target: Account, folder: Path) -> None:
    source.sandbox.faults.fail_next(400, path="/chat/Dialog")
    with pytest.raises(Exception, match="400"):
        source.export(folder)
    with pytest.raises(TransferError, match=r"is not complete: run `connectycube export` again$"):
        target.import_(folder)


def test_a_folder_that_is_not_an_export_is_not_imported(target: Account, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"is not a folder that `connectycube export` wrote$"):
        target.import_(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("users.csv", "81001,92001\n81002, 92002\n"),
        ("users.csv", "\ufeffold,new\r\n81001,92001\r\n\r\n81002,92002\r\n"),
        ("users.json", '{"81001": 92001, "81002": "92002"}'),
    ],
    ids=["csv", "csv-with-header", "json"],
)
def test_users_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_users(tmp_path / name) == {81001: 92001, 81002: 92002}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("users.csv", "81001,92001\n81002\n", r"users\.csv: \['81002'\] is not an old and a new user id"),
        ("users.csv", "81001,x\n", r"users\.csv: "),
        ("users.json", "[1, 2]", r"can't read .*users\.json: "),
        ("users.json", '{"a": 1}', r"users\.json: \('a', 1\) is not"),
        ("users.json", "{", r"can't read .*users\.json: "),
    ],
    ids=["short-line", "no-number", "json-list", "json-no-number", "json-torn"],
)
def test_invalid_users_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TransferError, match=message):
        read_users(tmp_path / name)
