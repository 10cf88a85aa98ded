"""A store that can't be used says why in one line; one that fails while it is used has lost nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectycube.bots import Bot
from connectycube.bots.sqlite import SqliteStore
from connectycube.bots.store import Entry, StoreError, StoreLocked
from tests.bots.conftest import full_disk
from tests.integration.support import eventually

HOLDER = """
import asyncio, sys
from connectycube.bots.sqlite import SqliteStore
async def main():
    await SqliteStore(sys.argv[1]).open()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


FORKED = """
import os, sys
from pathlib import Path
from connectycube.bots.lock import FileLock
lock = FileLock(Path(sys.argv[1] + ".lock"), "bot.db")
lock.take()
if os.fork():
    os._exit(0)
print("forked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one message."""
    found = tmp_path / "bot.db"

    async def fill() -> None:
        store = SqliteStore(found)
        await store.open()
        await store.put([Entry(key="81002:81002:1", dialog="81002", message=b"{}")])
        await store.close()

    asyncio.run(fill())
    return found


def opened(path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.close()

    asyncio.run(main())


def problem(path: Path) -> str:
    """What a store that can't be opened says."""
    with pytest.raises(StoreError) as refused:
        opened(path)
    text = str(refused.value)
    assert text.startswith(f"the store {path} ")
    assert "\n" not in text
    return text.removeprefix(f"the store {path} ")


def refusal(path: Path) -> str:
    """What a bot prints that can't use its store, as it exits with status 1."""
    with pytest.raises(SystemExit) as ended:
        Bot(store=path).run()
    assert isinstance(ended.value.code, str)
    return ended.value.code


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the store open."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_second_process_learns_who_holds_it(path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(StoreLocked, match=f"is in use by process {holder.pid} on ") as refused:
        opened(path)
    assert refused.value.holder.startswith(f"process {holder.pid} on ")
    assert refusal(path).startswith(f"the bot can't run: the store {path} is in use by process {holder.pid} on ")
    holder.kill()
    holder.wait()
    opened(path)


def test_forked_child_does_not_hold_it(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORKED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "forked\n"
        assert parent.wait() == 0
        opened(path)


def test_second_bot_in_the_same_process_is_refused(path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        try:
            with pytest.raises(StoreLocked, match=f"process {os.getpid()} "):
                await SqliteStore(path).open()
        finally:
            await store.close()

    asyncio.run(main())


def test_missing_folder(tmp_path: Path) -> None:
    assert problem(tmp_path / "no" / "bot.db") == f"can't be opened: there is no folder {tmp_path / 'no'}"


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "bot.db").mkdir()
    assert problem(tmp_path / "bot.db").startswith("can't be opened")


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "bot.db").write_bytes(b"something else" * 1000)
    assert "not a database" in problem(tmp_path / "bot.db")


def test_corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    assert "corrupt" in problem(path)
    assert refusal(path) == f"the bot can't run: the store {path} {problem(path)}"


def test_newer_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 7")
    database.close()
    assert problem(path) == "has version 7, but this release supports versions up to 1: install a newer release"


def test_database_of_another_program(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "bot.db") as database:
        database.execute("CREATE TABLE songs (title)")
    database.close()
    assert problem(tmp_path / "bot.db") == "is the database of another program: choose another path"


def test_read_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is mounted so; root writes to any other file."""
    connect = sqlite3.connect

    def read_only(database: Path, **options: object) -> sqlite3.Connection:
        return connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert problem(path) == "can't be written: it is read-only"


def test_locked_by_another_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def impatient(database: Path, **options: object) -> sqlite3.Connection:
        return connect(database, timeout=0.01, isolation_level=None)

    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite3, "connect", impatient)
    assert problem(path) == "is locked by another program: close it"
    other.close()


def test_full_disk_at_the_start(path: Path, tmp_path: Path) -> None:
    with full_disk():
        assert "full" in problem(path)
        assert "full" in problem(tmp_path / "new.db")


def test_full_disk_while_it_is_used(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = Entry(key="81002:81002:2", dialog="81002", message=b"x" * 100_000)

    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        with full_disk():
            stored = store.put([entry])
            await eventually(lambda: "is full" in caplog.text)
            assert not stored.done()
        assert await stored == [True]
        with full_disk():
            lost = store.put([Entry(key="81002:81002:3", dialog="81002", message=b"x" * 100_000)])
            later = store.set_checkpoint(dt.datetime.now(dt.UTC))
            await store.close()
        for call in (lost, later):
            with pytest.raises(StoreError, match="full"):
                await call

    with caplog.at_level(logging.WARNING, "connectycube.bots"):
        asyncio.run(main())
    assert caplog.text.count("works again") == 1

    async def read() -> None:
        store = SqliteStore(path)
        await store.open()
        assert len(await store.pending("81002", 10)) == 2
        assert await store.checkpoint() is None
        await store.close()

    asyncio.run(read())


def test_calls_need_an_open_store(path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(path)
        with pytest.raises(StoreError, match="is not open"):
            await store.pending("81002", 1)
        await store.open()
        await store.close()
        with pytest.raises(StoreError, match="is not open"):
            await store.pending("81002", 1)

    asyncio.run(main())


def test_store_that_is_only_looked_at_must_exist(tmp_path: Path, holder: subprocess.Popen[str], path: Path) -> None:
    async def main() -> None:
        with pytest.raises(StoreError, match="does not exist"):
            await SqliteStore(tmp_path / "other.db", shared=True).open()
        store = SqliteStore(path, shared=True)
        await store.open()
        assert (await store.counts()).pending == 1
        await store.close()

    asyncio.run(main())
    assert not (tmp_path / "other.db").exists()


def test_unexpected_error_while_it_opens(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SqliteStore, connection: sqlite3.Connection) -> None:
        raise OSError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "_prepare", fail)
        assert problem(path) == "can't be used: odd"
    opened(path)


def test_nobody_else_can_read_it(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
