"""What both backends of the store do alike, and that an open file shows what a killed process had written."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectycube.bots.memory import MemoryStore
from connectycube.bots.sqlite import SqliteStore
from connectycube.bots.store import Counts, Entry, Failure, Reply, Store, Stored

T = TypeVar("T")
Use = Callable[[Store], Coroutine[Any, Any, T]]

LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "bot.db")


def use(store: Store, body: Callable[[Store], Awaitable[T]]) -> T:
    """Open a store, use it, and close it."""

    async def main() -> T:
        await store.open()
        try:
            return await body(store)
        finally:
            await store.close()

    return asyncio.run(main())


def entry(number: int, dialog: str = "81002") -> Entry:
    return Entry(key=f"{dialog}:81002:{number:024x}", dialog=dialog, message=b"{}")


def reply(number: int) -> Reply:
    return Reply(id=f"{number:024x}", dialog="81002", content=b"{}")


def keys(found: list[Stored]) -> list[str]:
    return [one.entry.key for one in found]


def test_messages_wait_until_they_are_handled(store: Store) -> None:
    one, two, three = (entry(number) for number in range(3))

    async def body(store: Store) -> None:
        first = await store.put([one, two])
        assert first == [1, 2]
        known, third = await store.put([two, three])
        assert known is None
        assert third == store.position > 2
        await store.finish(two.key)
        assert [(found.position, found.entry) for found in await store.pending(0, 10)] == [(1, one), (third, three)]
        assert keys(await store.pending(1, 10)) == [three.key]
        assert keys(await store.pending(0, 1)) == [one.key]
        assert await store.put([two]) == [None], "a handled message is still known"
        assert await store.counts() == Counts(pending=2, handled=1)

    use(store, body)


def test_waiting_messages_move_behind_the_others(store: Store) -> None:
    one, two, three = (entry(number) for number in range(3))

    async def body(store: Store) -> None:
        await store.put([one, two])
        await store.finish(two.key)
        moved = await store.put([three, one, two], moved={one.key, two.key})
        assert moved[2] is None, "a handled message does not move"
        assert keys(await store.pending(0, 10)) == [three.key, one.key]

    use(store, body)


def test_replies_wait_until_they_are_sent(store: Store) -> None:
    async def body(store: Store) -> None:
        stored = await store.put_reply(reply(1))
        assert stored is not None
        assert stored.position == 1
        assert await store.put_reply(reply(1)) is None
        second = await store.put_reply(reply(2))
        assert await store.unsent() == [stored, second]
        await store.sent(reply(1).id)
        assert [found.id for found in await store.unsent()] == [reply(2).id]
        assert await store.put_reply(reply(1)) is None, "a reply that was sent is still known"
        assert await store.pending(0, 10) == []
        assert await store.counts() == Counts(unsent=1)

    use(store, body)


def test_failures_are_kept_and_can_be_retried(store: Store) -> None:
    async def body(store: Store) -> list[Failure]:
        await store.put([entry(1), entry(2)])
        await store.put_reply(reply(3))
        assert await store.fail("unknown", "ValueError: no") is None
        failed = await store.fail(entry(1).key, "ValueError: no")
        assert failed is not None
        assert (failed.id, failed.kind, failed.error) == (entry(1).key, "message", "ValueError: no")
        refused = await store.fail_reply(reply(3).id, "blocked")
        assert refused is not None
        assert (refused.kind, refused.dialog) == ("reply", "81002")
        assert await store.failures(10) == [failed, refused]
        assert await store.failures(1) == [refused]
        assert await store.counts() == Counts(pending=1, failed=2)
        assert await store.retry(entry(2).key) is None, "it has not failed"
        again = await store.retry(failed.id)
        assert isinstance(again, Stored)
        assert again.entry == entry(1)
        assert keys(await store.pending(0, 10)) == [entry(2).key, entry(1).key]
        resent = await store.retry(refused.id)
        assert isinstance(resent, Reply)
        assert await store.unsent() == [resent]
        return await store.failures(10)

    assert use(store, body) == []


def test_known_ids_up_to_a_time(store: Store) -> None:
    async def body(store: Store) -> None:
        await store.put([entry(1), entry(2)])
        await store.finish(entry(1).key)
        await store.put_reply(reply(3))
        before = dt.datetime.now(dt.UTC)
        await store.put_reply(reply(4))
        await store.put([entry(5)])
        await store.sent(reply(3).id)
        asked = {entry(1).key, entry(2).key, reply(3).id, reply(4).id, entry(5).key, "other"}
        assert await store.known(asked, before) == {entry(1).key, entry(2).key}
        assert await store.known(asked, LATER) == asked - {reply(4).id, "other"}
        assert await store.known(asked, None) == asked - {"other"}

    use(store, body)


def test_old_entries_are_forgotten(store: Store) -> None:
    async def body(store: Store) -> None:
        await store.put([entry(1), entry(2), entry(3)])
        await store.put_reply(reply(4))
        await store.sent(reply(4).id)
        await store.finish(entry(1).key)
        await store.fail(entry(2).key, "no")
        assert await store.prune(LONG_AGO, LONG_AGO) == 0
        assert await store.prune(LATER, LONG_AGO) == 2
        assert await store.counts() == Counts(pending=1, failed=1)
        assert await store.prune(LATER, LATER) == 1
        assert await store.counts() == Counts(pending=1), "what waits is never forgotten"
        assert await store.put([entry(1)]) == [store.position]

    use(store, body)


def test_checkpoint(store: Store) -> None:
    async def body(store: Store) -> None:
        assert await store.checkpoint() is None
        at = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
        await store.set_checkpoint(at)
        assert await store.checkpoint() == at

    use(store, body)


def test_file_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"

    async def fill(store: Store) -> None:
        await store.put([entry(1), entry(2)])
        await store.finish(entry(1).key)
        await store.put_reply(reply(3))
        await store.set_checkpoint(LONG_AGO)

    async def read(store: Store) -> None:
        assert store.position == 3
        assert keys(await store.pending(0, 10)) == [entry(2).key]
        assert [found.id for found in await store.unsent()] == [reply(3).id]
        assert await store.checkpoint() == LONG_AGO
        assert await store.put([entry(1)]) == [None]

    use(SqliteStore(path), fill)
    use(SqliteStore(path), read)


def test_concurrent_calls_share_transactions(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "bot.db")

    async def body(_: Store) -> list[list[int | None]]:
        return await asyncio.gather(*(store.put([entry(number)]) for number in range(500)))

    assert use(store, body) == [[number + 1] for number in range(500)]
