"""Lists that are paged by number, and lists that are paged by a field."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.rest import DecodeError, InvalidArgument
from connectycube.rest._call import Operation
from connectycube.rest._paging import KeysetWalk, PageCall, Paging, page_data
from tests.properties import examples

from .lists import Change, ListServer, client, numbered


class NumberServer(ListServer):
    """Pages by number, from 1."""

    def page(self, params: httpx.QueryParams) -> Any:
        asked = int(params.get("per_page", self.cap))
        size = min(asked, self.cap)
        first = 0 if self.ignores_place else (int(params.get("page", 1)) - 1) * size
        page: dict[str, Any] = {"items": [{"user": {"id": int(entry)}} for entry in self.entries[first : first + size]]}
        if self.total:
            page["total_entries"] = len(self.entries)
        if self.echo != "none":
            page["per_page"] = asked if self.echo == "asked" else size
        return page

    def change(self, change: str, place: int) -> None:
        if change == "insert":
            self.born += 1
            self.entries.insert(place % (len(self.entries) + 1), str(10_000 + self.born))
        else:
            super().change(change, place)


def people(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def walk_numbers(server: NumberServer, **arguments: Any) -> list[str]:
    with client(server.answer) as cube:
        return [str(user.id) for user in cube.users.list_v1(**arguments)]


@pytest.mark.parametrize("echo", ["none", "honest", "asked"])
@pytest.mark.parametrize("total", [True, False])
def test_page_numbers_increase_to_the_end(echo: Any, total: bool) -> None:
    server = NumberServer(people(70), 30, total, echo)
    assert walk_numbers(server, per_page=100) == people(70)
    assert [int(params.get("page", 1)) for params in server.requests][:3] == [1, 2, 3]


def test_iteration_starts_at_the_requested_page() -> None:
    server = NumberServer(people(25), 10)
    assert walk_numbers(server, page=2, per_page=10) == people(25)[10:]


def test_server_that_ignores_the_page_number_has_one_page() -> None:
    server = NumberServer(people(25), 10, total=False, ignores_place=True)
    assert walk_numbers(server) == people(10)
    assert len(server.requests) <= 3


one_way: st.SearchStrategy[list[Change]] = st.one_of(
    st.lists(st.tuples(st.just("delete"), st.integers(0, 30)), max_size=5),
    st.lists(st.tuples(st.just("insert"), st.integers(0, 30)), max_size=5),
)


@given(
    count=st.integers(0, 25),
    cap=st.integers(1, 8),
    per_page=st.none() | st.integers(1, 10),
    script=st.lists(one_way, max_size=9),
)
@settings(max_examples=examples(200), deadline=None)
def test_changes_visible_in_the_total_skip_nobody(
    count: int, cap: int, per_page: int | None, script: list[list[Change]]
) -> None:
    server = NumberServer(people(count), cap, script=script)
    given_ids = walk_numbers(server, per_page=per_page)
    assert len(given_ids) == len(set(given_ids))
    assert server.steady <= set(given_ids)
    assert len(server.requests) <= 10 + 10 * (server.longest + 2)


class FieldServer(ListServer):
    """Pages by `_id[lt]`, newest first."""

    def page(self, params: httpx.QueryParams) -> Any:
        found = sorted(self.entries, reverse=True)
        if params.get("sort_asc") == "_id":
            found.reverse()
        for operator, holds in (("lt", str.__lt__), ("gt", str.__gt__)):
            if f"_id[{operator}]" in params:
                found = [entry for entry in found if holds(entry, params[f"_id[{operator}]"])]
        size = min(int(params.get("limit", self.cap)), self.cap)
        page: dict[str, Any] = {"items": [self.render(entry) for entry in found[:size]]}
        if self.total:
            page["total_entries"] = len(found)
        if self.echo != "none":
            page["limit"] = int(params.get("limit", size)) if self.echo == "asked" else size
        return page


def keys(count: int) -> list[str]:
    return [f"k{number:03}" for number in range(count)]


def walk_keys(server: FieldServer, **arguments: Any) -> list[str]:
    with client(server.answer) as cube:
        return [str(message.id) for message in cube.admin.list_messages(**arguments)]


@pytest.mark.parametrize("echo", ["none", "honest", "asked"])
@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("limit", [None, 1, 7, 100])
def test_iteration_by_field_reaches_the_end(echo: Any, total: bool, limit: int | None) -> None:
    server = FieldServer(keys(25), 10, total, echo)
    assert walk_keys(server, limit=limit) == keys(25)[::-1]
    assert all(params["sort_desc"] == "_id" for params in server.requests)
    assert len(server.requests) <= 27


def test_explicit_order() -> None:
    assert walk_keys(FieldServer(keys(25), 10), sort_desc="_id") == keys(25)[::-1]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"lt": "k015"}, keys(15)[::-1]),
        ({"gt": "k015"}, keys(25)[:15:-1]),
        ({"gt": "k003", "lt": "k020"}, keys(20)[:3:-1]),
    ],
)
def test_own_filter_on_the_field_is_kept(own: dict[str, str], expected: list[str]) -> None:
    assert walk_keys(FieldServer(keys(25), 4), filters={"id": own}) == expected


@pytest.mark.parametrize("arguments", [{"sort_asc": "_id"}, {"sort_desc": "created_at"}, {"sort_asc": "updated_at"}])
def test_other_order_returns_a_page_but_rejects_iteration(arguments: dict[str, str]) -> None:
    server = FieldServer(keys(25), 10)
    with client(server.answer) as cube:
        page = cube.admin.list_messages(**arguments)  # type: ignore[arg-type]
        assert len(page.items) == 10
        with pytest.raises(InvalidArgument, match="can't be combined with iteration") as caught:
            next(iter(page))
    assert caught.value.argument == next(iter(arguments))
    assert len(server.requests) == 1


@given(
    count=st.integers(0, 25),
    cap=st.integers(1, 8),
    total=st.booleans(),
    script=st.lists(st.lists(st.tuples(st.sampled_from(["insert", "delete"]), st.integers(0, 30)), max_size=5)),
)
@settings(max_examples=examples(200), deadline=None)
def test_iteration_by_field_skips_nothing(count: int, cap: int, total: bool, script: list[list[Change]]) -> None:
    server = FieldServer(keys(count), cap, total, script=script)
    given_ids = walk_keys(server)
    assert given_ids == sorted(set(given_ids), reverse=True)
    assert server.steady <= set(given_ids)
    assert len(server.requests) <= server.longest + 2


def test_server_that_ignores_the_field_has_one_page() -> None:
    server = FieldServer(keys(25), 10, total=False)
    server.page = lambda params: {"items": [{"_id": key} for key in keys(5)]}  # type: ignore[method-assign]
    assert walk_keys(server) == keys(5)
    assert len(server.requests) == 2


def test_entries_without_the_field_raise() -> None:
    paging = Paging("keyset", "items", "limit", "_id", "_id", "lt")
    parse = page_data(paging, dict)
    walk = KeysetWalk(PageCall(Operation("books.list", "GET", parse), "/books", paging, query=[]))
    with pytest.raises(DecodeError, match="_id"):
        walk.take(parse({"items": [{"title": "Night train"}]}))


def test_null_entries_do_not_stop_iteration_by_field() -> None:
    server = FieldServer(keys(6), 3)
    server.render = lambda entry: None if entry in ("k003", "k000") else {"_id": entry}
    assert walk_keys(server) == ["k005", "k004", "k002", "k001"]


def test_dialog_lists_do_not_use_page_numbers() -> None:
    server = ListServer(numbered(5), cap=2)
    with client(server.answer) as cube:
        assert [dialog.id for dialog in cube.dialogs.list()] == numbered(5)
    assert all("page" not in params for params in server.requests)
