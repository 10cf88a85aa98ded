"""Render the pages about the stanzas. No text of the spec can break out of its cell, line or fence."""

from __future__ import annotations

from dataclasses import dataclass

from ..markdown import code, fence, header, prose
from ..templating import environment
from .code import Code
from .model import Attribute, Child, Element, Language


@dataclass(frozen=True)
class Row:
    """One field; all but `doc` is already Markdown."""

    field: str
    wire: str
    type: str
    required: str
    doc: str


def render(language: Language, sources: str) -> dict[str, str]:
    """Make the files of `generated/docs/stanzas/`, by name."""
    pages = _Pages(language)
    env = environment("docs", sources)
    env.filters.update(prose=prose, code=code, fence=lambda xml: fence(xml, "xml"))
    env.globals.update(header=header, language=language, rows=pages.rows, link=pages.link, kinds=pages.kinds())
    files = {"index.md": env.get_template("index.md.jinja").render(sources=sources)}
    for protocol in language.protocols:
        if protocol.elements:
            files[f"{protocol.name}.md"] = env.get_template("protocol.md.jinja").render(protocol=protocol)
    return files


class _Pages:
    def __init__(self, language: Language) -> None:
        self.elements = language.elements
        self.pages = {entry.name: f"{one.name}.md" for one in language.protocols for entry in one.elements}
        self.code = Code(language)

    def link(self, element: Element) -> str:
        """Link to a class on its page. A page's title has a hyphen in its anchor, so the two can't clash."""
        return f"[`{element.name}`]({self.pages[element.name]}#{element.name.lower()})"

    def kinds(self) -> list[tuple[str, list[Element]]]:
        """List the classes of each kind."""
        names = sorted({kind for element in self.elements.values() for kind in element.kinds})
        return [(name, [element for element in self.elements.values() if name in element.kinds]) for name in names]

    def rows(self, element: Element) -> list[Row]:
        rows = []
        for entry in element.attributes:
            if entry.fixed is None:
                kind = code(self.code.value(entry.value))
                rows.append(Row(entry.field, f"attribute {code(entry.written)}", kind, _required(entry), entry.doc))
        text = element.text
        if text:
            rows.append(Row(text.field, "text", code(self.code.value(text.value)), _yes(text.required), text.doc))
        rows += [
            Row(child.field, _wire(child), self.type(child), _yes(child.count == "one"), child.doc)
            for child in element.children
        ]
        if element.rest:
            rows.append(Row(element.rest, "all other elements", "`Params`", "no", element.rest_doc))
        return rows

    def type(self, child: Child) -> str:
        match child.kind:
            case "flag":
                text = "`bool`"
            case "stanza":
                text = "any stanza"
            case "ref":
                text = self.link(self.elements[child.target])
            case _:
                text = code(self.code.value(child.value))
        return f"tuple of {text}" if child.count == "many" else text


def _wire(child: Child) -> str:
    if child.kind == "choice":
        return f"name of an element of {code(child.namespace)}"
    if child.kind == "stanza":
        return "element"
    return f"element {code(child.name)}"


def _required(attribute: Attribute) -> str:
    if attribute.default is not None:
        return f"no: {code(repr(attribute.default))}"
    return _yes(attribute.required)


def _yes(required: bool) -> str:
    return "yes" if required else "no"
