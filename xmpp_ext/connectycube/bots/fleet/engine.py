"""The connection to NATS JetStream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
from attrs import evolve, field, frozen
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError
from nats.js.kv import KeyValue
from nkeys import NkeysError, from_seed

from ..calls import end
from ..store import StoreError
from .layout import SAFE, Layout

__all__ = ["ANSWER_ONCE", "Address", "Engine", "FleetError"]

OPENING: Final = 10.0
"""Seconds to connect at the start."""
SETTLING: Final = 30.0
"""Seconds that a cluster has to agree on its streams."""
ANSWER: Final = 2.5
"""Seconds until a request counts as unanswered. A cluster does not answer while it elects a leader, for about 5 s."""
FIRST_PATIENCE: Final = 1.5
"""The same for storing a message, while answers come in time. After each unanswered attempt, it is a fifth more."""
LONGEST_PATIENCE: Final = 20.0
ANSWER_ONCE: Final = 10.0
"""The same for commands that ask only once."""
RECONNECT: Final = 1
"""Seconds between two attempts to connect to the same server again."""
FIRST_PAUSE: Final = 0.1
"""Seconds before what has failed is repeated; doubled each time."""
LONGEST_PAUSE: Final = 1.0
LOOK: Final = 1.0
"""Seconds between two looks whether the connection has ended for good."""
PAYLOAD: Final = 1024 * 1024
"""Bytes that a message may have as JSON: a stanza has at most half of that."""
SECOND_COPY: Final = 10077
"""The error code of the engine when a subject is in use already."""
OPTIONS: Final[dict[str, tuple[Callable[[str], Any], Callable[[Any], object], str]]] = {
    "prefix": (str, SAFE.fullmatch, "letters, digits, - and _"),
    "partitions": (int, lambda count: 1 <= count <= 1024, "a number from 1 to 1024"),
    "ttl": (float, lambda seconds: 1 <= seconds <= 3600, "seconds from 1 to 3600"),
    "replicas": (int, lambda count: count in (1, 3, 5), "1, 3 or 5"),
}
"""How an option of an address is read, which values it may have, and how to say that."""
FILES: Final = ("creds", "nkey", "ca", "cert", "key")

T = TypeVar("T")

logger = logging.getLogger("connectycube.bots")


class Stored(msgspec.Struct):
    """How the engine answers when it is asked to store a message."""

    duplicate: bool = False
    error: dict[str, Any] | None = None


decode_stored: Final = msgspec.json.Decoder(Stored).decode


class FleetError(StoreError):
    """NATS can't be reached, refuses the connection, or holds something other than expected."""


