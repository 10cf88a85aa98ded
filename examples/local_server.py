"""Just enough of the platform for the examples, on the loopback interface: sessions, dialogs, messages and files.

It keeps everything in memory and knows one user, `mary` with the password `correct-horse-9`. It supports only what the
examples need. To test your own program, use the sandbox.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

APP_ID = 7001
AUTH_KEY = "Tq7mVw2Zk9RbX4c"
LOGIN = "mary"
PASSWORD = "correct-horse-9"
USER_ID = 81001
MARY = {"id": USER_ID, "login": LOGIN, "full_name": "Mary S."}
NOW = 1770106530
TODAY = "2026-02-03T08:15:30Z"

Answer = tuple[int, Any, dict[str, str]]
Query = list[tuple[str, str]]

COMPARE: dict[str, Callable[[Any, str], bool]] = {
    "": lambda value, text: str(value) == text,
    "ne": lambda value, text: str(value) != text,
    "lt": lambda value, text: float(value) < float(text),
    "lte": lambda value, text: float(value) <= float(text),
    "gt": lambda value, text: float(value) > float(text),
    "gte": lambda value, text: float(value) >= float(text),
    "in": lambda value, text: str(value) in text.split(","),
    "nin": lambda value, text: str(value) not in text.split(","),
    "ctn": lambda value, text: text in str(value),
}


class Refused(Exception):
    """An error response."""

    def __init__(self, status: int, text: str, field: str = "base") -> None:
        super().__init__(text)
        self.status = status
        self.errors = {"errors": {field: [text]}}


class Store:
    """The server's data."""

    def __init__(self) -> None:
        self.url = ""
        self.lock = threading.Lock()
        self.last_id = 0
        self.tokens: set[str] = set()
        self.dialogs: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, tuple[str, bytes]] = {}

    def number(self) -> int:
        self.last_id += 1
        return self.last_id

    def id(self) -> str:
        return f"66f1a7c2e4b0d93a{self.number():08x}"

    # -- sessions

    def open_session(self, query: Query, body: Any) -> Answer:
        if body.get("application_id") != APP_ID or body.get("auth_key") != AUTH_KEY:
            raise Refused(401, "Unexpected signature or application")
        user = self.user(body["user"]) if body.get("user") else None
        session = {
            "id": self.number(),
            "user_id": user and user["id"],
            "application_id": APP_ID,
            "token": f"token-{self.number():04d}",
            "ts": NOW,
            "created_at": TODAY,
            "updated_at": TODAY,
            "user": user,
        }
        self.tokens.add(str(session["token"]))
        return 201, {"session": session}, {}

    def log_in(self, query: Query, body: Any) -> Answer:
        return 200, {"user": self.user(body)}, {}

    def user(self, given: Any) -> dict[str, Any]:
        if (given.get("login"), given.get("password")) != (LOGIN, PASSWORD):
            raise Refused(401, "Unauthorized")
        return MARY

    def list_users(self, query: Query, body: Any) -> Answer:
        return 200, page([MARY], query), {}

    def close_session(self, query: Query, body: Any) -> Answer:
        self.tokens.clear()
        return 200, None, {}

    # -- dialogs and messages

    def list_dialogs(self, query: Query, body: Any) -> Answer:
        return 200, page(sorted(self.dialogs.values(), key=lambda one: -int(one["created"])), query), {}

    def create_dialog(self, query: Query, body: Any) -> Answer:
        if body.get("type") in (1, 2, 4) and not body.get("name"):
            raise Refused(422, "can't be blank", "name")
        dialog: dict[str, Any] = {
            "_id": self.id(),
            "user_id": USER_ID,
            **body,
            "created": self.last_id,
            "occupants_ids": sorted({USER_ID, *body.get("occupants_ids", ())}),
            "created_at": TODAY,
            "updated_at": TODAY,
            "unread_messages_count": 0,
        }
        self.dialogs[dialog["_id"]] = dialog
        return 201, shown(dialog), {}

    def update_dialog(self, query: Query, body: Any, dialog_id: str) -> Answer:
        dialog = self.dialog(dialog_id)
        for field, ids in body.pop("push_all", {}).items():
            dialog[field] = [*dialog.get(field, ()), *ids]
        dialog.update(body)
        return 200, shown(dialog), {}

    def delete_dialog(self, query: Query, body: Any, dialog_id: str) -> Answer:
        del self.dialogs[self.dialog(dialog_id)["_id"]]
        return 200, None, {}

    def dialog(self, dialog_id: Any) -> dict[str, Any]:
        if dialog_id not in self.dialogs:
            raise Refused(404, "The resource wasn't found")
        return self.dialogs[dialog_id]

    def list_messages(self, query: Query, body: Any) -> Answer:
        self.dialog(dict(query).get("chat_dialog_id"))
        found = page(self.messages, query)
        found.pop("total_entries", None)
        return 200, found, {}

    def create_message(self, query: Query, body: Any) -> Answer:
        dialog = self.dialog(body.get("chat_dialog_id"))
        message = {
            "_id": self.id(),
            **{key: value for key, value in body.items() if key not in ("send_to_chat", "markable")},
            "attachments": list(body.get("attachments", {}).values()),
            "date_sent": NOW + self.last_id,
            "sender_id": USER_ID,
            "recipient_id": 0,
            "read_ids": [USER_ID],
            "delivered_ids": [USER_ID],
            "read": 0,
            "created_at": TODAY,
            "updated_at": TODAY,
        }
        self.messages.append(message)
        dialog["last_message"] = message.get("message")
        dialog["last_message_date_sent"] = message["date_sent"]
        return 201, message, {}

    # -- files

    def create_file(self, query: Query, body: Any) -> Answer:
        number = self.number()
        uid = f"{number:032x}"
        self.files[str(number)] = {
            "id": number,
            "uid": uid,
            **body["blob"],
            "created_at": TODAY,
            "updated_at": TODAY,
        }
        params = f"{self.url}/storage?key={uid}&Policy=eyJleHAiOiAxfQ%3D%3D&Signature=a%2Bb%2Fc&acl=private"
        access = {"id": number, "blob_id": number, "object_access_type": "Write", "params": params}
        return 201, {"blob": {**self.files[str(number)], "blob_object_access": access}}, {}

    def store(self, fields: dict[str, str], content_type: str, data: bytes) -> Answer:
        self.contents[fields["key"]] = (content_type, data)
        text = f"<PostResponse><Bucket>files</Bucket><Key>{fields['key']}</Key></PostResponse>"
        return 201, text.encode(), {"Content-Type": "application/xml"}

    def complete_file(self, query: Query, body: Any, number: str) -> Answer:
        if number not in self.files:
            raise Refused(404, "The resource wasn't found")
        self.files[number]["size"] = body["blob"]["size"]
        return 200, None, {}

    def download(self, query: Query, body: Any, uid: str) -> Answer:
        if uid not in self.contents:
            raise Refused(404, "The resource wasn't found")
        return 301, None, {"Location": f"{self.url}/storage/{uid}"}

    def content(self, query: Query, body: Any, uid: str) -> Answer:
        content_type, data = self.contents[uid]
        return 200, data, {"Content-Type": content_type}


