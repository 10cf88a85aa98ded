"""N-13: one id in the path of a deletion of several is the single deletion, whose response is empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.sandbox.conftest import Join
from tests.sandbox.test_dialogs import group

MISSING = "0" * 24

Make = Callable[[Any, Any], str]
Delete = Callable[[Any, Sequence[str]], Any]


def a_dialog(owner: Any, other: Any) -> str:
    return str(group(owner, other).id)


def a_record(owner: Any, other: Any) -> str:
    return str(owner.custom_objects.create("Movie", fields={"title": "T"}).id)


def a_message(owner: Any, other: Any) -> str:
    return str(owner.messages.create(chat_dialog_id=group(owner, other).id, message="x").id)


ROWS: dict[str, tuple[Make, Delete]] = {
    "dialogs.delete_many": (a_dialog, lambda cube, ids: cube.dialogs.delete_many(ids, force=True)),
    "custom_objects.delete_many": (a_record, lambda cube, ids: cube.custom_objects.delete_many("Movie", ids)),
    "messages.delete": (a_message, lambda cube, ids: cube.messages.delete(ids, force=True)),
}


def outcome(result: Any) -> tuple[list[str], list[str], list[str]]:
    """Return the ids that were deleted, that were not found, and that the user may not delete."""
    done, missing, wrong = result.successfully_deleted, result.not_found, result.wrong_permissions
    return done.ids if done else [], missing.ids if missing else [], wrong.ids if wrong else []


@pytest.mark.parametrize("row", ROWS)
def test_each_outcome_is_reported_for_one_id_as_for_several(row: str, join: Join) -> None:
    make, delete = ROWS[row]
    mary, ada = join("mary"), join("ada")
    own, other, both = make(mary, ada), make(ada, mary), make(mary, ada)
    assert outcome(delete(mary, [own])) == ([own], [], [])
    assert outcome(delete(mary, [MISSING])) == ([], [MISSING], [])
    assert outcome(delete(mary, [other])) == ([], [], [other])
    assert outcome(delete(mary, [both, MISSING, other])) == ([both], [MISSING], [other])


def test_id_left_over_when_a_long_call_is_divided_is_reported(join: Join) -> None:
    mary = join("mary")
    # The path of the first part has room for 279 ids.
    ids = [f"{number:024x}" for number in range(280)]
    assert outcome(mary.dialogs.delete_many(ids)) == ([], ids, [])


def test_suffix_of_the_path_is_not_part_of_the_id(join: Join) -> None:
    mary = join("mary", path_suffix=".json")
    record = a_record(mary, mary)
    raw = mary.custom_objects.with_raw_response.delete_many("Movie", record)
    assert raw.body.strip() == b""
    assert outcome(raw.parse()) == ([record], [], [])
