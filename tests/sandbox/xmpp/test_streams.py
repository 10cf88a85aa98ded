"""Headers, TLS, logins, resources, and what ends a stream (RFC 6120)."""

from __future__ import annotations

import base64

import pytest

from connectycube.sandbox import Sandbox
from connectycube.stanzas import IqError, StreamFeatures, parse

from .raw import HEADER, Connect, Ended, Raw, User

SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"


def test_features_before_and_after_the_login(raw: Connect, user: User) -> None:
    client = raw()
    before = parse(client.open())
    assert isinstance(before, StreamFeatures)
    assert before.mechanisms is not None
    assert before.mechanisms.mechanisms == ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
    assert before.starttls is not None
    assert before.compression is None
    client.login(user("mary"), "pass")
    after = parse(client.open())
    assert isinstance(after, StreamFeatures)
    assert (after.bind, after.sm, after.session) != (None, None, None)
    assert after.mechanisms is None


def test_direct_tls_and_starttls(sandbox: Sandbox, raw: Connect, user: User) -> None:
    mary = user("mary")
    direct = raw(tls=True)
    features = parse(direct.open())
    assert isinstance(features, StreamFeatures)
    assert features.starttls is None
    assert direct.enter(mary, "phone").jid == f"{mary}-{sandbox.app_id}@localhost/phone"
    started = raw()
    started.open()
    started.start_tls()
    assert started.enter(mary, "desk").jid.endswith("/desk")


def test_plain_data_after_starttls_is_dropped(raw: Connect) -> None:
    client = raw()
    client.open()
    client.send('<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>', '<auth xmlns="x"/>')
    assert client.read().tag.endswith("}proceed")
    client._wrap()
    assert client.open().tag.endswith("}features")


def test_failed_handshake_ends_the_connection(raw: Connect) -> None:
    client = raw()
    client.open()
    client.send('<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>')
    client.read()
    client.send("<presence/>")
    client._restart()
    with pytest.raises(Exception):  # noqa: B017, PT011 - an alert of TLS, which is no XML, or the end
        client.read()


def test_login_with_password_or_session_token(sandbox: Sandbox, raw: Connect, user: User) -> None:
    mary = user("mary")
    token = sandbox.call(sandbox.core.sessions.open_for, mary).token
    assert raw().enter(mary, secret=token).jid
    with pytest.raises(AssertionError):
        raw().enter(mary, secret="wrong")


def login(client: Raw, text: str) -> str:
    data = base64.b64encode(text.encode()).decode()
    client.send(f'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{data}</auth>')
    answer = client.read()
    return answer[0].tag.removeprefix(SASL) if len(answer) else answer.tag.removeprefix(SASL)


def test_refused_logins(sandbox: Sandbox, raw: Connect, user: User) -> None:
    mary = user("mary")
    name = f"{mary}-{sandbox.app_id}"
    client = raw()
    client.open()
    assert login(client, "one") == "malformed-request"
    assert login(client, f"\0{name}\0wrong") == "not-authorized"
    assert login(client, f"other@localhost\0{name}\0pass") == "invalid-authzid"
    client.send('<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>')
    assert client.read()[0].tag == f"{SASL}invalid-mechanism"
    client.send('<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">no base64!</auth>')
    assert client.read()[0].tag == f"{SASL}incorrect-encoding"
    assert client.stream_error() == "policy-violation"


def test_bare_jid_is_accepted_as_identity(sandbox: Sandbox, raw: Connect, user: User) -> None:
    mary = user("mary")
    client = raw()
    client.open()
    name = f"{mary}-{sandbox.app_id}"
    assert login(client, f"{name}@localhost\0{name}\0pass") == "success"


def test_logins_can_be_aborted_and_refused_on_demand(sandbox: Sandbox, raw: Connect, user: User) -> None:
    mary = user("mary")
    sandbox.faults.chat.refuse_auth = 1
    client = raw()
    client.open()
    name = f"{mary}-{sandbox.app_id}"
    assert login(client, f"\0{name}\0pass") == "not-authorized"
    client.send('<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="SCRAM-SHA-1"/>')
    assert client.read().tag == f"{SASL}challenge"
    client.send('<abort xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>')
    assert client.read()[0].tag == f"{SASL}aborted"
    client.login(mary, "pass")


def test_journal_masks_secrets(sandbox: Sandbox, connect: Connect, user: User) -> None:
    connect(user("mary"))
    text = " ".join(entry.text() for entry in sandbox.journal.entries())
    assert "mechanism=" in text
    assert base64.b64encode(b"pass").decode()[:4] not in text
    hidden = [entry.text() for entry in sandbox.journal.entries(text="<auth ")]
    assert hidden
    assert all("•••" in one for one in hidden)


def test_resources_are_generated_and_taken_over(sandbox: Sandbox, connect: Connect, user: User) -> None:
    mary = user("mary")
    made = connect(mary)
    assert "-connectycube-" in made.jid
    old = connect(mary, "phone")
    connect(mary, "phone")
    assert old.stream_error() == "conflict"


def test_invalid_resource_is_rejected(raw: Connect, user: User) -> None:
    client = raw()
    client.open()
    client.login(user("mary"), "pass")
    client.open()
    client.send(
        '<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">'
        f"<resource>{'x' * 1100}</resource></bind></iq>"
    )
    answer = client.read_stanza()
    assert isinstance(answer, IqError)
    assert answer.error is not None
    assert answer.error.condition == "bad-request"
    assert client.bind("phone")


