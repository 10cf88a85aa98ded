"""An export in another account: what arrives, what can't, and what is refused."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from connectycube.cli.transfer import TransferError, read_users
from connectycube.rest import ConnectyCube
from connectycube.rest.models import Message
from tests.transfer.conftest import PAGE, Account, lines, read


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
    summary = target.import_(folder, users={friends[-1].id: 999_999})
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


def test_ids_of_another_application_are_strangers(source: Account, target: Account, folder: Path) -> None:
    ada = source.friend("ada")
    with source.cube() as cube:
        dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[ada.id])
    source.export(folder)
    assert target.import_(folder).losses["occupants who are not in the --users file"] == 1
    with target.cube() as cube:
        assert cube.users.list(filters={"login": "earlier"}).first(1)[0].id == ada.id
        assert cube.dialogs.get(ids_of(folder)[dialog.id]).occupants_ids == [target.id]


def test_a_second_import_keeps_the_first_senders_unless_they_are_forged(
    source: Account, target: Account, folder: Path
) -> None:
    ada, new_ada, later = source.friend("ada"), target.friend("ada"), source.friend("later")
    with source.cube() as cube, ada.cube() as other:
        group = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[ada.id])
        sent = [
            cube.messages.create(chat_dialog_id=group, message="mine"),
            other.messages.create(chat_dialog_id=group, message="hers"),
        ]
    source.export(folder)
    target.import_(folder, users={ada.id: new_ada.id})
    with new_ada.cube() as other:
        forged = {"imported_sender_id": target.id, "imported_date_sent": 5}
        other.messages.create(chat_dialog_id=ids_of(folder)[group.id], message="forged", extra=forged)
    again = folder.with_name("again")
    target.export(again)
    later.import_(again, users={new_ada.id: ada.id})
    (dialog,) = read(again).dialogs
    with later.cube() as cube:
        found = history(cube, ids_of(again)[dialog["_id"]])
    assert [message.message for message in found] == ["mine", "hers", "forged"]
    assert [message.extra["imported_sender_id"] for message in found] == [later.id, ada.id, ada.id]
    times = [message.extra["imported_date_sent"] for message in found]
    assert times[:2] == [int(message.date_sent.timestamp()) for message in sent if message.date_sent]
    assert times[2] != 5


def test_an_import_as_the_wrong_user_is_refused(source: Account, target: Account, folder: Path) -> None:
    source.export(folder)
    message = f"user {source.id}, who exported, is user 5 by the file of users, but the account is user {target.id}'s"
    with pytest.raises(TransferError, match=message):
        target.import_(folder, users={source.id: 5})
    assert not (folder / "imports").exists()


@pytest.mark.parametrize("place", ["messages/link.jsonl", "files/link", "imports", "link"])
def test_links_in_the_folder_are_refused(source: Account, target: Account, folder: Path, place: str) -> None:
    source.export(folder)
    outside = folder.with_name("outside")
    outside.write_text("private")
    (folder / place).symlink_to(outside)
    with pytest.raises(TransferError, match=rf"{place} is a link, a pipe or a device"):
        target.import_(folder)
    assert outside.read_text() == "private"


@pytest.mark.parametrize("table", ["dialogs", "files"])
def test_names_that_lead_out_of_the_folder_are_refused(
    source: Account, target: Account, folder: Path, table: str
) -> None:
    with source.cube() as cube:
        cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
        cube.files.upload(b"content", name="image.jpg")
    source.export(folder)
    (folder.parent / "outside").write_text("private")
    (folder.parent / "outside.jsonl").write_text('{"_id": "1", "message": "private"}\n')
    with sqlite3.connect(folder / "state.db") as state:
        if table == "dialogs":
            state.execute("UPDATE dialogs SET id = '../../outside', length = 35")
        else:
            state.execute("UPDATE files SET uid = '../../outside'")
    state.close()
    with pytest.raises(TransferError, match=r"'\.\./\.\./outside' can't be the name of a file"):
        target.import_(folder)
    with target.cube() as cube:
        assert not list(cube.files.list())


@pytest.mark.parametrize(
    "damage",
    [lambda text: b"x" * len(text), lambda text: b"[" * len(text), lambda text: b"{}".ljust(len(text))],
    ids=["text", "deep", "no-id"],
)
def test_a_damaged_line_is_one_error(source: Account, target: Account, folder: Path, damage: Any) -> None:
    with source.cube() as cube:
        dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
    first, second = source.write(dialog.id, 2, extra={"long": "x" * 5000})
    source.export(folder)
    path = folder / "messages" / f"{dialog.id}.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(whole[0] + damage(whole[1][:-1]) + b"\n")
    with pytest.raises(TransferError, match=rf"{dialog.id}\.jsonl is damaged at byte {len(whole[0])}: "):
        target.import_(folder)
    path.write_bytes(b"".join(whole))
    assert target.import_(folder).counts["messages"] == 2
    assert {first, second} <= set(ids_of(folder))


def test_a_file_that_is_gone_is_reported(source: Account, target: Account, folder: Path) -> None:
    with source.cube() as cube:
        file = cube.files.upload(b"content", name="image.jpg")
    source.export(folder)
    (folder / "files" / file.uid).unlink()
    summary = target.import_(folder)
    assert summary.report is not None
    (problem,) = lines(summary.report)
    assert problem["id"] == file.uid
    assert "No such file" in problem["problem"]


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
        ("users.json", "[1, 2]", r"users\.json: 1 is not"),
        ("users.json", "5", r"can't read .*users\.json: "),
        ("users.json", '{"81001": 2.5}', r"users\.json: \('81001', 2.5\) is not"),
        ("users.json", '{"81001": 5, "81001": 6}', r"users\.json: user 81001 has two new ids, 5 and 6"),
        ("users.csv", "81001,5\n81001,6\n", r"users\.csv: user 81001 has two new ids, 5 and 6"),
        ("users.json", '{"a": 1}', r"users\.json: \('a', 1\) is not"),
        ("users.json", "{", r"can't read .*users\.json: "),
    ],
    ids=[
        "short-line",
        "no-number",
        "json-list",
        "json-number",
        "json-fraction",
        "json-repeated",
        "repeated",
        "json-no-number",
        "json-torn",
    ],
)
def test_invalid_users_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TransferError, match=message):
        read_users(tmp_path / name)
