"""What each object of an OpenAPI document may hold: OpenAPI's published meta-schema plus this project's keywords.

Documents of 3.0 and of 3.1 are checked against the meta-schema of 3.1, whose objects are a superset of those of 3.0 but
for the handful of schema keywords that `_adapted` adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Node = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")

TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")

OPERATORS = tuple("gt lt gte lte ne in nin all or ctn near start_with calc ge le eq between".split())
"""The operators that a filter's field may name."""

LIST_OPERATORS = frozenset("in nin all or between".split())
"""Those of them that take a list."""

WIRE = {
    ("integer", "unix-time"): "unix",
    ("integer", "bool-int"): "flag",
    ("string", "bool-int"): "flag-text",
    ("string", "comma-list"): "comma",
    ("object", "index-map"): "index-map",
}
"""The formats of this project, each with the types that it goes with, and the form on the wire."""

STANDARD_FORMATS = """
    binary byte date date-time double duration email float hostname int32 int64 ipv4 ipv6 password regex time uri
    uri-reference uuid
""".split()
"""Formats of OpenAPI and JSON Schema. A document with `x-platform` may use these and those of `WIRE`, and no others."""

PAGE_KEYS = {
    "offset": {"style", "items", "limit", "id", "offset"},
    "number": {"style", "items", "limit", "id", "number"},
    "keyset": {"style", "items", "limit", "id", "field", "operator"},
}

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_TEXTS = {"type": "array", "items": _TEXT}
_RULES = {"type": "array", "items": {"type": "array"}}

KEYWORDS: dict[str, Node] = {
    "document": {"x-platform": _TEXT, "x-sdk-version": True},
    "operation": {
        "x-variants": {"type": "array", "items": {"$ref": "#/$defs/operation"}},
        "x-variant-of": True,
        "x-facts": _TEXTS,
        "x-request-envelope": _TEXT,
        "x-response-envelope": _TEXT,
        "x-item-envelope": _TEXT,
        "x-page": {"$ref": "#/$defs/page"},
        "x-filters": {"$ref": "#/$defs/filters"},
        "x-filters-of": _TEXT,
        "x-fixed-query": {"type": "object"},
        "x-result": {"enum": ["count", "first"]},
        "x-outcomes": {"type": "object", "additionalProperties": _TEXT},
        "x-exactly-one": _RULES,
        "x-at-least-one": _RULES,
        "x-at-most-one": _RULES,
        "x-idempotent": _FLAG,
        "x-renewable": _FLAG,
        # The helpers written by hand that can stand in for an operation.
        "x-helper": {"enum": ["files.upload", "files.download", "files.url"]},
    },
    "parameter": {
        "x-python-name": _TEXT,
        "x-of-variant": True,
        "x-of-filters": True,
        "x-positional": _FLAG,
        "x-from-client": {"enum": ["user_id"]},
    },
    "schema": {
        "x-enum-varnames": _TEXTS,
        "x-from-client": _TEXT,
        "x-additional-name": _TEXT,
        "x-python-name": _TEXT,
        "x-id-of": _TEXT,
        "x-positional": _FLAG,
        "x-items": {"$ref": "#/$defs/schema"},
        "x-index-from": {"type": "integer"},
        "x-default-sent": _FLAG,
        "x-secret": _FLAG,
        "x-merged": True,
    },
}
"""The keywords of this project: a document with `x-platform` may hold no others."""

_NEW: dict[str, Node] = {
    "document": {"$self": _TEXT},
    "server": {"name": _TEXT},
    "components": {"mediaTypes": {"type": "object", "additionalProperties": {"$ref": "#/$defs/media-type"}}},
    "path-item": {
        "query": {"$ref": "#/$defs/operation"},
        "additionalOperations": {"type": "object", "additionalProperties": {"$ref": "#/$defs/operation"}},
    },
    "parameter": {"in": {"enum": ["query", "header", "path", "cookie", "querystring"]}},
    "media-type": {
        "itemSchema": {"$ref": "#/$defs/schema"},
        "itemEncoding": {"$ref": "#/$defs/encoding"},
        "prefixEncoding": {"type": "array", "items": {"$ref": "#/$defs/encoding"}},
    },
    "encoding": dict.fromkeys(("encoding", "itemEncoding", "prefixEncoding"), True),
    "response": {"summary": _TEXT},
    "example": {"dataValue": True, "serializedValue": _TEXT},
    "tag": dict.fromkeys(("summary", "parent", "kind"), _TEXT),
    "discriminator": {"defaultMapping": _TEXT},
    "security-scheme": {"deprecated": _FLAG, "oauth2MetadataUrl": _TEXT},
    "oauth-flows": {"deviceAuthorization": {"type": "object"}},
}
"""What OpenAPI 3.2 adds to the objects of 3.1."""

