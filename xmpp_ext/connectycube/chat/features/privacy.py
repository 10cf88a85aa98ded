"""Privacy lists: `chat.privacy`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from connectycube.rest import InvalidArgument
from connectycube.stanzas import PrivacyItem

from .._ids import Addresses
from ..errors import RequestRefused
from ..machines import privacy_lists as pl
from ..models import PrivacyRule
from .arguments import UserId, user_id_of
from .privacy_lists import Lists
from .privacy_rules import items_of, numbered, rules_of, subject_of

__all__ = ["Privacy"]

BLOCK_LIST: Final = "blocked"
"""The list that `block` creates if none is in force."""


class Privacy:
    """Lists of users who are blocked or explicitly allowed. At most one list is in force: the default list.

    A list has two items for each user, one for private dialogs and one for groups.
    """

    def __init__(self, addresses: Addresses, lists: Lists) -> None:
        self._addresses = addresses
        self._lists = lists

    @property
    def default(self) -> str | None:
        """The list in force, as far as known. `names` asks the server."""
        return self._lists.default

    async def names(self) -> tuple[str, ...]:
        """Return the names of all lists.

        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        return await self._lists.names()

    async def get(self, name: str) -> tuple[PrivacyRule, ...]:
        """Return the rules of a list, one per user, in the order of the list.

        Items that do not apply to a user of the platform are left out.

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is no such list (`item-not-found`).
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        return rules_of(await self._lists.items(_checked(name)), self._addresses)

    async def set(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Create a list, or replace all of it. Without rules it is deleted, as on the platform.

        :param name: its name.
        :param rules: one per user; the last of several counts.
        :raises InvalidArgument: if a user or the name is invalid.
        :raises RequestRefused: if the server refuses, such as `conflict` while another device uses the list.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._write(pl.Set(_checked(name)), items_of(rules, self._addresses))

    async def update(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Replace a list as the platform requires: deactivate it, change it, activate it again.

        A list that another device uses can't be deactivated, and is changed as it is. One that was not in force is not
        activated.

        :param name: its name.
        :param rules: all of its rules, not only those that change.
        :raises InvalidArgument: if a user or the name is invalid.
        :raises RequestRefused: if the server refuses. The old list is in force again then, if possible.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._write(pl.Update(_checked(name)), items_of(rules, self._addresses))

    async def activate(self, name: str) -> None:
        """Put a list in force, as the default of all devices.

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is no such list, or another device uses the current one (`conflict`).
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._lists.run(pl.Activate(_checked(name)))

    async def deactivate(self) -> None:
        """Put no list in force.

        :raises RequestRefused: if another device uses the current one (`conflict`).
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._lists.run(pl.Deactivate())

    async def delete(self, name: str) -> None:
        """Delete a list. One that is in force is deactivated first.

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is no such list, or another device uses it (`conflict`).
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._lists.run(pl.Remove(_checked(name)))

    async def block(self, user_id: UserId, *, mutual: bool = False) -> None:
        """Block a user in the list in force. If there is none, a list called `blocked` is put in force.

        The blocked user gets an error for private messages. Their messages in groups are not delivered.

        :param user_id: the user to block.
        :param mutual: also prevent writing to that user.
        :raises InvalidArgument: if the user id is invalid.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        items = items_of([PrivacyRule(user_id, mutual=mutual)], self._addresses)
        lists = self._lists
        async with lists.editing:
            await lists.names()
            name = lists.default or BLOCK_LIST
            others = [item for item in await lists.known_items(name) if subject_of(item, self._addresses) != user_id]
            await self._write(pl.Update(name), numbered([*items, *others]))
            if lists.default != name:
                await lists.run(pl.Activate(name))

    async def unblock(self, user_id: UserId) -> None:
        """Remove a user from the list in force. Nothing happens without one, or if the user is not in it.

        :raises InvalidArgument: if the user id is invalid.
        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        user_id = user_id_of(user_id)
        lists = self._lists
        async with lists.editing:
            await lists.names()
            if lists.default is None:
                return
            name, items = lists.default, await lists.known_items(lists.default)
            left = [item for item in items if subject_of(item, self._addresses) != user_id]
            if len(left) == len(items):
                return
            try:
                await self._write(pl.Update(name), numbered(left))
            except RequestRefused as error:
                if left or error.condition != "conflict":
                    raise
                # A list that another device uses can't be deleted, so it goes on without blocking anybody.
                await lists.run(pl.Set(name), items_of([PrivacyRule(user_id, deny=False)], self._addresses))

    async def blocked(self) -> tuple[int, ...]:
        """Return the users whom the list in force blocks, in ascending order.

        :raises RequestRefused: if the server refuses.
        :raises RequestUnanswered: if the server does not respond in time.
        :raises NotConnected: if there is no connection, or it is lost before the response.
        """
        await self._lists.names()
        if self._lists.default is None:
            return ()
        items = await self._lists.known_items(self._lists.default)
        return tuple(sorted(rule.user_id for rule in rules_of(items, self._addresses) if rule.deny))

    async def _write(self, event: pl.Set | pl.Update, items: tuple[PrivacyItem, ...]) -> None:
        # F-101: without items the list is deleted, as on the platform.
        await self._lists.run(event if items else pl.Remove(event.name), items)


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument("name", "must be a non-empty string")
    return name
