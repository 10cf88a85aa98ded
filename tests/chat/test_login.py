"""SASL: refusals, mechanisms, and a server that does not know the password."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Callable

import pytest

from connectycube.chat import (
    AuthenticationFailed,
    NotConnected,
    Reason,
    Reconnecting,
    StreamFailed,
    StreamRefused,
)
from tests.chat.fake import (
    APP_ID,
    BIND,
    BIND_FEATURE,
    IQ,
    JID,
    PASSWORD,
    SASL,
    USER_ID,
    Fake,
    Peer,
    Script,
    chat_with,
    failing,
    given_up,
    mechanisms,
    online,
    plays_along,
    retried,
)
from tests.integration.support import eventually, run


def refusal(condition: str, text: str = "") -> str:
    words = f"<text>{text}</text>" if text else ""
    return f"<failure xmlns='{SASL}'><{condition}/>{words}</failure>"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("aborted", Reason.LOGIN),
        ("account-disabled", Reason.AUTHENTICATION),
        ("credentials-expired", Reason.AUTHENTICATION),
        ("encryption-required", Reason.LOGIN),
        ("incorrect-encoding", Reason.LOGIN),
        ("invalid-authzid", Reason.LOGIN),
        ("invalid-mechanism", Reason.LOGIN),
        ("malformed-request", Reason.LOGIN),
        ("mechanism-too-weak", Reason.LOGIN),
        ("not-authorized", Reason.AUTHENTICATION),
    ],
)
def test_login_refusal_raises(condition: str, reason: Reason) -> None:
    async def main() -> None:
        error = await given_up(failing("auth", refusal(condition, "in words")))
        assert type(error) is AuthenticationFailed
        assert (error.reason, error.condition) == (reason, condition)
        assert "in words" in str(error)
        assert PASSWORD not in str(error)

    run(main())


@pytest.mark.parametrize("failure", [refusal("a-condition-of-tomorrow"), f"<failure xmlns='{SASL}'/>"])
def test_unknown_refusal_raises(failure: str) -> None:
    async def main() -> None:
        assert type(await given_up(failing("auth", failure))) is AuthenticationFailed

    run(main())


def test_temporary_refusal_is_retried() -> None:
    async def main() -> None:
        error, told = await retried(failing("auth", refusal("temporary-auth-failure")))
        assert (error.reason, error.condition) == (Reason.STREAM, "temporary-auth-failure")
        assert not told.of(StreamFailed)

    run(main())


# The choice of a mechanism


def offering(*names: str) -> Script:
    async def script(peer: Peer) -> None:
        await peer.opened()
        peer.features(mechanisms(*names))

    return script


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        (("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"), "SCRAM-SHA-512"),
        (("SCRAM-SHA-1", "PLAIN", "SCRAM-SHA-256"), "SCRAM-SHA-256"),
        (("ANONYMOUS", "SCRAM-SHA-1", "PLAIN"), "SCRAM-SHA-1"),
        (("EXTERNAL", "PLAIN", "DIGEST-MD5"), "PLAIN"),
        (("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"), "SCRAM-SHA-1"),
    ],
)
def test_best_mechanism_is_chosen(offered: tuple[str, ...], used: str) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await offering(*offered)(peer)
            auth = await peer.expect(f"{{{SASL}}}auth")
            assert auth.get("mechanism") == used
            peer.send(refusal("not-authorized"))

        assert type(await given_up(script)) is AuthenticationFailed

    run(main())


@pytest.mark.parametrize("offered", [("PLAIN",), ("PLAIN", "ANONYMOUS")])
@pytest.mark.parametrize("allowed", [False, True])
def test_plain_without_tls_requires_allow_insecure(offered: tuple[str, ...], allowed: bool) -> None:
    async def main() -> None:
        peers: list[Peer] = []

        async def script(peer: Peer) -> None:
            peers.append(peer)
            await offering(*offered)(peer)
            if allowed:
                await peer.expect(f"{{{SASL}}}auth")
                peer.send(refusal("not-authorized"))

        error = await given_up(script, allow_insecure=allowed)
        assert type(error) is AuthenticationFailed
        assert ("allow_insecure" in str(error)) is not allowed
        assert len(peers[0].seen.items) == allowed

    run(main())


@pytest.mark.parametrize("offered", [("ANONYMOUS",), ("EXTERNAL", "DIGEST-MD5"), ("SCRAM-SHA-1-PLUS",), ()])
def test_unsupported_mechanisms_are_reported(offered: tuple[str, ...]) -> None:
    async def main() -> None:
        error = await given_up(offering(*offered))
        assert type(error) is AuthenticationFailed
        for name in offered:
            assert name in str(error)

    run(main())


# SCRAM: RFC 5802

SALT = b"a salt"


class Verifier:
    """The server's half of SCRAM-SHA-256, correct or with one mistake."""

    def __init__(self, password: str = PASSWORD, iterations: str = "4096") -> None:
        self.password = password
        self.iterations = iterations
        self.client_first = self.server_first = ""

    def first(self, message: str) -> str:
        assert message.startswith(f"n,,n={USER_ID}-{APP_ID},r=")
        self.client_first = message[3:]
        nonce = message.partition("r=")[2]
        salt = base64.b64encode(SALT).decode()
        self.server_first = f"r={nonce}server,s={salt},i={self.iterations}"
        return self.server_first

    def final(self, message: str) -> str:
        bare, _, proof = message.rpartition(",p=")
        text = f"{self.client_first},{self.server_first},{bare}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), SALT, int(self.iterations))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), text, "sha256")
        right = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        if self.password == PASSWORD:
            assert base64.b64decode(proof) == right
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        return "v=" + base64.b64encode(hmac.digest(server_key, text, "sha256")).decode()


