"""No text of a spec becomes code: whatever stands in its place, it is refused or it stays inside of string literals."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from generator.faults import SpecFaults
from generator.machines import generate as machines
from generator.rest import conformance
from generator.rest.generate import bundled, load, package
from generator.stanzas import generate as stanzas
from tests.machines.specs import DOOR
from tests.properties import examples

from .support import ROOT, SPECS, Node
from .test_mutations import Place, changed

NUMBER = 8_675_309
"""Stands in code only if a text has become code."""

CALL = f"pwned({NUMBER})"

PRODUCT = "1234567*7"
"""A template that is run writes its value instead."""

HOSTILE = [
    *("'", '"', "'''", '"""', "\\", '\\"""', "\\x", "\\u12", "\\N{DASH}", "\\N{NONE}", "#", "# type: ignore"),
    *(f'"""\n{CALL}\n"""', f"'''\n{CALL}\n'''", f'\\"""\n{CALL}#', f"'+{CALL}+'", f'"+{CALL}+"', f"')\n{CALL}#"),
    *(f"\n{CALL}\n", f"#\r{CALL}", f"\x0c{CALL}", f"\x85{CALL}", f"\u2028{CALL}\u2029", CALL, f"{{{CALL}}}"),
    *(f"{{{{ {PRODUCT} }}}}", "{% for x in y %}", "{# x", "{", "}", "{0}", "{x!r:>{y}}", "%s %(x)s", "$x `x`"),
    *("\ud800", "\udfff\ud800", "\0", "\x1b[31m", "\x7f", "\ufeff", "\u202e", "\U0001f600", "x" * 70_000, "(" * 200),
    *(
        "é",
        "变量",
        "ﬁ",
        "ª",
        "²",
        "\u0661",
        "\uff43lass",
        "\uff55nknown",
        "",
        " ",
        "\t",
        "\n",
        "_",
        "__",
        "0",
        "-1",
        "1e999",
    ),
    *("class", "None", "lambda", "match", "type", "self", "cls", "print", "str", "__class__", "__init__", "mro", "dt"),
    *("tag", "element", "unknown", "attributes", "found", "error", "define", "Any", "Stanza", "state", "handle", "int"),
    *("xml:lang", "xml:", "a:b", "a.b", "a-b", "{urn:x}y", "<!--", "-->", "]]>", "&lt;", "</message>", "<![CDATA["),
    *("../../x", "..", "/", "~2", "%", "#/", "$ref", "null", "true", "*", "[a-", "(?P<x>", "index", "jids", "default"),
]

Files = Mapping[str, str]


def rest(spec: Path, folder: Path) -> Files:
    """Generate as for the project itself: with the bundled document and the conformance tests."""
    document = load(spec, folder)
    files, api = package(document, spec, spec.name)
    if "x-platform" not in document or api.warnings:
        return files
    return {**files, "openapi.yaml": bundled(document, "api"), **conformance.render(api, "api", document)}


def stanza(spec: Path, folder: Path) -> Files:
    return stanzas.package(spec.parent, folder, "spec")


def machine(spec: Path, folder: Path) -> Files:
    return machines.package(spec.parent, folder, "spec")


def read(path: Path) -> Node:
    found: Node = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return found


