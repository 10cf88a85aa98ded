"""Logins: PLAIN and SCRAM as steps of data, without a connection (RFC 4616, RFC 5802, RFC 7677)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from attrs import frozen

if TYPE_CHECKING:
    from ..core import Core
    from .addresses import Addresses

__all__ = ["MECHANISMS", "Challenge", "LoggedIn", "Login", "LoginFailed", "begin"]

Scram = Literal["SCRAM-SHA-1", "SCRAM-SHA-256"]
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
"""What is offered, best first. PLAIN is offered without TLS too: the sandbox listens on loopback (K-02, U-54)."""
_HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


class LoginFailed(Exception):
    """The login is refused.

    :ivar condition: of RFC 6120 section 6.5.
    """

    def __init__(self, condition: str = "not-authorized") -> None:
        super().__init__(condition)
        self.condition = condition


@frozen
class Challenge:
    """The server has something to say first."""

    data: bytes


@frozen
class LoggedIn:
    """The login is right.

    :ivar data: the server's last word.
    """

    user_id: int
    data: bytes | None = None


Step = Challenge | LoggedIn
Login = Callable[[bytes], Step]
"""What takes the client's data, once for each step.

:raises LoginFailed: if the login is refused.
"""


def begin(core: Core, addresses: Addresses, mechanism: str) -> Login:
    """Start a login.

    :raises LoginFailed: if there is no such mechanism.
    """
    match mechanism:
        case "PLAIN":
            return lambda data: _plain(core, addresses, data)
        case "SCRAM-SHA-1" | "SCRAM-SHA-256":
            return ScramLogin(core, addresses, mechanism)
        case _:
            raise LoginFailed("invalid-mechanism")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LoginFailed("malformed-request") from None


def _check_identity(addresses: Addresses, identity: str, user_id: int) -> None:
    """Nobody acts as another; the own bare JID may be said (CX-23)."""
    if identity and identity.lower() != addresses.user(user_id).lower():
        raise LoginFailed("invalid-authzid")


def _plain(core: Core, addresses: Addresses, data: bytes) -> LoggedIn:
    parts = _text(data).split("\0")
    if len(parts) != 3:
        raise LoginFailed("malformed-request")
    identity, name, secret = parts
    login = addresses.login(name)
    if login is None or not core.chat.authenticate(*login, secret):
        raise LoginFailed
    _check_identity(addresses, identity, login[0])
    return LoggedIn(login[0])


class ScramLogin:
    """An exchange of SCRAM. A proof that fits the password or any of the user's session tokens is right."""

    def __init__(self, core: Core, addresses: Addresses, mechanism: Scram) -> None:
        self._core = core
        self._addresses = addresses
        self._mechanism: Scram = mechanism
        self._hash = _HASHES[mechanism]
        self._first = True
        self._user_id = 0
        self._header = ""
        self._nonce = ""
        self._said = ""
        self._keys: tuple[bytes, ...] = ()

    def __call__(self, data: bytes) -> Step:
        if self._first:
            self._first = False
            return self._begin(_text(data))
        return self._finish(_text(data))

    def _begin(self, text: str) -> Challenge:
        flag, comma, rest = text.partition(",")
        identity, comma2, bare = rest.partition(",")
        if not comma or not comma2 or flag not in ("n", "y") or (identity and not identity.startswith("a=")):
            raise LoginFailed("malformed-request")
        fields = bare.split(",")
        if len(fields) < 2 or not fields[0].startswith("n=") or not fields[1].startswith("r=") or fields[1] == "r=":
            raise LoginFailed("malformed-request")
        self._header = f"{flag},{identity},"
        login = self._addresses.login(_name(fields[0][2:]))
        found = None if login is None else self._core.chat.scram(*login, self._mechanism)
        if login is not None:
            self._user_id = login[0]
            _check_identity(self._addresses, _name(identity[2:]), login[0])
        self._keys = () if found is None else tuple(found.salted_passwords)
        # Somebody who does not exist is told apart only at the end.
        salt = secrets.token_bytes(16) if found is None else found.salt
        rounds = 4096 if found is None else found.iterations
        self._nonce = fields[1][2:] + secrets.token_urlsafe(18)
        answer = f"r={self._nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        self._said = f"{bare},{answer}"
        return Challenge(answer.encode())

    def _finish(self, text: str) -> LoggedIn:
        without, comma, proof_text = text.rpartition(",p=")
        fields = without.split(",")
        if not comma or len(fields) < 2 or not fields[0].startswith("c="):
            raise LoginFailed("malformed-request")
        proof = _base64(proof_text)
        if _base64(fields[0][2:]) != self._header.encode() or fields[1] != f"r={self._nonce}":
            raise LoginFailed
        message = f"{self._said},{without}".encode()
        for key in self._keys:
            if self._fits(key, message, proof):
                server_key = hmac.digest(key, b"Server Key", self._hash)
                signature = hmac.digest(server_key, message, self._hash)
                return LoggedIn(self._user_id, b"v=" + base64.b64encode(signature))
        raise LoginFailed

    def _fits(self, salted: bytes, message: bytes, proof: bytes) -> bool:
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        stored = hashlib.new(self._hash, client_key).digest()
        signature = hmac.digest(stored, message, self._hash)
        if len(proof) != len(signature):
            return False
        claimed = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.new(self._hash, claimed).digest(), stored)


def _name(text: str) -> str:
    """A name as SCRAM writes it."""
    return text.replace("=2C", ",").replace("=3D", "=")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LoginFailed("malformed-request") from None