_OWN_OBJECTS = {
    "discriminator": {
        "$comment": "#discriminator",
        "type": "object",
        "properties": {"propertyName": _TEXT, "mapping": {"type": "object", "additionalProperties": _TEXT}},
        "required": ["propertyName"],
    },
    "page": {
        "$comment": "#page",
        "type": "object",
        "properties": {
            **dict.fromkeys(("items", "limit", "id", "offset", "number", "field", "operator"), _TEXT),
            "style": {"enum": list(PAGE_KEYS)},
        },
        "required": ["style"],
    },
    "filters": {
        "$comment": "#filters",
        "type": "object",
        "properties": {
            "name": _TEXT,
            "lists": {"enum": ["comma", "repeat", "v1"]},
            "example": {"type": "object"},
            "fields": {"type": "object", "additionalProperties": {"$ref": "#/$defs/filter"}},
        },
        "required": ["name", "lists", "fields"],
    },
    "filter": {
        "$comment": "#filter",
        "type": "object",
        "properties": {
            "schema": {"$ref": "#/$defs/schema"},
            "operators": {"type": "array", "items": {"enum": list(OPERATORS)}},
            "equality": _FLAG,
            "description": True,
            "x-v1-type": _TEXT,
        },
    },
}


@cache
def meta_schema(strict: bool, new: bool = False) -> Node:
    """The JSON Schema of a whole document.

    :param strict: keywords that start with `x-` must be known.
    :param new: the document may hold what OpenAPI 3.2 has added.
    """
    meta = _published()
    definitions = meta.pop("$defs") | deepcopy(_OWN_OBJECTS) | {"document": meta}
    _adapt(definitions)
    for name, keys in _NEW.items() if new else ():
        definitions[name]["properties"] |= keys
    if new:
        definitions["response"]["required"] = []
    for name, node in definitions.items():
        if "properties" in node and name not in ("reference", "examples", "specification-extensions"):
            definitions[name] = _closed(name, node, definitions, strict)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/document", "$defs": definitions}


def _published() -> Node:
    """OpenAPI's meta-schema, its Schema Object made of the vocabularies of JSON Schema and of OpenAPI."""

    def load(text: str) -> Node:
        found: Node = json.loads(text.replace('"$dynamicRef": "#meta"', '"$ref": "#/$defs/schema"'))
        return found

    meta = load(_resource("openapi_spec_validator", "resources/schemas/v3.1/schema.json"))
    vocabularies = [load(_resource("openapi_schema_validator", "schemas/oas3.1/vocabularies/base"))]
    for name in ("core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content"):
        text = _resource("jsonschema_specifications", f"schemas/draft202012/vocabularies/{name}")
        vocabularies.append(load(text))
    keywords: Node = {}
    for vocabulary in vocabularies:
        keywords |= vocabulary["properties"]
        meta["$defs"] |= vocabulary.get("$defs", {})
    meta["$defs"]["schema"] = {
        "$comment": meta["$defs"]["schema"]["$comment"],
        "type": ["object", "boolean"],
        "properties": keywords,
    }
    return meta


