"""`Sandbox`: a local ConnectyCube for the duration of a `with` block."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from .bus import ConnectionsToDrop
from .clock import Clock
from .config import LOOPBACK, Settings, show_log
from .core import Core
from .domain.accounts import User
from .domain.recordings import Recording
from .endpoints import LABELS
from .faults import Faults
from .journal import Journal
from .rest.wire import recordings_done
from .seeding import Seed, plant, read_seed
from .server import Server, Service
from .sockets import listening_socket
from .xmpp.late import LateChat
from .xmpp.listeners import ChatAddress

# Imported late, because tests of other programs need neither.
if TYPE_CHECKING:
    from typing import Self

    from connectycube.chat import AsyncChat, Chat
    from connectycube.rest import AsyncConnectyCube, ConnectyCube

    C = TypeVar("C", AsyncConnectyCube, ConnectyCube)

__all__ = ["Sandbox"]

T = TypeVar("T")
log = logging.getLogger("connectycube.sandbox")


class Runnable(Protocol):
    """What `Sandbox.bot` needs of a `connectycube.bots.Bot`."""

    def running(
        self, *, cube: AsyncConnectyCube, chat: Mapping[str, Any], store: str | Path
    ) -> AbstractAsyncContextManager[object]: ...


class HasId(Protocol):
    """A user of the sandbox, or of the REST client."""

    @property
    def id(self) -> int: ...


Who: TypeAlias = HasId | int | str


class Sandbox:
    """A local ConnectyCube. Use it as a sync or async context manager; either way, it runs on a thread of its own.

    ```python
    with Sandbox() as sandbox, ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
        cube.login(login="mary", password="correct-horse-9", create=True)
    ```

    :param settings: application id, keys, limits, and the web pages that may use it.
    :param data: the data file. Without one, everything is in memory.
    :param seed: a file, or its content, with the data to start with; see `connectycube.sandbox.seeding` for its form.
    :param host: address to listen on. Other hosts than the loopback interface let anyone on the network read all
        traffic without a password, so they log a warning.
    :param port: port of REST. Like the other ports, it is a free one by default.
    :param chat_port: port of the chat over TCP, with STARTTLS.
    :param chat_tls_port: port of the chat over TCP with direct TLS.
    :param websocket_port: port of the chat over WebSocket.
    :param secure_websocket_port: port of the chat over WebSocket with TLS.
    :param ca_file: file for the certificate of the TLS authority, next to which its key is stored, so that clients
        still trust it after a restart. The default is `<data>.ca.pem`, or without data a temporary file.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        data: str | Path | None = None,
        seed: str | Path | Seed | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        chat_port: int = 0,
        chat_tls_port: int = 0,
        websocket_port: int = 0,
        secure_websocket_port: int = 0,
        ca_file: str | Path | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.host = host
        self._data = data
        self._seed = None if seed is None else read_seed(seed)
        self._port = port
        self._chat_ports = (chat_port, chat_tls_port, websocket_port, secure_websocket_port)
        if ca_file is None and data is not None:
            ca_file = f"{data}.ca.pem"
        self._ca_file = None if ca_file is None else Path(ca_file)
        self._chat: ChatAddress | None = None
        self._server: Server | None = None
        self._core: Core | None = None

    # -- starting and stopping

    def start(self) -> None:
        """Start, and return when the sandbox is listening.

        :raises OSError: if a port is taken.
        :raises ValueError: if `CONNECTYCUBE_LOG` is neither `debug` nor `info`.
        :raises DataFileError: if the data file can't be used.
        :raises SeedError: if the seed is invalid.
        :raises ChatStartError: if the chat has to start at once, and can't.
        """
        server = self._begin()
        self._core = self._ended_on_error(server.started.result)

    def stop(self) -> None:
        """Stop, and return when everything is closed.

        :raises ChatStartError: if the sandbox ended on its own because the chat could not start. Until `stop` is
            called, all other methods and properties that need the running sandbox raise it too.
        """
        server, self._server, self._core = self._server, None, None
        chat, self._chat = self._chat, None
        try:
            if server is not None:
                stopped = server.stop()
                server.join()
                stopped.result()
        finally:
            if chat is not None:
                chat.close()

    def _begin(self) -> Server:
        if self._server is not None:
            raise RuntimeError("the sandbox is already running")
        show_log()
        if self.host not in LOOPBACK:
            log.warning("The sandbox listens on %s: anyone who can reach this machine can use and read it", self.host)
        rest = listening_socket(self.host, self._port)
        self._address = rest.getsockname()
        try:
            names = (self.settings.chat_host, self.settings.muc_host)
            self._chat = ChatAddress(self.host, self._chat_ports, names, self._ca_file)
        except OSError:
            rest.close()
            raise
        server = self._server = Server(self._make_core, rest, self._services, self.host)
        server.start()
        return server

    def _ended_on_error(self, wait: Callable[[], T]) -> T:
        try:
            return wait()
        except BaseException:
            self.stop()
            raise

    def _make_core(self) -> Core:
        core = Core(self.settings, self._data)
        self.settings = core.settings
        core.endpoints = self.endpoints
        try:
            self._plant(core)
        except BaseException:
            core.close()
            raise
        return core

    def _plant(self, core: Core) -> None:
        """Add the seed, unless the data file already has users."""
        if self._seed is not None and not core.db.value("SELECT 1 FROM users"):
            plant(core, self._seed)

    def _services(self, core: Core) -> Sequence[Service]:
        """Build the services that run besides REST."""
        assert self._chat is not None
        return (LateChat(core, self._chat),)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        server = self._begin()
        try:
            self._core = await asyncio.wrap_future(server.started)
        except BaseException:
            await asyncio.to_thread(self.stop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # -- addresses

    @property
    def app_id(self) -> int:
        """The id of the application."""
        return self.settings.app_id

    @property
    def auth_key(self) -> str:
        """The authorization key of the application."""
        return self.settings.auth_key

    @property
    def admin_key(self) -> str:
        """The key of the admin API."""
        return self.settings.admin_key

    @property
    def api_url(self) -> str:
        """The address of REST, and of the page that shows users, dialogs and the journal."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        self._check()
        return f"http://{host}:{self._address[1]}"

    @property
    def chat_host(self) -> str:
        """The domain of the users' JIDs, to which clients open their streams."""
        return self.settings.chat_host

    @property
    def chat_port(self) -> int:
        """The port of the chat over TCP, on which STARTTLS is optional (RFC 6120)."""
        return self._running_chat.port("plain")

    @property
    def chat_tls_port(self) -> int:
        """The port of the chat over TCP with direct TLS, like the platform's port 5223."""
        return self._running_chat.port("tls")

    @property
    def websocket_url(self) -> str:
        """The address of the chat over WebSocket (RFC 7395)."""
        return self._running_chat.url("ws", "websocket")

    @property
    def secure_websocket_url(self) -> str:
        """The address of the chat over WebSocket with TLS."""
        return self._running_chat.url("wss", "secure_websocket")

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that signs the chat's TLS certificate. It is created on first use.

        :raises DataFileError: if the file holds no authority, or can't be written.
        """
        return self._running_chat.certificates.ca_file

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """An SSL context for clients that trusts only the chat's TLS certificate."""
        return self._running_chat.certificates.client()

    def endpoints(self, *, ca_file: bool = True) -> dict[str, Any]:
        """Return all that a client needs to connect, by the names of the properties above.

        :param ca_file: whether that is included. Creating the certificate takes a fifth of a second.
        :raises DataFileError: as `ca_file` does.
        """
        return {name: getattr(self, name) for name in LABELS if ca_file or name != "ca_file"}

    @property
    def _running_chat(self) -> ChatAddress:
        self._check()
        assert self._chat is not None
        return self._chat

    def _check(self) -> None:
        """Check that the sandbox is running.

        :raises RuntimeError: if it is not.
        :raises ChatStartError: if it ended on its own.
        """
        if self._server is None:
            raise RuntimeError("the sandbox is not running")
        if self._server.failure is not None:
            raise self._server.failure

    # -- for tests

    @property
    def core(self) -> Core:
        """The domain. It belongs to the sandbox's loop, so reach it through `call`."""
        if self._core is None:
            raise RuntimeError("the sandbox is not running")
        return self._core

    @property
    def journal(self) -> Journal:
        """The journal of REST calls and stanzas."""
        return self.core.journal

    @property
    def faults(self) -> Faults:
        """Failures on demand."""
        return self.core.faults

    @property
    def clock(self) -> Clock:
        """The sandbox's time. From another thread, change it through `advance`."""
        return self.core.clock

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function on the sandbox's loop, where the domain runs, and return its result."""
        if self._server is None:
            raise RuntimeError("the sandbox is not running")
        return self._server.call(function, *args, **kwargs)

    def advance(self, seconds: float) -> None:
        """Advance the sandbox's time."""
        self.call(self.clock.advance, seconds)

    def expire_sessions(self, user_id: int | None = None) -> int:
        """End the sessions of one user, or all sessions.

        :returns: how many there were.
        """
        return self.call(self.core.sessions.expire, user_id)

    def drop_connections(self, user_id: int | None = None) -> None:
        """Break the chat connections of one user, or of all, as a network failure does. They can be resumed."""
        self.call(self.core.bus.publish, ConnectionsToDrop(user_id=user_id))

    def create_user(self, login: str, password: str = "password", **fields: Any) -> User:
        """Create a user.

        :param fields: other fields, by their names in REST.
        """
        return self.call(self.core.accounts.create, {"login": login, "password": password, **fields})

    # -- clients

    @asynccontextmanager
    async def bot(self, bot: Runnable, user: Who = "bot", *, store: str | Path = "memory") -> AsyncGenerator[User]:
        """Run a bot against this sandbox for the duration of an `async with` block, and yield its account.

        ```python
        async with sandbox.bot(bot) as account, sandbox.chat("mary") as mary:
            await mary.send(account.id, "Hello")
        ```

        The account, the hosts and the store replace those that the bot was created with.

        :param bot: a `connectycube.bots.Bot`.
        :param user: its user, as for `rest`.
        :param store: its store; by default, it keeps nothing.
        :raises LookupError: if there is no such user.
        """
        account = self._account(user)
        async with self.rest(account) as cube, bot.running(cube=cube, chat=self._chat_options(), store=store):
            yield account

    def rest(self, user: Who, **options: Any) -> AsyncConnectyCube:
        """Return a REST client that is logged in. If its session expires, it opens another.

        :param user: the user, or its id or login. A login that does not exist is created.
        :param options: other arguments for `AsyncConnectyCube`.
        :raises LookupError: if there is no such user.
        """
        from connectycube.rest import AsyncConnectyCube

        return self._logged_in(AsyncConnectyCube, user, options)

    def rest_sync(self, user: Who, **options: Any) -> ConnectyCube:
        """Return a blocking REST client that is logged in, as `rest` does."""
        from connectycube.rest import ConnectyCube

        return self._logged_in(ConnectyCube, user, options)

    def chat(self, user: Who | AsyncConnectyCube, **options: Any) -> AsyncChat:
        """Return a chat that is not connected yet. `async with` connects it.

        :param user: the user, as for `rest`, or a REST client from there.
        :param options: other arguments for `AsyncChat`.
        :raises LookupError: if there is no such user.
        """
        from connectycube.chat import AsyncChat

        return AsyncChat(**{**self._chat_options(), **self._login(user), **options})

    def chat_sync(self, user: Who | ConnectyCube, **options: Any) -> Chat:
        """Return a blocking chat that is not connected yet, as `chat` does."""
        from connectycube.chat import Chat

        return Chat(**{**self._chat_options(), **self._login(user), **options})

    def _account(self, user: Who) -> User:
        accounts = self.core.accounts

        def find() -> User | None:
            if isinstance(user, str):
                return accounts.find_by("login", user) or accounts.create({"login": user, "password": "password"})
            return accounts.find(user if isinstance(user, int) else user.id)

        account = self.call(find)
        if account is None:
            raise LookupError(f"the sandbox has no user {user!r}")
        return account

    def _token(self, account: User) -> str:
        return self.call(self.core.sessions.open_for, account.id).token

    def _logged_in(self, kind: type[C], user: Who, options: dict[str, Any]) -> C:
        account = self._account(user)

        def renewed(_: object) -> str | None:
            return self._token(account) if self.call(self.core.accounts.exists, account.id) else None

        keys = {"app_id": self.app_id, "auth_key": self.auth_key, "admin_key": self.admin_key}
        given: dict[str, Any] = {**keys, "base_url": self.api_url, "on_session_expired": renewed, **options}
        cube = kind(**given)
        cube.use_session(self._token(account), account.id)
        return cube

    def _chat_options(self) -> dict[str, Any]:
        return {
            "app_id": self.app_id,
            "host": self.chat_host,
            "port": self.chat_tls_port,
            "ssl_context": self.ssl_context,
        }

    def _login(self, user: Any) -> dict[str, Any]:
        """Return the arguments of a chat that log it in."""
        if hasattr(user, "use_session"):
            return {"cube": user}
        account = self._account(user)
        return {"user_id": account.id, "password": self._token(account)}

    # -- more for tests

    def add_recording(
        self,
        meeting_id: str,
        content: bytes = b"recording",
        *,
        participants: Iterable[int] | None = None,
        duration: float = 60.0,
    ) -> Recording:
        """Record a meeting, and call the webhook of `Settings.recording_webhook` with all its recordings.

        :param content: the file.
        :param participants: ids of the recorded users, by default the meeting's host.
        :param duration: length in seconds.
        """
        core, base_url = self.core, self.api_url

        def record() -> Recording:
            added = core.recordings.add(meeting_id, content, participants, duration)
            url = core.settings.recording_webhook
            if url is not None:
                meeting = core.meetings.get(meeting_id)
                core.outside.post("webhook", url, recordings_done(core, meeting, base_url), user_id=meeting.host_id)
            return added

        return self.call(record)

    def reset(self) -> None:
        """Return to the initial state: no data, or only the seed."""

        def reset() -> None:
            self.core.reset()
            self._plant(self.core)

        self.call(reset)
