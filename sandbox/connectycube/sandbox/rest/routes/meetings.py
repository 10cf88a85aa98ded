"""R-078 to R-087: meetings, whiteboards and the one call about calls."""

from __future__ import annotations

from typing import Any

from ...filters import FilterSpec, parse
from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("meetings_list")
def search(call: Call) -> Any:
    wanted = call.get("_id")
    if wanted is not None:
        meeting = call.core.meetings.visible(wanted, call.user_id)
        return [] if meeting is None else [wire.meeting(meeting)]
    skip, limit = call.page("offset")
    spec = call.operation.filters or FilterSpec(fields={})
    conditions = parse(call.query, spec)
    scheduled = call.flag("scheduled") if call.get("scheduled") is not None else None
    found = call.core.meetings.list(call.user_id, conditions, scheduled, skip=skip, limit=limit)
    return [wire.meeting(meeting) for meeting in found]


@routes.plays("meetings_create")
def create(call: Call) -> Any:
    return wire.meeting(call.core.meetings.create(call.user_id, call.body))


@routes.plays("meetings_update")
def update(call: Call) -> Any:
    return wire.meeting(call.core.meetings.update(call.path["meeting_id"], call.user_id, call.body))


@routes.plays("meetings_delete")
def delete(call: Call) -> None:
    call.core.meetings.delete(call.path["meeting_id"], call.user_id)


@routes.plays("meetings_list_recordings")
def recordings(call: Call) -> Any:
    meeting = call.core.meetings.require(call.path["meeting_id"], call.user_id)
    return [wire.recording(call.core, one, call.base_url) for one in call.core.recordings.list(meeting.id)]


@routes.plays("whiteboards_create")
def create_whiteboard(call: Call) -> Any:
    return wire.whiteboard(call.core.whiteboards.create(call.user_id, call.body["chat_dialog_id"], call.body["name"]))


@routes.plays("whiteboards_list")
def list_whiteboards(call: Call) -> Any:
    return [wire.whiteboard(one) for one in call.core.whiteboards.list(call.user_id, str(call.get("chat_dialog_id")))]


@routes.plays("whiteboards_update")
def update_whiteboard(call: Call) -> Any:
    return wire.whiteboard(call.core.whiteboards.rename(call.user_id, call.path["whiteboard_id"], call.body["name"]))


@routes.plays("whiteboards_delete")
def delete_whiteboard(call: Call) -> None:
    call.core.whiteboards.delete(call.user_id, call.path["whiteboard_id"])


@routes.plays("calls_reject")
def reject_call(call: Call) -> Any:
    call.core.messages.reject_call(call.user_id, call.body)
    return {}
