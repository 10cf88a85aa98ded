"""A new session after the old one is lost: what was there before is there again (U-36, U-41)."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.chat import (
    ContactPresence,
    MessageDelivered,
    MessageReceived,
    MessageSent,
    OccupantJoined,
    PrivacyListChanged,
    PrivacyRule,
    Reason,
    Reconnected,
    Reconnecting,
    StreamFailed,
)
from connectycube.rest import Dialog, DialogType
from tests.integration.chats import Person, Users, chat_of
from tests.integration.ejabberd import Ejabberd
from tests.integration.lines import (
    FAST,
    PLAIN,
    asked_of_platform,
    back,
    behind,
    bodies,
    forget,
    lose_session,
    play_platform,
    present,
    unplug,
    wait_body,
)
from tests.integration.support import eventually, run

ROOMS = ["5356c64ab35c12bd3b10ab01", "5356c64ab35c12bd3b10ab02"]


async def befriend(one: Person, other: Person) -> None:
    await one.chat.contacts.request(other.id)
    await eventually(lambda: one.id in other.chat.contacts.incoming)
    await other.chat.contacts.accept(one.id)
    await eventually(lambda: other.id in one.chat.contacts and one.id in other.chat.contacts)


def test_presence_and_contacts(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with behind(ejabberd, users()) as (person, proxy), present(ejabberd, users()) as (friend,):
            await befriend(person, friend)
            await person.chat.set_presence(status="busy", show="dnd")
            await friend.told.one(ContactPresence, lambda event: event.status == "busy")
            known = len(friend.told.of(ContactPresence))
            # While the chat is away the name of a contact is changed by another device.
            await unplug(person, proxy)
            await forget(ejabberd, person)
            async with chat_of(ejabberd, person.user, initial_presence=False) as device:
                await device.contacts.rename(friend.id, "Anna")
            await proxy.accept()
            assert await back(person, 1) is False
            told = await friend.told.all(ContactPresence, known + 2)
            assert [(event.online, event.status) for event in told[known:]] == [(False, None), (True, "busy")]
            await eventually(lambda: person.chat.contacts[friend.id].name == "Anna")
            await eventually(lambda: person.chat.contacts[friend.id].online)
            assert friend.chat.contacts[person.id].online

    run(main())


def test_carbons(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with behind(ejabberd, user) as (person, proxy), present(ejabberd, users()) as (other,):
            await lose_session(ejabberd, person, proxy)
            async with chat_of(ejabberd, user) as device:
                # Once the request after the furnishing is answered, carbons are on.
                await person.chat.send(other.id, "furnished")
                await device.send(other.id, "from another device")
                copy = await wait_body(person, "from another device")
                assert copy.message.carbon
                assert copy.message.sender_id == person.id

    run(main())


def test_rooms(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with behind(ejabberd, users()) as (person, proxy), present(ejabberd, users()) as (other,):
            for room in ROOMS:
                await person.chat.join(room)
                await other.chat.join(room)
            await person.told.all(OccupantJoined, 2)
            await lose_session(ejabberd, person, proxy)
            # It waits until the rooms are joined, without which it would be refused.
            await person.chat.send(ROOMS[1], "back again")
            await wait_body(other, "back again")
            for room in ROOMS:
                assert person.id in await other.chat.online_users(room)
            # Who was there before has not come.
            await other.chat.send(ROOMS[0], "welcome")
            await wait_body(person, "welcome")
            assert len(person.told.of(OccupantJoined)) == 2
            await person.chat.leave(ROOMS[0])
            await lose_session(ejabberd, person, proxy)
            await person.chat.send(ROOMS[1], "and once more")
            assert person.id not in await other.chat.online_users(ROOMS[0])

    run(main())


@pytest.mark.parametrize("place", [b"urn:xmpp:carbons", b"jabber:iq:roster", ROOMS[0].encode(), ROOMS[1].encode()])
@pytest.mark.parametrize("managed", [True, False])
def test_a_cut_while_the_session_is_furnished(ejabberd: Ejabberd, users: Users, place: bytes, managed: bool) -> None:
    async def main() -> None:
        options = {**PLAIN, "stream_management": managed}
        async with behind(ejabberd, users(), **options) as (person, proxy), present(ejabberd, users()) as (other,):
            for room in ROOMS:
                await person.chat.join(room)
                await other.chat.join(room)
            await unplug(person, proxy)
            await forget(ejabberd, person)
            sending = asyncio.ensure_future(person.chat.send(ROOMS[1], "at last"))
            fault = proxy.cut_when("up", place, include=False)
            await proxy.accept()
            await fault.happened()
            await sending
            assert [event.resumed for event in person.told.of(Reconnected)] == [False, managed]
            await wait_body(other, "at last")
            for room in ROOMS:
                assert person.id in await other.chat.online_users(room)
            assert bodies(other) == ["at last"]

    run(main())


def test_two_sessions_in_a_row_are_lost_while_they_are_furnished(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with behind(ejabberd, users(), **PLAIN) as (person, proxy), present(ejabberd, users()) as (other,):
            for room in ROOMS:
                await person.chat.join(room)
                await other.chat.join(room)
            for round in range(2):
                await unplug(person, proxy)
                await forget(ejabberd, person)
                held = proxy.cut_when("up", ROOMS[0].encode())
                await proxy.accept()
                await held.happened()
                assert len(person.told.of(Reconnected)) == round + 1
            await unplug(person, proxy)
            await forget(ejabberd, person)
            await proxy.accept()
            await person.chat.send(ROOMS[1], "at last")
            await wait_body(other, "at last")
            for room in ROOMS:
                assert person.id in await other.chat.online_users(room)

    run(main())


def test_client_state_and_status_streaming(ejabberd: Ejabberd, users: Users) -> None:
    play_platform(ejabberd)

    async def main() -> None:
        async with behind(ejabberd, users()) as (person, proxy):
            one, other = users(), users()
            await person.chat.set_inactive()
            await person.chat.subscribe_last_activity(one.id)
            await person.chat.subscribe_last_activity(other.id)
            await person.chat.unsubscribe_last_activity(one.id)
            assert len(asked_of_platform(ejabberd, person.user)) == 4
            await lose_session(ejabberd, person, proxy)
            await person.chat.send(other.id, "furnished")
            again = asked_of_platform(ejabberd, person.user)[4:]
            assert len(again) == 2
            assert sorted("mobile" in xml for xml in again) == [False, True]
            assert any(other.jid in xml and "enable='true'" in xml for xml in again)
            await person.chat.set_active()
            await lose_session(ejabberd, person, proxy)
            await person.chat.send(other.id, "furnished")
            last = asked_of_platform(ejabberd, person.user)[7:]
            assert len(last) == 1
            assert other.jid in last[0]

    run(main())


@pytest.mark.parametrize("changed", [True, False])
def test_the_privacy_list_in_force_is_looked_at(ejabberd: Ejabberd, users: Users, changed: bool) -> None:
    async def main() -> None:
        async with behind(ejabberd, users()) as (person, proxy):
            await person.chat.privacy.set("spam", [PrivacyRule(users().id)])
            await person.chat.privacy.activate("spam")
            await person.chat.send(person.id, "pushes are in")
            known = len(person.told.of(PrivacyListChanged))
            await unplug(person, proxy)
            await forget(ejabberd, person)
            if changed:
                async with chat_of(ejabberd, person.user, initial_presence=False) as device:
                    await device.privacy.deactivate()
            await proxy.accept()
            await back(person, 1)
            await person.chat.send(person.id, "furnished")
            assert [event.name for event in person.told.of(PrivacyListChanged)[known:]] == ["spam"] * changed
            assert person.chat.privacy.default == (None if changed else "spam")

    run(main())


def test_what_was_not_acknowledged_is_sent_again_with_its_id(ejabberd: Ejabberd, users: Users) -> None:
    """The server has got the messages and delivered them, only its acknowledgement is lost, and the session too."""

    async def main() -> None:
        async with behind(ejabberd, users()) as (sender, proxy), present(ejabberd, users()) as (reader,):
            proxy.stall("down")
            sending = [asyncio.ensure_future(sender.chat.send(reader.id, f"{number}")) for number in range(20)]
            await reader.told.all(MessageReceived, 20)
            assert not any(task.done() for task in sending)
            await unplug(sender, proxy)
            proxy.resume()
            await forget(ejabberd, sender)
            await proxy.accept()
            sent = await asyncio.gather(*sending)
            assert await back(sender, 1) is False
            await sender.caught_up(reader)
            assert bodies(reader) == [f"{number}" for number in range(20)]
            ids = [message.id for message in sent]
            assert [event.message.id for event in reader.told.of(MessageReceived)] == ids
            assert [event.message.id for event in sender.told.of(MessageSent)] == ids

    run(main())


def test_a_repeat_in_a_group_is_dropped_too(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with behind(ejabberd, users()) as (sender, proxy), present(ejabberd, users()) as (reader,):
            await sender.chat.join(ROOMS[0])
            await reader.chat.join(ROOMS[0])
            proxy.stall("down")
            sending = asyncio.ensure_future(sender.chat.send(ROOMS[0], "once"))
            await wait_body(reader, "once")
            await unplug(sender, proxy)
            proxy.resume()
            await forget(ejabberd, sender)
            await proxy.accept()
            await sending
            await sender.caught_up(reader)
            assert bodies(reader) == ["once"]
            assert bodies(sender) == []

    run(main())


def test_delivered_marks_are_not_lost_with_a_session(ejabberd: Ejabberd, users: Users) -> None:
    """A mark that the server has not got goes out again in the next session."""

    async def main() -> None:
        options = {"mark_delivered": "always"}
        async with behind(ejabberd, users(), **options) as (reader, proxy), present(ejabberd, users()) as (sender,):
            proxy.stall("up")
            held = proxy.received["up"]
            dialog = Dialog(id=ROOMS[0], type=DialogType.PRIVATE, occupants_ids=[sender.id, reader.id])
            sent = await sender.chat.send(dialog, "with a dialog")
            await wait_body(reader, "with a dialog")
            await proxy.until(lambda: proxy.received["up"] > held)
            await unplug(reader, proxy)
            proxy.resume()
            await forget(ejabberd, reader)
            await proxy.accept()
            assert await back(reader, 1) is False
            mark = await sender.told.one(MessageDelivered)
            assert (mark.message_id, mark.user_id) == (sent.id, reader.id)
            await reader.caught_up(sender)
            assert len(sender.told.of(MessageDelivered)) == 1

    run(main())


def test_a_new_beginning_is_without_what_was_restored(ejabberd: Ejabberd, users: Users) -> None:
    """Rooms and the like are kept over reconnects, not over `disconnect`."""
    play_platform(ejabberd)

    async def main() -> None:
        async with behind(ejabberd, users()) as (person, proxy), present(ejabberd, users()) as (other,):
            await other.chat.join(ROOMS[0])
            await person.chat.join(ROOMS[0])
            await person.chat.set_inactive()
            await person.chat.subscribe_last_activity(other.id)
            await person.chat.disconnect()
            await person.chat.connect()
            assert await other.chat.online_users(ROOMS[0]) == (other.id,)
            await lose_session(ejabberd, person, proxy)
            await person.chat.send(other.id, "furnished")
            assert await other.chat.online_users(ROOMS[0]) == (other.id,)
            assert len(asked_of_platform(ejabberd, person.user)) == 2
            # Who was there before has not come.
            await person.chat.join(ROOMS[0])
            await other.caught_up(person)
            assert person.told.of(OccupantJoined) == []

    run(main())


# A server that goes


@pytest.mark.parametrize("hard", [True, False])
def test_a_server_goes_and_comes_back(ejabberd: Ejabberd, users: Users, hard: bool) -> None:
    async def main() -> None:
        async with present(ejabberd, users(), users(), backoff=FAST) as (one, other):
            if hard:
                await asyncio.to_thread(ejabberd.stop_hard)
                await one.told.one(Reconnecting)
                await other.told.one(Reconnecting)
                sending = asyncio.ensure_future(one.chat.send(other.id, "meanwhile"))
                await asyncio.to_thread(ejabberd.start)
            else:
                restarting = asyncio.ensure_future(asyncio.to_thread(ejabberd.restart))
                waits = await one.told.one(Reconnecting)
                # A node in a hurry closes the connection before its last words are out.
                said = [event.condition for event in one.told.of(StreamFailed)]
                assert (waits.error.reason, said) in (
                    (Reason.STREAM, ["system-shutdown"]),
                    (Reason.NETWORK, []),
                )
                assert waits.error.condition == "".join(said)
                sending = asyncio.ensure_future(one.chat.send(other.id, "meanwhile"))
                await restarting
            assert await back(one, 1) is False
            assert await back(other, 1) is False
            await sending
            await wait_body(other, "meanwhile")
            await other.chat.send(one.id, "afterwards")
            await wait_body(one, "afterwards")
            assert bodies(other) == ["meanwhile"]

    run(main(), timeout=120)
