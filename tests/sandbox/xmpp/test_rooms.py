"""Rooms of dialogs (XEP-0045, K-13, K-32 to K-39, K-54, CX-04)."""

from __future__ import annotations

import pytest

from connectycube.sandbox import Sandbox
from connectycube.stanzas import (
    EditMessage,
    GroupMessage,
    MessageError,
    ReactionsMessage,
    RemovalMessage,
    RoomJoinError,
    RoomOccupant,
    RoomOccupantLeft,
    TypingMessage,
)

from .raw import Connect, Group, Raw, User
from .test_messages import ID, MARKERS, STATES, history

JOIN = '<x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/></x>'
ITEMS = '<query xmlns="http://jabber.org/protocol/disco#items"/>'


def room_of(dialog_id: str) -> str:
    return f"7001_{dialog_id}@muc.localhost"


def say(room: str, body: str = "hi", inner: str = "") -> str:
    return (
        f'<message type="groupchat" to="{room}" id="{ID}"><body>{body}</body>{inner}'
        "<extraParams><save_to_history>1</save_to_history></extraParams></message>"
    )


def join(client: Raw, room: str, nick: int | None = None, id: str = "j") -> RoomOccupant:
    client.send(f'<presence id="{id}" to="{room}/{nick or client.user_id}">{JOIN}</presence>')
    found: RoomOccupant = client.until(RoomOccupant, id=id)
    return found


def codes(presence: RoomOccupant | RoomOccupantLeft) -> list[int]:
    return [one.code for one in presence.muc.statuses]


def test_messages_reach_every_device_without_joining(
    sandbox: Sandbox, connect: Connect, group: Group, mary: int, joe: int
) -> None:
    dialog_id = group(mary, joe)
    room = room_of(dialog_id)
    sender, phone, desk = connect(mary), connect(joe, "phone"), connect(joe, "desk")
    sender.send(say(room))
    for device in (sender, phone, desk):
        got = device.until(GroupMessage)
        assert (got.id, got.from_, got.to, got.body) == (ID, f"{room}/{mary}", device.jid, "hi")
        assert (got.extra.dialog_id, got.extra.date_sent) == (dialog_id, history(sandbox)[0].date_sent)
    phone.send(f'<message type="groupchat" to="{room}"><composing xmlns="{STATES}"/></message>')
    assert sender.until(TypingMessage).from_ == f"{room}/{joe}"
    phone.send(f'<message type="chat" to="{sender.bare}" id="m"><displayed xmlns="{MARKERS}" id="{ID}"/></message>')
    sender.quiet()
    dialog = sandbox.call(sandbox.core.dialogs.get, dialog_id)
    assert sandbox.call(sandbox.core.messages.last_status, dialog, mary) == "read"
    edit = f'<replace xmlns="urn:xmpp:message-correct:0" id="{ID}"/>'
    sender.send(f'<message type="groupchat" to="{room}" id="e"><body>ho</body>{edit}</message>')
    assert desk.until(EditMessage).body == "ho"
    phone.send(
        f'<message type="groupchat" to="{room}" id="r"><remove xmlns="urn:xmpp:message-delete:0" id="{ID}"/></message>'
    )
    assert phone.until(MessageError).error.condition == "forbidden"
    sender.send(
        f'<message type="groupchat" to="{room}" id="r"><remove xmlns="urn:xmpp:message-delete:0" id="{ID}"/></message>'
    )
    assert desk.until(RemovalMessage).remove.id == ID
    assert history(sandbox) == []


def test_offline_users_read_the_history(sandbox: Sandbox, connect: Connect, group: Group, mary: int, joe: int) -> None:
    sender = connect(mary)
    sender.send(say(room_of(group(mary, joe))))
    sender.until(GroupMessage)
    assert connect(joe).quiet() == []
    assert len(history(sandbox)) == 1


def test_public_and_broadcast_dialogs(
    sandbox: Sandbox, connect: Connect, group: Group, user: User, mary: int, joe: int
) -> None:
    public = group(mary, type=4)
    room = room_of(public)
    sender, guest = connect(mary), connect(joe)
    guest.send(say(room))
    assert guest.until(MessageError).error.condition == "forbidden"
    sandbox.call(sandbox.core.dialogs.subscribe, public, joe)
    guest.send(say(room))
    assert sender.until(GroupMessage).from_ == f"{room}/{joe}"


