"""Messages: history, marks, unread counts, reactions, deletion (R-041 to R-048)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from ..bus import Bus, MessageRemoved, MessageToDeliver, ReactionsChanged, SystemMessageToDeliver
from ..clock import Clock
from ..config import Settings
from ..errors import forbidden, not_found, unprocessable
from ..filters import Condition, where
from ..ids import ObjectIds
from ..storage import Database, dump
from .accounts import Accounts
from .carried import require_carried
from .deletion import Deleted, delete_each
from .dialog_model import Dialog, DialogType, Role
from .dialogs import Dialogs
from .message_model import COLUMNS, OWN_FIELDS, Draft, Message, message_of
from .privacy import Privacy

__all__ = ["Messages"]


@define(kw_only=True, eq=False)
class Messages:
    """The history of all dialogs."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _bus: Bus
    _settings: Settings
    _accounts: Accounts
    _privacy: Privacy
    _dialogs: Dialogs

    # -- reading

    def find(self, message_id: str) -> Message | None:
        """A message by its id, whoever asks."""
        row = self._db.one("SELECT * FROM messages WHERE id = ?", message_id)
        return None if row is None else message_of(row)

    def get(self, message_id: str) -> Message:
        """Return a message by its id.

        :raises Refused: 404 if there is none.
        """
        message = self.find(message_id)
        if message is None:
            raise not_found()
        return message

    def require(self, message_id: str, user_id: int) -> tuple[Message, Dialog]:
        """A message of a dialog that a user is in.

        :raises Refused: 404 if there is none, 403 if the user is not.
        """
        message = self.get(message_id)
        return message, self._dialogs.require(message.dialog_id, user_id)

    def search(
        self,
        conditions: Sequence[Condition],
        *,
        dialog_id: str | None,
        viewer: int | None,
        skip: int,
        limit: int,
        order: tuple[str, bool] = ("date_sent", False),
    ) -> tuple[list[Message], int]:
        """The messages that meet all conditions and that a user has not deleted for oneself.

        :param viewer: `None` is the admin API.
        :param order: field and whether from the highest.
        :returns: a page of them and the number of all.
        """
        sql, values = where(conditions, COLUMNS)
        if dialog_id is not None:
            sql += " AND dialog_id = ?"
            values.append(dialog_id)
        if viewer is not None:
            sql += " AND NOT EXISTS (SELECT 1 FROM marks WHERE message_id = messages.id AND user_id = ? AND deleted)"
            values.append(viewer)
        total = self._db.value(f"SELECT count(*) FROM messages WHERE {sql}", *values)
        name, down = order
        way = "DESC" if down else "ASC"
        rows = self._db.all(
            f"SELECT * FROM messages WHERE {sql} ORDER BY {COLUMNS[name].sql} {way}, number {way} LIMIT ? OFFSET ?",
            *values,
            limit,
            skip,
        )
        return [message_of(row) for row in rows], total

    def preview(self, dialog_id: str) -> list[Message]:
        """The last messages of a dialog that lets strangers see them, oldest first (X-17).

        :raises Refused: 403 if it does not.
        """
        if not self._dialogs.get(dialog_id).allow_preview:
            raise forbidden()
        limit = self._settings.limits.preview_messages
        found, _ = self.search([], dialog_id=dialog_id, viewer=None, skip=0, limit=limit, order=("date_sent", True))
        return found[::-1]

    # -- writing

    def store(self, dialog: Dialog, draft: Draft) -> Message:
        """Put a message into the history; the dialog's last message fields move.

        One that is there already, because its sender repeats it, stays as it is.
        """
        now = self._clock.now()
        message_id = draft.id or self._ids.new()
        known = self.find(message_id)
        if known is not None:
            return known
        recipient = self._dialogs.opponent(dialog, draft.sender_id) or 0
        sent = self._clock.seconds() if draft.date_sent is None else draft.date_sent
        with self._db.transaction():
            self._db.insert(
                "messages",
                id=message_id,
                dialog_id=dialog.id,
                sender_id=draft.sender_id,
                recipient_id=recipient,
                body=draft.body,
                date_sent=sent,
                attachments=dump([dict(one) for one in draft.attachments]),
                extra=dump({name: value for name, value in draft.extra.items() if name not in OWN_FIELDS}),
                markable=int(draft.markable),
                created_at=now,
                updated_at=now,
            )
            self._mark(message_id, draft.sender_id, delivered=True, read=True)
            if dialog.last_message_date_sent is None or sent >= dialog.last_message_date_sent:
                self._set_last(dialog.id, draft.body, message_id, draft.sender_id, sent)
            self._db.run("UPDATE dialog_views SET deleted = 0 WHERE dialog_id = ? AND deleted", dialog.id)
        found = self.find(message_id)
        assert found is not None
        return found

    def create(self, dialog: Dialog, draft: Draft, *, send_to_chat: bool) -> Message:
        """Store a message that came over REST, and hand it to the chat if asked to (R-043).

        :raises Refused: 403 if the sender may not write there or is blocked, 422 if the chat can't carry it.
        """
        if not self._dialogs.may_write(dialog, draft.sender_id):
            raise forbidden()
        if send_to_chat:
            require_carried("message", draft.body)
            require_carried("base", draft.extra)
            for one in draft.attachments:
                require_carried("attachments", one)
            opponent = self._dialogs.opponent(dialog, draft.sender_id)
            if opponent is not None:
                self._privacy.require_passage(draft.sender_id, opponent)
        message = self.store(dialog, draft)
        if send_to_chat:
            self._bus.publish(
                MessageToDeliver(
                    message_id=message.id,
                    dialog_id=dialog.id,
                    sender_id=message.sender_id,
                    recipients=self._dialogs.readers(dialog),
                    private=dialog.private,
                    body=message.body,
                    date_sent=message.date_sent,
                    attachments=message.attachments,
                    extra=message.extra,
                    markable=message.markable,
                )
            )
        return message

    def _set_last(self, dialog_id: str, body: str | None, message_id: str | None, user: int | None, at: Any) -> None:
        self._db.update(
            "dialogs",
            "id = ?",
            dialog_id,
            last_message=body,
            last_message_id=message_id,
            last_message_user_id=user,
            last_message_date_sent=at,
            updated_at=self._clock.now(),
        )

    def edit(self, message: Message, body: str) -> None:
        """Give a message another text; the dialog's last message follows."""
        now = self._clock.now()
        self._db.update("messages", "id = ?", message.id, body=body, edited_at=now, updated_at=now)
        self._db.update("dialogs", "last_message_id = ?", message.id, last_message=body, updated_at=now)

    def update(
        self, dialog_id: str, user_id: int, ids: Sequence[str] | None, *, read: bool, delivered: bool, body: str | None
    ) -> None:
        """Mark or change messages of a dialog (R-044). A text is changed only by its sender.

        :param ids: `None` is all of the dialog; then a new text goes to those that are the user's own.
        :raises Refused: 404 if one is not there, 403 if the text of another user's would change.
        """
        dialog = self._dialogs.require(dialog_id, user_id)
        if ids is None:
            rows = self._db.all("SELECT * FROM messages WHERE dialog_id = ? ORDER BY number", dialog.id)
            messages = [message_of(row) for row in rows]
        else:
            found = [self.find(one) for one in dict.fromkeys(ids)]
            messages = [one for one in found if one is not None and one.dialog_id == dialog.id]
            if len(messages) != len(found):
                raise not_found()
            if body is not None and any(one.sender_id != user_id for one in messages):
                raise forbidden()
        with self._db.transaction():
            for message in messages:
                if read or delivered:
                    self._mark(message.id, user_id, delivered=True, read=read)
                if body is not None and message.sender_id == user_id:
                    self.edit(message, body)

    # -- marks

    def _mark(self, message_id: str, user_id: int, *, delivered: bool = False, read: bool = False) -> None:
        """Mark a message; one that it is news to counts as updated."""
        news = self._db.run(
            "INSERT INTO marks (message_id, user_id, delivered, read) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " delivered = max(delivered, excluded.delivered), read = max(read, excluded.read)"
            " WHERE excluded.delivered > delivered OR excluded.read > read",
            message_id,
            user_id,
            int(delivered or read),
            int(read),
        )
        if news and (delivered or read):
            self._db.update("messages", "id = ?", message_id, updated_at=self._clock.now())

    def mark(self, ids: Iterable[str], user_id: int, *, read: bool) -> None:
        """Mark messages as delivered to a user, with `read` also as read; those that are not there are passed by."""
        with self._db.transaction():
            for one in ids:
                if self.find(one) is not None:
                    self._mark(one, user_id, delivered=True, read=read)

    def unread(self, dialog: Dialog, user_id: int) -> int:
        """How many messages of a dialog a user has not read; 0 where marks are not kept (F-079)."""
        if not dialog.has_marks:
            return 0
        count: int = self._db.value(
            "SELECT count(*) FROM messages LEFT JOIN marks ON message_id = messages.id AND user_id = ?"
            " WHERE dialog_id = ? AND sender_id != ? AND NOT IFNULL(read, 0) AND NOT IFNULL(deleted, 0)",
            user_id,
            dialog.id,
            user_id,
        )
        return count

    def unread_counts(self, user_id: int, ids: Sequence[str] | None) -> dict[str, int]:
        """Unread messages in private and group dialogs: in all, and in each of those that are asked for (R-042)."""
        dialogs, _ = self._dialogs.search([], user_id=user_id, skip=0, limit=-1)
        counts = {dialog.id: self.unread(dialog, user_id) for dialog in dialogs if dialog.has_marks}
        if ids is None:
            return {"total": sum(counts.values())}
        wanted = {one: counts.get(one, 0) for one in ids}
        return {"total": sum(wanted.values()), **wanted}

    def last_status(self, dialog: Dialog, viewer: int | None) -> str | None:
        """How far the last message got, if it is the viewer's own."""
        if dialog.last_message_id is None or dialog.last_message_user_id != viewer or not dialog.has_marks:
            return None
        row = self._db.one(
            "SELECT max(delivered) AS delivered, max(read) AS read FROM marks WHERE message_id = ? AND user_id != ?",
            dialog.last_message_id,
            viewer,
        )
        if row is None or not row["delivered"]:
            return "sent"
        return "read" if row["read"] else "delivered"

    def marks(self, message_id: str) -> list[sqlite3.Row]:
        """Return who got a message, who read it, and who deleted it for themselves."""
        return self._db.all("SELECT * FROM marks WHERE message_id = ? ORDER BY user_id", message_id)

    # -- deleting

    def delete(self, ids: Iterable[str], user_id: int, *, force: bool) -> Deleted:
        """Delete messages for oneself, or for all (R-045)."""

        def delete(message_id: str) -> None:
            message = self.get(message_id)
            if not self.may_delete(message, user_id, force=force):
                raise forbidden()
            if force:
                self.remove(message, user_id, tell_chat=True)
            else:
                self._hide(message_id, user_id)

        return delete_each(ids, delete)

    def may_delete(self, message: Message, user_id: int, *, force: bool) -> bool:
        """Whether the user's role in the dialog allows it (F-066, F-067)."""
        dialog = self._dialogs.get(message.dialog_id)
        role = self._dialogs.role(dialog, user_id)
        if dialog.type is DialogType.BROADCAST:
            return role >= Role.ADMIN
        if role < Role.MEMBER:
            return False
        return not force or message.sender_id == user_id or (role >= Role.ADMIN and not dialog.private)

    def _hide(self, message_id: str, user_id: int) -> None:
        self._mark(message_id, user_id)
        self._db.run("UPDATE marks SET deleted = 1 WHERE message_id = ? AND user_id = ?", message_id, user_id)

    def remove(self, message: Message, user_id: int, *, tell_chat: bool) -> None:
        """Take a message out of the history for all; the last message fields fall back."""
        dialog = self._dialogs.get(message.dialog_id)
        with self._db.transaction():
            self._db.run("DELETE FROM messages WHERE id = ?", message.id)
            if message.id in dialog.pinned:
                pinned = [one for one in dialog.pinned if one != message.id]
                self._db.update("dialogs", "id = ?", dialog.id, pinned=dump(pinned))
            if dialog.last_message_id == message.id:
                self._find_last(dialog.id)
        if tell_chat:
            self._bus.publish(
                MessageRemoved(
                    message_id=message.id,
                    dialog_id=dialog.id,
                    user_id=user_id,
                    recipients=self._dialogs.readers(dialog),
                    private=dialog.private,
                )
            )

    def _find_last(self, dialog_id: str) -> None:
        row = self._db.one(
            "SELECT * FROM messages WHERE dialog_id = ? ORDER BY date_sent DESC, number DESC LIMIT 1", dialog_id
        )
        if row is None:
            self._set_last(dialog_id, None, None, None, None)
        else:
            self._set_last(dialog_id, row["body"], row["id"], row["sender_id"], row["date_sent"])

    def clear(self, dialog_id: str, user_id: int, *, force: bool) -> None:
        """Delete all messages of a dialog (R-031).

        :raises Refused: 403 if the user may not do so for all.
        """
        dialog = self._dialogs.require(dialog_id, user_id)
        with self._db.transaction():
            if force:
                self._dialogs.require_force(dialog, user_id)
                self._db.run("DELETE FROM messages WHERE dialog_id = ?", dialog_id)
                self._db.update("dialogs", "id = ?", dialog_id, pinned="[]")
                self._find_last(dialog_id)
            else:
                for one in self._db.column("SELECT id FROM messages WHERE dialog_id = ?", dialog_id):
                    self._hide(one, user_id)

    # -- reactions and system messages

    def react(self, message_id: str, user_id: int, *, add: str | None, remove: str | None) -> None:
        """Add a reaction, remove one, or both; the chat is told of what changed (R-047, CR-43)."""
        message, dialog = self.require(message_id, user_id)
        require_carried("add", add)
        with self._db.transaction():
            removed = remove is not None and self._db.run(
                "DELETE FROM reactions WHERE message_id = ? AND user_id = ? AND reaction = ?",
                message_id,
                user_id,
                remove,
            )
            added = add is not None and self._db.run(
                "INSERT OR IGNORE INTO reactions VALUES (?, ?, ?)", message_id, user_id, add
            )
        if added or removed:
            self._bus.publish(
                ReactionsChanged(
                    message_id=message.id,
                    dialog_id=dialog.id,
                    user_id=user_id,
                    added=[add] if added and add is not None else [],
                    removed=[remove] if removed and remove is not None else [],
                    recipients=self._dialogs.readers(dialog),
                    private=dialog.private,
                )
            )

    def reactions(self, message_id: str) -> dict[str, list[int]]:
        """Who reacted, by reaction (R-048)."""
        found: dict[str, list[int]] = {}
        sql = "SELECT user_id, reaction FROM reactions WHERE message_id = ? ORDER BY reaction, user_id"
        for row in self._db.all(sql, message_id):
            found.setdefault(row["reaction"], []).append(row["user_id"])
        return found

    def send_system(self, sender_id: int, recipient_id: int, params: Mapping[str, Any]) -> str:
        """Send a system message to a user who is online; nothing is stored (R-046, CX-14).

        :returns: its id.
        :raises Refused: 403 if the receiver has blocked the sender, 422 if there is no such user, or the chat can't
            carry it.
        """
        if self._accounts.find(recipient_id) is None:
            raise unprocessable("recipientId", "is no user")
        require_carried("base", params)
        self._privacy.require_passage(sender_id, recipient_id)
        message_id = self._ids.new()
        self._bus.publish(
            SystemMessageToDeliver(message_id=message_id, sender_id=sender_id, recipient_id=recipient_id, params=params)
        )
        return message_id
