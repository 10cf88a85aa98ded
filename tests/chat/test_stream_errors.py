"""Streams that end with an error or violate the protocol: which error it is, and whether the chat reconnects."""

from __future__ import annotations

import pytest

from connectycube.chat import (
    AuthenticationFailed,
    ConnectionFailed,
    NotConnected,
    Reason,
    StreamConflict,
    StreamFailed,
    StreamRefused,
)
from tests.chat.fake import (
    HEADER,
    STEPS,
    STREAMS,
    Fake,
    Peer,
    Step,
    failing,
    given_up,
    online,
    plays_along,
    retried,
    stream_error,
)
from tests.integration.support import run

# Stream errors

FINAL = {
    "conflict": (StreamConflict, Reason.CONFLICT),
    "not-authorized": (AuthenticationFailed, Reason.LOGIN),
    "policy-violation": (StreamRefused, Reason.POLICY),
    "host-unknown": (StreamRefused, Reason.PROTOCOL),
    "host-gone": (StreamRefused, Reason.PROTOCOL),
    "improper-addressing": (StreamRefused, Reason.PROTOCOL),
    "invalid-namespace": (StreamRefused, Reason.PROTOCOL),
    "unsupported-encoding": (StreamRefused, Reason.PROTOCOL),
    "unsupported-feature": (StreamRefused, Reason.PROTOCOL),
    "unsupported-stanza-type": (StreamRefused, Reason.PROTOCOL),
    "unsupported-version": (StreamRefused, Reason.PROTOCOL),
}
PASSING = [
    "bad-format",
    "bad-namespace-prefix",
    "connection-timeout",
    "internal-server-error",
    "invalid-from",
    "invalid-xml",
    "not-well-formed",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "system-shutdown",
    "undefined-condition",
]


@pytest.mark.parametrize("condition", FINAL)
def test_permanent_stream_error_ends_the_first_attempt(condition: str) -> None:
    async def main() -> None:
        error = await given_up(failing("features", stream_error(condition, "some words")))
        assert "some words" in str(error)
        assert (type(error), error.reason, error.condition) == (*FINAL[condition], condition)

    run(main())


def test_conflict_ends_a_connected_chat() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(stream_error("conflict"))
            failed = await told.one(ConnectionFailed)
            error = failed.error
            assert chat.state.error is error
            assert told.of(StreamFailed) == [StreamFailed(condition="conflict", text="")]
            assert (type(error), error.reason, error.condition) == (StreamConflict, Reason.CONFLICT, "conflict")
            with pytest.raises(NotConnected):
                await chat.ping()

    run(main())


@pytest.mark.parametrize("condition", [*PASSING, "a-condition-of-tomorrow"])
def test_temporary_stream_error_is_retried(condition: str) -> None:
    async def main() -> None:
        error, told = await retried(failing("features", stream_error(condition)))
        assert error.reason is Reason.STREAM
        assert told.of(StreamFailed)[0].condition == error.condition
        if condition in PASSING:
            assert error.condition == condition

    run(main())


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize(("condition", "again"), [("system-shutdown", True), ("policy-violation", False)])
def test_stream_error_at_each_step(at: Step, condition: str, again: bool) -> None:
    async def main() -> None:
        fault = stream_error(condition)
        script = failing(at, HEADER + fault if at == "header" else fault)
        if again:
            error, _ = await retried(script)
            assert (error.reason, error.condition) == (Reason.STREAM, condition)
        elif at != "session":
            error = await given_up(script)
            assert (type(error), error.condition) == (StreamRefused, condition)

    run(main())


def test_see_other_host_is_not_followed() -> None:
    async def main() -> None:
        async with Fake(plays_along) as other:
            words = (
                f"<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>127.0.0.1:{other.port}</see-other-host>"
            )
            error, _ = await retried(failing("features", f"<stream:error>{words}</stream:error></stream:stream>"))
            assert error.condition == "see-other-host"
            assert other.attempts == 0

    run(main())


# Malformed or unexpected XML


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("fault", [b"<a></b>", b"\xff\xfe\x00", b"<a>&nothing;</a>", b"<a b='1' b='2'/>", b"]]>"])
def test_malformed_xml_ends_the_stream(at: Step, fault: bytes) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.session(at=at, fault=HEADER.encode() + fault if at in ("header", "restart") else fault)
            error = await peer.next()
            while error.tag != f"{{{STREAMS}}}error":
                error = await peer.next()
            assert "not-well-formed" in error[0].tag

        error, _ = await retried(script)
        assert error.condition == "not-well-formed"

    run(main())


@pytest.mark.parametrize(
    ("root", "condition"),
    [
        ("<stream:stream xmlns='jabber:client' xmlns:stream='urn:wrong' version='1.0'>", "bad-format"),
        ("<stream xmlns='jabber:client' version='1.0'>", "bad-format"),
        ("<html><body>", "invalid-namespace"),
    ],
)
def test_invalid_root_element_is_rejected(root: str, condition: str) -> None:
    async def main() -> None:
        script = failing("header", root)
        error = await given_up(script) if condition == "invalid-namespace" else (await retried(script))[0]
        assert error.condition == condition

    run(main())