@pytest.mark.parametrize(
    ("stanza", "condition"),
    [
        ('<message type="groupchat" to="{room}/1" id="x"><body>a</body></message>', "bad-request"),
        ('<message type="chat" to="{room}/{joe}" id="x"><body>a</body></message>', "not-acceptable"),
        ('<message type="chat" to="{none}/1" id="x"><body>a</body></message>', "item-not-found"),
        ('<message type="chat" to="{room}" id="x"><body>a</body></message>', "bad-request"),
        ('<message type="groupchat" to="{none}" id="x"><body>a</body></message>', "item-not-found"),
        ('<message type="groupchat" to="{private}" id="x"><body>a</body></message>', "item-not-found"),
        ('<message type="groupchat" to="hall@muc.localhost" id="x"><body>a</body></message>', "service-unavailable"),
        (
            '<message type="groupchat" to="{room}" id="x"><reactions user_id="1" message_id="a"/></message>',
            "not-allowed",
        ),
    ],
)
def test_messages_refused_by_a_room(
    sandbox: Sandbox, connect: Connect, group: Group, mary: int, joe: int, stanza: str, condition: str
) -> None:
    private = sandbox.call(sandbox.core.dialogs.private, mary, joe).id
    client = connect(mary)
    names = {"room": room_of(group(mary, joe)), "none": room_of("0" * 24), "private": room_of(private), "joe": joe}
    client.send(stanza.format(**names))
    answer = client.until(MessageError)
    assert (answer.id, answer.error.condition) == ("x", condition)
    client.send(f'<message type="error" to="{names["room"]}"/>')
    assert client.quiet() == []


@pytest.mark.parametrize("type", ["chat", "normal"])
def test_private_messages_in_a_room_are_refused(connect: Connect, group: Group, mary: int, joe: int, type: str) -> None:
    room = room_of(group(mary, joe))
    one, other = connect(mary), connect(joe)
    join(one, room)

    def refused() -> str:
        one.send(f'<message type="{type}" to="{room}/{joe}" id="x"><body>psst</body></message>')
        answer = one.until(MessageError, id="x")
        assert answer.from_ == f"{room}/{joe}"
        return str(answer.error.condition)

    assert refused() == "item-not-found"
    join(other, room)
    other.quiet()
    assert refused() == "feature-not-implemented"
    assert other.quiet() == []


def test_invitations_are_refused(connect: Connect, group: Group, user: User, mary: int, joe: int) -> None:
    room = room_of(group(mary, joe))
    member, stranger, invited = connect(joe), connect(user("ann")), connect(user("eve"))
    inner = f'<x xmlns="http://jabber.org/protocol/muc#user"><invite to="{invited.bare}"/></x>'
    for client, condition in ((member, "feature-not-implemented"), (stranger, "forbidden")):
        client.send(f'<message to="{room}" id="i">{inner}</message>')
        answer = client.until(MessageError)
        assert (answer.id, answer.from_, answer.error.condition) == ("i", room, condition)
    decline = inner.replace("invite", "decline")
    invited.send(f'<message to="{room}" id="d">{decline}</message>')
    assert invited.until(MessageError).error.condition == "bad-request"
    assert invited.quiet() == []


def test_joining_a_room_sends_no_history(connect: Connect, group: Group, mary: int, joe: int) -> None:
    room = room_of(group(mary, joe))
    one = connect(mary)
    one.send(say(room))
    one.until(GroupMessage)
    other = connect(joe)
    other.send(f'<presence id="j" to="{room}/{joe}"><x xmlns="http://jabber.org/protocol/muc"/></presence>')
    other.until(RoomOccupant, id="j")
    (subject,) = other.quiet()
    assert subject.body is None


def test_joining_and_leaving(sandbox: Sandbox, connect: Connect, group: Group, mary: int, joe: int) -> None:
    room = room_of(group(mary, joe))
    one, other = connect(mary), connect(joe)
    own = join(one, room)
    assert (own.from_, own.to, codes(own)) == (f"{room}/{mary}", one.jid, [110])
    assert own.muc.item is not None
    assert (own.muc.item.affiliation, own.muc.item.role) == ("owner", "moderator")
    subject = one.until(GroupMessage)
    assert (subject.from_, subject.unknown) == (room, ('<subject xmlns="jabber:client"/>',))
    other.send(f'<presence id="k" to="{room}/{joe}">{JOIN}</presence>')
    assert other.until(RoomOccupant).from_ == f"{room}/{mary}"
    assert codes(other.until(RoomOccupant)) == [110]
    seen = one.until(RoomOccupant)
    assert (seen.from_, codes(seen), seen.muc.item.affiliation) == (f"{room}/{joe}", [], "member")
    assert [item.jid for item in one.request("get", ITEMS, room).query.items] == [f"{room}/{mary}", f"{room}/{joe}"]
    other.send(f'<presence to="{room}/{joe}"><show>away</show></presence>')
    assert one.until(RoomOccupant).show == "away"
    other.send(f'<presence type="unavailable" id="l" to="{room}/{joe}"/>')
    left = other.until(RoomOccupantLeft)
    assert (left.id, left.from_, codes(left)) == ("l", f"{room}/{joe}", [110])
    assert codes(one.until(RoomOccupantLeft)) == []
    # Who has left, and even who never joined, still gets what is said.
    one.send(say(room))
    assert other.until(GroupMessage, id=ID).body == "hi"


