from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from generator.stanzas.prove import prove
from generator.stanzas.render import render
from tests.properties import examples
from tests.stanzas.specs import faults, load, protocol

GOOD = "  Odd:\n    element: odd\n    doc: An odd one.\n    examples: [{xml: <odd/>}]\n"


def with_keys(text: str) -> str:
    """Add keys to the good element, from line 10."""
    return protocol(GOOD + "".join(f"    {line}\n" for line in text.splitlines()))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("atributes: []", "10: unknown key 'atributes'. Write 'attributes'."),
        ("attributes:\n  - {name: a, type: txt}", "11: unknown type 'txt'. Write 'text'."),
        ("like: Even", "10: there is no element 'Even'. Define it."),
        ("children:\n  - {field: a, ref: Od}", "11: there is no element 'Od'. Write 'Odd'."),
        ("root:\n  when:\n    - {has: a}", "12: there is no child 'a'. Use a child's field."),
        (
            "root:\n  when:\n    - {field: a.b, is: c}",
            "12: there is no field 'a.b'. Use the field of a child, or of a child's child.",
        ),
        ("like: Odd", "10: Odd is like itself. Break the cycle."),
        (
            "attributes:\n  - {name: a b, field: c}",
            "11: 'a b' is not an attribute name. Use a plain name or one with 'xml:'.",
        ),
        ("attributes:\n  - {name: 'x:a'}", "11: 'x:a' is not an attribute name. Use a plain name or one with 'xml:'."),
        ("children:\n  - {field: a, element: <a>, type: text}", "11: '<a>' is not an XML name. Use an XML name."),
        (
            "attributes:\n  - {name: a}\ntext: {field: a}",
            "7: Odd has two fields 'a'. Give one of them another 'field'.",
        ),
        ("attributes:\n  - {name: a, field: class}", "7: Odd can't have a field 'class'. Give it another 'field'."),
        ("attributes:\n  - {name: parse}", "7: Odd can't have a field 'parse'. Give it another 'field'."),
        ("attributes:\n  - {name: self}", "7: Odd can't have a field 'self'. Give it another 'field'."),
        ("attributes:\n  - {name: é}", "7: Odd can't have a field 'é'. Give it another 'field'."),
        ("doc: again", "10: duplicate key 'doc'. Remove one of them."),
    ],
)
def test_fault(tmp_path: Path, keys: str, problem: str) -> None:
    assert faults(tmp_path, odd=with_keys(keys)) == [f"stanzas/odd.yaml:{problem}"]


def test_duplicate_element_in_a_file(tmp_path: Path) -> None:
    problem = "stanzas/odd.yaml:10: duplicate key 'Odd'. Remove one of them."
    assert faults(tmp_path, odd=protocol(GOOD + GOOD)) == [problem]


def test_duplicate_element_in_two_files(tmp_path: Path) -> None:
    found = faults(tmp_path, odd=protocol(GOOD), other=protocol(GOOD, "other"))
    problem = "the element 'Odd' is already defined in stanzas/odd.yaml. Rename one of them."
    assert found == [f"stanzas/other.yaml:6: {problem}"]


def test_cycle(tmp_path: Path) -> None:
    elements = "".join(
        f"  {one}:\n    doc: x\n    like: {two}\n    element: x\n    examples: [{{xml: <x/>}}]\n"
        for one, two in (("One", "Two"), ("Two", "One"))
    )
    assert faults(tmp_path, odd=protocol(elements)) == ["stanzas/odd.yaml:13: Two is like itself. Break the cycle."]


@pytest.mark.parametrize("name", ["None", "Any", "Element", "ODD"])
def test_class_names_that_a_module_needs_itself(tmp_path: Path, name: str) -> None:
    found = faults(tmp_path, odd=protocol(GOOD + GOOD.replace("Odd:", f"{name}:")))
    where = "stanzas/odd.yaml" if name == "ODD" else "the language itself"
    assert found == [f"stanzas/odd.yaml:10: the element {name!r} is already defined in {where}. Rename one of them."]


@pytest.mark.parametrize("name", ["class", "element"])
def test_protocol_names_that_a_module_needs_itself(tmp_path: Path, name: str) -> None:
    found = faults(tmp_path, **{name: protocol(GOOD, name)})
    assert found == [f"stanzas/{name}.yaml:1: a protocol can't be called {name!r}. Give it another name."]


def test_names_end_with_their_last_character(tmp_path: Path) -> None:
    [found] = faults(tmp_path, odd=protocol(GOOD.replace("  Odd:", '  "Odd\\n":')))
    assert found.startswith(r"stanzas/odd.yaml:6: 'Odd\n' does not match")


LACKS = """\
  Odd:
    element: odd
    doc: An odd one.
    root: {when: [{lacks: [body]}]}
    children: [{field: body, element: body, type: text}]
    examples: [{xml: <odd xmlns='jabber:client'/>}]
    wrong: [{xml: <odd xmlns='jabber:client'><body/></odd>, why: it has a body}]
"""


def test_condition_on_an_absent_child_stands_alone(tmp_path: Path) -> None:
    language = load(tmp_path, odd=protocol(LACKS))
    assert prove(render(language, "spec"), language) == []


