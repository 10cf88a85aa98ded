"""The conformance checks accept the machine that a table describes, and reject any other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import yaml

from generator.machines.language import read
from generator.runtime.conformance import test_machines as conformance_tests
from generator.runtime.conformance.machines import Case, Conformance, Table, tables
from tests.machines.specs import DOOR, MODULE, ROOT, SPEC, changed

TABLE = Table(yaml.safe_load(DOOR))


def module(text: str) -> ModuleType:
    """Make a machine's module, as if it belonged to the package."""
    made = ModuleType("connectycube.chat.machines.door")
    exec(compile(text, "door.py", "exec"), made.__dict__)
    return made


def problems(text: str) -> list[str]:
    """Run all checks on a machine and collect the lines of their reports."""
    machine = Conformance(module(text), TABLE)
    checks: list[Callable[[], None]] = [partial(machine.check, case) for case in TABLE.cases]
    checks += [partial(machine.check_undefined, *cell) for cell in TABLE.undefined]
    checks += [machine.check_states, machine.check_initial, machine.check_classes, machine.check_table]
    found = []
    for check in checks:
        try:
            check()
        except AssertionError as error:
            found += str(error).splitlines()
    return found


def test_the_table_s_own_machine_is_accepted() -> None:
    assert problems(MODULE) == []


def test_every_check_has_a_conformance_test() -> None:
    checks = {name.removeprefix("check_") for name in vars(Conformance) if name.startswith("check_")}
    assert {name for name in vars(conformance_tests) if name.startswith("test_")} == {
        "test_case",
        *(f"test_{name}" for name in checks),
    }


def test_every_cell_is_tested() -> None:
    cells = {(case.state, case.event) for case in TABLE.cases} | set(TABLE.undefined)
    assert cells == {(state, event) for state in TABLE.states for event in TABLE.events}
    assert len(TABLE.undefined) == 9 - 4


def test_the_tests_read_what_the_generator_has_checked() -> None:
    checked = {machine.name: machine for machine in read(SPEC, ROOT)}
    assert [table.name for table in tables()] == sorted(checked)
    for table in tables():
        machine = checked[table.name]
        assert (table.module, table.cls, table.initial) == (machine.module, machine.cls, machine.initial)
        assert list(table.states) == [state.name for state in machine.states]
        assert [values(case) for case in table.cases] == [values(case) for case in machine.cases]


