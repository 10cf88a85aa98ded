"""What a bot that is run as a program says: nobody else can tell whether it is online."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectycube.bots import Bot
from tests.bots.conftest import PASSWORD, World
from tests.integration.proxy import FaultProxy
from tests.integration.support import run

PROGRAM = "import sys; from connectycube.bots import Bot; Bot(store=sys.argv[1]).run()"


@asynccontextmanager
async def program(world: World, **changes: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bot in a process of its own."""
    sandbox = world.sandbox
    environment = {
        "APP_ID": str(sandbox.app_id),
        "AUTH_KEY": sandbox.auth_key,
        "BASE_URL": sandbox.api_url,
        "LOGIN": "bot",
        "PASSWORD": PASSWORD,
        "CHAT_HOST": sandbox.chat_host,
        "CHAT_PORT": str(sandbox.chat_tls_port),
        "CHAT_CA_FILE": str(sandbox.ca_file),
        **changes,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(world.path),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {f"CONNECTYCUBE_{name}": value for name, value in environment.items()},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    """Return the next line on the standard error stream."""
    assert process.stderr is not None
    return (await process.stderr.readline()).decode().rstrip()


def test_program_tells_when_it_is_online(world: World) -> None:
    async def main() -> None:
        async with program(world) as process:
            assert await line(process) == f"the bot is online as user {world.bot_id}; Ctrl-C stops it"
            process.terminate()
            _, said = await process.communicate()
            assert said == b""
            assert process.returncode == 0

    run(main())


def test_program_tells_of_a_server_that_is_away(world: World) -> None:
    async def main() -> None:
        async with (
            FaultProxy("127.0.0.1", world.sandbox.chat_tls_port) as proxy,
            program(world, CHAT_PORT=str(proxy.port)) as process,
        ):
            assert (await line(process)).startswith("the bot is online as")
            proxy.refuse()
            proxy.cut()
            offline = await line(process)
            assert offline.startswith("the bot is offline, and keeps trying to connect: ")
            assert f"localhost:{proxy.port}" in offline
            await proxy.accept()
            assert await line(process) == "the bot is online"

    run(main())


def test_program_names_a_wrong_password(world: World) -> None:
    async def main() -> None:
        async with program(world, PASSWORD="wrong") as process:
            _, said = await process.communicate()
            assert said.startswith(b"the bot can't run: sessions.login was refused with 401")
            assert said.endswith(b": check its login and password\n")
            assert process.returncode == 1

    run(main())


def test_memory_of_a_test_is_no_reason_to_warn(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world.sandbox.bot(Bot(store=world.path), world.bot_id):
            pass

    with caplog.at_level(logging.WARNING, "connectycube.bots"):
        run(main())
    assert not caplog.records
