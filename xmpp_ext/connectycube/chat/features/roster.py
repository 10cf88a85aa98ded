"""The contact list as the server keeps it: a machine for each contact, requests and inbound stanzas.

`contacts.Contacts` is its public face (RFC 6121 sections 2 and 3, section 3.5 of the facts).
"""

from __future__ import annotations

import logging
from typing import Any, Final

from connectycube.stanzas import (
    AvailablePresence,
    RosterItem,
    RosterQuery,
    RosterResult,
    RosterSet,
    Stanza,
    Subscribe,
    Subscribed,
    UnavailablePresence,
    Unsubscribe,
    Unsubscribed,
)

from .. import events, models
from .._ids import bare
from ..connection.traffic import Traffic
from ..errors import NotConnected
from ..machines import contact_list as cl
from ..machines.contact_list import State

__all__ = ["GRANTED", "INCOMING", "Roster"]

logger = logging.getLogger("connectycube.chat")

MOST_REQUESTS: Final = 10_000
"""Requests of users that may wait. Strangers can make up any number of them."""
SUBSCRIPTIONS: Final = {
    State.NONE: models.Subscription.NONE,
    State.NONE_OUT: models.Subscription.NONE,
    State.NONE_IN: models.Subscription.NONE,
    State.NONE_OUT_IN: models.Subscription.NONE,
    State.TO: models.Subscription.TO,
    State.TO_IN: models.Subscription.TO,
    State.FROM: models.Subscription.FROM,
    State.FROM_OUT: models.Subscription.FROM,
    State.BOTH: models.Subscription.BOTH,
}
KNOWN: Final = frozenset(str(value) for value in models.Subscription)
"""The values of an item's subscription; others are ignored (RFC 6121 section 2.1.2.5)."""
INCOMING: Final = frozenset((State.NONE_IN, State.NONE_OUT_IN, State.TO_IN))
"""The contact has requested a subscription."""
OUTGOING: Final = frozenset((State.NONE_OUT, State.NONE_OUT_IN, State.FROM_OUT))
"""The user has requested a subscription."""
SEEN: Final = frozenset((State.TO, State.TO_IN, State.BOTH))
"""The user receives the contact's presence."""
GRANTED: Final = frozenset((State.FROM, State.FROM_OUT, State.BOTH))
"""The contact receives the user's presence."""
PRESENCES: Final[dict[str, type[Any]]] = {
    "subscribe": Subscribe,
    "subscribed": Subscribed,
    "unsubscribe": Unsubscribe,
    "unsubscribed": Unsubscribed,
}
EVENTS: Final[dict[type[Any], type[Any]]] = {
    Subscribe: cl.SubscribeReceived,
    Subscribed: cl.SubscribedReceived,
    Unsubscribe: cl.UnsubscribeReceived,
    Unsubscribed: cl.UnsubscribedReceived,
}
EMITTED: Final[dict[type[Any], type[Any]]] = {
    cl.TellRequested: events.ContactRequested,
    cl.TellAccepted: events.ContactAccepted,
    cl.TellRejected: events.ContactRejected,
}


class _Entry:
    """A user with a subscription, or a request for one."""

    __slots__ = ("groups", "in_turn", "listed", "machine", "name", "resources", "status")

    def __init__(self) -> None:
        self.machine = cl.Subscription()
        self.listed = False
        """Whether it is in the server's list. A user who only asks is not (RFC 6121 appendix A.1)."""
        self.name: str | None = None
        self.groups: tuple[str, ...] = ()
        self.resources: dict[str, str | None] = {}
        """The devices that are online, and their status texts."""
        self.status: str | None = None
        self.in_turn = False
        """Whether the user's own request only answers one that was accepted.

        That it is granted is not news then (section 3.5 of the facts).
        """


