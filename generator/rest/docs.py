"""Render the pages about the operations. No text of the spec can break out of its cell, line or fence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import markdown, output
from ..markdown import code, fence, header
from ..source_code import ROW
from ..templating import environment
from .code import Code
from .conformance import Writer, call
from .model import Api, Argument, Field, Filters, Operation, Resource
from .naming import error_of
from .render import PLATFORMS, origin, page_name
from .rows import Rows
from .views import OperationView, limits

FACTS = "../../../docs/wire-facts.md"
"""The wire facts, from the folder of the pages."""

LOGINS = {"connectycube": 'cube.login(login="mary", password="correct-horse-9")'}
"""How the client of a platform gets the session that its operations need."""


@dataclass(frozen=True)
class Entry:
    """An operation on its page."""

    view: OperationView
    returns: str
    signatures: str
    example: str
    """Source, empty if the spec has no values for one."""
    errors: list[tuple[int | str, str, str]]
    """Status, class and text of each documented error."""


def render(api: Api, sources: str, package: str) -> dict[str, str]:
    """Make the pages, by name.

    :param package: what the examples import the client from.
    """
    platform = api.platform in PLATFORMS
    env = environment("docs_rest", sources)
    pages = _Pages(api, package)
    # Links to the facts are for the readers of this project's pages.
    prose = _with_links if platform else markdown.prose
    env.filters.update(prose=prose, code=code, python=lambda text: fence(text, "python"), json=_json)
    env.globals.update(api=api, pages=pages, platform=platform, page_name=page_name, limits=limits, fact=_fact)
    env.globals["header"] = lambda source: header(origin(source, sources))
    entries = pages.entries()
    files = {"index.md": env.get_template("index.md.jinja").render()}
    models = [model for model in api.models if model.answered or model.sent]
    files["models.md"] = env.get_template("models.md.jinja").render(models=models)
    for resource in api.resources:
        template = env.get_template("resource.md.jinja")
        files[page_name(resource)] = template.render(resource=resource, entries=entries[resource.name])
    return files


def _fact(name: str) -> str:
    return f"[{name}]({FACTS}#{name})"


def _with_links(text: str) -> str:
    return re.sub(ROW, lambda found: _fact(found.group()), markdown.prose(text))


def _json(value: Any) -> str:
    return fence(json.dumps(value, indent=2, ensure_ascii=False), "json")


class _Pages:
    def __init__(self, api: Api, package: str) -> None:
        self.api = api
        self.package = package
        self.client = PLATFORMS.get(api.platform, "Client")
        self.variable = "cube" if api.platform in PLATFORMS else "client"
        self.code = Code(api)
        self.rows = Rows(api, self.code)
        self.writer = Writer(api)
        self.names = {model.name for model in api.models} | {enum.name for enum in api.enums}

    def entries(self) -> dict[str, list[Entry]]:
        """The operations of each resource."""
        sources = {}
        for number, (resource, operation, view) in enumerate(self._views()):
            sources[f"{number}/signatures.py"] = self._signatures(view)
            sources[f"{number}/example.py"] = self._example(resource, operation)
        formatted = output.formatted(sources)
        found: dict[str, list[Entry]] = {resource.name: [] for resource in self.api.resources}
        for number, (resource, operation, view) in enumerate(self._views()):
            signatures, example = (formatted[f"{number}/{part}.py"].strip() for part in ("signatures", "example"))
            returns = _bare(view.return_type(""))
            found[resource.name].append(Entry(view, returns, signatures, example, _errors(operation)))
        return found

    def _views(self) -> Iterator[tuple[Resource, Operation, OperationView]]:
        for resource in self.api.resources:
            for operation in resource.operations:
                yield resource, operation, OperationView(operation, self.code, self.rows)

    def annotation(self, argument: Argument) -> str:
        return _bare(self.code.argument_annotation(argument))

    def field_type(self, field: Field) -> str:
        """What a field of an answer holds, or of an argument if it is in no answer."""
        return _bare(self.code.answer(field.type))

    def filter_entries(self, filters: Filters) -> list[tuple[str, str, str, str]]:
        """Name, type, operators and meaning of each filter."""
        return [
            (
                f"{entry.name}.*" if entry.free else entry.name,
                _bare(self.code.request(entry.type)),
                ", ".join([*(["equality"] if entry.equality else []), *map(code, entry.operators)]),
                entry.description,
            )
            for entry in filters.fields
        ]

    def links(self, text: str) -> str:
        """Link to the models that an annotation names, if it names any."""
        names = dict.fromkeys(name for name in re.findall(r"\w+", text) if name in self.names)
        return ", ".join(f"[{code(name)}](models.md#{name.lower()})" for name in names)

    def _signatures(self, view: OperationView) -> str:
        """The two methods, as stubs."""
        found = []
        for prefix, keyword in (("", "def"), ("Async", "async def")):
            result = _bare(view.return_type(prefix))
            for signature in view.overloads or [view.signature]:
                found.append(f"{keyword} {view.op.name}({_bare(', '.join(signature))}) -> {result}: ...")
        return "\n".join(found)

    def _example(self, resource: Resource, operation: Operation) -> str:
        body = operation.body_examples[0][1] if operation.body_examples else None
        case = self.writer.case(operation, "fullest", body, full=True)
        required = {entry.name for entry in operation.arguments if entry.required and entry.place != "path"}
        if "None" in case.positional or not required <= case.keyword.keys():
            return ""
        page = operation.result.page
        if page:
            # Iterating does what the arguments for single pages are for.
            limit = {entry.name for entry in operation.arguments if entry.wire == page.limit}
            wanted = {"filters", *required, *limit}
            case.keyword = {name: value for name, value in case.keyword.items() if name in wanted}
        text = call(resource, operation, case, client=self.variable)
        match operation.result.kind:
            case "page":
                text = f"for item in {text}:\n        print(item)"
            case "several" if {answer.kind for answer in operation.result.answers} <= {"events", "lines"}:
                text = f"for item in {text}:\n        print(item)"
            case kind if kind != "none":
                text = f"print({text})"
        lines = ["import datetime as dt\n"] if re.search(r"\bdt\.", text) else []
        lines.append(f"from {self.package} import {self.client}\n")
        login = LOGINS.get(self.api.platform, "") if ("session",) in operation.security else ""
        lines += [f"with {self.client}() as {self.variable}:", *([f"    {login}"] if login else []), f"    {text}"]
        return "\n".join(lines)


def _errors(operation: Operation) -> list[tuple[int | str, str, str]]:
    found = []
    for status, example in operation.statuses:
        found.append((status, error_of(status), "" if example is None else _short(example)))
    return found


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bare(annotation: str) -> str:
    """An annotation as a user writes it, with names imported from the package."""
    return re.sub(r"\b(?:models|inputs|filters_|builtins|streams_)\.(?=\w)", "", annotation)
