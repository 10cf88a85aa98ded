"""Conformance tests of stanzas, made from the examples and from the shape of each class."""

from __future__ import annotations

from typing import Any

from ..source_code import literal, snake
from ..templating import environment
from .code import Code, fields_of
from .model import CLIENT, Attribute, Child, Element, Language, Value

#: A text of each type that reads well, one that does not.
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
    """The files of `generated/conformance/` by name."""
    code = Code(language)
    env = environment("conformance_stanzas", sources)
    writer = _Writer(language)
    env.globals.update(code=code, language=language, writer=writer, fields_of=fields_of)
    files = {
        "strategies.py": env.get_template("strategies.py.jinja").render(),
        "test_stanzas_survive.py": env.get_template("test_survive.py.jinja").render(),
    }
    for protocol in language.protocols:
        if protocol.elements:
            name = f"test_stanzas_{protocol.module}.py"
            files[name] = env.get_template("test_protocol.py.jinja").render(protocol=protocol)
    return files


class _Writer:
    """Works out XML that must and must not be read, from the language alone."""

    def __init__(self, language: Language) -> None:
        self.elements = language.elements

    def smallest(self, element: Element, **changes: Any) -> str:
        """The least XML that reads as a class. `changes`: `without`, `bad`, `extra`, `inside` and `namespace`."""
        return self._xml(element, changes, "")

    def _xml(self, element: Element, changes: dict[str, Any], outer: str, full: bool = False, depth: int = 0) -> str:
        namespace = changes.get("namespace", element.namespace)
        out = f"<{element.element}" + ("" if namespace == outer else f' xmlns="{namespace}"')
        bad = changes.get("bad")
        for entry in element.attributes:
            if entry is changes.get("without"):
                continue
            value = entry.fixed
            if entry is bad:
                value = _bad(entry.value)
            elif value is None and (entry.required or full):
                value = self.good(entry)
            if value is not None:
                out += f' {entry.written}="{_escaped(value)}"'
        out += changes.get("extra", "")
        inner = changes.get("inside", "")
        text = element.text
        if text is not None and (text.required or full or text is bad):
            kind = text.value
            inner += _escaped(_bad(kind) if text is bad else _good(kind))
        for child in element.children:
            if child is changes.get("without"):
                continue
            if child is bad or child.count == "one" or full:
                inner += self._child(child, element.namespace, full, depth, child is bad)
        if full and element.rest:
            inner += "<mood>happy</mood><place><lat>45.07</lat></place>"
        return f"{out}>{inner}</{element.element}>" if inner else f"{out}/>"

    def _child(self, child: Child, outer: str, full: bool, depth: int, bad: bool) -> str:
        namespace = "" if child.namespace == outer else f' xmlns="{child.namespace}"'
        if child.kind == "ref":
            element = self.elements[child.target]
            return self._xml(element, {}, outer, full and depth < 3, depth + 1)
        if child.kind == "stanza":
            own = "" if outer == CLIENT else f' xmlns="{CLIENT}"'
            return f'<message{own} type="chat"><body>hi</body></message>'
        if child.kind == "choice":
            return f"<{child.value.values[0]}{namespace}/>"
        if child.kind == "flag":
            return f"<{child.name}{namespace}/>"
        value = _bad(child.value) if bad else _good(child.value)
        return f"<{child.name}{namespace}>{_escaped(value)}</{child.name}>"

    def fullest(self, element: Element) -> str:
        """XML with everything that a class knows."""
        return self._xml(element, {}, "", full=True)

    def good(self, entry: Attribute) -> str | None:
        """A value that is written, so none that equals the default."""
        value = entry.value
        if entry.default is None:
            return _good(value)
        if value.kind == "bool":
            other = not entry.default
            return ("true" if other else "false") if value.words else ("1" if other else "0")
        if value.values:
            return next((known for known in value.values if known != entry.default), None)
        return _good(value) if _good(value) != str(entry.default) else str(int(entry.default) + 1)

    def bad_parts(self, element: Element) -> list[tuple[str, Any]]:
        """What can be of a wrong type."""
        found: list[tuple[str, Any]] = []
        for entry in element.attributes:
            if entry.fixed is None and _bad(entry.value):
                found.append((entry.field, entry))
        if element.text is not None and _bad(element.text.value):
            found.append((element.text.field, element.text))
        for child in element.children:
            if child.kind == "text" and _bad(child.value):
                found.append((child.field, child))
        return found

    def required_parts(self, element: Element) -> list[tuple[str, Any]]:
        """What must be there."""
        found: list[tuple[str, Any]] = [
            (entry.field, entry) for entry in element.attributes if entry.required or entry.fixed is not None
        ]
        found += [(child.field, child) for child in element.children if child.count == "one"]
        return found

    def strategy(self, value: Value) -> str:
        """The source of a hypothesis strategy of one value."""
        match value.kind:
            case "int":
                least = -(10**18) if value.least is None else value.least
                most = 10**18 if value.most is None else value.most
                return f"st.integers({least}, {most})"
            case "enum" if value.values:
                known = f"st.sampled_from({literal(list(value.values))})"
                return known if value.closed else f"{known} | TEXT"
            case kind:
                return kind.upper()

    def child_strategy(self, child: Child) -> str:
        match child.kind:
            case "flag":
                return "st.booleans()"
            case "ref":
                base = f"st.deferred(lambda: {snake(child.target)}())"
            case "stanza":
                base = "st.deferred(lambda: chat_message())"
            case "choice":
                base = f"st.sampled_from({literal(list(child.value.values))})"
            case _:
                base = self.strategy(child.value)
        if child.count == "many":
            return f"st.lists({base}, max_size=2).map(tuple)"
        return base if child.count == "one" else f"st.none() | {base}"


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


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
