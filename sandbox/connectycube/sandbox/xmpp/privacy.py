"""What a privacy list lets pass, as a plain function (XEP-0016 section 2, facts 3.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Any

from connectycube.stanzas import PrivacyItem, PrivacyList

from ..domain.contacts import ContactState
from .addresses import Jid
from .faults import StanzaRefused

__all__ = ["What", "check_list", "items_of", "lets_pass", "rules_of"]

Rule = Mapping[str, Any]
"""An item of a list, in the form in which it is stored."""
_FLAGS = ("message", "presence_in", "presence_out", "iq")


class What(Enum):
    """Kinds of stanzas that a rule can name; all others are met only by rules that name none."""

    MESSAGE_IN = "message"
    PRESENCE_IN = "presence_in"
    PRESENCE_OUT = "presence_out"
    IQ_IN = "iq"
    OTHER = "other"
    """Outgoing messages and requests, and presence subscriptions both ways."""


def lets_pass(rules: Iterable[Rule], what: What, peer: Jid, contact: ContactState) -> bool:
    """Whether a list lets a stanza pass: the first rule that fits decides, and without one it passes.

    :param peer: the other side.
    :param contact: what the list's owner has about the other side.
    """
    for rule in sorted(rules, key=lambda one: int(one["order"])):
        named = [flag for flag in _FLAGS if rule.get(flag)]
        if (not named or what.value in named) and _fits(rule, peer, contact):
            return bool(rule["action"] == "allow")
    return True


def _fits(rule: Rule, peer: Jid, contact: ContactState) -> bool:
    if rule["type"] is None:
        return True
    if rule["type"] == "subscription":
        return bool(rule["value"] == contact.subscription)
    if rule["type"] == "group":
        return rule["value"] in contact.groups
    return _meets(Jid.parse(rule["value"]), peer)


def _meets(value: Jid, peer: Jid) -> bool:
    """Whether an address is meant by another: `user@domain/resource`, `user@domain`, `domain/resource` or `domain`.

    The third form is how groups are meant: `muc.host/user id` is that user in any room (U-47).
    """
    if value.domain != peer.domain:
        return False
    if value.local is not None and value.local != peer.local:
        return False
    return value.resource is None or value.resource == peer.resource


def check_list(found: PrivacyList, groups: Collection[str]) -> None:
    """Whether a list's rules make sense (XEP-0016 sections 2.1 and 2.6).

    :param groups: those that the list's owner has contacts in.
    :raises StanzaRefused: `bad-request`, or `item-not-found` for a group that nobody is in.
    """
    orders = [item.order for item in found.items]
    if len(set(orders)) != len(orders):
        raise StanzaRefused("bad-request", "two rules have the same order")
    for item in found.items:
        if (item.type is None) != (item.value is None):
            raise StanzaRefused("bad-request", "a rule has both type and value, or neither")
        if item.type == "group" and item.value not in groups:
            raise StanzaRefused("item-not-found", "no contact is in that group")
        if item.type == "subscription" and item.value not in ("none", "to", "from", "both"):
            raise StanzaRefused("bad-request", "there is no such subscription")
        if item.type == "jid":
            try:
                Jid.parse(item.value or "")
            except ValueError:
                raise StanzaRefused("bad-request", "the value is no JID") from None


def rules_of(found: PrivacyList) -> list[dict[str, Any]]:
    """A list's rules in the form in which they are stored."""
    names = ("type", "value", "action", "order", *_FLAGS)
    return [{name: getattr(item, name) for name in names} for item in found.items]


def items_of(rules: Iterable[Rule]) -> tuple[PrivacyItem, ...]:
    """Stored rules as the wire has them."""
    return tuple(PrivacyItem(**rule) for rule in rules)
