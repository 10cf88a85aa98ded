"""Templates to files."""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import PurePath
from typing import Any

from jinja2 import StrictUndefined
from openapi_python_client import Project
from openapi_python_client.config import Config
from openapi_python_client.parser import GeneratorData

from ..source_code import constant, docstring, literal, words
from ..templating import COMMAND, TEMPLATES
from .code import Code, enum_doc, model_doc
from .model import Api, Argument, FilterField, Filters, Model, Operation, Type
from .naming import ERRORS, TAKEN_CLASSES, function
from .rows import Rows, reader

PLATFORMS = {"connectycube": "ConnectyCube"}
"""The name of the client of each platform that has templates of its own."""

MODULES = (
    "errors.py",
    "_lenient.py",
    "_wire.py",
    "_call.py",
    "pages.py",
    "_retry.py",
    "client.py",
    "inputs.py",
    "filters.py",
    "__init__.py",
)


def modes(client: str) -> list[dict[str, Any]]:
    """What differs between the sync and the async shell."""
    hook = "str | models.Session | None"
    return [
        {
            "is_async": False,
            "prefix": "",
            "adjective": "A blocking",
            "concurrency": "Safe to share between threads.",
            "client": client,
            "http": "Client",
            "pool": "_Pool",
            "def_": "def",
            "async_": "",
            "await_": "",
            "sleep": "sleep",
            "read": "read",
            "close": "close",
            "enter": "__enter__",
            "exit": "__exit__",
            "iter": "__iter__",
            "iterator": "Iterator",
            "iter_bytes": "iter_bytes",
            "page": "Page",
            "raw": "raw",
            "raw_view": f"_{client}RawView",
            "renew_once": "renew_once",
            "hook_result": hook,
        },
        {
            "is_async": True,
            "prefix": "Async",
            "adjective": "An async",
            "concurrency": "For one event loop at a time.",
            "client": f"Async{client}",
            "http": "AsyncClient",
            "pool": "_AsyncPool",
            "def_": "async def",
            "async_": "async ",
            "await_": "await ",
            "sleep": "asleep",
            "read": "aread",
            "close": "aclose",
            "enter": "__aenter__",
            "exit": "__aexit__",
            "iter": "__aiter__",
            "iterator": "AsyncIterator",
            "iter_bytes": "aiter_bytes",
            "page": "AsyncPage",
            "raw": "araw",
            "raw_view": f"_Async{client}RawView",
            "renew_once": "arenew_once",
            "hook_result": f"Awaitable[{hook}] | {hook}",
        },
    ]


