"""Check the examples of a document against their schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
from referencing.exceptions import Unresolvable

from ..faults import Fault, nearest
from ..schema import place, short
from ..source import Map, Seq, fault, plain
from .document import deref
from .grammar import below, objects
from .media import is_json, kind_of

Draft = jsonschema.Draft202012Validator

HIDDEN = {"sent": "readOnly", "answered": "writeOnly", "": ""}
"""The keyword of a property that is not required where an example stands."""


def examples(document: Map, strict: bool) -> list[Fault]:
    """Check all examples of a valid document; those of other people that are wrong are removed.

    :param strict: the examples of all media types are checked, each for all that is wrong in it.
    """
    checker = _Examples(document, strict)
    checker.walk(document, "document", "")
    return checker.faults


USES = {"request-body": "sent", "parameter": "sent", "response": "answered"}
"""In which direction the contents of an object go."""


class _Examples:
    def __init__(self, document: Map, strict: bool) -> None:
        self.document = document
        self.strict = strict
        self.faults: list[Fault] = []
        self.old = str(document.get("openapi", "")).startswith("3.0")
        root = _modern(plain(document), "document", self.old)
        self.validators = {use: _validator(root, hidden, strict)(root) for use, hidden in HIDDEN.items()}
        self.envelopes: dict[int, str] = {}

    def walk(self, node: Any, shape: Any, use: str) -> None:
        """Check the examples below a node.

        :param use: whether what stands there is sent or answered.
        """
        if shape is None or not isinstance(node, (Map, Seq)):
            return
        if isinstance(shape, str) and isinstance(node, Map):
            use = USES.get(shape, use)
            if shape == "operation" and "x-item-envelope" in node:
                for response in node["responses"].values():
                    for media in response.get("content", {}).values():
                        self.envelopes[id(media)] = node["x-item-envelope"]
            elif shape in ("parameter", "header", "media-type") and (shape != "header" or not self.strict):
                self.examples_of(node, use)
            elif shape == "filters":
                self.filters_example(node)
        content = isinstance(shape, dict) and shape.get("*") == "media-type"
        for (entry, inner), key in zip(list(below(node, shape)), list(node), strict=True):
            if content and not self.strict and not is_json(kind_of(str(key))):
                # Its examples are texts in the notation of that type.
                continue
            self.walk(entry, inner, use)

    def filters_example(self, filters: Map) -> None:
        """Check that the example's keys are fields, and that those of a free field are given one by one."""
        fields = {name.lstrip("_"): rule for name, rule in filters["fields"].items()}
        for name, value in filters.get("example", {}).items():
            rule = fields.get(name.lstrip("_"), fields.get("*"))
            if rule is None:
                problem, remedy = f"the filters have no field {name!r}", nearest(name, fields, "Name a field")
                self.faults.append(fault(filters["example"], name, problem, remedy))
            elif plain(rule).get("schema", {}).get("type") == "object" and not isinstance(value, Map):
                self.faults.append(fault(filters["example"], name, f"{name!r} holds values by name", "Write a mapping"))

    def examples_of(self, node: Map, use: str) -> None:
        """Check the examples of a parameter, a header or a media type."""
        schema = node.get("schema")
        if schema is None:
            return
        envelope = self.envelopes.get(id(node))
        # It may be around the entries of a list.
        schema = _wrapped(plain(schema), envelope) if envelope else plain(schema)
        schema = _modern(schema, "schema", self.old)
        if "example" in node and not self.fits(node, "example", schema, use):
            del node["example"]
        named = node.get("examples") or {}
        for name, example in list(named.items()):
            example = deref(self.document, example)
            if "value" in example and not self.fits(example, "value", schema, use, name):
                del named[name]

    def fits(self, node: Map, key: str, schema: Any, use: str, name: str = "") -> bool:
        """Whether an example can stay."""
        # References are looked up in the document that the validator was made of.
        validator = self.validators[use].evolve(schema=schema)
        try:
            errors = list(validator.iter_errors(plain(node[key])))
        except (Unresolvable, jsonschema.SchemaError, RecursionError, re.error, ArithmeticError) as broken:
            problem = f"the schema of an example can't be used ({short(str(broken))})"
            self.faults.append(fault(node, key, problem, "Fix the schema"))
            return True
        for found in errors if self.strict else errors[:1]:
            error = jsonschema.exceptions.best_match([found]) or found
            path = [key, *error.absolute_path]
            where = "".join(f"[{part!r}]" for part in path[1:])
            label = f"example {name!r}" if name else "the example"
            problem = f"{label} breaks its schema{' at ' + where if where else ''}: {short(error.message)}"
            self.faults.append(fault(place(node, path[:-1])[0], path[-1], problem, "Fix the example or its schema"))
        return self.strict or not errors


def _validator(root: Any, hidden: str, strict: bool) -> Any:
    """JSON Schema as a document means it.

    :param hidden: the keyword of properties that are not required.
    """

    def is_hidden(prop: Any) -> bool:
        found = _target(root, prop)
        return isinstance(found, dict) and found.get(hidden) is True

    nodes = [node for node, kind in objects(root, "document") if kind == "schema" and "properties" in node]
    names = {name for node in nodes for name, prop in node["properties"].items() if is_hidden(prop)}

    def required(validator: Any, wanted: list[str], instance: Any, schema: Any) -> Iterator[Any]:
        own = schema.get("properties", {})
        # In a part of an `allOf` the property may stand in another part.
        left = [name for name in wanted if not (name in names and (name not in own or is_hidden(own[name])))]
        yield from Draft.VALIDATORS["required"](validator, left, instance, schema)

    def others(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if "patternProperties" not in schema:
            yield from Draft.VALIDATORS["additionalProperties"](validator, rule, instance, schema)

    rules: dict[str, Any] = {"required": required}
    if not strict:
        # A regular expression of a hostile document can take forever.
        rules |= {"pattern": _nothing, "patternProperties": _nothing, "additionalProperties": others}
    extend: Any = jsonschema.validators.extend
    return extend(Draft, rules)


def _nothing(*_: Any) -> Iterator[Any]:
    return iter(())


def _target(root: Any, node: Any) -> Any:
    """Follow a reference of plain data; an `anyOf` that `_modern` made for null is its first part."""
    node = deref(root, node)
    if isinstance(node, dict) and isinstance(node.get("anyOf"), list) and {"type": "null"} in node["anyOf"]:
        return deref(root, node["anyOf"][0])
    return node


def _modern(node: Any, shape: Any, old: bool) -> Any:
    """Copy a node of a document, with the schemas in the form of JSON Schema.

    :param old: the document is of OpenAPI 3.0, which has its own way of saying that a value may be null.
    """
    if isinstance(node, list):
        return [_modern(entry, inner, old) for entry, inner in below(node, shape)]
    if not isinstance(node, dict):
        return node
    node = {key: _modern(entry, inner, old) for key, (entry, inner) in zip(node, below(node, shape), strict=True)}
    if shape != "schema":
        return node
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and bound in node:
            node[exclusive] = node.pop(bound)
    return {"anyOf": [node, {"type": "null"}]} if old and node.pop("nullable", False) is True else node


def _wrapped(schema: Any, envelope: str) -> Any:
    """Copy a list's schema, with entries that may have an envelope."""
    if "items" in schema:
        wrapped = {"type": "object", "required": [envelope], "properties": {envelope: schema["items"]}}
        return {**schema, "items": {"anyOf": [wrapped, schema["items"]]}}
    inner = {key: _wrapped(entry, envelope) for key, entry in schema.get("properties", {}).items()}
    return {**schema, "properties": inner} if inner else schema
