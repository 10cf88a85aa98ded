"""How the fields of a form are written: the files among them, and what its `encoding` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..source import Map
from .document import deref
from .media import Media, is_json, is_text, kind_of
from .model import Argument, Type
from .reading import Reading

STYLE_KEYS = frozenset(("style", "explode", "allowReserved"))

STYLES = ("form", "spaceDelimited", "pipeDelimited", "deepObject")

Warn = Callable[..., None]


class Encodings:
    """The encodings of a form's fields.

    :param kind: `form` or `multipart`.
    """

    def __init__(self, reading: Reading, warn: Warn, media: Media, kind: str) -> None:
        self.document = reading.document
        self.warn = warn
        self.kind = kind
        self.sources = dict(self.properties(media.entry.get("schema")))
        self.old = str(self.document.get("openapi", "")).startswith("3.0")
        encoding = media.entry.get("encoding")
        self.given: Map = encoding if isinstance(encoding, Map) else Map()
        for name in self.given:
            if name not in self.sources:
                warn(self.given, name, f"the encoding of {name!r} matches no property of the body", "It is ignored")

    def properties(self, schema: Any, seen: tuple[int, ...] = ()) -> Iterator[tuple[str, Any]]:
        """The properties of an object as the document has them."""
        schema = deref(self.document, schema)
        if not isinstance(schema, dict) or id(schema) in seen:
            return
        for union in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(union) or ():
                yield from self.properties(part, (*seen, id(schema)))
        yield from (schema.get("properties") or {}).items()

    def encoded(self, argument: Argument) -> Argument:
        """An argument with what its encoding says."""
        encoding = self.given.get(argument.wire)
        encoding = encoding if isinstance(encoding, Map) else Map()
        # Forms have no null.
        argument = replace(argument, nullable=False)
        # OpenAPI 3.0 knows styles only in URL-encoded forms.
        if STYLE_KEYS & encoding.keys() and not (self.old and self.kind == "multipart"):
            return self.styled(argument, encoding)
        types = [part.strip() for part in str(encoding.get("contentType") or "").split(",") if part.strip()]
        if self.kind == "multipart":
            self.check_headers(encoding)
            return self.part(argument, encoding, types)
        if types and argument.type.kind in ("list", "any") and is_json(kind_of(types[0])):
            return replace(argument, style="json")
        return argument

    def styled(self, argument: Argument, encoding: Map) -> Argument:
        style = str(encoding.get("style") or "form")
        if style not in STYLES:
            self.warn(encoding, "style", f"the style {style!r} of {argument.wire!r} is unknown", "It is sent as 'form'")
            style = "form"
        return replace(argument, style=style, explode=bool(encoding.get("explode", style == "form")))

    def check_headers(self, encoding: Map) -> None:
        headers = encoding.get("headers")
        for name in headers if isinstance(headers, Map) else ():
            if name.lower() not in ("content-type", "content-disposition"):
                self.warn(headers, name, f"the header {name!r} of a part can't be sent", "It is left out")

    def part(self, argument: Argument, encoding: Map, types: list[str]) -> Argument:
        """An argument as a part of a multipart form, or as several."""
        source, kind = self.sources.get(argument.wire), argument.type
        types = types or self.media_of(source)
        if kind.kind == "list":
            item = self.part_type(self.items(source), kind.item or Type("any"), types)
            found = replace(kind, item=item)
        else:
            found = item = self.part_type(source, kind, types)
        if item.kind != "file" and types and item.kind in ("model", "map", "list") and not is_json(kind_of(types[0])):
            problem = f"{argument.wire!r} can't be written as {types[0]}"
            self.warn(encoding, "contentType", problem, "Pass its bytes, as for a file")
            found = item = Type("file", values=tuple(types))
        media = "" if item.kind in ("file", "part") else next((one for one in types if "*" not in one), "")
        return replace(argument, type=found, media=media)

    def part_type(self, source: Any, kind: Type, types: list[str]) -> Type:
        if self.is_file(source) or (kind.kind == "text" and types and not any(map(_can_be_text, types))):
            return Type("file", values=tuple(types))
        free = kind.kind == "any" or any(self.is_file(part) for part in self.alternatives(source))
        return Type("part") if free else kind

    def items(self, source: Any) -> Any:
        """The schema of a list's entries."""
        for part in (source, *self.alternatives(source)):
            part = deref(self.document, part)
            if isinstance(part, dict) and "items" in part:
                return part["items"]
        return None

    def alternatives(self, source: Any) -> Iterator[Any]:
        source = deref(self.document, source)
        for union in ("allOf", "anyOf", "oneOf"):
            yield from (source.get(union) or ()) if isinstance(source, dict) else ()

    def values(self, source: Any) -> list[Any]:
        """A schema, or what it may be beside null."""
        found = [deref(self.document, part) for part in self.alternatives(source)]
        found = [part for part in found if isinstance(part, dict) and part.get("type") != "null"]
        return found if found else [deref(self.document, source)]

    def is_file(self, source: Any) -> bool:
        """Whether a schema is that of a file: raw bytes, with no encoding as text."""
        return all(_is_bytes(part) for part in self.values(source))

    def media_of(self, source: Any) -> list[str]:
        """The media type that the schema of a file, or of a list of files, names itself."""
        found = [part.get("contentMediaType") for part in self.values(source) if _is_bytes(part)]
        if not found and self.items(source) is not None:
            return self.media_of(self.items(source))
        return list(dict.fromkeys(str(name) for name in found if name and name != "application/octet-stream"))


def _is_bytes(schema: Any) -> bool:
    if not isinstance(schema, dict) or "contentEncoding" in schema:
        return False
    kinds = schema.get("type", "string")
    if kinds != "string" and not (isinstance(kinds, list) and set(kinds) <= {"string", "null"}):
        return False
    media = str(schema.get("contentMediaType") or "")
    return schema.get("format") == "binary" or bool(media and not is_json(kind_of(media)))


def _can_be_text(media: str) -> bool:
    kind = kind_of(media)
    return is_json(kind) or is_text(kind) or kind == "*/*"
