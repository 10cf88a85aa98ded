"""The rooms of group and public dialogs (XEP-0045): joining, leaving, and their other occupants."""

from __future__ import annotations

import asyncio
import logging

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
from ..connection.traffic import Traffic
from ..errors import ChatError, NotConnected, RequestRefused, RequestUnanswered

__all__ = ["Rooms"]

logger = logging.getLogger("connectycube.chat")

SELF = 110
"""The status code of the user's own presence in a room (XEP-0045 section 15.6.2)."""
PUT_OUT = frozenset((301, 307))
"""The status codes for banned and kicked."""  # CX-06


class Rooms:
    """The rooms that the user has joined.

    :ivar joined: the ids of their dialogs.
    """

    __slots__ = ("_joining", "_leaving", "_others", "_room_of", "_traffic", "_wanted", "joined")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._room_of = traffic.settings.addresses.room_of
        self.joined: set[str] = set()
        self._wanted: set[str] = set()
        self._others: dict[str, set[int]] = {}
        """The other occupants, by dialog: one who joins with a second device sends another presence, but is no news."""
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}

    async def join(self, dialog_id: str) -> None:
        """Join the room of a dialog and wait until the server confirms it."""
        # K-32, K-33
        room = self._traffic.settings.addresses.room(dialog_id)
        dialog_id = dialog_id.lower()
        me = f"{room}/{self._traffic.credentials.user_id}"
        # Without `maxstanzas` the room would send its recent messages, which the history over REST has anyway.
        join = RoomJoin(id=self._traffic.ids.request(), to=me, muc=MucJoin(history=MucHistory(maxstanzas=0)))
        await self._wait(self._joining, dialog_id, join, f"joining dialog {dialog_id}")

    async def leave(self, dialog_id: str) -> None:
        """Leave the room of a dialog and wait until the server confirms it."""
        # K-35, K-36
        room = self._traffic.settings.addresses.room(dialog_id)
        dialog_id = dialog_id.lower()
        self._wanted.discard(dialog_id)
        if dialog_id not in self.joined:
            return
        me = f"{room}/{self._traffic.credentials.user_id}"
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
            self._traffic.post(stanza)
            future = waiting[dialog_id] = self._traffic.loop.create_future()
        seconds = self._traffic.settings.timeout
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(future)
        except TimeoutError:
            raise RequestUnanswered(what, seconds) from None
        finally:
            if waiting.get(dialog_id) is future and not future.done():
                del waiting[dialog_id]

    async def online_users(self, dialog_id: str) -> tuple[int, ...]:
        """Request the users in the room of a dialog."""
        # K-54
        room = self._traffic.settings.addresses.room(dialog_id)
        request = DiscoItemsRequest(id=self._traffic.ids.request(), to=room, query=DiscoItems())
        answer = await self._traffic.request(request, f"asking who is in dialog {dialog_id}")
        items = answer.query.items if isinstance(answer, DiscoItemsResult) else ()
        found = [self._room_of(item.jid) for item in items]
        return tuple(entry[1] for entry in found if entry is not None and entry[1] is not None)

    async def restore(self) -> None:
        """Join all rooms again in a new session."""
        # U-41: the server forgets an occupant with the session. If this session is lost as well, the next one tries the
        # rooms that were neither joined nor refused.
        self._wanted |= self.joined
        self.joined.clear()
        before = sorted(self._wanted)
        results = await asyncio.gather(*(self.join(dialog_id) for dialog_id in before), return_exceptions=True)
        for dialog_id, result in zip(before, results, strict=True):
            if isinstance(result, (NotConnected, RequestUnanswered)):
                logger.info("dialog %s could not be joined yet: %s", dialog_id, result)
                continue
            self._wanted.discard(dialog_id)
            if isinstance(result, ChatError):
                logger.warning("dialog %s could not be joined again: %s", dialog_id, result)
            elif isinstance(result, BaseException):
                raise result

    def lost(self) -> None:
        """Fail whatever waits for a room: the session is gone."""
        for waiting in (self._joining, self._leaving):
            for future in waiting.values():
                if not future.done():
                    future.set_exception(NotConnected("the connection was lost before the room answered"))
                    future.exception()  # Mark it as retrieved: the caller may have given up.
            waiting.clear()
        self._others.clear()

    def forget(self) -> None:
        """Forget the rooms to restore."""
        self.joined.clear()
        self._wanted.clear()

    # -- inbound

    def entered(self, stanza: RoomOccupant) -> None:
        """Process the presence of an occupant.

        On joining, the room sends those of all occupants, and the user's own last (XEP-0045 section 7.2.2): an event is
        emitted only for those who join later.
        """
        dialog_id, user_id = self._room_of(stanza.from_) or ("", None)
        if user_id is None:
            return
        codes = {status.code for status in stanza.muc.statuses}
        if SELF in codes or user_id == self._traffic.credentials.user_id:
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
            self._traffic.bus.emit(events.OccupantJoined(dialog_id=dialog_id, user_id=user_id))

    def left(self, stanza: RoomOccupantLeft) -> None:
        """Process the departure of an occupant."""
        dialog_id, user_id = self._room_of(stanza.from_) or ("", None)
        if user_id is None:
            return
        codes = {status.code for status in stanza.muc.statuses}
        if SELF in codes or user_id == self._traffic.credentials.user_id:
            self.joined.discard(dialog_id)
            self._others.pop(dialog_id, None)
            if _done(self._leaving, dialog_id):
                return
        else:
            self._others.get(dialog_id, set()).discard(user_id)
        kind = events.OccupantKicked if PUT_OUT & codes else events.OccupantLeft
        self._traffic.bus.emit(kind(dialog_id=dialog_id, user_id=user_id))

    def refused(self, stanza: RoomJoinError | PresenceError) -> bool:
        """Process a room's refusal to let the user in.

        :returns: whether the user was joining it.
        """
        found = self._room_of(stanza.from_)
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
