"""R-067 to R-077."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...domain.records import Record, calculated
from ...errors import Refused, bad_request, forbidden, not_found
from ...filters import criteria
from .. import wire
from ..call import Call, Routes

routes = Routes()


def _wire(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [wire.record(record) for record in records]


@routes.plays("custom_objects_create")
def create(call: Call) -> Any:
    return wire.record(call.core.records.create(call.path["class_name"], call.user_id, call.body))


@routes.plays("custom_objects_create_many")
def create_many(call: Call) -> Any:
    name = call.path["class_name"]
    records = [call.core.records.create(name, call.user_id, one) for one in call.body["record"].values()]
    return {"class_name": name, "items": _wire(records)}


@routes.plays("custom_objects_list")
def search(call: Call) -> Any:
    name = call.path["class_name"]
    conditions = call.conditions()
    calc = [one for one in conditions if one.operator == "calc"]
    plain = [one for one in conditions if one.operator != "calc"]
    records = call.core.records.search(name, plain, call.user_id, order=call.order())
    if call.flag("count"):
        return {"items": {"count": len(records)}}
    most = call.core.settings.limits.custom_objects
    skip, limit = call.number("skip", 0), call.number("limit", most)
    if calc or call.get("group_by") is not None:
        items = calculated(records, calc, call.get("group_by"))
    elif limit < 0:
        items = _wire(records[-1:])
    else:
        items = _wire(records)
    if limit >= 0:
        items = items[skip : skip + limit]
    include, exclude = call.texts("output[include]"), call.texts("output[exclude]")
    if include is not None:
        items = [{key: value for key, value in one.items() if key in ("_id", *include)} for one in items]
    if exclude is not None:
        items = [{key: value for key, value in one.items() if key not in exclude} for one in items]
    return {"class_name": name, "skip": skip, "limit": limit, "items": items}


def _ids(call: Call) -> list[str]:
    return [part.strip() for part in call.path["object_id"].split(",") if part.strip()]


@routes.plays("custom_objects_get_many")
def get_many(call: Call) -> Any:
    name, ids = call.path["class_name"], _ids(call)
    if call.flag("permissions"):
        record = call.core.records.find(name, ids[0]) if ids else None
        if record is None:
            raise not_found()
        if record.user_id != call.user_id:
            raise forbidden()
        return {"permissions": record.permissions, "record_id": record.id}
    return {"class_name": name, "items": _wire(call.core.records.get_many(name, ids, call.user_id))}


@routes.plays("custom_objects_update")
def update(call: Call) -> Any:
    record = call.core.records.require(call.path["class_name"], call.path["object_id"], call.user_id, "update")
    return wire.record(call.core.records.update(record, call.body))


@routes.plays("custom_objects_update_by_criteria")
def update_by_criteria(call: Call) -> Any:
    name = call.path["class_name"]
    fields = {key: value for key, value in call.body.items() if key != "search_criteria"}
    conditions = [one for field, given in call.body["search_criteria"].items() for one in criteria(field, given)]
    found = call.core.records.search(name, conditions, call.user_id, action="update")
    records = [call.core.records.update(record, fields) for record in found]
    most = call.core.settings.limits.custom_objects
    return {
        "class_name": name,
        "skip": 0,
        "limit": most,
        "total_found": len(records),
        "items": _wire(records[:most]),
    }


@routes.plays("custom_objects_update_many")
def update_many(call: Call) -> Any:
    name = call.path["class_name"]
    items: list[dict[str, Any]] = []
    missing: list[str] = []
    for given in call.body["record"].values():
        try:
            record = call.core.records.require(name, given["id"], call.user_id, "update")
        except Refused as refused:
            if refused.status != 404:
                raise
            missing.append(given["id"])
        else:
            fields = {key: value for key, value in given.items() if key != "id"}
            items.append(wire.record(call.core.records.update(record, fields)))
    return {"class_name": name, "not_found": {"ids": missing}, "items": items}


@routes.plays("custom_objects_delete")
def delete(call: Call) -> Any:
    name, ids = call.path["class_name"], _ids(call)
    if len(ids) > 1:
        return wire.deleted(call.core.records.delete_many(name, ids, call.user_id))
    call.core.records.delete(call.core.records.require(name, call.path["object_id"], call.user_id, "delete"))
    return None


@routes.plays("custom_objects_delete_by_criteria")
def delete_by_criteria(call: Call) -> Any:
    conditions = call.conditions()
    if not conditions:
        raise bad_request("At least one filter is required")
    found = call.core.records.search(call.path["class_name"], conditions, call.user_id, action="delete")
    for record in found:
        call.core.records.delete(record)
    return {"total_deleted": len(found)}
