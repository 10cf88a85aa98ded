"""A scripted server, for what a real one never does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import AsyncChat, ConnectError, ConnectionFailed, Reconnecting, State
from connectycube.chat.machines.connection import Backoff
from tests.integration.chats import Told
from tests.integration.support import Seen

APP_ID = 7001
USER_ID = 81001
HOST = "localhost"
BARE = f"{USER_ID}-{APP_ID}@{HOST}"
JID = f"{BARE}/desk"
PASSWORD = "Secret-4711"

CLIENT = "{jabber:client}"
IQ, MESSAGE, PRESENCE = f"{CLIENT}iq", f"{CLIENT}message", f"{CLIENT}presence"
STREAMS = "http://etherx.jabber.org/streams"
ROSTER = "{jabber:iq:roster}query"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION = "urn:ietf:params:xml:ns:xmpp-session"
SM = "urn:xmpp:sm:3"

HEADER = f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' from='{HOST}' id='s1' version='1.0'>"
SM_FEATURE = f"<sm xmlns='{SM}'/>"
BIND_FEATURE = f"<bind xmlns='{BIND}'/>"

Step = Literal["header", "features", "auth", "restart", "bind", "enable", "session"]
STEPS: list[Step] = ["header", "features", "auth", "restart", "bind", "enable", "session"]


def mechanisms(*names: str) -> str:
    return f"<mechanisms xmlns='{SASL}'>{''.join(f'<mechanism>{name}</mechanism>' for name in names)}</mechanisms>"


def stream_error(condition: str, text: str = "", more: str = "") -> str:
    ns = "urn:ietf:params:xml:ns:xmpp-streams"
    words = f"<text xmlns='{ns}'>{text}</text>" if text else ""
    return f"<stream:error><{condition} xmlns='{ns}'/>{words}{more}</stream:error></stream:stream>"


class Peer:
    """The server's side of one connection.

    :ivar seen: what the client sent, without requests for acknowledgement.
    :ivar count: stanzas since stream management was switched on.
    :ivar acks: what the client acknowledged.
    :ivar acking: requests for acknowledgement are answered at once.
    :ivar answering: requests are answered at once.
    :ivar roster: the items of the contact list.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser: Any = None
        self._events: list[tuple[str, ET.Element]] = []
        self._depth = 0
        self.seen: Seen[ET.Element] = Seen()
        self.acks: Seen[int] = Seen()
        self.count = 0
        self.acking = self.answering = True
        self.roster = ""

    def send(self, xml: str | bytes) -> None:
        self._writer.write(xml.encode() if isinstance(xml, str) else xml)

    async def drained(self) -> None:
        """Send what was written as a packet of its own."""
        await self._writer.drain()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        self._writer.close()

    async def _event(self) -> tuple[str, ET.Element]:
        while not self._events:
            if not (data := await self._reader.read(65536)):
                raise EOFError
            self._parser.feed(data)
            self._events += self._parser.read_events()
        return self._events.pop(0)

    async def next(self) -> ET.Element:
        """Read the next element; raise `EOFError` at the end of the stream."""
        while True:
            event, element = await self._event()
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 0:
                raise EOFError
            if event == "end" and self._depth == 1:
                if element.tag in (IQ, MESSAGE, PRESENCE):
                    self.count += 1
                if element.tag == f"{{{SM}}}a":
                    self.acks.append(int(element.get("h", "")))
                if element.tag == f"{{{SM}}}r":
                    if self.acking:
                        self.ack()
                    continue
                self.seen.append(element)
                return element

    def ack(self, h: int | None = None) -> None:
        """Acknowledge everything received, or `h` stanzas."""
        self.send(f"<a xmlns='{SM}' h='{self.count if h is None else h}'/>")

    async def expect(self, tag: str) -> ET.Element:
        """Read the next element, and check its tag."""
        found = await self.next()
        assert found.tag == tag, f"{found.tag} in place of {tag}"
        return found

    # The steps to a session

    async def opened(self) -> None:
        """Wait for the client to open a stream."""
        self._parser = ET.XMLPullParser(("start", "end"))
        self._events.clear()
        self._depth = 1
        event, root = await self._event()
        assert (event, root.tag) == ("start", f"{{{STREAMS}}}stream")

    def features(self, *features: str) -> None:
        self.send(f"{HEADER}<stream:features>{''.join(features)}</stream:features>")

    async def session(
        self, *features: str, at: Step | None = None, fault: str | bytes = "", jid: str = JID, set_up: bool = True
    ) -> None:
        """Run all steps up to a session. At one of them, send the fault instead of what belongs there.

        :param features: what is offered after login; default: binding and stream management.
        :param set_up: answer what the chat asks a new session.
        """

        def faulty(step: Step) -> bool:
            if step != at:
                return False
            self.send(fault)
            return True

        await self.opened()
        if faulty("header"):
            return
        self.send(HEADER)
        if faulty("features"):
            return
        self.send(f"<stream:features>{mechanisms('PLAIN')}</stream:features>")
        auth = await self.expect(f"{{{SASL}}}auth")
        assert auth.get("mechanism") == "PLAIN"
        assert base64.b64decode(auth.text or "") == f"\0{USER_ID}-{APP_ID}\0{PASSWORD}".encode()
        if faulty("auth"):
            return
        self.send(f"<success xmlns='{SASL}'/>")
        await self.opened()
        if faulty("restart"):
            return
        self.features(*(features or (BIND_FEATURE, SM_FEATURE)))
        bind = await self.expect(IQ)
        if faulty("bind"):
            return
        self.send(f"<iq type='result' id='{bind.get('id')}'><bind xmlns='{BIND}'><jid>{jid}</jid></bind></iq>")
        if SM_FEATURE in (features or (SM_FEATURE,)):
            await self.expect(f"{{{SM}}}enable")
            self.count = 0
            if faulty("enable"):
                return
            self.send(f"<enabled xmlns='{SM}'/>")
        if faulty("session"):
            return
        if set_up:
            await self.set_up()

    async def set_up(self) -> None:
        """Answer the requests of a new session, until the chat sends its presence."""
        while (element := await self.next()).tag != PRESENCE:
            self.answer(element)

    def answer(self, element: ET.Element) -> None:
        """Answer an element if it is a request, unless `answering` is off."""
        if element.tag == IQ and element.get("type") in ("get", "set") and self.answering:
            query = f"<query xmlns='jabber:iq:roster'>{self.roster}</query>" if element[0].tag == ROSTER else ""
            self.send(f"<iq type='result' id='{element.get('id')}' from='{element.get('to') or BARE}'>{query}</iq>")

    async def serve(self) -> None:
        """Answer whatever arrives, until the client disconnects."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self.answer(await self.next())
        self.send("</stream:stream>")


Script: TypeAlias = Callable[[Peer], Awaitable[None]]


async def plays_along(peer: Peer) -> None:
    """Run the script of a server that does everything right."""
    await peer.session()
    await peer.serve()


class Fake:
    """A server on loopback, as an async context manager. If a script fails, so does the test.

    :ivar peers: the connections in their order.
    """

    def __init__(self, *scripts: Script) -> None:
        """:param scripts: one for each connection; the last one serves all further connections."""
        self._scripts = list(scripts)
        self._tasks: list[asyncio.Task[None]] = []
        self.peers: Seen[Peer] = Seen()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, (EOFError, ConnectionError)):
                raise result from error

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.ensure_future(self._play(Peer(reader, writer), writer)))

    async def _play(self, peer: Peer, writer: asyncio.StreamWriter) -> None:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.peers.append(peer)
        try:
            await script(peer)
            await peer.serve()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @property
    def attempts(self) -> int:
        """The number of connections so far."""
        return len(self.peers.items)


def chat_with(fake: Fake, **options: Any) -> AsyncChat:
    """Return a chat that is not connected yet. It does without TLS, which scripts don't know."""
    options = {
        "user_id": USER_ID,
        "password": PASSWORD,
        "app_id": APP_ID,
        "host": HOST,
        "port": fake.port,
        "tls": "none",
        "allow_insecure": True,
        "backoff": Backoff(first=0.01, maximum=0.05),
        **options,
    }
    return AsyncChat(**options)


