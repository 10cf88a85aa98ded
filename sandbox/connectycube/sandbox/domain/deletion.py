"""Deleting several things in one call: the failure of one doesn't stop the others (F-039)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import field, frozen

from ..errors import Refused

__all__ = ["Deleted", "delete_each"]


@frozen(kw_only=True)
class Deleted:
    """What became of the ids that were to be deleted."""

    done: list[str] = field(factory=list)
    not_found: list[str] = field(factory=list)
    wrong_permissions: list[str] = field(factory=list)


def delete_each(ids: Iterable[str], delete: Callable[[str], None]) -> Deleted:
    """Call a function with each id, and sort the ids by whether it refused."""
    found = Deleted()
    for one in dict.fromkeys(ids):
        try:
            delete(one)
        except Refused as refused:
            (found.not_found if refused.status == 404 else found.wrong_permissions).append(one)
        else:
            found.done.append(one)
    return found
