"""Privacy lists: `chat.privacy`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from connectycube.rest import InvalidArgument

from .._settings import Settings
from ..models import PrivacyRule
from .privacy_lists import Lists
from .privacy_rules import items_of, numbered, rules_of, subject_of

__all__ = ["Privacy"]

BLOCK_LIST: Final = "blocked"
"""The list that `block` makes where none is in force."""


class Privacy:
    """Lists of users who may not write, or explicitly may. At most one list is in force: the default one.

    A list holds two items for each user, one for private dialogs and one for groups (facts 3.4).
    """

    def __init__(self, settings: Settings, lists: Lists) -> None:
        self._settings = settings
        self._lists = lists

    @property
    def default(self) -> str | None:
        """The list in force as far as it is known; `names` asks the server."""
        return self._lists.default

    async def names(self) -> tuple[str, ...]:
        """The names of all lists (F-106).

        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return await self._lists.names()

    async def get(self, name: str) -> tuple[PrivacyRule, ...]:
        """What a list says, one rule per user, in the order of the list (F-107).

        Items that concern no user of the platform are left out.

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is no such list (`item-not-found`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return rules_of(await self._lists.items(_checked(name)))

    async def set(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Make a list, or replace all of it (F-099). An empty one is deleted, as the platform does it (F-101).

        :param name: its name.
        :param rules: one per user; the last one counts where there are several.
        :raises InvalidArgument: if a user or the name is wrong.
        :raises RequestRefused: if the server refuses, such as `conflict` while another device uses the list.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._lists.set(_checked(name), items_of(rules, self._settings))

    async def update(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Replace a list in the order that the platform wants: not in force, changed, in force again (F-104, F-105).

        A list that was not in force is not put in force.

        :param name: its name.
        :param rules: all of its rules, not only those that change.
        :raises InvalidArgument: if a user or the name is wrong.
        :raises RequestRefused: if the server refuses; the old list is in force again then, if it can be.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._lists.update(_checked(name), items_of(rules, self._settings))

    async def activate(self, name: str) -> None:
        """Put a list in force, as the default of all devices (F-103).

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is none of this name, or another device uses the present one (`conflict`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._lists.activate(_checked(name))

    async def deactivate(self) -> None:
        """Put no list in force (F-104).

        :raises RequestRefused: if another device uses the present one (`conflict`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._lists.deactivate()

    async def delete(self, name: str) -> None:
        """Delete a list; one that is in force is put out of force before (F-108).

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is none of this name, or another device uses it (`conflict`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._lists.delete(_checked(name))

    async def block(self, user_id: int, *, mutual: bool = False) -> None:
        """Block a user: in the list that is in force, else in one called `blocked`, which is put in force then.

        The user gets an error for private messages, and the messages in groups are not delivered (F-109).

        :param user_id: whom.
        :param mutual: one can't write to that user either (F-100).
        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        items = items_of([PrivacyRule(user_id, mutual=mutual)], self._settings)
        lists = self._lists
        async with lists.editing:
            await lists.names()
            name = lists.default or BLOCK_LIST
            others = [item for item in await lists.known_items(name) if subject_of(item) != user_id]
            await lists.update(name, numbered([*items, *others]))
            if lists.default != name:
                await lists.activate(name)

    async def unblock(self, user_id: int) -> None:
        """Take a user out of the list that is in force. Without one, or if the user is not in it, nothing happens.

        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._settings.user(user_id)
        lists = self._lists
        async with lists.editing:
            await lists.names()
            if lists.default is None:
                return
            name, items = lists.default, await lists.known_items(lists.default)
            left = [item for item in items if subject_of(item) != user_id]
            if len(left) < len(items):
                await lists.update(name, numbered(left))

    async def blocked(self) -> tuple[int, ...]:
        """The users whom the list in force denies, ascending.

        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        await self._lists.names()
        if self._lists.default is None:
            return ()
        items = await self._lists.known_items(self._lists.default)
        return tuple(sorted(rule.user_id for rule in rules_of(items) if rule.deny))


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument("name", "must be a text that is not empty")
    return name
