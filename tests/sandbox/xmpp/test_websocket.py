"""The chat over WebSocket, with a third-party client (RFC 7395, K-01)."""

from __future__ import annotations

import base64
import contextlib
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from connectycube.sandbox import Sandbox
from connectycube.stanzas import ChatMessage, Open, StreamError, parse

from .raw import Raw, User
from .test_messages import ID, text

OPEN = '<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="localhost" version="1.0"/>'
CLOSE = '<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>'
XMPP = [Subprotocol("xmpp")]
TIMEOUT = 30.0


@contextlib.contextmanager
def websocket(sandbox: Sandbox, *, secure: bool = False) -> Iterator[ClientConnection]:
    url = sandbox.secure_websocket_url if secure else sandbox.websocket_url
    context = sandbox.ssl_context if secure else None
    with connect(url, subprotocols=XMPP, ssl=context, close_timeout=1) as client:
        yield client


def ask(client: ClientConnection, xml: str) -> Any:
    client.send(xml)
    return parse(client.recv(TIMEOUT))


def enter(client: ClientConnection, sandbox: Sandbox, user_id: int) -> str:
    ask(client, OPEN)
    client.recv(TIMEOUT)
    data = base64.b64encode(f"\0{user_id}-{sandbox.app_id}\0pass".encode()).decode()
    ask(client, f'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{data}</auth>')
    ask(client, OPEN)
    client.recv(TIMEOUT)
    bound = ask(
        client, '<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
    )
    ask(client, '<presence xmlns="jabber:client"/>')
    return str(bound.bind.jid)


@pytest.mark.parametrize("secure", [False, True])
def test_chat_over_websocket(sandbox: Sandbox, user: User, secure: bool) -> None:
    mary, joe = user("mary"), user("joe")
    with websocket(sandbox, secure=secure) as client, Raw(sandbox).enter(joe) as other:
        opened = ask(client, OPEN)
        assert isinstance(opened, Open)
        assert (opened.from_, opened.version) == ("localhost", "1.0")
        features = ET.fromstring(client.recv(TIMEOUT))
        assert "starttls" not in [child.tag.rpartition("}")[2] for child in features]
    with websocket(sandbox, secure=secure) as client, Raw(sandbox).enter(joe) as other:
        jid = enter(client, sandbox, mary)
        # Stanzas without a namespace are taken too: not all clients write it.
        client.send(text(other.bare))
        assert other.until(ChatMessage).from_ == jid
        other.send(text(jid, "back"))
        got = parse(client.recv(TIMEOUT))
        assert isinstance(got, ChatMessage)
        assert (got.id, got.body) == (ID, "back")
        client.send(CLOSE)
        assert "close" in str(client.recv(TIMEOUT))
        with pytest.raises(ConnectionClosed):
            client.recv(TIMEOUT)
    assert client.close_code == 1000


def test_lost_websocket_is_resumed_over_tcp(sandbox: Sandbox, user: User) -> None:
    mary = user("mary")
    with websocket(sandbox) as client:
        enter(client, sandbox, mary)
        enabled = ask(client, '<enable xmlns="urn:xmpp:sm:3" resume="true"/>')
        client.socket.close()
    with Raw(sandbox) as again:
        again.open()
        again.login(mary, "pass")
        again.open()
        again.send(f'<resume xmlns="urn:xmpp:sm:3" previd="{enabled.id}" h="0"/>')
        assert again.read().tag == "{urn:xmpp:sm:3}resumed"


@pytest.mark.parametrize(
    ("frame", "condition"),
    [
        ("<open", "not-well-formed"),
        ("", "not-well-formed"),
        ("hello", "bad-format"),
        ("<presence/><presence/>", "not-well-formed"),
        ("<presence>", "not-well-formed"),
        ("</frames>", "not-well-formed"),
        ("<!-- a -->", "restricted-xml"),
        ("<!DOCTYPE a>", "not-well-formed"),
        (OPEN.replace("localhost", "elsewhere"), "host-unknown"),
        (OPEN.replace('version="1.0"', ""), "unsupported-version"),
        ('<stream:stream xmlns:stream="http://etherx.jabber.org/streams"/>', "invalid-namespace"),
        ("<presence/>", "not-authorized"),
        ('<other xmlns="urn:a"/>', "bad-format"),
        (f"<message>{'x' * 300_000}</message>", "policy-violation"),
    ],
)
def test_invalid_frames_are_rejected(sandbox: Sandbox, frame: str, condition: str) -> None:
    with websocket(sandbox) as client:
        assert isinstance(ask(client, frame), Open)
        error = parse(client.recv(TIMEOUT))
        assert isinstance(error, StreamError)
        assert error.condition == condition
        assert "close" in str(client.recv(TIMEOUT))
        with pytest.raises(ConnectionClosed):
            client.recv(TIMEOUT)


def test_second_open_is_refused(sandbox: Sandbox) -> None:
    with websocket(sandbox) as client:
        ask(client, OPEN)
        client.recv(TIMEOUT)
        assert isinstance(ask(client, OPEN), Open)
        error = parse(client.recv(TIMEOUT))
        assert isinstance(error, StreamError)
        assert error.condition == "bad-format"


def test_input_that_breaks_websocket_rules(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(sandbox.websocket_url):
        pass
    assert refused.value.response.status_code == 400
    for data, code in ((b"<open/>", 1003), ("x" * 2_000_000, 1009)):
        with websocket(sandbox) as client:
            with contextlib.suppress(ConnectionClosed):
                client.send(data)
            with pytest.raises(ConnectionClosed):
                client.recv(TIMEOUT)
            assert client.close_code == code


def test_fragmented_frame_and_ping(sandbox: Sandbox) -> None:
    with websocket(sandbox) as client:
        client.send(iter((OPEN[:20], OPEN[20:40], OPEN[40:])))
        assert isinstance(parse(client.recv(TIMEOUT)), Open)
        assert client.ping().wait(TIMEOUT)


def test_clients_are_told_of_the_shutdown() -> None:
    with Sandbox() as sandbox:
        mary = sandbox.create_user("mary", "pass").id
        with connect(sandbox.websocket_url, subprotocols=XMPP, close_timeout=1) as client:
            enter(client, sandbox, mary)
            sandbox.stop()
            assert "system-shutdown" in str(client.recv(TIMEOUT))


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (bytes([0x89, 0x80, 0, 0, 0, 0]), bytes([0x8A, 0])),
        (bytes([0x88, 0x80, 0, 0, 0, 0]), bytes([0x88, 0])),
        (b"\x81\x01x", b"incorrect masking"),
        (b"\xff" * 100, b"invalid opcode"),
    ],
    ids=["ping", "close", "unmasked", "garbage"],
)
def test_frames_sent_with_the_request_are_answered_after_it(
    sandbox: Sandbox, frame: bytes, answer: bytes, cut: int
) -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: xmpp\r\n\r\n"
    )
    with socket.create_connection((sandbox.host, urlsplit(sandbox.websocket_url).port or 0), TIMEOUT) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The request ends in another packet than it begins in.
        client.sendall(request[: len(request) - cut])
        client.sendall(request[len(request) - cut :] + frame)
        received = b""
        while answer not in received:
            data = client.recv(65536)
            assert data, received
            received += data
    assert received.startswith(b"HTTP/1.1 101 ")
