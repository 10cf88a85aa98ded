"""A bot that echoes every message, in private and in groups, until Ctrl-C. If the chat ends for good, so does the bot.

python examples/echo_bot.py     with the account from chat_account.py
"""

from __future__ import annotations

import sys
from contextlib import suppress

from chat_account import account
from connectycube.chat import (
    Chat,
    ChatMessage,
    ConnectError,
    ContactRequested,
    MessageNotSent,
    MessageReceived,
    RequestRefused,
)


def main() -> None:
    user_id, password = account()
    chat = Chat(user_id=user_id, password=password)

    @chat.on(ContactRequested)
    def welcome(event: ContactRequested) -> None:
        with suppress(RequestRefused):  # For example, if the request was withdrawn.
            chat.contacts.accept(event.user_id)

    with chat.events(MessageReceived) as events, chat:
        print(f"user {chat.user_id} is online")
        for event in events:
            try:
                echo(chat, event.message)
            except MessageNotSent as error:  # For example, if the sender has blocked the bot. Go on with the others.
                print(error, file=sys.stderr)


def echo(chat: Chat, message: ChatMessage) -> None:
    if message.body and message.sender_id is not None:
        if message.id is not None:
            chat.mark_read(message)
        chat.reply(message, f"You said: {message.body}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except ConnectError as error:
        sys.exit(f"the chat has ended: {error}")
