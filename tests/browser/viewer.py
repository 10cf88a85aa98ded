"""A headless Chromium that looks at the page of a sandbox, and tells of all that it should not do."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Page, Request, async_playwright

from connectycube.chat import AsyncChat
from connectycube.rest import AsyncConnectyCube
from connectycube.sandbox import Sandbox

__all__ = ["PASSWORD", "ChromiumMissing", "Person", "Viewer", "people", "viewing"]

PASSWORD = "correct-horse-9"
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
""".split()
OWN_HOSTS = r"^\S+ (http://)?(accounts\.google\.com|[a-z-]+\.googleapis\.com)[:/]"
"""What Chromium itself asks for, whatever page it shows. It gets no answer."""


class ChromiumMissing(Exception):
    """There is no Chromium."""

    def __init__(self) -> None:
        super().__init__("Chromium is missing: tests/browser/install.sh installs it")


class Viewer:
    """A window with the page.

    :ivar page: to look at, and to click on.
    :ivar errors: what was said on the console, and what was thrown.
    :ivar asked: addresses that were asked for by the page.
    """

    def __init__(self, page: Page, proxied: list[str]) -> None:
        self.page = page
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.proxied = proxied
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(f"a dialog: {dialog.message}"))
        page.on("request", self._requested)

    def _said(self, message: ConsoleMessage) -> None:
        self.errors.append(f"{message.type}: {message.text}")

    def _requested(self, request: Request) -> None:
        self.asked.append(request.url)

    def check(self) -> None:
        """It did nothing that it should not."""
        hosts = {urlsplit(url).hostname for url in self.asked if not url.startswith("data:")}
        assert hosts == {"127.0.0.1"}, self.asked
        assert [line for line in self.proxied if not re.search(OWN_HOSTS, line)] == [], self.proxied
        assert self.errors == [], self.errors


@asynccontextmanager
async def viewing(
    sandbox: Sandbox, *, width: int = 1360, height: int = 800, colors: Literal["light", "dark"] = "light"
) -> AsyncIterator[Viewer]:
    """The page of a sandbox in a browser of its own. What asks for another machine ends up here, and is refused.

    :raises ChromiumMissing: if it is not installed.
    """
    executable = shutil.which("chromium")
    if executable is None:
        raise ChromiumMissing
    proxied: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxied.append((await reader.readline()).decode("latin-1"))
        writer.close()

    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(await asyncio.start_server(refuse, "127.0.0.1", 0))
        playwright = await stack.enter_async_context(async_playwright())
        # Playwright's own option would have the loopback interface go through the proxy, too.
        address = f"--proxy-server=http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        browser = await playwright.chromium.launch(executable_path=executable, args=[*FLAGS, address])
        stack.push_async_callback(browser.close)
        page = await browser.new_page(viewport={"width": width, "height": height}, color_scheme=colors)
        viewer = Viewer(page, proxied)
        await page.goto(sandbox.api_url)
        await page.get_by_role("status").get_by_text("live", exact=True).wait_for()
        yield viewer


class Person:
    """A user with a REST client and a chat."""

    def __init__(self, cube: AsyncConnectyCube, chat: AsyncChat, user_id: int) -> None:
        self.cube = cube
        self.chat = chat
        self.id = user_id


@asynccontextmanager
async def people(sandbox: Sandbox, **names: str) -> AsyncIterator[list[Person]]:
    """Users by their logins and full names, in the chat."""
    async with AsyncExitStack() as stack:
        found: list[Person] = []
        for login, name in names.items():
            cube = AsyncConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url)
            await stack.enter_async_context(cube)
            await cube.users.create(login=login, password=PASSWORD, full_name=name)
            session = await cube.login(login=login, password=PASSWORD)
            options: dict[str, Any] = {"host": sandbox.chat_host, "port": sandbox.chat_port, "tls": "none"}
            chat = await stack.enter_async_context(AsyncChat(cube, **options))
            assert session.user_id is not None
            found.append(Person(cube, chat, session.user_id))
        yield found
