"""`Chat`: the blocking counterpart of `AsyncChat`, with a thread of its own."""

from .client import Chat
from .contacts import BlockingContacts
from .privacy import BlockingPrivacy
from .workers import BlockingEventStream

__all__ = ["BlockingContacts", "BlockingEventStream", "BlockingPrivacy", "Chat"]
