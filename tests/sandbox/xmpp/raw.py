"""A tiny client for exact stanzas: it sends text, and reads elements until the expected one arrives."""

from __future__ import annotations

import base64
import socket
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any, cast
from xml.etree.ElementTree import Element, XMLPullParser

from connectycube.sandbox import Sandbox
from connectycube.stanzas import Stanza, parse

TIMEOUT = 30.0
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    " to='localhost' version='1.0'>"
)
STREAMS = "{urn:ietf:params:xml:ns:xmpp-streams}"


class Ended(Exception):
    """The server has closed the connection."""


class Raw:
    """A connection."""

    def __init__(self, sandbox: Sandbox, *, tls: bool = False) -> None:
        self.sandbox = sandbox
        self.user_id = 0
        self.jid = ""
        self.seen: list[str] = []
        """Everything received, to look at when a test fails."""
        port = sandbox.chat_tls_port if tls else sandbox.chat_port
        self._socket: socket.socket = socket.create_connection((sandbox.host, port), timeout=TIMEOUT)
        if tls:
            self._wrap()
        self._restart()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Break the connection."""
        self._socket.close()

    def _wrap(self) -> None:
        context: ssl.SSLContext = self.sandbox.ssl_context
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")

    def start_tls(self) -> None:
        self.send('<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>')
        assert self.read().tag.endswith("}proceed")
        self._wrap()
        self._restart()

    def _restart(self) -> None:
        self._parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
        self._stack: list[Element] = []
        self._ready: list[Element] = []
        self.closed = False
        self._open = False

    # -- sending and reading

    def send(self, *texts: str) -> None:
        self._socket.sendall("".join(texts).encode())

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, timeout: float = TIMEOUT) -> Element:
        """Return the next element."""
        self._socket.settimeout(timeout)
        while not self._ready:
            if self.closed:
                raise Ended
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                raise Ended from None
            if not data:
                raise Ended
            self._parser.feed(data)
            self._collect()
        return self._ready.pop(0)

    def _collect(self) -> None:
        for event, element in cast("Iterator[tuple[str, Element]]", self._parser.read_events()):
            if event == "start":
                self._stack.append(element)
            else:
                self._stack.pop()
                if len(self._stack) == 1:
                    self.seen.append(ET.tostring(element, encoding="unicode"))
                    self._ready.append(element)
                elif not self._stack:
                    self.closed = True

    def read_stanza(self) -> Any:
        """Return the next stanza, skipping requests of stream management."""
        while True:
            element = self.read()
            if element.tag == "{urn:xmpp:sm:3}r":
                continue
            return parse(element)

    def until(self, kind: type[Stanza], **fields: Any) -> Any:
        """Skip to a stanza of a class, with some values in its fields."""
        while True:
            stanza = self.read_stanza()
            if isinstance(stanza, kind) and all(getattr(stanza, key) == value for key, value in fields.items()):
                return stanza

    def until_closed(self) -> list[Element]:
        """Return everything up to the end of the stream."""
        found = []
        while True:
            try:
                found.append(self.read())
            except Ended:
                return found

    def stream_error(self) -> str:
        """Return the condition of the error that ends the stream."""
        last = self.until_closed()[-1]
        assert last.tag == "{http://etherx.jabber.org/streams}error"
        return last[0].tag.removeprefix(STREAMS)

    def quiet(self) -> list[Any]:
        """Return everything sent so far, which arrives before the answer to a ping."""
        self.send(f'<iq type="get" id="quiet-{len(self.seen)}"><ping xmlns="urn:xmpp:ping"/></iq>')
        wanted = f"quiet-{len(self.seen)}"
        found: list[Any] = []
        while True:
            stanza = self.read_stanza()
            if getattr(stanza, "id", None) == wanted:
                return found
            found.append(stanza)

    # -- the usual steps

    def open(self) -> Element:
        """Open a stream, and return its features."""
        self._restart()
        self._open = True
        self.send(HEADER)
        return self.read()

    def login(self, user_id: int, secret: str) -> None:
        name = f"{user_id}-{self.sandbox.app_id}"
        data = base64.b64encode(f"\0{name}\0{secret}".encode()).decode()
        self.send(f'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{data}</auth>')
        answer = self.read()
        assert answer.tag == "{urn:ietf:params:xml:ns:xmpp-sasl}success", ET.tostring(answer)
        self.user_id = user_id

    def bind(self, resource: str | None = None) -> str:
        inner = "" if resource is None else f"<resource>{resource}</resource>"
        self.send(f'<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">{inner}</bind></iq>')
        self.jid = parse(self.read()).bind.jid  # type: ignore[attr-defined]
        return self.jid

    @property
    def bare(self) -> str:
        return self.jid.partition("/")[0]

    def enter(self, user_id: int, resource: str | None = None, *, presence: bool = True, secret: str = "pass") -> Raw:
        """Do all steps up to the initial presence."""
        if not self._open:
            self.open()
        self.login(user_id, secret)
        self.open()
        self.bind(resource)
        if presence:
            self.send("<presence/>")
            self.read()
        return self

    def request(self, kind: str, payload: str, to: str = "") -> Any:
        """Send a request, and skip to its answer."""
        self._asked = getattr(self, "_asked", 0) + 1
        wanted = f"ask-{self._asked}"
        address = f' to="{to}"' if to else ""
        self.send(f'<iq type="{kind}" id="{wanted}"{address}>{payload}</iq>')
        while True:
            stanza = self.read_stanza()
            if getattr(stanza, "id", None) == wanted:
                return stanza


Connect = Callable[..., Raw]
"""The fixture that connects a user."""
User = Callable[[str], int]
"""The fixture that creates a user with a login, and returns the id."""
Group = Callable[..., str]
"""The fixture that creates a group dialog, and returns its id."""
