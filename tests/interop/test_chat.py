"""The official SDK in the chat: connecting, messages, marks, typing, edits, removals, system messages, signals."""

from __future__ import annotations

import pytest

from connectycube.chat import (
    CallSignalReceived,
    LastActivityChanged,
    MessageDeleted,
    MessageDelivered,
    MessageEdited,
    MessageRead,
    MessageReceived,
    SystemMessageReceived,
    TypingStarted,
    TypingStopped,
)
from connectycube.rest import Dialog, DialogType
from connectycube.sandbox.bus import ConnectionsToDrop
from tests.interop.javascript import JsError
from tests.interop.stage import PASSWORD, Js, Ours, Stage, scenario
from tests.interop.test_dialogs import group

ENABLED = {"enable": True}
BOTH_KINDS = pytest.mark.parametrize("kind", ["private", "group"])


async def talk(js: Js, ours: Ours, kind: str) -> tuple[str, str | int, Dialog]:
    """A dialog between two users, and how each addresses it."""
    dialog_id = await group(js, ours.id)
    if kind == "private":
        dialog = await ours.rest.dialogs.create(type=DialogType.PRIVATE, occupants_ids=[js.id])
    else:
        (dialog,) = (await ours.rest.dialogs.list(filters={"id": dialog_id})).items
    assert dialog.id is not None
    return dialog.id, ours.id if kind == "private" else dialog_id, dialog


# Connecting


@scenario
async def test_password_and_session_token_log_in(stage: Stage) -> None:
    js = await stage.js("ada")
    token = (await js.call("getSession"))["token"]
    for secret in (PASSWORD, token):
        assert await js.call("chat.connect", {"userId": js.id, "password": secret}) is True
        assert await js.get("chat.isConnected") is True
        assert await js.get("chat.currentUserId") == js.id
        # It warns, and does nothing.
        assert await js.call("chat.connect", {"userId": js.id, "password": secret}) is False
        await js.call("chat.disconnect")
        await js.event("onDisconnectedListener")
        assert await js.get("chat.isConnected") is False


@scenario
async def test_wrong_password_fails_with_a_condition(stage: Stage) -> None:
    js = await stage.js("ada")
    with pytest.raises(JsError) as refused:
        await js.call("chat.connect", {"userId": js.id, "password": "wrong"})
    assert refused.value.value == "not-authorized"


@scenario
async def test_login_enables_carbons_and_sends_presence(stage: Stage) -> None:
    js = await stage.js("ada", True, streamManagement=ENABLED)
    await js.up_to_date()
    sent = [seen.xml for seen in stage.sandbox.journal.stanzas(user_id=js.id) if seen.direction == "in"]
    order = [sent.index(next(xml for xml in sent if mark in xml)) for mark in ("urn:xmpp:sm:3", "carbons", "<presence")]
    assert order == sorted(order)


@scenario
async def test_lost_connection_is_restored(stage: Stage) -> None:
    js = await stage.js("ada", True, reconnect={"enable": True, "timeInterval": 0.01})
    ours = await stage.ours("grace")
    # The next stanza must be the SDK's.
    await ours.up_to_date()
    await js.up_to_date()
    stage.sandbox.faults.chat.drop_next = 1
    await js.call("chat.sendIsTypingStatus", ours.id)
    await js.event("onDisconnectedListener")
    await js.event("onReconnectListener")
    await ours.chat.send(js.id, "welcome back")
    _, message = await js.event("onMessageListener")
    assert message["body"] == "welcome back"


@scenario
async def test_messages_sent_during_an_outage_arrive_once(stage: Stage) -> None:
    again = {"enable": True, "timeInterval": 0.01}
    js, ours = await stage.js("ada", True, reconnect=again, streamManagement=ENABLED), await stage.ours("grace")
    sandbox = stage.sandbox
    for number in range(3):
        # The server does not repeat what the SDK has acknowledged; the first ping follows its last request for that.
        await js.up_to_date()
        await js.up_to_date()
        sandbox.call(sandbox.core.bus.publish, ConnectionsToDrop(user_id=js.id))
        await ours.chat.send(js.id, f"{number}")
        await js.event("onReconnectListener")
        _, message = await js.event("onMessageListener")
        assert message["body"] == f"{number}"
    await js.up_to_date()
    assert js.told("onMessageListener") == []


