"""A small machine, its table, and helpers for both: a door that counts wrong codes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from generator.faults import SpecFaults
from generator.machines.language import read
from generator.machines.model import Machine

ROOT = Path(__file__).parent.parent.parent
SPEC = ROOT / "spec" / "machines"

DOOR = """\
machine: door
module: door
class: Door
title: Door
source: RFC 0000
doc: A door with a code.
initial: open
states:
  open: {doc: Open.}
  closed: {doc: Closed.}
  bolted: {doc: "Closed, and nobody passes without the code."}
types:
  Mode: {doc: Who passes., values: [everybody, staff]}
  Limit:
    doc: How patient the door is.
    fields:
      wrong: {type: int, default: 2, doc: Wrong codes before it rings.}
variables:
  wrong: {type: int, default: 0, example: 1, doc: Wrong codes in a row.}
  code: {type: text, optional: true, default: null, example: "4711", doc: The code.}
  log: {type: queue, default: [], example: [a], doc: Who came.}
  mode: {type: Mode, default: everybody, example: staff, doc: Who passes.}
  limit: {type: Limit, default: {}, example: {wrong: 5}, doc: How patient it is.}
events:
  Close: {doc: Somebody closes it.}
  Bolt:
    doc: Somebody bolts it.
    fields:
      code: {type: text, example: "1234", doc: The code.}
      mode: {type: Mode, default: everybody, example: staff, doc: Who passes.}
  Push:
    doc: Somebody pushes.
    fields:
      code: {type: text, optional: true, default: null, example: "1234", doc: The code.}
effects:
  Creak: {doc: It moves.}
  Ring:
    doc: It rings.
    fields:
      seconds: {type: float, doc: How long.}
      seen: {type: tuple, doc: Who came.}
table:
  open:
    Close:
      - {to: closed, effects: [Creak]}
      - {given: {log: [a, b]}, to: closed, effects: [Creak], why: the log stays}
  closed:
    Push:
      - {to: open, effects: [Creak]}
      - {given: {mode: staff}, undefined: true}
    Bolt:
      - {event: {code: "1"}, to: bolted, then: {code: "1"}}
      - {event: {code: "1", mode: staff}, to: bolted, then: {code: "1", mode: staff}}
  bolted:
    Push:
      - {given: {code: "1", wrong: 1}, event: {code: "1"}, to: open, effects: [Creak], then: {wrong: 0, code: null}}
      - {given: {code: "1"}, event: {code: "2"}, to: bolted, then: {wrong: 1, log: ["2"]}}
      - given: {code: "1", wrong: 1, log: [a]}
        event: {code: "2"}
        to: bolted
        effects: [{Ring: {seconds: 5, seen: [a, "2"]}}]
        then: {wrong: 0, log: []}
      - {given: {code: "1", wrong: 1, limit: {wrong: 3}}, event: {code: "2"}, to: bolted, then: {wrong: 2, log: ["2"]}}
"""

MODULE = """\
from collections import deque
from enum import StrEnum

import attrs

from connectycube.chat.machines import UndefinedTransition


class State(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    BOLTED = "bolted"


class Mode(StrEnum):
    EVERYBODY = "everybody"
    STAFF = "staff"


@attrs.frozen
class Limit:
    wrong: int = 2


@attrs.frozen
class Close:
    pass


@attrs.frozen
class Bolt:
    code: str
    mode: Mode = Mode.EVERYBODY


@attrs.frozen
class Push:
    code: str | None = None


@attrs.frozen
class Creak:
    pass


@attrs.frozen
class Ring:
    seconds: float
    seen: tuple[str, ...]


def close(door, event):
    return State.CLOSED, (Creak(),)


def push(door, event):
    if door.mode == "staff":
        return None
    return State.OPEN, (Creak(),)


def bolt(door, event):
    door.code, door.mode = event.code, event.mode
    return State.BOLTED, ()


def enter(door, event):
    if event.code == door.code:
        door.code, door.wrong = None, 0
        return State.OPEN, (Creak(),)
    door.wrong += 1
    door.log.append(event.code)
    if door.wrong < door.limit.wrong:
        return State.BOLTED, ()
    seen = tuple(door.log)
    door.wrong = 0
    door.log.clear()
    return State.BOLTED, (Ring(5.0, seen),)


TABLE = {
    (State.OPEN, Close): close,
    (State.CLOSED, Push): push,
    (State.CLOSED, Bolt): bolt,
    (State.BOLTED, Push): enter,
}


@attrs.define
class Door:
    state: State = State.OPEN
    wrong: int = 0
    code: str | None = None
    log: deque[str] = attrs.field(factory=deque)
    mode: Mode = Mode.EVERYBODY
    limit: Limit = Limit()

    def handle(self, event):
        rule = TABLE.get((self.state, type(event)))
        done = rule(self, event) if rule else None
        if done is None:
            raise UndefinedTransition("Door", self.state, event)
        self.state, effects = done
        return effects
"""


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a folder of specs; `files` are named without their suffix."""
    spec = folder / "machines"
    spec.mkdir(exist_ok=True)
    (folder / "schema").mkdir(exist_ok=True)
    shutil.copy(ROOT / "spec" / "schema" / "machine.schema.json", folder / "schema")
    for name, text in files.items():
        (spec / f"{name}.yaml").write_text(text, encoding="utf-8")
    return spec


def load(folder: Path, **files: str) -> list[Machine]:
    """Read the machines of some files."""
    return read(write(folder, files), folder)


def faults(folder: Path, **files: str) -> list[str]:
    """Collect the faults of some files."""
    try:
        load(folder, **files)
    except SpecFaults as error:
        return [str(fault) for fault in error.faults]
    return []


def changed(old: str, new: str, text: str = DOOR) -> str:
    """Replace a text that occurs exactly once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)
