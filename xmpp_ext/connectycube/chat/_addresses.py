"""From addresses to ids (3.1 of the facts). A chat sees the same few addresses again and again."""

from __future__ import annotations

from functools import lru_cache

from connectycube.stanzas import JIDError, OccupantJID, RoomJID, UserJID

__all__ = ["bare", "room_of", "user_of"]


def bare(jid: str) -> str:
    """An address without its resource."""
    return jid.partition("/")[0]


@lru_cache(maxsize=4096)
def user_of(jid: str | None) -> int | None:
    """The user's id, `None` where the address is no user's."""
    if jid is None:
        return None
    try:
        return UserJID.parse(jid).user_id
    except JIDError:
        return None


@lru_cache(maxsize=4096)
def room_of(jid: str | None) -> tuple[str, int | None] | None:
    """Dialog and occupant of a room's address, `None` where it is no room's."""
    if jid is None:
        return None
    try:
        if "/" in jid:
            occupant = OccupantJID.parse(jid)
            return occupant.room.dialog_id, occupant.user_id
        return RoomJID.parse(jid).dialog_id, None
    except JIDError:
        return None
