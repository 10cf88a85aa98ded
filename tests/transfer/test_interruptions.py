"""The commands in processes of their own, which are killed, or run out of disk, and then continue."""

from __future__ import annotations

import itertools
import random
import resource
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from connectycube.sandbox import Sandbox
from tests.properties import seeds
from tests.transfer.conftest import PAGE, Account, read
from tests.transfer.test_import import history, ids_of

SEEDS = seeds(2)
KILLS = 5
DIALOGS = PAGE + 1
EACH = 2 * PAGE


def fill(source: Account) -> list[str]:
    """Create dialogs, all of one name, with messages and files, and return the dialogs' ids."""
    with source.cube() as cube:
        dialogs = [cube.dialogs.create(type=2, name="Climbing", occupants_ids=[]).id for _ in range(DIALOGS)]
        for number, dialog in enumerate(dialogs):
            source.write(dialog, EACH - 1)
            file = cube.files.upload(b"content %d" % number, name="image.jpg")
            cube.messages.create(chat_dialog_id=dialog, message=f"file {number}", attachments=[{"uid": file.uid}])
    return dialogs


def kill_after(process: subprocess.Popen[str], sandbox: Sandbox, calls: int) -> bool:
    """Kill a process when the sandbox has answered a number of calls, and return whether it was still running."""
    journal = sandbox.journal
    wanted = journal.last_number + calls
    stop = journal.subscribe(lambda: process.kill() if journal.last_number >= wanted else None)
    process.communicate(timeout=120)
    stop()
    return process.returncode == -9


@pytest.mark.parametrize("seed", SEEDS)
def test_an_export_that_is_killed_continues(source: Account, folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    fill(source)
    killed = sum(
        kill_after(source.start("export", str(folder)), source.sandbox, chance.randrange(1, 20)) for _ in range(KILLS)
    )
    assert killed > KILLS // 2
    summary = source.export(folder)
    assert summary.counts == {"dialogs": DIALOGS, "messages": DIALOGS * EACH, "files": DIALOGS}
    assert_complete(source, folder)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_export_that_is_stopped_within_a_dialog_continues(
    source: Account, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectycube.cli.transfer.folder.ROWS", 1)
    chance = random.Random(seed)
    fill(source)
    for calls in chance.sample(range(12), 4):
        left = itertools.count(calls, -1)

        def stop(kind: str, done: int, total: int | None, left: itertools.count[int] = left) -> None:
            if next(left) == 0:
                raise KeyError(kind)

        with pytest.raises(KeyError):
            source.export(folder, progress=stop)
    source.export(folder)
    assert_complete(source, folder)


def assert_complete(source: Account, folder: Path) -> None:
    """Check that an export is as good as one that was not interrupted."""
    fresh = folder.with_name("fresh")
    source.export(fresh)
    found, wanted = read(folder), read(fresh)
    assert found.dialogs == wanted.dialogs
    assert found.messages == wanted.messages
    # When a file was last read is different.
    assert {uid: content for uid, (_, content) in found.files.items()} == {
        uid: content for uid, (_, content) in wanted.files.items()
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_an_import_that_is_killed_creates_nothing_twice(
    source: Account, target: Account, folder: Path, seed: int
) -> None:
    chance = random.Random(seed)
    dialogs = fill(source)
    source.export(folder)
    killed = sum(
        kill_after(target.start("import", str(folder)), target.sandbox, chance.randrange(3, 25)) for _ in range(KILLS)
    )
    assert killed > KILLS // 2
    summary = target.import_(folder)
    assert summary.counts == {"dialogs": DIALOGS, "messages": DIALOGS * EACH, "files": DIALOGS}
    assert summary.losses == {"times at which messages were sent": DIALOGS * EACH}
    new = ids_of(folder)
    texts = [*(f"message {number}" for number in range(EACH - 1))]
    with target.cube() as cube:
        assert cube.dialogs.count() == DIALOGS
        assert len([file for file in cube.files.list() if file.size is not None]) == DIALOGS
        for number, dialog in enumerate(dialogs):
            messages = history(cube, new[dialog])
            assert [message.message for message in messages] == [*texts, f"file {number}"]
            (attachment,) = messages[-1].attachments
            assert attachment.uid is not None
            assert cube.files.download(attachment.uid) == b"content %d" % number


@pytest.mark.parametrize("size", [20_000, 60_000, 120_000])
def test_an_export_without_space_ends_with_one_line_and_continues(source: Account, folder: Path, size: int) -> None:
    fill(source)
    with source.cube() as cube:
        cube.files.upload(bytes(150_000), name="large")
    # As when the disk is full, no file of the process can grow.
    process = source.start(
        "export", str(folder), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    )
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"connectycube: can't write to {folder}")
    assert err.count("\n") == 1
    source.export(folder)
    counts = Counter(read(folder).message_ids)
    assert len(counts) == counts.total() == DIALOGS * EACH


def test_the_commands_print_a_summary(source: Account, target: Account, folder: Path) -> None:
    fill(source)
    process = source.start("export", str(folder))
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    counts = f"{DIALOGS} dialogs, {DIALOGS * EACH} messages, {DIALOGS} files"
    assert out == f"exported: {counts}\nnew: {counts}\n"
    process = target.start("import", str(folder), "--json")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert f'"messages": {DIALOGS * EACH}' in out
    process = source.start("export", str(folder), "--application")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"connectycube: {folder} holds an export of user {source.id} of application 7001")


def test_problems_set_the_exit_status(source: Account, folder: Path) -> None:
    with source.cube() as cube:
        file = cube.files.upload(b"gone", name="gone")
        dialog = cube.dialogs.create(type=2, name="Climbing", occupants_ids=[])
        cube.messages.create(chat_dialog_id=dialog, attachments=[{"uid": file.uid}])
        cube.files.delete(file)
    process = source.start("export", str(folder))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err == f"connectycube: 1 could not be exported: see {folder / 'report.jsonl'}\n"
