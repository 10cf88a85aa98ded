"""The body of an operation as arguments of its method."""

from __future__ import annotations

from typing import Any

from openapi_python_client.parser import properties as opc

from ..faults import SpecFaults
from ..source import fault
from . import naming
from .media import FORMS
from .model import Argument, Operation, Type
from .prepare import Slot
from .reading import Reading


def body(reading: Reading, slot: Slot, operation: Operation) -> None:
    body = slot.body
    if body is None or body.media is None:
        return
    raw = body.schema
    operation.body = {"application/json": "json", **FORMS}.get(body.media.kind, "binary")
    operation.body_required = bool(body.source.get("required"))
    if operation.body in ("json", "binary") and body.media.name != "application/json":
        operation.headers += (("Content-Type", body.media.name),)
    operation.envelope = str(slot.source.get("x-request-envelope") or "")
    operation.body_examples = tuple(reading.examples(body.media.entry))
    prop: Any = reading.engine.whole(body.prop)
    if operation.envelope:
        inner = reading.schemas.properties(raw).get(operation.envelope)
        if inner is None or not isinstance(prop, opc.ModelProperty):
            problem = f"the body has no object {operation.envelope!r}"
            raise SpecFaults([fault(slot.source, "x-request-envelope", problem, "Name a property of the body")])
        prop = reading.engine.whole(dict(reading.engine.properties(prop))[operation.envelope])
        raw = inner
    schema = reading.schemas.schema(raw)
    properties = reading.schemas.properties(raw)
    if not isinstance(prop, opc.ModelProperty) or not (properties or operation.envelope):
        operation.body_whole = True
        operation.arguments.append(
            Argument(
                name=naming.unique("body", {entry.name for entry in operation.arguments}),
                wire="",
                place="body",
                type=Type("binary") if operation.body == "binary" else reading.types.type(prop, raw),
                required=operation.body_required,
                nullable=False,
                description=str(schema.get("description") or "The request's body."),
            )
        )
        return
    body_fields(reading, operation, prop, raw, properties)


def body_fields(
    reading: Reading,
    operation: Operation,
    prop: opc.ModelProperty,
    raw: Any,
    properties: dict[str, dict[str, Any]],
) -> None:
    required = reading.schemas.required(raw) if operation.body_required else set()
    used = {entry.name for entry in operation.arguments} | ({"filters"} if operation.filters else set())
    filled = []
    for wire, inner in reading.engine.properties(prop):
        node = properties[wire]
        schema = reading.schemas.schema(node)
        if "x-from-client" in schema:
            filled.append((wire, str(schema["x-from-client"])))
            continue
        if schema.get("readOnly"):
            continue
        name = naming.argument(str(schema.get("x-python-name", wire)), naming.TAKEN_BODY_ARGUMENTS)
        if name in used:
            name = naming.unique(f"body_{name}", used)
        used.add(name)
        inner_type = reading.types.type(inner, node)
        operation.arguments.append(
            Argument(
                name=name,
                wire=wire,
                place="body",
                type=inner_type,
                required=wire in required,
                nullable=bool(schema.get("x-nullable")),
                description=str(schema.get("description") or ""),
                default=schema.get("default") if schema.get("x-default-sent") else None,
                secret=bool(schema.get("x-secret")) or reading.types.has_secrets(inner_type),
                positional=bool(schema.get("x-positional")),
            )
        )
    operation.filled = tuple(filled)
    schema = reading.schemas.schema(raw)
    additional = schema.get("additionalProperties")
    if additional:
        name = naming.unique(naming.argument(str(schema.get("x-additional-name", "extra"))), used)
        operation.additional = Argument(
            name=name,
            wire="",
            place="body",
            type=Type("map", item=Type("any")),
            required=False,
            nullable=False,
            description="Further fields of the body.",
        )
