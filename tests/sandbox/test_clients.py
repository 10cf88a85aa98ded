"""Bots and clients that the sandbox makes for tests, and the fixtures around them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from connectycube.bots import Bot, Context
from connectycube.chat import MessageReceived, TlsRefused
from connectycube.rest import ConfigurationError, SessionExpired, TlsFailed
from connectycube.sandbox import Sandbox
from tests.integration.support import run

ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=function")
PYTEST = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
"""Not `python -m pytest`, whose modules are loaded before any code of ours."""

MISSING = """
import sys

class Missing:
    def find_spec(name, *_):
        if name.startswith("pytest_asyncio"):
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing)
"""

TESTS = """
import pytest
from connectycube.bots import Bot
from connectycube.chat import MessageReceived

bot = Bot()

@bot.message()
async def answer(ctx):
    await ctx.reply(f"You said: {ctx.text}")

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def talk(run_bot, connect, log_in):
    robot, cube = await run_bot(bot), await log_in("mary")
    mary = await connect(cube)
    answers = mary.events(MessageReceived)
    await mary.send(robot.id, "Hello")
    assert (await anext(answers)).message.body == "You said: Hello"
    history = await cube.dialogs.list()
    assert len(history) == 1
    return cube

"""
MARKED = """
@pytest.mark.{plugin}
async def test_with_{plugin}(connectycube_bot, connectycube_chat, connectycube_rest):
    await talk(connectycube_bot, connectycube_chat, connectycube_rest)

def test_all_have_ended_after_{plugin}(connectycube_sandbox_server):
    sandbox = connectycube_sandbox_server
    assert not any(sandbox.core.presence.is_online(number) for number in (81001, 81002))
"""


def echo(bot: Bot) -> Bot:
    """Let a bot answer with the text it gets."""

    @bot.message()
    async def answer(ctx: Context) -> None:
        await ctx.reply(f"You said: {ctx.text}")

    return bot


async def answer(sandbox: Sandbox, bot: Bot, user: str = "bot", **options: Path) -> str | None:
    """What a bot answers to Mary."""
    async with sandbox.bot(bot, user, **options) as account, sandbox.chat("mary") as mary:
        answers = mary.events(MessageReceived)
        await mary.send(account.id, "Hello")
        message = (await anext(answers)).message
        assert (message.sender_id, bot.cube.base_url) == (account.id, sandbox.api_url)
        return message.body


def test_a_bot_is_run_as_its_program_has_it(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the account nor the hosts nor the store of the real one is used."""
    monkeypatch.setenv("CONNECTYCUBE_LOGIN", "the-real-one")
    monkeypatch.setenv("CONNECTYCUBE_CHAT_HOST", "chat.invalid")
    bot = echo(Bot(store=tmp_path / "real.db", chat={"host": "chat.invalid", "user_id": 1, "password": "x"}))
    for user in ("bot", "another"):
        assert run(answer(sandbox, bot, user)) == "You said: Hello"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="no REST client"):
        _ = bot.cube


def test_a_bot_keeps_its_store_if_asked_to(sandbox: Sandbox, tmp_path: Path) -> None:
    store = tmp_path / "bot.db"
    assert run(answer(sandbox, echo(Bot()), store=store)) == "You said: Hello"
    assert store.exists()


def test_users_are_named_by_login_id_or_object(sandbox: Sandbox) -> None:
    mary = sandbox.create_user("mary")

    async def main() -> None:
        for user in (mary, mary.id, "mary"):
            async with sandbox.rest(user) as cube, sandbox.chat(user) as chat:
                me = await cube.users.me()
                assert (me.id, chat.user_id) == (mary.id, mary.id)
            async with sandbox.rest(me) as again:
                assert (await again.users.me()).login == "mary"
        async with sandbox.rest("new", max_retries=0) as cube:
            assert (await cube.users.me()).login == "new"

    run(main())
    with pytest.raises(LookupError, match="the sandbox has no user 99"):
        sandbox.rest(99)


def test_clients_for_blocking_code(sandbox: Sandbox) -> None:
    ada = sandbox.create_user("ada")
    with sandbox.rest_sync("mary") as cube, sandbox.chat_sync(cube) as mary, sandbox.chat_sync(ada) as chat:
        with chat.events(MessageReceived) as received:
            mary.send(ada.id, "Hello")
            message = next(received).message
        assert (message.body, message.sender_id) == ("Hello", cube.users.me().id)
        # The chat has the REST client, which knows the dialog.
        assert message.dialog_id == cube.dialogs.list()[0].id


def test_a_session_is_renewed_for_as_long_as_the_user_exists(sandbox: Sandbox) -> None:
    mary = sandbox.create_user("mary")
    with sandbox.rest_sync(mary) as cube:
        sandbox.expire_sessions()
        assert cube.users.me().id == mary.id
        sandbox.call(sandbox.core.accounts.delete, mary.id)
        with pytest.raises(SessionExpired):
            cube.users.me()


def test_tls_failures_say_what_helps(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        sandbox.rest_sync("mary", base_url=sandbox.api_url.replace("http:", "https:")) as cube,
        pytest.raises(TlsFailed, match="does not speak TLS, so check whether its address begins with http://"),
    ):
        cube.users.me()
    with pytest.raises(TlsRefused, match=r"set CONNECTYCUBE_CHAT_CA_FILE .*`sandbox\.ca_file`.*--ca-file"):
        sandbox.chat_sync("mary", ssl_context=None).connect()
    monkeypatch.setenv("CONNECTYCUBE_CHAT_CA_FILE", str(sandbox.ca_file))
    with sandbox.chat_sync("mary", ssl_context=None) as chat:
        assert chat.online
    with pytest.raises(TlsRefused, match=r"mismatch.* '127\.0\.0\.2'[^`]*$"):
        sandbox.chat_sync("mary", ssl_context=None, host="127.0.0.2", address="127.0.0.1").connect()


def passed(folder: Path, tests: str, code: str, *arguments: str) -> int:
    """How many tests passed. None may fail."""
    (folder / "test_it.py").write_text(TESTS + tests)
    command = [sys.executable, "-c", code, "-q", "-W", "error", "-p", "no:cacheprovider", *arguments, "test_it.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    summary = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert summary, done.stdout + done.stderr
    return int(summary[1])


def test_async_fixtures_run_with_the_plugin_of_the_test(tmp_path: Path) -> None:
    """Who has pytest-asyncio has both, for httpx brings anyio."""
    tests = "".join(MARKED.format(plugin=plugin) for plugin in ("asyncio", "anyio"))
    assert passed(tmp_path, tests, PYTEST, *ASYNCIO) == 4


def test_async_fixtures_run_in_the_automatic_mode_of_pytest_asyncio(tmp_path: Path) -> None:
    tests = MARKED.format(plugin="asyncio").replace("@pytest.mark.asyncio", "")
    assert passed(tmp_path, tests, PYTEST, *ASYNCIO, "-o", "asyncio_mode=auto") == 2


def test_async_fixtures_do_without_pytest_asyncio(tmp_path: Path) -> None:
    assert passed(tmp_path, MARKED.format(plugin="anyio"), f"{MISSING}{PYTEST}", "-p", "no:asyncio") == 2


def test_the_chat_is_loaded_only_for_a_chat() -> None:
    code = "import sys; from connectycube.sandbox import Sandbox; print('connectycube.chat' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
