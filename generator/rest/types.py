"""Which type of this project each property of openapi-python-client is."""

from __future__ import annotations

import math
import re
from dataclasses import replace
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
from .engine import Contradiction, Engine
from .model import Api, Enum, Field, Model, Type
from .schemas import Schemas

LIMITS = {
    "text": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "integer": {"minimum": "minimum", "maximum": "maximum"},
    "number": {"minimum": "minimum", "maximum": "maximum"},
    "list": {"minItems": "min_items", "maxItems": "max_items"},
    "map": {"maxProperties": "max_properties"},
}
"""The limits that mean something for each kind: others are of another type, and apply to no value."""

DEEPEST = 50
"""How deep lists, maps and unions may nest without a model between them: Python can't compile any number of them."""

SIMPLE = (
    (StringProperty, "text"),
    (IntProperty, "integer"),
    (FloatProperty, "number"),
    (BooleanProperty, "boolean"),
    (DateTimeProperty, "iso"),
    (DateProperty, "date"),
    (FileProperty, "base64"),
)


class Types:
    """Builds each model, enum and plain type once."""

    def __init__(self, schemas: Schemas, engine: Engine) -> None:
        self.schemas = schemas
        self.engine = engine
        self.models: dict[str, Model] = {}
        self.enums: dict[str, Enum] = {}
        self.problems: list[str] = []
        """Schemas that openapi-python-client can't tell the type of."""
        self._unions: dict[int, Type] = {}
        self._names: dict[Type, str] = {}
        self._open: set[int] = set()
        self._depth = 0
        self._waiting: list[tuple[Model, opc.ModelProperty, Any]] = []
        """The models whose fields are yet to be built."""
        self._harmless: set[str] = set()
        """The models without secrets."""

    def of(self, raw: Any) -> Type:
        """The type of a prepared schema that openapi-python-client has not seen yet."""
        try:
            prop = self.engine.property(raw)
        except Contradiction as reason:
            self.problems.append(str(reason))
            return Type("any")
        return self.type(prop, raw)

    def entry(self, prop: Any, raw: Any) -> Type:
        """The type of an entry of a list or a map, which may be null."""
        kind = self.type(prop, raw)
        return replace(kind, nullable=True) if self.schemas.schema(raw).get("x-nullable") else kind

    def type(self, prop: Any, raw: Any) -> Type:
        """The type of a property that openapi-python-client made of a prepared schema, and all models in it."""
        if self._depth == DEEPEST:
            self.problems.append(f"lists, maps and unions nest more than {DEEPEST} levels deep")
            return Type("any")
        self._depth += 1
        found = self._type(prop, raw)
        # Models that hold one another may be many: each is built outside of the others.
        while self._waiting and self._depth == 1:
            self.build_model(*self._waiting.pop())
        self._depth -= 1
        return found

    def _type(self, prop: Any, raw: Any) -> Type:
        schema = self.schemas.schema(raw)
        if "x-union" in schema:
            return self.union(schema)
        wire = schema.get("x-wire")
        if wire in ("flag", "flag-text"):
            return Type("flag", text=wire == "flag-text")
        if wire == "unix":
            return Type("unix")
        if wire in ("json64", "json_text"):
            return Type(str(wire))
        if wire in ("base64", "base64url"):
            return Type(str(wire), limits=limits_of("text", schema))
        if isinstance(prop, opc.EnumProperty):
            return self.enum(prop, schema)
        if "x-values" in schema:
            values = tuple(schema["x-values"])
            return Type("enum", values=values, text=isinstance(values[0], str))
        if isinstance(prop, ListProperty):
            kind = {"comma": "comma", "index-map": "index_map"}.get(str(wire), "list")
            item = self.entry(prop.inner_property, schema.get("items", {}))
            return Type(
                kind, item=item, limits=limits_of("list", schema), index_from=int(schema.get("x-index-from", 0))
            )
        if isinstance(prop, opc.ModelProperty):
            return self.model(prop, raw)
        for cls, kind in SIMPLE:
            if isinstance(prop, cls):
                owner, field = id_of(schema)
                return Type(kind, limits=limits_of(kind, schema), owner=owner, owner_field=field)
        return Type("any")

    def union(self, schema: dict[str, Any]) -> Type:
        """The type of a value that is one of several; inside itself it is a free value."""
        key = id(schema["x-union"])
        if key in self._unions:
            return self._unions[key]
        if key in self._open:
            return Type("any")
        self._open.add(key)
        options: dict[Type, int] = {}
        sources: dict[str, int] = {}
        nullable = bool(schema.get("x-nullable"))
        for node, source in zip(schema["x-union"], schema["x-union-of"], strict=True):
            kind = self.of(node)
            nullable |= bool(self.schemas.schema(node).get("x-nullable")) or kind.nullable
            for one in kind.options or (replace(kind, nullable=False),):
                index = options.setdefault(one, len(options))
                if not kind.options:
                    sources[source] = index
        self._open.discard(key)
        tag = schema.get("x-tag") or {"name": "", "values": {}}
        tags = {value: sources[own] for value, own in tag["values"].items() if own in sources}
        found = replace(next(iter(options)), nullable=nullable)
        if len(options) > 1:
            found = Type("union", options=tuple(options), tag=tag["name"], tags=tuple(tags.items()))
            if found not in self._names:
                name = f"{naming.function(schema['x-union-name']).rstrip('_')}_union".upper()
                self._names[found] = naming.unique(name, set(self._names.values()))
            found = replace(found, name=self._names[found], nullable=nullable)
        self._unions[key] = found
        return found

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

    def model(self, prop: opc.ModelProperty, raw: Any) -> Type:
        name = str(prop.class_info.name)
        prop = self.engine.whole(prop)
        properties = self.schemas.properties(raw)
        if not properties:
            schema = self.schemas.schema(raw)
            item = self.additional(prop, schema.get("additionalProperties", True)) or Type("any")
            return Type("map", item=item, limits=limits_of("map", schema))
        if name not in self.models:
            module = self.schemas.modules.get(name, "default")
            self.models[name] = Model(name, module, str(self.schemas.schema(_bare(raw)).get("description") or ""))
            self._waiting.append((self.models[name], prop, raw))
        return Type("model", name=name)

    def build_model(self, model: Model, prop: opc.ModelProperty, raw: Any) -> None:
        schema = self.schemas.schema(_bare(raw))
        properties = self.schemas.properties(raw)
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
                    read_only=bool(own.get("readOnly")),
                    write_only=bool(own.get("writeOnly")),
                    identity=always and kind.kind in ("text", "integer") and naming.is_identity(wire),
                )
            )
        order = {wire: index for index, wire in enumerate(properties)}
        model.fields.sort(key=lambda entry: order[entry.wire])

    def has_secrets(self, kind: Type) -> bool:
        """Whether an object of this type holds a secret, itself or in an object inside it."""
        seen: set[str] = set()
        waiting = [kind]
        while waiting:
            one = waiting.pop()
            waiting += one.options
            if one.kind == "model" and not (one.name in seen or one.name in self._harmless):
                seen.add(one.name)
                fields = self.models[one.name].fields
                if any(entry.secret for entry in fields):
                    return True
                waiting += [entry.type for entry in fields]
        self._harmless |= seen
        return False

    def additional(self, prop: opc.ModelProperty, schema: Any) -> Type | None:
        if schema is True or not schema:
            return Type("any")
        if prop.additional_properties is None:
            return Type("any")
        return self.entry(prop.additional_properties, schema)

    # -- what is used where

    def finish(self, api: Api) -> None:
        """Add the models and enums that requests and answers use to the API."""
        self.used_enums: set[str] = set()
        self.used_unions: dict[str, dict[Type, None]] = {"answered": {}, "sent": {}}
        for name in api.webhook_models:
            self.mark_type(Type("model", name=name), "answered")
        for resource in api.resources:
            for operation in resource.operations:
                for kind in operation.result.types:
                    self.mark_type(kind, "answered")
                for argument in operation.all_arguments:
                    self.mark_type(argument.type, "sent")

        api.models = [model for model in self.models.values() if model.answered or model.sent]
        api.enums = [enum for enum in self.enums.values() if enum.name in self.used_enums]
        api.unions = {use: list(found) for use, found in self.used_unions.items()}
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
        if kind.kind == "union":
            self.used_unions[use][replace(kind, nullable=False)] = None
            for option in kind.options:
                self.mark_type(option, use)
        if kind.kind != "model":
            return
        model = self.models[kind.name]
        if getattr(model, use):
            return
        setattr(model, use, True)
        for entry in model.fields if use == "answered" else model.sent_fields:
            self.mark_type(entry.type, use)
        if model.additional is not None:
            self.mark_type(model.additional, use)


def _bare(raw: Any) -> Any:
    """A prepared schema without what stands beside its reference."""
    return {"$ref": raw["$ref"]} if isinstance(raw, dict) and "$ref" in raw else raw


def id_of(schema: dict[str, Any]) -> tuple[str, str]:
    """The class of the objects that an id is of, and which of their fields it is."""
    owner, _, field = str(schema.get("x-id-of", "")).partition(".")
    return naming.class_name(owner) if owner else "", field or "id"


def limits_of(kind: str, schema: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The limits of a value that Python can check."""
    known = LIMITS.get(kind, {})
    pairs = [(name, _limit(kind, key, schema[key])) for key, name in known.items() if key in schema]
    return tuple((name, limit) for name, limit in pairs if limit is not None)


def _limit(kind: str, key: str, limit: Any) -> Any:
    """A limit in the type that its check takes, `None` if there is no check: not every pattern is one in Python."""
    if key == "pattern":
        try:
            re.compile(limit)
        except (re.error, RecursionError, OverflowError, TypeError):
            return None
        return limit
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not math.isfinite(limit):
        return None
    if kind == "number" or isinstance(limit, int):
        return limit
    return math.ceil(limit) if key.startswith("min") else math.floor(limit)
