"""Templates to files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import PurePath
from typing import Any

from jinja2 import StrictUndefined
from openapi_python_client import Project
from openapi_python_client.config import Config
from openapi_python_client.parser import GeneratorData

from ..source_code import constant, docstring, literal, without_facts, words
from ..templating import CACHE, COMMAND, TEMPLATES, runtime_files
from ..unasync import unasync
from .code import Code, enum_doc, is_styled, model_doc
from .model import Api, Field, FilterField, Filters, Model, Resource, Type
from .naming import ERRORS, TAKEN_CLASSES, function
from .rows import Rows, reader
from .unions import Unions
from .views import OperationView

PLATFORMS = {"connectycube": "ConnectyCube"}
"""The name of the client of each platform that has templates of its own."""

MODULES = ("_names.py", "pages.py", "client.py", "inputs.py", "filters.py", "__init__.py")

CONVENTIONS = ("CallHistory", "CallOutcome", "Place", "SystemNotice", "SystemNoticeKind", "whiteboard_url")
"""The public names of the runtime's `conventions`, which only the platform's own client has."""

RUNTIME = "generator/runtime/rest"


@dataclass(frozen=True)
class Mode:
    """What differs between the sync and the async shell."""

    client: str
    prefix: str = ""
    def_: str = "def"
    await_: str = ""
    raw: str = "raw"
    adjective: str = "A blocking"
    concurrency: str = "Safe to share between threads."
    hook_result: str = "str | models.Session | None"

    @property
    def is_async(self) -> bool:
        return bool(self.prefix)

    @property
    def http(self) -> str:
        return f"{self.prefix}Client"


def modes(client: str) -> tuple[Mode, Mode]:
    sync = Mode(client)
    return sync, Mode(
        client=f"Async{client}",
        prefix="Async",
        def_="async def",
        await_="await ",
        raw="araw",
        adjective="An async",
        concurrency="For one event loop at a time.",
        hook_result=f"Awaitable[{sync.hook_result}] | {sync.hook_result}",
    )


class Renderer:
    """Renders one API into a mapping of file names to texts."""

    def __init__(self, api: Api, data: GeneratorData, config: Config, sources: str) -> None:
        self.api = api
        self.code = Code(api)
        self.rows = Rows(api, self.code)
        self.unions = Unions(api, self.code)
        self.sources = sources
        self.results = [operation.result for resource in api.resources for operation in resource.operations]
        self.streams = any(result.streams or result.binary for result in self.results)
        self.platform = api.platform if api.platform in PLATFORMS else ""
        self.client = PLATFORMS.get(self.platform, "Client")
        self.homes = sorted(
            [(model.name, model.module) for model in api.models if model.answered]
            + [(enum.name, enum.module) for enum in api.enums]
        )
        # openapi-python-client's own environment, with this project's templates before its own.
        self.env = Project(openapi=data, config=config, custom_template_path=TEMPLATES / "rest").env
        self.env.undefined = StrictUndefined
        self.env.bytecode_cache = CACHE
        self.env.filters.update(lit=literal, words=words)
        self.env.tests["plain_name"] = lambda name: name.isidentifier() and not iskeyword(name)
        self.env.globals.update(
            header=self.header,
            doc=platform_docstring if self.platform else docstring,
            constant=constant,
            snake=function,
            dict=dict,
            tuple=tuple,
            when=lambda condition: f"if {condition}: " if condition else "",
            enum_doc=enum_doc,
            model_doc=model_doc,
            reader=reader,
            map_of=lambda item: Type("map", item=item),
            with_article=with_article,
            operators_name=operators_name,
            field_docs=field_docs,
            resource_names=resource_names,
            uses_v=self.uses_v,
            filter_entries=self.filter_entries,
            operator_entries=self.operator_entries,
            input_entries=self.input_entries,
            core_module=self.core_module,
        )
        self.env.globals.update(self.names())

    def names(self) -> dict[str, Any]:
        """What the templates know of the API as a whole."""
        api = self.api
        error = f"{self.client}Error"
        inputs = [model for model in api.models if model.sent]
        input_names = sorted(model.input_name for model in inputs)
        filter_names = sorted(group.name for group in api.filters)
        classes = [self.client, f"Async{self.client}", error, *ERRORS, "RawResponse", "Page", "AsyncPage"]
        homes = [name for name, _ in self.homes]
        conventions = CONVENTIONS if self.platform else ()
        return {
            "api": api,
            "code": self.code,
            "rows": self.rows,
            "unions": self.unions,
            "client": self.client,
            "core": "SessionClient" if self.platform else "ApiClient",
            "platform_folder": self.platform or "generic",
            "modes": modes(self.client),
            "error": error,
            "error_names": sorted([*ERRORS, error]),
            "homes": self.homes,
            "inputs": inputs,
            "input_names": input_names,
            "filters": api.filters,
            "filter_names": filter_names,
            "filter_types": sorted({*filter_names, *operator_names(api.filters)}),
            "conventions": conventions,
            "public_names": sorted(
                {*classes, *conventions, "OMIT", "Omit", *homes, *filter_names, *input_names}
                | ({"__version__"} if api.sdk_version else set())
            ),
            **self.constants(),
        }

    def constants(self) -> dict[str, Any]:
        """The values that the runtime takes from `_names`."""
        api = self.api
        # It goes into headers.
        version = re.sub(r"[^A-Za-z0-9.+_-]+", "-", api.sdk_version or api.version)
        user_agent = f"{self.platform or 'openapi'}-python/{version}"
        first = api.resources[0] if api.resources else None
        headers = {"Accept": "application/json", "User-Agent": user_agent}
        return {
            "version": version,
            "user_agent": user_agent,
            "standard_headers": {**headers, "CB-SDK": f"Python {version}"} if self.platform else headers,
            "schemes": {one.name: (one.header, one.prefix) for one in api.schemes if one.place == "header"},
            "server_variables": _variables(api),
            "keys": {one.name: (one.place, one.header) for one in api.schemes if one.place != "header"},
            "sample_operation": f"{first.name}.{first.operations[0].name}" if first and first.operations else "x.y",
        }

    def core_module(self, half: str) -> str:
        """The module of the class that a client is made of; `half` is `_async` or `_sync`."""
        return f"{half}_session" if self.platform else half

    def header(self, template: str, source: str = "") -> str:
        """The fixed first lines of a generated file."""
        return f"# Generated by `{COMMAND}` from {words(origin(source, self.sources))}: do not edit.\n"

    def render(self) -> dict[str, str]:
        helped = {target.partition(".")[0] for target in self.api.helpers.values()} if self.platform else set()
        files = {"py.typed": ""}
        for module in MODULES:
            files[module] = self.text(f"package/{module}.jinja")
        if self.streams:
            files["streams.py"] = self.text("package/streams.py.jinja")
        if self.rows.models:
            files["_rows.py"] = self.text("package/_rows.py.jinja")
        if self.unions.answered:
            files["_unions.py"] = self.text("package/_unions.py.jinja")
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
            page = f"{'generated/docs/rest' if self.platform else 'docs'}/{page_name(resource)}"
            views = [OperationView(operation, self.code, self.rows, page) for operation in resource.operations]
            context = {"resource": resource, "views": views, "helpers": resource.name in helped}
            files[f"_calls/{resource.name}.py"] = self.text("package/calls.py.jinja", **context)
            files[f"resources/{resource.name}.py"] = self.text("package/resources.py.jinja", **context)
        return {**self.runtime(files, helped), **files}

    def runtime(self, made: dict[str, str], helped: set[str]) -> dict[str, str]:
        """The modules that are the same for every spec, with the sync twins of the async ones.

        :param made: the files that the templates make.
        :param helped: the resources that have hand-written helpers.
        """
        optional = self.optional(made, helped)
        files = runtime_files("rest", lambda name: f"# Generated by `{COMMAND}` from {RUNTIME}: do not edit.\n")
        files = {name: text for name, text in files.items() if optional.get(name, True)}
        twins = {name: text for name, text in files.items() if name.startswith("_async")}
        return files | {name.replace("_async", "_sync"): unasync(text) for name, text in twins.items()}

    def optional(self, made: dict[str, str], helped: set[str]) -> dict[str, bool]:
        """The runtime modules that not every client needs, and whether this one does."""
        api = self.api
        arguments = [entry for home in api.resources for operation in home.operations for entry in operation.arguments]
        session = ("_session.py", "_async_session.py", "_log.py", "_request.py", "conventions.py")
        return {
            **dict.fromkeys(session, bool(self.platform)),
            **dict.fromkeys(("_files.py", "_async_files.py"), "files" in helped),
            **dict.fromkeys(("_streams.py", "_async_streams.py"), self.streams),
            "_answers.py": self.streams or any(result.kind in ("text", "several") for result in self.results),
            "_basic.py": any(scheme.basic for scheme in api.schemes),
            "_one_of.py": bool(self.unions.sent),
            # Bodies other than plain JSON.
            "_payload.py": any(
                "_payload." in text for name, text in made.items() if name.startswith(("_calls/", "inputs"))
            ),
            "_servers.py": bool(api.servers or api.server_path),
            "_styles.py": any(map(is_styled, arguments)),
            "_union.py": bool(self.unions.answered),
        }

    def text(self, template: str, **context: Any) -> str:
        return self.env.get_template(template).render(**context)

    # -- what templates ask

    def uses_v(self, model: Model) -> bool:
        return any("(v := " in self.code.decode(entry, model, model.module) for entry in model.fields)

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
        for field in model.sent_fields:
            text = self.code.request(field.type).replace("inputs.", "")
            if not field.required or field.nullable:
                text += " | None"
            entries.append((field.name, f"{'Required' if field.required else 'NotRequired'}[{text}]"))
        return entries


def _variables(api: Api) -> str:
    """The variables of the servers in words."""
    found: dict[str, str] = {}
    for _, variables in api.servers.values():
        for name, (usual, values) in variables.items():
            choice = f"`{'`, `'.join(values)}`; " if values else ""
            found[name] = f"`{name}` ({choice}default: `{usual}`)"
    return ", ".join(found.values())


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


def field_docs(fields: tuple[FilterField, ...] | list[Field]) -> list[str]:
    """The paragraphs that describe a TypedDict's keys."""
    return [f":ivar {words(field.name)}: {field.description}" for field in fields if field.description]


def origin(source: str, sources: str) -> str:
    """The file that something comes from, the same from whatever folder the generator is run."""
    name = PurePath(source).name
    in_folder = name.endswith((".yaml", ".yml", ".json")) and name != sources
    return f"{sources}/{name}" if in_folder else sources


def page_name(resource: Resource) -> str:
    """The file of a resource's reference page; `index.md` is that of all pages."""
    return f"{resource.name}{'_' if resource.name == 'index' else ''}.md"


def resource_names(resource: Resource) -> list[str]:
    """The classes of a resource's module."""
    name = resource.class_name
    return sorted(f"{prefix}{name}{suffix}" for prefix in ("", "Async") for suffix in ("", "WithRawResponse"))


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} `{words(name)}`"


def platform_docstring(parts: list[str], indent: int) -> str:
    """Write a docstring without the ids of wire facts, which are for the readers of the spec."""
    return docstring([without_facts(part) for part in parts], indent)
