"""Stream management: counting, resuming, and stanzas without acknowledgement (XEP-0198, K-08 to K-11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from connectycube.sandbox import Sandbox
from connectycube.sandbox.xmpp.management import Management, TooHigh
from connectycube.stanzas import ChatMessage, GroupMessage, Stanza, StanzaError, parse

from .raw import Connect, Raw
from .test_messages import ID, bare, history, text

SM = "urn:xmpp:sm:3"
ENABLE = f'<enable xmlns="{SM}" resume="true"/>'
REQUEST = f'<r xmlns="{SM}"/>'


def confirm(h: int) -> str:
    return f'<a xmlns="{SM}" h="{h}"/>'


def resume(previd: str, h: int) -> str:
    return f'<resume xmlns="{SM}" previd="{previd}" h="{h}"/>'


def until_tag(client: Raw, name: str) -> Element:
    while True:
        element = client.read()
        if element.tag == f"{{{SM}}}{name}":
            return element


def enable(client: Raw, wish: str = ENABLE) -> Any:
    client.send(wish)
    return parse(until_tag(client, "enabled"))


def bodies(client: Raw, count: int) -> list[str | None]:
    return [client.until(ChatMessage).body for _ in range(count)]


def back(raw: Connect, user_id: int) -> Raw:
    """Return a new connection, logged in."""
    client = raw()
    client.open()
    client.login(user_id, "pass")
    client.open()
    return client


def test_both_sides_count(connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    assert enable(sender, f'<enable xmlns="{SM}"/>').resume is False
    sender.send(text(receiver.bare), "<presence/>", REQUEST)
    assert until_tag(sender, "a").get("h") == "2"
    receiver.send(ENABLE, REQUEST)
    assert until_tag(receiver, "a").get("h") == "0"
    sender.send(text(receiver.bare))
    until_tag(receiver, "r")
    receiver.send(confirm(1))
    sender.send(text(receiver.bare), text(receiver.bare))
    until_tag(receiver, "r")
    receiver.until(ChatMessage)
    receiver.send(confirm(3))
    assert receiver.quiet() == []


def test_refused_stanzas_are_counted(connect: Connect, mary: int) -> None:
    client = connect(mary)
    enable(client)
    client.send('<message to="@"/>', '<iq type="get" id="x"/>', REQUEST)
    assert until_tag(client, "a").get("h") == "2"


def test_acknowledging_too_many_stanzas_ends_the_stream(connect: Connect, mary: int) -> None:
    client = connect(mary)
    enable(client)
    client.send(confirm(7))
    error = client.until_closed()[-1]
    details = {child.tag: child.attrib for child in error}
    assert "{urn:ietf:params:xml:ns:xmpp-streams}undefined-condition" in details
    assert details[f"{{{SM}}}handled-count-too-high"] == {"h": "7", "send-count": "0"}


def test_enable_works_once_and_only_after_binding(raw: Connect, connect: Connect, mary: int) -> None:
    client = back(raw, mary)
    client.send(ENABLE)
    assert until_tag(client, "failed")[0].tag.endswith("}unexpected-request")
    client.bind()
    enable(client)
    client.send(ENABLE)
    assert until_tag(client, "failed")[0].tag.endswith("}unexpected-request")
    client.send(resume("x", 0))
    assert until_tag(client, "failed")[0].tag.endswith("}unexpected-request")
    client.send(f'<enable xmlns="{SM}" resume="maybe"/>')
    assert until_tag(client, "failed")[0].tag.endswith("}bad-request")


def test_resume_after_a_lost_connection(sandbox: Sandbox, raw: Connect, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe, "phone")
    enabled = enable(receiver)
    assert (enabled.resume, enabled.max) == (True, 300)
    sender.send(text(receiver.bare, "one"))
    assert bodies(receiver, 1) == ["one"]
    receiver.send("<presence/>", confirm(1), REQUEST)
    until_tag(receiver, "a")
    sender.send(text(receiver.bare, "two"), text(receiver.bare, "three"))
    assert sender.quiet() == []
    receiver.cut()
    sender.send(text(receiver.bare, "four"))
    assert sender.quiet() == []
    again = back(raw, joe)
    again.send(resume(enabled.id, 1))
    resumed = until_tag(again, "resumed")
    assert (resumed.get("previd"), resumed.get("h")) == (enabled.id, "1")
    # The echo of the presence comes first: it was not confirmed either.
    assert bodies(again, 3) == ["two", "three", "four"]
    until_tag(again, "r")
    again.send(confirm(5), text(sender.bare, "five"))
    assert bodies(sender, 1) == ["five"]
    assert again.quiet() == []


def test_resume_replaces_a_live_connection(raw: Connect, connect: Connect, mary: int) -> None:
    client = connect(mary)
    enabled = enable(client)
    again = back(raw, mary)
    again.send(resume(enabled.id, 0))
    until_tag(again, "resumed")
    assert client.stream_error() == "conflict"
    assert again.quiet() == []


def test_resume_is_refused(sandbox: Sandbox, raw: Connect, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    enabled = enable(receiver)
    other = back(raw, mary)
    for previd in ("unknown", enabled.id):
        other.send(resume(previd, 0))
        assert until_tag(other, "failed")[0].tag.endswith("}item-not-found")
    receiver.cut()
    sender.send(text(receiver.bare))
    assert sender.quiet() == []
    sandbox.faults.chat.refuse_resume = 1
    again = back(raw, joe)
    again.send(resume(enabled.id, 0))
    assert until_tag(again, "failed").get("h") == "0"
    again.bind()
    again.send("<presence/>")
    assert again.until(ChatMessage).delay is not None


def test_resume_acknowledging_too_many_ends_the_stream(raw: Connect, connect: Connect, mary: int) -> None:
    client = connect(mary)
    enabled = enable(client)
    again = back(raw, mary)
    again.send(resume(enabled.id, 9))
    assert again.until_closed()[-1][0].tag.endswith("}undefined-condition")
    assert client.quiet() == []


def test_resume_times_out(sandbox: Sandbox, raw: Connect, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    enabled = enable(receiver, f'<enable xmlns="{SM}" resume="1" max="60"/>')
    assert enabled.max == 60
    receiver.cut()
    sender.send(text(receiver.bare))
    assert sender.quiet() == []
    assert sandbox.call(sandbox.core.presence.is_online, joe)
    sandbox.advance(59)
    assert sandbox.call(sandbox.core.presence.is_online, joe)
    sandbox.advance(2)
    assert not sandbox.call(sandbox.core.presence.is_online, joe)
    again = back(raw, joe)
    again.send(resume(enabled.id, 0))
    assert until_tag(again, "failed")[0].tag.endswith("}item-not-found")
    again.bind()
    again.send("<presence/>")
    assert again.until(ChatMessage).id == ID
    assert len(history(sandbox)) == 1


def test_messages_lost_by_one_device_reach_another_once(
    sandbox: Sandbox, raw: Connect, connect: Connect, mary: int, joe: int
) -> None:
    sender, receiver = connect(mary), connect(joe)
    enable(receiver)
    receiver.cut()
    sender.send(text(receiver.bare, "lost"))
    assert sender.quiet() == []
    other = connect(joe, "other")
    sender.send(text(receiver.bare, "both"))
    assert bodies(other, 1) == ["both"]
    sandbox.advance(301)
    assert bodies(other, 1) == ["lost"]
    assert [one for one in other.quiet() if isinstance(one, ChatMessage)] == []


def test_lost_group_messages_wait(
    sandbox: Sandbox, connect: Connect, group: Callable[..., str], mary: int, joe: int
) -> None:
    room = f"{sandbox.app_id}_{group(mary, joe)}@muc.localhost"
    sender, receiver = connect(mary), connect(joe)
    enable(receiver)
    receiver.cut()
    sender.send(f'<message type="groupchat" to="{room}" id="{ID}"><body>hi</body></message>')
    sender.until(GroupMessage)
    sandbox.advance(301)
    again = connect(joe)
    got = again.until(GroupMessage)
    assert (got.from_, got.to, got.body) == (f"{room}/{mary}", again.jid, "hi")
    assert got.delay is not None


def test_session_that_cannot_resume_ends_at_once(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    enable(receiver, f'<enable xmlns="{SM}"/>')
    sender.send(text(receiver.bare))
    assert receiver.until(ChatMessage).id == ID
    receiver.send("</stream:stream>")
    receiver.until_closed()
    assert connect(joe).until(ChatMessage).id == ID


def test_resource_can_be_bound_again_before_the_timeout(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int
) -> None:
    sender, receiver = connect(mary), connect(joe, "phone")
    enable(receiver)
    receiver.cut()
    sender.send(text(receiver.bare))
    assert sender.quiet() == []
    assert connect(joe, "phone").until(ChatMessage).id == ID


def test_dropped_connections_can_be_resumed(sandbox: Sandbox, raw: Connect, connect: Connect, mary: int) -> None:
    from connectycube.sandbox.bus import ConnectionsToDrop

    client = connect(mary)
    enabled = enable(client)
    sandbox.call(sandbox.core.bus.publish, ConnectionsToDrop(user_id=mary))
    assert client.until_closed() == []
    again = back(raw, mary)
    again.send(resume(enabled.id, 0))
    until_tag(again, "resumed")


def test_client_that_never_acknowledges_is_disconnected(
    sandbox: Sandbox, connect: Connect, mary: int, joe: int
) -> None:
    sender, receiver = connect(mary), connect(joe)
    enable(receiver)
    receiver.cut()
    for number in range(sandbox.settings.limits.unacked_stanzas + 1):
        sender.send(f'<message type="headline" to="{receiver.jid}" id="{number}"><body>a</body></message>')
    assert sender.quiet() == []
    assert not sandbox.call(sandbox.core.presence.is_online, joe)


def test_counters() -> None:
    counters: Management[int] = Management("id", 5)
    for number in range(3):
        counters.sent(number)
    assert counters.confirmed(2) == [0, 1]
    assert counters.confirmed(2) == []
    assert (counters.unacked, len(counters)) == ([2], 1)
    with pytest.raises(TooHigh) as caught:
        counters.confirmed(4)
    assert (caught.value.h, caught.value.sent) == (4, 3)
    with pytest.raises(TooHigh):
        counters.confirmed(1)
    counters.handled = (1 << 32) - 1
    counters.received()
    assert counters.handled == 0


def test_malformed_acknowledgement_is_refused(connect: Connect, mary: int) -> None:
    client = connect(mary)
    client.send(f'<a xmlns="{SM}" h="many"/>')
    answer = until_tag(client, "failed")
    assert isinstance(parse(answer), Stanza)
    with pytest.raises(StanzaError):
        parse('<a xmlns="urn:xmpp:sm:3" h="many"/>')


def test_reset_ends_sessions_silently(sandbox: Sandbox, connect: Connect, mary: int, joe: int) -> None:
    sender, receiver = connect(mary), connect(joe)
    enable(receiver)
    receiver.cut()
    sender.send(text(bare(sandbox, joe)))
    assert sender.quiet() == []
    sandbox.reset()
    sandbox.advance(400)
    assert sender.until_closed() == []
    ann = sandbox.create_user("ann", "pass").id
    fresh = Raw(sandbox).enter(ann)
    assert fresh.quiet() == []
    fresh.cut()
