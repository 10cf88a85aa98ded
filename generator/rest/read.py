"""Read a bundled document, with the types from openapi-python-client, into what the templates see."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from openapi_python_client.parser import properties as opc

from ..faults import SpecFaults
from ..source import Map, fault, plain
from . import naming
from .check import PATH_PARAMETER, component, deref
from .engine import Contradiction, Engine
from .model import (
    OWN_USER,
    Api,
    Argument,
    FilterField,
    Filters,
    Operation,
    Page,
    Resource,
    Result,
    Scheme,
    Type,
)
from .prepare import FORMS, Prepared, Slot, media_of
from .types import Types, id_of


def read(document: Map, prepared: Prepared, engine: Engine) -> Api:
    """Read the whole API."""
    return _Reader(document, prepared, engine).run()


class _Reader:
    def __init__(self, document: Map, prepared: Prepared, engine: Engine) -> None:
        self.document = document
        self.prepared = prepared
        self.engine = engine
        self.types = Types(prepared, engine)
        servers = document.get("servers") or [{}]
        info = document.get("info") or {}
        self.api = Api(
            title=str(info.get("title", "API")),
            description=str(info.get("description") or info.get("summary") or ""),
            version=str(info.get("version", "")),
            base_url=_server(servers[0]) if servers else "",
            platform=str(document.get("x-platform", "")),
            sdk_version=str(document.get("x-sdk-version", "")),
        )
        self.api.schemes = self.schemes()

    def run(self) -> Api:
        self.filter_names: list[tuple[Map, str]] = []
        self.filters = {
            slot.operation_id: slot.source["x-filters"] for slot in self.prepared.slots if "x-filters" in slot.source
        }
        resources: dict[str, Resource] = {}
        for slot in self.prepared.slots:
            if "x-helper" in slot.source:
                self.api.helpers[slot.operation_id] = str(slot.source["x-helper"])
                continue
            try:
                self.understand(slot)
            except Contradiction as reason:
                self.api.warnings.append(f"left out {slot.method.upper()} {slot.path}: {reason}")
                continue
            resource = self.resource(slot, resources)
            resource.operations.append(self.operation(slot, resource))
        self.api.resources = list(resources.values())
        self.webhooks()
        self.types.finish(self.api)
        self.api.warnings.extend(f"left out a schema: {error}" for error in self.engine.errors)
        return self.api

    def understand(self, slot: Slot) -> None:
        """Let openapi-python-client find the types of an operation.

        :raises Contradiction: if it can't tell that of a parameter or of the body.
        """
        for part in slot.parameters:
            part.prop = self.engine.property(part.schema, part.source["in"])
        if slot.body:
            slot.body.prop = self.engine.property(slot.body.schema)
        if slot.answer:
            # An answer without a type is handed over as it is.
            with suppress(Contradiction):
                slot.answer.prop = self.engine.property(slot.answer.schema)

    # -- the frame

    def schemes(self) -> list[Scheme]:
        schemes = []
        components = self.document.get("components") or {}
        # The arguments of every client.
        used = set("base_url path_suffix timeout max_retries deadline http_client httpx".split())
        for name, scheme in (components.get("securitySchemes") or {}).items():
            scheme = deref(self.document, scheme)
            kind = (scheme.get("type"), scheme.get("in"), str(scheme.get("scheme", "")).lower())
            if kind[:2] == ("apiKey", "header"):
                header, prefix = str(scheme.get("name")), ""
            elif kind[0] in ("oauth2", "openIdConnect") or (kind[0], kind[2]) == ("http", "bearer"):
                header, prefix = "Authorization", "Bearer "
            elif kind[0] == "http" and kind[2] == "basic":
                header, prefix = "Authorization", "Basic "
            else:
                header = ""
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", header):
                self.api.warnings.append(f"left out the security scheme {name!r}: it is not sent in a header")
                continue
            argument = naming.unique(naming.field(naming.argument(name)), used)
            used.add(argument)
            schemes.append(Scheme(name, header, prefix, argument))
        return schemes

    def resource(self, slot: Slot, resources: dict[str, Resource]) -> Resource:
        tag = slot.tag
        name = naming.resource(tag, self.api.platform)
        if name not in resources:
            tags = {str(entry.get("name")): entry for entry in self.document.get("tags") or ()}
            description = str((tags.get(tag) or {}).get("description") or "")
            class_name = naming.class_name(tag if tag.isidentifier() else name)
            taken = {prefix + entry.class_name for entry in resources.values() for prefix in ("", "Async")}
            taken |= set(self.engine.models)
            if class_name in taken:
                class_name = naming.unique(f"{class_name}Resource", taken)
            resources[name] = Resource(name, class_name, description, slot.source.file)
        return resources[name]

    def webhooks(self) -> None:
        """Read the named schemas of the requests that the platform sends to an application."""
        for item in (self.document.get("webhooks") or {}).values():
            for _, operation in deref(self.document, item).items():
                body = deref(self.document, operation.get("requestBody")) if isinstance(operation, dict) else None
                name = component(media_of(body).entry.get("schema", {}).get("$ref", "")) if body else None
                if name in self.prepared.schemas:
                    raw = {"$ref": f"#/components/schemas/{name}"}
                    self.types.type(self.engine.property(raw), raw)
                    self.api.webhook_models.append(str(name))

    def operation(self, slot: Slot, resource: Resource) -> Operation:
        source, base, operation_id = slot.source, slot.base, slot.operation_id
        name = naming.unique(naming.method(operation_id, resource.name), {entry.name for entry in resource.operations})
        security = source.get("security", base.get("security", self.document.get("security")))
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
            result=self.result(slot),
            security=self.security(security),
            fixed_query=tuple((key, _query_text(value)) for key, value in (source.get("x-fixed-query") or {}).items()),
            idempotent=bool(source.get("x-idempotent", slot.method != "post" and slot.method != "patch")),
            renewable=bool(source.get("x-renewable", True)),
            source=source.file,
        )
        servers = source.get("servers") or base.get("servers")
        if servers:
            operation.server = _server(servers[0])
        if operation.result.media:
            operation.headers += (("Accept", operation.result.media),)
        filters = source.get("x-filters") or self.filters.get(str(source.get("x-filters-of")))
        if filters:
            operation.filters = self.read_filters(filters)
        self.parameters(slot, operation)
        self.body(slot, operation)
        operation.rules = tuple(
            (rule, tuple(naming.argument(str(entry)) for entry in group))
            for rule in ("exactly-one", "at-least-one", "at-most-one")
            for group in source.get(f"x-{rule}") or ()
        )
        operation.statuses = self.statuses(source)
        return operation

    def security(self, entries: Any) -> tuple[str, ...]:
        known = {scheme.name for scheme in self.api.schemes}
        names: list[str] = []
        for entry in entries or ():
            if not entry:
                return ()
            names.extend(name for name in entry if name in known)
        return tuple(dict.fromkeys(names))

    def statuses(self, source: Map) -> tuple[tuple[int, Any], ...]:
        found = []
        for status, response in (source.get("responses") or {}).items():
            if status.isdigit() and int(status) >= 400:
                examples = self.examples(media_of(deref(self.document, response)).entry)
                found.append((int(status), examples[0][1] if examples else None))
        return tuple(sorted(found, key=lambda pair: pair[0]))

    # -- arguments

    def parameters(self, slot: Slot, operation: Operation) -> None:
        used = {"filters"} if operation.filters else set()
        found: dict[tuple[str, str], Argument] = {}
        own: set[tuple[str, str]] = set()
        for part in slot.parameters:
            entry = part.source
            place, wire = entry["in"], entry["name"]
            name = naming.unique(naming.argument(str(entry.get("x-python-name", wire))), used)
            used.add(name)
            default_style = "simple" if place in ("path", "header") else "form"
            style = str(entry.get("style", default_style))
            if part.media and part.media.kind == "application/json":
                style = "json"
            schema = self.prepared.schema(part.schema)
            found[place, wire] = Argument(
                name=name,
                wire=wire,
                place=place,
                type=self.types.type(part.prop, part.schema),
                required=bool(entry.get("required")) or place == "path",
                nullable=False,
                description=str(entry.get("description") or schema.get("description") or ""),
                explode=bool(entry.get("explode", style == "form")),
                style=style,
                example=plain(entry.get("example")),
                positional=bool(entry.get("x-positional")),
            )
            if self.api.platform and "x-from-client" in entry:
                operation.own_user = str(plain(entry.get("example")))
                own.add((place, wire))
                if place == "query":
                    operation.fixed_query += ((wire, OWN_USER),)
        operation.arguments.extend(argument for key, argument in found.items() if key not in own)
        pieces: list[str | Argument] = []
        position = 0
        for match in PATH_PARAMETER.finditer(slot.path):
            pieces.append(_quoted(slot.path[position : match.start()]))
            place = "path", match.group(1)
            pieces.append(OWN_USER if place in own else found[place])
            position = match.end()
        pieces.append(_quoted(slot.path[position:]))
        operation.path = tuple(piece for piece in pieces if piece != "")

    def body(self, slot: Slot, operation: Operation) -> None:
        body = slot.body
        if body is None or body.media is None:
            return
        raw = body.schema
        operation.body = {"application/json": "json", **FORMS}.get(body.media.kind, "binary")
        operation.body_required = bool(body.source.get("required"))
        if operation.body in ("json", "binary") and body.media.name != "application/json":
            operation.headers += (("Content-Type", body.media.name),)
        operation.envelope = str(slot.source.get("x-request-envelope") or "")
        operation.body_examples = tuple(self.examples(body.media.entry))
        prop: Any = self.engine.whole(body.prop)
        if operation.envelope:
            inner = self.prepared.properties(raw).get(operation.envelope)
            if inner is None or not isinstance(prop, opc.ModelProperty):
                problem = f"the body has no object {operation.envelope!r}"
                raise SpecFaults([fault(slot.source, "x-request-envelope", problem, "Name a property of the body")])
            prop = self.engine.whole(dict(self.engine.properties(prop))[operation.envelope])
            raw = inner
        schema = self.prepared.schema(raw)
        properties = self.prepared.properties(raw)
        if not isinstance(prop, opc.ModelProperty) or not (properties or operation.envelope):
            operation.body_whole = True
            operation.arguments.append(
                Argument(
                    name=naming.unique("body", {entry.name for entry in operation.arguments}),
                    wire="",
                    place="body",
                    type=Type("binary") if operation.body == "binary" else self.types.type(prop, raw),
                    required=operation.body_required,
                    nullable=False,
                    description=str(schema.get("description") or "The request's body."),
                )
            )
            return
        self.body_fields(operation, prop, raw, properties, slot)

    def body_fields(
        self,
        operation: Operation,
        prop: opc.ModelProperty,
        raw: Any,
        properties: dict[str, dict[str, Any]],
        slot: Slot,
    ) -> None:
        required = self.prepared.required(raw) if operation.body_required else set()
        used = {entry.name for entry in operation.arguments} | ({"filters"} if operation.filters else set())
        filled = []
        for wire, inner in self.engine.properties(prop):
            node = properties[wire]
            schema = self.prepared.schema(node)
            if "x-from-client" in schema:
                filled.append((wire, str(schema["x-from-client"])))
                continue
            if schema.get("readOnly"):
                continue
            name = naming.argument(str(schema.get("x-python-name", wire)), naming.TAKEN_BODY_ARGUMENTS)
            if name in used:
                name = naming.unique(f"body_{name}", used)
            used.add(name)
            inner_type = self.types.type(inner, node)
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
                    secret=bool(schema.get("x-secret")) or self.types.has_secrets(inner_type),
                    positional=bool(schema.get("x-positional")),
                )
            )
        operation.filled = tuple(filled)
        schema = self.prepared.schema(raw)
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

    def examples(self, media: Map) -> list[tuple[str, Any]]:
        """The examples of a body or an answer, by name."""
        if "example" in media:
            return [("fullest", plain(media["example"]))]
        found = [(str(name), deref(self.document, entry)) for name, entry in (media.get("examples") or {}).items()]
        return [(name, plain(example["value"])) for name, example in found if "value" in example]

    def read_filters(self, filters: Map) -> Filters:
        fields = []
        for wire, rule in filters["fields"].items():
            schema = rule.get("schema")
            schema = schema if isinstance(schema, dict) else {}
            free = schema.get("type") == "object"
            inner = schema.get("additionalProperties", {}) if free else schema
            fields.append(
                FilterField(
                    name=wire if wire == "*" else wire.lstrip("_"),
                    wire=wire,
                    type=_filter_type(inner if isinstance(inner, dict) else {}),
                    operators=tuple(rule.get("operators") or ()),
                    equality=bool(rule.get("equality", True)),
                    free=free,
                    description=str(rule.get("description") or ""),
                    v1_type=str(rule.get("x-v1-type") or ""),
                )
            )
        return Filters(self.filters_name(filters), str(filters["lists"]), tuple(fields), plain(filters.get("example")))

    def filters_name(self, filters: Map) -> str:
        """A class name that no schema and no other filters use."""
        for known, name in self.filter_names:
            if known == filters:
                return name
        name = naming.class_name(str(filters["name"]))
        # In capitals it would be the name of the table beside the class.
        name = f"{name}Filters" if name.isupper() else name
        name = naming.unique(name, {*self.prepared.schemas, *(taken for _, taken in self.filter_names)})
        self.filter_names.append((filters, name))
        return name

    # -- answers

    def result(self, slot: Slot) -> Result:
        source, answer = slot.source, slot.answer
        envelope = str(source.get("x-response-envelope") or "")
        item_envelope = str(source.get("x-item-envelope") or "")
        examples = self.result_examples(source)
        if answer is None or answer.media is None:
            return Result("none", examples=examples)
        media = answer.media.kind
        if media != "application/json":
            return Result("text" if media.startswith("text/") else "bytes", media=media)
        if source.get("x-result") == "count":
            if any(count_of(example) is None for _, example in examples):
                problem = "an example of the answer holds no count"
                raise SpecFaults(
                    [fault(source, "responses", problem, "Give a number, alone or as 'items', 'count' or 'total'")]
                )
            return Result("count", examples=examples)
        prop, raw = answer.prop, answer.schema
        if prop is None:
            self.api.warnings.append(f"{slot.method.upper()} {slot.path}: the response is returned as it is")
            return Result("value", Type("any"), examples=examples)
        page = source.get("x-page")
        items = str(page["items"]) if page else ""
        for name in filter(None, (envelope, items)):
            if not isinstance(prop, opc.ModelProperty):
                break
            properties = self.prepared.properties(raw)
            if name not in properties:
                problem = f"the answer has no field {name!r}"
                raise SpecFaults([fault(source, None, problem, "Name a property of the answer's schema")])
            prop = dict(self.engine.properties(self.engine.whole(prop)))[name]
            raw = properties[name]
        kind = self.types.type(prop, raw)
        if source.get("x-result") == "first":
            if kind.kind != "list" or kind.item is None or kind.item.kind != "model":
                remedy = "Name the list with 'x-response-envelope'"
                raise SpecFaults([fault(source, "x-result", "the answer is not a list of objects", remedy)])
            return Result("value", kind.item, envelope, item_envelope, examples=examples, first=True)
        if page is None:
            return Result(
                "value", kind, envelope, item_envelope, examples=examples, outcomes=self.outcomes(source, raw)
            )
        if kind.kind != "list" or kind.item is None:
            raise SpecFaults(
                [fault(source, "x-page", "the page's items are not a list", "Name the list of the answer")]
            )
        step = str(page.get("offset") or page.get("number") or page.get("field"))
        described = Page(page["style"], items, str(page["limit"]), str(page["id"]), step, str(page.get("operator", "")))
        return Result("page", kind.item, envelope, item_envelope, described, examples)

    def outcomes(self, source: Map, raw: Any) -> tuple[tuple[int, str], ...]:
        found = source.get("x-outcomes") or Map()
        properties = self.prepared.properties(raw)
        for status, name in found.items():
            if not str(status).isdigit() or name not in properties:
                remedy = "Map statuses to properties of the answer's schema, such as '404: NotFound'"
                raise SpecFaults([fault(found, status, f"{status}: {name} names no list of the answer", remedy)])
        return tuple((int(status), str(name)) for status, name in found.items())

    def result_examples(self, source: Map) -> tuple[tuple[int, Any], ...]:
        found: list[tuple[int, Any]] = []
        for status, response in (source.get("responses") or {}).items():
            if status.startswith("2") and status.isdigit():
                response = deref(self.document, response)
                if not response.get("content"):
                    found.append((int(status), None))
                found += [(int(status), value) for _, value in self.examples(media_of(response).entry)]
        return tuple(found)


def count_of(example: Any) -> int | None:
    """Find the number in an example of a count."""
    while isinstance(example, dict):
        example = next((example[key] for key in ("items", "count", "total_entries", "total") if key in example), None)
    return int(example) if re.fullmatch("[0-9]+", str(example)) else None


def _filter_type(schema: dict[str, Any]) -> Type:
    kind = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}.get(
        str(schema.get("type")), "any"
    )
    match schema.get("format"):
        case "unix-time":
            return Type("unix")
        case "date-time":
            return Type("iso")
        case "bool-int":
            return Type("flag")
    owner, field = id_of(schema)
    return Type(kind, owner=owner, owner_field=field)


def _server(server: Any) -> str:
    url = str(server.get("url", ""))
    for name, variable in (server.get("variables") or {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url.rstrip("/")


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _quoted(piece: str) -> str:
    return quote(piece, safe="/:@!$&'()*+,;=-._~%")
