"""Read and check the machine language."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..faults import Fault, SpecFaults, nearest
from ..schema import read_folder
from ..source import Map, Seq, fault, plain
from .model import MISSING, PLAIN, Case, Effect, Field, Kind, Machine, Signal, State, Values
from .values import problem_of

RESERVED = frozenset({"index"})
"""Names of pages that the generator makes itself."""

TAKEN = frozenset({"state", "handle"})
"""Attributes that every machine's class has besides its variables."""

TAKEN_CLASSES = frozenset({"State", "UndefinedTransition", "None", "True", "False"})


def read(folder: Path, base: Path) -> list[Machine]:
    """Read all files of a folder, one machine each.

    :raises SpecFaults: with the faults of all files.
    """
    found, faults = read_folder(folder, base, "machine", "docs/machine-language.md")
    documents: list[Map] = []
    for path, document in found:
        faults += _names(document, path, documents)
        documents.append(document)
    machines = []
    for document in documents:
        reader = _Reader(document)
        machines.append(reader.run())
        faults += reader.faults
    if faults:
        raise SpecFaults(faults)
    if not machines:
        raise SpecFaults([Fault(str(folder), 1, "there is no machine", "Add a .yaml file")])
    return machines


def _names(document: Map, path: Path, others: list[Map]) -> list[Fault]:
    """Find conflicts between the names in a file and those in the files before it."""
    found = []
    name, module = document["machine"], document["module"]
    if name in RESERVED:
        found.append(fault(document, "machine", f"a machine can't be called {name!r}", "Give it another name"))
    twin = next((other for other in others if other["machine"] == name), None)
    if twin is not None:
        problem = f"the machine {name!r} is already defined in {twin.file}"
        found.append(fault(document, "machine", problem, "Give each its own name"))
    elif name != path.stem:
        problem = f"the machine {name!r} is defined in {path.name}"
        found.append(fault(document, "machine", problem, f"Name the file {name}.yaml"))
    twin = next((other for other in others if other["module"] == module), None)
    if twin is not None:
        problem = f"the module {module!r} already belongs to {twin.file}"
        found.append(fault(document, "module", problem, "Give each machine its own module"))
    if keyword.iskeyword(module):
        found.append(fault(document, "module", f"a module can't be called {module!r}", "Give it another name"))
    return found


