"""Rows: what msgspec reads the usual answer of a list into."""

from __future__ import annotations

from .code import Code
from .model import Api, Field, Model, Operation, Type
from .naming import function

NATIVE = {"text": "str", "integer": "int", "boolean": "bool", "iso": "Time"}
"""What msgspec reads as it is."""

SHADOWED = frozenset(["Any", "Time", "bool", "dict", "int", "list", "str"])
"""Names of fields that would hide a type in the class of the row."""


class Rows:
    """The rows of one API: those of the models that pages hold, and of the models inside of these."""

    def __init__(self, api: Api, code: Code) -> None:
        self.code = code
        self.models: dict[str, Model] = {}
        for resource in api.resources:
            for operation in resource.operations:
                if self.root(operation) is not None and operation.result.type is not None:
                    self._add(operation.result.type)

    def root(self, operation: Operation) -> Model | None:
        """The model of an operation that gives a page in the plain frame of `Frame`."""
        result = operation.result
        if result.page is None or result.page.items != "items" or result.item_envelope or result.type is None:
            return None
        model = self.code.models.get(result.type.name)
        return model if model is not None and _fits(model) and self.id(operation) else None

    def id(self, operation: Operation) -> str:
        """The Python name of the field that tells a page's entries apart."""
        result = operation.result
        assert result.page is not None
        assert result.type is not None
        for field in self.code.models[result.type.name].fields:
            if field.wire == result.page.id and field.type.kind in ("text", "integer"):
                return field.name
        return ""

    def _add(self, kind: Type) -> None:
        if kind.item is not None:
            self._add(kind.item)
        model = self.code.models.get(kind.name)
        if model is not None and _fits(model) and model.name not in self.models:
            self.models[model.name] = model
            for field in model.fields:
                self._add(field.type)

    @property
    def homes(self) -> list[str]:
        """The modules of models that the rows need."""
        found = {model.module for model in self.models.values()}
        return sorted(found.union(*(self.code.imports(module) for module in found)))

    def renamed(self, model: Model) -> dict[str, str]:
        return {field.name: field.wire for field in model.fields if field.name != field.wire}

    def fields(self, model: Model) -> list[tuple[str, str]]:
        """Names and annotations of a row's fields, those without a default first."""
        identities = [(field.name, NATIVE[field.type.kind]) for field in model.identities]
        others = [(field.name, f"{self.annotation(field.type)} = None") for field in model.fields if not field.identity]
        return identities + others

    def annotation(self, kind: Type) -> str:
        """What msgspec accepts; `Any` where the model's own reading must see the value."""
        if kind.kind in NATIVE:
            return f"{NATIVE[kind.kind]} | None"
        if kind.kind == "unix":
            return "int | None"
        if kind.kind == "enum":
            return "str | None" if kind.text else "int | None"
        if kind.kind == "model" and kind.name in self.models:
            return f"{kind.name}Row | None"
        if kind.kind == "list" and kind.item is not None:
            if kind.item.kind in ("text", "integer"):
                return f"list[{NATIVE[kind.item.kind]}] | None"
            if kind.item.kind == "model" and kind.item.name in self.models:
                return f"list[{kind.item.name}Row] | None"
        if kind.kind == "map" and kind.item is not None and kind.item.kind == "text":
            return "dict[str, str] | None"
        return "Any"

    def expression(self, field: Field, model: Model) -> str:
        """The value of the model's field; `row`, `extra` and `v` are at hand."""
        kind, source = field.type, f"row.{field.name}"
        if self.annotation(kind) == "Any":
            return self.code.decode(field, model, "", source)
        match kind.kind:
            case "unix":
                return f"None if (v := {source}) is None else moment(v, {field.wire!r}, extra)"
            case "enum" if kind.name:
                return f"None if (v := {source}) is None else {self.code.enum_table(kind.name, '')}.get(v, v)"
            case "model":
                return f"None if (v := {source}) is None else {reader(kind.name)}(v)"
            case "list" if kind.item is not None and kind.item.kind == "model":
                return f"[{reader(kind.item.name)}(entry) for entry in {source} or ()]"
            case "list":
                return f"{source} or []"
            case _:
                return source

    def uses(self, model: Model, what: str) -> bool:
        return any(what in self.expression(field, model) for field in model.fields)


def _fits(model: Model) -> bool:
    """Whether a row can stand for a model: further fields have no place of their own, and no name hides a type."""
    return model.additional_name == "extra" and SHADOWED.isdisjoint(field.name for field in model.fields)


def reader(name: str) -> str:
    """The function that makes a model of a row."""
    return f"read_{function(name)}"
