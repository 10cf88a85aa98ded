"""The check for every input, and the examples that fuzzing starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from connectycube.stanzas import Stanza, StanzaError, parse
from generator.stanzas.language import read

BASE = Path(__file__).resolve().parents[2]
SPEC = BASE / "spec" / "stanzas"
FAILED = Path(__file__).with_name("failed")
"""Inputs that once failed."""


class Broken(AssertionError):
    """An input that is not handled as documented."""


def check(data: bytes) -> bool:
    """Tell whether an input is a stanza. If so, it must survive being written and read again.

    :raises Broken: if it does not, or if it is rejected with an error other than `StanzaError`.
    """
    try:
        stanza = parse(data)
    except StanzaError:
        return False
    except Exception as error:
        raise Broken(f"{type(error).__name__} from parse({data!r})") from error
    if not isinstance(stanza, Stanza):
        raise Broken(f"parse({data!r}) gives a {type(stanza).__name__}")
    try:
        xml = stanza.to_xml()
        again = parse(xml)
    except Exception as error:
        raise Broken(f"{data!r} is read as {stanza!r}, which can't be written and read: {error!r}") from error
    if again != stanza:
        raise Broken(f"{data!r} is read as\n{stanza!r}, written as\n{xml!r}, and read as\n{again!r}")
    return True


def examples() -> Iterator[bytes]:
    """Return the XML of all examples of the spec, right and wrong."""
    for element in read(SPEC, BASE).elements.values():
        for example in element.examples:
            yield example.xml.encode()
        for wrong in element.wrong:
            yield wrong.xml.encode()
