"""Dialogs of the official SDK over REST, as our client sees them."""

from __future__ import annotations

import pytest

from connectycube.rest import DialogType
from tests.interop.javascript import JsError
from tests.interop.stage import Js, Stage, scenario

PRIVATE, GROUP, PUBLIC = DialogType.PRIVATE.value, DialogType.GROUP.value, DialogType.PUBLIC.value


async def group(js: Js, *others: int, name: str = "crew") -> str:
    """Create a group of the SDK's user and others, and return its id."""
    dialog = await js.call("chat.dialog.create", {"type": GROUP, "name": name, "occupants_ids": [*others]})
    return str(dialog["_id"])


@scenario
async def test_private_dialog_is_the_same_for_both_users(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    grace = stage.user("grace")
    made = await js.call("chat.dialog.create", {"type": PRIVATE, "occupants_ids": [grace]})
    assert (made["type"], made["user_id"], sorted(made["occupants_ids"])) == (PRIVATE, js.id, sorted([js.id, grace]))
    assert made["xmpp_room_jid"] is None
    (found,) = (await cube.dialogs.list()).items
    assert (found.id, found.type) == (made["_id"], DialogType.PRIVATE)
    again = await cube.dialogs.create(type=DialogType.PRIVATE, occupants_ids=[js.id])
    assert again.id == made["_id"]


@scenario
async def test_group_is_created_updated_and_listed(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    grace, mary = stage.user("grace"), stage.user("mary")
    made = await js.call(
        "chat.dialog.create",
        {
            "type": GROUP,
            "name": "crew",
            "description": "all of us",
            "photo": "https://example.org/crew.png",
            "occupants_ids": [grace, mary],
            "admins_ids": [grace],
            "extensions": {"colour": "red"},
        },
    )
    # CR-07: the SDK sends lists as text, joined with a comma and a space.
    last = stage.sandbox.journal.exchanges()[-1]
    assert (last.request_body["occupants_ids"], last.request_body["admins_ids"]) == (f"{grace}, {mary}", f"{grace}")
    assert sorted(made["occupants_ids"]) == sorted([js.id, grace, mary])
    assert made["admins_ids"] == [grace]
    assert made["xmpp_room_jid"] == f"{stage.sandbox.app_id}_{made['_id']}@muc.{stage.sandbox.chat_host}"
    assert made["extensions"] == {"colour": "red"}
    (found,) = (await cube.dialogs.list()).items
    assert (found.id, found.name, found.description) == (made["_id"], "crew", "all of us")
    changed = await js.call(
        "chat.dialog.update",
        made["_id"],
        {"name": "big crew", "push_all": {"occupants_ids": [stage.user("eve")]}, "pull_all": {"occupants_ids": [mary]}},
    )
    assert changed["name"] == "big crew"
    assert sorted(changed["occupants_ids"]) == sorted([js.id, grace, stage.user("eve")])
    # The other way round: our client updates the dialog and the SDK reads it.
    await cube.dialogs.update(made["_id"], description="changed")
    page = await js.call("chat.dialog.list", {"type": {"in": [GROUP, PRIVATE]}, "name": {"ctn": "crew"}})
    assert [(one["_id"], one["description"]) for one in page["items"]] == [(made["_id"], "changed")]
    assert (page["total_entries"], page["skip"], page["limit"]) == (1, 0, 100)


@scenario
async def test_pages_filters_and_order(stage: Stage) -> None:
    js = await stage.js("ada")
    ids = [await group(js, stage.user("grace"), name=f"crew {number}") for number in range(3)]
    for number, dialog_id in enumerate(ids):
        await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": "x", "date_sent": 1000 + number})
        stage.sandbox.advance(1)
    page = await js.call("chat.dialog.list", {"sort_desc": "last_message_date_sent", "limit": 2})
    assert [one["_id"] for one in page["items"]] == [ids[2], ids[1]]
    assert page["total_entries"] == 3
    page = await js.call("chat.dialog.list", {"sort_desc": "last_message_date_sent", "limit": 2, "skip": 2})
    assert [one["_id"] for one in page["items"]] == [ids[0]]
    page = await js.call("chat.dialog.list", {"_id": {"in": [ids[0], ids[2]]}})
    assert {one["_id"] for one in page["items"]} == {ids[0], ids[2]}


@scenario
async def test_admins(stage: Stage) -> None:
    js, grace = await stage.js("ada"), stage.user("grace")
    dialog_id = await group(js, grace)
    assert (await js.call("chat.dialog.addAdmins", dialog_id, [grace]))["admins_ids"] == [grace]
    assert (await js.call("chat.dialog.removeAdmins", dialog_id, [grace]))["admins_ids"] == []
    other = await stage.js("grace")
    with pytest.raises(JsError) as refused:
        await other.call("chat.dialog.addAdmins", dialog_id, [grace])
    assert refused.value.code == 403


@scenario
async def test_pinned_messages(stage: Stage) -> None:
    js = await stage.js("ada")
    dialog_id = await group(js, stage.user("grace"))
    message = await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": "keep this"})
    pinned = {"pinned_messages_ids": [message["_id"]]}
    changed = await js.call("chat.dialog.update", dialog_id, {"push_all": pinned})
    assert changed["pinned_messages_ids"] == [message["_id"]]
    changed = await js.call("chat.dialog.update", dialog_id, {"pull_all": pinned})
    assert changed["pinned_messages_ids"] == []


@scenario
async def test_subscribing_to_a_public_dialog(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    public = await cube.dialogs.create(type=DialogType.PUBLIC, name="news", description="for all")
    assert (await js.call("chat.dialog.list", {}))["items"] == []
    joined = await js.call("chat.dialog.subscribe", public.id)
    assert (joined["_id"], joined["occupants_ids"], joined["occupants_count"]) == (public.id, [], 2)
    assert [one["_id"] for one in (await js.call("chat.dialog.list", {}))["items"]] == [public.id]
    occupants = (await js.call("chat.dialog.getPublicOccupants", public.id, {"limit": 10}))["items"]
    assert {user["id"] for user in occupants} == {js.id, stage.user("grace")}
    await js.call("chat.dialog.unsubscribe", public.id)
    assert (await js.call("chat.dialog.list", {}))["items"] == []


@scenario
async def test_public_dialog_shows_its_last_messages_to_everyone(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    ids = []
    for allowed in (True, False):
        public = await cube.dialogs.create(type=DialogType.PUBLIC, name="news", permissions={"allow_preview": allowed})
        await cube.messages.create(chat_dialog_id=public.id, message="headline")
        ids.append(public.id)
    page = await js.call("chat.message.list", {"chat_dialog_id": ids[0], "preview": 1})
    assert [one["message"] for one in page["items"]] == ["headline"]
    with pytest.raises(JsError) as refused:
        await js.call("chat.message.list", {"chat_dialog_id": ids[1], "preview": 1})
    assert refused.value.code == 403


@scenario
async def test_one_or_several_dialogs_are_deleted(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    grace = stage.user("grace")
    mine, ours, whole = [await group(js, grace, name=name) for name in ("mine", "ours", "whole")]
    foreign = await cube.dialogs.create(type=DialogType.GROUP, name="foreign", occupants_ids=[stage.user("mary")])
    assert await js.call("chat.dialog.delete", mine) in ("", " ")
    result = await js.call("chat.dialog.delete", [ours, foreign.id, "5356c64ab35c12bd3b10fa41"])
    assert result["SuccessfullyDeleted"]["ids"] == [ours]
    assert result["NotFound"]["ids"] == ["5356c64ab35c12bd3b10fa41"]
    assert result["WrongPermissions"]["ids"] == [foreign.id]
    # The other user keeps the dialogs. CR-09: `force` is in the body of the DELETE.
    assert {one.id for one in (await cube.dialogs.list()).items} == {mine, ours, whole, foreign.id}
    await js.call("chat.dialog.delete", whole, {"force": 1})
    last = stage.sandbox.journal.exchanges()[-1]
    assert (last.method, last.query, last.request_body) == ("DELETE", [], {"force": "1"})
    assert whole not in {one.id for one in (await cube.dialogs.list()).items}


@scenario
async def test_notification_settings_and_clearing(stage: Stage) -> None:
    js = await stage.js("ada")
    dialog_id = await group(js, stage.user("grace"))
    assert (await js.call("chat.dialog.getNotificationsSettings", dialog_id)) == {"notifications": {"enabled": 1}}
    changed = await js.call("chat.dialog.updateNotificationsSettings", dialog_id, False)
    assert changed == {"notifications": {"enabled": 0}}
    await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": "soon gone"})
    await js.call("chat.dialog.clearHistory", dialog_id)
    assert (await js.call("chat.message.list", {"chat_dialog_id": dialog_id}))["items"] == []
    cube = await stage.rest("grace")
    assert [one.message for one in (await cube.messages.list(chat_dialog_id=dialog_id)).items] == ["soon gone"]


@scenario
async def test_cr_16_the_sdk_swaps_the_numbers_of_public_and_broadcast(stage: Stage) -> None:
    js = await stage.js("ada")
    numbers = await js.get("exports.DialogType")
    assert (numbers["PRIVATE"], numbers["GROUP"]) == (PRIVATE, GROUP)
    assert (numbers["PUBLIC"], numbers["BROADCAST"]) == (DialogType.BROADCAST.value, PUBLIC)
    # Anyone who trusts them gets a broadcast instead of a public dialog (CR-17).
    made = await js.call("chat.dialog.create", {"type": numbers["PUBLIC"], "name": "news"})
    assert made["type"] == DialogType.BROADCAST.value


@scenario
async def test_another_users_dialog_is_refused(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    foreign = await cube.dialogs.create(type=DialogType.GROUP, name="foreign", occupants_ids=[stage.user("mary")])
    for call in (
        js.start("chat.dialog.update", foreign.id, {"name": "mine"}),
        js.start("chat.message.list", {"chat_dialog_id": foreign.id}),
        js.start("chat.message.create", {"chat_dialog_id": foreign.id, "message": "hello"}),
        js.start("chat.dialog.subscribe", foreign.id),
    ):
        with pytest.raises(JsError) as refused:
            await call
        assert refused.value.code == 403
        assert refused.value.value["info"]["errors"]["base"]
