"""Prepared schemas merged: what an `allOf` adds up to.

openapi-python-client gives up on parts that narrow one another, and on parts that are not objects, and leaves out all
that depends on them. So it never sees an `allOf`. Parts that contradict one another make a free value.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..source import Map
from . import naming

Node = dict[str, Any]

BESIDE = frozenset("description x-nullable readOnly writeOnly default".split())
"""Keywords of a part that describe the whole."""


class Pool(Protocol):
    """Where prepared schemas are."""

    found: dict[str, Node]

    def schema(self, node: Any) -> Node: ...

    def named(self, prepared: Node, name: str, module: str, flat: bool = False) -> Node: ...


class Clash(Exception):
    """No value fits both of two schemas."""


class TooMany(Exception):
    """Unions multiply with one another, or double from schema to schema."""


MOST_MEMBERS = 500
"""The most members of unions that one `allOf` may narrow."""


class Merger:
    """Merges each `allOf` after the schemas that it refers to were prepared.

    :ivar place: the schema of the document that is being prepared.
    :ivar problems: where parts contradict one another, and how.
    """

    def __init__(self, pool: Pool, document: Map) -> None:
        self.pool = pool
        self.place = document
        self.problems: list[tuple[Map, str]] = []
        self._waiting: dict[int, tuple[Node, str, str, Map]] = {}
        self._merging: set[int] = set()
        self._left = MOST_MEMBERS

    def later(self, node: Node, name: str, module: str) -> Node:
        """Merge a node when everything is prepared, in place.

        :param name: the class name of the whole, which those of new parts start with.
        """
        self._waiting[id(node)] = node, name, module, self.place
        return node

    def settle(self) -> None:
        """Merge all that waits."""
        while self._waiting:
            self._merge(next(iter(self._waiting)))

    def _merge(self, key: int) -> None:
        node, name, module, self.place = self._waiting.pop(key)
        self._merging.add(key)
        left, self._left = self._left, MOST_MEMBERS
        whole: Node = {}
        try:
            for part in node["allOf"]:
                whole = self.both(whole, part, name, module)
            whole = self.resolved(whole)
        except Clash as clash:
            self.problems.append((self.place, f"the parts of {name} contradict one another: {clash}"))
            whole = {}
        except TooMany:
            self.problems.append((self.place, f"{name} has more than {MOST_MEMBERS} members"))
            whole = {}
        self._left = left
        self._merging.discard(key)
        own = {name: value for name, value in node.items() if name not in ("allOf", "type")}
        if whole.get("type") != "object" or (
            own.get("additionalProperties") is True and isinstance(whole.get("additionalProperties"), dict)
        ):
            own.pop("additionalProperties", None)
        node.clear()
        node.update({name: value for name, value in whole.items() if name not in BESIDE or name == "default"})
        node.update(own)

    def resolved(self, node: Any) -> Node:
        """A schema itself, merged."""
        if isinstance(node, dict) and "$ref" in node:
            target = self.pool.found.get(node["$ref"].rpartition("/")[2], {})
            self._ready(target)
        self._ready(node)
        return self.pool.schema(node)

    def _ready(self, node: Node) -> None:
        if id(node) in self._waiting:
            place = self.place
            self._merge(id(node))
            self.place = place
        elif id(node) in self._merging:
            raise Clash("it contains itself")

    def both(self, first: Node, second: Node, name: str, module: str) -> Node:
        """The schema of what fits both of two schemas; the second describes it.

        :raises Clash: if nothing does.
        """
        if first == second or ("$ref" in first and first.get("$ref") == second.get("$ref")):
            return {**first, **second}
        one, other = self.resolved(first), self.resolved(second)
        if _is_free(other):
            return {**first, **{key: value for key, value in second.items() if key in BESIDE}}
        if _is_free(one):
            return {**{key: value for key, value in first.items() if key in BESIDE}, **second}
        if "x-union" in one:
            return self._narrowed(first, one, second, name, module)
        if "x-union" in other:
            return self._narrowed(second, other, first, name, module)
        kinds = one.get("type"), other.get("type")
        if kinds == ("object", "object"):
            return self._objects(first, one, second, other, name, module)
        if kinds == ("array", "array"):
            items = self.both(one.get("items", {}), other.get("items", {}), f"{name}Item", module)
            return {**one, **other, "items": self.pool.named(items, f"{name}Item", module)}
        if kinds == ("integer", "number"):
            return first
        if kinds == ("number", "integer"):
            return second
        if kinds[0] != kinds[1]:
            raise Clash(f"{kinds[0]} and {kinds[1]}")
        return self._scalars(first, one, second, other)

    def _scalars(self, first: Node, one: Node, second: Node, other: Node) -> Node:
        values, others = _values(one), _values(other)
        if values is None and others is None:
            plain = "format" in one and "format" not in other
            return {**second, **{key: one[key] for key in ("format", "x-wire") if key in one}} if plain else second
        if values is None:
            return second
        beside = {key: value for key, value in second.items() if key in BESIDE}
        if others is None or set(values) < set(others):
            return {**first, **beside}
        common = [value for value in others if value in values]
        if not common or len(common) == len(others):
            # What can't be both is narrowed by whoever overrides it.
            return second
        key = "enum" if "enum" in one and "enum" in other else "x-values"
        dropped = ("enum", "x-values", "x-enum-varnames")
        return {**{key: value for key, value in other.items() if key not in dropped}, key: common}

    def _objects(self, first: Node, one: Node, second: Node, other: Node, name: str, module: str) -> Node:
        properties = dict(one.get("properties", {}))
        for wire, node in other.get("properties", {}).items():
            if wire in properties and properties[wire] != node:
                node = self._property(properties[wire], node, wire, f"{name}{naming.class_name(wire)}", module)
            properties[wire] = node
        needed = dict.fromkeys([*one.get("required", ()), *other.get("required", ())])
        required = list(needed)
        further = self._further(one, other, name, module)
        for node, whole in ((second, other), (first, one)):
            same = whole.get("properties", {}) == properties and whole.get("required", []) == required
            if "$ref" in node and same and whole.get("additionalProperties", True) == further:
                return {**node, **{key: value for key, value in second.items() if key in BESIDE}}
        found: Node = {"type": "object", "required": required}
        if further is not True or True in (one.get("additionalProperties"), other.get("additionalProperties")):
            found["additionalProperties"] = further
        found.update({"properties": properties} if properties else {})
        found.update({key: value for key, value in {**first, **second}.items() if key in BESIDE})
        return found

    def _property(self, first: Node, second: Node, wire: str, name: str, module: str) -> Node:
        try:
            return self.pool.named(self.both(first, second, name, module), name, module)
        except Clash as clash:
            self.problems.append((self.place, f"the schemas of {wire!r} contradict one another: {clash}"))
            return {key: value for key, value in second.items() if key in BESIDE}

    def _further(self, one: Node, other: Node, name: str, module: str) -> Any:
        """The type of further fields: the narrower of two; those of one part may be the fields of another."""
        kinds = [part.get("additionalProperties", True) for part in (one, other)]
        typed = [kind for kind in kinds if isinstance(kind, dict) and kind]
        if len(typed) == 2 and not (one.get("properties") or other.get("properties")):
            return self._property(typed[0], typed[1], "additionalProperties", f"{name}Value", module)
        return typed[-1] if typed else True

    def _narrowed(self, whole: Node, union: Node, part: Node, name: str, module: str) -> Node:
        """The members of a union that fit another schema as well."""
        members, names = [], []
        for index, (node, own) in enumerate(zip(union["x-union"], union["x-union-of"], strict=True)):
            inner = f"{name}{own or f'Option{index + 1}'}"
            self._left -= 1
            if self._left < 0:
                raise TooMany
            try:
                found = self.both(node, part, inner, module)
            except Clash:
                continue
            members.append(self.pool.named(found, inner, module))
            names.append(own)
        if not members:
            raise Clash("no member of the union fits")
        beside = {key: value for key, value in part.items() if key in BESIDE}
        if members == union["x-union"]:
            return {**whole, **beside}
        if len(members) == 1:
            return members[0]
        return {**union, **beside, "x-union": members, "x-union-of": names, "x-union-name": name}


def _is_free(node: Node) -> bool:
    if node.get("type") == "object":
        free = node.get("additionalProperties", True) in (True, {})
        return free and not node.get("properties") and not node.get("required") and "x-wire" not in node
    return not node.keys() & {"type", "enum", "x-values", "x-union", "x-wire"}


def _values(node: Node) -> list[Any] | None:
    found: list[Any] | None = node.get("enum", node.get("x-values"))
    return found
