"""Speed of the typed stanzas, against their bars: `python -m benchmarks.stanzas`.

What is compared runs in turns, so that a busy machine slows all sides. Each time is the median of many short rounds,
each ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import datetime as dt
import gc
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import lxml.etree
import slixmpp

from connectycube import stanzas

from .stanza_rivals import CONTACTS, DIALOG, ID, PEER, ROOM, SLIXMPP, UID, USER, aioxmpp_readers

ROUNDS = 150
ROUND = 0.002
"""Seconds that a round of one side takes, about."""

PARSE_OF_ELEMENTTREE = 1.4
PARSE_OF_SLIXMPP = 4.0
BUILD_OF_SLIXMPP = 8.0
IMPORT_MILLISECONDS = 60.0


def read_group(xml: bytes) -> Any:
    found: Any = stanzas.parse(xml)
    extra = found.extra
    attachment = extra.attachments[0]
    return (
        (found.id, found.from_, found.to, found.body),
        (extra.save_to_history, extra.dialog_id, extra.date_sent, extra.params["mood"]),
        (attachment.type, attachment.id, attachment.uid, attachment.content_type),
    )


def read_private(xml: bytes) -> Any:
    found: Any = stanzas.parse(xml)
    extra = found.extra
    return (
        (found.id, found.from_, found.to, found.type, found.body),
        (found.markable is not None, extra.dialog_id, extra.date_sent),
    )


def read_mark(xml: bytes) -> Any:
    found: Any = stanzas.parse(xml)
    return (found.id, found.from_, found.to), found.received.id, found.extra.dialog_id


def read_presence(xml: bytes) -> Any:
    found: Any = stanzas.parse(xml)
    item = found.muc.item
    return (found.id, found.from_, found.to), item.affiliation, item.role, found.muc.statuses[0].code


def read_roster(xml: bytes) -> Any:
    found: Any = stanzas.parse(xml)
    return found.id, [(item.jid, item.name, item.subscription) for item in found.query.items]


def build_group() -> str:
    attachment = stanzas.Attachment(type="photo", id=UID, uid=UID, content_type="image/png")
    extra = stanzas.ExtraParams(
        save_to_history=True,
        dialog_id=DIALOG,
        date_sent=1770231600,
        attachments=(attachment,),
        params={"mood": "happy"},
    )
    return stanzas.GroupMessage(id=ID, from_=ROOM, to=USER, body="Who drives?", extra=extra).to_xml()


def build_private() -> str:
    extra = stanzas.ExtraParams(dialog_id=DIALOG, date_sent=1770231600)
    return stanzas.ChatMessage(
        id=ID, from_=USER, to=PEER, type="chat", body="See you at seven", markable=stanzas.Markable(), extra=extra
    ).to_xml()


def build_mark() -> str:
    return stanzas.DeliveredMark(
        id=ID,
        from_=USER,
        to=PEER,
        type="chat",
        received=stanzas.Received(id=ID),
        extra=stanzas.ExtraParams(dialog_id=DIALOG),
    ).to_xml()


def build_presence() -> str:
    item = stanzas.MucItem(affiliation="member", role="participant")
    muc = stanzas.MucUser(item=item, statuses=(stanzas.MucStatus(code=110),))
    return stanzas.RoomOccupant(id=ID, from_=ROOM, to=USER, muc=muc).to_xml()


def build_roster() -> str:
    items = tuple(stanzas.RosterItem(jid=jid, name=name, subscription="both") for jid, name in CONTACTS)
    return stanzas.RosterResult(id=ID, to=USER, query=stanzas.RosterQuery(items=items)).to_xml()


OURS: dict[str, tuple[Callable[[bytes], Any], Callable[[], str]]] = {
    "group message": (read_group, build_group),
    "1-1 message": (read_private, build_private),
    "delivered mark": (read_mark, build_mark),
    "room presence": (read_presence, build_presence),
    "roster of 10": (read_roster, build_roster),
}


class Turns:
    """Times of several sides that ran in turns."""

    def __init__(self, sides: dict[str, Callable[[], Any]]) -> None:
        self.times: dict[str, list[float]] = {name: [] for name in sides}
        counts = {name: max(1, int(ROUND / min(self.once(run, 20) for _ in range(5)))) for name, run in sides.items()}
        gc.collect()
        gc.disable()
        for _ in range(ROUNDS):
            for name, run in sides.items():
                self.times[name].append(self.once(run, counts[name]))
        gc.enable()

    @staticmethod
    def once(run: Callable[[], Any], count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            run()
        return (time.process_time() - start) / count or 1e-9

    def microseconds(self, name: str) -> float:
        return statistics.median(self.times[name]) * 1e6

    def ratio(self, one: str, other: str) -> float:
        pairs = zip(self.times[one], self.times[other], strict=True)
        return statistics.median(first / second for first, second in pairs)


missed: list[str] = []


def verdict(what: str, holds: bool) -> str:
    if not holds:
        missed.append(what)
    return "" if holds else " MISSED"


def parsing(kind: str, aioxmpp: dict[str, Callable[[bytes], Any]]) -> None:
    xml = OURS[kind][1]().encode()
    ours, theirs = OURS[kind][0], SLIXMPP[kind][0]
    assert ours(xml) == theirs(xml), f"both must read the same of a {kind}"
    sides: dict[str, Callable[[], Any]] = {
        "ElementTree": lambda: ET.fromstring(xml),
        "parse": lambda: stanzas.parse(xml),
        "and read": lambda: ours(xml),
        "lxml": lambda: lxml.etree.fromstring(xml),
        "slixmpp": lambda: theirs(xml),
    }
    if aioxmpp:
        sides["aioxmpp"] = lambda: aioxmpp[kind](xml)
    turns = Turns(sides)
    bare, faster = turns.ratio("parse", "ElementTree"), turns.ratio("slixmpp", "and read")
    times = "".join(f"{turns.microseconds(name):10.1f}" for name in sides) + ("" if aioxmpp else f"{'-':>10}")
    first = verdict(f"parse {kind} of ElementTree", bare <= PARSE_OF_ELEMENTTREE)
    second = verdict(f"parse {kind} of slixmpp", faster >= PARSE_OF_SLIXMPP)
    print(f"{kind:15}{times}{bare:10.2f}{first}{faster:10.1f}{second}")


def building(kind: str) -> None:
    ours, theirs = OURS[kind][1], SLIXMPP[kind][1]
    reader = OURS[kind][0]
    assert reader(ours().encode()) == reader(theirs().encode()), f"both must build the same {kind}"
    turns = Turns({"connectycube": ours, "slixmpp": theirs})
    faster = turns.ratio("slixmpp", "connectycube")
    times = f"{turns.microseconds('connectycube'):10.1f}{turns.microseconds('slixmpp'):10.1f}"
    print(f"{kind:15}{times}{faster:10.1f}{verdict(f'build {kind}', faster >= BUILD_OF_SLIXMPP)}")


def imports() -> None:
    programs = ["pass", "import connectycube.stanzas", "from connectycube.stanzas import parse, ChatMessage"]
    times: dict[str, list[float]] = {program: [] for program in programs}
    for _ in range(21):
        for program in programs:
            before = cpu_of_children()
            subprocess.run([sys.executable, "-c", program], check=True)
            times[program].append(cpu_of_children() - before)
    for program in programs[1:]:
        pairs = zip(times[program], times["pass"], strict=True)
        more = statistics.median(one - bare for one, bare in pairs) * 1000
        # The bar is for the package; what a program uses of it is loaded when it is used.
        said = verdict(program, more <= IMPORT_MILLISECONDS) if program == programs[1] else ""
        print(f"{more:6.1f} ms  {program}{said}")


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, {dt.date.today()}")
    print(f"lxml {lxml.etree.__version__}, slixmpp {slixmpp.__version__}", end="")
    try:
        aioxmpp = aioxmpp_readers()
        print(f", aioxmpp {sys.modules['aioxmpp'].__version__}")
    except ImportError as error:
        aioxmpp = {}
        print(f"; aioxmpp does not run here: {error}")
    print("\nParse, microseconds (ours without and with reading the fields that slixmpp reads).")
    print(f"Bars: of ElementTree at most {PARSE_OF_ELEMENTTREE}, ", end="")
    print(f"faster than slixmpp by at least {PARSE_OF_SLIXMPP:g}")
    names = ("ElemTree", "parse", "and read", "lxml", "slixmpp", "aioxmpp", "/ElemTree", "x slixmpp")
    print(f"{'':15}" + "".join(f"{name:>10}" for name in names))
    for kind in OURS:
        parsing(kind, aioxmpp)
    print(f"\nBuild, microseconds. Bar: faster than slixmpp by at least {BUILD_OF_SLIXMPP:g}")
    print(f"{'':15}" + "".join(f"{name:>10}" for name in ("ours", "slixmpp", "x slixmpp")))
    for kind in OURS:
        building(kind)
    print(f"\nImport on top of Python's start, CPU time. Bar: at most {IMPORT_MILLISECONDS:g} ms")
    imports()
    for what in missed:
        print(f"missed: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
