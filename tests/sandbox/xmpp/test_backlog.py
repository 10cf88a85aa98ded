"""More waits for a client than can be sent at once: it arrives as fast as the client reads, in order, exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectycube.sandbox import Sandbox, Settings
from connectycube.sandbox.config import Limits
from connectycube.stanzas import ChatMessage, StanzaError, parse

from .raw import Raw
from .test_management import SM, back, confirm, enable, resume
from .test_messages import bare

COUNT = 90


@pytest.fixture
def small() -> Iterator[Sandbox]:
    """A sandbox that sends a fraction of what waits at once, by number and by size."""
    with Sandbox(Settings(limits=Limits(unacked_stanzas=30, write_buffer_bytes=60_000))) as sandbox:
        yield sandbox


@pytest.fixture
def sender(small: Sandbox) -> Iterator[Raw]:
    with Raw(small) as client:
        yield client.enter(small.create_user("mary", "pass").id)


@pytest.fixture
def joe(small: Sandbox, sender: Raw) -> int:
    """A user for whom messages wait."""
    user_id = small.create_user("joe", "pass").id
    write(sender, user_id, range(COUNT))
    assert sender.quiet() == []
    return user_id


def write(sender: Raw, user_id: int, numbers: range) -> None:
    to, filler = bare(sender.sandbox, user_id), "x" * 2000
    sender.send(*(f'<message type="chat" to="{to}"><body>{one} {filler}</body></message>' for one in numbers))


class Reader:
    """A client that acknowledges what it read when it is asked.

    :ivar seen: the numbers of the messages, in the order in which they arrived.
    """

    def __init__(self, client: Raw, handled: int = 0) -> None:
        self.client = client
        self.handled = handled
        self.seen: list[int] = []

    def read(self, count: int, *, acknowledge: bool = True) -> list[int]:
        """Read messages until there are this many."""
        while len(self.seen) < count:
            element = self.client.read()
            if element.tag == f"{{{SM}}}r":
                if acknowledge:
                    self.client.send(confirm(self.handled))
                continue
            try:
                stanza = parse(element)
            except StanzaError:
                continue
            self.handled += not element.tag.startswith(f"{{{SM}}}")
            if isinstance(stanza, ChatMessage):
                assert stanza.body is not None
                self.seen.append(int(stanza.body.split()[0]))
        return self.seen


def connected(sandbox: Sandbox, user_id: int) -> tuple[Reader, str]:
    """Connect with stream management, and return the id to resume by."""
    client = Raw(sandbox).enter(user_id, presence=False)
    management_id = enable(client).id
    client.send("<presence/>")
    return Reader(client), management_id


def test_all_that_waited_arrives_in_order(small: Sandbox, joe: int) -> None:
    reader, _ = connected(small, joe)
    with reader.client:
        assert reader.read(COUNT) == [*range(COUNT)]
        assert reader.client.quiet() == []


def test_without_stream_management_it_arrives_as_fast_as_the_client_reads(small: Sandbox, joe: int) -> None:
    with Raw(small).enter(joe, presence=False) as client:
        client.send("<presence/>")
        assert Reader(client).read(COUNT) == [*range(COUNT)]
        assert client.quiet() == []


def test_live_messages_come_after_those_that_waited(small: Sandbox, sender: Raw, joe: int) -> None:
    reader, _ = connected(small, joe)
    with reader.client:
        reader.read(1, acknowledge=False)
        write(sender, joe, range(COUNT, COUNT + 10))
        assert sender.quiet() == []
        reader.client.send(confirm(reader.handled))
        assert reader.read(COUNT + 10) == [*range(COUNT + 10)]


def test_a_resumed_stream_gets_the_rest(small: Sandbox, joe: int) -> None:
    first, management_id = connected(small, joe)
    first.read(20)
    first.client.cut()
    with back(lambda: Raw(small), joe) as client:
        client.send(resume(management_id, first.handled))
        second = Reader(client, first.handled)
        assert second.read(COUNT - 20) == [*range(20, COUNT)]


def test_unacknowledged_messages_over_the_buffer_survive_a_resumption(small: Sandbox, sender: Raw, joe: int) -> None:
    reader, management_id = connected(small, joe)
    reader.read(COUNT)
    reader.client.send(confirm(reader.handled))
    assert reader.client.quiet() == []
    handled = reader.handled + 1
    reader.client.cut()
    small.drop_connections(joe)
    to, filler = bare(small, joe), "x" * 20_000
    sender.send(*(f'<message type="chat" to="{to}"><body>{one} {filler}</body></message>' for one in range(10)))
    assert sender.quiet() == []
    with back(lambda: Raw(small), joe) as client:
        client.send(resume(management_id, handled))
        second = Reader(client, handled)
        second.read(1, acknowledge=False)
        write(sender, joe, range(10, 12))
        assert second.read(12) == [*range(12)]


@pytest.mark.parametrize("acknowledge", [True, False])
def test_the_next_login_gets_what_was_not_acknowledged_in_order(small: Sandbox, joe: int, acknowledge: bool) -> None:
    first, _ = connected(small, joe)
    first.read(10, acknowledge=acknowledge)
    first.client.send(confirm(first.handled))
    assert first.client.quiet() != []
    first.client.cut()
    small.drop_connections(joe)
    small.advance(small.settings.limits.resume_seconds + 1)
    second, _ = connected(small, joe)
    with second.client:
        assert second.read(COUNT - 10) == [*range(10, COUNT)]
        assert second.client.quiet() == []


def test_another_device_gets_what_one_left_unread(small: Sandbox, joe: int) -> None:
    first, _ = connected(small, joe)
    first.read(5, acknowledge=False)
    with first.client, Raw(small).enter(joe, "other") as other:
        first.client.send("</stream:stream>")
        assert sorted(Reader(other).read(COUNT)) == [*range(COUNT)]
        assert other.quiet() == []
