"""R-060 to R-099: push, address book, custom objects, meetings, whiteboards, calls, admin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connectycube.rest import errors
from connectycube.sandbox import Sandbox
from connectycube.sandbox.bus import CallRejected
from tests.rest.both import Both
from tests.sandbox.conftest import Join, user_id
from tests.sandbox.test_dialogs import group, refused

START = 1770285600


@pytest.fixture
def admin(both: Both, sandbox: Sandbox) -> Any:
    return both.cube(sandbox.api_url, admin_key=sandbox.admin_key, token=None)


# -- push


def subscribe(cube: Any, channel: str = "gcm") -> Any:
    token = {"environment": "development", "client_identification_sequence": "x" * 20}
    return cube.push_subscriptions.create(
        notification_channel=channel,
        push_token=token,
        device={"platform": "android", "udid": "phone"},
    )


def test_a_device_is_subscribed_once(join: Join) -> None:
    cube = join("mary")
    first, again = subscribe(cube)[0], subscribe(cube)[0]
    assert first.id == again.id
    assert [one.id for one in cube.push_subscriptions.list()] == [first.id]
    refused(lambda: subscribe(cube, "web"), errors.Unprocessable)
    refused(lambda: join("ada").push_subscriptions.delete(first.id), errors.NotFound)
    cube.push_subscriptions.delete(first.id)
    assert cube.push_subscriptions.list() == []


def test_an_event_is_stored_for_each_channel(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    message = {"message": "The rope is packed"}

    def send() -> Any:
        return mary.push_events.create(environment="development", message=message, user={"ids": [user_id(ada)]})

    refused(send, errors.Unprocessable)
    subscribe(ada)
    subscribe(ada, "apns")
    channels = [event.notification_channel.name for event in send()]
    assert channels == ["apns", "gcm"]
    assert [event["recipients"] for event in sandbox.call(sandbox.core.push.events)] == [[user_id(ada)]] * 2


# -- address book


def test_an_address_book_reports_invalid_contacts_by_index(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    grace = sandbox.create_user("grace", phone="390115550103")
    phones = [
        {"name": "Ada L.", "phone": "390115550102"},
        {"name": "Grace H.", "phone": "390115550103"},
    ]
    result = cube.address_book.upload(contacts=phones)
    assert (result.created, result.updated, result.deleted) == (2, 0, 0)
    answer = httpx.post(
        f"{sandbox.api_url}/address_book",
        json={"contacts": [{"name": "Ada", "phone": "390115550102"}, {"phone": "1", "name": "x"}, 7]},
        headers={"CB-Token": cube.session.token},
    ).json()
    assert answer == {
        "created": 0,
        "updated": 1,
        "deleted": 0,
        "rejected": {"1": ["Length of 'phone' must be between 10 and 15."], "2": ["Fields are invalid"]},
    }
    assert {one.phone: one.name for one in cube.address_book.get()} == {
        "390115550102": "Ada",
        "390115550103": "Grace H.",
    }
    found = cube.address_book.list_registered(compact=True)
    assert [(one.id, one.address_book_name, one.login) for one in found] == [(grace.id, "Grace H.", None)]
    assert cube.address_book.list_registered()[0].login == "grace"
    assert cube.address_book.upload(contacts=[{"phone": "390115550102", "destroy": True}]).deleted == 1
    assert cube.address_book.upload(contacts=phones[:1], force=True).deleted == 1


def test_without_a_device_a_call_covers_all_address_books(join: Join) -> None:
    cube = join("mary")
    ada, grace = {"name": "Ada", "phone": "390115550102"}, {"name": "Grace", "phone": "390115550103"}
    for udid in ("phone", "tablet"):
        assert cube.address_book.upload(contacts=[ada, grace], udid=udid).created == 2
    assert cube.address_book.upload(contacts=[{**ada, "name": "Ada L."}]).updated == 1
    assert {one.name for one in cube.address_book.get(udid="tablet")} == {"Ada L.", "Grace"}
    assert cube.address_book.upload(contacts=[{**ada, "destroy": True}], udid="phone").deleted == 1
    assert cube.address_book.upload(contacts=[{**grace, "destroy": True}]).deleted == 1
    assert cube.address_book.get(udid="phone") == []
    assert [one.name for one in cube.address_book.get(udid="tablet")] == ["Ada L."]
    cube.address_book.upload(contacts=[grace], force=True)
    assert [one.name for one in cube.address_book.get()] == ["Grace"]


# -- custom objects


def make(cube: Any, **fields: Any) -> Any:
    return cube.custom_objects.create("Movie", fields=fields)


def test_records_are_filtered_sorted_computed_and_counted(join: Join, both: Both) -> None:
    cube = join("mary")
    for number, title in enumerate(["Night train", "Glass harbour", "Rope", "Wall"]):
        make(cube, title=title, year=2019 + number, genres=["drama"] if number % 2 else ["travel"], place=[7.68, 45.07])

    def titles(**arguments: Any) -> list[Any]:
        return [one.fields["title"] for one in both.walk(cube.custom_objects.list("Movie", **arguments))]

    assert titles(sort_desc="year", limit=2) == ["Wall", "Rope", "Glass harbour", "Night train"]
    assert titles(filters={"year": {"gte": 2021}}) == ["Rope", "Wall"]
    assert titles(filters={"title": {"in": ["Rope", "Wall"]}, "genres": "drama"}) == ["Wall"]
    assert titles(filters={"title": {"ctn": "harb"}}) == ["Glass harbour"]
    assert len(titles(filters={"place": {"near": "7.68,45.07;500"}})) == 4
    assert titles(filters={"place": {"near": "8.68,45.07;500"}}) == []
    assert cube.custom_objects.count("Movie", filters={"year": {"ne": 2019}}) == 3
    last = cube.custom_objects.list("Movie", limit=-1, output_include=["title"]).items
    assert [one.fields for one in last] == [{"title": "Wall"}]
    groups = cube.custom_objects.list("Movie", filters={"year": {"calc": "avg"}}, group_by="genres").items
    assert [one.fields["year"] for one in groups] == [2020, 2021]
    assert titles(filters={"year": {"ctn": "202"}}) == ["Glass harbour", "Rope", "Wall"]
    refused(lambda: cube.custom_objects.list("Movie", group_by="genres"), errors.BadRequest)
    refused(lambda: cube.custom_objects.list("Movie", filters={"year": {"calc": "avg"}}), errors.BadRequest)


def test_operators_change_a_record(join: Join) -> None:
    cube = join("mary")
    record = make(cube, views=1, genres=["a", "b", "c"], tags=["x"], scores=[1, 2, 3, 4], queue=[1, 2], cast=["A", "B"])
    changed = cube.custom_objects.update(
        "Movie",
        record.id,
        inc={"views": 2},
        pull={"scores": {"lt": 3}},
        pull_all={"genres": ["a", "c"]},
        pop={"queue": 1},
        push={"visits": [7]},
        add_to_set={"tags": ["x", "y"]},
        fields={"title": "T", "cast": {"1": "C"}},
    )
    assert changed.fields == {
        "views": 3,
        "genres": ["b"],
        "tags": ["x", "y"],
        "scores": [3, 4],
        "queue": [1],
        "visits": [7],
        "title": "T",
        "cast": ["A", "C"],
    }
    refused(lambda: cube.custom_objects.update("Movie", record.id, inc={"genres": 1}), errors.Unprocessable)


def test_permissions_decide_who_may_read_change_and_delete(join: Join, sandbox: Sandbox) -> None:
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    eve.users.update(user_id(eve), tag_list=["editors"])
    record = mary.custom_objects.create(
        "Movie",
        fields={"title": "T"},
        permissions={
            "read": {"access": "open"},
            "update": {"access": "open_for_users_ids", "ids": [user_id(ada)]},
            "delete": {"access": "open_for_groups", "groups": ["editors"]},
        },
    )
    assert ada.custom_objects.update("Movie", record.id, fields={"title": "U"}).fields == {"title": "U"}
    refused(lambda: eve.custom_objects.update("Movie", record.id, fields={"title": "V"}))
    refused(lambda: ada.custom_objects.delete("Movie", record.id))
    refused(lambda: ada.custom_objects.get_permissions("Movie", record.id))
    found = mary.custom_objects.get_permissions("Movie", record.id)
    assert found.update is not None
    assert found.update.users_ids == [user_id(ada)]
    eve.custom_objects.delete("Movie", record.id)
    assert mary.custom_objects.get_many("Movie", record.id) == []


def test_many_records_are_created_changed_and_deleted_with_their_children(join: Join) -> None:
    cube = join("mary")
    first, second = cube.custom_objects.create_many("Movie", record=[{"title": "A"}, {"title": "B"}])
    cube.custom_objects.create("Scene", parent_id=first.id, fields={"n": 1})
    missing = "0" * 24
    changed = cube.custom_objects.update_many(
        "Movie", record=[{"id": first.id, "title": "C"}, {"id": missing, "title": "D"}]
    )
    assert changed.not_found is not None
    assert changed.not_found.ids == [missing]
    by_criteria = cube.custom_objects.update_by_criteria("Movie", search_criteria={"title": "C"}, fields={"seen": True})
    assert by_criteria.total_found == 1
    deleted = cube.custom_objects.delete_many("Movie", [first.id, missing])
    assert deleted.successfully_deleted is not None
    assert deleted.successfully_deleted.ids == [first.id]
    assert cube.custom_objects.count("Scene") == 0
    assert cube.custom_objects.delete_by_criteria("Movie", filters={"title": "B"}).total_deleted == 1
    assert second.id is not None


def test_a_record_can_have_any_parent_but_its_descendants(join: Join) -> None:
    cube = join("mary")
    old, new, child = make(cube), make(cube), make(cube)
    change = cube.custom_objects.update
    change("Movie", child.id, fields={"_parent_id": old.id})
    assert change("Movie", child.id, fields={"_parent_id": new.id}).parent_id == new.id
    assert change("Movie", child.id, fields={"title": "T"}).parent_id == new.id
    for wrong in (new.id, child.id, "0" * 24):
        with pytest.raises(errors.Unprocessable):
            change("Movie", new.id, fields={"_parent_id": wrong})
    cube.custom_objects.delete("Movie", old.id)
    assert len(cube.custom_objects.get_many("Movie", [child.id])) == 1
    assert change("Movie", child.id, fields={"_parent_id": None}).parent_id is None


# -- meetings, whiteboards, calls


def meet(cube: Any, **fields: Any) -> Any:
    given = {"name": "Planning", "start_date": START, "end_date": START + 3600, "attendees": [], **fields}
    return cube.meetings.create(**given)


def test_meetings_are_visible_to_host_and_attendees(join: Join) -> None:
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    meeting = meet(mary, attendees=[{"id": user_id(ada)}, {"email": "guest@mail.example"}], chat=True, scheduled=True)
    assert mary.dialogs.list().items[0].id == meeting.chat_dialog_id
    assert [one.id for one in ada.meetings.list()] == [meeting.id]
    assert [one.id for one in ada.meetings.list(filters={"start_date": {"gt": START}})] == []
    assert [one.id for one in ada.meetings.list(scheduled=True)] == [meeting.id]
    assert list(eve.meetings.list(id=meeting.id)) == []
    refused(lambda: ada.meetings.update(meeting.id, name="x"))
    assert mary.meetings.update(meeting.id, public=True, notify_before={"metric": "days", "value": 2}).public
    assert [one.id for one in eve.meetings.list(id=meeting.id)] == [meeting.id]
    refused(
        lambda: mary.meetings.update(meeting.id, notify_before={"metric": "weeks", "value": 5}), errors.Unprocessable
    )
    assert ada.meetings.list_recordings(meeting.id) == []
    refused(lambda: eve.meetings.list_recordings(meeting.id))
    mary.meetings.delete(meeting.id)
    refused(lambda: mary.meetings.delete(meeting.id), errors.NotFound)


def test_a_dialog_has_at_most_three_whiteboards(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    made = [mary.whiteboards.create(name=str(number), chat_dialog_id=dialog.id) for number in range(3)]
    refused(lambda: mary.whiteboards.create(name="x", chat_dialog_id=dialog.id), errors.Unprocessable)
    assert [one.name for one in ada.whiteboards.list(chat_dialog_id=dialog.id)] == ["0", "1", "2"]
    refused(lambda: ada.whiteboards.update(made[0].id or "", name="x"))
    assert mary.whiteboards.update(made[0].id or "", name="new").name == "new"
    mary.whiteboards.delete(made[0].id or "")
    assert len(ada.whiteboards.list(chat_dialog_id=dialog.id)) == 2


def test_a_rejected_call_reaches_the_chat(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    told: list[CallRejected] = []
    stop = sandbox.call(sandbox.core.bus.subscribe, CallRejected, told.append)
    mary.calls.reject(recipientId=user_id(ada), sessionID="s1", platform="Web", userInfo={"reason": "busy"})
    sandbox.call(stop)
    assert [(one.sender_id, one.recipient_id, one.session_id) for one in told] == [(user_id(mary), user_id(ada), "s1")]


# -- admin


def test_the_admin_api_requires_its_key(both: Both, sandbox: Sandbox) -> None:
    cube = both.cube(sandbox.api_url, admin_key="wrong", token=None)
    refused(lambda: cube.admin.list_dialogs(), errors.Unauthorized)


def test_the_admin_api_sees_and_changes_everything(join: Join, admin: Any, both: Both, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    dialogs = [group(mary, ada) for _ in range(3)]
    sent = [mary.messages.create(chat_dialog_id=dialogs[0].id, message=str(number)) for number in range(3)]
    ada.messages.delete(sent[0].id)
    listed = both.walk(admin.admin.list_dialogs(limit=2))
    assert [one.id for one in listed] == [one.id for one in reversed(dialogs)]
    messages = both.walk(admin.admin.list_messages(chat_dialog_id=dialogs[0].id, limit=2))
    assert [one.message for one in messages] == ["2", "1", "0"]
    assert messages[2].deleted_for_ids == [user_id(ada)]
    changed = admin.admin.update_dialog(dialogs[0].id, name="New", user_id=user_id(ada), is_muted=True)
    assert (changed.name, changed.silent_ids) == ("New", [user_id(ada)])
    assert admin.admin.count_messages() == 3
    assert admin.admin.count_dialogs(types=[3]) == 0
    assert sum(admin.admin.messages_per_day().values()) == 3
    assert sum(admin.admin.dialogs_per_day(types=[2]).values()) == 3
    meeting = admin.admin.create_meeting(
        user_id=user_id(mary), name="x", start_date=START, end_date=START + 1, attendees=[]
    )
    assert meeting.host_id == user_id(mary)
    assert admin.admin.list_recordings(str(meeting.id)) == []
    admin.admin.delete_recordings(str(meeting.id))
    assert admin.admin.delete_user(user_id(ada)).success
    assert mary.users.list(filters={"id": user_id(ada)}).total_entries == 0


@pytest.fixture(autouse=True)
def nothing_went_wrong(sandbox: Sandbox) -> Iterator[None]:
    """No answer was a failure of the sandbox's own."""
    yield
    assert [entry for entry in sandbox.journal.exchanges() if entry.status == 500] == []
