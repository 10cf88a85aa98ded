"""Find the schemas that include themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..faults import Fault
from ..source import Map, Seq, fault
from .document import circular, component
from .nulls import is_null

REMEDY = "Break the circle of references"

UNIONS = ("oneOf", "anyOf")


def circles(document: Map) -> list[Fault]:
    """Report the schemas that include themselves."""
    schemas = _schemas(document)
    parts = {name: {ref for ref, *_ in _parts(schema) if ref in schemas} for name, schema in schemas.items()}
    return [_fault(schemas, name) for name in circular(parts)]


def open_circles(document: Map) -> list[Fault]:
    """Take out of each circle one of the references that it is made of, and report it.

    A base that is nothing but its single child, which takes all of the base, is no fault: the child loses nothing.
    """
    schemas = _schemas(document)
    faults = [_fault(schemas, name) for name in _open(schemas, unions=False)]
    parts = {name: [part for part in _parts(schema) if part[0] in schemas] for name, schema in schemas.items()}
    round_trips = set(circular({name: {ref for ref, *_ in own} for name, own in parts.items()}))
    for name in round_trips:
        for ref, holder, key, union in parts[name]:
            if ref in round_trips and not union and isinstance(holder, Seq):
                _remove(holder, key)
    return faults + [_fault(schemas, name) for name in _open(schemas, unions=True)]


def _schemas(document: Map) -> Map:
    found: Map = (document.get("components") or {}).get("schemas") or Map()
    return found


def _fault(schemas: Map, name: str) -> Fault:
    return fault(schemas, name, f"the schema {name!r} includes itself", REMEDY)


def _open(schemas: Map, unions: bool) -> Iterator[str]:
    """Remove each reference that leads back to where it was reached from; yield the schemas that lose one."""
    done: set[str] = set()
    for start in schemas:
        if start in done:
            continue
        above = {start}
        stack = [(start, _parts(schemas[start]))]
        done.add(start)
        while stack:
            name, parts = stack[-1]
            for ref, holder, key, union in parts:
                if ref not in schemas or (union and not unions):
                    continue
                if ref in above:
                    _remove(holder, key)
                    yield name
                elif ref not in done:
                    done.add(ref)
                    above.add(ref)
                    stack.append((ref, _parts(schemas[ref])))
                    break
            else:
                stack.pop()
                above.discard(name)


def _remove(holder: Any, key: Any) -> None:
    if isinstance(holder, Seq):
        position = next((index for index, entry in enumerate(holder) if entry is key), None)
        if position is not None:
            del holder[position]
            del holder.lines[position : position + 1]
    else:
        holder.pop(key, None)


def _parts(schema: Any, union: bool = False) -> Iterator[tuple[str, Any, Any, bool]]:
    """The named schemas that a schema is made of: those that it equals or inherits from.

    :returns: the name of each, what to remove from where for it to be none, and whether it is the only one of a union.
    """
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("$ref"), str):
        name = component(schema["$ref"])
        if name is not None:
            yield name, schema, "$ref", union
        return
    for part in list(schema.get("allOf") or ()):
        for name, holder, key, inner in _parts(part, union):
            yield (
                (name, schema["allOf"], part, inner) if holder is part and key == "$ref" else (name, holder, key, inner)
            )
    if not {"properties", "required"} & schema.keys():
        for kind in UNIONS:
            left = [part for part in schema.get(kind) or () if not is_null(part)]
            if len(left) == 1:
                for name, holder, key, _ in _parts(left[0], union=True):
                    yield (name, schema, kind, True) if holder is left[0] else (name, holder, key, True)
