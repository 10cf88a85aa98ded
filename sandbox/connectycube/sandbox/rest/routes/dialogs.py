"""R-026 to R-037."""

from __future__ import annotations

from typing import Any

from ...domain.dialog_model import DialogType
from ...errors import forbidden
from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("dialogs_list")
def search(call: Call) -> Any:
    skip, limit = call.page()
    dialogs, total = call.core.dialogs.search(
        call.conditions(), user_id=call.user_id, skip=skip, limit=limit, order=call.order()
    )
    if call.flag("count"):
        return {"items": {"count": total}}
    return {
        "total_entries": total,
        "skip": skip,
        "limit": limit,
        "items": wire.dialogs(call.core, dialogs, call.user_id),
    }


@routes.plays("dialogs_create")
def create(call: Call) -> Any:
    return wire.dialog(call.core, call.core.dialogs.create(call.user_id, call.body), call.user_id)


@routes.plays("dialogs_update")
def update(call: Call) -> Any:
    dialog = call.core.dialogs.update(call.path["dialog_id"], call.user_id, call.body)
    return wire.dialog(call.core, dialog, call.user_id)


@routes.plays("dialogs_update_admins")
def update_admins(call: Call) -> Any:
    fields: dict[str, Any] = {name: call.body[name] for name in ("push_all", "pull_all") if name in call.body}
    dialog = call.core.dialogs.update(call.path["dialog_id"], call.user_id, fields)
    return wire.dialog(call.core, dialog, call.user_id)


@routes.plays("dialogs_delete")
def delete(call: Call) -> Any:
    ids = [part for part in call.path["dialog_id"].split(",") if part]
    force = call.flag("force")
    if len(ids) > 1:
        return wire.deleted(call.core.dialogs.delete_many(ids, call.user_id, force=force))
    call.core.dialogs.delete(call.path["dialog_id"], call.user_id, force=force)
    return None


@routes.plays("dialogs_clear_history")
def clear_history(call: Call) -> None:
    call.core.messages.clear(call.path["dialog_id"], call.user_id, force=call.flag("force"))


@routes.plays("dialogs_subscribe")
def subscribe(call: Call) -> Any:
    return wire.dialog(call.core, call.core.dialogs.subscribe(call.path["dialog_id"], call.user_id), call.user_id)


@routes.plays("dialogs_unsubscribe")
def unsubscribe(call: Call) -> None:
    call.core.dialogs.unsubscribe(call.path["dialog_id"], call.user_id)


@routes.plays("dialogs_update_notifications")
def update_notifications(call: Call) -> Any:
    dialog = call.core.dialogs.require(call.path["dialog_id"], call.user_id)
    call.core.dialogs.set_notifications(dialog.id, call.user_id, call.body["enabled"] == "1")
    return _notifications(call)


@routes.plays("dialogs_get_notifications")
def get_notifications(call: Call) -> Any:
    call.core.dialogs.require(call.path["dialog_id"], call.user_id)
    return _notifications(call)


def _notifications(call: Call) -> Any:
    enabled = call.core.dialogs.notifications(call.path["dialog_id"], call.user_id)
    return {"notifications": {"enabled": int(enabled)}}


@routes.plays("dialogs_list_occupants")
def list_occupants(call: Call) -> Any:
    dialog = call.core.dialogs.require(call.path["dialog_id"], call.user_id)
    if dialog.type is not DialogType.PUBLIC:
        raise forbidden("Only occupants of public dialogs can be listed")
    skip, limit = call.page()
    users, _ = call.core.accounts.search([], skip=skip, limit=limit, among=call.core.dialogs.members(dialog.id))
    return {"items": [wire.user(user) for user in users]}
