"""Privacy lists: `chat.privacy` (XEP-0016, facts 3.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from connectycube.rest import InvalidArgument
from connectycube.stanzas import (
    DefaultList,
    GroupPrivacyValue,
    JIDError,
    PrivacyItem,
    PrivacyList,
    PrivacyQuery,
    PrivacyRequest,
    PrivacyResult,
    PrivacySet,
    UserJID,
)

from . import events
from .errors import RequestRefused
from .machines import privacy_lists as pl
from .models import PrivacyRule

if TYPE_CHECKING:
    from ._wire import Wire

__all__ = ["Privacy"]

BLOCK_LIST = "blocked"
"""The list that `block` makes where none is in force."""


WRITES: dict[type[Any], Callable[[str, tuple[PrivacyItem, ...]], tuple[str, PrivacyQuery]]] = {
    pl.WriteDecline: lambda name, items: (
        "deactivating the privacy list",
        PrivacyQuery(default=DefaultList()),
    ),
    pl.WriteDefault: lambda name, items: (
        f"activating the privacy list {name}",
        PrivacyQuery(default=DefaultList(name=name)),
    ),
    pl.WriteList: lambda name, items: (
        f"setting the privacy list {name}",
        PrivacyQuery(lists=(PrivacyList(name=name, items=items),)),
    ),
    pl.WriteRemove: lambda name, items: (
        f"deleting the privacy list {name}",
        PrivacyQuery(lists=(PrivacyList(name=name),)),
    ),
}
"""What each effect of the machine asks of the server, in words and as a query."""


class Privacy:
    """Lists of users who may not write, or explicitly may. At most one list is in force: the default one.

    A list holds two items for each user, one for private dialogs and one for groups (facts 3.4).
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._expects = False
        """The lists were asked for in an earlier session."""
        self._machine = pl.PrivacyLists()
        self._lock = asyncio.Lock()
        self._editing = asyncio.Lock()
        """Held from the reading of a list to the writing of it, so that no change is lost to another one."""

    @property
    def default(self) -> str | None:
        """The list in force as far as it is known; `names` asks the server."""
        return self._machine.default

    async def names(self) -> tuple[str, ...]:
        """The names of all lists (F-106).

        :raises RequestRefused: if the server refuses.
        """
        query = await self._ask(PrivacyQuery(), "asking for the privacy lists")
        names = tuple(entry.name for entry in query.lists)  # CX-26
        default = None if query.default is None else query.default.name
        if self._machine.state in (pl.State.UNKNOWN, pl.State.IDLE):
            self._machine.handle(pl.Listed(names=frozenset(names), default=default))
        return names

    async def get(self, name: str) -> tuple[PrivacyRule, ...]:
        """What a list says, one rule per user, in the order of the list (F-107).

        Items that concern no user of the platform are left out.

        :raises RequestRefused: if there is no such list (`item-not-found`).
        """
        return _rules(await self._items(name))

    async def set(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Make a list, or replace all of it (F-099). An empty one is deleted, as the platform does it (F-101).

        :param name: its name.
        :param rules: one per user; the last one counts where there are several.
        :raises InvalidArgument: if a user or the name is wrong.
        :raises RequestRefused: if the server refuses, such as `conflict` while another device uses the list.
        """
        items = self._written(rules)
        await (self._run(pl.Set(_name(name)), items) if items else self.delete(name))

    async def update(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Replace a list in the order that the platform wants: not in force, changed, in force again (F-104, F-105).

        A list that was not in force is not put in force.

        :param name: its name.
        :param rules: all of its rules, not only those that change.
        :raises RequestRefused: if the server refuses; the old list is in force again then, if it can be.
        """
        items = self._written(rules)
        await (self._run(pl.Update(_name(name)), items) if items else self.delete(name))

    async def activate(self, name: str) -> None:
        """Put a list in force, as the default of all devices (F-103).

        :raises RequestRefused: if there is none of this name, or another device uses the present one (`conflict`).
        """
        await self._run(pl.Activate(_name(name)))

    async def deactivate(self) -> None:
        """Put no list in force (F-104).

        :raises RequestRefused: if another device uses the present one (`conflict`).
        """
        await self._run(pl.Deactivate())

    async def delete(self, name: str) -> None:
        """Delete a list; one that is in force is put out of force before (F-108).

        :raises RequestRefused: if there is none of this name, or another device uses it (`conflict`).
        """
        await self._run(pl.Remove(_name(name)))

    async def block(self, user_id: int, *, mutual: bool = False) -> None:
        """Block a user: in the list that is in force, else in one called `blocked`, which is put in force then.

        The user gets an error for private messages, and the messages in groups are not delivered (F-109).

        :param user_id: whom.
        :param mutual: one can't write to that user either (F-100).
        :raises RequestRefused: if the server refuses.
        """
        rule = PrivacyRule(user_id, mutual=mutual)
        items = self._written([rule])
        async with self._editing:
            await self.names()
            name = self._machine.default or BLOCK_LIST
            others = [item for item in await self._known(name) if _user(item) != user_id]
            await self._run(pl.Update(name), _numbered([*items, *others]))
            if self._machine.default != name:
                await self.activate(name)

    async def unblock(self, user_id: int) -> None:
        """Take a user out of the list that is in force. Without one, or if the user is not in it, nothing happens.

        :raises RequestRefused: if the server refuses.
        """
        self._wire.settings.user(user_id)
        async with self._editing:
            await self.names()
            name = self._machine.default
            if name is None:
                return
            items = await self._known(name)
            left = [item for item in items if _user(item) != user_id]
            if len(left) == len(items):
                return
            await (self._run(pl.Update(name), _numbered(left)) if left else self.delete(name))

    async def blocked(self) -> tuple[int, ...]:
        """The users whom the list in force denies, ascending.

        :raises RequestRefused: if the server refuses.
        """
        await self.names()
        if self._machine.default is None:
            return ()
        return tuple(sorted(rule.user_id for rule in _rules(await self._known(self._machine.default)) if rule.deny))

    # -- the machine

    async def _run(self, event: Any, items: tuple[PrivacyItem, ...] = ()) -> None:
        """One operation: the machine says which requests it takes, and what to do when one is refused."""
        async with self._lock:
            if self._machine.state is pl.State.UNKNOWN:
                await self.names()
            refusal: RequestRefused | None = None
            effects = self._machine.handle(event)
            while True:
                effect = effects[-1]
                if isinstance(effect, pl.Finished):
                    return
                if isinstance(effect, pl.Failed):
                    assert refusal is not None
                    raise refusal
                try:
                    await self._write(effect, items)
                    answer: Any = pl.Done()
                except RequestRefused as error:
                    refusal = refusal or error
                    answer = pl.Refused(error.condition)
                except BaseException:
                    # No connection, no answer, or nobody waits any more: what the server did of it is not known.
                    self._machine.handle(pl.Reset())
                    raise
                effects = self._machine.handle(answer)

    async def _write(self, effect: Any, items: tuple[PrivacyItem, ...]) -> None:
        what, query = WRITES[type(effect)](getattr(effect, "name", ""), items)
        await self._wire.request(PrivacySet(id=self._wire.ids.request(), query=query), what)

    async def _ask(self, query: PrivacyQuery, what: str) -> PrivacyQuery:
        answer = await self._wire.request(PrivacyRequest(id=self._wire.ids.request(), query=query), what)
        return answer.query if isinstance(answer, PrivacyResult) else PrivacyQuery()

    async def _items(self, name: str) -> tuple[PrivacyItem, ...]:
        query = await self._ask(
            PrivacyQuery(lists=(PrivacyList(name=_name(name)),)), f"reading the privacy list {name}"
        )
        found = next((entry for entry in query.lists if entry.name == name), None)
        return () if found is None else tuple(sorted(found.items, key=lambda item: item.order))

    async def _known(self, name: str) -> tuple[PrivacyItem, ...]:
        """The items of a list that may not be there yet."""
        return await self._items(name) if name in self._machine.names else ()

    def pushed(self, name: str) -> None:
        """A list was changed by any device."""
        self._machine.handle(pl.Pushed(name))
        self._wire.bus.tell(events.PrivacyListChanged(name=name))

    async def restore(self) -> None:
        """See whether the list that is expected to be in force still is (U-41)."""
        if not self._expects:
            return
        expected = self._machine.default
        await self.names()
        if self._machine.default != expected:
            self._wire.bus.tell(events.PrivacyListChanged(name=expected or self._machine.default or ""))

    def lost(self) -> None:
        """The session is gone."""
        self._expects = self._expects or self._machine.state is not pl.State.UNKNOWN
        self._machine.handle(pl.Reset())
        # A lock that was waited for belongs to its loop.
        if not self._lock.locked():
            self._lock = asyncio.Lock()
        if not self._editing.locked():
            self._editing = asyncio.Lock()

    # -- rules and items

    def _written(self, rules: Iterable[PrivacyRule]) -> tuple[PrivacyItem, ...]:
        """Two items for each user."""
        if not isinstance(rules, Iterable):
            raise InvalidArgument("rules", f"must be PrivacyRule objects, not {type(rules).__name__}")
        by_user: dict[str, PrivacyRule] = {}
        for rule in rules:
            if not isinstance(rule, PrivacyRule):
                raise InvalidArgument("rules", f"must be PrivacyRule objects, not {type(rule).__name__}")
            by_user[self._wire.settings.user(rule.user_id)] = rule
        items: list[PrivacyItem] = []
        for jid, rule in by_user.items():
            if rule.private:
                items.append(_item(rule, jid))
            if rule.groups:
                value = GroupPrivacyValue(user_id=rule.user_id, host=self._wire.settings.muc_host)
                items.append(_item(rule, str(value)))
        return _numbered(items)


def _item(rule: PrivacyRule, value: str) -> PrivacyItem:
    # Without children an item holds for everything, in both directions.
    one_way = not (rule.mutual and rule.deny)
    return PrivacyItem(
        type="jid",
        value=value,
        action="deny" if rule.deny else "allow",
        order=0,
        message=one_way,
        presence_in=one_way,
        presence_out=one_way,
        iq=one_way,
    )


def _numbered(items: Iterable[PrivacyItem]) -> tuple[PrivacyItem, ...]:
    items = tuple(items)
    for number, item in enumerate(items, 1):
        item.order = number
    return items


def _user(item: PrivacyItem) -> int | None:
    """Whom an item is about; `None` if no user of the platform."""
    if item.type != "jid" or item.value is None:
        return None
    for cls in (UserJID, GroupPrivacyValue):
        try:
            return cls.parse(item.value).user_id
        except JIDError:
            continue
    return None


def _rules(items: Iterable[PrivacyItem]) -> tuple[PrivacyRule, ...]:
    """One rule per user and action, whatever the order of the items."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for item in items:
        user_id = _user(item)
        if user_id is None:
            continue
        rule = found.setdefault((user_id, item.action), {"mutual": True, "groups": False, "private": False})
        rule["groups" if "@" not in (item.value or "") else "private"] = True
        if item.message or item.presence_in or item.presence_out or item.iq:
            rule["mutual"] = False
    return tuple(
        PrivacyRule(
            user_id,
            deny=action == "deny",
            mutual=action == "deny" and rule["mutual"],
            groups=rule["groups"],
            private=rule["private"],
        )
        for (user_id, action), rule in found.items()
    )


def _name(name: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument("name", "must be a text that is not empty")
    return name
