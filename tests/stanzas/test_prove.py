from __future__ import annotations

import linecache
import sys
from pathlib import Path

import pytest

from generator.output import GenerationError
from generator.stanzas.language import read
from generator.stanzas.prove import prove
from generator.stanzas.render import render
from tests.stanzas.specs import ROOT, SPEC, load, protocol

LANGUAGE = read(SPEC, ROOT)
FILES = render(LANGUAGE, "spec/stanzas")
ODD = """\
  Odd:
    element: odd
    doc: An odd one.
    attributes:
      - {name: number, type: int}
      - {name: word, default: none}
    children:
      - {field: inner, element: inner, type: text}
    examples:
"""
PLACE = "stanzas/odd.yaml:15: "


def proved(folder: Path, *entries: str, elements: str = ODD) -> list[str]:
    """Return the faults of a small spec. The first entry is in line 15."""
    language = load(folder, odd=protocol(elements + "".join(f"{entry}\n" for entry in entries)))
    return [str(fault) for fault in prove(render(language, "spec/stanzas"), language)]


def example(text: str) -> str:
    return f"      - {{{text}}}"


def test_all_examples_are_right() -> None:
    assert prove(FILES, LANGUAGE) == []


def test_right_examples_have_no_fault(tmp_path: Path) -> None:
    entries = [
        example(
            'xml: \'<odd xmlns="jabber:client" number="7"><x/><inner>a</inner></odd>\', fields: {number: 7, inner: a}'
        ),
        example("xml: '<odd word=\"none\"/>', builds: '<odd xmlns=\"jabber:client\"/>'"),
    ]
    assert proved(tmp_path, *entries, "    wrong: [{xml: '<even/>', why: even}]") == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "xml: <odd>",
            "the example is not a valid Odd: invalid XML: expected one whole element. Fix the example or the element.",
        ),
        (
            "xml: <odd number='x'/>",
            "the example is not a valid Odd: odd: number is not an integer: 'x'. Fix the example or the element.",
        ),
        ("xml: <odd/>, fields: {numbr: 1}", "Odd has no field 'numbr'. Write 'number'."),
        (
            "xml: <odd number='1'/>, fields: {number: 2}",
            "the field 'number' of the example is 1, not 2. Fix 'fields' or the example.",
        ),
        (
            "xml: <odd number='1'/>, fields: {number: true}",
            "the field 'number' of the example is 1, not True. Fix 'fields' or the example.",
        ),
        (
            'xml: \'<odd xmlns="jabber:client" word="none"/>\'',
            "the example builds other XML: /odd: attributes {} instead of {'word': 'none'}. "
            "Fix the example, or add the XML under 'builds'.",
        ),
        (
            "xml: '<odd><inner>a</inner></odd>', builds: '<odd xmlns=\"jabber:client\"><inner>b</inner></odd>'",
            "the example builds other XML: /odd/inner: text 'a' instead of 'b'. "
            "Fix the example, or add the XML under 'builds'.",
        ),
        (
            "xml: '<odd><inner>a</inner></odd>', builds: '<odd xmlns=\"jabber:client\"/>'",
            "the example builds other XML: /odd: unexpected {jabber:client}inner. "
            "Fix the example, or add the XML under 'builds'.",
        ),
        (
            "xml: <odd/>, builds: '<odd xmlns=\"jabber:client\"><x/></odd>'",
            "the example builds other XML: /odd: {jabber:client}x is missing. "
            "Fix the example, or add the XML under 'builds'.",
        ),
        (
            "xml: <odd/>, builds: <even/>",
            "the example builds other XML: /odd: {jabber:client}odd instead of even. "
            "Fix the example, or add the XML under 'builds'.",
        ),
        (
            "xml: <odd/>, builds: <odd",
            "'builds' is not valid XML: unclosed token: line 1, column 0. Fix it.",
        ),
    ],
)
def test_fault_of_an_example(tmp_path: Path, entry: str, problem: str) -> None:
    assert proved(tmp_path, example(entry)) == [PLACE + problem]


def test_counter_example_that_reads(tmp_path: Path) -> None:
    wrong = "    wrong:\n      - xml: <odd/>\n        why: odd"
    problem = "the counter-example reads as Odd (odd). Fix it, or make the element stricter."
    good = example("xml: '<odd xmlns=\"jabber:client\"/>'")
    assert proved(tmp_path, good, wrong) == [f"stanzas/odd.yaml:17: {problem}"]


def test_example_of_another_root(tmp_path: Path) -> None:
    elements = """\
  First:
    element: odd
    doc: Takes all.
    root: {rank: 1}
    examples: [{xml: '<odd xmlns="jabber:client"/>'}]
    wrong: [{xml: '<odd/>', why: never}, {xml: '<even/>', why: even}]
  Second:
    element: odd
    doc: Comes too late.
    root: {}
    examples: [{xml: '<odd xmlns="jabber:client"/>'}]
    wrong: [{xml: '<odd/>', why: is another root}]
"""
    assert proved(tmp_path, elements=elements) == [
        "stanzas/odd.yaml:16: the example of Second reads as First. "
        "Fix the example, or 'when' or 'rank' of Second or First.",
        "stanzas/odd.yaml:11: the counter-example reads as First (never). Fix it, or make the element stricter.",
    ]


def test_all_faults_are_reported(tmp_path: Path) -> None:
    assert len(proved(tmp_path, example("xml: <odd"), example("xml: <even/>"), example("xml: <odd number='x'/>"))) == 3


def test_nothing_is_left_behind() -> None:
    path, writes = list(sys.path), sys.dont_write_bytecode
    modules, caches, lines = set(sys.modules), set(sys.path_importer_cache), set(linecache.cache)
    prove(FILES, LANGUAGE)
    assert sys.path == path
    assert sys.dont_write_bytecode == writes
    assert set(sys.modules) == modules
    assert set(sys.path_importer_cache) == caches
    assert set(linecache.cache) == lines


def test_the_installed_package_is_not_used() -> None:
    with pytest.raises(GenerationError, match=r"^the stanzas can't be imported: ZeroDivisionError: division by zero$"):
        prove({**FILES, "bind.py": "1 / 0\n"}, LANGUAGE)
    assert [name for name in sys.modules if name.startswith("_proved")] == []
