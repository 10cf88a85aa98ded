"""The private dialogs of the chat's user: which dialog belongs to which other user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

from connectycube.rest import ApiError, AsyncConnectyCube, ConnectyCubeError, Dialog, DialogType

from .._ids import Recent
from .._settings import Credentials

__all__ = ["PrivateDialogs"]

KEPT: Final = 4096
"""How many dialogs are remembered."""
LOOKUP: Final = 5.0
"""Seconds that a lookup may take: a message waits for it."""
PAUSE: Final = 30.0
"""Seconds without lookups after the REST API has failed, so that not every message waits."""
A_ROOM: Final = 0

logger = logging.getLogger("connectycube.chat")


class PrivateDialogs:
    """Finds private dialogs, each with one call of the REST client.

    What other users write about their dialog is not used: they could name any.
    """

    def __init__(self, credentials: Credentials, enabled: bool) -> None:
        self._credentials = credentials
        self._enabled = enabled
        self._dialogs: Recent[int, str] = Recent(KEPT)
        self._users: Recent[str, int] = Recent(KEPT)
        self._locks: WeakValueDictionary[int | str, asyncio.Lock] = WeakValueDictionary()
        self._paused_until = 0.0

    def put(self, user_id: int, dialog_id: str) -> None:
        """Remember the private dialog with a user."""
        self._dialogs.put(user_id, dialog_id)
        self._users.put(dialog_id, user_id)

    async def of(self, user_id: int) -> str | None:
        """Return the id of the private dialog with a user, `None` if it can't be found out."""
        if user_id != self._credentials.user_id and (self._dialogs.get(user_id) is None or user_id in self._locks):
            # Messages that waited for a lookup keep their place: a later one, which finds it done, waits as well.
            async with self._lock(user_id):
                if self._dialogs.get(user_id) is None:
                    # U-16: if there is a dialog already, this returns it. The documented filters can't search by
                    # occupants, and the first message would create the dialog just as well.
                    arguments = {"type": DialogType.PRIVATE, "occupants_ids": [user_id]}
                    self._learn(await self._call(lambda cube: cube.dialogs.create(**arguments)))
        return self._dialogs.get(user_id)

    async def user_in(self, dialog_id: str) -> int | None:
        """Return the other user in a dialog if it is private; `None` if it isn't, or can't be found out."""
        if self._users.get(dialog_id) is None or dialog_id in self._locks:
            async with self._lock(dialog_id):
                if self._users.get(dialog_id) is None:
                    page = await self._call(lambda cube: cube.dialogs.list(filters={"id": dialog_id}, limit=1))
                    if page is not None:
                        found = page.items[0] if page.items else None
                        if found is None or found.type != DialogType.PRIVATE:
                            self._users.put(dialog_id, A_ROOM)
                        else:
                            self._learn(found)
        return self.known_user(dialog_id)

    def known_user(self, dialog_id: str) -> int | None:
        """Return the other user in a dialog if it is known to be private."""
        return self._users.get(dialog_id) or None

    def known_dialog(self, user_id: int) -> str | None:
        """Return the id of the private dialog with a user if it is known."""
        return self._dialogs.get(user_id)

    def _lock(self, key: int | str) -> asyncio.Lock:
        """Return the lock of a lookup: while one is going on, the others wait for its result, in order."""
        return self._locks.setdefault(key, asyncio.Lock())

    def _learn(self, dialog: Dialog | None) -> None:
        """Remember a private dialog, if it is the user's: the REST client may have logged in as another meanwhile."""
        if dialog is not None and len(dialog.occupants_ids) == 2:
            own_id = self._credentials.user_id
            if own_id in dialog.occupants_ids:
                self.put(sum(dialog.occupants_ids) - own_id, dialog.id)

    async def _call(self, call: Callable[[Any], Any]) -> Any:
        """Return the result of a call, `None` if there is none."""
        cube, loop = self._credentials.cube if self._enabled else None, asyncio.get_running_loop()
        if cube is None or loop.time() < self._paused_until:
            return None
        limited = cube.with_options(timeout=LOOKUP, deadline=LOOKUP, max_retries=0)
        try:
            if isinstance(limited, AsyncConnectyCube):
                return await call(limited)
            return await asyncio.to_thread(call, limited)
        except ConnectyCubeError as error:
            if not isinstance(error, ApiError) or error.status >= 500 or error.status == 429:
                self._paused_until = loop.time() + PAUSE
            logger.warning("a message goes out without a look at its dialog: %s", error)
        return None
