"""A new session after the old one is lost: what was there before is there again (U-36, U-41)."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.chat import (
    ContactPresence,
    MessageDelivered,
    MessageReceived,
    MessageSent,
    MessageSentElsewhere,
    OccupantJoined,
    PrivacyListChanged,
    PrivacyRule,
    Reason,
    Reconnected,
    Reconnecting,
    StreamFailed,
)
from tests.integration.chats import Person, Users, chat_of, gather, private
from tests.integration.lines import (
    FAST,
    PLAIN,
    back,
    behind,
    bodies,
    forget,
    lose_session,
    present,
    unplug,
    wait_body,
)
from tests.integration.server import Server
from tests.integration.support import eventually, run
from tests.integration.test_contacts import befriend


async def two_rooms(server: Server, *persons: Person) -> list[str]:
    """Two groups, whose rooms all have joined in turn."""
    return [await gather(server, *persons) for _ in range(2)]


def test_presence_and_contacts(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy), present(server, users()) as (friend,):
            await befriend(person, friend)
            await person.chat.set_presence(status="busy", show="dnd")
            await friend.told.one(ContactPresence, lambda event: event.status == "busy")
            known = len(friend.told.of(ContactPresence))
            # While the chat is away the name of a contact is changed by another device.
            await unplug(person, proxy)
            await forget(server, person)
            async with chat_of(server, person.user, initial_presence=False) as device:
                await device.contacts.rename(friend.id, "Anna")
            await proxy.accept()
            assert await back(person, 1) is False
            told = await friend.told.all(ContactPresence, known + 2)
            assert [(event.online, event.status) for event in told[known:]] == [(False, None), (True, "busy")]
            await eventually(lambda: person.chat.contacts[friend.id].name == "Anna")
            await eventually(lambda: person.chat.contacts[friend.id].online)
            assert friend.chat.contacts[person.id].online

    run(main())


def test_carbons(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with behind(server, user) as (person, proxy), present(server, users()) as (other,):
            await lose_session(server, person, proxy)
            async with chat_of(server, user) as device:
                # Once the request after the set-up is answered, carbons are on.
                await person.chat.send(other.id, "ready")
                await device.send(other.id, "from another device")
                copy = await person.told.one(MessageSentElsewhere)
                assert copy.message.carbon
                assert copy.message.body == "from another device"
                assert copy.message.sender_id == person.id

    run(main())


def test_rooms(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy), present(server, users()) as (other,):
            rooms = await two_rooms(server, person, other)
            await person.told.all(OccupantJoined, 2)
            await lose_session(server, person, proxy)
            # It waits until the rooms are joined, without which it would be refused.
            await person.chat.send(rooms[1], "back again")
            await wait_body(other, "back again")
            for room in rooms:
                assert person.id in await other.chat.online_users(room)
            # Who was there before has not come.
            await other.chat.send(rooms[0], "welcome")
            await wait_body(person, "welcome")
            assert len(person.told.of(OccupantJoined)) == 2
            await person.chat.leave(rooms[0])
            await lose_session(server, person, proxy)
            await person.chat.send(rooms[1], "and once more")
            assert person.id not in await other.chat.online_users(rooms[0])

    run(main())


@pytest.mark.parametrize("place", ["urn:xmpp:carbons", "jabber:iq:roster", 0, 1])
@pytest.mark.parametrize("managed", [True, False])
def test_cut_during_session_setup(server: Server, users: Users, place: str | int, managed: bool) -> None:
    """Before a request, or before one of the rooms is joined."""

    async def main() -> None:
        options = {**PLAIN, "stream_management": managed}
        async with behind(server, users(), **options) as (person, proxy), present(server, users()) as (other,):
            rooms = await two_rooms(server, person, other)
            await unplug(person, proxy)
            await forget(server, person)
            sending = asyncio.ensure_future(person.chat.send(rooms[1], "at last"))
            there = place if isinstance(place, str) else rooms[place]
            fault = proxy.cut_when("up", there.encode(), include=False)
            await proxy.accept()
            await fault.happened()
            await sending
            # Resumed or not, the session is reported once, when it is set up.
            assert person.told.of(Reconnected) == [Reconnected(resumed=False)]
            await wait_body(other, "at last")
            for room in rooms:
                assert person.id in await other.chat.online_users(room)
            assert bodies(other) == ["at last"]

    run(main())


def test_two_successive_cuts_during_session_setup(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users(), **PLAIN) as (person, proxy), present(server, users()) as (other,):
            rooms = await two_rooms(server, person, other)
            for _ in range(2):
                await unplug(person, proxy)
                await forget(server, person)
                held = proxy.cut_when("up", rooms[0].encode())
                await proxy.accept()
                await held.happened()
                assert not person.told.of(Reconnected)
            await unplug(person, proxy)
            await forget(server, person)
            await proxy.accept()
            await person.chat.send(rooms[1], "at last")
            await wait_body(other, "at last")
            for room in rooms:
                assert person.id in await other.chat.online_users(room)

    run(main())


def test_client_state_and_status_streaming(server: Server, users: Users) -> None:
    server.play_platform()

    async def main() -> None:
        async with behind(server, users()) as (person, proxy):
            one, other = users(), users()
            await person.chat.set_inactive()
            await person.chat.subscribe_last_activity(one.id)
            await person.chat.subscribe_last_activity(other.id)
            await person.chat.unsubscribe_last_activity(one.id)
            assert len(server.asked_of_platform(person.user)) == 4
            await lose_session(server, person, proxy)
            await person.chat.send(other.id, "ready")
            again = server.asked_of_platform(person.user)[4:]
            assert len(again) == 2
            assert sorted("mobile" in xml for xml in again) == [False, True]
            assert any(other.jid in xml and "enable='true'" in xml.replace('"', "'") for xml in again)
            await person.chat.set_active()
            await lose_session(server, person, proxy)
            await person.chat.send(other.id, "ready")
            last = server.asked_of_platform(person.user)[7:]
            assert len(last) == 1
            assert other.jid in last[0]

    run(main())


@pytest.mark.parametrize("changed", [True, False])
def test_active_privacy_list_is_checked(server: Server, users: Users, changed: bool) -> None:
    async def main() -> None:
        async with behind(server, users()) as (person, proxy):
            await person.chat.privacy.set("spam", [PrivacyRule(users().id)])
            await person.chat.privacy.activate("spam")
            await person.chat.send(person.id, "pushes are in")
            known = len(person.told.of(PrivacyListChanged))
            await unplug(person, proxy)
            await forget(server, person)
            if changed:
                async with chat_of(server, person.user, initial_presence=False) as device:
                    await device.privacy.deactivate()
            await proxy.accept()
            await back(person, 1)
            await person.chat.send(person.id, "ready")
            assert [event.name for event in person.told.of(PrivacyListChanged)[known:]] == ["spam"] * changed
            assert person.chat.privacy.default == (None if changed else "spam")

    run(main())


def test_unacknowledged_messages_are_resent_with_their_ids(server: Server, users: Users) -> None:
    """The server has got the messages and delivered them, only its acknowledgement is lost, and the session too."""

    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            proxy.stall("down")
            sending = [asyncio.ensure_future(sender.chat.send(reader.id, f"{number}")) for number in range(20)]
            await reader.told.all(MessageReceived, 20)
            assert not any(task.done() for task in sending)
            await unplug(sender, proxy)
            proxy.resume()
            await forget(server, sender)
            await proxy.accept()
            sent = await asyncio.gather(*sending)
            assert await back(sender, 1) is False
            await sender.caught_up(reader)
            assert bodies(reader) == [f"{number}" for number in range(20)]
            ids = [message.id for message in sent]
            assert [event.message.id for event in reader.told.of(MessageReceived)] == ids
            assert [event.message.id for event in sender.told.of(MessageSent)] == ids

    run(main())


def test_group_duplicates_are_dropped(server: Server, users: Users) -> None:
    async def main() -> None:
        async with behind(server, users()) as (sender, proxy), present(server, users()) as (reader,):
            group = await gather(server, sender, reader)
            proxy.stall("down")
            sending = asyncio.ensure_future(sender.chat.send(group, "once"))
            await wait_body(reader, "once")
            await unplug(sender, proxy)
            proxy.resume()
            await forget(server, sender)
            await proxy.accept()
            await sending
            await sender.caught_up(reader)
            assert bodies(reader) == ["once"]
            assert bodies(sender) == []

    run(main())


def test_delivered_marks_survive_a_lost_session(server: Server, users: Users) -> None:
    """A mark that the server has not got goes out again in the next session."""

    async def main() -> None:
        options = {"mark_delivered": "always"}
        async with behind(server, users(), **options) as (reader, proxy), present(server, users()) as (sender,):
            proxy.stall("up")
            held = proxy.received["up"]
            dialog = private(server, sender, reader)
            sent = await sender.chat.send(dialog, "with a dialog")
            await wait_body(reader, "with a dialog")
            await proxy.until(lambda: proxy.received["up"] > held)
            await unplug(reader, proxy)
            proxy.resume()
            await forget(server, reader)
            await proxy.accept()
            assert await back(reader, 1) is False
            mark = await sender.told.one(MessageDelivered)
            assert (mark.message_id, mark.user_id) == (sent.id, reader.id)
            await reader.caught_up(sender)
            assert len(sender.told.of(MessageDelivered)) == 1

    run(main())


def test_fresh_connect_restores_nothing(server: Server, users: Users) -> None:
    """Rooms and the like are kept over reconnects, not over `disconnect`."""
    server.play_platform()

    async def main() -> None:
        async with behind(server, users()) as (person, proxy), present(server, users()) as (other,):
            group = await gather(server, other, person)
            await person.chat.set_inactive()
            await person.chat.subscribe_last_activity(other.id)
            await person.chat.disconnect()
            await person.chat.connect()
            assert await other.chat.online_users(group) == (other.id,)
            await lose_session(server, person, proxy)
            await person.chat.send(other.id, "ready")
            assert await other.chat.online_users(group) == (other.id,)
            assert len(server.asked_of_platform(person.user)) == 2
            # Who was there before has not come.
            await person.chat.join(group)
            await other.caught_up(person)
            assert person.told.of(OccupantJoined) == []

    run(main())


# A server that goes


@pytest.mark.parametrize("hard", [True, False])
def test_server_restart(server: Server, users: Users, hard: bool) -> None:
    async def main() -> None:
        async with present(server, users(), users(), backoff=FAST) as (one, other):
            if hard:
                await asyncio.to_thread(server.stop_hard)
                await one.told.one(Reconnecting)
                await other.told.one(Reconnecting)
                sending = asyncio.ensure_future(one.chat.send(other.id, "meanwhile"))
                await asyncio.to_thread(server.start)
            else:
                restarting = asyncio.ensure_future(asyncio.to_thread(server.restart))
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

    run(main())
