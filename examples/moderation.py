"""A bot that deletes messages with certain words from a group, and blocks repeat offenders.

python examples/moderation.py DIALOG_ID WORD ...    with the account from chat_account.py, until Ctrl-C

A blocked user can no longer write to the bot. To remove a user from the dialog or a message from its history, use the
REST client: `cube.dialogs.update(dialog_id, pull_all=...)`, `cube.messages.delete(message_id, force=True)`.
"""

from __future__ import annotations

import sys
from collections import Counter

from chat_account import account
from connectycube.chat import Chat, ConnectError, MessageEdited, MessageNotSent, MessageReceived, RequestRefused

WARNINGS = 1
"""How many times a user is warned before being blocked."""


class Moderator:
    """The bot."""

    def __init__(self, chat: Chat, dialog_id: str, words: list[str]) -> None:
        self.chat = chat
        self.dialog_id = dialog_id
        self.words = [word.casefold() for word in words]
        self.offences: Counter[int] = Counter()

    def run(self) -> None:
        self.chat.join(self.dialog_id)
        events = self.chat.events(MessageReceived, MessageEdited)
        print(f"user {self.chat.user_id} watches {self.dialog_id}")
        for event in events:
            try:
                if isinstance(event, MessageReceived):
                    message = event.message
                    self.judge(message.dialog_id, message.sender_id, message.id, message.body)
                else:
                    self.judge(event.dialog_id, event.user_id, event.message_id, event.body)
            except (MessageNotSent, RequestRefused) as error:  # For example, if the user has blocked the bot.
                print(error, file=sys.stderr)

    def judge(self, dialog_id: str | None, user_id: int | None, message_id: str | None, body: str) -> None:
        if dialog_id != self.dialog_id or user_id is None or message_id is None or not self.is_bad(body):
            return
        self.chat.delete_message(self.dialog_id, message_id)
        self.offences[user_id] += 1
        if self.offences[user_id] > WARNINGS:
            self.chat.privacy.block(user_id)
            print(f"deleted a message from user {user_id}, who is now blocked")
        else:
            self.chat.send(user_id, "Please mind your words in our group.")
            print(f"deleted a message from user {user_id}")

    def is_bad(self, body: str) -> bool:
        return any(word in body.casefold() for word in self.words)


def main(dialog_id: str, *words: str) -> None:
    user_id, password = account()
    with Chat(user_id=user_id, password=password) as chat:
        Moderator(chat, dialog_id, list(words)).run()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("give the id of a group dialog, and words")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except ConnectError as error:
        sys.exit(f"the chat has ended: {error}")
