"""Pages and walking on, case by case."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, DecodeError, InvalidArgument

from .lists import Change, ListServer, client, numbered, walk


def places(server: ListServer) -> list[tuple[int, int | None]]:
    """Offset and limit of each request."""
    return [
        (int(params.get("skip", 0)), int(params["limit"]) if "limit" in params else None) for params in server.requests
    ]


def answering(*answers: Any) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.QueryParams]]:
    """A server that returns these answers in turn and then repeats the last one."""
    requests: list[httpx.QueryParams] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.params)
        assert len(requests) < 50, "the walk goes in a circle"
        return httpx.Response(200, content=json.dumps(answers[min(len(requests), len(answers)) - 1]))

    return handler, requests


def test_page_has_the_values_from_the_server() -> None:
    handler, _ = answering({"total_entries": 7, "skip": 2, "limit": 3, "items": [{"_id": "a"}, {"_id": "b"}]})
    with client(handler) as cube:
        page = cube.dialogs.list(limit=3, skip=2)
    assert [dialog.id for dialog in page.items] == ["a", "b"]
    assert (page.total_entries, page.skip, page.limit) == (7, 2, 3)
    assert repr(page) == "<Page of 2 items, total_entries=7>"


def test_iteration_requests_only_what_is_consumed() -> None:
    server = ListServer(numbered(30), cap=10)
    with client(server.answer) as cube:
        page = cube.dialogs.list(limit=10)
        entries = iter(page)
        assert len(list(islice(entries, 10))) == 10
        assert len(server.requests) == 1
        assert next(entries).id == "e10"
        assert len(server.requests) == 2
        assert len(list(entries)) == 19


def test_async_iteration_requests_only_what_is_consumed() -> None:
    server = ListServer(numbered(30), cap=10)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as http:
            page = await AsyncConnectyCube(1, "key", http_client=http, token="token").dialogs.list(limit=10)
            entries = aiter(page)
            for _ in range(10):
                await anext(entries)
            assert len(server.requests) == 1
            assert (await anext(entries)).id == "e10"
            assert len(server.requests) == 2
            assert len([entry async for entry in entries]) == 19

    asyncio.run(run())


def test_page_is_a_sequence_of_its_items_and_gives_the_first_of_the_list() -> None:
    server = ListServer(numbered(10), cap=4)
    with client(server.answer) as cube:
        page = cube.dialogs.list()
        assert (len(page), bool(page), page[0].id, [one.id for one in page[1:3]]) == (4, True, "e0", ["e1", "e2"])
        assert [one.id for one in page.first(3)] == ["e0", "e1", "e2"]
        assert len(server.requests) == 1
        assert [one.id for one in page.first(6)] == numbered(6)
        assert [one.id for one in page.first(50)] == numbered(10)
        with pytest.raises(InvalidArgument, match="count"):
            page.first(-1)
    with client(ListServer([]).answer) as cube:
        page = cube.dialogs.list()
        assert (len(page), bool(page), page.first(1)) == (0, False, [])


def test_async_page_needs_an_async_loop() -> None:
    server = ListServer(numbered(10), cap=4)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as http:
            page: Any = await AsyncConnectyCube(1, "key", http_client=http, token="token").dialogs.list()
            assert (len(page), page[0].id) == (4, "e0")
            with pytest.raises(TypeError, match="not iterable"):
                list(page)
            assert [one.id for one in await page.first(6)] == numbered(6)

    asyncio.run(run())


def test_page_can_be_iterated_again() -> None:
    with client(ListServer(numbered(9), cap=4).answer) as cube:
        page = cube.dialogs.list()
        assert [dialog.id for dialog in page] == [dialog.id for dialog in page] == numbered(9)


def test_each_page_overlaps_the_previous_one() -> None:
    server = ListServer(numbered(7), cap=100)
    assert walk(server, limit=3) == numbered(7)
    assert places(server) == [(0, 3), (2, 3), (4, 3)]


def test_page_of_one_is_widened_to_overlap() -> None:
    server = ListServer(numbered(3))
    assert walk(server, limit=1) == numbered(3)
    assert places(server) == [(0, 1), (0, 2), (1, 2)]


def test_server_that_always_returns_one_entry() -> None:
    assert walk(ListServer(numbered(4), cap=1, total=False), limit=1) == numbered(4)
    assert walk(ListServer(numbered(4), cap=1, total=True), limit=5) == numbered(4)


@pytest.mark.parametrize("echo", ["none", "honest", "asked"])
@pytest.mark.parametrize("total", [True, False])
def test_server_page_limit_does_not_end_iteration(echo: Any, total: bool) -> None:
    server = ListServer(numbered(250), 40, total, echo)
    assert walk(server, limit=100) == numbered(250)


def test_filters_sorting_and_limit_are_sent_with_each_page() -> None:
    server = ListServer(numbered(5))
    walk(server, limit=2, sort_desc="last_message_date_sent", filters={"type": {"in": [2, 3]}})
    assert len(server.requests) > 1
    for params in server.requests:
        assert params["sort_desc"] == "last_message_date_sent"
        assert params["type[in]"] == "2,3"
        assert params["limit"] == "2"


def test_short_page_is_the_last() -> None:
    server = ListServer(numbered(3), cap=10, total=False, echo="honest")
    assert walk(server) == numbered(3)
    assert len(server.requests) == 1


def test_total_ends_iteration() -> None:
    server = ListServer(numbered(10), cap=10)
    assert walk(server, limit=10) == numbered(10)
    assert len(server.requests) == 1


def test_empty_list() -> None:
    for total in (True, False):
        server = ListServer([], total=total)
        assert walk(server) == []
        assert len(server.requests) == 1


def test_entry_moving_to_the_previous_page_is_found() -> None:
    server = ListServer(numbered(9), script=[[("delete", 0), ("delete", 0)]])
    assert walk(server, limit=4) == numbered(9)


def test_entry_moving_to_the_front_is_found() -> None:
    server = ListServer(numbered(9), script=[[("touch", 8)]])
    assert sorted(walk(server, limit=4)) == numbered(9)


def test_entry_moving_to_the_front_is_found_beyond_one_page() -> None:
    # e59 moves first; then thirty that were read come before it.
    touched: list[Change] = [("touch", 59)]
    touched += [("touch", 20 + shift % 7) for shift in range(30)]
    server = ListServer(numbered(60), cap=25, script=[[], touched])
    assert sorted(walk(server)) == sorted(numbered(60))


def test_list_is_read_again_if_the_total_shows_missing_entries() -> None:
    server = ListServer(numbered(20), cap=5, script=[[], [], [], [("sink", 0)] * 14])
    assert sorted(walk(server)) == sorted(numbered(20))


def test_entries_deleted_during_iteration() -> None:
    server = ListServer(numbered(50), cap=10)
    given = []
    with client(server.answer) as cube:
        for dialog in cube.dialogs.list():
            given.append(dialog.id)
            server.entries.remove(str(dialog.id))
    assert given == numbered(50)
    assert len(server.requests) < 12


def test_entries_moving_to_the_end_during_iteration() -> None:
    server = ListServer(numbered(50), cap=10)
    given = []
    with client(server.answer) as cube:
        for dialog in cube.dialogs.list():
            given.append(str(dialog.id))
            server.change("sink", server.entries.index(given[-1]))
    assert sorted(given) == sorted(numbered(50))


def test_long_list_that_changes_once_is_not_read_twice() -> None:
    server = ListServer(numbered(1000), cap=100, script=[[], [("touch", 999)]])
    assert sorted(walk(server)) == sorted(numbered(1000))
    assert len(server.requests) <= 13


def test_iteration_ends_on_a_constantly_changing_list() -> None:
    server = ListServer(numbered(200), cap=50, script=[[("insert", 0)]] * 5000)
    assert set(numbered(200)) <= set(walk(server))
    assert len(server.requests) < 20


@pytest.mark.parametrize("total", [True, False])
def test_server_that_ignores_the_offset_has_one_page(total: bool) -> None:
    # preview=1 gives the last twenty messages whatever is asked.
    server = ListServer(numbered(20), cap=20, total=False, ignores_place=True)
    answer = server.page

    def page(params: httpx.QueryParams) -> Any:
        return answer(params) | ({"total_entries": 500} if total else {})

    server.page = page  # type: ignore[method-assign]
    with client(server.answer) as cube:
        found = [message.id for message in cube.messages.list(chat_dialog_id="d", preview=True)]
    assert found == numbered(20)
    assert len(server.requests) <= 3


def test_iteration_ends_on_a_changing_list_without_offsets() -> None:
    server = ListServer(numbered(5), cap=5, total=False, ignores_place=True, script=[[], [("insert", 0)]])
    assert set(numbered(5)) <= set(walk(server))
    assert len(server.requests) <= 6


def test_null_entries_count_toward_the_offset() -> None:
    server = ListServer(numbered(10), cap=3, total=False)
    server.render = lambda entry: None if entry in ("e0", "e2", "e3", "e4", "e5", "e9") else {"_id": entry}
    assert walk(server) == ["e1", "e6", "e7", "e8"]


def test_entries_without_ids_are_all_returned() -> None:
    for total in (True, False):
        server = ListServer(["same"] * 11, cap=4, total=total)
        server.render = lambda entry: {"name": entry}
        with client(server.answer) as cube:
            assert [entry.fields["name"] for entry in cube.custom_objects.list("tour")] == ["same"] * 11


def test_entries_without_ids_are_returned_once_if_the_offset_is_ignored() -> None:
    server = ListServer(["same"] * 11, cap=4, total=False, ignores_place=True)
    server.render = lambda entry: {"name": entry}
    with client(server.answer) as cube:
        assert [entry.fields["name"] for entry in cube.custom_objects.list("tour")] == ["same"] * 4


def test_single_object_is_a_list_of_one() -> None:
    handler, requests = answering({"_id": "m1", "name": "Standup"})
    with client(handler) as cube:
        page = cube.meetings.list(id="m1")
        assert [meeting.name for meeting in page] == ["Standup"]
    assert page.total_entries == 1
    assert len(requests) == 1


@pytest.mark.parametrize("answer", [[], None, {"items": None}, {"items": []}, {}])
def test_empty_page_in_any_form(answer: Any) -> None:
    handler, requests = answering(answer)
    with client(handler) as cube:
        page = cube.dialogs.list()
        assert page.items == []
        assert list(page) == []
    assert len(requests) == 1


@pytest.mark.parametrize("answer", ["text", 3, True, {"items": 5}, {"items": ["text"]}, [[]]])
def test_invalid_page_is_a_decode_error(answer: Any) -> None:
    handler, _ = answering(answer)
    with client(handler) as cube, pytest.raises(DecodeError):
        cube.dialogs.list()


def test_entries_can_have_envelopes() -> None:
    handler, _ = answering({"items": [{"user": {"id": 1}}, {"id": 2}, None, {"user": {"id": 3}}]})
    with client(handler) as cube:
        assert [user.id for user in cube.dialogs.list_occupants("d").items] == [1, 2, 3]


def test_page_numbers_can_be_text_or_invalid() -> None:
    handler, _ = answering({"items": [], "total_entries": "12", "limit": True, "skip": "x"})
    with client(handler) as cube:
        page = cube.dialogs.list()
    assert (page.total_entries, page.limit, page.skip) == (12, None, None)


def test_raw_response_parses_into_an_iterable_page() -> None:
    server = ListServer(numbered(5), cap=2)
    with client(server.answer) as cube:
        page = cube.dialogs.with_raw_response.list().parse()
        assert [dialog.id for dialog in page] == numbered(5)
