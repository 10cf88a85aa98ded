"""The parameters of an operation as arguments of its method."""

from __future__ import annotations

from urllib.parse import quote

from ..source import plain
from . import naming
from .document import PATH_PARAMETER
from .model import OWN_USER, Argument, Operation
from .prepare import Slot
from .reading import Reading


def parameters(reading: Reading, slot: Slot, operation: Operation) -> None:
    used = {"filters"} if operation.filters else set()
    found: dict[tuple[str, str], Argument] = {}
    own: set[tuple[str, str]] = set()
    for part in slot.parameters:
        entry = part.source
        place, wire = entry["in"], entry["name"]
        name = naming.unique(naming.argument(str(entry.get("x-python-name", wire))), used)
        used.add(name)
        default_style = "simple" if place in ("path", "header") else "form"
        style = str(entry.get("style", default_style))
        if part.media and part.media.kind == "application/json":
            style = "json"
        schema = reading.schemas.schema(part.schema)
        found[place, wire] = Argument(
            name=name,
            wire=wire,
            place=place,
            type=reading.types.type(part.prop, part.schema),
            required=bool(entry.get("required")) or place == "path",
            nullable=False,
            description=str(entry.get("description") or schema.get("description") or ""),
            explode=bool(entry.get("explode", style == "form")),
            style=style,
            example=plain(entry.get("example")),
            positional=bool(entry.get("x-positional")),
        )
        if reading.api.platform and "x-from-client" in entry:
            operation.own_user = str(plain(entry.get("example")))
            own.add((place, wire))
            if place == "query":
                operation.fixed_query += ((wire, OWN_USER),)
    operation.arguments.extend(argument for key, argument in found.items() if key not in own)
    pieces: list[str | Argument] = []
    position = 0
    for match in PATH_PARAMETER.finditer(slot.path):
        pieces.append(_quoted(slot.path[position : match.start()]))
        place = "path", match.group(1)
        pieces.append(OWN_USER if place in own else found[place])
        position = match.end()
    pieces.append(_quoted(slot.path[position:]))
    operation.path = tuple(piece for piece in pieces if piece != "")


def _quoted(piece: str) -> str:
    return quote(piece, safe="/:@!$&'()*+,;=-._~%")
