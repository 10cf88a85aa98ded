"""Follow the wire facts where the platform's own SDKs disagree (CX-01, CX-09, CX-17, CX-20)."""

from __future__ import annotations

import pytest

from connectycube.stanzas import (
    Attachment,
    ChatMessage,
    DeliveredMark,
    ExtraParams,
    Markable,
    ReceivedCarbonMessage,
    parse,
)

FORWARDED = (
    '<message xmlns="jabber:client" from="1-2@c"><received xmlns="urn:xmpp:carbons:2">'
    '<forwarded xmlns="urn:xmpp:forward:0">'
    '<message xmlns="jabber:client" type="chat"><body>hi</body></message></forwarded></received></message>'
)


def test_carbon_is_not_a_mark() -> None:
    """CX-09: both are called `received`; the namespace tells them apart."""
    assert isinstance(parse(FORWARDED), ReceivedCarbonMessage)
    assert not isinstance(parse(FORWARDED), DeliveredMark)
    mark = parse('<message type="chat"><received xmlns="urn:xmpp:chat-markers:0" id="m1"/></message>')
    assert isinstance(mark, DeliveredMark)
    receipt = parse('<message type="chat"><received xmlns="urn:xmpp:receipts" id="m1"/></message>')
    assert not isinstance(receipt, DeliveredMark)


def test_both_forms_of_markable_are_read() -> None:
    """CX-01: the element is sent."""
    one = parse('<message type="chat"><body>a</body><markable xmlns="urn:xmpp:chat-markers:0"/></message>')
    two = parse('<message type="chat"><body>a</body><extraParams><markable>1</markable></extraParams></message>')
    assert isinstance(one, ChatMessage)
    assert isinstance(two, ChatMessage)
    assert one.markable == Markable()
    assert two.extra is not None
    assert two.extra.markable is True
    written = ChatMessage(type="chat", body="a", markable=Markable()).to_xml()
    assert '<markable xmlns="urn:xmpp:chat-markers:0"/>' in written


def test_file_has_both_keys() -> None:
    """CX-17: `id` and `uid` are sent, and reading loses neither."""
    both = Attachment.parse('<attachment type="photo" id="7" uid="u"/>')
    assert (both.id, both.uid) == ("7", "u")
    written = Attachment(type="photo", id="u", uid="u").to_xml()
    assert 'id="u"' in written
    assert ' uid="u"' in written


@pytest.mark.parametrize("text", ["{&quot;lat&quot;:1.5}", "%7B%22lat%22%3A1.5%7D"], ids=["json", "percent"])
def test_both_encodings_of_data_are_read(text: str) -> None:
    """CX-20: escaped JSON is sent."""
    found = Attachment.parse(f'<attachment type="location" data="{text}"/>')
    assert found.data == {"lat": 1.5}
    assert "%7B" not in ExtraParams(attachments=(found,)).to_xml()