def _resource(package: str, path: str) -> str:
    """A file of an installed package, without the second that importing the package takes."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_text(encoding="utf-8")


def _adapt(definitions: Node) -> None:
    """Allow what 3.0 allows, and drop rules that many documents break and that don't matter here."""
    document, schema = definitions["document"]["properties"], definitions["schema"]["properties"]
    document["openapi"] = True  # The check of the version has a better message.
    definitions["info"]["properties"]["version"] = {"type": ["string", "number"]}
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        schema[bound] = {"type": ["number", "boolean"]}
    schema |= {"nullable": _FLAG, "type": True, "examples": True, "xml": True}
    schema["discriminator"] = {"$ref": "#/$defs/discriminator"}
    definitions["link"] = {"type": "object"}
    definitions["components"].pop("patternProperties")
    definitions["document"].pop("anyOf")
    for name, entry in (("paths", "path-item"), ("responses", "response")):
        entries = {"additionalProperties": {"$ref": f"#/$defs/{entry}-or-reference"}}
        definitions[name] = {"type": "object", "patternProperties": {"^x-": True}, **entries}
    callbacks = definitions["callbacks"]
    definitions["callbacks"] = {**definitions["paths"], "$comment": callbacks["$comment"]}
    definitions["operation"]["required"] = ["responses"]
    for name, keywords in KEYWORDS.items():
        definitions[name]["properties"] |= keywords


def _closed(name: str, node: Node, definitions: Node, strict: bool) -> Node:
    """An object's definition with `additionalProperties: false`.

    The published one has `unevaluatedProperties: false`, and rules for which keys exclude each other. Those rules don't
    matter here, and checking a large document takes several times as long with them.
    """
    properties = dict(_properties(node, definitions))
    closed = {key: value for key, value in node.items() if key in ("type", "required", "$comment", "$defs")}
    closed |= {"properties": properties, "additionalProperties": False}
    if not strict:
        closed["patternProperties"] = {"^x-": True}
    return closed


def _properties(node: Node, definitions: Node) -> Iterator[tuple[str, Any]]:
    """The properties of a definition, those that it has under a condition included."""
    parts = [*node.get("allOf", ()), *node.get("dependentSchemas", {}).values()]
    parts += [node[key] for key in ("then", "else") if key in node]
    if "$ref" in node:
        target: Any = {"$defs": definitions}
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        parts.append(target)
    for part in parts:
        yield from _properties(part, definitions)
    yield from node.get("properties", {}).items()


Shape = Any
"""What a value holds: the kind of an object, `[shape]` for a list, `{"*": shape}` for a mapping of names, or `None`."""


@cache
def kinds() -> dict[str, dict[str, Shape]]:
    """Map each kind of object to the shapes of its keys; `*` is for all other keys."""
    definitions = meta_schema(False, new=True)["$defs"]
    return {name: _entries(node, definitions) for name, node in definitions.items()}


def _entries(node: Node, definitions: Node) -> dict[str, Shape]:
    pairs = {**node.get("properties", {}), "*": node.get("additionalProperties")}
    found = {key: _shape(value, definitions) for key, value in pairs.items() if isinstance(value, dict)}
    return {key: shape for key, shape in found.items() if shape is not None}


def _shape(node: Node, definitions: Node) -> Shape:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        target = definitions.get(name, {})
        if "else" in target:
            return target["else"]["$ref"].rpartition("/")[2]
        return name if "properties" in target else _shape(target, definitions)
    if "items" in node and isinstance(node["items"], dict):
        inner = _shape(node["items"], definitions)
        return None if inner is None else [inner]
    if isinstance(node.get("additionalProperties"), dict):
        inner = _shape(node["additionalProperties"], definitions)
        return None if inner is None else {"*": inner}
    return None


@cache
def sections() -> dict[str, str]:
    """The section of the components that holds each kind of object."""
    return {shape["*"]: section for section, shape in kinds()["components"].items() if isinstance(shape, dict)}


def below(node: Any, shape: Shape) -> Iterator[tuple[Any, Shape]]:
    """The entries of a value, each with its shape."""
    if isinstance(node, list):
        inner = shape[0] if isinstance(shape, list) else None
        yield from ((entry, inner) for entry in node)
    elif isinstance(node, dict):
        shapes = kinds()[shape] if isinstance(shape, str) else shape if isinstance(shape, dict) else {}
        for key, entry in node.items():
            yield entry, shapes.get(key, None if key.startswith("x-") else shapes.get("*"))


def objects(node: Any, shape: Shape) -> Iterator[tuple[Any, str]]:
    """All objects below a node and their kinds, the node itself included."""
    if isinstance(shape, str) and isinstance(node, dict):
        yield node, shape
    if shape is not None:
        for entry, inner in below(node, shape):
            yield from objects(entry, inner)