@contextlib.asynccontextmanager
async def online(*scripts: Script, **options: Any) -> AsyncIterator[tuple[AsyncChat, Told, Peer]]:
    """Connect a chat to a fake server, and yield the chat, its events and the server's side."""
    async with Fake(*(scripts or (plays_along,))) as fake:
        chat = chat_with(fake, **options)
        told = Told(chat)
        await chat.connect(timeout=5)
        async with chat:
            yield chat, told, await fake.peers.one()


def failing(at: Step, fault: str | bytes, hang_up: bool = False) -> Script:
    async def script(peer: Peer) -> None:
        await peer.session(at=at, fault=HEADER + fault if at == "restart" and isinstance(fault, str) else fault)
        if hang_up:
            peer.hang_up()

    return script


async def given_up(*scripts: Script, **options: object) -> ConnectError:
    """Connect to a server that makes the chat give up, and return the error."""
    async with Fake(*scripts) as fake:
        chat = chat_with(fake, **options)
        told = Told(chat)
        with pytest.raises(ConnectError) as failed:
            await chat.connect(timeout=5)
        assert chat.state.name is State.OFFLINE
        assert fake.attempts == 1
        assert told.of(ConnectionFailed) == [ConnectionFailed(error=failed.value)]
        assert not told.of(Reconnecting)
        return failed.value


async def retried(script: Script, **options: object) -> tuple[ConnectError, Told]:
    """Connect to a server that works at the second attempt, and return the first error."""
    async with Fake(script, plays_along) as fake:
        chat = chat_with(fake, **options)
        told = Told(chat)
        await chat.connect(timeout=30)
        async with chat:
            reconnecting = await told.one(Reconnecting)
            while not chat.online:
                await chat.connect(timeout=30)
            assert fake.attempts == 2
        assert type(reconnecting.error) is ConnectError
        return reconnecting.error, told
