"""What strangers send: nothing they choose hides a message, and nobody is taken for somebody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectycube.chat import (
    CallSignalReceived,
    Event,
    MessageBlocked,
    MessageDeleted,
    MessageDelivered,
    MessageEdited,
    MessageFailed,
    MessageRead,
    MessageReceived,
    MessageSentElsewhere,
    ReactionsChanged,
    StanzaRejected,
    SystemMessageReceived,
    TypingStarted,
)
from tests.chat.fake import BARE, HOST, JID, MESSAGE, USER_ID, Peer, online
from tests.integration.chats import Told
from tests.integration.support import run

DIALOG = "66f1a7c2e4b0d93a51c8e201"
OTHER_DIALOG = "66f1a7c2e4b0d93a51c8e202"
ROOM = f"7001_{DIALOG}@muc.localhost"
ME = f"{ROOM}/{USER_ID}"
MALLORY = f"{ROOM}/666"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
DELAY = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"
IDS = [f"{number:024x}" for number in range(1, 9)]


def message(sender: str, number: str, content: str, kind: str = "") -> str:
    kind = kind or ("groupchat" if "muc." in sender else "chat")
    return f"<message from='{sender}' to='{BARE}' type='{kind}' id='{number}'>{content}</message>"


def text(body: str, more: str = "") -> str:
    return f"<body>{body}</body>{more}"


def edit(number: str, body: str) -> str:
    return f"<body>{body}</body><replace xmlns='urn:xmpp:message-correct:0' id='{number}'/>"


def removal(number: str) -> str:
    return f"<remove xmlns='urn:xmpp:message-delete:0' id='{number}'/>"


async def settle(told: Told, peer: Peer) -> None:
    """Wait until the chat has processed everything sent so far."""
    peer.send(message("9-7001@localhost/x", "", "<body>the end</body>"))
    await told.one(MessageReceived, lambda event: event.message.body == "the end")


async def bodies(told: Told, peer: Peer) -> list[str]:
    await settle(told, peer)
    return [e.message.body for e in told.seen.items if isinstance(e, MessageReceived | MessageSentElsewhere)][:-1]


# Nothing is hidden


def test_id_of_an_own_message_hides_nothing_of_others() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            number = (await chat.send(DIALOG, "mine")).id
            peer.send(message(ME, number, text("mine")))
            peer.send(message(MALLORY, number, text("a message")))
            peer.send(message(f"{ROOM}/mary", number, text("of an occupant with another name")))
            peer.send(message(MALLORY, number, edit(number, "an edit")))
            peer.send(message(MALLORY, number, removal(number)))
            peer.send(message("666-7001@localhost/x", number, text("a private message")))
            assert await bodies(told, peer) == ["a message", "of an occupant with another name", "a private message"]
            (edited,), (deleted,) = told.of(MessageEdited), told.of(MessageDeleted)
            assert (edited.body, edited.user_id, edited.from_author, edited.jid) == ("an edit", 666, False, MALLORY)
            assert (deleted.message_id, deleted.user_id, deleted.from_author) == (number, 666, False)

    run(main())


@pytest.mark.parametrize("sender", [MALLORY, "666-7001@localhost/x", "666-9999@localhost/x", f"{ROOM}/mary"])
def test_used_id_hides_no_other_message(sender: str) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            for body in ("innocent", "bad", "innocent"):
                peer.send(message(sender, IDS[0], text(body)))
            peer.send(message(sender, IDS[0], edit(IDS[0], "worse")))
            peer.send(message(sender, IDS[0], edit(IDS[0], "worst")))
            assert await bodies(told, peer) == ["innocent", "bad", "innocent"]
            assert [event.body for event in told.of(MessageEdited)] == ["worse", "worst"]

    run(main())


def test_difference_in_anything_but_the_date_is_another_message() -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            file = "<attachment type='file' id='a' uid='a'/>"
            for more in ("", f"<extraParams>{file}</extraParams>", "<extraParams><x>1</x></extraParams>"):
                for date in ("", "<extraParams><date_sent>5</date_sent>", "<extraParams><date_sent>6</date_sent>"):
                    extra = more.replace("<extraParams>", date) if more and date else more
                    peer.send(message(MALLORY, IDS[0], text("same", extra)))
            assert await bodies(told, peer) == ["same"] * 3

    run(main())


@pytest.mark.parametrize("date", ["-1", "99999999999999999999", "soon", ""])
def test_date_that_cannot_be_is_left_out(date: str) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            peer.send(message(MALLORY, IDS[0], text("x", f"<extraParams><date_sent>{date}</date_sent></extraParams>")))
            assert await bodies(told, peer) == ["x"]
            assert told.of(MessageReceived)[0].message.date_sent is None

    run(main())


@pytest.mark.parametrize(
    "child",
    [
        "<extraParams><save_to_history>maybe</save_to_history><attachment size='big'/></extraParams>",
        "<extraParams><attachment width='-1'/></extraParams><delay xmlns='urn:xmpp:delay' stamp='never'/>",
        "<replace xmlns='urn:xmpp:message-correct:0' last='true'/>",
        "<received xmlns='urn:xmpp:chat-markers:0'/>",
    ],
)
@pytest.mark.parametrize("sender", [MALLORY, "666-7001@localhost/x"])
def test_unreadable_child_does_not_hide_the_text(child: str, sender: str) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            peer.send(message(sender, IDS[0], text("read by all others", child)))
            assert await bodies(told, peer) == ["read by all others"]
            assert told.of(StanzaRejected)

    run(main())


@pytest.mark.parametrize("change", ["their removal", "their edit", "my removal", "my removal in private"])
def test_removed_or_edited_message_can_be_sent_again(change: str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            sender = "666-7001@localhost/x" if "private" in change else MALLORY
            peer.send(message(sender, IDS[0], text("bad")))
            assert await bodies(told, peer) == ["bad"]
            if change == "their removal":
                peer.send(message(sender, IDS[1], removal(IDS[0])))
            elif change == "their edit":
                peer.send(message(sender, IDS[1], edit(IDS[0], "good")))
            else:
                await chat.delete_message(666 if "private" in change else DIALOG, IDS[0])
            peer.send(message(sender, IDS[0], text("bad")))
            await told.all(MessageReceived, 3)
            assert told.of(MessageReceived)[-1].message.body == "bad"

    run(main())


def test_same_message_in_two_dialogs_is_told_in_both() -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            places = [MALLORY, MALLORY.replace(DIALOG, OTHER_DIALOG), "666-7001@localhost/x", "666-9999@localhost/x"]
            for place in places:
                peer.send(message(place, IDS[0], text("same")))
            await settle(told, peer)
            assert [event.message.sender_jid for event in told.of(MessageReceived)][:-1] == places

    run(main())


def test_repeats_are_told_once() -> None:
    """Resent by a new session of the sender, stored for later, or copied to another device."""

    async def main() -> None:
        async with online() as (_, told, peer):
            for sender in ("5-7001@localhost/one", "5-7001@localhost/two"):
                peer.send(message(sender, IDS[0], text("private")))
            peer.send(message("5-7001@localhost/one", IDS[0], text("private", DELAY)))
            peer.send(message(MALLORY, IDS[0], text("group")) * 2)
            for to in ("5", "6"):
                inner = f"<message xmlns='jabber:client' from='{BARE}/phone' to='{to}-7001@localhost' type='chat'"
                carbon = f"{inner} id='{IDS[1]}'>{text('by phone')}</message>"
                peer.send(
                    f"<message from='{BARE}' to='{JID}' type='chat'><sent xmlns='urn:xmpp:carbons:2'>"
                    f"<forwarded xmlns='urn:xmpp:forward:0'>{carbon}</forwarded></sent></message>" * 2
                )
            assert await bodies(told, peer) == ["private", "group", "by phone", "by phone"]

    run(main())


# Nobody is somebody else


SENT: list[tuple[str, str, type[Event]]] = [
    ("chat", text("hello"), MessageReceived),
    ("chat", edit(IDS[1], "new"), MessageEdited),
    ("chat", removal(IDS[1]), MessageDeleted),
    ("chat", f"<received xmlns='urn:xmpp:chat-markers:0' id='{IDS[1]}'/>", MessageDelivered),
    ("chat", f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{IDS[1]}'/>", MessageRead),
    ("chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", TypingStarted),
    (
        "headline",
        "<extraParams><moduleIdentifier>SystemNotifications</moduleIdentifier><a>1</a></extraParams>",
        SystemMessageReceived,
    ),
    (
        "headline",
        "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>call</signalType>"
        "<sessionID>s</sessionID></extraParams>",
        CallSignalReceived,
    ),
]


@pytest.mark.parametrize(("kind", "content", "event"), SENT, ids=lambda value: getattr(value, "__name__", None))
def test_event_carries_the_address_and_foreign_users_have_no_id(kind: str, content: str, event: type[Any]) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            jids = ["5-7001@localhost/x", "5-7001@elsewhere/x", "5-9999@localhost/x", "05-7001@localhost/x"]
            for jid in jids:
                peer.send(message(jid, "", content, kind))
            found = await told.all(event, 4)
            if event is MessageReceived:
                seen = [(each.message.sender_id, each.message.sender_jid) for each in found]
            else:
                seen = [(each.user_id, each.jid) for each in found]
            assert seen == [(5, jids[0]), *((None, jid) for jid in jids[1:])]

    run(main())


def test_group_message_from_a_user_belongs_to_no_dialog() -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            extra = f"<extraParams><dialog_id>{DIALOG}</dialog_id></extraParams>"
            for jid in ("5-7001@localhost/x", f"7001_{DIALOG}@elsewhere/5", f"{ROOM}/mary"):
                peer.send(message(jid, "", text("hello", extra), "groupchat"))
            found = [event.message for event in await told.all(MessageReceived, 3)]
            ids = [(each.sender_id, each.dialog_id) for each in found]
            assert ids == [(5, None), (None, None), (None, DIALOG)]

    run(main())


def test_private_message_through_a_room_has_no_user() -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            peer.send(message(f"{ROOM}/5", IDS[0], text("hello"), "chat"))
            found = (await told.one(MessageReceived)).message
            assert (found.sender_id, found.sender_jid, found.type) == (None, f"{ROOM}/5", "chat")

    run(main())


def test_edits_and_removals_say_whether_they_are_from_the_author() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            mine = (await chat.send(DIALOG, "mine")).id
            peer.send(message(f"{ROOM}/5", IDS[0], text("theirs")))
            peer.send(message("5-7001@localhost/x", IDS[1], text("in private")))
            peer.send(message(MALLORY, IDS[0], text("the id of another")))
            changes = [
                (f"{ROOM}/5", IDS[0], True),
                (MALLORY, IDS[0], False),
                (MALLORY, IDS[1], None),
                (MALLORY, IDS[7], None),
                (MALLORY, mine, False),
                (f"{BARE}/phone", mine, True),
                ("5-7001@localhost/y", IDS[1], True),
                ("5-9999@localhost/x", IDS[1], None),
                ("666-7001@localhost/x", mine, False),
            ]
            for jid, number, _ in changes:
                peer.send(message(jid, "", edit(number, "new")) + message(jid, "", removal(number)))
            expected = [author for *_, author in changes]
            assert [event.from_author for event in await told.all(MessageEdited, len(changes))] == expected
            assert [event.from_author for event in await told.all(MessageDeleted, len(changes))] == expected

    run(main())


@pytest.mark.parametrize(
    ("sender", "user_id", "accepted"),
    [
        ("5-7001@localhost/x", 5, True),
        ("5-7001@localhost/x", 6, False),
        ("5-9999@localhost/x", 5, False),
        (f"{BARE}/phone", 5, False),
        (f"{ROOM}/5", 5, True),
        (f"{ROOM}/5", 6, False),
        (f"{ROOM}/mary", 5, False),
        (ROOM, 5, True),
        (HOST, 5, True),
        (f"7001_{DIALOG}@elsewhere", 5, False),
    ],
)
def test_reaction_in_the_name_of_another_is_rejected(sender: str, user_id: int, accepted: bool) -> None:
    async def main() -> None:
        async with online() as (_, told, peer):
            reaction = (
                f"<reactions user_id='{user_id}' message_id='{IDS[0]}'><reaction add='true' type='x'/></reactions>"
            )
            peer.send(message(sender, IDS[1], reaction))
            await settle(told, peer)
            seen = [(event.user_id, event.jid) for event in told.of(ReactionsChanged)]
            assert seen == ([(user_id, sender)] if accepted else [])
            assert len(told.of(StanzaRejected)) == (not accepted)

    run(main())


# Errors


def fault(number: str, sender: str) -> str:
    error = f"<error type='cancel'><service-unavailable xmlns='{STANZAS}'/></error>"
    return message(sender, number, error, "error").replace(" from=''", "")


@pytest.mark.parametrize("to", [5, DIALOG])
def test_error_of_someone_else_is_ignored(to: int | str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.acking = False
            sending = asyncio.ensure_future(chat.send(to, "hello"))
            number = (await peer.seen.one(lambda element: element.tag == MESSAGE)).get("id", "")
            forgers = ["666-7001@localhost/x", "5-9999@localhost", "5-7001@elsewhere", MALLORY, "elsewhere"]
            forgers.append(ROOM if to == 5 else "5-7001@localhost")
            for sender in forgers:
                peer.send(fault(number, sender))
            peer.send("".join(fault(unknown, "5-7001@localhost") for unknown in ["", "never-sent", *IDS]))
            await settle(told, peer)
            assert not sending.done()
            peer.ack()
            await sending
            assert not told.of(MessageFailed) + told.of(MessageBlocked) + told.of(StanzaRejected)

    run(main())


@pytest.mark.parametrize(
    ("to", "sender"),
    [
        *((5, sender) for sender in ["5-7001@localhost", "5-7001@localhost/desk", HOST, BARE, ""]),
        *((DIALOG, sender) for sender in [ROOM, "muc.localhost", HOST, ""]),
    ],
)
def test_error_of_the_addressee_or_server_counts(to: int | str, sender: str) -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            number = (await chat.send(to, "hello")).id
            peer.send(fault(number, sender))
            if to == 5:
                assert await told.one(MessageBlocked) == MessageBlocked(message_id=number, user_id=5)
            else:
                failed = await told.one(MessageFailed)
                assert (failed.message_id, failed.user_id, failed.dialog_id) == (number, None, DIALOG)

    run(main())
