"""R-049."""

from __future__ import annotations

from typing import Any

from ...clock import moment
from ..call import Call, Routes

routes = Routes()


@routes.plays("search_query")
def query(call: Call) -> Any:
    def time(name: str) -> float | None:
        text = call.get(name)
        return None if text is None else moment(text)

    found = call.core.search.query(
        call.user_id,
        str(call.get("search_text")),
        dialog_ids=call.texts("chat_dialog_ids"),
        newest=time("start_date"),
        oldest=time("end_date"),
        limit=call.number("limit", call.core.settings.limits.search_results),
    )
    return {
        "results": {
            "dialogs": [call.core.dialogs.to_wire(dialog, call.user_id) for dialog in found.dialogs],
            "messages": call.core.messages.to_wire(found.messages, call.user_id),
            "users": [user.to_wire() for user in found.users],
        }
    }
