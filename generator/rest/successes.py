"""Which successful answers an operation documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..source import Map, distinct, plain
from .document import deref
from .media import EVENTS, Media, is_json, is_sequence, medias_of


class Success(NamedTuple):
    """One way in which an operation answers.

    :ivar media: `None` if it has no body.
    :ivar schema: that of the body, or of a stream's items, as the document has it.
    """

    status: str
    response: Map
    media: Media | None = None
    schema: Any = None


def successful(document: Map, operation: Map) -> Iterator[tuple[str, Map]]:
    """Yield the status and the response of each documented success.

    `default` is one only where no other is: beside another it describes errors.
    """
    responses = operation.get("responses") or {}
    found = sorted(status for status in responses if re.fullmatch("2([0-9]{2}|XX)", status.upper()))
    for status in found or [status for status in responses if status == "default"]:
        yield status.upper() if found else status, deref(document, responses[status]) or Map()


def successes(document: Map, operation: Map) -> Iterator[Success]:
    """Yield the successful answers of an operation.

    A media type that has the schema of the JSON beside it is another form of the same value, and left to other clients.
    """
    for status, response in successful(document, operation):
        medias = medias_of(response)
        if not medias:
            yield Success(status, response)
        json: list[Any] = []
        for media in medias:
            schema = media.entry.get("schema")
            stream = media.kind == EVENTS or is_sequence(media.kind)
            if not stream and any(plain(schema) == known for known in json):
                continue
            if media.kind == "application/json" and schema and not _is_text(schema):
                json.append(plain(schema))
            if media.kind == EVENTS:
                schema = event_data(document, _item(document, media.entry))
            elif is_sequence(media.kind):
                schema = _item(document, media.entry)
            yield Success(status, response, media, schema)


def _is_text(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "string"


def _item(document: Map, media: Map) -> Any:
    """The schema of a stream's items."""
    if "itemSchema" in media:
        return media["itemSchema"]
    schema = media.get("schema")
    found = deref(document, schema)
    if isinstance(found, dict) and found.get("type") == "array":
        return found.get("items")
    return schema


def event_data(document: Map, schema: Any, depth: int = 8) -> Any:
    """The schema of an event's data, where the schema may be that of the whole event."""
    found = deref(document, schema)
    if not isinstance(found, dict) or not depth:
        return schema
    for union in ("oneOf", "anyOf"):
        if found.get(union):
            parts = [event_data(document, part, depth - 1) for part in found[union]]
            unchanged = all(new is old for new, old in zip(parts, found[union], strict=True))
            kinds = distinct(map(plain, parts))
            return schema if unchanged else {union: kinds} if len(kinds) > 1 else parts[0]
    properties = found.get("properties") or {}
    if "data" in properties and ("event" in properties or {"data", "id", "retry"} > properties.keys() > {"data"}):
        return _content(document, properties["data"])
    return _content(document, schema)


def _content(document: Map, schema: Any) -> Any:
    """The schema of the JSON that a text holds (`contentMediaType`), or the schema itself."""
    found = deref(document, schema)
    if isinstance(found, dict) and _is_text(found) and is_json(str(found.get("contentMediaType", "")).lower()):
        return found.get("contentSchema") or {"type": ["object", "array", "string", "number", "boolean"]}
    return schema
