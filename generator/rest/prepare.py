"""The operations of a document with their schemas prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..source import Map, plain
from . import naming
from .document import deref, methods_of, parameters_of
from .media import Media, body_media, media_of
from .schemas import Schemas
from .successes import successes

PLACES = ("path", "query", "querystring", "header", "cookie")

PUBLISHED = frozenset(("x-of-variant", "x-of-filters"))
"""The marks of parameters that only other tools need."""


@dataclass
class Part:
    """A parameter, a body in one of its forms, or an answer of an operation."""

    source: Map
    schema: dict[str, Any]
    """Prepared."""
    media: Media | None = None
    kind: str = ""
    """The kind of a body's `Form`."""
    prop: Any = None
    """What openapi-python-client makes of the schema, if it makes something of it."""
    status: str = ""
    """Of an answer."""
    raw: Any = None
    """The schema of an answer as the document has it."""


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
    bodies: list[Part]
    """In the order of preference."""
    answers: list[Part]
    """The successful ones, the first status first and JSON before other media types."""

    @property
    def label(self) -> str:
        """The method and the path, as warnings name the operation."""
        return f"{self.method.upper()} {self.path}"

    @property
    def answer(self) -> Part | None:
        """The first successful answer, if it has content."""
        return self.answers[0] if self.answers and self.answers[0].media else None


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
        bodies = self.bodies(body, parent, module) if body else []
        answers = self.answers(operation, parent, module)
        return Slot(path, method, operation, base, operation_id, tag, parameters, bodies, answers)

    def parameter(self, source: Map, parent: str, module: str) -> Part:
        media = media_of(source) if "schema" not in source and source.get("content") else None
        schema = source.get("schema", media.entry.get("schema", {}) if media else {})
        name = parent + naming.class_name(str(source["name"]))
        return Part(source, self.schemas.part(schema, name, module, True), media)

    def bodies(self, body: Map, parent: str, module: str) -> list[Part]:
        """Prepare all forms of a body; those of the same schema share what becomes of it."""
        found: list[Part] = []
        for kind, media in body_media(self.document, body):
            raw = media.entry.get("schema", media.entry.get("itemSchema", {}))
            known = next((part for part in found if part.media and part.media.entry.get("schema") == raw), None)
            if kind in ("text", "binary"):
                schema: dict[str, Any] = {}
            elif known is not None and known.kind not in ("text", "binary"):
                schema = known.schema
            else:
                name = f"{parent}Body" if not found else f"{parent}{kind.title()}Body"
                schema = self.schemas.part(raw, name, module, True)
            found.append(Part(body, schema, media, kind))
        return found

    def answers(self, operation: Map, parent: str, module: str) -> list[Part]:
        found: list[Part] = []
        for status, response, media, schema in successes(self.document, operation):
            if media is None or (isinstance(schema, dict) and schema.get("x-merged") is False):
                # One that is not merged is that of a variant.
                found.append(Part(response, {}, status=status))
                continue
            bodies = [part for part in found if part.media]
            prepared = next((part.schema for part in bodies if plain(part.raw) == plain(schema)), None)
            if prepared is None:
                # Each status has a name of its own, and each media type that is not the first.
                name = f"{parent}Response" + (status if bodies else "")
                if any(part.status == status for part in bodies):
                    name += naming.class_name(media.kind)
                prepared = self.schemas.part({} if schema is None else schema, name, module, False)
            found.append(Part(response, prepared, media, status=status, raw=schema))
        return found


def _position(path: str, parameter: Map) -> int:
    """Where a path has a parameter; all others stay in their order."""
    return path.find(f"{{{parameter['name']}}}") if parameter["in"] == "path" else 0
