"""Conformance of the stanzas: each class, smallest and fullest, against the spec's examples."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectycube import stanzas

from .differences import difference
from .stanzas import Case, Example, cases, element_name, made

CASES = cases()

EXAMPLES = [
    pytest.param(name, example, id=f"{name} {number}")
    for name, case in CASES.items()
    for number, example in enumerate(case.examples, 1)
]
WRONG = [
    pytest.param(name, xml, id=f"{name} {number} {why}")
    for name, case in CASES.items()
    for number, (why, xml) in enumerate(case.wrong, 1)
]
WRONG_TYPES = [
    pytest.param(name, xml, id=f"{name} {field}")
    for name, case in CASES.items()
    for field, xml in case.wrong_types.items()
]
MISSING = [
    pytest.param(name, xml, id=f"{name} {field}") for name, case in CASES.items() for field, xml in case.missing.items()
]
EACH = pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)


def class_of(name: str) -> type[stanzas.Element]:
    found: type[stanzas.Element] = getattr(stanzas, name)
    return found


def read(name: str, xml: str) -> stanzas.Element:
    """Read XML as a program would: a stanza that may stand alone finds its class itself."""
    return stanzas.parse(xml) if CASES[name].root else class_of(name).parse(xml)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_example(name: str, example: Example) -> None:
    cls = class_of(name)
    found = read(name, example.xml)
    assert type(found) is cls
    for field, value in example.fields.items():
        assert json.loads(json.dumps(getattr(found, field), default=str)) == value, field
    assert difference(found.to_xml(), example.builds or example.xml) is None
    assert cls.parse(found.to_xml()) == found
    assert cls.from_element(found.to_element()) == found


@pytest.mark.parametrize(("name", "xml"), WRONG)
def test_wrong(name: str, xml: str) -> None:
    found: stanzas.Element | None = None
    path: tuple[str, ...] = ()
    try:
        found = read(name, xml)
    except stanzas.StanzaError as error:
        path = error.path
    if found is None:
        assert path[0] == element_name(xml)
    else:
        assert CASES[name].root, "only a stanza that may stand alone can be of another class"
        assert type(found) is not class_of(name)


@EACH
def test_smallest(name: str, case: Case) -> None:
    found = class_of(name).parse(case.smallest)
    assert difference(found.to_xml(), case.smallest) is None


@EACH
def test_fullest(name: str, case: Case) -> None:
    found: Any = class_of(name).parse(case.fullest)
    assert found.unknown == ()
    assert found.unknown_attributes == ()
    assert difference(found.to_xml(), case.fullest) is None


@EACH
def test_unknown_child_is_kept(name: str, case: Case) -> None:
    odd = '<odd xmlns="urn:odd" a="1">text<b/></odd>'
    found: Any = class_of(name).parse(case.with_child(odd))
    assert found.unknown == (odd,)
    assert class_of(name).parse(found.to_xml()) == found


@EACH
def test_unknown_attribute_is_kept(name: str, case: Case) -> None:
    found: Any = class_of(name).parse(case.with_attribute('odd="1 &amp; 2"'))
    assert found.unknown_attributes == (("odd", "1 & 2"),)
    assert class_of(name).parse(found.to_xml()) == found


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.simple])
def test_attributes_of_simple_children_are_kept(name: str) -> None:
    element = ET.fromstring(CASES[name].fullest)
    for child in element:
        if child.tag in CASES[name].simple:
            child.set("odd", "1 & 2")
            child.set("{http://www.w3.org/XML/1998/namespace}lang", "de")
    found: Any = class_of(name).from_element(element)
    assert found.unknown == ()
    assert found.child_attributes
    assert difference(found.to_xml(), ET.tostring(element, encoding="unicode")) is None
    assert class_of(name).parse(found.to_xml()) == found


@EACH
def test_error_names_the_field_that_cannot_be_written(name: str, case: Case) -> None:
    found: Any = class_of(name).parse(case.smallest)
    found.unknown = ("<",)
    with pytest.raises(stanzas.BuildError) as caught:
        found.to_xml()
    assert caught.value.path == (case.element, "unknown")


@EACH
def test_wrong_namespace(name: str, case: Case) -> None:
    with pytest.raises(stanzas.StanzaError):
        class_of(name).parse(case.with_namespace("urn:odd"))


@pytest.mark.parametrize(("name", "xml"), WRONG_TYPES)
def test_wrong_type(name: str, xml: str) -> None:
    with pytest.raises(stanzas.StanzaError) as caught:
        class_of(name).parse(xml)
    assert caught.value.path[0] == CASES[name].element


@pytest.mark.parametrize(("name", "xml"), MISSING)
def test_missing(name: str, xml: str) -> None:
    with pytest.raises(stanzas.StanzaError) as caught:
        class_of(name).parse(xml)
    assert caught.value.path == (CASES[name].element,)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_object_survives_writing_and_reading(name: str, data: Any) -> None:
    cls = class_of(name)
    found = data.draw(made(name))
    assert cls.parse(found.to_xml()) == found
    assert cls.from_element(found.to_element()) == found


def test_every_class_has_cases() -> None:
    classes = {name for name in stanzas.__all__ if isinstance(getattr(stanzas, name), type)}
    elements = {name for name in classes if issubclass(getattr(stanzas, name), stanzas.Element)}
    assert set(CASES) == elements - {"Element", "Stanza"}
