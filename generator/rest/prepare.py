"""The operations of a document with their schemas prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..source import Map
from . import naming
from .document import deref, methods_of, parameters_of
from .media import FORMS, Media, media_of
from .schemas import Schemas

PLACES = ("path", "query", "querystring", "header", "cookie")

PUBLISHED = frozenset(("x-of-variant", "x-of-filters"))
"""The marks of parameters that only other tools need."""


@dataclass
class Part:
    """A parameter, a body or an answer of an operation."""

    source: Map
    schema: dict[str, Any]
    """Prepared."""
    media: Media | None = None
    prop: Any = None
    """What openapi-python-client makes of the schema, if it makes something of it."""


@dataclass
class Slot:
    """An operation, or a variant of one."""

    path: str
    method: str
    source: Map
    base: Map
    """The operation itself, if this is a variant."""
    operation_id: str
    tag: str
    parameters: list[Part]
    """In the order of their places."""
    body: Part | None
    answer: Part | None
    """The first successful answer that has content."""


def prepare(document: Map, schemas: Schemas) -> list[Slot]:
    """Prepare all operations of a document."""
    preparer = _Preparer(document, schemas)
    slots: list[Slot] = []
    for path, item in (document.get("paths") or {}).items():
        item = deref(document, item)
        for method, base in methods_of(item):
            for operation in (base, *(base.get("x-variants") or ())):
                slots.append(preparer.slot(path, method, item, operation, base))
    return slots


class _Preparer:
    def __init__(self, document: Map, schemas: Schemas) -> None:
        self.document = document
        self.schemas = schemas

    def slot(self, path: str, method: str, item: Map, operation: Map, base: Map) -> Slot:
        operation_id = str(operation.get("operationId") or f"{method}_{path}")
        tag = str((operation.get("tags") or base.get("tags") or ["default"])[0])
        parent, module = naming.class_name(operation_id), naming.resource(tag)
        parameters = [
            self.parameter(source, parent, module)
            for source in parameters_of(self.document, item, operation)
            if PUBLISHED.isdisjoint(source) and source.get("in") in PLACES
        ]
        parameters.sort(key=lambda part: (PLACES.index(part.source["in"]), _position(path, part.source)))
        body = deref(self.document, operation.get("requestBody"))
        prepared = self.body(body, parent, module) if body else None
        answer = self.answer(operation, parent, module)
        return Slot(path, method, operation, base, operation_id, tag, parameters, prepared, answer)

    def parameter(self, source: Map, parent: str, module: str) -> Part:
        media = media_of(source) if "schema" not in source and source.get("content") else None
        schema = source.get("schema", media.entry.get("schema", {}) if media else {})
        name = parent + naming.class_name(str(source["name"]))
        return Part(source, self.schemas.part(schema, name, module, True), media)

    def body(self, body: Map, parent: str, module: str) -> Part:
        media = media_of(body, *FORMS)
        if media.kind == "application/json" or media.kind in FORMS:
            return Part(body, self.schemas.part(media.entry.get("schema", {}), f"{parent}Body", module, True), media)
        return Part(body, {"type": "string", "format": "binary"}, media)

    def answer(self, operation: Map, parent: str, module: str) -> Part | None:
        for status, response in sorted((operation.get("responses") or {}).items()):
            if not (status.startswith("2") or status == "default"):
                continue
            response = deref(self.document, response)
            if not response.get("content"):
                return None
            media = media_of(response)
            schema = media.entry.get("schema", {})
            if isinstance(schema, dict) and schema.get("x-merged") is False:
                # It is that of a variant.
                return None
            return Part(response, self.schemas.part(schema, f"{parent}Response", module, False), media)
        return None


def _position(path: str, parameter: Map) -> int:
    """Where a path has a parameter; all others stay in their order."""
    return path.find(f"{{{parameter['name']}}}") if parameter["in"] == "path" else 0
