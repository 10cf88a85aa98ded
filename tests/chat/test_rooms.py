"""Rooms that lose the user, or don't let the user in yet."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from connectycube.chat import MessageRefused, OccupantKicked, OccupantLeft, Reconnected
from connectycube.chat.features import rooms
from tests.chat.fake import APP_ID, HOST, IQ, JID, MESSAGE, PRESENCE, USER_ID, Fake, Peer, chat_with
from tests.integration.chats import Told
from tests.integration.support import Seen, run

DIALOG = "66f100000000000000000001"
OTHER = "66f100000000000000000002"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
USER = "http://jabber.org/protocol/muc#user"


def room(dialog_id: str) -> str:
    return f"{APP_ID}_{dialog_id}@muc.{HOST}"


def presence(dialog_id: str, kind: str, *codes: int) -> str:
    statuses = "".join(f"<status code='{code}'/>" for code in codes)
    return (
        f"<presence{kind} from='{room(dialog_id)}/{USER_ID}' to='{JID}'><x xmlns='{USER}'>"
        f"<item affiliation='member' role='participant'/>{statuses}</x></presence>"
    )


def error(condition: str, kind: str = "cancel") -> str:
    return f"<error type='{kind}'><{condition} xmlns='{STANZAS}'/></error>"


class Service:
    """A room service.

    :ivar joins: the dialogs whose rooms were joined, in turn.
    :ivar refusal: what it answers to a join of a dialog, by dialog and how often it was joined before; `None` to let
        the user in.
    :ivar forgotten: the dialogs whose rooms have crashed.
    """

    def __init__(self, refusal: Callable[[str, int], str | None] = lambda dialog_id, before: None) -> None:
        self.joins: Seen[str] = Seen()
        self.refusal = refusal
        self.forgotten = set[str]()

    async def play(self, peer: Peer) -> None:
        await peer.session()
        while True:
            self.handle(peer, await peer.next())

    def handle(self, peer: Peer, element: ET.Element) -> None:
        to = element.get("to", "")
        dialog_id = to.partition("_")[2].partition("@")[0]
        if element.tag == PRESENCE and dialog_id and element.get("type") is None:
            before = self.joins.items.count(dialog_id)
            refusal = self.refusal(dialog_id, before)
            if refusal is None:
                self.forgotten.discard(dialog_id)
                peer.send(presence(dialog_id, "", 110))
            elif refusal:
                peer.send(
                    f"<presence type='error' from='{to}' to='{JID}' id='{element.get('id')}'>{refusal}</presence>"
                )
            self.joins.append(dialog_id)
        elif dialog_id in self.forgotten and element.tag in (IQ, MESSAGE):
            name, condition = ("iq", "item-not-found") if element.tag == IQ else ("message", "not-acceptable")
            sender = to if element.tag == IQ else room(dialog_id)
            found = error(condition)
            peer.send(f"<{name} type='error' from='{sender}' to='{JID}' id='{element.get('id')}'>{found}</{name}>")
        else:
            peer.answer(element)


def test_room_is_joined_again_after_its_service_was_shut_down() -> None:
    async def main() -> None:
        service = Service()
        async with Fake(service.play) as fake, chat_with(fake) as chat:
            told = Told(chat)
            await chat.join(DIALOG)
            (await fake.peers.one()).send(presence(DIALOG, " type='unavailable'", 110, 332))
            assert await service.joins.wait(2) == [DIALOG] * 2
            assert not told.of(OccupantKicked)
            assert not told.of(OccupantLeft)
            await chat.leave(OTHER)

    run(main())


@pytest.mark.parametrize("noticed_by", ["ping", "message"])
def test_room_is_joined_again_after_its_silent_crash(noticed_by: str) -> None:
    async def main() -> None:
        service = Service()
        keepalive = 0.05 if noticed_by == "ping" else 30.0
        async with Fake(service.play) as fake, chat_with(fake, keepalive=keepalive) as chat:
            await chat.join(DIALOG)
            await chat.join(OTHER)
            service.forgotten.add(DIALOG)
            if noticed_by == "message":
                peer = await fake.peers.one()
                peer.acking = False
                with pytest.raises(MessageRefused):
                    await chat.send(DIALOG, "am I in?")
                peer.acking = True
            assert await service.joins.wait(3) == [DIALOG, OTHER, DIALOG]

    run(main())


@pytest.mark.parametrize("condition", ["service-unavailable", "remote-server-timeout"])
def test_ping_that_decides_nothing_does_not_join_again(condition: str) -> None:
    async def main() -> None:
        service, pings = Service(), Seen[str]()

        async def script(peer: Peer) -> None:
            await peer.session()
            while True:
                element = await peer.next()
                if element.tag == IQ and (to := element.get("to", "")).startswith(room(DIALOG)):
                    answer = f"<iq type='error' from='{to}' to='{JID}' id='{element.get('id')}'>{error(condition)}</iq>"
                    peer.send(answer)
                    pings.append(to)
                else:
                    service.handle(peer, element)

        async with Fake(script) as fake, chat_with(fake, keepalive=0.05) as chat:
            await chat.join(DIALOG)
            await pings.wait(3)
            assert service.joins.items == [DIALOG]

    run(main())


TEMPORARY = [
    error("resource-constraint", "wait"),
    error("service-unavailable"),
    error("remote-server-not-found"),
    error("not-allowed", "wait"),
]


async def again(service: Service, rejoined: list[str]) -> None:
    """Join two rooms, begin a new session, and wait until the rooms were joined in it."""

    async def first(peer: Peer) -> None:
        await peer.session()
        while len(service.joins.items) < 2:
            service.handle(peer, await peer.next())
        peer.hang_up()

    async with Fake(first, service.play) as fake, chat_with(fake, timeout=0.5) as chat:
        told = Told(chat)
        await chat.join(DIALOG)
        await chat.join(OTHER)
        await told.one(Reconnected)
        await chat.send(81002, "private")
        assert sorted((await service.joins.wait(2 + len(rejoined)))[2:]) == rejoined
        assert chat._features.rooms.joined >= {OTHER}


@pytest.mark.parametrize("refusal", [*TEMPORARY, ""])
def test_room_that_is_not_back_yet_is_tried_again(refusal: str) -> None:
    run(
        again(
            Service(lambda dialog_id, before: refusal if dialog_id == DIALOG and before in (1, 2) else None),
            [DIALOG, DIALOG, DIALOG, OTHER],
        )
    )


def test_room_that_is_not_back_yet_does_not_hold_back_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "PATIENCE", 3600)

    async def main() -> None:
        service = Service(lambda dialog_id, before: TEMPORARY[0] if before else None)

        async def first(peer: Peer) -> None:
            await peer.session()
            while not service.joins.items:
                service.handle(peer, await peer.next())
            peer.hang_up()

        async with Fake(first, service.play) as fake, chat_with(fake) as chat:
            told = Told(chat)
            await chat.join(DIALOG)
            await told.one(Reconnected)
            await chat.send(81002, "private")
            assert len(await service.joins.wait(4)) >= 4
            assert not chat._features.rooms.joined

    run(main())


def test_room_that_refuses_for_good_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    forbidden = error("forbidden", "auth")
    run(
        again(Service(lambda dialog_id, before: forbidden if dialog_id == DIALOG and before else None), [DIALOG, OTHER])
    )
    assert "could not be joined again" in caplog.text
