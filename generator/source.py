"""Load YAML and JSON files as plain data that knows its lines."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from .faults import Fault, SpecFaults

MOST_NODES = 2_000_000
"""The most nodes that a file may hold with its aliases expanded: more is an alias bomb."""

DEEPEST = 200
"""The most levels that a file may nest."""


class Map(dict[str, Any]):
    """A mapping that knows the file and the line of each of its keys."""

    file: str = "?"
    line: int = 0
    lines: dict[str, int]

    def line_of(self, key: object) -> int:
        return self.lines.get(str(key), self.line)


class Seq(list[Any]):
    """A sequence that knows the file and the line of each of its entries."""

    file: str = "?"
    line: int = 0
    lines: list[int]

    def line_of(self, key: object) -> int:
        return self.lines[key] if isinstance(key, int) and key < len(self.lines) else self.line


def fault(parent: Map | Seq, key: object, problem: str, remedy: str) -> Fault:
    """A fault at an entry of a mapping or a sequence."""
    return Fault(parent.file, parent.line_of(key), problem, remedy)


class _Loader(yaml.CSafeLoader):
    """Only the scalars of YAML 1.2's core schema: no `yes`, no dates, no octal surprises."""


_Loader.yaml_implicit_resolvers = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.I), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$", re.I), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


_PAIR = re.compile(r"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
"""The two escapes that JSON uses for a character outside the basic plane."""


def _code(match: re.Match[str]) -> int:
    return 0x10000 + ((int(match[2], 16) & 0x3FF) << 10) + (int(match[3], 16) & 0x3FF)


def load(path: Path, name: str) -> Map:
    """Read one file.

    :param name: what to call the file in faults.
    :raises SpecFaults: if it can't be read, is not valid YAML or does not hold a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecFaults(
            [Fault(name, 1, f"can't be read ({error})", "Use a UTF-8 file with read permission")]
        ) from error
    if path.suffix == ".json":
        # YAML has no pairs of surrogates.
        text = _PAIR.sub(lambda match: match[1] + chr(_code(match)), text)
    try:
        # The composer is C code and recurses without a limit.
        deep = _too_deep(text)
        if deep:
            raise SpecFaults([_too_much(name, deep)])
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = mark.line + 1 if mark else 1
        raise SpecFaults([Fault(name, line, f"invalid YAML: {problem}", "Fix the syntax")]) from error
    builder = _Builder(name)
    value = builder.build(node, 0) if node is not None else None
    if not isinstance(value, Map):
        builder.faults.append(Fault(name, 1, "the document is not a mapping", "Start it with `openapi: 3.1.0`"))
    if builder.faults:
        raise SpecFaults(builder.faults)
    assert isinstance(value, Map)
    return value


def _too_deep(text: str) -> int:
    """The line at which a text nests too deeply, or 0."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                return event.start_mark.line + 1 if event.start_mark else 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return 0


def _too_much(name: str, line: int) -> Fault:
    problem = "too large or too deeply nested with its aliases expanded"
    return Fault(name, line, problem, "Remove levels, or aliases of aliases")


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.left = MOST_NODES

    def build(self, node: yaml.Node, depth: int) -> Any:
        self.left -= 1
        line = node.start_mark.line + 1
        if self.left < 0 or depth > DEEPEST:
            raise SpecFaults([_too_much(self.file, line)])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, line, depth)
        if isinstance(node, yaml.SequenceNode):
            sequence = Seq(self.build(child, depth + 1) for child in node.value)
            sequence.file, sequence.line = self.file, line
            sequence.lines = [child.start_mark.line + 1 for child in node.value]
            return sequence
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, line)

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> Map:
        mapping = Map()
        mapping.file, mapping.line, mapping.lines = self.file, line, {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(Fault(self.file, key_line, "a key is not a string", "Write a plain name"))
                continue
            key = key_node.value
            if key in mapping:
                self.faults.append(Fault(self.file, key_line, f"duplicate key {key!r}", "Remove one of them"))
            mapping.lines[key] = key_line
            mapping[key] = self.build(value_node, depth + 1)
        return mapping

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        text = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "bool":
                return text.lower() == "true"
            case "null":
                return None
            case "int" | "float" as tag:
                try:
                    number = int(text) if tag == "int" else float(text)
                except ValueError:
                    number = math.inf
                if abs(number) != math.inf:
                    return number
                self.faults.append(Fault(self.file, line, "not a readable number", "Write a smaller one, or quote it"))
                return 0
            case tag:
                self.faults.append(Fault(self.file, line, f"unknown tag {tag!r}", "Write a plain value"))
                return None


def plain(value: Any) -> Any:
    """The same data without its lines."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value
