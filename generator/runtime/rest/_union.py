"""Read values that are one of several types, without ever raising.

The member is chosen by the field that tells them apart, if the value has it; otherwise by shape: the JSON type of a
scalar, the required fields of an object, and how many of its fields are known. What fits none stays as it came.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from ._lenient import UNREADABLE, iso_text, to_date, to_time
from .errors import DecodeError

Score = tuple[int, ...]
"""How well a value fits: the greatest wins, and the first of equals."""


class Member(Protocol):
    """One of the types."""

    def fit(self, value: Any) -> Score | None:
        """Return how well a value fits, `None` if it doesn't."""

    def read(self, value: Any) -> Any:
        """Convert a value that fits."""


class Scalar:
    """A value of certain JSON types.

    :param rank: its precedence among the scalars that a value fits.
    """

    def __init__(self, rank: int, *kinds: type, read: Callable[[Any], Any] | None = None) -> None:
        self._rank = rank
        self._kinds = kinds
        self._read = read

    def fit(self, value: Any) -> Score | None:
        return (self._rank,) if value.__class__ in self._kinds else None

    def read(self, value: Any) -> Any:
        return value if self._read is None else self._read(value)


class Integer(Scalar):
    """An integer, which some servers write with a fraction of zero."""

    def fit(self, value: Any) -> Score | None:
        whole = value.__class__ is int or (value.__class__ is float and value.is_integer())
        return (2 if value.__class__ is int else 0,) if whole else None


class Written(Scalar):
    """Text of a certain form."""

    def __init__(self, form: str, read: Callable[[Any], Any]) -> None:
        super().__init__(2, str, read=read)
        self._form = re.compile(form)

    def fit(self, value: Any) -> Score | None:
        if value.__class__ is not str or not self._form.match(value):
            return None
        try:
            self.read(value)
        except UNREADABLE:
            return None
        return (self._rank,)


TEXT: Final = Scalar(1, str)
INTEGER: Final = Integer(2, int, read=int)
NUMBER: Final = Scalar(1, int, float, read=float)
BOOLEAN: Final = Scalar(1, bool)
UNIX: Final = Scalar(1, int, float, read=to_time)
TIME: Final = Written(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", to_time)
DATE: Final = Written(r"\d{4}-\d\d-\d\d$", to_date)
ANY: Final = Scalar(-1, str, int, float, bool, dict, list)


class Values:
    """A value of a closed set."""

    def __init__(self, values: Sequence[Any], kind: type[Enum] | None = None) -> None:
        self._members = {value: value if kind is None else kind(value) for value in values}

    def fit(self, value: Any) -> Score | None:
        return (3,) if value.__class__ in (str, int) and value in self._members else None

    def read(self, value: Any) -> Any:
        return self._members[value]


class Shape:
    """An object with known fields.

    :param fields: each with the JSON types that it may have, or with its values if there are few.
    """

    def __init__(
        self,
        read: Callable[[Any], Any],
        required: frozenset[str],
        fields: Mapping[str, tuple[type, ...] | frozenset[Any]],
    ) -> None:
        self.read = read
        self._required = required
        self._fields = fields

    def fit(self, value: Any) -> Score | None:
        if value.__class__ is not dict or not self._required <= value.keys():
            return None
        known = wrong = 0
        for key, kinds in self._fields.items():
            if key not in value:
                continue
            known += 1
            found = value[key]
            if found is None or not kinds:
                continue
            if kinds.__class__ is tuple:
                wrong += found.__class__ not in kinds
            elif found.__class__ not in (str, int) or found not in kinds:
                if len(kinds) == 1:
                    return None
                wrong += 1
        return (-wrong, known, known - len(value), known - len(self._fields))


class ListOf:
    """A list all of whose entries fit."""

    def __init__(self, item: Member) -> None:
        self._item = item

    def fit(self, value: Any) -> Score | None:
        if value.__class__ is not list:
            return None
        scores = [self._item.fit(entry) for entry in value]
        found = [score for score in scores if score is not None]
        return min(found, default=(0,)) if len(found) == len(scores) else None

    def read(self, value: Any) -> Any:
        return [self._item.read(entry) for entry in value]


class MapOf(ListOf):
    """An object with free keys, all of whose values fit."""

    def fit(self, value: Any) -> Score | None:
        if value.__class__ is not dict or any(self._item.fit(entry) is None for entry in value.values()):
            return None
        return (0, 0, 1)

    def read(self, value: Any) -> Any:
        return {key: self._item.read(entry) for key, entry in value.items()}


class OrNone:
    """A value that may be null."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def fit(self, value: Any) -> Score | None:
        return (1,) if value is None else self._member.fit(value)

    def read(self, value: Any) -> Any:
        return None if value is None else self._member.read(value)


class Union:
    """A value of one of several types; the members are named when the first value is read.

    :param tag: the field that tells objects apart.
    :param tags: the member that each of its values stands for.
    """

    def __init__(
        self, members: Callable[[], tuple[Member, ...]], tag: str = "", tags: Mapping[str, int] | None = None
    ) -> None:
        self._name = members
        self._members: tuple[Member, ...] = ()
        self._tag = tag
        self._tags = tags or {}

    def __call__(self, value: Any) -> Any:
        if value is None:
            return None
        for member in self._fitting(value):
            try:
                return member.read(value)
            except (*UNREADABLE, DecodeError):
                continue
        return value

    read = __call__

    def fit(self, value: Any) -> Score | None:
        scores = [score for member in self._all() if (score := member.fit(value)) is not None]
        return max(scores, default=None)

    def _all(self) -> tuple[Member, ...]:
        if not self._members:
            self._members = self._name()
        return self._members

    def _fitting(self, value: Any) -> list[Member]:
        """The members that a value fits, the best first."""
        members = self._all()
        if self._tag and value.__class__ is dict:
            tag = value.get(self._tag)
            index = self._tags.get(tag) if tag.__class__ is str else None
            if index is not None:
                return [members[index]]
        scored = [(score, member) for member in members if (score := member.fit(value)) is not None]
        scored.sort(key=lambda pair: pair[0], reverse=True)
        return [member for _, member in scored]


def wire_form(value: Any) -> Any:
    """Write a value that was read as one of several types back in the wire's form."""
    if hasattr(value.__class__, "to_dict"):
        return value.to_dict()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dt.datetime):
        return iso_text(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, list):
        return [wire_form(entry) for entry in value]
    if isinstance(value, dict):
        return {key: wire_form(entry) for key, entry in value.items()}
    return value
