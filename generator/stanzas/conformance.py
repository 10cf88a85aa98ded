"""Test cases of the stanzas, made from the examples and from the shape of each class."""

from __future__ import annotations

from html import escape
from typing import Any

from ..source_code import literal
from ..templating import environment
from .model import CLIENT, Attribute, Child, Element, Example, Language, Text, Value

# By type, a text that can be read, and one that can't.
GOOD = {
    "text": "some text",
    "int": "7",
    "bool": "1",
    "jid": "81001-7001@chat.connectycube.com",
    "time": "2026-02-04T19:00:00Z",
    "unix": "1770231600",
    "enum": "x",
    "base64": "aGVsbG8=",
    "json": '{"lat":45.07}',
}
BAD = {"int": "many", "bool": "perhaps", "jid": "@", "time": "yesterday", "unix": "tomorrow", "base64": "*"}


def render(language: Language, sources: str) -> dict[str, str]:
    """Make the test cases for `generated/conformance/`, a module per protocol."""
    env = environment("conformance_stanzas", sources)
    env.globals.update(writer=_Writer(language), arguments=_arguments)
    template = env.get_template("protocol.py.jinja")
    return {
        f"protocols/{protocol.module}.py": template.render(protocol=protocol)
        for protocol in language.protocols
        if protocol.elements
    }


def _arguments(example: Example) -> str:
    """Write the arguments of an `Example`."""
    parts = [literal(example.xml)]
    if example.fields:
        parts.append(literal(example.fields))
    if example.builds != example.xml:
        parts.append(f"builds={literal(example.builds)}")
    return ", ".join(parts)


class _Writer:
    """Works out XML that must, or must not, be read, from the language alone."""

    def __init__(self, language: Language) -> None:
        self.elements = language.elements

    def smallest(self, element: Element, *, without: Any = None, bad: Any = None) -> str:
        """Write the least XML that reads as a class, or one that lacks a part or has a bad value in one."""
        return self._xml(element, "", without=without, bad=bad)

    def fullest(self, element: Element) -> str:
        """Write XML with everything that a class knows."""
        return self._xml(element, "", full=True)

    def _xml(
        self, element: Element, outer: str, *, full: bool = False, depth: int = 0, without: Any = None, bad: Any = None
    ) -> str:
        out = f"<{element.element}" + ("" if element.namespace == outer else f' xmlns="{element.namespace}"')
        for entry in element.attributes:
            if entry is without:
                continue
            value = entry.fixed
            if entry is bad:
                value = _bad(entry.value)
            elif value is None and (entry.required or full):
                value = self.good(entry)
            if value is not None:
                out += f' {entry.written}="{escape(value)}"'
        inner = ""
        text = element.text
        if text is not None and (text.required or full or text is bad):
            inner += escape(_bad(text.value) if text is bad else _good(text.value))
        for child in element.children:
            if child is not without and (child is bad or child.count == "one" or full):
                inner += self._child(child, element.namespace, full, depth, child is bad)
        if full and element.rest:
            inner += "<mood>happy</mood><place><lat>45.07</lat></place>"
        return f"{out}>{inner}</{element.element}>" if inner else f"{out}/>"

    def _child(self, child: Child, outer: str, full: bool, depth: int, bad: bool) -> str:
        namespace = "" if child.namespace == outer else f' xmlns="{child.namespace}"'
        if child.kind == "ref":
            element = self.elements[child.target]
            return self._xml(element, outer, full=full and depth < 3, depth=depth + 1)
        if child.kind == "stanza":
            own = "" if outer == CLIENT else f' xmlns="{CLIENT}"'
            return f'<message{own} type="chat"><body>hi</body></message>'
        if child.kind == "choice":
            return f"<{child.value.values[0]}{namespace}/>"
        if child.kind == "flag":
            return f"<{child.name}{namespace}/>"
        value = _bad(child.value) if bad else _good(child.value)
        return f"<{child.name}{namespace}>{escape(value)}</{child.name}>"

    def good(self, entry: Attribute) -> str | None:
        """Return a value that differs from the default, which would not be written."""
        value = entry.value
        if entry.default is None:
            return _good(value)
        if value.kind == "bool":
            other = not entry.default
            return ("true" if other else "false") if value.words else ("1" if other else "0")
        if value.values:
            return next((known for known in value.values if known != entry.default), None)
        return _good(value) if _good(value) != str(entry.default) else str(int(entry.default) + 1)

    def wrong_types(self, element: Element) -> dict[str, str]:
        """Write, by field, the smallest XML but with a value that the field can't hold."""
        parts = [part for part in element.parts if not isinstance(part, Child) or part.kind == "text"]
        return {part.field: self.smallest(element, bad=part) for part in parts if _bad(part.value)}

    def missing(self, element: Element) -> dict[str, str]:
        """Write, by field, the smallest XML without it."""
        parts: list[Any] = [entry for entry in element.attributes if entry.required or entry.fixed is not None]
        parts += [child for child in element.children if child.count == "one"]
        return {part.field: self.smallest(element, without=part) for part in parts}

    def values(self, element: Element) -> list[str]:
        """Write the entries of a dict of fields to hypothesis strategies."""
        found = [f"{literal(part.field)}: {_strategy_of(part)}" for part in element.parts]
        return [*found, f"{literal(element.rest)}: PARAMS"] if element.rest else found


def _strategy_of(part: Attribute | Text | Child) -> str:
    """Write a hypothesis strategy of one field."""
    match part:
        case Attribute():
            strategy, needed = _strategy(part.value), part.required or part.default is not None
        case Text():
            # Reading can't tell an empty text from none.
            strategy, needed = _strategy(part.value, text="SOME_TEXT"), part.required
        case Child(kind="flag"):
            return "BOOL"
        case Child():
            strategy, needed = _child_strategy(part), part.count == "one"
            if part.count == "many":
                return f"many({strategy})"
    return strategy if needed else f"optional({strategy})"


def _child_strategy(child: Child) -> str:
    match child.kind:
        case "ref":
            return f"made({literal(child.target)})"
        case "stanza":
            return 'made("ChatMessage")'
        case "choice":
            # Only the names of the list: not every text can name an element.
            return _known(child.value)
        case _:
            return _strategy(child.value)


def _strategy(value: Value, text: str = "TEXT") -> str:
    match value.kind:
        case "text":
            return text
        case "int":
            bounds = {"least": value.least, "most": value.most}
            return f"integer({', '.join(f'{name}={bound}' for name, bound in bounds.items() if bound is not None)})"
        case "enum" if value.values:
            return _known(value) if value.closed else f"{_known(value)} | {text}"
        case kind:
            return kind.upper()


def _known(value: Value) -> str:
    return f"known({', '.join(literal(name) for name in value.values)})"


def _good(value: Value) -> str:
    if value.kind == "enum" and value.values:
        return value.values[0]
    if value.kind == "int" and value.least is not None:
        return str(max(value.least, min(7, value.most if value.most is not None else 7)))
    if value.kind == "bool" and value.words:
        return "true"
    return GOOD[value.kind]


def _bad(value: Value) -> str:
    if value.kind == "enum":
        return "none-of-them" if value.closed else ""
    return BAD.get(value.kind, "")
