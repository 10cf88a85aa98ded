"""A fault in a table is reported with its file and line, and how to fix it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator.machines.docs import render as pages
from generator.machines.language import read
from tests.machines.specs import DOOR, ROOT, SPEC, changed, faults, load

TYPED = "Write a value of that type."
TRIED = "Add 'example': undefined cells are tested with it."


def line(text: str) -> int:
    """Find the line of a text in the door's table."""
    return next(number for number, one in enumerate(DOOR.splitlines(), 1) if text in one)


def test_the_door_has_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, door=DOOR) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("initial: open", "initial: opened", "there is no state 'opened'. Write 'open'."),
        ("initial: open", "inital: open", "unknown key 'inital'. Write 'initial'."),
        ("{doc: Open.}", "{dok: Open.}", "unknown key 'dok'. Write 'doc'."),
        ("  closed:\n    Push", "  close:\n    Push", "there is no state 'close'. Write 'closed'."),
        ("    Close:\n", "    Closed:\n", "there is no event 'Closed'. Write 'Close'."),
        (
            "{to: closed, effects: [Creak]}",
            "{to: closd, effects: [Creak]}",
            "there is no state 'closd'. Write 'closed'.",
        ),
        (
            "{to: closed, effects: [Creak]}",
            "{to: closed, effects: [Krak]}",
            "there is no effect 'Krak'. Write 'Creak'.",
        ),
        (
            "{to: closed, effects: [Creak]}",
            "{effects: [Creak]}",
            "case 1 of open / Close does not say where it leads. Add 'to', or 'undefined: true'.",
        ),
        ("given: {log: [a, b]}", "given: {logs: [a, b]}", "there is no variable 'logs'. Write 'log'."),
        ("given: {log: [a, b]}", "given: {log: a}", f"log: a is not a list of plain values. {TYPED}"),
        ("given: {log: [a, b]}", "given: {log: [[a]]}", f"log: [[a]] is not a list of plain values. {TYPED}"),
        ("given: {log: [a, b]}", "given: {wrong: true}", f"wrong: true is not an integer. {TYPED}"),
        ("given: {log: [a, b]}", "given: {wrong: 1.5}", f"wrong: 1.5 is not an integer. {TYPED}"),
        ("given: {log: [a, b]}", "given: {wrong: null}", f"wrong: null is not an integer. {TYPED}"),
        ("given: {log: [a, b]}", "given: {code: 1}", f"code: 1 is not a text. {TYPED}"),
        ("given: {log: [a, b]}", "given: {mode: stuff}", f"mode: stuff is not one of everybody, staff. {TYPED}"),
        ("given: {log: [a, b]}", "given: {limit: 3}", f"limit: 3 is not a mapping of the fields of Limit. {TYPED}"),
        ("given: {log: [a, b]}", "given: {limit: {right: 3}}", f"limit: Limit has no field 'right'. {TYPED}"),
        ("given: {log: [a, b]}", "given: {limit: {wrong: x}}", f"limit: wrong: x is not an integer. {TYPED}"),
        ("given: {log: [a, b]}", "given: {}", "case 2 of open / Close repeats case 1. Remove one of them."),
        (
            "given: {log: [a, b]}",
            "given: {wrong: 0}",
            "case 2 of open / Close repeats case 1. Remove one of them.",
        ),
        (
            "given: {mode: staff}, undefined",
            "given: {mode: staff}, to: open, undefined",
            "a case of closed / Push is undefined, so it can't have 'to'. Remove one of the two.",
        ),
        (
            "given: {mode: staff}, undefined",
            "given: {mode: staff}, then: {}, undefined",
            "a case of closed / Push is undefined, so it can't have 'then'. Remove one of the two.",
        ),
        (
            'event: {code: "1"}, to: bolted',
            'event: {cod: "1"}, to: bolted',
            "there is no field of Bolt 'cod'. Write 'code'.",
        ),
        (
            'event: {code: "1"}, to: bolted',
            "event: {mode: staff}, to: bolted",
            "the event Bolt is missing 'code'. Add 'code'.",
        ),
        ('event: {code: "1"}, to: bolted', "to: bolted", "the event Bolt is missing 'code'. Add 'code'."),
        ('event: {code: "1"}, to: bolted', "event: {code: true}, to: bolted", f"code: true is not a text. {TYPED}"),
        ("{Ring: {seconds: 5, seen", "{Ring: {second: 5, seen", "there is no field of Ring 'second'. Write 'seconds'."),
        ("{Ring: {seconds: 5, seen", "{Ring: {seen", "the effect Ring is missing 'seconds'. Add 'seconds'."),
        ("{Ring: {seconds: 5, seen", "{Ring: {seconds: long, seen", f"seconds: long is not a number. {TYPED}"),
        (
            "- {to: open, effects: [Creak]}",
            "- {to: open, effects: [{Creak: 1}]}",
            "an effect must be a name, or a name with its fields. Write a name, or {Name: {field: value}}.",
        ),
        (
            "- {to: open, effects: [Creak]}",
            "- {to: open, effects: [{Creak: {}, Ring: {}}]}",
            "an effect must be a name, or a name with its fields. Write a name, or {Name: {field: value}}.",
        ),
        (
            "  Mode: {doc: Who passes., values: [everybody, staff]}",
            "  Mode: {doc: Who passes.}",
            "Mode must have either values or fields. Give one of the two.",
        ),
        ("wrong: {type: int, default: 2,", "wrong: {type: int,", "wrong of Limit has no default. Add 'default'."),
        (
            "wrong: {type: int, default: 0, example: 1,",
            "wrong: {type: int, example: 1,",
            "the variable 'wrong' has no default. Add 'default'.",
        ),
        (
            "wrong: {type: int, default: 0, example: 1,",
            "wrong: {type: number, default: 0, example: 1,",
            "there is no type 'number'. Choose one of int, float, bool, text, tuple, set, queue, any, Mode, Limit.",
        ),
        (
            "wrong: {type: int, default: 0, example: 1,",
            "wrong: {type: int, default: x, example: 1,",
            f"default: x is not an integer. {TYPED}",
        ),
        (
            "wrong: {type: int, default: 0, example: 1,",
            "wrong: {type: int, default: 0, example: 0,",
            f"the example of the variable 'wrong' must differ from its default. {TRIED}",
        ),
        (
            'code: {type: text, example: "1234", doc: The code.}',
            "code: {type: text, doc: The code.}",
            f"the field 'code' of Bolt has no example. {TRIED}",
        ),
        (
            "  Close: {doc: Somebody closes it.}",
            "  Mode: {doc: Somebody closes it.}",
            "Mode is already a type. Give each its own name.",
        ),
        (
            "  Close: {doc: Somebody closes it.}",
            "  Door: {doc: Somebody closes it.}",
            "Door is already the machine itself. Give each its own name.",
        ),
        (
            "  Close: {doc: Somebody closes it.}",
            "  State: {doc: Somebody closes it.}",
            "an event can't be called State. Give it another name.",
        ),
        (
            "  Creak: {doc: It moves.}",
            "  Push: {doc: It moves.}",
            "Push is already an event. Give each its own name.",
        ),
        ("class: Door", "class: State", "a machine's class can't be State. Give it another name."),
        ("module: door", "module: class", "a module can't be called 'class'. Give it another name."),
        ("  log: {type: queue", "  state: {type: queue", "a variable can't be called 'state'. Give it another name."),
        (
            "      seconds: {type: float, doc",
            "      while: {type: float, doc",
            "a field can't be called 'while'. Give it another name.",
        ),
    ],
)
def test_fault(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = changed(old, new)
    wrong = next(n for n, (a, b) in enumerate(zip(DOOR.splitlines(), text.splitlines(), strict=False), 1) if a != b)
    assert f"machines/door.yaml:{wrong}: {problem}" in faults(tmp_path, door=text)


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        (
            "  open:\n    Close:\n      - {to: closed, effects: [Creak]}\n"
            "      - {given: {log: [a, b]}, to: closed, effects: [Creak], why: the log stays}\n",
            "",
            "  open: {",
            "the state 'open' has no row in the table. Add one, or remove the state.",
        ),
        (
            "  bolted: {doc",
            "  ajar: {doc: Ajar.}\n  bolted: {doc",
            "  bolted: {",
            "the state 'ajar' has no row in the table. Add one, or remove the state.",
        ),
        (
            "  Push:\n    doc: Somebody",
            "  Kick: {doc: Somebody kicks.}\n  Push:\n    doc: Somebody",
            "  Push:",
            "no state handles the event 'Kick'. Add a cell, or remove it.",
        ),
        (
            "  Ring:\n    doc",
            "  Fall: {doc: It falls.}\n  Ring:\n    doc",
            "  Ring:",
            "no case expects the effect 'Fall'. Add a case, or remove it.",
        ),
        (
            "  log: {type",
            "  age: {type: int, default: 0, example: 1, doc: Age.}\n  log: {type",
            "  log: {",
            "no case gives or sets the variable 'age'. Add a case, or remove it.",
        ),
        (
            "  Limit:\n",
            "  Wood: {doc: Of which wood., values: [oak]}\n  Limit:\n",
            "  Limit:",
            "nothing uses the type 'Wood'. Add a field, or remove it.",
        ),
        (
            "    Push:\n      - {to: open, effects: [Creak]}\n",
            "    Close: [{undefined: true}]\n    Push:\n      - {to: open, effects: [Creak]}\n",
            "    Push:",
            "every case of closed / Close is undefined. Remove the cell: cells not in the table are undefined.",
        ),
    ],
)
def test_missing_and_unused_parts_are_reported(tmp_path: Path, old: str, new: str, where: str, problem: str) -> None:
    assert faults(tmp_path, door=changed(old, new)) == [f"machines/door.yaml:{line(where)}: {problem}"]


