"""What a server should not send: foreign pushes and answers, unsupported requests, unreadable stanzas."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import (
    AsyncChat,
    CallSignalReceived,
    ContactPresence,
    ContactRejected,
    ContactRequested,
    ContactsChanged,
    LastActivityChanged,
    MessageReceived,
    PrivacyListChanged,
    PrivacyRule,
    Reconnecting,
    RequestRefused,
    RequestUnanswered,
    StanzaRejected,
    Subscription,
)
from connectycube.chat.features.roster import Roster
from connectycube.rest import DecodeError
from tests.chat.fake import BARE, HOST, IQ, JID, MESSAGE, PRESENCE, Peer, online, plays_along
from tests.integration.support import run

STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
OTHER = "5-7001@localhost"
ITEM = f"<query xmlns='jabber:iq:roster'><item jid='{OTHER}' name='Eve' subscription='both'/></query>"
LIST = "<query xmlns='jabber:iq:privacy'><list name='theirs'/></query>"


async def answer_to(peer: Peer, number: str) -> ET.Element:
    """Wait for the client's answer to a request."""
    return await peer.seen.one(
        lambda element: element.tag == IQ and element.get("id") == number and element.get("type") in ("result", "error")
    )


def condition(answer: ET.Element) -> str:
    assert answer.get("type") == "error"
    found = [child.tag.partition("}")[2] for child in answer.iter() if child.tag.startswith(f"{{{STANZAS}}}")]
    return found[0]


async def request(peer: Peer, kind: str, seen: int = 0) -> ET.Element:
    """Wait for a request of the client with a payload of this namespace."""
    found = await peer.seen.wait(
        seen + 1, lambda element: element.tag == IQ and len(element) > 0 and kind in element[0].tag
    )
    return found[seen]


# Pushes