class Roster:
    """All users with a subscription, or a request for one."""

    __slots__ = ("_announced", "_entries", "_traffic", "_user_of")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._user_of = traffic.settings.addresses.user_of
        self._entries: dict[int, _Entry] = {}
        self._announced: set[int] = set()
        """Users whose request was emitted as an event: the server repeats it in each session."""

    # -- what is known

    def contact(self, user_id: int) -> models.Contact | None:
        """Return a contact, or `None` without a subscription on either side."""
        entry = self._entries.get(user_id)
        if entry is None or not _is_contact(entry):
            return None
        return models.Contact(
            user_id=user_id,
            name=entry.name,
            subscription=SUBSCRIPTIONS[entry.machine.state],
            online=bool(entry.resources),
            status=entry.status,
        )

    def contacts(self) -> tuple[int, ...]:
        """Return the users who are contacts."""
        return tuple(user for user, entry in self._entries.items() if _is_contact(entry))

    def incoming(self) -> tuple[int, ...]:
        """Return the users whose request is not answered yet."""
        return tuple(user for user, entry in self._entries.items() if entry.machine.state in INCOMING)

    def outgoing(self) -> tuple[int, ...]:
        """Return the users who have not answered a request yet."""
        return tuple(user for user, entry in self._entries.items() if entry.machine.state in OUTGOING)

    def state(self, user_id: int) -> State:
        """Return the state of the subscription with a user."""
        entry = self._entries.get(user_id)
        return State.NONE if entry is None else entry.machine.state

    # -- requests

    async def ask(self, user_id: int, name: str | None = None, *, in_turn: bool = False) -> None:
        """Add a user to the list and request a subscription.

        :param name: a name for the list; default: the present one.
        :param in_turn: whether this answers a request that was accepted.
        """
        entry = self._entry(user_id)
        entry.in_turn = in_turn
        await self._set(user_id, f"adding user {user_id}", name=name or entry.name, groups=entry.groups)
        await self.want(user_id, cl.Subscribe())

    async def remove(self, user_id: int) -> None:
        """Remove a user from the list, on both sides."""
        if self.state(user_id) in OUTGOING:
            # On removal, the server cancels subscriptions (RFC 6121 section 2.5.2), but not a pending request.
            await self.want(user_id, cl.Unsubscribe())
        await self._set(user_id, f"removing user {user_id}", subscription="remove")

    async def rename(self, user_id: int, name: str | None) -> None:
        """Give a user another name in the list, or none."""
        await self._set(user_id, f"renaming user {user_id}", name=name, groups=self._entry(user_id).groups)

    async def _set(self, user_id: int, what: str, **item: Any) -> None:
        jid = self._traffic.settings.addresses.user(user_id)
        query = RosterQuery(items=(RosterItem(jid=jid, **item),))
        await self._traffic.request(RosterSet(id=self._traffic.ids.request(), query=query), what)

    async def want(self, user_id: int, event: cl.Event) -> None:
        """Pass the user's wish to the machine, write what it decides, and wait until the server has that."""
        if not self._traffic.online:
            raise NotConnected("the chat is not connected: the contact list is unchanged")
        before = self.state(user_id)
        _, writes = self._step(user_id, event)
        if self.state(user_id) is not before:
            self._traffic.bus.emit(events.ContactsChanged(user_ids=(user_id,)))
        for stanza in writes:
            await self._traffic.post_and_wait(stanza)

    # -- the machines

    def _entry(self, user_id: int) -> _Entry:
        entry = self._entries.get(user_id)
        if entry is None:
            entry = self._entries[user_id] = _Entry()
        return entry

    def _step(self, user_id: int, event: Any) -> tuple[bool, list[Stanza]]:
        """Pass an event to the machine of a contact, and emit what follows.

        :returns: whether the entry has changed, and the stanzas to write.
        """
        entry = self._entry(user_id)
        changed, writes = False, list[Stanza]()
        for effect in entry.machine.handle(event):
            if isinstance(effect, cl.Write):
                writes.append(PRESENCES[effect.type](to=self._traffic.settings.addresses.user(user_id)))
            elif isinstance(effect, cl.TellChanged):
                changed = True
            else:
                self._emit(effect, user_id)
        # Forget what no longer applies in the new state.
        if entry.machine.state not in SEEN:
            entry.resources.clear()
        if entry.machine.state not in INCOMING:
            self._announced.discard(user_id)
        if entry.machine.state is State.NONE and not entry.listed:
            self._entries.pop(user_id, None)  # Strangers must not fill the memory.
        return changed, writes

    def _emit(self, effect: cl.TellRequested | cl.TellAccepted | cl.TellRejected, user_id: int) -> None:
        entry = self._entry(user_id)
        if isinstance(effect, cl.TellRequested):
            if user_id in self._announced:
                return
            self._announced.add(user_id)
        elif isinstance(effect, cl.TellAccepted) and entry.in_turn:
            entry.in_turn = False
            return
        self._traffic.bus.emit(EMITTED[type(effect)](user_id=user_id))

    # -- inbound

    def loaded(self, result: RosterResult) -> None:
        """Replace the list with the server's, and emit what differs."""
        before = {user: self.contact(user) for user in self._entries}
        listed: set[int] = set()
        for item in result.query.items:
            user_id, subscription = self._user_of(item.jid), item.subscription or "none"
            if user_id is None or subscription not in KNOWN:
                continue
            listed.add(user_id)
            self._take(user_id, item)
            event = cl.Loaded(subscription=subscription, ask=item.ask == "subscribe")
            self._entry(user_id).machine.handle(event)
        for user_id in [user for user in self._entries if user not in listed]:
            # A user who only has a request is not in the list (RFC 6121 appendix A.1). The server repeats the request,
            # unless it was withdrawn meanwhile.
            del self._entries[user_id]
        changed = tuple(user for user in {*before, *self._entries} if self.contact(user) != before.get(user))
        if changed:
            self._traffic.bus.emit(events.ContactsChanged(user_ids=changed))

    def pushed(self, item: RosterItem) -> None:
        """Process a change of the list by any device of the account (RFC 6121 section 2.1.6)."""
        user_id, subscription = self._user_of(item.jid), item.subscription or "none"
        if user_id is None:
            return
        if subscription == "remove":
            self._received(user_id, cl.Removed())
            self._entries.pop(user_id, None)
            changed = True
        elif subscription not in KNOWN:
            return
        else:
            renamed = self._take(user_id, item)
            entry = self._entry(user_id)
            asked = entry.machine.state is State.NONE_IN
            event = cl.Pushed(subscription=subscription, ask=item.ask == "subscribe")
            changed = self._received(user_id, event) or renamed
            if asked and entry.machine.state in (State.FROM, State.FROM_OUT):
                entry.in_turn = True  # Accepted on another device, which sends a request in turn.
        if changed:
            self._traffic.bus.emit(events.ContactsChanged(user_ids=(user_id,)))

    def _received(self, user_id: int, event: Any) -> bool:
        """Pass an inbound event to the machine of a contact, and write its answer.

        :returns: whether the entry has changed.
        """
        changed, writes = self._step(user_id, event)
        for stanza in writes:
            self._traffic.post(stanza)
        return changed

    def _take(self, user_id: int, item: RosterItem) -> bool:
        """Update the name and groups of an entry. Clients that have no name use the address, which does not count.

        :returns: whether the name has changed.
        """
        entry = self._entry(user_id)
        entry.listed = True
        name = item.name or None
        if name == f"{user_id}-{self._traffic.settings.addresses.app_id}":
            name = None
        changed = entry.name != name
        entry.name, entry.groups = name, item.groups
        return changed

    def subscription(self, stanza: Subscribe | Subscribed | Unsubscribe | Unsubscribed) -> None:
        """Process a presence about a subscription."""
        # K-40 to K-43
        user_id = self._user_of(stanza.from_)
        if user_id is None or user_id == self._traffic.credentials.user_id:
            return
        if user_id not in self._entries and len(self._announced) >= MOST_REQUESTS:
            logger.debug("a presence from user %d is ignored: %d requests wait already", user_id, MOST_REQUESTS)
            return  # The server repeats requests in the next session.
        if self._received(user_id, EVENTS[type(stanza)]()):
            self._traffic.bus.emit(events.ContactsChanged(user_ids=(user_id,)))

    def presence(self, stanza: AvailablePresence | UnavailablePresence) -> None:
        """Process the presence of a contact's device."""
        # K-44, K-45
        jid = stanza.from_ or ""
        user_id = self._user_of(jid)
        if user_id is None:
            return
        entry = self._entries.get(user_id)
        if entry is None or entry.machine.state not in SEEN:
            return
        resource = jid[len(bare(jid)) + 1 :]
        if isinstance(stanza, AvailablePresence):
            entry.resources[resource] = stanza.status
        elif resource:
            entry.resources.pop(resource, None)
        else:
            entry.resources.clear()  # From the bare address, it means all devices.
        entry.status = stanza.status
        online = bool(entry.resources)
        self._traffic.bus.emit(events.ContactPresence(user_id=user_id, online=online, status=stanza.status))

    def lost(self) -> None:
        """Forget who is online: the session is gone."""
        for entry in self._entries.values():
            entry.resources.clear()


def _is_contact(entry: _Entry) -> bool:
    return SUBSCRIPTIONS[entry.machine.state] is not models.Subscription.NONE
