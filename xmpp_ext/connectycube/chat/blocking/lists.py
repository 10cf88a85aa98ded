"""`chat.contacts` and `chat.privacy` of `Chat`. Their words are those of `contacts` and `privacy`."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView

from .. import models
from ..features.contacts import Contacts
from ..features.privacy import Privacy
from ..models import PrivacyRule
from .thread import LoopThread

__all__ = ["BlockingContacts", "BlockingPrivacy"]


class BlockingContacts(Mapping[int, models.Contact]):
    """The contacts by user id: all users with whom there is a subscription on at least one side.

    The server keeps the list; it is loaded in each new session. Changes are told as `ContactsChanged`, whoever made
    them. Any thread may read it: what it iterates over is the list as it was at that moment.
    """

    def __init__(self, contacts: Contacts, loop: LoopThread) -> None:
        self._contacts = contacts
        self._loop = loop

    # -- reading

    def __getitem__(self, user_id: int) -> models.Contact:
        return self._loop.there(self._contacts.__getitem__, user_id)

    def __iter__(self) -> Iterator[int]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __repr__(self) -> str:
        return f"<BlockingContacts {list(self)}>"

    def items(self) -> ItemsView[int, models.Contact]:
        """User ids and contacts, as they are now."""
        return self._now().items()

    def values(self) -> ValuesView[models.Contact]:
        """The contacts, as they are now."""
        return self._now().values()

    def _now(self) -> dict[int, models.Contact]:
        return self._loop.there(dict, self._contacts)

    @property
    def limit(self) -> int | None:
        """How many contacts there may be, default 300; `None` for no limit (F-089)."""
        return self._contacts.limit

    @limit.setter
    def limit(self, value: int | None) -> None:
        self._contacts.limit = value

    @property
    def incoming(self) -> tuple[int, ...]:
        """Users who ask to be a contact and have no answer yet (F-087)."""
        return self._loop.there(lambda: self._contacts.incoming)

    @property
    def outgoing(self) -> tuple[int, ...]:
        """Users who were asked and have not answered yet (F-087)."""
        return self._loop.there(lambda: self._contacts.outgoing)

    # -- changing

    def request(self, user_id: int, *, name: str | None = None) -> None:
        """Ask a user to be a contact (F-088). The answer comes as `ContactAccepted` or `ContactRejected`.

        :param user_id: whom.
        :param name: a name for the list.
        :raises InvalidArgument: if it is oneself, or the list is full.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._contacts.request, user_id, name=name)

    def accept(self, user_id: int, *, mutual: bool = True) -> None:
        """Accept a user's request (F-091).

        :param user_id: who asked.
        :param mutual: ask that user in turn, so that each sees the other; the user's client accepts that silently.
        :raises InvalidArgument: if the user has not asked.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._contacts.accept, user_id, mutual=mutual)

    def reject(self, user_id: int) -> None:
        """Reject a user's request (F-093), or take an earlier acceptance back.

        :param user_id: who asked.
        :raises InvalidArgument: if the user has not asked and sees nothing.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._contacts.reject, user_id)

    def remove(self, user_id: int) -> None:
        """Remove a contact, or take a request back, on both sides (F-095).

        :param user_id: whom.
        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses, as where there is no such contact.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._contacts.remove, user_id)

    def rename(self, user_id: int, name: str | None) -> None:
        """Give a contact another name in the list (X-53).

        :param user_id: whom.
        :param name: the name; `None` for none.
        :raises InvalidArgument: if there is no such contact.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._contacts.rename, user_id, name)


class BlockingPrivacy:
    """Lists of users who may not write, or explicitly may. At most one list is in force: the default one.

    A list holds two items for each user, one for private dialogs and one for groups (facts 3.4).
    """

    def __init__(self, privacy: Privacy, loop: LoopThread) -> None:
        self._privacy = privacy
        self._loop = loop

    @property
    def default(self) -> str | None:
        """The list in force as far as it is known; `names` asks the server."""
        return self._privacy.default

    def names(self) -> tuple[str, ...]:
        """The names of all lists (F-106).

        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return self._loop.call(self._privacy.names)

    def get(self, name: str) -> tuple[PrivacyRule, ...]:
        """What a list says, one rule per user, in the order of the list (F-107).

        Items that concern no user of the platform are left out.

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is no such list (`item-not-found`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return self._loop.call(self._privacy.get, name)

    def set(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Make a list, or replace all of it (F-099). An empty one is deleted, as the platform does it (F-101).

        :param name: its name.
        :param rules: one per user; the last one counts where there are several.
        :raises InvalidArgument: if a user or the name is wrong.
        :raises RequestRefused: if the server refuses, such as `conflict` while another device uses the list.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.set, name, _here(rules))

    def update(self, name: str, rules: Iterable[PrivacyRule]) -> None:
        """Replace a list in the order that the platform wants: not in force, changed, in force again (F-104, F-105).

        A list that was not in force is not put in force.

        :param name: its name.
        :param rules: all of its rules, not only those that change.
        :raises InvalidArgument: if a user or the name is wrong.
        :raises RequestRefused: if the server refuses; the old list is in force again then, if it can be.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.update, name, _here(rules))

    def activate(self, name: str) -> None:
        """Put a list in force, as the default of all devices (F-103).

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is none of this name, or another device uses the present one (`conflict`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.activate, name)

    def deactivate(self) -> None:
        """Put no list in force (F-104).

        :raises RequestRefused: if another device uses the present one (`conflict`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.deactivate)

    def delete(self, name: str) -> None:
        """Delete a list; one that is in force is put out of force before (F-108).

        :raises InvalidArgument: if the name is empty.
        :raises RequestRefused: if there is none of this name, or another device uses it (`conflict`).
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.delete, name)

    def block(self, user_id: int, *, mutual: bool = False) -> None:
        """Block a user: in the list that is in force, else in one called `blocked`, which is put in force then.

        The user gets an error for private messages, and the messages in groups are not delivered (F-109).

        :param user_id: whom.
        :param mutual: one can't write to that user either (F-100).
        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.block, user_id, mutual=mutual)

    def unblock(self, user_id: int) -> None:
        """Take a user out of the list that is in force. Without one, or if the user is not in it, nothing happens.

        :raises InvalidArgument: if it is no user's id.
        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        self._loop.call(self._privacy.unblock, user_id)

    def blocked(self) -> tuple[int, ...]:
        """The users whom the list in force denies, ascending.

        :raises RequestRefused: if the server refuses.
        :raises RequestTimedOut: if the server does not answer in time.
        :raises NotConnected: if there is no connection, or it is lost before the answer.
        """
        return self._loop.call(self._privacy.blocked)


def _here(rules: Iterable[PrivacyRule]) -> Iterable[PrivacyRule]:
    """Run through them in the caller's thread, not in the loop's. What is no rules is refused there."""
    return tuple(rules) if isinstance(rules, Iterable) else rules
