"""The media types of bodies and answers."""

from __future__ import annotations

from dataclasses import dataclass

from ..source import Map

FORMS = {"multipart/form-data": "multipart", "application/x-www-form-urlencoded": "form"}

EVENTS = "text/event-stream"

JSON = frozenset(("application/json", "text/json", "text/x-json", "application/x-json"))

LINES = frozenset(
    f"application/{name}"
    for name in ("jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "ndjson", "x-ndjson", "stream+json", "x-json-stream")
)
"""A JSON value per line."""

TEXTS = frozenset(
    f"application/{name}"
    for name in ("xml", "yaml", "x-yaml", "javascript", "x-www-form-urlencoded", "graphql", "toml", "sql", "jwt")
)
"""Types of text that don't start with `text/`."""


@dataclass(frozen=True)
class Media:
    """One of the media types that a body or an answer offers."""

    kind: str
    """The type without its parameters; all that is JSON is `application/json`."""
    name: str
    """As the document has it."""
    entry: Map


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
    found: dict[str, Media] = {}
    content = holder.get("content") or {}
    for name in sorted(content, key=lambda name: name != "application/json"):
        kind = name.partition(";")[0].strip().lower()
        kind = "application/json" if is_json(kind) else kind
        found.setdefault(kind, Media(kind, name, content[name] or Map()))
    return sorted(found.values(), key=lambda media: media.kind != "application/json")


def media_of(holder: Map, *others: str) -> Media:
    """Choose one of the media types that are offered.

    :param others: which to prefer if there is no JSON.
    """
    found = {media.kind: media for media in medias_of(holder)}
    for kind in ("application/json", *others, *found):
        if kind in found:
            return found[kind]
    return Media("application/json", "application/json", Map())
