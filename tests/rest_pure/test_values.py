"""Values of other types than the wire's own: what other libraries use for integers, amounts, ids and days."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from connectycube.rest import InvalidArgument

from .test_encoding import Number, body, target

UID = UUID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
DAY = dt.date(2026, 2, 3)
DAY_START = 1770076800


class Id(int, Enum):
    ADA = 81001


class Grade(float, Enum):
    HARD = 6.5


Place = Enum("Place", {"WALL": "north-wall"}, type=str)


class Kind(StrEnum):
    IMAGE = "image"


@pytest.mark.parametrize(
    "value", [Number(81001), Id.ADA, Decimal(81001), Decimal("81001.0")], ids=["index", "enum", "whole", "zeros"]
)
def test_integers_are_accepted_wherever_one_is_expected(value: Any) -> None:
    assert target(lambda cube: cube.users.get(value)) == "/users/81001"
    assert target(lambda cube: cube.dialogs.list(skip=value)) == "/chat/Dialog?skip=81001"
    assert target(lambda cube: cube.messages.list(chat_dialog_id="d", filters={"sender_id": {"in": [value]}})) == (
        "/chat/Message?chat_dialog_id=d&sender_id[in]=81001"
    )
    assert body(lambda cube: cube.dialogs.create(type=2, occupants_ids=[value])) == {
        "type": 2,
        "occupants_ids": [81001],
    }
    assert body(lambda cube: cube.custom_objects.create("Boat", fields={"owner": value})) == {"owner": 81001}
    assert target(lambda cube: cube.custom_objects.list("Boat", filters={"owner": {"lt": value}})) == (
        "/data/Boat?owner[lt]=81001"
    )
    assert target(lambda cube: cube.admin.count_messages(start_date=value, end_date=value)).endswith(
        "?start_date=81001&end_date=81001"
    )


@pytest.mark.parametrize(
    "value", [Number(2**63), True, Decimal("1.5"), Decimal("NaN"), Decimal("1E+999999"), "5", 5.0], ids=repr
)
def test_other_numbers_are_not_integers(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^user_id (must be an integer|exceeds)"):
        target(lambda cube: cube.users.get(value))


@pytest.mark.parametrize("value", [Place.WALL, Kind.IMAGE], ids=repr)
def test_text_enums_are_sent_by_value(value: Any) -> None:
    text = value.value
    assert target(lambda cube: cube.dialogs.subscribe(value)) == f"/chat/Dialog/{text}/subscribe"
    assert target(lambda cube: cube.dialogs.delete_many([value, "d"])) == f"/chat/Dialog/{text},d"
    assert target(lambda cube: cube.dialogs.delete_many(value)) == f"/chat/Dialog/{text}"
    assert target(lambda cube: cube.search.query(search_text=value)).endswith(f"search_text={text}")
    assert target(lambda cube: cube.dialogs.list(filters={"name": value})) == f"/chat/Dialog?name={text}"
    assert target(lambda cube: cube.custom_objects.list("Boat", filters={"at": {"in": [value]}})).endswith(
        f"at[in]={text}"
    )
    assert body(lambda cube: cube.dialogs.update("d", name=value)) == {"name": text}
    assert body(lambda cube: cube.custom_objects.create("Boat", fields={"at": value, value: 1})) == {
        "at": text,
        text: 1,
    }


def test_uuids_are_text() -> None:
    value: Any = UID
    assert target(lambda cube: cube.dialogs.subscribe(value)) == f"/chat/Dialog/{UID}/subscribe"
    assert target(lambda cube: cube.dialogs.delete_many(value)) == f"/chat/Dialog/{UID}"
    assert target(lambda cube: cube.dialogs.list(filters={"name": value})) == f"/chat/Dialog?name={UID}"
    assert body(lambda cube: cube.users.update(5, external_id=value)) == {"user": {"external_id": str(UID)}}
    assert body(lambda cube: cube.custom_objects.create("Boat", fields={"serial": UID})) == {"serial": str(UID)}


def test_decimals_are_numbers() -> None:
    fields = {"price": Decimal("19.99"), "count": Decimal(3), "large": Decimal("1E+25"), "grade": Grade.HARD}
    assert body(lambda cube: cube.custom_objects.create("Boat", fields=fields)) == {
        "price": 19.99,
        "count": 3,
        "large": 1e25,
        "grade": 6.5,
    }
    assert target(lambda cube: cube.custom_objects.list("Boat", filters={"price": {"gt": Decimal("19.90")}})) == (
        "/data/Boat?price[gt]=19.9"
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Decimal("0.1234567890123456789"), "has more digits than a JSON number keeps: pass it as text"),
        (Decimal("1E+999999"), "has more digits than a JSON number keeps: pass it as text"),
        (Decimal("NaN"), "must be a finite number, not Decimal"),
        (Decimal("-Infinity"), "must be a finite number, not Decimal"),
    ],
)
def test_decimals_that_json_cannot_represent(value: Decimal, problem: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        body(lambda cube: cube.custom_objects.create("Boat", fields={"price": value}))
    assert str(caught.value) == f"fields['price'] {problem}"


def test_dates() -> None:
    value: Any = DAY
    assert body(lambda cube: cube.custom_objects.create("Boat", fields={"built": DAY})) == {"built": "2026-02-03"}
    assert target(lambda cube: cube.custom_objects.list("Boat", filters={"built": {"gte": DAY}})) == (
        "/data/Boat?built[gte]=2026-02-03"
    )
    # As a time, a date is its start in UTC.
    assert target(lambda cube: cube.dialogs.list(filters={"created_at": {"gte": value}})) == (
        f"/chat/Dialog?created_at[gte]={DAY_START}"
    )
    assert "start_date=2026-02-03T00%3A00%3A00Z" in target(
        lambda cube: cube.search.query(search_text="hello", start_date=value)
    )


def test_time_without_a_zone_is_still_rejected() -> None:
    with pytest.raises(InvalidArgument, match="must have a time zone"):
        target(lambda cube: cube.dialogs.list(filters={"created_at": dt.datetime(2026, 2, 3)}))
