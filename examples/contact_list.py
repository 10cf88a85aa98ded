"""Manage the contact list of the account from chat_account.py.

python examples/contact_list.py                     show it, and all pending requests
python examples/contact_list.py request 81002 Ada   send a contact request, with a name for the list
python examples/contact_list.py accept 81002        accept a request (or: reject)
python examples/contact_list.py rename 81002 Lady   rename a contact
python examples/contact_list.py remove 81002        remove a contact
python examples/contact_list.py watch               show who goes online and offline, until Ctrl-C
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

from chat_account import account
from connectycube.chat import Chat, ContactPresence, ContactRequested
from connectycube.rest import ConnectyCubeError


def show(chat: Chat) -> None:
    for user_id, contact in sorted(chat.contacts.items()):
        print(f"{user_id} {contact.name or '(no name)'}: {contact.subscription}")
    for user_id in chat.contacts.incoming:
        print(f"{user_id} asks to be a contact")
    for user_id in chat.contacts.outgoing:
        print(f"{user_id} has not responded yet")


def watch(chat: Chat) -> None:
    events = chat.events(ContactPresence, ContactRequested)
    print("watching")
    for event in events:
        if isinstance(event, ContactRequested):
            print(f"{event.user_id} asks to be a contact")
        else:
            print(f"{event.user_id} is {'online' if event.online else 'offline'}: {event.status or 'no status'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = ("show", "request", "accept", "reject", "rename", "remove", "watch")
    parser.add_argument("command", nargs="?", default="show", choices=commands)
    parser.add_argument("user_id", nargs="?", type=int, default=0)
    parser.add_argument("name", nargs="?")
    given = parser.parse_args()
    user_id, password = account()
    with Chat(user_id=user_id, password=password) as chat:
        contacts = chat.contacts
        try:
            chat.ping()  # The server has delivered pending requests before it answers.
            match given.command:
                case "show":
                    show(chat)
                case "request":
                    contacts.request(given.user_id, name=given.name)
                case "accept":
                    contacts.accept(given.user_id)
                case "reject":
                    contacts.reject(given.user_id)
                case "rename":
                    contacts.rename(given.user_id, given.name)
                case "remove":
                    contacts.remove(given.user_id)
                case _:
                    watch(chat)
        except ConnectyCubeError as error:
            print(f"{given.command}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
