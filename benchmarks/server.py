"""A server on the loopback interface for the benchmarks, to be run in a process of its own.

It prints its port and then answers as fast as it can: the client is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def dialog(number: int) -> dict[str, Any]:
    """A group dialog with all that the platform's documents show."""
    id = f"66f1a7c2e4b0d93a{number:08x}"
    return {
        "_id": id,
        "user_id": 81001,
        "type": 2 if number % 3 else 3,
        "name": f"Climbing on Sunday {number}",
        "description": "Who drives?",
        "photo": None,
        "occupants_ids": [81001, 81002, 81003 + number],
        "admins_ids": [81002],
        "pinned_messages_ids": ["66f1a8d0e4b0d93a51c8e2ff"],
        "xmpp_room_jid": f"7001_{id}@muc.chat.connectycube.com",
        "created_at": "2026-02-03T08:15:30Z",
        "updated_at": "2026-02-04T19:00:00Z",
        "last_message": "See you at seven",
        "last_message_date_sent": 1770231600 + number,
        "last_message_id": "66f1a8d0e4b0d93a51c8e300",
        "last_message_user_id": 81003,
        "last_message_status": "read",
        "unread_messages_count": number % 5,
        "extensions": {"city": "Turin", "level": "6b"},
        "permissions": {"allow_preview": False},
    }


def page(count: int) -> bytes:
    """The answer to `dialogs.list`."""
    items = [dialog(number) for number in range(count)]
    return json.dumps({"total_entries": count, "skip": 0, "limit": count, "items": items}).encode()


class State:
    """The sessions, and how often one was opened."""

    def __init__(self) -> None:
        self.token = ""
        self.opened = 0
        self.pages = {count: page(count) for count in (1, 100)}

    def answer(self, head: bytes, port: int) -> tuple[int, bytes]:
        method, target, _ = head.split(b" ", 2)
        path = target.partition(b"?")[0].decode()
        match (method, path):
            case (b"GET", "/chat/Dialog"):
                token = re.search(rb"\r\ncb-token: (\S+)", head, re.IGNORECASE)
                if token is None or token.group(1).decode() != self.token:
                    return 401, b'{"errors":{"base":["Required session does not exist"]}}'
                return 200, self.pages[1 if target.endswith(b"limit=1") else 100]
            case (b"POST", "/session"):
                self.opened += 1
                self.token = f"token-{self.opened}"
                return 201, json.dumps({"session": {"id": 1, "user_id": 81001, "token": self.token}}).encode()
            case (b"POST", "/expire"):
                self.token = ""
                return 200, b""
            case (b"GET", "/opened"):
                return 200, str(self.opened).encode()
            case (b"POST", "/blobs"):
                access = {"params": f"http://127.0.0.1:{port}/storage?key=1&Policy=e30"}
                return 201, json.dumps({"blob": {"id": 1, "uid": "1", "blob_object_access": access}}).encode()
            case (b"POST", "/storage"):
                return 201, b"<PostResponse/>"
            case _:
                return 200, b""


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; bodies are counted and thrown away."""

    def __init__(self, state: State) -> None:
        self.state = state

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""
        self.head = b""
        self.missing = 0

    def data_received(self, data: bytes) -> None:
        # No pipelining: what comes after a head is its body.
        if not self.head:
            self.buffer += data
            head, end, data = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.head, self.buffer = head, b""
            length = LENGTH.search(head)
            self.missing = int(length.group(1)) if length else 0
        self.missing -= len(data)
        if self.missing <= 0:
            self.respond()

    def respond(self) -> None:
        status, body = self.state.answer(self.head, self.transport.get_extra_info("sockname")[1])
        self.head = b""
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"{head}CB-Token-ExpirationDate: 2026-02-03 10:15:30 UTC\r\n\r\n".encode() + body)


async def main() -> None:
    state = State()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=200)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