def test_unreachable_state_is_reported(tmp_path: Path) -> None:
    text = DOOR.replace("to: bolted", "to: closed")
    problem = "the state 'bolted' can't be reached. Add a case that leads there, or remove the state."
    assert faults(tmp_path, door=text) == [f"machines/door.yaml:{line('  bolted: {')}: {problem}"]


def test_states_reachable_only_from_unreachable_ones_are_reported(tmp_path: Path) -> None:
    text = changed("  bolted: {doc", "  odd: {doc: Odd.}\n  even: {doc: Even.}\n  bolted: {doc")
    text += "  odd: {Close: [{to: even}]}\n  even: {Close: [{to: odd}]}\n"
    assert [one.partition(": ")[2].partition(". ")[0] for one in faults(tmp_path, door=text)] == [
        "the state 'odd' can't be reached",
        "the state 'even' can't be reached",
    ]


def test_a_name_twice(tmp_path: Path) -> None:
    text = changed("  closed: {doc: Closed.}\n", "  closed: {doc: Closed.}\n  closed: {doc: Closed.}\n")
    problem = "duplicate key 'closed'. Remove one of them."
    assert faults(tmp_path, door=text) == [f"machines/door.yaml:{line('  closed: {') + 1}: {problem}"]


def test_a_machine_in_another_file(tmp_path: Path) -> None:
    problem = "machines/gate.yaml:1: the machine 'door' is defined in gate.yaml. Name the file door.yaml."
    assert faults(tmp_path, gate=DOOR) == [problem]


