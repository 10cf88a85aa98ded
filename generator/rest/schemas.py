"""The schemas of a document in their Python form, ready for openapi-python-client.

openapi-python-client knows nothing of this project's formats and keywords. So each schema is prepared as its Python
side (`format: unix-time` becomes a date-time), with the wire's side kept in `x-wire`. Inline objects get a name,
`allOf` is merged (`merging.py`), and a union keeps its members in `x-union`, which openapi-python-client doesn't see.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..source import Map, distinct, plain
from . import naming
from .document import circular, component, reference, resolve
from .families import Families
from .grammar import KEYWORDS, WIRE
from .merging import Merger
from .nulls import is_constraint, without_null


class Schemas:
    """The prepared schemas: all objects and enums, those that stand inline included.

    :ivar found: each by its name.
    :ivar modules: the module of each.
    """

    def __init__(self, document: Map) -> None:
        self.document = document
        self.names: dict[str, str] = {}
        self.used: set[str] = set()
        self.entered: set[str] = set()
        self.found: dict[str, dict[str, Any]] = {}
        self.modules: dict[str, str] = {}
        self.merger = Merger(self, document)
        components = document.get("components") or {}
        sources: Map = components.get("schemas") or Map()
        for name in sources:
            self.names[name] = self.new_name(name)
        self.families = Families(sources, self.names)
        for name, schema in sources.items():
            own = self.names[name]
            self.modules[own] = module_of(sources, name, schema)
            family = self.families.found.get(own)
            source = schema if family is None else family.base
            self.found[own] = self.prepare(source, own, self.modules[own], inline=False)
            if family is not None:
                family.union = self.family(own, schema, family.members)
        self.merger.settle()
        self.open_circles()

    # -- looking up

    def schema(self, node: Any) -> dict[str, Any]:
        """Follow the reference of a prepared schema; keys beside the reference win."""
        beside: dict[str, Any] = {}
        for _ in range(50):
            if not isinstance(node, dict):
                return {}
            if "$ref" not in node and "x-family" not in node:
                return {**node, **beside}
            beside = {**{key: value for key, value in node.items() if key not in ("$ref", "x-family")}, **beside}
            if "x-family" in node:
                node = self.families.found[node["x-family"]].union
            else:
                node = self.found.get(node["$ref"].rpartition("/")[2])
        return {}

    def properties(self, node: Any) -> dict[str, dict[str, Any]]:
        """The properties of a prepared object schema."""
        found: dict[str, dict[str, Any]] = self.schema(node).get("properties", {})
        return found

    def required(self, node: Any) -> set[str]:
        """The required properties of a prepared object schema."""
        return set(self.schema(node).get("required", ()))

    # -- preparing

    def open_circles(self) -> None:
        """Let lists and maps that hold nothing but themselves hold anything: as types they would be infinite."""
        for name in circular({name: set(_held(node)) for name, node in self.found.items()}):
            for key, anything in (("items", {}), ("additionalProperties", True)):
                if key in self.found[name]:
                    self.found[name][key] = anything

    def declare_required(self) -> None:
        """Give each object the properties that it requires and doesn't declare: they hold anything."""
        for node in self.found.values():
            if node.get("type") == "object" and "properties" in node:
                for key in node.get("required", ()):
                    node["properties"].setdefault(key, {})

    def new_name(self, wanted: str) -> str:
        """A class name that stays unique as the name of a function."""
        name = naming.class_name(wanted)
        while naming.function(name) in self.used:
            name += "2" if not name[-1].isdigit() else "0"
        self.used.add(naming.function(name))
        return name

    def part(self, schema: Any, name: str, module: str, flat: bool) -> dict[str, Any]:
        """A schema of an operation: an object gets a name.

        :param flat: an enum is a set of values and gets no class.
        """
        found = self.inner(schema, name, module, flat)
        self.merger.settle()
        return found

    def inner(self, schema: Any, name: str, module: str, flat: bool) -> dict[str, Any]:
        """A schema inside another: an object gets a name."""
        return self.named(self.prepare(schema, name, module, inline=flat), name, module, flat)

    def named(self, prepared: dict[str, Any], name: str, module: str, flat: bool = False) -> dict[str, Any]:
        """Give an object or an enum a class."""
        named = prepared.get("type") == "object" or ("enum" in prepared and not flat)
        if not named or "$ref" in prepared:
            return prepared
        own = self.new_name(name)
        self.found[own] = prepared
        self.modules[own] = module
        beside: dict[str, Any] = {key: prepared[key] for key in _BESIDE if key in prepared}
        return {"$ref": f"#/components/schemas/{own}", **beside}

    def prepare(self, source: Any, name: str, module: str, inline: bool) -> dict[str, Any]:
        if not isinstance(source, dict):
            return {}
        if source.get("x-merged") and source.get("anyOf"):
            # Merged for other tools: the first is that of the operation itself.
            source = source["anyOf"][0]
        if isinstance(source, Map):
            self.merger.place = source
        schema, nullable = without_null(plain(source))
        result: dict[str, Any] = {key: value for key, value in schema.items() if key in _KEPT}
        if nullable:
            result["x-nullable"] = True
        if "$ref" in schema:
            target = component(schema["$ref"])
            if target in self.names:
                own = self.names[target]
                return {**result, **({"x-family": own} if own in self.families.found else reference(own))}
            found = self.elsewhere(schema["$ref"], name, module, inline)
            found.update(result)
            return found
        if "const" in schema and "enum" not in schema:
            schema["enum"] = [schema["const"]]
        kind = schema.get("type")
        wire = WIRE.get((str(kind), str(schema.get("format"))))
        if wire is not None:
            return self.wired(result, schema, wire, name, module, inline)
        if (kind, schema.get("contentEncoding"), schema.get("contentMediaType")) == (
            "string",
            "base64",
            "application/json",
        ):
            return {**result, "type": "object", "additionalProperties": True, "x-wire": "json64"}
        if (kind, schema.get("contentMediaType")) == ("string", "application/json"):
            return {**result, "type": "string", "x-wire": "json_text"}
        if kind == "string" and (encoding := binary_encoding(schema)):
            result["x-wire"] = encoding
        if "enum" in schema and _closed(schema["enum"]):
            if inline:
                result["x-values"] = schema["enum"]
            else:
                result["enum"] = schema["enum"]
            kind = "string" if isinstance(schema["enum"][0], str) else "integer"
        elif "enum" in schema and kind is None:
            kind = kinds_of(schema["enum"])
        union = self.union(result, schema, kind, name, module, inline)
        if union is not None:
            return union
        if kind == "null":
            return {**result, "x-nullable": True}
        if kind is None:
            kind = _kind_of(schema)
        if kind == "boolean":
            result.pop("enum", None)
        if kind is not None:
            result["type"] = kind
        if kind == "string" and schema.get("format") in ("date-time", "date", "binary"):
            result["format"] = schema["format"]
        if kind == "array":
            result["items"] = self.inner(_items(schema), f"{name}Item", module, inline)
        if kind == "object":
            self.object(result, schema, name, module, inline)
        return result

    def union(
        self, result: dict[str, Any], schema: dict[str, Any], kind: Any, name: str, module: str, inline: bool
    ) -> dict[str, Any] | None:
        """Prepare a schema that is one of several, `None` if it isn't; what they have in common goes into each."""
        key = "oneOf" if schema.get("oneOf") else "anyOf"
        members = schema.get(key) or ()
        if not (members or isinstance(kind, list)):
            return None
        base = {name: entry for name, entry in schema.items() if name not in _UNION}
        if isinstance(kind, list) and not members:
            members, base = [{"type": entry} for entry in kind], {**base, "type": kind}
        if not members or all(is_constraint(entry, base) for entry in members):
            return None
        kept = {key: value for key, value in result.items() if key not in ("properties", "items", "enum", "x-values")}
        nodes = []
        common = None
        if _is_object(base):
            common = self.prepare(base, name, module, inline)
        for index, entry in enumerate(members):
            own = _member_name(name, entry, index)
            if common is not None:
                parts = [common] if is_constraint(entry, base) else [common, self.prepare(entry, own, module, inline)]
                node = self.merger.later({"type": "object", "allOf": parts}, own, module)
                nodes.append(self.named(node, own, module, inline))
            else:
                nodes.append(self.inner(_with_base(entry, base), own, module, inline))
        return {**kept, **self.choice(schema, members, nodes, name)}

    def family(self, own: str, schema: Map, members: list[Any]) -> dict[str, Any]:
        """Prepare a reference to a base: it stands for each of its children."""
        nodes = []
        module = self.modules[own]
        for index, entry in enumerate(members):
            child = self.names.get(component(entry.get("$ref", "")) or "") if isinstance(entry, dict) else None
            if child is not None and (child == own or self.families.inherits(child, own)):
                nodes.append(reference(child))
                continue
            name = f"{own}{child}" if child else _member_name(own, entry, index)
            parts = [reference(own)]
            if not is_constraint(entry, {"type": "object"}):
                parts.append(reference(child) if child else self.prepare(entry, name, module, inline=False))
            node = self.merger.later({"type": "object", "allOf": parts}, name, module)
            nodes.append(self.named(node, name, module))
        found = self.choice(schema, members, nodes, own)
        return {**found, "description": str(schema.get("description") or ""), **self.families.found[own].beside}

    def choice(self, schema: dict[str, Any], members: Any, nodes: list[dict[str, Any]], name: str) -> dict[str, Any]:
        """Describe a union: its members, the names of those that have one, and what tells them apart."""
        refs = [component(entry.get("$ref", "")) if isinstance(entry, dict) else None for entry in members]
        found: dict[str, Any] = {
            "x-union": nodes,
            "x-union-of": [self.names.get(ref or "", "") for ref in refs],
            "x-union-name": name,
        }
        discriminator = schema.get("discriminator")
        if isinstance(discriminator, dict) and isinstance(discriminator.get("propertyName"), str):
            given = discriminator.get("mapping")
            given = given if isinstance(given, dict) else {}
            values = {ref: self.names[ref] for ref in refs if ref in self.names}
            for value, target in given.items():
                own = self.names.get(_mapped(str(target), self.names))
                if own is not None:
                    values = {key: entry for key, entry in values.items() if entry != own or key in given}
                    values[str(value)] = own
            found["x-tag"] = {"name": discriminator["propertyName"], "values": values}
        return found

    def elsewhere(self, ref: str, name: str, module: str, inline: bool) -> dict[str, Any]:
        """Prepare a schema that is part of another object; inside itself it is a free value."""
        if ref in self.entered:
            return {}
        self.entered.add(ref)
        try:
            return self.prepare(resolve(self.document, ref), name, module, inline)
        finally:
            self.entered.discard(ref)

    def object(self, result: dict[str, Any], schema: dict[str, Any], name: str, module: str, inline: bool) -> None:
        own: dict[str, Any] = {}
        if "properties" in schema:
            own["properties"] = {
                key: self.inner(value, f"{name}{naming.class_name(key)}", module, inline)
                for key, value in schema["properties"].items()
            }
        required = list(schema.get("required") or ())
        if required or own:
            own["required"] = required
        if schema.get("allOf"):
            result["allOf"] = [self.base(part, name, module) for part in schema["allOf"]]
            if own or schema.get("type") == "object":
                result["allOf"].append({"type": "object", **own})
            self.merger.later(result, name, module)
        else:
            result.update(own)
        additional = schema.get("additionalProperties", True if "properties" not in schema else None)
        if schema.get("patternProperties"):
            additional = _by_pattern(schema, additional)
        if isinstance(additional, dict):
            additional = self.inner(additional, f"{name}Value", module, inline) or True
        if additional is not None:
            result["additionalProperties"] = additional

    def base(self, part: Any, name: str, module: str) -> dict[str, Any]:
        """Prepare a part of an `allOf`: a child takes what its base has of its own, not the base's other children."""
        found = self.prepare(part, name, module, inline=False)
        family = found.get("x-family")
        if family is not None and not self.families.distributes(family, name):
            del found["x-family"]
            found.update(reference(family))
        return found

    def wired(
        self, result: dict[str, Any], schema: dict[str, Any], wire: str, name: str, module: str, inline: bool
    ) -> dict[str, Any]:
        """A schema of one of this project's formats, as its Python side."""
        result["x-wire"] = wire
        match wire:
            case "unix":
                return {**result, "type": "string", "format": "date-time"}
            case "flag" | "flag-text":
                return {**result, "type": "boolean"}
            case "comma":
                items = self.inner(schema.get("x-items", {"type": "string"}), f"{name}Item", module, inline)
                return {**result, "type": "array", "items": items}
            case _:
                items = self.inner(schema.get("additionalProperties", {}), f"{name}Item", module, inline)
                return {**result, "type": "array", "items": items}


