"""Check a spec before anything is generated from it.

Each fault of the project's own spec is an error. In a third-party document only what makes generation impossible is
one; everything else costs the smallest part that is wrong, and what comes back can be generated from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..faults import Fault, SpecFaults, nearest
from ..source import Map, Seq, copied, fault, placed
from .circles import circles, open_circles
from .document import PATH_PARAMETER, deref, divided, operations_of, parameters_of, resolve
from .examples import examples
from .grammar import METHODS, PAGE_KEYS, STANDARD_FORMATS, WIRE, below, sections
from .naming import TOKEN, unique
from .structure import Structure, article


def check(document: Map, strict: bool) -> list[Fault]:
    """Check a bundled document, and repair one of other people.

    :param strict: it is the project's own: the document stays as it is, and all faults are errors.
    :returns: its faults; those of a third-party document prevent nothing any more.
    :raises SpecFaults: the faults of a third-party document from which nothing can be generated.
    """
    checker = _Checker(document, strict)
    checker.version()
    checker.structure.check()
    checker.walk(document, "document", None)
    if not (strict and checker.faults):
        checker.faults += circles(document) if strict else open_circles(document)
        checker.security()
        checker.operations()
    if not (strict and checker.faults):
        checker.faults += examples(document, strict)
    return checker.faults


class _Checker:
    def __init__(self, document: Map, strict: bool) -> None:
        self.document = document
        self.strict = strict
        self.structure = Structure(document, strict)
        self.faults = self.structure.faults

    def add(self, parent: Map | Seq, key: object, problem: str, remedy: str) -> None:
        self.faults.append(fault(parent, key, problem, remedy))

    def version(self) -> None:
        version = str(self.document.get("openapi", "3.1"))
        if self.strict:
            if not version.startswith(("3.0", "3.1")):
                remedy = "Convert the document to OpenAPI 3.0 or 3.1"
                self.add(self.document, "openapi", f"OpenAPI {version} is not supported", remedy)
            return
        if "openapi" not in self.document:
            if "swagger" in self.document:
                problem, remedy = f"Swagger {self.document['swagger']} is not supported", "Convert the document to"
                raise SpecFaults([fault(self.document, "swagger", problem, f"{remedy} OpenAPI 3.0 or 3.1")])
            raise SpecFaults([fault(self.document, None, "the document without 'openapi'", "Add 'openapi'")])
        if not re.match(r"3(\.|\Z)", version):
            remedy = "Convert the document to OpenAPI 3.0 or 3.1"
            raise SpecFaults([fault(self.document, "openapi", f"OpenAPI {version} is not supported", remedy)])
        if not re.match(r"3\.[012](\D|\Z)", version):
            remedy = "It is read as OpenAPI 3.2"
            self.add(self.document, "openapi", f"OpenAPI {version} is not known", remedy)

    # -- references

    def walk(self, node: Any, shape: Any, at: Any) -> bool:
        """Check the references, formats and ids of all objects below a node.

        :param at: the key that it stands at.
        :returns: whether it can stay.
        """
        stays = True
        if isinstance(shape, str) and isinstance(node, Map):
            if isinstance(node.get("$ref"), str):
                stays = self.reference(node, shape)
            elif self.strict and shape == "schema" and "format" in node:
                self.format(node, node["format"])
            if shape == "schema" and "x-id-of" in node:
                self.owner(node)
        if shape is None:
            return stays
        gone = []
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key, (entry, inner) in zip(keys, list(below(node, shape)), strict=False):
            if not self.walk(entry, inner, at if isinstance(node, list) else key):
                # A schema that is not there is a free value; as a part of an `allOf` it says nothing.
                if inner != "schema" or (isinstance(node, list) and at == "allOf"):
                    gone.append(key)
            elif key == "allOf" and entry == []:
                gone.append(key)
        for key in reversed(gone):
            if isinstance(node, Seq):
                del node.lines[key]
            del node[key]
        return stays

    def reference(self, node: Map, kind: str) -> bool:
        """Check a reference; one of a third-party document that can't be followed is removed.

        :returns: whether the object that it stands in is still of use.
        """
        ref = node["$ref"]
        target = deref(self.document, node)
        direct = resolve(self.document, ref) if ref.startswith("#/") else None
        if not ref.startswith("#"):
            problem, remedy = "leaves the spec", "Refer to '#/components/...' or to a file of the spec's folder"
        elif not isinstance(direct, Map) and not (kind == "schema" and isinstance(direct, bool)):
            section = sections().get(kind, "schemas")
            known = resolve(self.document, f"#/components/{section}")
            names = known if isinstance(known, Map) else ()
            remedy = nearest(ref.rpartition("/")[2], names, f"Add it under components/{section}")
            problem = "points to nothing"
        elif isinstance(target, Map) and not hasattr(target, "lines"):
            problem, remedy = "leads back to itself", "Refer to an object that does not refer to this one"
        elif target is None:
            problem, remedy = "points to nothing", "Refer to an object"
        elif self.strict or not isinstance(target, Map):
            return True
        else:
            known_kind = self.structure.kind_of(target)
            if known_kind is None:
                if self.structure.hold(target, kind) and self.walk(target, kind, None):
                    return True
            elif known_kind == self.structure.name(kind):
                return True
            problem, remedy = f"does not point to {article(kind)} object", "Refer to one"
        self.add(node, "$ref", f"the reference {ref!r} {problem}", remedy)
        if self.strict:
            return True
        del node["$ref"]
        return not node.keys().isdisjoint(METHODS)

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
        owner = schemas[name] if isinstance(schemas[name], Map) else Map()
        known = [key.lstrip("_") for key in owner.get("properties") or ()]
        if (field or "id") not in known:
            problem = f"'x-id-of' names no property of {name!r}: {field or 'id'!r}"
            self.add(schema, "x-id-of", problem, nearest(field, known, f"Write '{name}.' and the property"))

    # -- operations

    def security(self) -> None:
        """Check that all security schemes exist."""
        schemes = resolve(self.document, "#/components/securitySchemes") or {}
        for holder in (self.document, *self.all_operations()):
            for requirement in list(holder.get("security") or ()):
                unknown = [name for name in requirement if name not in schemes]
                for name in unknown:
                    remedy = nearest(name, schemes, "Add it under components/securitySchemes")
                    self.add(requirement, name, f"unknown security scheme {name!r}", remedy)
                if unknown and not self.strict:
                    left = [entry for entry in holder["security"] if entry is not requirement]
                    holder["security"] = placed(Seq(left), holder, "security")

    def all_operations(self) -> Iterator[Map]:
        for item in (self.document.get("paths") or {}).values():
            yield from operations_of(deref(self.document, item))

    def operations(self) -> None:
        seen: dict[str, str] = {}
        if not self.strict:
            self.tidy_paths()
        for path, item in (self.document.get("paths") or {}).items():
            paths = self.document["paths"]
            before, query = divided(path)
            names, asked = PATH_PARAMETER.findall(before), PATH_PARAMETER.findall("&".join(query))
            if self.strict:
                if not path.startswith("/"):
                    self.add(paths, path, f"the path {path!r} does not start with '/'", "Put a '/' before it")
                if len(set(names)) < len(names):
                    self.add(paths, path, f"the path {path!r} names a parameter twice", "Give each its own name")
            item = deref(self.document, item)
            for operation in operations_of(item):
                self.operation_id(operation, seen)
                if self.strict:
                    self.parameters(path, [*names, *asked], item, operation)
                else:
                    self.tidy_parameters(path, names, asked, item, operation)
                self.page(operation)

    def operation_id(self, operation: Map, seen: dict[str, str]) -> None:
        name = operation.get("operationId")
        if not name:
            if self.strict:
                self.add(operation, None, "an operation without an id", "Add 'operationId: <resource>_<method>'")
            return
        where = f"{operation.file}:{operation.line_of('operationId')}"
        if name in seen:
            problem = f"the operation id {name!r} is already defined at {seen[name]}"
            self.add(operation, "operationId", problem, "Give each operation its own id")
            if not self.strict:
                name = unique(name, seen)
                operation["operationId"] = name
        seen[name] = where

    def parameters(self, path: str, names: list[str], item: Map, operation: Map) -> None:
        declared = set()
        for parameter in parameters_of(self.document, item, operation):
            place = (parameter.get("in"), parameter.get("name"))
            if place in declared:
                self.add(parameter, "name", f"the parameter {place[1]!r} is declared twice", "Remove one of them")
            declared.add(place)
            if place[0] == "path" and place[1] not in names:
                self.not_in_path(parameter, path, names)
        for name in names:
            if ("path", name) not in declared:
                self.not_declared(operation, name, path)

    def not_in_path(self, parameter: Map, path: str, names: list[str]) -> None:
        name = str(parameter.get("name"))
        problem = f"the path parameter {name!r} is not in the path {path!r}"
        self.add(parameter, "name", problem, nearest(name, names, "Put it in the path"))

    def not_declared(self, operation: Map, name: str, path: str) -> None:
        problem = f"the path parameter {name!r} of {path!r} is not declared"
        self.add(operation, "parameters", problem, f"Add a parameter with 'name: {name}' and 'in: path'")

    def page(self, operation: Map) -> None:
        page = operation.get("x-page")
        if page is not None and set(page) != PAGE_KEYS[page["style"]]:
            keys = PAGE_KEYS[page["style"]]
            odd = ", ".join(sorted(set(page) ^ keys))
            remedy = f"Give {', '.join(sorted(keys))}"
            self.add(operation, "x-page", f"missing or unknown in the page: {odd}", remedy)
            if not self.strict:
                del operation["x-page"]

    # -- third-party documents

    def tidy_paths(self) -> None:
        """Let each path hold an item of its own, start with a slash, and have methods that can be sent."""
        paths = self.document.get("paths") or Map()
        found: dict[str, Any] = {}
        for path, item in list(paths.items()):
            name = path
            if not path.startswith("/"):
                self.add(paths, path, f"the path {path!r} does not start with '/'", "Put a '/' before it")
                name = f"/{path}"
                if name in paths:
                    continue
            found[name] = self.own_item(item) if "$ref" in item else item
            paths.lines[name] = paths.line_of(path)
            others = found[name].get("additionalOperations") or Map()
            for method in [method for method in others if not TOKEN.fullmatch(method)]:
                self.add(others, method, f"{method!r} is not the name of a method", "Use letters")
                del others[method]
        paths.clear()
        paths.update(found)

    def own_item(self, item: Map) -> Map:
        """Copy what the reference of a path leads to; what stands beside the reference wins."""
        made = copied(deref(self.document, item))
        for key in [key for key in item if key != "$ref"]:
            made[key] = item[key]
            made.lines[key] = item.line_of(key)
        if "additionalOperations" in made:
            made["additionalOperations"] = copied(made["additionalOperations"])
        for holder in (made, made.get("additionalOperations") or Map()):
            for method in [method for method in holder if holder is not made or method in METHODS]:
                holder[method] = copied(holder[method])
        return made

    def tidy_parameters(self, path: str, names: list[str], asked: list[str], item: Map, operation: Map) -> None:
        """Leave out the parameters that can't be sent, and add those that the path names.

        :param asked: the names in the path's query, which may be those of parameters in queries.
        """
        declared: set[Any] = set()
        for holder in (operation, item):
            kept: dict[Any, tuple[Any, int]] = {}
            given: Seq = holder.get("parameters") or Seq()
            for index, entry in enumerate(given):
                parameter = deref(self.document, entry)
                place = (parameter["in"], parameter["name"])
                if place in kept:
                    self.add(parameter, "name", f"the parameter {place[1]!r} is declared twice", "Remove one of them")
                elif place[0] == "path" and place[1] not in (*names, *asked):
                    self.not_in_path(parameter, path, names)
                else:
                    kept[place] = (entry, given.line_of(index))
            if len(kept) < len(given):
                holder["parameters"] = Seq(entry for entry, _ in kept.values())
                placed(holder["parameters"], holder, "parameters").lines = [line for _, line in kept.values()]
            declared |= kept.keys()
        for name in dict.fromkeys((*names, *asked)):
            if ("path", name) not in declared and (name in names or ("query", name) not in declared):
                self.not_declared(operation, name, path)
                made = {"name": name, "in": "path", "required": True}
                parameter = placed(Map(made), operation, "parameters")
                parameter["schema"] = placed(Map({"type": "string"}), operation, "parameters")
                listed = placed(Seq([*(operation.get("parameters") or ()), parameter]), operation, "parameters")
                operation["parameters"] = listed
