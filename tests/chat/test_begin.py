"""What a new session begins with, and when `connect` is done."""

from __future__ import annotations

import asyncio

from tests.chat.fake import IQ, PRESENCE, Fake, Peer, chat_with
from tests.integration.support import run

CARBONS = "{urn:xmpp:carbons:2}enable"
ROSTER = "{jabber:iq:roster}query"


def test_connect_is_done_when_the_server_has_handled_the_presence() -> None:
    """Else who writes to the user at once might find nobody here."""

    async def main() -> None:
        connecting: list[asyncio.Task[None]] = []

        async def script(peer: Peer) -> None:
            await peer.session(furnish=False)
            roster = await peer.expect(IQ)
            assert roster[0].tag == ROSTER
            peer.answer(roster)
            await peer.expect(PRESENCE)
            last = await peer.expect(IQ)
            assert last[0].tag == CARBONS
            assert not connecting[0].done()
            peer.answer(last)
            await peer.serve()

        async with Fake(script) as fake:
            chat = chat_with(fake)
            connecting.append(asyncio.ensure_future(chat.connect()))
            await connecting[0]
            await chat.disconnect()

    run(main())
