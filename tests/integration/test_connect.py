"""Connecting and logging in: TLS and certificates, mechanisms, resources, tokens, secrets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator

import httpx
import pytest

from connectycube.chat import (
    AsyncChat,
    AuthenticationFailed,
    Connected,
    ConnectError,
    ConnectionFailed,
    Disconnected,
    MessageReceived,
    Reason,
    Reconnected,
    Reconnecting,
    State,
    TlsRefused,
)
from connectycube.rest import AsyncConnectyCube, ConfigurationError, ConnectyCube
from tests.integration.chats import Told, Users, chat_of, people
from tests.integration.ejabberd import Certificate, Ejabberd
from tests.integration.platform_iq import binary
from tests.integration.proxy import FaultProxy
from tests.integration.server import HOST, Server, User
from tests.integration.support import eventually, run

Proxies = Callable[[int], FaultProxy]


def kind_of_connection(ejabberd: Ejabberd, chat: AsyncChat) -> str:
    """What the server says of how a chat is connected."""
    local, _, resource = chat.jid.partition("@")[0], "", chat.jid.rpartition("/")[2]
    return ejabberd.evaluate(
        f"proplists:get_value(conn, ejabberd_sm:get_user_info({binary(local)}, {binary(HOST)}, {binary(resource)}))"
    )


@contextlib.contextmanager
def without(ejabberd: Ejabberd, *mechanisms: str) -> Iterator[None]:
    """Let the server offer fewer mechanisms."""

    def disable(names: tuple[str, ...]) -> None:
        listed = ",".join(binary(name) for name in names)
        ejabberd.evaluate(f"ejabberd_config:set_option({{disable_sasl_mechanisms, {binary(HOST)}}}, [{listed}])")

    always = ("DIGEST-MD5", "X-OAUTH2")
    disable((*always, *mechanisms))
    try:
        yield
    finally:
        disable(always)


@contextlib.contextmanager
def log_of_logins(ejabberd: Ejabberd) -> Iterator[Callable[[], str]]:
    """What the server writes down of logins: it names the mechanism."""
    start = ejabberd.log_file.stat().st_size
    ejabberd.evaluate("ejabberd_logger:set(info)")
    try:
        yield lambda: ejabberd.log_file.read_bytes()[start:].decode()
    finally:
        ejabberd.evaluate("ejabberd_logger:set(warning)")


async def refused(chat: AsyncChat, error: type[ConnectError]) -> ConnectError:
    """A chat that can't connect, tries once, and says so."""
    told = Told(chat)
    with pytest.raises(error) as caught:
        await chat.connect()
    assert not chat.online
    assert chat.state.name is State.OFFLINE
    assert chat.state.error is caught.value
    assert told.seen.items[-1] == ConnectionFailed(error=caught.value)
    assert not told.of(Reconnecting)
    return caught.value


# TLS


@pytest.mark.parametrize(("tls", "listener"), [("direct", "tls"), ("starttls", "starttls"), ("none", "starttls")])
def test_each_transport_connects(server: Server, users: Users, tls: str, listener: str) -> None:
    async def main() -> None:
        async with people(server, users(), users(), tls=tls, port=getattr(server.ports, listener)) as (one, other):
            assert one.chat.state.name is State.ONLINE
            assert (one.chat.state.error, one.chat.online, one.chat.user_id) == (None, True, one.id)
            assert one.chat.jid.startswith(f"{one.user.jid}/")
            assert one.told.of(Connected) == [Connected(jid=one.chat.jid)]
            await one.chat.send(other.id, "hello")
            assert (await other.told.one(MessageReceived)).message.body == "hello"
        assert one.told.of(Disconnected) == [Disconnected()]
        assert not one.chat.online

    run(main())