class _Reader:
    """Reads a file that is valid by its schema."""

    def __init__(self, document: Map) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.kinds: dict[str, Kind] = {}

    def add(self, parent: Map | Seq, key: object, problem: str, remedy: str) -> None:
        self.faults.append(fault(parent, key, problem, remedy))

    def run(self) -> Machine:
        document = self.document
        self.machine = machine = Machine(
            name=document["machine"],
            module=document["module"],
            cls=document["class"],
            title=document["title"],
            source=document["source"],
            doc=document["doc"],
            file=document.file,
            initial=document["initial"],
        )
        self.classes()
        machine.states = [
            State(name, entry["doc"], entry.get("source", "")) for name, entry in document["states"].items()
        ]
        for name, entry in document.get("types", Map()).items():
            self.kinds[name] = self.kind(name, entry)
        machine.types = list(self.kinds.values())
        machine.variables = self.variables(document.get("variables", Map()))
        machine.events = self.signals(document["events"], "event")
        machine.effects = self.signals(document.get("effects", Map()), "effect")
        self.states = {state.name for state in machine.states}
        self.known(document, "initial", machine.initial, self.states, "state")
        if not self.faults:
            # Cases are checked against the declarations, whose faults would be reported again here.
            self.table(document["table"])
        if not self.faults:
            self.whole()
        return machine

    def known(self, parent: Map | Seq, key: object, name: str, names: Iterable[str], what: str) -> bool:
        names = list(names)
        if name in names:
            return True
        remedy = f"Choose one of {', '.join(names)}" if names else f"Define the {what}"
        self.add(parent, key, f"there is no {what} {name!r}", nearest(name, names, remedy))
        return False

    # -- declarations

    def classes(self) -> None:
        """Check that types, events, effects and the machine, which share a module, have different names."""
        seen = {self.machine.cls: "the machine itself"}
        if self.machine.cls in TAKEN_CLASSES:
            self.add(self.document, "class", f"a machine's class can't be {self.machine.cls}", "Give it another name")
        for section, what in (("types", "a type"), ("events", "an event"), ("effects", "an effect")):
            entries = self.document.get(section, Map())
            for name in entries:
                if name in seen:
                    self.add(entries, name, f"{name} is already {seen[name]}", "Give each its own name")
                elif name in TAKEN_CLASSES:
                    self.add(entries, name, f"{what} can't be called {name}", "Give it another name")
                seen.setdefault(name, what)

    def kind(self, name: str, entry: Map) -> Kind:
        if ("values" in entry) == ("fields" in entry):
            self.add(self.document["types"], name, f"{name} must have either values or fields", "Give one of the two")
        fields = self.fields(entry.get("fields", Map()))
        for one in fields:
            if not one.has_default:
                self.add(entry["fields"], one.name, f"{one.name} of {name} has no default", "Add 'default'")
        return Kind(name, entry["doc"], tuple(entry.get("values", ())), tuple(fields))

    def fields(self, entries: Map) -> list[Field]:
        found = []
        for name, entry in entries.items():
            if keyword.iskeyword(name):
                self.add(entries, name, f"a field can't be called {name!r}", "Give it another name")
            one = Field(
                name=name,
                type=entry["type"],
                optional=bool(entry.get("optional")),
                doc=entry["doc"],
                default=plain(entry["default"]) if "default" in entry else MISSING,
                example=plain(entry["example"]) if "example" in entry else MISSING,
            )
            found.append(one)
            if self.known(entry, "type", one.type, [*PLAIN, *self.kinds], "type"):
                for key, value in (("default", one.default), ("example", one.example)):
                    if value is not MISSING:
                        self.value(entry, key, one, value)
        return found

    def variables(self, entries: Map) -> list[Field]:
        found = self.fields(entries)
        for one in found:
            if one.name in TAKEN:
                self.add(entries, one.name, f"a variable can't be called {one.name!r}", "Give it another name")
            if not one.has_default:
                self.add(entries, one.name, f"the variable {one.name!r} has no default", "Add 'default'")
            if one.example is MISSING or one.example == one.default:
                problem = f"the example of the variable {one.name!r} must differ from its default"
                self.add(entries, one.name, problem, "Add 'example': undefined cells are tested with it")
        return found

    def signals(self, entries: Map, what: str) -> list[Signal]:
        found = []
        for name, entry in entries.items():
            fields = self.fields(entry.get("fields", Map()))
            for one in fields if what == "event" else ():
                if one.example is MISSING:
                    problem = f"the field {one.name!r} of {name} has no example"
                    self.add(entry["fields"], one.name, problem, "Add 'example': undefined cells are tested with it")
            source = entry.get("source", "")
            found.append(Signal(name, entry["doc"], source, tuple(fields), entry.get("diagram", True)))
        return found

    # -- values

    def value(self, parent: Map, key: str, field: Field, value: Any) -> None:
        problem = problem_of(field.type, field.optional, value, self.kinds)
        if problem:
            self.add(parent, key, f"{key}: {problem}", "Write a value of that type")

    def values(self, entries: Map, fields: Iterable[Field], what: str) -> Values:
        """Check the values that a case gives."""
        by_name = {field.name: field for field in fields}
        for name in entries:
            if self.known(entries, name, name, by_name, what):
                self.value(entries, name, by_name[name], entries[name])
        return {name: plain(value) for name, value in entries.items()}

    def whole_values(self, parent: Map | Seq, key: object, entries: Map, signal: Signal, what: str) -> Values:
        """Collect all values of an event or an effect, with the defaults of those not given."""
        found = self.values(entries, signal.fields, f"field of {signal.name}")
        for field in signal.fields:
            if field.name not in found:
                if field.has_default:
                    found[field.name] = field.default
                else:
                    problem = f"the {what} {signal.name} is missing {field.name!r}"
                    self.add(parent, key, problem, f"Add '{field.name}'")
        return {field.name: found[field.name] for field in signal.fields if field.name in found}

    # -- the table

    def table(self, table: Map) -> None:
        for state in self.machine.states:
            if state.name not in table:
                problem = f"the state {state.name!r} has no row in the table"
                self.add(self.document["states"], state.name, problem, "Add one, or remove the state")
        events = {event.name: event for event in self.machine.events}
        for state_name, row in table.items():
            self.known(table, state_name, state_name, self.states, "state")
            for event_name, cell in row.items():
                if self.known(row, event_name, event_name, events, "event"):
                    self.cell(row, state_name, events[event_name], cell)

    def cell(self, row: Map, state: str, event: Signal, cell: Seq) -> None:
        cases = [self.case(cell, state, event, number, entry) for number, entry in enumerate(cell, 1)]
        if all(case.to is None for case in cases):
            problem = f"every case of {state} / {event.name} is undefined"
            self.add(row, event.name, problem, "Remove the cell: cells not in the table are undefined")
        seen: list[tuple[Values, Values]] = []
        for number, case in enumerate(cases):
            given = {field.name: field.default for field in self.machine.variables} | case.given
            if (given, case.values) in seen:
                first = seen.index((given, case.values)) + 1
                problem = f"case {case.number} of {state} / {event.name} repeats case {first}"
                self.add(cell, number, problem, "Remove one of them")
            seen.append((given, case.values))
        self.machine.cases += cases

    def case(self, cell: Seq, state: str, event: Signal, number: int, entry: Map) -> Case:
        where = f"{state} / {event.name}"
        given = self.values(entry.get("given", Map()), self.machine.variables, "variable")
        values = self.whole_values(
            entry if "event" in entry else cell,
            "event" if "event" in entry else number - 1,
            entry.get("event", Map()),
            event,
            "event",
        )
        then = self.values(entry.get("then", Map()), self.machine.variables, "variable")
        effects = tuple(self.effects(entry.get("effects", Seq())))
        to = entry.get("to")
        if "undefined" in entry:
            for key in ("to", "effects", "then"):
                if key in entry:
                    problem = f"a case of {where} is undefined, so it can't have {key!r}"
                    self.add(entry, key, problem, "Remove one of the two")
            to = None
        elif to is None:
            problem = f"case {number} of {where} does not say where it leads"
            self.add(cell, number - 1, problem, "Add 'to', or 'undefined: true'")
        else:
            self.known(entry, "to", to, self.states, "state")
        return Case(state, event.name, number, given, values, to, effects, then, entry.get("why", ""))

    def effects(self, entries: Seq) -> Iterable[Effect]:
        known = {effect.name: effect for effect in self.machine.effects}
        for number, entry in enumerate(entries):
            values = Map()
            name = entry
            if isinstance(entry, Map):
                if len(entry) != 1 or not isinstance(next(iter(entry.values())), Map):
                    remedy = "Write a name, or {Name: {field: value}}"
                    self.add(entries, number, "an effect must be a name, or a name with its fields", remedy)
                    continue
                [(name, values)] = entry.items()
            if self.known(entries, number, name, known, "effect"):
                yield Effect(name, self.whole_values(entries, number, values, known[name], "effect"))

    # -- the machine as a whole

    def whole(self) -> None:
        """Find what is declared but never used: most often a row was forgotten."""
        machine, document = self.machine, self.document
        reached, ahead = {machine.initial}, [machine.initial]
        while ahead:
            state = ahead.pop()
            for case in machine.cases:
                if case.state == state and case.to is not None and case.to not in reached:
                    reached.add(case.to)
                    ahead.append(case.to)
        for name in document["states"]:
            if name not in reached:
                problem = f"the state {name!r} can't be reached"
                self.add(document["states"], name, problem, "Add a case that leads there, or remove the state")
        used = {case.event for case in machine.cases}
        self.unused("events", used, "no state handles the event {!r}", "Add a cell")
        used = {effect.name for case in machine.cases for effect in case.effects}
        self.unused("effects", used, "no case expects the effect {!r}", "Add a case")
        used = {name for case in machine.cases for name in (*case.given, *case.then)}
        self.unused("variables", used, "no case gives or sets the variable {!r}", "Add a case")
        fields = [*machine.variables, *(one for signal in machine.events + machine.effects for one in signal.fields)]
        fields += [one for kind in machine.types for one in kind.fields]
        self.unused("types", {one.type for one in fields}, "nothing uses the type {!r}", "Add a field")

    def unused(self, section: str, used: set[str], problem: str, remedy: str) -> None:
        entries = self.document.get(section, Map())
        for name in entries:
            if name not in used:
                self.add(entries, name, problem.format(name), f"{remedy}, or remove it")
