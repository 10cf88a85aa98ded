"""Messages of the official SDK over REST: history, marks, reactions, unread counts, search."""

from __future__ import annotations

import json

from connectycube.chat import MessageDeleted, MessageReceived, ReactionsChanged
from connectycube.chat import SystemMessageReceived as SystemMessage
from connectycube.rest import DialogType
from tests.interop.stage import Stage, scenario
from tests.interop.test_dialogs import PRIVATE, group


@scenario
async def test_both_clients_write_and_read_the_history(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    dialog_id = await group(js, stage.user("grace"))
    photo = {"type": "photo", "uid": "8aae-1", "url": "https://example.org/1.png", "size": 12, "width": 3}
    made = await js.call(
        "chat.message.create",
        {"chat_dialog_id": dialog_id, "message": "look", "attachments": {"0": photo}, "colour": "red"},
    )
    assert (made["sender_id"], made["message"], made["colour"]) == (js.id, "look", "red")
    (first,) = (await cube.messages.list(chat_dialog_id=dialog_id)).items
    assert (first.id, first.message, first.sender_id) == (made["_id"], "look", js.id)
    assert first.attachments is not None
    assert [one.uid for one in first.attachments] == ["8aae-1"]
    answer = await cube.messages.create(chat_dialog_id=dialog_id, message="seen")
    page = await js.call("chat.message.list", {"chat_dialog_id": dialog_id, "sort_desc": "date_sent", "limit": 1})
    assert [one["_id"] for one in page["items"]] == [answer.id]
    assert sorted(page["items"][0]["read_ids"]) == sorted([js.id, stage.user("grace")])


@scenario
async def test_attachments_as_a_list(stage: Stage) -> None:
    js = await stage.js("ada")
    dialog_id = await group(js, stage.user("grace"))
    # CR-45: the SDK's documentation passes a list, the platform's an object.
    files = [{"type": "photo", "uid": "8aae-1"}, {"type": "video", "uid": "8aae-2"}]
    made = await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": "two", "attachments": files})
    assert [(one["type"], one["uid"]) for one in made["attachments"]] == [("photo", "8aae-1"), ("video", "8aae-2")]


@scenario
async def test_filters_of_the_history(stage: Stage) -> None:
    js = await stage.js("ada")
    dialog_id = await group(js, stage.user("grace"))
    sent = []
    for text in ("one", "two", "three"):
        sent.append(await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": text}))
        stage.sandbox.advance(10)

    async def found(**params: object) -> list[str]:
        page = await js.call("chat.message.list", {"chat_dialog_id": dialog_id, **params})
        return [one["message"] for one in page["items"]]

    assert await found() == ["one", "two", "three"]
    assert await found(date_sent={"gt": sent[0]["date_sent"]}) == ["two", "three"]
    assert await found(sort_desc="date_sent", limit=2, skip=1) == ["two", "one"]
    assert await found(_id={"in": [sent[0]["_id"], sent[2]["_id"]]}) == ["one", "three"]
    assert await found(message={"ctn": "wo"}) == ["two"]


@scenario
async def test_unread_counts_and_marks_over_rest(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    first, second = [await group(js, stage.user("grace"), name=name) for name in ("first", "second")]
    sent = [await cube.messages.create(chat_dialog_id=first, message=text) for text in ("one", "two")]
    await cube.messages.create(chat_dialog_id=second, message="three")
    assert await js.call("chat.message.unreadCount") == {"total": 3}
    # CR-06: the SDK joins the ids with a comma and a space.
    counts = await js.call("chat.message.unreadCount", {"chat_dialog_ids": [first, second]})
    assert counts == {"total": 3, first: 2, second: 1}
    assert stage.sandbox.journal.exchanges()[-1].query == [("chat_dialog_ids", f"{first}, {second}")]
    assert {one["_id"]: one["unread_messages_count"] for one in (await js.call("chat.dialog.list", {}))["items"]} == {
        first: 2,
        second: 1,
    }
    # CR-06: the documented name is not a parameter, so only the total is returned.
    assert await js.call("chat.message.unreadCount", {"dialogs_ids": [first]}) == {"total": 3}
    await js.call("chat.message.list", {"chat_dialog_id": first, "mark_as_read": 0})
    assert await js.call("chat.message.unreadCount") == {"total": 3}
    await js.call("chat.message.update", sent[0].id, {"chat_dialog_id": first, "read": 1})
    assert await js.call("chat.message.unreadCount", {"chat_dialog_ids": [first]}) == {"total": 1, first: 1}
    # Without an id, this marks the whole dialog.
    await js.call("chat.message.update", None, {"chat_dialog_id": first, "read": 1})
    await js.call("chat.message.list", {"chat_dialog_id": second})
    assert await js.call("chat.message.unreadCount") == {"total": 0}
    for message in (await cube.messages.list(chat_dialog_id=first)).items:
        assert js.id in (message.read_ids or [])


@scenario
async def test_message_is_updated_and_deleted_over_rest(stage: Stage) -> None:
    js, ours = await stage.js("ada"), await stage.ours("grace")
    dialog_id = await group(js, ours.id)
    made = [
        await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": text}) for text in ("one", "two")
    ]
    await js.call("chat.message.update", made[0]["_id"], {"chat_dialog_id": dialog_id, "message": "changed"})
    found = (await ours.rest.messages.list(chat_dialog_id=dialog_id)).items
    assert [one.message for one in found] == ["changed", "two"]
    # CR-44: the SDK returns the response's text, contrary to its types.
    text = await js.call("chat.message.delete", [made[0]["_id"], "5356c64ab35c12bd3b10fa41"])
    assert isinstance(text, str)
    result = json.loads(text)
    assert (result["SuccessfullyDeleted"]["ids"], result["NotFound"]["ids"]) == (
        [made[0]["_id"]],
        ["5356c64ab35c12bd3b10fa41"],
    )
    await ours.up_to_date()
    assert ours.told.of(MessageDeleted) == []
    await js.call("chat.message.delete", made[1]["_id"], {"force": 1})
    deleted = await ours.told.one(MessageDeleted)
    assert (deleted.message_id, deleted.dialog_id, deleted.user_id) == (made[1]["_id"], dialog_id, js.id)
    found = (await ours.rest.messages.list(chat_dialog_id=dialog_id)).items
    assert [one.id for one in found] == [made[0]["_id"]]


@scenario
async def test_reactions_reach_both_chats(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id = await group(js, ours.id)
    message = await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": "like it?"})
    await js.call("chat.message.addReaction", message["_id"], "\N{THUMBS UP SIGN}")
    assert await ours.told.one(ReactionsChanged) == ReactionsChanged(
        message_id=message["_id"], dialog_id=dialog_id, user_id=js.id, added=("\N{THUMBS UP SIGN}",), removed=()
    )
    await ours.rest.messages.update_reactions(message["_id"], add="x")
    by_ours = await js.event("onMessageReactionsListener", lambda args: bool(args[1] == ours.id))
    assert by_ours == [message["_id"], ours.id, dialog_id, "x", None]
    assert await js.call("chat.message.listReactions", message["_id"]) == {
        "\N{THUMBS UP SIGN}": [js.id],
        "x": [ours.id],
    }
    await js.call("chat.message.updateReaction", message["_id"], "y", "\N{THUMBS UP SIGN}")
    changed = await ours.told.one(ReactionsChanged, lambda event: "y" in event.added)
    assert (changed.user_id, changed.removed) == (js.id, ("\N{THUMBS UP SIGN}",))
    await js.call("chat.message.removeReaction", message["_id"], "y")
    (listed,) = (await js.call("chat.message.list", {"chat_dialog_id": dialog_id}))["items"]
    assert listed["reactions"] == {"own": [], "total": {"x": 1}}


@scenario
async def test_rest_messages_reach_the_chat(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id = await group(js, ours.id)
    sent = await js.call(
        "chat.message.create", {"chat_dialog_id": dialog_id, "message": "by REST", "send_to_chat": 1, "colour": "red"}
    )
    message = (await ours.told.one(MessageReceived)).message
    assert (message.id, message.body, message.sender_id, message.dialog_id, message.extra["colour"]) == (
        sent["_id"],
        "by REST",
        js.id,
        dialog_id,
        "red",
    )
    answer = await ours.rest.messages.create(recipient_id=js.id, message="by REST, too", send_to_chat=True)
    sender, received = await js.event("onMessageListener", lambda args: bool(args[0] == ours.id))
    assert (sender, received["id"], received["body"], received["type"]) == (ours.id, answer.id, "by REST, too", "chat")
    assert received["dialog_id"] == answer.chat_dialog_id


@scenario
async def test_rest_system_messages_reach_the_chat(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    sent = await js.call("chat.message.createSystem", {"recipientId": ours.id, "colour": "red", "deep": {"er": "1"}})
    assert (sent["recipientId"], sent["extensionParams"]["colour"]) == (ours.id, "red")
    told = await ours.told.one(SystemMessage)
    assert (told.user_id, told.params["colour"]) == (js.id, "red")
    await ours.rest.messages.create_system(recipientId=js.id, extra={"colour": "blue"})
    (system,) = await js.event("onSystemMessageListener")
    assert (system["userId"], system["extension"]["colour"]) == (ours.id, "blue")


@scenario
async def test_search_finds_messages_dialogs_and_users(stage: Stage) -> None:
    js = await stage.js("ada")
    stage.user("grace", full_name="Grace of the lighthouse")
    dialog_id = await group(js, stage.user("grace"), name="lighthouse crew")
    sent = await js.call("chat.message.create", {"chat_dialog_id": dialog_id, "message": "who keeps the lighthouse?"})
    results = (await js.call("chat.search", {"search_text": "lighthouse"}))["results"]
    assert [one["_id"] for one in results["messages"]] == [sent["_id"]]
    assert [one["_id"] for one in results["dialogs"]] == [dialog_id]
    assert [one["id"] for one in results["users"]] == [stage.user("grace")]
    day = 24 * 60 * 60
    narrowed = await js.call(
        "chat.search",
        {
            "search_text": "lighthouse",
            "chat_dialog_ids": [dialog_id],
            "start_date": (sent["date_sent"] + day) * 1000,
            "end_date": (sent["date_sent"] - day) * 1000,
        },
    )
    assert [one["_id"] for one in narrowed["results"]["messages"]] == [sent["_id"]]
    earlier = {"start_date": (sent["date_sent"] - day) * 1000, "end_date": (sent["date_sent"] - 2 * day) * 1000}
    none = await js.call("chat.search", {"search_text": "lighthouse", **earlier})
    assert none["results"]["messages"] == []


@scenario
async def test_last_message_of_a_dialog_is_updated(stage: Stage) -> None:
    js, cube = await stage.js("ada"), await stage.rest("grace")
    dialog = await cube.dialogs.create(type=DialogType.PRIVATE, occupants_ids=[js.id])
    sent = await cube.messages.create(chat_dialog_id=dialog.id, message="newest")
    (listed,) = (await js.call("chat.dialog.list", {"type": PRIVATE}))["items"]
    assert (listed["last_message"], listed["last_message_id"], listed["last_message_user_id"]) == (
        "newest",
        sent.id,
        stage.user("grace"),
    )
    assert sent.date_sent is not None
    assert listed["last_message_date_sent"] == sent.date_sent.timestamp()
    for status in ("sent", "read"):
        (own,) = (await cube.dialogs.list()).items
        assert own.last_message_status == status
        await js.call("chat.message.list", {"chat_dialog_id": dialog.id})
