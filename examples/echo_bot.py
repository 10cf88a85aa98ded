"""A bot that says everything back, in private and in groups, until Ctrl-C.

python examples/echo_bot.py     as the account of chat_account.py
"""

from __future__ import annotations

from contextlib import suppress

from chat_account import account
from connectycube.chat import Chat, ContactRequested, MessageReceived


def main() -> None:
    user_id, password = account()
    chat = Chat(user_id=user_id, password=password)

    @chat.on(ContactRequested)
    def welcome(event: ContactRequested) -> None:
        chat.contacts.accept(event.user_id)

    with chat.events(MessageReceived) as events, chat:
        print(f"user {chat.user_id} is online")
        for event in events:
            message = event.message
            to = message.dialog_id if message.type == "groupchat" else message.sender_id
            if to is not None and message.body:
                chat.mark_read(message)
                chat.send(to, f"You said: {message.body}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
