"""Requests to the server, its rooms and other clients (RFC 6120 section 8, XEP-0012, XEP-0030, XEP-0199)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectycube.sandbox import Sandbox
from connectycube.stanzas import IqError, IqResult, PingRequest

from .raw import Connect, Ended, Raw, User
from .test_messages import bare
from .test_presence import befriend

PING = '<ping xmlns="urn:xmpp:ping"/>'
INFO = '<query xmlns="http://jabber.org/protocol/disco#info"/>'
ITEMS = '<query xmlns="http://jabber.org/protocol/disco#items"/>'


def test_pings(connect: Connect, user: User, mary: int) -> None:
    client, other = connect(mary), connect(user("joe"))
    for to in ("", "localhost", "LOCALHOST", client.bare, "muc.localhost"):
        answer = client.request("get", PING, to)
        assert isinstance(answer, IqResult)
        assert (answer.from_, answer.to) == (to or None, client.jid)
    client.send(f'<iq type="get" id="p" to="{other.jid}">{PING}</iq>')
    ping = other.until(PingRequest)
    other.send(f'<iq type="result" id="{ping.id}" to="{ping.from_}"/>')
    answer = client.until(IqResult)
    assert (answer.id, answer.from_) == ("p", other.jid)
    assert client.request("get", PING, other.bare).error.condition == "service-unavailable"
    assert client.request("get", PING, f"{other.bare}/gone").error.condition == "service-unavailable"
    client.send(f'<iq type="result" id="p" to="{other.bare}/gone"/>', '<iq type="result" id="p"/>')
    assert client.quiet() == []


def test_contacts_can_be_pinged(connect: Connect, user: User, mary: int) -> None:
    client, other = connect(mary), connect(user("joe"))
    befriend(client, other)
    answer = client.request("get", PING, other.bare)
    assert isinstance(answer, IqResult)
    assert answer.from_ == other.bare


def test_service_discovery(sandbox: Sandbox, connect: Connect, mary: int, group: Callable[..., str]) -> None:
    client = connect(mary)
    info = client.request("get", INFO, "localhost").query
    assert (info.identities[0].category, info.identities[0].type) == ("server", "im")
    features = {one.var for one in info.features}
    assert {"urn:xmpp:carbons:2", "jabber:iq:privacy", "jabber:iq:roster", "urn:xmpp:ping"} <= features
    assert client.request("get", ITEMS, "localhost").query.items[0].jid == "muc.localhost"
    assert client.request("get", ITEMS).query.items == ()
    assert client.request("get", INFO, client.bare).query.identities[0].category == "account"
    other = sandbox.create_user("joe").id
    dialog_id = group(mary, other)
    info = client.request("get", INFO, f"7001_{dialog_id}@muc.localhost").query
    assert (info.identities[0].category, info.identities[0].name) == ("conference", "Climbers")
    rooms = client.request("get", ITEMS, "muc.localhost").query.items
    assert [(one.jid, one.name) for one in rooms] == [(f"7001_{dialog_id}@muc.localhost", "Climbers")]
    assert client.request("get", INFO, "muc.localhost").query.identities[0].category == "conference"
    node = INFO.replace("/>", ' node="x"/>')
    assert client.request("get", node, "localhost").error.condition == "item-not-found"


@pytest.mark.parametrize(
    ("kind", "payload", "to", "condition"),
    [
        ("get", '<query xmlns="jabber:iq:version"/>', "", "service-unavailable"),
        ("set", '<query xmlns="jabber:iq:oob"/>', "localhost", "service-unavailable"),
        ("get", '<query xmlns="jabber:iq:version"/>', "muc.localhost", "service-unavailable"),
        ("get", PING, "7001_66f1a7c2e4b0d93a51c8e201@muc.localhost", "service-unavailable"),
        ("get", INFO, "7001_66f1a7c2e4b0d93a51c8e201@muc.localhost", "item-not-found"),
        ("get", PING, "elsewhere", "remote-server-not-found"),
        ("get", PING, "1-1@elsewhere", "remote-server-not-found"),
        ("get", PING, "a b", "jid-malformed"),
        ("put", PING, "", "bad-request"),
        ("get", "", "", "bad-request"),
        ("set", PING + INFO, "localhost", "bad-request"),
        ("set", '<mobile xmlns="http://tigase.org/protocol/mobile#v2" enable="perhaps"/>', "", "bad-request"),
        (
            "set",
            '<subscribe xmlns="https://connectycube.com/protocol/status_streaming" user_jid="a@b" enable="1"/>',
            "",
            "item-not-found",
        ),
    ],
)
def test_refused_requests(connect: Connect, mary: int, kind: str, payload: str, to: str, condition: str) -> None:
    client = connect(mary)
    answer = client.request(kind, payload, to)
    assert isinstance(answer, IqError)
    assert answer.error is not None
    assert answer.error.condition == condition
    assert client.quiet() == []


def test_request_without_id_is_refused(connect: Connect, mary: int) -> None:
    client = connect(mary)
    client.send(f'<iq type="get">{PING}</iq>')
    answer = client.read_stanza()
    assert isinstance(answer, IqError)
    assert (answer.id, answer.error and answer.error.condition) == ("", "bad-request")


def test_deleting_an_account_ends_its_streams(sandbox: Sandbox, connect: Connect, mary: int) -> None:
    client = connect(mary)
    sandbox.call(sandbox.core.accounts.delete, mary)
    assert client.stream_error() == "not-authorized"
    assert sandbox.call(sandbox.core.presence.online) == []


def test_journal_shows_both_directions(sandbox: Sandbox, connect: Connect, user: User, mary: int) -> None:
    client = connect(mary, "phone")
    client.request("get", '<x xmlns="urn:a"><y xmlns:p="urn:b" p:z="&lt;1&gt;">t</y></x>', bare(sandbox, user("joe")))
    seen = sandbox.journal.entries(user_id=mary, text="urn:a")
    xml = [getattr(entry, "xml", "") for entry in seen]
    assert '<x xmlns="urn:a"><y xmlns:a0="urn:b" a0:z="&lt;1&gt;">t</y></x>' in xml[0]
    assert [getattr(entry, "resource", None) for entry in seen] == ["phone"]
    assert [getattr(entry, "direction", None) for entry in seen] == ["in"]
    texts = [entry.text() for entry in sandbox.journal.entries(user_id=mary)]
    assert any("out <iq" in text and 'type="error"' in text for text in texts)
    assert any(text.startswith("in <stream:stream") for text in texts)


def test_silent_connections_do_no_harm(sandbox: Sandbox, connect: Connect, mary: int) -> None:
    silent = Raw(sandbox)
    tls = Raw(sandbox, tls=True)
    assert connect(mary).quiet() == []
    silent.cut()
    tls.send("nonsense\r\n")
    assert tls.stream_error() == "not-well-formed"
    with pytest.raises(Ended):
        tls.read()
    tls.cut()
