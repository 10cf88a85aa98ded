"""Check files of the spec against a JSON Schema, with faults that name the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema

from .faults import Fault, SpecFaults, nearest
from .source import Map, Seq, fault, load, plain


class Schema:
    """The schema of one language.

    :param source: the schema, or the file that holds it.
    :param guide: the page that explains the language.
    """

    def __init__(self, source: Path | dict[str, Any], guide: str) -> None:
        if isinstance(source, Path):
            # JSON Schema's `$` is the end of the text; Python's also matches before a final newline.
            schema = json.loads(source.read_text(encoding="utf-8").replace('$"', r'\\Z"'))
        else:
            schema = source
        self.validator = jsonschema.Draft202012Validator(schema)
        self.remedy = f"See {guide}"

    def faults(self, document: Map) -> list[Fault]:
        errors = self.validator.iter_errors(plain(document))
        return [fault for error in errors for fault in self._faults(document, error)]

    def _faults(self, document: Map, error: Any) -> Iterator[Fault]:
        node, _ = place(document, error.absolute_path)
        if error.validator == "additionalProperties":
            for key in unknown(error):
                yield self._unknown(node, key, error)
        else:
            yield self._fault(document, error)

    def _unknown(self, node: Map | Seq, key: str, error: Any) -> Fault:
        known = list(error.schema["properties"])
        return fault(node, key, f"unknown key {key!r}", nearest(key, known, f"Known are {', '.join(known)}"))

    def _fault(self, document: Map, error: Any) -> Fault:
        node, key = place(document, error.absolute_path)
        if error.validator == "enum" and error.absolute_path and error.absolute_path[-1] == "type":
            problem = f"unknown type {error.instance!r}"
            return fault(node, key, problem, nearest(str(error.instance), error.validator_value, self.remedy))
        if key is None and isinstance(error.instance, str) and isinstance(node, Map) and error.instance in node:
            # A property name: its own line is more precise than that of the mapping.
            key = error.instance
        return fault(node, key, short(error.message, 160), self.remedy)


def read_folder(folder: Path, base: Path, language: str, guide: str) -> tuple[list[tuple[Path, Map]], list[Fault]]:
    """Load all files of a folder that are valid by the schema of their language.

    :param base: the folder that file names in faults are relative to.
    :param language: the name of the schema.
    :returns: each file with its document, and the faults of the other files.
    """
    schema = Schema(folder.parent / "schema" / f"{language}.schema.json", guide)
    documents: list[tuple[Path, Map]] = []
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            document = load(path, path.resolve().relative_to(base.resolve()).as_posix())
        except SpecFaults as error:
            faults += error.faults
            continue
        found = schema.faults(document)
        faults += found
        if not found:
            documents.append((path, document))
    return documents, faults


def unknown(error: Any) -> list[str]:
    """The keys of an object that its schema does not allow."""
    patterns = error.schema.get("patternProperties", ())
    return [
        key
        for key in error.instance
        if key not in error.schema["properties"] and not any(re.search(pattern, key) for pattern in patterns)
    ]


def place(node: Map | Seq, path: Iterable[Any]) -> tuple[Map | Seq, Any]:
    """The innermost mapping or sequence on the way to a value, and the key in it that leads further, if any."""
    key: Any = None
    for part in path:
        below = node[part]
        if not isinstance(below, (Map, Seq)):
            key = part
            break
        node = below
    return node, key


def short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
