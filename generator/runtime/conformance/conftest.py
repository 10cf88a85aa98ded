"""Fixtures of the conformance tests."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

pytest.register_assert_rewrite(f"{__package__}.rest")


def difference(one: ET.Element, other: ET.Element, path: str = "") -> str | None:
    """Find where two elements differ, ignoring the order of children and the white space around them."""
    path = f"{path}/{one.tag}"
    if one.tag != other.tag:
        return f"{path}: the other is {other.tag}"
    if one.attrib != other.attrib:
        return f"{path}: attributes {one.attrib} and {other.attrib}"
    if (one.text or "").strip() != (other.text or "").strip():
        return f"{path}: texts {one.text!r} and {other.text!r}"
    left = list(other)
    for child in one:
        found = [(difference(child, candidate, path), candidate) for candidate in left if candidate.tag == child.tag]
        same = [candidate for problem, candidate in found if problem is None]
        if not same:
            return found[0][0] if found else f"{path}: only one has {child.tag}"
        left.remove(same[0])
    return f"{path}: only the other has {left[0].tag}" if left else None


@pytest.fixture(scope="session")
def same_xml() -> Callable[[str, str], None]:
    """Compare two XML texts."""

    def check(one: str, other: str) -> None:
        assert difference(ET.fromstring(one), ET.fromstring(other)) is None

    return check
