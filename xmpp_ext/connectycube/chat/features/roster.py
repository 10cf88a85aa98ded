"""The contact list as the server keeps it: a machine for each contact, what is asked of it and what comes in.

What a user sees of it is `contacts.Contacts` (RFC 6121 sections 2 and 3, facts 3.5).
"""

from __future__ import annotations

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
from .._addresses import bare, user_of
from ..connection.traffic import Wire
from ..errors import NotConnected
from ..machines import contact_list as cl
from ..machines.contact_list import State

__all__ = ["GRANTED", "INCOMING", "Roster"]

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
"""What an item may say of its subscription; others are ignored (RFC 6121 section 2.1.2.5)."""
INCOMING: Final = frozenset((State.NONE_IN, State.NONE_OUT_IN, State.TO_IN))
"""The contact has asked."""
OUTGOING: Final = frozenset((State.NONE_OUT, State.NONE_OUT_IN, State.FROM_OUT))
"""The user has asked."""
SEEN: Final = frozenset((State.TO, State.TO_IN, State.BOTH))
"""The user gets the contact's presence."""
GRANTED: Final = frozenset((State.FROM, State.FROM_OUT, State.BOTH))
"""The contact gets the user's presence."""
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
TOLD: Final[dict[type[Any], type[Any]]] = {
    cl.TellRequested: events.ContactRequested,
    cl.TellAccepted: events.ContactAccepted,
    cl.TellRejected: events.ContactRejected,
}


class _Entry:
    """A user with whom there is, was or may be a subscription."""

    __slots__ = ("groups", "in_turn", "machine", "name", "resources", "status")

    def __init__(self) -> None:
        self.machine = cl.Subscription()
        self.name: str | None = None
        self.groups: tuple[str, ...] = ()
        self.resources: dict[str, str | None] = {}
        """The devices that are online, with their status texts."""
        self.status: str | None = None
        self.in_turn = False
        """The user's own request only answers one that was accepted: that it is granted is no news (facts 3.5)."""


