"""The sandbox's domain, assembled. REST, the chat and tests reach its parts through here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .addresses import Addresses
from .bus import Bus, Emptied
from .clock import Clock
from .config import Keys, Settings
from .domain.accounts import Accounts
from .domain.address_book import AddressBook
from .domain.alerts import Alerts
from .domain.chat import ChatRules
from .domain.contacts import Contacts
from .domain.dialogs import Dialogs
from .domain.files import Files
from .domain.meetings import Meetings
from .domain.messages import Messages
from .domain.presence import Presence
from .domain.privacy import Privacy
from .domain.push import Push
from .domain.recordings import Recordings
from .domain.records import Records
from .domain.search import Search
from .domain.sessions import Sessions
from .domain.statistics import Statistics
from .domain.whiteboards import Whiteboards
from .faults import Faults
from .ids import ObjectIds
from .journal import Journal
from .outside import Outside
from .storage import Database

__all__ = ["Core"]


class Core:
    """One application of the platform, as its built parts; no part of the domain knows this class.

    It belongs to the sandbox's loop, except for the journal and the faults, which any thread may use.

    :param data: file to keep everything in. Without one, everything is in memory.
    :ivar loaded: called when a part of the sandbox that is loaded lazily is ready.
    :ivar endpoints: returns what clients need to connect; may be called on any thread.
    :ivar failed: called when such a part can't start, which ends the sandbox.
    :raises DataFileError: if the file can't be used.
    """

    def __init__(self, settings: Settings | None = None, data: str | Path | None = None) -> None:
        self.loaded: Callable[[], None] = lambda: None
        self.endpoints: Callable[[], Mapping[str, object]] = dict
        self.failed: Callable[[Exception], None] = lambda error: None
        self.clock = clock = Clock()
        self.ids = ids = ObjectIds(clock)
        self.db = db = Database(data)
        self.settings = settings = _with_keys(db, settings or Settings())
        self.bus = bus = Bus()
        self.faults = Faults()
        self.journal = journal = Journal(clock)
        self.outside = Outside(journal)
        self.addresses = addresses = Addresses(settings)
        # Each part takes only parts built before it: a contract in pyproject.toml holds them to that order.
        self.accounts = accounts = Accounts(db, clock, ids, bus, settings)
        self.sessions = sessions = Sessions(db, clock, settings, accounts)
        self.presence = presence = Presence(db, clock, accounts)
        self.push = push = Push(db, clock, settings, accounts, journal)
        self.records = Records(db, clock, ids, accounts)
        self.address_book = AddressBook(db, accounts)
        self.contacts = contacts = Contacts(db, settings)
        self.privacy = privacy = Privacy(db, addresses, contacts, presence)
        self.dialogs = dialogs = Dialogs(db, clock, ids, bus, settings, accounts)
        alerts = Alerts(settings, accounts, presence, push, dialogs)
        self.messages = messages = Messages(db, clock, ids, bus, settings, accounts, privacy, dialogs, alerts)
        self.meetings = meetings = Meetings(db, clock, ids, accounts, dialogs)
        self.whiteboards = Whiteboards(db, clock, ids, settings, dialogs)
        self.chat = ChatRules(clock, ids, bus, settings, accounts, sessions, dialogs, messages, alerts)
        self.search = Search(db, dialogs)
        self.statistics = Statistics(db)
        self.files = files = Files(db, clock, settings)
        self.recordings = Recordings(db, clock, ids, meetings, files)

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


def _with_keys(db: Database, settings: Settings) -> Settings:
    """Return the settings with the keys that the data file keeps, and keep those in use for the next start."""
    kept = db.find(Keys, "SELECT * FROM keys")
    settings = settings if kept is None else settings.with_kept(kept)
    used = Keys(app_id=settings.app_id, auth_key=settings.auth_key, admin_key=settings.admin_key)
    if used != kept:
        with db.transaction():
            db.run("DELETE FROM keys")
            db.insert("keys", app_id=used.app_id, auth_key=used.auth_key, admin_key=used.admin_key)
    return settings
