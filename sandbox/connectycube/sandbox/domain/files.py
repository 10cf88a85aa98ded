"""Files, and a stand-in for the storage that clients upload them to (R-050 to R-059).

As with S3, a form holds a signed policy with an expiry, and download addresses are signed in the same way. The
signatures are the sandbox's own: S3 would not accept them.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from attrs import define, field, frozen

from ..clock import Clock, iso
from ..config import Settings
from ..errors import forbidden, not_found, required, unprocessable
from ..ids import new_uid
from ..storage import Database

__all__ = ["BUCKET", "CHUNK", "Files", "StorageRefused", "StoredFile", "Writing"]

BUCKET = "storage/files"
"""Path of the storage, on the API's host."""
CHUNK = 1 << 18
"""Most bytes that are written or read at once: the loop serves no other call meanwhile."""
CHUNK_OF = "SELECT data FROM file_chunks WHERE content = ? AND number = ?"
UNUSED = "NOT EXISTS (SELECT 1 FROM files WHERE files.content = file_chunks.content)"


class StorageRefused(Exception):
    """The storage refuses a request.

    :ivar status: HTTP status of the answer.
    :ivar code: S3's error code.
    """

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


@frozen(kw_only=True)
class StoredFile:
    """A file, whose content may be missing."""

    id: int
    uid: str
    user_id: int
    name: str
    content_type: str
    public: bool = field(converter=bool)
    size: int | None
    content: str | None
    stored_size: int | None
    etag: str | None
    created_at: float
    updated_at: float
    completed_at: float | None
    read_at: float | None

    @property
    def complete(self) -> bool:
        """Whether the file can be downloaded."""
        return self.completed_at is not None and self.stored_size is not None


class Writing:
    """A file's content while it is written in parts, between which other calls are served.

    The file keeps its old content until `finish`.
    """

    def __init__(self, db: Database, file: StoredFile, most: int) -> None:
        self._db = db
        self._file = file
        self._most = most
        self._content = new_uid()
        self._digest = hashlib.md5(usedforsecurity=False)
        self._count = 0
        self._size = 0

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *error: object) -> None:
        # After `finish`, the file uses these chunks; otherwise the upload failed.
        with self._db.attempt():
            self._db.run(f"DELETE FROM file_chunks WHERE content = ? AND {UNUSED}", self._content)

    def add(self, chunk: bytes) -> None:
        """Write the next part.

        :raises StorageRefused: if it is too large.
        """
        self._size += len(chunk)
        if self._size > self._most:
            raise StorageRefused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        self._digest.update(chunk)
        self._db.insert("file_chunks", content=self._content, number=self._count, data=chunk)
        self._count += 1

    def finish(self) -> str:
        """Make what was written the file's content.

        :returns: its ETag.
        :raises StorageRefused: if the file has been deleted meanwhile.
        """
        etag = f'"{self._digest.hexdigest()}"'
        with self._db.transaction():
            row = self._db.one("SELECT content FROM files WHERE id = ? AND uid = ?", self._file.id, self._file.uid)
            if row is None:
                raise StorageRefused(404, "NoSuchKey", "The file was deleted")
            self._db.update("files", "id = ?", self._file.id, content=self._content, stored_size=self._size, etag=etag)
            self._db.run("DELETE FROM file_chunks WHERE content = ?", row["content"])
        return etag


