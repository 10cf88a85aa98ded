"""Measure the speed of the typed stanzas against their bars: `python -m benchmarks.stanzas`.

Each time is the median of many short rounds, each ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

import lxml.etree
import slixmpp

from connectycube import stanzas

from .report import SideBySide, Table, children_cpu, seconds
from .stanza_rivals import CONTACTS, DIALOG, ID, PEER, ROOM, SLIXMPP, UID, USER, Build, Read, aioxmpp_readers

ROUNDS = 150
ROUND = 0.002
"""Roughly how many seconds each side takes in a round."""

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
    ids = (found.id, found.from_, found.to, found.type, found.body)
    return ids, (found.markable is not None, extra.dialog_id, extra.date_sent)


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
    received, extra = stanzas.Received(id=ID), stanzas.ExtraParams(dialog_id=DIALOG)
    return stanzas.DeliveredMark(id=ID, from_=USER, to=PEER, type="chat", received=received, extra=extra).to_xml()


def build_presence() -> str:
    item = stanzas.MucItem(affiliation="member", role="participant")
    muc = stanzas.MucUser(item=item, statuses=(stanzas.MucStatus(code=110),))
    return stanzas.RoomOccupant(id=ID, from_=ROOM, to=USER, muc=muc).to_xml()


def build_roster() -> str:
    items = tuple(stanzas.RosterItem(jid=jid, name=name, subscription="both") for jid, name in CONTACTS)
    return stanzas.RosterResult(id=ID, to=USER, query=stanzas.RosterQuery(items=items)).to_xml()


OURS: dict[str, tuple[Read, Build]] = {
    "group message": (read_group, build_group),
    "1-1 message": (read_private, build_private),
    "delivered mark": (read_mark, build_mark),
    "room presence": (read_presence, build_presence),
    "roster of 10": (read_roster, build_roster),
}


def side_by_side(functions: dict[str, Callable[[], Any]]) -> SideBySide:
    def calls(function: Callable[[], Any]) -> int:
        return max(1, int(ROUND / min(seconds(time.process_time, function, 20) for _ in range(5))))

    return SideBySide(time.process_time, ROUNDS, functions, calls)


def columns(times: SideBySide) -> str:
    return "".join(f"{times.median(name) * 1e6:10.1f}" for name in times.times)


def parsing(table: Table, kind: str, aioxmpp: dict[str, Read]) -> None:
    (ours, build), (theirs, _) = OURS[kind], SLIXMPP[kind]
    xml = build().encode()
    assert ours(xml) == theirs(xml), f"both must read the same from a {kind}"
    sides: dict[str, Callable[[], Any]] = {
        "ElementTree": lambda: ET.fromstring(xml),
        "parse": lambda: stanzas.parse(xml),
        "and read": lambda: ours(xml),
        "lxml": lambda: lxml.etree.fromstring(xml),
        "slixmpp": lambda: theirs(xml),
    }
    if aioxmpp:
        sides["aioxmpp"] = lambda: aioxmpp[kind](xml)
    times = side_by_side(sides)
    bare, faster = times.ratio("parse", "ElementTree"), times.ratio("slixmpp", "and read")
    first = table.verdict(f"parse {kind}, ElementTree's time", bare <= PARSE_OF_ELEMENTTREE)
    second = table.verdict(f"parse {kind}, slixmpp's time", faster >= PARSE_OF_SLIXMPP)
    none = "" if aioxmpp else f"{'-':>10}"
    print(f"{kind:15}{columns(times)}{none}{bare:10.2f}{first}{faster:10.1f}{second}")


def building(table: Table, kind: str) -> None:
    (read, ours), (_, theirs) = OURS[kind], SLIXMPP[kind]
    assert read(ours().encode()) == read(theirs().encode()), f"both must build the same {kind}"
    times = side_by_side({"connectycube": ours, "slixmpp": theirs})
    faster = times.ratio("slixmpp", "connectycube")
    print(f"{kind:15}{columns(times)}{faster:10.1f}{table.verdict(f'build {kind}', faster >= BUILD_OF_SLIXMPP)}")


def imports(table: Table) -> None:
    programs = ["pass", "import connectycube.stanzas", "from connectycube.stanzas import parse, ChatMessage"]
    run = {one: partial(subprocess.run, [sys.executable, "-c", one], check=True) for one in programs}
    times = SideBySide(children_cpu, 21, run).times
    for program in programs[1:]:
        pairs = zip(times[program], times["pass"], strict=True)
        more = statistics.median(one - bare for one, bare in pairs) * 1000
        # The bar is for the package alone; whatever a program uses from it is loaded on first use.
        missed = table.verdict(program, more <= IMPORT_MILLISECONDS) if program == programs[1] else ""
        print(f"{more:6.1f} ms  {program}{missed}")


def main() -> int:
    gc.disable()
    table = Table()
    print(f"lxml {lxml.etree.__version__}, slixmpp {slixmpp.__version__}", end="")
    try:
        aioxmpp = aioxmpp_readers()
        print(f", aioxmpp {sys.modules['aioxmpp'].__version__}")
    except ImportError as error:
        aioxmpp = {}
        print(f"; aioxmpp does not run here: {error}")
    print("\nParse, microseconds (ours without and with reading the fields that slixmpp reads).")
    print(f"Bars: at most {PARSE_OF_ELEMENTTREE} times as long as ElementTree, ", end="")
    print(f"at least {PARSE_OF_SLIXMPP:g} times as fast as slixmpp")
    names = ("ElemTree", "parse", "and read", "lxml", "slixmpp", "aioxmpp", "/ElemTree", "x slixmpp")
    print(f"{'':15}" + "".join(f"{name:>10}" for name in names))
    for kind in OURS:
        parsing(table, kind, aioxmpp)
    print(f"\nBuild, microseconds. Bar: at least {BUILD_OF_SLIXMPP:g} times as fast as slixmpp")
    print(f"{'':15}" + "".join(f"{name:>10}" for name in ("ours", "slixmpp", "x slixmpp")))
    for kind in OURS:
        building(table, kind)
    print(f"\nImport, CPU time beyond Python's own start. Bar: at most {IMPORT_MILLISECONDS:g} ms")
    imports(table)
    for what in table.missed:
        print(f"missed: {what}")
    return table.status


if __name__ == "__main__":
    sys.exit(main())