@pytest.mark.parametrize("sender", [OTHER, f"{OTHER}/desk", HOST, "evil.example", f"{BARE}.evil", f"{BARE}/phone"])
@pytest.mark.parametrize("payload", [ITEM, LIST])
def test_push_from_another_account_is_rejected(sender: str, payload: str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(f"<iq type='set' id='p1' from='{sender}' to='{JID}'>{payload}</iq>")
            answer = await answer_to(peer, "p1")
            assert (condition(answer), answer.get("to")) == ("service-unavailable", sender)
            rejected = await told.one(StanzaRejected)
            assert "push" in rejected.problem
            assert sender in rejected.xml
            assert dict(chat.contacts) == {}
            assert not told.of(ContactsChanged)
            assert not told.of(PrivacyListChanged)
            assert chat.online

    run(main())


@pytest.mark.parametrize("sender", ["", f"from='{BARE}'", f"from='{JID}'"])
def test_push_from_the_own_account_is_accepted(sender: str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(f"<iq type='set' id='p1' {sender}>{ITEM}</iq><iq type='set' id='p2' {sender}>{LIST}</iq>")
            for number in ("p1", "p2"):
                assert (await answer_to(peer, number)).get("type") == "result"
            assert await told.one(PrivacyListChanged) == PrivacyListChanged(name="theirs")
            assert told.of(ContactsChanged) == [ContactsChanged(user_ids=(5,))]
            assert (chat.contacts[5].name, chat.contacts[5].subscription) == ("Eve", Subscription.BOTH)
            assert not told.of(StanzaRejected)

    run(main())


@pytest.mark.parametrize(
    "item",
    [
        "<item jid='evil.example' subscription='both'/>",
        "<item jid='not-a-user@localhost' subscription='both'/>",
        f"<item jid='{OTHER}'/>",
        f"<item jid='{OTHER}' subscription='remove'/>",
        f"<item jid='{OTHER}' subscription='none'/>",
        f"<item jid='{OTHER}' subscription='unheard-of'/>",
    ],
)
def test_push_about_an_unknown_address_is_ignored(item: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.send(f"<iq type='set' id='p1'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
            assert (await answer_to(peer, "p1")).get("type") == "result"
            assert dict(chat.contacts) == {}
            assert chat.online

    run(main())
    assert not caplog.records


@pytest.mark.parametrize("subscription", ["remove", "unheard-of", ""])
def test_invalid_roster_item_is_ignored(subscription: str) -> None:
    """A list has nothing to remove, and unknown values are ignored (RFC 6121 section 2.1.2.5)."""

    async def main() -> None:
        async def script(peer: Peer) -> None:
            peer.roster = f"<item jid='{OTHER}' subscription='{subscription}'/>"
            peer.roster += "<item jid='6-7001@localhost' subscription='to'/>"
            await plays_along(peer)

        async with online(script) as (chat, told, _):
            assert list(chat.contacts) == [6]
            assert not told.of(Reconnecting)

    run(main())


def test_failure_to_process_the_roster_is_contained(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(*_: object) -> None:
        raise LookupError("a bug in our code")

    monkeypatch.setattr(Roster, "loaded", mistaken)

    async def main() -> None:
        async with online() as (chat, told, _):
            assert chat.online
            assert not told.of(Reconnecting)

    run(main())
    assert [record.getMessage() for record in caplog.records] == ["the answer to the contact list could not be handled"]


@pytest.mark.parametrize("kind", ["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
@pytest.mark.parametrize("sender", ["evil.example", "7001_66f1a7c2e4b0d93a51c8e201@muc.localhost/5", BARE, JID])
def test_subscription_from_an_unknown_address_is_ignored(sender: str, kind: str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(f"<presence from='{sender}' type='{kind}'/><presence from='{OTHER}' type='subscribe'/>")
            await told.one(ContactRequested)
            assert told.of(ContactRequested) == [ContactRequested(user_id=5)]
            assert not told.of(ContactRejected)
            assert list(chat.contacts.incoming) == [5]
            peer.send(f"<presence from='{OTHER}' type='unsubscribe'/>")
            await told.one(ContactsChanged)
            assert list(chat.contacts.incoming) == []

    run(main())


def test_presences_sent_with_the_roster_are_processed() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            peer.roster = f"<item jid='{OTHER}' subscription='both'/>"
            await peer.session(set_up=False)
            while (element := await peer.next()).tag != PRESENCE:
                peer.answer(element)
                if element[0].tag == "{jabber:iq:roster}query":
                    # In the same packet as the list.
                    peer.send(f"<presence from='{OTHER}/x'><status>here</status></presence>")

        async with online(script) as (chat, told, _):
            assert await told.one(ContactPresence) == ContactPresence(user_id=5, online=True, status="here")
            assert chat.contacts[5].online

    run(main())


# Requests


REQUESTS = {
    "unknown": ("get", "<query xmlns='urn:unknown'/>", "service-unavailable"),
    "unknown set": ("set", "<query xmlns='urn:unknown'><a><b/></a></query>", "service-unavailable"),
    "version": ("get", "<query xmlns='jabber:iq:version'/>", "service-unavailable"),
    "info": ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "service-unavailable"),
    "items": ("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "service-unavailable"),
    "last": ("get", "<query xmlns='jabber:iq:last'/>", "service-unavailable"),
    "roster": ("get", "<query xmlns='jabber:iq:roster'/>", "service-unavailable"),
    "privacy": ("get", "<query xmlns='jabber:iq:privacy'/>", "service-unavailable"),
    "bind": ("set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", "service-unavailable"),
    "ping set": ("set", "<ping xmlns='urn:xmpp:ping'/>", None),
    "nothing": ("get", "", None),
    "two": ("set", "<ping xmlns='urn:xmpp:ping'/><query xmlns='urn:unknown'/>", None),
    "broken roster": ("set", "<query xmlns='jabber:iq:roster'><item/></query>", "bad-request"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_unsupported_requests_are_answered(name: str) -> None:
    kind, payload, expected = REQUESTS[name]

    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.send(f"<iq type='{kind}' id='q1' from='{OTHER}/x' to='{JID}'>{payload}</iq>")
            answer = await answer_to(peer, "q1")
            assert answer.get("to") == f"{OTHER}/x"
            assert condition(answer) in ({expected} if expected else {"bad-request", "service-unavailable"})
            await chat.ping()
            assert len([element for element in peer.seen.items if element.get("id") == "q1"]) == 1

    run(main())


def test_pings_are_answered() -> None:
    async def main() -> None:
        async with online() as (_, _, peer):
            for number, sender in (("q1", ""), ("q2", f"from='{HOST}'"), ("q3", f"from='{OTHER}/x'")):
                peer.send(f"<iq type='get' id='{number}' {sender}><ping xmlns='urn:xmpp:ping'/></iq>")
                assert (await answer_to(peer, number)).get("type") == "result"

    run(main())


@pytest.mark.parametrize("kind", ["result", "error"])
def test_unexpected_answers_are_ignored(kind: str) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.send(f"<iq type='{kind}' id='never-asked'/><iq type='{kind}'/>")
            await chat.ping()
            assert [element.get("type") for element in peer.seen.items if element.tag == IQ][-1] == "get"
            assert chat.online

    run(main())


# Answers


@pytest.mark.parametrize("liar", [OTHER, "evil.example", f"{OTHER}/x", f"{BARE}/phone"])
def test_answer_from_another_address_is_ignored(liar: str) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.answering = False
            asking = asyncio.ensure_future(chat.last_activity(7))
            asked = await request(peer, "jabber:iq:last")
            number, to = asked.get("id"), asked.get("to")
            lie, truth = "<query xmlns='jabber:iq:last' seconds='1'/>", "<query xmlns='jabber:iq:last' seconds='2'/>"
            peer.send(f"<iq type='result' id='{number}' from='{liar}'>{lie}</iq>")
            peer.send(f"<iq type='error' id='{number}' from='{liar}'><error type='cancel'/></iq>")
            peer.send(f"<iq type='result' id='{number}' from='{to}'>{truth}</iq>")
            assert await asking == 2

    run(main())


UNREADABLE = "<query xmlns='jabber:iq:last' seconds='many'/>"


def test_unreadable_answer_raises() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.answering = False
            for number, payload in enumerate((UNREADABLE, "", "<query xmlns='urn:unknown'/>")):
                asking = asyncio.ensure_future(chat.last_activity(7))
                asked = await request(peer, "jabber:iq:last", number)
                peer.send(f"<iq type='result' id='{asked.get('id')}' from='{asked.get('to')}'>{payload}</iq>")
                with pytest.raises((DecodeError, RequestRefused)):
                    await asking
            assert await told.one(StanzaRejected)
            assert chat.online

    run(main())


CALLS: dict[str, tuple[str, Callable[[AsyncChat], Awaitable[object]]]] = {
    "ping": ("urn:xmpp:ping", lambda chat: chat.ping(timeout=0.05)),
    "names": ("jabber:iq:privacy", lambda chat: chat.privacy.names()),
    "block": ("jabber:iq:privacy", lambda chat: chat.privacy.block(5)),
    "contact": ("jabber:iq:roster", lambda chat: chat.contacts.request(5)),
    "activity": ("jabber:iq:last", lambda chat: chat.last_activity(5)),
    "follow": ("status_streaming", lambda chat: chat.subscribe_last_activity(5)),
    "inactive": ("tigase", lambda chat: chat.set_inactive()),
    "online": ("disco#items", lambda chat: chat.online_users("66f1a7c2e4b0d93a51c8e201")),
    "join": ("", lambda chat: chat.join("66f1a7c2e4b0d93a51c8e201")),
}


@pytest.mark.parametrize("name", CALLS)
def test_unanswered_request_times_out(name: str) -> None:
    async def main() -> None:
        _, call = CALLS[name]
        async with online(timeout=0.5) as (chat, _, peer):
            peer.answering = False
            with pytest.raises(RequestUnanswered):
                await call(chat)
            peer.answering = True
            await chat.ping(timeout=60)
            assert chat.online

    run(main())


@pytest.mark.parametrize("name", [name for name in CALLS if name != "join"])
def test_refused_request_raises(name: str) -> None:
    async def main() -> None:
        kind, call = CALLS[name]
        async with online() as (chat, _, peer):
            peer.answering = False
            asking = asyncio.ensure_future(call(chat)) if name != "ping" else asyncio.ensure_future(chat.ping())
            asked = await request(peer, kind, 1 if kind == "jabber:iq:roster" else 0)
            sender = f"from='{asked.get('to')}'" if asked.get("to") else ""
            fault = f"<not-allowed xmlns='{STANZAS}'/><text xmlns='{STANZAS}'>no</text>"
            fault = f"<error type='cancel' code='405'>{fault}</error>"
            peer.send(f"<iq type='error' id='{asked.get('id')}' {sender}>{fault}</iq>")
            with pytest.raises(RequestRefused) as refused:
                await asking
            assert (refused.value.condition, refused.value.code, refused.value.text) == ("not-allowed", 405, "no")
            assert chat.online

    run(main())


# Requests of the platform


def test_last_activity_is_emitted() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            await chat.subscribe_last_activity(5)
            asked = (await request(peer, "status_streaming"))[0]
            assert (asked.get("user_jid"), asked.get("enable")) == (OTHER, "true")
            for kind, number in (("set", "x1"), ("get", "x2"), ("result", "x3")):
                query = f"<query xmlns='jabber:iq:last' seconds='{number[1]}'/>"
                peer.send(f"<iq type='{kind}' id='{number}' from='{OTHER}'>{query}</iq>")
            found = await told.all(LastActivityChanged, 2)
            assert {event.user_id for event in found} == {5}
            await chat.unsubscribe_last_activity(5)
            assert (await request(peer, "status_streaming", 1))[0].get("enable") == "false"

    run(main())


def test_client_state_is_sent() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.set_inactive()
            await chat.set_active()
            for seen, enable in enumerate(("true", "false")):
                assert (await request(peer, "tigase", seen))[0].get("enable") == enable

    run(main())


def test_refused_privacy_update_is_undone() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            peer.answering = False

            async def answer(seen: int, payload: str, fault: str = "") -> ET.Element:
                asked = await request(peer, "jabber:iq:privacy", seen)
                kind = "error" if fault else "result"
                body = f"<error type='cancel'><{fault} xmlns='{STANZAS}'/></error>" if fault else payload
                peer.send(f"<iq type='{kind}' id='{asked.get('id')}'>{body}</iq>")
                return asked[0]

            lists = "<query xmlns='jabber:iq:privacy'><default name='mine'/><list name='mine'/></query>"
            updating = asyncio.ensure_future(chat.privacy.update("mine", [PrivacyRule(5)]))
            await answer(0, lists)
            await answer(1, "", "forbidden")
            with pytest.raises(RequestRefused) as refused:
                await updating
            assert (refused.value.condition, chat.privacy.default) == ("forbidden", "mine")
            # If the change itself is refused, the list is activated again.
            updating = asyncio.ensure_future(chat.privacy.update("mine", [PrivacyRule(5)]))
            assert (await answer(2, ""))[0].get("name") is None
            await answer(3, "", "not-allowed")
            restored = await answer(4, "")
            assert (restored[0].tag, restored[0].get("name")) == ("{jabber:iq:privacy}default", "mine")
            with pytest.raises(RequestRefused) as refused:
                await updating
            assert (refused.value.condition, chat.privacy.default) == ("not-allowed", "mine")

    run(main())


# Unreadable stanzas


ROOM = "7001_66f1a7c2e4b0d93a51c8e201@muc.localhost"
MUC = "http://jabber.org/protocol/muc#user"
UNREADABLES = {
    "edit": f"<message from='{OTHER}' type='chat'><replace xmlns='urn:xmpp:message-correct:0'/></message>",
    "mark": f"<message from='{OTHER}' type='chat'><received xmlns='urn:xmpp:chat-markers:0'/></message>",
    "presence": f"<presence from='{ROOM}/5'><x xmlns='{MUC}'><status code='many'/></x></presence>",
    "iq": "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    "ack": "<a xmlns='urn:xmpp:sm:3'/>",
    "nonza": "<x xmlns='urn:unknown'/>",
}


@pytest.mark.parametrize("name", UNREADABLES)
def test_unreadable_stanza_keeps_the_connection(name: str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(UNREADABLES[name])
            peer.send(f"<message from='{OTHER}/x' type='chat' id='m1'><body>hello</body></message>")
            assert (await told.one(MessageReceived)).message.body == "hello"
            assert len(told.of(StanzaRejected)) == 1
            assert told.of(StanzaRejected)[0].problem
            assert not told.of(CallSignalReceived)
            await chat.ping()
            assert [element for element in peer.seen.items if element.tag == MESSAGE] == []

    run(main())
