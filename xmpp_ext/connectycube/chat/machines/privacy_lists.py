"""The privacy lists and the operations on them: XEP-0016 section 2; the platform's facts 3.4.

Rule 1: only the default list is used (fact 3.4); an operation is finished when the server has answered its last step.

Rule 2: one operation at a time. To begin another one before `Finished` or `Failed` is undefined.

Rule 3: a list that is the default is changed and removed in steps: the default is declined, the list is set or removed,
        and after a change it is made the default again (fact 3.4). While another device, or a dead session of this one,
        uses the default, the server refuses to decline it: then the list is changed as it is (XEP-0016 section 2.6).

Rule 4: if the server refuses the step after the default was declined, the list is made the default again, and the
        operation fails with what the server said first. So a refusal leaves the user protected as before, unless the
        server refuses that too.

Rule 5: `default` and `names` are what the server has confirmed. `Reset` keeps them: they are what to expect on the next
        connection, until `Listed` says how it is.

Rule 6: a push only names the list that has changed (XEP-0016 section 2.6); the caller asks for the list if it wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from attrs import define, frozen

from ._machine import Move, take

__all__ = [
    "TABLE",
    "Activate",
    "Deactivate",
    "Done",
    "Effect",
    "Event",
    "Failed",
    "Finished",
    "Listed",
    "PrivacyLists",
    "Pushed",
    "Refused",
    "Remove",
    "Reset",
    "Set",
    "State",
    "TellChanged",
    "Update",
    "WriteDecline",
    "WriteDefault",
    "WriteList",
    "WriteRemove",
]


class State(StrEnum):
    """Which step the server has yet to answer. The initial state is `UNKNOWN`."""

    UNKNOWN = "unknown"
    """What lists there are has not been asked yet."""
    IDLE = "idle"
    """No operation runs."""
    DECLINING = "declining"
    """The default is being declined (XEP-0016 section 2.5)."""
    DECLINING_TO_SET = "declining-to-set"
    """The default is being declined, to change it."""
    DECLINING_TO_REMOVE = "declining-to-remove"
    """The default is being declined, to remove it."""
    SETTING = "setting"
    """A list that is not the default, or is wholly new, is being set (XEP-0016 section 2.6)."""
    SETTING_DEFAULT = "setting-default"
    """The list that was the default is being set."""
    REMOVING = "removing"
    """A list that is not the default is being removed (XEP-0016 section 2.8)."""
    REMOVING_DEFAULT = "removing-default"
    """The list that was the default is being removed."""
    ACTIVATING = "activating"
    """A list is being made the default (XEP-0016 section 2.5)."""
    REACTIVATING = "reactivating"
    """The changed list is being made the default again."""
    RESTORING = "restoring"
    """The unchanged list is being made the default again, after a refusal."""


# Events


@frozen
class Listed:
    """The server told what lists there are (XEP-0016 section 2.3)."""

    names: frozenset[str]
    """Their names."""
    default: str | None
    """The name of the default list, or None."""


@frozen
class Set:
    """Set a list as it is given, in one step."""

    name: str
    """The list's name."""


@frozen
class Update:
    """Change a list, by way of declining it if it is the default."""

    name: str
    """The list's name."""


@frozen
class Remove:
    """Remove a list, by way of declining it if it is the default."""

    name: str
    """The list's name."""


@frozen
class Activate:
    """Make a list the default."""

    name: str
    """The list's name."""


@frozen
class Deactivate:
    """Have no default list."""


@frozen
class Done:
    """The server answered the step with a result."""


@frozen
class Refused:
    """The server answered the step with an error, or not in time."""

    condition: str
    """The error's condition, such as `item-not-found` or `conflict` (RFC 6120 section 8.3.3)."""


@frozen
class Pushed:
    """The server pushed that a list has changed (XEP-0016 section 2.6). The caller has checked the sender."""

    name: str
    """The list's name."""


@frozen
class Reset:
    """The connection is lost."""


