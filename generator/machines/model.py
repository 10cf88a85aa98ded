"""A checked state machine, as the templates see it: its names are safe, its values plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

PLAIN = ("int", "float", "bool", "text", "tuple", "set", "queue", "any")
"""The types that need no declaration. In YAML a tuple, a set and a queue are lists."""

Values = dict[str, Any]


class Missing:
    """The type of `MISSING`, which stands for a default or an example that is not given, since null is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


@dataclass(frozen=True)
class Field:
    """A field of an event, an effect or a type, or a variable."""

    name: str
    type: str
    optional: bool
    doc: str
    default: Any
    example: Any

    @property
    def has_default(self) -> bool:
        return self.default is not MISSING


@dataclass(frozen=True)
class Kind:
    """A declared type: a StrEnum if it has values, otherwise a frozen class with fields."""

    name: str
    doc: str
    values: tuple[str, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class State:
    name: str
    doc: str
    source: str


@dataclass(frozen=True)
class Signal:
    """An event or an effect: a frozen class."""

    name: str
    doc: str
    source: str
    fields: tuple[Field, ...]
    in_diagram: bool = True


@dataclass(frozen=True)
class Effect:
    """An effect that a case expects, with its values."""

    name: str
    values: Values


@dataclass(frozen=True)
class Case:
    """What an event does in a state, given certain variables."""

    state: str
    event: str
    number: int
    """Counts within the cell, from 1."""
    given: Values
    values: Values
    """The event's."""
    to: str | None
    """None where the case is undefined."""
    effects: tuple[Effect, ...]
    then: Values
    why: str


@dataclass
class Machine:
    name: str
    module: str
    cls: str
    title: str
    source: str
    doc: str
    file: str
    initial: str
    states: list[State] = field(default_factory=list)
    types: list[Kind] = field(default_factory=list)
    variables: list[Field] = field(default_factory=list)
    events: list[Signal] = field(default_factory=list)
    effects: list[Signal] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    def cell(self, state: str, event: str) -> list[Case]:
        return self.cells.get((state, event), [])

    @cached_property
    def cells(self) -> dict[tuple[str, str], list[Case]]:
        """The cases by state and event, in the order of the table. Use it only once all cases are added."""
        found: dict[tuple[str, str], list[Case]] = {}
        for case in self.cases:
            found.setdefault((case.state, case.event), []).append(case)
        return found
