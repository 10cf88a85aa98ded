"""The bodies of an operation as arguments of its method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openapi_python_client.parser import properties as opc

from ..faults import SpecFaults
from ..source import Map, fault
from . import naming
from .model import Argument, Form, Operation, Type
from .parts import Encodings
from .prepare import Part, Slot
from .reading import Reading


def body(reading: Reading, slot: Slot, operation: Operation) -> None:
    """Add the arguments of an operation's body in all of its forms."""
    if not slot.bodies:
        return
    operation.body_required = bool(slot.bodies[0].source.get("required"))
    operation.envelope = str(slot.source.get("x-request-envelope") or "")
    forms = [_Reader(reading, slot, operation, part).form() for part in slot.bodies]
    operation.forms = tuple(forms)
    first = forms[0]
    operation.body = first.kind
    operation.body_whole = first.whole
    operation.filled = first.filled
    operation.additional = first.additional
    media = slot.bodies[0].media
    if media is not None:
        operation.body_examples = tuple(reading.examples(media.entry))
    operation.arguments += [_explained(entry) for entry in _merged(forms)]
    if len(forms) > 1:
        operation.media = _media_argument(operation, [form.media for form in forms])
    elif first.kind == "multipart":
        return
    elif "*" in first.media or _is_mixed(first):
        operation.media = _media_argument(operation, [first.media])
    elif first.media != "application/json" or any(entry.nullable for entry in first.arguments if first.whole):
        operation.headers += (("Content-Type", first.media),)


HINTS = {
    "file": "A file: bytes, a binary file, or a tuple of file name, content and, optionally, media type.",
    "part": "A file, or anything that JSON can hold.",
    "base64": "Bytes are sent in base64; text is sent unchanged.",
    "base64url": "Bytes are sent in base64 for URLs; text is sent unchanged.",
    "binary": "Files and iterables of bytes are read while they are sent.",
    "written": "Bytes and binary files are sent unchanged.",
    "lines": "Each entry becomes a line of JSON; bytes and binary files are sent unchanged.",
}
"""What may be passed, by the kind of a type."""


def _explained(argument: Argument) -> Argument:
    """An argument whose description says what may be passed, where its type does not."""
    kind = argument.type.item if argument.type.kind == "list" and argument.type.item else argument.type
    hint = HINTS.get(kind.kind, "")
    return replace(argument, description=f"{argument.description} {hint}".strip()) if hint else argument


def _merged(forms: list[Form]) -> list[Argument]:
    """The arguments of all forms; one that not all forms need is not required."""
    found: dict[str, Argument] = {}
    for form in forms:
        for entry in form.arguments:
            found.setdefault(entry.name, entry)
    always = [{entry.name for entry in form.arguments if entry.required} for form in forms]
    return [replace(entry, required=all(name in names for names in always)) for name, entry in found.items()]


def _media_argument(operation: Operation, types: list[str]) -> Argument:
    """The argument that names the body's media type."""
    used = {entry.name for entry in operation.arguments} | {name for form in operation.forms for name in form.names}
    wild = any("*" in form.media or _is_mixed(form) for form in operation.forms)
    description = f"The body's media type: {', '.join(types)}. "
    if len(types) > 1:
        description += "By default the first whose body the other arguments fit."
    elif "*" in types[0]:
        description = f"The body's media type, which must match `{types[0]}`; "
        description += "by default the one that the name of the file suggests, otherwise `application/octet-stream`."
    else:
        description = f"The body's media type, such as `{types[0]}; boundary=...`."
    return Argument(
        name=naming.unique("content_type", used),
        wire="Content-Type",
        place="media",
        type=Type("text") if wild else Type("enum", values=tuple(dict.fromkeys(types)), text=True),
        required=False,
        nullable=False,
        description=description,
    )


def _is_mixed(form: Form) -> bool:
    """Whether a body has parts whose boundary only the caller can tell."""
    return form.kind == "binary" and form.media.startswith("multipart/")