def _held(node: Any) -> Iterator[str]:
    """The named schemas that a prepared list or map holds, directly or in nested lists and maps."""
    if isinstance(node, dict) and "properties" not in node and "allOf" not in node:
        name = component(node.get("$ref", ""))
        if name is not None:
            yield name
        yield from _held(node.get("items"))
        yield from _held(node.get("additionalProperties"))


_KEPT = frozenset(
    """description minimum maximum minLength maxLength pattern minItems maxItems minProperties maxProperties default
    exclusiveMinimum exclusiveMaximum readOnly writeOnly x-nullable""".split()
).union(KEYWORDS["schema"])

_BESIDE = ("description", "x-nullable", "readOnly", "writeOnly")
"""What is kept beside the reference to a schema that has got a name."""


def module_of(parent: Map, name: str, schema: Any) -> str:
    """The module of a named schema, named after its file."""
    file = getattr(schema, "file", None) or parent.file
    return naming.resource(file.rpartition("/")[2].partition(".")[0])


def _closed(values: Any) -> bool:
    """Whether an enum's values are all text or all integers."""
    kinds = {type(value) for value in values}
    return kinds in ({str}, {int})


def binary_encoding(schema: Map | dict[str, Any]) -> str:
    """How binary data inside JSON is written, empty if the text isn't binary data."""
    encoding = str(schema.get("contentEncoding") or "").lower()
    if encoding in ("base64", "base64url"):
        return encoding
    return "base64" if schema.get("format") in ("byte", "binary") and not encoding else ""


