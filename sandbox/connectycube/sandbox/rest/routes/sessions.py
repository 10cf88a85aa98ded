"""R-001 to R-007."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import session_expired, unprocessable
from ...outside import CallFailed
from .. import wire
from ..call import Call, Routes

routes = Routes()


@routes.prepares("sessions_create")
async def vouch_for_new(call: Call) -> None:
    """Ask the identity provider about a login that opens its own session (X-05, CR-03)."""
    user = call.body.get("user") or {}
    if not call.body.get("provider") and str(user.get("guest", "0")) != "1":
        call.core.sessions.check(call.body)
        await _ask(call, user)


@routes.plays("sessions_create")
def create(call: Call) -> Any:
    return {"session": wire.session(call.core, call.core.sessions.open(call.body, call.vouched))}


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


@routes.prepares("sessions_login")
async def vouch(call: Call) -> None:
    """Ask the identity provider, if there is one, who a user is (N-03)."""
    await _ask(call, call.body)


async def _ask(call: Call, given: Mapping[str, Any]) -> None:
    provider = call.core.settings.identity_provider
    if provider is None or "login" not in given:
        return
    try:
        reply = await call.core.outside.call(
            "identity",
            provider.method,
            provider.url,
            provider.filled(provider.request, given),
            headers=provider.filled(provider.headers, given),
            timeout=provider.timeout,
            secret=True,
        )
    except CallFailed as error:
        raise unprocessable("base", f"The identity provider does not answer: {error}") from error
    if reply.status != 200:
        raise unprocessable("base", f"The identity provider refused the login with {reply.status}")
    call.vouched = provider.uid_in(reply.json())
    if call.vouched is None:
        raise unprocessable("base", f"The identity provider's answer has no {provider.response['uid']}")


@routes.plays("sessions_login")
def login(call: Call) -> Any:
    return {"user": wire.user_in_session(call.core.sessions.log_in(_session(call), call.body, call.vouched))}


@routes.plays("sessions_logout")
def logout(call: Call) -> None:
    call.core.sessions.log_out(_session(call))


def _session(call: Call) -> Any:
    if call.session is None:
        raise session_expired()
    return call.session