@pytest.mark.parametrize(
    ("tls", "listener", "shown"),
    [
        ("direct", "tls", "c2s_tls"),
        ("starttls", "starttls", "c2s_tls"),
        ("starttls", "starttls_required", "c2s_tls"),
        ("none", "starttls", "c2s"),
    ],
)
def test_server_reports_the_same_transport(
    ejabberd: Ejabberd, users: Users, tls: str, listener: str, shown: str
) -> None:
    async def main() -> None:
        async with people(ejabberd, users(), tls=tls, port=getattr(ejabberd.ports, listener)) as (one,):
            assert kind_of_connection(ejabberd, one.chat) == shown

    run(main())


@pytest.mark.parametrize("tls", ["direct", "starttls"])
@pytest.mark.parametrize("kind", ["other-ca", "other-name", "expired"])
def test_invalid_certificate_is_rejected(
    ejabberd: Ejabberd, users: Users, proxy: Proxies, kind: Certificate, tls: str
) -> None:
    async def main() -> None:
        port = ejabberd.ports.tls if tls == "direct" else ejabberd.ports.starttls
        async with proxy(port) as between:
            chat = chat_of(ejabberd, users(), tls=tls, port=between.port)
            with ejabberd.certificate(kind):
                error = await refused(chat, TlsRefused)
                assert error.reason is Reason.TLS
                assert "certificate" in str(error)
            assert between.connections == 1
            # The same chat connects to the server that it trusts.
            async with chat:
                assert chat.online

    run(main())


def test_system_trust_store_rejects_test_authority(server: Server, users: Users) -> None:
    async def main() -> None:
        await refused(chat_of(server, users(), ssl_context=None), TlsRefused)

    run(main())


def test_missing_tls_is_not_a_network_failure(server: Server, users: Users) -> None:
    async def main() -> None:
        await refused(chat_of(server, users(), port=server.ports.starttls), TlsRefused)

    run(main())


