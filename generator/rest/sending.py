"""The source that makes the body of a request from the arguments of a method."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..source_code import literal
from .code import Code
from .model import Argument, Form, Operation, Type

VARIABLES = {
    "json": ("_body", "dict[str, Any]", "{}"),
    "form": ("_fields", "wire.Pairs", "[]"),
    "multipart": ("_parts", "_payload.Parts", "[]"),
}
"""The variable that the fields of a body are collected in, its type, and what it starts as."""


@dataclass
class Block:
    """The statements that send one body, which may have several media types."""

    form: Form
    """The first of its forms."""
    lines: list[str]
    arguments: list[str]
    """Those of the call's constructor."""
    types: list[str] = field(default_factory=list)
    """Its media types, those with wildcards last."""


class BodyCode:
    """Writes the pieces for one operation."""

    def __init__(self, operation: Operation, code: Code) -> None:
        self.op = operation
        self.code = code
        self.several = len(operation.forms) > 1
        self.groups = _alike(operation.forms)
        """The forms that have the same arguments and so share a signature."""
        self.overloaded = len(self.groups) > 1
        self.nullable = {entry.name for form in operation.forms for entry in form.arguments if entry.nullable}
        """The arguments that may be null in some form."""
        self.additional = list(dict.fromkeys(form.additional for form in operation.forms if form.additional))

    @property
    def blocks(self) -> list[Block]:
        """The bodies that are sent in different ways."""
        found: list[Block] = []
        for form in self.op.forms:
            block = Block(form, self.lines(form), self.arguments(form))
            same = (entry for entry in found if (entry.lines, entry.arguments) == (block.lines, block.arguments))
            block = next((entry for entry in same if entry.form.needed == form.needed), block)
            if block.form is form:
                found.append(block)
            block.types.append(form.media)
            block.types.sort(key=lambda name: "*" in name)
        return found

    # -- several bodies

    @property
    def choices(self) -> str:
        """The expression of what `choose` has to choose from."""
        return literal(tuple((tuple(block.types), block.form.needed, tuple(block.form.names)) for block in self.blocks))

    def choosing(self, choices: str) -> str:
        """The expression that chooses one of the bodies.

        :param choices: the constant that holds them.
        """
        given = ", ".join(f"{literal(name)}: {name}" for name in self.names)
        nullable = f", nullable={literal(tuple(sorted(self.nullable)))}" if self.nullable else ""
        required = f"required={self.op.body_required}"
        return f"_payload.choose({literal(self.media)}, {self.media}, {{{given}}}, {choices}, {required}{nullable})"

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for form in self.op.forms for name in form.names))

    @property
    def media(self) -> str:
        """The name of the argument that names the media type."""
        return self.op.media.name if self.op.media else ""

    @property
    def declarations(self) -> list[str]:
        """The variables of the bodies: each may be set in several places."""
        kinds = dict.fromkeys("" if form.whole else form.kind for form in self.op.forms)
        if any(form.whole and form.kind == "multipart" for form in self.op.forms):
            kinds["multipart"] = None
        return ["content: Any" if not kind else "{}: {}".format(*VARIABLES[kind]) for kind in kinds]

    def media_expression(self, block: Block) -> str:
        """The expression of a chosen body's media type."""
        return "_media" if "*" not in block.types[0] else self.wild_media("_media", block.form)

    def wild_media(self, wanted: str, form: Form) -> str:
        """The expression of a media type that the document leaves open.

        :param wanted: the expression of the type that the document names.
        """
        kind = form.kind
        usual = {"json": "application/json", "text": "text/plain"}.get(kind, "application/octet-stream")
        body = ", content" if form.whole and kind in ("binary", "text") else ""
        return f"_payload.media_type({literal(self.media)}, {self.media}, {wanted}, {literal(usual)}{body})"

    def must_name(self, group: list[Form]) -> bool:
        """Whether another body is always meant unless the media type is given."""
        one = group[0]
        return any(
            set(one.names) <= set(other[0].names) and set(other[0].needed) <= set(one.needed)
            for other in self.groups[: self.groups.index(group)]
        )

    def media_parameter(self, group: list[Form]) -> str:
        """The parameter for the media type in the signature of some of the forms."""
        types = [form.media for form in group]
        if any("*" in name for name in types):
            return f"{self.media}: str{'' if self.must_name(group) else ' | None = None'}"
        default = f" = {literal(types[0])}" if not self.overloaded else "" if self.must_name(group) else " = ..."
        return f"{self.media}: Literal[{', '.join(map(literal, types))}]{default}"

    # -- one body

    def condition(self, form: Form, argument: Argument) -> str:
        """The condition under which a field is sent, empty if it always is."""
        sure = argument.name in form.needed if self.several else argument.required
        if sure or (argument.default is not None and not argument.nullable):
            return ""
        if argument.nullable or argument.name not in self.nullable:
            return f"{argument.name} is not {'OMIT' if argument.nullable else 'None'}"
        return f"{argument.name} is not None and {argument.name} is not OMIT"

    def value(self, argument: Argument) -> str:
        """The expression of a field's value."""
        encoded = self.code.encode_argument(argument, argument.name)
        encoded = f"hide_({encoded})" if argument.secret else encoded
        if argument.nullable:
            return f"None if {argument.name} is None else {encoded}"
        if not argument.required and argument.default is not None:
            return f"{literal(argument.default)} if {argument.name} is None else {encoded}"
        return encoded

    def adding(self, form: Form, argument: Argument) -> str:
        """The statement that adds a field."""
        key, value = literal(argument.wire), self.value(argument)
        if form.kind == "json":
            return f"_body[{key}] = {value}"
        if argument.style:
            explode = "" if argument.explode else ", explode=False"
            pairs = f"wire.pairs({key}, {value}, style={literal(argument.style)}{explode})"
            return f"_fields += {pairs}" if form.kind == "form" else f"_parts += _payload.styled_parts({pairs})"
        if form.kind == "form":
            return f"_fields += _payload.fields({key}, {value})"
        media = f", {literal(argument.media)}" if argument.media else ""
        return f"_parts += _payload.parts({key}, {value}{media})"

    def lines(self, form: Form) -> list[str]:
        """The statements that make a body."""
        if form.whole:
            return self.whole(form, form.arguments[0])
        name, kind, empty = VARIABLES[form.kind]
        lines = [f"{name} = {empty}" if self.several else f"{name}: {kind} = {empty}"]
        for argument in form.arguments:
            condition = self.condition(form, argument)
            lines.append(f"{f'if {condition}: ' if condition else ''}{self.adding(form, argument)}")
        if form.additional is not None:
            lines.append(f"if {form.additional.name} is not None: {self.further(form, form.additional)}")
        return lines

    def whole(self, form: Form, argument: Argument) -> list[str]:
        name = argument.name
        encoded = self.code.encode_argument(argument, name)
        if argument.nullable:
            absent = f"{name} is None" if argument.required else f"{name} is None or {name} is OMIT"
            encoded = f"None if {absent} else {encoded}"
        elif not (argument.required or self.several):
            encoded = f"None if {name} is None else {encoded}"
        lines = [f"content = {encoded}"]
        if form.kind == "multipart":
            lines.append(f"_parts{'' if self.several else ': _payload.Parts'} = _payload.all_parts(content or {{}})")
        return lines

    def further(self, form: Form, extra: Argument) -> str:
        """The statement that adds the keys without an argument of their own."""
        item = extra.type.item or Type("any")
        encoder = "" if item.kind == "any" else f", {self.code.encoder_function(item)}"
        if form.kind == "multipart" and not encoder:
            encoder = ", _payload.part"
        known = literal(tuple(entry.wire for entry in form.arguments))
        more = f"wire.more({literal(extra.name)}, {extra.name}, {known}{encoder})"
        match form.kind:
            case "json":
                return f"_body.update({more})"
            case "form":
                return f"_fields += _payload.all_fields({more})"
            case _:
                return f"_parts += _payload.all_parts({more})"

    def arguments(self, form: Form) -> list[str]:
        """The arguments of the call's constructor."""
        op, optional = self.op, not self.op.body_required
        if form.kind == "multipart":
            return ["form=_parts", "repeatable=_payload.repeatable(_parts)"]
        if form.kind == "form":
            fields = "_payload.all_fields(content or {})" if form.whole else "_fields"
            return [f"content=_payload.urlencoded({fields}){f' if {fields} else None' if optional else ''}"]
        if form.kind != "json":
            return ["content=content"]
        if form.whole:
            argument = form.arguments[0]
            null = [f'content=b"null" if {argument.name} is None else None'] if argument.nullable else []
            return ["json=content", *null]
        value = f"{{{literal(op.envelope)}: _body}}" if op.envelope else "_body"
        always = op.body_required or form.filled or self.several
        return [f"json={value}" if always else f"json={value} if _body else None"]


def _alike(forms: tuple[Form, ...]) -> list[list[Form]]:
    """Group forms that have the same arguments."""
    found: list[list[Form]] = []
    for form in forms:
        for group in found:
            if _shape(group[0]) == _shape(form):
                group.append(form)
                break
        else:
            found.append([form])
    return found


def _shape(form: Form) -> object:
    return [(entry.name, entry.type, entry.required) for entry in form.arguments], form.additional, set(form.needed)
