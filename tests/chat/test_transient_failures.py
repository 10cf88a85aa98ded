"""What a connected chat survives when it connects again, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from connectycube.chat import AuthenticationFailed, ConnectionFailed, Reason, Reconnected, Reconnecting, StreamConflict
from tests.chat.fake import (
    BARE,
    BIND,
    BIND_FEATURE,
    HEADER,
    IQ,
    JID,
    SASL,
    SM,
    SM_FEATURE,
    STEPS,
    Fake,
    Peer,
    Script,
    Step,
    chat_with,
    failing,
    mechanisms,
    plays_along,
    stream_error,
)
from tests.integration.chats import Told
from tests.integration.support import run

STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
CONDITIONS = """bad-format bad-namespace-prefix connection-timeout host-gone host-unknown improper-addressing
    internal-server-error invalid-from invalid-namespace invalid-xml not-authorized not-well-formed policy-violation
    remote-connection-failed reset resource-constraint restricted-xml see-other-host system-shutdown
    undefined-condition unsupported-encoding unsupported-feature unsupported-stanza-type unsupported-version""".split()


def refusing_to_bind(condition: str, kind: str) -> Script:
    async def script(peer: Peer) -> None:
        await peer.session(at="bind")
        request_id = peer.seen.items[-1].get("id")
        error = f"<error type='{kind}'><{condition} xmlns='{STANZAS}'/></error>"
        peer.send(f"<iq type='error' id='{request_id}'>{error}</iq>")

    return script


def login(failure: str) -> Script:
    return failing("auth", f"<failure xmlns='{SASL}'>{failure}</failure>")


def before_the_stream(text: str) -> Script:
    """Answer as something that does not speak XMPP."""

    async def script(peer: Peer) -> None:
        peer.send(text)
        await peer.drained()
        peer.hang_up()
        raise EOFError

    return script


PASSING: dict[str, Script] = {
    **{
        f"binding refused: {condition}, {kind}": refusing_to_bind(condition, kind)
        for condition, kind in [
            ("internal-server-error", "wait"),
            ("internal-server-error", "cancel"),
            ("service-unavailable", "cancel"),
            ("resource-constraint", "wait"),
            ("not-allowed", "cancel"),
            ("conflict", "cancel"),
        ]
    },
    "no features": failing("features", "<stream:features/>"),
    "no mechanisms": failing("features", f"<stream:features>{mechanisms()}</stream:features>"),
    "unsupported mechanisms": failing("features", f"<stream:features>{mechanisms('EXTERNAL')}</stream:features>"),
    "a load balancer": before_the_stream("HTTP/1.1 503 Service Unavailable\r\n\r\n<html></html>"),
    "a web page": before_the_stream("<html><body>maintenance</body></html>"),
    "nothing": before_the_stream(""),
    **{
        f"login refused: {condition or 'no condition'}": login(f"<{condition}/>" if condition else "")
        for condition in ["temporary-auth-failure", "aborted", "mechanism-too-weak", "of-tomorrow", ""]
    },
    **{f"stream error: {condition}": failing("features", stream_error(condition)) for condition in CONDITIONS},
    **{f"end at {step}": failing(step, b"", hang_up=True) for step in STEPS[:-1]},
    **{f"no XML at {step}": failing(step, b"<a></b>") for step in STEPS[1:-1]},
    **{f"unexpected at {step}": failing(step, "<x xmlns='urn:unknown'/>") for step in ("features", "auth", "restart")},
}


async def until_cut(peer: Peer) -> None:
    """Serve a session until the chat has connected, and cut the connection at its first ping."""
    await peer.session()
    await hang_up_when_used(peer)


async def hang_up_when_used(peer: Peer) -> None:
    peer.answer(await peer.expect(IQ))  # The last of a new session: the presence has been processed.
    await peer.expect(IQ)
    peer.hang_up()
    raise EOFError


async def cut(fake: Fake, **options: object) -> Told:
    """Connect a chat, lose the connection, and wait until it is back or the chat has given up."""
    chat = chat_with(fake, **options)
    told = Told(chat)
    async with chat:
        with contextlib.suppress(Exception):
            await chat.ping()
        await told.seen.one(lambda event: isinstance(event, (Reconnected, ConnectionFailed)))
    return told


@pytest.mark.parametrize("kind", PASSING)
def test_connected_chat_survives(kind: str) -> None:
    async def main() -> None:
        async with Fake(until_cut, PASSING[kind], plays_along) as fake:
            told = await cut(fake)
            assert not told.of(ConnectionFailed)
            assert len(told.of(Reconnecting)) == 2
            assert fake.attempts == 3

    run(main(), timeout=30)


@pytest.mark.parametrize("condition", ["not-authorized", "account-disabled", "credentials-expired"])
def test_refused_credentials_end_a_connected_chat(condition: str) -> None:
    async def main() -> None:
        async with Fake(until_cut, login(f"<{condition}/>"), plays_along) as fake:
            (failed,) = (await cut(fake)).of(ConnectionFailed)
            assert (type(failed.error), failed.error.reason) == (AuthenticationFailed, Reason.AUTHENTICATION)
            assert fake.attempts == 2

    run(main(), timeout=30)


@pytest.mark.parametrize("at", ["features", "auth"])
def test_conflict_ends_a_chat_that_connects_again(at: Step) -> None:
    async def main() -> None:
        async with Fake(until_cut, failing(at, stream_error("conflict")), plays_along) as fake:
            (failed,) = (await cut(fake)).of(ConnectionFailed)
            assert type(failed.error) is StreamConflict
            assert fake.attempts == 2

    run(main(), timeout=30)


def test_unexpected_error_of_an_attempt_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        def broken(_: object) -> str:
            monkeypatch.undo()
            raise RuntimeError("a bug")

        async with Fake(until_cut, plays_along) as fake:
            chat = chat_with(fake)
            told = Told(chat)
            async with chat:
                monkeypatch.setattr(type(chat._credentials), "secret", broken)
                with contextlib.suppress(Exception):
                    await chat.ping()
                await told.one(Reconnected)
            assert "a bug" in str(told.of(Reconnecting)[-1].error)

    run(main(), timeout=30)


# Resumption


async def resumable(peer: Peer) -> None:
    await peer.session(at="enable", fault=f"<enabled xmlns='{SM}' resume='true' id='abc'/>")
    await peer.set_up()
    await hang_up_when_used(peer)


def asked_to_resume(*answers: str | None) -> Script:
    """Answer a resumption with some XML; `None` hangs up. Then bind as usual."""

    async def script(peer: Peer) -> None:
        await peer.opened()
        peer.send(f"{HEADER}<stream:features>{mechanisms('PLAIN')}</stream:features>")
        await peer.next()
        peer.send(f"<success xmlns='{SASL}'/>")
        await peer.opened()
        peer.features(BIND_FEATURE, SM_FEATURE)
        await peer.expect(f"{{{SM}}}resume")
        for answer in answers:
            if answer is None:
                peer.hang_up()
                raise EOFError
            peer.send(answer)
        bind = await peer.expect(IQ)
        peer.send(f"<iq type='result' id='{bind.get('id')}'><bind xmlns='{BIND}'><jid>{JID}</jid></bind></iq>")
        await peer.expect(f"{{{SM}}}enable")
        peer.send(f"<enabled xmlns='{SM}'/>")
        peer.count = 0
        await peer.set_up()
        await peer.serve()

    return script


NOT_FOUND = f"<item-not-found xmlns='{STANZAS}'/>"
FAILED = f"<failed xmlns='{SM}'>{NOT_FOUND}</failed>"


@pytest.mark.parametrize(
    "answer",
    [
        f"<failed xmlns='{SM}'><error type='cancel'>{NOT_FOUND}<text xmlns='{STANZAS}'>gone</text></error></failed>",
        f"<failed xmlns='{SM}'/>",
        f"<failed xmlns='{SM}' h=''>{NOT_FOUND}</failed>",
        f"<failed xmlns='{SM}' h='-1'>{NOT_FOUND}</failed>",
        f"<failed xmlns='{SM}' h='999'>{NOT_FOUND}</failed>",
        f"<failed xmlns='urn:xmpp:sm:2'>{NOT_FOUND}</failed>",
        f"<message from='{BARE}' type='headline'><body>hi</body></message>{FAILED}",
        f"<r xmlns='{SM}'/>{FAILED}",
        f"\n {FAILED}",
    ],
)
def test_refused_resumption_begins_a_new_session(answer: str) -> None:
    async def main() -> None:
        async with Fake(resumable, asked_to_resume(answer)) as fake:
            (reconnected,) = (await cut(fake)).of(Reconnected)
            assert not reconnected.resumed
            assert fake.attempts == 2

    run(main(), timeout=30)


@pytest.mark.parametrize(
    "answer",
    [
        stream_error("undefined-condition"),
        stream_error("internal-server-error"),
        f"<resumed xmlns='{SM}' h='many' previd='abc'/>",
        f"<resumed xmlns='{SM}' h='999' previd='abc'/>",
        f"<enabled xmlns='{SM}'/>",
        "<x xmlns='urn:unknown'/>",
    ],
)
def test_resumption_that_the_server_objects_to_is_not_repeated(answer: str) -> None:
    async def main() -> None:
        async with Fake(resumable, asked_to_resume(answer), plays_along) as fake:
            (reconnected,) = (await cut(fake)).of(Reconnected)
            assert not reconnected.resumed
            assert fake.attempts == 3

    run(main(), timeout=30)


def test_resumption_that_is_never_answered_is_given_up() -> None:
    async def main() -> None:
        silent = [asked_to_resume(None)] * 5
        async with Fake(resumable, *silent, plays_along) as fake:
            async with asyncio.timeout(20):
                (reconnected,) = (await cut(fake)).of(Reconnected)
            assert not reconnected.resumed
            assert fake.attempts == 7

    run(main(), timeout=30)
