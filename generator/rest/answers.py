"""What an operation answers."""

from __future__ import annotations

import re
from typing import Any

from openapi_python_client.parser import properties as opc

from ..faults import SpecFaults
from ..source import Map, fault
from .document import deref
from .media import media_of
from .model import Page, Result, Type
from .prepare import Slot
from .reading import Reading


def result(reading: Reading, slot: Slot) -> Result:
    source, answer = slot.source, slot.answer
    envelope = str(source.get("x-response-envelope") or "")
    item_envelope = str(source.get("x-item-envelope") or "")
    examples = result_examples(reading, source)
    if answer is None or answer.media is None:
        return Result("none", examples=examples)
    media = answer.media.kind
    if media != "application/json":
        return Result("text" if media.startswith("text/") else "bytes", media=media)
    if source.get("x-result") == "count":
        if any(count_of(example) is None for _, example in examples):
            problem = "an example of the answer holds no count"
            raise SpecFaults(
                [fault(source, "responses", problem, "Give a number, alone or as 'items', 'count' or 'total'")]
            )
        return Result("count", examples=examples)
    prop, raw = answer.prop, answer.schema
    if prop is None:
        problem = f"{slot.method.upper()} {slot.path}: the response has no type and is returned as it is"
        reading.warn(source, "responses", problem)
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


def statuses(reading: Reading, source: Map) -> tuple[tuple[int, Any], ...]:
    found = []
    for status, response in (source.get("responses") or {}).items():
        if status.isdigit() and int(status) >= 400:
            examples = reading.examples(media_of(deref(reading.document, response)).entry)
            found.append((int(status), examples[0][1] if examples else None))
    return tuple(sorted(found, key=lambda pair: pair[0]))


def count_of(example: Any) -> int | None:
    """Find the number in an example of a count."""
    while isinstance(example, dict):
        example = next((example[key] for key in ("items", "count", "total_entries", "total") if key in example), None)
    return int(example) if re.fullmatch("[0-9]+", str(example)) else None
