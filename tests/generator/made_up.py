"""A spec of any size, made up: what measures and proves how the generator grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VERBS = 5
"""Operations of each resource."""

Node = dict[str, Any]


def spec(operations: int) -> Node:
    """An OpenAPI 3.1 document with that many operations, five to a resource, each resource with schemas of its own."""
    paths: Node = {}
    schemas: Node = {}
    for number in range(-(-operations // VERBS)):
        name = f"thing{number}"
        schemas.update(_schemas(number))
        items, item = _paths(number)
        paths[f"/{name}s"] = items
        paths[f"/{name}s/{{{name}_id}}"] = item
    _cut(paths, operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Made up", "version": "1"},
        "servers": [{"url": "http://localhost"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def write(operations: int, folder: Path) -> Path:
    """The same as a file in a folder."""
    file = folder / f"made_up_{operations}.json"
    file.write_text(json.dumps(spec(operations), indent=1), encoding="utf-8")
    return file


def _cut(paths: Node, operations: int) -> None:
    """Leave exactly that many operations."""
    left = operations
    for item in paths.values():
        for method in [key for key in item if key != "parameters"]:
            if left <= 0:
                del item[method]
            left -= 1


def _schemas(number: int) -> Node:
    name = f"Thing{number}"
    return {
        f"{name}Kind": {"type": "string", "enum": ["small", "large", f"kind {number}"]},
        f"{name}Part": {
            "type": "object",
            "description": f"A part of thing {number}.",
            "properties": {
                "label": {"type": "string", "description": "What it is called."},
                "weights": {"type": "array", "items": {"type": "number"}},
            },
        },
        name: {
            "type": "object",
            "description": f"Thing {number}.",
            "required": ["id"],
            "properties": {
                "id": {"type": "string"},
                "kind": _ref(f"{name}Kind"),
                "parts": {"type": "array", "items": _ref(f"{name}Part")},
                "next": _ref(f"Thing{number - 1}" if number else name),
                "made_at": {"type": "string", "format": "date-time"},
                "place": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}},
                "notes": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    }


def _paths(number: int) -> tuple[Node, Node]:
    name, schema = f"thing{number}", f"Thing{number}"
    example = {"id": "a1", "kind": "small", "parts": [{"label": "lid", "weights": [1.5]}], "place": {"x": 1, "y": 2}}
    identifier = {"name": f"{name}_id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "a1"}
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["kind"],
                    "properties": {
                        "kind": _ref(f"{schema}Kind"),
                        "parts": {"type": "array", "items": _ref(f"{schema}Part")},
                        "place": {"type": "object", "properties": {"x": {"type": "integer"}}},
                    },
                },
                "example": {"kind": "large", "parts": [{"label": "lid"}]},
            }
        },
    }
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}, "example": 10}
    many = {"type": "array", "items": _ref(schema)}
    items = {
        "get": _operation(name, "list", _answer(many, [example]), parameters=[limit]),
        "post": _operation(name, "create", _answer(_ref(schema), example), requestBody=body),
    }
    item = {
        "get": _operation(name, "get", _answer(_ref(schema), example)),
        "put": _operation(name, "update", _answer(_ref(schema), example), requestBody=body),
        "delete": _operation(name, "delete", {"204": {"description": "Gone."}}),
        "parameters": [identifier],
    }
    return items, item


def _operation(name: str, verb: str, responses: Node, **more: Any) -> Node:
    frame = {"operationId": f"{name}s_{verb}", "tags": [f"{name}s"], "summary": f"The call {verb} of {name}s."}
    return {**frame, **more, "responses": responses}


def _answer(schema: Node, example: Any) -> Node:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"200": {"description": "Done.", "content": content}}


def _ref(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}
