"""What the templates see of an operation."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..source_code import constant, literal
from .code import Code
from .media import is_separated, kind_of
from .model import Answer, Argument, Operation, Result, Type
from .naming import error_of
from .publish import rules_text
from .rows import Rows, reader
from .sending import BodyCode

TEXTS = frozenset(("text", "enum", "iso", "date", "json_text"))
"""The types whose value an event's data is as it stands; that of all others is JSON."""


class OperationView:
    """The pieces of source that an operation's pure call and its two methods are made of.

    :param page: where the operation is described.
    """

    def __init__(self, operation: Operation, code: Code, rows: Rows, page: str = "") -> None:
        self.page = page
        self.op = operation
        self.code = code
        self.rows = rows
        self.constant = f"_{constant(operation.name)}"
        self.is_page = operation.result.kind == "page"
        self.class_name = "PageCall" if self.is_page else "Call"
        self.path_arguments = operation.path_arguments
        self.query_arguments = self._at("query")
        # A whole header of cookies is one more of them.
        self.header_arguments = [entry for entry in self._at("header") if entry.wire.lower() != "cookie"]
        self.cookie_arguments = [entry for entry in self._at("header") if entry not in self.header_arguments]
        self.cookie_arguments += self._at("cookie")
        self.body_arguments = self._at("body")
        self.body = BodyCode(operation, code)

    def _at(self, place: str) -> list[Argument]:
        return [entry for entry in self.op.arguments if entry.place == place]

    @cached_property
    def signature(self) -> list[str]:
        """The parameters of a method; those of the pure call are the same."""
        body, op = self.body, self.op
        if not body.overloaded:
            media = [body.media_parameter(body.groups[0])] if body.several else []
            return self._signature(op.arguments, [op.additional] if op.additional else [], media)
        others = [entry for entry in op.arguments if entry.place != "body"]
        names = [f"{name}: Any = {'OMIT' if name in body.nullable else 'None'}" for name in body.names]
        return self._signature(others, [], [*names, f"{body.media}: str | None = None"])

    @cached_property
    def overloads(self) -> list[list[str]]:
        """The signatures of a method with bodies of different arguments, none if there is only one."""
        body = self.body
        others = [entry for entry in self.op.arguments if entry.place != "body"]
        return [
            self._signature(
                [*others, *form.arguments],
                [form.additional] if form.additional else [],
                [body.media_parameter(group)],
            )
            for group in (body.groups if body.overloaded else ())
            for form in group[:1]
        ]

    def _signature(self, arguments: list[Argument], additional: list[Argument], further: list[str]) -> list[str]:
        """The parameters for some arguments.

        :param further: parameters that are written already.
        """
        code, op = self.code, self.op
        positional = self.path_arguments + [entry for entry in arguments if entry.positional]
        lines = [f"{entry.name}: {code.argument_annotation(entry)}" for entry in positional]
        rest = [entry for entry in arguments if entry not in positional]
        rest.sort(key=lambda entry: not entry.required)
        keyword = [f"{entry.name}: {code.argument_annotation(entry)}{code.argument_default(entry)}" for entry in rest]
        keyword += [f"{entry.name}: {code.request(entry.type)} | None = None" for entry in additional]
        keyword += [parameter for parameter in further if " = " in parameter]
        keyword[:0] = [parameter for parameter in further if " = " not in parameter]
        if op.media and not self.body.several:
            keyword.append(f"{op.media.name}: {code.argument_annotation(op.media)} = None")
        if op.filters:
            # A plain mapping, too: a dict in a variable is no TypedDict for type checkers.
            filters = f"filters: filters_.{op.filters.name} | Mapping[str, object] | None = None"
            keyword.insert(sum(entry.required for entry in rest), filters)
        return lines + (["*", *keyword] if keyword else [])

    @property
    def passing(self) -> str:
        """How a method passes its arguments to the pure call."""
        found = [entry.name for entry in self.path_arguments]
        found += [f"{entry.name}={entry.name}" for entry in self.op.arguments if entry.place != "path"]
        if self.op.filters:
            found.append("filters=filters")
        further = [*self.body.additional, *([self.op.media] if self.op.media else [])]
        found += [f"{entry.name}={entry.name}" for entry in further]
        return ", ".join(found)

    # -- types

    @property
    def type(self) -> Type:
        """The type of a result that has one."""
        assert self.op.result.type is not None
        return self.op.result.type

    @property
    def core_type(self) -> str:
        """What the call's parser returns."""
        match self.op.result.kind:
            case "none":
                return "None"
            case "count":
                return "int"
            case "bytes":
                return "bytes"
            case "text":
                return "str"
            case "page":
                return f"PageData[{self.code.answer(self.type)}]"
            case "several":
                # The types of streams differ between the two clients.
                return "Any" if self.op.result.streams else self._several("")
            case _:
                return self.code.answer(self.type)

    def raw_type(self, prefix: str) -> str:
        """What a method returns if its client returns responses unread."""
        text = f"RawResponse[{self.return_type(prefix)}]"
        return f"Coroutine[Any, Any, {text}]" if prefix else text

    @property
    def call_type(self) -> str:
        return f"PageCall[{self.code.answer(self.type)}]" if self.is_page else f"Call[{self.core_type}]"

    def return_type(self, prefix: str) -> str:
        """What a method returns: of the sync client, or of the async one with the prefix `Async`."""
        if self.is_page:
            return f"{'Pending' if prefix else ''}Page[{self.code.answer(self.type, builtin='builtins.')}]"
        if self.op.result.kind == "value":
            return self.code.answer(self.type, builtin="builtins.")
        if self.op.result.kind == "several":
            return self._several(prefix, builtin="builtins.")
        return self.core_type

    def _several(self, prefix: str, builtin: str = "") -> str:
        """The union of the answers' types."""
        found: list[str] = []
        for answer in self.op.result.answers:
            text = "" if answer.type is None else self.code.answer(answer.type, builtin=builtin)
            match answer.kind:
                case "none":
                    continue
                case "events":
                    text = f"streams_.{prefix}Stream[streams_.Event[{text}]]"
                case "lines":
                    text = f"streams_.{prefix}Stream[{text}]"
                case "bytes":
                    text = "bytes"
                case "text" | "plain":
                    text = "str"
            found.append(text)
        if "Any" in found:
            return "Any"
        return " | ".join(dict.fromkeys([*found, *(["None"] if self.op.result.optional else [])]))

    # -- the operation's constants

    @property
    def parser(self) -> str:
        """The expression of the call's parser."""
        result, code = self.op.result, self.code
        data = f"unwrap(data, {literal(result.envelope)})" if result.envelope else "data"
        match result.kind:
            case "none":
                return "None"
            case "count":
                return "a_count"
            case "bytes":
                return "answers_.content"
            case "text":
                return "answers_.text"
            case "several":
                cases = (
                    f"({literal(answer.status)}, {literal(answer.media)}, {self._reader(answer)}), "
                    for answer in result.answers
                )
                return f"answers_.Answers({''.join(cases)})"
        kind = self.type
        convert = converter(code, kind)
        envelope = f", {literal(result.item_envelope)}" if result.item_envelope else ""
        if result.first:
            return f"lambda data: first({data}, {convert}{envelope})"
        if result.kind == "page":
            return f"page_data({self.constant}_PAGING, {convert}{envelope})"
        if kind.kind == "model":
            return f"lambda data: {convert}(an_object({data}))"
        if kind.kind in ("list", "comma", "index_map") and kind.item is not None:
            inner = converter(code, kind.item)
            if kind.item.kind == "model" and not kind.item.nullable:
                return f"lambda data: objects({data}, {inner}{envelope})"
            return f"lambda data: values({data}, {inner})"
        if kind.kind == "map" and kind.item is not None:
            return f"lambda data: a_map({data}, {converter(code, kind.item)})"
        if kind.kind == "any":
            return f"lambda data: {data}"
        return f"lambda data: value({data}, {convert})"

    def _reader(self, answer: Answer) -> str:
        """The expression of what reads one of several answers."""
        simple = {"none": "nothing", "text": "text", "bytes": "content", "plain": "plain", "loose": "anything"}
        if answer.kind in simple:
            return f"answers_.{simple[answer.kind]}"
        assert answer.type is not None
        parser = self._of(answer.type).parser
        match answer.kind:
            case "scalar":
                return f"answers_.text_as({parser})"
            case "events":
                json = ", json=True" if answer.type.kind not in TEXTS else ""
                return f"_streams.events({parser}{json})"
            case "lines":
                separated = is_separated(kind_of(answer.media))
                return f"_streams.{'json_sequence' if separated else 'json_lines'}({parser})"
        return f"answers_.json_of({parser}{', optional=True' if self.op.result.optional else ''})"

    def _of(self, kind: Type) -> OperationView:
        """The view of an operation that answers only this type."""
        return OperationView(replace(self.op, result=Result("value", kind)), self.code, self.rows)

    @property
    def is_stream(self) -> bool:
        """Whether a response may be a stream."""
        return self.op.result.streams

    @property
    def quick(self) -> str:
        """The expression of the parser of a usual page's bytes, empty if there is none."""
        root = self.rows.root(self.op)
        if root is None:
            return ""
        decoder = f"Decoder(Frame[rows_.{root.name}Row])"
        return f"row_data({decoder}, rows_.{reader(root.name)}, {literal(self.rows.id(self.op))})"

    @property
    def paging(self) -> str:
        """The expression that describes how the list is paged."""
        page = self.op.result.page
        assert page is not None
        parts = (page.style, page.items, page.limit, page.id, page.step, page.operator)
        return f"Paging({', '.join(map(literal, parts))})"

    # -- the request

    @property
    def keyset(self) -> str:
        """The field that a list is paged by, empty if it is paged in another way."""
        page = self.op.result.page
        return page.step if page is not None and page.style == "keyset" else ""

    @property
    def has_query(self) -> bool:
        op = self.op
        return bool(self.query_arguments or op.filters or op.fixed_query or op.path_query or self.keyset)

    @property
    def has_headers(self) -> bool:
        return bool(self.op.headers or self.header_arguments or self.op.media)

    def encoded(self, argument: Argument) -> str:
        """The expression that checks an argument and writes it in the wire's form."""
        return self.code.encode_argument(argument, argument.name)

    def query_pairs(self, argument: Argument) -> str:
        """The expression of an argument's pairs in the query."""
        style = "" if argument.style == "form" else f", style={literal(argument.style)}"
        apart = argument.explode or argument.style in ("deepObject", "json", "text")
        explode = "" if apart else ", explode=False"
        reserved = ", reserved=True" if argument.reserved else ""
        pairs = f"wire.pairs({literal(argument.wire)}, {self.encoded(argument)}{style}{explode}{reserved})"
        if argument.empty and argument.type.kind != "text":
            pairs = f'{pairs} if {argument.name} != "" else [({literal(argument.wire)}, "")]'
        if argument.fixed is not None:
            pairs = f"[({literal(argument.wire)}, {literal(argument.fixed)})] if {argument.name} is None else {pairs}"
        return pairs

    @property
    def path_pairs(self) -> str:
        """The expression of the pairs of the query in the path that aren't fixed."""
        pairs = [
            f"({self._query_text(name)}, {'wire.BARE' if value is None else self._query_text(value)})"
            for name, value in self.op.path_query
        ]
        return f"[{', '.join(pairs)}]"

    def _query_text(self, pieces: tuple[str | Argument, ...]) -> str:
        texts = [
            literal(piece) if isinstance(piece, str) else f"wire.query_text({self.encoded(piece)})" for piece in pieces
        ]
        return " + ".join(texts) or '""'

    def header(self, argument: Argument) -> str:
        """The expression of the value of a header."""
        return self.code.styled(argument, "header")

    def cookies(self, argument: Argument) -> str:
        """The expression of the cookies of an argument."""
        whole = argument.place == "header"
        return f"[{self.code.styled(argument, 'header')}]" if whole else self.code.styled(argument, "cookies")

    @property
    def security(self) -> tuple[str | tuple[str, ...], ...]:
        """The operation's security as the runtime wants it."""
        return tuple(names[0] if len(names) == 1 else names for names in self.op.security)

    def condition(self, argument: Argument) -> str:
        """The condition under which a parameter is sent, empty if it always is."""
        return "" if argument.required or argument.fixed is not None else f"{argument.name} is not None"

    @property
    def call_arguments(self) -> list[str]:
        """The arguments of the call's constructor."""
        found = [self.constant, "path"]
        if self.is_page:
            found.append(f"{self.constant}_PAGING")
        if self.has_query:
            found.append("query=query")
        elif self.is_page:
            found.append("query=[]")
        if self.has_headers:
            found.append("headers=headers")
        if self.cookie_arguments:
            found.append("cookies=cookies")
        return found + (self.body.arguments(self.op.forms[0]) if len(self.op.forms) == 1 else [])

    # -- texts

    @property
    def description(self) -> str:
        """The operation's description, with the rules for its arguments, which a published document has already."""
        rules = rules_text(self.op.rules)
        return self.op.description if rules in self.op.description else f"{self.op.description} {rules}".strip()

    @property
    def described(self) -> list[Argument]:
        """All arguments but the filters."""
        return [*self.op.arguments, *self.body.additional, *([self.op.media] if self.op.media else [])]

    @property
    def doc(self) -> list[str]:
        """The paragraphs of the method's docstring."""
        op = self.op
        parts = [op.summary or op.request, self.description]
        if op.deprecated:
            parts.append("Deprecated by the platform.")
        parts.append(f"`{op.request}`, described in {self.page}#{op.name}")
        if self.is_stream:
            parts.append("A stream gives its items as they arrive. Iterate over it to its end, or in a `with` block.")
        for entry in self.described:
            if entry.description:
                bounds = f" Limits: {found}." if (found := limits(entry)) else ""
                parts.append(f":param {entry.name}: {entry.description}{bounds}{assumed(entry)}")
            elif entry.assumed is not None:
                parts.append(f":param {entry.name}:{assumed(entry)}")
        if op.filters:
            parts.append(f":param filters: see `{op.filters.name}`.")
        parts.append(":raises InvalidArgument: if an argument is invalid; nothing is sent then.")
        if op.statuses:
            names = dict.fromkeys(error_of(status) for status, _ in op.statuses)
            parts.append(f":raises ApiError: if the server refuses; documented are {', '.join(names)}.")
        return parts


def converter(code: Code, kind: Type) -> str:
    """The expression of a converter outside of the models' modules."""
    return f"models.{kind.name}.from_dict" if kind.kind == "model" and not kind.nullable else code.converter(kind, None)


def assumed(entry: Argument) -> str:
    """The value that the server assumes for an argument, in words."""
    return "" if entry.assumed is None else f" Default: {json.dumps(entry.assumed, ensure_ascii=False, default=str)}."


LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "max_length": "at most {} characters",
    "max_items": "at most {} entries",
    "max_properties": "at most {} keys",
}


def limits(entry: Argument) -> str:
    """An argument's limits in words, empty if it has none."""
    found: dict[str, Any] = dict(entry.type.limits)
    texts = [text.format(found[key]) for key, text in LIMITS.items() if key in found]
    if found.get("min_length", 0) > 1:
        texts.append(f"at least {found['min_length']} characters")
    return ", ".join(texts)
