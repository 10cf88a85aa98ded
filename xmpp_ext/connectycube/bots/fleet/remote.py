"""An account whose gateway may be another process, as handlers reach it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

import msgspec
from attrs import frozen
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from connectycube.chat import AsyncChat, ChatMessage, MessageNotSent, NotConnected, RequestUnanswered, SentMessage
from connectycube.chat._tracing import traceparent
from connectycube.rest import AsyncConnectyCube, ConfigurationError, InvalidArgument

from ..content import Content, encode
from ..outbox import MOST_BOUNCING, Report
from .cubes import Cubes
from .engine import Engine, FleetError
from .layout import token
from .leases import Lease
from .records import Outbound, Problem, Request, decode_problem, encode_record, error_of

__all__ = ["FleetLink", "Post", "RemoteChat"]

PATIENCE: Final = 30.0
"""Seconds that a gateway has to answer."""
PAUSE: Final = 1.0
"""Seconds before an edit is asked for again."""


class NotInWorker(ConfigurationError, AttributeError):
    """A worker can't do this with a chat that a gateway holds."""


class RemoteChat:
    """Stands in for the chat of an account that another process holds.

    :ivar user_id: the account's user id.
    """

    def __init__(self, engine: Engine, account: str, user_id: int) -> None:
        self._engine = engine
        self._account = account
        self.user_id = user_id

    def __repr__(self) -> str:
        return f"<RemoteChat {self._account}>"

    def __getattr__(self, name: str) -> NoReturn:
        raise NotInWorker(
            f"chat.{name} is not available in a worker, which has only user_id, start_typing, stop_typing, mark_read "
            "and edit_message: use ctx.cube, or run the handler with `connectycube-bots run`"
        )

    async def start_typing(self, to: int | str) -> None:
        """Show that the user is typing. `to` is the id of a user or dialog."""
        await self._ask(Request(call="start_typing", place=to))

    async def stop_typing(self, to: int | str) -> None:
        """Show that the user has stopped typing. `to` is the id of a user or dialog."""
        await self._ask(Request(call="stop_typing", place=to))

    async def mark_read(self, message: ChatMessage) -> None:
        """Tell the sender that a message was read.

        :raises MessageNotSent: if no gateway holds the account.
        """
        try:
            await self._ask(Request(call="mark_read", message=msgspec.Raw(encode(message))))
        except NotConnected as error:
            raise MessageNotSent(message.id or "", str(error)) from error

    async def edit_message(
        self, to: int | str, message_id: str, body: str, *, last: bool = True, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Replace the text of a message, as soon as the server has the message. Waits for a gateway, if need be."""
        if not isinstance(body, str):
            raise InvalidArgument("body", f"must be a string, not {type(body).__name__}")
        try:
            plain = None if extra is None else json.loads(json.dumps(dict(extra)))
        except (TypeError, ValueError) as error:
            raise InvalidArgument("extra", f"can't be sent: {error}") from error
        request = Request(call="edit_message", place=to, message_id=message_id, body=body, last=last, extra=plain)
        while True:
            try:
                return await self._ask(request)
            except (NotConnected, RequestUnanswered):
                await asyncio.sleep(PAUSE)  # To edit twice does no harm.

    async def _ask(self, request: Request) -> None:
        subject = self._engine.layout.subject("do", token(self._account))
        try:
            answer = await self._engine.nc.request(subject, encode_record(request), timeout=PATIENCE)
        except NoRespondersError as error:
            raise NotConnected(f"no gateway holds the account {self._account}") from error
        except NatsError as error:
            raise RequestUnanswered(request.call, PATIENCE) from error
        if answer.data:
            raise error_of(decode_problem(answer.data))


class Post:
    """Publishes replies for the gateways, and learns which of them the server has refused.

    :param worker: the worker's id.
    """

    def __init__(self, engine: Engine, worker: str) -> None:
        self._engine = engine
        self._worker = worker
        self._reports: dict[str, Report] = {}
        """Who wants to know of the latest replies."""

    async def put(
        self, account: str, message_id: str, content: Content, report: Report | None = None, *, is_known: bool = True
    ) -> SentMessage:
        """Store a reply.

        :param is_known: whether it may have been sent before: then it is not sent again.
        """
        layout, engine = self._engine.layout, self._engine
        record = Outbound(
            account=account,
            id=message_id,
            dialog=content.dialog,
            content=msgspec.Raw(encode(content)),
            worker=self._worker,
            trace=traceparent(),
        )
        payload = encode_record(record)
        if len(payload) > engine.nc.max_payload:
            raise InvalidArgument("body", f"is too long: the message takes {len(payload)} bytes")
        sent = SentMessage(id=message_id, dialog_id=content.dialog_id, date_sent=dt.datetime.now(dt.UTC))
        if is_known and await engine.find(layout.stream("done"), layout.of("done", account, message_id)) is not None:
            return sent
        if report is not None:
            self._reports[message_id] = report
            if len(self._reports) > MOST_BOUNCING:
                del self._reports[next(iter(self._reports))]
        await engine.publish(layout.of("out", account, message_id), payload, f"{account}:{message_id}")
        return sent

    def told(self, problem: Problem) -> None:
        """Report a reply that the server has refused."""
        reply_id = problem.id or ""
        report = self._reports.pop(reply_id, None)
        if report is not None:
            report(error_of(problem), reply_id)


@frozen(eq=False)
class FleetLink:
    """The account that received a message.

    :ivar lease: the partition of the message.
    :ivar held: the account's chat, if a gateway in this process holds the account.
    :ivar again: whether a handler may have been called for the message before.
    """

    engine: Engine
    post: Post
    cubes: Cubes
    account: str
    user_id: int
    lease: Lease
    held: AsyncChat | None
    again: bool

    @property
    def chat(self) -> AsyncChat:
        return self.held or cast("AsyncChat", RemoteChat(self.engine, self.account, self.user_id))

    @property
    def cube(self) -> AsyncConnectyCube:
        return self.cubes.of(self.account, self.user_id)

    async def put(self, message_id: str, content: Content, report: Report | None = None) -> SentMessage:
        if not self.lease.valid:
            raise FleetError(self.engine.name, f"has given partition {self.lease.name} to another worker")
        return await self.post.put(self.account, message_id, content, report, is_known=self.again)

    async def edit(
        self, place: int | str, message_id: str, body: str, last: bool, extra: Mapping[str, Any] | None
    ) -> None:
        # Only the gateway's outbox knows when the server has the message.
        await RemoteChat(self.engine, self.account, self.user_id).edit_message(
            place, message_id, body, last=last, extra=extra
        )
