"""R-064 to R-066."""

from __future__ import annotations

from typing import Any

from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("address_book_upload")
def upload(call: Call) -> Any:
    body = call.body
    return call.core.address_book.upload(
        call.user_id, body["contacts"], udid=body.get("udid") or None, replace=bool(body.get("force"))
    )


@routes.plays("address_book_get")
def get(call: Call) -> Any:
    return call.core.address_book.contacts(call.user_id, call.get("udid") or None)


@routes.plays("address_book_list_registered")
def registered(call: Call) -> Any:
    compact = call.flag("compact")
    items = []
    for user, name in call.core.address_book.registered(call.user_id, call.get("udid") or None):
        short = {"id": user.id, "phone": user.phone, "address_book_name": name}
        items.append({"user": short if compact else {**wire.user(user), **short}})
    return {"items": items}
