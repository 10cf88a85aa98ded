"""Read and check the stanza language."""

from __future__ import annotations

import keyword
from pathlib import Path

from ..faults import Fault, SpecFaults, nearest
from ..schema import read_folder
from ..source import Map, Seq, fault, plain
from ..source_code import snake
from .model import (
    CLIENT,
    Attribute,
    Child,
    Condition,
    Element,
    Example,
    Family,
    Language,
    Protocol,
    Text,
    Value,
    Wrong,
)

XML = "http://www.w3.org/XML/1998/namespace"
STANZA = "Stanza"
"""In a `ref`, any root."""

RESERVED = frozenset("index jids slixmpp-bridge child element read special tags".split()).union(keyword.kwlist)
"""Names of other modules of the package, of other pages, and what a module can't be called where it is used."""

TAKEN = frozenset(
    "child_attributes element from_element parse self tag to_element to_xml unknown unknown_attributes".split()
)

TAKEN_CLASSES = frozenset(
    """Any BuildError ClassVar Element False GroupPrivacyValue JIDError Literal None OccupantJID Params RoomJID Stanza
    StanzaError True UserJID XMLElement""".split()
)


def read(folder: Path, base: Path) -> Language:
    """Read all files of a folder as one language.

    :raises SpecFaults: with every fault in the files.
    """
    found, faults = read_folder(folder, base, "stanza", "docs/stanza-language.md")
    for path, document in found:
        name = document["protocol"]
        if name in RESERVED:
            problem = f"a protocol can't be called {name!r}"
            faults.append(fault(document, "protocol", problem, "Give it another name"))
        elif name != path.stem:
            problem = f"the protocol {name!r} is in {path.name}"
            faults.append(fault(document, "protocol", problem, f"Name the file {name}.yaml"))
    if faults:
        raise SpecFaults(faults)
    language = _Reader([document for _, document in found]).run()
    if not language.protocols:
        raise SpecFaults([Fault(str(folder), 1, "contains no stanzas", "Add a .yaml file")])
    return language


