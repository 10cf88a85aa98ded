"""Wherever an id is expected, the object that has it is accepted, and no id or object of another kind."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import AsyncChat, Chat, ChatMessage, Contact, RequestRefused, SentMessage, Subscription
from connectycube.rest import Dialog, File, InvalidArgument, Message, User
from tests.chat.fake import APP_ID, HOST, PASSWORD, USER_ID, Fake, Peer, online, plays_along
from tests.integration.support import run

ID = "66f1a8d0e4b0d93a51c8e300"
DIALOG = Dialog(id="66f1a7c2e4b0d93a51c8e201")
USER = User(id=5)
CONTACT = Contact(user_id=5, name="Eve", subscription=Subscription.BOTH)
RECEIVED = ChatMessage(id=ID, body="", sender_id=5, recipient_id=USER_ID, dialog_id=None, type="chat")

Call = Callable[[AsyncChat, Any], Awaitable[object]]

OF_USERS: dict[str, tuple[str, Call]] = {
    "ping": ("user_id", lambda chat, user: chat.ping(user)),
    "last_activity": ("user_id", lambda chat, user: chat.last_activity(user)),
    "subscribe_last_activity": ("user_id", lambda chat, user: chat.subscribe_last_activity(user)),
    "unsubscribe_last_activity": ("user_id", lambda chat, user: chat.unsubscribe_last_activity(user)),
    "send_system": ("to", lambda chat, user: chat.send_system(user)),
    "send_system to several": ("to", lambda chat, user: chat.send_system([6, user])),
    "mark_delivered": ("sender_id", lambda chat, user: chat.mark_delivered(ID, sender_id=user)),
    "mark_read": ("sender_id", lambda chat, user: chat.mark_read(ID, sender_id=user)),
    "contacts.request": ("user_id", lambda chat, user: chat.contacts.request(user)),
    "contacts.accept": ("user_id", lambda chat, user: chat.contacts.accept(user)),
    "contacts.reject": ("user_id", lambda chat, user: chat.contacts.reject(user)),
    "contacts.remove": ("user_id", lambda chat, user: chat.contacts.remove(user)),
    "contacts.rename": ("user_id", lambda chat, user: chat.contacts.rename(user, "Eve")),
    "privacy.block": ("user_id", lambda chat, user: chat.privacy.block(user)),
    "privacy.unblock": ("user_id", lambda chat, user: chat.privacy.unblock(user)),
}
OF_MESSAGES: dict[str, Call] = {
    "edit_message": lambda chat, message: chat.edit_message(5, message, "new"),
    "delete_message": lambda chat, message: chat.delete_message(5, message),
}


def addresses(peer: Peer, start: int = 0) -> list[str]:
    """The addresses in what the client sent."""
    sent = [element for stanza in peer.seen.items[start:] for element in stanza.iter()]
    return [value for element in sent for name, value in element.items() if name in ("to", "jid", "user_jid", "value")]


async def script(peer: Peer) -> None:
    peer.roster = "<item jid='5-7001@localhost' subscription='both'/>"
    await plays_along(peer)


@pytest.mark.parametrize("name", sorted(OF_USERS.keys() - {"contacts.accept", "privacy.unblock"}))
def test_user_and_contact_are_accepted(name: str) -> None:
    async def main() -> None:
        _, call = OF_USERS[name]
        for user in (USER, CONTACT):
            async with online(script) as (chat, _, peer):
                start = len(peer.seen.items)
                with contextlib.suppress(RequestRefused):  # The fake server's answers are empty.
                    await call(chat, user)
                assert "5-7001@localhost" in addresses(peer, start)

    run(main())


def test_contact_request_is_answered_with_the_object() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send("<presence from='5-7001@localhost' type='subscribe'/>")
            await told.seen.one(lambda event: type(event).__name__ == "ContactRequested")
            start = len(peer.seen.items)
            await chat.contacts.accept(USER)
            await chat.ping()
            assert "5-7001@localhost" in addresses(peer, start)

    run(main())


@pytest.mark.parametrize(
    "wrong", [DIALOG, DIALOG.id, File(id=5, uid="u"), Message(id=ID)], ids=lambda value: type(value).__name__
)
def test_other_object_in_place_of_a_user_is_rejected(wrong: object) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.ping()
            start = len(peer.seen.items)
            for argument, call in OF_USERS.values():
                with pytest.raises(InvalidArgument) as raised:
                    await call(chat, wrong)
                assert raised.value.argument == argument
                if wrong in (DIALOG, DIALOG.id):
                    assert "must be a user, but is the id of a dialog" in str(raised.value)
            await chat.ping()
            assert len(peer.seen.items) == start + 1  # Nothing but the ping was sent.

    run(main())


SENT = SentMessage(id=ID, dialog_id=None, date_sent=dt.datetime(2026, 2, 5, 11, 10, tzinfo=dt.UTC))


@pytest.mark.parametrize("name", OF_MESSAGES)
def test_message_is_accepted(name: str) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            for message in (
                RECEIVED,
                SENT,
                Message(id=ID),
            ):
                await OF_MESSAGES[name](chat, message)
                assert ID in [element.get("id") for element in peer.seen.items[-1]]

    run(main())


@pytest.mark.parametrize("name", OF_MESSAGES)
@pytest.mark.parametrize("wrong", [DIALOG, USER, 5, Message(id="")], ids=lambda value: type(value).__name__)
def test_other_object_in_place_of_a_message_is_rejected(name: str, wrong: object) -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.ping()
            start = len(peer.seen.items)
            with pytest.raises(InvalidArgument, match="message_id must be 24 hexadecimal digits"):
                await OF_MESSAGES[name](chat, wrong)
            await chat.ping()
            assert len(peer.seen.items) == start + 1

    run(main())


def test_mark_of_an_id_takes_the_dialog_as_an_object() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.mark_read(ID, sender_id=USER, dialog_id=DIALOG)
            mark = peer.seen.items[-1]
            assert [element.text for element in mark.iter() if element.tag.endswith("}dialog_id")] == [DIALOG.id]
            with pytest.raises(InvalidArgument, match="dialog_id"):
                await chat.mark_read(ID, sender_id=USER, dialog_id="general")

    run(main())


def test_blocking_chat_takes_objects_from_a_generator() -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:

            def use() -> None:
                options: dict[str, Any] = {"user_id": USER_ID, "password": PASSWORD, "app_id": APP_ID, "host": HOST}
                with Chat(port=fake.port, tls="none", allow_insecure=True, **options) as chat:
                    chat.send_system((user for user in (USER, CONTACT, 6)), {"kind": "refresh"})

            await asyncio.to_thread(use)
            peer: Peer = await fake.peers.one()
            sent: list[ET.Element] = [element for element in peer.seen.items if element.get("type") == "headline"]
            assert [element.get("to") for element in sent] == ["5-7001@localhost"] * 2 + ["6-7001@localhost"]

    run(main())
