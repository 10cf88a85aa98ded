"""The privacy lists as the server keeps them: what is asked of them, and the machine that says in which order.

What a user sees of it is `privacy.Privacy` (XEP-0016, facts 3.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from connectycube.stanzas import (
    DefaultList,
    PrivacyItem,
    PrivacyList,
    PrivacyQuery,
    PrivacyRequest,
    PrivacyResult,
    PrivacySet,
)

from .. import events
from ..connection.traffic import Wire
from ..errors import RequestRefused
from ..machines import privacy_lists as pl

__all__ = ["Lists"]

WRITES: Final[dict[type[Any], Callable[[str, tuple[PrivacyItem, ...]], tuple[str, PrivacyQuery]]]] = {
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


class Lists:
    """The privacy lists of one account.

    :ivar editing: held from the reading of a list to the writing of it, so that no change is lost to another one.
    """

    __slots__ = ("_expects", "_lock", "_machine", "_wire", "editing")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._expects = False
        """The lists were asked for in an earlier session."""
        self._machine = pl.PrivacyLists()
        self._lock = asyncio.Lock()
        """Held by the one operation that runs."""
        self.editing = asyncio.Lock()

    @property
    def default(self) -> str | None:
        """The list in force as far as it is known."""
        return self._machine.default

    async def names(self) -> tuple[str, ...]:
        """Ask for the names of all lists, and which is in force."""
        query = await self._ask(PrivacyQuery(), "asking for the privacy lists")
        names = tuple(entry.name for entry in query.lists)  # CX-26
        default = None if query.default is None else query.default.name
        if self._machine.state in (pl.State.UNKNOWN, pl.State.IDLE):
            self._machine.handle(pl.Listed(names=frozenset(names), default=default))
        return names

    async def items(self, name: str) -> tuple[PrivacyItem, ...]:
        """Ask for the items of a list, in their order."""
        query = await self._ask(PrivacyQuery(lists=(PrivacyList(name=name),)), f"reading the privacy list {name}")
        found = next((entry for entry in query.lists if entry.name == name), None)
        return () if found is None else tuple(sorted(found.items, key=lambda item: item.order))

    async def known_items(self, name: str) -> tuple[PrivacyItem, ...]:
        """The items of a list that may not be there yet."""
        return await self.items(name) if name in self._machine.names else ()

    async def _ask(self, query: PrivacyQuery, what: str) -> PrivacyQuery:
        answer = await self._wire.request(PrivacyRequest(id=self._wire.ids.request(), query=query), what)
        return answer.query if isinstance(answer, PrivacyResult) else PrivacyQuery()

    # -- changing

    async def set(self, name: str, items: tuple[PrivacyItem, ...]) -> None:
        """Make a list as it is given, in one step. Without items it is deleted."""
        await self._run(pl.Set(name) if items else pl.Remove(name), items)

    async def update(self, name: str, items: tuple[PrivacyItem, ...]) -> None:
        """Replace a list; one in force is put out of force meanwhile. Without items it is deleted."""
        await self._run(pl.Update(name) if items else pl.Remove(name), items)

    async def delete(self, name: str) -> None:
        """Delete a list; one in force is put out of force before."""
        await self._run(pl.Remove(name))

    async def activate(self, name: str) -> None:
        """Put a list in force."""
        await self._run(pl.Activate(name))

    async def deactivate(self) -> None:
        """Put no list in force."""
        await self._run(pl.Deactivate())

    async def _run(self, event: pl.Event, items: tuple[PrivacyItem, ...] = ()) -> None:
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
                    answer: pl.Event = pl.Done()
                except RequestRefused as error:
                    refusal = refusal or error
                    answer = pl.Refused(error.condition)
                except BaseException:
                    # No connection, no answer, or nobody waits any more: what the server did of it is not known.
                    self._machine.handle(pl.Reset())
                    raise
                effects = self._machine.handle(answer)

    async def _write(self, effect: pl.Effect, items: tuple[PrivacyItem, ...]) -> None:
        what, query = WRITES[type(effect)](getattr(effect, "name", ""), items)
        await self._wire.request(PrivacySet(id=self._wire.ids.request(), query=query), what)

    # -- what comes in

    def pushed(self, name: str) -> None:
        """A list was changed by any device."""
        self._machine.handle(pl.Pushed(name))
        self._wire.bus.tell(events.PrivacyListChanged(name=name))

    async def restore(self) -> None:
        """See whether the list that is expected to be in force still is (U-41)."""
        if not self._expects:
            return
        expected = self.default
        await self.names()
        if self.default != expected:
            self._wire.bus.tell(events.PrivacyListChanged(name=expected or self.default or ""))

    def lost(self) -> None:
        """The session is gone."""
        self._expects = self._expects or self._machine.state is not pl.State.UNKNOWN
        self._machine.handle(pl.Reset())
        # A lock that was waited for belongs to its loop.
        if not self._lock.locked():
            self._lock = asyncio.Lock()
        if not self.editing.locked():
            self.editing = asyncio.Lock()
