"""Privacy lists: the stored rules, and what they let pass (XEP-0016 section 2, facts 3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import define, field

from ..addresses import Addresses, Jid
from ..errors import forbidden
from ..storage import Database, dump, load
from .contacts import Contacts, ContactState
from .presence import Presence

__all__ = ["Privacy", "Rule", "What", "lets_pass"]

Rule = Mapping[str, Any]
"""One item of a list, in the form in which it is stored."""
_FLAGS = ("message", "presence_in", "presence_out", "iq")
_STRANGER = ContactState(contact_id=0)


class What(Enum):
    """The kinds of stanza that a rule can name. Only rules that name no kind apply to `OTHER`."""

    MESSAGE_IN = "message"
    PRESENCE_IN = "presence_in"
    PRESENCE_OUT = "presence_out"
    IQ_IN = "iq"
    OTHER = "other"
    """Outgoing messages and requests, and presence subscriptions in both directions."""


@define(eq=False)
class Privacy:
    """Every user's privacy lists, and which of them is the default."""

    _db: Database
    _addresses: Addresses
    _contacts: Contacts
    _presence: Presence
    # A broadcast asks about every reader, so the default lists are kept in memory.
    _defaults: dict[int, Sequence[Rule]] = field(factory=dict, init=False)

    # -- what passes

    def require_passage(self, sender_id: int, recipient_id: int) -> None:
        """Check that both users' lists let through what one sends the other over REST (F-109).

        :raises Refused: 403 if they don't.
        """
        if sender_id == recipient_id:
            return
        sender, recipient = (Jid.parse(self._addresses.user(one)) for one in (sender_id, recipient_id))
        # Without a device to receive it, the recipient's default list decides.
        active_lists = self._presence.active_lists(recipient_id) or (None,)
        received = any(self.lets_pass(recipient_id, What.MESSAGE_IN, sender, active=one) for one in active_lists)
        if not received or not self.lets_pass(sender_id, What.OTHER, recipient):
            raise forbidden("A privacy list forbids that")

    def lets_pass(self, user_id: int, what: What, peer: Jid, *, active: str | None = None) -> bool:
        """Return whether a user's privacy list lets a stanza pass.

        :param peer: the other side of the exchange.
        :param active: name of the device's active list. Without one, the user's default list applies.
        """
        rules = self._default_rules(user_id) if active is None else self.get(user_id, active)
        if not rules:
            return True
        other = self._addresses.user_id(peer)
        if other == user_id or (peer.local is None and peer.resource is None):
            # Users can lock out neither their own devices nor the server.
            return True
        return lets_pass(rules, what, peer, _STRANGER if other is None else self._contacts.get(user_id, other))

    def _default_rules(self, user_id: int) -> Sequence[Rule]:
        found = self._defaults.get(user_id)
        if found is None:
            name = self.default(user_id)
            found = self._defaults[user_id] = () if name is None else self.get(user_id, name) or ()
        return found

    def reset(self) -> None:
        """Forget the default lists of users who no longer exist."""
        self._defaults.clear()

    # -- the lists

    def names(self, user_id: int) -> list[str]:
        """Return the names of a user's lists."""
        return self._db.column("SELECT name FROM privacy_lists WHERE user_id = ? ORDER BY name", user_id)

    def get(self, user_id: int, name: str) -> Sequence[Rule] | None:
        """Return the rules of a list, or `None` if there is no such list."""
        sql = "SELECT items FROM privacy_lists WHERE user_id = ? AND name = ?"
        found: Sequence[Rule] | None = load(self._db.value(sql, user_id, name))
        return found

    def set(self, user_id: int, name: str, rules: Sequence[Rule]) -> None:
        """Create a list, or replace its rules (F-105)."""
        self._db.run(
            "INSERT INTO privacy_lists (user_id, name, items) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET items = excluded.items",
            user_id,
            name,
            dump([dict(rule) for rule in rules]),
        )
        self._defaults.pop(user_id, None)

    def delete(self, user_id: int, name: str) -> None:
        """Delete a list."""
        self._db.run("DELETE FROM privacy_lists WHERE user_id = ? AND name = ?", user_id, name)
        self._defaults.pop(user_id, None)

    def default(self, user_id: int) -> str | None:
        """Return the name of the list that applies to all of a user's devices, if there is one."""
        name: str | None = self._db.value("SELECT name FROM privacy_lists WHERE user_id = ? AND is_default", user_id)
        return name

    def set_default(self, user_id: int, name: str | None) -> None:
        """Make an existing list the default, or go without one."""
        self._db.run("UPDATE privacy_lists SET is_default = (name IS ?) WHERE user_id = ?", name, user_id)
        self._defaults.pop(user_id, None)


def lets_pass(rules: Iterable[Rule], what: What, peer: Jid, contact: ContactState) -> bool:
    """Return whether rules let a stanza pass. The first that applies decides; if none does, the stanza passes.

    :param peer: the other side of the exchange.
    :param contact: the list owner's contact state for the peer.
    """
    for rule in sorted(rules, key=lambda one: int(one["order"])):
        named = [flag for flag in _FLAGS if rule.get(flag)]
        if (not named or what.value in named) and _applies(rule, peer, contact):
            return bool(rule["action"] == "allow")
    return True


def _applies(rule: Rule, peer: Jid, contact: ContactState) -> bool:
    if rule["type"] is None:
        return True
    if rule["type"] == "subscription":
        return bool(rule["value"] == contact.subscription)
    if rule["type"] == "group":
        return rule["value"] in contact.groups
    return _matches(Jid.parse(rule["value"]), peer)


def _matches(value: Jid, peer: Jid) -> bool:
    """Return whether `user@domain/resource`, `user@domain`, `domain/resource` or `domain` matches a peer.

    The third form addresses groups: `muc.host/user id` is that user in any room (U-47).
    """
    if value.domain != peer.domain:
        return False
    if value.local is not None and value.local != peer.local:
        return False
    return value.resource is None or value.resource == peer.resource
