"""What each kind of field makes of the forms that servers send."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import httpx
import pytest

from connectycube.rest import DecodeError
from connectycube.rest.models import (
    AddressBookResult,
    Attachment,
    CustomObject,
    Dialog,
    DialogNotifications,
    DialogType,
    MeetingRecording,
    Message,
    MessageStatus,
    Session,
    UnreadCount,
    User,
)

from .lists import client
from .schemas import ENUMS, read

MOMENT = dt.datetime(2026, 2, 3, 10, 15, 30, tzinfo=dt.UTC)
SECONDS = int(MOMENT.timestamp())


def shown(value: object) -> str:
    return repr(value)[:40]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (SECONDS, MOMENT),
        (str(SECONDS), MOMENT),
        (float(SECONDS), MOMENT),
        (f"{SECONDS}.25", MOMENT + dt.timedelta(milliseconds=250)),
        (SECONDS * 1000, MOMENT),
        (SECONDS * 1000 + 1, MOMENT + dt.timedelta(milliseconds=1)),
        (str(SECONDS * 1000), MOMENT),
        ("1612102380000", dt.datetime(2021, 1, 31, 14, 13, tzinfo=dt.UTC)),
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (-1, dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        (10**11, dt.datetime(5138, 11, 16, 9, 46, 40, tzinfo=dt.UTC)),
        (10**11 + 1000, dt.datetime(1973, 3, 3, 9, 46, 41, tzinfo=dt.UTC)),
        ("2026-02-03T10:15:30Z", MOMENT),
        ("2026-02-03T10:15:30", MOMENT),
        ("2026-02-03 10:15:30", MOMENT),
        ("2026-02-03T12:15:30+02:00", MOMENT),
        ("2026-02-03T10:15:30.5Z", MOMENT + dt.timedelta(milliseconds=500)),
        ("2026-02-03", dt.datetime(2026, 2, 3, tzinfo=dt.UTC)),
    ],
    ids=shown,
)
@pytest.mark.parametrize("field", ["created_at", "last_message_date_sent"])
def test_time_in_any_form(field: str, raw: Any, expected: dt.datetime) -> None:
    dialog = read(Dialog, {field: raw})
    found = getattr(dialog, field)
    assert found == expected
    assert found.tzinfo is not None
    assert dialog.extra == {}
    assert Dialog.from_dict(dialog.to_dict()) == dialog


@pytest.mark.parametrize(
    "raw",
    [
        *("", "soon", "2026-13-01", "٣" * 10, True, [], {}, math.nan, math.inf, 1e300, 10**400),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9" * 5000),
    ],
    ids=shown,
)
def test_invalid_time_stays_raw(raw: Any) -> None:
    dialog = read(Dialog, {"created_at": raw})
    assert dialog.created_at is None
    assert dialog.extra["created_at"] is raw
    assert dialog.to_dict()["created_at"] is raw


def test_times_use_the_format_of_their_field() -> None:
    created = MOMENT.astimezone(dt.timezone(dt.timedelta(hours=5)))
    dialog = Dialog(id="d", created_at=created, last_message_date_sent=MOMENT)
    written = {"_id": "d", "created_at": "2026-02-03T10:15:30Z", "last_message_date_sent": SECONDS}
    assert dialog.to_dict() == written


@pytest.mark.parametrize(
    "time",
    [
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        dt.datetime(2500, 6, 1, 0, 0, 0, 1, tzinfo=dt.UTC),
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        MOMENT.replace(microsecond=123456),
    ],
    ids=shown,
)
def test_unix_times_round_trip(time: dt.datetime) -> None:
    message = Message(id="m", date_sent=time)
    assert Message.from_dict(json.loads(json.dumps(message.to_dict()))) == message


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        *((1, True), ("1", True), (True, True), ("true", True), ("True", True), (1.0, True)),
        *((0, False), ("0", False), (False, False), ("false", False), ("FALSE", False), (0.0, False)),
    ],
    ids=shown,
)
def test_boolean_in_any_spelling(raw: Any, expected: bool) -> None:
    assert read(Message, {"read": raw}).read is expected
    assert DialogNotifications.from_dict({"enabled": raw}).enabled is expected
    assert read(User, {"is_guest": raw}).is_guest is expected


@pytest.mark.parametrize("raw", [2, -1, "yes", "", "1.0", [], {}, math.nan], ids=shown)
def test_invalid_boolean_stays_raw(raw: Any) -> None:
    message = read(Message, {"read": raw})
    assert message.read is None
    assert message.extra == {"read": raw}


def test_booleans_are_written_as_numbers_where_required() -> None:
    assert Message(id="m", read=True).to_dict() == {"_id": "m", "read": 1}
    assert DialogNotifications(enabled=False).to_dict() == {"enabled": 0}


@pytest.mark.parametrize(
    ("raw", "expected"), [("12", 12), (" 12 ", 12), ("-3", -3), (12.0, 12), (2**70, 2**70)], ids=shown
)
def test_integer_in_any_form(raw: Any, expected: int) -> None:
    found = read(Dialog, {"user_id": raw}).user_id
    assert found == expected
    assert type(found) is int


@pytest.mark.parametrize("raw", ["", "1.5", 1.5, "1_000", "٣", "--1", [], {}, math.nan, "9" * 5000], ids=shown)
def test_invalid_integer_stays_raw(raw: Any) -> None:
    dialog = read(Dialog, {"user_id": raw})
    assert dialog.user_id is None
    assert dialog.extra == {"user_id": raw}


@pytest.mark.parametrize(("raw", "expected"), [(12, "12"), (1.5, "1.5"), ("", "")], ids=shown)
def test_text_can_arrive_as_a_number(raw: Any, expected: str) -> None:
    assert Attachment.from_dict({"id": raw}).id == expected


@pytest.mark.parametrize(("raw", "expected"), [("1.5", 1.5), (3, 3.0), ("1e3", 1000.0)], ids=shown)
def test_number_in_any_form(raw: Any, expected: float) -> None:
    assert read(MeetingRecording, {"duration": raw}).duration == expected


@pytest.mark.parametrize("raw", [2**53 + 1, 10**400, math.inf, "nan", "1_0", True], ids=shown)
def test_number_too_large_for_a_float_stays_raw(raw: Any) -> None:
    recording = read(MeetingRecording, {"duration": raw})
    assert recording.duration is None
    assert recording.extra == {"duration": raw}


def test_enums_are_open() -> None:
    assert read(Dialog, {"type": 3}).type is DialogType.PRIVATE
    assert read(Dialog, {"type": "3"}).type is DialogType.PRIVATE
    assert read(Dialog, {"type": 77}).type == 77
    assert read(Dialog, {"last_message_status": "read"}).last_message_status is MessageStatus.READ
    assert read(Dialog, {"last_message_status": "smelled"}).last_message_status == "smelled"
    odd = read(Dialog, {"type": ["3"], "last_message_status": {}})
    assert (odd.type, odd.last_message_status) == (None, None)
    assert odd.extra == {"type": ["3"], "last_message_status": {}}


@pytest.mark.parametrize("name", ENUMS)
def test_members_equal_their_wire_values(name: str) -> None:
    for member in ENUMS[name]:
        assert json.loads(json.dumps(member)) == member.value == member
        assert str(member) == str(member.value)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ", ["a", "b"]),
        ("a,,b,", ["a", "b"]),
        ("", []),
        (["a", "b"], ["a", "b"]),
        (["a,b", " c"], ["a,b", " c"]),
        ({"1": "b", "0": "a"}, ["a", "b"]),
        ({"10": "c", "9": "b", "0": "a"}, ["a", "b", "c"]),
        (5, ["5"]),
        (None, []),
    ],
    ids=shown,
)
def test_list_can_arrive_comma_separated_or_indexed(raw: Any, expected: list[str]) -> None:
    user = read(User, {"user_tags": raw})
    assert user.user_tags == expected
    assert user.extra == {}
    assert User.from_dict(user.to_dict()) == user


def test_tags_are_written_comma_separated() -> None:
    assert User(id=5, user_tags=["a", "b"]).to_dict() == {"id": 5, "user_tags": "a,b"}


def test_list_is_read_completely_or_not_at_all() -> None:
    message = read(Message, {"read_ids": [1, "2"], "delivered_ids": [1, "x"], "attachments": [{}, "y"]})
    assert message.read_ids == [1, 2]
    assert message.delivered_ids == []
    assert message.attachments == []
    assert message.extra == {"delivered_ids": [1, "x"], "attachments": [{}, "y"]}


def test_attachments_can_be_indexed_objects() -> None:
    message = read(Message, {"attachments": {"1": {"id": "b"}, "0": {"id": "a"}}})
    assert [attachment.id for attachment in message.attachments] == ["a", "b"]


def test_extra_fields_of_a_model_are_typed() -> None:
    counts = UnreadCount.from_dict({"total": "7", "d1": 3, "d2": "4", "d3": "many"})
    assert counts.total == 7
    assert counts.dialogs == {"d1": 3, "d2": 4}
    assert counts.extra == {"d3": "many"}
    assert counts.to_dict() == {"total": 7, "d1": 3, "d2": 4, "d3": "many"}


def test_custom_object_fields_are_kept_separate() -> None:
    record = CustomObject.from_dict({"_id": "r", "user_id": 5, "shelf": None, "rating": [4, {"by": 1}]})
    assert (record.id, record.user_id) == ("r", 5)
    assert record.fields == {"shelf": None, "rating": [4, {"by": 1}]}
    assert record.extra == {}


def test_rejected_contacts_are_keyed_by_index() -> None:
    result = AddressBookResult.from_dict({"deleted": 0, "created": "2", "rejected": {"1": ["Phone is invalid"]}})
    assert result.created == 2
    assert result.rejected == {"1": ["Phone is invalid"]}


def test_unreadable_identity_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match=r"^Session has a token that can't be read$") as caught:
        Session.from_dict({"id": 1, "token": ["sesame"]})
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(("raw", "expected"), [("12", 12), (12.0, 12)], ids=shown)
def test_identity_in_any_form(raw: Any, expected: int) -> None:
    assert User.from_dict({"id": raw}).id == expected


# -- shapes of whole answers


def answered(body: Any) -> Any:
    return client(lambda request: httpx.Response(200, content=json.dumps(body)))


@pytest.mark.parametrize(
    "body",
    [
        {"items": {"count": 12}},
        {"items": {"count": "12"}},
        {"count": 12},
        {"total_entries": 12},
        {"total": 12},
        {"items": 12},
        {"total_entries": 12, "skip": 0, "limit": 100, "items": []},
        12,
        "12",
    ],
    ids=shown,
)
def test_count_in_any_shape(body: Any) -> None:
    with answered(body) as cube:
        assert cube.dialogs.count() == 12


@pytest.mark.parametrize(
    "body", [None, [], {}, {"items": []}, {"count": None}, {"count": True}, "many", 1.5, [12]], ids=shown
)
def test_invalid_count_is_a_decode_error(body: Any) -> None:
    with answered(body) as cube, pytest.raises(DecodeError):
        cube.dialogs.count()


@pytest.mark.parametrize("body", [{"user": {"id": 5}}, {"id": 5}], ids=shown)
def test_envelope_can_be_missing(body: Any) -> None:
    with answered(body) as cube:
        assert cube.users.get(5).id == 5


@pytest.mark.parametrize("body", [{"results": {"messages": [{"_id": "m"}]}}, {"messages": [{"_id": "m"}]}], ids=shown)
def test_search_results_can_be_at_the_top_level(body: Any) -> None:
    with answered(body) as cube:
        assert [message.id for message in cube.search.query(search_text="hello").messages] == ["m"]


@pytest.mark.parametrize("entry", [{"user": {"id": 5}}, {"id": 5}], ids=shown)
def test_entry_envelopes_can_be_missing(entry: Any) -> None:
    with answered({"items": [entry]}) as cube:
        assert [found.id for found in cube.address_book.list_registered()] == [5]
        assert [found.id for found in cube.dialogs.list_occupants("d").items] == [5]
        assert [found.id for found in cube.users.list_v1().items] == [5]


def test_subscription_can_arrive_alone() -> None:
    arguments: Any = {
        "notification_channel": "gcm",
        "push_token": {"environment": "production", "client_identification_sequence": "t"},
        "device": {"platform": "android", "udid": "u"},
    }
    for body in ([{"subscription": {"id": 5}}], {"subscription": {"id": 5}}, [{"id": 5}]):
        with answered(body) as cube:
            assert [found.id for found in cube.push_subscriptions.create(**arguments)] == [5]


@pytest.mark.parametrize("body", [None, [], "text", 3, True], ids=shown)
def test_response_of_the_wrong_type_is_a_decode_error(body: Any) -> None:
    with answered(body) as cube, pytest.raises(DecodeError, match=r"dialogs\.create"):
        cube.dialogs.create(type=2)
