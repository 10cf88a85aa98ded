"""Where the accounts of a fleet come from, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectycube.bots.fleet.accounts import Account, AccountsError, load_accounts

SECRET = "hush-hush"


def written(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def test_accounts_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND", "two")
    spec = written(
        tmp_path / "accounts.toml",
        '[[accounts]]\nlogin = "a"\npassword = "one"\n[[accounts]]\nuser_id = 7\npassword_env = "SECOND"\n'
        '[[accounts]]\nlogin = "c"\nuser_id = 8\npassword = "three"\n',
    )
    assert load_accounts(spec) == [
        Account("a", "one"),
        Account(None, "two", 7),
        Account("c", "three", 8),
    ]


def test_accounts_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BOT_1_LOGIN": "a", "BOT_1_PASSWORD": "one", "BOT_2_USER_ID": "7", "BOT_2_PASSWORD": "two", "BOT_4_LOGIN": "d",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert load_accounts("env:BOT_{n}") == [Account("a", "one"), Account(None, "two", 7)]


def test_accounts_of_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet_accounts_here.py").write_text(
        "from connectycube.bots.fleet.accounts import Account\n"
        f"def good(): return (Account(user_id=n, password={SECRET!r}) for n in range(1, 3001))\n"
        "def other(): return [1]\n"
        "def incomplete(): return [Account('a')]\n"
        "def failing(): raise ValueError('no database')\n"
        "number = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = load_accounts("fleet_accounts_here:good")
    assert len(found) == 3000
    assert SECRET not in repr(found)
    for path, problem in {
        "other": "item 1 is not an Account, but a int",
        "incomplete": r"item 1 \(a\) has no password",
        "failing": "the function failed: ValueError: no database",
        "number": "not callable",
        "missing": "no attribute 'missing'",
    }.items():
        with pytest.raises(AccountsError, match=f"fleet_accounts_here:{path}.*{problem}"):
            load_accounts(f"fleet_accounts_here:{path}")
    with pytest.raises(AccountsError, match="No module named 'no_such_module'"):
        load_accounts("no_such_module:good")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there are none"),
        ("[[accounts", "not valid TOML"),
        ("accounts = 1", r"tables \[\[accounts\]\]"),
        ("account = []", r"tables \[\[accounts\]\]"),
        ("[[accounts]]\npassword = 'hush-hush'", "account 1 has neither login nor user_id"),
        ("[[accounts]]\nlogin = ''\npassword = 'hush-hush'", "account 1: login must be"),
        ("[[accounts]]\nuser_id = 'hush-hush'", "account 1: user_id must be a whole number"),
        ("[[accounts]]\nuser_id = true\npassword = 'hush-hush'", "account 1: user_id must be a whole number"),
        ("[[accounts]]\nlogin = 'a'", r"account 1 \(a\) has no password"),
        ("[[accounts]]\nlogin = 'a'\nsecret = 'hush-hush'", "account 1 has an unknown key 'secret'; known are login"),
        ("[[accounts]]\nlogin = 'a'\npassword_env = 'NO_SUCH'", "the environment variable NO_SUCH has no password"),
        ("[[accounts]]\nlogin = 'a'\npassword_env = 'A'\npassword = 'hush-hush'", "account 1: password_env must name"),
        ("[[accounts]]\nlogin = 'a'\npassword = 'hush-hush'\n" * 2, "a is there twice"),
        (
            "[[accounts]]\nlogin = 'a'\nuser_id = 5\npassword = 'x'\n[[accounts]]\nuser_id = 5\npassword = 'x'",
            "5 is there twice",
        ),
    ],
)
def test_invalid_files_are_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    spec = written(tmp_path / "accounts.toml", text)
    with pytest.raises(AccountsError, match=f"accounts.toml: .*{problem}") as found:
        load_accounts(spec)
    assert SECRET not in str(found.value)


def test_missing_file() -> None:
    with pytest.raises(AccountsError, match=r"nowhere\.toml: the file can't be read: No such file"):
        load_accounts("nowhere.toml")


def test_invalid_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccountsError, match=r"write env:BOT_\{n\}"):
        load_accounts("env:BOT")
    with pytest.raises(AccountsError, match="neither NONE_1_LOGIN nor NONE_1_USER_ID is set"):
        load_accounts("env:NONE_{n}")
    monkeypatch.setenv("BOT_1_USER_ID", "seven")
    with pytest.raises(AccountsError, match="BOT_1_USER_ID must be a whole number"):
        load_accounts("env:BOT_{n}")
    monkeypatch.setenv("BOT_1_USER_ID", "7")
    with pytest.raises(AccountsError, match=r"BOT_1 \(7\) has no password"):
        load_accounts("env:BOT_{n}")
