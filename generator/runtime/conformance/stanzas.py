"""The shape of the stanzas' test cases, and objects of every class for hypothesis."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from connectycube import stanzas

Values = st.SearchStrategy[Any]

NOT_IN_XML = [chr(number) for number in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)]
TEXT = st.just(" kept as it is ") | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=NOT_IN_XML), max_size=12
)
SOME_TEXT = TEXT.filter(bool)
NAME = st.text("abcdefghijkXYZ_", min_size=1, max_size=6).map(lambda text: f"p_{text}")
BOOL = st.booleans()
JID = st.sampled_from(["81001-7001@chat.connectycube.com", "chat.connectycube.com", "a@b/c d <&> é"])
TIME = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)).map(lambda time: time.replace(tzinfo=dt.UTC))
UNIX = st.integers(-(10**11), 10**11)
BASE64 = st.binary(max_size=9)
JSON = st.dictionaries(TEXT, st.integers(-9, 9) | TEXT, max_size=2) | st.integers(-9, 9)
PARAMS = st.dictionaries(NAME, TEXT | st.dictionaries(NAME, TEXT, min_size=1, max_size=2), max_size=3)


def integer(least: int = -(10**18), most: int = 10**18) -> Values:
    return st.integers(least, most)


def known(*values: str) -> Values:
    return st.sampled_from(values)


def optional(values: Values) -> Values:
    return st.none() | values


def many(values: Values) -> Values:
    return st.lists(values, max_size=2).map(tuple)


def made(name: str) -> Values:
    """Make objects of a class."""
    return st.deferred(lambda: st.builds(getattr(stanzas, name), **cases()[name].values))


@dataclass(frozen=True)
class Example:
    """XML that reads as a class."""

    xml: str
    fields: dict[str, Any] = field(default_factory=dict)
    """The values of some fields, as JSON."""
    builds: str = ""
    """The XML that the object writes, if it differs."""


@dataclass(frozen=True)
class Case:
    """What to test about a class."""

    smallest: str
    """XML with only what is required."""
    fullest: str
    """XML with everything that the class knows."""
    examples: tuple[Example, ...]
    wrong: tuple[tuple[str, str], ...] = ()
    """XML that must not read as the class, each with the reason."""
    wrong_types: Mapping[str, str] = field(default_factory=dict)
    """By field, the smallest XML but with a value that the field can't hold."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """By field, the smallest XML without it."""
    simple: Sequence[str] = ()
    """The tags of the children that contain only text or nothing."""
    values: Mapping[str, Values] = field(default_factory=dict)
    root: bool = False
    """Whether the element may stand alone."""

    @property
    def element(self) -> str:
        """The element's name."""
        return element_name(self.smallest)

    def with_child(self, child: str) -> str:
        """Add a child to the smallest XML."""
        end = f"</{self.element}>"
        if self.smallest.endswith(end):
            return self.smallest.removesuffix(end) + child + end
        return self.smallest.removesuffix("/>") + ">" + child + end

    def with_attribute(self, attribute: str) -> str:
        """Add an attribute to the smallest XML."""
        return self.smallest.replace(" xmlns=", f" {attribute} xmlns=", 1)

    def with_namespace(self, namespace: str) -> str:
        """Change the namespace of the smallest XML."""
        return re.sub('xmlns="[^"]*"', f'xmlns="{namespace}"', self.smallest, count=1)


def element_name(xml: str) -> str:
    """Return the name of an element from its XML."""
    return re.split("[ />]", xml[1:], maxsplit=1)[0]


@cache
def cases() -> dict[str, Case]:
    """Load the cases of all protocols, by class."""
    names = sorted(path.stem for path in Path(__file__).with_name("protocols").glob("*.py"))
    modules = [import_module(f".protocols.{name}", __package__) for name in names]
    return {name: case for module in modules for name, case in module.CASES.items()}
