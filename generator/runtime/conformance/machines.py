"""Check the chat's state machines against the transition tables of spec/machines.

Each check reports every difference that it finds, with the machine, state and event.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs
import yaml

from connectycube.chat.machines import UndefinedTransition

MISSING: Any = object()

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML has its C part."""

CONVERTERS: dict[str, Any] = {"float": float, "tuple": tuple, "set": frozenset, "queue": deque}


@attrs.frozen
class Field:
    """A variable, or a field of a class: its type, its default, an example that differs from the default."""

    type: str
    default: Any = MISSING
    example: Any = MISSING


@attrs.frozen
class Case:
    """What one event does in one state. Values are plain data: lists stand for tuples, sets and queues."""

    state: str
    event: str
    number: int
    given: dict[str, Any] = attrs.field(factory=dict)
    values: dict[str, Any] = attrs.field(factory=dict)
    to: str | None = None
    effects: tuple[tuple[str, dict[str, Any]], ...] = ()
    then: dict[str, Any] = attrs.field(factory=dict)
    why: str = ""

    @classmethod
    def read(cls, state: str, event: str, number: int, entry: dict[str, Any]) -> Case:
        named = [{one: {}} if isinstance(one, str) else one for one in entry.get("effects", ())]
        return cls(
            state,
            event,
            number,
            given=entry.get("given", {}),
            values=entry.get("event", {}),
            to=entry.get("to"),
            effects=tuple(pair for effect in named for pair in effect.items()),
            then=entry.get("then", {}),
            why=" ".join(entry.get("why", "").split()),
        )


