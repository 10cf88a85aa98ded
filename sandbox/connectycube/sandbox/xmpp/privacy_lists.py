"""The requests that read and change privacy lists (XEP-0016, K-55 to K-60)."""

from __future__ import annotations

from collections.abc import Collection

from attrs import define

from connectycube.stanzas import (
    ActiveList,
    DefaultList,
    IqResult,
    PrivacyItem,
    PrivacyList,
    PrivacyQuery,
    PrivacyRequest,
    PrivacyResult,
    PrivacySet,
    Stanza,
)

from ..addresses import Jid
from ..domain.contacts import Contacts
from ..domain.privacy import Privacy
from .faults import StanzaRefused
from .presences import Presences
from .router import Router
from .session import Session

__all__ = ["PrivacyLists"]

_FIELDS = ("type", "value", "action", "order", "message", "presence_in", "presence_out", "iq")


@define(eq=False)
class PrivacyLists:
    """Serves users' requests about their lists."""

    _router: Router
    _privacy: Privacy
    _contacts: Contacts
    _presences: Presences

    # -- reading

    def read(self, session: Session, request: PrivacyRequest) -> Stanza:
        """Return the names of the lists, or one list (K-59, K-60).

        :raises StanzaRefused: if there is no such list.
        """
        query = request.query
        if query.active is not None or query.default is not None or len(query.lists) > 1:
            raise StanzaRefused("bad-request", "request one list at a time")
        if query.lists:
            name = query.lists[0].name
            rules = self._privacy.get(session.user_id, name)
            if rules is None:
                raise StanzaRefused("item-not-found")
            found = PrivacyQuery(lists=(PrivacyList(name=name, items=tuple(PrivacyItem(**rule) for rule in rules)),))
        else:
            default = self._privacy.default(session.user_id)
            found = PrivacyQuery(
                active=None if session.active_list is None else ActiveList(name=session.active_list),
                default=None if default is None else DefaultList(name=default),
                lists=tuple(PrivacyList(name=name) for name in self._privacy.names(session.user_id)),
            )
        return PrivacyResult(id=request.id, to=session.jid, query=found)

    # -- changing

    def change(self, session: Session, request: PrivacySet) -> Stanza:
        """Select, change or delete a list (K-55 to K-58).

        :raises StanzaRefused: if there is no such list, or another device uses it.
        """
        query = request.query
        if (query.active is not None) + (query.default is not None) + len(query.lists) != 1:
            raise StanzaRefused("bad-request", "request one change at a time")
        with self._presences.hiding(session.user_id):
            if query.active is not None:
                self._require(session.user_id, query.active.name)
                session.active_list = query.active.name
            elif query.default is not None:
                self._set_default(session, query.default.name)
            else:
                self._set_list(session, query.lists[0])
        return IqResult(id=request.id, to=session.jid)

    def _require(self, user_id: int, name: str | None) -> None:
        if name is not None and self._privacy.get(user_id, name) is None:
            raise StanzaRefused("item-not-found")

    def _set_default(self, session: Session, name: str | None) -> None:
        """Change the default list, unless another device uses the current one (XEP-0016 section 2.5)."""
        self._require(session.user_id, name)
        current = self._privacy.default(session.user_id)
        if current is not None and current != name and self._relied_on(session, None):
            raise StanzaRefused("conflict", "another device uses the default list")
        self._privacy.set_default(session.user_id, name)

    def _relied_on(self, session: Session, active: str | None) -> bool:
        """Return whether another device has an active list, or, for `None`, uses the default.

        One that lost its connection holds no list: it may never come back, and its user already has.
        """
        others = self._router.sessions(session.user_id)
        return any(one is not session and one.stream is not None and one.active_list == active for one in others)

    def _set_list(self, session: Session, wanted: PrivacyList) -> None:
        user_id, name = session.user_id, wanted.name
        if not wanted.items:
            self._remove(session, name)
        else:
            _check(wanted, self._contacts.groups(user_id))
            rules = [{field: getattr(item, field) for field in _FIELDS} for item in wanted.items]
            self._privacy.set(user_id, name, rules)
        for one in self._router.sessions(user_id):
            query = PrivacyQuery(lists=(PrivacyList(name=name),))
            one.send(PrivacySet(id=self._router.new_id("privacy"), to=one.jid, query=query))

    def _remove(self, session: Session, name: str) -> None:
        """Delete a list (XEP-0016 section 2.7). Clients send a list without rules for that (F-101)."""
        self._require(session.user_id, name)
        is_default = self._privacy.default(session.user_id) == name
        if self._relied_on(session, name) or (is_default and self._relied_on(session, None)):
            raise StanzaRefused("conflict", "another device uses the list")
        self._privacy.delete(session.user_id, name)
        for one in self._router.sessions(session.user_id):
            if one.active_list == name:
                one.active_list = None


def _check(found: PrivacyList, groups: Collection[str]) -> None:
    """Validate a list's rules (XEP-0016 sections 2.1 and 2.6).

    :param groups: the groups of its owner's contacts.
    :raises StanzaRefused: `bad-request`, or `item-not-found` for a group without contacts.
    """
    orders = [item.order for item in found.items]
    if len(set(orders)) != len(orders):
        raise StanzaRefused("bad-request", "two rules have the same order")
    for item in found.items:
        if (item.type is None) != (item.value is None):
            raise StanzaRefused("bad-request", "a rule needs both type and value, or neither")
        if item.type == "group" and item.value not in groups:
            raise StanzaRefused("item-not-found", "there is no contact in that group")
        if item.type == "subscription" and item.value not in ("none", "to", "from", "both"):
            raise StanzaRefused("bad-request", "unknown subscription state")
        if item.type == "jid":
            try:
                Jid.parse(item.value or "")
            except ValueError:
                raise StanzaRefused("bad-request", "the value is not a JID") from None