class Renderer:
    """Renders one API into a mapping of file names to texts."""

    def __init__(self, api: Api, data: GeneratorData, config: Config, sources: str) -> None:
        self.api = api
        self.code = Code(api)
        self.rows = Rows(api, self.code)
        self.sources = sources
        self.platform = api.platform if api.platform in PLATFORMS else ""
        self.client = PLATFORMS.get(self.platform, "Client")
        # openapi-python-client's own environment, with this project's templates before its own.
        self.env = Project(openapi=data, config=config, custom_template_path=TEMPLATES / "rest").env
        self.env.undefined = StrictUndefined
        self.env.filters.update(lit=literal, words=words)
        self.env.tests["plain_name"] = lambda name: name.isidentifier() and not iskeyword(name)
        self.env.globals.update(self.names())

    def names(self) -> dict[str, Any]:
        api, code = self.api, self.code
        # It goes into headers.
        version = re.sub(r"[^A-Za-z0-9.+_-]+", "-", api.sdk_version or api.version)
        inputs = [model for model in api.models if model.sent]
        homes = self.homes = sorted(
            [(model.name, model.module) for model in api.models if model.answered]
            + [(enum.name, enum.module) for enum in api.enums]
        )
        filter_names = [group.name for group in api.filters]
        input_names = [model.input_name for model in inputs]
        error = f"{self.client}Error"
        public = [
            self.client,
            f"Async{self.client}",
            error,
            *ERRORS,
            "OMIT",
            "Omit",
            "RawResponse",
            "Page",
            "AsyncPage",
        ]
        public += [name for name, _ in homes] + filter_names + input_names
        first = api.resources[0] if api.resources else None
        return {
            "api": api,
            "code": code,
            "client": self.client,
            "error": error,
            "error_names": sorted([*ERRORS, error]),
            "session": bool(self.platform),
            "platform_folder": self.platform or "generic",
            "modes": modes(self.client),
            "header": self.header,
            "doc": docstring,
            "enum_doc": enum_doc,
            "model_doc": model_doc,
            "constant": constant,
            "snake": function,
            "dict": dict,
            "tuple": tuple,
            "user_agent": f"{self.platform or 'openapi'}-python/{version}",
            "sdk_header": f"Python {version}",
            "sample_operation": f"{first.name}.{first.operations[0].name}" if first and first.operations else "x.y",
            "homes": homes,
            "rows": self.rows,
            "reader": reader,
            "inputs": inputs,
            "input_names": sorted(input_names),
            "filters": api.filters,
            "filter_names": sorted(filter_names),
            "filter_types": sorted({*filter_names, *operator_names(api.filters)}),
            "public_names": sorted(set(public)),
            "uses_v": lambda model: any("(v := " in code.decode(entry, model.module) for entry in model.fields),
            "map_of": lambda item: Type("map", item=item),
            "a": lambda name: f"{'an' if name[0] in 'AEIOU' else 'a'} `{words(name)}`",
            "operators_name": operators_name,
            "is_open": lambda group: any(entry.wire == "*" for entry in group.fields),
            "open_operators": lambda group: ", ".join(group.fields[0].operators),
            "filter_entries": self.filter_entries,
            "filter_fields": filter_fields,
            "operator_entries": self.operator_entries,
            "input_entries": self.input_entries,
            "input_fields": input_fields,
            "signature": self.signature,
            "passing": passing,
            "call_type": self.call_type,
            "core_type": self.core_type,
            "return_type": self.return_type,
            "parser": self.parser,
            "has_query": has_query,
            "has_headers": lambda op: bool(op.headers) or any(entry.place == "header" for entry in op.arguments),
            "body_names": lambda op: tuple(entry.wire for entry in op.arguments if entry.place == "body"),
            "body_argument": body_argument,
            "method_doc": self.method_doc,
        }

    def header(self, template: str, source: str = "") -> str:
        """The fixed first lines of a generated file, the same from whatever folder the generator is run."""
        name = PurePath(source).name
        in_folder = name.endswith((".yaml", ".yml", ".json")) and name != self.sources
        origin = f"{self.sources}/{name}" if in_folder else self.sources
        return f"# Generated by `{COMMAND}` from {words(origin)}: do not edit.\n"

    def render(self) -> dict[str, str]:
        files = {"py.typed": ""}
        for module in MODULES:
            files[module] = self.text(f"package/{module}.jinja")
        if self.rows.models:
            files["_rows.py"] = self.text("package/_rows.py.jinja")
        if self.platform:
            files["_session.py"] = self.text("package/_session.py.jinja")
        helped = {target.partition(".")[0] for target in self.api.helpers.values()} if self.platform else set()
        for name in sorted(helped):
            files[f"_{name}.py"] = self.text(f"{self.platform}/_{name}.py.jinja")
        files["models/__init__.py"] = self.text("package/models_init.py.jinja")
        for module in sorted({home for _, home in self.homes}):
            models = [model for model in self.api.models if model.module == module and model.answered]
            enums = [enum for enum in self.api.enums if enum.module == module]
            names = [model.name for model in models] + [enum.name for enum in enums]
            files[f"models/{module}.py"] = self.text(
                "package/models.py.jinja", module=module, models=models, enums=enums, names=names
            )
        for folder, doc in (("_calls", "The calls of each resource."), ("resources", "The resources.")):
            files[f"{folder}/__init__.py"] = f'{self.header("")}"""{doc}"""\n'
        for resource in self.api.resources:
            helpers = resource.name in helped
            files[f"_calls/{resource.name}.py"] = self.text("package/calls.py.jinja", resource=resource)
            files[f"resources/{resource.name}.py"] = self.text(
                "package/resources.py.jinja", resource=resource, helpers=helpers
            )
        return files

    def text(self, template: str, **context: Any) -> str:
        return self.env.get_template(template).render(**context)

    # -- what templates ask

    def filter_entries(self, group: Filters) -> list[tuple[str, str]]:
        """Keys and annotations of a list's filters."""
        entries = []
        for field in group.fields:
            parts = [self.code.request(field.type)] if field.equality else []
            if field.operators:
                parts.append(operators_name(group, field))
            text = " | ".join(parts) or "Any"
            entries.append((field.name, f"Mapping[str, {text}]" if field.free else text))
        return entries

    def operator_entries(self, field: FilterField) -> list[tuple[str, str]]:
        return [(operator, self.code.operator_annotation(field, operator)) for operator in field.operators]

    def input_entries(self, model: Model) -> list[tuple[str, str]]:
        """Keys and annotations of a nested object in a request."""
        entries = []
        for field in model.fields:
            text = self.code.request(field.type).replace("inputs.", "")
            if not field.required or field.nullable:
                text += " | None"
            entries.append((field.name, f"{'Required' if field.required else 'NotRequired'}[{text}]"))
        return entries

    def signature(self, operation: Operation) -> list[str]:
        """The parameters of a method; those of a pure call are the same."""
        code = self.code
        lines = [f"{entry.name}: {code.argument_annotation(entry)}" for entry in path_arguments(operation)]
        rest = [entry for entry in operation.arguments if entry.place != "path"]
        rest.sort(key=lambda entry: not entry.required)
        keyword = [f"{entry.name}: {code.argument_annotation(entry)}{code.argument_default(entry)}" for entry in rest]
        if operation.additional:
            keyword.append(f"{operation.additional.name}: Mapping[str, Any] | None = None")
        if operation.filters:
            keyword.insert(
                sum(entry.required for entry in rest), f"filters: filters_.{operation.filters.name} | None = None"
            )
        return lines + (["*", *keyword] if keyword else [])

    def core_type(self, operation: Operation) -> str:
        """What a call's parser gives."""
        result = operation.result
        match result.kind:
            case "none":
                return "None"
            case "count":
                return "int"
            case "bytes":
                return "bytes"
            case "text":
                return "str"
            case "page":
                assert result.type is not None
                return f"PageData[{qualified(self.code, result.type)}]"
            case _:
                assert result.type is not None
                return qualified(self.code, result.type)

    def call_type(self, operation: Operation) -> str:
        if operation.result.kind == "page":
            assert operation.result.type is not None
            return f"PageCall[{qualified(self.code, operation.result.type)}]"
        return f"Call[{self.core_type(operation)}]"

    def return_type(self, operation: Operation, mode: dict[str, Any]) -> str:
        if operation.result.kind == "page":
            assert operation.result.type is not None
            return f"{mode['page']}[{qualified(self.code, operation.result.type, 'builtins.')}]"
        if operation.result.kind == "value":
            assert operation.result.type is not None
            return qualified(self.code, operation.result.type, "builtins.")
        return self.core_type(operation)

    def parser(self, operation: Operation) -> str:
        """The expression of a call's parser."""
        result, code = operation.result, self.code
        data = f"unwrap(data, {literal(result.envelope)})" if result.envelope else "data"
        match result.kind:
            case "none":
                return "None"
            case "count":
                return "a_count"
            case "bytes":
                return "lambda data: data"
            case "text":
                return 'lambda data: data.decode("utf-8", "replace")'
        kind = result.type
        assert kind is not None
        convert = converter(code, kind)
        if result.kind == "page":
            envelope = f", {literal(result.item_envelope)}" if result.item_envelope else ""
            return f"page_data(_{constant(operation.name)}_PAGING, {convert}{envelope})"
        if kind.kind == "model":
            return f"lambda data: {convert}(an_object({data}))"
        if kind.kind in ("list", "comma", "index_map") and kind.item is not None:
            inner = converter(code, kind.item)
            if kind.item.kind == "model":
                envelope = f", {literal(result.item_envelope)}" if result.item_envelope else ""
                return f"lambda data: objects({data}, {inner}{envelope})"
            return f"lambda data: values({data}, {inner})"
        if kind.kind == "map" and kind.item is not None:
            return f"lambda data: a_map({data}, {converter(code, kind.item)})"
        if kind.kind == "any":
            return f"lambda data: {data}"
        return f"lambda data: value({data}, {convert})"

    def method_doc(self, operation: Operation) -> list[str]:
        """The paragraphs of a method's docstring."""
        summary = operation.summary or f"{operation.method} {path_text(operation)}"
        parts = [summary, operation.description]
        if operation.deprecated:
            parts.append("Deprecated by the platform.")
        parts.append(f"`{operation.method} {path_text(operation)}`{source_of(operation)}")
        for entry in [*operation.arguments, *([operation.additional] if operation.additional else [])]:
            if entry.description:
                parts.append(f":param {entry.name}: {entry.description}{limits_text(entry)}")
        if operation.filters:
            parts.append(f":param filters: see `{operation.filters.name}`.")
        parts.append(":raises InvalidArgument: if an argument is wrong; nothing is sent then.")
        if operation.statuses:
            names = dict.fromkeys(STATUS_NAMES.get(status, "ApiError") for status, _ in operation.statuses)
            parts.append(f":raises ApiError: if the server refuses; documented are {', '.join(names)}.")
        return parts


