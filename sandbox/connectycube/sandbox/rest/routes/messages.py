"""R-041 to R-049."""

from __future__ import annotations

from typing import Any

from ...domain.message_model import OWN_FIELDS, Draft
from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("messages_list")
def search(call: Call) -> Any:
    messages, user_id = call.core.messages, call.user_id
    dialog_id = str(call.get("chat_dialog_id"))
    if call.flag("preview"):
        found = messages.preview(dialog_id)
        return {"skip": 0, "limit": len(found), "items": wire.messages(call.core, found, user_id)}
    call.core.dialogs.require(dialog_id, user_id)
    skip, limit = call.page()
    order = call.order(("date_sent", False)) or ("date_sent", False)
    found, total = messages.search(
        call.conditions(), dialog_id=dialog_id, viewer=user_id, skip=skip, limit=limit, order=order
    )
    if call.flag("count"):
        return {"items": {"count": total}}
    if call.flag("mark_as_read", True):
        with call.core.db.attempt():
            messages.mark([one.id for one in found], user_id, read=True)
    return {"skip": skip, "limit": limit, "items": wire.messages(call.core, found, user_id)}


@routes.plays("messages_create")
def create(call: Call) -> Any:
    body = call.body
    if body.get("chat_dialog_id"):
        dialog = call.core.dialogs.require(body["chat_dialog_id"], call.user_id)
    else:
        recipient = call.core.accounts.get(body["recipient_id"])
        dialog = call.core.dialogs.private(call.user_id, recipient.id)
    attachments = body.get("attachments") or {}
    draft = Draft(
        sender_id=call.user_id,
        body=body.get("message"),
        attachments=list(attachments.values()),
        extra={name: value for name, value in body.items() if name not in OWN_FIELDS},
        markable=bool(body.get("markable")),
        silent=str(body.get("silent")) in ("1", "True"),
    )
    message = call.core.messages.create(dialog, draft, send_to_chat=bool(body.get("send_to_chat")))
    return wire.messages(call.core, [message], call.user_id)[0]


def _update(call: Call, ids: list[str] | None) -> None:
    body = call.body
    call.core.messages.update(
        body["chat_dialog_id"],
        call.user_id,
        ids,
        read=bool(body.get("read")),
        delivered=bool(body.get("delivered")),
        body=body.get("message"),
    )


@routes.plays("messages_update")
def update(call: Call) -> None:
    _update(call, _ids(call))


@routes.plays("messages_update_all", ("PUT", "/chat/Message/"))
def update_all(call: Call) -> None:
    _update(call, None)


@routes.plays("messages_delete")
def delete(call: Call) -> Any:
    return wire.deleted(call.core.messages.delete(_ids(call), call.user_id, force=call.flag("force")))


def _ids(call: Call) -> list[str]:
    return [part.strip() for part in call.path["message_ids"].split(",") if part.strip()]


@routes.plays("messages_unread_count")
def unread_count(call: Call) -> Any:
    ids = call.texts("chat_dialog_ids")
    return call.core.messages.unread_counts(call.user_id, None if ids is None else [one.strip() for one in ids])


@routes.plays("messages_create_system")
def create_system(call: Call) -> Any:
    params = {name: value for name, value in call.body.items() if name != "recipientId"}
    recipient = call.body["recipientId"]
    message_id = call.core.messages.send_system(call.user_id, recipient, params)
    return {"messageId": message_id, "recipientId": recipient, "extensionParams": params}


@routes.plays("messages_update_reactions")
def update_reactions(call: Call) -> None:
    call.core.messages.react(
        call.path["message_id"], call.user_id, add=call.body.get("add"), remove=call.body.get("remove")
    )


@routes.plays("messages_list_reactions")
def list_reactions(call: Call) -> Any:
    message, _ = call.core.messages.require(call.path["message_id"], call.user_id)
    return call.core.messages.reactions(message.id)
