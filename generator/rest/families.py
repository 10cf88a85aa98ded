"""Bases that stand for their children: those that name them in `oneOf`, and those with a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..source import Map, copied
from .document import component, reference
from .nulls import is_constraint, without_null


@dataclass
class Family:
    """A named object that a reference to it may also stand for one of several others."""

    base: Map
    """The object itself."""
    members: list[Any]
    """The schemas of which one applies."""
    explicit: bool
    """It names its members; otherwise they name it in their `allOf`."""
    beside: dict[str, Any] = field(default_factory=dict)
    union: dict[str, Any] = field(default_factory=dict)
    """Prepared."""


class Families:
    """The families of a document, by the class name of the base."""

    def __init__(self, sources: Map, names: dict[str, str]) -> None:
        self.parents: dict[str, list[str]] = {}
        for name, schema in sources.items():
            parts = schema.get("allOf") if isinstance(schema, dict) else None
            refs = [component(part.get("$ref", "")) for part in parts or () if isinstance(part, dict)]
            self.parents[names[name]] = [names[ref] for ref in refs if ref in names]
        children: dict[str, list[str]] = {}
        for child, parents in self.parents.items():
            for parent in parents:
                children.setdefault(parent, []).append(child)
        wire = {own: name for name, own in names.items()}
        self.found: dict[str, Family] = {}
        for name, schema in sources.items():
            if isinstance(schema, Map):
                family = self.family(schema, names[name], names, wire, children)
                if family is not None:
                    self.found[names[name]] = family

    def family(
        self, schema: Map, own: str, names: dict[str, str], wire: dict[str, str], children: dict[str, list[str]]
    ) -> Family | None:
        if "x-merged" in schema or not (schema.get("properties") or schema.get("allOf")):
            return None
        itself = reference(wire[own])
        for key in ("oneOf", "anyOf"):
            entries = schema.get(key)
            if not isinstance(entries, list) or not entries:
                continue
            members = without_null({"anyOf": entries, "properties": {}})[0].get("anyOf", [])
            base = _without(schema, "oneOf", "anyOf", "discriminator")
            if not members or all(is_constraint(entry, base) for entry in members):
                continue
            beside = {"x-nullable": True} if len(members) < len(entries) else {}
            refs = [component(entry.get("$ref", "")) if isinstance(entry, dict) else None for entry in members]
            if all(ref in names and self.inherits(names[str(ref)], own) for ref in refs):
                members = [*members, itself]
            return Family(base, members, True, beside)
        discriminator = schema.get("discriminator")
        if isinstance(discriminator, dict) and own in children:
            below: dict[str, None] = {}
            stack = list(reversed(children[own]))
            while stack:
                child = stack.pop()
                if child != own and child not in below:
                    below[child] = None
                    stack += reversed(children.get(child, []))
            if below:
                members = [*(reference(wire[child]) for child in below), itself]
                return Family(_without(schema, "discriminator"), members, False)
        return None

    def inherits(self, child: str, base: str) -> bool:
        """Whether a class has another in its `allOf`, directly or through others."""
        seen: set[str] = set()
        stack = list(self.parents.get(child, ()))
        while stack:
            current = stack.pop()
            if current == base:
                return True
            if current not in seen:
                seen.add(current)
                stack += self.parents.get(current, ())
        return False

    def distributes(self, base: str, name: str) -> bool:
        """Whether a schema that has a base in its `allOf` may be any of the base's members."""
        return self.found[base].explicit and not self.inherits(name, base)


def _without(schema: Map, *keys: str) -> Map:
    found = copied(schema)
    for key in keys:
        found.pop(key, None)
    return found
