"""What the official SDK reports about its messages' delivery (XEP-0198), and where it miscounts."""

from __future__ import annotations

from typing import Any

from connectycube.chat import MessageReceived
from tests.interop.stage import Js, Stage, scenario


async def ready(stage: Stage, login: str) -> Js:
    """Return a user whose SDK counts messages: it doesn't before the server's `<enabled/>`."""
    js = await stage.js(login, True, streamManagement={"enable": True})
    await js.up_to_date()
    return js


def fate(js: Js) -> list[Any]:
    """Return what the SDK reported about its messages."""
    return js.told("onSentMessageCallback")


@scenario
async def test_each_message_is_reported_as_sent(stage: Stage) -> None:
    js, ours = await ready(stage, "ada"), await stage.ours("grace")
    for body in ("one", "two"):
        number = await js.call("chat.send", ours.id, {"body": body})
        lost, sent = await js.event("onSentMessageCallback")
        assert (lost, sent["id"], sent["body"]) == (None, number, body)
    assert [event.message.body for event in await ours.told.all(MessageReceived, 2)] == ["one", "two"]


@scenario
async def test_unacknowledged_messages_are_reported_as_lost_at_the_end(stage: Stage) -> None:
    js, grace = await ready(stage, "ada"), stage.user("grace")
    stage.sandbox.faults.chat.drop_next = 1
    await js.call("chat.send", grace, {"body": "never arrives"})
    lost, sent = await js.event("onSentMessageCallback")
    assert (lost["body"], sent) == ("never arrives", None)


@scenario
async def test_sdk_answers_acknowledgement_requests(stage: Stage) -> None:
    js, ours = await ready(stage, "ada"), await stage.ours("grace")
    for number in range(10):
        await ours.chat.send(js.id, f"{number}")
        await js.event("onMessageListener")
    await js.up_to_date()
    handled = 0
    expected: list[str] = []
    answers: list[str] = []
    for seen in stage.sandbox.journal.stanzas(user_id=js.id):
        if seen.direction == "in" and seen.xml.startswith("<a "):
            answers.append(seen.xml.partition(' h="')[2].partition('"')[0])
        elif seen.direction == "out" and seen.xml.startswith("<enabled "):
            handled = 0
        elif seen.direction == "out" and seen.xml.startswith("<r "):
            expected.append(f"{handled}")
        elif seen.direction == "out" and seen.xml.startswith(("<message ", "<presence ", "<iq ")):
            handled += 1
    # The last one may still be in flight.
    assert answers == expected[: len(answers)]
    assert len(answers) >= 10


@scenario
async def test_cx_11_message_is_reported_as_sent_before_the_server_has_it(stage: Stage) -> None:
    js, ours = await ready(stage, "ada"), await stage.ours("grace")
    # The server's output is held back, so that both messages are in flight when the first is acknowledged.
    stage.sandbox.faults.chat.delay = 0.2
    for body in ("one", "two"):
        await js.call("chat.send", ours.id, {"body": body})
    await js.up_to_date()
    stage.sandbox.faults.chat.delay = 0.0
    order = [
        args[1]["body"] if name == "onSentMessageCallback" else "acknowledgement"
        for name, args in js.device.events
        if name == "onSentMessageCallback" or (name == "xmppDataRead" and args[0].startswith("<a "))
    ]
    # The SDK takes the first acknowledgement for both: it also counts earlier stanzas that weren't its messages.
    assert order == ["acknowledgement", "one", "two", "acknowledgement"]


@scenario
async def test_cx_12_nothing_is_reported_for_a_message_with_files_only(stage: Stage) -> None:
    js, ours = await ready(stage, "ada"), await stage.ours("grace")
    await js.call("chat.send", ours.id, {"extension": {"attachments": [{"type": "photo", "uid": "8aae-1"}]}})
    message = (await ours.told.one(MessageReceived)).message
    assert [one.uid for one in message.attachments] == ["8aae-1"]
    await js.up_to_date()
    assert fate(js) == []
    sent = [one.xml for one in stage.sandbox.journal.stanzas(user_id=js.id) if one.direction == "in"]
    assert not [xml for xml in sent if xml.startswith("<r ")]
