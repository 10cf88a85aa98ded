"""Read a bundled document, with the types from openapi-python-client, into what the templates see."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..faults import SpecFaults
from ..source import Map
from . import naming
from .answers import accepted, result, statuses
from .bodies import body
from .document import component, deref
from .engine import Contradiction, Engine
from .filters import read_filters
from .grammar import METHODS
from .media import media_of
from .model import Api, Operation, Resource
from .parameters import parameters
from .prepare import Slot
from .reading import Reading
from .schemas import Schemas
from .security import schemes, security_of
from .servers import base_server, common_server, own_server
from .types import Types

IDEMPOTENT = frozenset(METHODS) - {"post", "patch"}
"""The methods that can be repeated without harm."""

ENVELOPES = ("request", "response", "item")


def read(document: Map, schemas: Schemas, slots: list[Slot], engine: Engine) -> Api:
    """Read the whole API."""
    info = document.get("info") or {}
    api = Api(
        title=str(info.get("title", "API")),
        description=str(info.get("description") or info.get("summary") or ""),
        version=str(info.get("version", "")),
        base_url="",
        platform=str(document.get("x-platform", "")),
        sdk_version=str(document.get("x-sdk-version", "")),
    )
    reading = Reading(document, schemas, engine, Types(schemas, engine), api)
    base_server(reading)
    reading.security = schemes(reading)
    api.schemes = [scheme for scheme in reading.security.values() if scheme is not None]
    reading.filters = {slot.operation_id: slot.source["x-filters"] for slot in slots if "x-filters" in slot.source}
    resources: dict[str, Resource] = {}
    for slot in slots:
        if "x-helper" in slot.source:
            reading.api.helpers[slot.operation_id] = str(slot.source["x-helper"])
            continue
        understand(reading, slot)
        resource = resource_of(reading, slot, resources)
        try:
            operation = operation_of(reading, slot, resource)
        except SpecFaults as odd:
            if api.platform:
                raise
            # In a third-party document these keywords may mean anything.
            api.warnings += odd.faults
            for key in ("x-page", "x-result", "x-outcomes", *(f"x-{part}-envelope" for part in ENVELOPES)):
                slot.source.pop(key, None)
            operation = operation_of(reading, slot, resource)
        resource.operations.append(operation)
    reading.api.resources = list(resources.values())
    common_server(reading)
    webhooks(reading)
    reading.types.finish(reading.api)
    for error in (*reading.engine.errors, *reading.types.problems):
        reading.warn(document, "components", f"a schema has no type: {error}", "Any value is accepted")
    for place, problem in schemas.merger.problems:
        reading.warn(place, None, problem, "Any value is accepted")
    return reading.api


def understand(reading: Reading, slot: Slot) -> None:
    """Let openapi-python-client find the types of an operation; what it can't tell is a free value."""
    for part in (*slot.parameters, *slot.bodies):
        try:
            part.prop = reading.engine.property(part.schema)
        except Contradiction as reason:
            name = f"parameter {str(part.source['name'])!r}" if "name" in part.source else "body"
            reading.warn(part.source, "schema", f"the {name} has no type and takes any value: {reason}")
            part.schema = {}
            part.prop = reading.engine.property({})
    for answer in slot.answers:
        # An answer without a type is handed over as it is.
        with suppress(Contradiction):
            answer.prop = reading.engine.property(answer.schema) if answer.media else None


def resource_of(reading: Reading, slot: Slot, resources: dict[str, Resource]) -> Resource:
    tag = slot.tag
    name = naming.resource(tag, reading.api.platform)
    if name not in resources:
        tags = {str(entry.get("name")): entry for entry in reading.document.get("tags") or ()}
        description = str((tags.get(tag) or {}).get("description") or "")
        class_name = naming.class_name(tag if tag.isidentifier() else name)
        taken = {prefix + entry.class_name for entry in resources.values() for prefix in ("", "Async")}
        taken |= set(reading.engine.models)
        if class_name in taken:
            class_name = naming.unique(f"{class_name}Resource", taken)
        resources[name] = Resource(name, class_name, description, slot.source.file)
    return resources[name]


def webhooks(reading: Reading) -> None:
    """Read the named schemas of the requests that the platform sends to an application."""
    for item in (reading.document.get("webhooks") or {}).values():
        for _, operation in deref(reading.document, item).items():
            body = deref(reading.document, operation.get("requestBody")) if isinstance(operation, dict) else None
            name = component(media_of(body).entry.get("schema", {}).get("$ref", "")) if body else None
            if name in reading.schemas.found:
                raw = {"$ref": f"#/components/schemas/{name}"}
                reading.types.type(reading.engine.property(raw), raw)
                reading.api.webhook_models.append(str(name))


def operation_of(reading: Reading, slot: Slot, resource: Resource) -> Operation:
    source, base, operation_id = slot.source, slot.base, slot.operation_id
    name = naming.unique(naming.method(operation_id, resource.name), {entry.name for entry in resource.operations})
    security = next((holder for holder in (source, base) if "security" in holder), reading.document)
    operation = Operation(
        name=name,
        resource=resource.name,
        operation_id=operation_id,
        method=slot.method.upper(),
        path=(),
        summary=str(source.get("summary") or ""),
        description=str(source.get("description") or ""),
        deprecated=bool(source.get("deprecated")),
        facts=tuple(str(fact) for fact in source.get("x-facts") or ()),
        arguments=[],
        result=result(reading, slot),
        security=security_of(reading, security),
        fixed_query=tuple((key, _query_text(value)) for key, value in (source.get("x-fixed-query") or {}).items()),
        idempotent=bool(source.get("x-idempotent", slot.method in IDEMPOTENT)),
        renewable=bool(source.get("x-renewable", True)),
        source=source.file,
        server=own_server(reading, source, base, deref(reading.document, reading.document["paths"][slot.path])),
    )
    accept = accepted(reading, slot)
    if accept:
        operation.headers += (("Accept", accept),)
    filters = source.get("x-filters") or reading.filters.get(str(source.get("x-filters-of")))
    if filters:
        operation.filters = read_filters(reading, filters)
    parameters(reading, slot, operation)
    body(reading, slot, operation)
    operation.rules = tuple(
        (rule, tuple(naming.argument(str(entry)) for entry in group))
        for rule in ("exactly-one", "at-least-one", "at-most-one")
        for group in source.get(f"x-{rule}") or ()
    )
    operation.statuses = statuses(reading, source)
    return operation


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
