"""Logins with PLAIN and SCRAM, as steps without a connection (RFC 4616, RFC 5802, RFC 7677)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any

from attrs import define, evolve, frozen
from scramp import ScramException, ScramMechanism
from scramp.utils import ServerError

from ..addresses import Addresses
from ..domain.accounts import SCRAM_ITERATIONS, Mechanism, ScramSecrets
from ..domain.chat import ChatRules

__all__ = ["MECHANISMS", "LoggedIn", "Login", "LoginFailed", "Logins"]

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
"""The mechanisms that are offered, best first. PLAIN needs no TLS, as the sandbox is on loopback (K-02, U-54)."""
_NOT_AUTHORIZED = (ServerError.INVALID_PROOF, ServerError.CHANNEL_BINDINGS_DONT_MATCH)


class LoginFailed(Exception):
    """The login is refused.

    :ivar condition: of RFC 6120 section 6.5.
    """

    def __init__(self, condition: str = "not-authorized") -> None:
        super().__init__(condition)
        self.condition = condition


@frozen
class LoggedIn:
    """The login succeeded.

    :ivar data: sent along with the success.
    """

    user_id: int
    data: bytes | None = None


Login = Callable[[bytes], bytes | LoggedIn]
"""Takes the client's data, once for each step, and returns the next challenge until the login succeeds.

:raises LoginFailed: if the login is refused.
"""


@define(eq=False)
class Logins:
    """Checks logins against the accounts."""

    _addresses: Addresses
    _rules: ChatRules

    def begin(self, mechanism: str) -> Login:
        """Start a login.

        :raises LoginFailed: if there is no such mechanism.
        """
        match mechanism:
            case "PLAIN":
                return self._plain
            case "SCRAM-SHA-1" | "SCRAM-SHA-256":
                return _ScramLogin(self, mechanism)
            case _:
                raise LoginFailed("invalid-mechanism")

    def _plain(self, data: bytes) -> LoggedIn:
        parts = _text(data).split("\0")
        if len(parts) != 3:
            raise LoginFailed("malformed-request")
        identity, name, secret = parts
        login = self._addresses.login(name)
        if login is None or not self._rules.authenticate(*login, secret):
            raise LoginFailed
        self.check_identity(identity, login[0])
        return LoggedIn(login[0])

    def check_identity(self, identity: str, user_id: int) -> None:
        """Refuse to act as another user. The user's own bare JID is allowed (CX-23)."""
        if identity and identity.lower() != self._addresses.user(user_id).lower():
            raise LoginFailed("invalid-authzid")

    def find(self, name: str, mechanism: Mechanism) -> tuple[int | None, ScramSecrets]:
        """Return the user of a login name, and what a SCRAM login is checked against."""
        login = self._addresses.login(name)
        found = None if login is None else self._rules.scram(*login, mechanism)
        if found is None:
            found = ScramSecrets(salt=secrets.token_bytes(16), iterations=SCRAM_ITERATIONS, salted_passwords=())
        if not found.salted_passwords:
            # The login has to fail at the last step, as one with a wrong password does.
            found = evolve(found, salted_passwords=(secrets.token_bytes(32),))
        return None if login is None else login[0], found


@frozen
class _Gs2Header:
    """What a client's first message begins with. scramp's own class has no place for an identity to act as."""

    text: str

    def make_cbind_input(self, channel_binding: object) -> bytes:
        """Return the value that the client repeats in its last message."""
        return self.text.encode()


class _ScramLogin:
    """A SCRAM exchange, which accepts a proof made from the password or from any of the user's session tokens.

    An exchange of scramp checks one secret, so there is one for each. With the same salt and nonce, they all make the
    same challenge.
    """

    def __init__(self, logins: Logins, mechanism: Mechanism) -> None:
        self._logins = logins
        self._mechanism: Mechanism = mechanism
        self._scramp = ScramMechanism(mechanism)
        self._user_id: int | None = None
        self._exchanges: list[Any] = []
        self._challenge = ""

    def __call__(self, data: bytes) -> bytes | LoggedIn:
        return self._finish(_text(data)) if self._exchanges else self._begin(_text(data))

    def _begin(self, text: str) -> bytes:
        flag, _, rest = text.partition(",")
        identity, _, bare = rest.partition(",")
        if identity and not identity.startswith("a="):
            raise LoginFailed("malformed-request")
        name = _unescaped(bare.partition(",")[0])
        self._user_id, found = self._logins.find(name, self._mechanism)
        if self._user_id is not None:
            self._logins.check_identity(_unescaped(identity), self._user_id)
        nonce = secrets.token_urlsafe(18)
        for salted in found.salted_passwords:
            secret = (found.salt, *self._keys(salted), found.iterations)
            exchange: Any = self._scramp.make_server(lambda name, secret=secret: secret, s_nonce=nonce)
            try:
                exchange.set_client_first(f"{flag},,{bare}")
            except ScramException:
                raise LoginFailed("malformed-request") from None
            exchange.gs2_header = _Gs2Header(f"{flag},{identity},")
            self._challenge = exchange.get_server_first()
            self._exchanges.append(exchange)
        return self._challenge.encode()

    def _keys(self, salted: bytes) -> tuple[bytes, bytes]:
        """Return the stored key and the server key of a salted password (RFC 5802 section 3)."""
        client_key = hmac.digest(salted, b"Client Key", self._scramp.hf)
        return self._scramp.hf(client_key).digest(), hmac.digest(salted, b"Server Key", self._scramp.hf)

    def _finish(self, text: str) -> LoggedIn:
        failed = LoginFailed()
        for exchange in self._exchanges:
            try:
                exchange.set_client_final(text)
            except ScramException as error:
                # scramp reports a wrong nonce and a malformed message alike.
                wrong_nonce = ",r=" in text and self._challenge.partition(",")[0] not in text.split(",")
                if error.server_error not in _NOT_AUTHORIZED and not wrong_nonce:
                    failed = LoginFailed("malformed-request")
            else:
                assert self._user_id is not None
                return LoggedIn(self._user_id, exchange.get_server_final().encode())
        raise failed


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LoginFailed("malformed-request") from None


def _unescaped(field: str) -> str:
    """Return the name in a field such as `n=name`."""
    return field[2:].replace("=2C", ",").replace("=3D", "=")