def test_second_bind_is_refused_and_session_request_accepted(connect: Connect, user: User) -> None:
    client = connect(user("mary"))
    answer = client.request("set", '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>')
    assert answer.error.condition == "not-allowed"
    assert client.request("set", '<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/>').id


@pytest.mark.parametrize(
    ("header", "condition"),
    [
        (HEADER.replace("localhost", "elsewhere"), "host-unknown"),
        (HEADER.replace("version='1.0'>", ">"), "unsupported-version"),
        (HEADER.replace("jabber:client", "jabber:server"), "invalid-namespace"),
        (HEADER.replace("etherx", "other"), "invalid-namespace"),
        (HEADER.replace("stream:stream", "stream:flow"), "bad-format"),
        ("<?xml version='1.0' encoding='UTF-16'?>", "unsupported-encoding"),
        ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        ("<!DOCTYPE lolz [<!ENTITY lol 'lol'>]>" + HEADER, "restricted-xml"),
    ],
)
def test_invalid_headers_are_rejected(raw: Connect, header: str, condition: str) -> None:
    client = raw()
    client.send(header)
    assert client.stream_error() == condition


def test_other_encodings_are_rejected(raw: Connect) -> None:
    client = raw()
    client.send_bytes(HEADER.encode("utf-16"))
    assert client.stream_error() == "unsupported-encoding"


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("<message><body></message>", "not-well-formed"),
        ("<x:message/>", "bad-namespace-prefix"),
        ("<message>&lol;</message>", "not-well-formed"),
        ("<!-- hello -->", "restricted-xml"),
        ("<?php echo ?>", "restricted-xml"),
        ("hello", "bad-format"),
        ("<message><body><!-- hello --></body></message>", "restricted-xml"),
        ('<message xmlns="jabber:server"/>', "invalid-namespace"),
        ("<nonsense/>", "unsupported-stanza-type"),
        ('<enable xmlns="urn:xmpp:sm:2"/>', "unsupported-stanza-type"),
        ("<message>" * 200, "policy-violation"),
        (f"<message><body>{'x' * 300_000}", "policy-violation"),
        (f"<message><body>{'x' * 300_000}</body></message>", "policy-violation"),
        (f'<message a="{"x" * 300_000}', "policy-violation"),
        ('<message from="1-1@localhost"/>', "invalid-from"),
        ('<presence from="@"/>', "invalid-from"),
        ('<a xmlns="urn:xmpp:sm:3" h="7"/>' * 0 + "<stream:error/>", "unsupported-stanza-type"),
    ],
)
def test_input_that_ends_a_bound_stream(
    sandbox: Sandbox, connect: Connect, user: User, text: str, condition: str
) -> None:
    client = connect(user("mary"))
    client.send(text)
    assert client.stream_error() == condition
    # The server lives on.
    assert connect(user("joe")).jid


@pytest.mark.parametrize("text", ["<message/>", "<presence/>", '<iq type="get" id="a"/>'])
def test_stanzas_before_login_or_binding_are_refused(raw: Connect, user: User, text: str) -> None:
    early = raw()
    early.open()
    early.send(text)
    assert early.stream_error() == "not-authorized"
    unbound = raw()
    unbound.open()
    unbound.login(user("mary"), "pass")
    unbound.open()
    unbound.send(text)
    assert unbound.stream_error() == "not-authorized"


def test_client_closes_the_stream(connect: Connect, user: User) -> None:
    client = connect(user("mary"))
    client.send("</stream:stream>")
    assert client.until_closed() == []
    assert client.closed


def test_stanzas_split_into_bytes_and_joined_in_one_write(connect: Connect, user: User) -> None:
    client = connect(user("mary"))
    for byte in b'<iq type="get" id="slow"><ping xmlns="urn:xmpp:ping"/></iq>':
        client.send_bytes(bytes((byte,)))
    assert client.read_stanza().id == "slow"
    client.send(*(f'<iq type="get" id="p{number}"><ping xmlns="urn:xmpp:ping"/></iq>' for number in range(50)))
    assert [client.read_stanza().id for _ in range(50)] == [f"p{number}" for number in range(50)]


def test_whitespace_keepalive_is_ignored(sandbox: Sandbox, connect: Connect, user: User) -> None:
    client = connect(user("mary"))
    for _ in range(10):
        client.send(" " * sandbox.settings.limits.stanza_bytes)
    assert client.quiet() == []


def test_connections_are_dropped_and_stanzas_delayed_on_demand(sandbox: Sandbox, connect: Connect, user: User) -> None:
    client = connect(user("mary"))
    sandbox.faults.chat.delay = 0.05
    assert client.quiet() == []
    sandbox.faults.chat.delay = 0.0
    sandbox.faults.chat.drop_next = 1
    client.send("<presence/>")
    with pytest.raises(Ended):
        client.read()


def test_client_that_does_not_read_is_disconnected(sandbox: Sandbox, connect: Connect, user: User) -> None:
    mary, joe = user("mary"), user("joe")
    slow, fast = connect(mary), connect(joe)
    text = "x" * 200_000
    for _ in range(100):
        fast.send(f'<message type="chat" to="{slow.bare}"><body>{text}</body></message>')
    assert fast.quiet() == []
    assert len(slow.until_closed()) < 100


def test_clients_are_told_of_the_shutdown(user: User) -> None:
    with Sandbox() as sandbox:
        mary = sandbox.create_user("mary", "pass").id
        client = Raw(sandbox).enter(mary)
    assert client.stream_error() == "system-shutdown"
    client.cut()
