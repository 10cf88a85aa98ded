"""From a bundled document, through openapi-python-client, to what the templates see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser import properties as opc
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.parser.openapi import Endpoint
from openapi_python_client.parser.properties.boolean import BooleanProperty
from openapi_python_client.parser.properties.date import DateProperty
from openapi_python_client.parser.properties.datetime import DateTimeProperty
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.float import FloatProperty
from openapi_python_client.parser.properties.int import IntProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.string import StringProperty
from openapi_python_client.strings import PythonIdentifier

from ..check import PATH_PARAMETER, deref
from ..faults import SpecFaults
from ..source import Map, fault, plain
from . import naming
from .model import (
    Api,
    Argument,
    Enum,
    Field,
    FilterField,
    Filters,
    Model,
    Operation,
    Page,
    Resource,
    Result,
    Scheme,
    Type,
)
from .prepare import FORMS, Prepared, Slot, media_of, prepare

LIMITS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minItems": "min_items",
    "maxItems": "max_items",
    "maxProperties": "max_properties",
}

SIMPLE = (
    (StringProperty, "text"),
    (IntProperty, "integer"),
    (FloatProperty, "number"),
    (BooleanProperty, "boolean"),
    (DateTimeProperty, "iso"),
    (DateProperty, "date"),
    (FileProperty, "binary"),
)


def configuration(source: Path) -> Config:
    """openapi-python-client's settings."""
    return Config.from_sources(
        config_file=ConfigFile(post_hooks=[]),
        meta_type=MetaType.NONE,
        document_source=source,
        file_encoding="utf-8",
        overwrite=True,
        output_path=None,
    )


def parse(document: Map, config: Config) -> tuple[Prepared, GeneratorData]:
    """Let openapi-python-client read the document.

    :raises SpecFaults: if it can't.
    """
    prepared = prepare(document)
    data = _understand(document, prepared.schemas_only(), config)
    # It copies each operation several times with all models that it reaches. So the operations are read apart, with
    # models that reach nothing.
    known = {str(model.class_info.name) for model in data.models}
    operations = _understand(document, prepared.operations_only(known), config)
    data.endpoint_collections_by_tag = operations.endpoint_collections_by_tag
    data.models += [model for model in operations.models if str(model.class_info.name) not in known]
    prepared.restore(_properties(data))
    return prepared, data


def _properties(data: GeneratorData) -> Iterator[Any]:
    for model in data.models:
        yield from _all(model)
    for collection in data.endpoint_collections_by_tag.values():
        for endpoint in collection.endpoints:
            yield from (prop for _, prop in endpoint.iter_all_parameters())


def _understand(document: Map, prepared: dict[str, Any], config: Config) -> GeneratorData:
    data = GeneratorData.from_dict(prepared, config=config)
    if isinstance(data, GeneratorError):
        problem = " ".join(f"{data.header} {data.detail or ''}".split())
        raise SpecFaults([fault(document, None, problem, "Mend what it names")])
    return data


def read(document: Map, prepared: Prepared, data: GeneratorData) -> Api:
    """The whole API as the templates see it."""
    return _Reader(document, prepared, data).run()


