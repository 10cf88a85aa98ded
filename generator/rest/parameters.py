"""The parameters of an operation as arguments of its method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote_plus

from ..source import plain
from . import naming
from .document import PATH_PARAMETER, divided
from .model import OWN_USER, Argument, Operation, Type
from .prepare import Part, Slot
from .reading import Reading

IGNORED = frozenset(("accept", "content-type", "authorization"))
"""Headers that other parts of a document describe: parameters of these names have no meaning."""

CONNECTION = frozenset(
    """connection content-length expect host keep-alive proxy-connection te trailer transfer-encoding upgrade""".split()
)
"""Headers that belong to the HTTP client."""

STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
"""The styles of each place, the default first."""


def parameters(reading: Reading, slot: Slot, operation: Operation) -> None:
    used = {"filters"} if operation.filters else set()
    found: dict[tuple[str, str], Argument] = {}
    own: set[tuple[str, str]] = set()
    for part in slot.parameters:
        entry = part.source
        place, wire = entry["in"], str(entry["name"])
        key = (place, wire.lower() if place == "header" else wire)
        if key in found or not _can_be_sent(reading, part, place, wire):
            continue
        name = naming.unique(naming.argument(str(entry.get("x-python-name", wire))), used)
        used.add(name)
        found[key] = _argument(reading, part, name)
        if reading.api.platform and "x-from-client" in entry:
            operation.own_user = str(plain(entry.get("example")))
            own.add(key)
            if place == "query":
                operation.fixed_query += ((wire, OWN_USER),)
    mine = [found[key] for key in own]
    path, query = divided(slot.path)
    operation.path = tuple(OWN_USER if piece in mine else piece for piece in _pieces(_quoted, path, found, used))
    _query_of_path(query, operation, found, used)
    placed = operation.path_arguments
    operation.arguments.extend(
        argument
        for key, argument in found.items()
        if key not in own and (argument.place != "path" or argument in placed)
    )


def _argument(reading: Reading, part: Part, name: str) -> Argument:
    entry = part.source
    place, wire = "query" if entry["in"] == "querystring" else entry["in"], str(entry["name"])
    style = _style(reading, part, place, wire)
    schema = reading.schemas.schema(part.schema)
    return Argument(
        name=name,
        wire=wire,
        place=place,
        type=_textual(reading, reading.types.type(part.prop, part.schema), part.schema),
        required=bool(entry.get("required")) or place == "path",
        nullable=False,
        description=str(entry.get("description") or schema.get("description") or ""),
        explode=bool(entry.get("explode", style == "form")),
        style=style,
        example=plain(entry.get("example")),
        positional=bool(entry.get("x-positional")),
        reserved=place == "query" and bool(entry.get("allowReserved")),
        empty=place == "query" and bool(entry.get("allowEmptyValue")),
        assumed=plain(schema.get("default")),
    )


def _style(reading: Reading, part: Part, place: str, wire: str) -> str:
    """The style of a parameter, or `json` or `text` for one with a media type."""
    entry = part.source
    if part.media is not None and entry["in"] != "querystring":
        if part.media.kind == "application/json":
            return "json"
        schema = reading.schemas.schema(part.schema)
        if schema.get("type") in ("object", "array"):
            problem = f"the parameter {wire!r} is sent as JSON, not as {part.media.name}"
            reading.warn(entry, "content", problem, "Encode it and describe it as text if the server can't read JSON")
            return "json"
        return "text"
    known = STYLES[place]
    style = str(entry.get("style", known[0]))
    if style == "cookie" and place == "cookie":
        return "form"
    if style not in known:
        reading.warn(
            entry, "style", f"the style {style!r} is not defined for {place} parameters", f"{known[0]!r} is used"
        )
        return known[0]
    return style


def _can_be_sent(reading: Reading, part: Part, place: str, wire: str) -> bool:
    """Whether a client can send a parameter at all."""
    if place == "header" and wire.lower() in IGNORED:
        return False
    problem = ""
    if place == "header" and wire.lower() in CONNECTION:
        problem = "the HTTP client sets this header"
    elif place in ("header", "cookie") and not naming.TOKEN.fullmatch(wire):
        problem = f"it is not a valid {place} name"
    elif place == "querystring" and (part.media is None or part.media.kind != "application/x-www-form-urlencoded"):
        problem = "a whole query can only be sent as a form"
    if problem:
        reading.warn(part.source, "name", f"the parameter {wire!r} is left out: {problem}")
    return not problem


def _textual(reading: Reading, kind: Type, node: Any) -> Type:
    """The type of a parameter: raw bytes are sent as text."""
    schema = reading.schemas.schema(node)
    if schema.get("format") == "binary":
        return Type("text")
    if kind.kind == "list" and kind.item is not None:
        return replace(kind, item=_textual(reading, kind.item, schema.get("items")))
    return kind


# -- paths


def _pieces(
    write: Callable[[str], str], text: str, found: dict[tuple[str, str], Argument], used: set[str]
) -> list[str | Argument]:
    """The texts and the arguments of a part of a path in turn."""
    pieces: list[str | Argument] = []
    position = 0
    for match in PATH_PARAMETER.finditer(text):
        pieces += [write(text[position : match.start()]), _of_path(match.group(1), found, used)]
        position = match.end()
    return [piece for piece in (*pieces, write(text[position:])) if piece != ""]


def _of_path(wire: str, found: dict[tuple[str, str], Argument], used: set[str]) -> Argument:
    """The argument of a name in a path; one that is not declared is text."""
    if ("path", wire) not in found:
        name = naming.unique(naming.argument(wire), used)
        used.add(name)
        found["path", wire] = Argument(name, wire, "path", Type("text"), True, False, "", False, "simple")
    return found["path", wire]


def _query_of_path(
    pairs: list[str], operation: Operation, found: dict[tuple[str, str], Argument], used: set[str]
) -> None:
    """Read the query that stands in a path."""
    for pair in pairs:
        name, equals, value = pair.partition("=")
        alone = PATH_PARAMETER.fullmatch(pair)
        if alone and ("query", alone.group(1)) in found:
            continue
        if alone:
            operation.path_query += (((alone.group(1),), (_of_path(alone.group(1), found, used),)),)
        elif not equals or PATH_PARAMETER.search(pair):
            values = tuple(_pieces(unquote_plus, value, found, used)) if equals else None
            operation.path_query += ((tuple(_pieces(unquote_plus, name, found, used)), values),)
        elif ("query", unquote_plus(name)) in found:
            key = "query", unquote_plus(name)
            if not found[key].required:
                found[key] = replace(found[key], fixed=unquote_plus(value))
        else:
            operation.fixed_query += ((unquote_plus(name), unquote_plus(value)),)


def _quoted(piece: str) -> str:
    return quote(piece, safe="/:@!$&'()*+,;=-._~%")