def test_unknown_content_of_presence_is_shown(connect: Connect, group: Group, mary: int, joe: int) -> None:
    room = room_of(group(mary, joe))
    first, second = connect(mary), connect(joe)
    join(first, room)
    join(second, room)
    poll = '<poll xmlns="urn:example:poll"/>'
    second.send(f'<presence to="{room}/{joe}"><show>away</show>{poll}</presence>')
    assert first.until(RoomOccupant, from_=f"{room}/{joe}", show="away").unknown == (poll,)


def test_lost_connection_leaves_the_room(connect: Connect, group: Group, mary: int, joe: int) -> None:
    room = room_of(group(mary, joe))
    one, phone, desk = connect(mary), connect(joe, "phone"), connect(joe, "desk")
    for client in (one, phone, desk):
        join(client, room)
    phone.cut()
    desk.until(GroupMessage)
    assert not [stanza for stanza in one.quiet() if isinstance(stanza, RoomOccupantLeft)]
    desk.cut()
    assert one.until(RoomOccupantLeft).from_ == f"{room}/{joe}"


def test_other_nicks_are_replaced(connect: Connect, group: Group, mary: int, joe: int) -> None:
    room = room_of(group(mary, joe))
    own = join(connect(mary), room, nick=joe)
    assert (own.from_, codes(own)) == (f"{room}/{mary}", [110, 210])


@pytest.mark.parametrize(
    ("to", "condition", "code"),
    [("{room}/1", "registration-required", 407), ("{none}/1", "item-not-found", 404), ("{room}", "jid-malformed", 400)],
)
def test_refused_joins(
    connect: Connect, group: Group, user: User, mary: int, joe: int, to: str, condition: str, code: int
) -> None:
    room = room_of(group(mary, joe))
    stranger = connect(user("ann"))
    stranger.send(f'<presence id="j" to="{to.format(room=room, none=room_of("0" * 24))}">{JOIN}</presence>')
    answer = stranger.until(RoomJoinError)
    assert (answer.id, answer.error.condition, answer.error.code) == ("j", condition, code)
    assert stranger.request("get", ITEMS, room).error.condition == "forbidden"


def test_removal_from_the_dialog_is_a_kick(
    sandbox: Sandbox, connect: Connect, group: Group, user: User, mary: int, joe: int
) -> None:
    ann = user("ann")
    dialog_id = group(mary, joe, ann)
    room = room_of(dialog_id)
    clients = [connect(one) for one in (mary, joe, ann)]
    for client in clients:
        join(client, room)
    sandbox.call(sandbox.core.dialogs.update, dialog_id, mary, {"pull_all": {"occupants_ids": [joe]}})
    kicked = clients[1].until(RoomOccupantLeft)
    assert codes(kicked) == [110, 307]
    assert (kicked.muc.item.affiliation, kicked.muc.item.actor.nick) == ("none", str(mary))
    assert codes(clients[0].until(RoomOccupantLeft)) == [307]
    clients[1].send(say(room))
    assert clients[1].until(MessageError).error.condition == "forbidden"
    sandbox.call(sandbox.core.dialogs.delete, dialog_id, ann, force=False)
    assert codes(clients[2].until(RoomOccupantLeft, from_=f"{room}/{ann}")) == [110]
    assert codes(clients[0].until(RoomOccupantLeft, from_=f"{room}/{ann}")) == []
    sandbox.call(sandbox.core.dialogs.delete, dialog_id, mary, force=True)
    gone = clients[0].until(RoomOccupantLeft)
    assert codes(gone) == [110]
    assert "destroy" in gone.muc.unknown[0]
    assert clients[0].request("get", ITEMS, room).error.condition == "item-not-found"


def test_rest_calls_reach_the_room(sandbox: Sandbox, connect: Connect, group: Group, mary: int, joe: int) -> None:
    from connectycube.sandbox.domain.message_model import Draft

    core = sandbox.core
    dialog_id = group(mary, joe)
    room = room_of(dialog_id)
    one, other = connect(mary), connect(joe)
    dialog = sandbox.call(core.dialogs.get, dialog_id)
    draft = Draft(sender_id=mary, body="over REST")
    message_id = sandbox.call(core.messages.create, dialog, draft, send_to_chat=True).id
    for client in (one, other):
        got = client.until(GroupMessage)
        assert (got.id, got.from_, got.body) == (message_id, f"{room}/{mary}", "over REST")
    sandbox.call(core.messages.react, message_id, joe, add="heart", remove=None)
    assert one.until(ReactionsMessage).from_ == f"{room}/{joe}"
    sandbox.call(core.messages.delete, [message_id], mary, force=True)
    removal = other.until(RemovalMessage)
    assert (removal.from_, removal.remove.id, removal.extra.dialog_id) == (f"{room}/{mary}", message_id, dialog_id)
