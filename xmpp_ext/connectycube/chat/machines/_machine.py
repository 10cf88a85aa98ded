"""What the machines share: the moves of a table, the one place where they are taken, and the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen

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


@frozen
class Move(Generic[StateT, EffectT]):
    """One case of a table."""

    to: StateT
    """The state after it."""
    effects: tuple[EffectT, ...] = ()
    """What the caller has to do, in this order. Default: nothing."""
    then: Mapping[str, object] = field(factory=dict[str, object])
    """The variables that change, by name. Default: none."""


class Machine(Protocol[StateT]):
    """What `take` needs of a machine."""

    state: StateT


def take(
    machine: Machine[StateT],
    table: Mapping[
        tuple[StateT, type[Any]], Move[StateT, EffectT] | Callable[[Any, Any], Move[StateT, EffectT] | None]
    ],
    event: object,
) -> tuple[EffectT, ...]:
    """Take the move that `table` has for the state of `machine` and `event`, and return its effects.

    A rule that is a function only reads the machine: it returns the move, or None where no case holds.

    Raises `UndefinedTransition` if there is no move.
    """
    state = machine.state
    rule = table.get((state, type(event)))
    move = rule(machine, event) if callable(rule) else rule
    if move is None:
        raise UndefinedTransition(type(machine).__name__, str(state), event)
    machine.state = move.to
    for name, value in move.then.items():
        setattr(machine, name, value)
    return move.effects
