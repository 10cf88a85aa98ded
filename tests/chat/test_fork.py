"""A forked child process can't use the connection of its parent, and does it no harm."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Callable, Iterator

import pytest

from connectycube.chat import (
    Chat,
    ConnectionFailed,
    MessageNotSent,
    NotConnected,
    Reconnecting,
    State,
    StreamFailed,
)
from connectycube.sandbox import Sandbox

PASSWORD = "correct-horse-9"


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Sandbox() as sandbox:
        user = sandbox.create_user("ann", PASSWORD)
        yield Chat(
            app_id=sandbox.app_id,
            user_id=user.id,
            password=PASSWORD,
            host=sandbox.chat_host,
            port=sandbox.chat_tls_port,
            ssl_context=sandbox.ssl_context,
        )


def send(chat: Chat) -> None:
    with pytest.raises(MessageNotSent, match="not connected"):
        chat.send(81002, "from the child")


def ping(chat: Chat) -> None:
    with pytest.raises(NotConnected):
        chat.ping()


def iterate(chat: Chat) -> None:
    with pytest.raises(NotConnected, match="forked: call connect"):
        next(chat.events())


def wait(chat: Chat) -> None:
    with pytest.raises(NotConnected, match="forked: call connect"):
        chat._loop.call(chat._chat.wait_closed)


def look(chat: Chat) -> None:
    assert (chat.state.name, chat.online) == (State.OFFLINE, False)


def disconnect(chat: Chat) -> None:
    assert chat.disconnect() == ()


def reconnect(chat: Chat) -> None:
    with chat:
        assert chat.ping() > 0


def collect(chat: Chat) -> None:
    vars(chat).clear()
    gc.collect()


def test_child_does_not_harm_the_connection_of_its_parent(chat: Chat) -> None:
    harm = list[object]()
    chat.on(Reconnecting, ConnectionFailed, StreamFailed)(harm.append)
    with chat:
        for use in (send, ping, iterate, wait, look, disconnect, reconnect, collect):
            assert in_child(use, chat) == 0, use
            assert chat.ping() > 0
    assert not harm


def in_child(call: Callable[[Chat], None], chat: Chat) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of a fork in a program with threads.
        child = os.fork()
    if child == 0:
        status = 1
        signal.alarm(30)
        try:
            call(chat)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