class _Reader:
    """Reads one form of a body."""

    def __init__(self, reading: Reading, slot: Slot, operation: Operation, part: Part) -> None:
        assert part.media is not None
        self.reading = reading
        self.slot = slot
        self.operation = operation
        self.part = part
        self.media = part.media
        self.used = {entry.name for entry in operation.arguments} | ({"filters"} if operation.filters else set())

    def warn(self, holder: Map, key: object, problem: str, remedy: str = "The rest is generated") -> None:
        self.reading.warn(holder, key, f"{self.slot.label}: {problem}", remedy)

    def form(self) -> Form:
        raw, kind = self.part.schema, self.part.kind
        envelope = self.operation.envelope
        prop: Any = self.reading.engine.whole(self.part.prop)
        if envelope:
            prop, raw = self.inside(envelope, prop, raw)
        properties = self.reading.schemas.properties(raw)
        fields = isinstance(prop, opc.ModelProperty) and bool(properties or envelope)
        is_object = isinstance(prop, opc.ModelProperty) or self.is_free(raw)
        if kind == "multipart" and not is_object:
            problem = f"the {self.media.name} body is not an object, so it has no named parts"
            remedy = "Pass the whole body as bytes, and its boundary in content_type"
            self.warn(self.media.entry, "schema", problem, remedy)
            kind = "binary"
        elif kind == "binary" and self.media.kind.startswith("multipart/"):
            problem = f"the parts of a {self.media.name} body can't be arguments"
            self.warn(self.media.entry, None, problem, "Pass the whole body as bytes, and its boundary in content_type")
        elif kind == "form" and not is_object:
            kind = "text"
        if not fields or kind not in ("json", "form", "multipart"):
            argument = self.whole(kind, prop, raw)
            return Form(kind, self.media.name, (argument,), whole=True, needed=(argument.name,))
        return self.fields(kind, prop, raw, properties)

    def is_free(self, raw: Any) -> bool:
        """Whether a schema allows objects without naming their properties."""
        return bool(self.reading.schemas.schema(raw).get("type", "object") == "object")

    def inside(self, envelope: str, prop: Any, raw: Any) -> tuple[Any, Any]:
        """Take the object of an envelope."""
        inner = self.reading.schemas.properties(raw).get(envelope)
        if inner is None or not isinstance(prop, opc.ModelProperty):
            problem = f"the body has no object {envelope!r}"
            raise SpecFaults([fault(self.slot.source, "x-request-envelope", problem, "Name a property of the body")])
        engine = self.reading.engine
        return engine.whole(dict(engine.properties(prop))[envelope]), inner

    # -- a body that is one argument

    def whole(self, kind: str, prop: Any, raw: Any) -> Argument:
        schema = self.reading.schemas.schema(raw)
        nullable = kind == "json" and bool(schema.get("x-nullable"))
        return Argument(
            name=naming.unique("body", self.used),
            wire="",
            place="body",
            type=self.whole_type(kind, prop, raw),
            required=self.operation.body_required,
            nullable=nullable,
            description=str(schema.get("description") or "The request's body."),
        )

    def whole_type(self, kind: str, prop: Any, raw: Any) -> Type:
        match kind:
            case "binary":
                return Type("binary")
            case "text":
                return Type("written", values=self.charset())
            case "lines":
                found = self.reading.types.type(prop, raw) if prop is not None else Type("any")
                return Type("lines", item=found.item if found.kind == "list" else found)
        return self.reading.types.type(prop, raw) if prop is not None else Type("any")

    def charset(self) -> tuple[str, ...]:
        """The charset of a text, empty for the usual one."""
        for parameter in self.media.name.split(";")[1:]:
            key, _, value = parameter.partition("=")
            name = value.strip().strip("\"'")
            if key.strip().lower() == "charset" and name.lower() != "utf-8":
                try:
                    "".encode(name)
                except (LookupError, ValueError):
                    self.warn(self.media.entry, None, f"the charset {name!r} is unknown", "Text is sent in UTF-8")
                    return ()
                return (name,)
        return ()

    # -- a body whose fields are arguments

    def fields(self, kind: str, prop: opc.ModelProperty, raw: Any, properties: dict[str, dict[str, Any]]) -> Form:
        schemas = self.reading.schemas
        if kind == "json" and self.operation.body_required and schemas.schema(raw).get("x-nullable"):
            self.warn(self.media.entry, "schema", "the body can't be null", "Only its fields are arguments")
        needed = schemas.required(raw)
        encodings = Encodings(self.reading, self.warn, self.media, kind) if kind != "json" else None
        arguments: list[Argument] = []
        filled = []
        for wire, inner in self.reading.engine.properties(prop):
            node = properties[wire]
            schema = schemas.schema(node)
            if "x-from-client" in schema:
                filled.append((wire, str(schema["x-from-client"])))
                continue
            if schema.get("readOnly"):
                continue
            argument = self.field(wire, inner, node, schema, required=wire in needed)
            arguments.append(encodings.encoded(argument) if encodings else argument)
        return Form(
            kind,
            self.media.name,
            tuple(arguments),
            needed=tuple(entry.name for entry in arguments if entry.wire in needed),
            additional=self.additional(raw),
            filled=tuple(filled),
        )

    def field(self, wire: str, prop: Any, node: Any, schema: dict[str, Any], *, required: bool) -> Argument:
        name = naming.argument(str(schema.get("x-python-name", wire)), naming.TAKEN_BODY_ARGUMENTS)
        if name in self.used:
            name = naming.unique(f"body_{name}", self.used)
        self.used.add(name)
        types = self.reading.types
        kind = types.type(prop, node)
        return Argument(
            name=name,
            wire=wire,
            place="body",
            type=kind,
            required=required and self.operation.body_required,
            nullable=bool(schema.get("x-nullable")),
            description=str(schema.get("description") or ""),
            default=schema.get("default") if schema.get("x-default-sent") else None,
            secret=bool(schema.get("x-secret")) or types.has_secrets(kind),
            positional=bool(schema.get("x-positional")),
        )

    def additional(self, raw: Any) -> Argument | None:
        """The argument for the keys that the schema allows beside its properties."""
        schema = self.reading.schemas.schema(raw)
        if not schema.get("additionalProperties"):
            return None
        return Argument(
            name=naming.unique(naming.argument(str(schema.get("x-additional-name", "extra"))), self.used),
            wire="",
            place="body",
            type=Type("map", item=Type("any")),
            required=False,
            nullable=False,
            description="Further fields of the body.",
        )
