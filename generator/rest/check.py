"""Everything that is looked at in a spec before a line is generated from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from ..faults import Fault, nearest
from ..source import Map, Seq, fault, plain
from .grammar import COMPONENTS, EXTENSIONS, HELPERS, KINDS, LISTS, METHODS, OPERATORS, PAGE_KEYS, REQUIRED, TYPES

PATH_PARAMETER = re.compile(r"{([^{}]*)}")


def check(document: Map) -> list[Fault]:
    """All faults of a bundled document."""
    checker = _Checker(document)
    checker.walk(document, "document")
    checker.version()
    if not checker.faults:
        checker.circles()
        checker.operations()
    if not checker.faults:
        checker.examples()
    return checker.faults


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
            self.add(self.document, "openapi", f"OpenAPI {version} can't be read", "Give a document of 3.0 or 3.1")

    def walk(self, node: Any, kind: str) -> None:
        """Check keys and references of one object and all below it."""
        shapes = KINDS[kind]
        for key, value in node.items():
            if "*" in shapes and not key.startswith(("x-", "$")):
                self.enter(node, key, value, shapes["*"])
            elif key in shapes:
                self.enter(node, key, value, shapes[key])
            elif not key.startswith("x-"):
                remedy = nearest(key, shapes, "Take it out or start it with 'x-'")
                self.add(node, key, f"unknown key {key!r} in {_article(kind)}", remedy)
            elif self.strict and key not in EXTENSIONS.get(kind, ()):
                known = EXTENSIONS.get(kind, frozenset())
                remedy = nearest(key, sorted(known), "docs/spec-language.md lists the keywords")
                self.add(node, key, f"unknown keyword {key!r} in {_article(kind)}", remedy)
        if "$ref" in node:
            self.reference(node, kind)
            return
        if kind == "schema":
            self.types(node)
        for key in REQUIRED.get(kind, ()):
            if key not in node:
                self.add(node, None, f"{_article(kind)} without {key!r}", f"Add {key!r}")

    def types(self, schema: Map) -> None:
        names = schema.get("type", Seq())
        for name in names if isinstance(names, Seq) else [names]:
            if name not in TYPES:
                remedy = nearest(str(name), TYPES, f"Write {', '.join(TYPES)}")
                self.add(schema, "type", f"unknown type {name!r}", remedy)

    def enter(self, parent: Map | Seq, key: Any, value: Any, shape: Any, label: str = "") -> None:
        """Check what stands under a key.

        :param label: what to call it in a fault.
        """
        label = label or repr(key)
        if shape is None:
            return
        if isinstance(shape, str):
            if isinstance(value, Map):
                self.walk(value, shape)
            elif not (shape == "schema" and isinstance(value, bool)):
                self.add(parent, key, f"{label} is no mapping", f"Write {_article(shape)} there")
        elif isinstance(shape, list):
            if not isinstance(value, Seq):
                self.add(parent, key, f"{label} is no list", f"Write a list of {_plural(shape[0])}")
                return
            for index, entry in enumerate(value):
                self.enter(value, index, entry, shape[0], f"an entry of {label}")
        elif not isinstance(shape, dict):
            kinds = shape if isinstance(shape, tuple) else (shape,)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                self.add(parent, key, f"{label} is no {_NAMES[kinds[0]]}", f"Write a {_NAMES[kinds[0]]} there")
        elif not isinstance(value, Map):
            self.add(parent, key, f"{label} is no mapping", f"Write names with {_plural(shape['*'])}")
        else:
            for name, entry in value.items():
                if name.startswith("x-") and shape["*"] in ("path", "response"):
                    continue
                self.enter(value, name, entry, shape["*"])

    def reference(self, node: Map, kind: str) -> None:
        ref = node["$ref"]
        if not isinstance(ref, str) or not ref.startswith("#/"):
            problem = f"the reference {ref!r} leaves the spec"
            self.add(node, "$ref", problem, "Refer to '#/components/...' or to a file of the spec's folder")
            return
        if not isinstance(resolve(self.document, ref), (Map, bool)):
            section = COMPONENTS.get(kind, "schemas")
            known = resolve(self.document, f"#/components/{section}")
            known = known if isinstance(known, Map) else ()
            remedy = nearest(ref.rpartition("/")[2], known, f"Add it under components/{section}")
            self.add(node, "$ref", f"the reference {ref!r} points to nothing", remedy)
        elif not deref(self.document, node):
            problem = f"the reference {ref!r} leads back to itself"
            self.add(node, "$ref", problem, "Refer to an object that is no reference to this one")

    def circles(self) -> None:
        """Find schemas that consist of themselves."""
        schemas: Map = (self.document.get("components") or {}).get("schemas") or Map()
        parts = {name: {ref for ref in _parts(schema) if ref in schemas} for name, schema in schemas.items()}
        for name in circular(parts):
            self.add(schemas, name, f"the schema {name!r} consists of itself", "Take it out of what it consists of")

    # -- operations

    def operations(self) -> None:
        seen: dict[str, str] = {}
        for path, item in (self.document.get("paths") or {}).items():
            paths = self.document["paths"]
            if not path.startswith("/"):
                self.add(paths, path, f"the path {path!r} does not start with '/'", "Put a '/' before it")
            names = PATH_PARAMETER.findall(path)
            if len(set(names)) < len(names):
                self.add(paths, path, f"the path {path!r} names a parameter twice", "Give each its own name")
            item = deref(self.document, item)
            for operation in operations_of(item):
                self.operation(path, names, item, operation, seen)

    def operation(self, path: str, names: list[str], item: Map, operation: Map, seen: dict[str, str]) -> None:
        name = operation.get("operationId")
        if name is not None:
            where = f"{operation.file}:{operation.line_of('operationId')}"
            if name in seen:
                problem = f"the operation id {name!r} stands at {seen[name]} already"
                self.add(operation, "operationId", problem, "Give each operation an id of its own")
            seen[name] = where
        elif self.strict:
            self.add(operation, None, "an operation without an id", "Add 'operationId: <resource>_<method>'")
        declared = {}
        for parameter in parameters_of(self.document, item, operation):
            place = (parameter.get("in"), parameter.get("name"))
            if place in declared:
                problem = f"the parameter {place[1]!r} is declared twice"
                self.add(parameter, "name", problem, "Take one of them out")
            declared[place] = parameter
            if parameter.get("in") not in ("path", "query", "header", "cookie"):
                problem = f"a parameter can't be in {parameter.get('in')!r}"
                self.add(parameter, "in", problem, "Write path, query, header or cookie")
            if parameter.get("in") == "path" and parameter.get("name") not in names:
                problem = f"the path parameter {parameter.get('name')!r} is not in the path {path!r}"
                self.add(parameter, "name", problem, nearest(str(parameter.get("name")), names, "Put it in the path"))
        for name in names:
            if ("path", name) not in declared:
                problem = f"the path parameter {name!r} of {path!r} is not declared"
                remedy = f"Add a parameter with 'name: {name}' and 'in: path'"
                self.add(operation, "parameters", problem, remedy)
        self.keywords(operation)

    def keywords(self, operation: Map) -> None:
        page = operation.get("x-page")
        if page is not None:
            keys = PAGE_KEYS.get(page["style"])
            if keys is None:
                self.add(operation, "x-page", "unknown style of page", "Write style: offset, number or keyset")
            elif set(page) != keys:
                odd = ", ".join(sorted(set(page) ^ keys))
                self.add(
                    operation, "x-page", f"missing or unknown in the page: {odd}", f"Give {', '.join(sorted(keys))}"
                )
        helper = operation.get("x-helper")
        if self.strict and helper is not None and helper not in HELPERS:
            remedy = nearest(helper, HELPERS, f"Write {', '.join(HELPERS)}")
            self.add(operation, "x-helper", f"unknown helper {helper!r}", remedy)
        filters = operation.get("x-filters")
        if filters is None:
            return
        if filters["lists"] not in LISTS:
            self.add(filters, "lists", f"unknown way to write lists {filters['lists']!r}", f"Write {', '.join(LISTS)}")
        for field, rule in filters["fields"].items():
            for operator in rule.get("operators", ()):
                if operator not in OPERATORS:
                    problem = f"unknown operator {operator!r} of the filter {field!r}"
                    self.add(rule, "operators", problem, nearest(str(operator), OPERATORS, "Take it out"))

    # -- examples

    def examples(self) -> None:
        old = str(self.document.get("openapi", "")).startswith("3.0")
        root = _modern(plain(self.document), "document") if old else plain(self.document)
        resource = DRAFT202012.create_resource(root)
        self.registry: Registry[Any] = Registry().with_resource("urn:spec", resource)
        self.modern = old
        for item in (self.document.get("paths") or {}).values():
            item = deref(self.document, item)
            for operation in operations_of(item):
                for parameter in parameters_of(self.document, item, operation):
                    self.examples_of(parameter)
                body = deref(self.document, operation.get("requestBody"))
                for media in ((body or {}).get("content") or {}).values():
                    self.examples_of(media)
                for response in (operation.get("responses") or {}).values():
                    response = deref(self.document, response)
                    for media in ((response or {}).get("content") or {}).values():
                        self.examples_of(media)

    def examples_of(self, node: Map) -> None:
        schema = node.get("schema")
        if schema is None:
            return
        if "example" in node:
            self.example(node, "example", schema)
        for name, example in (node.get("examples") or {}).items():
            example = deref(self.document, example)
            if "value" in example:
                self.example(example, "value", schema, name)

    def example(self, node: Map, key: str, schema: Any, name: str = "") -> None:
        schema = _modern(plain(schema), "schema") if self.modern else plain(schema)
        value = plain(node[key])
        validator = jsonschema.Draft202012Validator(_absolute(schema), registry=self.registry, format_checker=None)
        try:
            errors = list(validator.iter_errors(value))
        except (Unresolvable, jsonschema.SchemaError, RecursionError, re.error, ArithmeticError) as broken:
            self.add(node, key, f"the schema of an example can't be used ({_short(str(broken))})", "Mend the schema")
            return
        for found in errors:
            error = jsonschema.exceptions.best_match([found]) or found
            place = "".join(f"[{part!r}]" for part in error.absolute_path)
            label = f"example {name!r}" if name else "the example"
            holder, at = _deepest(node, key, error.absolute_path)
            problem = f"{label} breaks its schema{' at ' + place if place else ''}: {_short(error.message)}"
            self.add(holder, at, problem, "Mend the example or its schema")


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
    """The name of the schema of the document's components that a reference points to, if it points to one."""
    section, _, name = ref.rpartition("/")
    return _unescaped(name) if section == "#/components/schemas" else None


