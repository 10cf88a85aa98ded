"""More messages than fit into memory stay in the store until there is room, and are handled once and in order."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.bots import dispatch
from connectycube.bots.dispatch import Capacity, Dispatcher
from connectycube.bots.memory import MemoryStore
from connectycube.bots.store import Entry
from tests.integration.support import eventually, run

DIALOGS = 3


def entry(number: int) -> Entry:
    sender = 81002 + number % DIALOGS
    return Entry(key=f"{sender}:{sender}:{number:024x}", dialog=str(sender), message=b"%d" % number)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("page", [2, 100])
def test_overflow(monkeypatch: pytest.MonkeyPatch, held: bool, page: int) -> None:
    monkeypatch.setattr(dispatch, "MOST", 10)
    monkeypatch.setattr(dispatch, "PAGE", page)

    async def main() -> None:
        store = MemoryStore()
        handled: dict[str, list[int]] = {}

        async def handle(entry: Entry) -> float | None:
            await asyncio.sleep(0)
            handled.setdefault(entry.dialog, []).append(int(entry.message))
            store.finish(entry.key)
            return None

        dispatcher = Dispatcher(handle, store, Capacity(2))
        # What an earlier process has left.
        await store.put([entry(number) for number in range(30)])
        if held:
            dispatcher.hold()
        await dispatcher.load()
        for number in range(30, 120):
            assert await store.put([entry(number)]) == [True]
            dispatcher.feed([entry(number)])
            if number == 70:
                dispatcher.hold_only()
            await asyncio.sleep(0)
        await eventually(lambda: sum(map(len, handled.values())) == 120)
        assert sorted(handled.values()) == [list(range(first, 120, DIALOGS)) for first in range(DIALOGS)]
        await eventually(lambda: dispatcher.running == 0)
        assert dispatcher.waiting == 0
        assert dispatcher._lanes == {}
        await dispatcher.stop(1)
        assert (await store.counts()).pending == 0

    run(main())


def test_messages_that_may_have_ended_a_process_are_handled_one_at_a_time() -> None:
    async def main() -> None:
        store = MemoryStore()
        running: set[str] = set()
        most = 0
        release, others_done = asyncio.Event(), asyncio.Event()

        async def handle(entry: Entry) -> float | None:
            nonlocal most
            if entry.attempts == 0:
                others_done.set()
            else:
                running.add(entry.key)
                most = max(most, len(running))
                await release.wait()
                running.remove(entry.key)
            store.finish(entry.key)
            return None

        dispatcher = Dispatcher(handle, store, Capacity(2))
        await store.put([entry(number) for number in range(DIALOGS)])
        for number in range(DIALOGS):
            await store.begin(entry(number).key, 1)
        await dispatcher.load()
        await eventually(lambda: running)
        fresh = Entry(key="81009:81009:1", dialog="81009", message=b"")
        await store.put([fresh])
        dispatcher.feed([fresh])
        await others_done.wait()
        release.set()
        await eventually(lambda: dispatcher.waiting == 0 and dispatcher.running == 0)
        assert most == 1
        assert (await store.counts()).pending == 0

    run(main())
