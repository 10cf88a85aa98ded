"""Rooms of groups: joining, leaving, who is there, who is put out."""

from __future__ import annotations

import asyncio

import pytest

from connectycube.chat import (
    Event,
    MessageFailed,
    MessageReceived,
    OccupantJoined,
    OccupantKicked,
    OccupantLeft,
    RequestRefused,
)
from connectycube.rest import Dialog, DialogType, InvalidArgument
from tests.integration.bare import Bare
from tests.integration.chats import Person, Users, people
from tests.integration.ejabberd import Ejabberd
from tests.integration.server import Server, room_jid
from tests.integration.support import run

ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"


def group(server: Server, *persons: Person) -> str:
    """A dialog whose room has not been joined before."""
    return server.group(*(person.user for person in persons))


def occupants(person: Person) -> list[Event]:
    """What was told of who is in rooms."""
    return [
        event for event in person.told.seen.items if isinstance(event, (OccupantJoined, OccupantLeft, OccupantKicked))
    ]


def test_joins_and_leaves_are_reported(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, third):
            dialog = group(server, one, other, third)
            await one.chat.join(dialog)
            await other.chat.join(dialog)
            assert await one.told.one(OccupantJoined) == OccupantJoined(dialog_id=dialog, user_id=other.id)
            await third.chat.join(Dialog(id=dialog, type=DialogType.PUBLIC))
            await other.chat.leave(dialog)
            await third.told.one(OccupantLeft)
            await one.told.one(OccupantLeft)
            assert occupants(one) == [
                OccupantJoined(dialog_id=dialog, user_id=other.id),
                OccupantJoined(dialog_id=dialog, user_id=third.id),
                OccupantLeft(dialog_id=dialog, user_id=other.id),
            ]
            # Who was there before is no news, nor is one's own coming and going.
            assert occupants(other) == [OccupantJoined(dialog_id=dialog, user_id=third.id)]
            assert occupants(third) == [OccupantLeft(dialog_id=dialog, user_id=other.id)]
            # Joining again is not reported either.
            await one.chat.join(dialog)
            await other.chat.join(dialog)
            await one.told.all(OccupantJoined, 3)
            await third.told.one(OccupantJoined)
            assert len(occupants(third)) == 2

    run(main())


def test_second_device_is_the_same_occupant(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, users(), user, user) as (one, desk, phone):
            dialog = group(server, one, desk)
            for person in (one, desk, phone):
                await person.chat.join(dialog)
            await phone.chat.leave(dialog)
            await desk.chat.send(dialog, "still here")
            await one.told.one(MessageReceived)
            assert occupants(one) == [OccupantJoined(dialog_id=dialog, user_id=user.id)]
            await one.chat.send(dialog, "hello")
            await desk.told.one(MessageReceived)
            assert occupants(desk) == []
            await desk.chat.leave(dialog)
            assert await one.told.one(OccupantLeft) == OccupantLeft(dialog_id=dialog, user_id=user.id)

    run(main())


def test_disconnect_leaves_the_room(server: Server, users: Users) -> None:
    async def main() -> None:
        guest = users()
        async with people(server, users()) as (one,):
            dialog = server.group(one.user, guest)
            await one.chat.join(dialog)
            async with people(server, guest) as (other,):
                await other.chat.join(dialog)
                await one.told.one(OccupantJoined)
            assert await one.told.one(OccupantLeft) == OccupantLeft(dialog_id=dialog, user_id=other.id)
            assert await one.chat.online_users(dialog) == (one.id,)

    run(main())


def test_online_occupants(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, outside):
            dialog = group(server, one, other, outside)
            await one.chat.join(dialog)
            await other.chat.join(dialog)
            for person in (one, other, outside):
                assert sorted(await person.chat.online_users(dialog)) == [one.id, other.id]
            with pytest.raises(RequestRefused) as refused:
                await one.chat.online_users("66f1a7c2e4b0d93a51c8e203")
            assert refused.value.condition == "item-not-found"

    run(main())


