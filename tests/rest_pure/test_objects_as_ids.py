"""Wherever an id is expected, the object that has it is accepted, and no object of another kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from connectycube.rest import ConnectyCube, InvalidArgument
from connectycube.rest.models import CustomObject, Dialog, File, Meeting, Message, User, Whiteboard

from .signatures import METHODS, parameters
from .test_encoding import body, target

ADA = User(id=81001)
EVE = User(id=81002)
DIALOG = Dialog(id="d1")
MESSAGE = Message(id="m1")


def test_in_a_path() -> None:
    assert target(lambda cube: cube.users.get(ADA)) == "/users/81001"
    assert target(lambda cube: cube.dialogs.delete(DIALOG)) == "/chat/Dialog/d1"
    assert target(lambda cube: cube.dialogs.delete_many(DIALOG)) == "/chat/Dialog/d1"
    assert target(lambda cube: cube.dialogs.delete_many([DIALOG, "d2"])) == "/chat/Dialog/d1,d2"
    assert target(lambda cube: cube.messages.delete((MESSAGE, Message(id="m2")))) == "/chat/Message/m1,m2"
    assert target(lambda cube: cube.custom_objects.get_many("Boat", CustomObject(id="r"))) == "/data/Boat/r"
    assert target(lambda cube: cube.meetings.delete(Meeting(id="x"))) == "/meetings/x"
    assert target(lambda cube: cube.whiteboards.delete(Whiteboard(id="w"))) == "/whiteboards/w"


def test_file_has_two_ids() -> None:
    file = File(id=7, uid="u")
    assert target(lambda cube: cube.files.delete(file)) == "/blobs/7"
    assert target(lambda cube: cube.files.get_object(file)).startswith("/blobs/u/object")
    with ConnectyCube(1, "key") as cube:
        assert cube.files.url(file) == "https://api.connectycube.com/blobs/u"


def test_in_a_query() -> None:
    assert target(
        lambda cube: cube.messages.list(
            chat_dialog_id=DIALOG, filters={"sender_id": {"in": [ADA, 81003]}, "id": MESSAGE}
        )
    ) == ("/chat/Message?chat_dialog_id=d1&sender_id[in]=81001%2C81003&_id=m1")
    assert target(lambda cube: cube.messages.unread_count(chat_dialog_ids=[DIALOG])).endswith("?chat_dialog_ids=d1")
    assert target(lambda cube: cube.users.list(filters={"id": {"in": [ADA]}})).endswith("id[in][]=81001")
    assert target(lambda cube: cube.users.list_v1(filters={"id": {"in": [ADA]}})).endswith("number+id+in+81001")


def test_in_a_body() -> None:
    assert body(lambda cube: cube.dialogs.create(type=2, occupants_ids=[ADA, 81003], admins_ids=[EVE])) == {
        "type": 2,
        "occupants_ids": [81001, 81003],
        "admins_ids": [81002],
    }
    assert body(
        lambda cube: cube.dialogs.update("d", push_all={"occupants_ids": [ADA], "pinned_messages_ids": [MESSAGE]})
    ) == {"push_all": {"occupants_ids": [81001], "pinned_messages_ids": ["m1"]}}
    assert body(lambda cube: cube.messages.create(recipient_id=ADA)) == {"recipient_id": 81001}


def test_subclass_is_accepted() -> None:
    class Member(User):
        pass

    assert target(lambda cube: cube.users.get(Member(id=5))) == "/users/5"


WRONG: list[tuple[Callable[[ConnectyCube, Any], Any], Any, str]] = [
    (lambda cube, value: cube.users.get(value), DIALOG, "user_id must be the User or its id, not Dialog"),
    (lambda cube, value: cube.dialogs.delete(value), ADA, "dialog_id must be the Dialog or its id, not User"),
    (
        lambda cube, value: cube.dialogs.delete_many(["d", value]),
        MESSAGE,
        "dialog_ids[1] must be the Dialog or its id, not Message",
    ),
    (
        lambda cube, value: cube.dialogs.create(type=2, occupants_ids=[value]),
        DIALOG,
        "occupants_ids[0] must be the User or its id, not Dialog",
    ),
    (
        lambda cube, value: cube.dialogs.update("d", push_all={"admins_ids": [value]}),
        DIALOG,
        "push_all['admins_ids'][0] must be the User or its id, not Dialog",
    ),
    (
        lambda cube, value: cube.messages.list(chat_dialog_id="d", filters={"sender_id": value}),
        DIALOG,
        "filters['sender_id'] must be the User or its id, not Dialog",
    ),
    (lambda cube, value: cube.files.url(value), DIALOG, "uid must be the File or its uid, not Dialog"),
]


@pytest.mark.parametrize(("action", "value", "problem"), WRONG, ids=[problem for _, _, problem in WRONG])
def test_object_of_another_kind(action: Callable[[ConnectyCube, Any], Any], value: Any, problem: str) -> None:
    with ConnectyCube(1, "key", token="t") as cube, pytest.raises(InvalidArgument) as caught:
        action(cube, value)
    assert str(caught.value) == problem


def test_all_ids_of_objects_are_covered() -> None:
    pattern = re.compile(r"(user|dialog|message|recipient|occupants|admins|meeting|whiteboard|object|file)_ids?")
    ids = {
        f"{name}({argument})": str(entry.annotation)
        for name, method in METHODS.items()
        for argument, entry in parameters(method).items()
        if pattern.search(argument) and "external" not in argument
    }
    assert len(ids) >= 40
    assert [name for name, annotation in ids.items() if "models." not in annotation] == []
