"""`catch_up` with answers of the REST API that the sandbox does not give."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from connectycube.chat import Attachment, Chat, ChatMessage
from connectycube.rest import ConnectyCube, NotFound
from tests.chat.histories import numbers
from tests.rest.server import Answer, Request, Server

USER, OTHER = 81001, 81002
DIALOG = "66f1a7c2e4b0d93a51c8e201"
SINCE = dt.datetime.fromtimestamp(1_700_000_000, dt.UTC)
PRIVATE = {"_id": DIALOG, "type": 3, "occupants_ids": [USER, OTHER], "last_message_date_sent": 1_700_000_500}


def entry(number: int, /, **fields: Any) -> dict[str, Any]:
    """A message of the history."""
    common = {"_id": f"{number:024x}", "chat_dialog_id": DIALOG, "date_sent": 1_700_000_100, "sender_id": OTHER}
    return {**common, "message": f"{number}", "recipient_id": USER, "attachments": [], **fields}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        dialogs = [PRIVATE]
        found.on("GET", "/chat/Dialog", Answer(body={"total_entries": 1, "skip": 0, "limit": 100, "items": dialogs}))
        yield found


def missed(server: Server) -> list[ChatMessage]:
    with ConnectyCube(7001, "key", base_url=server.url, max_retries=0) as cube:
        cube.use_session("token", user_id=USER)
        return list(Chat(cube, app_id=7001, host="localhost").catch_up(since=SINCE))


def answer(server: Server, *entries: dict[str, Any]) -> None:
    body = {"skip": 0, "limit": 100, "items": list(entries)}
    server.on("GET", "/chat/Message", Answer(body=body))


@pytest.mark.parametrize(("most", "requests"), [(50, 5), (1000, 1)])
def test_pages_of_another_size_are_read_to_the_end(server: Server, most: int, requests: int) -> None:
    def page(request: Request) -> Answer:
        skip = int(dict(request.query).get("skip", 0))
        items = [entry(number) for number in range(230)]
        return Answer(body={"skip": skip, "limit": most, "items": items[skip : skip + most]})

    server.on("GET", "/chat/Message", page)
    assert [message.body for message in missed(server)] == numbers(230)
    assert len(server.to("/chat/Message")) == requests


def test_parameters_are_those_of_the_chat(server: Server) -> None:
    fields = {"text": "a", "number": 1.5, "yes": True, "none": None, "list": [1, "ü"], "nested": {"a": 1, "b": None}}
    own = {"save_to_history": "1", "silent": "1", "moduleIdentifier": "x", "markable": 1}
    answer(server, entry(1, **fields, **own))
    (message,) = missed(server)
    expected = {"text": "a", "number": "1.5", "yes": "1", "list": '[1,"ü"]', "nested": {"a": "1"}}
    assert message.extra == expected


def test_attachments_are_those_of_the_chat(server: Server) -> None:
    file = {"type": "image", "uid": "u", "size": "7", "content-type": "image/png", "x": [1]}
    place = {"type": "place", "latitude": 45.07, "longitude": "7.5", "data": '{"city":"Turin"}'}
    answer(server, entry(1, attachments=[file, {"size": "big"}, place]))
    (message,) = missed(server)
    assert message.attachments == (
        Attachment(type="image", uid="u", size=7, content_type="image/png", unknown_attributes=(("x", "[1]"),)),
        Attachment(type="place", latitude=45.07, longitude=7.5, data={"city": "Turin"}),
    )


def test_message_without_the_usual_fields_is_yielded(server: Server) -> None:
    answer(server, {"_id": f"{1:024x}"}, entry(2, recipient_id=None, message=None, date_sent="soon"))
    assert [(one.body, one.sender_id, one.recipient_id, one.date_sent) for one in missed(server)] == [
        ("", None, USER, None),
        ("", OTHER, USER, None),
    ]


def test_page_of_a_gateway_does_not_count_as_a_dialog_that_was_left(server: Server) -> None:
    server.on("GET", "/chat/Message", Answer(404, b"<html>no such host</html>"))
    with pytest.raises(NotFound):
        missed(server)
    server.on("GET", "/chat/Message", Answer(404, {"errors": {"base": ["The resource wasn't found"]}}))
    assert missed(server) == []
