"""Chat alerts: the push notifications that offline recipients of a message get (F-082 to F-084)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define

from ..config import Settings
from .accounts import Accounts
from .dialog_model import Dialog
from .dialogs import Dialogs
from .message_model import Draft
from .presence import Presence
from .push import Push

__all__ = ["Alerts"]


@define(eq=False)
class Alerts:
    """Alerts for the application's messages."""

    _settings: Settings
    _accounts: Accounts
    _presence: Presence
    _push: Push
    _dialogs: Dialogs

    def send(self, dialog: Dialog, draft: Draft, readers: Iterable[int]) -> None:
        """Alert those readers of a message who are offline and have not silenced the dialog.

        Only devices with a push subscription receive an alert, and none does if the message is silent.
        """
        if draft.silent or self._settings.chat_alert is None:
            return
        away = [one for one in readers if one != draft.sender_id and not self._presence.is_online(one)]
        subscribed = self._push.subscribed(away) if away else []
        if not subscribed:
            return
        silenced = self._dialogs.viewers(dialog.id, "silent")
        recipients = [one for one in subscribed if one not in silenced]
        text = self._settings.chat_alert.format(
            sender=self._accounts.get(draft.sender_id).title,
            message=draft.body or "[attachment]",
            dialog=dialog.name or "",
        )
        payload = {"message": text, "dialog_id": dialog.id, "user_id": draft.sender_id}
        self._push.alert(draft.sender_id, recipients, payload)
