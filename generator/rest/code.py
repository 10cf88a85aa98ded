"""Pieces of Python source that depend on a type: annotations, decoders, encoders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..source_code import constant, literal
from . import naming
from .grammar import LIST_OPERATORS
from .model import Api, Argument, Enum, Field, FilterField, Model, Operation, Type

SCALARS = {
    "any": "Any",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "flag": "bool",
    "iso": "dt.datetime",
    "unix": "dt.datetime",
    "date": "dt.date",
    "base64": "str",
    "base64url": "str",
    "json64": "str",
    "json_text": "str",
}

#: The runtime's converters from what the wire brought.
CONVERTERS = {
    "any": "to_any",
    "text": "to_text",
    "integer": "to_integer",
    "number": "to_number",
    "boolean": "to_boolean",
    "flag": "to_boolean",
    "iso": "to_time",
    "unix": "to_time",
    "date": "to_date",
    "base64": "to_text",
    "base64url": "to_text",
    "json64": "to_text",
    "json_text": "to_text",
}

#: The exact class that needs no conversion.
EXACT = {
    "text": "str",
    "integer": "int",
    "boolean": "bool",
    "flag": "bool",
    "base64": "str",
    "base64url": "str",
    "json64": "str",
    "json_text": "str",
}

#: What may be passed as a body or a part of one.
CONTENT = {
    "base64": "bytes | str",
    "base64url": "bytes | str",
    "binary": "bytes | IO[bytes] | Iterable[bytes]",
    "written": "str | bytes | IO[bytes]",
    "lines": "Iterable[Any] | bytes | IO[bytes]",
    "file": "bytes | IO[bytes] | tuple[str, bytes | IO[bytes]] | tuple[str, bytes | IO[bytes], str]",
    "part": "Any",
}


class Code:
    """Writes the pieces for one API. `module` is the model module they stand in, `None` outside of `models`."""

    def __init__(self, api: Api) -> None:
        self.models = {model.name: model for model in api.models}
        self.enums = {enum.name: enum for enum in api.enums}

    # -- names

    def class_ref(self, name: str, module: str | None) -> str:
        """A model or an enum as it is named in a module."""
        if module is None:
            return f"models.{name}"
        home = (self.models.get(name) or self.enums[name]).module
        return name if home == module else f"_{home}.{name}"

    # -- annotations of what comes back

    def answer(self, kind: Type, module: str | None = None, builtin: str = "") -> str:
        """The annotation of a result or a field.

        :param builtin: stands before `list` and `dict`, where a method may have taken their names.
        """
        match kind.kind:
            case "list" | "comma" | "index_map":
                return f"{builtin}list[{self.entry(kind, module, builtin)}]"
            case "map":
                return f"{builtin}dict[str, {self.entry(kind, module, builtin)}]"
            case "union":
                return joined(self.answer(option, module, builtin) for option in kind.options)
            case "model":
                return self.class_ref(kind.name, module)
            case "enum":
                base = "str" if kind.text else "int"
                return f"{self.class_ref(kind.name, module)} | {base}" if kind.name else base
            case simple:
                return SCALARS[simple]

    def entry(self, kind: Type, module: str | None, builtin: str) -> str:
        """The annotation of an entry of a list or a map."""
        item = _item(kind)
        text = self.answer(item, module, builtin)
        return f"{text} | None" if item.nullable and item.kind != "any" else text

    def field_annotation(self, field: Field, module: str) -> str:
        text = self.answer(field.type, module)
        always = field.identity or _is_list(field.type) or field.type.kind == "any"
        return text if always else f"{text} | None"

    def field_default(self, field: Field) -> str:
        """The expression of a field's default, empty for an identity."""
        default = "" if field.identity else "factory=list" if _is_list(field.type) else "default=None"
        if field.secret:
            return f"field({default + ', ' if default else ''}repr=False)"
        return "None" if default == "default=None" else f"field({default})" if default else ""

    # -- decoding

    def converter(self, kind: Type, module: str | None) -> str:
        """A function of one value that raises where the value can't be read."""
        if kind.nullable and kind.kind not in ("any", "union"):
            return f"or_none_({self.converter(replace(kind, nullable=False), module)})"
        match kind.kind:
            case "union":
                return f"unions_.{kind.name}"
            case "model":
                return f"{self.class_ref(kind.name, module)}._convert"
            case "list" | "index_map":
                return f"to_list({self.converter(_item(kind), module)})"
            case "comma":
                return f"to_list({self.converter(_item(kind), module)}, commas=True)"
            case "map":
                return f"to_map({self.converter(_item(kind), module)})"
            case "enum" if kind.name:
                return f"to_enum({self.class_ref(kind.name, module)})"
            case "enum":
                return "to_text" if kind.text else "to_integer"
            case simple:
                return CONVERTERS[simple]

    def decode(self, field: Field, model: Model, module: str, source: str = "") -> str:
        """The expression that reads a model's field; `get`, `extra` and `v` are at hand.

        :param source: where its value stands; by default under its key.

        What the spec leads to expect is read in place: a call per field would cost more than the reading.
        """
        key, kind = literal(field.wire), field.type
        source = source or f"get({key})"
        if kind.kind == "any":
            return source
        got = f"(v := {source}) is None"
        if kind.kind in EXACT or (kind.kind == "enum" and not kind.name):
            base = EXACT.get(kind.kind) or ("str" if kind.text else "int")
            if field.identity:
                identity = f"identity(v, {literal(model.name)}, {key}, {self.converter(kind, module)})"
                return f"v if (v := {source}).__class__ is {base} else {identity}"
            return f"v if {got} or v.__class__ is {base} else odd(v, {key}, extra, {self.converter(kind, module)})"
        if kind.kind == "enum":
            base = "str" if kind.text else "int"
            table = self.enum_table(kind.name, module)
            odd = f"odd(v, {key}, extra, {self.enum_converter(kind.name, module)})"
            return f"None if {got} else {table}.get(v, v) if v.__class__ is {base} else {odd}"
        if kind.kind == "model":
            name = self.class_ref(kind.name, module)
            return f"None if {got} else {name}.from_dict(v) if v.__class__ is dict else odd(v, {key}, extra, to_object)"
        if _is_list(kind):
            return f"[] if {got} else {self._decode_list(kind, key, module)}"
        if kind.kind in ("iso", "unix"):
            return f"None if {got} else moment(v, {key}, extra)"
        if kind.kind == "union":
            return f"None if {got} else {self.converter(kind, module)}(v)"
        if kind.kind == "map" and _item(kind).kind == "text" and not _item(kind).nullable:
            return f"None if {got} else texts_by_name(v, {key}, extra)"
        return f"None if {got} else odd(v, {key}, extra, {self.converter(kind, module)})"

    def _decode_list(self, kind: Type, key: str, module: str) -> str:
        if kind.kind == "comma":
            return f"many(v, {key}, extra, {self.converter(_item(kind), module)}, commas=True)"
        if _item(kind).kind in ("integer", "text") and not _item(kind).nullable:
            return f"{_item(kind).kind}s(v, {key}, extra)"
        return f"many(v, {key}, extra, {self.converter(_item(kind), module)})"

    def enum_table(self, name: str, module: str | None) -> str:
        enum = self.enums[name]
        table = f"{constant(name)}_VALUES"
        return table if module is None or enum.module == module else f"_{enum.module}.{table}"

    def enum_converter(self, name: str, module: str | None) -> str:
        enum = self.enums[name]
        function = f"read_{constant(name).lower()}"
        return function if module is None or enum.module == module else f"_{enum.module}.{function}"

    # -- back to the wire

    def encode(self, kind: Type, value: str, module: str) -> str:
        """The expression that writes a field that is there in the wire's form."""
        match kind.kind:
            case "flag":
                return f'("1" if {value} else "0")' if kind.text else f"(1 if {value} else 0)"
            case "iso":
                return f"iso_text({value})"
            case "unix":
                return f"unix_number({value})"
            case "date":
                return f"{value}.isoformat()"
            case "enum" if kind.name:
                return f"{'str' if kind.text else 'int'}({value})"
            case "model":
                return f"{value}.to_dict()"
            case "comma":
                return f"comma_text({value})"
            case "list" | "index_map":
                inner = self.encode_entry(_item(kind), module)
                return f"list({value})" if inner == "entry" else f"[{inner} for entry in {value}]"
            case "map":
                inner = self.encode_entry(_item(kind), module)
                return f"dict({value})" if inner == "entry" else f"{{key: {inner} for key, entry in {value}.items()}}"
            case "union":
                return f"wire_form({value})"
            case _:
                return value

    def encode_entry(self, kind: Type, module: str) -> str:
        """The expression that writes an `entry` of a list or a map."""
        inner = self.encode(kind, "entry", module)
        if kind.nullable and inner != "entry" and kind.kind != "union":
            return f"(None if entry is None else {inner})"
        return inner

    # -- annotations of what goes out

    def request(self, kind: Type) -> str:
        if kind.nullable and kind.kind != "any":
            return f"{self.request(replace(kind, nullable=False))} | None"
        match kind.kind:
            case "list" | "comma" | "index_map":
                return f"Iterable[{self.request(_item(kind))}]"
            case "map":
                return f"Mapping[str, {self.request(_item(kind))}]"
            case "union":
                return joined(self.request(option) for option in kind.options)
            case "model":
                model = self.models[kind.name]
                names = [f"inputs.{model.input_name}"]
                if model.answered:
                    names.append(f"models.{kind.name}")
                if model.additional is not None:
                    # A TypedDict can't have further keys.
                    names.append("Mapping[str, Any]")
                return " | ".join(names)
            case "enum":
                values = f"Literal[{', '.join(literal(value) for value in kind.values)}]"
                return f"models.{kind.name} | {values}" if kind.name else values
            case "iso":
                return "dt.datetime | str"
            case "unix":
                return "dt.datetime | int"
            case "date":
                return "dt.date | str"
            case "json64" | "json_text":
                return "Mapping[str, Any] | str"
            case content if content in CONTENT:
                return CONTENT[content]
            case simple:
                return f"{SCALARS[simple]} | models.{kind.owner}" if kind.owner else SCALARS[simple]

    def argument_annotation(self, argument: Argument) -> str:
        text = self.request(argument.type)
        if (argument.place == "path" or argument.positional) and argument.type.kind == "list":
            text = f"{self.request(_item(argument.type))} | {text}"
        if argument.empty and argument.type.kind not in ("any", "text"):
            text = f'{text} | Literal[""]'
        if argument.required:
            return f"{text} | None" if argument.nullable else text
        if argument.nullable:
            return f"{text} | Literal[Omit.OMIT] | None"
        return text if text == "Any" else f"{text} | None"

    def argument_default(self, argument: Argument) -> str:
        if argument.required:
            return ""
        return " = OMIT" if argument.nullable else " = None"

    # -- encoding of arguments

    def encoder(self, kind: Type) -> tuple[str, str]:
        """A runtime encoder and the keyword arguments that it wants."""
        limits = "".join(f", {name}={literal(value)}" for name, value in kind.limits)
        match kind.kind:
            case "list":
                return "array", f", {self.encoder_function(_item(kind))}{limits}"
            case "comma":
                return "commas", f", {self.encoder_function(_item(kind))}{limits}"
            case "index_map":
                return "index_map", f", {self.encoder_function(_item(kind))}, start={kind.index_from}{limits}"
            case "map":
                return "mapping", f", {self.encoder_function(_item(kind))}{limits}"
            case "model":
                return f"inputs.{naming.function(kind.name)}", ""
            case "enum":
                return "choice", f", {literal(kind.values)}"
            case "flag":
                return ("flag_text" if kind.text else "flag"), ""
            case "any":
                return "anything", limits
            case "file" | "written":
                return f"_payload.{kind.kind}", "".join(f", {literal(value)}" for value in kind.values)
            case "lines":
                return "_payload.lines", f", {self.encoder_function(_item(kind))}"
            case "base64" | "base64url" | "binary" | "part":
                return f"_payload.{kind.kind}", limits
            case "union":
                return f"inputs.{kind.name}", ""
            case simple:
                return simple, limits

    def encoder_function(self, kind: Type) -> str:
        """An encoder as a function of an argument's name and its value."""
        if kind.nullable and kind.kind != "any":
            return f"wire.or_null({self.encoder_function(replace(kind, nullable=False))})"
        function, extra = self.encoder(kind)
        qualified = _qualified(function)
        if not (extra or kind.owner):
            return qualified
        return f"lambda name, value: {qualified}(name, {self.id_of(kind, 'name', 'value')}{extra})"

    def id_of(self, kind: Type, name: str, value: str) -> str:
        """The expression of a value for which an object may stand that has it as its id."""
        if not kind.owner:
            return value
        field = "" if kind.owner_field == "id" else f", {literal(kind.owner_field)}"
        return f"wire.id_of({name}, {value}, {literal(kind.owner)}{field})"

    def encode_argument(self, argument: Argument | Field, value: str, inside: str = "") -> str:
        """The expression that checks an argument and writes it in the wire's form."""
        function, extra = self.encoder(argument.type)
        qualified = _qualified(function)
        name = f"{inside}{literal(argument.name)}"
        if isinstance(argument, Argument) and argument.positional and function == "array":
            qualified = "wire.one_or_more"
        return f"{qualified}({name}, {self.id_of(argument.type, name, value)}{extra})"

    def path_expression(self, operation: Operation) -> str:
        pieces = []
        for piece in operation.path:
            if isinstance(piece, str):
                pieces.append(literal(piece))
            elif is_styled(piece):
                pieces.append(self.styled(piece, "path"))
            elif piece.type.kind == "list":
                inner = self.path_encoder(_item(piece.type))
                pieces.append(f"wire.path_list({literal(piece.name)}, {piece.name}, {inner})")
            else:
                pieces.append(self.path_segment(piece.type, literal(piece.name), piece.name))
        return " + ".join(pieces) or '""'

    def styled(self, argument: Argument, function: str) -> str:
        """The expression that checks an argument and writes it in its style.

        :param function: the runtime's function for the place of the argument.
        """
        encoded = self.encode_argument(argument, argument.name)
        if function == "path" and argument.type.kind == "list":
            encoded = encoded.replace("wire.array", "wire.one_or_more", 1)
        key = "" if function == "header" else f", {literal(argument.wire)}"
        style = "" if argument.style in ("simple", "form") else f", style={literal(argument.style)}"
        explode = "" if argument.explode == (function == "cookies") else f", explode={argument.explode}"
        return f"styles.{function}({literal(argument.name)}{key}, {encoded}{style}{explode})"

    def path_encoder(self, kind: Type) -> str:
        segment = self.path_segment(kind, "name", "value")
        plain = segment.removesuffix("(name, value)")
        return plain if plain != segment else f"lambda name, value: {segment}"

    def path_segment(self, kind: Type, name: str, value: str) -> str:
        """The expression that checks a path argument and writes it as one segment."""
        value = self.id_of(kind, name, value)
        if kind.kind == "integer":
            bounds = "".join(f", {key}={literal(limit)}" for key, limit in kind.limits if limit is not None)
            return f"wire.path_integer({name}, {value}{bounds})"
        if kind.kind == "text":
            return f"wire.path_text({name}, {value})"
        function, extra = self.encoder(kind)
        return f"wire.path_value({name}, {_qualified(function)}({name}, {value}{extra}))"

    # -- filters

    def operator_annotation(self, field: FilterField, operator: str) -> str:
        if operator == "calc":
            return 'Literal["avg", "min", "max", "sum"]'
        value = self.request(field.type)
        return f"Iterable[{value}]" if operator in LIST_OPERATORS else value

    # -- whole things

    def imports(self, model_module: str) -> list[str]:
        """The other model modules that a module of models needs."""
        found: set[str] = set()
        for model in self.models.values():
            if model.module == model_module and model.answered:
                kinds = [entry.type for entry in model.fields] + ([model.additional] if model.additional else [])
                for kind in kinds:
                    self._homes(kind, found)
        return sorted(found - {model_module})

    def _homes(self, kind: Type, found: set[str]) -> None:
        if kind.item is not None:
            self._homes(kind.item, found)
        for option in kind.options:
            self._homes(option, found)
        if kind.kind in ("model", "enum") and kind.name:
            found.add((self.models.get(kind.name) or self.enums[kind.name]).module)


