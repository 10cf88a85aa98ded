"""A server that does nothing but send messages to a bot and count the answers: `python -m benchmarks.bots.peer ...`."""

from __future__ import annotations

import asyncio
import re
import sys

HOST = "localhost"
SM = "urn:xmpp:sm:3"
HEADER = (
    f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='{HOST}' id='s'"
    " version='1.0'><stream:features>"
)
LOGIN = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
SESSION = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='{SM}'/>"
TAGS = re.compile(rb"<(stream:stream|auth|iq|enable|r|message|presence|body)\b([^>]*)>(?=(<[^>]*>)?)")
ID = re.compile(rb"""\bid=['"]([^'"]+)""")
EACH = 20
"""Messages of a user, before the next one takes over."""


class Peer:
    """The server's side of the bot's connection.

    :ivar answers: messages with a text that the bot has sent.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bot: str) -> None:
        self.reader = reader
        self.writer = writer
        self.bot = bot
        self.answers = 0
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()
        self._stanzas = 0
        self._streams = 0

    def send(self, text: str) -> None:
        self.writer.write(text.encode())

    async def serve(self) -> None:
        """Answer what the bot asks, until it leaves."""
        buffer = b""
        while data := await self.reader.read(1 << 16):
            buffer += data
            whole = buffer.rfind(b">") + 1
            for match in TAGS.finditer(buffer, 0, whole):
                self._tag(match[1], match[2], match[3] or b"")
            buffer = buffer[whole:]
            self.changed.set()
        self.writer.close()

    def _tag(self, name: bytes, attributes: bytes, child: bytes) -> None:
        if name == b"stream:stream":
            self._streams += 1
            self.send(f"{HEADER}{LOGIN if self._streams == 1 else SESSION}</stream:features>")
        elif name == b"auth":
            self.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        elif name == b"enable":
            if SM.encode() in attributes:  # Carbons are enabled, too.
                self._stanzas = 0
                self.send(f"<enabled xmlns='{SM}'/>")
        elif name == b"r":
            self.send(f"<a xmlns='{SM}' h='{self._stanzas}'/>")
        elif name == b"body":
            self.answers += 1
        else:
            self._stanzas += 1
            if name == b"iq":
                self._iq(attributes, child)
            elif name == b"presence":
                self.ready.set()

    def _iq(self, attributes: bytes, child: bytes) -> None:
        found = ID.search(attributes)
        if found is None or b"result" in attributes or b"error" in attributes:
            return
        content = ""
        if child.startswith(b"<bind"):
            content = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{self.bot}</jid></bind>"
        elif b"jabber:iq:roster" in child:
            content = "<query xmlns='jabber:iq:roster'/>"
        self.send(f"<iq type='result' id='{found[1].decode()}'>{content}</iq>")

    async def until(self, answers: int) -> None:
        """Wait until the bot has sent so many messages."""
        while self.answers < answers:
            self.changed.clear()
            await self.changed.wait()


async def feed(peer: Peer, messages: int, batch: int, app_id: str) -> None:
    """Send messages, a part at a time; after each, let the bot's clock advance."""
    await peer.ready.wait()
    for start in range(0, messages, batch):
        end = min(start + batch, messages)
        for number in range(start, end):
            user, dialog = 1_000 + number // EACH, f"{number // EACH:024x}"
            peer.send(
                f"<message from='{user}-{app_id}@{HOST}/desk' to='{peer.bot}' type='chat' id='{number:024x}'>"
                f"<body>message {number}</body><markable xmlns='urn:xmpp:chat-markers:0'/>"
                f"<extraParams xmlns='jabber:client'><save_to_history>1</save_to_history>"
                f"<dialog_id>{dialog}</dialog_id></extraParams></message>"
            )
        peer.send(f"<r xmlns='{SM}'/>")
        await peer.until(end)
        peer.send(
            f"<message from='1-{app_id}@{HOST}/desk' to='{peer.bot}' type='chat' id='{end:012x}{'f' * 12}'>"
            f"<body>advance {end}</body></message>"
        )


async def main(bot: str, app_id: str, messages: int, batch: int) -> None:
    done = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, bot)
        feeding = asyncio.ensure_future(feed(peer, messages, batch, app_id))
        await peer.serve()
        feeding.cancel()
        done.set()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await done.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