def values(case: Any) -> tuple[Any, ...]:
    return case.state, case.event, case.number, case.given, case.to, len(case.effects), case.then, case.why


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "return State.CLOSED, (Creak(),)",
            "return State.BOLTED, (Creak(),)",
            "door: state open, event Close, case 2 (the log stays): "
            "the state is <State.BOLTED: 'bolted'>, not 'closed'",
        ),
        (
            "return State.CLOSED, (Creak(),)",
            "return State.CLOSED, ()",
            "door: state open, event Close, case 1: the effects are (), not (Creak(),)",
        ),
        (
            "return State.CLOSED, (Creak(),)",
            "return State.CLOSED, [Creak()]",
            "door: state open, event Close, case 1: the effects are [Creak()], not (Creak(),)",
        ),
        (
            "return State.CLOSED, (Creak(),)",
            "return 'closed', (Creak(),) * 2",
            "door: state open, event Close, case 1: the effects are (Creak(), Creak()), not (Creak(),)",
        ),
        (
            "    (State.OPEN, Close): close,\n",
            "",
            "door: state open, event Close, case 1: undefined in the machine, defined in the table",
        ),
        (
            "    (State.OPEN, Close): close,\n",
            "",
            "door: cells that only the table has: open / Close",
        ),
        (
            "    (State.OPEN, Close): close,\n",
            "    (State.OPEN, Close): close,\n    (State.CLOSED, Close): close,\n",
            "door: state closed, event Close, variables with their defaults: undefined in the table, "
            "but the machine goes to <State.CLOSED: 'closed'> with (Creak(),)",
        ),
        (
            "    (State.OPEN, Close): close,\n",
            "    (State.OPEN, Close): close,\n    (State.CLOSED, Close): close,\n",
            "door: cells that only the machine has: closed / Close",
        ),
        (
            '    if door.mode == "staff":\n        return None\n',
            "",
            "door: state closed, event Push, case 2: undefined in the table, "
            "but the machine goes to <State.OPEN: 'open'> with (Creak(),)",
        ),
        (
            '    if door.mode == "staff":\n        return None\n',
            '    if door.mode == "staff":\n        door.wrong += 1\n        return None\n',
            "door: state closed, event Push, case 2: wrong is 1, not 0",
        ),
        (
            "        if done is None:\n",
            "        if done is None:\n            self.log.clear()\n",
            "door: state bolted, event Close, variables with their examples: log is deque([]), not deque(['a'])",
        ),
        (
            "        if done is None:\n",
            "        if done is None:\n            self.state = State.OPEN\n",
            "door: state closed, event Close, variables with their defaults: the state has become <State.OPEN: 'open'>",
        ),
        (
            'UndefinedTransition("Door", self.state, event)',
            'UndefinedTransition("Door", self.state, None)',
            "door: state open, event Push, variables with their defaults: "
            "the error names ('Door', <State.OPEN: 'open'>, None)",
        ),
        (
            "door.wrong += 1",
            "door.wrong += True if door.wrong else 2",
            "door: state bolted, event Push, case 2: the effects are (Ring(seconds=5.0, seen=('2',)),), not ()",
        ),
        (
            "    door.wrong = 0\n",
            "    door.wrong = False\n",
            "door: state bolted, event Push, case 3: wrong is False, not 0",
        ),
        (
            "    door.log.clear()\n",
            "    door.log = []\n",
            "door: state bolted, event Push, case 3: log is [], not deque([])",
        ),
        (
            "(Ring(5.0, seen),)",
            "(Ring(5, seen),)",
            "door: state bolted, event Push, case 3: the effects are (Ring(seconds=5, seen=('a', '2')),), "
            "not (Ring(seconds=5.0, seen=('a', '2')),)",
        ),
        (
            "seen = tuple(door.log)",
            "seen = tuple(reversed(door.log))",
            "door: state bolted, event Push, case 3: the effects are (Ring(seconds=5.0, seen=('2', 'a')),), "
            "not (Ring(seconds=5.0, seen=('a', '2')),)",
        ),
        (
            "door.wrong < door.limit.wrong",
            "door.wrong < 2",
            "door: state bolted, event Push, case 4: wrong is 0, not 2",
        ),
        (
            '    BOLTED = "bolted"\n',
            '    BOLTED = "bolted"\n    GONE = "gone"\n',
            "door: states that only the machine has: gone",
        ),
        ('    STAFF = "staff"\n', '    CREW = "staff"\n', "door: Mode.CREW does not match its value 'staff'"),
        (
            '    STAFF = "staff"\n',
            '    STAFF = "staff"\n    CAT = "cat"\n',
            "door: values of Mode that only the machine has: cat",
        ),
        (
            "state: State = State.OPEN",
            "state: State = State.CLOSED",
            "door: a new machine is in <State.CLOSED: 'closed'>, not 'open'",
        ),
        ("    wrong: int = 0\n", "    wrong: int = 1\n", "door: wrong is 1, not 0"),
        (
            "    wrong: int = 0\n",
            "    wrong: int = 0\n    odd: int = 0\n",
            "door: variables that only the machine has: odd",
        ),
        ("@attrs.define\nclass Door", "@attrs.define(slots=False)\nclass Door", "door: Door is not slotted"),
        ("@attrs.frozen\nclass Creak", "@attrs.define\nclass Creak", "door: Creak is not frozen"),
        ("@attrs.frozen\nclass Creak", "@attrs.frozen(slots=False)\nclass Creak", "door: Creak is not slotted"),
        ("    seconds: float\n", "", "door: Ring has the fields ['seen'], not ['seconds', 'seen']"),
        ("    code: str\n", "    code: str = ''\n", "door: Bolt.code has a default, '', but none in the table"),
        (
            "class Push:\n    code: str | None = None\n",
            "class Push:\n    code: str | None = ''\n",
            "door: Push.code is '' by default, not None",
        ),
        ("    wrong: int = 2\n", "    wrong: int = 3\n", "door: Limit.wrong is 3 by default, not 2"),
        (
            "@attrs.frozen\nclass Creak",
            "@attrs.frozen\nclass Squeak:\n    pass\n\n\n@attrs.frozen\nclass Creak",
            "door: classes that only the machine has: Squeak",
        ),
    ],
)
def test_another_machine_is_rejected(old: str, new: str, problem: str) -> None:
    assert problem in problems(changed(old, new, MODULE))


def test_a_wrong_table_is_reported_with_its_case() -> None:
    case = Case("open", "Close", 9, to="open", effects=(("Ring", {"seconds": 1, "seen": []}),), why="odd")
    with pytest.raises(AssertionError) as caught:
        Conformance(module(MODULE), TABLE).check(case)
    assert str(caught.value).splitlines() == [
        "door: state open, event Close, case 9 (odd): the state is <State.CLOSED: 'closed'>, not 'open'",
        "door: state open, event Close, case 9 (odd): the effects are (Creak(),), not (Ring(seconds=1.0, seen=()),)",
    ]


def test_other_exceptions_are_not_undefined_transitions() -> None:
    undefined = "        if done is None:\n"
    broken = changed(undefined, f"{undefined}            raise KeyError('x')\n", MODULE)
    found = problems(broken)
    assert "door: state closed, event Push, case 2: KeyError('x')" in found
    assert "door: state open, event Push, variables with their defaults: KeyError('x')" in found
    broken = changed("    if event.code == door.code:\n", "    if event.code == door.key:\n", MODULE)
    problem = "door: state bolted, event Push, case 1: AttributeError(\"'Door' object has no attribute 'key'\")"
    assert problem in problems(broken)
