"""Check a spec before anything is generated from it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import jsonschema
from referencing.exceptions import Unresolvable

from ..faults import Fault, nearest
from ..schema import Schema, place, short
from ..source import Map, Seq, fault, plain
from .grammar import (
    KEYWORDS,
    METHODS,
    PAGE_KEYS,
    STANDARD_FORMATS,
    TYPES,
    WIRE,
    below,
    meta_schema,
    objects,
    sections,
)

PATH_PARAMETER = re.compile(r"{([^{}]*)}")


def check(document: Map) -> list[Fault]:
    """All faults of a bundled document."""
    structure = _Structure(strict="x-platform" in document)
    checker = _Checker(document)
    checker.faults += structure.faults(document)
    checker.walk(document, "document")
    checker.version()
    if not checker.faults:
        checker.circles()
        checker.operations()
    if not checker.faults:
        checker.examples()
    return checker.faults


class _Structure(Schema):
    """OpenAPI's meta-schema, with faults in the words of OpenAPI."""

    def __init__(self, strict: bool) -> None:
        super().__init__(meta_schema(strict), "https://spec.openapis.org/oas/v3.1.0")

    def _unknown(self, node: Map | Seq, key: str, error: Any) -> Fault:
        known = error.schema["properties"]
        otherwise = _keywords(key, list(known)) if key.startswith("x-") else "Remove it or start it with 'x-'"
        return fault(node, key, f"unknown key {key!r} in {_article(error)}", nearest(key, known, otherwise))

    def _fault(self, document: Map, error: Any) -> Fault:
        path = list(error.absolute_path)
        holder, _ = place(document, path[:-1])
        at = path[-1] if path else None
        node, _ = place(document, path)
        match error.validator:
            case "required":
                key = next(key for key in error.validator_value if error.message.startswith(repr(key)))
                return fault(node, None, f"{_article(error)} without {key!r}", f"Add {key!r}")
            case "type":
                label = f"an entry of {path[-2]!r}" if isinstance(at, int) else repr(at)
                kinds = error.validator_value
                kind = _TYPE_NAMES[kinds if isinstance(kinds, str) else kinds[0]]
                wanted = _article(error) if _kind(error) else kind
                return fault(holder, at, f"{label} is not {kind}", f"Write {wanted}")
            case "enum":
                label = repr(path[-2] if isinstance(at, int) else at)
                known = error.validator_value
                remedy = nearest(str(error.instance), known, f"Write one of {', '.join(known)}")
                return fault(holder, at, f"{error.instance!r} is not a value of {label}", remedy)
        return fault(holder, at, short(error.message), self.remedy)


def _keywords(key: str, known: list[str]) -> str:
    """A remedy for an unknown keyword of this project: where it belongs, or which ones there are."""
    for kind, keywords in KEYWORDS.items():
        if key in keywords:
            return f"It belongs in {_an(kind)} object"
    own = ", ".join(sorted(name for name in known if name.startswith("x-")))
    return f"{f'Known here are {own}' if own else 'There are none here'}; see docs/spec-language.md"


def _article(error: Any) -> str:
    """The kind of object that an error is about."""
    kind = _kind(error)
    return f"{_an(kind)} object" if kind else "the document"


