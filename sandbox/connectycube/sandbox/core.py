"""The sandbox without its wires: store, clock, rules, journal, faults. REST and chat are two ways in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
    """One application of the platform.

    It belongs to one thread, the sandbox's loop, save for journal and faults, which any thread may use.

    :param data: file to keep everything in; in memory without.
    :ivar loaded: called when a part of the sandbox that is loaded late is there.
    :ivar failed: called when such a part can't be started, which ends the sandbox.
    :raises DataFileError: if the file can't be used.
    """

    def __init__(self, settings: Settings | None = None, data: str | Path | None = None) -> None:
        self.settings = settings or Settings()
        self.loaded: Callable[[], None] = lambda: None
        self.failed: Callable[[Exception], None] = lambda error: None
        self.clock = Clock()
        self.ids = ObjectIds(self.clock)
        self.db = Database(data)
        self.bus = Bus()
        self.faults = Faults()
        self.journal = Journal(self.clock)
        self.accounts = Accounts(self)
        self.sessions = Sessions(self)
        self.presence = Presence(self)
        self.dialogs = Dialogs(self)
        self.messages = Messages(self)
        self.contacts = Contacts(self)
        self.privacy = Privacy(self)
        self.chat = ChatRules(self)
        self.search = Search(self)
        self.files = Files(self)
        self.push = Push(self)
        self.address_book = AddressBook(self)
        self.records = Records(self)
        self.meetings = Meetings(self)
        self.whiteboards = Whiteboards(self)
        self.statistics = Statistics(self)

    def reset(self) -> None:
        """As new: no data, no faults, no journal, the system's time. Chat connections are dropped."""
        self.bus.publish(Emptied())
        self.db.clear()
        self.presence.reset()
        self.faults.clear()
        self.journal.clear()
        self.clock.reset()

    def close(self) -> None:
        """Let go of the data file."""
        self.db.close()
