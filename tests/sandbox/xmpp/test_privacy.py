"""Privacy lists: stored, selected, pushed and enforced (XEP-0016, K-55 to K-60, F-098 to F-109)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from attrs import evolve

from connectycube.sandbox import Sandbox
from connectycube.sandbox.addresses import Jid
from connectycube.sandbox.domain.contacts import ContactState
from connectycube.sandbox.domain.privacy import What, lets_pass
from connectycube.stanzas import (
    AvailablePresence,
    ChatMessage,
    GroupMessage,
    IqResult,
    MessageError,
    PrivacySet,
    SentCarbonMessage,
    Subscribe,
    UnavailablePresence,
)

from .raw import Connect, Group, Raw, User
from .test_management import back, enable, resume
from .test_messages import CARBONS, ID, bare, history, text
from .test_presence import befriend, grouped

ALL = "<message/><presence-in/><presence-out/><iq/>"
NAMES = '<query xmlns="jabber:iq:privacy"/>'
NOBODY = ContactState(contact_id=1)


def query(inner: str) -> str:
    return f'<query xmlns="jabber:iq:privacy">{inner}</query>'


def blocking(host: str, user_id: int, children: str = ALL, name: str = "blocked", app: int = 7001) -> str:
    """Return the two items that the SDKs create for a user (3.4)."""
    return query(
        f'<list name="{name}">'
        f'<item type="jid" value="{user_id}-{app}@{host}" action="deny" order="1">{children}</item>'
        f'<item type="jid" value="muc.{host}/{user_id}" action="deny" order="2">{children}</item></list>'
    )


def block(client: Raw, user_id: int, children: str = ALL) -> None:
    assert isinstance(client.request("set", blocking("localhost", user_id, children)), IqResult)
    assert isinstance(client.request("set", query('<default name="blocked"/>')), IqResult)


def condition(client: Raw, kind: str, payload: str) -> str | None:
    answer = client.request(kind, payload)
    return None if isinstance(answer, IqResult) else str(answer.error.condition)


def test_lists_are_stored_and_read_back(connect: Connect, mary: int, joe: int) -> None:
    client, other = connect(mary), connect(mary, "other")
    answer = client.request("get", NAMES)
    assert (answer.query.lists, answer.query.default, answer.query.active) == ((), None, None)
    client.request("set", blocking("localhost", joe))
    for device in (other,):
        push = device.until(PrivacySet)
        assert push.query.lists[0].name == "blocked"
        device.send(f'<iq type="result" id="{push.id}"/>')
    client.request("set", blocking("localhost", joe, "", name="quiet"))
    client.request("set", query('<default name="blocked"/>'))
    client.request("set", query('<active name="quiet"/>'))
    names = client.request("get", NAMES).query
    assert [one.name for one in names.lists] == ["blocked", "quiet"]
    assert (names.default.name, names.active.name) == ("blocked", "quiet")
    items = client.request("get", query('<list name="blocked"/>')).query.lists[0].items
    assert [(one.value, one.action, one.order) for one in items] == [
        (f"{joe}-7001@localhost", "deny", 1),
        (f"muc.localhost/{joe}", "deny", 2),
    ]
    assert (items[0].message, items[0].presence_in, items[0].presence_out, items[0].iq) == (True,) * 4
    client.request("set", query("<active/>"))
    assert client.request("get", NAMES).query.active is None


def test_a_device_that_lost_its_connection_holds_no_list(
    sandbox: Sandbox, connect: Connect, raw: Connect, mary: int, joe: int
) -> None:
    lost = connect(mary)
    management_id = enable(lost).id
    block(lost, joe)
    lost.request("set", blocking("localhost", joe, name="quiet"))
    lost.request("set", query('<active name="quiet"/>'))
    sandbox.drop_connections(mary)
    client = connect(mary)
    assert condition(client, "set", query('<list name="quiet"/>')) is None
    assert condition(client, "set", query("<default/>")) is None
    assert condition(client, "set", query('<list name="blocked"/>')) is None
    resumed = back(raw, mary)
    resumed.send(resume(management_id, 0))
    assert resumed.quiet() != []
    assert resumed.request("get", NAMES).query.active is None


def test_lists_in_use_are_protected(connect: Connect, mary: int, joe: int) -> None:
    client = connect(mary)
    block(client, joe)
    other = connect(mary, "other")
    assert condition(client, "set", query("<default/>")) == "conflict"
    assert condition(client, "set", query('<list name="blocked"/>')) == "conflict"
    assert condition(client, "set", query('<default name="blocked"/>')) is None
    client.request("set", blocking("localhost", joe, name="quiet"))
    other.request("set", query('<active name="quiet"/>'))
    assert condition(client, "set", query('<list name="quiet"/>')) == "conflict"
    assert condition(client, "set", query("<default/>")) is None
    assert condition(client, "set", query('<list name="blocked"/>')) is None
    assert condition(other, "set", query('<list name="quiet"/>')) is None
    assert client.request("get", NAMES).query.lists == ()


def item(attributes: str, order: int = 1) -> str:
    return query(f'<list name="a"><item {attributes} order="{order}"/></list>')


@pytest.mark.parametrize(
    ("kind", "payload", "wanted"),
    [
        ("get", query('<list name="no"/>'), "item-not-found"),
        ("get", query('<list name="a"/><list name="b"/>'), "bad-request"),
        ("get", query("<default/>"), "bad-request"),
        ("set", query('<default name="no"/>'), "item-not-found"),
        ("set", query('<active name="no"/>'), "item-not-found"),
        ("set", query('<list name="no"/>'), "item-not-found"),
        ("set", query(""), "bad-request"),
        ("set", query("<default/><active/>"), "bad-request"),
        ("set", item('action="drop"'), "bad-request"),
        ("set", item('action="deny" type="jid"'), "bad-request"),
        ("set", item('action="deny" value="a"'), "bad-request"),
        ("set", item('action="deny" type="jid" value="@"'), "bad-request"),
        ("set", item('action="deny" type="group" value="Friends"'), "item-not-found"),
        ("set", item('action="deny" type="subscription" value="maybe"'), "bad-request"),
        (
            "set",
            query('<list name="a"><item action="deny" order="1"/><item action="allow" order="1"/></list>'),
            "bad-request",
        ),
    ],
)
def test_invalid_lists_are_rejected(connect: Connect, mary: int, kind: str, payload: str, wanted: str) -> None:
    client = connect(mary)
    assert condition(client, kind, payload) == wanted
    assert client.request("get", NAMES).query.lists == ()


def test_blocked_messages_are_refused_and_not_saved(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    blocker, blocked, side = connect(mary), connect(joe), connect(joe, "side")
    side.request("set", CARBONS)
    block(blocker, joe)
    blocked.send(text(blocker.bare))
    error = blocked.until(MessageError)
    assert (error.id, error.from_) == (ID, blocker.bare)
    assert (error.error.condition, error.error.code, error.error.type) == ("service-unavailable", 503, "cancel")
    for kind in ("chatstates", "headline"):
        inner = '<composing xmlns="http://jabber.org/protocol/chatstates"/>' if kind == "chatstates" else "<body/>"
        type_ = "chat" if kind == "chatstates" else "headline"
        blocked.send(f'<message type="{type_}" to="{blocker.jid}" id="{kind}">{inner}</message>')
        assert blocked.until(MessageError).id == kind
    assert [one for one in blocker.quiet() if not isinstance(one, PrivacySet)] == []
    assert [one for one in side.quiet() if isinstance(one, SentCarbonMessage)] == []
    assert history(sandbox) == []
    # One way only: the blocker may still write.
    blocker.send(text(blocked.bare))
    assert blocked.until(ChatMessage).body == "hello"


@pytest.mark.parametrize("away", [False, True])
def test_blocked_messages_over_rest_are_refused(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int, away: bool
) -> None:
    blocker, blocked = connect(mary), connect(joe)
    block(blocker, joe)
    if away:
        blocker.send("</stream:stream>")
        blocker.until_closed()
    token = sandbox.call(sandbox.core.sessions.open_for, joe).token
    with httpx.Client(base_url=sandbox.api_url, headers={"CB-Token": token}) as http:
        message = {"recipient_id": mary, "message": "hello", "send_to_chat": 1}
        for path, body in (
            ("/chat/Message", message),
            ("/chat/Message/system", {"recipientId": mary}),
            ("/calls/reject", {"recipientId": mary, "sessionID": "s", "platform": "web"}),
        ):
            assert http.post(path, json=body).status_code == 403
        assert history(sandbox) == []
        # What is only put into the history concerns no list.
        assert http.post("/chat/Message", json={**message, "send_to_chat": 0}).status_code == 201
    assert blocked.quiet() == []
    assert away or [one for one in blocker.quiet() if not isinstance(one, PrivacySet)] == []
    token = sandbox.call(sandbox.core.sessions.open_for, mary).token
    with httpx.Client(base_url=sandbox.api_url, headers={"CB-Token": token}) as http:
        assert http.post("/chat/Message", json={**message, "recipient_id": joe}).status_code == 201


def test_blocked_messages_to_offline_users_are_refused(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    blocker, blocked = connect(mary), connect(joe)
    block(blocker, joe)
    blocker.send("</stream:stream>")
    blocker.until_closed()
    blocked.send(text(bare(sandbox, mary)))
    assert blocked.until(MessageError).error.condition == "service-unavailable"
    assert [one for one in connect(mary).quiet() if isinstance(one, ChatMessage)] == []


def test_mutual_block_works_both_ways(connect: Connect, mary: int, joe: int) -> None:
    blocker, blocked = connect(mary), connect(joe)
    block(blocker, joe, "")
    blocked.send(text(blocker.bare))
    assert blocked.until(MessageError).error.condition == "service-unavailable"
    blocker.send(text(blocked.bare))
    error = blocker.until(MessageError)
    assert (error.error.condition, error.error.code) == ("not-acceptable", 406)
    assert blocked.quiet() == []


@pytest.mark.parametrize("children", [ALL, ""])
def test_blocked_group_messages_are_dropped_silently(
    sandbox: Sandbox, connect: Connect, user: User, group: Group, mary: int, joe: int, children: str
) -> None:
    ann = user("ann")
    room = f"7001_{group(mary, joe, ann)}@muc.localhost"
    blocker, blocked, witness = connect(mary), connect(joe), connect(ann)
    block(blocker, joe, children)
    blocked.send(f'<message type="groupchat" to="{room}" id="{ID}"><body>hi</body></message>')
    assert blocked.until(GroupMessage).id == ID
    assert witness.until(GroupMessage).id == ID
    assert [one for one in blocker.quiet() if not isinstance(one, PrivacySet)] == []
    blocker.send(f'<message type="groupchat" to="{room}" id="{ID}"><body>hello</body></message>')
    assert witness.until(GroupMessage).body == "hello"
    heard = [one.body for one in blocked.quiet()]
    assert heard == ([] if children == "" else ["hello"])


def test_presence_is_hidden_both_ways(connect: Connect, mary: int, joe: int) -> None:
    blocker, blocked = connect(mary), connect(joe)
    befriend(blocker, blocked)
    block(blocker, joe)
    assert blocked.until(UnavailablePresence).from_ == blocker.jid
    assert any('type="unavailable"' in text and blocked.jid in text for text in blocker.seen)
    blocker.send("<presence><status>secret</status></presence>")
    blocker.until(AvailablePresence, status="secret")
    blocked.send("<presence><status>hello</status></presence>")
    blocked.until(AvailablePresence, status="hello")
    assert blocked.quiet() == []
    assert [one for one in blocker.quiet() if isinstance(one, (AvailablePresence, UnavailablePresence))] == []
    query_ = '<query xmlns="jabber:iq:last"/>'
    assert blocked.request("get", query_, blocker.bare).error.condition == "service-unavailable"
    assert blocked.request("get", '<ping xmlns="urn:xmpp:ping"/>', blocker.jid).error.condition == "service-unavailable"


def presence(client: Raw) -> list[Any]:
    """Return all presence received, as its kind and sender."""
    kinds = {AvailablePresence: "online", UnavailablePresence: "gone"}
    return [(kinds[type(one)], one.from_) for one in client.quiet() if type(one) in kinds]


def deny(client: Raw, children: str, attributes: str = "", name: str = "hidden") -> None:
    rules = f'<list name="{name}"><item action="deny" order="1" {attributes}>{children}</item></list>'
    assert condition(client, "set", query(rules)) is None


def test_newly_blocked_contacts_see_the_user_go_offline(connect: Connect, user: User, mary: int, joe: int) -> None:
    hider, seer, stranger = connect(mary), connect(joe), connect(user("ann"))
    befriend(hider, seer)
    seer.quiet()
    deny(hider, "<presence-out/>")
    assert presence(seer) == []
    hider.request("set", query('<default name="hidden"/>'))
    assert presence(seer) == [("gone", hider.jid)]
    # Once is enough, and who did not see the user learns nothing.
    deny(hider, "<presence-out/><message/>")
    assert (presence(seer), presence(stranger)) == ([], [])
    # Nothing is told when the list is lifted, but the next presence comes.
    hider.request("set", query("<default/>"))
    assert presence(seer) == []
    hider.send("<presence/>")
    hider.quiet()
    assert presence(seer) == [("online", hider.jid)]


def test_changing_the_list_in_use_hides_presence(connect: Connect, mary: int, joe: int) -> None:
    hider, seer = connect(mary), connect(joe)
    befriend(hider, seer)
    seer.quiet()
    deny(hider, "<message/>")
    hider.request("set", query('<default name="hidden"/>'))
    assert presence(seer) == []
    deny(hider, "<presence-out/>", f'type="jid" value="{seer.bare}"')
    assert presence(seer) == [("gone", hider.jid)]


def test_active_list_hides_only_its_device(connect: Connect, mary: int, joe: int) -> None:
    phone, desk, seer = connect(mary, "phone"), connect(mary, "desk"), connect(joe)
    seer.send(f'<presence type="subscribe" to="{phone.bare}"/>')
    phone.send(f'<presence type="subscribed" to="{seer.bare}"/>')
    for one in (phone, desk):
        seer.until(AvailablePresence, from_=one.jid)
    deny(phone, "<presence-out/>")
    phone.request("set", query('<active name="hidden"/>'))
    assert presence(seer) == [("gone", phone.jid)]
    phone.cut()
    desk.until(UnavailablePresence)
    assert presence(seer) == []


def test_newly_blocked_contacts_seem_offline(connect: Connect, mary: int, joe: int) -> None:
    client, other = connect(mary), connect(joe)
    befriend(client, other)
    client.quiet()
    deny(client, "<presence-in/>")
    in_force = query('<default name="hidden"/>')
    client.send(f'<iq type="set" id="on">{in_force}</iq>')
    assert presence(client) == [("gone", other.jid)]
    assert presence(other) == []


def test_contact_moved_to_a_blocked_group_sees_the_user_go_offline(
    connect: Connect, user: User, mary: int, joe: int
) -> None:
    hider, seer, other = connect(mary), connect(joe), connect(user("ann"))
    for one in (seer, other):
        befriend(hider, one)
    hider.request("set", grouped(other.bare, "Loud"))
    deny(hider, "<presence-out/>", 'type="group" value="Loud"')
    hider.request("set", query('<default name="hidden"/>'))
    assert presence(other)[-1] == ("gone", hider.jid)
    seer.quiet()
    hider.request("set", grouped(seer.bare, "Loud"))
    assert presence(seer) == [("gone", hider.jid)]


def test_newly_blocked_receivers_of_directed_presence_see_the_user_go_offline(
    connect: Connect, mary: int, joe: int
) -> None:
    hider, seer, other = connect(mary), connect(joe, "a"), connect(joe, "b")
    hider.send(f'<presence to="{seer.jid}"/>')
    seer.until(AvailablePresence, from_=hider.jid)
    other.quiet()
    block(hider, joe)
    assert presence(seer) == [("gone", hider.jid)]
    assert presence(other) == []


def test_subscription_requests_pass_only_a_one_way_block(connect: Connect, mary: int, joe: int) -> None:
    blocker, blocked = connect(mary), connect(joe)
    block(blocker, joe)
    blocked.send(f'<presence type="subscribe" to="{blocker.bare}"/>')
    assert blocker.until(Subscribe)
    blocker.send(f'<presence type="unsubscribed" to="{blocked.bare}"/>')
    block(blocker, joe, "")
    blocked.send(f'<presence type="subscribe" to="{blocker.bare}"/>')
    assert [one for one in blocker.quiet() if isinstance(one, Subscribe)] == []


def test_active_list_replaces_the_default(connect: Connect, mary: int, joe: int) -> None:
    phone, desk, sender = connect(mary, "phone"), connect(mary, "desk"), connect(joe)
    block(phone, joe)
    desk.request("set", query('<list name="open"><item action="allow" order="1"/></list>'))
    desk.request("set", query('<active name="open"/>'))
    sender.send(text(desk.bare))
    assert desk.until(ChatMessage).id == ID
    assert [one for one in phone.quiet() if isinstance(one, ChatMessage)] == []


def test_groups_can_be_blocked(connect: Connect, user: User, mary: int, joe: int) -> None:
    blocker, blocked, other = connect(mary), connect(joe), connect(user("ann"))
    rules = query('<list name="a"><item type="group" value="Loud" action="deny" order="1"><message/></item></list>')
    assert condition(blocker, "set", rules) == "item-not-found"
    blocker.request("set", grouped(blocked.bare, "Climbers", "Loud"))
    blocker.request("set", grouped(other.bare, "Climbers"))
    assert condition(blocker, "set", rules) is None
    (kept,) = blocker.request("get", query('<list name="a"/>')).query.lists[0].items
    assert (kept.type, kept.value, kept.message) == ("group", "Loud", True)
    blocker.request("set", query('<default name="a"/>'))
    blocked.send(text(blocker.bare))
    assert blocked.until(MessageError).error.condition == "service-unavailable"
    other.send(text(blocker.bare))
    assert blocker.until(ChatMessage).from_ == other.jid
    # Rules hold for whom the group has now (XEP-0016 section 2.2).
    blocker.request("set", grouped(blocked.bare))
    blocker.request("set", grouped(other.bare, "Loud"))
    blocked.send(text(blocker.bare))
    assert blocker.until(ChatMessage).from_ == blocked.jid
    other.send(text(blocker.bare))
    assert other.until(MessageError).error.condition == "service-unavailable"


def rule(value: str | None, action: str = "deny", order: int = 1, type: str | None = "jid", **flags: bool) -> Any:
    return {"type": type, "value": value, "action": action, "order": order, **flags}


@pytest.mark.parametrize(
    ("value", "peer", "passes"),
    [
        ("1-7@host", "1-7@host/phone", False),
        ("1-7@host", "2-7@host/phone", True),
        ("1-7@host/phone", "1-7@host/desk", True),
        ("1-7@host/phone", "1-7@host/phone", False),
        ("HOST", "1-7@host/phone", False),
        ("host/phone", "1-7@host/phone", False),
        ("muc.host/1", "7_abc@muc.host/1", False),
        ("muc.host/1", "7_abc@muc.host/2", True),
        ("muc.host/1", "1-7@host/1", True),
    ],
)
def test_addresses_match_peers(value: str, peer: str, passes: bool) -> None:
    assert lets_pass([rule(value)], What.MESSAGE_IN, Jid.parse(peer), NOBODY) is passes


def test_first_matching_rule_decides() -> None:
    peer = Jid.parse("1-7@host")
    rules = [rule(None, type=None, order=9), rule("1-7@host", "allow", 2), rule("both", order=1, type="subscription")]
    assert lets_pass(rules, What.MESSAGE_IN, peer, NOBODY)
    assert not lets_pass(rules, What.MESSAGE_IN, peer, evolve(NOBODY, subscription="both"))
    assert not lets_pass(rules, What.MESSAGE_IN, Jid.parse("2-7@host"), NOBODY)
    named = [rule("1-7@host", presence_in=True)]
    assert [what for what in What if not lets_pass(named, what, peer, NOBODY)] == [What.PRESENCE_IN]
    friends = [rule("Friends", type="group")]
    assert not lets_pass(friends, What.MESSAGE_IN, peer, evolve(NOBODY, groups=("Climbers", "Friends")))
    assert lets_pass(friends, What.MESSAGE_IN, peer, evolve(NOBODY, groups=("friends",)))
    assert lets_pass([], What.OTHER, peer, NOBODY)