@define(eq=False)
class Files:
    """The application's files."""

    _db: Database
    _clock: Clock
    _settings: Settings

    @property
    def _secret(self) -> bytes:
        return hashlib.sha256(f"storage:{self._settings.auth_key}".encode()).digest()

    # -- the API

    def create(self, user_id: int, fields: Mapping[str, Any]) -> StoredFile:
        """Announce a file (R-050)."""
        now = self._clock.now()
        file_id = self._db.insert(
            "files",
            uid=new_uid(),
            user_id=user_id,
            name=fields["name"],
            content_type=fields["content_type"],
            public=int(fields.get("public") or False),
            created_at=now,
            updated_at=now,
        )
        return self.get(file_id)

    def get(self, file_id: int) -> StoredFile:
        """Return a file by id.

        :raises Refused: 404 if there is none.
        """
        return required(self._db.find(StoredFile, "SELECT * FROM files WHERE id = ?", file_id))

    def get_by_uid(self, uid: str) -> StoredFile:
        """Return a file by uid.

        :raises Refused: 404 if there is none.
        """
        return required(self._find(uid))

    def _find(self, uid: str) -> StoredFile | None:
        return self._db.find(StoredFile, "SELECT * FROM files WHERE uid = ?", uid)

    def _own(self, file_id: int, user_id: int) -> StoredFile:
        file = self.get(file_id)
        if file.user_id != user_id:
            raise forbidden()
        return file

    def list(self, user_id: int, *, skip: int, limit: int) -> tuple[list[StoredFile], int]:
        """Return a page of a user's files, and the number of all of them (R-054)."""
        return self._db.page(StoredFile, "files", "user_id = ?", [user_id], "id", skip=skip, limit=limit)

    def complete(self, file_id: int, user_id: int, size: int) -> None:
        """Declare a file's content as uploaded (R-052). Safe to repeat (U-24).

        :raises Refused: 422 if there is no content, or it has another size.
        """
        file = self._own(file_id, user_id)
        if file.stored_size is None:
            raise unprocessable("base", "The content has not been uploaded")
        if file.stored_size != size:
            raise unprocessable("size", f"is {size}, but {file.stored_size} bytes were uploaded")
        now = self._clock.now()
        self._db.update("files", "id = ?", file_id, size=size, completed_at=now, updated_at=now)

    def update(self, file_id: int, user_id: int, fields: Mapping[str, Any]) -> StoredFile:
        """Change a file's name or type, or allow a new upload (R-058)."""
        self._own(file_id, user_id)
        values = {name: fields[name] for name in ("name", "content_type") if name in fields}
        if fields.get("new"):
            values |= {"completed_at": None, "stored_size": None}
        self._db.update("files", "id = ?", file_id, updated_at=self._clock.now(), **values)
        return self.get(file_id)

    def delete(self, file_id: int, user_id: int) -> None:
        """Delete a file (R-059)."""
        file = self._own(file_id, user_id)
        with self._db.transaction():
            self._db.run("DELETE FROM file_chunks WHERE content = ?", file.content)
            self._db.run("DELETE FROM files WHERE id = ?", file_id)

    # -- the storage

    def upload_access(self, file: StoredFile, base_url: str) -> dict[str, Any]:
        """Return what a client uploads with: an address whose query holds the form's fields (R-050)."""
        end = self._clock.now() + self._settings.limits.upload_seconds
        day = dt.datetime.fromtimestamp(self._clock.seconds(), dt.UTC)
        policy = base64.b64encode(
            json.dumps({"expiration": iso(end), "key": file.uid, "Content-Type": file.content_type}).encode()
        ).decode()
        fields = {
            "Content-Type": file.content_type,
            "Expires": dt.datetime.fromtimestamp(int(end), dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "acl": "public-read" if file.public else "authenticated-read",
            "key": file.uid,
            "policy": policy,
            "success_action_status": "201",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": f"SANDBOX/{day:%Y%m%d}/local/s3/aws4_request",
            "x-amz-date": f"{day:%Y%m%dT%H%M%SZ}",
            "x-amz-signature": self._sign(policy),
        }
        query = "&".join(f"{name}={quote(text, safe='')}" for name, text in fields.items())
        return {
            "id": file.id,
            "blob_id": file.id,
            "expires": iso(end),
            "object_access_type": "Write",
            "params": f"{base_url}/{BUCKET}?{query}",
        }

    def check_form(self, fields: Mapping[str, str]) -> StoredFile:
        """Return the file that a form uploads (R-051).

        :raises StorageRefused: if the form is not signed, has expired, or is for another file.
        """
        policy = fields.get("policy", "")
        if not _same(self._sign(policy), fields.get("x-amz-signature", "")):
            raise StorageRefused(403, "SignatureDoesNotMatch", "The signature of the form does not match")
        rules = json.loads(base64.b64decode(policy))
        if dt.datetime.fromisoformat(rules["expiration"]).timestamp() <= self._clock.now():
            raise StorageRefused(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        for name in ("key", "Content-Type"):
            if fields.get(name) != rules[name]:
                raise StorageRefused(403, "AccessDenied", f"Invalid according to Policy: {name} differs.")
        file = self._find(rules["key"])
        if file is None:
            raise StorageRefused(404, "NoSuchKey", "The file was deleted")
        return file

    def writing(self, file: StoredFile) -> Writing:
        """Start storing a file's content."""
        return Writing(self._db, file, self._settings.limits.file_bytes)

    def put(self, file: StoredFile, chunks: Iterable[bytes]) -> str:
        """Store a file's whole content.

        :returns: its ETag.
        :raises StorageRefused: if it is too large.
        """
        with self.writing(file) as writing:
            for chunk in chunks:
                writing.add(chunk)
            return writing.finish()

    def download_address(self, file: StoredFile, base_url: str, seconds: int | None = None) -> str:
        """Return a signed address to download a file from (R-055, R-057).

        :param seconds: how long it is valid, if not as long as usual.
        :raises Refused: 404 if the file is not complete.
        """
        if not file.complete:
            raise not_found("The file is not complete")
        seconds = self._settings.limits.download_seconds if seconds is None else seconds
        end = self._clock.seconds() + seconds
        day = dt.datetime.fromtimestamp(self._clock.seconds(), dt.UTC)
        signature = self._sign(f"{file.uid}:{end}")
        return (
            f"{base_url}/{BUCKET}/{file.uid}?X-Amz-Date={day:%Y%m%dT%H%M%SZ}&X-Amz-Expires={seconds}"
            f"&Expires={end}&X-Amz-Signature={signature}"
        )

    def check_address(self, uid: str, end: str, signature: str) -> StoredFile:
        """Return the file that a signed address downloads.

        :raises StorageRefused: if the address is not signed, or has expired.
        """
        if not _same(self._sign(f"{uid}:{end}"), signature):
            raise StorageRefused(403, "SignatureDoesNotMatch", "The signature of the address does not match")
        if int(end) <= self._clock.now():
            raise StorageRefused(403, "AccessDenied", "Request has expired")
        file = self._find(uid)
        if file is None or not file.complete:
            raise StorageRefused(404, "NoSuchKey", "The specified key does not exist.")
        with self._db.attempt():
            self._db.update("files", "uid = ?", uid, read_at=self._clock.now())
        return file

    def chunks(self, file: StoredFile) -> Iterator[bytes]:
        """Yield a file's content in parts."""
        number = 0
        while (data := self._db.value(CHUNK_OF, file.content, number)) is not None:
            yield data
            number += 1

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
