"""What the platform's clients agree on beyond the API, over the chat: notices, places, contact cards, calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectycube.chat import Attachment, ChatMessage, MessageReceived, SystemMessageReceived
from connectycube.rest import CallHistory, CallOutcome, InvalidArgument, Place, SystemNotice, SystemNoticeKind
from tests.integration.chats import people
from tests.integration.server import Server
from tests.integration.support import run

DIALOG = "66f1a7c2e4b0d93a51c8e201"
CARD = {"name": "Ada", "phone": "390115550102"}


def exchanged(server: Server, users: Any, body: str | None, **options: Any) -> ChatMessage:
    """A message as its recipient gets it."""

    async def main() -> ChatMessage:
        async with people(server, users(), users()) as (one, other):
            await one.chat.send(other.id, body, **options)
            return (await other.told.one(MessageReceived)).message

    return run(main())


@pytest.mark.parametrize(
    "notice",
    [
        SystemNotice(SystemNoticeKind.NEW_DIALOG, DIALOG),
        SystemNotice(SystemNoticeKind.ADD_PARTICIPANTS, DIALOG, [81002, 81003]),
        SystemNotice(SystemNoticeKind.USER_UPDATE),
    ],
    ids=lambda notice: notice.kind.name,
)
def test_notices_of_the_official_clients(notice: SystemNotice, server: Server, users: Any) -> None:
    """N-02, X-27."""

    async def main() -> None:
        async with people(server, users(), users()) as (one, other):
            await one.chat.send_system([other.id], notice)
            await one.chat.send_system(other.id, {"kind": "another"})
            first, second = await other.told.all(SystemMessageReceived, 2)
            assert (first.user_id, first.body, first.notice) == (one.id, notice.body, notice)
            assert second.notice is None
            with pytest.raises(InvalidArgument, match="body"):
                await one.chat.send_system(other.id, notice, body="text")

    run(main())


@pytest.mark.parametrize("data", [CARD, json.dumps(CARD)], ids=["mapping", "text"])
def test_contact_card_is_encoded_once(data: Any, server: Server, users: Any) -> None:
    """F-076, F-077, N-14."""
    found = exchanged(server, users, "My card", attachments=[Attachment(type="contact", data=data)])
    assert found.attachments[0].data == CARD


@pytest.mark.parametrize(
    "attachment",
    [Place(45.07, 7.68).to_attachment(), {"type": "location", "data": {"lat": 45.07, "lng": 7.68}}],
    ids=["attributes", "data"],
)
def test_places(attachment: dict[str, Any], server: Server, users: Any) -> None:
    """X-24, N-15, CX-19."""
    found = exchanged(server, users, None, attachments=[attachment, {"type": "image", "uid": "u"}])
    assert found.places == (Place(45.07, 7.68),)


def test_call_history(server: Server, users: Any) -> None:
    """N-08."""
    call = exchanged(server, users, "cancel", extra={"callHistory": 1, "callType": "audio"})
    assert call.call_history == CallHistory(outcome=CallOutcome.CANCEL, call_type="audio")
    assert exchanged(server, users, "cancel").call_history is None
