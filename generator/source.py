"""Load YAML and JSON files as plain data that knows its lines."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable
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


def placed(node: Any, like: Map | Seq, key: object) -> Any:
    """Give a made-up mapping or sequence the file and the line of an entry of another."""
    line = like.line_of(key)
    node.file, node.line = like.file, line
    node.lines = [line] * len(node) if isinstance(node, Seq) else dict.fromkeys(node, line)
    return node


def distinct(values: Iterable[Any]) -> list[Any]:
    """Values in their order, each once; unlike the keys of a dict, they may be mappings."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def child(parent: Map, key: str) -> Map:
    """Return the mapping at a key of another, creating it if it is missing."""
    if not isinstance(parent.get(key), Map):
        parent[key] = placed(Map(), parent, None)
    found = parent[key]
    assert isinstance(found, Map)
    return found


def copied(node: Map) -> Map:
    """Copy a mapping, but not what it holds."""
    made = Map(node)
    made.file, made.line, made.lines = node.file, node.line, dict(node.lines)
    return made


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


def load(path: Path, name: str, harmless: list[Fault] | None = None) -> Map:
    """Read one file.

    :param name: what to call the file in faults.
    :param harmless: takes the faults that cost only the part of the file that is wrong; by default they are raised.
    :raises SpecFaults: if it can't be read, is not valid YAML or does not hold a mapping.
    """
    text = _text(path, name)
    builder = _Builder(name)
    try:
        # The composer is C code and recurses without a limit.
        deep = _too_deep(text)
        if deep:
            raise SpecFaults([_too_much(name, deep)])
        node = yaml.compose(text, Loader=_Loader)
        value = builder.build(node, 0) if node is not None else None
    except yaml.YAMLError as error:
        try:
            # Some JSON is not YAML, such as keys of more than 1024 characters.
            value = _built(json.loads(text, parse_constant=_finite, parse_float=_finite), name, 0)
        except (ValueError, RecursionError):
            value = None
        if value is None:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            line = mark.line + 1 if mark else 1
            raise SpecFaults([Fault(name, line, f"invalid YAML: {problem}", "Fix the syntax")]) from error
    fatal = [] if harmless is not None else builder.faults
    if not isinstance(value, Map):
        fatal = [*builder.faults, Fault(name, 1, "the document is not a mapping", "Start it with `openapi: 3.1.0`")]
    if fatal:
        raise SpecFaults(fatal)
    if harmless is not None:
        harmless += builder.faults
    assert isinstance(value, Map)
    return value


def _text(path: Path, name: str) -> str:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # Reading a pipe or a device may never end.
            raise SpecFaults([Fault(name, 1, "can't be read (it is not a regular file)", "Use a regular file")])
        raw = path.read_bytes()
        wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = raw.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecFaults(
            [Fault(name, 1, f"can't be read ({error})", "Use a UTF-8 file with read permission")]
        ) from error
    # YAML has no pairs of surrogates.
    return _PAIR.sub(lambda match: match[1] + chr(_code(match)), text) if path.suffix == ".json" else text


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(number)
    return float(number)


def _built(value: Any, name: str, depth: int) -> Any:
    """Make of the data of a JSON file what `_Builder` makes of YAML; the lines are not known.

    :raises ValueError: if it nests too deeply or has a text that is not Unicode.
    """
    if depth > DEEPEST:
        raise ValueError
    if isinstance(value, str):
        value.encode("utf-8")
    if isinstance(value, dict):
        mapping = Map({key: _built(entry, name, depth + 1) for key, entry in value.items()})
        mapping.file, mapping.line, mapping.lines = name, 1, {}
        return mapping
    if isinstance(value, list):
        sequence = Seq(_built(entry, name, depth + 1) for entry in value)
        sequence.file, sequence.line, sequence.lines = name, 1, []
        return sequence
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
        merged: list[Map] = []
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(Fault(self.file, key_line, "a key is not a string", "Write a plain name"))
                continue
            key = key_node.value
            value = self.build(value_node, depth + 1)
            sources = value if isinstance(value, Seq) else [value]
            if key == "<<" and not key_node.style and all(isinstance(source, Map) for source in sources):
                merged += sources
                continue
            if key in mapping:
                self.faults.append(Fault(self.file, key_line, f"duplicate key {key!r}", "Remove one of them"))
            mapping.lines[key] = key_line
            mapping[key] = value
        for source in merged:
            # What the mapping itself says wins, then what comes first.
            for key in source:
                if key not in mapping:
                    mapping.lines[key] = source.line_of(key)
                    mapping[key] = source[key]
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
                return None
            case tag:
                self.faults.append(Fault(self.file, line, f"unknown tag {tag!r}", "Write a plain value"))
                return text


def plain(value: Any) -> Any:
    """The same data without its lines."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value
