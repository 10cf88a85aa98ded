"""R-049."""

from __future__ import annotations

from typing import Any

from .. import wire
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
            "dialogs": wire.dialogs(call.core, found.dialogs, call.user_id),
            "messages": wire.messages(call.core, found.messages, call.user_id),
            "users": [wire.user(user) for user in found.users],
        }
    }
