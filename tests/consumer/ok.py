"""Code as a user writes it. It is type-checked and never run: mypy --strict and pyright must find nothing here."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, assert_type

import httpx

from connectycube.chat import (
    AsyncChat,
    Backoff,
    BlockingEventStream,
    Chat,
    ChatMessage,
    ChatState,
    ConnectError,
    Contact,
    ContactRequested,
    Disconnected,
    Event,
    EventStream,
    MessageDeleted,
    MessageDelivered,
    MessageEdited,
    MessageNotSent,
    MessageRead,
    MessageReceived,
    MessageSent,
    PrivacyRule,
    Reconnected,
    Reconnecting,
    RequestRefused,
    SentMessage,
    StanzaRefused,
    TypingStarted,
    TypingStopped,
)
from connectycube.rest import (
    OMIT,
    ApiError,
    AsyncConnectyCube,
    AsyncPage,
    AttachmentInput,
    ConnectyCube,
    ConnectyCubeError,
    Dialog,
    DialogFilters,
    DialogPermissions,
    DialogType,
    File,
    InvalidArgument,
    Message,
    MessageFilters,
    NotFound,
    Page,
    RawResponse,
    Session,
    User,
    UserFilters,
)
from connectycube.stanzas import CallSignal, DiscoInfo, DiscoInfoRequest, Stanza, StanzaFault

DIALOG = "66f1a7c2e4b0d93a51c8e201"
MESSAGE = "66f1a8d0e4b0d93a51c8e300"


def clients() -> None:
    ConnectyCube()
    ConnectyCube(7001, "key", timeout=httpx.Timeout(5.0, connect=1.0), max_retries=0)
    ConnectyCube("7001", "key", http_client=httpx.Client(), token="token", admin_key="key")
    with ConnectyCube(base_url="https://chat.example", timeout=None) as cube:
        assert_type(cube, ConnectyCube)
        assert_type(cube.with_options(timeout=None, max_retries=1, headers={"X-Job": "1"}), ConnectyCube)


def renew(cube: ConnectyCube) -> Session:
    return cube.sessions.create(user={"login": "mary", "password": "secret"})


async def renew_async(cube: AsyncConnectyCube) -> str | None:
    return (await cube.sessions.create(user={"login": "mary", "password": "secret"})).token


def log_retry(error: ConnectyCubeError, seconds: float) -> None:
    print(error.operation, seconds)


async def count_retry(error: ConnectyCubeError, seconds: float) -> None:
    await asyncio.sleep(0)


def hooks() -> None:
    ConnectyCube(on_retry=log_retry)
    AsyncConnectyCube(on_retry=log_retry)
    AsyncConnectyCube(on_retry=count_retry)


def sessions() -> None:
    cube = ConnectyCube(on_session_expired=renew)
    AsyncConnectyCube(on_session_expired=renew_async)
    assert_type(cube.login(login="mary", password="secret"), Session)
    assert_type(cube.login(email="mary@mail.example", password="secret"), Session)
    assert_type(cube.login_guest(full_name="Passer-by"), Session)
    assert_type(cube.login_provider("firebase_phone", token="proof", project_id="project"), Session)
    assert_type(cube.use_session("token", user_id=81001), Session)
    assert_type(cube.session, Session | None)
    assert_type(cube.session_expires_at, dt.datetime | None)
    cube.sessions.delete_by_id(550101)
    cube.logout()


def dialogs(cube: ConnectyCube) -> None:
    dialog = cube.dialogs.create(
        type=DialogType.GROUP,
        name="Climbing on Sunday",
        occupants_ids=[81002, 81003],
        extensions={"city": "Turin"},
        permissions={"allow_preview": True},
    )
    assert_type(dialog, Dialog)
    assert_type(dialog.id, str)
    assert_type(dialog.type, DialogType | int | None)
    assert_type(dialog.occupants_ids, list[int])
    assert_type(dialog.created_at, dt.datetime | None)
    assert_type(dialog.permissions, DialogPermissions | None)
    assert_type(dialog.extensions, dict[str, str] | None)
    assert_type(dialog.extra, dict[str, Any])
    cube.dialogs.create(type=3, occupants_ids=(81002,))
    cube.dialogs.create(type=2, occupants_ids={81002, 81003})
    cube.dialogs.create(type=2, occupants_ids={81002: "Ada"}.keys(), admins_ids=frozenset({81002}))
    cube.dialogs.update(DIALOG, pull_all={"occupants_ids": (id for id in range(81002, 81004))})
    cube.dialogs.delete_many(found.id for found in cube.dialogs.list())
    cube.dialogs.update(DIALOG, name="Climbing", push_all={"occupants_ids": [81004]}, permissions=dialog.permissions)
    cube.dialogs.update(DIALOG, extensions=None)
    cube.dialogs.update(DIALOG, extensions=OMIT)
    cube.dialogs.delete(DIALOG, force=True)
    cube.dialogs.delete_many(DIALOG)
    deleted = cube.dialogs.delete_many([DIALOG, DIALOG]).successfully_deleted
    if deleted is not None:
        assert_type(deleted.ids, list[str])
    assert_type(cube.dialogs.count(filters={"type": 2}), int)
    assert_type(Dialog.from_dict({"_id": DIALOG}).to_dict(), dict[str, Any])
    assert_type(Dialog(id=DIALOG, type=DialogType.GROUP), Dialog)


def pages(cube: ConnectyCube) -> None:
    page = cube.dialogs.list(limit=50, skip=0, sort_desc="last_message_date_sent")
    assert_type(page, Page[Dialog])
    assert_type(page.items, list[Dialog])
    assert_type(page.total_entries, int | None)
    for dialog in page:
        assert_type(dialog, Dialog)
    names = [user.full_name for user in cube.users.list(filters={"login": {"in": ["mary", "ada"]}})]
    assert_type(names, list[str | None])
    kept: Page[Message] = cube.messages.list(chat_dialog_id=DIALOG, mark_as_read=False)
    assert_type(next(iter(kept)), Message)


def filters(cube: ConnectyCube) -> None:
    by_dialog: DialogFilters = {
        "type": {"in": [DialogType.GROUP, DialogType.PUBLIC], "ne": 3},
        "name": {"ctn": "Climbing"},
        "last_message_date_sent": {"gt": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "lte": 1770106530},
        "extensions": {"city": "Turin", "level": {"in": ["6a", "6b"]}},
    }
    by_dialog["id"] = DIALOG
    elsewhere = {"type": 2}
    nested = {"type": {"in": {2, 3}}, "name": "Climbing"}
    cube.dialogs.list(filters=elsewhere)
    cube.dialogs.count(filters=nested)
    cube.users.list(filters=MappingProxyType({"login": "mary"}))
    cube.custom_objects.list("tour", filters={"year": {"in": range(2019, 2022)}})
    by_message: MessageFilters = {"sender_id": 81002, "date_sent": {"gt": 1770106530}, "attachments.type": "image"}
    by_user: UserFilters = {"full_name": {"start_with": "Mary"}, "created_at": {"gt": "2026-01-01T00:00:00Z"}}
    cube.dialogs.list(filters=by_dialog)
    cube.messages.list(chat_dialog_id=DIALOG, filters=by_message)
    cube.users.list(filters=by_user)


def messages(cube: ConnectyCube) -> None:
    picture: AttachmentInput = {"type": "image", "uid": "9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0", "width": 1600}
    sent = cube.messages.create(
        chat_dialog_id=DIALOG, message="The wall", attachments=[picture], send_to_chat=True, extra={"place": "car park"}
    )
    assert_type(sent, Message)
    assert_type(sent.date_sent, dt.datetime | None)
    assert_type(sent.read_ids, list[int])
    cube.messages.create(recipient_id=81002, message="Again", attachments=sent.attachments)
    cube.messages.update([MESSAGE, MESSAGE], chat_dialog_id=DIALOG, read=True)
    cube.messages.update_all(chat_dialog_id=DIALOG, delivered=True)
    cube.messages.delete(MESSAGE, force=True)
    assert_type(cube.messages.unread_count(chat_dialog_ids=[DIALOG]).total, int | None)
    cube.messages.update_reactions(MESSAGE, add="👍")
    assert_type(cube.messages.list_reactions(MESSAGE), dict[str, list[int]])


def further(cube: ConnectyCube, record: Mapping[str, object]) -> None:
    user = cube.users.create(login="mary", password="secret", full_name="Mary S.", tag_list=["climber"])
    assert_type(user, User)
    cube.users.update(81001, avatar="9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0")
    cube.search.query(search_text="bridge", chat_dialog_ids=[DIALOG])
    cube.push_subscriptions.list()
    cube.address_book.upload(contacts=[{"name": "Ada", "phone": "390655500102"}])
    cube.custom_objects.create("tour", fields=record)
    cube.whiteboards.create(name="Route", chat_dialog_id=DIALOG)
    cube.meetings.list()
    cube.admin.list_dialogs(limit=10)
    assert_type(cube.link_previews.create(url="https://news.example").images, list[str])


def files(cube: ConnectyCube, stream: io.BytesIO) -> None:
    def progress(sent: int, total: int | None) -> None:
        print(sent, total)

    assert_type(cube.files.upload("route.txt", progress=progress), File)
    cube.files.upload(Path("route.txt"), name="route", content_type="text/plain", public=True)
    cube.files.upload(b"bytes")
    cube.files.upload(stream)
    assert_type(cube.files.download("9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0"), bytes)
    assert_type(cube.files.download("9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0", to=Path("copy.txt")), int)
    assert_type(cube.files.url("9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0"), str)


def raw(cube: ConnectyCube) -> None:
    answer = cube.dialogs.with_raw_response.list(limit=10)
    assert_type(answer, RawResponse[Page[Dialog]])
    assert_type(answer.status, int)
    assert_type(answer.body, bytes)
    assert_type(answer.headers.get("content-type", ""), Any)
    assert_type(answer.parse(), Page[Dialog])
    assert_type(cube.users.with_raw_response.get(81001).parse(), User)


def errors(cube: ConnectyCube) -> None:
    try:
        cube.dialogs.delete(DIALOG)
    except NotFound as error:
        assert_type(error.errors, dict[str, list[str]])
    except ApiError as error:
        assert_type(error.status, int)
        if error.request is not None:
            assert_type(error.request.url, str)
    except InvalidArgument as error:
        assert_type(error.argument, str)
    except ConnectyCubeError as error:
        assert_type(error.operation, str)


async def asynchronous() -> None:
    async with AsyncConnectyCube(7001, "key", http_client=httpx.AsyncClient()) as cube:
        assert_type(await cube.login(login="mary", password="secret"), Session)
        page = await cube.dialogs.list(filters={"type": {"in": [2, 3]}})
        assert_type(page, AsyncPage[Dialog])
        assert_type(page.items, list[Dialog])
        async for dialog in page:
            assert_type(dialog, Dialog)
        assert_type(await cube.dialogs.count(), int)
        assert_type(await cube.messages.create(chat_dialog_id=DIALOG, message="Hello"), Message)
        answer = await cube.dialogs.with_raw_response.list()
        assert_type(answer, RawResponse[AsyncPage[Dialog]])
        assert_type(await cube.files.upload(b"bytes"), File)
        assert_type(await cube.files.download("9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0"), bytes)
        await cube.with_options(timeout=5.0).logout()


def chat(cube: ConnectyCube, acube: AsyncConnectyCube) -> None:
    Chat(acube, tls="starttls", mark_delivered="never", backoff=Backoff(first=1.0, maximum=30.0))
    with Chat(cube, port=5223, keepalive=None) as chat:
        assert_type(chat, Chat)
        picture = File(id=46919, uid="9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0")
        sent = chat.send(81002, "Hello", attachments=[picture], extra={"mood": 1})
        assert_type(sent, SentMessage)
        chat.send(DIALOG, attachments=[{"type": "image", "url": "https://pictures.example/1"}], message_id=MESSAGE)
        chat.send(Dialog(id=DIALOG), "Hello", destroy_after=10, silent=True)
        chat.edit_message(81002, sent.id, "Hello!", last=False)
        chat.delete_message(DIALOG, sent.id)
        chat.mark_read(sent.id, sender_id=81002, dialog_id=DIALOG)
        chat.send_system([81002, 81003], {"kind": "ping"})
        assert_type(chat.online_users(DIALOG), tuple[int, ...])
        assert_type(chat.last_activity(81002), int)
        assert_type(chat.state, ChatState)
        assert_type(chat.contacts[81002], Contact)
        assert_type(chat.contacts.incoming, tuple[int, ...])
        chat.contacts.accept(81002, mutual=False)
        assert_type(chat.privacy.get("blocked"), tuple[PrivacyRule, ...])
        chat.privacy.set("blocked", [PrivacyRule(81002, mutual=True)])
        assert_type(chat.privacy.blocked(), tuple[int, ...])
        assert_type(chat.disconnect(), tuple[str, ...])


def chat_events(chat: Chat) -> None:
    @chat.on(MessageReceived)
    def received(event: MessageReceived) -> None:
        assert_type(event.message, ChatMessage)
        chat.mark_read(event.message)

    received(
        MessageReceived(message=ChatMessage(id=None, body="", sender_id=1, recipient_id=2, dialog_id=None, type="chat"))
    )
    chat.on()(print)
    chat.on(MessageReceived)(print)
    chat.on(MessageReceived)(lambda event: chat.send(event.message.sender_id or 81002, "Hello"))
    chat.on(MessageReceived, TypingStarted)(lambda event: chat.set_active())

    @chat.on(TypingStarted)
    @chat.on(TypingStopped)
    def typing(event: TypingStarted | TypingStopped) -> None:
        assert_type(event.user_id, int | None)

    @chat.on(MessageSent, MessageDelivered, MessageRead, MessageEdited)
    def changed(event: MessageSent | MessageDelivered | MessageRead | MessageEdited) -> None:
        print(event)

    chat.off(received)
    assert_type(chat.events(), BlockingEventStream[Event])
    for event in chat.events(TypingStarted, TypingStopped, limit=10):
        assert_type(event, TypingStarted | TypingStopped)
        assert_type(event.user_id, int | None)
    for told in chat.events(MessageReceived, TypingStarted):
        assert_type(told, MessageReceived | TypingStarted)
        if not isinstance(told, TypingStarted):
            assert_type(told.message, ChatMessage)
    with chat.events(Reconnecting) as events:
        assert_type(next(events).error, ConnectError)
        assert_type(events.dropped, int)
    try:
        chat.send(81002, "Hello")
    except MessageNotSent as error:
        assert_type(error.message_id, str)
    except RequestRefused as error:
        assert_type(error.condition, str)


async def asynchronous_chat(acube: AsyncConnectyCube) -> None:
    async with AsyncChat(acube) as chat:
        assert_type(await chat.send(81002, "Hello"), SentMessage)
        assert_type(chat.events(ContactRequested), EventStream[ContactRequested])

        @chat.on(MessageReceived, concurrency=5)
        async def received(event: MessageReceived) -> None:
            await chat.mark_delivered(event.message)

        @chat.on(MessageReceived, ContactRequested, Disconnected)
        async def either(event: MessageReceived | ContactRequested | Disconnected) -> int:
            print(event)
            return 1

        chat.on(MessageReceived)(print)

        async for told in chat.events(MessageReceived, TypingStarted):
            assert_type(told, MessageReceived | TypingStarted)
            match told:
                case MessageReceived(message=message):
                    assert_type(message, ChatMessage)
                case TypingStarted():
                    assert_type(told.dialog_id, str | None)
        async for event in chat.events(ContactRequested):
            await chat.contacts.accept(event.user_id)
            await chat.privacy.unblock(event.user_id)
        chat.off(received)


def several_events(chat: Chat, achat: AsyncChat, all_of_them: tuple[type[Event], ...]) -> None:
    """Each class that is named is told, not what they have in common."""
    assert_type(chat.events(Reconnecting, Reconnected), BlockingEventStream[Reconnecting | Reconnected])
    assert_type(achat.events(Reconnecting, Reconnected), EventStream[Reconnecting | Reconnected])
    three = chat.events(MessageSent, MessageDelivered, MessageRead)
    assert_type(three, BlockingEventStream[MessageSent | MessageDelivered | MessageRead])
    four = achat.events(MessageSent, MessageDelivered, MessageRead, MessageEdited, limit=10)
    assert_type(four, EventStream[MessageSent | MessageDelivered | MessageRead | MessageEdited])
    five = chat.events(MessageSent, MessageDelivered, MessageRead, MessageEdited, MessageDeleted)
    assert_type(
        five, BlockingEventStream[MessageSent | MessageDelivered | MessageRead | MessageEdited | MessageDeleted]
    )
    six = achat.events(MessageSent, MessageDelivered, MessageRead, MessageEdited, MessageDeleted, Disconnected)
    assert_type(
        six, EventStream[MessageSent | MessageDelivered | MessageRead | MessageEdited | MessageDeleted | Disconnected]
    )
    assert_type(chat.events(*all_of_them), BlockingEventStream[Event])
    assert_type(achat.events(*all_of_them), EventStream[Event])


async def stanzas(chat: Chat, achat: AsyncChat) -> None:
    assert_type(achat.events(CallSignal), EventStream[CallSignal])
    for told in chat.events(CallSignal, MessageReceived):
        assert_type(told, CallSignal | MessageReceived)

    @achat.on(CallSignal)
    async def signalled(signal: CallSignal) -> None:
        assert_type(await achat.send_stanza(CallSignal(to=signal.from_, extra=signal.extra)), str)

    achat.off(signalled)
    assert_type(chat.request(DiscoInfoRequest(id="", query=DiscoInfo()), timeout=5.0), Stanza)
    try:
        assert_type(await achat.request(DiscoInfoRequest(id="", query=DiscoInfo())), Stanza)
    except StanzaRefused as error:
        assert_type(error.fault, StanzaFault | None)


def thin_calls(cube: ConnectyCube, dialog: Dialog, user: User, message: Message) -> None:
    assert_type(cube.users.me(), User)
    assert_type(cube.users.update_me(full_name="Mary S.", extra_fields={"shoe": 39}), User)
    assert_type(cube.dialogs.get(dialog), Dialog)
    assert_type(cube.messages.get(dialog, "66f1a8d0e4b0d93a51c8e300"), Message)
    assert_type(cube.dialogs.add_occupants(dialog, user), Dialog)
    cube.dialogs.add_admins(dialog, [user, 81003])
    cube.dialogs.pin(dialog, message)
    cube.dialogs.list(filters={"id": {"in": [dialog]}})
    cube.files.url(cube.files.upload("route.txt"))
    assert_type(cube.dialogs.list()[0], Dialog)
    assert_type(cube.dialogs.list()[:2], list[Dialog])
    assert_type(cube.dialogs.list().first(5), list[Dialog])
    assert_type(cube.with_session("token", user), ConnectyCube)
    assert_type(cube.with_raw_response.request("GET", "/users/online"), RawResponse[Any])
    assert_type(cube.dialogs.with_raw_response.get(dialog), RawResponse[Dialog])


async def async_lists(cube: AsyncConnectyCube) -> None:
    async for dialog in cube.dialogs.list(limit=5):
        assert_type(dialog, Dialog)
    assert_type(await cube.dialogs.list(), AsyncPage[Dialog])
    assert_type(await (await cube.dialogs.list()).first(5), list[Dialog])
    assert_type(await cube.dialogs.with_raw_response.list(), RawResponse[AsyncPage[Dialog]])
    assert_type(cube.with_session("token"), AsyncConnectyCube)
    assert_type(await cube.users.me(), User)
