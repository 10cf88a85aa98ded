"""The contact list: `chat.contacts` (RFC 6121 sections 2 and 3, facts 3.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from connectycube.rest import InvalidArgument
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

from . import events, models
from ._addresses import bare, user_of
from .errors import NotConnected
from .machines import contact_list as cl
from .machines.contact_list import State

if TYPE_CHECKING:
    from ._wire import Wire

__all__ = ["Contacts"]

logger = logging.getLogger("connectycube.chat")

SUBSCRIPTIONS = {
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
INCOMING = frozenset((State.NONE_IN, State.NONE_OUT_IN, State.TO_IN))
OUTGOING = frozenset((State.NONE_OUT, State.NONE_OUT_IN, State.FROM_OUT))
SEEN = frozenset((State.TO, State.TO_IN, State.BOTH))
PRESENCES: dict[str, type[Any]] = {
    "subscribe": Subscribe,
    "subscribed": Subscribed,
    "unsubscribe": Unsubscribe,
    "unsubscribed": Unsubscribed,
}
EVENTS: dict[type[Any], type[Any]] = {
    Subscribe: cl.SubscribeReceived,
    Subscribed: cl.SubscribedReceived,
    Unsubscribe: cl.UnsubscribeReceived,
    Unsubscribed: cl.UnsubscribedReceived,
}
TOLD: dict[type[Any], type[Any]] = {
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


class Contacts(Mapping[int, models.Contact]):
    """The contacts by user id: all users with whom there is a subscription on at least one side.

    The server keeps the list; it is loaded in each new session. Changes are told as `ContactsChanged`, whoever made
    them.

    :ivar limit: how many contacts there may be; `None` for no limit (F-089).
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._entries: dict[int, _Entry] = {}
        self._told: set[int] = set()
        """Who asks, as far as it was told: the server says it again in each session."""
        self.limit: int | None = 300

    # -- reading

    def __getitem__(self, user_id: int) -> models.Contact:
        entry = self._entries[user_id]
        subscription = SUBSCRIPTIONS[entry.machine.state]
        if subscription is models.Subscription.NONE:
            raise KeyError(user_id)
        return models.Contact(
            user_id=user_id,
            name=entry.name,
            subscription=subscription,
            online=bool(entry.resources),
            status=entry.status,
        )

    def __iter__(self) -> Iterator[int]:
        none = models.Subscription.NONE
        return iter([user for user, entry in self._entries.items() if SUBSCRIPTIONS[entry.machine.state] is not none])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Contacts {list(self)}>"

    @property
    def incoming(self) -> tuple[int, ...]:
        """Users who ask to be a contact and have no answer yet (F-087)."""
        return tuple(user for user, entry in self._entries.items() if entry.machine.state in INCOMING)

    @property
    def outgoing(self) -> tuple[int, ...]:
        """Users who were asked and have not answered yet (F-087)."""
        return tuple(user for user, entry in self._entries.items() if entry.machine.state in OUTGOING)

    # -- changing

    async def request(self, user_id: int, *, name: str | None = None) -> None:
        """Ask a user to be a contact (F-088). The answer comes as `ContactAccepted` or `ContactRejected`.

        :param user_id: whom.
        :param name: a name for the list.
        :raises InvalidArgument: if it is oneself, or the list is full.
        :raises RequestRefused: if the server refuses.
        """
        self._not_me(user_id)
        self._entry(user_id).in_turn = False
        await self._request(user_id, name)

    async def _request(self, user_id: int, name: str | None = None) -> None:
        users = {*self, *self.outgoing}
        if self.limit is not None and user_id not in users and len(users) >= self.limit:
            raise InvalidArgument("user_id", f"can't be added: a contact list holds {self.limit} users at most")
        entry = self._entry(user_id)
        await self._set(user_id, f"adding user {user_id}", name=name or entry.name, groups=entry.groups)
        await self._want(user_id, cl.Subscribe())

    async def accept(self, user_id: int, *, mutual: bool = True) -> None:
        """Accept a user's request (F-091).

        :param user_id: who asked.
        :param mutual: ask that user in turn, so that each sees the other; the user's client accepts that silently.
        :raises InvalidArgument: if the user has not asked.
        :raises RequestRefused: if the server refuses.
        """
        self._asked(user_id)
        await self._want(user_id, cl.Subscribed())
        if mutual and self._entry(user_id).machine.state is State.FROM:
            self._entry(user_id).in_turn = True
            await self._request(user_id)

    async def reject(self, user_id: int) -> None:
        """Reject a user's request (F-093), or take an earlier acceptance back.

        :param user_id: who asked.
        :raises InvalidArgument: if the user has not asked and sees nothing.
        """
        self._wire.settings.user(user_id)
        entry = self._entries.get(user_id)
        sees = entry is not None and entry.machine.state in (State.FROM, State.FROM_OUT, State.BOTH)
        if not sees:
            self._asked(user_id)
        await self._want(user_id, cl.Unsubscribed())

    async def remove(self, user_id: int) -> None:
        """Remove a contact, or take a request back, on both sides (F-095).

        :param user_id: whom.
        :raises RequestRefused: if the server refuses, as where there is no such contact.
        """
        self._wire.settings.user(user_id)
        if user_id in self.outgoing:
            # The server takes back what was granted, but not what was only asked for.
            await self._want(user_id, cl.Unsubscribe())
        await self._set(user_id, f"removing user {user_id}", subscription="remove")

    async def rename(self, user_id: int, name: str | None) -> None:
        """Give a contact another name in the list (X-53).

        :param user_id: whom.
        :param name: the name; `None` for none.
        :raises InvalidArgument: if there is no such contact.
        :raises RequestRefused: if the server refuses.
        """
        self._wire.settings.user(user_id)
        if user_id not in self:
            raise InvalidArgument("user_id", f"{user_id} is no contact")
        await self._set(user_id, f"renaming user {user_id}", name=name, groups=self._entries[user_id].groups)

    def _not_me(self, user_id: int) -> None:
        self._wire.settings.user(user_id)
        if user_id == self._wire.credentials.user_id:
            raise InvalidArgument("user_id", "is one's own")

    def _asked(self, user_id: int) -> None:
        self._wire.settings.user(user_id)
        if user_id not in self.incoming:
            raise InvalidArgument("user_id", f"{user_id} has not asked to be a contact")

    async def _set(self, user_id: int, what: str, **item: Any) -> None:
        jid = self._wire.settings.user(user_id)
        query = RosterQuery(items=(RosterItem(jid=jid, **item),))
        await self._wire.request(RosterSet(id=self._wire.ids.request(), query=query), what)

    async def _want(self, user_id: int, event: Any) -> None:
        """Let the machine say what to write, and wait until the server has it."""
        if not self._wire.online:
            raise NotConnected("the chat is not connected: the contact list is as it was")
        writes: list[Stanza] = []
        entry = self._entry(user_id)
        before = entry.machine.state
        for effect in entry.machine.handle(event):
            if isinstance(effect, cl.Write):
                writes.append(PRESENCES[effect.type](to=self._wire.settings.user(user_id)))
            else:
                self._tell(effect, user_id)
        self._settle(user_id)
        if entry.machine.state is not before:
            self._wire.bus.tell(events.ContactsChanged(user_ids=(user_id,)))
        for stanza in writes:
            await self._wire.deliver(stanza)

    # -- what comes in

    def _entry(self, user_id: int) -> _Entry:
        entry = self._entries.get(user_id)
        if entry is None:
            entry = self._entries[user_id] = _Entry()
        return entry

    def _handle(self, user_id: int, event: Any) -> bool:
        """Tell the machine of a contact what came in.

        :returns: whether its entry has changed.
        """
        changed = False
        for effect in self._entry(user_id).machine.handle(event):
            if isinstance(effect, cl.Write):
                self._wire.post(PRESENCES[effect.type](to=self._wire.settings.user(user_id)))
            elif isinstance(effect, cl.TellChanged):
                changed = True
            else:
                self._tell(effect, user_id)
        self._settle(user_id)
        return changed

    def _settle(self, user_id: int) -> None:
        """Forget what the state has overtaken: who is online, and that a request was told."""
        entry = self._entry(user_id)
        if entry.machine.state not in SEEN:
            entry.resources.clear()
        if entry.machine.state not in INCOMING:
            self._told.discard(user_id)

    def _tell(self, effect: Any, user_id: int) -> None:
        entry = self._entry(user_id)
        if isinstance(effect, cl.TellRequested):
            if user_id in self._told:
                return
            self._told.add(user_id)
        elif isinstance(effect, cl.TellAccepted) and entry.in_turn:
            entry.in_turn = False
            return
        if type(effect) in TOLD:
            self._wire.bus.tell(TOLD[type(effect)](user_id=user_id))

    def loaded(self, result: RosterResult) -> None:
        """Take over the list as the server has it now; what differs from before is told."""
        before = {user: self.get(user) for user in self._entries}
        here: set[int] = set()
        for item in result.query.items:
            user_id = user_of(item.jid)
            if user_id is None:
                continue
            here.add(user_id)
            self._take(user_id, item)
            event = cl.Loaded(subscription=item.subscription or "none", ask=item.ask == "subscribe")
            self._entry(user_id).machine.handle(event)
        for user_id in [user for user in self._entries if user not in here]:
            # Who only asks is in no list; the server says so again, unless the request was withdrawn meanwhile.
            del self._entries[user_id]
        changed = tuple(user for user in {*before, *self._entries} if self.get(user) != before.get(user))
        if changed:
            self._wire.bus.tell(events.ContactsChanged(user_ids=changed))

    def pushed(self, item: RosterItem) -> None:
        """A change of the list, made by any device of the account (RFC 6121 section 2.1.6)."""
        user_id = user_of(item.jid)
        if user_id is None:
            return
        if item.subscription == "remove":
            self._handle(user_id, cl.Removed())
            del self._entries[user_id]
            changed = True
        else:
            renamed = self._take(user_id, item)
            entry = self._entry(user_id)
            asked = entry.machine.state is State.NONE_IN
            event = cl.Pushed(subscription=item.subscription or "none", ask=item.ask == "subscribe")
            changed = self._handle(user_id, event) or renamed
            if asked and entry.machine.state in (State.FROM, State.FROM_OUT):
                entry.in_turn = True  # Accepted on another device, which asks in turn.
        if changed:
            self._wire.bus.tell(events.ContactsChanged(user_ids=(user_id,)))

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
        if self._handle(user_id, EVENTS[type(stanza)]()):
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
