"""Files of the official SDK: form uploads and downloads, as our client sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.interop.javascript import JsError
from tests.interop.stage import Js, Stage, scenario

CONTENT = bytes(range(256)) * 300


async def uploaded(js: Js, folder: Path, **options: Any) -> dict[str, Any]:
    """Return what the SDK keeps of an uploaded file."""
    file = folder / "photo.png"
    file.write_bytes(CONTENT)
    params = {"name": "photo.png", "type": "image/png", "size": len(CONTENT), "file": {"$file": str(file)}}
    made: dict[str, Any] = await js.call("storage.createAndUpload", {**params, **options})
    return made


async def content(url: str) -> bytes | int:
    """Return the content at a URL, or the error's status."""
    async with httpx.AsyncClient(follow_redirects=True) as client:
        answer = await client.get(url)
    return answer.content if answer.status_code == 200 else answer.status_code


@scenario
async def test_private_file_is_uploaded_and_downloaded(stage: Stage, tmp_path: Path) -> None:
    js, cube = await stage.js("ada"), await stage.rest("ada")
    made = await uploaded(js, tmp_path, public=False)
    assert (made["name"], made["content_type"], made["size"], made["public"]) == (
        "photo.png",
        "image/png",
        len(CONTENT),
        False,
    )
    assert await content(await js.call("storage.privateUrl", made["uid"])) == CONTENT
    assert await content(await js.call("storage.publicUrl", made["uid"])) == 401
    info = (await js.call("storage.getInfo", made["id"]))["blob"]
    assert (info["uid"], info["size"], info["blob_status"]) == (made["uid"], len(CONTENT), "complete")
    found = await cube.files.get(made["id"])
    assert (found.uid, found.name, found.size) == (made["uid"], "photo.png", len(CONTENT))
    page = await js.call("storage.list", {"page": 1, "per_page": 10})
    assert [one["blob"]["id"] for one in page["items"]] == [made["id"]]
    access = (await js.call("storage.getFileObject", made["uid"], {"download_url": 1}))["blob"]["blob_object_access"]
    assert await content(access["download_url"]) == CONTENT


@scenario
async def test_cr_10_files_are_public_by_default(stage: Stage, tmp_path: Path) -> None:
    js = await stage.js("ada")
    made = await uploaded(js, tmp_path)
    assert made["public"] is True
    assert await content(await js.call("storage.publicUrl", made["uid"])) == CONTENT


@scenario
async def test_cr_11_and_cr_14_requests_of_an_upload(stage: Stage, tmp_path: Path) -> None:
    js = await stage.js("ada")
    made = await uploaded(js, tmp_path)
    calls = stage.sandbox.journal.exchanges(user_id=js.id)
    sent, completed = calls[-2:]
    # The SDK sends the session's token to any storage host other than s3.amazonaws.com.
    assert (sent.method, sent.operation, "cb-token" in sent.request_headers) == ("POST", None, True)
    assert (completed.method, completed.path) == ("PUT", f"/blobs/{made['id']}/complete.json")
    assert completed.request_body == {"size": len(CONTENT)}


@scenario
async def test_cr_12_file_update_is_a_get_that_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    js = await stage.js("ada")
    made = await uploaded(js, tmp_path)
    answer = await js.call("storage.update", {"id": made["id"], "name": "other.png"})
    last = stage.sandbox.journal.exchanges()[-1]
    assert (last.method, last.query) == ("GET", [("blob[name]", "other.png")])
    assert answer["blob"]["name"] == "photo.png"
    assert (await js.call("storage.getInfo", made["id"]))["blob"]["name"] == "photo.png"


@scenario
async def test_file_uploaded_by_our_client_is_downloaded_and_deleted(stage: Stage, tmp_path: Path) -> None:
    js, cube = await stage.js("ada"), await stage.rest("ada")
    file = tmp_path / "note.txt"
    file.write_bytes(CONTENT)
    made = await cube.files.upload(file, content_type="text/plain")
    assert await content(await js.call("storage.privateUrl", made.uid)) == CONTENT
    await js.call("storage.delete", made.id)
    with pytest.raises(JsError) as refused:
        await js.call("storage.getInfo", made.id)
    assert refused.value.code == 404
