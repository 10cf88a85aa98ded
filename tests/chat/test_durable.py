"""Stanzas that are acknowledged only once they are durable, so that the server sends again what a crash would lose."""

from __future__ import annotations

from collections.abc import Callable

from connectycube.chat import MessageReceived, Reconnected
from tests.chat.fake import BIND_FEATURE, SM, SM_FEATURE, Peer, online
from tests.chat.test_acks import resumable
from tests.integration.support import run

Done = Callable[[], None]

ASK = f"<r xmlns='{SM}'/>"


def message(number: int) -> str:
    return f"<message from='5-7001@localhost' type='chat' id='m{number}'><body>{number}</body></message>"


class Store:
    """Holds what it is asked to keep until the test lets it go.

    :ivar reads: for each read, how many messages the handler had received by then, and what to call.
    """

    def __init__(self) -> None:
        self.reads: list[tuple[int, Done]] = []
        self.messages: list[str] = []

    def keep(self, done: Done) -> None:
        self.reads.append((len(self.messages), done))

    def release(self) -> None:
        for _, done in self.reads:
            done()
        self.reads.clear()


def test_only_durable_stanzas_are_acknowledged() -> None:
    async def main() -> None:
        async with online() as (chat, _, peer):
            store = Store()
            chat.on(MessageReceived)(lambda event: store.messages.append(event.message.body))
            peer.send(ASK)
            before = await peer.acks.one()
            chat._hold(store.keep)
            peer.send(message(1) + message(2) + ASK)
            assert (await peer.acks.wait(2))[1] == before
            # One read brought both, and the handler had them before the store was asked to keep them.
            assert store.messages == ["1", "2"]
            [(count, done)] = store.reads
            assert count == 2
            # The server has asked, so the answer is sent at once.
            done()
            assert (await peer.acks.wait(3))[2] == before + 2
            # Nothing is owed any more: the next count follows the next question.
            store.reads.clear()
            peer.send(message(3))
            await chat.ping()
            store.release()
            peer.send(ASK)
            assert (await peer.acks.wait(4))[3] == before + 4

    run(main())


def test_a_resumed_session_brings_again_what_was_not_durable() -> None:
    async def main() -> None:
        store, asked, peers = Store(), list[int](), list[Peer]()

        async def resumes(peer: Peer) -> None:
            await peer.session(at="restart", fault="")
            peer.features(BIND_FEATURE, SM_FEATURE)
            peers.append(peer)
            asked.append(int((await peer.expect(f"{{{SM}}}resume")).get("h", "")))
            peer.send(f"<resumed xmlns='{SM}' previd='r1' h='{peers[0].count}'/>{message(1)}{message(2)}")

        async with online(resumable, resumes) as (chat, told, peer):
            peers.append(peer)
            chat.on(MessageReceived)(lambda event: store.messages.append(event.message.body))
            peer.send(ASK)
            before = await peer.acks.one()
            chat._hold(store.keep)
            peer.send(message(1))
            await told.one(MessageReceived)
            peer.hang_up()
            assert await told.one(Reconnected) == Reconnected(resumed=True)
            assert asked == [before]
            await told.all(MessageReceived, 2)
            # What the server sent again is known already, and counts once its new copy is kept.
            assert store.messages == ["1", "2"]
            store.reads.pop(0)[1]()
            peers[-1].send(ASK)
            assert await peers[-1].acks.one() == before
            store.release()
            assert (await peers[-1].acks.wait(2))[1] == before + 2

    run(main())
