"""The models that the runtime names: stand-ins for those of the ConnectyCube spec."""

from __future__ import annotations

from attrs import define


@define(kw_only=True)
class User:
    """A user as `sessions.login` returns it."""

    id: int | None = None


@define(kw_only=True)
class Session:
    """A session as `sessions.create` returns it."""

    token: str | None = None
    user_id: int | None = None
    user: User | None = None


@define(kw_only=True)
class BlobObjectAccess:
    """Where the bytes of a file go."""

    params: str | None = None


@define(kw_only=True)
class File:
    """A file as `files.create` returns it."""

    id: int | None = None
    uid: str | None = None
    size: int | None = None
    blob_object_access: BlobObjectAccess | None = None
