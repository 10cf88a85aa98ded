"""Which type of this project each property of openapi-python-client is."""

from __future__ import annotations

import re
from typing import Any

from openapi_python_client.parser import properties as opc
from openapi_python_client.parser.properties.boolean import BooleanProperty
from openapi_python_client.parser.properties.date import DateProperty
from openapi_python_client.parser.properties.datetime import DateTimeProperty
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.float import FloatProperty
from openapi_python_client.parser.properties.int import IntProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.string import StringProperty

from . import naming
from .engine import Engine
from .model import Api, Enum, Field, Model, Type
from .schemas import Schemas

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


class Types:
    """Builds each model, enum and plain type once."""

    def __init__(self, schemas: Schemas, engine: Engine) -> None:
        self.schemas = schemas
        self.engine = engine
        self.models: dict[str, Model] = {}
        self.enums: dict[str, Enum] = {}

    def type(self, prop: Any, raw: Any) -> Type:
        """The type of a property that openapi-python-client made of a prepared schema."""
        schema = self.schemas.schema(raw)
        limits = tuple((LIMITS[key], schema[key]) for key in LIMITS if key in schema and _usable(key, schema[key]))
        wire = schema.get("x-wire")
        if wire in ("flag", "flag-text"):
            return Type("flag", text=wire == "flag-text")
        if wire == "unix":
            return Type("unix")
        if wire in ("json64", "json_text"):
            return Type(str(wire))
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
                owner, field = id_of(schema)
                limits = limits if kind in ("text", "integer", "number") else ()
                return Type(kind, limits=limits, owner=owner, owner_field=field)
        return Type("any")

    def enum(self, prop: opc.EnumProperty, schema: dict[str, Any]) -> Type:
        name = str(prop.class_info.name)
        values = tuple(schema["enum"])
        if name not in self.enums:
            given = list(schema.get("x-enum-varnames") or ())
            given += [None] * (len(values) - len(given))
            members: dict[str, Any] = {}
            for value, label in zip(values, given, strict=False):
                members[naming.unique(naming.member(value, label), members)] = value
            module = self.schemas.modules.get(name, "default")
            self.enums[name] = Enum(name, module, str(schema.get("description") or ""), tuple(members.items()))
        return Type("enum", name=name, values=values, text=isinstance(values[0], str))

    def model(self, prop: opc.ModelProperty, raw: Any, limits: tuple[tuple[str, Any], ...]) -> Type:
        name = str(prop.class_info.name)
        prop = self.engine.whole(prop)
        properties = self.schemas.properties(raw)
        if not properties:
            additional = self.schemas.schema(raw).get("additionalProperties", True)
            return Type("map", item=self.additional(prop, additional) or Type("any"), limits=limits)
        if name not in self.models:
            self.build_model(name, prop, raw, properties)
        return Type("model", name=name)

    def build_model(self, name: str, prop: opc.ModelProperty, raw: Any, properties: dict[str, dict[str, Any]]) -> None:
        schema = self.schemas.schema({"$ref": raw["$ref"]} if isinstance(raw, dict) and "$ref" in raw else raw)
        module = self.schemas.modules.get(name, "default")
        model = Model(name, module, str(schema.get("description") or ""))
        self.models[name] = model
        required = self.schemas.required(raw)
        used: set[str] = set()
        additional = schema.get("additionalProperties")
        model.closed = additional is False
        if additional:
            model.additional = self.additional(prop, additional)
            model.additional_name = (
                naming.field(str(schema["x-additional-name"])) if ("x-additional-name" in schema) else "extra"
            )
            used.add(model.additional_name)
        for wire, inner in self.engine.properties(prop):
            node = properties[wire]
            own = self.schemas.schema(node)
            field_name = naming.unique(naming.field(str(own.get("x-python-name", wire))), used)
            used.add(field_name)
            kind = self.type(inner, node)
            always = wire in required and not (own.get("x-nullable") or own.get("writeOnly"))
            model.fields.append(
                Field(
                    name=field_name,
                    wire=wire,
                    type=kind,
                    description=str(own.get("description") or ""),
                    secret=bool(own.get("x-secret")),
                    required=wire in required,
                    nullable=bool(own.get("x-nullable")),
                    identity=always and kind.kind in ("text", "integer") and naming.is_identity(wire),
                )
            )
        order = {wire: index for index, wire in enumerate(properties)}
        model.fields.sort(key=lambda entry: order[entry.wire])

    def has_secrets(self, kind: Type, above: tuple[str, ...] = ()) -> bool:
        """Whether an object of this type, which is built already, holds a secret, itself or in an object inside it."""
        model = self.models.get(kind.name) if kind.kind == "model" and kind.name not in above else None
        return model is not None and any(
            entry.secret or self.has_secrets(entry.type, (*above, kind.name)) for entry in model.fields
        )

    def additional(self, prop: opc.ModelProperty, schema: Any) -> Type | None:
        if schema is True or not schema:
            return Type("any")
        if prop.additional_properties is None:
            return Type("any")
        return self.type(prop.additional_properties, schema)

    # -- what is used where

    def finish(self, api: Api) -> None:
        """Add the models and enums that requests and answers use to the API."""
        self.used_enums: set[str] = set()
        for name in api.webhook_models:
            self.mark_type(Type("model", name=name), "answered")
        for resource in api.resources:
            for operation in resource.operations:
                for kind in operation.result.types:
                    self.mark_type(kind, "answered")
                for argument in operation.arguments:
                    self.mark_type(argument.type, "sent")

        api.models = [model for model in self.models.values() if model.answered or model.sent]
        api.enums = [enum for enum in self.enums.values() if enum.name in self.used_enums]
        self.name_inputs(api)

    def name_inputs(self, api: Api) -> None:
        """Name the input type of each model that requests use."""
        used = {model.name for model in api.models if model.answered}
        for model in api.models:
            if model.sent:
                own = model.name.endswith("Input") and model.name not in used
                model.input_name = naming.unique(model.name if own else f"{model.name}Input", used)
                used.add(model.input_name)

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


def id_of(schema: dict[str, Any]) -> tuple[str, str]:
    """The class of the objects that an id is of, and which of their fields it is."""
    owner, _, field = str(schema.get("x-id-of", "")).partition(".")
    return naming.class_name(owner) if owner else "", field or "id"


def _usable(key: str, limit: Any) -> bool:
    """Whether Python can check a limit: it can't compile every pattern of JavaScript."""
    if key != "pattern":
        return True
    try:
        re.compile(limit)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
