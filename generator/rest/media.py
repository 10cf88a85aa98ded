"""The media types of bodies and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..source import Map
from .document import deref

FORMS = {"multipart/form-data": "multipart", "application/x-www-form-urlencoded": "form"}


@dataclass(frozen=True)
class Media:
    """One of the media types that a body or an answer offers."""

    kind: str
    """The type without its parameters; all that is JSON is `application/json`."""
    name: str
    """As the document has it."""
    entry: Map

    @property
    def wild(self) -> bool:
        """Whether it has wildcards."""
        return "*" in self.kind


JSON = ("application/json", "text/json", "text/x-json", "application/x-json")

LINES = frozenset(
    """application/x-ndjson application/ndjson application/jsonl application/x-jsonl application/jsonlines
    application/x-jsonlines application/json-lines""".split()
)
"""The media types of JSON values that each stand on a line."""

TEXTS = frozenset(
    """application/xml application/yaml application/x-yaml application/toml application/javascript
    application/ecmascript application/graphql application/sql application/rtf application/xhtml+xml
    application/x-sh application/typescript""".split()
)
"""The media types of text beside `text/*`."""


def body_media(document: Map, holder: Map) -> list[tuple[str, Media]]:
    """List the media types of a body, those of JSON first, each with the kind of `Form` that it makes.

    Of types that differ only in a parameter which says nothing new, the first stands for all.
    """
    found: dict[str, tuple[str, Media]] = {}
    for name, entry in (holder.get("content") or {}).items():
        entry = entry if isinstance(entry, Map) else _empty(holder["content"], name)
        plain = name.partition(";")[0].strip().lower()
        media = Media(plain, name, entry)
        same = "".join(name.lower().split()).removesuffix(";charset=utf-8")
        found.setdefault(same, (_body_kind(document, media), media))
    bodies = sorted(found.values(), key=lambda pair: (pair[0] != "json", pair[1].kind != "application/json"))
    known = {kind for kind, media in bodies if not media.wild}
    # `application/*+json` beside JSON adds nothing.
    return [(kind, media) for kind, media in bodies if not (media.wild and kind == "json" and kind in known)]


def _empty(parent: Map, key: str) -> Map:
    """The object that stands for a key without a value."""
    found = Map()
    found.file, found.line, found.lines = parent.file, parent.line_of(key), {}
    return found


def _body_kind(document: Map, media: Media) -> str:
    kind = media.kind
    if kind in JSON or kind.endswith("+json"):
        return "json"
    if kind in ("*/*", "application/*") and _is_structured(deref(document, media.entry.get("schema"))):
        return "json"
    if kind in FORMS:
        return FORMS[kind]
    if kind in LINES:
        return "lines"
    return "text" if kind in TEXTS or kind.startswith("text/") or kind.endswith(("+xml", "+yaml")) else "binary"


def _is_structured(schema: Any) -> bool:
    """Whether a schema is one of JSON rather than of text or bytes."""
    return isinstance(schema, dict) and bool(schema) and schema.get("type", "object") != "string"


def media_of(holder: Map, *others: str) -> Media:
    """Choose one of the media types that are offered.

    :param others: which to prefer if there is no JSON.
    """
    found: dict[str, Media] = {}
    content = holder.get("content") or {}
    for name in sorted(content, key=lambda name: name != "application/json"):
        kind = name.partition(";")[0].strip().lower()
        kind = "application/json" if kind.endswith("+json") else kind
        found.setdefault(kind, Media(kind, name, content[name]))
    for kind in ("application/json", *others, *found):
        if kind in found:
            return found[kind]
    return Media("application/json", "application/json", Map())
