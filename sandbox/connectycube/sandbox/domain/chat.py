"""The domain's rules for the chat: logins, permissions, and what becomes of a message.

The status of a `Refused` decides the stanza error: 401 is `not-authorized`, 403 `forbidden`, 404 `item-not-found`, 400
and 422 `bad-request`.
"""

from __future__ import annotations

from attrs import define, frozen

from ..bus import Bus, MessageAccepted
from ..clock import Clock
from ..config import Settings
from ..errors import forbidden, not_found
from ..ids import ObjectIds
from .accounts import Accounts, Mechanism, ScramSecrets
from .alerts import Alerts
from .dialog_model import Dialog
from .dialogs import Dialogs
from .message_model import Draft
from .messages import Messages
from .sessions import Sessions

__all__ = ["Accepted", "ChatRules"]


@frozen(kw_only=True)
class Accepted:
    """A message that may be delivered.

    :ivar dialog_id: the server adds it for the recipients (U-27).
    :ivar date_sent: the server adds it if the sender left it out (CX-08).
    :ivar recipients: everyone who receives the message, including the sender.
    """

    message_id: str
    dialog_id: str
    date_sent: int
    recipients: list[int]


@define(eq=False)
class ChatRules:
    """The rules for what chat clients do."""

    _clock: Clock
    _ids: ObjectIds
    _bus: Bus
    _settings: Settings
    _accounts: Accounts
    _sessions: Sessions
    _dialogs: Dialogs
    _messages: Messages
    _alerts: Alerts

    # -- logins

    def authenticate(self, user_id: int, app_id: int, secret: str) -> bool:
        """Return whether a password is the account's own or the token of one of its live sessions (F-002, F-010)."""
        if app_id != self._settings.app_id or not self._accounts.exists(user_id):
            return False
        session = self._sessions.find_token(secret)
        if session is not None:
            return session.user_id == user_id
        return self._accounts.check_password(user_id, secret)

    def scram(self, user_id: int, app_id: int, mechanism: Mechanism) -> ScramSecrets | None:
        """Return what a SCRAM login is checked against, or `None` for an unknown user."""
        if app_id != self._settings.app_id:
            return None
        return self._accounts.scram(user_id, mechanism, self._sessions.tokens(user_id))

    # -- messages

    def group_message(self, dialog_id: str, draft: Draft, *, save: bool) -> Accepted:
        """Accept a message to a dialog's room (K-13).

        :param save: whether to add it to the history (`save_to_history`).
        :raises Refused: 404 if there is no such room, 403 if the sender may not write there.
        """
        dialog = self._dialogs.get(dialog_id)
        if dialog.private:
            raise not_found()
        if not self._dialogs.may_write(dialog, draft.sender_id):
            raise forbidden()
        return self._accept(dialog, draft, save)

    def private_message(self, recipient_id: int, draft: Draft, *, save: bool) -> Accepted:
        """Accept a message to another user (K-12). The first one creates their dialog.

        :raises Refused: 404 if there is no such user.
        """
        self._accounts.get(recipient_id)
        if recipient_id == draft.sender_id:
            raise forbidden("Users have no dialog with themselves")
        return self._accept(self._dialogs.private(draft.sender_id, recipient_id), draft, save)

    def _accept(self, dialog: Dialog, draft: Draft, save: bool) -> Accepted:
        sent = self._clock.seconds() if draft.date_sent is None else draft.date_sent
        message_id = draft.id or self._ids.new()
        if save:
            stored = self._messages.store(dialog, draft)
            sent, message_id = stored.date_sent, stored.id
        readers = self._dialogs.readers(dialog)
        self._alerts.send(dialog, draft, readers)
        self._bus.publish(
            MessageAccepted(
                dialog_id=dialog.id,
                sender_id=draft.sender_id,
                recipients=readers,
                private=dialog.private,
                body=draft.body,
                attachments=draft.attachments,
            )
        )
        return Accepted(
            message_id=message_id,
            dialog_id=dialog.id,
            date_sent=sent,
            recipients=readers,
        )

    def marked(self, user_id: int, message_id: str, *, read: bool) -> None:
        """Mark a message as delivered to a user, or read (K-20, K-21), if it is in one of the user's dialogs."""
        message = self._messages.find(message_id)
        if message is not None:
            dialog = self._dialogs.get(message.dialog_id)
            if self._dialogs.role(dialog, user_id) > 0:
                self._messages.mark([message_id], user_id, read=read)

    def edited(self, user_id: int, message_id: str, body: str) -> None:
        """Replace a message's text (K-22), if it is in the history.

        :raises Refused: 403 if it is another user's message (U-31).
        """
        message = self._messages.find(message_id)
        if message is None:
            return
        if message.sender_id != user_id:
            raise forbidden()
        self._messages.edit(message, body)

    def removed(self, user_id: int, message_id: str) -> None:
        """Delete a message for everyone (K-23), if it is in the history.

        :raises Refused: 403 if the user may not.
        """
        message = self._messages.find(message_id)
        if message is None:
            return
        if not self._messages.may_delete(message, user_id, force=True):
            raise forbidden("The message is another user's")
        self._messages.remove(message, user_id, tell_chat=False)