Event: TypeAlias = (
    Listed
    | Set
    | Update
    | Remove
    | Activate
    | Deactivate
    | Done
    | Refused
    | Pushed
    | Reset
)  # fmt: skip
"""What `PrivacyLists.handle` takes."""


# Effects


@frozen
class WriteDecline:
    """Write that there is to be no default list (XEP-0016 section 2.5)."""


@frozen
class WriteList:
    """Write the list, with the items of the operation (XEP-0016 section 2.6)."""

    name: str
    """The list's name."""


@frozen
class WriteRemove:
    """Write the list without items, which removes it (XEP-0016 section 2.8)."""

    name: str
    """The list's name."""


@frozen
class WriteDefault:
    """Write that the list is to be the default (XEP-0016 section 2.5)."""

    name: str
    """The list's name."""


@frozen
class Finished:
    """The operation succeeded."""


@frozen
class Failed:
    """The operation failed."""

    condition: str
    """The condition of `Refused`, or `disconnected`."""


@frozen
class TellChanged:
    """Tell the user: a list has changed."""

    name: str
    """The list's name."""


Effect: TypeAlias = WriteDecline | WriteList | WriteRemove | WriteDefault | Finished | Failed | TellChanged
"""What the caller of `PrivacyLists.handle` has to do."""


