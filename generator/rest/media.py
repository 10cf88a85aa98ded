"""The media types of bodies and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..source import Map
from .document import deref

EVENTS = "text/event-stream"

FORMS = {"multipart/form-data": "multipart", "application/x-www-form-urlencoded": "form"}
"""The media types of forms, each with its kind of `Form`."""

JSON = frozenset(("application/json", "text/json", "text/x-json", "application/x-json"))

LINES = frozenset(
    f"application/{name}"
    for name in """jsonl x-jsonl jsonlines x-jsonlines json-lines ndjson x-ndjson stream+json x-json-stream""".split()
)
"""The media types of a JSON value per line."""

TEXTS = frozenset(
    f"application/{name}"
    for name in """xml yaml x-yaml toml javascript ecmascript typescript graphql sql rtf x-sh jwt
    x-www-form-urlencoded""".split()
)
"""The media types of text beside `text/*`."""


@dataclass(frozen=True)
class Media:
    """One of the media types that a body or an answer offers."""

    kind: str
    """The type without its parameters; all that is JSON is `application/json`."""
    name: str
    """As the document has it."""
    entry: Map

    @property
    def is_wild(self) -> bool:
        """Whether it has wildcards."""
        return "*" in self.name


def kind_of(name: str) -> str:
    """A media type without its parameters, in lower case."""
    return name.partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    return (kind in JSON or kind.endswith("+json")) and kind not in LINES


def is_sequence(kind: str) -> bool:
    """Whether a type holds JSON values one after the other."""
    return kind in LINES or is_separated(kind)


def is_separated(kind: str) -> bool:
    """Whether a type is that of JSON text sequences (RFC 7464, RFC 8091)."""
    return kind == "application/json-seq" or kind.endswith("+json-seq")


def is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind.endswith(("+xml", "+yaml")) or kind in TEXTS


def medias_of(holder: Map) -> list[Media]:
    """All media types that are offered, JSON first."""
    found = []
    for name, entry in (holder.get("content") or {}).items():
        kind = kind_of(name)
        found.append(Media("application/json" if is_json(kind) else kind, name, entry))
    usual = "application/json"
    return sorted(found, key=lambda media: (media.kind != usual, kind_of(media.name) != usual))


def media_of(holder: Map) -> Media:
    """The first of the media types that are offered."""
    return next(iter(medias_of(holder)), Media("application/json", "application/json", Map()))


def body_media(document: Map, holder: Map) -> list[tuple[str, Media]]:
    """List the media types of a body, those of JSON first, each with its kind of `Form`.

    Of types that differ only in a parameter which says nothing new, the first stands for all.
    """
    found: dict[str, tuple[str, Media]] = {}
    for media in medias_of(holder):
        same = "".join(media.name.lower().split()).removesuffix(";charset=utf-8")
        found.setdefault(same, (_body_kind(document, media), media))
    bodies = sorted(found.values(), key=lambda pair: pair[0] != "json")
    known = {kind for kind, media in bodies if not media.is_wild}
    # `application/*+json` beside JSON adds nothing.
    return [(kind, media) for kind, media in bodies if not (media.is_wild and kind == "json" and kind in known)]


def _body_kind(document: Map, media: Media) -> str:
    kind = media.kind
    if is_json(kind):
        return "json"
    if kind in ("*/*", "application/*") and _is_structured(deref(document, media.entry.get("schema"))):
        return "json"
    if kind in FORMS:
        return FORMS[kind]
    if kind in LINES:
        return "lines"
    return "text" if is_text(kind) else "binary"


def _is_structured(schema: Any) -> bool:
    """Whether a schema is one of JSON rather than of text or bytes."""
    return isinstance(schema, dict) and bool(schema) and schema.get("type", "object") != "string"


def exact(media: Media) -> str:
    """A media type with its parameters, except that of the charset, as a response is compared with it."""
    kind, *parameters = "".join(media.name.lower().split()).split(";")
    return ";".join([kind, *(part for part in parameters if not part.startswith("charset="))])
