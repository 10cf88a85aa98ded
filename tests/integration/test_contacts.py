"""The contact list: asking, accepting, rejecting, removing, renaming; every device sees each change once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectycube.chat import (
    Contact,
    ContactAccepted,
    ContactRejected,
    ContactRequested,
    ContactsChanged,
    Event,
    Subscription,
)
from connectycube.rest import InvalidArgument
from tests.integration.chats import Person, Users, people, perhaps
from tests.integration.server import Server
from tests.integration.support import eventually, run

ANSWERS = (ContactRequested, ContactAccepted, ContactRejected)


def answers(person: Person) -> list[Event]:
    """What was told of requests."""
    return [event for event in person.told.seen.items if isinstance(event, ANSWERS)]


async def both_caught_up(one: Person, other: Person) -> None:
    """All that either has caused is told to both."""
    for _ in range(2):
        await one.caught_up(other)
        await other.caught_up(one)


async def befriend(one: Person, other: Person) -> None:
    await one.chat.contacts.request(other.id)
    await other.told.one(ContactRequested, lambda event: event.user_id == one.id)
    await other.chat.contacts.accept(one.id)
    await eventually(lambda: subscription(one, other) == subscription(other, one) == Subscription.BOTH)


def subscription(one: Person, other: Person) -> Subscription | None:
    contact = one.chat.contacts.get(other.id)
    return None if contact is None else contact.subscription


def test_accept_request(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            mine, theirs = one.chat.contacts, other.chat.contacts
            await mine.request(other.id, name="Zoë <z>")
            assert (dict(mine), mine.outgoing, mine.incoming) == ({}, (other.id,), ())
            assert await other.told.one(ContactRequested) == ContactRequested(user_id=one.id)
            assert (dict(theirs), theirs.outgoing, theirs.incoming) == ({}, (), (one.id,))
            await theirs.accept(one.id)
            assert await one.told.one(ContactAccepted) == ContactAccepted(user_id=other.id)
            await eventually(lambda: subscription(one, other) == subscription(other, one) == Subscription.BOTH)
            await both_caught_up(one, other)
            # The request in return is accepted silently on either side (facts 3.5).
            assert answers(one) == [ContactAccepted(user_id=other.id)]
            assert answers(other) == [ContactRequested(user_id=one.id)]
            assert dict(mine) == {
                other.id: Contact(
                    user_id=other.id, name="Zoë <z>", subscription=Subscription.BOTH, online=True, status=None
                )
            }
            assert list(theirs) == [one.id]
            assert theirs[one.id].name is None
            assert (mine.incoming, mine.outgoing, theirs.incoming, theirs.outgoing) == ((), (), (), ())
            assert {event.user_ids for event in one.told.of(ContactsChanged)} == {(other.id,)}
            assert {event.user_ids for event in other.told.of(ContactsChanged)} == {(one.id,)}

    run(main())


def test_accept_request_one_way(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await one.chat.contacts.request(other.id)
            await other.told.one(ContactRequested)
            await other.chat.contacts.accept(one.id, mutual=False)
            await one.told.one(ContactAccepted)
            await both_caught_up(one, other)
            assert subscription(one, other) is Subscription.TO
            assert subscription(other, one) is Subscription.FROM
            assert answers(other) == [ContactRequested(user_id=one.id)]
            # What was accepted can be taken back.
            await other.chat.contacts.reject(one.id)
            await one.told.one(ContactRejected)
            await both_caught_up(one, other)
            assert answers(one) == [ContactAccepted(user_id=other.id), ContactRejected(user_id=other.id)]
            assert (dict(one.chat.contacts), dict(other.chat.contacts)) == ({}, {})

    run(main())


def test_reject_request(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            for times in (1, 2):
                await one.chat.contacts.request(other.id)
                await other.told.all(ContactRequested, times)
                await other.chat.contacts.reject(one.id)
                await one.told.all(ContactRejected, times)
                await both_caught_up(one, other)
                assert answers(one) == [ContactRejected(user_id=other.id)] * times
                assert answers(other) == [ContactRequested(user_id=one.id)] * times
                for person in (one, other):
                    contacts = person.chat.contacts
                    assert (dict(contacts), contacts.incoming, contacts.outgoing) == ({}, (), ())

    run(main())


def test_withdraw_request(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await one.chat.contacts.request(other.id)
            await other.told.one(ContactRequested)
            await one.chat.contacts.remove(other.id)
            await both_caught_up(one, other)
            assert one.chat.contacts.outgoing == ()
            assert answers(one) == []
            # This server does not tell it to who is online, but says the request no more.
            async with people(server, other.user) as (again,):
                await one.caught_up(again)
                assert again.chat.contacts.incoming == ()
                assert answers(again) == []

    run(main())


def test_simultaneous_requests(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await asyncio.gather(one.chat.contacts.request(other.id), other.chat.contacts.request(one.id))
            await one.told.one(ContactRequested)
            await other.told.one(ContactRequested)
            await one.chat.contacts.accept(other.id)
            await other.told.one(ContactAccepted)
            await other.chat.contacts.accept(one.id)
            await one.told.one(ContactAccepted)
            await both_caught_up(one, other)
            assert subscription(one, other) == subscription(other, one) == Subscription.BOTH
            for person, peer in ((one, other), (other, one)):
                assert answers(person) == [ContactRequested(user_id=peer.id), ContactAccepted(user_id=peer.id)]

    run(main())


def test_remove_contact_on_both_sides(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await befriend(one, other)
            await one.chat.contacts.remove(other.id)
            await both_caught_up(one, other)
            assert (dict(one.chat.contacts), dict(other.chat.contacts)) == ({}, {})
            assert answers(one) == [ContactAccepted(user_id=other.id)]
            assert other.told.of(ContactRejected) == [ContactRejected(user_id=one.id)]
            # And become contacts again.
            await other.chat.contacts.request(one.id)
            await one.told.one(ContactRequested)
            await one.chat.contacts.accept(other.id)
            await eventually(lambda: subscription(one, other) == subscription(other, one) == Subscription.BOTH)

    run(main())


def test_rename_contact(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, users(), user) as (one, other, phone):
            await befriend(one, other)
            for name in ("Bob <b> & co", "Robert", None):
                before = len(phone.told.of(ContactsChanged)), len(one.told.of(ContactsChanged))
                await one.chat.contacts.rename(other.id, name)
                for device, count in zip((phone, one), before, strict=True):
                    changes = await device.told.all(ContactsChanged, count + 1)
                    assert changes[-1] == ContactsChanged(user_ids=(other.id,))
                    assert device.chat.contacts[other.id].name == name
                    assert device.chat.contacts[other.id].subscription is Subscription.BOTH
            # To give the same name again changes nothing.
            count = len(one.told.of(ContactsChanged))
            await one.chat.contacts.rename(other.id, None)
            await other.caught_up(one)
            assert len(one.told.of(ContactsChanged)) == count
            assert subscription(other, one) is Subscription.BOTH

    run(main())


def test_load_contact_list(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, users(), users()) as (friend, asked):
            async with people(server, user) as (one,):
                await befriend(one, friend)
                await one.chat.contacts.rename(friend.id, "Friend")
                await one.chat.contacts.request(asked.id)
            async with people(server, user) as (one,):
                assert one.chat.contacts[friend.id].name == "Friend"
                assert list(one.chat.contacts) == [friend.id]
                assert one.chat.contacts.outgoing == (asked.id,)
                assert answers(one) == []
            async with people(server, user, roster=False) as (one,):
                assert dict(one.chat.contacts) == {}

    run(main())


def test_offline_changes_arrive_on_return(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, asks, accepts):
            await one.chat.contacts.request(accepts.id)
            await accepts.told.one(ContactRequested)
            await one.chat.disconnect()
            await accepts.chat.contacts.accept(one.id)
            await asks.chat.contacts.request(one.id)
            await one.chat.connect()
            assert await one.told.one(ContactRequested) == ContactRequested(user_id=asks.id)
            await eventually(lambda: subscription(one, accepts) == subscription(accepts, one) == Subscription.BOTH)
            assert ContactsChanged(user_ids=(accepts.id,)) in one.told.of(ContactsChanged)
            # The server repeats the request in each session until it is answered; it is reported once.
            await one.chat.disconnect()
            await one.chat.connect()
            await asks.caught_up(one)
            assert one.told.of(ContactRequested) == [ContactRequested(user_id=asks.id)]
            assert one.chat.contacts.incoming == (asks.id,)

    run(main())


def test_second_device_receives_changes(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user, users(), users()) as (desk, phone, other, third):
            await other.chat.contacts.request(user.id)
            for device in (desk, phone):
                assert await device.told.one(ContactRequested) == ContactRequested(user_id=other.id)
            await desk.chat.contacts.accept(other.id)
            await eventually(lambda: subscription(phone, other) == subscription(desk, other) == Subscription.BOTH)
            await desk.chat.contacts.request(third.id)
            await eventually(lambda: phone.chat.contacts.outgoing == (third.id,))
            await third.told.one(ContactRequested)
            await third.chat.contacts.accept(user.id)
            for device in (desk, phone):
                await device.told.one(ContactAccepted, lambda event: event.user_id == third.id)
            await eventually(lambda: len(phone.chat.contacts) == len(desk.chat.contacts) == 2)
            for device in (desk, phone):
                assert device.chat.contacts.incoming == device.chat.contacts.outgoing == ()
                for peer in (other, third):
                    await both_caught_up(peer, desk)
                assert len(device.told.of(ContactRequested)) == 1
                accepted = [event.user_id for event in device.told.of(ContactAccepted)]
                assert accepted == [third.id], "the request in return is no news on any device"
            await phone.chat.contacts.remove(other.id)
            await eventually(lambda: list(desk.chat.contacts) == [third.id])
            await both_caught_up(other, desk)
            assert not desk.told.of(ContactRejected)

    run(main())


def test_contact_list_limit(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users(), users()) as (one, *others):
            contacts = one.chat.contacts
            assert contacts.limit == 300
            contacts.limit = 2
            await befriend(one, others[0])
            await contacts.request(others[1].id)
            for _ in range(2):
                with pytest.raises(InvalidArgument, match="at most"):
                    await contacts.request(others[2].id)
            # Who is in the list already is asked again.
            await contacts.request(others[0].id)
            await contacts.request(others[1].id)
            await contacts.remove(others[1].id)
            await contacts.request(others[2].id)
            contacts.limit = None
            await contacts.request(others[1].id)
            await both_caught_up(one, others[1])
            assert set(contacts.outgoing) == {others[1].id, others[2].id}

    run(main())


@pytest.mark.parametrize(
    ("method", "arguments", "problem"),
    [
        ("request", (), "own"),
        ("accept", (1,), "has not sent"),
        ("reject", (1,), "has not sent"),
        ("rename", (1, "x"), "not a contact"),
    ],
)
def test_missing_contacts_are_rejected(
    server: Server, users: Users, method: str, arguments: tuple[Any, ...], problem: str
) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            with pytest.raises(InvalidArgument, match=problem):
                await getattr(one.chat.contacts, method)(*arguments or (one.id,))
            with perhaps("item-not-found"):
                await one.chat.contacts.remove(1)
            assert dict(one.chat.contacts) == {}
            assert one.chat.online

    run(main())
