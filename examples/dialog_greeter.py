"""A bot that learns of new dialogs as the official clients do, by system messages, and says hello there, until Ctrl-C.

python examples/dialog_greeter.py     with the account from chat_account.py

The official clients send such a message to everyone whom they add to a dialog. The platform itself sends none, so do
the same after you create a dialog or add users to it:

    chat.send_system(user_ids, SystemNotice(SystemNoticeKind.NEW_DIALOG, dialog.id))

A program without a chat sends it over REST:

    cube.messages.create_system(recipientId=user_id, body="dialog/NEW_DIALOG", extra={"dialogId": dialog.id})
"""

from __future__ import annotations

import sys

from chat_account import account
from connectycube.chat import (
    Chat,
    ConnectError,
    MessageNotSent,
    RequestRefused,
    SystemMessageReceived,
)
from connectycube.rest import SystemNoticeKind

ADDED = (SystemNoticeKind.NEW_DIALOG, SystemNoticeKind.ADDED_TO_DIALOG)
REMOVED = (SystemNoticeKind.REMOVE_PARTICIPANTS, SystemNoticeKind.DELETE_DIALOG)


def main() -> None:
    user_id, password = account()
    chat = Chat(user_id=user_id, password=password)
    with chat.events(SystemMessageReceived) as events, chat:
        print(f"user {chat.user_id} is online")
        for event in events:
            notice = event.notice
            if notice is None or notice.dialog_id is None:
                continue
            try:
                if notice.kind in ADDED:
                    # Anyone can claim anything: the room lets in its occupants only.
                    chat.join(notice.dialog_id)
                    chat.send(notice.dialog_id, "Hello, I am the bot of this group.")
                    print(f"joined {notice.dialog_id}")
                elif notice.kind in REMOVED and not notice.user_ids:  # With ids, others were removed.
                    chat.leave(notice.dialog_id)
                    print(f"left {notice.dialog_id}")
            except (ValueError, RequestRefused, MessageNotSent) as error:  # For example, if it is no such dialog.
                print(error, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except ConnectError as error:
        sys.exit(f"the chat has ended: {error}")
