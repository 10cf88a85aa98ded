"""The bridge to slixmpp, with a real client that gets its stanzas from memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring

import pytest
from slixmpp import ClientXMPP
from slixmpp.plugins.xep_0016.stanza import Item

from connectycube.stanzas import (
    Ack,
    BuildError,
    ChatMessage,
    IqResult,
    PrivacyItem,
    Stanza,
    StanzaError,
    parse,
)
from connectycube.stanzas.slixmpp_bridge import on, send

MESSAGE = '<message xmlns="jabber:client" type="chat"><body>hi</body></message>'
WRONG = '<message xmlns="jabber:client" type="chat"><extraParams><date_sent>x</date_sent></extraParams></message>'


@pytest.fixture
def client() -> Iterator[ClientXMPP]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield ClientXMPP("81001-7001@chat.connectycube.com", "secret")
    loop.run_until_complete(asyncio.sleep(0))
    asyncio.set_event_loop(None)
    loop.close()


def feed(client: ClientXMPP, *stanzas: str) -> None:
    async def run() -> None:
        for xml in stanzas:
            client._spawn_event(fromstring(xml))
        await asyncio.sleep(0)

    asyncio.get_event_loop_policy().get_event_loop().run_until_complete(run())


def test_stanzas_arrive_typed(client: ClientXMPP) -> None:
    found: list[Stanza] = []
    end = on(client, found.append)
    feed(client, MESSAGE, '<iq xmlns="jabber:client" id="1" type="result"/>', '<a xmlns="urn:xmpp:sm:3" h="3"/>')
    assert [type(stanza) for stanza in found] == [ChatMessage, IqResult, Ack]
    assert isinstance(found[0], ChatMessage)
    assert found[0].body == "hi"
    end()
    feed(client, MESSAGE)
    assert len(found) == 3


def test_only_the_given_classes_arrive(client: ClientXMPP) -> None:
    found: list[Stanza] = []
    on(client, found.append, IqResult, Ack)
    feed(client, MESSAGE, '<a xmlns="urn:xmpp:sm:3" h="3"/>')
    assert [type(stanza) for stanza in found] == [Ack]


def test_wrong_stanzas_are_reported(client: ClientXMPP) -> None:
    found: list[Stanza] = []
    wrong: list[tuple[Element, StanzaError]] = []
    on(client, found.append, on_error=lambda element, error: wrong.append((element, error)))
    feed(client, WRONG, MESSAGE)
    assert len(found) == 1
    ((element, error),) = wrong
    assert element.find("{jabber:client}extraParams") is not None
    assert error.path == ("message", "extraParams")


def test_wrong_stanzas_do_not_stop_others(client: ClientXMPP) -> None:
    found: list[Stanza] = []
    on(client, found.append)
    feed(client, WRONG, MESSAGE)
    assert len(found) == 1


def test_stanzas_are_sent(client: ClientXMPP, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(client, "send_raw", sent.append)
    send(client, parse(MESSAGE))
    assert [parse(xml) for xml in sent] == [parse(MESSAGE)]
    with pytest.raises(BuildError):
        send(client, ChatMessage(type="chat", body="\0"))
    assert len(sent) == 1


def test_package_does_not_need_slixmpp() -> None:
    code = (
        "import sys; sys.modules['slixmpp'] = None\n"
        "from connectycube import stanzas\n"
        "for name in stanzas.__all__: getattr(stanzas, name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("way", ["presence_in", "presence_out"])
def test_presence_directions_of_a_privacy_item_stay_apart(way: str) -> None:
    """slixmpp 1.17 reads and writes both as `presence-in`."""
    made = PrivacyItem(action="deny", order=1, **{way: True})  # type: ignore[arg-type]
    (flag,) = made.to_element()
    assert flag.tag == f"{{jabber:iq:privacy}}{way.replace('_', '-')}"
    again = PrivacyItem.parse(made.to_xml())
    assert (again.presence_in, again.presence_out) == (way == "presence_in", way == "presence_out")
    assert PrivacyItem.from_element(Item(xml=made.to_element()).xml) == made
