"""Privacy lists: made, read, put in force, changed, deleted; who is blocked and what that does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from connectycube.chat import (
    ContactPresence,
    MessageBlocked,
    MessageFailed,
    MessageReceived,
    MessageRefused,
    PrivacyListChanged,
    PrivacyRule,
    RequestRefused,
)
from connectycube.rest import InvalidArgument
from tests.integration.bare import Bare
from tests.integration.chats import Person, Users, gather, people, perhaps, refused
from tests.integration.server import Server
from tests.integration.support import eventually, run
from tests.integration.test_contacts import befriend

PRIVACY = "{jabber:iq:privacy}"


async def bodies(person: Person, count: int) -> list[str]:
    return [event.message.body for event in await person.told.all(MessageReceived, count)]


async def state(person: Person) -> tuple[tuple[str, ...], str | None, tuple[int, ...]]:
    """The lists, the one in force, and whom that denies."""
    names = tuple(sorted(await person.chat.privacy.names()))
    return names, person.chat.privacy.default, await person.chat.privacy.blocked()


# Lists


def test_list_lifecycle(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            assert await state(one) == ((), None, ())
            await privacy.set("first", [PrivacyRule(7), PrivacyRule(5, mutual=True), PrivacyRule(6, deny=False)])
            await privacy.set("second <&>", [PrivacyRule(8, groups=False), PrivacyRule(9, private=False)])
            assert sorted(await privacy.names()) == ["first", "second <&>"]
            assert await privacy.get("first") == (
                PrivacyRule(7),
                PrivacyRule(5, mutual=True),
                PrivacyRule(6, deny=False),
            )
            assert await privacy.get("second <&>") == (PrivacyRule(8, groups=False), PrivacyRule(9, private=False))
            both = ("first", "second <&>")
            assert await state(one) == (both, None, ())
            await privacy.activate("first")
            assert await state(one) == (both, "first", (5, 7))
            await privacy.activate("second <&>")
            assert await state(one) == (both, "second <&>", (8, 9))
            await privacy.deactivate()
            await privacy.deactivate()  # Nothing happens.
            assert await state(one) == (both, None, ())
            await privacy.delete("first")
            assert await state(one) == (("second <&>",), None, ())

    run(main())


def test_changed_active_list_stays_active(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            await privacy.update("mine", [PrivacyRule(5)])
            assert await state(one) == (("mine",), None, ())
            await privacy.activate("mine")
            # All of the list, not a delta.
            await privacy.update("mine", [PrivacyRule(6), PrivacyRule(7)])
            assert await state(one) == (("mine",), "mine", (6, 7))
            await privacy.set("mine", [PrivacyRule(8)])
            assert await state(one) == (("mine",), "mine", (8,))
            await privacy.delete("mine")
            assert await state(one) == ((), None, ())

    run(main())


@pytest.mark.parametrize("method", ["set", "update"])
@pytest.mark.parametrize("in_force", [False, True])
def test_empty_list_is_deleted(server: Server, users: Users, method: str, in_force: bool) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            await privacy.set("mine", [PrivacyRule(5)])
            if in_force:
                await privacy.activate("mine")
            await getattr(privacy, method)("mine", [])
            assert await state(one) == ((), None, ())

    run(main())


def test_rules_for_one_user_collapse(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            rules = [PrivacyRule(5), PrivacyRule(6), PrivacyRule(5, deny=False)]
            await one.chat.privacy.set("mine", iter(rules))
            assert await one.chat.privacy.get("mine") == (PrivacyRule(5, deny=False), PrivacyRule(6))

    run(main())


def test_server_rejections(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            await privacy.set("mine", [PrivacyRule(5)])
            await privacy.activate("mine")
            for call in (privacy.get, privacy.activate):
                with pytest.raises(RequestRefused) as refusal:
                    await call("another")
                assert refusal.value.condition == "item-not-found"
                assert "another" in str(refusal.value)
            with perhaps("item-not-found"):
                await privacy.delete("another")
            assert await state(one) == (("mine",), "mine", (5,))

    run(main())


def test_list_in_use_by_another_device(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user) as (one,):
            privacy = one.chat.privacy
            async with Bare(server.ports.starttls) as other:
                await other.login(user)
                await privacy.set("mine", [PrivacyRule(5)])
                # This one does not hear that the other one puts it in force.
                answer = await other.ask("set", "<query xmlns='jabber:iq:privacy'><default name='mine'/></query>")
                assert answer.get("type") == "result"
                with pytest.raises(RequestRefused) as refusal:
                    await privacy.delete("mine")
                assert refusal.value.condition == "conflict"
                # It can't be declined, but changed.
                await privacy.block(6)
                assert await privacy.blocked() == (5, 6)
                await privacy.unblock(5)
                assert await state(one) == (("mine",), "mine", (6,))
                await privacy.update("mine", [PrivacyRule(7)])
                assert await state(one) == (("mine",), "mine", (7,))
            await eventually(lambda: len(server.resources(user)) == 1)
            await privacy.delete("mine")
            assert await privacy.names() == ()

    run(main())


def test_changes_reach_every_device(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        async with people(server, user, user) as (one, other):
            await one.chat.privacy.set("mine", [PrivacyRule(5)])
            for device in (one, other):
                assert await device.told.one(PrivacyListChanged) == PrivacyListChanged(name="mine")
            assert await other.chat.privacy.get("mine") == (PrivacyRule(5),)

    run(main())


# Blocking


def test_blocked_user_receives_an_error(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, third):
            await one.chat.privacy.block(other.id)
            assert (one.chat.privacy.default, await one.chat.privacy.blocked()) == ("blocked", (other.id,))
            message_id = await refused(other, one.id)
            told = await other.told.one(MessageBlocked)
            assert told == MessageBlocked(message_id=message_id, user_id=one.id)
            await third.chat.send(one.id, "hello")
            assert await bodies(one, 1) == ["hello"]
            # It goes one way: who blocks may write.
            await one.chat.send(other.id, "no")
            assert await bodies(other, 1) == ["no"]
            await one.chat.privacy.unblock(other.id)
            assert (await one.chat.privacy.blocked(), await one.chat.privacy.names()) == ((), ())
            await other.chat.send(one.id, "thanks")
            assert await bodies(one, 2) == ["hello", "thanks"]
            assert not other.told.of(MessageFailed)

    run(main())


def test_mutual_block_applies_to_both(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await one.chat.privacy.block(other.id, mutual=True)
            assert await one.chat.privacy.get("blocked") == (PrivacyRule(other.id, mutual=True),)
            # The own server refuses that before it acknowledges it.
            with pytest.raises(MessageRefused) as refusal:
                await one.chat.send(other.id, "goodbye")
            assert refusal.value.condition == "not-acceptable"
            failed = await one.told.one(MessageFailed)
            assert (failed.message_id, failed.user_id) == (refusal.value.message_id, other.id)
            assert failed.error is refusal.value
            message_id = await refused(other, one.id)
            assert (await other.told.one(MessageBlocked)).message_id == message_id
            assert not one.told.of(MessageReceived)
            assert not other.told.of(MessageReceived)
            # Blocked anew, it goes one way.
            await one.chat.privacy.block(other.id)
            assert await one.chat.privacy.get("blocked") == (PrivacyRule(other.id),)

    run(main())


@pytest.mark.parametrize("groups", [True, False])
def test_blocked_user_is_silent_in_groups(server: Server, users: Users, groups: bool) -> None:
    async def main() -> None:
        async with people(server, users(), users(), users()) as (one, other, third):
            group = await gather(server, one, other, third)
            await one.chat.privacy.set("mine", [PrivacyRule(other.id, groups=groups)])
            await one.chat.privacy.activate("mine")
            await other.chat.send(group, "of the blocked one")
            assert await bodies(third, 1) == ["of the blocked one"]
            await third.chat.send(group, "of another")
            expected = ["of another"] if groups else ["of the blocked one", "of another"]
            assert await bodies(one, len(expected)) == expected
            await third.caught_up(other)
            assert not other.told.of(MessageBlocked)
            assert not other.told.of(MessageFailed)

    run(main())


def test_blocked_contact_sees_nothing(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await befriend(one, other)
            await one.chat.privacy.block(other.id)
            await one.chat.set_presence(status="hidden")
            await other.chat.set_presence(status="not seen")
            await one.caught_up(other)
            for person in (one, other):
                assert {event.status for event in person.told.of(ContactPresence)} <= {None}

    run(main())


def test_concurrent_blocks_are_all_kept(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            await asyncio.gather(*(privacy.block(number) for number in range(1, 6)))
            assert await privacy.blocked() == (1, 2, 3, 4, 5)
            await asyncio.gather(*(privacy.unblock(number) for number in range(2, 5)), privacy.block(9))
            assert await privacy.blocked() == (1, 5, 9)
            await privacy.block(9)
            await privacy.unblock(1000)  # Nothing happens.
            assert await privacy.blocked() == (1, 5, 9)

    run(main())


def test_blocking_updates_the_active_list_and_keeps_other_rules(server: Server, users: Users) -> None:
    async def main() -> None:
        user = users()
        items = (
            "<item type='subscription' value='none' action='allow' order='3'><presence-in/></item>"
            "<item type='jid' value='elsewhere.example' action='deny' order='5'/>"
            "<item action='allow' order='9'/>"
        )
        async with Bare(server.ports.starttls) as bare:
            await bare.login(user)
            for payload in (f"<list name='theirs'>{items}</list>", "<default name='theirs'/>"):
                answer = await bare.ask("set", f"<query xmlns='jabber:iq:privacy'>{payload}</query>")
                assert answer.get("type") == "result"
        async with people(server, user) as (one,):
            privacy = one.chat.privacy
            assert (await privacy.names(), privacy.default) == (("theirs",), "theirs")
            assert await privacy.get("theirs") == ()
            await privacy.block(5)
            await privacy.block(6, mutual=True)
            await privacy.unblock(5)
            assert (await privacy.names(), await privacy.blocked()) == (("theirs",), (6,))
        async with Bare(server.ports.starttls) as bare:
            await bare.login(user)
            answer = await bare.ask("get", "<query xmlns='jabber:iq:privacy'><list name='theirs'/></query>")
            found = sorted(answer.iter(f"{PRIVACY}item"), key=lambda item: int(item.get("order", "")))
            assert [item.get("value") for item in found] == [
                f"6-7001@{user.jid.partition('@')[2]}",
                "muc.localhost/6",
                "none",
                "elsewhere.example",
                None,
            ]
            assert [child.tag for child in found[2]] == [f"{PRIVACY}presence-in"]

    run(main())


# What is asked wrongly, and what is broken off


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_list_requires_a_name(server: Server, users: Users, name: str) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            calls = (
                lambda: privacy.get(name),
                lambda: privacy.set(name, [PrivacyRule(5)]),
                lambda: privacy.set(name, []),
                lambda: privacy.update(name, [PrivacyRule(5)]),
                lambda: privacy.activate(name),
                lambda: privacy.delete(name),
            )
            for call in calls:
                with pytest.raises(InvalidArgument, match="name"):
                    await call()
            assert await privacy.names() == ()

    run(main())


def test_interrupted_request_is_harmless(server: Server, users: Users) -> None:
    async def main() -> None:
        async with people(server, users()) as (one,):
            privacy = one.chat.privacy
            await privacy.set("mine", [PrivacyRule(5)])
            await privacy.activate("mine")
            calls: tuple[Callable[[], Awaitable[None]], ...] = (
                lambda: privacy.deactivate(),
                lambda: privacy.update("mine", [PrivacyRule(6)]),
                lambda: privacy.block(8),
            )
            for call in calls:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await call()
            await privacy.update("mine", [PrivacyRule(7)])
            await privacy.activate("mine")
            assert await privacy.blocked() == (7,)

    run(main())