class Roster:
    """All users with whom there is a subscription, or a request for one."""

    __slots__ = ("_entries", "_told", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._entries: dict[int, _Entry] = {}
        self._told: set[int] = set()
        """Who asks, as far as it was told: the server says it again in each session."""

    # -- what is known

    def contact(self, user_id: int) -> models.Contact | None:
        """A contact; `None` where there is no subscription on either side."""
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
        """The users who are contacts."""
        return tuple(user for user, entry in self._entries.items() if _is_contact(entry))

    def incoming(self) -> tuple[int, ...]:
        """Who asks and has no answer yet."""
        return tuple(user for user, entry in self._entries.items() if entry.machine.state in INCOMING)

    def outgoing(self) -> tuple[int, ...]:
        """Who was asked and has not answered yet."""
        return tuple(user for user, entry in self._entries.items() if entry.machine.state in OUTGOING)

    def state(self, user_id: int) -> State:
        """How the user and another one stand."""
        entry = self._entries.get(user_id)
        return State.NONE if entry is None else entry.machine.state

    # -- what is asked

    async def ask(self, user_id: int, name: str | None = None, *, in_turn: bool = False) -> None:
        """Put a user in the list and ask for a subscription.

        :param name: a name for the list; default: the one that there is.
        :param in_turn: it answers a request that was accepted.
        """
        entry = self._entry(user_id)
        entry.in_turn = in_turn
        await self._set(user_id, f"adding user {user_id}", name=name or entry.name, groups=entry.groups)
        await self._want(user_id, cl.Subscribe())

    async def accept(self, user_id: int) -> None:
        """Accept a user's request."""
        await self._want(user_id, cl.Subscribed())

    async def reject(self, user_id: int) -> None:
        """Reject a user's request, or take an earlier acceptance back."""
        await self._want(user_id, cl.Unsubscribed())

    async def remove(self, user_id: int) -> None:
        """Take a user out of the list, on both sides."""
        if self.state(user_id) in OUTGOING:
            # The server takes back what was granted, but not what was only asked for.
            await self._want(user_id, cl.Unsubscribe())
        await self._set(user_id, f"removing user {user_id}", subscription="remove")

    async def rename(self, user_id: int, name: str | None) -> None:
        """Give a user another name in the list, or none."""
        await self._set(user_id, f"renaming user {user_id}", name=name, groups=self._entry(user_id).groups)

    async def _set(self, user_id: int, what: str, **item: Any) -> None:
        jid = self._wire.settings.user(user_id)
        query = RosterQuery(items=(RosterItem(jid=jid, **item),))
        await self._wire.request(RosterSet(id=self._wire.ids.request(), query=query), what)

    async def _want(self, user_id: int, event: Any) -> None:
        """Let the machine say what to write, and wait until the server has it."""
        if not self._wire.online:
            raise NotConnected("the chat is not connected: the contact list is as it was")
        before = self.state(user_id)
        _, writes = self._step(user_id, event)
        if self.state(user_id) is not before:
            self._wire.bus.tell(events.ContactsChanged(user_ids=(user_id,)))
        for stanza in writes:
            await self._wire.deliver(stanza)

    # -- the machines

    def _entry(self, user_id: int) -> _Entry:
        entry = self._entries.get(user_id)
        if entry is None:
            entry = self._entries[user_id] = _Entry()
        return entry

    def _step(self, user_id: int, event: Any) -> tuple[bool, list[Stanza]]:
        """Tell the machine of a contact what happened.

        :returns: whether what came in has changed the entry, and what is to be written.
        """
        entry = self._entry(user_id)
        changed, writes = False, list[Stanza]()
        for effect in entry.machine.handle(event):
            if isinstance(effect, cl.Write):
                writes.append(PRESENCES[effect.type](to=self._wire.settings.user(user_id)))
            elif isinstance(effect, cl.TellChanged):
                changed = True
            else:
                self._tell(effect, user_id)
        # Forget what the state has overtaken: who is online, and that a request was told.
        if entry.machine.state not in SEEN:
            entry.resources.clear()
        if entry.machine.state not in INCOMING:
            self._told.discard(user_id)
        return changed, writes

    def _tell(self, effect: cl.TellRequested | cl.TellAccepted | cl.TellRejected, user_id: int) -> None:
        entry = self._entry(user_id)
        if isinstance(effect, cl.TellRequested):
            if user_id in self._told:
                return
            self._told.add(user_id)
        elif isinstance(effect, cl.TellAccepted) and entry.in_turn:
            entry.in_turn = False
            return
        self._wire.bus.tell(TOLD[type(effect)](user_id=user_id))

    # -- what comes in

    def loaded(self, result: RosterResult) -> None:
        """Take over the list as the server has it now; what differs from before is told."""
        before = {user: self.contact(user) for user in self._entries}
        here: set[int] = set()
        for item in result.query.items:
            user_id, subscription = user_of(item.jid), item.subscription or "none"
            if user_id is None or subscription not in KNOWN:
                continue
            here.add(user_id)
            self._take(user_id, item)
            event = cl.Loaded(subscription=subscription, ask=item.ask == "subscribe")
            self._entry(user_id).machine.handle(event)
        for user_id in [user for user in self._entries if user not in here]:
            # Who only asks is in no list; the server says so again, unless the request was withdrawn meanwhile.
            del self._entries[user_id]
        changed = tuple(user for user in {*before, *self._entries} if self.contact(user) != before.get(user))
        if changed:
            self._wire.bus.tell(events.ContactsChanged(user_ids=changed))

    def pushed(self, item: RosterItem) -> None:
        """A change of the list, made by any device of the account (RFC 6121 section 2.1.6)."""
        user_id, subscription = user_of(item.jid), item.subscription or "none"
        if user_id is None:
            return
        if subscription == "remove":
            self._came(user_id, cl.Removed())
            del self._entries[user_id]
            changed = True
        elif subscription not in KNOWN:
            return
        else:
            renamed = self._take(user_id, item)
            entry = self._entry(user_id)
            asked = entry.machine.state is State.NONE_IN
            event = cl.Pushed(subscription=subscription, ask=item.ask == "subscribe")
            changed = self._came(user_id, event) or renamed
            if asked and entry.machine.state in (State.FROM, State.FROM_OUT):
                entry.in_turn = True  # Accepted on another device, which asks in turn.
        if changed:
            self._wire.bus.tell(events.ContactsChanged(user_ids=(user_id,)))

    def _came(self, user_id: int, event: Any) -> bool:
        """Tell the machine of a contact what came in, and write its answer.

        :returns: whether the entry has changed.
        """
        changed, writes = self._step(user_id, event)
        for stanza in writes:
            self._wire.post(stanza)
        return changed

    def _take(self, user_id: int, item: RosterItem) -> bool:
        """Name and groups of an entry; a name like the address counts as none.

        :returns: whether the name has changed.
        """
        entry = self._entry(user_id)
        name = item.name or None
        if name == f"{user_id}-{self._wire.settings.app_id}":
            name = None
        changed = entry.name != name
        entry.name, entry.groups = name, item.groups
        return changed

    def subscription(self, stanza: Subscribe | Subscribed | Unsubscribe | Unsubscribed) -> None:
        """A presence about a subscription (K-40 to K-43)."""
        user_id = user_of(stanza.from_)
        if user_id is None or user_id == self._wire.credentials.user_id:
            return
        if self._came(user_id, EVENTS[type(stanza)]()):
            self._wire.bus.tell(events.ContactsChanged(user_ids=(user_id,)))

    def presence(self, stanza: AvailablePresence | UnavailablePresence) -> None:
        """A contact's device came, changed or went (K-44, K-45)."""
        jid = stanza.from_ or ""
        user_id = user_of(jid)
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
            entry.resources.clear()
        entry.status = stanza.status
        told = events.ContactPresence(user_id=user_id, online=bool(entry.resources), status=stanza.status)
        self._wire.bus.tell(told)

    def lost(self) -> None:
        """The session is gone: who is online is not known any more."""
        for entry in self._entries.values():
            entry.resources.clear()


def _is_contact(entry: _Entry) -> bool:
    return SUBSCRIPTIONS[entry.machine.state] is not models.Subscription.NONE
