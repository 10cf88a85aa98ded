"""The privacy lists as the server keeps them: the requests, and the machine that orders them.

`privacy.Privacy` is their public face (XEP-0016, section 3.4 of the facts).
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
from ..connection.traffic import Traffic
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
"""The request for each effect of the machine: its description and its query."""


class Lists:
    """The privacy lists of one account.

    :ivar editing: held while a list is read and written back, so that concurrent changes are not lost.
    """

    __slots__ = ("_expects", "_lock", "_machine", "_traffic", "editing")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._expects = False
        """Whether the lists were read in an earlier session, so that the user relies on them."""
        self._machine = pl.PrivacyLists()
        self._lock = asyncio.Lock()
        """Held by the running operation: the machine knows one at a time."""
        self.editing = asyncio.Lock()

    @property
    def default(self) -> str | None:
        """The list in force, as far as known."""
        return self._machine.default

    async def names(self) -> tuple[str, ...]:
        """Request the names of all lists, and which one is in force."""
        query = await self._ask(PrivacyQuery(), "asking for the privacy lists")
        # CX-26: `active` and `default` repeat the name of a list.
        names = tuple(entry.name for entry in query.lists)
        default = None if query.default is None else query.default.name
        if self._machine.state in (pl.State.UNKNOWN, pl.State.IDLE):
            self._machine.handle(pl.Listed(names=frozenset(names), default=default))
        return names

    async def items(self, name: str) -> tuple[PrivacyItem, ...]:
        """Request the items of a list, in their order."""
        query = await self._ask(PrivacyQuery(lists=(PrivacyList(name=name),)), f"reading the privacy list {name}")
        found = next((entry for entry in query.lists if entry.name == name), None)
        return () if found is None else tuple(sorted(found.items, key=lambda item: item.order))

    async def known_items(self, name: str) -> tuple[PrivacyItem, ...]:
        """Request the items of a list if it exists."""
        return await self.items(name) if name in self._machine.names else ()

    async def _ask(self, query: PrivacyQuery, what: str) -> PrivacyQuery:
        answer = await self._traffic.request(PrivacyRequest(id=self._traffic.ids.request(), query=query), what)
        return answer.query if isinstance(answer, PrivacyResult) else PrivacyQuery()

    # -- changing

    async def run(self, event: pl.Event, items: tuple[PrivacyItem, ...] = ()) -> None:
        """Run one operation: the machine decides on its requests, and on what to do when one is refused."""
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
                    # Lost, unanswered or cancelled: it is unknown what the server did, so the lists must be read again.
                    self._machine.handle(pl.Reset())
                    raise
                effects = self._machine.handle(answer)

    async def _write(self, effect: pl.Effect, items: tuple[PrivacyItem, ...]) -> None:
        what, query = WRITES[type(effect)](getattr(effect, "name", ""), items)
        await self._traffic.request(PrivacySet(id=self._traffic.ids.request(), query=query), what)

    # -- inbound

    def pushed(self, name: str) -> None:
        """Process a change of a list by any device."""
        self._machine.handle(pl.Pushed(name))
        self._traffic.bus.emit(events.PrivacyListChanged(name=name))

    async def restore(self) -> None:
        """Check whether the expected list is still in force."""
        # U-41: another device may have changed it meanwhile.
        if not self._expects:
            return
        expected = self.default
        await self.names()
        if self.default != expected:
            self._traffic.bus.emit(events.PrivacyListChanged(name=expected or self.default or ""))

    def lost(self) -> None:
        """Forget the lists: the session is gone."""
        self._expects = self._expects or self._machine.state is not pl.State.UNKNOWN
        self._machine.handle(pl.Reset())
        # A lock belongs to the event loop in which it was waited for, and the next session may be in another one.
        if not self._lock.locked():
            self._lock = asyncio.Lock()
        if not self.editing.locked():
            self.editing = asyncio.Lock()
