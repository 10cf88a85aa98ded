"""The contact list: `chat.contacts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectycube.rest import InvalidArgument

from ..connection.traffic import Traffic
from ..machines import contact_list as cl
from ..machines.contact_list import State
from ..models import Contact
from .arguments import UserId, user_id_of
from .roster import GRANTED, INCOMING, Roster

__all__ = ["Contacts"]


class Contacts(Mapping[int, Contact]):
    """The contacts by user id: all users with a subscription on at least one side.

    The server keeps the list, and it is loaded in each new session. Any change, also one made elsewhere, emits
    `ContactsChanged`.

    :ivar limit: how many contacts there may be, default 300; `None` for no limit.
    """

    def __init__(self, traffic: Traffic, roster: Roster) -> None:
        self._traffic = traffic
        self._roster = roster
        self.limit: int | None = 300  # F-089

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
        """Users whose contact request is not answered yet."""
        return self._roster.incoming()

    @property
    def outgoing(self) -> tuple[int, ...]:
        """Users who have not answered a contact request yet."""
        return self._roster.outgoing()

    # -- changing

    async def request(self, user_id: UserId, *, name: str | None = None) -> None:
        """Send a contact request. The response arrives as `ContactAccepted` or `ContactRejected`.

        :param user_id: the user to add.
        :param name: a name for the list.
        :raises InvalidArgument: if it is the user's own id, or the list is full.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        if user_id == self._traffic.credentials.user_id:
            raise InvalidArgument("user_id", "is the user's own id")
        users = {*self, *self.outgoing}
        if self.limit is not None and user_id not in users and len(users) >= self.limit:
            raise InvalidArgument("user_id", f"can't be added: a contact list holds {self.limit} users at most")
        await self._roster.ask(user_id, name)

    async def accept(self, user_id: UserId, *, mutual: bool = True) -> None:
        """Accept a contact request.

        :param user_id: the user who sent it.
        :param mutual: send a request in turn, so that each sees the other; that user's client accepts it silently.
        :raises InvalidArgument: if the user has not sent a request.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        if self._roster.state(user_id) not in INCOMING:
            raise _has_not_asked(user_id)
        await self._roster.want(user_id, cl.Subscribed())
        if mutual and self._roster.state(user_id) is State.FROM:
            await self._roster.ask(user_id, in_turn=True)

    async def reject(self, user_id: UserId) -> None:
        """Reject a contact request, or revoke an earlier acceptance.

        :param user_id: the user who sent it.
        :raises InvalidArgument: if there is nothing to reject or revoke.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        if self._roster.state(user_id) not in INCOMING | GRANTED:
            raise _has_not_asked(user_id)
        await self._roster.want(user_id, cl.Unsubscribed())

    async def remove(self, user_id: UserId) -> None:
        """Remove a contact, or withdraw a request, on both sides.

        :param user_id: the user to remove.
        :raises InvalidArgument: if the user id is invalid.
        :raises RequestRefused: if the server refuses, such as when there is no such contact.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        await self._roster.remove(user_id)

    async def rename(self, user_id: UserId, name: str | None) -> None:
        """Rename a contact in the list.

        :param user_id: the contact.
        :param name: the new name; `None` removes it.
        :raises InvalidArgument: if there is no such contact.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        if user_id not in self:
            raise InvalidArgument("user_id", f"{user_id} is not a contact")
        await self._roster.rename(user_id, name)


def _has_not_asked(user_id: int) -> InvalidArgument:
    return InvalidArgument("user_id", f"{user_id} has not sent a contact request")
