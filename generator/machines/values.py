"""Check the values of cases, and write them for a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .model import Effect, Kind, Values

CLASSES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "text": (str,)}
WORDS = {"int": "an integer", "float": "a number", "bool": "true or false", "text": "a text"}


def problem_of(kind: str, optional: bool, value: Any, kinds: Mapping[str, Kind]) -> str:
    """Explain why a value does not fit a type; empty if it fits."""
    if value is None and optional:
        return ""
    shown = show(value)
    shown = shown if len(shown) < 60 else f"{shown[:60]}..."
    if kind in CLASSES:
        # In Python a bool is also an int.
        right = isinstance(value, CLASSES[kind]) and isinstance(value, bool) == (kind == "bool")
        return "" if right else f"{shown} is not {WORDS[kind]}"
    if kind in ("tuple", "set", "queue"):
        if not isinstance(value, list) or any(isinstance(one, (list, dict)) for one in value):
            return f"{shown} is not a list of plain values"
        if kind == "set" and any(value.count(one) > 1 for one in value):
            return f"{shown} contains an entry twice"
        return ""
    if kind == "any":
        return f"{shown} is not a plain value" if isinstance(value, (list, dict)) else ""
    declared = kinds.get(kind)
    if declared is None:
        return ""  # An unknown type is a fault where it is used.
    if declared.values:
        return "" if value in declared.values else f"{shown} is not one of {', '.join(declared.values)}"
    if not isinstance(value, dict):
        return f"{shown} is not a mapping of the fields of {kind}"
    by_name = {field.name: field for field in declared.fields}
    for name, inner in value.items():
        if name not in by_name:
            return f"{kind} has no field {name!r}"
        problem = problem_of(by_name[name].type, by_name[name].optional, inner, kinds)
        if problem:
            return f"{name}: {problem}"
    return ""


def show(value: Any) -> str:
    """Write a value as one-line YAML."""
    if isinstance(value, str):
        plain = value and value[0].isalpha() and all(char.isalnum() or char in "-_." for char in value)
        return value if plain and value not in ("true", "false", "null") else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(show, value)) + "]"
    return json.dumps(value)


def show_values(values: Values) -> str:
    return ", ".join(f"{name}: {show(value)}" for name, value in values.items())


def show_effect(effect: Effect) -> str:
    return f"{effect.name}({show_values(effect.values)})" if effect.values else effect.name