STATUS_NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    422: "Unprocessable",
    429: "RateLimited",
    500: "ServerFailure",
    503: "Unavailable",
}


def qualified(code: Code, kind: Type, builtin: str = "") -> str:
    """An answer's type outside of the models' modules."""
    match kind.kind:
        case "list" | "comma" | "index_map":
            return f"{builtin}list[{qualified(code, kind.item or Type('any'), builtin)}]"
        case "map":
            return f"{builtin}dict[str, {qualified(code, kind.item or Type('any'), builtin)}]"
        case "model":
            return f"models.{kind.name}"
        case "enum" if kind.name:
            return f"models.{kind.name} | {'str' if kind.text else 'int'}"
        case _:
            return code.answer(kind)


def converter(code: Code, kind: Type) -> str:
    """A converter outside of the models' modules."""
    match kind.kind:
        case "model":
            return f"models.{kind.name}.from_dict"
        case "enum" if kind.name:
            return f"to_enum(models.{kind.name})"
        case "list" | "index_map":
            return f"to_list({_raising(code, kind.item or Type('any'))})"
        case "comma":
            return f"to_list({_raising(code, kind.item or Type('any'))}, commas=True)"
        case "map":
            return f"to_map({_raising(code, kind.item or Type('any'))})"
        case _:
            return code.converter(kind, None)


