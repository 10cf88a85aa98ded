"""R-050, R-052 to R-059. The storage itself is in `..storage`."""

from __future__ import annotations

from typing import Any

from ...errors import session_expired
from .. import wire
from ..call import Answer, Call, Routes

routes = Routes()


@routes.plays("files_create")
def create(call: Call) -> Any:
    file = call.core.files.create(call.user_id, call.body)
    return {"blob": {**wire.file(file), "blob_object_access": call.core.files.upload_access(file, call.base_url)}}


@routes.plays("files_complete", ("POST", "/blobs/{file_id}/complete"))
def complete(call: Call) -> None:
    call.core.files.complete(int(call.path["file_id"]), call.user_id, call.body["size"])


@routes.plays("files_get")
def get(call: Call) -> Any:
    return {"blob": wire.file(call.core.files.get(int(call.path["file_id"])))}


@routes.plays("files_list")
def search(call: Call) -> Any:
    page, size = call.numbered_page()
    files, total = call.core.files.list(call.user_id, skip=(page - 1) * size, limit=size)
    return {
        "current_page": page,
        "per_page": size,
        "total_entries": total,
        "items": [{"blob": wire.file(file)} for file in files],
    }


@routes.plays("files_update")
def update(call: Call) -> Any:
    file = call.core.files.update(int(call.path["file_id"]), call.user_id, call.body)
    blob = wire.file(file)
    if call.body.get("new"):
        blob["blob_object_access"] = call.core.files.upload_access(file, call.base_url)
    return {"blob": blob}


@routes.plays("files_delete")
def delete(call: Call) -> None:
    call.core.files.delete(int(call.path["file_id"]), call.user_id)


@routes.plays("files_download")
def download(call: Call) -> Answer:
    file = call.core.files.get_by_uid(call.path["file_uid"])
    if not file.public and call.session is None:
        raise session_expired()
    return Answer(status=301, headers={"Location": call.core.files.download_address(file, call.base_url)})


@routes.plays("files_get_object")
def get_object(call: Call) -> Any:
    file = call.core.files.get_by_uid(call.path["file_uid"])
    blob = wire.file(file)
    if call.flag("download_url"):
        address = call.core.files.download_address(file, call.base_url)
        blob["blob_object_access"] = {"blob_id": file.id, "download_url": address}
    return {"blob": blob}
