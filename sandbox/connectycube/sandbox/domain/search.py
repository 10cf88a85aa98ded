"""Search over dialogs, messages and users (R-049)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, frozen

from ..errors import bad_request
from ..storage import Database
from .accounts import User, user_of
from .dialog_model import Dialog
from .dialogs import Dialogs
from .message_model import Message, message_of

__all__ = ["Found", "Search"]

THREE_MONTHS = 93 * 24 * 60 * 60


@frozen(kw_only=True)
class Found:
    """What a search found."""

    dialogs: list[Dialog]
    messages: list[Message]
    users: list[User]


@define(kw_only=True, eq=False)
class Search:
    """Case-sensitive search for a part of a text, as the documents describe it; quotes mean the phrase (CR-20)."""

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
        """Look into the dialogs of a user, their messages and all users.

        :param newest: nothing later is found.
        :param oldest: nothing earlier is found.
        :raises Refused: 400 if the time is given by half or is too long.
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
        rows = self._db.all(
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
        users = self._db.all(
            "SELECT * FROM users WHERE instr(IFNULL(full_name, ''), ?1) > 0 OR instr(IFNULL(login, ''), ?1) > 0"
            " ORDER BY id LIMIT ?2",
            phrase,
            limit,
        )
        return Found(
            dialogs=named[:limit],
            messages=[message_of(row) for row in rows],
            users=[user_of(row) for row in users] if dialog_ids is None else [],
        )


def _within(at: float, newest: float | None, oldest: float | None) -> bool:
    return (newest is None or at <= newest) and (oldest is None or at >= oldest)
