"""R-089 to R-099: the admin API, which acts without a user."""

from __future__ import annotations

from typing import Any

from ...errors import unprocessable
from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("admin_update_dialog")
def update_dialog(call: Call) -> Any:
    dialog_id = call.path["dialog_id"]
    fields = {name: value for name, value in call.body.items() if name not in ("user_id", "is_muted")}
    dialog = call.core.dialogs.update(dialog_id, None, fields)
    if "is_muted" in call.body:
        if "user_id" not in call.body:
            raise unprocessable("user_id", "is required with is_muted")
        user = call.core.accounts.get(call.body["user_id"])
        call.core.dialogs.set_notifications(dialog_id, user.id, not call.body["is_muted"])
    return wire.dialog(call.core, dialog, None)


@routes.plays("admin_list_dialogs")
def list_dialogs(call: Call) -> Any:
    skip, limit = call.page()
    order = call.order(("_id", True))
    dialogs, total = call.core.dialogs.search(call.conditions(), user_id=None, skip=skip, limit=limit, order=order)
    items = wire.dialogs(call.core, dialogs, None)
    return {"total_entries": total, "skip": skip, "limit": limit, "items": items}


@routes.plays("admin_list_messages")
def list_messages(call: Call) -> Any:
    skip, limit = call.page()
    found, total = call.core.messages.search(
        call.conditions(),
        dialog_id=call.get("chat_dialog_id"),
        viewer=None,
        skip=skip,
        limit=limit,
        order=call.order(("_id", True)) or ("_id", True),
    )
    items = wire.messages(call.core, found, None)
    return {"total_entries": total, "skip": skip, "limit": limit, "items": items}


@routes.plays("admin_create_meeting")
def create_meeting(call: Call) -> Any:
    host = call.core.accounts.find(call.body["user_id"])
    if host is None:
        raise unprocessable("user_id", "is not a user")
    return wire.meeting(call.core.meetings.create(host.id, call.body))


@routes.plays("admin_list_recordings")
def list_recordings(call: Call) -> Any:
    meeting = call.core.meetings.get(call.path["meeting_id"])
    return [wire.admin_recording(call.core, one, call.base_url) for one in call.core.recordings.list(meeting.id)]


@routes.plays("admin_delete_recordings")
def delete_recordings(call: Call) -> Any:
    call.core.recordings.delete(call.path["meeting_id"])
    return {}


def _span(call: Call) -> tuple[float | None, float | None]:
    return call.time("start_date"), call.time("end_date")


def _types(call: Call) -> list[int] | None:
    found = call.texts("types[]")
    return None if found is None else [int(one) for one in found]


def _days(call: Call, counts: dict[str, int]) -> dict[str, int]:
    skip, limit = call.page("offset")
    return dict(sorted(counts.items())[skip : skip + limit])


@routes.plays("admin_count_messages")
def count_messages(call: Call) -> Any:
    return {"total": sum(call.core.statistics.messages_per_day(*_span(call)).values())}


@routes.plays("admin_messages_per_day")
def messages_per_day(call: Call) -> Any:
    return _days(call, call.core.statistics.messages_per_day(*_span(call)))


@routes.plays("admin_count_dialogs")
def count_dialogs(call: Call) -> Any:
    return {"total": sum(call.core.statistics.dialogs_per_day(*_span(call), _types(call)).values())}


@routes.plays("admin_dialogs_per_day")
def dialogs_per_day(call: Call) -> Any:
    return _days(call, call.core.statistics.dialogs_per_day(*_span(call), _types(call)))


@routes.plays("admin_delete_user")
def delete_user(call: Call) -> Any:
    call.core.accounts.delete(int(call.path["user_id"]))
    return {"success": True}