def _qualified(function: str) -> str:
    """An encoder with its module."""
    return function if function.startswith(("inputs.", "_payload.")) else f"wire.{function}"


def _item(kind: Type) -> Type:
    return kind.item if kind.item is not None else Type("any")


def is_styled(argument: Argument) -> bool:
    """Whether the runtime's `_styles` write an argument: its place or its type asks for a style."""
    if argument.place != "path":
        return argument.place in ("header", "cookie")
    kind = _item(argument.type) if argument.type.kind == "list" else argument.type
    plain = ("text", "integer", "number", "boolean", "flag", "iso", "unix", "date", "enum", "comma")
    return argument.style not in ("simple", "text") or kind.kind not in plain


def joined(annotations: Iterable[str]) -> str:
    """The union of annotations, each part once."""
    found: dict[str, None] = {}
    for text in annotations:
        depth, start = 0, 0
        for index, char in enumerate(text):
            depth += (char in "[(") - (char in "])")
            if char == "|" and not depth:
                found[text[start:index].strip()] = None
                start = index + 1
        found[text[start:].strip()] = None
    return " | ".join(found)


def _is_list(kind: Type) -> bool:
    return kind.kind in ("list", "comma", "index_map")


def model_doc(model: Model, code: Code) -> list[str]:
    """The paragraphs of a model's docstring."""
    parts = [model.description or f"The schema {model.name}."]
    parts += [f":ivar {field.name}: {field.description}" for field in model.fields if field.description]
    if model.additional_name != "extra":
        parts.append(f":ivar {model.additional_name}: All further fields.")
    parts.append(":ivar extra: Fields that the spec does not know, and the raw value of a field that can't be read.")
    return parts


def enum_doc(enum: Enum) -> list[str]:
    return [enum.description or f"The values of {enum.name}."]
