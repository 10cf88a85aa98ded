"""Templates to the files of `connectycube.stanzas`."""

from __future__ import annotations

from html import escape

from ..source_code import literal
from ..templating import environment
from .code import Code
from .model import Child, Element, Language

JIDS = ("GroupPrivacyValue", "JIDError", "OccupantJID", "RoomJID", "UserJID")
BASE = ("BuildError", "Element", "MAX_DEPTH", "MAX_SIZE", "Params", "Stanza", "StanzaError", "parse")


def render(language: Language, sources: str) -> dict[str, str]:
    """The files of the package by name."""
    code = Code(language)
    env = environment("stanzas", sources)
    homes = sorted(
        [(element.name, element.module) for element in language.elements.values()] + [(name, "jids") for name in JIDS]
    )
    env.filters["matches"] = code.matches
    env.globals.update(
        code=code,
        language=language,
        homes=homes,
        public=sorted([name for name, _ in homes] + list(BASE)),
        class_doc=class_doc,
        opening=opening,
        escaped=escaped,
        has_inner=lambda element: bool(element.text or element.children or element.rest),
        empty_child=empty_child,
        write_child=lambda child, element, source, indent: write_child(code, child, element, source, indent),
        guard=guard,
        held=held,
        store=store,
        optional=optional,
    )
    files = {"py.typed": ""}
    for name in ("_xml.py", "_roots.py", "jids.py", "slixmpp_bridge.py", "__init__.py"):
        files[name] = env.get_template(f"{name}.jinja").render()
    for family in language.families:
        name = family.function.replace("read_", "_family_", 1)
        files[f"{name}.py"] = env.get_template("_family.py.jinja").render(family=family)
    for protocol in language.protocols:
        if protocol.elements:
            files[f"{protocol.module}.py"] = env.get_template("module.py.jinja").render(protocol=protocol)
    return files


def class_doc(element: Element) -> list[str]:
    """The paragraphs of a class's docstring."""
    kinds = f" ({', '.join(element.kinds)})" if element.kinds else ""
    parts = [element.doc, f"`{element.element}` of `{element.namespace}`: {element.source}{kinds}."]
    parts += [f":ivar {entry.field}: {entry.doc}" for entry in element.attributes if entry.fixed is None and entry.doc]
    if element.text and element.text.doc:
        parts.append(f":ivar {element.text.field}: {element.text.doc}")
    parts += [f":ivar {entry.field}: {entry.doc}" for entry in element.children if entry.doc]
    if element.rest_doc:
        parts.append(f":ivar {element.rest}: {element.rest_doc}")
    parts.append(":ivar unknown: children that have no field, as XML text.")
    parts.append(":ivar unknown_attributes: attributes that have no field, pairs of ElementTree's name and value.")
    return parts


def escaped(text: str) -> str:
    """A text of the spec inside an attribute."""
    return escape(text, quote=True)


def opening(element: Element) -> str:
    """The start of an element with its namespace."""
    return f'<{element.element} xmlns="{escaped(element.namespace)}"'


def _namespace(child: Child, element: Element) -> str:
    return "" if child.namespace == element.namespace else f' xmlns="{escaped(child.namespace)}"'


def empty_child(child: Child, element: Element) -> str:
    return f"<{child.name}{_namespace(child, element)}/>"


def write_child(code: Code, child: Child, element: Element, source: str, indent: int) -> str:
    """The statements that write one child."""
    pad = " " * indent
    outer = literal(element.namespace)
    if child.kind in ("ref", "stanza"):
        wanted = code.class_ref(child.target, element.module) if child.kind == "ref" else "Stanza"
        return (
            f"{pad}if not isinstance({source}, {wanted}):\n"
            f"{pad}    raise wrong_class({source}, {literal(child.field)}, {literal(wanted.rpartition('.')[2])})\n"
            f"{pad}inner += {source}._write({outer})"
        )
    if child.kind == "choice":
        rest = literal(_namespace(child, element) + "/>")
        return f'{pad}inner += "<" + check_name({source}, {literal(child.field)}) + {rest}'
    start = literal(f"<{child.name}{_namespace(child, element)}>")
    end = literal(f"</{child.name}>")
    return f"{pad}inner += {start} + {code.write_value(child.value, source, child.field, 'text')} + {end}"


def optional(annotation: str) -> str:
    return annotation if annotation.endswith("None") or annotation == "Any" else f"{annotation} | None"


def held(child: Child) -> str:
    """Where a reader keeps what it has found of a child."""
    return f"{child.field}_" if child.count == "one" else f"found.{child.field}"


def store(child: Child, value: str) -> str:
    """The statement that keeps what was found."""
    if child.count == "many":
        return f"{child.field}_.append({value})"
    return f"{held(child)} = {value}"


def guard(child: Child) -> str:
    """What must hold besides the name, so that nothing is lost: a second child and odd content go to `unknown`."""
    parts = []
    if child.kind in ("text", "flag"):
        parts.append("not len(child)")
    if child.kind == "flag":
        parts.append(f"not {held(child)}")
    elif child.count != "many":
        parts.append(f"{held(child)} is None")
    return "".join(f" and {part}" for part in parts)
