"""Pages and walking on, case by case."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import httpx
import pytest

from connectycube.rest import AsyncConnectyCube, DecodeError

from .lists import Change, ListServer, client, numbered, walk


def places(server: ListServer) -> list[tuple[int, int | None]]:
    """Offset and limit of each request."""
    return [
        (int(params.get("skip", 0)), int(params["limit"]) if "limit" in params else None) for params in server.requests
    ]


def answering(*answers: Any) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.QueryParams]]:
    """A server that gives these answers in turn and then its last one for ever."""
    requests: list[httpx.QueryParams] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.params)
        assert len(requests) < 50, "the walk goes in a circle"
        return httpx.Response(200, content=json.dumps(answers[min(len(requests), len(answers)) - 1]))

    return handler, requests


def test_a_page_shows_what_the_server_says() -> None:
    handler, _ = answering({"total_entries": 7, "skip": 2, "limit": 3, "items": [{"_id": "a"}, {"_id": "b"}]})
    with client(handler) as cube:
        page = cube.dialogs.list(limit=3, skip=2)
    assert [dialog.id for dialog in page.items] == ["a", "b"]
    assert (page.total_entries, page.skip, page.limit) == (7, 2, 3)
    assert repr(page) == "<Page of 2 items, total_entries=7>"


def test_iterating_asks_only_for_what_is_consumed() -> None:
    server = ListServer(numbered(30), cap=10)
    with client(server.answer) as cube:
        page = cube.dialogs.list(limit=10)
        entries = iter(page)
        assert len(list(islice(entries, 10))) == 10
        assert len(server.requests) == 1
        assert next(entries).id == "e10"
        assert len(server.requests) == 2
        assert len(list(entries)) == 19


def test_async_iterating_asks_only_for_what_is_consumed() -> None:
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


def test_a_page_can_be_iterated_again() -> None:
    with client(ListServer(numbered(9), cap=4).answer) as cube:
        page = cube.dialogs.list()
        assert [dialog.id for dialog in page] == [dialog.id for dialog in page] == numbered(9)


def test_each_page_starts_with_the_end_of_the_one_before() -> None:
    server = ListServer(numbered(7), cap=100)
    assert walk(server, limit=3) == numbered(7)
    assert places(server) == [(0, 3), (2, 3), (4, 3)]


def test_a_page_of_one_is_widened_to_overlap() -> None:
    server = ListServer(numbered(3))
    assert walk(server, limit=1) == numbered(3)
    assert places(server) == [(0, 1), (0, 2), (1, 2)]


def test_a_server_that_gives_one_entry_whatever_is_asked_is_walked() -> None:
    assert walk(ListServer(numbered(4), cap=1, total=False), limit=1) == numbered(4)
    assert walk(ListServer(numbered(4), cap=1, total=True), limit=5) == numbered(4)


@pytest.mark.parametrize("echo", ["none", "honest", "asked"])
@pytest.mark.parametrize("total", [True, False])
def test_a_cap_of_the_server_ends_nothing(echo: Any, total: bool) -> None:
    server = ListServer(numbered(250), 100, total, echo)
    assert walk(server, limit=1000) == numbered(250)


def test_filters_sorting_and_limit_go_along() -> None:
    server = ListServer(numbered(5))
    walk(server, limit=2, sort_desc="last_message_date_sent", filters={"type": {"in": [2, 3]}})
    assert len(server.requests) > 1
    for params in server.requests:
        assert params["sort_desc"] == "last_message_date_sent"
        assert params["type[in]"] == "2,3"
        assert params["limit"] == "2"


def test_a_short_page_of_an_honest_server_is_the_last() -> None:
    server = ListServer(numbered(3), cap=10, total=False, echo="honest")
    assert walk(server) == numbered(3)
    assert len(server.requests) == 1


def test_the_total_ends_the_walk() -> None:
    server = ListServer(numbered(10), cap=10)
    assert walk(server, limit=10) == numbered(10)
    assert len(server.requests) == 1


def test_an_empty_list_is_empty() -> None:
    for total in (True, False):
        server = ListServer([], total=total)
        assert walk(server) == []
        assert len(server.requests) == 1


def test_what_slips_to_the_page_before_is_found() -> None:
    server = ListServer(numbered(9), script=[[("delete", 0), ("delete", 0)]])
    assert walk(server, limit=4) == numbered(9)


def test_what_moves_to_the_head_is_found() -> None:
    server = ListServer(numbered(9), script=[[("touch", 8)]])
    assert sorted(walk(server, limit=4)) == numbered(9)


def test_what_moves_to_the_head_is_found_behind_more_than_a_page_of_others() -> None:
    # e59 moves first; then thirty that were read come before it.
    touched: list[Change] = [("touch", 59)]
    touched += [("touch", 20 + shift % 7) for shift in range(30)]
    server = ListServer(numbered(60), cap=25, script=[[], touched])
    assert sorted(walk(server)) == sorted(numbered(60))


def test_a_list_whose_entries_move_to_the_end_is_read_again_if_the_total_shows_that_some_are_missing() -> None:
    server = ListServer(numbered(20), cap=5, script=[[], [], [], [("sink", 0)] * 14])
    assert sorted(walk(server)) == sorted(numbered(20))


def test_entries_may_be_deleted_while_they_come() -> None:
    server = ListServer(numbered(50), cap=10)
    given = []
    with client(server.answer) as cube:
        for dialog in cube.dialogs.list():
            given.append(dialog.id)
            server.entries.remove(str(dialog.id))
    assert given == numbered(50)
    assert len(server.requests) < 12


def test_entries_may_move_to_the_end_while_they_come() -> None:
    server = ListServer(numbered(50), cap=10)
    given = []
    with client(server.answer) as cube:
        for dialog in cube.dialogs.list():
            given.append(str(dialog.id))
            server.change("sink", server.entries.index(given[-1]))
    assert sorted(given) == sorted(numbered(50))


def test_a_long_list_that_changes_once_is_not_read_twice() -> None:
    server = ListServer(numbered(1000), cap=100, script=[[], [("touch", 999)]])
    assert sorted(walk(server)) == sorted(numbered(1000))
    assert len(server.requests) <= 13


def test_a_list_that_never_rests_comes_to_an_end() -> None:
    server = ListServer(numbered(200), cap=50, script=[[("insert", 0)]] * 5000)
    assert set(numbered(200)) <= set(walk(server))
    assert len(server.requests) < 20


@pytest.mark.parametrize("total", [True, False])
def test_a_server_that_ignores_the_place_has_one_page(total: bool) -> None:
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


def test_a_server_that_ignores_the_place_and_changes_ends() -> None:
    server = ListServer(numbered(5), cap=5, total=False, ignores_place=True, script=[[], [("insert", 0)]])
    assert set(numbered(5)) <= set(walk(server))
    assert len(server.requests) <= 6


def test_null_entries_hold_their_places() -> None:
    server = ListServer(numbered(10), cap=3, total=False)
    server.render = lambda entry: None if entry in ("e0", "e2", "e3", "e4", "e5", "e9") else {"_id": entry}
    assert walk(server) == ["e1", "e6", "e7", "e8"]


def test_entries_without_ids_all_come() -> None:
    for total in (True, False):
        server = ListServer(["same"] * 11, cap=4, total=total)
        server.render = lambda entry: {"name": entry}
        with client(server.answer) as cube:
            assert [dialog.name for dialog in cube.dialogs.list()] == ["same"] * 11


def test_entries_without_ids_of_a_server_that_ignores_the_place_come_once() -> None:
    server = ListServer(["same"] * 11, cap=4, total=False, ignores_place=True)
    server.render = lambda entry: {"name": entry}
    with client(server.answer) as cube:
        assert [dialog.name for dialog in cube.dialogs.list()] == ["same"] * 4


def test_one_object_instead_of_a_list_is_a_list_of_one() -> None:
    handler, requests = answering({"_id": "m1", "name": "Standup"})
    with client(handler) as cube:
        page = cube.meetings.list(id="m1")
        assert [meeting.name for meeting in page] == ["Standup"]
    assert page.total_entries == 1
    assert len(requests) == 1


@pytest.mark.parametrize("answer", [[], None, {"items": None}, {"items": []}, {}])
def test_no_entries_in_any_form_are_an_empty_page(answer: Any) -> None:
    handler, requests = answering(answer)
    with client(handler) as cube:
        page = cube.dialogs.list()
        assert page.items == []
        assert list(page) == []
    assert len(requests) == 1


@pytest.mark.parametrize("answer", ["text", 3, True, {"items": 5}, {"items": ["text"]}, [[]]])
def test_what_is_no_page_is_a_decode_error(answer: Any) -> None:
    handler, _ = answering(answer)
    with client(handler) as cube, pytest.raises(DecodeError):
        cube.dialogs.list()


def test_each_entry_may_stand_in_an_envelope() -> None:
    handler, _ = answering({"items": [{"user": {"id": 1}}, {"id": 2}, None, {"user": {"id": 3}}]})
    with client(handler) as cube:
        assert [user.id for user in cube.dialogs.list_occupants("d").items] == [1, 2, 3]


def test_numbers_of_a_page_may_be_text_or_junk() -> None:
    handler, _ = answering({"items": [], "total_entries": "12", "limit": True, "skip": "x"})
    with client(handler) as cube:
        page = cube.dialogs.list()
    assert (page.total_entries, page.limit, page.skip) == (12, None, None)


def test_a_raw_answer_is_parsed_into_a_page_that_walks() -> None:
    server = ListServer(numbered(5), cap=2)
    with client(server.answer) as cube:
        page = cube.dialogs.with_raw_response.list().parse()
        assert [dialog.id for dialog in page] == numbered(5)