def test_no_example(tmp_path: Path) -> None:
    found = faults(tmp_path, odd=protocol("  Odd:\n    element: odd\n    doc: x\n"))
    assert [one.partition(": ")[2] for one in found] == ["Odd has no example. Add one under 'examples'."]


def test_bad_element_name(tmp_path: Path) -> None:
    found = faults(tmp_path, odd=protocol(GOOD.replace("element: odd", "element: o>dd")))
    assert found == ["stanzas/odd.yaml:7: 'o>dd' is not an XML name. Use an XML name."]


def test_protocol_must_match_file_name(tmp_path: Path) -> None:
    problem = "the protocol 'even' is in odd.yaml. Name the file even.yaml."
    assert faults(tmp_path, odd=protocol(GOOD, "even")) == [f"stanzas/odd.yaml:1: {problem}"]


def test_invalid_yaml(tmp_path: Path) -> None:
    [found] = faults(tmp_path, odd="protocol: [\n")
    assert found.startswith("stanzas/odd.yaml:2: invalid YAML: ")
    assert found.endswith(". Fix the syntax.")


def test_all_faults_are_reported(tmp_path: Path) -> None:
    found = faults(tmp_path, odd="protocol: [\n", other=protocol(GOOD, "third"), more=protocol("  odd: 1\n", "more"))
    assert {one.partition(":")[0] for one in found} == {f"stanzas/{name}.yaml" for name in ("odd", "other", "more")}


def test_like_overrides_an_attribute(tmp_path: Path) -> None:
    elements = GOOD + "    attributes: [{name: a, default: x}, {name: b}]\n"
    elements += "  Even:\n    like: Odd\n    doc: x\n    attributes: [{name: a, fixed: y}]\n"
    elements += "    examples: [{xml: <odd a='y'/>}]\n"
    language = load(tmp_path, odd=protocol(elements))
    found = [(entry.written, entry.fixed, entry.default) for entry in language.elements["Even"].attributes]
    assert found == [("b", None, None), ("a", "y", None)]


ATTACK = "__import__('builtins').hacked.append(1)"
HOSTILE = [
    f'"; {ATTACK}; "',
    f"'; {ATTACK}; '",
    f'"""\n{ATTACK}\n"""',
    f"'''\n{ATTACK}\n'''",
    f"{{{ATTACK}}}",
    f"{{{{ {ATTACK} }}}}",
    f"\\\n{ATTACK}\n#",
    f'\\"""; {ATTACK}',
    f"{{% raw %}}\r{ATTACK}\u2028{ATTACK}",
]
# JSON writes higher characters as two surrogates, which YAML does not read.
AROUND = st.text(st.characters(max_codepoint=0xFFFD, exclude_categories=["Cs"]), max_size=8)
TEXTS = st.builds("{}{}{}".format, AROUND, st.sampled_from(HOSTILE), AROUND)


@settings(
    max_examples=examples(12),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=TEXTS)
def test_hostile_texts_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    hacked: list[Any] = []
    monkeypatch.setattr(builtins, "hacked", hacked, raising=False)
    document: dict[str, Any] = {
        "protocol": "odd",
        "title": text,
        "source": text + "...",
        "doc": text,
        "elements": {
            "Odd": {
                "element": "odd",
                "namespace": text,
                "source": text + "...",
                "doc": text,
                "root": {"when": [{"attribute": "a", "is": text}, {"field": "child", "is": text}]},
                "attributes": [
                    {"name": "a", "doc": text, "type": "enum", "values": [text], "default": text},
                    {"name": "b", "fixed": text},
                    {"name": "c", "type": "enum", "values": [text], "closed": True},
                ],
                "children": [
                    {"field": "child", "element": "child", "namespace": text, "type": "text", "doc": text},
                    {"field": "choice", "choice": [text], "namespace": text + "2", "doc": text},
                ],
                "rest": {"field": "rest", "type": "map", "doc": text},
                "examples": [{"xml": text, "doc": text, "builds": text, "fields": {"a": text}}],
                "wrong": [{"xml": text, "why": text}],
            }
        },
    }
    language = load(tmp_path, odd=json.dumps(document))
    files = render(language, "spec/stanzas")
    for name, source in files.items():
        compile(source, name, "exec")
    assert len(prove(files, language)) == 1
    assert hacked == []


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["element", "attribute", "child", "field", "class", "condition"])
def test_hostile_names_are_rejected(tmp_path: Path, place: str, text: str) -> None:
    element: dict[str, Any] = {"element": "odd", "doc": "x", "examples": [{"xml": "<odd/>"}]}
    match place:
        case "element":
            element["element"] = text
        case "attribute":
            element["attributes"] = [{"name": text, "field": "a"}]
        case "child":
            element["children"] = [{"field": "a", "element": text, "type": "text"}]
        case "field":
            element["attributes"] = [{"name": "a", "field": text}]
        case "condition":
            element["root"] = {"when": [{"attribute": text, "is": "x"}]}
    elements = {text if place == "class" else "Odd": element}
    document = {"protocol": "odd", "title": "x", "source": "XEP", "doc": "x", "elements": elements}
    assert faults(tmp_path, odd=json.dumps(document))
