"""What an operation answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from openapi_python_client.parser import properties as opc

from ..faults import SpecFaults
from ..source import Map, fault
from .document import deref
from .media import EVENTS, exact, is_json, is_sequence, is_text, kind_of, media_of
from .model import Answer, Page, Result, Type
from .prepare import Part, Slot
from .reading import Reading
from .successes import successful

OWN = frozenset(("x-response-envelope", "x-item-envelope", "x-result", "x-page", "x-outcomes"))
"""The keywords of this project that say how the first answer is read, whatever others there are."""

STRUCTURED = ("model", "list", "map", "union")
SCALARS = ("integer", "number", "boolean", "iso", "date")

MEDIA_TYPE = re.compile(
    r"""[!#$&^_.+*\w-]+/[!#$&^_.+*\w-]+(\s*;\s*[\w-]+=([\w.-]+|"[ !#-\[\]-~]*"))*""",  # a token or a quoted text
    re.ASCII,
)
"""What can be put into the header `Accept`."""


def result(reading: Reading, slot: Slot) -> Result:
    source, first = slot.source, slot.answer
    envelope = str(source.get("x-response-envelope") or "")
    item_envelope = str(source.get("x-item-envelope") or "")
    if slot.answers and OWN.isdisjoint(source):
        found = by_media(reading, slot)
        if found is not None:
            return found
    examples = result_examples(reading, source)
    if first is None:
        return Result("none", examples=examples)
    if source.get("x-result") == "count":
        if any(count_of(example) is None for _, example in examples):
            problem = "an example of the answer holds no count"
            raise SpecFaults(
                [fault(source, "responses", problem, "Give a number, alone or as 'items', 'count' or 'total'")]
            )
        return Result("count", examples=examples)
    prop, raw = first.prop, first.schema
    if prop is None:
        untyped(reading, source, "responses", slot)
        return Result("value", Type("any"), examples=examples)
    page = source.get("x-page")
    items = str(page["items"]) if page else ""
    for name in filter(None, (envelope, items)):
        if not isinstance(prop, opc.ModelProperty):
            break
        properties = reading.schemas.properties(raw)
        if name not in properties:
            problem = f"the answer has no field {name!r}"
            raise SpecFaults([fault(source, None, problem, "Name a property of the answer's schema")])
        prop = dict(reading.engine.properties(reading.engine.whole(prop)))[name]
        raw = properties[name]
    kind = reading.types.type(prop, raw)
    if source.get("x-result") == "first":
        if kind.kind != "list" or kind.item is None or kind.item.kind != "model":
            remedy = "Name the list with 'x-response-envelope'"
            raise SpecFaults([fault(source, "x-result", "the answer is not a list of objects", remedy)])
        return Result("value", kind.item, envelope, item_envelope, examples=examples, first=True)
    if page is None:
        return Result(
            "value", kind, envelope, item_envelope, examples=examples, outcomes=outcomes(reading, source, raw)
        )
    if kind.kind != "list" or kind.item is None:
        raise SpecFaults([fault(source, "x-page", "the page's items are not a list", "Name the list of the answer")])
    step = str(page.get("offset") or page.get("number") or page.get("field"))
    described = Page(page["style"], items, str(page["limit"]), str(page["id"]), step, str(page.get("operator", "")))
    return Result("page", kind.item, envelope, item_envelope, described, examples)


def outcomes(reading: Reading, source: Map, raw: Any) -> tuple[tuple[int, str], ...]:
    found = source.get("x-outcomes") or Map()
    properties = reading.schemas.properties(raw)
    for status, name in found.items():
        if not str(status).isdigit() or name not in properties:
            remedy = "Map statuses to properties of the answer's schema, such as '404: NotFound'"
            raise SpecFaults([fault(found, status, f"{status}: {name} names no list of the answer", remedy)])
    return tuple((int(status), str(name)) for status, name in found.items())


def result_examples(reading: Reading, source: Map) -> tuple[tuple[int, Any], ...]:
    found: list[tuple[int, Any]] = []
    for status, response in (source.get("responses") or {}).items():
        if status.startswith("2") and status.isdigit():
            response = deref(reading.document, response)
            if not response.get("content"):
                found.append((int(status), None))
            found += [(int(status), value) for _, value in reading.examples(media_of(response).entry)]
    return tuple(found)


