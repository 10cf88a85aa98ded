"""The user's presence, the state of the app, and the presence of others: last activity and pings."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Literal

from connectycube.rest import InvalidArgument
from connectycube.stanzas import (
    AvailablePresence,
    LastActivityQuery,
    LastActivityRequest,
    LastActivityResult,
    MobileState,
    MobileStateSet,
    Ping,
    PingRequest,
    Stanza,
    StatusStreamingSet,
    StatusSubscription,
)

from .._settings import checked_seconds
from ..connection.traffic import Traffic
from ..errors import RequestRefused
from .arguments import UserId, user_id_of

__all__ = ["Presence"]

logger = logging.getLogger("connectycube.chat")


class Presence:
    """The user's presence, the app's state and the followed users, kept for the next session."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.reset()

    def reset(self) -> None:
        """Return to the initial presence, and follow nobody."""
        self._current = self._initial()
        self._inactive = False
        self._followed: set[int] = set()

    def _initial(self) -> AvailablePresence | None:
        return AvailablePresence() if self._traffic.settings.initial_presence else None

    def set(self, status: str | None, show: Literal["away", "chat", "dnd", "xa"] | None, priority: int | None) -> None:
        """Send a presence to the contacts."""
        if show not in (None, "away", "chat", "dnd", "xa"):
            raise InvalidArgument("show", f"must be 'away', 'chat', 'dnd' or 'xa', not {show!r}")
        if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int)):
            raise InvalidArgument("priority", f"must be a whole number, not {priority!r}")
        presence = AvailablePresence(status=status, show=show, priority=priority)
        self._traffic.post(presence)
        self._current = presence

    def announce(self) -> None:
        """Send the current presence again. Without an initial presence there is none until the user sets it."""
        if self._current is not None:
            try:
                self._traffic.post(self._current)
            except InvalidArgument as error:  # It was sent before: the server's limit is lower now.
                self.drop(str(error))
                if (initial := self._initial()) is not None:
                    self._traffic.post(initial)

    def drop(self, problem: str) -> None:
        """Return to the initial presence, because the user's own can't be sent any more."""
        initial = self._initial()
        if self._current != initial:
            logger.error("the presence that was set is dropped: %s", problem)
            self._current = initial

    def drop_requests(self, condition: str) -> None:
        """Restore neither the followed users nor the app's state any more: the server closes the stream over them."""
        if self._followed or self._inactive:
            logger.error("followed users and the client state are not restored any more: %s", condition)
            self._followed.clear()
            self._inactive = False

    async def ping(self, user_id: UserId | None, timeout: float | None) -> float:
        """Ping the server, or a user's client, and return the seconds until the response."""
        traffic, addresses = self._traffic, self._traffic.settings.addresses
        to = addresses.host if user_id is None else addresses.user(user_id_of(user_id))
        if timeout is not None:
            checked_seconds("timeout", timeout)
        start = traffic.loop.time()
        await traffic.request(PingRequest(id=traffic.ids.request(), to=to, ping=Ping()), "a ping", timeout)
        return traffic.loop.time() - start

    async def set_inactive(self, inactive: bool) -> None:
        """Tell the server whether the app is in use."""
        await self._request_inactive(inactive)
        self._inactive = inactive

    async def last_activity(self, user_id: UserId) -> int:
        """Request the seconds since a user was last active."""
        user_id = user_id_of(user_id)
        what = f"asking for the last activity of user {user_id}"
        to = self._traffic.settings.addresses.user(user_id)
        # K-49
        request = LastActivityRequest(id=self._traffic.ids.request(), to=to, query=LastActivityQuery())
        answer = await self._traffic.request(request, what)
        if not isinstance(answer, LastActivityResult):
            raise RequestRefused(what, None)
        return answer.query.seconds

    async def follow(self, user_id: UserId) -> None:
        """Subscribe to a user's last activity."""
        user_id = user_id_of(user_id)
        await self._request_follow(user_id, True)
        self._followed.add(user_id)

    async def unfollow(self, user_id: UserId) -> None:
        """Unsubscribe from a user's last activity."""
        user_id = user_id_of(user_id)
        answer = self._request_follow(user_id, False)
        # Forgotten even if the server never answers: the next session must not follow the user again.
        self._followed.discard(user_id)
        await answer

    def restore(self) -> list[tuple[Awaitable[Stanza], str]]:
        """Request what the previous session had.

        :returns: for each request its answer, and what the session lacks if it fails.
        """
        found = [(self._request_follow(user_id, True), "a user's last activity") for user_id in sorted(self._followed)]
        if self._inactive:
            found.append((self._request_inactive(True), "its client state"))
        return found

    def _request_inactive(self, inactive: bool) -> Awaitable[Stanza]:
        # K-52
        state = MobileStateSet(id=self._traffic.ids.request(), state=MobileState(inactive=inactive))
        return self._traffic.request(state, "the client state")

    def _request_follow(self, user_id: int, enable: bool) -> Awaitable[Stanza]:
        user_jid = self._traffic.settings.addresses.user(user_id)
        # K-51
        subscription = StatusSubscription(user_jid=user_jid, enable=enable)
        request = StatusStreamingSet(id=self._traffic.ids.request(), subscription=subscription)
        return self._traffic.request(request, f"the last activity of user {user_id}")
