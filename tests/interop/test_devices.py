"""Several devices of one user receive copies of each other's messages, with either client."""

from __future__ import annotations

from connectycube.chat import MessageReceived, MessageSentElsewhere
from tests.interop.stage import Stage, scenario
from tests.interop.test_dialogs import group


@scenario
async def test_device_receives_copies_of_messages_sent_by_another(stage: Stage) -> None:
    desk, phone = await stage.js("ada", True), await stage.ours("ada")
    other = await stage.js("grace", True)
    number = await desk.call("chat.send", other.id, {"body": "from the desk"})
    copy = (await phone.told.one(MessageSentElsewhere)).message
    assert (copy.id, copy.body, copy.carbon, copy.sender_id, copy.recipient_id) == (
        number,
        "from the desk",
        True,
        desk.id,
        other.id,
    )
    sent = await phone.chat.send(other.id, "from the phone")
    sender, message = await desk.event("onMessageListener")
    assert (sender, message["id"], message["body"]) == (desk.id, sent.id, "from the phone")
    assert (message["is_forwarded"], message["recipient_id"]) == (True, other.id)


@scenario
async def test_both_devices_receive_messages_to_the_user(stage: Stage) -> None:
    desk, phone = await stage.js("ada", True), await stage.ours("ada")
    other = await stage.js("grace", True)
    number = await other.call("chat.send", desk.id, {"body": "to you"})
    _, message = await desk.event("onMessageListener")
    assert (message["id"], message["is_forwarded"]) == (number, False)
    assert (await phone.told.one(MessageReceived)).message.id == number


@scenario
async def test_group_message_reaches_each_device_once(stage: Stage) -> None:
    desk, phone = await stage.js("ada", True), await stage.ours("ada")
    other = await stage.js("grace", True)
    dialog_id = await group(desk, other.id)
    await other.call("chat.send", dialog_id, {"body": "to all"})
    await other.up_to_date()
    await desk.up_to_date()
    await phone.up_to_date()
    assert [args[1]["body"] for args in desk.told("onMessageListener")] == ["to all"]
    assert [event.message.body for event in phone.told.of(MessageReceived)] == ["to all"]


@scenario
async def test_cx_09_copy_of_a_message_to_another_device_is_mistaken_for_a_mark(stage: Stage) -> None:
    desk, phone = await stage.js("ada", True), await stage.ours("ada")
    other = await stage.js("grace", True)
    # Addressed to one device only; the desk receives a copy.
    assert phone.chat.jid is not None
    await other.call("chat.send", phone.chat.jid, {"type": "chat", "body": "to the phone"})
    assert (await phone.told.one(MessageReceived)).message.body == "to the phone"
    assert await desk.event("onDeliveredStatusListener") == ["", None, desk.id]
    assert desk.told("onMessageListener") == []


@scenario
async def test_cx_10_messages_from_an_equally_named_device_are_ignored(stage: Stage) -> None:
    js = await stage.js("ada", True)
    resource = (await js.get("chat.helpers.userCurrentJid")).partition("/")[2]
    ours, other = await stage.ours("grace", resource=f"not-{resource}"), await stage.ours("mary")
    await ours.chat.send(js.id, "can you hear me?")
    await other.chat.send(js.id, "loud and clear")
    sender, message = await js.event("onMessageListener")
    assert (sender, message["body"]) == (other.id, "loud and clear")
    assert js.told("onMessageListener") == []
