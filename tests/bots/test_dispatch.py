"""More messages than fit into memory stay in the store until there is room, and are handled once and in order."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.bots import dispatch
from connectycube.bots.content import encode
from connectycube.bots.dispatch import Dispatcher, Job
from connectycube.bots.memory import MemoryStore
from connectycube.bots.persistence import Persistence
from connectycube.bots.store import Entry
from connectycube.chat import ChatMessage
from tests.integration.support import eventually, run

DIALOGS = 3


def message(number: int) -> tuple[Entry, ChatMessage]:
    """A message and how it is stored."""
    sender = 81002 + number % DIALOGS
    found = ChatMessage(
        id=f"{number:024x}", body=f"{number}", sender_id=sender, recipient_id=None, dialog_id=None, type="chat"
    )
    return Entry(key=f"{sender}:{sender}:{number:024x}", dialog=str(sender), message=encode(found)), found


@pytest.mark.parametrize("held", [False, True])
def test_overflow(monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    monkeypatch.setattr(dispatch, "MOST", 10)

    async def main() -> None:
        store = MemoryStore()
        handled: dict[str, list[int]] = {}
        most = 0

        async def handle(job: Job) -> float | None:
            nonlocal most
            most = max(most, len(dispatcher._jobs))
            await asyncio.sleep(0)
            handled.setdefault(job.dialog, []).append(int(job.message.body))
            return None

        persistence = Persistence(store)
        dispatcher = Dispatcher(handle, persistence, 2)
        # What an earlier process has left.
        await store.put([message(number)[0] for number in range(30)])
        if held:
            dispatcher.hold()
        await dispatcher.start()
        for number in range(30, 120):
            entry, found = message(number)
            [position] = await store.put([entry])
            assert position is not None
            dispatcher.feed([Job(entry.key, entry.dialog, position, found, from_history=False)])
            if number == 70:
                dispatcher.hold_only()
            await asyncio.sleep(0)
        await eventually(lambda: sum(map(len, handled.values())) == 120)
        assert sorted(handled.values()) == [list(range(first, 120, DIALOGS)) for first in range(DIALOGS)]
        assert most <= 10
        await dispatcher.stop(1)
        await persistence.settle()
        assert (await store.counts()).pending == 0

    run(main())
