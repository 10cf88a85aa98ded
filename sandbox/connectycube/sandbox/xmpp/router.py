"""Who is connected, and which of a user's devices receive a stanza (RFC 6121 section 8.5, XEP-0280 section 7)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from ..addresses import Jid
from ..domain.privacy import Privacy, What
from .session import Session

__all__ = ["Route", "Router", "route"]


@frozen
class Route:
    """The devices of a user that receive a message, and those that receive a copy of it."""

    direct: list[Session]
    copies: list[Session]


def route(devices: Sequence[Session], resource: str | None, *, headline: bool = False) -> Route:
    """Choose the devices that receive a message.

    A bare JID reaches every available device whose priority isn't negative, a full JID only that device. If the device
    is gone, the bare JID counts instead, except for headlines.
    """
    direct = [one for one in devices if one.resource == resource]
    if not direct and not (headline and resource is not None):
        direct = [one for one in devices if one.available and one.priority >= 0]
    return Route(direct, [one for one in devices if one.carbons and one not in direct])


@define(eq=False)
class Router:
    """The bound devices. Every part of the chat finds the devices of a user here."""

    _privacy: Privacy
    _sessions: dict[int, dict[str, Session]] = field(factory=dict, init=False)
    _last_id: int = field(default=0, init=False)

    def add(self, session: Session) -> None:
        """Make a device reachable."""
        self._sessions.setdefault(session.user_id, {})[session.resource] = session

    def remove(self, session: Session) -> None:
        """Make a device unreachable."""
        devices = self._sessions.get(session.user_id, {})
        devices.pop(session.resource, None)
        if not devices:
            self._sessions.pop(session.user_id, None)

    def all(self) -> list[Session]:
        """Return every device."""
        return [session for devices in self._sessions.values() for session in devices.values()]

    def sessions(self, user_id: int) -> list[Session]:
        """Return a user's devices, including those that lost their connection and may resume."""
        return list(self._sessions.get(user_id, {}).values())

    def available(self, user_id: int) -> list[Session]:
        """Return a user's devices that have sent presence."""
        return [session for session in self.sessions(user_id) if session.available]

    def session(self, user_id: int, resource: str | None) -> Session | None:
        """Return one device, or `None` if it isn't connected."""
        return self._sessions.get(user_id, {}).get(resource or "")

    def managed(self, user_id: int, management_id: str) -> Session | None:
        """Return a user's device by the id of its stream management, or `None` if it can't be resumed."""
        for session in self.sessions(user_id):
            if session.management is not None and session.management.id == management_id:
                return session
        return None

    def new_id(self, prefix: str) -> str:
        """Return a stanza id that was not used before."""
        self._last_id += 1
        return f"{prefix}-{self._last_id}"

    # -- privacy lists

    def active_lists(self, user_id: int) -> list[str | None]:
        """Return the active privacy list of each device that receives a message to a user."""
        return [one.active_list for one in route(self.sessions(user_id), None).direct]

    def allows(self, session: Session, what: What, peer: Jid) -> bool:
        """Return whether a device's privacy list lets a stanza pass: its active list, or else the default."""
        return self._privacy.lets_pass(session.user_id, what, peer, active=session.active_list)

    def allows_user(self, user_id: int, what: What, peer: Jid) -> bool:
        """Return whether a user's default privacy list lets a stanza pass."""
        return self._privacy.lets_pass(user_id, what, peer)
