"""What both backends of the store do alike, and that an open file shows what a killed process had written."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectycube.bots import memory
from connectycube.bots.memory import MemoryStore
from connectycube.bots.sqlite import SqliteStore
from connectycube.bots.store import Counts, Entry, Failure, Reply, Store

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


async def waiting(store: Store, limit: int = 10, dialog: str = "81002") -> list[str]:
    return [entry.key for entry in await store.pending(dialog, limit)]


def test_messages_wait_until_they_are_handled(store: Store) -> None:
    one, two, three, other = entry(1), entry(2), entry(3), entry(4, dialog="81003")

    async def body(store: Store) -> None:
        assert await store.put([one, two]) == [True, True]
        assert await store.put([two, other, three]) == [False, True, True]
        await store.finish(two.key)
        assert await store.pending("81002", 10) == [one, three]
        assert await waiting(store, 1) == [one.key]
        assert await waiting(store, dialog="81003") == [other.key]
        assert await store.dialogs() == {"81002": 2, "81003": 1}
        assert await store.put([two]) == [False], "a handled message is still known"
        assert await store.counts() == Counts(pending=3, handled=1)

    use(store, body)


def test_attempts_are_kept_until_a_retry(store: Store) -> None:
    async def body(store: Store) -> None:
        await store.put([entry(1)])
        await store.begin(entry(1).key, 2)
        assert [found.attempts for found in await store.pending("81002", 10)] == [2]
        await store.put([entry(1)], moved=[entry(1).key])
        assert [found.attempts for found in await store.pending("81002", 10)] == [2]
        await store.fail(entry(1).key, "no")
        assert await store.retry(entry(1).key)
        assert [found.attempts for found in await store.pending("81002", 10)] == [0]

    use(store, body)


def test_waiting_messages_move_behind_the_others(store: Store) -> None:
    one, two, three = (entry(number) for number in range(3))

    async def body(store: Store) -> None:
        await store.put([one, two])
        await store.finish(two.key)
        # A handled message does not move.
        assert await store.put([three, one, two], moved=[one.key, two.key]) == [True, False, False]
        assert await waiting(store) == [three.key, one.key]
        # Those that are not among the entries follow them, and nothing is stored for those that never were.
        assert await store.put([entry(3), one], moved=[one.key, entry(9).key, three.key]) == [True, False]
        assert await waiting(store) == [entry(3).key, one.key, three.key]

    use(store, body)


def test_replies_wait_until_they_are_sent(store: Store) -> None:
    async def body(store: Store) -> None:
        stored = await store.put_reply(reply(1))
        assert stored is not None
        assert stored.position == 1
        assert await store.put_reply(reply(1)) is None
        second = await store.put_reply(reply(2))
        assert await store.unsent(0) == [stored, second]
        assert await store.unsent(stored.position) == [second]
        await store.sent(reply(1).id)
        assert [found.id for found in await store.unsent(0)] == [reply(2).id]
        assert await store.put_reply(reply(1)) is None, "a reply that was sent is still known"
        assert await store.dialogs() == {}
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
        refused = await store.fail(reply(3).id, "blocked")
        assert refused is not None
        assert (refused.kind, refused.dialog) == ("reply", "81002")
        assert list(store.failed.values()) == [failed, refused]
        assert await store.counts() == Counts(pending=1, failed=2)
        assert not await store.retry(entry(2).key), "it has not failed"
        retried = store.retry(failed.id)
        assert list(store.failed) == [refused.id]
        assert await retried
        assert await waiting(store) == [entry(2).key, entry(1).key]
        assert await store.retry(refused.id)
        assert [found.id for found in await store.unsent(0)] == [refused.id]
        return list(store.failed.values())

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
        assert await store.put([entry(1)]) == [True]
        assert store.failed == {}

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
        await store.put([entry(1), entry(2), entry(4)])
        await store.finish(entry(1).key)
        await store.fail(entry(4).key, "no")
        await store.put_reply(reply(3))
        await store.set_checkpoint(LONG_AGO)

    async def read(store: Store) -> None:
        assert [(found.key, found.redelivered) for found in await store.pending("81002", 10)] == [(entry(2).key, True)]
        assert [found.id for found in await store.unsent(0)] == [reply(3).id]
        assert [failure.error for failure in store.failed.values()] == ["no"]
        assert await store.checkpoint() == LONG_AGO
        assert await store.put([entry(1)]) == [False]

    use(SqliteStore(path), fill)
    use(SqliteStore(path), read)


def test_calls_take_effect_in_order_without_being_awaited(store: Store) -> None:
    async def body(store: Store) -> list[list[bool]]:
        calls = []
        for number in range(500):
            calls.append(store.put([entry(number)]))
            store.finish(entry(number).key)
        assert await store.dialogs() == {}
        return await asyncio.gather(*calls)

    assert use(store, body) == [[True]] * 500


def test_memory_forgets_the_oldest_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_DONE", 2)

    async def body(store: Store) -> None:
        for number in range(4):
            await store.put([entry(number)])
        for number in range(3):
            await store.finish(entry(number).key)
        assert await store.put([entry(number) for number in range(4)]) == [True, False, False, False]

    use(MemoryStore(), body)