def strings(node: Any, path: Place = ()) -> Iterator[tuple[Place, str, bool]]:
    """Yield the path to each string of a document, the string, and whether it is a key."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        if isinstance(key, str):
            yield (*path, key), key, True
        if isinstance(value, str):
            yield (*path, key), value, False
        yield from strings(value, (*path, key))


def renamed(node: Any, old: str, new: str) -> Any:
    """Copy a document with another text wherever an old one stands, so that what refers to it still does."""
    if isinstance(node, dict):
        return {renamed(key, old, new): renamed(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [renamed(entry, old, new) for entry in node]
    if node == f"#/components/schemas/{old}":
        return node.removesuffix(old) + new.replace("~", "~0").replace("/", "~1").replace("%", "%25")
    if isinstance(node, str) and len(old) > 2 and f"{{{old}}}" in node:
        return node.replace(f"{{{old}}}", f"{{{new}}}")
    return new if node == old else node


LIBRARY = read(SPECS.parent / "golden" / "spec.yaml")

KINDS: dict[str, tuple[Callable[[Path, Path], Files], str, Node]] = {
    "api": (rest, "api", LIBRARY),
    "platform": (rest, "api", {"x-platform": "connectycube", **renamed(LIBRARY, "key", "session")}),
    "stanzas": (stanza, "parcel", read(SPECS / "parcel.yaml")),
    "machines": (machine, "door", yaml.load(DOOR, yaml.CSafeLoader)),
}


def with_key(document: Node, place: Place, new: str) -> Node:
    """Copy a document with another key at a place."""
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    entries: Node = {new if key == place[-1] else key: value for key, value in holder.items()}
    return changed(document, place[:-1], entries) if len(place) > 1 else entries


def outcome(kind: str, document: Node, folder: Path) -> Files | SpecFaults:
    """Generate from a document, in a folder of its own."""
    make, name, _ = KINDS[kind]
    folder.mkdir(exist_ok=True)
    shutil.copytree(ROOT / "spec" / "schema", folder / "schema")
    spec = folder / "spec" / f"{name}.yaml"
    spec.parent.mkdir()
    # JSON is YAML, and has an escape for everything.
    spec.write_text(json.dumps(document), encoding="utf-8")
    try:
        return make(spec, folder)
    except SpecFaults as error:
        return error


def assert_data(files: Files) -> None:
    for name, text in files.items():
        text.encode()
        assert str(1234567 * 7) not in text, name
        if name.endswith(".py"):
            assert not has_number(text), name


@cache
def has_number(text: str) -> bool:
    """Whether the number stands in a module, which must compile. Most modules are the same for all documents."""
    tree = ast.parse(text)
    compile(tree, "<generated>", "exec", dont_inherit=True)
    return any(isinstance(node, ast.Constant) and node.value == NUMBER for node in ast.walk(tree))


@pytest.mark.parametrize("kind", KINDS)
def test_document_itself_is_valid(kind: str, tmp_path: Path) -> None:
    files = outcome(kind, KINDS[kind][2], tmp_path)
    assert not isinstance(files, SpecFaults), files
    assert_data(files)


PROSE = frozenset(["title", "description", "summary", "url", "version", "doc", "source", "why"])
"""The keys of texts that take anything."""


def with_prose(node: Any, text: str) -> Any:
    """Copy a document with a text in place of all its prose."""
    if isinstance(node, list):
        return [with_prose(entry, text) for entry in node]
    if not isinstance(node, dict):
        return node
    # A source has at least three characters.
    long = text if len(text) > 2 else f"abc{text}"
    return {
        key: long if key in PROSE and isinstance(value, str) else with_prose(value, text) for key, value in node.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_in_all_prose_at_once(kind: str, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE[: examples(200)]):
        found = outcome(kind, with_prose(KINDS[kind][2], text), tmp_path / str(number))
        if isinstance(found, SpecFaults):
            assert CALL not in text, found
        else:
            assert_data(found)


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=examples(250),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_hostile_text_anywhere(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    document = KINDS[kind][2]
    place, old, is_key = data.draw(st.sampled_from(list(strings(document))))
    text = data.draw(st.sampled_from(HOSTILE))
    text = data.draw(st.sampled_from([text, text, old + text, text + old, f"{old}\n"]))
    if data.draw(st.booleans()):
        document = renamed(document, old, text)
    else:
        document = with_key(document, place, text) if is_key else changed(document, place, text)
    found = outcome(kind, document, tmp_path_factory.mktemp("hostile"))
    if isinstance(found, SpecFaults):
        assert found.faults
        for fault in found.faults:
            assert fault.line >= 1
            assert fault.file.endswith(f"{KINDS[kind][1]}.yaml")
            assert str(fault).isprintable()
    else:
        assert_data(found)