def test_required_tls_is_not_bypassed(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        chat = chat_of(ejabberd, users(), tls="none", port=ejabberd.ports.starttls_required)
        error = await refused(chat, ConnectError)
        assert error.reason in (Reason.PROTOCOL, Reason.POLICY)

    run(main())


def test_unknown_host_is_a_final_error(server: Server, users: Users) -> None:
    async def main() -> None:
        chat = chat_of(server, users(), tls="none", port=server.ports.starttls, host="127.0.0.1")
        error = await refused(chat, ConnectError)
        assert (error.reason, error.condition) == (Reason.PROTOCOL, "host-unknown")

    run(main())


# Mechanisms


@pytest.mark.parametrize("tls", ["direct", "none"])
@pytest.mark.parametrize(
    ("disabled", "used"),
    [
        ((), "SCRAM-SHA-512"),
        (("SCRAM-SHA-512",), "SCRAM-SHA-256"),
        (("SCRAM-SHA-256", "SCRAM-SHA-512"), "SCRAM-SHA-1"),
    ],
)
def test_strongest_scram_mechanism_is_used(
    ejabberd: Ejabberd, users: Users, tls: str, disabled: tuple[str, ...], used: str
) -> None:
    async def main() -> None:
        port = ejabberd.ports.tls if tls == "direct" else ejabberd.ports.starttls
        with without(ejabberd, *disabled), log_of_logins(ejabberd) as log:
            async with people(ejabberd, users(), tls=tls, port=port) as (one,):
                await eventually(lambda: f"Accepted c2s {used} authentication for {one.user.jid}" in log())

    run(main())


SCRAMS = ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")


def test_plain_is_used_when_nothing_else_is_offered(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        with without(ejabberd, *SCRAMS), log_of_logins(ejabberd) as log:
            async with people(ejabberd, users()) as (one,):
                await eventually(lambda: f"Accepted c2s PLAIN authentication for {one.user.jid}" in log())

    run(main())


def test_plain_requires_tls_or_two_explicit_options(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        user, open_way = users(), {"tls": "none", "port": ejabberd.ports.starttls}
        with without(ejabberd, *SCRAMS), log_of_logins(ejabberd) as log:
            error = await refused(chat_of(ejabberd, user, **open_way), AuthenticationFailed)
            assert "allow_insecure" in str(error)
            async with people(ejabberd, user, **open_way, allow_insecure=True) as (one,):
                # The first login said nothing that the server could have refused.
                await eventually(lambda: f"Accepted c2s PLAIN authentication for {one.user.jid}" in log())

    run(main())


def test_connections_without_tls_are_limited_to_localhost(server: Server, users: Users) -> None:
    user = users()
    with pytest.raises(ConfigurationError, match="allow_insecure"):
        chat_of(server, user, tls="none", host="chat.example.com")
    for host in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]"):
        chat_of(server, user, tls="none", host=host, muc_host="muc.localhost")
    chat_of(server, user, tls="none", host="chat.example.com", allow_insecure=True)


# Who one is


@pytest.mark.parametrize("disabled", [(), SCRAMS])
def test_wrong_password_is_tried_once(
    ejabberd: Ejabberd, users: Users, proxy: Proxies, disabled: tuple[str, ...]
) -> None:
    async def main() -> None:
        async with proxy(ejabberd.ports.tls) as between:
            wrong = User(users().id, "not-the-password")
            with without(ejabberd, *disabled):
                chat = chat_of(ejabberd, wrong, port=between.port)
                error = await refused(chat, AuthenticationFailed)
                assert (error.reason, error.condition) == (Reason.AUTHENTICATION, "not-authorized")
                assert wrong.password not in "".join(traceback.format_exception(error))
            assert between.connections == 1

    run(main())


def test_unknown_user_is_rejected(server: Server) -> None:
    async def main() -> None:
        error = await refused(chat_of(server, User(1, "some-password")), AuthenticationFailed)
        assert error.condition == "not-authorized"

    run(main())


def test_resource_is_assigned_or_requested(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user) as (one, other), people(server, user, resource="a desk") as (third,):
            made = {person.chat.jid.partition("/")[2] for person in (one, other)}
            assert len(made) == 2
            assert "" not in made
            assert third.chat.jid == f"{user.jid}/a desk"
            assert set(server.resources(user)) == {*made, "a desk"}

    run(main())


def test_password_in_any_script(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        user = ejabberd.set_password(users(), "pä<ss>&'\"wörd пароль 密码 =,")
        for disabled in ((), SCRAMS):
            with without(ejabberd, *disabled):
                async with people(ejabberd, user) as (one,):
                    assert one.chat.online

    run(main())


# The session of a REST client


def cube_of(user: User) -> AsyncConnectyCube:
    cube = AsyncConnectyCube(1, "key", base_url="https://api.example.com")
    cube.use_session(user.password, user_id=user.id)
    return cube


def test_token_is_read_again_on_reconnect(server: Server, users: Users, proxy: Proxies) -> None:
    async def main() -> None:
        user = users()
        async with (
            proxy(server.ports.tls) as between,
            cube_of(user) as cube,
            people(server, user, cube=cube, user_id=None, password=None, port=between.port) as (one,),
        ):
            assert one.chat.user_id == user.id
            cube.use_session(server.set_password(user, "the-second-token").password, user_id=user.id)
            between.cut()
            assert (await one.told.one(Reconnected)).resumed

    run(main())


def test_expired_token_ends_the_connection(server: Server, users: Users, proxy: Proxies) -> None:
    async def main() -> None:
        user = users()
        transport = httpx.MockTransport(lambda request: httpx.Response(401, json={"errors": {"base": ["gone"]}}))
        async with proxy(server.ports.tls) as between, httpx.AsyncClient(transport=transport) as client:
            cube = AsyncConnectyCube(1, "key", base_url="https://api.example.com", http_client=client)
            cube.use_session(user.password, user_id=user.id)
            async with people(server, user, cube=cube, user_id=None, password=None, port=between.port) as (one,):
                server.set_password(user, "the-second-token")
                between.cut()
                failed = await one.told.one(ConnectionFailed)
                assert isinstance(failed.error, AuthenticationFailed)
                assert len(one.told.of(Reconnecting)) == 1
                assert one.chat.state.name is State.OFFLINE

    run(main())


@pytest.mark.parametrize("asynchronous", [True, False])
def test_rejected_token_is_renewed_over_rest(server: Server, users: Users, asynchronous: bool) -> None:
    async def main() -> None:
        user = users()
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(f"{request.method} {request.url.path}")
            if request.method == "GET":
                if request.headers["CB-Token"] == "an-old-token":
                    return httpx.Response(401, json={"errors": {"base": ["Required session does not exist"]}})
                return httpx.Response(200, json={"items": []})
            if request.url.path == "/login":
                return httpx.Response(200, json={"user": {"id": user.id}})
            token = "an-old-token" if len(asked) == 1 else user.password
            return httpx.Response(200, json={"session": {"id": 1, "user_id": user.id, "token": token}})

        transport = httpx.MockTransport(answer)
        cube: AsyncConnectyCube | ConnectyCube
        async with contextlib.AsyncExitStack() as stack:
            if asynchronous:
                client = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
                cube = AsyncConnectyCube(1, "key", base_url="https://api.example.com", http_client=client)
                await cube.login(login="somebody", password="account-password")
            else:
                blocking = stack.enter_context(httpx.Client(transport=transport))
                cube = ConnectyCube(1, "key", base_url="https://api.example.com", http_client=blocking)
                await asyncio.to_thread(cube.login, login="somebody", password="account-password")
            async with people(server, user, cube=cube, user_id=None, password=None) as (one,):
                assert one.chat.online
            assert len(asked) == 6  # Login in two, the call that finds it gone, login in two, the call again.

    run(main())


def test_host_and_application_come_from_the_client() -> None:
    async def main() -> None:
        async with cube_of(User(5, "token")) as cube:
            assert "chat.example.com" in repr(AsyncChat(cube, app_id=7))
            with pytest.raises(ConfigurationError, match="app_id"):
                AsyncChat(cube)
        async with AsyncConnectyCube(1, "key", base_url="https://api.example.com") as nobody:
            error = await refused(AsyncChat(nobody, app_id=7, host=HOST, tls="none", port=1), AuthenticationFailed)
            assert "login" in str(error)

    run(main())


# Secrets


@pytest.mark.parametrize("disabled", [(), SCRAMS])
def test_secrets_are_never_exposed(
    ejabberd: Ejabberd, users: Users, caplog: pytest.LogCaptureFixture, disabled: tuple[str, ...], proxy: Proxies
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("slixmpp", "slixmpp.xmlstream.xmlstream", "asyncio", "connectycube.chat"):
        caplog.set_level(logging.DEBUG, name)

    async def main() -> None:
        secret = "Secret-4711"
        user = ejabberd.set_password(users(), secret)
        plain = base64.b64encode(f"\0{user.local}\0{secret}".encode()).decode()
        texts: list[str] = []
        with without(ejabberd, *disabled):
            async with proxy(ejabberd.ports.tls) as between, people(ejabberd, user, port=between.port) as (one,):
                texts.append(repr(one.chat))
                texts += [repr(value) for value in vars(one.chat).values()]
                between.cut()
                await one.told.one(Reconnected)
                texts.append(repr(one.told.seen.items))
                ejabberd.set_password(user, "another")
                between.cut()
                failed = await one.told.one(ConnectionFailed)
                texts += [repr(failed), *traceback.format_exception(failed.error), repr(one.chat.state)]
        texts += [record.getMessage() for record in caplog.records]
        assert len(caplog.records) >= 3
        for text in texts:
            assert secret not in text
            assert plain not in text

    run(main())