def _an(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _kind(error: Any) -> str:
    name = str(error.schema.get("$comment", "")).rpartition("#")[2]
    return name.removesuffix("-object").replace("-", " ")


_TYPE_NAMES = {
    "string": "a string",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


class _Checker:
    def __init__(self, document: Map) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.strict = "x-platform" in document

    def add(self, parent: Map | Seq, key: object, problem: str, remedy: str) -> None:
        self.faults.append(fault(parent, key, problem, remedy))

    # -- structure

    def version(self) -> None:
        version = str(self.document.get("openapi", "3.1"))
        if not version.startswith(("3.0", "3.1")):
            remedy = "Convert the document to OpenAPI 3.0 or 3.1"
            self.add(self.document, "openapi", f"OpenAPI {version} is not supported", remedy)

    def walk(self, node: Any, shape: Any) -> None:
        """Check the references and the types of all objects below a node."""
        for entry, kind in objects(node, shape):
            if isinstance(entry.get("$ref"), str):
                self.reference(entry, kind)
            elif kind == "schema":
                self.types(entry)

    def types(self, schema: Map) -> None:
        names = schema.get("type", Seq())
        for name in names if isinstance(names, Seq) else [names]:
            if name not in TYPES:
                remedy = nearest(str(name), TYPES, f"Write {', '.join(TYPES)}")
                self.add(schema, "type", f"unknown type {name!r}", remedy)
        if self.strict and "format" in schema:
            self.format(schema, schema["format"])
        if "x-id-of" in schema:
            self.owner(schema)

    def format(self, schema: Map, name: Any) -> None:
        """Check a format of the project's own spec: a misspelled one would silently do nothing."""
        kinds = [kind for kind, own in WIRE if own == name]
        given = schema.get("type")
        types = given if isinstance(given, Seq) else [given]
        if not kinds and name not in STANDARD_FORMATS:
            own = list(dict.fromkeys(own for _, own in WIRE))
            remedy = nearest(str(name), [*own, *STANDARD_FORMATS], f"Known are {', '.join(own)} and those of OpenAPI")
            self.add(schema, "format", f"unknown format {name!r}", remedy)
        elif kinds and not any(kind in types for kind in kinds):
            wanted = " or ".join(f"'type: {kind}'" for kind in kinds)
            self.add(schema, "format", f"the format {name!r} does not go with the type {given!r}", f"Write {wanted}")

    def owner(self, schema: Map) -> None:
        """Check that an id is of a schema, and is one of its properties."""
        name, _, field = schema["x-id-of"].partition(".")
        schemas = resolve(self.document, "#/components/schemas") or {}
        if name not in schemas:
            remedy = nearest(name, schemas, "Name a schema of the components")
            self.add(schema, "x-id-of", f"'x-id-of' names no schema: {name!r}", remedy)
            return
        known = [key.lstrip("_") for key in schemas[name].get("properties") or ()]
        if (field or "id") not in known:
            problem = f"'x-id-of' names no property of {name!r}: {field or 'id'!r}"
            self.add(schema, "x-id-of", problem, nearest(field, known, f"Write '{name}.' and the property"))

    def reference(self, node: Map, kind: str) -> None:
        ref = node["$ref"]
        if not ref.startswith("#/"):
            problem = f"the reference {ref!r} leaves the spec"
            self.add(node, "$ref", problem, "Refer to '#/components/...' or to a file of the spec's folder")
        elif not isinstance(resolve(self.document, ref), (Map, bool)):
            section = sections().get(kind, "schemas")
            known = resolve(self.document, f"#/components/{section}")
            remedy = nearest(
                ref.rpartition("/")[2], known if isinstance(known, Map) else (), f"Add it under components/{section}"
            )
            self.add(node, "$ref", f"the reference {ref!r} points to nothing", remedy)
        elif not deref(self.document, node):
            problem = f"the reference {ref!r} leads back to itself"
            self.add(node, "$ref", problem, "Refer to an object that does not refer to this one")

    def circles(self) -> None:
        """Find schemas that include themselves."""
        schemas: Map = (self.document.get("components") or {}).get("schemas") or Map()
        parts = {name: {ref for ref in _parts(schema) if ref in schemas} for name, schema in schemas.items()}
        for name in circular(parts):
            self.add(schemas, name, f"the schema {name!r} includes itself", "Break the circle of references")

    # -- operations

    def operations(self) -> None:
        seen: dict[str, str] = {}
        for path, item in (self.document.get("paths") or {}).items():
            paths = self.document["paths"]
            if not path.startswith("/"):
                self.add(paths, path, f"the path {path!r} does not start with '/'", "Put a '/' before it")
            names = PATH_PARAMETER.findall(path)
            if self.strict and len(set(names)) < len(names):
                self.add(paths, path, f"the path {path!r} names a parameter twice", "Give each its own name")
            item = deref(self.document, item)
            for operation in operations_of(item):
                self.operation(path, names, item, operation, seen)

    def operation(self, path: str, names: list[str], item: Map, operation: Map, seen: dict[str, str]) -> None:
        name = operation.get("operationId")
        if name is not None:
            where = f"{operation.file}:{operation.line_of('operationId')}"
            if name in seen:
                problem = f"the operation id {name!r} is already defined at {seen[name]}"
                self.add(operation, "operationId", problem, "Give each operation its own id")
            seen[name] = where
        elif self.strict:
            self.add(operation, None, "an operation without an id", "Add 'operationId: <resource>_<method>'")
        declared = {}
        for parameter in parameters_of(self.document, item, operation):
            place = (parameter.get("in"), parameter.get("name"))
            if place in declared:
                problem = f"the parameter {place[1]!r} is declared twice"
                self.add(parameter, "name", problem, "Remove one of them")
            declared[place] = parameter
            if parameter.get("in") == "path" and parameter.get("name") not in names:
                problem = f"the path parameter {parameter.get('name')!r} is not in the path {path!r}"
                self.add(parameter, "name", problem, nearest(str(parameter.get("name")), names, "Put it in the path"))
        for name in names:
            if ("path", name) not in declared and ("query", name) not in declared:
                problem = f"the path parameter {name!r} of {path!r} is not declared"
                remedy = f"Add a parameter with 'name: {name}' and 'in: path'"
                self.add(operation, "parameters", problem, remedy)
        self.page(operation)

    def page(self, operation: Map) -> None:
        page = operation.get("x-page")
        if page is not None and set(page) != PAGE_KEYS[page["style"]]:
            keys = PAGE_KEYS[page["style"]]
            odd = ", ".join(sorted(set(page) ^ keys))
            remedy = f"Give {', '.join(sorted(keys))}"
            self.add(operation, "x-page", f"missing or unknown in the page: {odd}", remedy)

    # -- examples

    def examples(self) -> None:
        root = plain(self.document)
        self.old = str(self.document.get("openapi", "")).startswith("3.0")
        self.validator = jsonschema.Draft202012Validator(_modern(root, "document") if self.old else root)
        envelopes: dict[int, str] = {}
        for node, kind in objects(self.document, "document"):
            if kind == "operation" and "x-item-envelope" in node:
                for response in node["responses"].values():
                    envelopes |= {id(media): node["x-item-envelope"] for media in response.get("content", {}).values()}
            elif kind in ("parameter", "media-type"):
                self.examples_of(node, envelopes.get(id(node), ""))
            elif kind == "filters":
                self.filters_example(node)

    def filters_example(self, filters: Map) -> None:
        """Check that the example's keys are fields, and that those of a free field are given one by one."""
        fields = {name.lstrip("_"): rule for name, rule in filters["fields"].items()}
        for name, value in filters.get("example", {}).items():
            rule = fields.get(name.lstrip("_"), fields.get("*"))
            if rule is None:
                problem, remedy = f"the filters have no field {name!r}", nearest(name, fields, "Name a field")
                self.add(filters["example"], name, problem, remedy)
            elif plain(rule).get("schema", {}).get("type") == "object" and not isinstance(value, Map):
                self.add(filters["example"], name, f"{name!r} holds values by name", "Write a mapping")

    def examples_of(self, node: Map, envelope: str) -> None:
        """Check the examples of a parameter or a media type.

        :param envelope: may be around the entries of a list.
        """
        schema = node.get("schema")
        if schema is None:
            return
        if envelope:
            schema = _wrapped(plain(schema), envelope)
        if "example" in node:
            self.example(node, "example", schema)
        for name, example in (node.get("examples") or {}).items():
            example = deref(self.document, example)
            if "value" in example:
                self.example(example, "value", schema, name)

    def example(self, node: Map, key: str, schema: Any, name: str = "") -> None:
        schema = _modern(plain(schema), "schema") if self.old else plain(schema)
        try:
            # References are looked up in the document that the validator was made of.
            errors = list(self.validator.evolve(schema=schema).iter_errors(plain(node[key])))
        except (Unresolvable, jsonschema.SchemaError, RecursionError, re.error, ArithmeticError) as broken:
            self.add(node, key, f"the schema of an example can't be used ({short(str(broken))})", "Fix the schema")
            return
        for found in errors:
            error = jsonschema.exceptions.best_match([found]) or found
            path = [key, *error.absolute_path]
            where = "".join(f"[{part!r}]" for part in path[1:])
            label = f"example {name!r}" if name else "the example"
            problem = f"{label} breaks its schema{' at ' + where if where else ''}: {short(error.message)}"
            self.add(place(node, path[:-1])[0], path[-1], problem, "Fix the example or its schema")


def operations_of(item: Map) -> list[Map]:
    """The operations of a path, each followed by its variants."""
    found: list[Map] = []
    for method in METHODS:
        if method in item:
            found.append(item[method])
            found.extend(item[method].get("x-variants") or ())
    return found


def parameters_of(document: Map, item: Map, operation: Map) -> list[Map]:
    """An operation's parameters, resolved; those of its path where it has none of the same name."""
    own = [deref(document, entry) for entry in operation.get("parameters") or ()]
    names = {(entry.get("name"), entry.get("in")) for entry in own}
    shared = [deref(document, entry) for entry in item.get("parameters") or ()]
    return own + [entry for entry in shared if (entry.get("name"), entry.get("in")) not in names]


def resolve(document: Map, ref: str) -> Any:
    """What a local reference points to, or `None`."""
    node: Any = document
    for part in ref.removeprefix("#/").split("/"):
        part = _unescaped(part)
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdecimal() and part.isascii() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def component(ref: str) -> str | None:
    """The name of the component schema that a reference points to, or `None`."""
    section, _, name = ref.rpartition("/")
    return _unescaped(name) if section == "#/components/schemas" else None


def _unescaped(part: str) -> str:
    """Unescape a part of a reference."""
    return unquote(part).replace("~1", "/").replace("~0", "~")


def deref(document: Map, node: Any) -> Any:
    """Follow an object's `$ref` to the object itself."""
    for _ in range(50):
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
            return node
        node = resolve(document, node["$ref"])
    return Map()


def _modern(node: Any, shape: Any) -> Any:
    """Copy a node of an OpenAPI 3.0 document, with the schemas in the form of JSON Schema."""
    if isinstance(node, list):
        return [_modern(entry, inner) for entry, inner in below(node, shape)]
    if not isinstance(node, dict):
        return node
    node = {key: _modern(entry, inner) for key, (entry, inner) in zip(node, below(node, shape), strict=True)}
    if shape != "schema":
        return node
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and bound in node:
            node[exclusive] = node.pop(bound)
    return {"anyOf": [node, {"type": "null"}]} if node.pop("nullable", False) is True else node


def _wrapped(schema: Any, envelope: str) -> Any:
    """Copy a list's schema, with entries that may have an envelope."""
    if "items" in schema:
        wrapped = {"type": "object", "required": [envelope], "properties": {envelope: schema["items"]}}
        return {**schema, "items": {"anyOf": [wrapped, schema["items"]]}}
    inner = {key: _wrapped(entry, envelope) for key, entry in schema.get("properties", {}).items()}
    return {**schema, "properties": inner} if inner else schema


def _parts(schema: Any) -> list[str]:
    """The named schemas that a schema is made of: those that it equals or inherits from."""
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        return [name for name in [component(schema["$ref"])] if name is not None]
    found = list(schema.get("allOf") or ())
    for union in ("oneOf", "anyOf"):
        left = [part for part in schema.get(union) or () if not (isinstance(part, dict) and part.get("type") == "null")]
        found += left if len(left) == 1 else []
    return [name for part in found for name in _parts(part)]


def circular(parts: dict[str, set[str]]) -> list[str]:
    """The names that can be reached from themselves."""
    left = {name: set(targets) for name, targets in parts.items()}
    while leaves := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in leaves:
            del left[name]
    return [name for name in left if _reaches(name, left)]


def _reaches(name: str, parts: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    stack = list(parts[name])
    while stack:
        current = stack.pop()
        if current == name:
            return True
        if current in parts and current not in seen:
            seen.add(current)
            stack.extend(parts[current])
    return False