@frozen
class Address:
    """Where a fleet's NATS servers are, and how to log in.

    :ivar servers: their URLs, which may hold a user and password or a token.
    :ivar files: paths: `creds` (JWT and seed), `nkey` (seed), `ca`, `cert` and `key` (TLS).
    """

    servers: tuple[str, ...] = field(repr=False)
    layout: Layout = field(factory=Layout)
    files: Mapping[str, str] = field(factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL: `nats://host:4222,host2:4222?replicas=3&creds=/run/secrets/bot.creds`.

        :raises FleetError: if it is not such a URL.
        """
        scheme, _, rest = url.partition("://")
        hosts, _, query = rest.partition("?")
        # A password that is not escaped may contain anything but what follows it.
        name = url.rpartition("@")[2].partition("?")[0]
        if scheme not in ("nats", "tls") or not hosts.strip("/"):
            raise FleetError(name, "has no valid address: write nats://HOST:PORT, or tls://HOST:PORT")
        options, files = {}, {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            if key in FILES:
                files[key] = value
            elif key not in OPTIONS:
                raise FleetError(name, f"has an unknown option: {key}; known are {', '.join((*OPTIONS, *FILES))}")
            else:
                read, is_allowed, allowed = OPTIONS[key]
                with contextlib.suppress(ValueError):
                    options[key] = read(value)
                if key not in options or not is_allowed(options[key]):
                    raise FleetError(name, f"has an invalid option: {key} must be {allowed}, not {value!r}")
        found = tuple(f"{scheme}://{one.strip('/')}" for one in hosts.split(","))
        with contextlib.suppress(ValueError):
            if all(urlsplit(one).hostname and (urlsplit(one).port or True) for one in found):
                return cls(found, evolve(Layout(), **options), files)
        raise FleetError(name, "has no valid address: write nats://HOST:PORT, or tls://HOST:PORT")

    @property
    def name(self) -> str:
        """What errors and logs call it; without passwords."""
        return ",".join(f"{urlsplit(one).scheme}://{urlsplit(one).netloc.rpartition('@')[2]}" for one in self.servers)

    def options(self) -> dict[str, Any]:
        """Return what `nats.connect` takes."""
        found: dict[str, Any] = {"servers": list(self.servers)}
        if "creds" in self.files:
            found["user_credentials"] = self.files["creds"]
        if "nkey" in self.files:
            found["nkeys_seed"] = self.files["nkey"]
        if "ca" in self.files or "cert" in self.files:
            found["tls"] = context = ssl.create_default_context(cafile=self.files.get("ca"))
            if "cert" in self.files:
                context.load_cert_chain(self.files["cert"], self.files.get("key"))
        return found


class Engine:
    """A connection to NATS, which is made again whenever it is lost.

    :param answer: seconds until a request counts as unanswered.
    :ivar name: what errors and logs call it.
    :ivar js: JetStream.
    :ivar reconnected: replaced by a new event after each reconnection; wait for it.
        Set when it is closed, too.
    :ivar ended: set when the server has ended the connection for good.
    """

    def __init__(self, address: Address, *, answer: float = ANSWER) -> None:
        self._address = address
        self.name = address.name
        self.answer = answer
        self.layout = address.layout
        self.nc = Client()
        self.js: JetStreamContext = self.nc.jetstream(timeout=answer)
        self.reconnected = asyncio.Event()
        self.ended = asyncio.Event()
        self._problem: Exception | None = None
        self._is_open = False
        self._closing = False
        self._waiting: set[asyncio.Timeout] = set()
        self._patience = FIRST_PATIENCE

    @property
    def online(self) -> bool:
        """Whether there is a connection."""
        return bool(self.nc.is_connected)

    @property
    def error(self) -> FleetError | None:
        """Why the server has ended the connection for good; `None` if it has not."""
        return FleetError(self.name, f"has ended the connection: {self.nc.last_error}") if self.ended.is_set() else None

    async def during(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine, and cancel it if the server ends the connection for good.

        :raises FleetError: in that case.
        """
        working, ended = asyncio.create_task(work), asyncio.create_task(self.ended.wait())
        try:
            while not (working.done() or ended.done()):
                await asyncio.wait([working, ended], timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                if self.nc.is_closed:
                    self._end()  # The client does not tell if it has failed to send what was left.
        finally:
            await end([working, ended])
        if self.error is not None and working.cancelled():
            raise self.error
        working.result()

    async def open(self, *, create: bool = True) -> None:
        """Connect, and create or check what a fleet keeps.

        :param create: create what is missing.
        :raises FleetError: if that is not possible.
        """
        options = self._options()
        try:
            await self._connect(options)
            if self.nc.max_payload < PAYLOAD:
                problem = f"takes messages of at most {self.nc.max_payload:,} bytes"
                raise FleetError(self.name, f"{problem}: set its max_payload to {PAYLOAD:,}, the default, or more")
            for wanted in self.layout.streams():
                await self._settled(wanted, create)
        except BaseException:
            await self.close()
            raise
        self._is_open = True

    def _options(self) -> dict[str, Any]:
        for option, path in self._address.files.items():
            try:
                content = Path(path).read_bytes()
                if option == "nkey":
                    from_seed(bytearray(content.strip()))
            except OSError as error:
                raise FleetError(self.name, f"needs the file {path} ({option}): {error.strerror}") from error
            except NkeysError as error:
                raise FleetError(self.name, f"needs a valid seed in {path} ({option})") from error
        try:
            return self._address.options()
        except ssl.SSLError as error:
            raise FleetError(self.name, f"needs valid certificates in ca, cert and key: {error}") from error

    async def _connect(self, options: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(OPENING):
                await self.nc.connect(
                    **options,
                    error_cb=self._failed,
                    disconnected_cb=self._lost,
                    reconnected_cb=self._back,
                    closed_cb=self._ended,
                    name="connectycube",
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT,
                    ping_interval=10,
                    # What can't be sent must not be sent later, when another process may hold the lease.
                    pending_size=-1,
                )
        except TimeoutError:
            problem = f"can't be reached: {self._problem or 'no response'}"
            raise FleetError(self.name, f"{problem}: check its address, and whether it is running") from None
        except (NatsError, OSError, ValueError) as error:
            raise FleetError(
                self.name, f"refuses the connection: {error}: check its address and credentials"
            ) from error

    async def _settled(self, wanted: StreamConfig, create: bool) -> None:
        """Create or check a stream. A cluster that has just started refuses that, or does not answer, for a while."""
        pause, deadline = FIRST_PAUSE, asyncio.get_running_loop().time() + SETTLING
        while True:
            try:
                await self._ensure(wanted, create)
                return
            except NatsError as error:
                if isinstance(error, ServiceUnavailableError) and error.err_code is None:
                    raise FleetError(self.name, "has no JetStream: start the server with -js, or enable it") from error
                is_final = isinstance(error, APIError) and not isinstance(error, ServiceUnavailableError)
                if is_final or asyncio.get_running_loop().time() > deadline:
                    problem = error.description if isinstance(error, APIError) else str(error)
                    raise FleetError(self.name, f"can't provide the stream {wanted.name}: {problem}") from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _ensure(self, wanted: StreamConfig, create: bool) -> None:
        """Create a stream, or check that it is as we would create it."""
        try:
            info = await self.js.stream_info(str(wanted.name))
        except NotFoundError as error:
            if not create:
                problem = f"has no fleet with the prefix {self.layout.prefix}: start a gateway or a worker first"
                raise FleetError(self.name, problem) from error
            await self.js.add_stream(wanted)
            return
        found = info.config
        for option in (
            "subjects retention discard discard_new_per_subject max_msgs_per_subject max_age storage num_replicas"
            " max_msgs max_bytes max_consumers duplicate_window"
        ).split():
            expected, is_there = getattr(wanted, option), getattr(found, option)
            if expected not in (None, 0) and is_there != expected:
                self._differs(wanted.name, option, is_there, expected)
        for key, value in (wanted.metadata or {}).items():
            if (found.metadata or {}).get(key) != value:
                self._differs(wanted.name, key, (found.metadata or {}).get(key), value)

    def _differs(self, stream: str | None, option: str, found: object, expected: object) -> None:
        found, expected = (one.value if isinstance(one, Enum) else one for one in (found, expected))
        raise FleetError(
            self.name,
            f"has a stream {stream} whose {option} is {found}, not {expected}: it belongs to another version or to "
            "other settings. Use the same settings for the whole fleet, or another prefix",
        )

    async def close(self) -> None:
        """Disconnect. What is not stored yet fails."""
        self._closing = True
        self._repeat()
        for _ in range(2):
            if self.nc.is_closed:
                # It stops halfway if it fails to send what was left, and leaves that away the next time.
                self.nc._status = Client.DISCONNECTED
            try:
                await self.nc.close()
                break
            except (NatsError, OSError) as error:
                # It is disconnected all the same.
                logger.debug("NATS: %s", error)
        # Its tasks were cancelled, and end now.
        await asyncio.sleep(0)

    async def _failed(self, error: Exception) -> None:
        self._problem = error
        if not self._is_open and _is_permanent(error):
            # The client would go on trying.
            raise error
        if isinstance(error, (NatsError, OSError)):
            logger.debug("NATS: %s", error)
        else:
            logger.error("a message from NATS was not processed", exc_info=error)

    async def _lost(self) -> None:
        if self._is_open and not self._closing:
            logger.warning("the connection to %s is lost, reconnecting", self.name)

    async def _back(self) -> None:
        logger.warning("connected to %s again", self.name)
        self._repeat()

    async def _ended(self) -> None:
        self._end()

    def _end(self) -> None:
        """The server closes a connection for good when its credentials expire, or when it is misused."""
        if self._is_open and not self._closing and not self.ended.is_set():
            logger.error("%s has ended the connection: %s", self.name, self.nc.last_error)
            self.ended.set()
            self._repeat()

    def _repeat(self) -> None:
        """Let calls that wait be repeated, since their answers may be lost. They fail if the connection is closed."""
        event, self.reconnected = self.reconnected, asyncio.Event()
        event.set()
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            limit.reschedule(now)

    async def bucket(self, name: str) -> KeyValue:
        """Return a key-value bucket of the layout."""
        return await self.js.key_value(self.layout.stream(name))

    async def publish(self, subject: str, payload: bytes, message_id: str | None = None) -> bool:
        """Store a message, and repeat that until it is stored. The caller must publish what has an order one by one.

        :returns: whether it is new: `False` if it is a copy. `True` too if it had to be repeated.
        :raises StoreError: if the connection is closed first.
        """
        headers = None if message_id is None else {"Nats-Msg-Id": message_id}
        attempts = 0
        # By a plain request, since this is most of what a fleet does: `js.publish` takes half as long again. It also
        # uses `wait_for`, which can lose a cancellation before Python 3.12.

        async def publish() -> bool:
            nonlocal attempts
            attempts += 1
            begun, patience = time.monotonic(), self._patience
            try:
                async with asyncio.timeout(patience):
                    answer = await self.nc.request(subject, payload, timeout=None, headers=headers)  # type: ignore[arg-type]
            except TimeoutError:
                self._patience = max(self._patience, min(1.2 * patience, LONGEST_PATIENCE))
                raise
            if time.monotonic() - begun < FIRST_PATIENCE:
                self._patience = FIRST_PATIENCE
            stored = decode_stored(answer.data)
            if stored.error is not None and stored.error.get("err_code") != SECOND_COPY:
                raise APIError.from_error(stored.error)
            return attempts > 1 or not (stored.duplicate or stored.error)

        return await self.insist("store a message", publish)

    async def find(self, stream: str, subject: str | None = None, sequence: int | None = None) -> bytes | None:
        """Return the last message on a subject, or the message with a sequence number; `None` if it does not exist.

        :raises StoreError: if the connection is closed first.
        """

        async def find() -> bytes | None:
            try:
                # Not from any server that has the stream: another may not have the latest message yet.
                return (await self.js.get_msg(stream, sequence, subject)).data or b""
            except NotFoundError:
                return None

        return await self.insist("read a message", find)

    async def delivers(self, stream: str, consumer: str, subject: str) -> bool:
        """Return whether a consumer delivers to a subject. Another process may have deleted or replaced it.

        :raises StoreError: if the connection is closed first.
        """

        async def look() -> bool:
            try:
                found = await self.js.consumer_info(stream, consumer)
            except NotFoundError:
                return False
            return bool(found.config.deliver_subject == subject)

        return await self.insist("look at a consumer", look)

    async def insist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until it succeeds. While there is no connection, wait for it.

        :param what: what the call does, for the log.
        :raises StoreError: if the connection is closed first.
        """
        pause = FIRST_PAUSE
        while True:
            if self.nc.is_reconnecting:
                await self.reconnected.wait()
            limit = asyncio.timeout(None)
            try:
                async with limit:
                    self._waiting.add(limit)
                    return await call()
            except (NatsError, TimeoutError) as error:
                if self._closing or self.nc.is_closed:
                    raise FleetError(self.name, f"was closed before it could {what}") from error
                level = logging.WARNING if pause == FIRST_PAUSE else logging.DEBUG
                logger.log(level, "%s can't %s, retrying: %s", self.name, what, str(error) or "no answer")
            finally:
                self._waiting.discard(limit)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _is_permanent(error: Exception) -> bool:
    """Return whether connecting fails in the same way each time: for wrong credentials or certificates."""
    return isinstance(error, ssl.SSLError) or "authoriz" in str(error).lower()
