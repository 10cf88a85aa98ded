"""Who is online: contacts, status texts, last activity, pings, and what the platform has but this server has not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from connectycube.chat import (
    AsyncChat,
    ContactPresence,
    ContactsChanged,
    LastActivityChanged,
    NotConnected,
    RequestRefused,
    RequestUnanswered,
    Subscription,
)
from tests.integration.chats import Person, Told, Users, chat_of, people
from tests.integration.ejabberd import Ejabberd
from tests.integration.server import Server, User
from tests.integration.support import eventually, run
from tests.integration.test_contacts import befriend


def presences(person: Person) -> list[ContactPresence]:
    return person.told.of(ContactPresence)


async def friends(server: Server, users: Users) -> tuple[User, User]:
    """Two users who are contacts of each other."""
    async with people(server, users(), users()) as (one, other):
        await befriend(one, other)
        return one.user, other.user


def online(user: User, status: str | None = None) -> ContactPresence:
    return ContactPresence(user_id=user.id, online=True, status=status)


def offline(user: User) -> ContactPresence:
    return ContactPresence(user_id=user.id, online=False, status=None)


def test_contact_goes_online_and_offline(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine) as (one,):
            contact = one.chat.contacts[theirs.id]
            assert (contact.online, contact.status, contact.subscription) == (False, None, Subscription.BOTH)
            for times in (1, 2):
                async with people(server, theirs) as (other,):
                    await one.told.all(ContactPresence, times * 2 - 1)
                    assert one.chat.contacts[theirs.id].online
                    # And who comes sees who is there.
                    assert await other.told.one(ContactPresence) == online(mine)
                    assert other.chat.contacts[mine.id].online
                await one.told.all(ContactPresence, times * 2)
                assert not one.chat.contacts[theirs.id].online
            await one.chat.ping()
            assert presences(one) == [online(theirs), offline(theirs)] * 2
            assert not one.told.of(ContactsChanged)[1:]

    run(main())


def test_status_is_reported(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine, theirs) as (one, other):
            await one.told.one(ContactPresence)
            await other.chat.set_presence(status="at <lunch> & back", show="away")
            await one.told.all(ContactPresence, 2)
            assert one.chat.contacts[theirs.id].status == "at <lunch> & back"
            await other.chat.set_presence()
            await one.told.all(ContactPresence, 3)
            assert one.chat.contacts[theirs.id].status is None
            await other.caught_up(one)
            assert presences(one) == [online(theirs), online(theirs, "at <lunch> & back"), online(theirs)]

    run(main())


def test_contact_is_online_until_the_last_device_leaves(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine) as (one,):
            async with people(server, theirs):
                async with people(server, theirs):
                    await one.told.all(ContactPresence, 2)
                # One device goes, and the other says that it is still here.
                await one.told.all(ContactPresence, 4)
                assert one.chat.contacts[theirs.id].online
            await one.told.all(ContactPresence, 5)
            assert not one.chat.contacts[theirs.id].online
            assert presences(one) == [online(theirs)] * 4 + [offline(theirs)]

    run(main())


def test_strangers_and_former_contacts_see_no_presence(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, stranger):
            await befriend(one, other)
            await one.told.one(ContactPresence)
            await other.told.one(ContactPresence)
            count = len(presences(one))
            await stranger.chat.set_presence(status="unseen")
            await stranger.caught_up(one)
            assert len(presences(one)) == count
            await other.chat.contacts.remove(one.id)
            await eventually(lambda: not one.chat.contacts)
            count = len(presences(one))
            await other.chat.set_presence(status="unseen")
            await other.caught_up(one)
            assert presences(one)[count:] == []

    run(main())


def test_nobody_is_online_while_offline(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine, theirs) as (one, other):
            await one.told.one(ContactPresence)
            await one.chat.disconnect()
            assert not one.chat.contacts[theirs.id].online
            await one.chat.connect()
            await one.told.all(ContactPresence, 2)
            assert one.chat.contacts[theirs.id].online
            assert other.chat.online

    run(main())


def test_users_without_presence_are_not_seen(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine) as (one,), people(server, theirs, initial_presence=False) as (shy,):
            await shy.chat.send(mine.id, "psst")
            await shy.caught_up(one)
            assert presences(one) == []
            await shy.chat.set_presence(status="here")
            assert await one.told.one(ContactPresence) == online(theirs, "here")

    run(main())


# Last activity


def test_last_activity(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine) as (one,):
            assert 0 <= await one.chat.last_activity(theirs.id) < 60
            async with people(server, theirs):
                await one.told.one(ContactPresence)
                assert await one.chat.last_activity(theirs.id) == 0
            assert await one.chat.last_activity(mine.id) == 0
            assert not one.told.of(LastActivityChanged)
            # The platform tells it of everybody who was ever there (K-49), ejabberd of contacts.
            with pytest.raises(RequestRefused) as refused:
                await one.chat.last_activity(users().id)
            assert refused.value.condition in ("item-not-found", "forbidden", "subscription-required")

    run(main())


def test_unsupported_feature_is_a_typed_error(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(ejabberd, users)
        async with people(ejabberd, mine) as (one,):
            for call in (one.chat.subscribe_last_activity, one.chat.unsubscribe_last_activity):
                with pytest.raises(RequestRefused) as refused:
                    await call(theirs.id)
                assert refused.value.condition == "service-unavailable"
                assert str(theirs.id) in str(refused.value)
            for state in (one.chat.set_inactive, one.chat.set_active):
                with pytest.raises(RequestRefused) as refused:
                    await state()
                assert refused.value.condition == "service-unavailable"
            assert one.chat.online

    run(main())


# Pings


def test_pings(server: Server, users: Users) -> None:
    async def main() -> None:
        mine, theirs = await friends(server, users)
        async with people(server, mine, theirs) as (one, other):
            assert 0 <= await one.chat.ping() < 60
            assert 0 <= await one.chat.ping(other.id) < 60
            times = await asyncio.gather(*(one.chat.ping() for _ in range(50)))
            assert len(times) == 50

    run(main())


def test_unanswered_ping(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            with pytest.raises(RequestUnanswered):
                await one.chat.ping(timeout=0)
            assert one.chat.online
            assert await one.chat.ping() >= 0

    run(main())


def test_calls_require_a_connection(server: Server, users: Users) -> None:
    async def main() -> None:
        chat: AsyncChat = chat_of(server, users())
        told = Told(chat)
        calls: list[Callable[[], Awaitable[object]]] = [
            chat.ping,
            chat.set_active,
            chat.set_inactive,
            chat.set_presence,
            lambda: chat.last_activity(5),
            lambda: chat.subscribe_last_activity(5),
            lambda: chat.unsubscribe_last_activity(5),
        ]
        for times in range(2):
            for call in calls:
                with pytest.raises(NotConnected):
                    await call()
            if times == 0:
                await chat.connect()
                await chat.disconnect()
        assert len(told.seen.items) == 2

    run(main())