_UNION = frozenset("oneOf anyOf discriminator description title nullable default example examples".split())
"""Keywords that describe a union as a whole."""


def kinds_of(values: Any) -> Any:
    """The type of an enum of other values than text or integers, a list of several, `None` if they are no scalars."""
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    kinds = list(dict.fromkeys(names.get(type(value), "") for value in values))
    if "" in kinds or not kinds:
        return None
    if set(kinds) == {"integer", "number"}:
        return "number"
    return kinds[0] if len(kinds) == 1 else kinds


def _kind_of(schema: dict[str, Any]) -> str | None:
    """The type of a schema that names none."""
    if "properties" in schema or "allOf" in schema or isinstance(schema.get("additionalProperties"), dict):
        return "object"
    if schema.get("patternProperties") or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else None


def _is_object(base: dict[str, Any]) -> bool:
    """Whether what the members of a union have in common are fields."""
    return bool(base.get("properties") or base.get("allOf"))


def _with_base(entry: Any, base: dict[str, Any]) -> Any:
    """A member of a union of scalars or lists, with the keywords that stand beside the union."""
    if not isinstance(entry, dict) or not base or entry.keys() & {"$ref", "oneOf", "anyOf", "allOf", "properties"}:
        return entry
    merged = {**{key: value for key, value in base.items() if not key.startswith("x-")}, **entry}
    if "type" in entry and isinstance(merged.get("enum"), list) and "enum" not in entry:
        values = [value for value in merged["enum"] if kinds_of([value]) in (entry["type"], None)]
        merged = {**merged, "enum": values} if values else {k: v for k, v in merged.items() if k != "enum"}
    return merged


