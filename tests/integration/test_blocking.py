"""`Chat`, the blocking twin: its threads, its handlers, its iterator, and that nothing of them is left."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectycube.chat import (
    AuthenticationFailed,
    Chat,
    ChatError,
    Connected,
    ConnectError,
    Contact,
    ContactAccepted,
    ContactRequested,
    ContactsChanged,
    Disconnected,
    Event,
    MessageBlocked,
    MessageNotSent,
    MessageReceived,
    NotConnected,
    PrivacyRule,
    RecipientBlocked,
    State,
    Subscription,
)
from connectycube.rest import AsyncConnectyCube, ConnectyCube, InvalidArgument
from tests.integration.chats import Users
from tests.integration.server import APP_ID, HOST, Server, User
from tests.integration.support import interrupted_after

DIALOG = "66f1a7c2e4b0d93a51c8e2b1"


def threads() -> set[threading.Thread]:
    """All threads but those of the sandbox, which starts more whenever it needs them."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("connectycube-sandbox")}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test ends and leaves no thread."""
    before = threads()
    with interrupted_after(150):
        yield
    assert threads() <= before


@pytest.fixture
def chat(server: Server, users: Users) -> Callable[..., Chat]:
    """Makes chats of new users."""

    def make(user: User | None = None, **options: Any) -> Chat:
        user = user or users()
        options = {"user_id": user.id, "password": user.password, "app_id": APP_ID, "host": HOST, **options}
        return Chat(**{"port": server.ports.tls, "ssl_context": server.ssl_context(), **options})

    return make


Chats = Callable[..., Chat]


@contextlib.contextmanager
def online(chat: Chat) -> Iterator[Chat]:
    """Connected, and known to the server to be there: what comes before that it may keep for later."""
    with chat:
        chat.ping()
        yield chat


def bodies(events: list[MessageReceived]) -> list[str]:
    return [event.message.body for event in events]


def test_handler_sends_while_main_thread_iterates(chat: Chats) -> None:
    mary, ada = chat(), chat()
    threads: set[threading.Thread] = set()

    @ada.on(MessageReceived)
    def echo(event: MessageReceived) -> None:
        threads.add(threading.current_thread())
        assert event.message.sender_id is not None
        ada.send(event.message.sender_id, event.message.body)

    with online(ada), online(mary):
        events = mary.events(MessageReceived)
        sent = [mary.send(ada.user_id, f"number {number}") for number in range(50)]
        got = [next(events) for _ in sent]
        assert bodies(got) == [f"number {number}" for number in range(50)]
        assert len(threads) == 1
        assert threads.pop() not in (threading.main_thread(), None)
        assert len({message.id for message in sent}) == 50
        assert mary.online
        assert repr(mary) == f"<Chat {mary.jid} online>"
    assert mary.state.name is State.OFFLINE
    assert list(events) == []


def test_iterator_ends_on_disconnect(chat: Chats) -> None:
    one = chat()
    events = one.events()
    with one:
        pass
    assert [type(event) for event in events] == [Connected, Disconnected]
    with chat() as friend, online(one):
        # Abandoned, closed or slow iterators do not block the others.
        one.events()
        with one.events() as closed:
            pass
        slow = one.events(MessageReceived, limit=2)
        watched = one.events(MessageReceived)
        for number in range(6):
            friend.send(one.user_id, str(number))
        assert bodies([next(watched) for _ in range(6)]) == ["0", "1", "2", "3", "4", "5"]
        assert list(closed) == []
    assert bodies(list(slow)) == ["4", "5"]
    assert slow.dropped == 4


def test_disconnect_from_another_thread(chat: Chats) -> None:
    one = chat()
    with one:
        other = threading.Thread(target=one.disconnect)
        seen: list[Event] = []
        events = one.events()
        other.start()
        seen.extend(events)
        other.join()
        assert [type(event) for event in seen] == [Disconnected]
        with pytest.raises(NotConnected):
            one.ping()


