"""Where the account comes from: the environment, or a profile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from connectycube.sandbox import Sandbox
from tests.cli.conftest import PASSWORD, Run


@pytest.fixture
def config(clean_environment: None) -> Path:
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "connectycube" / "config.toml"
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    return path


def profile(sandbox: Sandbox, login: str) -> str:
    sandbox.create_user(login, PASSWORD)
    return (
        f"[{login}]\napp_id = {sandbox.app_id}\nauth_key = '{sandbox.auth_key}'\nbase_url = '{sandbox.api_url}'\n"
        f"login = '{login}'\npassword = '{PASSWORD}'\n"
    )


def test_profile_is_chosen_by_option_or_variable(
    config: Path, connectycube_sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(profile(connectycube_sandbox, "carol") + profile(connectycube_sandbox, "dave"), "utf-8")
    for login in ("carol", "dave"):
        found = run("users", "me", "--profile", login, "--json")
        assert json.loads(found.out)["login"] == login, found.err
    monkeypatch.setenv("CONNECTYCUBE_PROFILE", "carol")
    assert json.loads(run("users", "me", "--json").out)["login"] == "carol"


def test_profile_replaces_the_whole_account(
    account: dict[str, str], config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("[other]\napp_id = 5\n", "utf-8")
    found = run("users", "me", "--profile", "other")
    assert found.status == 2
    assert "auth_key" in found.err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[other]\n", "has no profile 'mine' (profiles: other)"),
        ("[mine]\nappid = 5\n", "mine.appid is unknown (known: app_id, "),
        ("[mine]\napp_id = true\n", "mine.app_id must be an integer or a string"),
        (
            '[mine]\npassword = "secret\\u0000"\n',
            "mine.password must be an integer or a string without null",
        ),
        ("[mine\n", "is not valid TOML"),
    ],
)
def test_unusable_profile(text: str, problem: str, config: Path, run: Run) -> None:
    config.write_text(text, "utf-8")
    found = run("users", "me", "--profile", "mine")
    assert found.status == 2
    assert str(config) in found.err
    assert problem in found.err
    assert "secret\0" not in found.err


def test_empty_profile_is_none(account: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_PROFILE", "")
    assert json.loads(run("users", "me", "--json").out)["login"] == "ada"


def test_missing_file(config: Path, run: Run) -> None:
    config.unlink()
    found = run("users", "me", "--profile", "mine")
    assert found.status == 2
    assert found.err == f"connectycube: can't read the profile 'mine' from {config}: No such file or directory\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_file_that_others_have_access_to_is_refused(mode: int, config: Path, run: Run) -> None:
    config.write_text("[mine]\napp_id = 5\n", "utf-8")
    config.chmod(mode)
    found = run("users", "me", "--profile", "mine")
    assert found.status == 2
    assert found.err == (
        f"connectycube: other users have access to {config}, which holds secrets: run chmod 600 on it\n"
    )


def test_missing_account_is_a_usage_error(run: Run) -> None:
    found = run("users", "me")
    assert found.status == 2
    assert "CONNECTYCUBE_APP_ID" in found.err


def test_wrong_password(account: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_PASSWORD", "open-sesame-1")
    found = run("users", "me")
    assert (found.status, found.out) == (1, "")
    assert "401" in found.err
    assert "open-sesame-1" not in found.err


def test_missing_password_is_asked_for_only_on_a_terminal(
    account: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONNECTYCUBE_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    found = run("users", "me")
    assert found.status == 2
    assert "the account has no password: set CONNECTYCUBE_PASSWORD" in found.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSWORD if prompt == "Password of ada: " else "")
    assert json.loads(run("users", "me", "--json").out)["login"] == "ada"

    def end_of_input(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", end_of_input)
    found = run("users", "me")
    assert (found.status, found.err) == (2, "connectycube: nothing was entered\n")


def test_session_token_saves_the_login(account: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    session = run("sessions", "get", "--json", "--show-secrets")
    monkeypatch.setenv("CONNECTYCUBE_TOKEN", json.loads(session.out)["token"])
    monkeypatch.delenv("CONNECTYCUBE_PASSWORD")
    assert json.loads(run("users", "me", "--json").out)["login"] == "ada"
    assert json.loads(run("sessions", "get", "--json").out)["id"] == json.loads(session.out)["id"]


def test_account_without_a_user_gets_a_session_of_the_application(
    account: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONNECTYCUBE_LOGIN")
    found = json.loads(run("users", "list", "--filters.login", "ada", "--json").out)
    assert found["login"] == "ada"


def test_admin_operations_need_only_the_admin_key(
    account: dict[str, str], connectycube_sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTYCUBE_ADMIN_KEY", connectycube_sandbox.admin_key)
    monkeypatch.setenv("CONNECTYCUBE_LOGIN", "nobody")
    assert run("admin", "count-messages").out == "0\n"


def test_login_and_email_exclude_each_other(account: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTYCUBE_EMAIL", "ada@example.com")
    found = run("users", "me")
    assert found.status == 2
    assert found.err == "connectycube: the account has both a login and an email: keep one of them\n"
