"""R-001 to R-007."""

from __future__ import annotations

from typing import Any

from ...errors import session_expired
from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.plays("sessions_create")
def create(call: Call) -> Any:
    return {"session": wire.session(call.core, call.core.sessions.open(call.body))}


@routes.plays("sessions_get")
def get(call: Call) -> Any:
    return {"session": wire.session(call.core, _session(call))}


@routes.plays("sessions_delete")
def delete(call: Call) -> None:
    call.core.sessions.end(_session(call))


@routes.plays("sessions_delete_others")
def delete_others(call: Call) -> None:
    call.core.sessions.end_others(_session(call))


@routes.plays("sessions_delete_by_id")
def delete_by_id(call: Call) -> None:
    call.core.sessions.end_by_id(_session(call), int(call.path["session_id"]))


@routes.plays("sessions_login")
def login(call: Call) -> Any:
    return {"user": wire.user_in_session(call.core.sessions.log_in(_session(call), call.body))}


@routes.plays("sessions_logout")
def logout(call: Call) -> None:
    call.core.sessions.log_out(_session(call))


def _session(call: Call) -> Any:
    if call.session is None:
        raise session_expired()
    return call.session