def by_media(reading: Reading, slot: Slot) -> Result | None:
    """The result of an operation that answers something other than one type of JSON, `None` for any other."""
    answers = [answer(reading, slot, part) for part in slot.answers]
    examples = result_examples(reading, slot.source)
    kinds = {(found.kind, found.type, found.nullable) for found in answers}
    kind = answers[0].kind if len(kinds) == 1 and not answers[0].nullable else "several"
    if kind == "json":
        return None
    if kind in ("none", "text", "bytes"):
        return Result(kind, examples=examples)
    for part in slot.answers:
        if part.media is not None and part.prop is None and slot.method != "head":
            untyped(reading, part.source, "content", slot)
    optional = any(found.kind == "none" or found.nullable for found in answers)
    return Result("several", examples=examples, answers=tuple(answers), optional=optional)


def untyped(reading: Reading, parent: Map, key: str, slot: Slot) -> None:
    problem = f"{slot.label}: the response has no type and is returned as it is"
    reading.warn(parent, key, problem)


def answer(reading: Reading, slot: Slot, part: Part) -> Answer:
    """How one answer is read."""
    if part.media is None or slot.method == "head":
        return Answer(part.status, "", "none")
    media = part.media.kind
    kind = reading.types.type(part.prop, part.schema) if part.prop is not None else Type("any")
    nullable = bool(reading.schemas.schema(part.schema).get("x-nullable"))
    if "itemSchema" in part.media.entry and media != EVENTS and not is_sequence(media):
        problem = f"{slot.label}: the items of {media} can't be read one by one"
        reading.warn(part.media.entry, "itemSchema", problem, "The response is returned as a whole")
    found = Answer(part.status, exact(part.media), "json", kind, nullable)
    if media == EVENTS:
        return replace(found, kind="events", type=kind if part.raw else Type("text"), nullable=False)
    if is_sequence(media):
        return replace(found, kind="lines", nullable=False)
    if reading.schemas.schema(part.schema).get("format") == "binary":
        return replace(found, kind="bytes", type=None, nullable=False)
    if media == "application/json":
        return found
    if media in ("*/*", "application/*"):
        if not part.raw:
            return replace(found, kind="loose", type=Type("any"))
        return replace(found, kind="plain", type=None, nullable=False) if kind.kind == "text" else found
    if media in ("text/plain", "text/*") and part.raw:
        if kind.kind in SCALARS:
            return replace(found, kind="scalar", nullable=False)
        if kind.kind in STRUCTURED:
            return found
    if is_text(media):
        return replace(found, kind="text", type=None, nullable=False)
    if kind.kind in STRUCTURED:
        problem = f"{slot.label}: {media} can't be read into a model"
        reading.warn(part.media.entry, "schema", problem, "It is returned as bytes")
    return replace(found, kind="bytes", type=None, nullable=False)


def accepted(reading: Reading, slot: Slot) -> str:
    """The value of the header `Accept`, empty if it is that of all calls."""
    names = []
    for part in slot.answers:
        if part.media is None:
            continue
        name = re.sub(r";\s*charset=[^;]*", "", part.media.name.strip(), flags=re.IGNORECASE)
        if MEDIA_TYPE.fullmatch(name):
            names.append(name)
        else:
            problem = f"{slot.label}: {part.media.name!r} is not a valid media type"
            reading.warn(part.source, "content", problem, "The Accept header leaves it out")
    names.sort(key=lambda name: (not is_json(kind_of(name)), "*" in name))
    text = ", ".join(dict.fromkeys(names))
    return "" if text == "application/json" else text


def statuses(reading: Reading, source: Map) -> tuple[tuple[int | str, Any], ...]:
    """The documented statuses that raise, each with an example: numbers, `4XX`, `5XX` and `default`."""
    found: list[tuple[int | str, Any]] = []
    returned = dict(successful(reading.document, source))
    for name, response in (source.get("responses") or {}).items():
        status = name if name == "default" else name.upper()
        number = int(status) if status.isdigit() else 0
        if name not in returned and (number >= 400 or status in ("4XX", "5XX", "default")):
            examples = reading.examples(media_of(deref(reading.document, response)).entry)
            found.append((number or status, examples[0][1] if examples else None))
    return tuple(sorted(found, key=lambda pair: str(pair[0])))


def count_of(example: Any) -> int | None:
    """Find the number in an example of a count."""
    while isinstance(example, dict):
        example = next((example[key] for key in ("items", "count", "total_entries", "total") if key in example), None)
    return int(example) if re.fullmatch("[0-9]+", str(example)) else None
