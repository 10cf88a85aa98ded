"""R-008 to R-025."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...domain.accounts import User
from ...errors import bad_request, forbidden, not_found
from ...filters import Condition, FilterSpec, parse
from .. import wire
from ..call import Call, Handler, Routes

routes = Routes()


def _v1(handler: Handler) -> Handler:
    """Return a handler that refuses its call while version 1 of the users API is switched off (N-01)."""

    def checked(call: Call) -> Any:
        if not call.core.settings.users_v1:
            raise bad_request("Version 1 of the users API is disabled for this application; use /users/v2")
        return handler(call)

    return checked


def _one(user: User) -> Any:
    return {"user": wire.user(user)}


@routes.plays("users_create")
def create(call: Call) -> Any:
    return _one(call.core.accounts.create(call.body))


@routes.plays("users_list")
def search(call: Call) -> Any:
    skip, limit = call.page("offset")
    users, total, limit = call.core.accounts.search_v2(call.conditions(), skip=skip, limit=limit, order=call.order())
    return {"limit": limit, "skip": skip, "total_entries": total, "items": [wire.user(user) for user in users]}


@routes.plays("users_list_v1")
@_v1
def list_v1(call: Call) -> Any:
    spec = call.operation.filters or FilterSpec(fields={})
    pairs = []
    for text in (text for key, text in call.query if key in ("filter[]", "filter")):
        parts = text.split(" ", 3)
        if len(parts) != 4 or parts[0] not in ("number", "string", "date"):
            raise bad_request("filter[] requires type, field, operator and value")
        pairs.append((f"{parts[1]}[{parts[2]}]", parts[3]))
    conditions = parse(pairs, spec)
    for one in conditions:
        if one.operator == "between" and len(one.value) != 2:
            raise bad_request("between requires two values")
    return _numbered(call, conditions, call.get("order"))


def _numbered(call: Call, conditions: Sequence[Condition], order: str | None = None) -> Any:
    """Return a page in the form of V1, whose entries are wrapped (CR-23)."""
    page, size = call.numbered_page()
    way = None
    if order is not None:
        direction, _, field = order.split(" ", 2)
        way = (field, direction == "desc")
    users, total = call.core.accounts.search(conditions, skip=(page - 1) * size, limit=size, order=way)
    return {
        "current_page": page,
        "per_page": size,
        "total_entries": total,
        "items": [_one(user) for user in users],
    }


@routes.plays("users_list_by_full_name")
def list_by_full_name(call: Call) -> Any:
    return _numbered(call, [Condition("full_name", "", call.get("full_name"))])


@routes.plays("users_list_by_tags")
@_v1
def list_by_tags(call: Call) -> Any:
    return _numbered(call, [Condition("user_tags", "in", call.texts("tags") or [])])


@routes.plays("users_get")
@_v1
def get(call: Call) -> Any:
    return _one(call.core.accounts.get(int(call.path["user_id"])))


def _getter(field: str) -> Handler:
    return lambda call: _one(call.core.accounts.get_by(field, call.get(field)))


for name in ("login", "email", "facebook_id", "twitter_id"):
    routes.plays(f"users_get_by_{name}")(_v1(_getter(name)))
routes.plays("users_get_by_phone", ("GET", "/users/by_phone"))(_getter("phone"))


@routes.plays("users_get_by_external_id")
@_v1
def get_by_external_id(call: Call) -> Any:
    return _one(_by_external_id(call))


def _by_external_id(call: Call) -> User:
    number = call.path["external_user_id"]
    found = call.core.accounts.find_by("external_user_id", int(number))
    user = found or call.core.accounts.find_by("external_id", number)
    if user is None:
        raise not_found()
    return user


@routes.plays("users_update")
def update(call: Call) -> Any:
    user_id = int(call.path["user_id"])
    call.core.accounts.require_own(user_id, call.user_id)
    return _one(call.core.accounts.update(user_id, call.body))


@routes.plays("users_delete")
def delete(call: Call) -> None:
    user_id = int(call.path["user_id"])
    call.core.accounts.require_own(user_id, call.user_id)
    call.core.accounts.delete(user_id)


@routes.plays("users_delete_by_external_id")
def delete_by_external_id(call: Call) -> None:
    user = _by_external_id(call)
    call.core.accounts.require_own(user.id, call.user_id)
    call.core.accounts.delete(user.id)


@routes.plays("users_reset_password", ("POST", "/users/password/reset"))
def reset_password(call: Call) -> None:
    email = call.get("email") or call.body.get("email")
    user = call.core.accounts.get_by("email", email)
    call.core.journal.outgoing("mail", str(email), {"subject": "Reset your password"}, user_id=user.id)


@routes.plays("users_list_online")
def list_online(call: Call) -> Any:
    if not call.core.settings.online_users:
        raise forbidden("The Online Users API is disabled for this application")
    online = call.core.presence.online()
    if call.flag("count"):
        return {"count": len(online)}
    skip, limit = call.page("offset")
    users, _ = call.core.accounts.search([], skip=skip, limit=limit, among=online)
    return {"users": [wire.user(user) for user in users]}
