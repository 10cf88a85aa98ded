"""Compare XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def difference(one: str, other: str) -> str | None:
    """Say where two elements differ, ignoring the order of children and the white space around texts."""
    return _difference(ET.fromstring(one), ET.fromstring(other), "")


def _difference(one: ET.Element, other: ET.Element, path: str) -> str | None:
    path = f"{path}/{one.tag.rpartition('}')[2]}"
    if one.tag != other.tag:
        return f"{path}: {one.tag} instead of {other.tag}"
    if one.attrib != other.attrib:
        return f"{path}: attributes {one.attrib} instead of {other.attrib}"
    if (one.text or "").strip() != (other.text or "").strip():
        return f"{path}: text {one.text!r} instead of {other.text!r}"
    left = list(other)
    for child in one:
        found = [(_difference(child, entry, path), entry) for entry in left if entry.tag == child.tag]
        same = [entry for problem, entry in found if problem is None]
        if not same:
            return found[0][0] if found else f"{path}: unexpected {child.tag}"
        left.remove(same[0])
    return f"{path}: {left[0].tag} is missing" if left else None
