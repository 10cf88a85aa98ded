"""1-1 messages: routing, history, offline, carbons, marks, edits, refusals (RFC 6121, XEP-0280, K-12 to K-31)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connectycube.sandbox import Sandbox
from connectycube.sandbox.clock import Clock
from connectycube.sandbox.config import Limits
from connectycube.sandbox.domain.chat import ChatRules
from connectycube.sandbox.xmpp.alarms import Alarms
from connectycube.sandbox.xmpp.router import route
from connectycube.sandbox.xmpp.session import Session
from connectycube.stanzas import (
    AvailablePresence,
    CallSignal,
    ChatMessage,
    ChatStateMessage,
    DeliveredMark,
    EditMessage,
    LastActivityPush,
    MessageError,
    PausedMessage,
    ReactionsMessage,
    ReadMark,
    ReceivedCarbonMessage,
    RemovalMessage,
    SentCarbonMessage,
    SystemMessage,
    TypingMessage,
)

from .raw import Connect

ID = "66f1a8d0e4b0d93a51c8e300"
CARBONS = '<enable xmlns="urn:xmpp:carbons:2"/>'
MARKERS = "urn:xmpp:chat-markers:0"
STATES = "http://jabber.org/protocol/chatstates"


def text(to: str, body: str = "hello", *, id: str = ID, save: bool = True, inner: str = "") -> str:
    extra = "<save_to_history>1</save_to_history>" if save else ""
    return (
        f'<message type="chat" to="{to}" id="{id}"><body>{body}</body>{inner}'
        f'<extraParams xmlns="jabber:client">{extra}<mood>fine</mood></extraParams></message>'
    )


def bare(sandbox: Sandbox, user_id: int) -> str:
    return f"{user_id}-{sandbox.app_id}@localhost"


def history(sandbox: Sandbox) -> list[Any]:
    found, _ = sandbox.call(sandbox.core.messages.search, [], dialog_id=None, viewer=None, skip=0, limit=100)
    return list(found)


def test_message_arrives_with_dialog_and_time_and_is_saved(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int
) -> None:
    sender, phone, desk = connect(mary), connect(joe, "phone"), connect(joe, "desk")
    sender.send(text(phone.bare))
    for device in (phone, desk):
        got = device.until(ChatMessage)
        assert (got.id, got.from_, got.to, got.body) == (ID, sender.jid, phone.bare, "hello")
        assert got.extra.params == {"mood": "fine"}
        assert got.extra.date_sent is not None
    stored = history(sandbox)[0]
    assert (stored.id, stored.body, stored.sender_id, stored.recipient_id) == (ID, "hello", mary, joe)
    assert (stored.dialog_id, stored.date_sent) == (got.extra.dialog_id, got.extra.date_sent)
    assert stored.extra == {"mood": "fine"}


def test_messages_are_saved_only_on_request(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    sender.send(text(receiver.bare, save=False))
    assert receiver.until(ChatMessage).extra.dialog_id
    sender.send(text(receiver.bare, inner='<destroy xmlns="urn:xmpp:message-destroy-after:0" after="5"/>'))
    assert receiver.until(ChatMessage).destroy.after == 5
    assert history(sandbox) == []


def test_foreign_message_ids_get_one_of_the_platform(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    sender.send(text(receiver.bare, id="my-own"))
    got = receiver.until(ChatMessage)
    assert got.id == "my-own"
    assert got.extra.message_id == history(sandbox)[0].id


def test_attachments_are_saved(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    attachment = '<attachment type="image" uid="u1" size="7" content-type="image/png" data="{&quot;a&quot;:1}" x="y"/>'
    sender.send(
        f'<message type="chat" to="{receiver.bare}" id="{ID}"><markable xmlns="{MARKERS}"/>'
        f"<extraParams><save_to_history>1</save_to_history>{attachment}"
        "<place><lat>1</lat></place></extraParams></message>"
    )
    assert receiver.until(ChatMessage).extra.attachments[0].uid == "u1"
    stored = history(sandbox)[0]
    assert stored.attachments == [
        {"type": "image", "uid": "u1", "size": 7, "content-type": "image/png", "data": '{"a":1}', "x": "y"}
    ]
    assert stored.markable
    assert stored.extra == {"place": '{"lat":"1"}'}


def test_degrees_are_numbers_in_the_history(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender = connect(joe)
    places = '<attachment latitude="45.07" longitude="7"/><attachment latitude="north" longitude="true"/>'
    extra = f"<extraParams><save_to_history>1</save_to_history>{places}</extraParams>"
    sender.send(f'<message type="chat" to="{bare(sandbox, mary)}" id="{ID}">{extra}</message>')
    assert sender.quiet() == []
    assert history(sandbox)[0].attachments == [{"latitude": 45.07, "longitude": 7}, {}]


@pytest.mark.parametrize("value", ["5", "true", "null", "[1]", "1.5", "text"])
def test_attachments_of_any_value_are_text_over_rest(
    sandbox: Sandbox, http: httpx.Client, connect: Connect, mary: int, joe: int, value: str
) -> None:
    sender = connect(joe)
    names = ("data", "id", "uid", "name", "type", "url", "content-type", "x")
    attributes = " ".join(f'{name}="{value}"' for name in names)
    sender.send(
        f'<message type="chat" to="{bare(sandbox, mary)}" id="{ID}"><extraParams><save_to_history>1</save_to_history>'
        f"<attachment {attributes}/><mood>{value}</mood></extraParams></message>"
    )
    assert sender.quiet() == []
    headers = {"CB-Token": sandbox.call(sandbox.core.sessions.open_for, mary).token}
    query = {"chat_dialog_id": history(sandbox)[0].dialog_id}
    (message,) = http.get("/chat/Message", params=query, headers=headers).json()["items"]
    shown = {name: text for name, text in message["attachments"][0].items() if name != "data" or value != "text"}
    assert shown == dict.fromkeys(shown, value)
    assert message["mood"] == value


def test_offline_users_receive_messages_later_with_their_time(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int
) -> None:
    sandbox.clock.freeze()
    sender = connect(mary)
    to = bare(sandbox, joe)
    sender.send(text(to))
    sender.send(f'<message type="chat" to="{to}"><composing xmlns="{STATES}"/></message>')
    sender.send(f'<message type="chat" to="{to}" id="m1"><displayed xmlns="{MARKERS}" id="{ID}"/></message>')
    assert sender.quiet() == []
    sandbox.advance(60)
    receiver = connect(joe)
    message = receiver.read_stanza()
    assert isinstance(message, ChatMessage)
    assert message.delay is not None
    assert message.delay.stamp.timestamp() == int(sandbox.clock.now()) - 60
    mark = receiver.read_stanza()
    assert isinstance(mark, ReadMark)
    assert "urn:xmpp:delay" in mark.unknown[0]
    assert receiver.quiet() == []
    assert connect(joe, "second").quiet() != [message]


def test_messages_wait_for_presence(connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe, presence=False)
    sender.send(text(receiver.bare))
    assert sender.quiet() == []
    assert receiver.quiet() == []
    receiver.send("<presence><priority>-1</priority></presence>")
    assert [type(one).__name__ for one in receiver.quiet()] == ["AvailablePresence"]
    receiver.send("<presence/>")
    assert receiver.until(ChatMessage).id == ID


def test_typing_reaches_online_users(connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    for name, kind in (("composing", TypingMessage), ("paused", PausedMessage), ("active", ChatStateMessage)):
        sender.send(f'<message type="chat" to="{receiver.bare}"><{name} xmlns="{STATES}"/></message>')
        assert receiver.until(kind).from_ == sender.jid


def test_marks_update_the_history(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    sender.send(text(receiver.bare))
    dialog_id = receiver.until(ChatMessage).extra.dialog_id
    receiver.send(f'<message type="chat" to="{sender.bare}" id="a"><received xmlns="{MARKERS}" id="{ID}"/></message>')
    assert sender.until(DeliveredMark).received.id == ID
    dialog = sandbox.call(sandbox.core.dialogs.get, dialog_id)
    assert sandbox.call(sandbox.core.messages.last_status, dialog, mary) == "delivered"
    assert sandbox.call(sandbox.core.messages.unread, dialog, joe) == 1
    receiver.send(f'<message type="chat" to="{sender.bare}" id="b"><displayed xmlns="{MARKERS}" id="{ID}"/></message>')
    assert sender.until(ReadMark).displayed.id == ID
    assert sandbox.call(sandbox.core.messages.unread, dialog, joe) == 0


def test_edits_and_removals(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    sender.send(text(receiver.bare))
    edit = f'<body>bye</body><replace xmlns="urn:xmpp:message-correct:0" id="{ID}" last="true"/>'
    remove = f'<remove xmlns="urn:xmpp:message-delete:0" id="{ID}"/>'
    receiver.until(ChatMessage)
    receiver.send(f'<message type="chat" to="{sender.bare}" id="no">{edit}</message>')
    assert receiver.until(MessageError).error.condition == "forbidden"
    sender.send(f'<message type="chat" to="{receiver.bare}" id="e">{edit}</message>')
    assert receiver.until(EditMessage).body == "bye"
    assert history(sandbox)[0].body == "bye"
    receiver.send(f'<message type="chat" to="{sender.bare}" id="no2">{remove}</message>')
    assert receiver.until(MessageError).id == "no2"
    sender.send(f'<message type="chat" to="{receiver.bare}" id="r">{remove}</message>')
    assert receiver.until(RemovalMessage).remove.id == ID
    assert history(sandbox) == []


def test_carbons(connect: Connect, mary: int, joe: int) -> None:
    sender, other = connect(mary, "one"), connect(mary, "two")
    receiver, side = connect(joe, "one"), connect(joe, "two")
    for client in (other, side):
        client.request("set", CARBONS)
    sender.send(text(receiver.jid))
    sent = other.until(SentCarbonMessage)
    assert (sent.from_, sent.to, sent.type) == (other.bare, other.jid, "chat")
    inner = sent.sent.forwarded.stanza
    assert (inner.from_, inner.to, inner.body) == (sender.jid, receiver.jid, "hello")
    assert inner.extra.dialog_id
    assert receiver.until(ChatMessage).id == ID
    copy = side.until(ReceivedCarbonMessage)
    assert copy.from_ == side.bare
    assert copy.received.forwarded.stanza.id == ID
    sender.send(text(receiver.jid, inner='<private xmlns="urn:xmpp:carbons:2"/>'))
    assert receiver.until(ChatMessage)
    side.request("set", '<disable xmlns="urn:xmpp:carbons:2"/>')
    sender.send(text(receiver.jid))
    assert [one for one in side.quiet() if isinstance(one, ReceivedCarbonMessage)] == []
    assert len([one for one in other.quiet() if isinstance(one, SentCarbonMessage)]) == 1


def test_headlines_reach_only_online_users(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender = connect(mary)
    system = "<moduleIdentifier>SystemNotifications</moduleIdentifier>"
    call = "<moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>call</signalType>"
    for inner in (system, call):
        sender.send(
            f'<message type="headline" to="{bare(sandbox, joe)}" id="h"><extraParams>{inner}</extraParams></message>'
        )
    assert sender.quiet() == []
    receiver = connect(joe)
    assert receiver.quiet() == []
    for inner, kind in ((system, SystemMessage), (call, CallSignal)):
        sender.send(
            f'<message type="headline" to="{receiver.bare}" id="h"><extraParams>{inner}</extraParams></message>'
        )
        assert receiver.until(kind).from_ == sender.jid


@pytest.mark.parametrize(
    ("stanza", "condition"),
    [
        ('<message id="x" type="chat" to="999-7001@localhost"><body>a</body></message>', "service-unavailable"),
        ('<message id="x" type="chat" to="nobody@localhost"><body>a</body></message>', "service-unavailable"),
        ('<message id="x" type="chat" to="1-8@localhost"><body>a</body></message>', "service-unavailable"),
        ('<message id="x" type="chat" to="localhost"><body>a</body></message>', "service-unavailable"),
        ('<message id="x" type="chat" to="1-7001@elsewhere"><body>a</body></message>', "remote-server-not-found"),
        ('<message id="x" type="chat" to="a@@b"><body>a</body></message>', "jid-malformed"),
        ('<message id="x" type="groupchat" to="{joe}"><body>a</body></message>', "service-unavailable"),
        (
            '<message id="x" type="chat" to="{joe}"><reactions user_id="1" message_id="a"/></message>',
            "not-allowed",
        ),
        ('<message id="x" type="chat" to="{joe}"><received xmlns="urn:xmpp:chat-markers:0"/></message>', "bad-request"),
    ],
)
def test_refused_messages(sandbox: Sandbox, connect: Connect, mary: int, joe: int, stanza: str, condition: str) -> None:
    client = connect(mary)
    client.send(stanza.format(joe=bare(sandbox, joe)))
    answer = client.until(MessageError)
    assert (answer.id, answer.error.condition) == ("x", condition)


def test_forged_carbons_are_left_to_the_receiver(connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    sender.send(
        f'<message type="chat" to="{receiver.bare}"><sent xmlns="urn:xmpp:carbons:2">'
        '<forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client"/></forwarded></sent></message>'
    )
    assert receiver.until(SentCarbonMessage).from_ == sender.jid


def test_errors_are_never_answered(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    client = connect(mary)
    client.send('<message type="error" to="nobody@localhost"/>', '<message type="error" to="@"/>')
    client.send(f'<message type="error" to="{bare(sandbox, joe)}"/>')
    assert client.quiet() == []
    assert connect(joe).quiet() == []


def test_internal_errors_do_not_end_the_stream(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(mary)

    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(ChatRules, "private_message", broken)
    client.send(text(bare(sandbox, joe)))
    answer = client.until(MessageError)
    assert answer.error.condition == "internal-server-error"
    assert "secret" not in client.seen[-1]
    assert client.quiet() == []


def device(resource: str, *, available: bool = True, priority: int = 0, carbons: bool = False) -> Session:
    session = Session(1, "1-7@localhost", resource, None, Limits(), Alarms(Clock()), lambda session: None)
    session.presence = AvailablePresence(priority=priority) if available else None
    session.carbons = carbons
    return session


def test_route_by_address_and_priority() -> None:
    one, two = device("one", carbons=True), device("two")
    low, away = device("low", priority=-1, carbons=True), device("away", available=False, carbons=True)
    all_of_them = [one, two, low, away]
    to_bare = route(all_of_them, None)
    assert (to_bare.direct, to_bare.copies) == ([one, two], [low, away])
    to_full = route(all_of_them, "two")
    assert (to_full.direct, to_full.copies) == ([two], [one, low, away])
    assert route(all_of_them, "away").direct == [away]
    assert route(all_of_them, "gone").direct == [one, two]
    assert route(all_of_them, "gone", headline=True).direct == []
    assert route([], None).direct == []


def test_rest_calls_reach_the_chat(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    core = sandbox.core
    sender, receiver = connect(mary), connect(joe)
    sender.request("set", CARBONS)
    dialog = sandbox.call(core.dialogs.private, mary, joe)

    def create() -> str:
        from connectycube.sandbox.domain.message_model import Draft

        draft = Draft(sender_id=mary, body="over REST", attachments=[{"type": "image", "uid": "u"}], extra={"a": "b"})
        return core.messages.create(dialog, draft, send_to_chat=True).id

    message_id = sandbox.call(create)
    got = receiver.until(ChatMessage)
    assert (got.id, got.body, got.from_) == (message_id, "over REST", sender.bare)
    assert (got.extra.dialog_id, got.extra.params, got.extra.attachments[0].uid) == (dialog.id, {"a": "b"}, "u")
    assert sender.until(SentCarbonMessage).sent.forwarded.stanza.id == message_id
    sandbox.call(core.messages.react, message_id, joe, add="heart", remove=None)
    reaction = sender.until(ReactionsMessage)
    assert (reaction.reactions.user_id, reaction.reactions.message_id) == (joe, message_id)
    assert (reaction.reactions.reactions[0].add, reaction.reactions.reactions[0].type) == (True, "heart")
    sandbox.call(core.messages.delete, [message_id], mary, force=True)
    assert receiver.until(RemovalMessage).remove.id == message_id
    sandbox.call(core.messages.send_system, mary, joe, {"custom": "1"})
    system = receiver.until(SystemMessage)
    assert (system.from_, system.body, system.extra.params) == (sender.bare, None, {"custom": "1"})
    sandbox.call(core.messages.send_system, mary, joe, {"body": "dialog/NEW_DIALOG", "dialogId": dialog.id})
    system = receiver.until(SystemMessage)
    assert (system.body, system.extra.params) == ("dialog/NEW_DIALOG", {"dialogId": dialog.id})
    sandbox.call(core.messages.send_system, mary, joe, {"body": {"a": "b"}})
    system = receiver.until(SystemMessage)
    assert (system.body, system.extra.params) == (None, {"body": {"a": "b"}})


def test_parameters_named_like_fields_of_the_chat_reach_it(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int
) -> None:
    receiver = connect(joe)
    own = {"dialog_id": "0" * 24, "silent": 1, "message_id": "x", "save_to_history": "0", "date_sent": "5", "a": "b"}
    sandbox.call(sandbox.core.messages.send_system, mary, joe, {**own, "moduleIdentifier": "x", "attachment": "y"})
    extra = receiver.until(SystemMessage).extra
    assert (extra.module_identifier, extra.params, extra.silent) == ("SystemNotifications", {"a": "b"}, True)
    assert (extra.dialog_id, extra.date_sent, extra.save_to_history) == ("0" * 24, 5, False)

    def create() -> str:
        from connectycube.sandbox.domain.message_model import Draft

        dialog = sandbox.core.dialogs.private(mary, joe)
        sandbox.core.messages.create(dialog, Draft(sender_id=mary, body="x", extra=own), send_to_chat=True)
        return dialog.id

    dialog_id = sandbox.call(create)
    extra = receiver.until(ChatMessage).extra
    assert (extra.dialog_id, extra.silent, extra.save_to_history, extra.message_id) == (dialog_id, True, True, None)
    assert extra.params == {"a": "b"}


def test_last_activity_and_its_pushes(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sandbox.clock.freeze()
    client = connect(mary)
    query, to = '<query xmlns="jabber:iq:last"/>', bare(sandbox, joe)
    assert client.request("get", query, to).error.condition == "item-not-found"
    namespace = "https://connectycube.com/protocol/status_streaming"
    client.request("set", f'<subscribe xmlns="{namespace}" user_jid="{to}" enable="true"/>')
    other = connect(joe)
    push = client.until(LastActivityPush)
    assert (push.from_, push.query.seconds) == (to, 0)
    assert client.request("get", query, to).query.seconds == 0
    other.send("<presence type='unavailable'/>")
    assert client.until(LastActivityPush).query.seconds == 1
    sandbox.advance(30)
    assert client.request("get", query, to).query.seconds == 30
    client.request("set", f'<subscribe xmlns="{namespace}" user_jid="{to}" enable="false"/>')
    other.send("<presence/>")
    other.read()
    assert client.quiet() == []
    assert client.request("get", query).query.seconds >= 0
    assert client.request("get", query, client.bare).query.seconds == 0
