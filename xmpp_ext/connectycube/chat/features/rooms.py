"""The rooms of group and public dialogs (XEP-0045): joining, leaving, and their other occupants."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Any

from connectycube.rest import DecodeError
from connectycube.stanzas import (
    DiscoItems,
    DiscoItemsRequest,
    DiscoItemsResult,
    MucHistory,
    MucJoin,
    Ping,
    PingRequest,
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
from ..errors import NotConnected, RequestRefused, RequestUnanswered

__all__ = ["Rooms"]

logger = logging.getLogger("connectycube.chat")

SELF = 110
"""The status code of the user's own presence in a room (XEP-0045 section 15.6.2)."""
SHUTDOWN = 332
"""The status code of a room service that is shutting down (XEP-0045 section 15.6.2)."""
TEMPORARY = frozenset(
    (
        "internal-server-error",
        "remote-server-not-found",
        "remote-server-timeout",
        "resource-constraint",
        "service-unavailable",
    )
)
"""Conditions that a room service which is starting up or overloaded gives, whatever the type of the error."""
UNDECIDED = frozenset(
    ("feature-not-implemented", "remote-server-not-found", "remote-server-timeout", "service-unavailable")
)
"""Conditions by which a ping in a room does not show that the user has left it (XEP-0410 section 3.2): they come from
an occupant that does not support pings, such as another device of the user, or while the room can't be reached."""
PATIENCE = 2.0
"""Seconds that a new session waits for its rooms, which hold back its messages."""
PACE = 0.1
"""The least seconds between two pings of rooms, on average."""
PUT_OUT = frozenset((301, 307))
"""The status codes for banned and kicked."""  # CX-06


class Rooms:
    """The rooms that the user has joined.

    :ivar joined: the ids of their dialogs.
    """

    __slots__ = (
        "_joining",
        "_leaving",
        "_others",
        "_refused_for_now",
        "_rejoining",
        "_room_of",
        "_traffic",
        "_wanted",
        "_watching",
        "joined",
    )

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._room_of = traffic.settings.addresses.room_of
        self.joined: set[str] = set()
        self._wanted: set[str] = set()
        self._others: dict[str, set[int]] = {}
        """The other occupants, by dialog: one who joins with a second device sends another presence, but is no news."""
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._rejoining: dict[str, asyncio.Task[None]] = {}
        self._refused_for_now: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

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
        if (rejoining := self._rejoining.pop(dialog_id, None)) is not None:
            rejoining.cancel()
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
        """Join all rooms again in a new session. One that refuses or does not answer soon goes on alone."""
        # U-41: the server forgets an occupant with the session. If this session is lost as well, the next one tries the
        # rooms that were neither joined nor refused.
        answers = [self._lost_room(dialog_id) for dialog_id in sorted(self._wanted | self.joined)]
        if answers:
            await asyncio.wait(answers, timeout=PATIENCE)

    def lost(self) -> None:
        """Fail whatever waits for a room: the session is gone."""
        for waiting in (self._joining, self._leaving):
            for future in waiting.values():
                if not future.done():
                    future.set_exception(NotConnected("the connection was lost before the room answered"))
                    future.exception()  # Mark it as retrieved: the caller may have given up.
            waiting.clear()
        self._others.clear()
        for task in (self._watching, *self._rejoining.values()):
            if task is not None and not task.get_loop().is_closed():
                task.cancel()
        self._watching = None
        self._rejoining.clear()

    def forget(self) -> None:
        """Forget the rooms to restore."""
        self.joined.clear()
        self._wanted.clear()

    # -- staying in

    def suspect(self, jid: str | None) -> None:
        """Check whether the user is still in a room, which has refused a message."""
        dialog_id, _ = self._room_of(jid) or ("", None)
        if dialog_id in self.joined and dialog_id not in self._rejoining:
            self._rejoining[dialog_id] = self._start(self._check(dialog_id), dialog_id)

    def _start(self, work: Coroutine[Any, Any, None], dialog_id: str) -> asyncio.Task[None]:
        task = self._traffic.loop.create_task(work, name=f"connectycube room {dialog_id}")

        def done(_: object) -> None:
            if self._rejoining.get(dialog_id) is task:
                del self._rejoining[dialog_id]

        task.add_done_callback(done)
        return task

    def _lost_room(self, dialog_id: str) -> asyncio.Future[None]:
        """Join a room again from which the user was removed without wanting it.

        :returns: done after the first attempt.
        """
        self.joined.discard(dialog_id)
        self._others.pop(dialog_id, None)
        self._wanted.add(dialog_id)
        tried: asyncio.Future[None] = self._traffic.loop.create_future()
        if dialog_id in self._rejoining:
            tried.set_result(None)
        else:
            self._rejoining[dialog_id] = self._start(self._rejoin(dialog_id, tried), dialog_id)
        return tried

    async def _rejoin(self, dialog_id: str, tried: asyncio.Future[None]) -> None:
        """Join a room, and try again for as long as the refusal may be temporary."""
        attempt = 0
        while dialog_id in self._wanted:
            attempt += 1
            try:
                await self.join(dialog_id)
            except NotConnected:
                return  # The next session tries again.
            except RequestRefused as error:
                if dialog_id not in self._refused_for_now:
                    self._wanted.discard(dialog_id)
                    logger.warning("dialog %s could not be joined again: %s", dialog_id, error)
                    return
                logger.info("dialog %s could not be joined yet: %s", dialog_id, error)
            except RequestUnanswered as error:
                logger.info("dialog %s could not be joined yet: %s", dialog_id, error)
            else:
                self._wanted.discard(dialog_id)
                return
            finally:
                if not tried.done():
                    tried.set_result(None)
            await asyncio.sleep(self._traffic.settings.backoff.delay(attempt, random.random()))

    async def _watch(self, interval: float) -> None:
        """Check regularly whether the user is still in the rooms: a service that crashed does not tell."""
        while self.joined:
            await asyncio.sleep(max(interval, PACE * len(self.joined)))
            await asyncio.gather(*(self._check(dialog_id) for dialog_id in sorted(self.joined)))

    async def _check(self, dialog_id: str) -> None:
        """Ping the user in a room (XEP-0410), and join it again if the user is no longer in there."""
        me = f"{self._traffic.settings.addresses.room(dialog_id)}/{self._traffic.credentials.user_id}"
        ping = PingRequest(id=self._traffic.ids.request(), to=me, ping=Ping())
        try:
            await self._traffic.request(ping, f"a ping in dialog {dialog_id}")
        except RequestRefused as error:
            # The user's name in a room never changes, so `item-not-found` is about the room.
            if error.condition not in UNDECIDED and dialog_id in self.joined:
                logger.info("the user is no longer in dialog %s, and joins it again", dialog_id)
                self._rejoining.pop(dialog_id, None)  # It may be this very task.
                self._lost_room(dialog_id)
        except (NotConnected, RequestUnanswered, DecodeError) as error:
            logger.debug("it is unknown whether the user is still in dialog %s: %s", dialog_id, error)

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
            interval = self._traffic.settings.keepalive
            if interval is not None and (self._watching is None or self._watching.done()):
                self._watching = self._traffic.loop.create_task(self._watch(interval), name="connectycube rooms")
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
            if SHUTDOWN in codes and dialog_id in self.joined and dialog_id not in self._leaving:
                logger.info("the service of dialog %s is shutting down; the room is joined again", dialog_id)
                self._lost_room(dialog_id)
                return
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
        if fault is not None and (fault.type == "wait" or fault.condition in TEMPORARY):
            self._refused_for_now.add(found[0])
        else:
            self._refused_for_now.discard(found[0])
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
