"""Publish the bundled document for other tools: whatever an `x-` keyword says, it also says in standard terms.

What is added carries a mark, by which the generator and the sandbox skip it: they read the keywords.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ..source import Map, plain
from .grammar import LIST_OPERATORS, METHODS, objects

Node = dict[str, Any]

RULES = {"exactly-one": "exactly one of", "at-least-one": "at least one of", "at-most-one": "at most one of"}

DEEP = {"style": "deepObject", "explode": True}

_FIXED_TYPES = {bool: "boolean", int: "integer"}

_TEXT_OPERATORS = frozenset(("ctn", "near", "start_with"))
"""The operators that take a text, whatever the type of the field."""


def publish(document: Map) -> Node:
    """Convert the document to plain data in standard terms."""
    published: Node = plain(document)
    operations = [item[name] for item in published.get("paths", {}).values() for name in METHODS if name in item]
    for node, kind in objects(published, "document"):
        if kind == "schema" and node.get("x-secret") and node.get("type") == "string":
            node.setdefault("format", "password")
    filters = {operation["operationId"]: operation.get("x-filters") for operation in operations}
    for operation in operations:
        _wrap_entries(operation)
        _say_rules(operation)
        found = filters.get(operation.get("x-filters-of")) or operation.get("x-filters")
        parameters = operation.setdefault("parameters", [])
        parameters += _fixed(operation, required=True)
        for variant in operation.get("x-variants", ()):
            _publish_variant(operation, variant, found["fields"] if found else ())
        parameters += [{**entry, "x-of-filters": True} for entry in _filters(found)] if found else []
    return published


def rules_text(rules: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Write in words which arguments go together.

    :param rules: names of `RULES`, each with the arguments that it is about.
    """
    return " ".join(_rule(rule, [f"`{name}`" for name in group]) for rule, group in rules)


def _rule(rule: str, names: list[str]) -> str:
    return f"Pass {RULES[rule]} {', '.join(names[:-1])} and {names[-1]}." if names[1:] else f"Pass {names[0]}."


def _say_rules(operation: Node) -> None:
    text = rules_text((rule, group) for rule in RULES for group in operation.get(f"x-{rule}", ()))
    if text:
        operation["description"] = f"{operation.get('description', '')} {text}".strip()


# -- entries of lists


def _wrap_entries(operation: Node) -> None:
    """Say that the entries of a list may have an envelope."""
    envelope = operation.get("x-item-envelope")
    if envelope is None:
        return
    listed = operation.get("x-page", {}).get("items") or operation.get("x-response-envelope")
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            schema = response["content"]["application/json"]["schema"]
            array = schema["properties"][listed] if listed else schema
            entry = array["items"]
            wrapped = {"type": "object", "required": [envelope], "properties": {envelope: entry}}
            array["items"] = {"anyOf": [entry, wrapped], "x-merged": True}


# -- variants


def _fixed(operation: Node, *, required: bool) -> list[Node]:
    """The query parameters that are always sent."""
    return [
        {
            "name": name,
            "in": "query",
            "description": f"Always {str(value).lower()}.",
            "required": required,
            "schema": {"type": _FIXED_TYPES.get(type(value), "string"), "const": value},
            "example": value,
            "x-of-variant": operation["operationId"],
        }
        for name, value in operation.get("x-fixed-query", {}).items()
    ]


def _publish_variant(operation: Node, variant: Node, filters: Collection[str]) -> None:
    """Add a variant's parameters and answers, for OpenAPI has one operation per path and verb.

    The answers of an operation and its variants are listed under an `anyOf`, marked `x-merged: true` if the first is
    that of the operation itself. A schema marked `x-merged: false` is only that of a variant.

    :param filters: the fields of the operation's filters, which are published as parameters of their own.
    """
    parameters = operation["parameters"]
    known = {(entry.get("in"), entry.get("name")) for entry in parameters} | {("query", name) for name in filters}
    for entry in [*_fixed(variant, required=False), *variant.get("parameters", ())]:
        if entry.get("in") == "query" and ("query", entry["name"]) not in known:
            parameters.append({**entry, "required": False, "x-of-variant": variant["operationId"]})
            known.add(("query", entry["name"]))
    for status, response in variant["responses"].items():
        own = operation["responses"].setdefault(status, response)
        if own is response or "$ref" in own or "content" not in response:
            continue
        media = response["content"].get("application/json")
        mine = own.setdefault("content", {}).setdefault("application/json", {})
        if media is None or mine.get("schema") == media["schema"]:
            continue
        if "schema" not in mine:
            mine["schema"] = {**media["schema"], "x-merged": False}
        elif "x-merged" not in mine["schema"]:
            mine["schema"] = {"anyOf": [mine["schema"], media["schema"]], "x-merged": True}
        else:
            mine["schema"]["anyOf"].append(media["schema"])


