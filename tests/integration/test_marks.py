"""What goes along with messages: edits, removals, reactions, marks, typing, system messages, signals of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectycube.chat import (
    CallSignalReceived,
    ChatMessage,
    Event,
    MessageDeleted,
    MessageDelivered,
    MessageEdited,
    MessageRead,
    MessageReceived,
    MessageSent,
    MessageSentElsewhere,
    ReactionsChanged,
    SystemMessageReceived,
    TypingStarted,
    TypingStopped,
)
from connectycube.rest import Dialog
from tests.integration.bare import Bare
from tests.integration.chats import Person, Users, gather, people, private
from tests.integration.ejabberd import Ejabberd
from tests.integration.server import Server
from tests.integration.support import run

NUMBER = "66f1a7c2e4b0d93a51c8e2ab"


@asynccontextmanager
async def pair(
    server: Server, users: Users, group: bool, **options: Any
) -> AsyncIterator[tuple[Person, Person, Dialog | str, str]]:
    """Two users and a dialog of theirs, as it is written to and its id; if it is a group, both have joined."""
    async with people(server, users(), users(), **options) as (one, other):
        if group:
            dialog_id = await gather(server, one, other)
            yield one, other, dialog_id, dialog_id
        else:
            dialog = private(server, one, other)
            assert dialog.id is not None
            yield one, other, dialog, dialog.id


async def received(person: Person) -> ChatMessage:
    return (await person.told.one(MessageReceived)).message


# Edits, removals, reactions


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("last", [True, False])
def test_edit(server: Server, users: Users, group: bool, last: bool) -> None:
    async def main() -> None:
        async with pair(server, users, group) as (one, other, to, dialog_id):
            await one.chat.edit_message(to, NUMBER, "new <text>", last=last, extra={"why": "typo"})
            assert await other.told.one(MessageEdited) == MessageEdited(
                message_id=NUMBER,
                dialog_id=dialog_id,
                user_id=one.id,
                body="new <text>",
                last=last,
                extra={"why": "typo"},
            )
            await other.caught_up(one)
            # Neither the group's copy nor the acknowledgement is news for who wrote it.
            assert not one.told.of(MessageEdited)
            assert not one.told.of(MessageSent)
            assert not other.told.of(MessageReceived)

    run(main())


@pytest.mark.parametrize("group", [False, True])
def test_removal(server: Server, users: Users, group: bool) -> None:
    async def main() -> None:
        async with pair(server, users, group) as (one, other, to, dialog_id):
            await one.chat.delete_message(to, NUMBER)
            assert await other.told.one(MessageDeleted) == MessageDeleted(
                message_id=NUMBER, dialog_id=dialog_id, user_id=one.id
            )
            await other.caught_up(one)
            assert not one.told.of(MessageDeleted)
            assert not other.told.of(MessageReceived)

    run(main())


def test_edit_to_a_user_has_no_dialog(server: Server, users: Users) -> None:
    async def main() -> None:
        async with pair(server, users, False) as (one, other, *_):
            await one.chat.edit_message(other.id, NUMBER, "new")
            edited = await other.told.one(MessageEdited)
            assert (edited.dialog_id, edited.user_id, edited.last) == (None, one.id, True)

    run(main())


def test_reactions(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with people(ejabberd, users()) as (one,), Bare(ejabberd.ports.starttls) as platform:
            peer = users()
            await platform.login(peer)
            dialog_id = ejabberd.private(peer, one.user)
            extra = f"<extraParams><dialog_id>{dialog_id}</dialog_id></extraParams>"
            platform.send(
                f"<message to='{one.user.jid}' type='chat'>{extra}"
                f"<reactions user_id='{peer.id}' message_id='{NUMBER}'>"
                "<reaction add='true' type='\U0001f44d'/><reaction remove='true' type='x'/>"
                "<reaction add='true' type='y'/></reactions></message>"
            )
            assert await one.told.one(ReactionsChanged) == ReactionsChanged(
                message_id=NUMBER, dialog_id=dialog_id, user_id=peer.id, added=("\U0001f44d", "y"), removed=("x",)
            )

    run(main())


# Marks


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize(
    ("mode", "markable", "marked"),
    [
        ("markable", True, True),
        ("markable", False, False),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_automatic_delivered_marks(
    server: Server, users: Users, group: bool, mode: str, markable: bool, marked: bool
) -> None:
    async def main() -> None:
        async with pair(server, users, group, mark_delivered=mode) as (one, other, to, dialog_id):
            sent = await one.chat.send(to, "hello", markable=markable)
            await received(other)
            await other.caught_up(one)
            mark = MessageDelivered(message_id=sent.id, dialog_id=dialog_id, user_id=other.id)
            assert one.told.of(MessageDelivered) == ([mark] if marked else [])
            assert not other.told.of(MessageDelivered)

    run(main())


def test_no_automatic_marks_without_a_dialog(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with pair(ejabberd, users, False) as (one, other, *_):
            await one.chat.send(other.id, "hello")
            await received(other)
            await other.caught_up(one)
            assert not one.told.of(MessageDelivered)

    run(main())


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("by_id", [False, True])
def test_manual_marks(server: Server, users: Users, group: bool, by_id: bool) -> None:
    async def main() -> None:
        async with pair(server, users, group, mark_delivered="never") as (one, other, to, dialog_id):
            sent = await one.chat.send(to, "hello")
            message = await received(other)
            if by_id:
                await other.chat.mark_delivered(sent.id, sender_id=one.id, dialog_id=dialog_id)
                await other.chat.mark_read(sent.id, sender_id=one.id, dialog_id=dialog_id)
            else:
                await other.chat.mark_delivered(message)
                await other.chat.mark_read(message)
            read = await one.told.one(MessageRead)
            assert read == MessageRead(message_id=sent.id, dialog_id=dialog_id, user_id=other.id)
            delivered = MessageDelivered(message_id=sent.id, dialog_id=dialog_id, user_id=other.id)
            assert one.told.of(MessageDelivered) == [delivered]
            assert not one.told.of(MessageReceived)

    run(main())


def test_mark_without_a_dialog(server: Server, users: Users) -> None:
    async def main() -> None:
        async with pair(server, users, False) as (one, other, *_):
            await other.chat.mark_read(NUMBER, sender_id=one.id)
            assert await one.told.one(MessageRead) == MessageRead(message_id=NUMBER, dialog_id=None, user_id=other.id)

    run(main())


# Typing


@pytest.mark.parametrize("group", [False, True])
def test_typing(server: Server, users: Users, group: bool) -> None:
    async def main() -> None:
        async with pair(server, users, group) as (one, other, _, dialog_id):
            to = dialog_id if group else other.id
            await one.chat.start_typing(to)
            await one.chat.stop_typing(to)
            where = dialog_id if group else None
            await other.told.one(TypingStopped)
            typing = [event for event in other.told.seen.items if isinstance(event, (TypingStarted, TypingStopped))]
            assert typing == [
                TypingStarted(user_id=one.id, dialog_id=where),
                TypingStopped(user_id=one.id, dialog_id=where),
            ]
            await other.caught_up(one)
            assert not one.told.of(TypingStarted)
            assert not one.told.of(TypingStopped)

    run(main())


def test_own_typing_on_another_device_is_ignored(server: Server, users: Users) -> None:
    async def main() -> None:
        user, friend = users(), users()
        async with people(server, user, user, friend) as (desk, phone, other):
            group = await gather(server, desk, phone, other)
            await desk.chat.start_typing(group)
            await desk.chat.send(group, "done")
            await phone.told.one(MessageSentElsewhere)
            assert not phone.told.of(TypingStarted)
            assert await other.told.one(TypingStarted) == TypingStarted(user_id=user.id, dialog_id=group)

    run(main())


# System messages and calls


def test_system_messages(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, third):
            params = {"kind": "update", "count": 3, "deep": {"a": {"b": "c"}}, "none": None}
            await one.chat.send_system([other.id, third.id], params, body="a <text>")
            told = SystemMessageReceived(
                user_id=one.id, params={"kind": "update", "count": "3", "deep": {"a": {"b": "c"}}}, body="a <text>"
            )
            assert await other.told.one(SystemMessageReceived) == told
            assert await third.told.one(SystemMessageReceived) == told
            await one.chat.send_system(other.id)
            empty = (await other.told.all(SystemMessageReceived, 2))[1]
            assert empty == SystemMessageReceived(user_id=one.id, params={}, body=None)
            await one.chat.send_system([], {"to": "nobody"})
            assert not other.told.of(MessageReceived)
            assert not one.told.of(MessageSent)

    run(main())


SIGNAL = (
    "<message to='{}' type='headline' id='s{}'>{}<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>"
    "<signalType>{}</signalType><sessionID>session-1</sessionID><callType>1</callType></extraParams></message>"
)


def test_call_signals(server: Server, users: Users) -> None:
    async def main() -> None:
        caller = users()
        async with people(server, users()) as (one,), Bare(server.ports.starttls) as bare:
            await bare.login(caller)
            late = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"
            bare.send(SIGNAL.format(one.user.jid, 1, late, "call"))
            bare.send(SIGNAL.format(one.user.jid, 2, "", "hangUp"))
            told = await one.told.one(CallSignalReceived)
            # A call that was missed is none any more.
            assert one.told.of(CallSignalReceived) == [told]
            assert told.user_id == caller.id
            assert told.signal.extra.params == {"signalType": "hangUp", "sessionID": "session-1", "callType": "1"}

    run(main())


def test_late_events_are_dropped(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,), Bare(server.ports.starttls) as bare:
            await bare.login(users())
            state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
            late = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"
            bare.send(f"<message to='{one.user.jid}' type='chat'>{state}{late}</message>")
            bare.send(f"<message to='{one.user.jid}' type='chat'><body>hello</body></message>")
            await received(one)
            assert not one.told.of(TypingStarted)

    run(main())


KINDS: list[tuple[type[Event], str]] = [
    (MessageEdited, f"<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='{NUMBER}'/>"),
    (MessageDeleted, f"<remove xmlns='urn:xmpp:message-delete:0' id='{NUMBER}'/>"),
    (MessageDelivered, f"<received xmlns='urn:xmpp:chat-markers:0' id='{NUMBER}'/>"),
    (MessageRead, f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{NUMBER}'/>"),
]


@pytest.mark.parametrize(("kind", "xml"), KINDS)
def test_duplicates_are_reported_once(server: Server, users: Users, kind: type[Event], xml: str) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,), Bare(server.ports.starttls) as bare:
            await bare.login(users())
            for _ in range(2):
                bare.send(f"<message to='{one.user.jid}' type='chat' id='m1'>{xml}</message>")
            bare.send(f"<message to='{one.user.jid}' type='chat' id='m2'><body>hello</body></message>")
            await received(one)
            assert len(one.told.of(kind)) == 1

    run(main())