def _unescaped(part: str) -> str:
    """A part of a reference as the key that it stands for."""
    return unquote(part).replace("~1", "/").replace("~0", "~")


def deref(document: Map, node: Any) -> Any:
    """Follow an object's `$ref` to the object itself."""
    for _ in range(50):
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
            return node
        node = resolve(document, node["$ref"])
    return Map()


_NAMES = {str: "text", bool: "truth value", int: "whole number", list: "list", dict: "mapping"}


def _plural(shape: Any) -> str:
    return f"{shape} objects" if isinstance(shape, str) else f"{_NAMES[shape]}s"


def _article(kind: str) -> str:
    if kind.endswith("s"):
        return kind
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _deepest(node: Map, key: Any, path: Any) -> tuple[Map | Seq, Any]:
    """The innermost place with a line on the way to a value."""
    holder: Map | Seq = node
    for part in path:
        below = holder[key] if not isinstance(holder, list) or isinstance(key, int) else None
        if not isinstance(below, (Map, Seq)):
            break
        holder, key = below, part
    return holder, key


def _absolute(schema: Any) -> Any:
    """References of a schema as the registry knows them."""

    def change(node: dict[str, Any]) -> dict[str, Any]:
        ref = node.get("$ref")
        return {**node, "$ref": f"urn:spec{ref}"} if isinstance(ref, str) else node

    return rewritten(schema, "schema", change)


def _modern(node: Any, kind: str) -> Any:
    """OpenAPI 3.0's own schema keywords below a node in JSON Schema's form."""

    def change(node: dict[str, Any]) -> dict[str, Any]:
        node = dict(node)
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and bound in node:
                node[exclusive] = node.pop(bound)
        return {"anyOf": [node, {"type": "null"}]} if node.pop("nullable", False) is True else node

    return rewritten(node, kind, change)


def rewritten(node: Any, shape: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy in which all schemas are changed, from the inside out."""
    if isinstance(shape, list) and isinstance(node, list):
        return [rewritten(entry, shape[0], change) for entry in node]
    if isinstance(shape, dict) and isinstance(node, dict):
        return {key: rewritten(value, shape["*"], change) for key, value in node.items()}
    if not (isinstance(shape, str) and isinstance(node, dict)):
        return node
    shapes = KINDS[shape]
    node = {key: rewritten(value, shapes.get(key, shapes.get("*")), change) for key, value in node.items()}
    return change(node) if shape == "schema" else node


def _parts(schema: Any) -> list[str]:
    """The named schemas that a schema consists of: what it stands for, or takes all properties of."""
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
    """The names that are reached from themselves."""
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
