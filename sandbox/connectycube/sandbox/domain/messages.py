"""Messages: history, marks, unread counts, reactions and deletion (R-041 to R-048), and what else REST sends to the
chat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from ..bus import Bus, CallRejected, MessageRemoved, MessageToDeliver, ReactionsChanged, SystemMessageToDeliver
from ..clock import Clock
from ..config import Settings
from ..errors import forbidden, not_found, required, unprocessable
from ..filters import Condition, where
from ..ids import ObjectIds
from ..storage import Database, dump
from .accounts import Accounts
from .alerts import Alerts
from .deletion import Deleted, delete_each
from .dialog_model import Dialog, DialogType, Role
from .dialogs import Dialogs
from .message_model import COLUMNS, OWN_FIELDS, Draft, Message
from .privacy import Privacy

__all__ = ["Messages"]

DEEPEST = 50
"""Most levels of nested objects that the chat carries."""


@define(eq=False)
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
    _alerts: Alerts

    # -- reading

    def find(self, message_id: str) -> Message | None:
        """Return a message by id."""
        return self._db.find(Message, "SELECT * FROM messages WHERE id = ?", message_id)

    def get(self, message_id: str) -> Message:
        """Return a message by id.

        :raises Refused: 404 if there is none.
        """
        return required(self.find(message_id))

    def require(self, message_id: str, user_id: int) -> tuple[Message, Dialog]:
        """Return a message and its dialog, which a user must be in.

        :raises Refused: 404 if there is none, 403 if the user is not in the dialog.
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
        """Return a page of the messages that meet all conditions, and the number of all of them.

        :param viewer: the user who asks, and sees no messages that they deleted; `None` is the admin API.
        :param order: the field to sort by, and whether to sort descending.
        """
        sql, values = where(conditions, COLUMNS)
        if dialog_id is not None:
            sql += " AND dialog_id = ?"
            values.append(dialog_id)
        if viewer is not None:
            sql += " AND NOT EXISTS (SELECT 1 FROM marks WHERE message_id = messages.id AND user_id = ? AND deleted)"
            values.append(viewer)
        name, down = order
        way = "DESC" if down else "ASC"
        ordered = f"{COLUMNS[name].sql} {way}, number {way}"
        return self._db.page(Message, "messages", sql, values, ordered, skip=skip, limit=limit)

    def preview(self, dialog_id: str) -> list[Message]:
        """Return the last messages of a dialog that allows previews, oldest first (X-17).

        :raises Refused: 403 if it doesn't.
        """
        if not self._dialogs.get(dialog_id).allow_preview:
            raise forbidden()
        limit = self._settings.limits.preview_messages
        found, _ = self.search([], dialog_id=dialog_id, viewer=None, skip=0, limit=limit, order=("date_sent", True))
        return found[::-1]

    # -- writing

    def store(self, dialog: Dialog, draft: Draft) -> Message:
        """Add a message to the history, and return the stored message.

        A message that is there already, because its sender repeats it, stays as it is.
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
                self._refresh_last(dialog.id)
            self._db.run("UPDATE dialog_views SET deleted = 0 WHERE dialog_id = ? AND deleted", dialog.id)
        return self.get(message_id)

    def create(self, dialog: Dialog, draft: Draft, *, send_to_chat: bool) -> Message:
        """Store a message that came over REST, and pass it to the chat with `send_to_chat` (R-043).

        :raises Refused: 403 if the sender is blocked or may not write there, 422 if no stanza can carry the message.
        """
        if not self._dialogs.may_write(dialog, draft.sender_id):
            raise forbidden()
        if send_to_chat:
            _require_carried("message", draft.body)
            _require_carried("base", draft.extra)
            for one in draft.attachments:
                _require_carried("attachments", one)
            opponent = self._dialogs.opponent(dialog, draft.sender_id)
            if opponent is not None:
                self._privacy.require_passage(draft.sender_id, opponent)
        message = self.store(dialog, draft)
        if send_to_chat:
            readers = self._dialogs.readers(dialog)
            self._bus.publish(
                MessageToDeliver(
                    message_id=message.id,
                    dialog_id=dialog.id,
                    sender_id=message.sender_id,
                    recipients=readers,
                    private=dialog.private,
                    body=message.body,
                    date_sent=message.date_sent,
                    attachments=message.attachments,
                    extra=message.extra,
                    markable=message.markable,
                )
            )
            self._alerts.send(dialog, draft, readers)
        return message

    def edit(self, message: Message, body: str) -> None:
        """Replace a message's text."""
        now = self._clock.now()
        self._db.update("messages", "id = ?", message.id, body=body, edited_at=now, updated_at=now)
        self._db.update("dialogs", "last_message_id = ?", message.id, last_message=body, updated_at=now)

    def update(
        self, dialog_id: str, user_id: int, ids: Sequence[str] | None, *, read: bool, delivered: bool, body: str | None
    ) -> None:
        """Mark or edit messages of a dialog (R-044).

        :param ids: `None` means all messages; a new text then goes only to the user's own.
        :raises Refused: 404 if one doesn't exist, 403 if another user's text would change.
        """
        dialog = self._dialogs.require(dialog_id, user_id)
        if ids is None:
            sql = "SELECT * FROM messages WHERE dialog_id = ? ORDER BY number"
            messages = self._db.find_all(Message, sql, dialog.id)
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
        """Mark messages as delivered to a user, and with `read` as read. Unknown messages are ignored."""
        with self._db.transaction():
            for one in ids:
                if self.find(one) is not None:
                    self._mark(one, user_id, delivered=True, read=read)

    def unread(self, dialog: Dialog, user_id: int) -> int:
        """Return how many messages of a dialog a user has not read, 0 where there are no marks (F-079)."""
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
        """Count unread messages in private and group dialogs: in total, and in each requested dialog (R-042)."""
        dialogs, _ = self._dialogs.search([], user_id=user_id, skip=0, limit=-1)
        counts = {dialog.id: self.unread(dialog, user_id) for dialog in dialogs if dialog.has_marks}
        if ids is None:
            return {"total": sum(counts.values())}
        wanted = {one: counts.get(one, 0) for one in ids}
        return {"total": sum(wanted.values()), **wanted}

    def last_status(self, dialog: Dialog, viewer: int | None) -> str | None:
        """Return how far the last message got, if it is the viewer's own."""
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
        """Delete messages for one user, or with `force` for everyone (R-045)."""

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
        """Return whether a user's role in the dialog allows deleting a message (F-066, F-067)."""
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
        """Remove a message from the history, for everyone."""
        dialog = self._dialogs.get(message.dialog_id)
        with self._db.transaction():
            self._db.run("DELETE FROM messages WHERE id = ?", message.id)
            if message.id in dialog.pinned:
                pinned = [one for one in dialog.pinned if one != message.id]
                self._db.update("dialogs", "id = ?", dialog.id, pinned=dump(pinned))
            if dialog.last_message_id == message.id:
                self._refresh_last(dialog.id)
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

    def _refresh_last(self, dialog_id: str) -> None:
        """Make the dialog's last message fields follow the history."""
        self._db.run(
            "UPDATE dialogs SET (last_message, last_message_id, last_message_user_id, last_message_date_sent)"
            " = (SELECT body, id, sender_id, date_sent FROM messages WHERE dialog_id = dialogs.id"
            " ORDER BY date_sent DESC, number DESC LIMIT 1), updated_at = ? WHERE id = ?",
            self._clock.now(),
            dialog_id,
        )

    def clear(self, dialog_id: str, user_id: int, *, force: bool) -> None:
        """Delete all messages of a dialog (R-031).

        :raises Refused: 403 if `force` is set and the user may not delete for everyone.
        """
        dialog = self._dialogs.require(dialog_id, user_id)
        with self._db.transaction():
            if force:
                self._dialogs.require_force(dialog, user_id)
                self._db.run("DELETE FROM messages WHERE dialog_id = ?", dialog_id)
                self._db.update("dialogs", "id = ?", dialog_id, pinned="[]")
                self._refresh_last(dialog_id)
            else:
                for one in self._db.column("SELECT id FROM messages WHERE dialog_id = ?", dialog_id):
                    self._hide(one, user_id)

    # -- reactions and system messages

    def react(self, message_id: str, user_id: int, *, add: str | None, remove: str | None) -> None:
        """Add a reaction, remove one, or both, and pass the changes to the chat (R-047, CR-43)."""
        message, dialog = self.require(message_id, user_id)
        _require_carried("add", add)
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
        """Return the users who reacted, by reaction (R-048)."""
        found: dict[str, list[int]] = {}
        sql = "SELECT user_id, reaction FROM reactions WHERE message_id = ? ORDER BY reaction, user_id"
        for row in self._db.all(sql, message_id):
            found.setdefault(row["reaction"], []).append(row["user_id"])
        return found

    def send_system(self, sender_id: int, recipient_id: int, params: Mapping[str, Any]) -> str:
        """Send a system message to a user who is online; nothing is stored (R-046, CX-14).

        :param params: its parameters. The text `body`, by which official clients tell what it is about (N-02), becomes
            the stanza's body.
        :returns: its id.
        :raises Refused: 403 if the recipient has blocked the sender, 422 if there is no such user or no stanza can
            carry it.
        """
        if self._accounts.find(recipient_id) is None:
            raise unprocessable("recipientId", "is not a user")
        _require_carried("base", params)
        self._privacy.require_passage(sender_id, recipient_id)
        message_id = self._ids.new()
        body = params.get("body")
        if isinstance(body, str):
            params = {name: value for name, value in params.items() if name != "body"}
        self._bus.publish(
            SystemMessageToDeliver(
                message_id=message_id,
                sender_id=sender_id,
                recipient_id=recipient_id,
                params=params,
                body=body if isinstance(body, str) else None,
            )
        )
        return message_id

    def reject_call(self, sender_id: int, fields: Mapping[str, Any]) -> None:
        """Tell a caller who is online that their call is rejected (R-087).

        :raises Refused: 403 if the caller has blocked the sender, 404 if there is no such user, 422 if no stanza can
            carry it.
        """
        recipient = self._accounts.get(fields["recipientId"])
        for name in ("sessionID", "platform", "userInfo"):
            _require_carried(name, fields.get(name))
        self._privacy.require_passage(sender_id, recipient.id)
        self._bus.publish(
            CallRejected(
                message_id=self._ids.new(),
                sender_id=sender_id,
                recipient_id=recipient.id,
                session_id=fields["sessionID"],
                platform=fields["platform"],
                user_info=fields.get("userInfo") or {},
            )
        )


def _require_carried(field: str, value: Any) -> None:
    """Check that a stanza can carry a value: XML restricts names and characters, JSON doesn't (U-29).

    :raises Refused: 422 under the field's name.
    """
    # Imported here: a sandbox that is used over REST only doesn't need the stanzas, which take long to import.
    from connectycube.stanzas import BuildError, ExtraParams

    if _nests(value, DEEPEST):
        raise unprocessable(field, "is nested too deep for the chat")
    try:
        ExtraParams(params={"value": value}).to_xml()
    except BuildError as error:
        raise unprocessable(field, f"can't be carried by the chat: {error.problem}") from error


def _nests(value: Any, levels: int) -> bool:
    """Return whether mappings are nested deeper than a number of levels. Lists don't count: they travel as JSON."""
    return isinstance(value, Mapping) and (levels < 0 or any(_nests(inner, levels - 1) for inner in value.values()))
