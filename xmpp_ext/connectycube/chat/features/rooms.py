"""Rooms of group and public dialogs (XEP-0045): joining, leaving, who comes and goes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from connectycube.stanzas import (
    DiscoItems,
    DiscoItemsRequest,
    DiscoItemsResult,
    MucHistory,
    MucJoin,
    PresenceError,
    RoomJoin,
    RoomJoinError,
    RoomOccupant,
    RoomOccupantLeft,
    StanzaFault,
    UnavailablePresence,
)

from .. import events
from .._addresses import room_of
from ..errors import ChatError, NotConnected, RequestRefused, RequestTimedOut

if TYPE_CHECKING:
    from ..connection.traffic import Wire

__all__ = ["Rooms"]

logger = logging.getLogger("connectycube.chat")

SELF = 110
PUT_OUT = frozenset((301, 307))
"""Banned and kicked (CX-06)."""


class Rooms:
    """The rooms that the user is in.

    :ivar joined: ids of their dialogs.
    """

    __slots__ = ("_joining", "_leaving", "_others", "_wanted", "_wire", "joined")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.joined: set[str] = set()
        self._wanted: set[str] = set()
        self._others: dict[str, set[int]] = {}
        """Who else is in a room: a presence may come again, as when someone joins with a second device."""
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}

    async def join(self, dialog_id: str) -> None:
        """Enter the room of a dialog and wait until the server says so (K-32, K-33)."""
        room = self._wire.settings.room(dialog_id)
        dialog_id = dialog_id.lower()
        me = f"{room}/{self._wire.credentials.user_id}"
        # The history comes over REST.
        join = RoomJoin(id=self._wire.ids.request(), to=me, muc=MucJoin(history=MucHistory(maxstanzas=0)))
        await self._wait(self._joining, dialog_id, join, f"joining dialog {dialog_id}")

    async def leave(self, dialog_id: str) -> None:
        """Leave the room of a dialog and wait until the server says so (K-35, K-36)."""
        room = self._wire.settings.room(dialog_id)
        dialog_id = dialog_id.lower()
        self._wanted.discard(dialog_id)
        if dialog_id not in self.joined:
            return
        me = f"{room}/{self._wire.credentials.user_id}"
        await self._wait(self._leaving, dialog_id, UnavailablePresence(to=me), f"leaving dialog {dialog_id}")

    async def _wait(
        self,
        waiting: dict[str, asyncio.Future[None]],
        dialog_id: str,
        stanza: RoomJoin | UnavailablePresence,
        what: str,
    ) -> None:
        future = waiting.get(dialog_id)
        if future is None:
            self._wire.post(stanza)
            future = waiting[dialog_id] = self._wire.loop.create_future()
        seconds = self._wire.settings.timeout
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(future)
        except TimeoutError:
            raise RequestTimedOut(what, seconds) from None
        finally:
            if waiting.get(dialog_id) is future and not future.done():
                del waiting[dialog_id]

    async def online_users(self, dialog_id: str) -> tuple[int, ...]:
        """Who is in the room of a dialog (K-54)."""
        room = self._wire.settings.room(dialog_id)
        request = DiscoItemsRequest(id=self._wire.ids.request(), to=room, query=DiscoItems())
        answer = await self._wire.request(request, f"asking who is in dialog {dialog_id}")
        items = answer.query.items if isinstance(answer, DiscoItemsResult) else ()
        found = [room_of(item.jid) for item in items]
        return tuple(entry[1] for entry in found if entry is not None and entry[1] is not None)

    async def restore(self) -> None:
        """Enter all rooms again in a new session (U-41)."""
        # Until each is joined, or refused, the next session tries again, should this one be lost meanwhile.
        self._wanted |= self.joined
        self.joined.clear()
        before = sorted(self._wanted)
        results = await asyncio.gather(*(self.join(dialog_id) for dialog_id in before), return_exceptions=True)
        for dialog_id, result in zip(before, results, strict=True):
            if isinstance(result, (NotConnected, RequestTimedOut)):
                logger.info("dialog %s could not be joined yet: %s", dialog_id, result)
                continue
            self._wanted.discard(dialog_id)
            if isinstance(result, ChatError):
                logger.warning("dialog %s could not be joined again: %s", dialog_id, result)
            elif isinstance(result, BaseException):
                raise result

    def lost(self) -> None:
        """The session is gone."""
        for waiting in (self._joining, self._leaving):
            for future in waiting.values():
                if not future.done():
                    future.set_exception(NotConnected("the connection was lost before the room answered"))
                    future.exception()  # Whoever waits gets it; nobody may wait any more.
            waiting.clear()
        self._others.clear()

    def forget(self) -> None:
        """The user wants no room any more."""
        self.joined.clear()
        self._wanted.clear()

    # -- what comes in

    def entered(self, stanza: RoomOccupant) -> None:
        """Somebody is in a room. Those who were there before tell themselves on joining; only who comes is told."""
        dialog_id, user_id = room_of(stanza.from_) or ("", None)
        if user_id is None:
            return
        codes = {status.code for status in stanza.muc.statuses}
        if SELF in codes or user_id == self._wire.credentials.user_id:
            self.joined.add(dialog_id)
            _done(self._joining, dialog_id)
            return
        if dialog_id not in self.joined and dialog_id not in self._joining:
            return
        others = self._others.setdefault(dialog_id, set())
        if user_id in others:
            return
        others.add(user_id)
        if dialog_id in self.joined:
            self._wire.bus.tell(events.OccupantJoined(dialog_id=dialog_id, user_id=user_id))

    def left(self, stanza: RoomOccupantLeft) -> None:
        """Somebody is no longer in a room."""
        dialog_id, user_id = room_of(stanza.from_) or ("", None)
        if user_id is None:
            return
        codes = {status.code for status in stanza.muc.statuses}
        if SELF in codes or user_id == self._wire.credentials.user_id:
            self.joined.discard(dialog_id)
            self._others.pop(dialog_id, None)
            if _done(self._leaving, dialog_id):
                return
        else:
            self._others.get(dialog_id, set()).discard(user_id)
        told = events.OccupantKicked if PUT_OUT & codes else events.OccupantLeft
        self._wire.bus.tell(told(dialog_id=dialog_id, user_id=user_id))

    def refused(self, stanza: RoomJoinError | PresenceError) -> bool:
        """A room does not let the user in (K-34).

        :returns: whether the user wanted to.
        """
        found = room_of(stanza.from_)
        if found is None:
            return False
        future = self._joining.pop(found[0], None)
        if future is None:
            return False
        fault: StanzaFault | None = stanza.error
        if not future.done():
            future.set_exception(RequestRefused(f"joining dialog {found[0]}", fault))
        return True


def _done(waiting: dict[str, asyncio.Future[None]], dialog_id: str) -> bool:
    future = waiting.pop(dialog_id, None)
    if future is None:
        return False
    if not future.done():
        future.set_result(None)
    return True
