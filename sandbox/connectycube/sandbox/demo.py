"""What `connectycube-sandbox --demo` starts with: a few users, and one who echoes each message."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from .bus import MessageAccepted, MessageToDeliver
from .core import Core
from .domain.message_model import Draft
from .errors import Refused
from .seeding import Seed

__all__ = ["BOT", "NAMES", "PASSWORD", "SEED", "Echo"]

PASSWORD = "correct-horse-9"
BOT = "bot"
"""Login of the user whom the program under development logs in as."""
ECHO = "echo"
NAMES = {"mary": "Mary S.", "ada": "Ada L.", "omar": "Omar K.", ECHO: "Echo", BOT: "Bot"}
SEED: Seed = {
    "users": [{"login": login, "password": PASSWORD, "full_name": name} for login, name in NAMES.items()],
    "dialogs": [{"name": "Climbing", "type": "group", "owner": "mary", "occupants": ["ada", "omar"]}],
    "messages": [
        {"dialog": "Climbing", "from": "mary", "message": "Who drives on Sunday?"},
        {"dialog": "Climbing", "from": "omar", "message": "I do."},
    ],
    "contacts": [["mary", "ada"]],
}


class Echo:
    """Replies to each private message to the user `echo` with the same text and attachments, if there is that user."""

    def __init__(self, core: Core) -> None:
        self._core = core
        core.bus.subscribe(MessageAccepted, self._heard)
        core.bus.subscribe(MessageToDeliver, self._heard)

    def _heard(self, signal: MessageAccepted | MessageToDeliver) -> None:
        echo = self._core.accounts.find_by("login", ECHO)
        if echo is not None and signal.private and echo.id in signal.recipients and echo.id != signal.sender_id:
            draft = Draft(sender_id=echo.id, body=signal.body, attachments=signal.attachments, markable=True)
            # The reply must not overtake the message, which is not delivered yet.
            asyncio.get_running_loop().call_soon(self._reply, signal.dialog_id, draft)

    def _reply(self, dialog_id: str, draft: Draft) -> None:
        # A user may block the echo, like any other.
        with suppress(Refused):
            self._core.messages.create(self._core.dialogs.get(dialog_id), draft, send_to_chat=True)
