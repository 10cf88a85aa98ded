"""Looks at the history that overlap, and sessions that are lost meanwhile."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectycube.bots import Stats, backfill
from connectycube.bots.dispatch import Capacity, Dispatcher
from connectycube.bots.intake import Intake
from connectycube.bots.memory import MemoryStore
from connectycube.bots.store import Entry
from connectycube.chat import ConnectError, Reconnected, Reconnecting
from tests.bots.conftest import PASSWORD, World
from tests.integration.support import eventually, run


class Slow(MemoryStore):
    """A store whose checkpoints are stored when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[asyncio.Future[None]] = []

    def set_checkpoint(self, at: dt.datetime) -> asyncio.Future[None]:
        super().set_checkpoint(at)
        self.stored.append(asyncio.get_running_loop().create_future())
        return self.stored[-1]


@asynccontextmanager
async def looking(world: World) -> AsyncIterator[tuple[backfill.Backfill, Slow]]:
    """A look at the history that has read everything, but whose checkpoint is not stored yet."""

    async def handle(entry: Entry) -> None: ...

    async with world.cube() as cube, world.chat(world.bot_id) as chat:
        await cube.login(login="bot", password=PASSWORD)
        store = Slow()
        dispatcher = Dispatcher(handle, store, Capacity(1))
        intake = Intake(chat, store, Stats(), dispatcher)
        found = backfill.Backfill(chat, cube, dt.timedelta(days=1), store, dispatcher, intake)
        found.begin()
        await eventually(lambda: len(store.stored) == 1)
        yield found, store
        await found.stop()


def test_stale_look_at_the_history_does_not_end_the_next_one(world: World) -> None:
    async def main() -> None:
        async with looking(world) as (look, store):
            store.stored[0].set_result(None)
            look.begin()
            await eventually(lambda: len(store.stored) == 2)
            assert not look.complete.is_set()
            store.stored[1].set_result(None)
            await look.complete.wait()

    run(main())


def test_nothing_is_complete_while_the_connection_is_lost(world: World) -> None:
    async def main() -> None:
        async with looking(world) as (look, store):
            look.session_changed(
                Reconnecting(error=ConnectError("cut"), attempt=1, delay=1.0, retry_at=dt.datetime.now(dt.UTC))
            )
            store.stored[0].set_result(None)
            await eventually(lambda: look._task is None)
            assert not look.complete.is_set()
            look.session_changed(Reconnected(resumed=True))
            assert look.complete.is_set()

    run(main())
