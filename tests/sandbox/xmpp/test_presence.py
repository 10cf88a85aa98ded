"""Presence and contacts (RFC 6121 sections 2 to 4 and appendix A, K-07, K-40 to K-46, K-61 to K-64)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectycube.sandbox import Sandbox
from connectycube.sandbox.domain.contacts import ContactState
from connectycube.sandbox.xmpp.subscriptions import BOTH, STATES, Kind, inbound, outbound, state_name
from connectycube.stanzas import (
    AvailablePresence,
    IqResult,
    PresenceError,
    RosterResult,
    RosterSet,
    Subscribe,
    Subscribed,
    UnavailablePresence,
    Unsubscribe,
    Unsubscribed,
)

from .raw import Connect, Raw, User
from .test_messages import bare

ROSTER = '<query xmlns="jabber:iq:roster"/>'


def roster(client: Raw) -> dict[str, Any]:
    answer = client.request("get", ROSTER)
    assert isinstance(answer, RosterResult)
    return {item.jid: item for item in answer.query.items}


def item(jid: str, attributes: str = "") -> str:
    return f'<query xmlns="jabber:iq:roster"><item jid="{jid}" {attributes}/></query>'


def befriend(one: Raw, other: Raw) -> None:
    """Subscribe two users to each other."""
    for asks, grants in ((one, other), (other, one)):
        asks.send(f'<presence type="subscribe" to="{grants.bare}"/>')
        grants.until(Subscribe)
        grants.send(f'<presence type="subscribed" to="{asks.bare}"/>')
        asks.until(AvailablePresence, from_=grants.jid)


def test_presence_reaches_all_own_devices(connect: Connect, mary: int) -> None:
    phone = connect(mary, "phone", presence=False)
    phone.send("<presence><status>here</status><priority>5</priority></presence>")
    own = phone.read_stanza()
    assert (own.from_, own.to, own.status, own.priority) == (phone.jid, phone.bare, "here", 5)
    desk = connect(mary, "desk")
    seen = desk.until(AvailablePresence, from_=phone.jid)
    assert (seen.status, seen.to) == ("here", desk.jid)
    assert phone.until(AvailablePresence, from_=desk.jid)
    desk.cut()
    assert phone.until(UnavailablePresence).from_ == desk.jid


def test_mutual_subscription(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    assert roster(one) == {}
    roster(other)
    assert isinstance(one.request("set", item(other.bare, 'name="Joe"')), IqResult)
    push = [stanza for stanza in one.quiet() if isinstance(stanza, RosterSet)]
    assert push == []  # It came before the answer.
    assert any('name="Joe"' in text for text in one.seen)
    one.send(f'<presence type="subscribe" to="{other.bare}" id="s"><status>please</status></presence>')
    pending = one.until(RosterSet).query.items[0]
    assert (pending.subscription, pending.ask, pending.name) == ("none", "subscribe", "Joe")
    request = other.until(Subscribe)
    assert (request.from_, request.to, request.status) == (one.bare, other.bare, "please")
    assert roster(other) == {}
    other.send(f'<presence type="subscribed" to="{one.bare}"/>')
    granted = other.until(RosterSet)
    assert granted.from_ == other.bare
    assert (granted.query.items[0].jid, granted.query.items[0].subscription) == (one.bare, "from")
    assert one.until(RosterSet).query.items[0].subscription == "to"
    assert one.until(Subscribed).from_ == other.bare
    assert one.until(AvailablePresence, from_=other.jid)
    other.send(f'<presence type="subscribe" to="{one.bare}"/>')
    one.until(Subscribe)
    one.send(f'<presence type="subscribed" to="{other.bare}"/>')
    assert other.until(AvailablePresence, from_=one.jid)
    assert roster(one)[other.bare].subscription == "both"
    other.cut()
    assert one.until(UnavailablePresence).from_ == other.jid
    assert connect(joe, "new").until(AvailablePresence, from_=one.jid)
    assert one.until(AvailablePresence).from_.endswith("/new")


def test_subscription_requests_wait_for_offline_users(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    one = connect(mary)
    for _ in range(2):
        one.send(f'<presence type="subscribe" to="{bare(sandbox, joe)}"><status>please</status></presence>')
    assert one.quiet() == []
    for resource in ("a", "b"):
        later = connect(joe, resource)
        assert later.until(Subscribe).status == "please"
        assert [stanza for stanza in later.quiet() if isinstance(stanza, Subscribe)] == []
    later.send(f'<presence type="unsubscribed" to="{one.bare}"/>')
    assert one.until(Unsubscribed).from_ == later.bare
    assert [stanza for stanza in connect(joe, "c").quiet() if isinstance(stanza, Subscribe)] == []
    assert roster(one)[later.bare].ask is None


def test_pre_approved_subscription(connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    other.send(f'<presence type="subscribed" to="{one.bare}"/>')
    assert one.quiet() == []
    assert roster(other)[one.bare].approved is True
    one.send(f'<presence type="subscribe" to="{other.bare}"/>')
    assert one.until(Subscribed).from_ == other.bare
    assert one.until(AvailablePresence, from_=other.jid)
    assert [stanza for stanza in other.quiet() if isinstance(stanza, Subscribe)] == []
    one.send(f'<presence type="subscribe" to="{other.bare}"/>')
    assert one.until(AvailablePresence, from_=other.jid)


def test_subscriptions_can_be_ended(connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    befriend(one, other)
    one.send(f'<presence type="unsubscribe" to="{other.bare}"/>')
    assert other.until(Unsubscribe).from_ == one.bare
    assert one.until(UnavailablePresence).from_ == other.jid
    assert roster(one)[other.bare].subscription == "from"
    one.send(f'<presence type="unsubscribed" to="{other.bare}"/>')
    assert other.until(Unsubscribed).from_ == one.bare
    assert other.until(UnavailablePresence).from_ == one.jid
    assert roster(other)[one.bare].subscription == "none"


def test_contact_is_removed(connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    befriend(one, other)
    roster(one)
    roster(other)
    one.request("set", item(other.bare, 'subscription="remove"'))
    assert any('subscription="remove"' in text for text in one.seen)
    assert other.until(Unsubscribe)
    assert other.until(Unsubscribed)
    assert other.until(UnavailablePresence).from_ == one.jid
    assert roster(one) == {}
    assert roster(other)[one.bare].subscription == "none"
    one.send("<presence><status>alone</status></presence>")
    one.until(AvailablePresence, status="alone")
    assert other.quiet() == []


def grouped(jid: str, *groups: str) -> str:
    inner = "".join(f"<group>{group}</group>" for group in groups)
    return f'<query xmlns="jabber:iq:roster"><item jid="{jid}">{inner}</item></query>'


def test_groups_of_contacts(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    phone, desk, other = connect(mary, "phone"), connect(mary, "desk"), connect(joe)
    roster(desk)
    assert isinstance(phone.request("set", grouped(other.bare, "Climbers", "Friends")), IqResult)
    assert desk.until(RosterSet).query.items[0].groups == ("Climbers", "Friends")
    befriend(phone, other)
    found = roster(phone)[other.bare]
    assert (found.subscription, found.groups) == ("both", ("Climbers", "Friends"))
    desk.quiet()
    assert isinstance(phone.request("set", grouped(other.bare)), IqResult)
    assert desk.until(RosterSet).query.items[0].groups == ()
    assert roster(phone)[other.bare].groups == ()


def test_groups_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with Sandbox(data=path) as sandbox:
        mary, joe = sandbox.create_user("mary", "pass").id, sandbox.create_user("joe", "pass").id
        with Raw(sandbox).enter(mary) as client:
            client.request("set", grouped(bare(sandbox, joe), "Climbers"))
    with Sandbox(data=path) as sandbox, Raw(sandbox).enter(mary) as client:
        assert roster(client)[bare(sandbox, joe)].groups == ("Climbers",)


@pytest.mark.parametrize(
    ("groups", "condition"),
    [
        (["Friends", "Climbers", "Friends"], "bad-request"),
        ([""], "not-acceptable"),
        (["x" * 256], "not-acceptable"),
        ([str(number) for number in range(51)], "not-acceptable"),
    ],
)
def test_invalid_groups_are_rejected(
    connect: Connect, user: User, mary: int, groups: list[str], condition: str
) -> None:
    client, other = connect(mary), connect(user("joe"))
    client.request("set", grouped(other.bare, "Kept"))
    assert client.request("set", grouped(other.bare, *groups)).error.condition == condition
    assert client.request("set", item(other.bare, f'name="{"x" * 256}"')).error.condition == "not-acceptable"
    assert roster(client)[other.bare].groups == ("Kept",)
    assert isinstance(client.request("set", grouped(other.bare, "x" * 255)), IqResult)


def test_roster_versions(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    client = connect(mary)
    client.request("set", item(bare(sandbox, joe)))
    version = client.request("get", '<query xmlns="jabber:iq:roster" ver=""/>').query.ver
    asked = f'<query xmlns="jabber:iq:roster" ver="{version}"/>'
    assert isinstance(client.request("get", asked), IqResult)
    client.request("set", item(bare(sandbox, joe), 'name="J"'))
    assert client.request("get", asked).query.items[0].name == "J"


@pytest.mark.parametrize(
    ("payload", "condition"),
    [
        ('<query xmlns="jabber:iq:roster"/>', "bad-request"),
        (item("nobody@localhost"), "item-not-found"),
        (item("999-7001@localhost"), "item-not-found"),
        (item("1-7001@elsewhere"), "item-not-found"),
        (item("{mary}"), "not-allowed"),
        (item("{joe}", 'subscription="remove"'), "item-not-found"),
        (item("@"), "bad-request"),
    ],
)
def test_invalid_contacts_are_rejected(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int, payload: str, condition: str
) -> None:
    client = connect(mary)
    answer = client.request("set", payload.format(mary=client.bare, joe=bare(sandbox, joe)))
    assert answer.error.condition == condition


def test_contact_limit(sandbox: Sandbox, connect: Connect, mary: int, user: User) -> None:
    client = connect(mary)
    limit = sandbox.settings.limits.contacts

    def fill() -> None:
        for number in range(limit):
            sandbox.core.contacts.put(mary, ContactState(contact_id=10_000 + number, listed=True))

    sandbox.call(fill)
    answer = client.request("set", item(bare(sandbox, user("one more"))))
    assert answer.error.condition == "not-acceptable"
    assert "300" in answer.error.text


def test_directed_presence_ends_too(connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    one.send(f'<presence to="{other.jid}"><status>psst</status></presence>')
    seen = other.until(AvailablePresence, from_=one.jid)
    assert (seen.status, seen.to) == ("psst", other.jid)
    one.cut()
    assert other.until(UnavailablePresence).from_ == one.jid


def test_probes(connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    one.send(f'<presence type="probe" to="{other.bare}"/>')
    assert one.quiet() == []
    befriend(one, other)
    one.send(f'<presence type="probe" to="{other.bare}"/>')
    assert one.until(AvailablePresence).from_ == other.jid


@pytest.mark.parametrize(
    ("stanza", "condition"),
    [
        ('<presence id="p" type="subscribe"/>', "bad-request"),
        ('<presence id="p" type="nonsense"/>', "bad-request"),
        ('<presence id="p"><priority>900</priority></presence>', "bad-request"),
        ('<presence id="p" to="a@b@c"/>', "jid-malformed"),
        ('<presence id="p" to="1-1@elsewhere"/>', "remote-server-not-found"),
        ('<presence id="p" type="subscribe" to="{mary}"/>', "not-allowed"),
        ('<presence id="p" type="subscribe" to="7001_66f1a7c2e4b0d93a51c8e201@muc.localhost"/>', "service-unavailable"),
    ],
)
def test_invalid_presence_is_rejected(connect: Connect, mary: int, stanza: str, condition: str) -> None:
    client = connect(mary)
    client.send(stanza.format(mary=client.bare))
    answer = client.until(PresenceError)
    assert (answer.id, answer.error.condition) == ("p", condition)


def test_presence_without_a_receiver_is_ignored(connect: Connect, mary: int) -> None:
    client = connect(mary)
    client.send('<presence to="localhost"/>', '<presence type="error" to="localhost"/>', '<presence type="error"/>')
    client.send('<presence type="subscribe" to="999-7001@localhost"/>')
    assert client.quiet() == []


def test_presence_is_held_back_while_the_client_is_inactive(connect: Connect, mary: int, joe: int) -> None:
    one, other = connect(mary), connect(joe)
    befriend(one, other)
    mobile = '<mobile xmlns="http://tigase.org/protocol/mobile#v2" enable="{}"/>'
    assert isinstance(one.request("set", mobile.format("true")), IqResult)
    for status in ("a", "b"):
        other.send(f"<presence><status>{status}</status></presence>")
        other.until(AvailablePresence, status=status)
    one.send(f'<iq type="set" id="wake">{mobile.format("false")}</iq>')
    assert one.read_stanza().status == "b"
    assert one.read_stanza().id == "wake"


# -- appendix A as tables

# A.2.1 to A.2.4: new state, and whether it is routed; `.` is the same state.
OUT = {
    "subscribe": "none+out! .! none+out+in! .! .! .! from+out! .! .!",
    "unsubscribe": ".! none! .! none+in! none! none+in! .! from! from!",
    "subscribed": ". . from! from+out! . both! . . .",
    "unsubscribed": ". . none! none+out! . to! none! none+out! to!",
}
# A.3.1 to A.3.4: new state, and whether it is delivered.
IN = {
    "subscribe": "none+in! none+out+in! . . to+in! . . . .",
    "unsubscribe": ". . none! none+out! . to! none! none+out! to!",
    "subscribed": ". to! . to+in! . . . both! .",
    "unsubscribed": ". none! . none+in! none! none+in! . from! from!",
}


def cases(table: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (kind, state, result) for kind, row in table.items() for state, result in zip(STATES, row.split(), strict=True)
    ]


def in_state(name: str) -> ContactState:
    subscription, *open_ = name.split("+")
    return ContactState(
        contact_id=2,
        subscription=subscription,  # type: ignore[arg-type]
        ask="out" in open_,
        pending_in="in" in open_,
        listed=True,
    )


@pytest.mark.parametrize(("kind", "state", "result"), cases(OUT))
def test_outbound_subscriptions(kind: Kind, state: str, result: str) -> None:
    outcome = outbound(in_state(state), kind)
    wanted = result.rstrip("!")
    assert state_name(outcome.state) == (state if wanted == "." else wanted)
    assert outcome.passes == result.endswith("!")


@pytest.mark.parametrize(("kind", "state", "result"), cases(IN))
def test_inbound_subscriptions(kind: Kind, state: str, result: str) -> None:
    outcome = inbound(in_state(state), kind, "<presence/>")
    wanted = result.rstrip("!")
    assert state_name(outcome.state) == (state if wanted == "." else wanted)
    assert outcome.passes == result.endswith("!")
    assert (outcome.answer == "subscribed") == (kind == "subscribe" and state.startswith(("from", BOTH)))