def _raising(code: Code, kind: Type) -> str:
    return f"models.{kind.name}._convert" if kind.kind == "model" else converter(code, kind)


def path_arguments(operation: Operation) -> list[Argument]:
    return [piece for piece in operation.path if isinstance(piece, Argument)]


def path_text(operation: Operation) -> str:
    return "".join(piece if isinstance(piece, str) else f"{{{piece.name}}}" for piece in operation.path)


def passing(operation: Operation) -> list[str]:
    """How a shell hands its arguments to the pure call."""
    found = [entry.name for entry in path_arguments(operation)]
    found += [f"{entry.name}={entry.name}" for entry in operation.arguments if entry.place != "path"]
    if operation.filters:
        found.append("filters=filters")
    if operation.additional:
        found.append(f"{operation.additional.name}={operation.additional.name}")
    return found


def has_query(operation: Operation) -> bool:
    keyset = operation.result.page is not None and operation.result.page.style == "keyset"
    in_query = any(entry.place == "query" for entry in operation.arguments)
    return in_query or bool(operation.filters) or bool(operation.fixed_query) or keyset


def body_argument(operation: Operation) -> str:
    """The argument of `Call` that carries the body."""
    if not operation.body:
        return ""
    form = f"form=wire.form({{}}, multipart={operation.body == 'multipart'}),"
    if operation.body_whole:
        return {"json": "json=content,", "binary": "content=content,"}.get(operation.body, form.format("content or {}"))
    value = f"{{{literal(operation.envelope)}: body}}" if operation.envelope else "body"
    if operation.body == "json":
        return f"json={value}," if operation.body_required or operation.filled else f"json={value} if body else None,"
    return form.format("body")


def source_of(operation: Operation) -> str:
    return f" ({', '.join(operation.facts)})" if operation.facts else ""


def limits_text(entry: Argument) -> str:
    """An argument's limits in words."""
    limits = dict(entry.type.limits)
    texts = []
    for key, text in (
        ("minimum", "at least {}"),
        ("maximum", "at most {}"),
        ("max_length", "at most {} characters"),
        ("max_items", "at most {} entries"),
        ("max_properties", "at most {} keys"),
    ):
        if key in limits:
            texts.append(text.format(limits[key]))
    if limits.get("min_length", 0) > 1:
        texts.append(f"at least {limits['min_length']} characters")
    return f" Limits: {', '.join(texts)}." if texts else ""


def operators_name(group: Filters, field: FilterField) -> str:
    """The TypedDict of a filter's operators."""
    parts = "".join(part[:1].upper() + part[1:] for part in field.name.replace(".", "_").split("_"))
    name = "".join(char for char in f"{group.name}{parts}" if char.isalnum() and char.isascii())
    return f"{name}Operators" if name in TAKEN_CLASSES or name == group.name else name


def operator_names(groups: list[Filters]) -> list[str]:
    """The TypedDicts of all operators, by group and field."""
    return [
        operators_name(group, field)
        for group in groups
        for field in group.fields
        if field.operators and field.wire != "*"
    ]


def filter_fields(group: Filters) -> list[str]:
    return [f":ivar {words(field.name)}: {field.description}" for field in group.fields if field.description]


def input_fields(model: Model) -> list[str]:
    return [f":ivar {words(field.name)}: {field.description}" for field in model.fields if field.description]
