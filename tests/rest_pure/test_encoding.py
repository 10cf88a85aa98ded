"""How arguments look on the wire (2.1 and 2.2 of the wire facts)."""

from __future__ import annotations

import base64
import datetime as dt
import inspect
import json
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from connectycube.rest import OMIT, ConnectyCube, InvalidArgument, Omit
from connectycube.rest.models import (
    Attachment,
    Dialog,
    DialogPermissions,
    DialogType,
    Meeting,
    Message,
    PushEnvironment,
)

from .lists import client
from .signatures import METHODS

MOMENT = dt.datetime(2026, 2, 3, 12, 15, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
SECONDS = int(MOMENT.timestamp())


class Number:
    """An integer of another library, such as numpy's."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Number({self.value})"


def sent(action: Callable[[ConnectyCube], Any], **settings: Any) -> httpx.Request:
    """The request that an action makes."""
    requests: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"count": 0, "_id": "an id", "id": 1, "uid": "u", "messageId": "an id"})

    with client(take, **settings) as cube:
        cube.use_session("token", 81001)
        action(cube)
    (request,) = requests
    return request


def target(action: Callable[[ConnectyCube], Any], **settings: Any) -> str:
    return sent(action, **settings).url.raw_path.decode()


def body(action: Callable[[ConnectyCube], Any]) -> Any:
    return json.loads(sent(action).content)


# -- paths


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("66f1b0a4e4b0d93a51c8e411", "66f1b0a4e4b0d93a51c8e411"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("100%", "100%25"),
        ("%2e%2e", "%252e%252e"),
        ("a,b", "a%2Cb"),
        ("a b+c", "a%20b%2Bc"),
        ("éà", "%C3%A9%C3%A0"),
        ("a\\b\n\x00", "a%5Cb%0A%00"),
        ("...", "..."),
        (".a", ".a"),
    ],
)
def test_id_is_one_escaped_segment(value: str, escaped: str) -> None:
    assert target(lambda cube: cube.dialogs.update(value, name="n")) == f"/chat/Dialog/{escaped}"
    assert target(lambda cube: cube.dialogs.subscribe(value)) == f"/chat/Dialog/{escaped}/subscribe"
    assert target(lambda cube: cube.messages.delete([value, "b"])) == f"/chat/Message/{escaped},b"


def test_single_or_multiple_ids() -> None:
    assert target(lambda cube: cube.messages.delete("a")) == "/chat/Message/a"
    assert target(lambda cube: cube.messages.delete(["a"])) == "/chat/Message/a"
    assert target(lambda cube: cube.messages.delete(("a", "b", "c"))) == "/chat/Message/a,b,c"
    assert target(lambda cube: cube.messages.delete(id for id in "ab")) == "/chat/Message/a,b"
    assert target(lambda cube: cube.messages.delete({"a": 1, "b": 2}.keys())) == "/chat/Message/a,b"
    assert target(lambda cube: cube.messages.delete({"a"})) == "/chat/Message/a"


def test_suffix_is_appended_to_the_path() -> None:
    path = target(lambda cube: cube.dialogs.list(limit=5), path_suffix=".json")
    assert path == "/chat/Dialog.json?limit=5"


# -- queries


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"type": 2}, "type=2"),
        ({"type": {"in": [2, 3]}}, "type[in]=2%2C3"),
        ({"type": {"in": (2,)}}, "type[in]=2"),
        (MappingProxyType({"type": {"in": {2}}}), "type[in]=2"),
        ({"type": MappingProxyType({"in": {2: "", 3: ""}.keys()})}, "type[in]=2%2C3"),
        ({"type": {"gt": 1, "lt": 4}}, "type[gt]=1&type[lt]=4"),
        ({"id": {"in": ["a", "b"]}}, "_id[in]=a%2Cb"),
        ({"name": "a&b=c#d é+"}, "name=a%26b%3Dc%23d+%C3%A9%2B"),
        ({"name": {"ctn": "a,b"}}, "name[ctn]=a%2Cb"),
        ({"last_message_date_sent": {"gt": MOMENT}}, f"last_message_date_sent[gt]={SECONDS}"),
        ({"last_message_date_sent": {"gt": SECONDS}}, f"last_message_date_sent[gt]={SECONDS}"),
        ({"extensions": {"city": "Turin"}}, "extensions[city]=Turin"),
        ({"extensions": {"city": {"ne": "Turin"}, "a b": "c"}}, "extensions[city][ne]=Turin&extensions[a+b]=c"),
        ({"extensions": {"city": {"in": ["Turin", "Bari"]}}}, "extensions[city][in]=Turin%2CBari"),
    ],
    ids=str,
)
def test_chat_filters(filters: Any, query: str) -> None:
    assert target(lambda cube: cube.dialogs.list(filters=filters)) == f"/chat/Dialog?{query}"
    assert target(lambda cube: cube.dialogs.count(filters=filters)) == f"/chat/Dialog?count=1&{query}"


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"id": 5}, "id=5"),
        ({"id": {"in": [5, 6]}}, "id[in][]=5&id[in][]=6"),
        ({"login": {"start_with": "alic"}}, "login[start_with]=alic"),
        ({"email": {"in": ["a,b@example.com"]}}, "email[in][]=a%2Cb%40example.com"),
        ({"user_tags": {"nin": ["x", "y"]}, "id": 5}, "user_tags[nin][]=x&user_tags[nin][]=y&id=5"),
    ],
    ids=str,
)
def test_user_filters(filters: Any, query: str) -> None:
    assert target(lambda cube: cube.users.list(filters=filters)) == f"/users/v2?{query}"


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"id": {"eq": 5}}, "filter[]=number+id+eq+5"),
        ({"id": {"in": [5, 6]}}, "filter[]=number+id+in+5%2C6"),
        ({"full_name": {"ne": "Ann Lee"}}, "filter[]=string+full_name+ne+Ann+Lee"),
    ],
    ids=str,
)
def test_user_filters_of_v1(filters: Any, query: str) -> None:
    assert target(lambda cube: cube.users.list_v1(filters=filters)) == f"/users?{query}"


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"rating": 5, "open": True, "name": "x", "price": 1.5}, "rating=5&open=true&name=x&price=1.5"),
        (
            {"rating": {"or": [1, 2]}, "place": {"near": "9.19,45.46;1000"}},
            "rating[or]=1%2C2&place[near]=9.19%2C45.46%3B1000",
        ),
        ({"rating": {"calc": "avg"}}, "rating[calc]=avg"),
        ({"made": {"gte": MOMENT}}, "made[gte]=2026-02-03T10%3A15%3A30Z"),
        ({"a.b[c]": 1}, "a.b[c]=1"),
    ],
    ids=str,
)
def test_custom_object_filters(filters: Any, query: str) -> None:
    assert target(lambda cube: cube.custom_objects.list("Boat", filters=filters)) == f"/data/Boat?{query}"


def test_booleans_use_the_wire_format() -> None:
    assert target(lambda cube: cube.dialogs.delete("d", force=True)) == "/chat/Dialog/d?force=1"
    assert target(lambda cube: cube.dialogs.delete("d", force=False)) == "/chat/Dialog/d?force=0"
    assert target(lambda cube: cube.messages.list(chat_dialog_id="d", mark_as_read=False, preview=True)) == (
        "/chat/Message?chat_dialog_id=d&mark_as_read=0&preview=1"
    )
    assert body(lambda cube: cube.dialogs.update_notifications("d", enabled=True)) == {"enabled": "1"}
    assert body(lambda cube: cube.messages.create(chat_dialog_id="d", send_to_chat=True)) == {
        "chat_dialog_id": "d",
        "send_to_chat": 1,
    }


def test_lists_in_a_query() -> None:
    assert target(lambda cube: cube.messages.unread_count(chat_dialog_ids=["a", "b"])) == (
        "/chat/Message/unread?chat_dialog_ids=a,b"
    )
    assert target(lambda cube: cube.admin.count_dialogs(types=[2, DialogType.PRIVATE])) == (
        "/admin/stats/dialogs/created-total?types[]=2&types[]=3"
    )
    assert target(lambda cube: cube.custom_objects.list("Boat", output_include=["a", "b"])) == (
        "/data/Boat?output[include]=a,b"
    )


def test_times_in_a_query() -> None:
    assert target(lambda cube: cube.admin.count_messages(start_date=MOMENT, end_date=SECONDS)) == (
        f"/admin/stats/messages/sent-total?start_date={SECONDS}&end_date={SECONDS}"
    )
    assert "start_date=2026-02-03T10%3A15%3A30Z" in target(
        lambda cube: cube.search.query(search_text="hello", start_date=MOMENT, end_date="2026-01-01T00:00:00Z")
    )


def test_omitted_arguments_are_not_sent() -> None:
    assert target(lambda cube: cube.dialogs.list()) == "/chat/Dialog"
    assert body(lambda cube: cube.dialogs.update("d", name="n", photo=None)) == {"name": "n"}


# -- bodies


def test_none_resets_and_omit_keeps() -> None:
    assert body(lambda cube: cube.dialogs.update("d", extensions=None)) == {"extensions": None}
    assert body(lambda cube: cube.dialogs.update("d", extensions=OMIT, name="n")) == {"name": "n"}
    assert body(lambda cube: cube.dialogs.update("d", extensions={})) == {"extensions": {}}
    assert body(lambda cube: cube.admin.update_dialog("d", extensions=None)) == {"extensions": None}
    assert repr(OMIT) == "OMIT"
    assert isinstance(OMIT, Omit)


def test_omit_is_rejected_for_other_arguments() -> None:
    with pytest.raises(InvalidArgument, match="name must be text"):
        sent(lambda cube: cube.dialogs.update("d", name=OMIT))  # type: ignore[arg-type]


def test_lists_in_a_body() -> None:
    assert body(lambda cube: cube.users.update(5, tag_list=["a", "b"])) == {"user": {"tag_list": "a,b"}}
    assert body(lambda cube: cube.dialogs.create(type=2, occupants_ids=(5, 6))) == {"type": 2, "occupants_ids": [5, 6]}
    attachments: Any = [{"type": "photo", "id": "a"}, {"type": "photo", "id": "b"}]
    assert body(lambda cube: cube.messages.create(chat_dialog_id="d", attachments=attachments))["attachments"] == {
        "0": {"type": "photo", "id": "a"},
        "1": {"type": "photo", "id": "b"},
    }
    assert body(lambda cube: cube.custom_objects.create_many("Boat", record=[{"name": "x"}]))["record"] == {
        "0": {"name": "x"}
    }
    assert body(lambda cube: cube.custom_objects.update_many("Boat", record=[{"id": "r"}]))["record"] == {
        "1": {"id": "r"}
    }


def test_push_message_is_base64_encoded_json() -> None:
    def create(message: Any) -> Any:
        event = body(
            lambda cube: cube.push_events.create(
                environment=PushEnvironment.PRODUCTION, message=message, user={"ids": [5, 6]}
            )
        )["event"]
        assert event["environment"] == "production"
        assert event["user"] == {"ids": "5,6"}
        return event["message"]

    assert json.loads(base64.b64decode(create({"message": "Привет", "ios_badge": 1}))) == {
        "message": "Привет",
        "ios_badge": 1,
    }
    assert create("payload=abc") == "payload=abc"


def test_enum_members_and_values_are_interchangeable() -> None:
    assert body(lambda cube: cube.dialogs.create(type=DialogType.GROUP)) == {"type": 2}
    assert body(lambda cube: cube.dialogs.create(type=2)) == {"type": 2}


def test_extra_fields_are_sent_beside_known_ones() -> None:
    assert body(
        lambda cube: cube.custom_objects.create("Boat", fields={"name": "x", "built": MOMENT, "tags": ("a",)})
    ) == {
        "name": "x",
        "built": "2026-02-03T10:15:30Z",
        "tags": ["a"],
    }
    assert body(lambda cube: cube.messages.create_system(recipientId=5, extra={"deep": {"a": [None, True]}})) == {
        "recipientId": 5,
        "deep": {"a": [None, True]},
    }
    with pytest.raises(InvalidArgument, match=r"extra\['recipientId'\] has an argument of its own"):
        sent(lambda cube: cube.messages.create_system(recipientId=5, extra={"recipientId": 6}))


def test_unknown_fields_are_sent_only_if_explicit() -> None:
    assert body(lambda cube: cube.dialogs.update("d", name="n", extra_fields={"pace": Number(7), "mood": None})) == {
        "name": "n",
        "pace": 7,
        "mood": None,
    }
    assert body(lambda cube: cube.users.update_me(extra_fields={"shoe": 39})) == {"user": {"shoe": 39}}
    assert body(lambda cube: cube.dialogs.create(type=3, extra_fields={"pace": 7})) == {"type": 3, "pace": 7}
    with pytest.raises(InvalidArgument, match=r"extra_fields\['name'\] has an argument of its own"):
        sent(lambda cube: cube.dialogs.update("d", extra_fields={"name": "n"}))
    with pytest.raises(TypeError, match="unexpected keyword argument 'pace'"):
        sent(lambda cube: cube.dialogs.update("d", pace=7))  # type: ignore[call-arg]


def test_creations_and_updates_take_unknown_fields() -> None:
    without = [
        name
        for name, method in METHODS.items()
        if name.partition(".")[2] in ("create", "update", "update_me")
        and {"extra_fields", "extra", "fields"}.isdisjoint(inspect.signature(method).parameters)
    ]
    assert without == ["link_previews.create", "sessions.create"]


def test_value_json_cannot_represent_is_named() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, {"x": b"bytes"}, float("nan"), {1, object()}):
        with pytest.raises(InvalidArgument) as caught:
            sent(lambda cube, value=value: cube.messages.create_system(recipientId=5, extra={"x": value}))  # type: ignore[misc]
        assert caught.value.argument.startswith("extra")


# -- answers given back


def test_dialog_permissions_can_be_sent_back() -> None:
    dialog = Dialog.from_dict({"_id": "d", "permissions": {"allow_preview": "1"}})
    assert dialog.permissions is not None
    expected = {"permissions": {"allow_preview": True}}
    permissions = dialog.permissions
    assert body(lambda cube: cube.dialogs.update("d", permissions=permissions)) == expected
    assert body(lambda cube: cube.dialogs.update("d", permissions=DialogPermissions(allow_preview=True))) == expected
    assert body(lambda cube: cube.dialogs.update("d", permissions={"allow_preview": True})) == expected


def test_message_attachments_can_be_sent_back() -> None:
    attachment = {"type": "photo", "id": "a", "url": "https://example.com/a", "blurhash": "LEHV", "rotation": 90}
    message = Message.from_dict({"_id": "m", "attachments": [attachment]})
    assert body(lambda cube: cube.messages.create(chat_dialog_id="d", attachments=message.attachments)) == {
        "chat_dialog_id": "d",
        "attachments": {"0": attachment},
    }


def test_meeting_parts_can_be_sent_back() -> None:
    parts = {
        "attendees": [{"id": 5}, {"email": "a@example.com"}],
        "notify_before": {"metric": "minutes", "value": 15},
        "timezone": {"offset": 60, "name": "Europe/Rome"},
    }
    meeting = Meeting.from_dict({"_id": "m", **parts})
    assert (
        body(
            lambda cube: cube.meetings.update(
                "m", attendees=meeting.attendees, notify_before=meeting.notify_before, timezone=meeting.timezone
            )
        )
        == parts
    )


@pytest.mark.parametrize(
    "value",
    [Message(id="m"), Dialog(id="d"), DialogPermissions, Attachment(type="photo")],
    ids=lambda value: repr(value)[:20],
)
def test_model_of_another_type_is_rejected(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="permissions must be a mapping"):
        sent(lambda cube: cube.dialogs.update("d", permissions=value))


def test_model_with_invalid_values_is_rejected() -> None:
    with pytest.raises(InvalidArgument, match=r"permissions\['allow_preview'\] must be True or False"):
        sent(lambda cube: cube.dialogs.update("d", permissions=DialogPermissions(allow_preview="yes")))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"attachments\[0\]\['type'\] holds a lone surrogate"):
        sent(lambda cube: cube.messages.create(chat_dialog_id="d", attachments=[Attachment(type="\ud800")]))