class _Reader:
    def __init__(self, document: Map, prepared: Prepared, data: GeneratorData) -> None:
        self.document = document
        self.prepared = prepared
        self.data = data
        self.models: dict[str, Model] = {}
        self.enums: dict[str, Enum] = {}
        self.opc_models = {str(model.class_info.name): model for model in data.models}
        servers = document.get("servers") or [{}]
        info = document.get("info") or {}
        self.api = Api(
            title=str(info.get("title", "API")),
            description=str(info.get("description") or info.get("summary") or ""),
            version=str(info.get("version", "")),
            base_url=_server(servers[0]) if servers else "",
            platform=str(document.get("x-platform", "")),
        )
        self.api.schemes = self.schemes()

    def run(self) -> Api:
        self.filters: dict[str, Map] = {}
        self.filter_names: list[tuple[Map, str]] = []
        for slot in self.prepared.slots:
            if isinstance(slot.source.get("x-filters"), dict):
                self.filters[str(slot.source.get("operationId"))] = slot.source["x-filters"]
        resources: dict[str, Resource] = {}
        for slot in self.prepared.slots:
            if "x-helper" in slot.source:
                self.api.helpers[str(slot.source.get("operationId"))] = str(slot.source["x-helper"])
                continue
            collection = self.data.endpoint_collections_by_tag.get(PythonIdentifier(slot.tag, prefix="tag"))
            endpoint = collection.endpoints[0] if collection and collection.endpoints else None
            errors = collection.parse_errors if collection else []
            if endpoint is None:
                reasons = "; ".join(str(error.detail or error.header) for error in errors) or "no reason given"
                self.api.warnings.append(f"left out {slot.method.upper()} {slot.path}: {reasons}")
                continue
            resource = self.resource(slot, resources)
            resource.operations.append(self.operation(slot, endpoint, resource))
        self.api.resources = list(resources.values())
        self.mark()
        self.api.models = [model for model in self.models.values() if model.answered or model.sent]
        self.api.enums = [enum for enum in self.enums.values() if enum.name in self.used_enums]
        self.api.warnings.extend(
            " ".join(f"left out a schema: {error.header} {error.detail or ''}".split()) for error in self.data.errors
        )
        return self.api

    # -- the frame

    def schemes(self) -> list[Scheme]:
        schemes = []
        components = self.document.get("components") or {}
        # What the client's constructor takes itself.
        used = set("base_url path_suffix timeout max_retries http_client httpx".split())
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
                self.api.warnings.append(f"left out the security scheme {name!r}: it is no header")
                continue
            argument = naming.unique(naming.field(naming.argument(name)), used)
            used.add(argument)
            schemes.append(Scheme(name, header, prefix, argument))
        return schemes

    def resource(self, slot: Slot, resources: dict[str, Resource]) -> Resource:
        base = self.base_of(slot)
        tag = str((slot.source.get("tags") or base.get("tags") or ["default"])[0])
        name = naming.resource(tag)
        if name not in resources:
            tags = {str(entry.get("name")): entry for entry in self.document.get("tags") or ()}
            description = str((tags.get(tag) or {}).get("description") or "")
            class_name = naming.class_name(tag if tag.isidentifier() else name)
            taken = {prefix + entry.class_name for entry in resources.values() for prefix in ("", "Async")}
            taken |= set(self.opc_models)
            if class_name in taken:
                class_name = naming.unique(f"{class_name}Resource", taken)
            resources[name] = Resource(name, class_name, description, slot.source.file)
        return resources[name]

    def base_of(self, slot: Slot) -> Map:
        item = deref(self.document, self.document["paths"][slot.path])
        base = item[slot.method]
        assert isinstance(base, Map)
        return base

    def operation(self, slot: Slot, endpoint: Endpoint, resource: Resource) -> Operation:
        source, base = slot.source, self.base_of(slot)
        operation_id = str(source.get("operationId") or f"{slot.method}_{slot.path}")
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
            result=self.result(slot, endpoint),
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
        self.parameters(slot, endpoint, operation)
        self.body(slot, endpoint, operation)
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
                media = media_of(deref(self.document, response))
                example = _first_example(self.document, media.entry)
                found.append((int(status), plain(example)))
        return tuple(sorted(found, key=lambda pair: pair[0]))

    # -- arguments

    def parameters(self, slot: Slot, endpoint: Endpoint, operation: Operation) -> None:
        raw = {(entry["in"], entry["name"]): entry for entry in slot.data["parameters"]}
        used = {"filters"} if operation.filters else set()
        found: dict[tuple[str, str], Argument] = {}
        for location, prop in endpoint.iter_all_parameters():
            place, wire = str(location.value), prop.name.get_untrusted_value()
            entry = raw[place, wire]
            name = naming.unique(naming.argument(str(entry.get("x-python-name", wire))), used)
            used.add(name)
            kind = self.type(prop, entry["schema"])
            default_style = "simple" if place in ("path", "header") else "form"
            style = "json" if "x-json" in entry else str(entry.get("style", default_style))
            schema = self.prepared.schema(entry["schema"])
            found[place, wire] = Argument(
                name=name,
                wire=wire,
                place=place,
                type=kind,
                required=bool(entry.get("required")),
                nullable=False,
                description=str(entry.get("description") or schema.get("description") or ""),
                explode=bool(entry.get("explode", style == "form")),
                style=style,
                example=plain(self.example_of(slot, place, wire)),
            )
        operation.arguments.extend(found.values())
        pieces: list[str | Argument] = []
        position = 0
        for match in PATH_PARAMETER.finditer(slot.path):
            pieces.append(_quoted(slot.path[position : match.start()]))
            pieces.append(found["path", match.group(1)])
            position = match.end()
        pieces.append(_quoted(slot.path[position:]))
        operation.path = tuple(piece for piece in pieces if piece != "")

    def example_of(self, slot: Slot, place: str, wire: str) -> Any:
        for entry in slot.data["parameters"]:
            if (entry["in"], entry["name"]) == (place, wire) and "example" in entry:
                return entry["example"]
        return None

    def body(self, slot: Slot, endpoint: Endpoint, operation: Operation) -> None:
        if not endpoint.bodies:
            return
        body = endpoint.bodies[0]
        raw_body = slot.data["requestBody"]
        raw = next(iter(raw_body["content"].values()))["schema"]
        operation.body = {"json": "json", "data": "form", "files": "multipart"}.get(str(body.body_type.value), "binary")
        operation.body_required = bool(raw_body["required"])
        media = media_of(deref(self.document, slot.source["requestBody"]), *FORMS).name
        if operation.body in ("json", "binary") and media != "application/json":
            operation.headers += (("Content-Type", media),)
        operation.envelope = str(slot.source.get("x-request-envelope") or "")
        operation.body_examples = self.body_examples(slot.source)
        prop: Any = self.whole(body.prop)
        if operation.envelope:
            inner = self.prepared.properties(raw).get(operation.envelope)
            if inner is None or not isinstance(prop, opc.ModelProperty):
                problem = f"the body has no object {operation.envelope!r}"
                raise SpecFaults([fault(slot.source, "x-request-envelope", problem, "Name a property of the body")])
            prop = self.whole(
                next(entry for entry in _all(prop) if entry.name.get_untrusted_value() == operation.envelope)
            )
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
                    type=Type("binary") if operation.body == "binary" else self.type(prop, raw),
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
        for inner in _all(prop):
            wire = inner.name.get_untrusted_value()
            node = properties[wire]
            schema = self.prepared.schema(node)
            if "x-from-client" in schema:
                filled.append((wire, str(schema["x-from-client"])))
                continue
            if schema.get("readOnly"):
                continue
            name = naming.argument(str(schema.get("x-python-name", wire)))
            if name in used:
                name = naming.unique(f"body_{name}", used)
            used.add(name)
            operation.arguments.append(
                Argument(
                    name=name,
                    wire=wire,
                    place="body",
                    type=self.type(inner, node),
                    required=wire in required,
                    nullable=bool(schema.get("x-nullable")),
                    description=str(schema.get("description") or ""),
                    default=schema.get("default") if schema.get("x-default-sent") else None,
                )
            )
        operation.filled = tuple(filled)
        schema = self.prepared.schema(raw)
        additional = schema.get("additionalProperties")
        operation.body_closed = not additional
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

    def body_examples(self, source: Map) -> tuple[tuple[str, Any], ...]:
        media = media_of(deref(self.document, source.get("requestBody")) or Map()).entry
        if "example" in media:
            return (("fullest", plain(media["example"])),)
        found = []
        for name, example in (media.get("examples") or {}).items():
            example = deref(self.document, example)
            if "value" in example:
                found.append((str(name), plain(example["value"])))
        return tuple(found)

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
        """A class name that no schema and no other filters have."""
        for known, name in self.filter_names:
            if known == filters:
                return name
        name = naming.class_name(str(filters["name"]))
        # In capitals it is the name of the table that stands beside the class.
        name = f"{name}Filters" if name.isupper() else name
        name = naming.unique(name, {*self.prepared.schemas, *(taken for _, taken in self.filter_names)})
        self.filter_names.append((filters, name))
        return name

    # -- answers

    def result(self, slot: Slot, endpoint: Endpoint) -> Result:
        source = slot.source
        envelope = str(source.get("x-response-envelope") or "")
        item_envelope = str(source.get("x-item-envelope") or "")
        examples = self.result_examples(source)
        content = slot.data["responses"]["200"].get("content")
        if not content:
            return Result("none", examples=examples)
        media, entry = next(iter(content.items()))
        if media != "application/json":
            return Result("text" if media.startswith("text/") else "bytes", media=media)
        if source.get("x-result") == "count":
            return Result("count", examples=examples)
        patterns = list(endpoint.responses)
        if not patterns:
            self.api.warnings.append(f"{slot.method.upper()} {slot.path}: the answer is handed over as it is")
            return Result("value", Type("any"), examples=examples)
        prop: Any = patterns[0].prop
        raw = entry["schema"]
        page = source.get("x-page")
        items = str(page["items"]) if page else ""
        for name in filter(None, (envelope, items)):
            if not isinstance(prop, opc.ModelProperty):
                break
            properties = self.prepared.properties(raw)
            if name not in properties:
                problem = f"the answer has no field {name!r}"
                raise SpecFaults([fault(source, None, problem, "Name a property of the answer's schema")])
            prop = next(inner for inner in _all(self.whole(prop)) if inner.name.get_untrusted_value() == name)
            raw = properties[name]
        kind = self.type(prop, raw)
        if page is None:
            return Result("value", kind, envelope, item_envelope, examples=examples)
        if kind.kind != "list" or kind.item is None:
            raise SpecFaults([fault(source, "x-page", "the page's items are no list", "Name the list of the answer")])
        step = str(page.get("offset") or page.get("number") or page.get("field"))
        described = Page(page["style"], items, str(page["limit"]), str(page["id"]), step, str(page.get("operator", "")))
        return Result("page", kind.item, envelope, item_envelope, described, examples)

    def result_examples(self, source: Map) -> tuple[tuple[int, Any], ...]:
        found = []
        for status, response in (source.get("responses") or {}).items():
            if not (status.startswith("2") and status.isdigit()):
                continue
            response = deref(self.document, response)
            media = media_of(response).entry
            if not response.get("content"):
                found.append((int(status), None))
            elif "example" in media:
                found.append((int(status), plain(media["example"])))
            else:
                for example in (media.get("examples") or {}).values():
                    found.append((int(status), plain(deref(self.document, example).get("value"))))
        return tuple(found)

    # -- types

    def whole(self, prop: Any) -> Any:
        """A model as it is once all schemas were read: what refers to it holds an early or an empty copy."""
        return self.opc_models.get(str(prop.class_info.name), prop) if isinstance(prop, opc.ModelProperty) else prop

    def type(self, prop: Any, raw: Any) -> Type:
        """The type of a property that openapi-python-client made of a prepared schema."""
        schema = self.prepared.schema(raw)
        limits = tuple((LIMITS[key], schema[key]) for key in LIMITS if key in schema and _usable(key, schema[key]))
        wire = schema.get("x-wire")
        if wire in ("flag", "flag-text"):
            return Type("flag", text=wire == "flag-text")
        if wire == "unix":
            return Type("unix")
        if wire == "json64":
            return Type("json64")
        if isinstance(prop, opc.EnumProperty):
            return self.enum(prop, schema)
        if "x-values" in schema:
            values = tuple(schema["x-values"])
            return Type("enum", values=values, text=isinstance(values[0], str))
        if isinstance(prop, ListProperty):
            kind = {"comma": "comma", "index-map": "index_map"}.get(str(wire), "list")
            item = self.type(prop.inner_property, schema.get("items", {}))
            return Type(kind, item=item, limits=limits, index_from=int(schema.get("x-index-from", 0)))
        if isinstance(prop, opc.ModelProperty):
            return self.model(prop, raw, limits)
        for cls, kind in SIMPLE:
            if isinstance(prop, cls):
                return Type(kind, limits=limits if kind in ("text", "integer", "number") else ())
        return Type("any")

    def enum(self, prop: opc.EnumProperty, schema: dict[str, Any]) -> Type:
        name = str(prop.class_info.name)
        values = tuple(schema["enum"])
        if name not in self.enums:
            given = list(schema.get("x-member-names") or ())
            given += [None] * (len(values) - len(given))
            members: dict[str, Any] = {}
            for value, label in zip(values, given, strict=False):
                members[naming.unique(naming.member(value, label), members)] = value
            module = self.prepared.modules.get(name, "default")
            self.enums[name] = Enum(name, module, str(schema.get("description") or ""), tuple(members.items()))
        return Type("enum", name=name, values=values, text=isinstance(values[0], str))

    def model(self, prop: opc.ModelProperty, raw: Any, limits: tuple[tuple[str, Any], ...]) -> Type:
        name = str(prop.class_info.name)
        prop = self.whole(prop)
        properties = self.prepared.properties(raw)
        if not properties:
            additional = self.prepared.schema(raw).get("additionalProperties", True)
            return Type("map", item=self.additional(prop, additional) or Type("any"), limits=limits)
        if name not in self.models:
            self.build_model(name, prop, raw, properties)
        return Type("model", name=name)

    def build_model(self, name: str, prop: opc.ModelProperty, raw: Any, properties: dict[str, dict[str, Any]]) -> None:
        schema = self.prepared.schema({"$ref": raw["$ref"]} if isinstance(raw, dict) and "$ref" in raw else raw)
        module = self.prepared.modules.get(name, "default")
        model = Model(name, module, str(schema.get("description") or ""))
        self.models[name] = model
        required = self.prepared.required(raw)
        used: set[str] = set()
        additional = schema.get("additionalProperties")
        model.closed = additional is False
        if additional:
            model.additional = self.additional(prop, additional)
            model.additional_name = (
                naming.field(str(schema["x-additional-name"])) if ("x-additional-name" in schema) else "extra"
            )
            used.add(model.additional_name)
        for inner in _all(prop):
            wire = inner.name.get_untrusted_value()
            node = properties[wire]
            own = self.prepared.schema(node)
            field_name = naming.unique(naming.field(str(own.get("x-python-name", wire))), used)
            used.add(field_name)
            model.fields.append(
                Field(
                    name=field_name,
                    wire=wire,
                    type=self.type(inner, node),
                    description=str(own.get("description") or ""),
                    secret=bool(own.get("x-secret")),
                    required=wire in required,
                    nullable=bool(own.get("x-nullable")),
                )
            )
        order = {wire: index for index, wire in enumerate(properties)}
        model.fields.sort(key=lambda entry: order[entry.wire])

    def additional(self, prop: opc.ModelProperty, schema: Any) -> Type | None:
        if schema is True or not schema:
            return Type("any")
        if prop.additional_properties is None:
            return Type("any")
        return self.type(prop.additional_properties, schema)

    # -- what is used where

    def mark(self) -> None:
        """Mark the models that answers and requests hold."""
        self.used_enums: set[str] = set()
        for resource in self.api.resources:
            for operation in resource.operations:
                if operation.result.type is not None:
                    self.mark_type(operation.result.type, "answered")
                for argument in operation.arguments:
                    self.mark_type(argument.type, "sent")

    def mark_type(self, kind: Type, use: str) -> None:
        if kind.item is not None:
            self.mark_type(kind.item, use)
        if kind.kind == "enum" and kind.name:
            self.used_enums.add(kind.name)
        if kind.kind != "model":
            return
        model = self.models[kind.name]
        if getattr(model, use):
            return
        setattr(model, use, True)
        for entry in model.fields:
            self.mark_type(entry.type, use)
        if model.additional is not None:
            self.mark_type(model.additional, use)


def _all(prop: opc.ModelProperty) -> Iterable[Any]:
    return [*(prop.required_properties or ()), *(prop.optional_properties or ())]


def _usable(key: str, limit: Any) -> bool:
    """Whether a limit means something in Python: not all patterns of JavaScript do."""
    if key != "pattern":
        return True
    try:
        re.compile(limit)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


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
    return Type(kind)


def _first_example(document: Map, media: Any) -> Any:
    if "example" in media:
        return media["example"]
    for example in (media.get("examples") or {}).values():
        return deref(document, example).get("value")
    return None


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
