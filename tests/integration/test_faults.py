"""Lines that cut, stall, halve, delay and corrupt, at chosen and at random points.

After each fault the chat is online again or has ended with a typed error; no send hangs; what is told as sent was
delivered, and once; nothing is left.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from connectycube.chat import (
    ChatError,
    ConnectionFailed,
    MessageNotSent,
    MessageReceived,
    MessageSent,
    Reason,
    Reconnected,
    Reconnecting,
    SentMessage,
    State,
    StreamRefused,
    TlsRefused,
)
from tests.integration.chats import Person, Users
from tests.integration.lines import FAST, PLAIN, back, behind, bodies, line, present
from tests.integration.proxy import Direction, Fault, FaultProxy
from tests.integration.server import Server
from tests.integration.support import eventually, run
from tests.properties import seeds

STEPS: dict[str, tuple[Direction, bytes]] = {
    "the client's header": ("up", b"<stream:stream"),
    "the server's header": ("down", b"<stream:stream"),
    "features": ("down", b"</mechanisms>"),
    "auth": ("up", b"<auth "),
    "challenge": ("down", b"<challenge "),
    "response": ("up", b"<response "),
    "success": ("down", b"<success "),
    "bind": ("up", b"xmpp-bind"),
    "bound": ("down", b"</jid>"),
    "enable": ("up", b"<enable "),
    "enabled": ("down", b"<enabled "),
    "roster": ("up", b"jabber:iq:roster"),
    "ready": ("down", b"jabber:iq:roster"),
}
"""What passes on the way to a session, without TLS."""

LIVE: dict[str, tuple[Direction, bytes, bool]] = {
    "in a message": ("up", b"<body>", True),
    "behind a message": ("up", b"</message>", True),
    "before a request": ("up", b"<r ", False),
    "before an acknowledgement": ("down", b"<a ", False),
    "in an acknowledgement": ("down", b"<a ", True),
    "in a message that comes": ("down", b"<body>", True),
    "behind a message that comes": ("down", b"</message>", True),
}
"""What passes in a session."""


def begin(person: Person, to: int, *texts: str) -> list[asyncio.Task[SentMessage]]:
    return [asyncio.ensure_future(person.chat.send(to, text)) for text in texts]


async def outcome(sending: list[asyncio.Task[SentMessage]]) -> tuple[list[str], list[str]]:
    """Ids of what was told as sent, and of what was not: nothing else may come of a send."""
    sent, failed = [], []
    for result in await asyncio.gather(*sending, return_exceptions=True):
        if isinstance(result, MessageNotSent):
            failed.append(result.message_id)
        else:
            assert isinstance(result, SentMessage), result
            sent.append(result.id)
    return sent, failed


async def settled(person: Person) -> bool:
    """Wait until a chat is online and ready, or has ended; whether it is online."""
    try:
        await person.chat.connect()
        await person.chat.ping()
    except ChatError:
        assert person.chat.state.name in (State.OFFLINE, State.WAITING, State.CONNECTING), person.chat.state
    return person.chat.online


async def check(reader: Person, sent: list[str]) -> None:
    """What was told as sent arrives, and nothing twice. A server has it before it has delivered it."""

    def ids() -> list[str | None]:
        return [event.message.id for event in reader.told.of(MessageReceived)]

    await eventually(lambda: set(sent) <= set(ids()))
    assert len(ids()) == len(set(ids()))


# On the way to a session


@pytest.mark.parametrize("step", STEPS)
def test_cut_before_the_first_session(server: Server, users: Users, step: str) -> None:
    async def main() -> None:
        async with line(server, **PLAIN) as proxy, present(server, users()) as (other,):
            person = Person(server, users(), port=proxy.port, backoff=FAST, **PLAIN)
            faults = [proxy.cut_when(*STEPS[step], include=include) for include in (True, False)]
            async with person.chat:
                assert all(fault.done.is_set() for fault in faults)
                await person.caught_up(other)
                await other.caught_up(person)
                assert len(person.told.of(ConnectionFailed)) == 0

    run(main())


@pytest.mark.parametrize("step", STEPS)
def test_cut_while_reconnecting(server: Server, users: Users, step: str) -> None:
    """The next step of a resumption is cut, too: whatever became of it, the chat comes back."""

    async def main() -> None:
        async with behind(server, users(), **PLAIN) as (person, proxy), present(server, users()) as (other,):
            direction, pattern = STEPS[step]
            pattern = {b"xmpp-bind": b"<resume ", b"</jid>": b"<resumed "}.get(pattern, pattern)
            fault = proxy.cut_when(direction, pattern)
            sending = begin(person, other.id, "before")
            proxy.cut()
            sending += begin(person, other.id, "meanwhile")
            sent, failed = await outcome(sending)
            assert failed == []
            if pattern in (b"<enable ", b"<enabled ", b"jabber:iq:roster"):
                assert not fault.done.is_set()  # A resumption has none of it.
            else:
                assert fault.done.is_set()
            await person.caught_up(other)
            await check(other, sent)
            assert bodies(other) == ["before", "meanwhile"]

    run(main())


@pytest.mark.parametrize("step", [*STEPS][::2])
def test_stalled_connect_times_out(server: Server, users: Users, step: str) -> None:
    async def main() -> None:
        async with line(server, **PLAIN) as proxy:
            person = Person(server, users(), port=proxy.port, backoff=FAST, timeout=0.3, **PLAIN)
            fault = arm_stall(proxy, *STEPS[step])
            connecting = asyncio.ensure_future(person.chat.connect(timeout=30))
            await fault.happened()
            if step in ("enable", "enabled", "roster", "ready"):
                # There is a session then, which goes without what is not answered.
                await connecting
            else:
                waits = await person.told.one(Reconnecting)
                assert waits.error.reason is Reason.TIMEOUT
            proxy.resume()
            await connecting
            await person.chat.ping(timeout=30)
            await person.chat.disconnect()

    run(main())


def arm_stall(proxy: FaultProxy, direction: Direction, pattern: bytes) -> Fault:
    """Forward nothing more in a direction from where a pattern has passed."""

    def apply(connection: Any, data: bytes) -> tuple[bytes, None] | None:
        if pattern not in data:
            return None
        proxy.stall(direction)
        return data, None

    return proxy._arm(direction, apply)


# TLS


@pytest.mark.parametrize("tls", ["direct", "starttls"])
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("kind", ["cut", "halve", "corrupt"])
def test_fault_during_handshake(server: Server, users: Users, tls: str, direction: Direction, kind: str) -> None:
    async def main() -> None:
        async with line(server, tls=tls) as proxy:
            person = Person(server, users(), port=proxy.port, backoff=FAST, tls=tls, timeout=2)
            if tls == "starttls":
                gate = proxy.corrupt("up", lambda data: data)
                connecting = asyncio.ensure_future(person.chat.connect())
                await gate.happened()
                await proxy.until(lambda: proxy.forwarded["down"] > 300)
            else:
                connecting = asyncio.ensure_future(person.chat.connect())
            make: dict[str, Callable[[], Fault]] = {
                "cut": lambda: proxy.cut_after(direction, 200),
                "halve": lambda: proxy.halve(direction),
                "corrupt": lambda: proxy.corrupt(direction),
            }
            fault = make[kind]()
            (error,) = await asyncio.gather(connecting, return_exceptions=True)
            if error is not None:
                # Data that is not TLS is not a transient network problem.
                assert kind == "corrupt"
                assert isinstance(error, (TlsRefused, StreamRefused))
                assert person.told.of(Reconnecting) == []
                await person.chat.connect()
            assert fault.done.is_set()
            await person.chat.ping()
            await person.chat.disconnect()

    run(main())


@pytest.mark.parametrize("direction", ["up", "down"])
def test_corrupted_record_ends_the_stream_not_the_session(server: Server, users: Users, direction: Direction) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy), present(server, users()) as (other,):
            fault = proxy.corrupt(direction)
            sent, failed = await outcome(begin(person, other.id, "x"))
            assert failed == []
            await fault.happened()
            assert await back(person, 1) is True
            await person.caught_up(other)
            await check(other, sent)
            assert bodies(other) == ["x"]

    run(main())


# In a session


@pytest.mark.parametrize("place", LIVE)
@pytest.mark.parametrize(("kind", "managed"), [("cut", True), ("cut", False), ("stall", True)])
def test_fault_during_session(server: Server, users: Users, place: str, kind: str, managed: bool) -> None:
    direction, pattern, include = LIVE[place]
    if not managed and pattern.startswith((b"<a", b"<r")):
        pattern = b"urn:xmpp:ping" if direction == "up" else b"<iq "

    async def main() -> None:
        options = {**PLAIN, "stream_management": managed, "keepalive": 0.1}
        async with behind(server, users(), **options) as (person, proxy), present(server, users()) as (other,):
            if kind == "cut":
                fault = proxy.cut_when(direction, pattern, include=include)
            else:
                fault = arm_stall(proxy, direction, pattern)
            sending = begin(person, other.id, *map(str, range(5)))
            incoming = begin(other, person.id, *map(str, range(5)))
            await fault.happened()
            if kind == "stall":
                await person.told.one(Reconnecting)
                proxy.cut()
                proxy.resume()
            sent, failed = await outcome(sending)
            assert failed == []
            await outcome(incoming)
            await person.told.one(Reconnected)
            await person.caught_up(other)
            assert bodies(other) == ["0", "1", "2", "3", "4"]
            await check(other, sent)
            if managed:
                await other.caught_up(person)
                assert sorted(bodies(person)) == ["0", "1", "2", "3", "4"]

    run(main())


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("managed", [True, False])
def test_split_chunks(server: Server, users: Users, direction: Direction, managed: bool) -> None:
    async def main() -> None:
        one, two = behind(server, users(), stream_management=managed), present(server, users())
        async with one as (person, proxy), two as (other,):
            for number in range(5):
                fault = proxy.halve(direction, "fin" if number % 2 else "reset")
                sent, failed = await outcome(begin(person, other.id, f"{number}"))
                assert failed == []
                await fault.happened()
                await back(person, number + 1)
                await check(other, sent)
            await person.caught_up(other)
            assert bodies(other) == ["0", "1", "2", "3", "4"]

    run(main())


def test_slow_connection_is_harmless(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy), present(server, users()) as (other,):
            proxy.delay("up", 0.1)
            proxy.delay("down", 0.1)
            sent, failed = await outcome(begin(person, other.id, *map(str, range(100))))
            assert failed == []
            assert person.told.of(Reconnecting) == []
            await person.caught_up(other)
            assert bodies(other) == [str(number) for number in range(100)]
            await check(other, sent)

    run(main())


# Anywhere


@pytest.mark.parametrize("seed", seeds(4))
def test_random_faults(server: Server, users: Users, seed: int) -> None:
    """Cuts and stalls, halves and flipped bits in a random order, with TLS, while two write to each other."""

    async def main() -> None:
        chance = random.Random(seed)
        options: dict[str, Any] = {"keepalive": 0.2, "timeout": 1.0, "send_timeout": 20}
        if seed % 3 == 1:
            options["tls"] = "starttls"
        one, two = behind(server, users(), **options), behind(server, users(), **options)
        async with one as (left, left_line), two as (right, right_line):
            sending: list[asyncio.Task[SentMessage]] = []
            answering: list[asyncio.Task[SentMessage]] = []
            for number in range(30):
                sending += begin(left, right.id, f"{number}")
                answering += begin(right, left.id, f"{number}")
                proxy = chance.choice((left_line, right_line))
                strike(chance, proxy)
                await asyncio.sleep(chance.random() * 0.02)
                if chance.random() < 0.3:
                    await proxy.until(lambda proxy=proxy: proxy.open > 0)  # type: ignore[misc]
                    proxy.resume()
            left_line.calm()
            right_line.calm()
            sent, not_sent = await outcome(sending)
            answered, not_answered = await outcome(answering)
            # TLS is known to work: no flipped bit is taken for a server that must not be trusted.
            assert await settled(left), left.chat.state
            assert await settled(right), right.chat.state
            assert (not_sent, not_answered) == ([], [])
            await left.caught_up(right)
            await right.caught_up(left)
            await check(right, sent)
            await check(left, answered)
            assert [event.message.id for event in left.told.of(MessageSent)] == sent

    run(main())


def strike(chance: random.Random, proxy: FaultProxy) -> None:
    """Do something to a line."""
    direction: Direction = chance.choice(("up", "down"))
    acts: list[Callable[[], object]] = [
        lambda: proxy.cut(chance.choice(("reset", "fin"))),
        lambda: proxy.stall(direction),
        lambda: proxy.halve(direction),
        lambda: proxy.delay(direction, chance.random() * 0.05),
        lambda: proxy.corrupt(direction),
        lambda: proxy.cut_after(direction, chance.randrange(1, 3000)),
        proxy.resume,
        lambda: None,
    ]
    chance.choice(acts)()
