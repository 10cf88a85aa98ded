"""From the rules of a privacy list to its items and back: two items per user (section 3.4 of the facts)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectycube.rest import InvalidArgument
from connectycube.stanzas import GroupPrivacyValue, JIDError, PrivacyItem

from .._ids import Addresses
from ..models import PrivacyRule

__all__ = ["items_of", "numbered", "rules_of", "subject_of"]


def items_of(rules: Iterable[PrivacyRule], addresses: Addresses) -> tuple[PrivacyItem, ...]:
    """Return the items for rules. The last of several rules for a user counts.

    :raises InvalidArgument: if a rule or its user is invalid.
    """
    if not isinstance(rules, Iterable):
        raise InvalidArgument("rules", f"must be PrivacyRule objects, not {type(rules).__name__}")
    by_user: dict[str, PrivacyRule] = {}
    for rule in rules:
        if not isinstance(rule, PrivacyRule):
            raise InvalidArgument("rules", f"must be PrivacyRule objects, not {type(rule).__name__}")
        by_user[addresses.user(rule.user_id)] = rule
    items: list[PrivacyItem] = []
    for jid, rule in by_user.items():
        if rule.private:
            items.append(_item(rule, jid))
        if rule.groups:
            items.append(_item(rule, str(GroupPrivacyValue(user_id=rule.user_id, host=addresses.muc_host))))
    return numbered(items)


def _item(rule: PrivacyRule, value: str) -> PrivacyItem:
    # Without children an item applies to all stanzas in both directions (XEP-0016 section 2.1). With all of them it
    # applies only to those towards the user, and to the user's presence.
    one_way = not (rule.mutual and rule.deny)
    return PrivacyItem(
        type="jid",
        value=value,
        action="deny" if rule.deny else "allow",
        order=0,
        message=one_way,
        presence_in=one_way,
        presence_out=one_way,
        iq=one_way,
    )


def numbered(items: Iterable[PrivacyItem]) -> tuple[PrivacyItem, ...]:
    """Return the items in this order, numbered from 1."""
    items = tuple(items)
    for order, item in enumerate(items, 1):
        item.order = order
    return items


def subject_of(item: PrivacyItem, addresses: Addresses) -> int | None:
    """Return the user an item applies to, or `None` if it is not a user of the application."""
    if item.type != "jid" or item.value is None:
        return None
    if "@" in item.value:
        return addresses.user_of(item.value)
    try:
        group = GroupPrivacyValue.parse(item.value)
    except JIDError:
        return None
    return group.user_id if group.host == addresses.muc_host else None


def rules_of(items: Iterable[PrivacyItem], addresses: Addresses) -> tuple[PrivacyRule, ...]:
    """Return one rule per user and action, whatever the order of the items."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for item in items:
        user_id = subject_of(item, addresses)
        if user_id is None:
            continue
        rule = found.setdefault((user_id, item.action), {"mutual": True, "groups": False, "private": False})
        rule["groups" if "@" not in (item.value or "") else "private"] = True
        if item.message or item.presence_in or item.presence_out or item.iq:
            rule["mutual"] = False
    return tuple(
        PrivacyRule(
            user_id,
            deny=action == "deny",
            mutual=action == "deny" and rule["mutual"],
            groups=rule["groups"],
            private=rule["private"],
        )
        for (user_id, action), rule in found.items()
    )
