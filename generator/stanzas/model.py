"""What the templates see of the stanza language: everything resolved, names safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CLIENT = "jabber:client"


@dataclass(frozen=True)
class Value:
    """The type of a text."""

    kind: str
    """text, int, bool, jid, time, unix, enum, base64 or json."""
    values: tuple[str, ...] = ()
    closed: bool = False
    least: int | None = None
    most: int | None = None
    words: bool = False
    """A bool is written as true/false, not 1/0."""


@dataclass(frozen=True)
class Attribute:
    field: str
    wire: str
    """As ElementTree names it."""
    written: str
    """As it is written."""
    value: Value
    required: bool
    default: Any
    fixed: str | None
    doc: str


@dataclass(frozen=True)
class Text:
    field: str
    value: Value
    required: bool
    doc: str


@dataclass(frozen=True)
class Child:
    field: str
    kind: str
    """ref, text, flag, choice or stanza."""
    name: str
    namespace: str
    target: str
    """The class of a ref."""
    value: Value
    count: str
    """one, optional or many."""
    doc: str

    @property
    def tag(self) -> str:
        return f"{{{self.namespace}}}{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Condition:
    """One condition of a root: the first of the three that is set counts."""

    attribute: str = ""
    path: tuple[str, ...] = ()
    """Tags from the stanza down to an element whose text counts."""
    allowed: tuple[str, ...] = ()
    absent: bool = False
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    xml: str
    doc: str
    builds: str
    fields: Any
    file: str
    line: int


@dataclass(frozen=True)
class Wrong:
    xml: str
    why: str
    file: str
    line: int


@dataclass
class Element:
    """One class."""

    name: str
    module: str
    element: str
    namespace: str
    doc: str
    source: str
    kinds: tuple[str, ...]
    attributes: list[Attribute] = field(default_factory=list)
    text: Text | None = None
    children: list[Child] = field(default_factory=list)
    rest: str = ""
    rest_doc: str = ""
    is_root: bool = False
    rank: int = 100
    conditions: list[Condition] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    file: str = ""
    line: int = 0

    @property
    def tag(self) -> str:
        return f"{{{self.namespace}}}{self.element}" if self.namespace else self.element

    @property
    def parts(self) -> list[Attribute | Text | Child]:
        """The attributes, text and children that have a field."""
        attributes = [entry for entry in self.attributes if entry.fixed is None]
        return [*attributes, *([self.text] if self.text else []), *self.children]

    @property
    def simple(self) -> list[Child]:
        """The children without an object of their own, whose attributes the element itself keeps."""
        return [child for child in self.children if child.kind in ("text", "flag")]

    @property
    def fields(self) -> list[str]:
        return [part.field for part in self.parts] + ([self.rest] if self.rest else [])


@dataclass
class Protocol:
    name: str
    module: str
    title: str
    source: str
    doc: str
    file: str
    elements: list[Element] = field(default_factory=list)


@dataclass
class Family:
    """The roots that share an element, in the order in which they are tried."""

    tag: str
    function: str
    members: list[Element] = field(default_factory=list)


@dataclass
class Language:
    protocols: list[Protocol]
    elements: dict[str, Element]
    families: list[Family]
