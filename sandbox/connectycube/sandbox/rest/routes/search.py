"""R-049."""

from __future__ import annotations

from typing import Any

from ..call import Call, Routes

routes = Routes()


@routes.plays("search_query")
def query(call: Call) -> Any:
    found = call.core.search.query(
        call.user_id,
        str(call.get("search_text")),
        dialog_ids=call.texts("chat_dialog_ids"),
        newest=call.time("start_date"),
        oldest=call.time("end_date"),
        limit=call.number("limit", call.core.settings.limits.search_results),
    )
    return {
        "results": {
            "dialogs": [call.core.dialogs.to_wire(dialog, call.user_id) for dialog in found.dialogs],
            "messages": call.core.messages.to_wire(found.messages, call.user_id),
            "users": [user.to_wire() for user in found.users],
        }
    }
