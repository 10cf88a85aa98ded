"""Contact lists: reading, changes and their pushes, subscriptions (RFC 6121 sections 2 and 3, K-61)."""

from __future__ import annotations

from attrs import define, evolve

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
)

from ..addresses import Addresses, Jid
from ..config import Limits
from ..domain.accounts import Accounts
from ..domain.contacts import Contacts, ContactState
from ..domain.privacy import What
from .faults import StanzaRefused
from .kinds import Subscription, addressed
from .presences import Presences
from .router import Router
from .session import Session
from .subscriptions import Kind, inbound, outbound

__all__ = ["Roster"]

_CLASSES: dict[Kind, type[Subscription]] = {
    "subscribe": Subscribe,
    "subscribed": Subscribed,
    "unsubscribe": Unsubscribe,
    "unsubscribed": Unsubscribed,
}
_KINDS: dict[type[Stanza], Kind] = {stanza: kind for kind, stanza in _CLASSES.items()}


@define(eq=False)
class Roster:
    """Every user's contact list. Contacts are users of the application."""

    _router: Router
    _addresses: Addresses
    _limits: Limits
    _accounts: Accounts
    _contacts: Contacts
    _presences: Presences

    # -- requests

    def read(self, session: Session, request: RosterGet) -> Stanza:
        """Return the list, or nothing if the client already has its version (RFC 6121 section 2.6)."""
        session.interested = True
        version = str(self._contacts.version(session.user_id))
        if request.query.ver == version:
            return IqResult(id=request.id, to=session.jid)
        items = tuple(self._item(state) for state in self._contacts.listed(session.user_id))
        return RosterResult(id=request.id, to=session.jid, query=RosterQuery(ver=version, items=items))

    def _item(self, state: ContactState) -> RosterItem:
        return RosterItem(
            jid=self._addresses.user(state.contact_id),
            name=state.name,
            subscription=state.subscription,
            ask="subscribe" if state.ask else None,
            approved=True if state.approved else None,
            groups=state.groups,
        )

    def change(self, session: Session, request: RosterSet) -> Stanza:
        """Add, rename, group or remove a contact (K-62, K-63).

        :raises StanzaRefused: if it can't be a contact, or its names are not acceptable.
        """
        if len(request.query.items) != 1:
            raise StanzaRefused("bad-request", "one contact at a time")
        item = request.query.items[0]
        contact_id = self._addresses.user_id(Jid.parse(item.jid))
        if contact_id is None:
            raise StanzaRefused("item-not-found", "only users of the application can be contacts")
        if contact_id == session.user_id:
            raise StanzaRefused("not-allowed", "users can't be their own contact")
        state = self._contacts.get(session.user_id, contact_id)
        if item.subscription == "remove":
            self._remove(session.user_id, state)
        else:
            if self._accounts.find(contact_id) is None:
                raise StanzaRefused("item-not-found")
            self._check_names(item)
            with self._presences.hiding(session.user_id):
                self._put(session.user_id, evolve(state, name=item.name, groups=item.groups, listed=True))
        return IqResult(id=request.id, to=session.jid)

    def _check_names(self, item: RosterItem) -> None:
        """RFC 6121 section 2.3.3."""
        limits = self._limits
        if len(set(item.groups)) != len(item.groups):
            raise StanzaRefused("bad-request", "the contact is twice in the same group")
        if "" in item.groups:
            raise StanzaRefused("not-acceptable", "a group needs a name")
        if len(item.groups) > limits.contact_groups:
            raise StanzaRefused("not-acceptable", f"a contact is in at most {limits.contact_groups} groups")
        if any(len(name) > limits.contact_name for name in (item.name or "", *item.groups)):
            raise StanzaRefused("not-acceptable", f"a name has at most {limits.contact_name} characters")

    def _put(self, user_id: int, state: ContactState) -> None:
        version = self._contacts.put(user_id, state)
        if state.listed:
            self._push(user_id, self._item(state), version)

    def _push(self, user_id: int, item: RosterItem, version: int) -> None:
        """Push a change to the devices that requested the list (RFC 6121 section 2.1.6)."""
        for session in self._router.sessions(user_id):
            if session.interested:
                query = RosterQuery(ver=str(version), items=(item,))
                push = RosterSet(id=self._router.new_id("roster"), from_=session.bare, to=session.jid, query=query)
                session.send(push)

    def _remove(self, user_id: int, state: ContactState) -> None:
        """Take a contact off the list, and end both subscriptions (RFC 6121 section 2.5)."""
        if not state.listed:
            raise StanzaRefused("item-not-found")
        contact_id = state.contact_id
        version = self._contacts.remove(user_id, contact_id)
        item = RosterItem(jid=self._addresses.user(contact_id), subscription="remove")
        self._push(user_id, item, version)
        if state.to or state.ask:
            self._tell(user_id, contact_id, "unsubscribe")
        if state.from_ or state.pending_in:
            self._tell(user_id, contact_id, "unsubscribed")
        if state.from_:
            self._presences.hide(user_id, contact_id)

    # -- subscriptions

    def handle(self, session: Session, stanza: Subscription, contact_id: int) -> None:
        """Handle a client's subscription stanza to a contact (K-40 to K-43).

        :raises StanzaRefused: if it is addressed to the user's own account, or the user's own list blocks it.
        """
        user_id = session.user_id
        if contact_id == user_id:
            raise StanzaRefused("not-allowed", "users can't be their own contact")
        if not self._router.allows(session, What.OTHER, Jid.parse(self._addresses.user(contact_id))):
            raise StanzaRefused("not-acceptable")
        kind = _KINDS[type(stanza)]
        before = self._contacts.get(user_id, contact_id)
        outcome = outbound(before, kind)
        if outcome.state != before:
            self._put(user_id, outcome.state)
        if outcome.passes:
            self._tell(user_id, contact_id, kind, stanza)
        if kind == "subscribed" and outcome.state.from_ and not before.from_:
            self._presences.show(user_id, contact_id)
        elif kind == "unsubscribed" and before.from_:
            self._presences.hide(user_id, contact_id)

    def _tell(self, user_id: int, contact_id: int, kind: Kind, stanza: Subscription | None = None) -> None:
        """Take a user's subscription stanza to the contact's side."""
        addresses = self._addresses
        sender, receiver = addresses.user(user_id), addresses.user(contact_id)
        if self._accounts.find(contact_id) is None:
            return
        if not self._router.allows_user(contact_id, What.OTHER, Jid.parse(sender)):
            return
        stanza = addressed(stanza or _CLASSES[kind](), from_=sender, to=receiver)
        before = self._contacts.get(contact_id, user_id)
        outcome = inbound(before, kind, stanza.to_xml())
        if outcome.state != before:
            self._put(contact_id, outcome.state)
        if outcome.passes:
            for session in self._router.available(contact_id):
                session.send(stanza)
        if outcome.answer is not None:
            self._tell(contact_id, user_id, outcome.answer)
        if outcome.state.from_ and (not before.from_ or outcome.answer is not None):
            self._presences.show(contact_id, user_id)
        elif before.from_ and not outcome.state.from_:
            self._presences.hide(contact_id, user_id)
