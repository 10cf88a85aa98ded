"""Operations as commands, against the sandbox."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectycube.sandbox import Sandbox
from tests.cli.conftest import PASSWORD, Run, process

pytestmark = pytest.mark.usefixtures("account")


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def group(run: Run, bob: int) -> Any:
    """A group of ada and bob."""
    return json.loads(
        run("dialogs", "create", "--type", "group", "--name", "Climbing", "--occupants-ids", str(bob), "--json").out
    )


def test_model_is_one_json_object_with_the_names_of_the_wire(group: Any) -> None:
    assert group["name"] == "Climbing"
    assert group["type"] == 2
    assert len(group["_id"]) == 24
    assert len(group["occupants_ids"]) == 2


def test_list_is_one_json_object_per_line(run: Run, group: Any) -> None:
    for filters in (["--filters.type", "2"], ["--filters.type.in", "2", "--filters.type.in", "3"]):
        found = run("dialogs", "list", *filters, "--limit", "5", "--json")
        assert (found.status, found.err) == (0, "")
        assert [entry["_id"] for entry in lines(found.out)] == [group["_id"]]
    assert run("dialogs", "list", "--filters.type", "3", "--json").out == ""


def test_list_prints_one_page_unless_all_is_given(run: Run, group: Any) -> None:
    for number in range(5):
        assert run("messages", "create", "--chat-dialog-id", group["_id"], "--message", f"text {number}").status == 0
    listed = ("messages", "list", "--chat-dialog-id", group["_id"], "--sort-asc", "date_sent", "--limit", "2")
    assert len(lines(run(*listed, "--json").out)) == 2
    everything = lines(run(*listed, "--all", "--json").out)
    assert [entry["message"] for entry in everything] == [f"text {number}" for number in range(5)]
    table = run(*listed, "--all").out.splitlines()
    assert "message" in table[0].split("\t")
    assert len(table) == 1 + 5


def test_rest_of_a_list_is_pointed_out(run: Run) -> None:
    for number in range(3):
        assert run("dialogs", "create", "--type", "4", "--name", f"Group {number}").status == 0
    found = run("dialogs", "list", "--limit", "2")
    assert found.err == "2 of 3: --all prints the whole list\n"
    assert len(found.out.splitlines()) == 1 + 2
    assert run("dialogs", "list", "--limit", "2", "--all").err == ""


def test_operation_that_returns_nothing_prints_nothing(run: Run, group: Any) -> None:
    found = run("dialogs", "delete", group["_id"])
    assert (found.status, found.out, found.err) == (0, "", "")
    assert run("dialogs", "count").out == "0\n"


def test_several_ids(run: Run) -> None:
    ids = [lines(run("dialogs", "create", "--type", "4", "--name", name, "--json").out)[0]["_id"] for name in "ab"]
    deleted = run("dialogs", "delete-many", *ids, "--json")
    assert deleted.status == 0
    assert run("dialogs", "count", "--json").out == "0\n"


def test_input_objects_and_resets(run: Run, group: Any, connectycube_sandbox: Sandbox) -> None:
    carol = connectycube_sandbox.create_user("carol", PASSWORD).id
    update = ("dialogs", "update", group["_id"], "--json")
    changed = lines(run(*update, "--push-all.occupants-ids", str(carol), "--extensions.mood", "good").out)[0]
    assert carol in changed["occupants_ids"]
    assert changed["extensions"] == {"mood": "good"}
    assert lines(run(*update, "--reset-extensions").out)[0].get("extensions") is None


def test_free_fields_are_json_or_text(run: Run) -> None:
    created = run("custom-objects", "create", "Place", "--fields.name", "Harbour", "--fields.stars", "5", "--json")
    assert created.status == 0, created.err
    found = run("custom-objects", "list", "Place", "--filters.stars", '{"gt": 4}', "--json")
    (place,) = lines(found.out)
    assert (place["name"], place["stars"]) == ("Harbour", 5)


def test_file_goes_up_and_comes_back(run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "notes.txt", tmp_path / "copy.txt"
    source.write_bytes(b"\x00\xff notes")
    file = lines(run("files", "upload", str(source), "--json").out)[0]
    assert (file["name"], file["content_type"], file["size"]) == ("notes.txt", "text/plain", 8)
    assert file["blob_object_access"]["params"] == "***"
    assert run("files", "download", file["uid"], str(target)).out == "8\n"
    assert target.read_bytes() == source.read_bytes()


def test_file_goes_through_pipes(run: Run) -> None:
    with process("files", "upload", "-", "--name", "piped.txt", "--json", text=False) as upload:
        out, err = upload.communicate(b"\x00\xff piped")
    assert (upload.returncode, err) == (0, b"")
    with process("files", "download", json.loads(out)["uid"], text=False) as download:
        assert download.communicate() == (b"\x00\xff piped", b"")


def test_download_does_not_go_to_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    found = run("files", "download", "bac7d932e264cbd64e6f47ade092eba4")
    assert found.status == 2
    assert found.err == (
        "connectycube: the file would be written to the terminal: give a path, or redirect the output\n"
    )


# -- secrets


def test_secrets_are_masked_unless_asked_for(run: Run) -> None:
    masked = json.loads(run("sessions", "create", "--json").out)
    assert masked["token"] == "***"
    shown = json.loads(run("sessions", "create", "--json", "--show-secrets").out)
    assert len(shown["token"]) > 20


def test_secret_argument_is_refused_and_not_repeated(run: Run) -> None:
    found = run("users", "create", "--login", "carol", "--password", "open-sesame-1")
    assert found.status == 2
    assert "password is a secret: pass -, env:NAME or file:PATH instead of the secret itself" in found.err
    assert "open-sesame-1" not in found.err


def test_secret_arguments_come_from_elsewhere(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    path.write_text("open-sesame-1\n", "utf-8")
    monkeypatch.setenv("PASSWORD_OF_DAVE", "open-sesame-1")
    monkeypatch.setattr(sys, "stdin", io.StringIO("open-sesame-1\n"))
    for login, source in (("carol", f"file:{path}"), ("dave", "env:PASSWORD_OF_DAVE"), ("eve", "-")):
        created = run("users", "create", "--login", login, "--password", source, "--json")
        assert created.status == 0, created.err
        assert json.loads(created.out)["login"] == login
        monkeypatch.setenv("CONNECTYCUBE_LOGIN", login)
        monkeypatch.setenv("CONNECTYCUBE_PASSWORD", "open-sesame-1")
        assert json.loads(run("users", "me", "--json").out)["login"] == login


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("env:NOT_THERE", "the environment variable NOT_THERE is not set"),
        ("file:/not/there", "can't read /not/there: No such file or directory"),
    ],
)
def test_missing_source_of_a_secret(source: str, problem: str, run: Run) -> None:
    found = run("users", "create", "--login", "carol", "--password", source)
    assert found.status == 2
    assert problem in found.err


# -- errors


def test_refusal_is_one_line_and_status_1(run: Run) -> None:
    found = run("dialogs", "get", "66f1b0a4e4b0d93a51c8e411")
    assert (found.status, found.out) == (1, "")
    assert found.err.startswith("connectycube: dialogs.get was refused with 404: ")
    assert len(found.err.splitlines()) == 1


def test_server_out_of_reach_is_one_line_and_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_BASE_URL", "http://127.0.0.1:9")
    found = run("users", "me")
    assert found.status == 1
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["dialogs", "nope"], 'Unknown command "nope"'),
        (["dialogs", "get"], "DIALOG_ID requires an argument"),
        (["dialogs", "list", "--limit", "many"], 'unable to convert "many" into int'),
        (["dialogs", "list", "--limit", "0"], "limit"),
        (["dialogs", "list", "--nope", "1"], "Unknown option: --nope"),
        (["users", "list", "--filters.created-at.gt", "0001-01-01"], "the time 0001-01-01 00:00:00 is out of range"),
        (["dialogs", "list", "--\x1b]0;title\x07"], r"Unknown option: --\u001b]0;title\u0007"),
    ],
)
def test_wrong_command_line_is_one_line_and_status_2(arguments: list[str], problem: str, run: Run) -> None:
    found = run(*arguments)
    assert (found.status, found.out) == (2, "")
    assert problem in found.err
    assert found.err.startswith("connectycube: ")
    assert len(found.err.splitlines()) == 1


def test_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("connectycube.cli.operations.needs_session", broken)
    with pytest.raises(ZeroDivisionError):
        run("users", "me")


def test_broken_pipe_is_quiet(group: Any, run: Run) -> None:
    with process("dialogs", "list", "--json") as listing:
        assert listing.stdout is not None
        listing.stdout.close()
        listing.wait()
        assert listing.stderr is not None
        assert (listing.returncode, listing.stderr.read()) == (141, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")
def test_full_disk_is_one_line_and_status_1(group: Any) -> None:
    with open("/dev/full", "w") as full, process("dialogs", "list", "--json", stdout=full) as listing:
        _, err = listing.communicate()
    assert (listing.returncode, err) == (1, "connectycube: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    ("command", "status", "out", "err"),
    [
        ("users me >&-", 0, "", ""),
        ("users me --json 2>&-", 0, '"login": "ada"', ""),
        ("users create --login zoe --password - <&-", 2, "", "connectycube: password must not be empty\n"),
    ],
    ids=["stdout", "stderr", "stdin"],
)
def test_closed_stream(account: dict[str, str], command: str, status: int, out: str, err: str) -> None:
    shell = f"exec {shlex.quote(sys.executable)} -m connectycube.cli {command}"
    found = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (status, err)
    assert out in found.stdout


def test_help_and_version(run: Run) -> None:
    found = run("--help")
    assert found.status == 0
    for name in ("send", "tail", "dialogs", "custom-objects"):
        assert f" {name} " in found.out
    assert run("--version").out.strip().count(".") == 2


def test_root_help_loads_no_client() -> None:
    code = (
        "import sys; from connectycube.cli.app import main; main(['--help']); "
        "loaded = {'httpx', 'slixmpp', 'connectycube.rest', 'connectycube.chat'} & set(sys.modules); "
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_operations_load_no_chat() -> None:
    code = (
        "import sys; from connectycube.cli.app import main; main(['dialogs', 'list', '--help']); "
        "loaded = [name for name in sys.modules if name.startswith(('slixmpp', 'connectycube.rest.resources.'))]; "
        "print(loaded, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == "['connectycube.rest.resources.dialogs']\n"
