"""Find one's way in a bundled document: its operations, their parameters, and what references point to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from ..source import Map
from .grammar import METHODS

PATH_PARAMETER = re.compile(r"{([^{}]*)}")

_QUERY_NAMES = re.compile(r"{[?&]([^{}]*)}")


def divided(path: str) -> tuple[str, list[str]]:
    """Divide a path from the pairs of its query; a fragment is never sent."""
    # As in the templates of RFC 6570: `/things{?page,size}`.
    names = [name.strip().rstrip("*") for group in _QUERY_NAMES.findall(path) for name in group.split(",")]
    path, _, query = _QUERY_NAMES.sub("", path).partition("#")[0].partition("?")
    return path, [pair for pair in query.split("&") if pair] + [f"{{{name}}}" for name in names if name]


def methods_of(item: Map) -> Iterator[tuple[str, Map]]:
    """The methods of a path that have an operation, each with it."""
    yield from ((method, item[method]) for method in METHODS if method in item)
    yield from (item.get("additionalOperations") or Map()).items()


def operations_of(item: Map) -> list[Map]:
    """The operations of a path, each followed by its variants."""
    return [found for _, operation in methods_of(item) for found in (operation, *(operation.get("x-variants") or ()))]


def parameters_of(document: Map, item: Map, operation: Map) -> list[Map]:
    """An operation's parameters, resolved; those of its path where it has none of the same name."""
    own = [deref(document, entry) for entry in operation.get("parameters") or ()]
    names = {(entry.get("name"), entry.get("in")) for entry in own}
    shared = [deref(document, entry) for entry in item.get("parameters") or ()]
    return own + [entry for entry in shared if (entry.get("name"), entry.get("in")) not in names]


def resolve(document: Map, ref: str) -> Any:
    """What a local reference points to, or `None`."""
    return at(document, ref.removeprefix("#/"))[2]


def at(document: Any, pointer: str) -> tuple[Any, Any, Any]:
    """What a pointer without its first slash leads to.

    :returns: what holds it, its key there, and the value itself; `None` for each if there is nothing.
    """
    holder: Any = None
    key: Any = None
    node: Any = document
    for part in pointer.split("/"):
        key = unescaped(part)
        if isinstance(node, dict) and key in node:
            holder, node = node, node[key]
        elif isinstance(node, list) and key.isdecimal() and key.isascii() and len(key) < 10 and int(key) < len(node):
            key = int(key)
            holder, node = node, node[key]
        else:
            return None, None, None
    return holder, key, node


def escaped(part: str) -> str:
    """Escape a key for a reference."""
    return part.replace("~", "~0").replace("/", "~1").replace("%", "%25")


def reference(name: str) -> dict[str, Any]:
    """Refer to a component schema."""
    return {"$ref": f"#/components/schemas/{escaped(name)}"}


def component(ref: str) -> str | None:
    """The name of the component schema that a reference points to, or `None`."""
    section, _, name = ref.rpartition("/")
    return unescaped(name) if section == "#/components/schemas" else None


def unescaped(part: str) -> str:
    """Unescape a part of a reference."""
    return unquote(part).replace("~1", "/").replace("~0", "~")


def deref(document: Map, node: Any) -> Any:
    """Follow an object's `$ref` to the object itself; a circle of references leads to an empty one."""
    seen: set[str] = set()
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        ref = node["$ref"]
        if ref in seen:
            return Map()
        seen.add(ref)
        node = resolve(document, ref)
    return node


def circular(parts: dict[str, set[str]]) -> list[str]:
    """The names that can be reached from themselves."""
    left = {name: set(targets) for name, targets in parts.items()}
    while leaves := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in leaves:
            del left[name]
    return [name for name in left if _reaches(name, left)]


def _reaches(name: str, parts: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    stack = list(parts[name])
    while stack:
        current = stack.pop()
        if current == name:
            return True
        if current in parts and current not in seen:
            seen.add(current)
            stack.extend(parts[current])
    return False
