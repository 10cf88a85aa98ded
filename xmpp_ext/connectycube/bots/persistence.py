"""A store that is written to until that succeeds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from .errors import StoreError
from .store import Store

__all__ = ["Persistence"]

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0

logger = logging.getLogger("connectycube.bots")


class Persistence:
    """Repeats what fails, and says so once.

    :ivar store: the store itself.
    :ivar failing: whether the last call failed.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.failing = False
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a call, as soon as the store can be used.

        :raises StoreError: if it still can't when the bot stops.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                result = await call()
            except StoreError as error:
                if self._closing:
                    raise
                if not self.failing:
                    logger.error("%s; until it can be used, no message is acknowledged or answered", error)
                self.failing = True
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self.failing:
                    logger.warning("the store %s works again", self.store.name)
                self.failing = False
                return result

    def later(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something without waiting for it."""
        task = asyncio.get_running_loop().create_task(self._guarded(work), name="connectycube store")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except StoreError as error:
            logger.error("not stored before the bot stopped: %s", error)

    async def settle(self) -> None:
        """Finish what was begun, without repeating what fails."""
        self._closing = True
        while self._tasks:
            await asyncio.wait(self._tasks)