def test_disconnect_from_handlers(chat: Chats, caplog: pytest.LogCaptureFixture) -> None:
    """All at once: none waits for another one that waits, and what they are told last still comes."""
    one = chat()
    together = threading.Barrier(3)
    last: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def end(_: Event) -> None:
        together.wait()
        one.disconnect()

    one.on(MessageReceived)(end)
    one.on(MessageReceived)(lambda event: end(event))
    one.on(Disconnected)(last.put)
    with chat() as friend, online(one):
        events = one.events()  # Made first: the handlers may be done before this thread goes on.
        friend.send(one.user_id, "the end")
        together.wait()
        list(events)
    assert isinstance(last.get_nowait(), Disconnected)
    assert "still at work" not in caplog.text


def test_ctrl_c_leaks_nothing(chat: Chats) -> None:
    one = chat()

    def talk(friend: Chat) -> None:
        friend.send(one.user_id, "stop")
        for _ in one.events():
            pass

    before = threads()
    one.on(MessageReceived)(lambda event: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), chat() as friend, online(one):
        talk(friend)
    assert threads() <= before
    assert one.state.name is State.OFFLINE
    with one:
        assert one.ping() >= 0


def test_ctrl_c_interrupts_a_call(chat: Chats) -> None:
    """Here of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = chat(port=server.getsockname()[1])

        def interrupt() -> None:
            with server.accept()[0]:
                os.kill(os.getpid(), signal.SIGINT)

        before = threads()
        helper = threading.Thread(target=interrupt)
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            one.connect()
        helper.join()
        assert threads() <= before
        assert one.state.name is State.OFFLINE


def test_disconnect_aborts_connect(chat: Chats) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = chat(port=server.getsockname()[1])

        def disconnect() -> None:
            with server.accept()[0]:
                one.disconnect()

        helper = threading.Thread(target=disconnect)
        helper.start()
        with pytest.raises(NotConnected):
            one.connect()
        helper.join()


def test_chat_can_connect_again(chat: Chats) -> None:
    one, seen = chat(), queue.SimpleQueue[str]()
    one.on(MessageReceived)(lambda event: seen.put(event.message.body))
    with chat() as friend:
        for body in ("first", "second"):
            one.connect()
            one.connect()
            assert one.ping() >= 0
            assert one.online
            friend.send(one.user_id, body)
            assert seen.get() == body
            assert one.disconnect() == ()
            assert one.disconnect() == ()
            assert not one.online


def test_wrong_password(chat: Chats) -> None:
    one = chat(password="wrong")
    events = one.events()
    with pytest.raises(AuthenticationFailed):
        one.connect()
    assert type(next(events)).__name__ == "ConnectionFailed"
    with pytest.raises(AuthenticationFailed):
        next(events)
    with pytest.raises(AuthenticationFailed), one:
        pytest.fail("it is connected")


OFFLINE: list[tuple[type[ChatError], Callable[[Chat], object]]] = [
    (MessageNotSent, lambda chat: chat.send(81002, "Hello")),
    (MessageNotSent, lambda chat: chat.edit_message(81002, DIALOG, "Hello")),
    (MessageNotSent, lambda chat: chat.delete_message(81002, DIALOG)),
    (MessageNotSent, lambda chat: chat.mark_delivered(DIALOG, sender_id=81002)),
    (MessageNotSent, lambda chat: chat.mark_read(DIALOG, sender_id=81002)),
    (MessageNotSent, lambda chat: chat.send_system([81002, 81003], {"a": 1})),
    (NotConnected, lambda chat: chat.start_typing(81002)),
    (NotConnected, lambda chat: chat.stop_typing(81002)),
    (NotConnected, lambda chat: chat.ping()),
    (NotConnected, lambda chat: chat.set_active()),
    (NotConnected, lambda chat: chat.set_inactive()),
    (NotConnected, lambda chat: chat.set_presence(status="away")),
    (NotConnected, lambda chat: chat.join(DIALOG)),
    (NotConnected, lambda chat: chat.online_users(DIALOG)),
    (NotConnected, lambda chat: chat.last_activity(81002)),
    (NotConnected, lambda chat: chat.subscribe_last_activity(81002)),
    (NotConnected, lambda chat: chat.unsubscribe_last_activity(81002)),
    (NotConnected, lambda chat: chat.contacts.request(81002)),
    (NotConnected, lambda chat: chat.privacy.names()),
    (NotConnected, lambda chat: chat.privacy.block(81002)),
]


def test_offline_calls_raise_the_same_errors_as_async(chat: Chats) -> None:
    one = chat()

    def check() -> None:
        for error, call in OFFLINE:
            with pytest.raises(error):
                call(one)
        with pytest.raises(InvalidArgument):
            one.send(81002)
        assert (len(one.contacts), one.privacy.default) == (0, None)
        one.leave(DIALOG)

    check()
    with one:
        assert one.ping() >= 0
    check()


def test_calls_from_the_chat_thread_are_rejected(chat: Chats) -> None:
    with chat() as one:
        seen: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

        def wrong() -> None:
            for call in (lambda: one.send(1, "Hello"), one.connect, one.disconnect, lambda: next(one.events())):
                try:
                    call()
                except RuntimeError as error:
                    seen.put(error)

        one._loop.call_sync(wrong)
        assert {str(seen.get_nowait()) for _ in range(4)} == {
            "the chat was called in its own thread, which would wait for itself for ever"
        }
        assert one.ping() >= 0


def test_handler_exception_is_logged(chat: Chats, caplog: pytest.LogCaptureFixture) -> None:
    one, seen = chat(), queue.SimpleQueue[str]()

    @one.on(MessageReceived)
    def picky(event: MessageReceived) -> None:
        seen.put(event.message.body)
        if event.message.body == "bad":
            raise ValueError("not this one")

    with chat() as friend, online(one):
        for body in ("bad", "good"):
            friend.send(one.user_id, body)
        assert [seen.get(), seen.get()] == ["bad", "good"]
        one.off(picky)
        one.off(picky)
        events = one.events(MessageReceived)
        friend.send(one.user_id, "unheard")
        next(events)
    assert seen.empty()
    assert [record.exc_text is not None for record in caplog.records if "picky raised" in record.message] == [True]


def test_handler_can_use_several_threads(chat: Chats) -> None:
    one, both = chat(), threading.Barrier(3)
    with chat() as friend, online(one):
        one.on(MessageReceived, concurrency=2)(lambda event: both.wait())
        for body in ("one", "two"):
            friend.send(one.user_id, body)
        both.wait()


def test_handler_that_never_returns_is_abandoned(chat: Chats, caplog: pytest.LogCaptureFixture) -> None:
    one = chat()
    begun, go, seen = threading.Event(), threading.Event(), list[threading.Thread]()

    @one.on(MessageReceived)
    def stubborn(event: MessageReceived) -> None:
        seen.append(threading.current_thread())
        begun.set()
        go.wait()

    with chat() as friend, online(one):
        for body in ("one", "two"):
            friend.send(one.user_id, body)
        begun.wait()
        one.disconnect(timeout=0.01)
        (record,) = (record for record in caplog.records if "still at work" in record.getMessage())
        assert record.getMessage().endswith("stubborn")
        go.set()
        seen[0].join()
    assert len(seen) == 1


def test_coroutine_handlers_are_rejected(chat: Chats) -> None:
    async def handler(event: Event) -> None: ...

    for wrong in (handler, "handler"):
        with pytest.raises(InvalidArgument, match="must be a "):
            chat().on()(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ConnectyCube, AsyncConnectyCube])
def test_accepts_sessions_from_both_rest_clients(
    chat: Chats, users: Users, kind: type[ConnectyCube | AsyncConnectyCube]
) -> None:
    user = users()
    cube = kind(APP_ID, "key", base_url="http://127.0.0.1:9")
    cube.use_session(user.password, user_id=user.id)
    with chat(user, cube=cube, user_id=None, password=None, auto_reconnect=False) as one:
        assert one.user_id == user.id
        assert one.ping() >= 0
    cube.use_session("gone", user_id=user.id)
    with pytest.raises(ConnectError) as caught:
        one.connect(timeout=2)
    # The REST API can't be reached now. An asynchronous client belongs to another loop, and is not even asked.
    assert ("could not be renewed" in str(caught.value)) == (kind is ConnectyCube)
    assert isinstance(caught.value, AuthenticationFailed) == (kind is AsyncConnectyCube)


def test_contacts_through_blocking_chat(chat: Chats) -> None:
    with chat() as mary, chat() as ada:
        asked, accepted = ada.events(ContactRequested), mary.events(ContactAccepted)
        changed = mary.events(ContactsChanged)
        mary.contacts.request(ada.user_id, name="Ada")
        assert next(asked).user_id == mary.user_id
        assert ada.contacts.incoming == (mary.user_id,)
        assert mary.contacts.outgoing == (ada.user_id,)
        ada.contacts.accept(mary.user_id)
        assert next(accepted).user_id == ada.user_id
        while mary.contacts.get(ada.user_id) is None or mary.contacts[ada.user_id].subscription != "both":
            next(changed)
        found = mary.contacts[ada.user_id]
        assert (found.name, found.subscription) == ("Ada", Subscription.BOTH)
        assert isinstance(found, Contact)
        assert list(mary.contacts) == [ada.user_id]
        assert [*mary.contacts.items()] == [(ada.user_id, mary.contacts[ada.user_id])]
        assert [contact.user_id for contact in mary.contacts.values()] == [ada.user_id]
        assert repr(mary.contacts) == f"<BlockingContacts [{ada.user_id}]>"
        mary.contacts.limit = 1
        with pytest.raises(InvalidArgument, match="1 users at most"):
            mary.contacts.request(999)
        mary.contacts.rename(ada.user_id, "Lady A.")
        while mary.contacts[ada.user_id].name != "Lady A.":
            next(changed)
        mary.contacts.remove(ada.user_id)
        while ada.user_id in mary.contacts:
            next(changed)
        with pytest.raises(KeyError):
            mary.contacts[ada.user_id]
        mary.contacts.request(ada.user_id)
        next(asked)
        ada.contacts.reject(mary.user_id)


def test_privacy_through_blocking_chat(chat: Chats) -> None:
    with chat() as mary, chat() as ada:
        mary.privacy.block(ada.user_id)
        assert (mary.privacy.blocked(), mary.privacy.default) == ((ada.user_id,), "blocked")
        blocked = ada.events(MessageBlocked)
        with contextlib.suppress(RecipientBlocked):  # The server may acknowledge it first.
            ada.send(mary.user_id, "Hello?")
        assert next(blocked).user_id == mary.user_id
        mary.privacy.unblock(ada.user_id)
        ada.send(mary.user_id, "Hello!")
        rules = (PrivacyRule(ada.user_id), PrivacyRule(999, deny=False))
        mary.privacy.set("work", iter(rules))
        assert mary.privacy.names() == ("work",)
        assert mary.privacy.get("work") == rules
        mary.privacy.activate("work")
        mary.privacy.update("work", iter(rules[:1]))
        mary.privacy.deactivate()
        assert mary.privacy.get("work") == rules[:1]
        mary.privacy.delete("work")
        assert mary.privacy.names() == ()


def test_rooms_and_last_activity_through_blocking_chat(server: Server, users: Users, chat: Chats) -> None:
    host, guest = users(), users()
    group = server.group(host, guest)
    with chat(host) as friend, chat(guest) as one:
        one.join(group)
        friend.join(group)
        assert set(one.online_users(group)) == {one.user_id, friend.user_id}
        events = one.events(MessageReceived)
        friend.send(group, "Hello, all")
        event = next(events)
        assert (event.message.dialog_id, event.message.type) == (group, "groupchat")
        one.leave(group)
        assert one.last_activity(one.user_id) == 0


FORGETFUL = """
import sys
from connectycube.chat import Chat, MessageReceived

port, user_id, password = sys.argv[1:]
chat = Chat(user_id=int(user_id), password=password, app_id=7001, host="localhost", port=int(port))
chat.on()(print)
chat.connect()
chat.send(chat.user_id, "Hello")
"""


def test_program_exits_without_disconnecting(server: Server, users: Users) -> None:
    user = users()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORGETFUL, str(server.ports.tls), str(user.id), user.password],
        env={**os.environ, "SSL_CERT_FILE": str(server.ca_file)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
