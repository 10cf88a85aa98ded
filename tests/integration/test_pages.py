"""The blocks of `docs/chat.md`, run as a reader would type them, against this server."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connectycube.chat import Chat, ContactAccepted, ContactRequested, MessageReceived
from local_server import AUTH_KEY, PASSWORD, USER_ID, LocalServer
from tests.integration.ejabberd import Ejabberd
from tests.integration.server import APP_ID, HOST, User
from tests.integration.support import interrupted_after
from tests.pages import CHAT, blocks

ADA, OMAR, ECHO = (User(user_id, PASSWORD) for user_id in (81002, 81003, 81004))


class Tokens(set[str]):
    """The tokens of the REST server; with the latest of them its user may log in to the chat."""

    def __init__(self, ejabberd: Ejabberd, user: User) -> None:
        super().__init__()
        self._ejabberd = ejabberd
        self._user = user

    def add(self, token: str) -> None:
        super().add(token)
        self._ejabberd.set_password(self._user, token)


def chat_of(ejabberd: Ejabberd, user: User) -> Chat:
    return Chat(
        user_id=user.id,
        password=user.password,
        app_id=APP_ID,
        host=HOST,
        port=ejabberd.ports.tls,
        ssl_context=ejabberd.ssl_context(),
    )


@pytest.fixture
def echo(ejabberd: Ejabberd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """The one to whom the page writes: it answers, reads, and accepts who asks. Both servers run."""
    before = set(threading.enumerate())
    users = [User(USER_ID, PASSWORD), ADA, OMAR, ECHO]
    for user in users:
        ejabberd.register(user.id, user.password)
    mary, ada, chat = (chat_of(ejabberd, user) for user in (users[0], ADA, ECHO))
    with mary, ada, mary.events(ContactAccepted) as accepted:
        ada.on(ContactRequested)(lambda event: ada.contacts.accept(event.user_id))
        mary.contacts.request(ADA.id)
        next(accepted)

    @chat.on(MessageReceived)
    def answer(event: MessageReceived) -> None:
        message = event.message
        if message.sender_id is not None and message.type == "chat" and not message.body.startswith("You said"):
            chat.mark_read(message)
            chat.send(message.sender_id, message.body)

    @chat.on(ContactRequested)
    def accept(event: ContactRequested) -> None:
        chat.contacts.accept(event.user_id)

    with interrupted_after(180), LocalServer() as server:
        server.store.tokens = Tokens(ejabberd, users[0])
        for name, value in {
            "CONNECTYCUBE_APP_ID": str(APP_ID),
            "CONNECTYCUBE_AUTH_KEY": AUTH_KEY,
            "CONNECTYCUBE_BASE_URL": server.url,
            "CONNECTYCUBE_CHAT_HOST": HOST,
            "CONNECTYCUBE_CHAT_PORT": str(ejabberd.ports.tls),
            "SSL_CERT_FILE": str(ejabberd.ca_file),
        }.items():
            monkeypatch.setenv(name, value)
        with chat:
            yield chat
    for user in users:
        ejabberd.unregister(user)
    assert set(threading.enumerate()) <= before


PROGRAMS = 2
"""How many complete programs are at the end of the page."""


def test_complete_programs(echo: Chat) -> None:
    """The first one runs until Ctrl-C."""
    namespace: dict[str, Any] = {"__name__": "program"}
    bot, *others = list(blocks(CHAT, "python chat"))[-PROGRAMS:]
    accepted, answers = echo.events(ContactAccepted), echo.events(MessageReceived)
    said: list[str] = []

    def talk() -> None:
        try:
            echo.contacts.request(USER_ID)
            next(accepted)
            echo.send(USER_ID, "Hello")
            said.append(next(answers).message.body)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    talker = threading.Thread(target=talk)
    talker.start()
    with pytest.raises(KeyboardInterrupt):
        exec(bot, namespace)
    talker.join()
    assert said == ["You said: Hello"]
    for block in others:
        exec(block, namespace)
    namespace["cube"].close()
    assert [next(answers).message.body for _ in others] == ["Climbing on Sunday?"]


def test_chat_page(echo: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {"__name__": "chat"}
    said = echo.events(MessageReceived)
    found = list(blocks(CHAT, "python chat"))[:-PROGRAMS]
    for block in found:
        exec(block, namespace)
    assert len(found) > 12
    assert echo.disconnect() == ()
    bodies = [event.message.body for event in said if event.message.type == "chat"]
    assert bodies == [
        "Hello",
        "Who drives on Sunday?",
        "The route",
        "Read it now",
        "Are you there?",
        "Seven o'clock?",
        "Hello",
        "From another thread",
    ]
    printed = capsys.readouterr().out
    assert printed.startswith(f"online {USER_ID}-{APP_ID}@{HOST}/")
    assert f"{ECHO.id} has read" in printed
    assert f"{ADA.id} " in printed
    assert "was not sent: the chat is not connected" in printed