@define(kw_only=True, eq=False)
class PrivacyLists:
    """The user's privacy lists. XEP-0016."""

    state: State = State.UNKNOWN
    """Default: unknown."""
    default: str | None = None
    """The name of the default list. Default: None, there is none."""
    names: frozenset[str] = frozenset()
    """The names of all lists. Default: none."""
    target: str | None = None
    """The list that the operation is about. Default: None, there is no operation or it is about none."""
    fault: str | None = None
    """The condition to fail with when the default is restored. Default: None."""

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Change the state by `event` and return what to do, in this order.

        Raises `UndefinedTransition` if the event is not expected in this state; nothing has changed then.
        """
        return take(self, TABLE, event)


# Rules

Step: TypeAlias = Move[State, Effect]
Rule: TypeAlias = Step | Callable[[PrivacyLists, Any], Step | None]

_Learn: TypeAlias = Callable[["PrivacyLists"], Mapping[str, object]]
"""The variables that a step changes when it is done."""

_OVER: Mapping[str, object] = {"target": None, "fault": None}


def _write(to: State, effect: Callable[[str], Effect]) -> Rule:
    """Begin an operation on the list that the event names."""

    def rule(machine: PrivacyLists, event: Set | Update | Remove | Activate) -> Step:
        return Move(to, (effect(event.name),), {"target": event.name})

    return rule


def _decline_first(to: State, otherwise: Rule) -> Rule:
    """Begin an operation that declines the default first, if it is about the default."""

    def rule(machine: PrivacyLists, event: Update | Remove) -> Step | None:
        if event.name == machine.default:
            return Move(to, (WriteDecline(),), {"target": event.name})
        return otherwise(machine, event) if callable(otherwise) else otherwise

    return rule


def _go_on(to: State, effect: Callable[[str], Effect], learn: _Learn) -> Rule:
    """Learn from the step that is done, and write the next one."""

    def rule(machine: PrivacyLists, event: Done) -> Step | None:
        if machine.target is None:
            return None
        return Move(to, (effect(machine.target),), learn(machine))

    return rule


def _finish(learn: _Learn) -> Rule:
    """Learn from the last step."""

    def rule(machine: PrivacyLists, event: Done) -> Step:
        return Move(State.IDLE, (Finished(),), {**learn(machine), **_OVER})

    return rule


def _no_default(machine: PrivacyLists) -> dict[str, object]:
    return {"default": None}


def _is_default(machine: PrivacyLists) -> dict[str, object]:
    return {"default": machine.target}


def _exists(machine: PrivacyLists) -> dict[str, object]:
    return {"names": machine.names | {machine.target}}


def _is_gone(machine: PrivacyLists) -> dict[str, object]:
    return {"names": machine.names - {machine.target}}


def _listed(machine: PrivacyLists, event: Listed) -> Step:
    return Move(State.IDLE, (), {"names": event.names, "default": event.default, **_OVER})


def _fail(machine: PrivacyLists, event: Refused) -> Step:
    return Move(State.IDLE, (Failed(event.condition),), _OVER)


def _set_anyway(machine: PrivacyLists, event: Refused) -> Step | None:
    if machine.target is None:
        return None
    return _fail(machine, event) if event.condition != "conflict" else Move(State.SETTING, (WriteList(machine.target),))


def _restore(machine: PrivacyLists, event: Refused) -> Step | None:
    if machine.target is None:
        return None
    return Move(State.RESTORING, (WriteDefault(machine.target),), {"fault": event.condition})


def _restored(machine: PrivacyLists, event: Done) -> Step | None:
    if machine.fault is None:
        return None
    return Move(State.IDLE, (Failed(machine.fault),), {"default": machine.target, **_OVER})


def _not_restored(machine: PrivacyLists, event: Refused) -> Step | None:
    if machine.fault is None:
        return None
    return Move(State.IDLE, (Failed(machine.fault),), _OVER)


def _pushed(machine: PrivacyLists, event: Pushed) -> Step:
    return Move(machine.state, (TellChanged(event.name),))


_DISCONNECTED: Step = Move(State.UNKNOWN, (Failed("disconnected"),), _OVER)

TABLE: Mapping[tuple[State, type[Event]], Rule] = {
    # UNKNOWN
    (State.UNKNOWN, Listed): _listed,
    # IDLE
    (State.IDLE, Listed): _listed,
    (State.IDLE, Set): _write(State.SETTING, WriteList),
    (State.IDLE, Update): _decline_first(State.DECLINING_TO_SET, _write(State.SETTING, WriteList)),
    (State.IDLE, Remove): _decline_first(State.DECLINING_TO_REMOVE, _write(State.REMOVING, WriteRemove)),
    (State.IDLE, Activate): _write(State.ACTIVATING, WriteDefault),
    (State.IDLE, Deactivate): Move(State.DECLINING, (WriteDecline(),), {"target": None}),
    # Steps of one
    (State.DECLINING, Done): _finish(_no_default),
    (State.DECLINING, Refused): _fail,
    (State.SETTING, Done): _finish(_exists),
    (State.SETTING, Refused): _fail,
    (State.REMOVING, Done): _finish(_is_gone),
    (State.REMOVING, Refused): _fail,
    (State.ACTIVATING, Done): _finish(_is_default),
    (State.ACTIVATING, Refused): _fail,
    # The default is changed
    (State.DECLINING_TO_SET, Done): _go_on(State.SETTING_DEFAULT, WriteList, _no_default),
    (State.DECLINING_TO_SET, Refused): _set_anyway,
    (State.SETTING_DEFAULT, Done): _go_on(State.REACTIVATING, WriteDefault, _exists),
    (State.SETTING_DEFAULT, Refused): _restore,
    (State.REACTIVATING, Done): _finish(_is_default),
    (State.REACTIVATING, Refused): _fail,
    # The default is removed
    (State.DECLINING_TO_REMOVE, Done): _go_on(State.REMOVING_DEFAULT, WriteRemove, _no_default),
    (State.DECLINING_TO_REMOVE, Refused): _fail,
    (State.REMOVING_DEFAULT, Done): _finish(_is_gone),
    (State.REMOVING_DEFAULT, Refused): _restore,
    # The server refused the change or the removal
    (State.RESTORING, Done): _restored,
    (State.RESTORING, Refused): _not_restored,
    # At any time
    **{(state, Pushed): _pushed for state in State},
    **{(state, Reset): _DISCONNECTED for state in State},
    (State.UNKNOWN, Reset): Move(State.UNKNOWN),
    (State.IDLE, Reset): Move(State.UNKNOWN),
}
"""The rule of each defined state and event: a move, or a function that chooses one."""