@scenario
async def test_deliberately_broken_connection_is_restored(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await ours.chat.subscribe_last_activity(js.id)
    await js.call("chat.terminate")
    await js.event("onDisconnectedListener")
    assert (await ours.told.one(LastActivityChanged, lambda event: event.user_id == js.id)) is not None
    await js.call("chat.connect", {"userId": js.id, "password": PASSWORD})
    await js.up_to_date()


@scenario
async def test_sending_offline_throws_where_it_cannot_be_caught(stage: Stage) -> None:
    js = await stage.js("ada")
    # The SDK returns an id as if nothing were wrong. In a user's program the error would end the process.
    assert await js.call("chat.send", stage.user("grace"), {"body": "to nobody"})
    await js.get("chat.isConnected")
    (stray,) = stage.driver.strays
    stage.driver.strays.clear()
    assert stray["message"].startswith("You are not connected to chat")


# Messages


@BOTH_KINDS
@scenario
async def test_messages_both_ways(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id, to_ours, to_js = await talk(js, ours, kind)
    kept = {"save_to_history": 1, "dialog_id": dialog_id}
    number = await js.call("chat.send", to_ours, {"body": "hello <&>", "extension": {**kept, "colour": "red"}})
    message = (await ours.told.one(MessageReceived)).message
    assert (message.id, message.body, message.sender_id) == (number, "hello <&>", js.id)
    assert (message.dialog_id, message.extra["colour"]) == (dialog_id, "red")
    assert message.recipient_id == (ours.id if kind == "private" else None)
    # The server adds the time, which the SDK omits (CX-08).
    assert message.date_sent is not None
    assert message.date_sent.timestamp() == stage.sandbox.call(stage.sandbox.clock.seconds)

    sent = await ours.chat.send(to_js, "hello, too", extra={"colour": "blue"})
    sender, received = await js.event("onMessageListener", lambda args: bool(args[0] == ours.id))
    assert (sender, received["id"], received["body"]) == (ours.id, sent.id, "hello, too")
    assert (received["dialog_id"], received["type"]) == (dialog_id, "chat" if kind == "private" else "groupchat")
    assert received["extension"]["colour"] == "blue"
    assert received["extension"]["date_sent"] == f"{sent.date_sent.timestamp():.0f}"
    assert received["is_forwarded"] is False
    history = await js.call("chat.message.list", {"chat_dialog_id": dialog_id})
    assert [(one["_id"], one["sender_id"], one["message"]) for one in history["items"]] == [
        (number, js.id, "hello <&>"),
        (sent.id, ours.id, "hello, too"),
    ]
    assert history["items"][0]["colour"] == "red"


@scenario
async def test_group_echoes_ones_own_message(stage: Stage) -> None:
    js = await stage.js("ada", True)
    dialog_id = await group(js, stage.user("grace"))
    number = await js.call("chat.send", dialog_id, {"type": "groupchat", "body": "hello"})
    sender, message = await js.event("onMessageListener")
    assert (sender, message["id"], message["dialog_id"]) == (js.id, number, dialog_id)


@scenario
async def test_first_message_creates_the_dialog_and_only_saved_messages_are_stored(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await js.call("chat.send", ours.id, {"body": "fleeting"})
    first = (await ours.told.one(MessageReceived)).message
    (dialog,) = (await ours.rest.dialogs.list()).items
    assert (dialog.id, dialog.type) == (first.dialog_id, DialogType.PRIVATE)
    assert (await js.call("chat.message.list", {"chat_dialog_id": dialog.id}))["items"] == []


@BOTH_KINDS
@scenario
async def test_attachments_both_ways(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id, to_ours, to_js = await talk(js, ours, kind)
    photo = {"type": "photo", "uid": "8aae-1", "url": "https://example.org/1.png?a=1&b=2", "size": 12}
    extension = {"save_to_history": 1, "dialog_id": dialog_id, "attachments": [photo]}
    await js.call("chat.send", to_ours, {"body": "look", "extension": extension})
    (attachment,) = (await ours.told.one(MessageReceived)).message.attachments
    assert (attachment.type, attachment.uid, attachment.url, attachment.size) == tuple(photo.values())
    await ours.chat.send(to_js, "look back", attachments=[attachment])
    _, received = await js.event("onMessageListener", lambda args: bool(args[0] == ours.id))
    (back,) = received["extension"]["attachments"]
    assert {name: back[name] for name in photo} == photo
    history = await js.call("chat.message.list", {"chat_dialog_id": dialog_id})
    assert [one["attachments"][0]["uid"] for one in history["items"]] == ["8aae-1", "8aae-1"]


@scenario
async def test_nested_parameters_arrive(stage: Stage) -> None:
    js, other = await stage.js("ada", True), await stage.js("grace", True)
    await js.call("chat.send", other.id, {"body": "deep", "extension": {"place": {"city": "Lviv", "at": {"x": "1"}}}})
    _, message = await other.event("onMessageListener")
    assert message["extension"]["place"]["city"] == "Lviv"


@scenario
async def test_messages_wait_for_offline_users(stage: Stage) -> None:
    ours, js = await stage.ours("grace"), await stage.js("ada")
    sent = await ours.chat.send(js.id, "for later")
    await js.call("chat.connect", {"userId": js.id, "password": PASSWORD})
    _, message = await js.event("onMessageListener")
    assert (message["id"], message["body"]) == (sent.id, "for later")
    assert "urn:xmpp:delay" in message["delay"]


@scenario
async def test_cx_24_self_destructing_message_is_an_ordinary_message(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await ours.chat.send(js.id, "burn this", destroy_after=5)
    _, message = await js.event("onMessageListener")
    assert message["body"] == "burn this"
    assert "destroy" not in f"{message}"
    history = await js.call("chat.message.list", {"chat_dialog_id": message["dialog_id"]})
    assert history["items"] == []


@scenario
async def test_subscribers_talk_in_a_public_dialog(stage: Stage) -> None:
    js, ours, other = await stage.js("ada", True), await stage.ours("grace"), await stage.js("mary", True)
    public = await ours.rest.dialogs.create(type=DialogType.PUBLIC, name="news")
    assert public.id is not None
    await js.call("chat.dialog.subscribe", public.id)
    await ours.chat.send(public, "news")
    sender, message = await js.event("onMessageListener")
    assert (sender, message["body"], message["dialog_id"]) == (ours.id, "news", public.id)
    await js.call("chat.send", public.id, {"body": "thanks"})
    assert (await ours.told.one(MessageReceived, lambda event: event.message.body == "thanks")) is not None
    await js.up_to_date()
    await other.up_to_date()
    assert other.told("onMessageListener") == []
    number = await other.call("chat.send", public.id, {"body": "may I?"})
    assert (await other.event("onMessageErrorListener"))[0] == number


# Marks


@BOTH_KINDS
@scenario
async def test_cx_02_every_message_is_marked_as_delivered(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace", mark_delivered="never")
    dialog_id, _, to_js = await talk(js, ours, kind)
    sent = await ours.chat.send(to_js, "no mark, please", markable=False)
    assert await ours.told.one(MessageDelivered) == MessageDelivered(
        message_id=sent.id, dialog_id=dialog_id, user_id=js.id
    )
    (stored,) = (await ours.rest.messages.list(chat_dialog_id=dialog_id, mark_as_read=False)).items
    assert sorted(stored.delivered_ids or []) == sorted([js.id, ours.id])


@BOTH_KINDS
@scenario
async def test_marks_both_ways(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id, to_ours, to_js = await talk(js, ours, kind)
    # CX-01: marks are requested with a parameter.
    extension = {"save_to_history": 1, "dialog_id": dialog_id, "markable": 1}
    number = await js.call("chat.send", to_ours, {"body": "mark this", "extension": extension})
    message = (await ours.told.one(MessageReceived)).message
    assert message.markable
    assert await js.event("onDeliveredStatusListener") == [number, dialog_id, ours.id]
    await ours.chat.mark_read(message)
    assert await js.event("onReadStatusListener") == [number, dialog_id, ours.id]
    (stored,) = (await js.call("chat.message.list", {"chat_dialog_id": dialog_id}))["items"]
    assert (ours.id in stored["delivered_ids"], ours.id in stored["read_ids"], stored["read"]) == (True, True, 1)

    sent = await ours.chat.send(to_js, "mark this, too", markable=True)
    await js.event("onMessageListener", lambda args: bool(args[0] == ours.id))
    assert await js.call("chat.message.unreadCount") == {"total": 1}
    await js.call("chat.sendReadStatus", {"messageId": sent.id, "userId": ours.id, "dialogId": dialog_id})
    mark = MessageRead(message_id=sent.id, dialog_id=dialog_id, user_id=js.id)
    assert await ours.told.one(MessageRead) == mark
    assert await js.call("chat.message.unreadCount") == {"total": 0}
    await js.call("chat.sendDeliveredStatus", {"messageId": sent.id, "userId": ours.id, "dialogId": dialog_id})
    delivered = await ours.told.all(MessageDelivered, 2)
    assert {event.message_id for event in delivered} == {sent.id}


# Typing


@BOTH_KINDS
@scenario
async def test_typing_both_ways(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id, to_ours, to_js = await talk(js, ours, kind)
    in_group = dialog_id if kind == "group" else None
    await js.call("chat.sendIsTypingStatus", to_ours)
    assert await ours.told.one(TypingStarted) == TypingStarted(user_id=js.id, dialog_id=in_group)
    await js.call("chat.sendIsStopTypingStatus", to_ours)
    assert await ours.told.one(TypingStopped) == TypingStopped(user_id=js.id, dialog_id=in_group)
    await ours.chat.start_typing(to_js)
    by_ours = await js.event("onMessageTypingListener", lambda args: bool(args[1] == ours.id))
    assert by_ours == [True, ours.id, in_group]
    await ours.chat.stop_typing(to_js)
    by_ours = await js.event("onMessageTypingListener", lambda args: bool(args[1] == ours.id))
    assert by_ours == [False, ours.id, in_group]


@scenario
async def test_cx_21_typing_has_no_id(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await js.call("chat.sendIsTypingStatus", ours.id)
    await ours.told.one(TypingStarted)
    (seen,) = [one for one in stage.sandbox.journal.stanzas(user_id=js.id) if "composing" in one.xml]
    assert " id=" not in seen.xml.partition(">")[0]


# Edits and removals


@BOTH_KINDS
@scenario
async def test_edits_both_ways(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id, to_ours, to_js = await talk(js, ours, kind)
    kept = {"save_to_history": 1, "dialog_id": dialog_id}
    number = await js.call("chat.send", to_ours, {"body": "first", "extension": kept})
    change = {"to": to_ours, "dialogId": dialog_id, "body": "changed", "originMessageId": number, "last": True}
    await js.call("chat.editMessage", change)
    assert await ours.told.one(MessageEdited) == MessageEdited(
        message_id=number, dialog_id=dialog_id, user_id=js.id, body="changed", last=True, from_author=True
    )
    sent = await ours.chat.send(to_js, "second")
    await ours.chat.edit_message(to_js, sent.id, "changed, too", last=False)
    edit = await js.event("onMessageUpdateListener", lambda args: bool(args[0] == sent.id))
    assert edit[:5] == [sent.id, False, "changed, too", dialog_id, ours.id]
    history = await js.call("chat.message.list", {"chat_dialog_id": dialog_id})
    assert [one["message"] for one in history["items"]] == ["changed", "changed, too"]


@BOTH_KINDS
@scenario
async def test_removals_both_ways(stage: Stage, kind: str) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    dialog_id, to_ours, to_js = await talk(js, ours, kind)
    kept = {"save_to_history": 1, "dialog_id": dialog_id}
    number = await js.call("chat.send", to_ours, {"body": "first", "extension": kept})
    await js.call("chat.deleteMessage", {"to": to_ours, "dialogId": dialog_id, "messageId": number})
    assert await ours.told.one(MessageDeleted) == MessageDeleted(
        message_id=number, dialog_id=dialog_id, user_id=js.id, from_author=True
    )
    sent = await ours.chat.send(to_js, "second")
    await ours.chat.delete_message(to_js, sent.id)
    removal = await js.event("onMessageDeleteListener", lambda args: bool(args[0] == sent.id))
    assert removal == [sent.id, dialog_id, ours.id]
    assert (await js.call("chat.message.list", {"chat_dialog_id": dialog_id}))["items"] == []


# System messages and signals


@scenario
async def test_system_messages_both_ways(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await js.call("chat.sendSystemMessage", ours.id, {"body": "psst", "extension": {"colour": "red"}})
    assert await ours.told.one(SystemMessageReceived) == SystemMessageReceived(
        user_id=js.id, params={"colour": "red"}, body="psst"
    )
    await ours.chat.send_system(js.id, {"colour": "blue"})
    (told,) = await js.event("onSystemMessageListener")
    assert (told["userId"], told["extension"], told["body"]) == (ours.id, {"colour": "blue"}, None)


@scenario
async def test_cx_13_a_system_message_without_parameters_is_lost(stage: Stage) -> None:
    js, ours, other = (
        await stage.js("ada", True),
        await stage.ours("grace"),
        await stage.js("mary", True),
    )
    for user in (ours, other):
        await js.call("chat.sendSystemMessage", user.id, {"body": "psst"})
    await js.up_to_date()
    await other.up_to_date()
    assert other.told("onSystemMessageListener") == []
    await ours.up_to_date()
    assert {event.user_id for event in ours.told.of(SystemMessageReceived)} == {ours.id}


@scenario
async def test_cx_30_signal_line_index_of_zero_is_lost(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    candidates = [{"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": number} for number in (0, 1)]
    extension = {
        "moduleIdentifier": "WebRTCVideoChat",
        "signalType": "iceCandidates",
        "sessionID": "session-1",
        "callType": 1,
        "platform": "web",
        "iceCandidates": candidates,
    }
    await js.call("chat.sendWebRTCSignalingMessage", ours.id, {"extension": extension})
    told = await ours.told.one(CallSignalReceived)
    assert told.user_id == js.id
    assert told.signal.extra.params["sessionID"] == "session-1"
    (seen,) = [one for one in stage.sandbox.journal.stanzas(user_id=js.id) if "iceCandidates" in one.xml]
    assert "<sdpMLineIndex>1</sdpMLineIndex>" in seen.xml
    assert "<sdpMLineIndex>0</sdpMLineIndex>" not in seen.xml


# The connection


@scenario
async def test_cx_28_refused_ping_is_silent(stage: Stage) -> None:
    js = await stage.js("ada", True)
    await js.call("chat.ping")
    lost = await stage.js("ada", True, chat_host="elsewhere.example")
    with pytest.raises(JsError) as refused:
        await lost.call("chat.ping")
    assert refused.value.value == {"code": 0, "info": None}


@scenario
async def test_cx_15_and_cx_16_inactive_state_is_supported(stage: Stage) -> None:
    js = await stage.js("ada", True)
    for method, value in (("chat.markInactive", "true"), ("chat.markActive", "false")):
        await js.call(method)
        await js.up_to_date()
        mobile = [one for one in stage.sandbox.journal.stanzas(user_id=js.id) if "mobile#v2" in one.xml]
        assert f'enable="{value}"' in mobile[-1].xml
        assert mobile[-1].direction == "in"


@scenario
async def test_last_activity(stage: Stage) -> None:
    js, ours = await stage.js("ada", True), await stage.ours("grace")
    await ours.up_to_date()
    assert await js.call("chat.getLastUserActivity", ours.id) == {"userId": ours.id, "seconds": 0}
    await js.event("onLastUserActivityListener")
    with pytest.raises(JsError) as refused:
        await js.call("chat.getLastUserActivity", stage.user("never"))
    assert refused.value.code == 404
    await js.call("chat.subscribeToUserLastActivityStatus", ours.id)
    await js.up_to_date()
    js.device.events.clear()
    await ours.chat.disconnect()
    told = await js.event("onLastUserActivityListener")
    assert told[0] == ours.id
    stage.sandbox.advance(60)
    assert (await js.call("chat.getLastUserActivity", ours.id))["seconds"] >= 60
    assert await ours.rest.dialogs.count() == 0
