"""Check and encode arguments that are one of several types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._scalars import kind_name
from .errors import InvalidArgument

Encoder = Callable[[str, Any], Any]


class Member:
    """One of the types.

    :param label: what it is called in errors.
    :param encode: its encoder; for an object one that rejects what it isn't.
    :param model: the class of an object in responses.
    :param fields: the fields of an object, with the values of those that have few.
    :param required: those of them that must be there.
    """

    def __init__(
        self,
        label: str,
        encode: Encoder,
        *,
        model: str = "",
        fields: Mapping[str, frozenset[Any]] | None = None,
        required: frozenset[str] = frozenset(),
    ) -> None:
        self.label = label
        self.encode = encode
        self.model = model
        self.fields = fields
        self.required = required

    def fit(self, value: Mapping[Any, Any]) -> tuple[bool, int, int]:
        """Return how well the keys of a mapping fit; the greatest wins."""
        if self.fields is None:
            return True, 0, 0
        known = self.fields.keys() & value.keys()
        right = all(not self.fields[key] or _is_one_of(value[key], self.fields[key]) for key in known)
        return right and self.required <= value.keys(), len(known), len(known) - len(self.fields)


def _is_one_of(value: Any, values: frozenset[Any]) -> bool:
    return isinstance(value, (str, int)) and value in values


class OneOf:
    """The encoder of a value of one of several types; the members are named when the first value is encoded.

    :param tag: the key that tells mappings apart.
    :param tags: the member that each of its values stands for.
    :param names: the names here of keys that have another on the wire; mappings may have either.
    """

    def __init__(
        self,
        members: Callable[[], tuple[Member, ...]],
        tag: str = "",
        tags: Mapping[str, int] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._name = members
        self._members: tuple[Member, ...] = ()
        self._tag = tag
        self._tags = tags or {}
        self._names = names or {}

    def __call__(self, name: str, value: Any) -> Any:
        """Encode an argument.

        :raises InvalidArgument: if it fits no member.
        """
        if not self._members:
            self._members = self._name()
        if isinstance(value, Iterator) and not hasattr(value, "read"):
            value = list(value)  # Each member that is tried reads it.
        named = value
        if self._names and isinstance(value, Mapping):
            named = {self._names.get(key, key): entry for key, entry in value.items()}
        candidates = self._candidates(named)
        found: list[InvalidArgument] = []
        for member in candidates:
            try:
                return member.encode(name, value)
            except InvalidArgument as error:
                found.append(error)
        if len(found) == 1 or (found and self._is_chosen(named, candidates)):
            raise found[0]
        labels = [member.label for member in self._members]
        raise InvalidArgument(name, f"must be one of {', '.join(dict.fromkeys(labels))}, not {kind_name(value)}")

    def _candidates(self, value: Any) -> list[Member]:
        """The members to try, the likeliest first."""
        members = self._members
        if hasattr(value.__class__, "to_dict"):
            classes = [base.__name__ for base in value.__class__.__mro__]
            return [member for name in classes for member in members if member.model == name] or [*members]
        if isinstance(value, Mapping):
            tag = value.get(self._tag) if self._tag else None
            index = self._tags.get(tag) if isinstance(tag, str) else None
            if index is not None:
                return [members[index]]
            objects = [member for member in members if member.fields is not None]
            others = [member for member in members if member.fields is None]
            return sorted(objects, key=lambda member: member.fit(value), reverse=True) + others
        if isinstance(value, dt.date):
            own = "a time" if isinstance(value, dt.datetime) else "a date"
            return sorted(members, key=lambda member: (member.label != own, member.label != "a time"))
        return [member for member in members if member.fields is None]

    def _is_chosen(self, value: Any, candidates: list[Member]) -> bool:
        """Whether a mapping can be only one of the members, so that its fault is what to report."""
        if not isinstance(value, Mapping):
            return False
        fits = [member.fit(value)[:2] for member in candidates if member.fields is not None]
        return bool(fits) and fits[0][1] > 0 and fits.count(fits[0]) == 1
