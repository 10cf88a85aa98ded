"""The sandbox's domain, assembled. REST, the chat and tests reach its parts through here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .addresses import Addresses
from .bus import Bus, Emptied
from .clock import Clock
from .config import Settings
from .domain.accounts import Accounts
from .domain.address_book import AddressBook
from .domain.chat import ChatRules
from .domain.contacts import Contacts
from .domain.dialogs import Dialogs
from .domain.files import Files
from .domain.meetings import Meetings
from .domain.messages import Messages
from .domain.presence import Presence
from .domain.privacy import Privacy
from .domain.push import Push
from .domain.records import Records
from .domain.search import Search
from .domain.sessions import Sessions
from .domain.statistics import Statistics
from .domain.whiteboards import Whiteboards
from .faults import Faults
from .ids import ObjectIds
from .journal import Journal
from .storage import Database

__all__ = ["Core"]


class Core:
    """One application of the platform, as its built parts; no part of the domain knows this class.

    It belongs to the sandbox's loop, except for the journal and the faults, which any thread may use.

    :param data: file to keep everything in. Without one, everything is in memory.
    :ivar loaded: called when a part of the sandbox that is loaded lazily is ready.
    :ivar failed: called when such a part can't start, which ends the sandbox.
    :raises DataFileError: if the file can't be used.
    """

    def __init__(self, settings: Settings | None = None, data: str | Path | None = None) -> None:
        self.settings = settings = settings or Settings()
        self.loaded: Callable[[], None] = lambda: None
        self.failed: Callable[[Exception], None] = lambda error: None
        self.clock = clock = Clock()
        self.ids = ids = ObjectIds(clock)
        self.db = db = Database(data)
        self.bus = bus = Bus()
        self.faults = Faults()
        self.journal = Journal(clock)
        self.addresses = addresses = Addresses(settings)
        # Each part takes only parts built before it: a contract in pyproject.toml holds them to that order.
        self.accounts = accounts = Accounts(db=db, clock=clock, ids=ids, bus=bus, settings=settings)
        self.sessions = sessions = Sessions(db=db, clock=clock, settings=settings, accounts=accounts)
        self.presence = presence = Presence(db=db, clock=clock, accounts=accounts)
        self.push = Push(db=db, clock=clock, settings=settings, accounts=accounts)
        self.records = Records(db=db, clock=clock, ids=ids, accounts=accounts)
        self.address_book = AddressBook(db=db, accounts=accounts)
        self.contacts = contacts = Contacts(db=db, settings=settings)
        self.privacy = privacy = Privacy(db=db, addresses=addresses, contacts=contacts, presence=presence)
        self.dialogs = dialogs = Dialogs(db=db, clock=clock, ids=ids, bus=bus, settings=settings, accounts=accounts)
        self.messages = messages = Messages(
            db=db, clock=clock, ids=ids, bus=bus, settings=settings, accounts=accounts, privacy=privacy, dialogs=dialogs
        )
        self.meetings = Meetings(db=db, clock=clock, ids=ids, accounts=accounts, dialogs=dialogs)
        self.whiteboards = Whiteboards(db=db, clock=clock, ids=ids, settings=settings, dialogs=dialogs)
        self.chat = ChatRules(
            clock=clock,
            ids=ids,
            settings=settings,
            accounts=accounts,
            sessions=sessions,
            dialogs=dialogs,
            messages=messages,
        )
        self.search = Search(db=db, dialogs=dialogs)
        self.statistics = Statistics(db=db)
        self.files = Files(db=db, clock=clock, settings=settings)

    def reset(self) -> None:
        """Return to an empty application: no data, faults or journal, real time, and no chat connections."""
        self.bus.publish(Emptied())
        self.db.clear()
        self.presence.reset()
        self.privacy.reset()
        self.faults.clear()
        self.journal.clear()
        self.clock.reset()

    def close(self) -> None:
        """Close the data file."""
        self.db.close()
