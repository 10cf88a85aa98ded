"""R-050 to R-059: files, over the stand-in of the storage."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from connectycube.rest import ConnectyCube, errors
from connectycube.sandbox import Limits, Sandbox, Settings
from connectycube.sandbox.core import Core
from connectycube.sandbox.domain.files import StorageRefused, Writing
from tests.rest.both import Both
from tests.sandbox.conftest import Join

MEGABYTE = 1 << 20


def test_an_upload_is_streamed_with_progress_and_comes_back_as_it_was(join: Join, tmp_path: Path) -> None:
    cube = join("mary")
    data = bytes(range(256)) * 4096 * 5
    steps: list[tuple[int, int]] = []
    file = cube.files.upload(
        io.BytesIO(data), name="wall.jpg", progress=lambda sent, total: steps.append((sent, total))
    )
    assert len(steps) > 3
    assert steps[-1][0] == steps[-1][1]
    assert [sent for sent, _ in steps] == sorted(sent for sent, _ in steps)
    assert file.size == len(data)
    target = tmp_path / "copy.jpg"
    assert cube.files.download(str(file.uid), target) == len(data)
    assert target.read_bytes() == data
    known = cube.files.get(file.id or 0)
    assert (known.name, known.content_type, known.size, known.public) == ("wall.jpg", "image/jpeg", len(data), False)


def test_a_private_file_requires_a_session_and_a_public_one_does_not(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    private, public = mary.files.upload(b"secret"), mary.files.upload(b"open", public=True)
    with httpx.Client(follow_redirects=True) as client:
        assert client.get(f"{sandbox.api_url}/blobs/{private.uid}").status_code == 401
        assert client.get(f"{sandbox.api_url}/blobs/{private.uid}/download").status_code == 401
        assert client.get(f"{sandbox.api_url}/blobs/{private.uid}?token=wrong").status_code == 401
        assert client.get(ada.files.url(str(private.uid), private=True)).content == b"secret"
        assert client.get(ada.files.url(str(public.uid))).content == b"open"
        assert client.get(f"{sandbox.api_url}/blobs/{public.uid}/download").content == b"open"
        assert client.get(f"{sandbox.api_url}/blobs/{'a' * 32}").status_code == 404
    assert ada.files.download(str(private.uid)) == b"secret"


def test_a_download_address_is_signed_and_expires(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    file = cube.files.upload(b"data")
    access = cube.files.get_object(str(file.uid)).blob_object_access
    assert access is not None
    address = str(access.download_url)
    with httpx.Client() as client:
        assert client.get(address).content == b"data"
        assert client.get(address[:-1] + ("0" if address[-1] != "0" else "1")).status_code == 403
        assert client.get(address.replace("Expires=", "Expires=9")).status_code == 403
        sandbox.advance(7 * 24 * 3600 + 1)
        assert "Request has expired" in client.get(address).text


def test_a_file_without_content_has_no_download_address(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    file = cube.files.create(name="a", content_type="text/plain")
    address = f"{sandbox.api_url}/blobs/{file.uid}/object"
    with httpx.Client(headers={"CB-Token": cube.session.token}) as client:
        assert client.get(f"{address}?download_url=1").status_code == 404


def test_a_changed_file_is_complete_only_with_its_new_content(join: Join) -> None:
    cube = join("mary")
    file = cube.files.upload(b"data")
    cube.files.update(file.id, new=True)
    with pytest.raises(errors.Unprocessable):
        cube.files.complete(file.id, size=4)


def test_a_form_expires_and_is_valid_only_for_its_file(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    access = cube.files.create(name="a", content_type="text/plain").blob_object_access
    assert access is not None
    address = httpx.URL(str(access.params))
    fields = dict(address.params)
    target = str(address.copy_with(query=None))
    with httpx.Client() as client:

        def send(**changed: str) -> int:
            return client.post(target, data={**fields, **changed}, files={"file": b"x"}).status_code

        assert send(key="another") == 403
        assert send(policy="e30=") == 403
        assert client.post(target, data=fields).status_code == 400
        assert client.post(target, content=b"--x", headers={"Content-Type": "multipart/form-data"}).status_code == 400
        assert send() == 201
        sandbox.advance(3601)
        assert send() == 403


def test_a_file_is_complete_only_once_uploaded(join: Join) -> None:
    cube = join("mary")
    file = cube.files.create(name="a", content_type="text/plain")
    with pytest.raises(errors.Unprocessable):
        cube.files.complete(file.id or 0, size=3)
    with pytest.raises(errors.NotFound):
        cube.files.download(str(file.uid))


def test_the_storage_refuses_too_large_files(both: Both) -> None:
    with Sandbox(Settings(app_id=7001, limits=Limits(file_bytes=MEGABYTE))) as small:
        cube = both.cube(small.api_url, auth_key=small.auth_key, token=None)
        cube.login(login="mary", password="password", create=True)
        with pytest.raises(errors.ApiError, match="exceeds"):
            cube.files.upload(bytes(MEGABYTE + 1))
        with pytest.raises(errors.ApiError, match="exceeds"):
            cube.files.upload(bytes(3 * MEGABYTE))
        assert cube.files.upload(bytes(MEGABYTE)).size == MEGABYTE


def test_files_are_listed_changed_and_deleted_by_their_owner(join: Join, both: Both) -> None:
    mary, ada = join("mary"), join("ada")
    made = [mary.files.upload(b"x", name=f"{number}.txt") for number in range(3)]
    assert [file.name for file in both.walk(mary.files.list(per_page=2))] == ["0.txt", "1.txt", "2.txt"]
    assert both.walk(ada.files.list()) == []
    assert mary.files.update(made[0].id or 0, name="z.txt").name == "z.txt"
    with pytest.raises(errors.Forbidden):
        ada.files.delete(made[0].id or 0)
    mary.files.delete(made[0].id or 0)
    with pytest.raises(errors.NotFound):
        mary.files.get(made[0].id or 0)


def test_other_calls_are_served_during_the_largest_upload(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[int] = []
    add = Writing.add

    def noted(self: Writing, chunk: bytes) -> None:
        served.append(sandbox.journal.last_number)
        writing.set()
        add(self, chunk)

    monkeypatch.setattr(Writing, "add", noted)
    size = sandbox.settings.limits.file_bytes
    writing = threading.Event()
    cubes = [ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) for _ in range(2)]
    with cubes[0] as mary, cubes[1] as ada, ThreadPoolExecutor() as pool:
        mary.login(login="mary", password="correct-horse-9", create=True)
        ada.login(login="ada", password="correct-horse-9", create=True)
        counted: list[int] = []

        def progress(sent: int, total: int | None) -> None:
            if sent > len(counted) * size // 10:
                counted.append(ada.dialogs.count())

        upload = pool.submit(mary.files.upload, bytes(size), progress=progress)
        assert writing.wait(60)
        for _ in range(10):
            ada.dialogs.count()
        assert upload.result().size == size == 100 * MEGABYTE
    assert len(counted) == 10
    # How many of the others' calls were over at each part: one comes between many.
    assert len(set(served)) > 5


def test_an_aborted_upload_leaves_the_old_content(sandbox: Sandbox, join: Join) -> None:
    cube = join("mary")
    uid = str(cube.files.upload(b"old").uid)
    files = sandbox.core.files

    def break_off() -> int:
        with files.writing(files.get_by_uid(uid)) as writing:
            writing.add(b"new")
        return int(sandbox.core.db.value("SELECT count(*) FROM file_chunks"))

    assert sandbox.call(break_off) == 1
    assert cube.files.download(uid) == b"old"


def test_a_file_deleted_during_its_upload_is_gone(sandbox: Sandbox, join: Join) -> None:
    cube = join("mary")
    file = cube.files.upload(b"old")
    core = sandbox.core

    def write() -> int:
        found = core.files.get(file.id)
        with core.files.writing(found) as writing:
            writing.add(b"new")
            core.files.delete(found.id, found.user_id)
            with pytest.raises(StorageRefused, match="deleted"):
                writing.finish()
        return int(core.db.value("SELECT count(*) FROM file_chunks"))

    assert sandbox.call(write) == 0


def test_unfinished_uploads_of_a_killed_sandbox_are_dropped(tmp_path: Path) -> None:
    def write(core: Core) -> None:
        user = core.accounts.create({"login": "mary", "password": "correct-horse-9"})
        kept, lost = (core.files.create(user.id, {"name": "a", "content_type": "text/plain"}) for _ in range(2))
        core.files.put(kept, [b"kept"])
        core.files.writing(lost).add(b"lost")

    killed = Core(data=tmp_path / "sandbox.db")
    write(killed)
    killed.close()
    again = Core(data=tmp_path / "sandbox.db")
    assert [bytes(data) for data in again.db.column("SELECT data FROM file_chunks")] == [b"kept"]
    again.close()
