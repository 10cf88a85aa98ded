"""Several devices of one user: copies of what the others send and get, and copies that are forged."""

from __future__ import annotations

import pytest

from connectycube.chat import (
    MessageDeleted,
    MessageEdited,
    MessageRead,
    MessageReceived,
    MessageSent,
    MessageSentElsewhere,
    StanzaRejected,
)
from tests.integration.bare import Bare
from tests.integration.chats import Users, gather, people, private
from tests.integration.server import Server
from tests.integration.support import run

NUMBER = "66f1a7c2e4b0d93a51c8e2ac"


def test_messages_sent_from_another_device(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user, users()) as (desk, phone, other):
            sent = await desk.chat.send(other.id, "hello", extra={"colour": "red"}, destroy_after=3)
            copy = (await phone.told.one(MessageSentElsewhere)).message
            assert (copy.id, copy.body, copy.carbon, copy.delayed) == (sent.id, "hello", True, None)
            assert (copy.sender_id, copy.recipient_id, copy.type) == (user.id, other.id, "chat")
            assert (copy.extra, copy.destroy_after, copy.date_sent) == ({"colour": "red"}, 3, sent.date_sent)
            assert not phone.told.of(MessageSent)
            await other.caught_up(desk)
            assert not phone.told.of(MessageReceived)
            assert not desk.told.of(MessageReceived)
            assert not desk.told.of(MessageSentElsewhere)

    run(main())


def test_group_messages_sent_from_another_device(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user, users()) as (desk, phone, other):
            dialog_id = await gather(server, desk, phone, other)
            sent = await desk.chat.send(dialog_id, "hello")
            copy = (await phone.told.one(MessageSentElsewhere)).message
            assert (copy.id, copy.sender_id, copy.dialog_id, copy.type) == (sent.id, user.id, dialog_id, "groupchat")
            assert (await other.told.one(MessageReceived)).message.id == sent.id
            assert not phone.told.of(MessageReceived)
            assert not desk.told.of(MessageReceived)
            assert not desk.told.of(MessageSentElsewhere)

    run(main())


def test_messages_received_on_another_device(server: Server, users: Users) -> None:
    async def main() -> None:
        user, friend = users(), users()
        async with people(server, user, user) as (desk, phone), Bare(server.ports.starttls) as bare:
            await bare.login(friend)
            markable = "<markable xmlns='urn:xmpp:chat-markers:0'/>"
            extra = f"<extraParams><dialog_id>{server.private(friend, user)}</dialog_id></extraParams>"
            bare.send(
                f"<message to='{desk.chat.jid}' type='chat' id='{NUMBER}'><body>hello</body>{markable}{extra}</message>"
            )
            original = (await desk.told.one(MessageReceived)).message
            copy = (await phone.told.one(MessageReceived)).message
            assert (original.carbon, copy.carbon) == (False, True)
            assert (copy.id, copy.body, copy.sender_id, copy.recipient_id) == (NUMBER, "hello", friend.id, user.id)
            # Only the device that the message was for marks it, and the other one hears of that.
            mark = await bare.receive("{jabber:client}message")
            assert mark.get("from") == desk.chat.jid
            bare.send(f"<message to='{desk.chat.jid}' type='chat' id='m2'><body>next</body></message>")
            await phone.told.all(MessageReceived, 2)
            assert bare.unread == []

    run(main())


def test_message_changes_from_another_device(server: Server, users: Users) -> None:
    async def main() -> None:
        user, friend = users(), users()
        async with people(server, user, user, friend) as (desk, phone, other):
            dialog = private(server, desk, other)
            await desk.chat.edit_message(dialog, NUMBER, "new")
            assert await phone.told.one(MessageEdited) == MessageEdited(
                message_id=NUMBER, dialog_id=dialog.id, user_id=user.id, body="new", last=True
            )
            sent = await desk.chat.send(dialog, "hello")
            await desk.chat.delete_message(dialog, sent.id)
            assert (await phone.told.one(MessageDeleted)).from_author is True
            await desk.chat.mark_read(NUMBER, sender_id=friend.id, dialog_id=dialog.id)
            assert await phone.told.one(MessageRead) == MessageRead(
                message_id=NUMBER, dialog_id=dialog.id, user_id=user.id
            )
            await other.caught_up(desk)
            assert not desk.told.of(MessageEdited)

    run(main())


def test_message_reaches_each_device_once(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user, users()) as (desk, phone, other):
            for body in ("first", "second"):
                await other.chat.send(user.id, body)
            for device in (desk, phone):
                found = await device.told.all(MessageReceived, 2)
                assert [event.message.body for event in found] == ["first", "second"]

    run(main())


@pytest.mark.parametrize("kind", ["sent", "received"])
@pytest.mark.parametrize("sender", ["stranger", "own-device"])
def test_forged_carbon_is_ignored(server: Server, users: Users, kind: str, sender: str) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user) as (one,), Bare(server.ports.starttls) as bare:
            # Carbons come from the account itself, not from one of its devices (XEP-0280 section 11).
            await bare.login(user if sender == "own-device" else users())
            inner = f"<message xmlns='jabber:client' from='{user.jid}/x' to='1-1@localhost' type='chat' id='{NUMBER}'>"
            inner = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}<body>forged</body></message></forwarded>"
            copy = f"<{kind} xmlns='urn:xmpp:carbons:2'>{inner}</{kind}>"
            bare.send(f"<message to='{one.chat.jid}' type='chat'>{copy}</message>")
            bare.send(f"<message to='{one.chat.jid}' type='chat'><body>true</body></message>")
            kind_of = MessageSentElsewhere if sender == "own-device" else MessageReceived
            found = await one.told.seen.one(lambda event: isinstance(event, MessageSentElsewhere | MessageReceived))
            assert isinstance(found, kind_of)
            assert found.message.body == "true"
            rejected = await one.told.one(StanzaRejected)
            assert "carbon" in rejected.problem
            assert "forged" in rejected.xml
            assert one.chat.online

    run(main())
