"""Users' privacy lists: which is in force, and the requests that read and change them (XEP-0016, K-55 to K-60)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectycube.stanzas import (
    ActiveList,
    DefaultList,
    IqResult,
    PrivacyList,
    PrivacyQuery,
    PrivacyRequest,
    PrivacyResult,
    PrivacySet,
    Stanza,
)

from .addresses import Jid
from .faults import StanzaRefused
from .privacy import What, check_list, items_of, rules_of

if TYPE_CHECKING:
    from .chat import Chat
    from .session import Session

__all__ = ["PrivacyLists"]


class PrivacyLists:
    """Asks the lists, and serves those who read and change theirs."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._store = chat.core.privacy

    # -- asking

    def allows(self, session: Session, what: What, peer: Jid) -> bool:
        """Return whether the list in force for a device lets a stanza pass: its active list, else the default."""
        return self._store.lets_pass(session.user_id, what, peer, active=session.active_list)

    def allows_user(self, user_id: int, what: What, peer: Jid) -> bool:
        """Return whether a user's default list lets a stanza pass."""
        return self._store.lets_pass(user_id, what, peer)

    # -- reading

    def read(self, session: Session, request: PrivacyRequest) -> Stanza:
        """The names of the lists, or one list (K-59, K-60).

        :raises StanzaRefused: if there is no such list.
        """
        query = request.query
        if query.active is not None or query.default is not None or len(query.lists) > 1:
            raise StanzaRefused("bad-request", "one list at a time can be asked for")
        if query.lists:
            name = query.lists[0].name
            rules = self._store.get(session.user_id, name)
            if rules is None:
                raise StanzaRefused("item-not-found")
            found = PrivacyQuery(lists=(PrivacyList(name=name, items=items_of(rules)),))
        else:
            default = self._store.default(session.user_id)
            found = PrivacyQuery(
                active=None if session.active_list is None else ActiveList(name=session.active_list),
                default=None if default is None else DefaultList(name=default),
                lists=tuple(PrivacyList(name=name) for name in self._store.names(session.user_id)),
            )
        return PrivacyResult(id=request.id, to=session.jid, query=found)

    # -- changing

    def change(self, session: Session, request: PrivacySet) -> Stanza:
        """Choose, change or remove a list (K-55 to K-58).

        :raises StanzaRefused: if there is no such list, or another device needs it as it is.
        """
        query = request.query
        if (query.active is not None) + (query.default is not None) + len(query.lists) != 1:
            raise StanzaRefused("bad-request", "one change at a time")
        with self._chat.presences.hiding(session.user_id):
            if query.active is not None:
                self._require(session.user_id, query.active.name)
                session.active_list = query.active.name
            elif query.default is not None:
                self._set_default(session, query.default.name)
            else:
                self._set_list(session, query.lists[0])
        return IqResult(id=request.id, to=session.jid)

    def _require(self, user_id: int, name: str | None) -> None:
        if name is not None and self._store.get(user_id, name) is None:
            raise StanzaRefused("item-not-found")

    def _set_default(self, session: Session, name: str | None) -> None:
        """XEP-0016 section 2.5: not while another device relies on the list that is the default."""
        self._require(session.user_id, name)
        current = self._store.default(session.user_id)
        if current is not None and current != name and self._relied_on(session, None):
            raise StanzaRefused("conflict", "another device uses the default list")
        self._store.set_default(session.user_id, name)

    def _relied_on(self, session: Session, active: str | None) -> bool:
        """Whether another device has this active list; `None` is the default list."""
        others = self._chat.sessions(session.user_id)
        return any(one is not session and one.active_list == active for one in others)

    def _set_list(self, session: Session, wanted: PrivacyList) -> None:
        user_id, name = session.user_id, wanted.name
        if not wanted.items:
            self._remove(session, name)
        else:
            check_list(wanted, self._chat.core.contacts.groups(user_id))
            self._store.set(user_id, name, rules_of(wanted))
        for one in self._chat.sessions(user_id):
            number = f"privacy-{self._chat.number()}"
            one.send(PrivacySet(id=number, to=one.jid, query=PrivacyQuery(lists=(PrivacyList(name=name),))))

    def _remove(self, session: Session, name: str) -> None:
        """XEP-0016 section 2.7. A list without rules is how one is removed (F-101)."""
        self._require(session.user_id, name)
        is_default = self._store.default(session.user_id) == name
        if self._relied_on(session, name) or (is_default and self._relied_on(session, None)):
            raise StanzaRefused("conflict", "another device uses the list")
        self._store.delete(session.user_id, name)
        if session.active_list == name:
            session.active_list = None
