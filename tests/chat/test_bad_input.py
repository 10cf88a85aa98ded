"""Misuse of the chat: each raises a typed error, sends nothing, hangs nothing and keeps the connection."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import pytest

from connectycube.chat import (
    AsyncChat,
    Attachment,
    Chat,
    ChatMessage,
    ContactRequested,
    MessageNotSent,
    NotConnected,
    PrivacyRule,
)
from connectycube.rest import ConfigurationError, Dialog, DialogType, File, InvalidArgument
from tests.chat.fake import APP_ID, HOST, MESSAGE, PASSWORD, USER_ID, Fake, chat_with, online, plays_along
from tests.integration.support import run

Call: TypeAlias = Callable[[Any], Awaitable[object]]

DIALOG = "66f1a7c2e4b0d93a51c8e201"
MESSAGE_ID = "66f1a7c2e4b0d93a51c8e2aa"
PRIVATE = Dialog(id=DIALOG, type=DialogType.PRIVATE, occupants_ids=[USER_ID, 5])
NOWHERE: list[Any] = [
    None,
    0,
    -5,
    True,
    10**19,
    1.5,
    "",
    "short",
    "66f1a7c2e4b0d93a51c8e20g",
    f"{DIALOG}/x",
    b"bytes",
    [5],
    Dialog(id=None, type=DialogType.GROUP),
    Dialog(id="x y", type=DialogType.GROUP),
    Dialog(id=DIALOG, type=DialogType.PRIVATE, occupants_ids=[]),
    Dialog(id=DIALOG, type=DialogType.PRIVATE, occupants_ids=[USER_ID]),
    Dialog(id=DIALOG, type=DialogType.PRIVATE, occupants_ids=[1, 2, 3]),
]
NO_USER: list[Any] = [None, 0, -5, True, 10**19, 1.5, "5", "", b"5", [5], Dialog(id=DIALOG)]
NO_ID: list[Any] = [None, 5, "", "short", "66f1a7c2e4b0d93a51c8e20g", b"66f1a7c2e4b0d93a51c8e201"]
NO_TEXT: list[Any] = [5, b"bytes", ["text"], "a\0b", "\ud800", "\x1b[0m"]


def each(call: Callable[[Any, Any], Awaitable[object]], values: Iterable[Any]) -> list[Call]:
    """Return a call for each value of one argument."""

    def bound(value: Any) -> Call:
        return lambda chat: call(chat, value)

    return [bound(value) for value in values]


def wrong_marks(name: str) -> list[Call]:
    no_id = ChatMessage(id=None, body="", sender_id=5, recipient_id=5, dialog_id=None, type="chat")
    no_sender = ChatMessage(id=MESSAGE_ID, body="", sender_id=None, recipient_id=5, dialog_id=None, type="chat")
    return [
        *each(lambda chat, number: getattr(chat, name)(number, sender_id=5), NO_ID),
        *each(lambda chat, user: getattr(chat, name)(MESSAGE_ID, sender_id=user), NO_USER),
        *each(lambda chat, message: getattr(chat, name)(message), [MESSAGE_ID, no_id, no_sender]),
        *each(lambda chat, dialog: getattr(chat, name)(MESSAGE_ID, sender_id=5, dialog_id=dialog), [5, "\0"]),
    ]


WRONG: dict[str, list[Call]] = {
    "send to": each(lambda chat, to: chat.send(to, "hello"), NOWHERE),
    "send body": each(lambda chat, body: chat.send(5, body), [None, "", *NO_TEXT]),
    "send message_id": each(lambda chat, message_id: chat.send(5, "a", message_id=message_id), NO_ID[1:]),
    "send extra": each(
        lambda chat, extra: chat.send(5, "a", extra=extra),
        (
            "text",
            5,
            ["a"],
            {5: "a"},
            {"": "a"},
            {"1a": "a"},
            {"a b": "a"},
            {"a:b": "a"},
            {"body": "a"},
            {"delay": "a"},
            {"save_to_history": "1"},
            {"dialog_id": DIALOG},
            {"attachment": "a"},
            {"moduleIdentifier": "a"},
            {"a": object()},
            {"a": {"b c": 1}},
            {"a": {"b": {1: 2}}},
            {"a": "\0"},
        ),
    ),
    "send attachments": each(
        lambda chat, attachments: chat.send(5, "a", attachments=attachments),
        (
            "text",
            5,
            {"uid": "a"},
            ["text"],
            [None],
            [File()],
            [{"uid": "a", "colour": "red"}],
            [{"size": "many"}],
            [Attachment(name="\0")],
            [Attachment(data=object())],
        ),
    ),
    "send destroy_after": each(lambda chat, after: chat.send(5, "a", destroy_after=after), (-1, "5", 1.5, True)),
    "edit_message": [
        *(lambda chat, to=to: chat.edit_message(to, MESSAGE_ID, "a") for to in NOWHERE),
        *(lambda chat, message_id=message_id: chat.edit_message(5, message_id, "a") for message_id in NO_ID),
        *(lambda chat, body=body: chat.edit_message(5, MESSAGE_ID, body) for body in [None, "", *NO_TEXT]),
        lambda chat: chat.edit_message(5, MESSAGE_ID, "a", extra={"body": "b"}),
    ],
    "delete_message": [
        *(lambda chat, to=to: chat.delete_message(to, MESSAGE_ID) for to in NOWHERE),
        *(lambda chat, number=number: chat.delete_message(5, number) for number in NO_ID),
    ],
    "mark_delivered": wrong_marks("mark_delivered"),
    "mark_read": wrong_marks("mark_read"),
    "typing": [
        *(lambda chat, to=to: chat.start_typing(to) for to in NOWHERE),
        *(lambda chat, to=to: chat.stop_typing(to) for to in NOWHERE),
    ],
    "send_system": [
        *(lambda chat, user=user: chat.send_system(user, {"a": "b"}) for user in NO_USER if user not in ([5],)),
        *(lambda chat, user=user: chat.send_system([5, user], {"a": "b"}) for user in NO_USER),
        lambda chat: chat.send_system(5, {"a b": 1}),
        lambda chat: chat.send_system(5, "text"),
        lambda chat: chat.send_system(5, body="\0"),
        lambda chat: chat.send_system(5, body=5),
    ],
    "rooms": [
        call
        for name in ("join", "leave", "online_users")
        for call in (*(lambda chat, to=to, name=name: getattr(chat, name)(to) for to in [*NOWHERE, 5, PRIVATE]),)
    ],
    "last activity": [
        call
        for name in ("last_activity", "subscribe_last_activity", "unsubscribe_last_activity")
        for call in ((lambda chat, user=user, name=name: getattr(chat, name)(user)) for user in NO_USER)
    ],
    "ping": [
        *(lambda chat, user=user: chat.ping(user) for user in NO_USER if user is not None),
        *(lambda chat, seconds=seconds: chat.ping(timeout=seconds) for seconds in ("5", True, -1, float("nan"))),
    ],
    "connect": [
        lambda chat: chat.disconnect(timeout=None),
        *(
            call
            for seconds in ("5", True, -1, float("nan"))
            for call in (
                lambda chat, seconds=seconds: chat.connect(timeout=seconds),
                lambda chat, seconds=seconds: chat.disconnect(timeout=seconds),
            )
        ),
    ],
    "set_presence": [
        lambda chat: chat.set_presence(status="\0"),
        lambda chat: chat.set_presence(status=5),
        lambda chat: chat.set_presence(show="gone"),
        lambda chat: chat.set_presence(show=5),
    ],
    "contacts": [
        *(
            call
            for name in ("request", "accept", "reject", "remove")
            for call in ((lambda chat, user=user, name=name: getattr(chat.contacts, name)(user)) for user in NO_USER)
        ),
        *(lambda chat, user=user: chat.contacts.rename(user, "a") for user in NO_USER),
        lambda chat: chat.contacts.request(5, name="\0"),
        lambda chat: chat.contacts.request(5, name=5),
        lambda chat: chat.contacts.request(USER_ID),
        lambda chat: chat.contacts.rename(7, "a"),
        lambda chat: chat.contacts.accept(7),
        lambda chat: chat.contacts.reject(7),
    ],
    "privacy": [
        *(lambda chat, user=user: chat.privacy.block(user) for user in NO_USER),
        *(lambda chat, user=user: chat.privacy.unblock(user) for user in NO_USER),
        *(lambda chat, user=user: chat.privacy.set("a", [PrivacyRule(user)]) for user in NO_USER),
        *(lambda chat, user=user: chat.privacy.update("a", [PrivacyRule(user)]) for user in NO_USER),
        lambda chat: chat.privacy.set("a", None),
        lambda chat: chat.privacy.set("a", [5]),
        lambda chat: chat.privacy.set("a", ["text"]),
        lambda chat: chat.privacy.set("a\0", [PrivacyRule(5)]),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_argument_is_rejected(name: str) -> None:
    async def main() -> None:
        async with online(timeout=30) as (chat, told, peer):
            await chat.privacy.names()
            count = len(peer.seen.items)
            for number, call in enumerate(WRONG[name]):
                with contextlib.suppress(InvalidArgument):
                    await call(chat)
                    raise AssertionError(f"call {number} of {name} is taken")
            await chat.ping()
            # Nothing was sent, and the chat still works.
            assert len(peer.seen.items) == count + 1
            assert chat.online
            await chat.send(5, "hello")
            assert len(told.seen.items) == 2

    run(main())


# Without a connection

CALLS: dict[str, Call] = {
    "send": lambda chat: chat.send(5, "a"),
    "edit_message": lambda chat: chat.edit_message(5, MESSAGE_ID, "a"),
    "delete_message": lambda chat: chat.delete_message(5, MESSAGE_ID),
    "mark_delivered": lambda chat: chat.mark_delivered(MESSAGE_ID, sender_id=5),
    "mark_read": lambda chat: chat.mark_read(MESSAGE_ID, sender_id=5),
    "start_typing": lambda chat: chat.start_typing(5),
    "stop_typing": lambda chat: chat.stop_typing(5),
    "send_system": lambda chat: chat.send_system([5, 6]),
    "join": lambda chat: chat.join(DIALOG),
    "online_users": lambda chat: chat.online_users(DIALOG),
    "last_activity": lambda chat: chat.last_activity(5),
    "subscribe_last_activity": lambda chat: chat.subscribe_last_activity(5),
    "unsubscribe_last_activity": lambda chat: chat.unsubscribe_last_activity(5),
    "ping": lambda chat: chat.ping(),
    "set_active": lambda chat: chat.set_active(),
    "set_inactive": lambda chat: chat.set_inactive(),
    "set_presence": lambda chat: chat.set_presence(),
    "contacts.request": lambda chat: chat.contacts.request(5),
    "contacts.remove": lambda chat: chat.contacts.remove(5),
    "privacy.names": lambda chat: chat.privacy.names(),
    "privacy.get": lambda chat: chat.privacy.get("a"),
    "privacy.set": lambda chat: chat.privacy.set("a", [PrivacyRule(5)]),
    "privacy.update": lambda chat: chat.privacy.update("a", [PrivacyRule(5)]),
    "privacy.activate": lambda chat: chat.privacy.activate("a"),
    "privacy.deactivate": lambda chat: chat.privacy.deactivate(),
    "privacy.delete": lambda chat: chat.privacy.delete("a"),
    "privacy.block": lambda chat: chat.privacy.block(5),
    "privacy.unblock": lambda chat: chat.privacy.unblock(5),
    "privacy.blocked": lambda chat: chat.privacy.blocked(),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_without_a_connection_raise(name: str) -> None:
    async def main() -> None:
        expected = MessageNotSent if name.partition("_")[0] in ("send", "edit", "delete", "mark") else NotConnected
        async with Fake() as fake:
            chat = chat_with(fake)
            for _ in range(2):
                with pytest.raises(expected, match="not connected"):
                    await CALLS[name](chat)
                await chat.disconnect()

    run(main())


def test_answer_to_a_contact_request_needs_a_connection() -> None:
    async def main() -> None:
        async with online() as (chat, told, peer):
            peer.send("<presence from='5-7001@localhost' type='subscribe'/>")
            await told.one(ContactRequested)
            await chat.disconnect()
            for call in (chat.contacts.accept, chat.contacts.reject):
                with pytest.raises(NotConnected):
                    await call(5)
                assert chat.contacts.incoming == (5,)

    run(main())


def test_id_of_a_pending_message_is_rejected() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            await chat.ping()
            peer.acking = False
            first = asyncio.ensure_future(chat.send(5, "first", message_id=MESSAGE_ID))
            await peer.seen.one(lambda element: element.tag == MESSAGE)
            for to in (5, 6):
                with pytest.raises(InvalidArgument, match="on its way"):
                    await chat.send(to, "second", message_id=MESSAGE_ID)
            assert not first.done()
            peer.acking = True
            peer.ack()
            assert (await first).id == MESSAGE_ID
            assert (await chat.send(6, "third", message_id=MESSAGE_ID)).id == MESSAGE_ID

    run(main())


# The constructor

SETUPS: list[dict[str, Any]] = [
    *({"user_id": user} for user in (0, -1, True, "5", 1.5, 10**19)),
    *({"password": password} for password in ("", 5, b"secret")),
    *({"app_id": app} for app in (0, -1, True, "7", 1.5)),
    *({"host": host} for host in ("", "a b", "a/b", "a@b", 5, "user:pw@host")),
    *({"muc_host": host} for host in ("", "a b", "a/b", 5)),
    *({"port": port} for port in (0, -1, 65536, True, "5223", 1.5)),
    *({"tls": tls} for tls in ("TLS", None, True, "")),
    {"tls": "none", "ssl_context": ssl.create_default_context()},
    *({"ssl_context": context} for context in (True, "system", object())),
    *({"resource": resource} for resource in ("\0", 5, "a" * 2000)),
    *({"mark_delivered": mode} for mode in ("sometimes", None, True)),
    *({"timeout": seconds} for seconds in (0, -1, None, "5", True, float("nan"))),
    *({"send_timeout": seconds} for seconds in (0, -1, "5", True, float("nan"))),
    *({"keepalive": seconds} for seconds in (0, -1, "5", True, float("nan"))),
    *({"stable_after": seconds} for seconds in (-1, None, "5", True, float("nan"))),
    *({"backoff": backoff} for backoff in (5, "fast", {"first": 1})),
]


@pytest.mark.parametrize("number", range(len(SETUPS)))
def test_invalid_constructor_argument_is_rejected(number: int) -> None:
    options = {"user_id": USER_ID, "password": PASSWORD, "app_id": APP_ID, "host": HOST, **SETUPS[number]}
    with pytest.raises((InvalidArgument, ConfigurationError)) as wrong:
        AsyncChat(**options)
    assert PASSWORD not in str(wrong.value)


@pytest.mark.parametrize("missing", ["user_id", "password", "app_id"])
def test_missing_configuration_is_reported(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONNECTYCUBE_APP_ID", raising=False)
    options: dict[str, Any] = {"user_id": USER_ID, "password": PASSWORD, "app_id": APP_ID}
    del options[missing]
    with pytest.raises(ConfigurationError, match=missing):
        AsyncChat(**options)
    if missing == "app_id":
        monkeypatch.setenv("CONNECTYCUBE_APP_ID", str(APP_ID))
        AsyncChat(**options)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True])
def test_invalid_timeout_leaves_a_blocking_chat_unchanged(timeout: Any) -> None:
    async def main() -> None:
        async with Fake(plays_along) as fake:
            chat = Chat(
                user_id=USER_ID,
                password=PASSWORD,
                app_id=APP_ID,
                host=HOST,
                port=fake.port,
                tls="none",
                allow_insecure=True,
            )

            def use() -> None:
                with chat:
                    for call in (chat.connect, chat.disconnect):
                        with pytest.raises(InvalidArgument, match="timeout"):
                            call(timeout=timeout)
                        assert chat.online
                        chat.ping()

            await asyncio.to_thread(use)

    run(main())
