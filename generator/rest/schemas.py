"""The schemas of a document in their Python form, ready for openapi-python-client.

openapi-python-client knows nothing of this project's formats and keywords. So each schema is prepared as its Python
side (`format: unix-time` becomes a date-time), with the wire's side kept in `x-wire`. Inline objects get a name, and
unions that Python can't tell apart become free values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..source import Map, plain
from . import naming
from .document import circular, component, resolve
from .grammar import WIRE


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
        components = document.get("components") or {}
        sources: Map = components.get("schemas") or Map()
        for name in sources:
            self.names[name] = self.new_name(name)
        for name, schema in sources.items():
            own = self.names[name]
            self.modules[own] = module_of(sources, name, schema)
            self.found[own] = self.prepare(schema, own, self.modules[own], inline=False)
        self.open_circles()

    # -- looking up

    def schema(self, node: Any) -> dict[str, Any]:
        """Follow the reference of a prepared schema; keys beside the reference win."""
        beside: dict[str, Any] = {}
        for _ in range(50):
            if not isinstance(node, dict):
                return {}
            if "$ref" not in node:
                return {**node, **beside}
            beside = {**{key: value for key, value in node.items() if key != "$ref"}, **beside}
            node = self.found.get(node["$ref"].rpartition("/")[2])
        return {}

    def properties(self, node: Any) -> dict[str, dict[str, Any]]:
        """The properties of a prepared object schema, those of its `allOf` included."""
        found: dict[str, dict[str, Any]] = {}
        for part in self.parts(node, set()):
            found.update(part.get("properties", {}))
        return found

    def required(self, node: Any) -> set[str]:
        """The required properties of a prepared object schema, those of its `allOf` included."""
        return {name for part in self.parts(node, set()) for name in part.get("required", ())}

    def parts(self, node: Any, seen: set[str]) -> Iterator[dict[str, Any]]:
        """Yield a prepared schema and all of its `allOf`, each once, those that are overridden first."""
        ref = node.get("$ref") if isinstance(node, dict) else None
        if ref in seen:
            return
        if ref is not None:
            seen.add(ref)
        node = self.schema(node)
        for part in node.get("allOf", ()):
            yield from self.parts(part, seen)
        yield node

    # -- preparing

    def open_circles(self) -> None:
        """Let lists and maps that hold nothing but themselves hold anything: as types they would be infinite."""
        for name in circular({name: set(_held(node)) for name, node in self.found.items()}):
            for key, anything in (("items", {}), ("additionalProperties", True)):
                if key in self.found[name]:
                    self.found[name][key] = anything

    def new_name(self, wanted: str) -> str:
        """A class name that stays unique as the name of a function."""
        name = naming.class_name(wanted)
        while naming.function(name) in self.used:
            name += "2" if not name[-1].isdigit() else "0"
        self.used.add(naming.function(name))
        return name

    def part(self, schema: Any, name: str, module: str, flat: bool) -> dict[str, Any]:
        """A schema inside another: an object gets a name.

        :param flat: an enum is a set of values and gets no class.
        """
        prepared = self.prepare(schema, name, module, inline=flat)
        named = prepared.get("type") == "object" or ("enum" in prepared and not flat)
        if not named or "$ref" in prepared:
            return prepared
        own = self.new_name(name)
        self.found[own] = prepared
        self.modules[own] = module
        beside: dict[str, Any] = {key: prepared[key] for key in ("description", "x-nullable") if key in prepared}
        return {"$ref": f"#/components/schemas/{own}", **beside}

    def prepare(self, source: Any, name: str, module: str, inline: bool) -> dict[str, Any]:
        if not isinstance(source, dict):
            return {}
        if source.get("x-merged") and source.get("anyOf"):
            # Merged for other tools: the first is that of the operation itself.
            source = source["anyOf"][0]
        schema, nullable = _without_null(plain(source))
        result: dict[str, Any] = {key: value for key, value in schema.items() if key in _KEPT or key.startswith("x-")}
        if nullable:
            result["x-nullable"] = True
        if "$ref" in schema:
            target = component(schema["$ref"])
            if target in self.names:
                return {**result, "$ref": f"#/components/schemas/{self.names[target]}"}
            return {**self.elsewhere(schema["$ref"], name, module, inline), **result}
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
        if "enum" in schema and _closed(schema["enum"]):
            if inline:
                result["x-values"] = schema["enum"]
            else:
                result["enum"] = schema["enum"]
            kind = "string" if isinstance(schema["enum"][0], str) else "integer"
        for union in ("oneOf", "anyOf"):
            if union in schema:
                return {key: value for key, value in result.items() if key not in ("properties", "items")}
        if isinstance(kind, list):
            return result
        if kind is None:
            kind = "object" if "properties" in schema or "allOf" in schema else None
        if kind == "boolean":
            result.pop("enum", None)
        if kind is not None:
            result["type"] = kind
        if kind == "string" and schema.get("format") in ("date-time", "date", "binary"):
            result["format"] = schema["format"]
        if kind == "array":
            result["items"] = self.part(schema.get("items", {}), f"{name}Item", module, inline)
        if kind == "object":
            self.object(result, schema, name, module, inline)
        return result

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
                key: self.part(value, f"{name}{naming.class_name(key)}", module, inline)
                for key, value in schema["properties"].items()
            }
        required = [key for key in schema.get("required", ()) if "allOf" in schema or key in own.get("properties", ())]
        if required or own:
            own["required"] = required
        if schema.get("allOf"):
            result["allOf"] = [self.prepare(part, name, module, inline=False) for part in schema["allOf"]]
            # openapi-python-client would take a lone reference for the whole schema.
            result["allOf"].append({"type": "object", **own})
        else:
            result.update(own)
        additional = schema.get("additionalProperties", True if "properties" not in schema else None)
        if isinstance(additional, dict):
            additional = self.part(additional, f"{name}Value", module, inline) or True
        if additional is not None:
            result["additionalProperties"] = additional

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
                items = self.part(schema.get("x-items", {"type": "string"}), f"{name}Item", module, inline)
                return {**result, "type": "array", "items": items}
            case _:
                items = self.part(schema.get("additionalProperties", {}), f"{name}Item", module, inline)
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
    exclusiveMinimum exclusiveMaximum writeOnly""".split()
)


def module_of(parent: Map, name: str, schema: Any) -> str:
    """The module of a named schema, named after its file."""
    file = getattr(schema, "file", None) or parent.file
    return naming.resource(file.rpartition("/")[2].partition(".")[0])


def _closed(values: Any) -> bool:
    """Whether an enum's values are all text or all integers."""
    kinds = {type(value) for value in values}
    return kinds in ({str}, {int})


def _without_null(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema of a value that is there, and whether it may be null."""
    nullable = schema.get("nullable") is True
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        nullable |= len(kinds) < len(schema["type"])
        schema["type"] = kinds[0] if len(kinds) == 1 else kinds
    for union in ("oneOf", "anyOf", "allOf"):
        parts = schema.get(union)
        if not isinstance(parts, list):
            continue
        left = [part for part in parts if not (isinstance(part, dict) and part.get("type") == "null")]
        nullable |= len(left) < len(parts)
        if len(left) == 1 and isinstance(left[0], dict) and not {"properties", "required"} & schema.keys():
            beside = {key: value for key, value in schema.items() if key != union}
            inner, inner_nullable = _without_null(left[0])
            return {**inner, **beside}, nullable or inner_nullable
        schema[union] = left
    if isinstance(schema.get("enum"), list) and None in schema["enum"]:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
        nullable = True
    return schema, nullable