class Table:
    """A transition table as its file declares it. `make generate` has checked the file."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.name: str = document["machine"]
        self.module: str = document["module"]
        self.cls: str = document["class"]
        self.initial: str = document["initial"]
        self.states = tuple(document["states"])
        self.kinds = {
            name: tuple(entry["values"]) if "values" in entry else fields(entry["fields"])
            for name, entry in document.get("types", {}).items()
        }
        self.variables = fields(document.get("variables", {}))
        self.events = {name: fields(entry.get("fields", {})) for name, entry in document["events"].items()}
        self.effects = {name: fields(entry.get("fields", {})) for name, entry in document.get("effects", {}).items()}
        self.cases = [
            Case.read(state, event, number, entry)
            for state, row in document["table"].items()
            for event, cell in row.items()
            for number, entry in enumerate(cell, 1)
        ]

    @property
    def cells(self) -> set[tuple[str, str]]:
        return {(case.state, case.event) for case in self.cases}

    @property
    def undefined(self) -> list[tuple[str, str]]:
        """All cells that are not in the table."""
        return [(state, event) for state in self.states for event in self.events if (state, event) not in self.cells]


def fields(entries: dict[str, dict[str, Any]]) -> dict[str, Field]:
    return {
        name: Field(entry["type"], entry.get("default", MISSING), entry.get("example", MISSING))
        for name, entry in entries.items()
    }


def tables() -> list[Table]:
    """Read the tables of the checkout that this module belongs to."""
    folder = next(root / "spec/machines" for root in Path(__file__).parents if (root / "spec/machines").is_dir())
    return [Table(yaml.load(path.read_text(encoding="utf-8"), LOADER)) for path in sorted(folder.glob("*.yaml"))]


class Conformance:
    """The checks of one machine, which `module` defines."""

    def __init__(self, module: Any, table: Table) -> None:
        self.module = module
        self.table = table

    # -- the table

    def check(self, case: Case) -> None:
        """Send a case's event to a machine in the case's state."""
        where = f"{self.table.name}: state {case.state}, event {case.event}, case {case.number}"
        where += f" ({case.why})" if case.why else ""
        given = {name: field.default for name, field in self.table.variables.items()} | case.given
        if case.to is None:
            self._undefined(where, case.state, given, case.event, case.values)
            return
        machine = self._machine(case.state, given)
        problems = []
        try:
            found = machine.handle(self._signal(self.table.events, case.event, case.values))
        except UndefinedTransition:
            raise AssertionError(f"{where}: undefined in the machine, defined in the table") from None
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}") from error
        if not same(machine.state, self.module.State(case.to)):
            problems.append(f"the state is {machine.state!r}, not {case.to!r}")
        wanted = tuple(self._signal(self.table.effects, name, values) for name, values in case.effects)
        if not same(found, wanted):
            problems.append(f"the effects are {found!r}, not {wanted!r}")
        problems += self._variables(machine, given | case.then)
        _report(where, problems)

    def check_undefined(self, state: str, event: str) -> None:
        """Check that an event outside the table raises and changes nothing, whatever the variables are."""
        values = {name: field.example for name, field in self.table.events[event].items()}
        for what in ("default", "example"):
            given = {name: getattr(field, what) for name, field in self.table.variables.items()}
            where = f"{self.table.name}: state {state}, event {event}, variables with their {what}s"
            self._undefined(where, state, given, event, values)

    def _undefined(self, where: str, state: str, given: dict[str, Any], event: str, values: dict[str, Any]) -> None:
        machine = self._machine(state, given)
        problems = []
        signal = self._signal(self.table.events, event, values)
        try:
            found = machine.handle(signal)
        except UndefinedTransition as error:
            named = (error.machine, error.state, error.event)
            if named != (self.table.cls, state, signal):
                problems.append(f"the error names {named!r}")
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}") from error
        else:
            problems.append(f"undefined in the table, but the machine goes to {machine.state!r} with {found!r}")
        if not same(machine.state, self.module.State(state)):
            problems.append(f"the state has become {machine.state!r}")
        _report(where, problems + self._variables(machine, given))

    def _machine(self, state: str, given: dict[str, Any]) -> Any:
        variables = {name: self._value(self.table.variables[name].type, value) for name, value in given.items()}
        return getattr(self.module, self.table.cls)(state=self.module.State(state), **variables)

    def _variables(self, machine: Any, wanted: dict[str, Any]) -> list[str]:
        problems = []
        for name, field in self.table.variables.items():
            found, value = getattr(machine, name), self._value(field.type, wanted[name])
            if not same(found, value):
                problems.append(f"{name} is {found!r}, not {value!r}")
        return problems

    def _signal(self, signals: dict[str, dict[str, Field]], name: str, values: dict[str, Any]) -> Any:
        whole = {key: values.get(key, field.default) for key, field in signals[name].items()}
        given = {key: value for key, value in whole.items() if value is not MISSING}
        return getattr(self.module, name)(**{key: self._value(signals[name][key].type, given[key]) for key in given})

    def _value(self, kind: str, value: Any) -> Any:
        """Convert plain data to the type that it stands for."""
        if value is None:
            return None
        if kind in CONVERTERS:
            return CONVERTERS[kind](value)
        declared = self.table.kinds.get(kind)
        if declared is None:
            return value
        if isinstance(declared, tuple):
            return getattr(self.module, kind)(value)
        return getattr(self.module, kind)(**{key: self._value(declared[key].type, value[key]) for key in value})

    # -- the declarations

    def check_states(self) -> None:
        problems = []
        if not issubclass(self.module.State, StrEnum):
            problems.append("State is not a StrEnum")
        problems += _compare("states", {str(state) for state in self.module.State}, set(self.table.states))
        _report(self.table.name, problems + self._members(self.module.State))

    def check_initial(self) -> None:
        """Check that a new machine has the initial state and exactly the table's variables, at their defaults."""
        cls = getattr(self.module, self.table.cls)
        machine = cls()
        problems = []
        if not same(machine.state, self.module.State(self.table.initial)):
            problems.append(f"a new machine is in {machine.state!r}, not {self.table.initial!r}")
        names = {field.name for field in attrs.fields(cls)}
        problems += _compare("variables", names, {"state", *self.table.variables})
        if not problems:
            problems = self._variables(machine, {name: one.default for name, one in self.table.variables.items()})
        if hasattr(machine, "__dict__"):
            problems.append(f"{self.table.cls} is not slotted")
        _report(self.table.name, problems)

    def check_classes(self) -> None:
        """Check that events, effects and types are exactly those of the table."""
        problems = []
        for name, fields in self._declared().items():
            cls = getattr(self.module, name, None)
            if isinstance(fields, tuple):
                if not (isinstance(cls, type) and issubclass(cls, StrEnum)):
                    problems.append(f"{name} is not a StrEnum of the module")
                else:
                    problems += _compare(f"values of {name}", {str(value) for value in cls}, set(fields))
                    problems += self._members(cls)
            elif not (isinstance(cls, type) and attrs.has(cls)):
                problems.append(f"{name} is not an attrs class of the module")
            else:
                problems += self._fields(name, cls, fields)
        present = {
            name
            for name, cls in vars(self.module).items()
            if isinstance(cls, type) and (attrs.has(cls) or issubclass(cls, StrEnum))
            if cls.__module__ == self.module.__name__ and not name.startswith("_")
        }
        problems += _compare("classes", present, {*self._declared(), "State", self.table.cls})
        _report(self.table.name, problems)

    def _declared(self) -> dict[str, tuple[str, ...] | dict[str, Field]]:
        return {**self.table.kinds, **self.table.events, **self.table.effects}

    def _fields(self, name: str, cls: Any, fields: dict[str, Field]) -> list[str]:
        found = {field.name: field for field in attrs.fields(cls)}
        if list(found) != list(fields):
            return [f"{name} has the fields {list(found)}, not {list(fields)}"]
        problems = []
        for key, field in fields.items():
            default = found[key].default
            if field.default is MISSING:
                if default is not attrs.NOTHING:
                    problems.append(f"{name}.{key} has a default, {default!r}, but none in the table")
            elif not same(default, self._value(field.type, field.default)):
                problems.append(f"{name}.{key} is {default!r} by default, not {field.default!r}")
        if "__slots__" not in vars(cls) or cls.__dictoffset__:
            return [*problems, f"{name} is not slotted"]
        try:
            cls.__new__(cls).anything = None
        except attrs.exceptions.FrozenInstanceError:
            pass
        except AttributeError:
            problems.append(f"{name} is not frozen")
        return problems

    def _members(self, cls: type[StrEnum]) -> list[str]:
        return [
            f"{cls.__name__}.{member.name} does not match its value {str(member)!r}"
            for member in cls
            if member.name != str(member).upper().replace("-", "_")
        ]

    def check_table(self) -> None:
        """Check that the machine's table has the same cells."""
        found = {f"{state!s} / {event.__name__}" for state, event in self.module.TABLE}
        _report(self.table.name, _compare("cells", found, {f"{state} / {event}" for state, event in self.table.cells}))


def same(found: Any, wanted: Any) -> bool:
    """Compare values and classes, all the way down: `True` is not 1, a list is not a tuple.

    A StrEnum member equals its text.
    """
    if isinstance(wanted, str) and isinstance(found, str):
        return str(found) == str(wanted)
    if type(found) is not type(wanted):
        return False
    if isinstance(wanted, (tuple, list, deque)):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if attrs.has(type(wanted)):
        return all(same(getattr(found, one.name), getattr(wanted, one.name)) for one in attrs.fields(type(wanted)))
    return bool(found == wanted)


def _compare(what: str, found: set[str], wanted: set[str]) -> list[str]:
    problems = []
    if wanted - found:
        problems.append(f"{what} that only the table has: {', '.join(sorted(wanted - found))}")
    if found - wanted:
        problems.append(f"{what} that only the machine has: {', '.join(sorted(found - wanted))}")
    return problems


def _report(where: str, problems: list[str]) -> None:
    if problems:
        raise AssertionError("\n".join(f"{where}: {problem}" for problem in problems))