class _Reader:
    def __init__(self, documents: list[Map]) -> None:
        self.documents = documents
        self.faults: list[Fault] = []
        self.sources: dict[str, Map] = {}
        self.modules: dict[str, Map] = {}
        self.resolved: dict[str, Map] = {}

    def run(self) -> Language:
        readers: dict[str, str] = {}
        for document in self.documents:
            for name, source in document["elements"].items():
                twin = readers.setdefault(snake(name), name)
                if twin != name or name in self.sources or name in TAKEN_CLASSES:
                    where = self.sources[twin].file if twin in self.sources else "the language itself"
                    problem = f"the element {name!r} is already defined in {where}"
                    self.faults.append(fault(document["elements"], name, problem, "Rename one of them"))
                    continue
                self.sources[name] = source
                self.modules[name] = document
        self.stop()
        for name in self.sources:
            self.resolve(name, ())
        self.stop()
        protocols = [self.protocol(document) for document in self.documents]
        self.stop()
        elements = {element.name: element for protocol in protocols for element in protocol.elements}
        for element in elements.values():
            self.conditions(element, self.resolved[element.name])
        self.stop()
        return Language(protocols, elements, _families(elements))

    def stop(self) -> None:
        if self.faults:
            raise SpecFaults(self.faults)

    def add(self, parent: Map | Seq, key: object, problem: str, remedy: str) -> None:
        self.faults.append(fault(parent, key, problem, remedy))

    # -- like

    def resolve(self, name: str, path: tuple[str, ...]) -> Map:
        """Merge an element with the one that it is like."""
        if name in self.resolved:
            return self.resolved[name]
        source = self.sources[name]
        merged = Map(source)
        merged.file, merged.line, merged.lines = source.file, source.line, dict(source.lines)
        parent_name = source.get("like")
        if parent_name is not None:
            if parent_name not in self.sources:
                self.add(
                    source,
                    "like",
                    f"there is no element {parent_name!r}",
                    nearest(parent_name, self.sources, "Define it"),
                )
                return merged
            if parent_name in (*path, name):
                self.add(source, "like", f"{name} is like itself", "Break the cycle")
                return merged
            parent = self.resolve(parent_name, (*path, name))
            for key in ("element", "namespace", "text", "rest"):
                if key in parent:
                    merged.setdefault(key, parent[key])
            for key in ("attributes", "children"):
                own = source.get(key, Seq())
                names = {entry.get("name", entry.get("field")) for entry in own}
                both = Seq([e for e in parent.get(key, ()) if e.get("name", e.get("field")) not in names] + list(own))
                both.file, both.line, both.lines = source.file, source.line, []
                if both:
                    merged[key] = both
        self.resolved[name] = merged
        return merged

    # -- elements

    def protocol(self, document: Map) -> Protocol:
        name = document["protocol"]
        protocol = Protocol(
            name, name.replace("-", "_"), document["title"], document["source"], document["doc"], document.file
        )
        for element_name, source in document["elements"].items():
            if not source.get("abstract"):
                protocol.elements.append(self.element(element_name, self.resolved[element_name], protocol))
        return protocol

    def element(self, name: str, source: Map, protocol: Protocol) -> Element:
        if "element" not in source:
            self.add(source, None, f"{name} has no element", "Add 'element:' or 'like:'")
        element = Element(
            name=name,
            module=protocol.module,
            element=source.get("element", "?"),
            namespace=source.get("namespace", CLIENT),
            doc=source["doc"],
            source=source.get("source", protocol.source),
            kinds=tuple(source.get("kinds", ())),
            file=source.file,
            line=source.line,
        )
        if not _is_name(element.element):
            self.add(source, "element", f"{element.element!r} is not an XML name", "Use an XML name")
        element.attributes = [self.attribute(entry) for entry in source.get("attributes", ())]
        if "text" in source:
            text = source["text"]
            element.text = Text(text["field"], _value(text), bool(text.get("required")), text.get("doc", ""))
        element.children = [self.child(entry, element) for entry in source.get("children", ())]
        if "rest" in source:
            element.rest, element.rest_doc = source["rest"]["field"], source["rest"].get("doc", "")
        self.fields(element, source)
        for example in source.get("examples", ()):
            builds = example.get("builds", example["xml"])
            element.examples.append(
                Example(
                    example["xml"],
                    example.get("doc", ""),
                    builds,
                    plain(example.get("fields", {})),
                    example.file,
                    example.line_of("xml"),
                )
            )
        for wrong in source.get("wrong", ()):
            element.wrong.append(Wrong(wrong["xml"], wrong["why"], wrong.file, wrong.line_of("xml")))
        if not element.examples:
            self.add(source, None, f"{name} has no example", "Add one under 'examples'")
        return element

    def attribute(self, entry: Map) -> Attribute:
        written = entry["name"]
        prefix, _, local = written.partition(":")
        wire = f"{{{XML}}}{local}" if prefix == "xml" and local else written
        if not all(_is_name(part) for part in written.split(":")) or (":" in written and prefix != "xml"):
            self.add(entry, "name", f"{written!r} is not an attribute name", "Use a plain name or one with 'xml:'")
        field = entry.get("field") or _field(local or written)
        return Attribute(
            field=field,
            wire=wire,
            written=written,
            value=_value(entry),
            required=bool(entry.get("required")),
            default=entry.get("default"),
            fixed=entry.get("fixed"),
            doc=entry.get("doc", ""),
        )

    def child(self, entry: Map, element: Element) -> Child:
        count = entry.get("count", "optional")
        namespace = entry.get("namespace", element.namespace)
        kind, name, target = "text", entry.get("element", ""), ""
        if "ref" in entry:
            kind, target = "ref", entry["ref"]
            if target == STANZA:
                kind = "stanza"
            elif target not in self.sources or self.sources[target].get("abstract"):
                self.add(entry, "ref", f"there is no element {target!r}", nearest(target, self.sources, "Define it"))
            else:
                resolved = self.resolved[target]
                name, namespace = resolved.get("element", "?"), resolved.get("namespace", CLIENT)
        elif "flag" in entry:
            kind = "flag"
        elif "choice" in entry:
            kind = "choice"
            if count == "many":
                self.add(entry, "count", "a choice can't occur many times", "Remove 'count'")
        if name and not _is_name(name):
            self.add(entry, "element", f"{name!r} is not an XML name", "Use an XML name")
        if kind in ("flag",) and count != "optional":
            self.add(entry, "count", "a flag is always optional", "Remove 'count'")
        value = Value("enum", tuple(entry["choice"])) if kind == "choice" else _value(entry)
        return Child(entry["field"], kind, name, namespace, target, value, count, entry.get("doc", ""))

    def fields(self, element: Element, source: Map) -> None:
        """Reject duplicate fields, and names reserved by Python or by the class."""
        for name in element.fields:
            if element.fields.count(name) > 1:
                self.add(source, None, f"{element.name} has two fields {name!r}", "Give one of them another 'field'")
            if name in TAKEN or keyword.iskeyword(name) or not (name.isidentifier() and name.isascii()):
                self.add(source, None, f"{element.name} can't have a field {name!r}", "Give it another 'field'")
        tags = [entry.tag for entry in element.children if entry.kind in ("ref", "text", "flag")]
        for tag in set(tags):
            if tags.count(tag) > 1:
                self.add(source, "children", f"{element.name} has two children {tag}", "Remove one of them")

    # -- roots

    def conditions(self, element: Element, source: Map) -> None:
        root = source.get("root")
        if root is None:
            return
        element.is_root = True
        element.rank = root.get("rank", 100)
        for entry in root.get("when", ()):
            allowed = (entry["is"],) if "is" in entry else tuple(entry.get("in", ()))
            element.conditions.append(
                Condition(
                    attribute=entry.get("attribute", ""),
                    path=self.path(element, entry),
                    allowed=allowed,
                    absent=bool(entry.get("absent")),
                    has=self.tags(element, entry, "has"),
                    lacks=self.tags(element, entry, "lacks"),
                )
            )

    def path(self, element: Element, entry: Map) -> tuple[str, ...]:
        if "field" not in entry:
            return ()
        tags = []
        holder: Element | None = element
        for name in entry["field"].split("."):
            child = next((one for one in holder.children if one.field == name), None) if holder else None
            if child is None:
                self.add(
                    entry,
                    "field",
                    f"there is no field {entry['field']!r}",
                    "Use the field of a child, or of a child's child",
                )
                return ()
            tags.append(child.tag)
            holder = self.element_of(child)
        return tuple(tags)

    def element_of(self, child: Child) -> Element | None:
        if child.kind != "ref":
            return None
        source = self.resolved[child.target]
        element = Element(child.target, "", "", source.get("namespace", CLIENT), "", "", ())
        element.children = [self.child(entry, element) for entry in source.get("children", ())]
        return element

    def tags(self, element: Element, entry: Map, key: str) -> tuple[str, ...]:
        names = entry.get(key, ())
        found = []
        for name in [names] if isinstance(names, str) else names:
            child = next((one for one in element.children if one.field == name), None)
            if child is None or not child.name:
                known = [one.field for one in element.children]
                self.add(entry, key, f"there is no child {name!r}", nearest(name, known, "Use a child's field"))
            else:
                found.append(child.tag)
        return tuple(found)


def _families(elements: dict[str, Element]) -> list[Family]:
    families: dict[str, Family] = {}
    for element in sorted(elements.values(), key=lambda one: (one.rank, one.name)):
        if element.is_root:
            name = "".join(char if char.isalnum() and char.isascii() else "_" for char in element.element)
            function = f"load_{snake(name)}"
            if any(other.function == function and tag != element.tag for tag, other in families.items()):
                function = f"{function}_of_{snake(element.name)}"
            families.setdefault(element.tag, Family(element.tag, function)).members.append(element)
    return sorted(families.values(), key=lambda family: family.tag)


def _value(entry: Map) -> Value:
    return Value(
        kind=entry.get("type", "text"),
        values=tuple(entry.get("values", ())),
        closed=bool(entry.get("closed")),
        least=entry.get("min"),
        most=entry.get("max"),
        words=entry.get("writes") == "true/false",
    )


def _field(name: str) -> str:
    name = snake(name.replace("-", "_"))
    return f"{name}_" if keyword.iskeyword(name) else name


def _is_name(name: str) -> bool:
    return bool(name) and (name[0].isalpha() or name[0] == "_") and all(c.isalnum() or c in "-_." for c in name)