def _member_name(name: str, entry: Any, index: int) -> str:
    """The class name of a member of a union that has no name of its own."""
    title = naming.class_name(str(entry["title"])) if isinstance(entry, dict) and entry.get("title") else ""
    if title and title.isidentifier():
        return title if title.startswith(name) else f"{name}{title}"
    return f"{name}Option{index + 1}"


def _mapped(target: str, names: dict[str, str]) -> str:
    """The schema that a discriminator's mapping names: by reference, by name or by the name of its file."""
    if target in names:
        return target
    found = component(target) or target.rpartition("/")[2]
    return found if found in names else found.rpartition("#")[0].partition(".")[0] or found.partition(".")[0]


def _items(schema: dict[str, Any]) -> Any:
    """The schema of a list's entries; those of a tuple may be of any of its types."""
    prefix, rest = schema.get("prefixItems"), schema.get("items", {})
    if not isinstance(prefix, list) or not prefix:
        return rest
    return _any_of([*prefix, *([rest] if isinstance(rest, dict) and rest else [])])


def _by_pattern(schema: dict[str, Any], additional: Any) -> Any:
    """The type of fields that are known by the pattern of their names."""
    kinds = [*schema["patternProperties"].values(), *([additional] if isinstance(additional, dict) else [])]
    if any(not isinstance(entry, dict) or not entry for entry in kinds):
        return True
    return _any_of([*kinds, *([{}] if schema.get("additionalProperties", True) is True else [])])


def _any_of(schemas: list[Any]) -> Any:
    """The schema of what fits one of several."""
    kinds = distinct(schemas)
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
