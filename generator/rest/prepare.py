"""A bundled document in the form that openapi-python-client reads best, and the way back.

openapi-python-client decides what a schema is in Python. It knows nothing of this project's formats and keywords, so
each schema is handed to it as its Python side (`format: unix-time` becomes a date-time) with the wire's side kept in
`x-wire`. Inline objects get a name of their own, unions that Python can't tell apart become free values, and each
operation is alone under a tag of its own, so that it is found again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from openapi_python_client.schema.untrusted_string import UntrustedString

from ..source import Map, plain
from . import naming
from .check import PATH_PARAMETER, circular, component, deref, operations_of, parameters_of, resolve
from .grammar import METHODS

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass
class Slot:
    """One operation of the document: where it came from and under which tag it is found."""

    tag: str
    path: str
    method: str
    source: Map
    data: dict[str, Any]
    """As handed over: resolved parameters, own answer only."""


@dataclass
class Prepared:
    document: dict[str, Any]
    slots: list[Slot]
    modules: dict[str, str]
    """The module of each named schema."""
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def schemas_only(self) -> dict[str, Any]:
        """The document without its operations."""
        return {**self.document, "paths": {}, "components": {"schemas": self.keyed(self.schemas)}}

    def operations_only(self, known: Container[str]) -> dict[str, Any]:
        """The document with its known models empty, and without those that are not known."""
        schemas = {
            name: {"type": "object"} if node.get("type") == "object" else node
            for name, node in self.schemas.items()
            if node.get("type") != "object" or name in known
        }
        paths = {
            PATH_PARAMETER.sub(lambda match: f"{{{self.key(match[1])}}}", path): self.keyed(item)
            for path, item in self.document["paths"].items()
        }
        return {**self.document, "paths": paths, "components": {"schemas": self.keyed(schemas)}}

    def keyed(self, node: Any) -> Any:
        """The same with a key instead of the name of each property and parameter.

        openapi-python-client makes identifiers of the names and gives up where two of them become the same one.
        """
        if isinstance(node, list):
            return [self.keyed(entry) for entry in node]
        if not isinstance(node, dict):
            return node
        found = {
            key: self.keyed(value)
            for key, value in node.items()
            if key not in ("default", "properties") and (key == "x-enum-varnames" or not key.startswith("x-"))
        }
        if isinstance(node.get("properties"), dict):
            found["properties"] = {self.key(name): self.keyed(value) for name, value in node["properties"].items()}
            found["required"] = [self.key(name) for name in node.get("required", ())]
        if "in" in node and "name" in node:
            found["name"] = self.key(node["name"])
        return found

    def key(self, name: str) -> str:
        return self.keys.setdefault(name, f"k{len(self.keys)}")

    def restore(self, properties: Iterable[Any]) -> None:
        """Give all properties that openapi-python-client made their own names back."""
        names = {key: name for name, key in self.keys.items()}
        for entry in {id(entry): entry for entry in properties}.values():
            entry.name = UntrustedString(names[entry.name.get_untrusted_value()])

    def schema(self, node: Any) -> dict[str, Any]:
        """A prepared schema with its reference followed; words beside the reference win."""
        beside: dict[str, Any] = {}
        for _ in range(50):
            if not isinstance(node, dict):
                return {}
            if "$ref" not in node:
                return {**node, **beside}
            beside = {**{key: value for key, value in node.items() if key != "$ref"}, **beside}
            node = self.schemas.get(node["$ref"].rpartition("/")[2])
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
        """A prepared schema and all that its `allOf` brings in, each once, what is overridden first."""
        ref = node.get("$ref") if isinstance(node, dict) else None
        if ref in seen:
            return
        if ref is not None:
            seen.add(ref)
        node = self.schema(node)
        for part in node.get("allOf", ()):
            yield from self.parts(part, seen)
        yield node


def prepare(document: Map) -> Prepared:
    """Everything that openapi-python-client needs, and what leads back to the spec."""
    return _Preparer(document).run()


class _Preparer:
    def __init__(self, document: Map) -> None:
        self.document = document
        self.names: dict[str, str] = {}
        self.used: set[str] = set()
        self.entered: set[str] = set()
        self.schemas: dict[str, dict[str, Any]] = {}
        self.modules: dict[str, str] = {}

    def run(self) -> Prepared:
        components = self.document.get("components") or {}
        sources: Map = components.get("schemas") or Map()
        for name in sources:
            self.names[name] = self.new_name(name)
        for name, schema in sources.items():
            own = self.names[name]
            self.modules[own] = module_of(sources, name, schema)
            self.schemas[own] = self.top(schema, own)
        self.open_circles()
        slots: list[Slot] = []
        paths: dict[str, Any] = {}
        for path, item in (self.document.get("paths") or {}).items():
            item = deref(self.document, item)
            for method in METHODS:
                for operation in operations_of(Map({method: item[method]})) if method in item else ():
                    base = item[method]
                    slot = self.slot(len(slots), path, method, item, operation, base)
                    slots.append(slot)
                    paths[f"/{slot.tag}{path}"] = {method: slot.data}
        prepared = {
            "openapi": "3.1.0",
            "info": {"title": "spec", "version": "0"},
            "paths": paths,
            "components": {"schemas": self.schemas},
        }
        return Prepared(prepared, slots, self.modules, self.schemas)

    def open_circles(self) -> None:
        """Lists and maps that hold nothing but themselves hold anything: they would have no end as types."""
        for name in circular({name: set(_held(node)) for name, node in self.schemas.items()}):
            for key, anything in (("items", {}), ("additionalProperties", True)):
                if key in self.schemas[name]:
                    self.schemas[name][key] = anything

    def slot(self, index: int, path: str, method: str, item: Map, operation: Map, base: Map) -> Slot:
        tag = f"op{index}"
        operation_id = operation.get("operationId") or f"{method}_{path}"
        parent = naming.class_name(operation_id)
        module = naming.resource(str((operation.get("tags") or base.get("tags") or ["default"])[0]))
        parameters = []
        for source in parameters_of(self.document, item, operation):
            if "x-of-variant" in source or source.get("in") not in ("path", "query", "header"):
                continue
            entry = {key: value for key, value in plain(source).items() if key not in ("schema", "content", "examples")}
            schema = source.get("schema")
            if schema is None:
                media = media_of(source)
                schema = media.entry.get("schema", {})
                if media.kind == "application/json" and source.get("content"):
                    entry["x-json"] = True
            entry["schema"] = self.part(schema, f"{parent}{naming.class_name(str(source.get('name')))}", module, True)
            if entry.get("in") == "path":
                entry["required"] = True
            parameters.append(entry)
        data: dict[str, Any] = {"operationId": operation_id, "tags": [tag], "parameters": parameters}
        body = deref(self.document, operation.get("requestBody"))
        if body:
            data["requestBody"] = self.body(body, parent, module)
        data["responses"] = self.responses(operation, parent, module)
        return Slot(tag, path, method, operation, data)

    def body(self, body: Map, parent: str, module: str) -> dict[str, Any]:
        media = media_of(body, *FORMS)
        kind = media.kind
        if kind == "application/json" or kind in FORMS:
            prepared = self.part(media.entry.get("schema", {}), f"{parent}Body", module, True)
        else:
            kind, prepared = "application/octet-stream", {"type": "string", "format": "binary"}
        return {"required": bool(body.get("required")), "content": {kind: {"schema": prepared}}}

    def responses(self, operation: Map, parent: str, module: str) -> dict[str, Any]:
        """The first successful answer, and nothing else."""
        for status, response in sorted((operation.get("responses") or {}).items()):
            if not (status.startswith("2") or status == "default"):
                continue
            response = deref(self.document, response)
            answer: dict[str, Any] = {"description": ""}
            if response.get("content"):
                media = media_of(response)
                schema = media.entry.get("schema", {})
                if isinstance(schema, dict) and "x-merged" in schema and schema.get("anyOf"):
                    # What other tools see; the first is this operation's own.
                    if not schema["x-merged"]:
                        return {"200": answer}
                    schema = schema["anyOf"][0]
                answer["content"] = {media.kind: {"schema": self.part(schema, f"{parent}Response", module, False)}}
            return {"200": answer}
        return {"200": {"description": ""}}

    # -- schemas

    def new_name(self, wanted: str) -> str:
        """A class name that differs from all others even as the name of a function."""
        name = naming.class_name(wanted)
        while naming.function(name) in self.used:
            name += "2" if not name[-1].isdigit() else "0"
        self.used.add(naming.function(name))
        return name

    def top(self, schema: Any, name: str) -> dict[str, Any]:
        prepared = self.schema(schema, name, self.modules[name], inline=False)
        return prepared

    def part(self, schema: Any, name: str, module: str, flat: bool) -> dict[str, Any]:
        """A schema inside another: an object gets a name.

        :param flat: an enum is a set of values and gets no class.
        """
        prepared = self.schema(schema, name, module, inline=flat)
        named = prepared.get("type") == "object" or ("enum" in prepared and not flat)
        if not named or "$ref" in prepared:
            return prepared
        own = self.new_name(name)
        self.schemas[own] = prepared
        self.modules[own] = module
        beside: dict[str, Any] = {key: prepared[key] for key in ("description", "x-nullable") if key in prepared}
        return {"$ref": f"#/components/schemas/{own}", **beside}

    def schema(self, source: Any, name: str, module: str, inline: bool) -> dict[str, Any]:
        if not isinstance(source, dict):
            return {}
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
        wire = _WIRE.get((str(kind), str(schema.get("format"))))
        if wire is not None:
            return self.wired(result, schema, wire, name, module, inline)
        if (kind, schema.get("contentEncoding"), schema.get("contentMediaType")) == (
            "string",
            "base64",
            "application/json",
        ):
            return {**result, "type": "object", "additionalProperties": True, "x-wire": "json64"}
        if "enum" in schema and _closed(schema["enum"]):
            if inline:
                result["x-values"] = schema["enum"]
            else:
                result["enum"] = schema["enum"]
                result["x-member-names"] = schema.get("x-enum-varnames", [])
                result["x-enum-varnames"] = [f"V{index}" for index in range(len(schema["enum"]))]
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
        """A schema that stands inside another object; one that holds itself is a free value there."""
        if ref in self.entered:
            return {}
        self.entered.add(ref)
        try:
            return self.schema(resolve(self.document, ref), name, module, inline)
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
            result["allOf"] = [self.all_of(part, name, module) for part in schema["allOf"]]
            # openapi-python-client would take a lone reference for the whole schema.
            result["allOf"].append({"type": "object", **own})
        else:
            result.update(own)
        additional = schema.get("additionalProperties", True if "properties" not in schema else None)
        if isinstance(additional, dict):
            additional = self.part(additional, f"{name}Value", module, inline) or True
        if additional is not None:
            result["additionalProperties"] = additional

    def all_of(self, part: Any, name: str, module: str) -> dict[str, Any]:
        return self.schema(part, name, module, inline=False)

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
    """The named schemas that a prepared list or map holds, directly or in lists and maps of its own."""
    if isinstance(node, dict) and "properties" not in node and "allOf" not in node:
        name = component(node.get("$ref", ""))
        if name is not None:
            yield name
        yield from _held(node.get("items"))
        yield from _held(node.get("additionalProperties"))


_WIRE = {
    ("integer", "unix-time"): "unix",
    ("integer", "bool-int"): "flag",
    ("string", "bool-int"): "flag-text",
    ("string", "comma-list"): "comma",
    ("object", "index-map"): "index-map",
}

_KEPT = frozenset(
    """description minimum maximum minLength maxLength pattern minItems maxItems minProperties maxProperties default
    exclusiveMinimum exclusiveMaximum""".split()
)


@dataclass(frozen=True)
class Media:
    """One of the media types that a body or an answer offers."""

    kind: str
    """The type without its parameters; all that is JSON is `application/json`."""
    name: str
    """As the document has it."""
    entry: Map


def media_of(holder: Map, *others: str) -> Media:
    """The media type to use of those that are offered.

    :param others: what to take where there is no JSON.
    """
    found: dict[str, Media] = {}
    content = holder.get("content") or {}
    for name in sorted(content, key=lambda name: name != "application/json"):
        kind = name.partition(";")[0].strip().lower()
        kind = "application/json" if kind.endswith("+json") else kind
        found.setdefault(kind, Media(kind, name, content[name]))
    for kind in ("application/json", *others, *found):
        if kind in found:
            return found[kind]
    return Media("application/json", "application/json", Map())


def module_of(parent: Map, name: str, schema: Any) -> str:
    """The module of a named schema: the name of the file it stands in."""
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
