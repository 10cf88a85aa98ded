"""The platform's part and the storage's part in uploads and downloads."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.rest.server import Answer, Request, Server

UID = "9f0c1b7e2d6a4c5fb3e8a1d2c4b6f8e0"
SIGNATURE = "hidden-signature-50d858e0"

FIELDS = [
    ("Content-Type", "image/jpeg"),
    ("Expires", "Tue, 03 Feb 2026 09:15:30 GMT"),
    ("acl", "public-read"),
    ("key", UID),
    ("policy", "eyJh+bGV/4=="),
    ("tag", "first"),
    ("success_action_status", "201"),
    ("tag", "second"),
    ("empty", ""),
    ("x-amz-signature", SIGNATURE),
]
QUERY = (
    "Content-Type=image%2Fjpeg&Expires=Tue%2C%2003%20Feb%202026%2009%3A15%3A30%20GMT&acl=public-read"
    f"&key={UID}&policy=eyJh%2BbGV/4%3D%3D&tag=first&success_action_status=201&tag=second&empty="
    f"&x-amz-signature={SIGNATURE}"
)


@dataclass
class Part:
    """One part of a form."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes


def parts(request: Request) -> list[Part]:
    """A form's parts in their order."""
    kind = request.header("Content-Type") or ""
    found = re.fullmatch(r"multipart/form-data; boundary=(\w+)", kind)
    assert found is not None, kind
    boundary = b"--" + found.group(1).encode()
    first, *pieces, last = request.body.split(boundary)
    assert (first, last) == (b"", b"--\r\n")
    return [_part(piece) for piece in pieces]


def _part(piece: bytes) -> Part:
    head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    disposition = headers["Content-Disposition"]
    name = re.search(r'[ ;]name="([^"]*)"', disposition)
    filename = re.search(r'filename="([^"]*)"', disposition)
    assert name is not None
    assert content.endswith(b"\r\n")
    return Part(name.group(1), filename and filename.group(1), headers.get("Content-Type"), content[:-2])


def play(server: Server, storage: Server, *, query: str = QUERY) -> None:
    """Script both hosts for one upload."""
    access = {"id": 1, "params": f"{storage.url}/bucket?{query}", "object_access_type": "Write"}
    blob = {"id": 5001, "uid": UID, "name": "as the server has it", "size": None, "blob_object_access": access}
    server.on("POST", "/blobs", Answer(201, {"blob": blob}))
    server.on("PUT", "/blobs/5001/complete", Answer(200))
    storage.on("POST", "/bucket", Answer(201, b"<PostResponse/>"))