def shown(dialog: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in dialog.items() if key != "created"}


def page(entries: list[dict[str, Any]], query: Query) -> dict[str, Any]:
    """Return the page of a list that a query asks for."""
    skip, limit, count = 0, 100, False
    for key, text in query:
        field, _, operator = key.removesuffix("]").partition("[")
        match field:
            case "skip":
                skip = int(text)
            case "limit":
                limit = int(text)
            case "count":
                count = text == "1"
            case "sort_asc" | "sort_desc":
                entries = sorted(entries, key=lambda one: one.get(text) or 0, reverse=field == "sort_desc")
            case "mark_as_read" | "preview":
                pass
            case _:
                entries = [one for one in entries if field in one and COMPARE[operator](one[field], text)]
    if count:
        return {"items": {"count": len(entries)}}
    items = [shown(one) for one in entries[skip : skip + limit]]
    return {"total_entries": len(entries), "skip": skip, "limit": limit, "items": items}


OPEN = r"POST /session|.* /storage.*"
"""Requests that need no session."""

ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"POST /session", Store.open_session),
    (r"DELETE /session", Store.close_session),
    (r"POST /login", Store.log_in),
    (r"GET /users/v2", Store.list_users),
    (r"GET /chat/Dialog", Store.list_dialogs),
    (r"POST /chat/Dialog", Store.create_dialog),
    (r"PUT /chat/Dialog/(\w+)", Store.update_dialog),
    (r"DELETE /chat/Dialog/(\w+)", Store.delete_dialog),
    (r"GET /chat/Message", Store.list_messages),
    (r"POST /chat/Message", Store.create_message),
    (r"POST /blobs", Store.create_file),
    (r"PUT /blobs/(\d+)/complete", Store.complete_file),
    (r"GET /blobs/(\w+)/download", Store.download),
    (r"GET /storage/(\w+)", Store.content),
]


class Handler(BaseHTTPRequestHandler):
    """Passes requests to the store."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body leave in one piece.
    store: Store

    def answer(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, found, headers = self.find(f"{self.command} {address.path}", parse_qsl(address.query), body)
        except Refused as error:
            status, found, headers = error.status, error.errors, {}
        if not isinstance(found, bytes):
            found = b"" if found is None else json.dumps(found).encode()
            headers = {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(found))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def find(self, asked: str, query: Query, body: bytes) -> Answer:
        with self.store.lock:
            if not re.fullmatch(OPEN, asked) and self.headers.get("CB-Token") not in self.store.tokens:
                raise Refused(401, "Required session does not exist")
            if asked == "POST /storage":
                return self.store.store(*self.form(body))
            for pattern, method in ROUTES:
                if match := re.fullmatch(pattern, asked):
                    return method(self.store, query, json.loads(body or b"{}"), *match.groups())
        raise Refused(404, "No such route")

    def form(self, body: bytes) -> tuple[dict[str, str], str, bytes]:
        """Return the fields of a multipart form, and its file."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        fields: dict[str, str] = {}
        for part in BytesParser().parsebytes(head + body).walk():
            data = part.get_payload(decode=True)
            if part.get_filename() is not None and isinstance(data, bytes):
                return fields, part.get_content_type(), data
            if isinstance(data, bytes):
                fields[str(part.get_param("name", header="content-disposition"))] = data.decode()
        raise Refused(400, "There is no file")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, since the examples print their own transcript."""


class LocalServer:
    """A server that runs inside its `with` block.

    :ivar url: its address.
    """

    def __enter__(self) -> Self:
        self.store = Store()
        handler = type("BoundHandler", (Handler,), {"store": self.store})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = self.store.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
