"""Messages: what is sent and what arrives, in private dialogs and in groups."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from typing import Any

import pytest
from attrs import evolve

from connectycube.chat import (
    Attachment,
    ChatMessage,
    MessageBlocked,
    MessageFailed,
    MessageReceived,
    MessageRefused,
    MessageSent,
    MessageSentElsewhere,
    SentMessage,
    SystemMessageReceived,
    TypingStarted,
)
from connectycube.rest import Dialog, DialogType, File
from tests.integration.bare import Bare
from tests.integration.chats import Person, Users, gather, people, private, refused
from tests.integration.server import Server
from tests.integration.support import run

NUMBER = "66f1a7c2e4b0d93a51c8e2aa"


async def received(person: Person) -> ChatMessage:
    return (await person.told.one(MessageReceived)).message


# Private dialogs


def test_private_message(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            before = dt.datetime.now(dt.UTC).replace(microsecond=0)
            sent = await one.chat.send(other.id, "Hello, <wörld> & \U0001f600\n\ttwo")
            assert re.fullmatch("[0-9a-f]{24}", sent.id)
            assert before <= sent.date_sent <= dt.datetime.now(dt.UTC)
            assert sent == SentMessage(id=sent.id, dialog_id=None, date_sent=sent.date_sent)
            # The platform adds the dialog id.
            assert evolve(await received(other), dialog_id=None) == ChatMessage(
                id=sent.id,
                body="Hello, <wörld> & \U0001f600\n\ttwo",
                sender_id=one.id,
                recipient_id=other.id,
                dialog_id=None,
                type="chat",
                date_sent=sent.date_sent,
                markable=True,
            )
            assert one.told.of(MessageSent) == [MessageSent(message=sent)]
            await other.chat.send(one.id, "back")
            assert (await received(one)).body == "back"
            assert len(other.told.of(MessageReceived)) == 1

    run(main())


def test_private_message_carries_its_dialog(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            dialog = private(server, one, other)
            sent = await one.chat.send(dialog, "hello")
            assert sent.dialog_id == dialog.id
            message = await received(other)
            assert (message.dialog_id, message.type, message.recipient_id) == (dialog.id, "chat", other.id)

    run(main())


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize(
    ("options", "arrives"),
    [
        ({}, {"markable": True}),
        ({"markable": False}, {"markable": False}),
        ({"destroy_after": 5}, {"destroy_after": 5, "markable": True}),
        ({"message_id": "given"}, {"id": "given"}),
        (
            {"extra": {"colour": "red", "count": 5, "yes": True, "no": False, "nothing": None, "empty": ""}},
            {"extra": {"colour": "red", "count": "5", "yes": "1", "no": "0", "empty": ""}},
        ),
        ({"extra": {"a": {"b": {"c": "deep"}, "d": "<&>\"'"}}}, {"extra": {"a": {"b": {"c": "deep"}, "d": "<&>\"'"}}}),
        (
            {"body": None, "attachments": [Attachment(type="image", uid="u1")]},
            {"body": "", "attachments": (Attachment(type="image", id="u1", uid="u1"),)},
        ),
        (
            {"attachments": [{"type": "location", "data": {"lat": "1.5", "lng": "-2"}}]},
            {"attachments": (Attachment(type="location", data={"lat": "1.5", "lng": "-2"}),)},
        ),
        (
            {
                "attachments": [
                    Attachment(type="contact", data={"name": "Zoë & <Co>", "phone": "+1", "tags": ["a", {"b": None}]}),
                    File(id=1, uid="f1", name='a "b".png', content_type="image/png", size=17),
                    File(id=2, uid="f2", content_type="application/pdf"),
                ]
            },
            {
                "attachments": (
                    Attachment(type="contact", data={"name": "Zoë & <Co>", "phone": "+1", "tags": ["a", {"b": None}]}),
                    Attachment(type="image", id="f1", uid="f1", name='a "b".png', content_type="image/png", size=17),
                    Attachment(type="file", id="f2", uid="f2", content_type="application/pdf"),
                )
            },
        ),
    ],
)
def test_sent_fields_arrive(
    server: Server, users: Users, group: bool, options: dict[str, Any], arrives: dict[str, Any]
) -> None:
    if "message_id" in options:
        # The server keeps one message per id, so a test must not use that of another one.
        message_id = f"66f1a7c2e4b0d93a51c8e2b{group:d}"
        options, arrives = {"message_id": message_id}, {"id": message_id}

    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            to = await gather(server, one, other) if group else private(server, one, other)
            sent = await one.chat.send(to, **{"body": "hello", **options})
            message = await received(other)
            assert (message.id, message.date_sent, message.dialog_id) == (sent.id, sent.date_sent, sent.dialog_id)
            for name, value in arrives.items():
                assert getattr(message, name) == value
            if "extra" not in arrives:
                assert message.extra == {}

    run(main())


C = "{jabber:client}"
SAVE = f"{C}extraParams/{C}save_to_history"
SILENT = f"{C}extraParams/{C}silent"
MARKABLE = "{urn:xmpp:chat-markers:0}markable"
DESTROY = "{urn:xmpp:message-destroy-after:0}destroy"


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ({}, {SAVE: "1", MARKABLE: ""}),
        ({"save_to_history": False}, {MARKABLE: ""}),
        ({"silent": True}, {SAVE: "1", MARKABLE: "", SILENT: "1"}),
        # What destroys itself is not kept (U-53).
        ({"destroy_after": 9}, {MARKABLE: "", DESTROY: ""}),
        ({"markable": False}, {SAVE: "1"}),
    ],
)
def test_wire_format(server: Server, users: Users, options: dict[str, Any], there: dict[str, str]) -> None:
    async def main() -> None:
        reader = users()
        async with people(server, users()) as (one,), Bare(server.ports.starttls) as bare:
            await bare.login(reader)
            await one.chat.send(reader.id, "hello", **options)
            message = await bare.receive(f"{C}message")
            found = {path: message.findtext(path) for path in (SAVE, SILENT, MARKABLE, DESTROY)}
            assert {path: text for path, text in found.items() if text is not None} == there
            destroy = message.find(DESTROY)
            assert destroy is None or destroy.get("after") == "9"

    run(main())


# Groups


def test_group_message(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, third):
            group = await gather(server, one, other, third)
            sent = await one.chat.send(group, "hello")
            for person in (other, third):
                assert await received(person) == ChatMessage(
                    id=sent.id,
                    body="hello",
                    sender_id=one.id,
                    recipient_id=None,
                    dialog_id=group,
                    type="groupchat",
                    date_sent=sent.date_sent,
                    markable=True,
                )
            # The group's copy of the own message came before this one, and was not told.
            await other.chat.send(Dialog(id=group, type=DialogType.GROUP), "back")
            assert (await received(one)).body == "back"
            assert [event.message.id for event in one.told.of(MessageSent)] == [sent.id]

    run(main())


def test_second_device_receives_own_group_messages(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user) as (desk, phone):
            await desk.chat.send(await gather(server, desk, phone), "hello")
            message = (await phone.told.one(MessageSentElsewhere)).message
            assert (message.body, message.sender_id, message.carbon) == ("hello", user.id, False)
            assert phone.told.of(MessageReceived) == []

    run(main())


def test_order_is_preserved(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            texts = [str(number) for number in range(200)]
            await asyncio.gather(*(one.chat.send(other.id, text) for text in texts))
            found = await other.told.all(MessageReceived, len(texts))
            assert [event.message.body for event in found] == texts

    run(main())


# Messages that do not arrive


def test_message_to_unknown_user_bounces(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            message_id = await refused(one, 1)
            assert await one.told.one(MessageBlocked) == MessageBlocked(message_id=message_id, user_id=1)
            assert one.chat.online

    run(main())


def test_message_to_a_room_not_joined_bounces(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            missing, shut = "66f1a7c2e4b0d93a51c8e203", await gather(server, other)
            # A room of the platform is for those whose dialog it is, one of ejabberd for everybody who joins.
            expected = ((missing, {"item-not-found"}), (shut, {"not-acceptable", "forbidden"}))
            for number, (dialog_id, conditions) in enumerate(expected):
                message_id = await refused(one, dialog_id)
                failed = (await one.told.all(MessageFailed, number + 1))[-1]
                assert (failed.message_id, failed.user_id, failed.dialog_id) == (message_id, None, dialog_id)
                assert isinstance(failed.error, MessageRefused)
                assert failed.error.condition in conditions
                assert failed.error.message_id == message_id

    run(main())


# Repeats


def test_duplicate_message_is_reported_once(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, third):
            for body in ("first", "first", "another"):
                await one.chat.send(other.id, body, message_id=NUMBER)
            await one.caught_up(other)
            # The same id with another text, or of someone else, is another message.
            await third.chat.send(other.id, "first", message_id=NUMBER)
            found = await other.told.all(MessageReceived, 3)
            assert [event.message.body for event in found] == ["first", "another", "first"]
            assert [event.message.sender_jid for event in found] == [one.chat.jid] * 2 + [third.chat.jid]

    run(main())


# Offline messages


def test_messages_wait_for_offline_users(server: Server, users: Users) -> None:
    async def main() -> None:
        away = users()
        async with people(server, users()) as (one,):
            before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
            sent = [await one.chat.send(away.id, f"message {number}") for number in range(3)]
            await one.chat.start_typing(away.id)
            await one.chat.send_system(away.id, {"not": "kept"})
            # Without a presence they go on waiting (U-38).
            async with people(server, away, initial_presence=False) as (shy,):
                await shy.chat.ping()
                assert shy.told.of(MessageReceived) == []
                await shy.chat.set_presence(status="here")
                found = await shy.told.all(MessageReceived, 3)
                assert [event.message.id for event in found] == [message.id for message in sent]
                for event in found:
                    assert event.message.delayed is not None
                    assert before <= event.message.delayed <= dt.datetime.now(dt.UTC)
                await one.caught_up(shy)
                assert len(shy.told.of(SystemMessageReceived)) == 1
                assert not shy.told.of(TypingStarted)
            assert server.offline_messages(away) == 0

    run(main())
