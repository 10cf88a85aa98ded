"""Privacy lists on the wire: checking them, and converting them to and from the stored form (XEP-0016 section 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from connectycube.stanzas import PrivacyItem, PrivacyList

from ..domain.privacy import Rule, What
from .addresses import Jid
from .faults import StanzaRefused

__all__ = ["What", "check_list", "items_of", "rules_of"]

_FLAGS = ("message", "presence_in", "presence_out", "iq")


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
