"""Null taken out of a schema: what is left is the schema of a value that is there."""

from __future__ import annotations

from typing import Any

ANNOTATIONS = frozenset(
    """description title nullable default deprecated example examples externalDocs readOnly writeOnly xml
    $comment""".split()
)
"""Keywords that say nothing about the type."""

CONSTRAINTS = ANNOTATIONS | {"required", "not", "minProperties", "maxProperties", "dependentRequired"}
"""Keywords of an object that say nothing about the types of its fields."""


def without_null(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema of a value that is there, and whether it may be null."""
    nullable = schema.get("nullable") is True
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        nullable |= len(kinds) < len(schema["type"])
        schema["type"] = kinds[0] if len(kinds) == 1 else kinds or "null"
    if isinstance(schema.get("allOf"), list):
        nullable |= _unwrap_annotations(schema)
    for union in ("oneOf", "anyOf", "allOf"):
        parts = schema.get(union)
        if not isinstance(parts, list):
            continue
        left = [part for part in parts if not is_null(part)]
        nullable |= len(left) < len(parts)
        lone = len(left) == 1 and isinstance(left[0], dict)
        if lone and not {"properties", "required"} & schema.keys() and not _keeps_base(schema, union):
            beside = {key: value for key, value in schema.items() if key not in (union, "discriminator")}
            inner, inner_nullable = without_null(left[0])
            return {**inner, **beside}, nullable or inner_nullable
        schema[union] = left
        if not left:
            del schema[union]
    if isinstance(schema.get("enum"), list) and None in schema["enum"]:
        nullable = True
        schema["enum"] = [value for value in schema["enum"] if value is not None]
        if not schema["enum"]:
            del schema["enum"]
    if "const" in schema and schema["const"] is None:
        nullable = True
        del schema["const"]
    return schema, nullable


def is_constraint(part: Any, base: dict[str, Any]) -> bool:
    """Whether a member of a union only limits an object that is described beside it."""
    if not isinstance(part, dict):
        return bool(base)
    kind = part.get("type", base.get("type"))
    return (
        bool(base.get("properties") or base.get("allOf") or base.get("type") == "object")
        and part.keys() <= CONSTRAINTS | {"type"}
        and kind in (None, "object", base.get("type"))
    )


def _keeps_base(schema: dict[str, Any], union: str) -> bool:
    """Whether a lone member of one union stands beside the members of another."""
    return any(other in schema for other in ("oneOf", "anyOf", "allOf") if other != union)


def is_null(part: Any) -> bool:
    """Whether a schema allows null and nothing else."""
    if not isinstance(part, dict):
        return False
    const = "const" in part and part["const"] is None
    return const or part.get("type") in ("null", ["null"]) or part.get("enum") == [None]


def _unwrap_annotations(schema: dict[str, Any]) -> bool:
    """Move the parts of an `allOf` that only describe to the schema itself, and return whether one allows null."""
    parts = schema["allOf"]
    described = [part for part in parts if isinstance(part, dict) and _describes(part)]
    if not described:
        return False
    schema["allOf"] = [part for part in parts if not (isinstance(part, dict) and _describes(part))]
    for part in described:
        for key, value in part.items():
            schema.setdefault(key, value)
    if not schema["allOf"]:
        del schema["allOf"]
    return any(part.get("nullable") is True for part in described)


def _describes(part: dict[str, Any]) -> bool:
    return all(key in ANNOTATIONS or key.startswith("x-") for key in part)