# -- filters


def _filters(filters: Node) -> Iterator[Node]:
    """The query parameters that stand for an operation's filters."""
    example = {name.lstrip("_"): value for name, value in filters.get("example", {}).items()}
    if filters["lists"] == "v1":
        yield _v1(filters, example)
        return
    for name, rule in filters["fields"].items():
        yield from _field(name, rule, filters["lists"] == "repeat", example)


def _v1(filters: Node, example: Node) -> Node:
    """Filters as lines of text, such as `number id in 81001,81002`."""
    fields = filters["fields"]
    operators = dict.fromkeys(name for rule in fields.values() for name in rule.get("operators", ()))
    types = dict.fromkeys(rule.get("x-v1-type", "string") for rule in fields.values())
    return {
        "name": "filter[]",
        "in": "query",
        "description": "Filters, each as type, field, operator and value; values of a list are separated by commas.",
        "schema": {
            "type": "array",
            "items": {
                "type": "string",
                "pattern": f"^({'|'.join(types)}) ({'|'.join(map(re.escape, fields))}) ({'|'.join(operators)}) .+$",
            },
        },
        "example": [
            f"{fields[name].get('x-v1-type', 'string')} {name} {operator} {_joined(value)}"
            for name, rule in example.items()
            for operator, value in rule.items()
        ],
    }


def _field(name: str, rule: Node, repeat: bool, example: Node) -> Iterator[Node]:
    """The parameters of one field: `field=value`, `field[operator]=value`, and lists as `repeat` says."""
    about = {"in": "query", "description": rule.get("description", "")}
    value = rule.get("schema", {})
    shown = example.get(name.lstrip("_"))
    if name == "*":
        yield _by_name("filters", "", rule, {"type": ["string", "number", "boolean"]}, example)
        return
    if value.get("type") == "object":
        one = value["additionalProperties"]
        schema = {"type": "object", "additionalProperties": one}
        yield {"name": name, **about, **DEEP, "schema": schema, **({"example": shown} if shown else {})}
        # OpenAPI's deep objects are not deep enough for an operator.
        yield _by_name(f"{name}_filters", name, rule, one, {key: {"ne": value} for key, value in (shown or {}).items()})
        return
    listed = [operator for operator in rule.get("operators", ()) if repeat and operator in LIST_OPERATORS]
    operators = {key: _operand(key, value) for key in rule.get("operators", ()) if key not in listed}
    schema = {"type": "object", "additionalProperties": False, "properties": operators}
    if rule.get("equality", True):
        schema = {"anyOf": [value, schema]} if operators else value
    by_operator = shown if isinstance(shown, dict) else {}
    other = {key: _joined(operand) for key, operand in by_operator.items() if key not in listed} or shown
    shows = {} if other is None or other is by_operator else {"example": other}
    yield {"name": name, **about, **(DEEP if operators else {}), "schema": schema, **shows}
    for operator in listed:
        shows = {"example": by_operator[operator]} if operator in by_operator else {}
        yield {"name": f"{name}[{operator}][]", **about, "schema": {"type": "array", "items": value}, **shows}


def _by_name(name: str, group: str, rule: Node, one: Node, example: Node) -> Node:
    """Filters whose names are free, as an object that is sent as one parameter for each of its keys.

    :param group: what the names are inside of.
    """
    field = rf"{group}\[[^\[\]]+\]" if group else r"[^\[\]]+"
    operators = rule.get("operators", ())
    by_operator = rf"\[({'|'.join(operators)})\]"
    shown = {
        (f"{group}[{key}]" if group else key) + f"[{operator}]": _joined(value)
        for key, inner in example.items()
        for operator, value in inner.items()
    }
    return {
        "name": name,
        "in": "query",
        "description": f"{rule.get('description', '')} Keys are as in the example, with an operator of "
        f"{', '.join(operators)}; values of a list are separated by commas.",
        "style": "form",
        "explode": True,
        "schema": {
            "type": "object",
            "propertyNames": {"pattern": f"^{field}{by_operator}$" if group else f"^{field}({by_operator})?$"},
            "additionalProperties": one,
        },
        **({"example": shown} if shown else {}),
    }


def _operand(operator: str, one: Node) -> Node:
    """The schema of what an operator compares with."""
    if operator in LIST_OPERATORS:
        return {"type": "string", "description": "Values, separated by commas."}
    if operator == "calc":
        return {"enum": ["avg", "max", "min", "sum"]}
    return {"type": "string"} if operator in _TEXT_OPERATORS else one


def _joined(value: Any) -> Any:
    """A value of an example, a list as text."""
    return ",".join(map(str, value)) if isinstance(value, list) else value
