"""The state machines of a chat session, without a network, a clock or chance.

Each module is one machine: `State`, the classes of its events and effects, `TABLE`, and one class with
`handle(event) -> tuple[Effect, ...]`. The state and the variables change first; then the caller carries out the effects
in their order. What `TABLE` doesn't define raises `UndefinedTransition` and changes nothing.
"""

from . import connection, contact_list, privacy_lists, stream_management
from ._machine import UndefinedTransition

__all__ = ["UndefinedTransition", "connection", "contact_list", "privacy_lists", "stream_management"]
