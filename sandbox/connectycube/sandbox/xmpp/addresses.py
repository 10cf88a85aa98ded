"""JIDs, as the chat's parts import them."""

from ..addresses import Addresses, Jid

__all__ = ["Addresses", "Jid"]
