"""Messages that arrive while the bot is down, and the requests that it takes to find them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from connectycube.sandbox import Exchange, Sandbox
from connectycube.sandbox.domain.message_model import Draft

from ..report import Table
from .world import PASSWORD, User, World

PAGE = 100
KNOWN = 2
"""Messages of each dialog from just before the bot stopped, which it may read again."""
LIMIT = 300.0


class Requests:
    """The requests to a sandbox, whose journal forgets old entries."""

    def __init__(self, sandbox: Sandbox, bot_id: int) -> None:
        self._bot_id = bot_id
        self.found: list[Exchange] = []
        self._journal = sandbox.journal
        self._journal.subscribe(self._note)
        self._last = self._journal.last_number

    def _note(self) -> None:
        for one in self._journal.exchanges(after=self._last):
            self._last = one.number
            self.found.append(one)

    def histories(self) -> list[dict[str, str]]:
        """Return the queries of the bot's requests for a dialog's history."""
        return [dict(one.query) for one in self.of_bot if one.path == "/chat/Message" and one.method == "GET"]

    @property
    def of_bot(self) -> list[Exchange]:
        return [one for one in self.found if one.user_id == self._bot_id]


def greet(sandbox: Sandbox, bot_id: int, users: list[int]) -> list[str]:
    """Let users write to the bot, and return the ids of their dialogs."""
    core = sandbox.core

    def store() -> list[str]:
        dialogs = [core.dialogs.private(user, bot_id) for user in users]
        for user, dialog in zip(users, dialogs, strict=True):
            core.messages.store(dialog, Draft(sender_id=user, body="hi", markable=True))
        return [dialog.id for dialog in dialogs]

    return sandbox.call(store)


def answered(sandbox: Sandbox, bot_id: int, dialogs: Collection[str]) -> bool:
    """Return whether the last message of each dialog is the bot's."""
    find = sandbox.core.dialogs.get
    return sandbox.call(lambda: all(find(one).last_message_user_id == bot_id for one in dialogs))


async def write(user: User, count: int) -> None:
    for number in range(count):
        await user.say(f"{number}")


async def measure(table: Table, messages: int, dialogs: int, quiet: int) -> None:
    """Run it, and add its rows.

    :param quiet: dialogs without new messages.
    """
    with tempfile.TemporaryDirectory(prefix="connectycube-bench-") as name, Sandbox() as sandbox:
        bot_id = sandbox.create_user("bot", PASSWORD).id
        names = [f"user{number:02}" for number in range(dialogs)]
        writers = [sandbox.create_user(name, PASSWORD).id for name in names]
        quiet_users = [sandbox.create_user(f"quiet{number:03}", PASSWORD).id for number in range(quiet)]
        addresses = {key: getattr(sandbox, key) for key in "app_id auth_key api_url chat_host chat_tls_port".split()}
        world = World(names, {**addresses, "ca_file": str(sandbox.ca_file)})
        bot = world.bot(str(Path(name) / "bot.db"))
        async with world.users() as users:
            greet(sandbox, bot_id, writers)
            silent = set(greet(sandbox, bot_id, quiet_users))
            await bot.start()
            await asyncio.gather(*(user.answers(1) for user in users))
            while not answered(sandbox, bot_id, silent):
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)  # The bot has answered everything, and notes that it has.
            await bot.stop()
            counts = [len(range(number, messages, dialogs)) for number in range(dialogs)]
            await asyncio.gather(*(write(user, count) for user, count in zip(users, counts, strict=True)))
            requests = Requests(sandbox, bot_id)
            begun = time.perf_counter()
            await bot.start()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIMIT):
                    await asyncio.gather(*(user.answers(1 + own) for user, own in zip(users, counts, strict=True)))
            seconds = time.perf_counter() - begun
            await bot.stop()
            histories = dict(zip([user.id for user in users], [await user.history() for user in users], strict=True))
    unanswered = twice = disordered = 0
    for user, own in zip(users, counts, strict=True):
        expected = [f"{word} a" for word in ("hi", *range(own))]
        answers = [text for text, _ in histories[user.id]]
        unanswered += len(set(expected) - set(answers))
        twice += sum(number - 1 for number in Counter(answers).values())
        disordered += user.live != expected
    table.row(f"missed: {messages:,} messages in {dialogs} dialogs, {quiet} quiet dialogs", f"{seconds:.1f} s")
    table.row("  unanswered", f"{unanswered}", "0", unanswered == 0)
    table.row("  replies seen twice", f"{twice}", "0", twice == 0)
    table.row("  dialogs out of order", f"{disordered}", "0", disordered == 0)
    queries = requests.histories()
    least = sum(math.ceil((own + KNOWN) / PAGE) for own in counts)
    needless = sum(query["chat_dialog_id"] in silent for query in queries)
    sizes = {query.get("limit") for query in queries}
    table.row("  requests for the history of a quiet dialog", f"{needless}", "0", needless == 0)
    table.row("  messages per page", ", ".join(sorted(map(str, sizes))), f"{PAGE}", sizes == {f"{PAGE}"})
    # A page that is not full may be followed by a look whether there is another.
    most = least + dialogs
    table.row("  requests for histories", f"{len(queries)}", f"{most} ({least} pages)", len(queries) <= most)
    table.row("  requests of the bot in all", f"{len(requests.of_bot)}")