def scram(
    verifier: Verifier,
    first: Callable[[str], str] = str,
    final: Callable[[str], str | None] = str,
    went_on: list[bool] | None = None,
) -> Script:
    """Script a server that offers SCRAM.

    :param first: modifies its first message.
    :param final: modifies its last message; `None` omits it.
    :param went_on: records that the client continued, which otherwise fails the test.
    """

    async def script(peer: Peer) -> None:
        await offering("SCRAM-SHA-256")(peer)
        auth = await peer.expect(f"{{{SASL}}}auth")
        text = first(verifier.first(base64.b64decode(auth.text or "").decode()))
        peer.send(f"<challenge xmlns='{SASL}'>{base64.b64encode(text.encode()).decode()}</challenge>")
        response = await peer.expect(f"{{{SASL}}}response")
        last = final(verifier.final(base64.b64decode(response.text or "").decode()))
        if last is None:
            peer.send(f"<success xmlns='{SASL}'/>")
        else:
            peer.send(f"<success xmlns='{SASL}'>{base64.b64encode(last.encode()).decode()}</success>")
        await peer.opened()
        assert went_on is not None, "the client went on"
        went_on.append(True)

    return script


def test_scram_succeeds() -> None:
    async def main() -> None:
        went_on: list[bool] = []
        async with Fake(scram(Verifier(), went_on=went_on)) as fake:
            chat = chat_with(fake)
            connecting = asyncio.ensure_future(chat.connect())
            await eventually(lambda: went_on)
            await chat.disconnect()
            with pytest.raises(NotConnected):
                await connecting
        assert went_on == [True]

    run(main())


WRONG: dict[str, tuple[Callable[[str], str], Callable[[str], str | None]]] = {
    "another signature": (str, lambda text: "v=" + base64.b64encode(bytes(32)).decode()),
    "no signature": (str, lambda text: "v="),
    "an empty proof": (str, lambda text: ""),
    "no proof": (str, lambda text: None),
    "an error as a success": (str, lambda text: "e=invalid-proof"),
    "half a signature": (str, lambda text: text[:-4]),
    "another nonce": (lambda text: "r=another" + text[2:], str),
    "no salt": (lambda text: text.replace("s=", "x="), str),
    "a salt that is no base64": (lambda text: text.replace("s=YSBzYWx0", "s=YSBzY"), str),
    "no iterations": (lambda text: text.replace(",i=4096", ""), str),
    "zero iterations": (lambda text: text.replace("4096", "0"), str),
    "negative iterations": (lambda text: text.replace("4096", "-1"), str),
    "iterations in words": (lambda text: text.replace("4096", "many"), str),
    "too few iterations": (lambda text: text.replace("4096", "4095"), str),
    "too many iterations": (lambda text: text.replace("4096", "600001"), str),
    "endless iterations": (lambda text: text.replace("4096", "4294967295"), str),
    "an unknown extension": (lambda text: "m=extension," + text, str),
    "nothing at all": (lambda text: "", str),
    "an error at first": (lambda text: "e=other-error", str),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_scram_challenge_is_rejected(wrong: str) -> None:
    async def main() -> None:
        first, final = WRONG[wrong]
        error = await given_up(scram(Verifier(), first, final))
        assert type(error) is AuthenticationFailed
        assert "rules of the mechanism" in str(error)

    run(main())


def test_server_without_the_password_is_rejected() -> None:
    async def main() -> None:
        assert type(await given_up(scram(Verifier("another password")))) is AuthenticationFailed

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        f"<success xmlns='{SASL}'/>",
        f"<success xmlns='{SASL}'>{base64.b64encode(b'v=').decode()}</success>",
        f"<challenge xmlns='{SASL}'/>",
        f"<challenge xmlns='{SASL}'>not base64!</challenge>",
        "<message/>",
    ],
)
def test_scram_success_without_proof_is_rejected(answer: str) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await offering("SCRAM-SHA-256")(peer)
            await peer.expect(f"{{{SASL}}}auth")
            peer.send(answer)

        assert type(await given_up(script)) in (AuthenticationFailed, StreamRefused)

    run(main())


def test_challenge_to_plain_is_rejected() -> None:
    async def main() -> None:
        error = await given_up(failing("auth", f"<challenge xmlns='{SASL}'>aGVsbG8=</challenge>"))
        assert type(error) is AuthenticationFailed

    run(main())


def test_secrets_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("", "slixmpp", "connectycube.chat"):
        caplog.set_level(logging.DEBUG, name)

    async def main() -> None:
        await given_up(failing("auth", refusal("not-authorized")))
        async with Fake(plays_along) as fake, chat_with(fake):
            pass
        secret = base64.b64encode(f"\0{USER_ID}-{APP_ID}\0{PASSWORD}".encode()).decode()
        for record in caplog.records:
            assert PASSWORD not in record.getMessage()
            assert secret not in record.getMessage()

    run(main())


def test_plain_is_refused_where_scram_has_succeeded() -> None:
    async def main() -> None:
        async def with_scram(peer: Peer) -> None:
            await scram(Verifier(), went_on=[])(peer)
            peer.features(BIND_FEATURE)
            bind = await peer.expect(IQ)
            jid = f"<bind xmlns='{BIND}'><jid>{JID}</jid></bind>"
            peer.send(f"<iq type='result' id='{bind.get('id')}'>{jid}</iq>")
            await peer.set_up()

        async with online(with_scram, offering("PLAIN")) as (_, told, peer):
            peer.hang_up()
            _, refused = await told.all(Reconnecting, 2)
            assert "only PLAIN, but has used SCRAM before" in str(refused.error)

    run(main())