def test_a_machine_twice(tmp_path: Path) -> None:
    assert faults(tmp_path, door=DOOR, gate=DOOR) == [
        "machines/gate.yaml:1: the machine 'door' is already defined in machines/door.yaml. Give each its own name.",
        "machines/gate.yaml:2: the module 'door' already belongs to machines/door.yaml. "
        "Give each machine its own module.",
    ]


def test_a_name_of_the_pages(tmp_path: Path) -> None:
    text = DOOR.replace("machine: door", "machine: index")
    problem = "machines/index.yaml:1: a machine can't be called 'index'. Give it another name."
    assert faults(tmp_path, index=text) == [problem]


def test_unknown_type_inside_of_a_type(tmp_path: Path) -> None:
    """The values of the outer type can't be checked then; the run goes on."""
    text = changed("wrong: {type: int, default: 2,", "wrong: {type: number, default: 2,").replace(
        "default: {}, example", "default: {wrong: 2}, example"
    )
    assert [one.partition(": ")[2] for one in faults(tmp_path, door=text)] == [
        "there is no type 'number'. Choose one of int, float, bool, text, tuple, set, queue, any, Mode."
    ]


def test_no_yaml(tmp_path: Path) -> None:
    [found] = faults(tmp_path, door="machine: [\n")
    assert found.startswith("machines/door.yaml:2: invalid YAML: ")


def test_no_machine(tmp_path: Path) -> None:
    [found] = faults(tmp_path)
    assert found.endswith(":1: there is no machine. Add a .yaml file.")


def test_faults_of_all_files_at_once(tmp_path: Path) -> None:
    gate = DOOR.replace("door", "gate").replace("Bolt:\n", "Bold:\n", 1)
    found = faults(tmp_path, door=changed("initial: open", "initial: ajar"), gate=gate, more="machine: [\n")
    assert {one.partition(":")[0] for one in found} == {f"machines/{name}.yaml" for name in ("door", "gate", "more")}


HOSTILE = ['"""', "{{ 7*7 }}", "x; import os", "a b", "../x", "Ärger", "__class__", "A\nB", "1A", "-", ""]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["machine", "module", "class", "states", "types", "variables", "events", "effects"])
def test_hostile_names_are_refused(tmp_path: Path, place: str, text: str) -> None:
    """Names become names in Python, in files and in diagrams."""
    if place in ("machine", "module", "class"):
        found = DOOR.replace(f"{place}: ", f"{place}: {json.dumps(text)} #", 1)
    else:
        entry = "{doc: x, type: int, default: 0, example: 1}" if place == "variables" else "{doc: x}"
        found = DOOR.replace(f"\n{place}:\n", f"\n{place}:\n  {json.dumps(text)}: {entry}\n")
    assert found != DOOR
    assert any("does not match" in one for one in faults(tmp_path, door=found))


def test_texts_are_data(tmp_path: Path) -> None:
    """A text may hold anything, even a template's syntax."""
    text = "x\"\"\" ''' {{ 7*7 }} {% raw %} \\ \n# \u2028 \0"
    table = DOOR.replace("[a, b]", json.dumps([text, "b"])).replace("the log stays", json.dumps(text))
    table = table.replace("title: Door", f"title: {json.dumps(text)}").replace("A door with a code.", json.dumps(text))
    machines = load(tmp_path, door=table)
    page = pages(machines, "spec/machines")["door.md"]
    assert "7&#42;7" in page
    assert "49" not in page


def test_every_state_of_the_project_has_every_event_decided() -> None:
    """Every cell is a decision: written down, or left out because the event must not happen there."""
    machines = {machine.name: machine for machine in read(SPEC, ROOT)}
    assert set(machines) == {"connection", "contact-list", "privacy-lists", "stream-management"}
    contact = machines["contact-list"]
    assert len(contact.states) == 9
    assert len(contact.cells) == len(contact.states) * len(contact.events)
