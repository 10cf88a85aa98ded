"""The page at the root, which shows users, dialogs, conversations and the journal as it grows, and writes as a user.

It is for the developer at this machine: scripts of other sites can neither read nor write anything. It shows the keys
of the application, but no passwords and tokens.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..core import Core
from ..domain.message_model import Draft, Message
from ..endpoints import ACCOUNT, LABELS, exports
from ..errors import Refused, not_found, unprocessable
from ..journal import Entry
from ..storage import DataFileError, Unwritable
from .reading import body_of, read_bytes

__all__ = ["Page"]

BASE = "/_sandbox"
ASSETS = {
    "page.js": "text/javascript",
    "conversation.js": "text/javascript",
    "page.css": "text/css",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BEAT_SECONDS = 15.0
MOST_MESSAGES = 200
"""Most messages of a conversation that the page shows: the last ones."""
KINDS = {"sender_id": int, "recipient_id": int, "dialog_id": str, "message": str}
"""Fields of a message that is written on the page."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Page:
    """The routes of the page."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._run = secrets.token_hex(8)
        self._closing = False
        self._readers: set[asyncio.Event] = set()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", _own(self.index), methods=["GET"]),
            Route(f"{BASE}/state", _own(self.state), methods=["GET"]),
            Route(f"{BASE}/journal", _own(self.journal), methods=["GET"]),
            Route(f"{BASE}/events", _own(self.events), methods=["GET"]),
            Route(f"{BASE}/connection", _own(self.connection), methods=["GET"]),
            Route(f"{BASE}/messages", _own(self.messages), methods=["GET"]),
            Route(f"{BASE}/messages", _own(self.write), methods=["POST"]),
            Route(f"{BASE}/{{name}}", _own(self.asset), methods=["GET"]),
        ]

    def close(self) -> None:
        """End the streams of events."""
        self._closing = True
        for changed in self._readers:
            changed.set()

    def _file(self, name: str, media_type: str) -> Response:
        text = resources.files("connectycube.sandbox").joinpath("page", name).read_text("utf-8")
        return Response(text, 200, HEADERS, media_type)

    async def index(self, request: Request) -> Response:
        return self._file("index.html", "text/html")

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return JSONResponse({"errors": {"base": ["No such route"]}}, 404, HEADERS)
        return self._file(name, ASSETS[name])

    async def state(self, request: Request) -> Response:
        """Answer with users and dialogs."""
        core = self._core
        users, _ = core.accounts.search([], skip=0, limit=500)
        dialogs, _ = core.dialogs.search([], user_id=None, skip=0, limit=500)
        state = {
            "app_id": core.settings.app_id,
            "run": self._run,
            "users": [
                {
                    "id": user.id,
                    "name": user.title,
                    "login": user.login,
                    "online": core.presence.is_online(user.id),
                    "sessions": len(core.sessions.tokens(user.id)),
                }
                for user in users
            ],
            "dialogs": [
                {
                    "id": dialog.id,
                    "type": dialog.type.name.lower(),
                    "name": dialog.name,
                    "members": core.dialogs.members(dialog.id),
                    "last_message": dialog.last_message,
                }
                for dialog in dialogs
            ],
        }
        return JSONResponse(state, 200, HEADERS)

    async def connection(self, request: Request) -> Response:
        """Answer with what clients need to connect."""
        try:
            # It may have to create the certificate first.
            found = await asyncio.to_thread(self._core.endpoints)
        except DataFileError as error:
            return JSONResponse({"errors": {"base": [str(error)]}}, 500, HEADERS)
        labels = LABELS | ACCOUNT
        rows = [{"label": labels[name], "value": str(value)} for name, value in found.items()]
        return JSONResponse({"rows": rows, "exports": exports(found)}, 200, HEADERS)

    async def messages(self, request: Request) -> Response:
        """Answer with the last messages of a dialog, oldest first."""
        found, _ = self._core.messages.search(
            [],
            dialog_id=request.query_params.get("dialog_id", ""),
            viewer=None,
            skip=0,
            limit=MOST_MESSAGES,
            order=("date_sent", True),
        )
        return JSONResponse([_message(one) for one in reversed(found)], 200, HEADERS)

    async def write(self, request: Request) -> Response:
        """Send a message as a user, to a dialog or to another user, just as that user's call of REST would."""
        try:
            given = await self._given(request)
            with self._core.db.transaction():
                message = self._write(given)
        except Refused as refused:
            return JSONResponse(refused.body(), refused.status, HEADERS)
        except Unwritable as error:
            return JSONResponse({"errors": {"base": [str(error)]}}, 507, HEADERS)
        return JSONResponse(_message(message), 201, HEADERS)

    async def _given(self, request: Request) -> Mapping[str, Any]:
        data = await read_bytes(request, self._core.settings.limits.body_bytes)
        given = body_of(data, request.headers.get("content-type", ""))
        if not isinstance(given, dict):
            raise unprocessable("base", "must be an object")
        for name, value in given.items():
            if not isinstance(value, KINDS.get(name, ())):
                raise unprocessable(name, "is unknown, or of the wrong type")
        return given

    def _write(self, given: Mapping[str, Any]) -> Message:
        core = self._core
        sender_id, body = given.get("sender_id", 0), given.get("message", "")
        if not core.accounts.exists(sender_id):
            raise not_found()
        if not body.strip():
            raise unprocessable("message", "is empty")
        if "dialog_id" in given:
            dialog = core.dialogs.get(given["dialog_id"])
        else:
            dialog = core.dialogs.private(sender_id, core.accounts.get(given.get("recipient_id", 0)).id)
        return core.messages.create(dialog, Draft(sender_id=sender_id, body=body, markable=True), send_to_chat=True)

    async def journal(self, request: Request) -> Response:
        """Answer with entries of the journal, which `after`, `user_id` and `text` narrow down."""
        query = request.query_params
        entries = self._core.journal.entries(
            user_id=_number(query.get("user_id")), after=_number(query.get("after")) or 0, text=query.get("text", "")
        )
        return JSONResponse([entry.to_dict() for entry in entries], 200, HEADERS)

    async def events(self, request: Request) -> Response:
        """Answer with entries as they come, as server-sent events. A reader that falls far behind misses some.

        The event `cleared` means that entries up to a number have been removed.
        """
        last = request.headers.get("last-event-id") or request.query_params.get("after")
        stream = self._events(_number(last) or 0)
        return StreamingResponse(stream, 200, HEADERS, "text/event-stream")

    async def _events(self, after: int) -> AsyncIterator[str]:
        journal, loop, changed = self._core.journal, asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        stop = journal.subscribe(wake)
        self._readers.add(changed)
        text, told = "retry: 1000\n\n", max(after - 1, 0)
        try:
            while not self._closing:
                changed.clear()
                if journal.forgotten > told:
                    told = journal.forgotten
                    text += f"event: cleared\ndata: {told}\n\n"
                entries = journal.entries(after=after)
                after = entries[-1].number if entries else after
                # In one piece, because a disconnect is only noticed when the generator is asked for more.
                yield text + "".join(map(_event, entries))
                text = ""
                try:
                    await asyncio.wait_for(changed.wait(), BEAT_SECONDS)
                except TimeoutError:
                    text = ": still here\n\n"
        finally:
            stop()
            self._readers.discard(changed)


def _own(endpoint: Endpoint) -> Endpoint:
    async def checked(request: Request) -> Response:
        # Other pages on this machine are "same-site". Even one that may use the API gets no user's traffic.
        headers = request.headers
        own = f"http://{headers.get('host')}"
        # Browsers name the origin of whatever writes, except that very old ones leave it out for forms.
        origins = (own, None) if request.method in ("GET", "HEAD") else (own,)
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") or headers.get("origin") not in origins:
            return Response("Other sites can't use this page: open it yourself", 403, HEADERS)
        return await endpoint(request)

    return checked


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "dialog_id": message.dialog_id,
        "sender_id": message.sender_id,
        "message": message.body,
        "date_sent": message.date_sent,
        "attachments": [one.get("name") or one.get("type") for one in message.attachments],
        "edited": message.edited_at is not None,
    }


def _number(text: str | None) -> int | None:
    """Return a number in a query, or `None` if it is not one."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 19 else None


def _event(entry: Entry) -> str:
    return f"id: {entry.number}\ndata: {json.dumps(entry.to_dict())}\n\n"
