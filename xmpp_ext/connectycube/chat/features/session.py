"""Everything a session has besides its stream: presence, rooms, contacts and lists, restored in the next session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from connectycube.rest import DecodeError
from connectycube.stanzas import CarbonsEnable, EnableCarbonsRequest, RosterGet, RosterQuery, RosterResult, Stanza

from ..connection.traffic import Traffic
from ..errors import RequestRefused, RequestUnanswered
from .inbound import Inbound
from .messages import Messages
from .presence import Presence
from .privacy_lists import Lists
from .rooms import Rooms
from .roster import Roster
from .server_time import ServerTime

__all__ = ["SessionFeatures"]

logger = logging.getLogger("connectycube.chat")


class SessionFeatures:
    """The features of a chat, attached to its traffic. The driver reports when a session begins and ends."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._appearing = self._restoring = False
        self.time = ServerTime(traffic)
        self.messages = Messages(traffic, self.time)
        self.presence = Presence(traffic)
        self.rooms = Rooms(traffic)
        self.roster = Roster(traffic)
        self.lists = Lists(traffic)
        inbound = Inbound(traffic, self.messages, self.presence, self.rooms, self.roster, self.lists)
        traffic.receive = inbound.take
        self.mark_delivered = inbound.mark_delivered

    async def begin(self, again: bool) -> None:
        """Set up a new session, and restore what the previous one had if `again`.

        The answer about carbons proves that the server has handled the presence sent before: once `connect` returns,
        anyone who writes to the user finds the user online.
        """
        traffic, new_id = self._traffic, self._traffic.ids.request
        self._appearing = again
        self.time.ask()  # First of all: once the user is present, the answer may have to wait behind a backlog.
        roster = None
        if traffic.settings.roster:
            get = RosterGet(id=new_id(), query=RosterQuery())
            roster = traffic.request(get, "the contact list", then=self._loaded)
        await self._appear(roster)
        carbons = traffic.request(EnableCarbonsRequest(id=new_id(), enable=CarbonsEnable()), "message carbons")
        await _optional(carbons, "message carbons")
        self._appearing, self._restoring = False, again
        if again:  # U-41
            requests = [_optional(answer, what) for answer, what in self.presence.restore()]
            await _all([self.rooms.restore(), self.lists.restore(), *requests])
        self._restoring = False

    def refused(self, condition: str) -> None:
        """Drop what the session was restoring, if the server may have ended the stream over it.

        Otherwise each further session would end in the same way.
        """
        if self._appearing:
            self.presence.drop(f"the server closes the stream over it: {condition}")
        elif self._restoring:
            self.presence.drop_requests(condition)

    def lost(self) -> None:
        """Forget what belongs to the session: it is gone, and with it what the server knew of it."""
        self._appearing = self._restoring = False
        self.rooms.lost()
        self.roster.lost()
        self.lists.lost()

    def ended(self) -> None:
        """Forget what a reconnect would restore: there is no further session until the user wants one."""
        self.rooms.forget()
        self.presence.reset()

    async def _appear(self, roster: Awaitable[Stanza] | None) -> None:
        """Announce the user once the contact list is known.

        The server answers with the presences of the contacts, which it need not hold back until it has sent the list
        (RFC 6121 section 2.2).
        """
        try:
            if roster is not None:
                await roster
        except (RequestRefused, RequestUnanswered, DecodeError) as error:
            # Not every application has contact lists (U-44).
            logger.info("there is no contact list: %s", error)
        self.presence.announce()

    def _loaded(self, answer: Stanza) -> None:
        if isinstance(answer, RosterResult):
            self.roster.loaded(answer)


async def _optional(answer: Awaitable[Stanza], what: str) -> None:
    """Wait for what a server may lack: the chat works without it."""
    try:
        await answer
    except (RequestRefused, RequestUnanswered, DecodeError) as error:
        logger.warning("the session is without %s: %s", what, error)


async def _all(waiting: list[Awaitable[Any]]) -> None:
    """Wait for all, and cancel the others if one fails."""
    tasks = [asyncio.ensure_future(entry) for entry in waiting]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
