"""Make the conformance tests' data from a spec's examples.

The requests are derived here from the spec alone, independently of the templates that make the client. The two meet
only in the tests.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ..faults import SpecFaults
from ..source import Map, fault
from ..source_code import literal
from ..templating import environment
from .answers import count_of
from .grammar import LIST_OPERATORS
from .model import OWN_USER, Api, Argument, Filters, Model, Operation, Resource, Type

# As in generator/runtime/conformance/rest.py, which the generator can't import.
APP_ID, AUTH_KEY = 7001, "the-auth-key"
SECRETS = {"session": "the-session-token", "authKey": AUTH_KEY, "adminKey": "the-admin-key"}


@dataclass
class Case:
    """A call, and the request that it must send."""

    name: str
    positional: list[str] = field(default_factory=list)
    keyword: dict[str, str] = field(default_factory=dict)
    path: str = ""
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Any = None


def render(api: Api, sources: str, document: Map) -> dict[str, str]:
    """Make the examples for `generated/conformance/`, a module per resource.

    :raises SpecFaults: if the spec has a security scheme that the tests have no secret for.
    """
    remedy = f"Use one of {', '.join(SECRETS)}"
    faults = [
        fault(
            document["components"]["securitySchemes"], scheme.name, f"no test knows a secret of {scheme.name!r}", remedy
        )
        for scheme in api.schemes
        if scheme.name not in SECRETS
    ]
    if faults:
        raise SpecFaults(faults)
    env = environment("conformance", sources)
    env.globals.update(
        api=api, answers=answers, arguments=arguments, call=call, query=query, shape=lambda one: shape(api, one)
    )
    writer = Writer(api)
    template = env.get_template("operations.py.jinja")
    files = {}
    for resource in api.resources:
        operations = [(operation, writer.cases(operation)) for operation in resource.operations]
        files[f"operations/{resource.name}.py"] = template.render(resource=resource, operations=operations)
    return files


def arguments(operation: Operation) -> list[str]:
    """The names of the path arguments."""
    return [argument.name for argument in operation.path_arguments]


def call(resource: Resource, operation: Operation, case: Case, *, empty: str = "", client: str = "cube") -> str:
    """Write the source of a call; `empty` names the path argument to leave empty, `client` the client."""
    names = arguments(operation)
    positional = ["EMPTY" if name == empty else text for name, text in zip(names, case.positional, strict=True)]
    keyword = [f"{name}={text}" for name, text in case.keyword.items()]
    return f"{client}.{resource.name}.{operation.name}({', '.join([*positional, *keyword])})"


def query(case: Case) -> str:
    """Encode the query of a case, leaving readable what needs no escape."""
    return urlencode(case.query, safe="[],:/@")


def credentials(api: Api, name: str) -> dict[str, str]:
    """The only header of the request that may authenticate the caller."""
    scheme = next(scheme for scheme in api.schemes if scheme.name == name)
    return {scheme.header.lower(): scheme.prefix + SECRETS[name]}


def answers(operation: Operation) -> list[str]:
    """Write the arguments of each `Answer`."""
    if operation.result.kind == "none":
        return [str(status) for status, _ in operation.result.examples] or ["200"]
    found = []
    for status, example in operation.result.examples:
        count = f", count={count_of(example)}" if operation.result.kind == "count" else ""
        found.append(f"{status}, {literal(example)}{count}")
    return found


def shape(api: Api, operation: Operation) -> dict[str, Any]:
    """Collect the other arguments of an `Operation`, without those at their defaults."""
    result = operation.result
    found: dict[str, Any] = {}
    if result.envelope:
        found["envelope"] = result.envelope
    if result.page:
        found["items"] = result.page.items
    if result.first:
        found["first"] = True
    if result.item_envelope:
        found["item_envelope"] = result.item_envelope
    identities = identities_of(api, operation)
    if identities:
        found["identities"] = identities
    if operation.security:
        found["credentials"] = credentials(api, operation.security[0][0])
    if not operation.idempotent:
        found["idempotent"] = False
    return found


def identities_of(api: Api, operation: Operation) -> list[str]:
    """The keys that each model of a result must have."""
    kind = operation.result.type
    name = (kind.item or kind).name if kind is not None else ""
    return [field.wire for model in api.models if model.name == name for field in model.identities]


class Writer:
    def __init__(self, api: Api) -> None:
        self.models = {model.name: model for model in api.models}

    def cases(self, operation: Operation) -> list[Case]:
        """Make the smallest call, the fullest, and one for each further example of a body."""
        bodies = operation.body_examples or (("fullest", None),)
        cases = [self.case(operation, "smallest", bodies[0][1], full=False)]
        cases.append(self.case(operation, "fullest", bodies[0][1], full=True))
        cases += [self.case(operation, name, body, full=False, all_of_body=True) for name, body in bodies[1:]]
        return [case for index, case in enumerate(cases) if not any(_same(case, other) for other in cases[:index])]

    def case(self, operation: Operation, name: str, body: Any, *, full: bool, all_of_body: bool = False) -> Case:
        case = Case(name)
        chosen = self.chosen(operation, body, full=full, all_of_body=all_of_body)
        for piece in operation.path:
            if isinstance(piece, str):
                case.path += piece
                continue
            value = self.path_value(piece, full)
            case.path += ",".join(
                quote(str(entry), safe="") for entry in (value if isinstance(value, list) else [value])
            )
        case.positional = [literal(self.path_value(argument, full)) for argument in operation.path_arguments]
        case.path = case.path.replace(OWN_USER, operation.own_user)
        case.query += [
            (name, operation.own_user if value == OWN_USER else value) for name, value in operation.fixed_query
        ]
        for argument in operation.arguments:
            if argument.place == "query" and argument.name in chosen:
                case.keyword[argument.name] = self.python(argument.type, argument.example)
                case.query += _query(argument)
        if operation.filters and "filters" in chosen:
            example = _python_names(operation.filters.example)
            case.keyword["filters"] = literal(example)
            case.query += _filters(operation.filters, example)
        page = operation.result.page
        if page is not None and page.style == "keyset" and not any(key.startswith("sort_") for key, _ in case.query):
            case.query.append(("sort_desc", page.step))
        if operation.body and not operation.body_whole:
            self.add_body(operation, case, body, chosen)
        return case

    def chosen(self, operation: Operation, body: Any, *, full: bool, all_of_body: bool) -> set[str]:
        """Choose the arguments of a case, by name."""
        inner = _inner(operation, body)
        available = {
            argument.name
            for argument in operation.arguments
            if (argument.wire in inner if argument.place == "body" else argument.example is not None)
        }
        if operation.filters and operation.filters.example:
            available.add("filters")
        required = {argument.name for argument in operation.arguments if argument.required}
        in_body = {argument.name for argument in operation.arguments if argument.place == "body"}
        chosen = set(available) if full else set(required)
        if all_of_body:
            chosen |= available & in_body
        for rule, group in operation.rules:
            given = [name for name in group if name in chosen]
            if rule in ("exactly-one", "at-least-one") and not given:
                chosen.update([name for name in group if name in available][:1])
            if rule in ("exactly-one", "at-most-one"):
                chosen.difference_update(given[1:])
        if operation.additional and (full or all_of_body):
            chosen.add(operation.additional.name)
        return chosen

    def path_value(self, argument: Argument, full: bool) -> Any:
        value = argument.example
        if argument.type.kind == "list":
            value = value if isinstance(value, list) else [value]
            return value if full else value[0]
        return value[0] if isinstance(value, list) else value

    def add_body(self, operation: Operation, case: Case, example: Any, chosen: set[str]) -> None:
        inner = _inner(operation, example)
        body: dict[str, Any] = {}
        for wire, what in operation.filled:
            body[wire] = APP_ID if what == "app_id" else AUTH_KEY
        for argument in operation.arguments:
            if argument.place != "body":
                continue
            if argument.name in chosen and argument.wire in inner:
                case.keyword[argument.name] = self.python(argument.type, inner[argument.wire])
                body[argument.wire] = self.wire(argument.type, inner[argument.wire])
            elif argument.default is not None:
                body[argument.wire] = argument.default
        if operation.additional and operation.additional.name in chosen:
            known = {argument.wire for argument in operation.arguments} | {wire for wire, _ in operation.filled}
            further = {key: value for key, value in inner.items() if key not in known}
            if further:
                case.keyword[operation.additional.name] = literal(further)
                body.update(further)
        if body or operation.body_required:
            case.body = {operation.envelope: body} if operation.envelope else body

    # -- values

    def wire(self, kind: Type, value: Any) -> Any:
        """Convert an example to what the client must send: the same, except for the free form of base64."""
        decoded = _decoded(value) if kind.kind == "json64" else None
        if decoded is not None:
            raw = json.dumps(decoded, ensure_ascii=False, separators=(",", ":"))
            return base64.b64encode(raw.encode()).decode()
        return value

    def python(self, kind: Type, value: Any) -> str:
        """Write the source of an example in its Python form."""
        if value is None:
            return "None"
        match kind.kind:
            case "flag":
                return literal(str(value) == "1")
            case "unix":
                return f"dt.datetime.fromtimestamp({literal(value)}, dt.UTC)"
            case "iso":
                return _time(value)
            case "json64":
                decoded = _decoded(value)
                return literal(value if decoded is None else decoded)
            case "comma":
                item = kind.item or Type("any")
                parts = [int(part) if item.kind == "integer" else part for part in str(value).split(",")]
                return literal(parts)
            case "list":
                return self.sequence(kind, value if isinstance(value, list) else [value])
            case "index_map":
                return self.sequence(kind, list(value.values()) if isinstance(value, dict) else value)
            case "map":
                item = kind.item or Type("any")
                entries = [f"{literal(key)}: {self.python(item, entry)}" for key, entry in value.items()]
                return f"{{{', '.join(entries)}}}"
            case "model":
                return self.nested(self.models[kind.name], value)
            case _:
                return literal(value)

    def sequence(self, kind: Type, values: list[Any]) -> str:
        item = kind.item or Type("any")
        return f"[{', '.join(self.python(item, entry) for entry in values)}]"

    def nested(self, model: Model, value: dict[str, Any]) -> str:
        fields = {entry.wire: entry for entry in model.fields}
        entries = []
        for key, inner in value.items():
            if key in fields:
                entries.append(f"{literal(fields[key].name)}: {self.python(fields[key].type, inner)}")
            else:
                entries.append(f"{literal(key)}: {literal(inner)}")
        return f"{{{', '.join(entries)}}}"


def _same(case: Case, other: Case) -> bool:
    return (case.positional, case.keyword) == (other.positional, other.keyword)


def _inner(operation: Operation, body: Any) -> dict[str, Any]:
    """Take the fields of a body example out of its envelope."""
    if operation.envelope and isinstance(body, dict):
        body = body.get(operation.envelope)
    return body if isinstance(body, dict) else {}


def _time(value: Any) -> str:
    try:
        time = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return literal(value)
    if time.tzinfo is None or time.isoformat().replace("+00:00", "Z") != value:
        return literal(value)
    return repr(time).replace("datetime.datetime", "dt.datetime").replace("datetime.timezone.utc", "dt.UTC")


def _decoded(value: Any) -> Any:
    """Decode the JSON inside a base64 text, or return `None`."""
    try:
        found = json.loads(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _query(argument: Argument) -> list[tuple[str, str]]:
    value = argument.example
    if isinstance(value, list):
        if argument.explode:
            return [(argument.wire, _text(entry)) for entry in value]
        return [(argument.wire, ",".join(map(_text, value)))]
    if isinstance(value, dict):
        return [(f"{argument.wire}[{key}]", _text(entry)) for key, entry in value.items()]
    return [(argument.wire, _text(value))]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _python_names(example: Any) -> dict[str, Any]:
    return {key.lstrip("_"): value for key, value in (example or {}).items()}


def _filters(filters: Filters, example: dict[str, Any]) -> list[tuple[str, str]]:
    """Encode a filter example by the rules of docs/spec-language.md."""
    pairs: list[tuple[str, str]] = []
    fields = {entry.name: entry for entry in filters.fields}
    for name, rule in example.items():
        entry = fields.get(name) or fields["*"]
        wire = name if entry.wire == "*" else entry.wire
        groups = [(f"{wire}[{key}]", inner) for key, inner in rule.items()] if entry.free else [(wire, rule)]
        for key, inner in groups:
            for operator, operand in inner.items() if isinstance(inner, dict) else [("", inner)]:
                operands = [_text(value) for value in (operand if isinstance(operand, list) else [operand])]
                if filters.lists == "v1":
                    value = f"{entry.v1_type} {key} {operator or 'eq'} {','.join(operands)}"
                    pairs.append(("filter[]", value))
                elif filters.lists == "repeat" and operator in LIST_OPERATORS:
                    pairs += [(f"{key}[{operator}][]", value) for value in operands]
                else:
                    pairs.append((f"{key}[{operator}]" if operator else key, ",".join(operands)))
    return pairs
