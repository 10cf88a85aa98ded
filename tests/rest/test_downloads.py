"""Downloads: the platform's redirect, the storage's bytes, and where they go."""

from __future__ import annotations

import gzip
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from connectycube.rest import errors
from tests.rest.both import TOKEN, Both
from tests.rest.server import Answer, Server
from tests.rest.storage import UID

CONTENT = bytes(range(256)) * 1000
PATH = f"/blobs/{UID}/download"


def play(server: Server, storage: Server, *answers: Answer) -> None:
    """Script both hosts for downloads."""
    server.on("GET", PATH, Answer(301, b"", {"Location": f"{storage.url}/bucket/{UID}?signature=1%2B2"}))
    storage.on("GET", f"/bucket/{UID}", *(answers or (Answer(200, CONTENT),)))


def test_bytes(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    assert both.cube(server.url).files.download(UID) == CONTENT
    assert server.requests[0].header("CB-Token") == TOKEN
    assert storage.requests[0].target == f"/bucket/{UID}?signature=1%2B2"


def test_empty_file(both: Both, server: Server, storage: Server) -> None:
    play(server, storage, Answer(200, b""))
    assert both.cube(server.url).files.download(UID) == b""


@pytest.mark.parametrize("as_text", [False, True])
def test_to_a_path(both: Both, server: Server, storage: Server, tmp_path: Path, as_text: bool) -> None:
    play(server, storage)
    path = tmp_path / "rock.jpg"
    assert both.cube(server.url).files.download(UID, str(path) if as_text else path) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["rock.jpg"]


def test_new_file_respects_the_umask(both: Both, server: Server, storage: Server, tmp_path: Path) -> None:
    play(server, storage)
    both.cube(server.url).files.download(UID, tmp_path / "rock.jpg")
    (tmp_path / "ordinary").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_to_a_path_in_the_current_folder(
    both: Both, server: Server, storage: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    play(server, storage)
    both.cube(server.url).files.download(UID, "x" * 255)
    assert (tmp_path / ("x" * 255)).read_bytes() == CONTENT


def test_to_a_stream(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    target = io.BytesIO(b"before ")
    target.seek(7)
    assert both.cube(server.url).files.download(UID, target) == len(CONTENT)
    assert target.getvalue() == b"before " + CONTENT


def test_progress(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    told: list[tuple[int, int | None]] = []
    both.cube(server.url).files.download(UID, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 2
    assert told == sorted(set(told))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_progress_without_a_known_length(both: Both, server: Server, storage: Server) -> None:
    packed = gzip.compress(CONTENT)
    play(server, storage, Answer(200, packed, {"Content-Encoding": "gzip"}))
    told: list[tuple[int, int | None]] = []
    assert both.cube(server.url).files.download(UID, progress=lambda *given: told.append(given)) == CONTENT
    assert told[-1] == (len(CONTENT), None)


def test_without_a_redirect(both: Both, server: Server) -> None:
    server.on("GET", PATH, Answer(200, CONTENT))
    assert both.cube(server.url).files.download(UID) == CONTENT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_each_redirect_status(both: Both, server: Server, storage: Server, status: int) -> None:
    play(server, storage)
    server.on("GET", PATH, Answer(status, b"", {"Location": f"{storage.url}/bucket/{UID}"}))
    assert both.cube(server.url).files.download(UID) == CONTENT


def test_storage_receives_no_platform_data(both: Both, server: Server, storage: Server) -> None:
    play(server, storage, Answer(302, b"", {"Location": "/elsewhere"}))
    storage.on("GET", "/elsewhere", Answer(200, CONTENT))
    http = both.http(
        headers={"CB-Token": "hidden", "Authorization": "Bearer hidden", "X-Gateway-Key": "hidden"},
        cookies={"session": "hidden"},
        params={"gateway": "hidden"},
        auth=("mary", "hidden"),
    )
    cube = both.cube(server.url, http_client=http).with_options(headers={"X-Mine": "hidden"})
    assert cube.files.download(UID) == CONTENT
    assert len(storage.requests) == 2
    for request in storage.requests:
        assert {name.lower() for name, _ in request.headers} == {"host", "user-agent"}
        assert "hidden" not in request.target


def test_public_file_needs_no_session(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    assert both.cube(server.url, token=None).files.download(UID) == CONTENT
    assert server.requests[0].header("CB-Token") is None


def test_lost_session_is_renewed(both: Both, server: Server, storage: Server) -> None:
    play(server, storage)
    gone = Answer(401, {"errors": {"base": ["Required session does not exist"]}})
    server.on("GET", PATH, gone, Answer(200, CONTENT))
    cube = both.cube(server.url, on_session_expired=both.hook(lambda _: "another-token"))
    assert cube.files.download(UID) == CONTENT


def test_busy_platform_or_storage_is_retried(both: Both, server: Server, storage: Server, waits: list[float]) -> None:
    play(server, storage, Answer(503), Answer(close=True), Answer(200, CONTENT))
    assert both.cube(server.url).files.download(UID) == CONTENT
    assert len(storage.requests) == 3


# -- what goes wrong

FAILURES: dict[str, tuple[Answer, type[errors.ConnectyCubeError]]] = {
    "cut off": (Answer(200, CONTENT, cut=len(CONTENT) - 1), errors.ConnectionFailed),
    "cut off at once": (Answer(200, CONTENT, cut=0), errors.ConnectionFailed),
    "packed badly": (Answer(200, b"\x1f\x8b nonsense", {"Content-Encoding": "gzip"}), errors.DecodeError),
    "not there": (Answer(404, b"<Error><Code>NoSuchKey</Code></Error>"), errors.NotFound),
    "not allowed": (Answer(403, b"<Error><Code>AccessDenied</Code></Error>"), errors.Forbidden),
    "not changed": (Answer(304), errors.ApiError),
    "many choices": (Answer(300, b"choose"), errors.ApiError),
    "nowhere": (Answer(302, b""), errors.DecodeError),
    "to a file": (Answer(302, b"", {"Location": "file:///etc/passwd"}), errors.DecodeError),
    "to nonsense": (Answer(302, b"", {"Location": "http://[::1"}), errors.ConnectionFailed),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_failed_download_leaves_files_untouched(
    both: Both, server: Server, storage: Server, tmp_path: Path, kind: str
) -> None:
    answer, expected = FAILURES[kind]
    play(server, storage, answer)
    old = tmp_path / "old.jpg"
    old.write_bytes(b"old")
    cube = both.cube(server.url, max_retries=0)
    for target in (old, tmp_path / "new.jpg", None):
        with pytest.raises(expected) as caught:
            cube.files.download(UID, target)
        assert caught.value.operation == "files.download"
    assert [path.name for path in tmp_path.iterdir()] == ["old.jpg"]
    assert old.read_bytes() == b"old"


def test_unknown_file(both: Both, server: Server, tmp_path: Path) -> None:
    server.on("GET", PATH, Answer(404, {"errors": {"base": ["not found"]}}))
    with pytest.raises(errors.NotFound, match=r"files\.download was refused with 404: not found"):
        both.cube(server.url).files.download(UID, tmp_path / "rock.jpg")
    assert os.listdir(tmp_path) == []


def test_complete_download_replaces_an_old_file(both: Both, server: Server, storage: Server, tmp_path: Path) -> None:
    play(server, storage)
    path = tmp_path / "rock.jpg"
    path.write_bytes(b"old")
    both.cube(server.url).files.download(UID, path)
    assert path.read_bytes() == CONTENT


def test_redirect_loop(both: Both, server: Server) -> None:
    server.on("GET", PATH, Answer(302, b"", {"Location": PATH}))
    with pytest.raises(errors.ConnectionFailed, match="redirected more than 5 times") as caught:
        both.cube(server.url).files.download(UID)
    assert caught.value.operation == "files.download"
    assert len(server.requests) == 6


def test_progress_exception_stops_the_download(both: Both, server: Server, storage: Server, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int | None) -> None:
        raise Stopped

    play(server, storage)
    with pytest.raises(Stopped):
        both.cube(server.url).files.download(UID, tmp_path / "rock.jpg", progress=stop)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("uid", ["", " ", ".", "..", 7, None])
def test_invalid_uid(both: Both, server: Server, uid: Any) -> None:
    with pytest.raises(errors.InvalidArgument):
        both.cube(server.url).files.download(uid)
    assert server.requests == []


def test_uid_is_escaped_in_the_path(both: Both, server: Server) -> None:
    server.on("GET", "/blobs/..%2Fusers%3F/download", Answer(200, b"x"))
    assert both.cube(server.url).files.download("../users?") == b"x"


@pytest.mark.parametrize("kind", ["no such folder", "a folder", "a text file", "a text stream", "a number"])
def test_unwritable_target(both: Both, server: Server, tmp_path: Path, kind: str) -> None:
    targets: dict[str, Any] = {
        "no such folder": tmp_path / "none" / "rock.jpg",
        "a folder": tmp_path,
        "a text file": (tmp_path / "text").open("w"),
        "a text stream": io.StringIO(),
        "a number": 7,
    }
    with targets["a text file"], pytest.raises(errors.InvalidArgument) as caught:
        both.cube(server.url).files.download(UID, targets[kind])
    assert caught.value.argument == "to"
    assert server.requests == []
    assert os.listdir(tmp_path) == ["text"]


# -- addresses


def test_file_urls(both: Both, server: Server) -> None:
    cube = both.cube(server.url)
    assert cube.files.url(UID) == f"{server.url}/blobs/{UID}"
    assert cube.files.url(UID, private=True) == f"{server.url}/blobs/{UID}?token={TOKEN}"
    with pytest.raises(errors.ConfigurationError, match="login") as caught:
        both.cube(server.url, token=None).files.url(UID, private=True)
    assert caught.value.operation == "files.url"
    assert server.requests == []
