"""What reading an operation needs of the whole document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..source import Map, fault, plain
from .document import deref
from .engine import Engine
from .model import Api, Scheme
from .schemas import Schemas
from .types import Types


@dataclass
class Reading:
    """A document that is being read, with the API that becomes of it."""

    document: Map
    schemas: Schemas
    engine: Engine
    types: Types
    api: Api
    security: dict[str, Scheme | None] = field(default_factory=dict)
    """The security schemes by their names in the document; `None` for those that the client does without."""
    filters: dict[str, Map] = field(default_factory=dict)
    """The filters of each operation that has its own."""
    filter_names: list[tuple[Map, str]] = field(default_factory=list)
    """The filters that have a class name, and that name."""

    def warn(self, parent: Map, key: object, problem: str, remedy: str = "The rest is generated") -> None:
        """Report what the client can't express."""
        self.api.warnings.append(fault(parent, key, problem, remedy))

    def examples(self, media: Map) -> list[tuple[str, Any]]:
        """The examples of a body or an answer, by name."""
        if "example" in media:
            return [("fullest", plain(media["example"]))]
        found = [(str(name), deref(self.document, entry)) for name, entry in (media.get("examples") or {}).items()]
        return [(name, plain(example["value"])) for name, example in found if "value" in example]
