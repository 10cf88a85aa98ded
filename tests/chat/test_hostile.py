"""A malicious server: document types, deep nesting, very long texts, bytes in pieces."""

from __future__ import annotations

import sys

import pytest

from connectycube.chat import MessageReceived, Reason, Reconnecting, StanzaRejected, StreamRefused
from tests.chat.fake import HEADER, STREAMS, Peer, Step, failing, given_up, online, retried
from tests.integration.support import run

OTHER = "5-7001@localhost"
HELLO = f"<message from='{OTHER}/x' type='chat' id='m1'><body>hello</body></message>"
BOMB = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10 if n else 'lol'}'>" for n in range(8))


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE stream>",
        "<!DOCTYPE stream [<!ENTITY a 'b'>]>",
        f"<?xml version='1.0'?><!DOCTYPE stream [{BOMB}]>",
        "<!DOCTYPE stream SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE stream [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
        "<!-- a comment -->",
        "<?xml-stylesheet href='x'?>",
        "\ufeff<?xml version='1.0' encoding='UTF-8'?>\n<?x <a> ?><!DOCTYPE stream>",
    ],
)
@pytest.mark.parametrize("at", ["header", "restart"])
@pytest.mark.parametrize("whole", [True, False])
def test_document_type_is_rejected(prolog: str, at: Step, whole: bool) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            text = f"{prolog}{HEADER}<stream:features/>"
            await peer.session(at=at, fault=text if whole else "")
            if not whole:
                for letter in text:
                    peer.send(letter)
                    await peer.drained()
            error = await peer.next()
            assert (error.tag, error[0].tag.partition("}")[2]) == (f"{{{STREAMS}}}error", "restricted-xml")

        error, _ = await retried(script)
        assert (error.reason, error.condition) == (Reason.STREAM, "restricted-xml")

    run(main())


@pytest.mark.parametrize(
    "prolog", ["", "\ufeff", " \n", "<?xml version='1.0'?>", "<?xml version='1.0' encoding='utf-8'?>\n"]
)
@pytest.mark.parametrize("whole", [True, False])
def test_allowed_prolog_is_accepted(prolog: str, whole: bool) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.opened()
            text = f"{prolog}{HEADER}<stream:features><![CDATA[<!DOCTYPE a>]]></stream:features>"
            for part in [text] if whole else text:
                peer.send(part)
                await peer.drained()

        error = await given_up(script)
        assert "no way to authenticate" in str(error)

    run(main())


@pytest.mark.parametrize("text", ["<!DOCTYPE a>", "&a0;", "<message><body>&a0;</body></message>"])
def test_declarations_and_entities_within_the_stream_are_rejected(text: str) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            peer.send(text)
            reconnecting = await told.one(Reconnecting)
            assert reconnecting.error.condition == "not-well-formed"

    run(main())


@pytest.mark.parametrize("text", ["<!-- a comment -->", "<?target instruction?>"])
@pytest.mark.parametrize("before", [HELLO, "<message><body>"])
def test_comments_and_instructions_end_the_stream(before: str, text: str) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            for part in (before, text[:1], text[1:3], text[3:]):
                peer.send(part)
                await peer.drained()
            assert (await told.one(Reconnecting)).error.condition == "restricted-xml"
            assert len(told.of(MessageReceived)) == (before == HELLO)

    run(main(), timeout=15)


def test_whitespace_between_stanzas_is_ignored() -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            peer.send(f" \n\t{HELLO} \n\t")
            assert (await told.one(MessageReceived)).message.body == "hello"
            assert not told.of(StanzaRejected)

    run(main())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<x xmlns='urn:unknown'>", "</x>"),
        (f"<message from='{OTHER}'><body>deep</body><x xmlns='urn:unknown'>", "</x></message>"),
        (f"<message from='{OTHER}' type='chat'><body>deep</body><extraParams>", "</extraParams></message>"),
        (f"<iq type='get' id='q1' from='{OTHER}'><x xmlns='urn:unknown'>", "</x></iq>"),
        ("<iq type='set' id='q1'><query xmlns='jabber:iq:roster'>", "</query></iq>"),
    ],
)
@pytest.mark.parametrize("depth", [100, sys.getrecursionlimit() * 2, 50_000])
def test_deep_nesting_keeps_the_connection(before: str, after: str, depth: int) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send(before + "<a>" * depth + "</a>" * depth + after + HELLO)
            await told.one(MessageReceived, lambda event: event.message.body == "hello")
            await chat.ping()
            assert chat.online

    run(main())


def test_long_text_is_received() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            text = "€" * 170_000  # Nearly as long as a stanza may be.
            peer.send(f"<message from='{OTHER}' type='chat'><body>{text}</body></message>")
            assert (await told.one(MessageReceived)).message.body == text
            broken = f"<replace xmlns='urn:xmpp:message-correct:0' a='{text}'/>"
            peer.send(f"<message from='{OTHER}' type='chat'>{broken}</message>")
            assert len((await told.one(StanzaRejected)).xml) <= 1000
            assert chat.online

    run(main())


def test_stanza_arriving_byte_by_byte_is_received() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            await chat.ping()
            peer.acking = False  # So that nothing else is written in between.
            text = f"<message from='{OTHER}' type='chat'><body>&lt;ü€\U0001f600&#x20AC;</body></message>"
            for byte in text.encode():
                peer.send(bytes([byte]))
                await peer.drained()
            assert (await told.one(MessageReceived)).message.body == "<ü€\U0001f600€"

    run(main())


def test_stanzas_after_the_end_are_ignored() -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            peer.send(f"</stream:stream>{HELLO}")
            assert (await told.one(Reconnecting)).error.reason is Reason.NETWORK
            assert not told.of(MessageReceived)

    run(main())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_other_encoding_is_rejected(encoding: str) -> None:
    async def main() -> None:
        text = f"<?xml version='1.0' encoding='utf-16'?>{HEADER}<stream:features/>".encode(encoding)
        error = await given_up(failing("header", text))
        assert (type(error), error.condition) == (StreamRefused, "unsupported-encoding")

    run(main())
