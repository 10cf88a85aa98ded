"""Search over dialogs, messages and users (R-049)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, frozen

from ..errors import bad_request
from ..storage import Database
from .accounts import User
from .dialog_model import Dialog
from .dialogs import Dialogs
from .message_model import Message

__all__ = ["Found", "Search"]

THREE_MONTHS = 93 * 24 * 60 * 60


@frozen(kw_only=True)
class Found:
    """The results of a search."""

    dialogs: list[Dialog]
    messages: list[Message]
    users: list[User]


@define(eq=False)
class Search:
    """Case-sensitive search for a part of a text, as documented. Quotes around it are ignored (CR-20)."""

    _db: Database
    _dialogs: Dialogs

    def query(
        self,
        user_id: int,
        text: str,
        *,
        dialog_ids: Sequence[str] | None,
        newest: float | None,
        oldest: float | None,
        limit: int,
    ) -> Found:
        """Search a user's dialogs, their messages, and all users.

        :param newest: ignore everything later.
        :param oldest: ignore everything earlier.
        :raises Refused: 400 if only `newest` is given, or the time between them is too long.
        """
        if newest is not None and oldest is None:
            raise bad_request("end_date is required with start_date")
        if newest is not None and oldest is not None and not 0 <= newest - oldest <= THREE_MONTHS:
            raise bad_request("end_date must be at most three months before start_date")
        phrase = text[1:-1] if len(text) > 2 and text[0] == text[-1] == '"' else text
        own, _ = self._dialogs.search([], user_id=user_id, skip=0, limit=-1)
        dialogs = [dialog for dialog in own if dialog_ids is None or dialog.id in dialog_ids]
        named = [
            dialog
            for dialog in dialogs
            if dialog.name is not None and phrase in dialog.name and _within(dialog.created_at, newest, oldest)
        ]
        messages = self._db.find_all(
            Message,
            "SELECT * FROM messages WHERE instr(body, ?) > 0 AND date_sent <= IFNULL(?, date_sent)"
            f" AND date_sent >= IFNULL(?, date_sent) AND dialog_id IN ({', '.join('?' * len(dialogs))})"
            " AND NOT EXISTS (SELECT 1 FROM marks WHERE message_id = messages.id AND user_id = ? AND deleted)"
            " ORDER BY date_sent DESC, number DESC LIMIT ?",
            phrase,
            newest,
            oldest,
            *(dialog.id for dialog in dialogs),
            user_id,
            limit,
        )
        users = self._db.find_all(
            User,
            "SELECT * FROM users WHERE instr(IFNULL(full_name, ''), ?1) > 0 OR instr(IFNULL(login, ''), ?1) > 0"
            " ORDER BY id LIMIT ?2",
            phrase,
            limit,
        )
        return Found(
            dialogs=named[:limit],
            messages=messages,
            users=users if dialog_ids is None else [],
        )


def _within(at: float, newest: float | None, oldest: float | None) -> bool:
    return (newest is None or at <= newest) and (oldest is None or at >= oldest)
