"""The conformance tests that are made from a table accept the machine that it describes, and no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import connectycube.chat.machines as machines
from generator.machines.conformance import render
from tests.machines.specs import DOOR, MODULE, changed, load


def module(text: str) -> ModuleType:
    """A machine of its own, as if it stood in the package."""
    made = ModuleType("connectycube.chat.machines.door")
    exec(compile(text, "door.py", "exec"), made.__dict__)
    return made


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The generated test module of the door, which holds this machine against its table."""
    made = module(MODULE)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(machines, "door", made, raising=False)
    monkeypatch.delitem(sys.modules, "machine_conformance", raising=False)
    for name, text in render(load(tmp_path, door=DOOR), "spec/machines").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    file = tmp_path / "test_machine_door.py"
    found: dict[str, Any] = {"__file__": str(file), "__name__": "test_machine_door"}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), found)
    yield found
    del sys.modules["machine_conformance"]


def problems(tests: dict[str, Any], text: str) -> list[str]:
    """What all generated tests say of a machine, a line each."""
    table = tests["TABLE"]
    conformance = tests["checks"].Conformance(module(text), table)
    checks: list[Callable[[], None]] = [partial(conformance.check, case) for case in table.cases]
    checks += [partial(conformance.check_undefined, *cell) for cell in table.undefined]
    checks += [conformance.check_states, conformance.check_initial, conformance.check_classes, conformance.check_table]
    found = []
    for check in checks:
        try:
            check()
        except AssertionError as error:
            found += str(error).splitlines()
    return found


def test_the_machine_of_the_table(tests: dict[str, Any]) -> None:
    assert problems(tests, MODULE) == []


def test_the_generated_tests_run_every_check(tests: dict[str, Any]) -> None:
    for case in tests["TABLE"].cases:
        tests["test_case"](case)
    for state, event in tests["TABLE"].undefined:
        tests["test_undefined"](state, event)
    for name in ("states", "initial", "classes", "table"):
        tests[f"test_{name}"]()
    assert {name for name in tests if name.startswith("test_")} == {
        *(f"test_{name}" for name in ("case", "undefined", "states", "initial", "classes", "table"))
    }


def test_every_cell_is_tried(tests: dict[str, Any]) -> None:
    table = tests["TABLE"]
    cells = {(case.state, case.event) for case in table.cases} | set(table.undefined)
    assert cells == {(state, event) for state in table.states for event in table.events}
    assert len(table.undefined) == 9 - 4


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
        ('    STAFF = "staff"\n', '    CREW = "staff"\n', "door: Mode.CREW is named otherwise than its value 'staff'"),
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
        ("    code: str\n", "    code: str = ''\n", "door: Bolt.code has a default, '', and none in the table"),
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
def test_another_machine_is_told(tests: dict[str, Any], old: str, new: str, problem: str) -> None:
    found = problems(tests, changed(old, new, MODULE))
    assert problem in found


def test_another_table_is_told(tests: dict[str, Any]) -> None:
    """The table may be wrong as well: whichever differs, the case is named."""
    case = tests["Case"]("open", "Close", 9, to="open", effects=(("Ring", {"seconds": 1, "seen": []}),), why="odd")
    with pytest.raises(AssertionError) as caught:
        tests["CONFORMANCE"].check(case)
    assert str(caught.value).splitlines() == [
        "door: state open, event Close, case 9 (odd): the state is <State.CLOSED: 'closed'>, not 'open'",
        "door: state open, event Close, case 9 (odd): the effects are (Creak(),), not (Ring(seconds=1.0, seen=()),)",
    ]


def test_other_exceptions_are_told(tests: dict[str, Any]) -> None:
    """An error inside of a machine is no undefined transition."""
    undefined = "        if done is None:\n"
    broken = changed(undefined, f"{undefined}            raise KeyError('x')\n", MODULE)
    found = problems(tests, broken)
    assert "door: state closed, event Push, case 2: KeyError('x')" in found
    assert "door: state open, event Push, variables with their defaults: KeyError('x')" in found
    broken = changed("    if event.code == door.code:\n", "    if event.code == door.key:\n", MODULE)
    problem = "door: state bolted, event Push, case 1: AttributeError(\"'Door' object has no attribute 'key'\")"
    assert problem in problems(tests, broken)
