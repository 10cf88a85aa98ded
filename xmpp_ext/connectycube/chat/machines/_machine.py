"""What the machines share: the moves of a table, the one place where they are taken, and the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

StateT = TypeVar("StateT")
EffectT = TypeVar("EffectT")


class UndefinedTransition(Exception):
    """An event came in a state that doesn't expect it. The machine is as it was before.

    It is raised by `handle` of each machine and tells of an error of the caller; what a peer may do is in the tables.
    """

    machine: str
    """The name of the machine's class, such as `Connection`."""
    state: str
    """The state, a member of the machine's `State`."""
    event: object
    """The event."""

    def __init__(self, machine: str, state: str, event: object) -> None:
        super().__init__(machine, state, event)
        self.machine = machine
        self.state = state
        self.event = event

    def __str__(self) -> str:
        # Without the event's fields: they may hold what users wrote.
        return f"{self.machine}: {type(self.event).__name__} is not defined in the state {self.state}"


_NONE: Mapping[str, object] = {}


class Move(NamedTuple, Generic[StateT, EffectT]):
    """One case of a table. A tuple, because one is made for each stanza."""

    to: StateT
    """The state after it."""
    effects: tuple[EffectT, ...] = ()
    """What the caller has to do, in this order. Default: nothing."""
    then: Mapping[str, object] = _NONE
    """The variables that change, by name. Default: none."""
    change: Callable[[Any, Any], None] | None = None
    """Given the machine and the event, changes what is too long to copy or too hot to look up. Default: nothing."""


def take(
    machine: Any,
    table: Mapping[
        tuple[StateT, type[Any]], Move[StateT, EffectT] | Callable[[Any, Any], Move[StateT, EffectT] | None]
    ],
    event: object,
) -> tuple[EffectT, ...]:
    """Take the move that `table` has for the state of `machine` and `event`, and return its effects.

    A rule that is a function only reads the machine: it returns the move, or None if no case applies.

    Raises `UndefinedTransition` if there is no move.
    """
    state = machine.state
    rule = table.get((state, type(event)))
    move = rule(machine, event) if callable(rule) else rule
    if move is None:
        raise UndefinedTransition(type(machine).__name__, str(state), event)
    machine.state, effects, then, change = move
    if then:
        for name, value in then.items():
            setattr(machine, name, value)
    if change is not None:
        change(machine, event)
    return effects
