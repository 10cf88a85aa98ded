"""The media types of bodies and answers."""

from __future__ import annotations

from dataclasses import dataclass

from ..source import Map

FORMS = {"multipart/form-data": "multipart", "application/x-www-form-urlencoded": "form"}


@dataclass(frozen=True)
class Media:
    """One of the media types that a body or an answer offers."""

    kind: str
    """The type without its parameters; all that is JSON is `application/json`."""
    name: str
    """As the document has it."""
    entry: Map


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
