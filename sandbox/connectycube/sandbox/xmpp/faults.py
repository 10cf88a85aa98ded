"""Stanza errors: the type and code of each condition, and the answer that carries it (RFC 6120 section 8.3)."""

from __future__ import annotations

from xml.etree.ElementTree import Element as XMLElement

from connectycube.stanzas import IqError, MessageError, PresenceError, Stanza, StanzaFault

from ..errors import Refused
from .xmlstream import CLIENT

__all__ = ["StanzaRefused", "error_to", "fault", "refusal"]

_KINDS: dict[str, tuple[str, int | None]] = {
    "bad-request": ("modify", 400),
    "conflict": ("cancel", 409),
    "feature-not-implemented": ("cancel", 501),
    "forbidden": ("auth", 403),
    "internal-server-error": ("cancel", 500),
    "item-not-found": ("cancel", 404),
    "jid-malformed": ("modify", 400),
    "not-acceptable": ("modify", 406),
    "not-allowed": ("cancel", 405),
    "not-authorized": ("auth", 401),
    "registration-required": ("auth", 407),
    "remote-server-not-found": ("cancel", 404),
    "resource-constraint": ("wait", 500),
    "service-unavailable": ("cancel", 503),
}
"""Type and code of each condition (RFC 6120 section 8.3.3). The SDKs show the codes of XEP-0086 (K-27)."""

_OF_STATUS = {
    400: "bad-request",
    401: "not-authorized",
    403: "forbidden",
    404: "item-not-found",
    409: "conflict",
    422: "not-acceptable",
    501: "feature-not-implemented",
}


class StanzaRefused(Exception):
    """A stanza must be answered with an error.

    :ivar condition: of RFC 6120 section 8.3.3.
    :ivar text: an explanation for people.
    """

    def __init__(self, condition: str, text: str | None = None) -> None:
        super().__init__(condition)
        self.condition = condition
        self.text = text


def refusal(refused: Refused) -> StanzaRefused:
    """Translate a refusal of the domain."""
    return StanzaRefused(_OF_STATUS.get(refused.status, "bad-request"), str(refused))


def fault(condition: str, text: str | None = None) -> StanzaFault:
    """Return the `<error/>` of a condition."""
    kind, code = _KINDS[condition]
    return StanzaFault(type=kind, code=code, condition=condition, text=text)


def error_to(element: XMLElement, sender: str, refused: StanzaRefused) -> Stanza | None:
    """Return the answer to a refused stanza, or `None` if it must not have one (RFC 6120 sections 8.2.3 and 8.3.1).

    Nobody else has to check: refusing an error, or an answer to a request, drops it.

    :param sender: the JID that sent it.
    """
    kind = element.get("type")
    to = element.get("to")
    error = fault(refused.condition, refused.text)
    from_ = to if refused.condition != "jid-malformed" else None
    if kind == "error" or (kind == "result" and element.tag == f"{{{CLIENT}}}iq"):
        return None
    if element.tag == f"{{{CLIENT}}}iq":
        return IqError(id=element.get("id", ""), from_=from_, to=sender, error=error)
    if element.tag == f"{{{CLIENT}}}message":
        return MessageError(id=element.get("id"), from_=from_, to=sender, error=error)
    return PresenceError(id=element.get("id"), from_=from_, to=sender, error=error)
