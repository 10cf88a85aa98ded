"""What a session has besides its stream: presence, rooms, contacts, lists, and what is restored in the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from connectycube.rest import DecodeError
from connectycube.stanzas import (
    AvailablePresence,
    CarbonsEnable,
    EnableCarbonsRequest,
    MobileState,
    MobileStateSet,
    RosterGet,
    RosterQuery,
    RosterResult,
    Stanza,
    StatusStreamingSet,
    StatusSubscription,
)

from .._bus import Bus
from .._settings import Credentials, Settings
from ..connection.traffic import Wire
from ..errors import RequestRefused, RequestTimedOut
from .inbound import Inbound
from .privacy_lists import Lists
from .rooms import Rooms
from .roster import Roster

__all__ = ["ChatSession"]

logger = logging.getLogger("connectycube.chat")


class ChatSession:
    """Binds the wire to rooms, roster and lists.

    :ivar presence: what the contacts are told; `None` for nothing, until the user wants it.
    :ivar inactive: what the server was told of the app's state.
    :ivar followed: users of whose last activity one wants to be told.
    """

    def __init__(self, settings: Settings, credentials: Credentials, bus: Bus) -> None:
        self.wire = Wire(settings, credentials, bus, self)
        self.rooms = Rooms(self.wire)
        self.roster = Roster(self.wire)
        self.lists = Lists(self.wire)
        self.inbound = Inbound(self.wire, self.rooms, self.roster, self.lists)
        self.presence = self._first_presence()
        self.inactive = False
        self.followed: set[int] = set()

    # -- what wire and driver call

    def received(self, stanza: Stanza) -> None:
        """A stanza came in that answers nothing."""
        self.inbound.take(stanza)

    async def begin(self, again: bool) -> None:
        """Furnish a new session: contact list, presence, carbons; then what the last session had (U-41).

        What is asked last is answered when the server has handled the presence: whoever writes to the user after
        `connect` finds the user here.
        """
        wire, new_id = self.wire, self.wire.ids.request
        roster = None
        if wire.settings.roster:
            get = RosterGet(id=new_id(), query=RosterQuery())
            roster = wire.ask(get, "the contact list", then=self._loaded)
        await self._appear(roster)
        carbons = wire.ask(EnableCarbonsRequest(id=new_id(), enable=CarbonsEnable()), "message carbons")
        await self._optional(carbons, "message carbons")
        if again:
            await _all([self.rooms.restore(), self.lists.restore(), *self._restored()])

    def lost(self) -> None:
        """The session is gone for good."""
        self.rooms.lost()
        self.roster.lost()
        self.lists.lost()

    def ended(self) -> None:
        """The connection is given up: a later one begins without what was restored in this one."""
        self.rooms.forget()
        self.followed.clear()
        self.inactive = False
        self.presence = self._first_presence()

    def announce(self) -> None:
        """Say again that the user is here."""
        if self.presence is not None:
            self.wire.post(self.presence)

    def _first_presence(self) -> AvailablePresence | None:
        return AvailablePresence() if self.wire.settings.initial_presence else None

    # -- parts of a session

    async def _appear(self, roster: Awaitable[Stanza] | None) -> None:
        """Say who is here once the contact list is known: the contacts' presences and requests come in answer to that,
        and a server need not keep them behind the list (RFC 6121 section 2.2)."""
        try:
            if roster is not None:
                await roster
        except (RequestRefused, RequestTimedOut, DecodeError) as error:
            # Not every application has contact lists (U-44).
            logger.info("there is no contact list: %s", error)
        self.announce()

    def _loaded(self, answer: Stanza) -> None:
        if isinstance(answer, RosterResult):
            self.roster.loaded(answer)

    async def _optional(self, answer: Awaitable[Stanza], what: str) -> None:
        """What a server need not have: the chat goes on without it."""
        try:
            await answer
        except (RequestRefused, RequestTimedOut, DecodeError) as error:
            logger.warning("the session is without %s: %s", what, error)

    def _restored(self) -> list[Awaitable[None]]:
        followed = [self.follow(user_id, True) for user_id in sorted(self.followed)]
        found: list[Awaitable[None]] = [self._optional(answer, "a user's last activity") for answer in followed]
        if self.inactive:
            found.append(self._optional(self.set_inactive(True), "its client state"))
        return found

    def set_inactive(self, inactive: bool) -> Awaitable[Stanza]:
        """Ask the server to take the app for inactive, or active (K-52)."""
        state = MobileStateSet(id=self.wire.ids.request(), state=MobileState(inactive=inactive))
        return self.wire.ask(state, "the client state")

    def follow(self, user_id: int, enable: bool) -> Awaitable[Stanza]:
        """Ask to be told of a user's coming and going, or no more (K-51)."""
        subscription = StatusSubscription(user_jid=self.wire.settings.user(user_id), enable=enable)
        request = StatusStreamingSet(id=self.wire.ids.request(), subscription=subscription)
        return self.wire.ask(request, f"the last activity of user {user_id}")


async def _all(waiting: list[Awaitable[Any]]) -> None:
    """Wait for all, and let none run on where one fails."""
    tasks = [asyncio.ensure_future(entry) for entry in waiting]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
