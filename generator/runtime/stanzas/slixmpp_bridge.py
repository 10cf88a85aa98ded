"""Typed stanzas on a slixmpp stream. Only this module needs slixmpp: install `connectycube[chat]`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from xml.etree.ElementTree import Element as XMLElement

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from ._roots import FAMILIES, parse
from ._xml import Stanza, StanzaError

__all__ = ["on", "send"]

_numbers = count(1)


def send(stream: ClientXMPP, stanza: Stanza) -> None:
    """Write a stanza to a stream.

    :raises BuildError: if a field can't be written. Nothing is sent.
    """
    stream.send_raw(stanza.to_xml())


class _Known(MatcherBase):
    """Matches every element that may be a stanza."""

    def match(self, xml: Any) -> bool:
        return xml.xml.tag in FAMILIES


def on(
    stream: ClientXMPP,
    callback: Callable[[Any], object],
    *classes: type[Stanza],
    on_error: Callable[[XMLElement, StanzaError], object] | None = None,
) -> Callable[[], None]:
    """Pass the typed stanzas of a stream to a callback.

    :param callback: called with each stanza of the given classes.
    :param classes: the classes to pass on (default: all).
    :param on_error: called with an element that fits no class, and the error.
    :returns: a function that unregisters the callback.
    """
    wanted = classes or (Stanza,)

    def handle(received: Any) -> None:
        try:
            stanza = parse(received.xml)
        except StanzaError as error:
            if on_error is not None:
                on_error(received.xml, error)
            return
        if isinstance(stanza, wanted):
            callback(stanza)

    name = f"connectycube stanzas {next(_numbers)}"
    stream.register_handler(Callback(name, _Known(None), handle))

    def end() -> None:
        stream.remove_handler(name)

    return end
