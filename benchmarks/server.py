"""A server on the loopback interface, run in its own process, since only the client is measured.

It prints its port when it is ready.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def dialog(number: int) -> dict[str, Any]:
    """Return a group dialog with every field that the platform documents."""
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
    """Return the response to `dialogs.list`."""
    items = [dialog(number) for number in range(count)]
    return json.dumps({"total_entries": count, "skip": 0, "limit": count, "items": items}).encode()


class Backend:
    """The endpoints, and how many sessions were opened."""

    def __init__(self) -> None:
        self.token = ""
        self.opened = 0
        self.pages = {count: page(count) for count in (1, 100)}

    async def dialogs(self, request: Request) -> Response:
        if request.headers.get("CB-Token") != self.token:
            return JSONResponse({"errors": {"base": ["Required session does not exist"]}}, 401)
        return Response(self.pages[int(request.query_params.get("limit", 100))], media_type="application/json")

    async def session(self, request: Request) -> Response:
        await drained(request)
        self.opened += 1
        self.token = f"token-{self.opened}"
        headers = {"CB-Token-ExpirationDate": "2026-02-03 10:15:30 UTC"}
        return JSONResponse({"session": {"id": 1, "user_id": 81001, "token": self.token}}, 201, headers)

    async def login(self, request: Request) -> Response:
        await drained(request)
        return JSONResponse({"user": {"id": 81001}})

    async def expire(self, request: Request) -> Response:
        self.token = ""
        return Response()

    async def count(self, request: Request) -> Response:
        return Response(str(self.opened))

    async def blobs(self, request: Request) -> Response:
        await drained(request)
        access = {"params": f"{request.base_url}storage?key=1&Policy=e30"}
        return JSONResponse({"blob": {"id": 1, "uid": "1", "blob_object_access": access}}, 201)

    async def storage(self, request: Request) -> Response:
        await drained(request)
        return Response("<PostResponse/>", 201)

    async def complete(self, request: Request) -> Response:
        await drained(request)
        return Response()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/chat/Dialog", self.dialogs),
                Route("/session", self.session, methods=["POST"]),
                Route("/login", self.login, methods=["POST"]),
                Route("/expire", self.expire, methods=["POST"]),
                Route("/opened", self.count),
                Route("/blobs", self.blobs, methods=["POST"]),
                Route("/storage", self.storage, methods=["POST"]),
                Route("/{rest:path}", self.complete, methods=["DELETE", "POST", "PUT"]),
            ]
        )


async def drained(request: Request) -> None:
    """Read the body and throw it away, one piece after the other."""
    async for _ in request.stream():
        pass


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(Backend().app(), log_level="warning", lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
