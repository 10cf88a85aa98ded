"""Contact lists: reading, changing, telling devices of changes, and subscriptions (RFC 6121 sections 2 and 3, K-61)."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from attrs import evolve

from connectycube.stanzas import (
    IqResult,
    RosterGet,
    RosterItem,
    RosterQuery,
    RosterResult,
    RosterSet,
    Stanza,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    parse,
)

from ..domain.contacts import ContactState
from .addresses import Jid
from .faults import StanzaRefused
from .kinds import Subscription, addressed
from .privacy import What
from .subscriptions import Kind, inbound, outbound

if TYPE_CHECKING:
    from .chat import Chat
    from .session import Session

__all__ = ["Roster"]

_KINDS: dict[type[Stanza], Kind] = {
    Subscribe: "subscribe",
    Subscribed: "subscribed",
    Unsubscribe: "unsubscribe",
    Unsubscribed: "unsubscribed",
}
_CLASSES: dict[Kind, type[Subscribe] | type[Subscribed] | type[Unsubscribe] | type[Unsubscribed]] = {
    "subscribe": Subscribe,
    "subscribed": Subscribed,
    "unsubscribe": Unsubscribe,
    "unsubscribed": Unsubscribed,
}


class Roster:
    """Everyone's contact list. Contacts are users of the application."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._store = chat.core.contacts

    # -- requests

    def read(self, session: Session, request: RosterGet) -> Stanza:
        """The list; nothing where the client has its version already (RFC 6121 section 2.6)."""
        session.interested = True
        version = str(self._store.version(session.user_id))
        if request.query.ver == version:
            return IqResult(id=request.id, to=session.jid)
        items = tuple(self._item(state) for state in self._store.listed(session.user_id))
        return RosterResult(id=request.id, to=session.jid, query=RosterQuery(ver=version, items=items))

    def _item(self, state: ContactState) -> RosterItem:
        return RosterItem(
            jid=self._chat.addresses.user(state.contact_id),
            name=state.name,
            subscription=state.subscription,
            ask="subscribe" if state.ask else None,
            approved=True if state.approved else None,
            groups=state.groups,
        )

    def change(self, session: Session, request: RosterSet) -> Stanza:
        """Add, rename, put in groups or remove a contact (K-62, K-63).

        :raises StanzaRefused: if it is no contact, or its names are not acceptable.
        """
        if len(request.query.items) != 1:
            raise StanzaRefused("bad-request", "one contact at a time")
        item = request.query.items[0]
        contact_id = self._chat.addresses.user_id(Jid.parse(item.jid))
        if contact_id is None:
            raise StanzaRefused("item-not-found", "only users of the application can be contacts")
        if contact_id == session.user_id:
            raise StanzaRefused("not-allowed", "nobody is one's own contact")
        state = self._store.get(session.user_id, contact_id)
        if item.subscription == "remove":
            self._remove(session.user_id, state)
        else:
            if self._chat.core.accounts.find(contact_id) is None:
                raise StanzaRefused("item-not-found")
            self._check_names(item)
            with self._chat.presences.hiding(session.user_id):
                self._put(session.user_id, evolve(state, name=item.name, groups=item.groups, listed=True))
        return IqResult(id=request.id, to=session.jid)

    def _check_names(self, item: RosterItem) -> None:
        """RFC 6121 section 2.3.3."""
        limits = self._chat.limits
        if len(set(item.groups)) != len(item.groups):
            raise StanzaRefused("bad-request", "the contact is twice in the same group")
        if "" in item.groups:
            raise StanzaRefused("not-acceptable", "a group has a name; a contact in no group has no <group/>")
        if len(item.groups) > limits.contact_groups:
            raise StanzaRefused("not-acceptable", f"a contact is in at most {limits.contact_groups} groups")
        if any(len(name) > limits.contact_name for name in (item.name or "", *item.groups)):
            raise StanzaRefused("not-acceptable", f"a name has at most {limits.contact_name} characters")

    def _put(self, user_id: int, state: ContactState) -> None:
        version = self._store.put(user_id, state)
        if state.listed:
            self._push(user_id, self._item(state), version)

    def _push(self, user_id: int, item: RosterItem, version: int) -> None:
        """Tell the devices that have asked for the list (RFC 6121 section 2.1.6)."""
        for session in self._chat.sessions(user_id):
            if session.interested:
                query = RosterQuery(ver=str(version), items=(item,))
                session.send(
                    RosterSet(id=f"roster-{self._chat.number()}", from_=session.bare, to=session.jid, query=query)
                )

    def _remove(self, user_id: int, state: ContactState) -> None:
        """Off the list, and out of all subscriptions (RFC 6121 section 2.5)."""
        if not state.listed:
            raise StanzaRefused("item-not-found")
        contact_id = state.contact_id
        version = self._store.remove(user_id, contact_id)
        item = RosterItem(jid=self._chat.addresses.user(contact_id), subscription="remove")
        self._push(user_id, item, version)
        if state.to or state.ask:
            self._tell(user_id, contact_id, "unsubscribe")
        if state.from_ or state.pending_in:
            self._tell(user_id, contact_id, "unsubscribed")
        if state.from_:
            self._chat.presences.hide(user_id, contact_id)

    # -- subscriptions

    def handle(self, session: Session, stanza: Subscription, contact_id: int) -> None:
        """A request of a client about a contact (K-40 to K-43).

        :raises StanzaRefused: if it is none about another, or blocked by the user's own list.
        """
        user_id = session.user_id
        if contact_id == user_id:
            raise StanzaRefused("not-allowed", "nobody is one's own contact")
        if not self._chat.privacy.allows(session, What.OTHER, Jid.parse(self._chat.addresses.user(contact_id))):
            raise StanzaRefused("not-acceptable")
        kind = _KINDS[type(stanza)]
        before = self._store.get(user_id, contact_id)
        outcome = outbound(before, kind)
        if outcome.state != before:
            self._put(user_id, outcome.state)
        if outcome.passes:
            self._tell(user_id, contact_id, kind, stanza)
        if kind == "subscribed" and outcome.state.from_ and not before.from_:
            self._chat.presences.show(user_id, contact_id)
        elif kind == "unsubscribed" and before.from_:
            self._chat.presences.hide(user_id, contact_id)

    def _tell(self, user_id: int, contact_id: int, kind: Kind, stanza: Subscription | None = None) -> None:
        """A user's request reaches the contact's side."""
        addresses = self._chat.addresses
        sender, receiver = addresses.user(user_id), addresses.user(contact_id)
        if self._chat.core.accounts.find(contact_id) is None:
            return
        if not self._chat.privacy.allows_user(contact_id, What.OTHER, Jid.parse(sender)):
            return
        stanza = addressed(stanza or _CLASSES[kind](), from_=sender, to=receiver)
        before = self._store.get(contact_id, user_id)
        outcome = inbound(before, kind, stanza.to_xml())
        if outcome.state != before:
            self._put(contact_id, outcome.state)
        if outcome.passes:
            for session in self._chat.available(contact_id):
                session.send(stanza)
        if outcome.answer is not None:
            self._tell(contact_id, user_id, outcome.answer)
        if outcome.state.from_ and (not before.from_ or outcome.answer is not None):
            self._chat.presences.show(contact_id, user_id)
        elif before.from_ and not outcome.state.from_:
            self._chat.presences.hide(contact_id, user_id)

    def redeliver(self, session: Session) -> None:
        """Requests that wait for an answer are shown again (RFC 6121 section 3.1.3)."""
        for state in self._store.all(session.user_id):
            if state.pending_in and state.request is not None:
                stanza = parse(state.request)
                assert isinstance(stanza, get_args(Subscription))
                session.send(stanza)
