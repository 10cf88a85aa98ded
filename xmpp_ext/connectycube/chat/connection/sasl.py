"""Authentication: the choice of a mechanism, and its messages (RFC 6120 section 6, RFC 4616, RFC 5802, RFC 7677).

The mechanisms are slixmpp's. Two parts of its SCRAM are replaced: the key derivation, 20 ms of pure Python that block
the loop, and the nonce, which does not come from a secure source of randomness.
"""

# slixmpp's mechanisms get their type from a decorator that has none.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from slixmpp.util.sasl.client import SASLCancelled, SASLFailed, saslprep
from slixmpp.util.sasl.mechanisms import PLAIN, SCRAM
from slixmpp.util.stringprep_profiles import StringPrepError

__all__ = ["HASHES", "Mechanism", "MechanismError", "choose"]

HASHES: Final = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
"""Mechanisms that never reveal the password, best first."""

LEAST_ITERATIONS: Final = 4096
"""RFC 7677 section 4. With fewer, whoever pretends to be the server could guess the password from the proof."""
MOST_ITERATIONS: Final = 600_000
"""What OWASP recommends to store passwords with. A server that asks for more only wants to keep the client busy."""


class MechanismError(Exception):
    """The server offers no usable mechanism, or violates the rules of one."""


class _Scram(SCRAM):
    def process_1(self, challenge: bytes) -> bytes:
        super().process_1(challenge)
        bare: bytes = self.client_first_message_bare
        bare = bare.removesuffix(self.cnonce)
        self.cnonce = secrets.token_urlsafe(24).encode()
        self.client_first_message_bare = bare + self.cnonce
        self.client_first_message = self.gs2_header + self.client_first_message_bare
        return self.client_first_message

    def Hi(self, text: Any, salt: bytes, iterations: int) -> bytes:
        if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            limits = f"{LEAST_ITERATIONS} to {MOST_ITERATIONS}"
            problem = f"it asks for {iterations} iterations, but {limits} are accepted"
            raise MechanismError(f"{self.name}: the server violated the rules of the mechanism: {problem}")
        return hashlib.pbkdf2_hmac(HASHES[self.name], text, salt, iterations)


class Mechanism:
    """One run of a mechanism."""

    __slots__ = ("_mech", "name")

    def __init__(self, name: str, mech: Any) -> None:
        self.name = name
        self._mech = mech

    def step(self, data: bytes | None) -> bytes:
        """Return the answer to the server's data.

        :raises MechanismError: if the data violates the rules of the mechanism.
        """
        if self.name == "PLAIN" and data is not None:
            raise MechanismError("PLAIN: the server sent a challenge, which the mechanism does not have")
        try:
            answer: bytes | None = self._mech.process(data or b"")
        except (SASLFailed, SASLCancelled, ValueError, KeyError, IndexError) as error:
            raise MechanismError(f"{self.name}: the server violated the rules of the mechanism") from error
        return answer or b""

    def end(self, data: bytes | None) -> None:
        """Check the data that came with the success.

        In SCRAM it proves that the server knows the password, too (RFC 5802 section 5).

        :raises MechanismError: if it does not.
        """
        if self.name in HASHES and not (data is None and self._mech._mutual_auth):
            self.step(data)


def choose(offered: tuple[str, ...], username: str, password: str, *, plain: bool, proven: bool = False) -> Mechanism:
    """Choose the best mechanism that the server offers. ANONYMOUS is never used.

    :param plain: whether PLAIN, which reveals the password to the server, may be used.
    :param proven: whether the server is known to support SCRAM: only an attacker would withhold it then.
    :raises MechanismError: if none is usable.
    """
    # U-54: the platform offers ANONYMOUS, which would log in as nobody in particular.
    try:
        username, password = saslprep(username), saslprep(password)
    except StringPrepError as error:
        raise MechanismError("the user name or password contains characters that are not allowed in one") from error
    credentials = {"username": username.encode(), "password": password.encode(), "authzid": b"", "channel_binding": b""}
    # Python can't export keying material, which the channel binding of TLS 1.3 needs (RFC 9266), so the client has
    # none. With `binding_proposed`, SCRAM says so by `n`. `y` would claim that the server lacks it, and a server that
    # has it must refuse that as an attack (RFC 5802 section 6).
    security = {"encrypted": True, "encrypted_plain": True, "binding_proposed": True, "tls_version": None}
    for name in HASHES:
        if name in offered:
            return Mechanism(name, _Scram(name, credentials, security))
    if "PLAIN" in offered:
        if proven:
            raise MechanismError("the server offers only PLAIN, but has used SCRAM before: someone may have removed it")
        if plain:
            return Mechanism("PLAIN", PLAIN("PLAIN", credentials, security))
        raise MechanismError("the server offers only PLAIN, which is not used without TLS: see allow_insecure")
    raise MechanismError(f"the server offers no supported mechanism, only {', '.join(offered) or 'none at all'}")
