"""R-026 to R-037: dialogs by the table of roles and privileges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectycube.rest import errors
from connectycube.sandbox import Sandbox
from connectycube.sandbox.bus import DialogChanged, DialogDeleted
from tests.rest.both import Both
from tests.sandbox.conftest import Join, user_id

GROUP, PRIVATE, PUBLIC, BROADCAST = 2, 3, 4, 1


def group(owner: Any, *others: Any, **fields: Any) -> Any:
    ids = [user_id(one) for one in others]
    return owner.dialogs.create(type=GROUP, occupants_ids=ids, name="Climbing", **fields)


def refused(call: Callable[[], object], kind: type[errors.ApiError] = errors.Forbidden) -> None:
    with pytest.raises(kind):
        call()


def test_a_private_dialog_is_created_once_and_has_the_name_of_the_other_user(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    first = mary.dialogs.create(type=PRIVATE, occupants_ids=[user_id(ada)])
    again = ada.dialogs.create(type=PRIVATE, occupants_ids=[user_id(mary)])
    assert first.id == again.id
    assert (first.name, again.name) == ("ada", "mary")
    assert first.xmpp_room_jid is None
    assert first.occupants_ids == [user_id(mary), user_id(ada)]


def test_a_group_contains_its_creator_and_its_room_has_the_documented_address(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada, description="Who drives?", extensions={"city": "Turin"})
    assert dialog.user_id == user_id(mary)
    assert dialog.occupants_ids == [user_id(mary), user_id(ada)]
    assert dialog.xmpp_room_jid == f"{sandbox.app_id}_{dialog.id}@muc.localhost"
    assert dialog.extensions == {"city": "Turin"}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": GROUP, "occupants_ids": [1], "name": "x"},
        {"type": GROUP, "name": "x"},
        {"type": PUBLIC},
        {"type": PRIVATE, "occupants_ids": []},
        {"type": 5, "name": "x"},
    ],
    ids=["stranger", "no occupants", "no name", "alone", "meeting"],
)
def test_missing_or_invalid_fields_are_reported(join: Join, fields: dict[str, Any]) -> None:
    refused(lambda: join("mary").dialogs.create(**fields), errors.Unprocessable)


def test_dialogs_are_listed_filtered_counted_and_sorted(join: Join, both: Both, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    made = []
    for number in range(5):
        sandbox.advance(10)
        made.append(group(mary, ada, extensions={"city": "Turin" if number % 2 else "Milan"}))
    private = mary.dialogs.create(type=PRIVATE, occupants_ids=[user_id(ada)])
    sandbox.advance(10)
    mary.messages.create(chat_dialog_id=made[1].id, message="hello")
    assert mary.dialogs.list().items[0].id == made[1].id
    assert mary.dialogs.count() == 6
    assert mary.dialogs.count(filters={"type": {"in": [PRIVATE]}}) == 1
    assert [one.id for one in mary.dialogs.list(filters={"type": {"ne": GROUP}})] == [private.id]
    assert mary.dialogs.count(filters={"extensions": {"city": "Turin"}}) == 2
    assert mary.dialogs.count(filters={"name": {"ctn": "limb"}}) == 5
    page = mary.dialogs.list(limit=2, sort_asc="last_message_date_sent")
    assert page.total_entries == 6
    assert len(both.walk(page)) == 6
    assert join("eve").dialogs.count() == 0


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"name": {"gte": "B"}}, "BC"),
        ({"name": {"all": ["A", "A"]}}, "A"),
        ({"type": {"ctn": 2}}, "ABC"),
        ({"type": {"all": [2, 3]}}, ""),
        ({"extensions": {"city": {"all": ["Turin", "Turin"]}, "level": {"lt": "3"}}}, "A"),
        ({"extensions": {"level": {"lte": "3"}, "city": "Turin"}}, "AB"),
        ({"extensions": {"city": {"all": ["Turin", "Milan"]}}}, ""),
        ({"id": {"ctn": "zzz"}}, ""),
        ({"created_at": {"ctn": 7777777777}}, ""),
        ({"updated_at": {"all": [7, 8]}}, ""),
    ],
    ids=repr,
)
def test_all_operators_work_on_all_fields(join: Join, sandbox: Sandbox, filters: dict[str, Any], found: str) -> None:
    mary = join("mary")
    for number, name in enumerate("ABC"):
        extensions = {"city": "Milan" if name == "C" else "Turin", "level": str(2 + number)}
        mary.dialogs.create(type=GROUP, occupants_ids=[], name=name, extensions=extensions)
    assert sorted(str(one.name) for one in mary.dialogs.list(filters=filters).items) == list(found)


def test_values_of_extensions_become_text(join: Join, sandbox: Sandbox) -> None:
    extensions = {"level": 6, "indoors": True, "grade": 1.5}
    answer = httpx.post(
        f"{sandbox.api_url}/chat/Dialog",
        json={"type": PUBLIC, "name": "x", "extensions": extensions},
        headers={"CB-Token": join("mary").session.token},
    )
    assert answer.json()["extensions"] == {"level": "6", "indoors": "true", "grade": "1.5"}


def test_a_private_dialog_has_its_own_permissions(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = mary.dialogs.create(
        type=PRIVATE, occupants_ids=[user_id(ada)], name="x", photo="y", permissions={"allow_preview": True}
    )
    assert (dialog.name, dialog.photo) == ("ada", None)
    assert dialog.permissions.allow_preview is True


def test_members_admins_and_owners_may_change_what_their_role_allows(join: Join) -> None:
    mary, ada, eve, grace = join("mary"), join("ada"), join("eve"), join("grace")
    dialog = group(mary, ada, eve)
    message = mary.messages.create(chat_dialog_id=dialog.id, message="hello")
    update = ada.dialogs.update
    assert update(dialog.id, name="Sunday", photo="p", description="d").name == "Sunday"
    assert user_id(grace) in (update(dialog.id, push_all={"occupants_ids": [user_id(grace)]}).occupants_ids or [])
    refused(lambda: update(dialog.id, pull_all={"occupants_ids": [user_id(grace)]}))
    refused(lambda: update(dialog.id, push_all={"pinned_messages_ids": [message.id]}))
    refused(lambda: ada.dialogs.update_admins(dialog.id, push_all={"admins_ids": [user_id(ada)]}))
    assert mary.dialogs.update_admins(dialog.id, push_all={"admins_ids": [user_id(ada)]}).admins_ids == [user_id(ada)]
    assert update(dialog.id, push_all={"pinned_messages_ids": [message.id]}).pinned_messages_ids == [message.id]
    assert update(dialog.id, pull_all={"pinned_messages_ids": [message.id]}).pinned_messages_ids == []
    assert user_id(grace) not in (update(dialog.id, pull_all={"occupants_ids": [user_id(grace)]}).occupants_ids or [])
    refused(lambda: update(dialog.id, pull_all={"occupants_ids": [user_id(mary)]}))
    refused(lambda: ada.dialogs.delete(dialog.id, force=True))
    refused(lambda: grace.dialogs.update(dialog.id, name="x"))
    eve.dialogs.update(dialog.id, pull_all={"occupants_ids": [user_id(eve)]})
    assert eve.dialogs.count() == 0


def test_a_dialog_has_at_most_five_admins(join: Join, sandbox: Sandbox) -> None:
    mary = join("mary")
    ids = [sandbox.create_user(f"user{number}").id for number in range(6)]
    dialog = mary.dialogs.create(type=GROUP, occupants_ids=ids, name="x", admins_ids=ids[:5])
    assert dialog.admins_ids == ids[:5]
    refused(lambda: mary.dialogs.update_admins(dialog.id, push_all={"admins_ids": [ids[5]]}), errors.Unprocessable)
    assert mary.dialogs.list().items[0].admins_ids == ids[:5]


def test_extensions_are_reset_by_none(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada, extensions={"city": "Turin"})
    assert mary.dialogs.update(dialog.id, extensions=None).extensions is None


def test_a_dialog_is_deleted_for_one_user_unless_the_owner_forces_it(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    ada.dialogs.delete(dialog.id)
    assert ada.dialogs.count() == 0
    assert mary.dialogs.list().items[0].occupants_ids == [user_id(mary)]
    private = mary.dialogs.create(type=PRIVATE, occupants_ids=[user_id(ada)])
    ada.dialogs.delete(private.id)
    assert ada.dialogs.count() == 0
    mary.messages.create(chat_dialog_id=private.id, message="still there?")
    assert ada.dialogs.count() == 1
    mary.dialogs.delete(dialog.id, force=True)
    refused(lambda: mary.dialogs.delete(dialog.id), errors.NotFound)


def test_many_dialogs_are_deleted_at_once_with_a_result_for_each(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    own, other = group(mary, ada), group(ada, mary)
    missing = "0" * 24
    result = mary.dialogs.delete_many([own.id, other.id, missing], force=True)
    assert result.successfully_deleted is not None
    assert result.successfully_deleted.ids == [own.id]
    assert result.wrong_permissions is not None
    assert result.wrong_permissions.ids == [other.id]
    assert result.not_found is not None
    assert result.not_found.ids == [missing]


def test_public_dialogs_are_joined_and_left(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = mary.dialogs.create(type=PUBLIC, name="City news")
    refused(lambda: ada.messages.list(chat_dialog_id=dialog.id))
    entered = ada.dialogs.subscribe(dialog.id)
    assert (entered.occupants_ids, entered.occupants_count) == ([], 2)
    assert [user.login for user in ada.dialogs.list_occupants(dialog.id)] == ["mary", "ada"]
    refused(lambda: ada.dialogs.update(dialog.id, name="x"))
    ada.dialogs.unsubscribe(dialog.id)
    assert ada.dialogs.count() == 0
    refused(lambda: ada.dialogs.subscribe(group(mary, ada).id))
    refused(lambda: ada.dialogs.list_occupants(dialog.id))


def test_everybody_reads_a_broadcast_and_only_its_owner_and_admins_write(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = mary.dialogs.create(type=BROADCAST, name="All hands")
    mary.messages.create(chat_dialog_id=dialog.id, message="hello")
    assert [one.id for one in ada.dialogs.list()] == [dialog.id]
    assert [one.message for one in ada.messages.list(chat_dialog_id=dialog.id)] == ["hello"]
    refused(lambda: ada.messages.create(chat_dialog_id=dialog.id, message="me too"))
    mary.dialogs.update_admins(dialog.id, push_all={"admins_ids": [user_id(ada)]})
    ada.messages.create(chat_dialog_id=dialog.id, message="me too")


def test_notifications_are_set_per_user(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    assert mary.dialogs.get_notifications(dialog.id).enabled is True
    assert mary.dialogs.update_notifications(dialog.id, enabled=False).enabled is False
    assert mary.dialogs.get_notifications(dialog.id).enabled is False
    assert ada.dialogs.get_notifications(dialog.id).enabled is True


def test_history_is_cleared_for_one_user_or_for_everyone(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    mary.messages.create(chat_dialog_id=dialog.id, message="hello")
    ada.dialogs.clear_history(dialog.id)
    assert ada.messages.count(chat_dialog_id=dialog.id) == 0
    assert mary.messages.count(chat_dialog_id=dialog.id) == 1
    refused(lambda: ada.dialogs.clear_history(dialog.id, force=True))
    mary.dialogs.clear_history(dialog.id, force=True)
    assert mary.messages.count(chat_dialog_id=dialog.id) == 0
    assert mary.dialogs.list().items[0].last_message is None


def test_the_bus_carries_changes_of_occupants(join: Join, sandbox: Sandbox) -> None:
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    changes: list[DialogChanged] = []
    ends: list[str] = []
    stops = [
        sandbox.call(sandbox.core.bus.subscribe, DialogChanged, changes.append),
        sandbox.call(sandbox.core.bus.subscribe, DialogDeleted, lambda signal: ends.append(signal.dialog_id)),
    ]
    dialog = group(mary, ada)
    mary.dialogs.update(
        dialog.id, push_all={"occupants_ids": [user_id(eve)]}, pull_all={"occupants_ids": [user_id(ada)]}
    )
    mary.dialogs.delete(dialog.id, force=True)
    for stop in stops:
        sandbox.call(stop)
    assert [(list(one.added), list(one.removed)) for one in changes] == [
        ([user_id(mary), user_id(ada)], []),
        ([user_id(eve)], [user_id(ada)]),
    ]
    assert ends == [dialog.id]
