"""A local ConnectyCube for development and tests: REST and chat over one store.

It simulates what the platform documents, and answers 501 to the rest. It is not for production use.

Names are imported on first use, because pytest loads this package for its plugin at each start, even where the extra
`sandbox` is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from connectycube._extras import missing_extra

if TYPE_CHECKING:
    from ._sandbox import Sandbox as Sandbox
    from .clock import Clock as Clock
    from .config import Limits as Limits
    from .config import Settings as Settings
    from .faults import Faults as Faults
    from .identity import IdentityProvider as IdentityProvider
    from .journal import Entry as Entry
    from .journal import Exchange as Exchange
    from .journal import Journal as Journal
    from .journal import Outgoing as Outgoing
    from .journal import StanzaSeen as StanzaSeen
    from .seeding import SeedError as SeedError
    from .storage import DataFileError as DataFileError
    from .xmpp.late import ChatStartError as ChatStartError

__all__ = [
    "ChatStartError",
    "Clock",
    "DataFileError",
    "Entry",
    "Exchange",
    "Faults",
    "IdentityProvider",
    "Journal",
    "Limits",
    "Outgoing",
    "Sandbox",
    "SeedError",
    "Settings",
    "StanzaSeen",
]

_HOMES = {
    "ChatStartError": "xmpp.late",
    "Clock": "clock",
    "DataFileError": "storage",
    "Entry": "journal",
    "Exchange": "journal",
    "Faults": "faults",
    "IdentityProvider": "identity",
    "Journal": "journal",
    "Limits": "config",
    "Outgoing": "journal",
    "Sandbox": "_sandbox",
    "SeedError": "seeding",
    "Settings": "config",
    "StanzaSeen": "journal",
}


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{module}", __name__), name)
    except ModuleNotFoundError as error:
        raise missing_extra("sandbox", error) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
