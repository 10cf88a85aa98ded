"""Failures at each step from the first byte to the session."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.chat import (
    ConnectError,
    MessageReceived,
    NotConnected,
    Reason,
    State,
    StreamConflict,
    StreamRefused,
    TlsRefused,
)
from tests.chat.fake import (
    BIND,
    BIND_FEATURE,
    IQ,
    JID,
    SESSION,
    SM,
    SM_FEATURE,
    STEPS,
    TLS,
    Fake,
    Peer,
    Step,
    chat_with,
    failing,
    given_up,
    mechanisms,
    online,
    retried,
)
from tests.integration.support import run

BEFORE_SESSION = STEPS[:-1]


@pytest.mark.parametrize("at", ["features", "auth", "restart"])
@pytest.mark.parametrize(
    "fault", ["<message><body>early</body></message>", "<x xmlns='urn:unknown'/>", f"<enabled xmlns='{SM}'/>"]
)
def test_unexpected_element_in_the_negotiation(at: Step, fault: str) -> None:
    async def main() -> None:
        error = await given_up(failing(at, fault))
        assert (type(error), error.reason) == (StreamRefused, Reason.PROTOCOL)

    run(main())


@pytest.mark.parametrize("at", BEFORE_SESSION)
def test_stream_end_at_each_step_is_retried(at: Step) -> None:
    async def main() -> None:
        error, _ = await retried(failing(at, b"", hang_up=True))
        assert error.reason is Reason.NETWORK
        if at != "header":
            error, _ = await retried(failing(at, "</stream:stream>"))
            assert error.reason is Reason.NETWORK

    run(main())


@pytest.mark.parametrize("at", BEFORE_SESSION)
def test_silence_at_each_step_times_out(at: Step) -> None:
    async def main() -> None:
        error, _ = await retried(failing(at, b""), timeout=0.5)
        assert error.reason is Reason.TIMEOUT

    run(main())


# STARTTLS


@pytest.mark.parametrize(
    ("features", "answer", "problem"),
    [
        (mechanisms("PLAIN"), "", "not offer STARTTLS"),
        (f"<starttls xmlns='{TLS}'/>", f"<failure xmlns='{TLS}'/>", "refused STARTTLS"),
        (f"<starttls xmlns='{TLS}'/>", "<message/>", "refused STARTTLS"),
    ],
)
def test_missing_starttls_is_refused(features: str, answer: str, problem: str) -> None:
    async def main() -> None:
        peers: list[Peer] = []

        async def script(peer: Peer) -> None:
            peers.append(peer)
            await peer.opened()
            peer.features(features)
            if answer:
                await peer.expect(f"{{{TLS}}}starttls")
                peer.send(answer)

        error = await given_up(script, tls="starttls")
        assert (type(error), error.reason) == (TlsRefused, Reason.TLS)
        assert problem in str(error)
        # The client has not started to log in.
        assert not [element for element in peers[0].seen.items if "sasl" in element.tag]

    run(main())


def test_data_injected_before_tls_is_rejected() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.opened()
            peer.features(f"<starttls xmlns='{TLS}'/>")
            await peer.expect(f"{{{TLS}}}starttls")
            forged = f"<stream:features>{mechanisms('PLAIN')}</stream:features>"
            peer.send(f"<proceed xmlns='{TLS}'/>{forged}")

        async with Fake(script) as fake:
            chat = chat_with(fake, tls="starttls", auto_reconnect=False)
            with pytest.raises(ConnectError, match="before TLS"):
                await chat.connect()

    run(main())


# Binding


@pytest.mark.parametrize(
    ("condition", "kind", "again"),
    [
        ("conflict", StreamConflict, False),
        ("resource-constraint", ConnectError, True),
        ("not-allowed", StreamRefused, False),
        ("bad-request", StreamRefused, False),
    ],
)
def test_refused_binding_raises(condition: str, kind: type[ConnectError], again: bool) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.session(at="bind")
            number = peer.seen.items[-1].get("id")
            fault = f"<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            peer.send(f"<iq type='error' id='{number}'>{fault}</iq>")

        error = (await retried(script))[0] if again else await given_up(script)
        assert (type(error), error.condition) == (kind, condition)

    run(main())


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("optional", [False, True])
def test_session_is_established_where_required(optional: bool, refused: bool) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            feature = f"<session xmlns='{SESSION}'>{'<optional/>' if optional else ''}</session>"
            await peer.session(BIND_FEATURE, feature, set_up=False)
            if not optional:
                request = await peer.expect(IQ)
                assert request[0].tag == f"{{{SESSION}}}session"
                if refused:
                    peer.send(f"<iq type='error' id='{request.get('id')}'><error type='cancel'/></iq>")
                    return
                peer.send(f"<iq type='result' id='{request.get('id')}'/>")
            await peer.set_up()

        if refused and not optional:
            assert type(await given_up(script)) is StreamRefused
        else:
            async with online(script) as (chat, _, _):
                assert (chat.online, chat.jid) == (True, JID)

    run(main())


def test_stanzas_during_the_negotiation_are_kept() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.session(at="bind")
            number = peer.seen.items[-1].get("id")
            peer.send("<message from='5-7001@localhost' type='chat' id='a'><body>before the answer</body></message>")
            peer.send(f"<iq type='result' id='other'><bind xmlns='{BIND}'><jid>x@y/z</jid></bind></iq>")
            peer.send(f"<iq type='result' id='{number}'><bind xmlns='{BIND}'><jid>{JID}</jid></bind></iq>")
            await peer.expect(f"{{{SM}}}enable")
            peer.send("<message from='5-7001@localhost' type='chat' id='b'><body>before enabled</body></message>")
            peer.send(f"<enabled xmlns='{SM}'/>")
            peer.send("<message from='5-7001@localhost' type='chat' id='c'><body>after</body></message>")
            peer.send(f"<r xmlns='{SM}'/>")
            peer.count = 0
            await peer.set_up()

        async with online(script) as (chat, told, peer):
            found = await told.all(MessageReceived, 3)
            assert [event.message.body for event in found] == ["before the answer", "before enabled", "after"]
            # Only stanzas after <enabled/> count (XEP-0198 section 4).
            assert await peer.acks.one() == 1
            assert chat.jid == JID

    run(main())


# Missing credentials, and giving up


@pytest.mark.parametrize("features", ["", f"<bind xmlns='{BIND}'/>{SM_FEATURE}"])
def test_missing_credentials_fail_before_dialling(features: str) -> None:
    async def main() -> None:
        error = await given_up(failing("features", f"<stream:features>{features}</stream:features>"))
        assert type(error) is StreamRefused

    run(main())


def test_disconnect_while_the_server_is_silent() -> None:
    async def main() -> None:
        async with Fake(failing("auth", b"")) as fake:
            chat = chat_with(fake)
            with pytest.raises(ConnectError) as failed:
                await chat.connect(timeout=0.1)
            assert failed.value.reason is Reason.TIMEOUT
            connecting = asyncio.ensure_future(chat.connect())
            await fake.peers.wait(2)
            await chat.disconnect()
            with pytest.raises(NotConnected):
                await connecting
            assert chat.state.name is State.OFFLINE

    run(main())
