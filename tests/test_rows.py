"""A page that msgspec reads quickly is the page that the lenient reading gives."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

from connectycube.rest import DecodeError
from connectycube.rest._call import Operation, decode, parse_response
from connectycube.rest._calls import admin, dialogs, messages, users
from connectycube.rest._paging import PageData

SPEC = Path(__file__).parent.parent / "spec/rest"

OPERATIONS: dict[str, Operation[Any]] = {
    "dialogs.yaml /chat/Dialog": dialogs._LIST,
    "messages.yaml /chat/Message": messages._LIST,
    "users.yaml /users/v2": users._LIST,
    "admin.yaml /admin/chat/list": admin._LIST_DIALOGS,
    "admin.yaml /admin/chat/messages/list": admin._LIST_MESSAGES,
}


@cache
def example_text(where: str) -> str:
    file, path = where.split()
    spec = yaml.safe_load((SPEC / file).read_text(encoding="utf-8"))
    return json.dumps(spec["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"])


def example(where: str) -> dict[str, Any]:
    """The page that the spec gives as an example, without the entries that show an application's own field."""
    found: dict[str, Any] = json.loads(example_text(where))
    found["items"] = [entry for entry in found["items"] if "meeting_point" not in entry]
    return found


def pages(operation: Operation[Any], body: bytes) -> tuple[PageData[Any] | None, PageData[Any] | None]:
    """The page as it is read quickly, and leniently; `None` if it can't be read so."""
    assert operation.quick is not None
    assert operation.parse is not None
    quick = lenient = None
    with suppress(msgspec.DecodeError):
        quick = operation.quick(body)
    with suppress(DecodeError):  # An entry without its identity.
        lenient = operation.parse(decode(body))
    return quick, lenient


def parts(page: PageData[Any] | None) -> tuple[Any, ...]:
    assert page is not None
    return page.items, page.ids, page.total, page.limit, page.skip


times = st.builds(
    lambda time, separator, digits, zone: f"{time:%Y-%m-%d}{separator}{time:%H:%M:%S}{digits}{zone}",
    st.datetimes(),
    st.sampled_from("T "),
    # Of a seventh digit Python's reading takes no notice, where msgspec rounds.
    st.sampled_from(["", ".5", ".120", ".123456"]),
    st.sampled_from(["", "Z", "+00:00", "-00:00", "+02:00", "-11:30"]),
)
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    times,
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.text(max_size=3), st.integers()), max_size=3),
)


@pytest.mark.parametrize("where", OPERATIONS)
@settings(deadline=None)
@given(data=st.data())
def test_both_readings_agree(where: str, data: st.DataObject) -> None:
    page = example(where)
    entry = page["items"][0]
    for field in data.draw(st.lists(st.sampled_from(sorted(entry)), unique=True, max_size=3)):
        entry[field] = data.draw(odd)
    if data.draw(st.booleans()):
        frame = data.draw(st.sampled_from(["total_entries", "skip", "limit", "per_page", "further"]))
        page[frame] = data.draw(odd)
    quick, lenient = pages(OPERATIONS[where], json.dumps(page).encode())
    event("quick" if quick else "lenient" if lenient else "neither")
    if quick is not None:
        assert parts(quick) == parts(lenient)


@pytest.mark.parametrize("where", OPERATIONS)
def test_spec_example_is_read_by_the_fast_reader(where: str) -> None:
    quick, lenient = pages(OPERATIONS[where], json.dumps(example(where)).encode())
    assert quick is not None
    assert lenient is not None
    assert parts(quick) == parts(lenient)
    assert [type(item) for item in quick.items] == [type(item) for item in lenient.items]


@pytest.mark.parametrize("where", OPERATIONS)
def test_page_the_fast_reader_rejects_is_still_read(where: str) -> None:
    page = example(where)
    page["items"][0] |= {"mood": "sunny", "created_at": "yesterday"}
    answer = httpx.Response(200, json=page)
    item = parse_response(OPERATIONS[where], answer).items[0]
    assert item.created_at is None
    assert {"mood": "sunny", "created_at": "yesterday"}.items() <= item.extra.items()
