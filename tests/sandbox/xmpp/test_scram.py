"""SCRAM logins, message by message (RFC 5802)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest

from connectycube.sandbox import Sandbox

from .raw import Connect, Raw

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
Change = Callable[[str], str]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def read_answer(client: Raw) -> tuple[str, str]:
    """Read the server's answer: its name and text, or the condition of a failure."""
    answer = client.read()
    name = answer.tag.removeprefix(f"{{{SASL}}}")
    if name == "failure":
        return name, answer[0].tag.removeprefix(f"{{{SASL}}}")
    return name, base64.b64decode(answer.text or "").decode()


class Login:
    """A client's side of an exchange."""

    def __init__(self, client: Raw, mechanism: str = "SCRAM-SHA-256") -> None:
        self._client = client
        self._mechanism = mechanism
        self._hash = HASHES[mechanism]

    def run(
        self,
        name: str,
        secret: str,
        *,
        header: str = "n,,",
        first: Change = str,
        last: Change = str,
    ) -> str:
        """Return `success`, or the condition of the failure.

        :param first: changes the client's first message.
        :param last: changes the client's last message.
        """
        bare = f"n={name},r=abc"
        data = encoded(first(header + bare))
        self._client.send(f'<auth xmlns="{SASL}" mechanism="{self._mechanism}">{data}</auth>')
        kind, challenge = read_answer(self._client)
        if kind == "failure":
            return challenge
        fields = dict(field.split("=", 1) for field in challenge.split(","))
        assert fields["r"].startswith("abc")
        assert len(fields["r"]) > 20
        salt = base64.b64decode(fields["s"])
        salted = hashlib.pbkdf2_hmac(self._hash, secret.encode(), salt, int(fields["i"]))
        unproved = f"c={encoded(header)},r={fields['r']}"
        message = f"{bare},{challenge},{unproved}".encode()
        data = encoded(last(f"{unproved},p={base64.b64encode(self._proof(salted, message)).decode()}"))
        self._client.send(f'<response xmlns="{SASL}">{data}</response>')
        kind, text = read_answer(self._client)
        if kind == "failure":
            return text
        signature = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), message, self._hash)
        assert text == "v=" + base64.b64encode(signature).decode()
        return kind

    def _proof(self, salted: bytes, message: bytes) -> bytes:
        key = hmac.digest(salted, b"Client Key", self._hash)
        signature = hmac.digest(hashlib.new(self._hash, key).digest(), message, self._hash)
        return bytes(one ^ other for one, other in zip(key, signature, strict=True))


def opened(raw: Connect) -> Raw:
    client: Raw = raw()
    client.open()
    return client


@pytest.fixture
def name(sandbox: Sandbox, mary: int) -> str:
    return f"{mary}-{sandbox.app_id}"


@pytest.mark.parametrize("mechanism", HASHES)
def test_password_and_every_session_token_are_accepted(
    sandbox: Sandbox, raw: Connect, mary: int, name: str, mechanism: str
) -> None:
    tokens = [sandbox.call(sandbox.core.sessions.open_for, mary).token for _ in range(3)]
    for secret in ("pass", *tokens):
        assert Login(opened(raw), mechanism).run(name, secret) == "success"
    assert Login(opened(raw), mechanism).run(name, "wrong") == "not-authorized"


@pytest.mark.parametrize(
    ("header", "outcome"),
    [
        ("y,,", "success"),
        ("n,a={name}@localhost,", "success"),
        ("n,a=5-7@localhost,", "invalid-authzid"),
        ("n,{name}@localhost,", "malformed-request"),
        ("p=tls-unique,,", "malformed-request"),
    ],
)
def test_header_of_the_first_message(raw: Connect, name: str, header: str, outcome: str) -> None:
    assert Login(opened(raw)).run(name, "pass", header=header.replace("{name}", name)) == outcome


@pytest.mark.parametrize("unknown", ["999-1", "mary", "=2C"])
def test_unknown_users_fail_at_the_last_step(raw: Connect, unknown: str) -> None:
    assert Login(opened(raw)).run(unknown, "pass") == "not-authorized"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.partition(",r=")[0],
        lambda text: text.replace("r=abc", "r="),
        lambda text: text.replace("n=", "", 1),
        lambda text: text.replace("n,,", "n,,m=x,"),
        lambda text: text.replace(",", ""),
    ],
    ids=["no nonce", "empty nonce", "no name", "extension", "no header"],
)
def test_malformed_first_messages_are_refused(raw: Connect, name: str, change: Change) -> None:
    assert Login(opened(raw)).run(name, "pass", first=change) == "malformed-request"


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        (lambda text: text.replace(",r=abc", ",r=abd"), "not-authorized"),
        (lambda text: text.replace("c=biws", "c=eSws"), "not-authorized"),
        (lambda text: f"{text.partition(',p=')[0]},p=AAAA", "not-authorized"),
        (lambda text: text.replace("c=biws", "c=?"), "malformed-request"),
        (lambda text: text.replace("c=biws,", ""), "malformed-request"),
        (lambda text: f"{text.partition(',p=')[0]},p=?", "malformed-request"),
        (lambda text: text.partition(",p=")[0], "malformed-request"),
        (lambda text: "x", "malformed-request"),
    ],
    ids=["nonce", "header", "short proof", "header text", "no header", "proof text", "no proof", "no fields"],
)
def test_wrong_last_messages_are_refused(raw: Connect, name: str, change: Change, condition: str) -> None:
    assert Login(opened(raw)).run(name, "pass", last=change) == condition
