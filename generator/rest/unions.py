"""Pieces of Python source for values that are one of several types."""

from __future__ import annotations

from dataclasses import replace

from ..source_code import constant, literal
from .code import Code
from .model import Api, Field, Model, Type

READERS = {
    "any": "ANY",
    "text": "TEXT",
    "integer": "INTEGER",
    "number": "NUMBER",
    "boolean": "BOOLEAN",
    "flag": "BOOLEAN",
    "iso": "TIME",
    "unix": "UNIX",
    "date": "DATE",
    "binary": "TEXT",
    "json64": "TEXT",
    "json_text": "TEXT",
}

JSON = {
    "integer": "(int, float)",
    "number": "(int, float)",
    "boolean": "(bool,)",
    "unix": "(int, float)",
    "model": "(dict,)",
    "map": "(dict,)",
    "index_map": "(dict,)",
    "list": "(list,)",
}
"""The JSON types of a field; text if it isn't here."""

LABELS = {
    "any": "any value",
    "text": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "True or False",
    "flag": "True or False",
    "iso": "a time",
    "unix": "a time",
    "date": "a date",
    "binary": "bytes or a binary file",
    "json64": "a mapping",
    "json_text": "a mapping",
    "map": "a mapping",
    "list": "a list",
    "comma": "a list",
    "index_map": "a list",
    "union": "one of several types",
}

FEW = 20
"""Values of a field that tell members apart; of more, only their type counts."""


class Unions:
    """Writes the pieces for one API."""

    def __init__(self, api: Api, code: Code) -> None:
        self.code = code
        self.answered = api.unions.get("answered", [])
        self.sent = api.unions.get("sent", [])
        names = dict.fromkeys(name for union in self.answered for name in self._models(union))
        self.models = [code.models[name] for name in names]

    def _models(self, kind: Type) -> list[str]:
        """The models that stand in a union, and in its lists and maps."""
        if kind.kind == "model":
            return [kind.name]
        inner = [*kind.options, *([kind.item] if kind.item is not None else [])]
        return [name for one in inner for name in self._models(one)]

    # -- reading

    def reader(self, kind: Type) -> str:
        """The expression of a member of a union in answers."""
        if kind.nullable and kind.kind not in ("any", "union"):
            return f"OrNone({self.reader(replace(kind, nullable=False))})"
        item = kind.item or Type("any")
        match kind.kind:
            case "model":
                return self.shape(kind.name)
            case "enum":
                name = f", models.{kind.name}" if kind.name else ""
                return f"Values({literal(kind.values)}{name})"
            case "list" | "comma" | "index_map":
                return f"ListOf({self.reader(item)})"
            case "map":
                return f"MapOf({self.reader(item)})"
            case "union":
                return kind.name
            case simple:
                return READERS[simple]

    def shape(self, name: str) -> str:
        """The constant with the shape of a model."""
        return f"_{constant(name)}_SHAPE"

    def required(self, model: Model) -> list[str]:
        """The fields that every answer has."""
        return sorted(field.wire for field in model.fields if field.required and not field.write_only)

    def kinds(self, field: Field) -> str:
        """The expression of the JSON types or the values that a field may have; empty for any."""
        kind = field.type
        if kind.kind == "enum" and len(kind.values) <= FEW:
            return f"frozenset({literal(sorted(kind.values))})"
        if kind.kind in ("any", "union"):
            return "()"
        if kind.kind == "enum" and not kind.text:
            return "(int,)"
        return JSON.get(kind.kind, "(str,)")

    # -- sending

    def writer(self, kind: Type) -> str:
        """The expression of a member of a union in requests; it stands in the module of inputs."""
        label = LABELS.get(kind.kind, kind.name)
        if kind.kind == "enum":
            label = kind.name or ", ".join(map(literal, kind.values[:FEW]))
        arguments = [literal(label), self.code.encoder_function(kind).replace("inputs.", "")]
        if kind.kind == "model":
            model = self.code.models[kind.name]
            fields = ", ".join(f"{literal(field.name)}: {self.values(field)}" for field in model.fields)
            required = sorted(field.name for field in model.fields if field.required)
            arguments += [f"model={literal(kind.name)}", f"fields={{{fields}}}"]
            arguments += [f"required=frozenset({literal(required)})"] if required else []
        return f"one_of_.Member({', '.join(arguments)})"

    def values(self, field: Field) -> str:
        few = field.type.kind == "enum" and len(field.type.values) <= FEW
        return f"frozenset({literal(sorted(field.type.values))})" if few else "frozenset()"

    def key(self, union: Type) -> str:
        """The key of a mapping that tells the members apart."""
        for option in union.options:
            if option.kind == "model":
                for field in self.code.models[option.name].fields:
                    if field.wire == union.tag:
                        return field.name
        return union.tag

    def names(self, union: Type) -> dict[str, str]:
        """The names of the keys of mappings that have another on the wire."""
        models = [self.code.models[option.name] for option in union.options if option.kind == "model"]
        return {field.wire: field.name for model in models for field in model.fields if field.wire != field.name}
