"""The filters of an operation, in this project's own keywords."""

from __future__ import annotations

from typing import Any

from ..source import Map, plain
from . import naming
from .model import FilterField, Filters, Type
from .reading import Reading
from .types import id_of


def read_filters(reading: Reading, filters: Map) -> Filters:
    fields = []
    for wire, rule in filters["fields"].items():
        schema = rule.get("schema")
        schema = schema if isinstance(schema, dict) else {}
        free = schema.get("type") == "object"
        inner = schema.get("additionalProperties", {}) if free else schema
        fields.append(
            FilterField(
                name=wire if wire == "*" else wire.lstrip("_"),
                wire=wire,
                type=_filter_type(inner if isinstance(inner, dict) else {}),
                operators=tuple(rule.get("operators") or ()),
                equality=bool(rule.get("equality", True)),
                free=free,
                description=str(rule.get("description") or ""),
                v1_type=str(rule.get("x-v1-type") or ""),
            )
        )
    return Filters(filters_name(reading, filters), str(filters["lists"]), tuple(fields), plain(filters.get("example")))


def filters_name(reading: Reading, filters: Map) -> str:
    """A class name that no schema and no other filters use."""
    for known, name in reading.filter_names:
        if known == filters:
            return name
    name = naming.class_name(str(filters["name"]))
    # In capitals it would be the name of the table beside the class.
    name = f"{name}Filters" if name.isupper() else name
    name = naming.unique(name, {*reading.schemas.found, *(taken for _, taken in reading.filter_names)})
    reading.filter_names.append((filters, name))
    return name


def _filter_type(schema: dict[str, Any]) -> Type:
    kind = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}.get(
        str(schema.get("type")), "any"
    )
    match schema.get("format"):
        case "unix-time":
            return Type("unix")
        case "date-time":
            return Type("iso")
        case "bool-int":
            return Type("flag")
    owner, field = id_of(schema)
    return Type(kind, owner=owner, owner_field=field)
