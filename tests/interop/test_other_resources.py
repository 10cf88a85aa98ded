"""Push, custom objects, address book, meetings, whiteboards of the official SDK."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from tests.interop.javascript import JsError
from tests.interop.stage import Stage, scenario
from tests.interop.test_dialogs import group

SUBSCRIPTION = {
    "notification_channel": "gcm",
    "device": {"platform": "android", "udid": "device-1"},
    "push_token": {"environment": "development", "client_identification_sequence": "token-1"},
}


@scenario
async def test_push_subscriptions(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("ada")
    # CR-29: a list, contrary to the SDK's types.
    ((made,),) = [await js.call("pushnotifications.subscriptions.create", SUBSCRIPTION)]
    subscription = made["subscription"]
    assert subscription["notification_channel"]["name"] == "gcm"
    assert subscription["device"] == {"udid": "device-1", "platform": {"name": "android"}}
    listed = await js.call("pushnotifications.subscriptions.list")
    assert [one["subscription"]["id"] for one in listed] == [subscription["id"]]
    await js.call("pushnotifications.subscriptions.delete", subscription["id"])
    assert await js.call("pushnotifications.subscriptions.list") == []
    assert await cube.push_subscriptions.list() == []


@scenario
async def test_a_push_event(stage: Stage) -> None:
    js, other = await stage.js("ada"), await stage.js("grace")
    message = base64.b64encode(json.dumps({"message": "hello"}).encode()).decode()
    assert await js.call("pushnotifications.base64Encode", json.dumps({"message": "hello"})) == message
    params = {"notification_type": "push", "environment": "development", "message": message}
    with pytest.raises(JsError) as refused:
        await js.call("pushnotifications.events.create", {**params, "user": {"ids": [other.id]}})
    assert refused.value.code == 422
    await other.call("pushnotifications.subscriptions.create", SUBSCRIPTION)
    # CR-31: the SDK's documentation passes a list of recipients, the platform's a text.
    for ids in ([other.id], f"{other.id}"):
        (made,) = await js.call("pushnotifications.events.create", {**params, "user": {"ids": ids}})
        assert (made["event"]["event_type"], made["event"]["notification_channel"]["name"]) == ("one_shot", "gcm")


@scenario
async def test_custom_objects(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("ada")
    one = await js.call("data.create", "Book", {"title": "Iliad", "pages": 700, "tags": ["old", "long"]})
    assert (one["title"], one["pages"], one["user_id"]) == ("Iliad", 700, js.id)
    # CR-33: the SDK counts from 1.
    many = await js.call(
        "data.create", "Book", [{"title": "Emma", "pages": 474}, {"title": "Persuasion", "pages": 249}]
    )
    assert list(stage.sandbox.journal.exchanges()[-1].request_body["record"]) == ["1", "2"]
    assert [record["title"] for record in many["items"]] == ["Emma", "Persuasion"]
    page = await js.call("data.list", "Book", {"pages": {"lt": 600}, "sort_desc": "pages"})
    assert [record["title"] for record in page["items"]] == ["Emma", "Persuasion"]
    by_id = await js.call("data.list", "Book", [one["_id"], many["items"][0]["_id"]])
    assert {record["title"] for record in by_id["items"]} == {"Iliad", "Emma"}
    changed = await js.call("data.update", "Book", {"id": one["_id"], "title": "Odyssey", "inc": {"pages": 5}})
    assert (changed["title"], changed["pages"]) == ("Odyssey", 705)
    criteria = {"search_criteria": {"pages": {"lt": 300}}, "title": "short one"}
    assert (await js.call("data.update", "Book", criteria))["total_found"] == 1
    (found,) = (await cube.custom_objects.list("Book", filters={"title": "short one"})).items
    assert found.id == many["items"][1]["_id"]
    several = [{"id": record["_id"], "shelf": "A"} for record in many["items"]]
    assert [record["shelf"] for record in (await js.call("data.update", "Book", several))["items"]] == ["A", "A"]
    permissions = await js.call("data.readPermissions", "Book", one["_id"])
    assert permissions["record_id"] == one["_id"]
    await js.call("data.delete", "Book", one["_id"])
    gone = await js.call("data.delete", "Book", [many["items"][0]["_id"], one["_id"]])
    assert gone["SuccessfullyDeleted"]["ids"] == [many["items"][0]["_id"]]
    assert gone["NotFound"]["ids"] == [one["_id"]]
    # CR-09: the criteria are in the body of the DELETE.
    assert (await js.call("data.delete", "Book", {"pages": {"lt": 300}})) == {"total_deleted": 1}
    last = stage.sandbox.journal.exchanges()[-1]
    assert (last.query, last.request_body) == ([], {"pages": {"lt": "300"}})
    assert (await js.call("data.list", "Book"))["items"] == []


@scenario
async def test_the_address_book(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("ada")
    grace = stage.user("grace", phone="380501234567")
    contacts = [
        {"name": "Grace", "phone": "380501234567"},
        {"name": "Mary", "phone": "380501234568"},
        {"name": "Nobody", "phone": "1"},
    ]
    result = await js.call("addressbook.uploadAddressBook", contacts)
    assert (result["created"], result["updated"], result["deleted"]) == (2, 0, 0)
    assert list(result["rejected"]) == ["2"]
    assert {one["name"] for one in await js.call("addressbook.get")} == {"Grace", "Mary"}
    assert {one.name for one in await cube.address_book.get()} == {"Grace", "Mary"}
    for compact in (True, False):
        registered = await js.call("addressbook.getRegisteredUsers", compact)
        assert [one["user"]["id"] for one in registered["items"]] == [grace]
    result = await js.call(
        "addressbook.uploadAddressBook", [{"name": "Grace H.", "phone": "380501234567"}], {"force": 1}
    )
    assert [one["name"] for one in await js.call("addressbook.get")] == ["Grace H."]
    assert await js.call("addressbook.get", "another-device") == []


@scenario
async def test_meetings(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    grace = stage.user("grace")
    # The SDK fills in the name, a start in an hour, and no attendees.
    made = await js.call("meeting.create", {"attendees": [{"id": grace}]})
    assert (made["host_id"], made["end_date"] - made["start_date"]) == (js.id, 3600)
    changed = await js.call(
        "meeting.update",
        made["_id"],
        {
            "name": "weekly",
            "start_date": made["start_date"],
            "end_date": made["end_date"],
            "attendees": [{"id": grace}],
        },
    )
    assert changed["name"] == "weekly"
    assert [one["_id"] for one in await js.call("meeting.get", {"limit": 5})] == [made["_id"]]
    assert [one.name for one in (await cube.meetings.list()).items] == ["weekly"]
    assert await js.call("meeting.getRecordings", made["_id"]) == []
    await js.call("meeting.delete", made["_id"])
    assert await js.call("meeting.get", {}) == []


@scenario
async def test_whiteboards(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    dialog_id = await group(js, stage.user("grace"))
    made = await js.call("whiteboard.create", {"name": "plan", "chat_dialog_id": dialog_id})
    assert (made["name"], made["chat_dialog_id"], made["user_id"]) == ("plan", dialog_id, js.id)
    assert (await js.call("whiteboard.update", made["_id"], {"name": "plan B"}))["name"] == "plan B"
    for query in (dialog_id, {"chat_dialog_id": dialog_id}):
        assert [one["name"] for one in await js.call("whiteboard.get", query)] == ["plan B"]
    assert [one.id for one in await cube.whiteboards.list(chat_dialog_id=dialog_id)] == [made["_id"]]
    # The SDK doesn't escape what it puts into the page's URL.
    address = await js.call("whiteboard.getURL", {"id": made["_id"], "title": "plan B", "username": "ada&co"})
    assert address.endswith(f"?whiteboardid={made['_id']}&username=ada&co&title=plan B")
    await js.call("whiteboard.delete", made["_id"])
    assert await js.call("whiteboard.get", dialog_id) == []


@scenario
async def test_platform_errors_reach_the_caller(stage: Stage) -> None:
    js = await stage.js("ada")
    for status in (429, 503):
        stage.sandbox.faults.fail_next(status)
        with pytest.raises(JsError) as refused:
            await js.call("chat.dialog.list", {})
        assert refused.value.code == status
        assert refused.value.value["info"]["errors"]["base"]
    calls = [js.start("chat.dialog.list", {}) for _ in range(20)]
    assert [page["items"] for page in await asyncio.gather(*calls)] == [[]] * 20