def test_left_room_is_silent(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with people(ejabberd, users(), users()) as (one, other):
            dialog = group(ejabberd, one, other)
            await one.chat.join(dialog)
            await other.chat.join(dialog)
            await other.chat.leave(dialog)
            await other.chat.leave(dialog)  # Nothing happens.
            await one.chat.send(dialog, "hello")
            await one.caught_up(other)
            assert not other.told.of(MessageReceived)
            sent = await other.chat.send(dialog, "are you there?")
            assert (await other.told.one(MessageFailed)).message_id == sent.id
            await other.chat.join(dialog)
            await other.chat.send(dialog, "back")
            assert (await one.told.one(MessageReceived)).message.body == "back"
            # The history is for REST: it did not come with the second join.
            assert not other.told.of(MessageReceived)

    run(main())


def test_two_tasks_join_the_same_room_concurrently(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            dialogs = [group(server, one) for _ in range(5)]
            await asyncio.gather(*(one.chat.join(dialog) for dialog in dialogs * 2))
            for dialog in dialogs:
                assert await one.chat.online_users(dialog) == (one.id,)
            await asyncio.gather(*(one.chat.leave(dialog) for dialog in dialogs * 2))
            for dialog in dialogs:
                assert await one.chat.online_users(dialog) == ()

    run(main())


@pytest.mark.parametrize(("item", "who"), [("role='none'", "nick"), ("affiliation='outcast'", "jid")])
def test_removed_user_is_notified(ejabberd: Ejabberd, users: Users, item: str, who: str) -> None:
    async def main() -> None:
        async with Bare(ejabberd.ports.starttls) as owner, people(ejabberd, users(), users()) as (one, other):
            dialog = group(ejabberd, one, other)
            room = room_jid(dialog)
            await owner.login(users())
            owner.send(f"<presence to='{room}/1'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
            await owner.receive("{jabber:client}presence", **{"from": f"{room}/1"})
            await one.chat.join(dialog)
            await other.chat.join(dialog)
            name = other.user.jid if who == "jid" else str(other.id)
            answer = await owner.ask("set", f"<query xmlns='{ADMIN}'><item {who}='{name}' {item}/></query>", to=room)
            assert answer.get("type") == "result"
            kicked = OccupantKicked(dialog_id=dialog, user_id=other.id)
            assert await one.told.one(OccupantKicked) == kicked
            assert await other.told.one(OccupantKicked) == kicked
            assert not one.told.of(OccupantLeft)
            if who == "jid":
                with pytest.raises(RequestRefused, match="joining") as refused:
                    await other.chat.join(dialog)
                assert refused.value.condition == "forbidden"
            else:
                await other.chat.join(dialog)
            assert other.chat.online

    run(main())


def test_members_only_room_rejects_others(ejabberd: Ejabberd, users: Users) -> None:
    async def main() -> None:
        async with Bare(ejabberd.ports.starttls) as owner, people(ejabberd, users()) as (one,):
            dialog = group(ejabberd, one)
            room = room_jid(dialog)
            await owner.login(users())
            owner.send(f"<presence to='{room}/1'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
            await owner.receive("{jabber:client}presence", **{"from": f"{room}/1"})
            members = "<field var='muc#roomconfig_membersonly'><value>1</value></field>"
            kind = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
            form = f"<x xmlns='jabber:x:data' type='submit'>{kind}{members}</x>"
            answer = await owner.ask("set", f"<query xmlns='{OWNER}'>{form}</query>", to=room)
            assert answer.get("type") == "result"
            results = await asyncio.gather(one.chat.join(dialog), one.chat.join(dialog), return_exceptions=True)
            for result in results:
                assert isinstance(result, RequestRefused)
                assert result.condition == "registration-required"
            # A room that was never entered is not left.
            await one.chat.leave(dialog)
            assert one.chat.online

    run(main())


def test_private_dialog_has_no_room(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            private = Dialog(id="66f1a7c2e4b0d93a51c8e203", type=DialogType.PRIVATE, occupants_ids=[one.id, 5])
            for call in (one.chat.join, one.chat.leave, one.chat.online_users):
                with pytest.raises(InvalidArgument, match="room"):
                    await call(private)

    run(main())
