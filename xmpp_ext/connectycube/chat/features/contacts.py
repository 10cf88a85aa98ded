"""The contact list: `chat.contacts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectycube.rest import InvalidArgument

from ..connection.traffic import Wire
from ..machines.contact_list import State
from ..models import Contact
from .roster import GRANTED, INCOMING, Roster

__all__ = ["Contacts"]


class Contacts(Mapping[int, Contact]):
    """The contacts by user id: all users with whom there is a subscription on at least one side.

    The server keeps the list; it is loaded in each new session. Changes are told as `ContactsChanged`, whoever made
    them.

    :ivar limit: how many contacts there may be, default 300; `None` for no limit (F-089).
    """

    def __init__(self, wire: Wire, roster: Roster) -> None:
        self._wire = wire
        self._roster = roster
        self.limit: int | None = 300

    # -- reading

    def __getitem__(self, user_id: int) -> Contact:
        contact = self._roster.contact(user_id)
        if contact is None:
            raise KeyError(user_id)
        return contact

    def __iter__(self) -> Iterator[int]:
        return iter(self._roster.contacts())

    def __len__(self) -> int:
        return len(self._roster.contacts())

    def __repr__(self) -> str:
        return f"<Contacts {list(self)}>"

    @property
    def incoming(self) -> tuple[int, ...]:
        """Users who ask to be a contact and have no answer yet (F-087)."""
        return self._roster.incoming()

    @property
    def outgoing(self) -> tuple[int, ...]:
        """Users who were asked and have not answered yet (F-087)."""
        return self._roster.outgoing()

    # -- changing

    async def request(self, user_id: int, *, name: str | None = None) -> None:
        """Ask a user to be a contact (F-088). The answer comes as `ContactAccepted` or `ContactRejected`.

        :param user_id: whom.
        :param name: a name for the list.
        :raises InvalidArgument: if it is oneself, or the list is full.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._checked(user_id)
        if user_id == self._wire.credentials.user_id:
            raise InvalidArgument("user_id", "is one's own")
        users = {*self, *self.outgoing}
        if self.limit is not None and user_id not in users and len(users) >= self.limit:
            raise InvalidArgument("user_id", f"can't be added: a contact list holds {self.limit} users at most")
        await self._roster.ask(user_id, name)

    async def accept(self, user_id: int, *, mutual: bool = True) -> None:
        """Accept a user's request (F-091).

        :param user_id: who asked.
        :param mutual: ask that user in turn, so that each sees the other; the user's client accepts that silently.
        :raises InvalidArgument: if the user has not asked.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        if self._checked(user_id) not in INCOMING:
            raise _has_not_asked(user_id)
        await self._roster.accept(user_id)
        if mutual and self._roster.state(user_id) is State.FROM:
            await self._roster.ask(user_id, in_turn=True)

    async def reject(self, user_id: int) -> None:
        """Reject a user's request (F-093), or take an earlier acceptance back.

        :param user_id: who asked.
        :raises InvalidArgument: if the user has not asked and sees nothing.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        if self._checked(user_id) not in INCOMING | GRANTED:
            raise _has_not_asked(user_id)
        await self._roster.reject(user_id)

    async def remove(self, user_id: int) -> None:
        """Remove a contact, or take a request back, on both sides (F-095).

        :param user_id: whom.
        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses, as where there is no such contact.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._checked(user_id)
        await self._roster.remove(user_id)

    async def rename(self, user_id: int, name: str | None) -> None:
        """Give a contact another name in the list (X-53).

        :param user_id: whom.
        :param name: the name; `None` for none.
        :raises InvalidArgument: if there is no such contact.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._checked(user_id)
        if user_id not in self:
            raise InvalidArgument("user_id", f"{user_id} is no contact")
        await self._roster.rename(user_id, name)

    def _checked(self, user_id: int) -> State:
        """How one stands with a user.

        :raises InvalidArgument: if it is no user's id.
        """
        self._wire.settings.user(user_id)
        return self._roster.state(user_id)


def _has_not_asked(user_id: int) -> InvalidArgument:
    return InvalidArgument("user_id", f"{user_id} has not asked to be a contact")
