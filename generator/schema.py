"""What a JSON Schema finds wrong in a file of the spec, as faults with lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from .faults import Fault, nearest
from .source import Map, Seq, fault, plain


class Schema:
    """The schema of one language. `guide` is the page that explains the language."""

    def __init__(self, path: Path, guide: str) -> None:
        self.validator = jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
        self.remedy = f"See {guide}"

    def faults(self, document: Map) -> list[Fault]:
        return [self._fault(document, error) for error in self.validator.iter_errors(plain(document))]

    def _fault(self, document: Map, error: Any) -> Fault:
        node: Any = document
        key: Any = None
        for part in error.absolute_path:
            below = node[part]
            if not isinstance(below, (Map, Seq)):
                key = part
                break
            node, key = below, None
        if error.validator == "additionalProperties" and isinstance(error.instance, dict):
            known = list(error.schema["properties"])
            extra = [name for name in error.instance if name not in known]
            key = extra[0]
            return fault(node, key, f"unknown key {key!r}", nearest(key, known, f"Known are {', '.join(known)}"))
        if error.validator == "enum" and error.absolute_path and error.absolute_path[-1] == "type":
            problem = f"unknown type {error.instance!r}"
            return fault(node, key, problem, nearest(str(error.instance), error.validator_value, self.remedy))
        if key is None and isinstance(error.instance, str) and isinstance(node, Map) and error.instance in node:
            # A name that is a key: its own line says more than that of the mapping.
            key = error.instance
        message = error.message if len(error.message) < 160 else f"{error.message[:160]}..."
        return fault(node, key, message, self.remedy)
