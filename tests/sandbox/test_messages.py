"""R-041 to R-049: history, marks, reactions, search, and what the chat is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectycube.rest import errors
from connectycube.sandbox import Sandbox
from connectycube.sandbox.bus import MessageRemoved, MessageToDeliver, ReactionsChanged, Signal, SystemMessageToDeliver
from connectycube.sandbox.domain.message_model import Draft
from tests.rest.both import Both
from tests.sandbox.conftest import Join, user_id
from tests.sandbox.test_dialogs import group, refused


@pytest.fixture
def signals(sandbox: Sandbox) -> Any:
    found: list[Signal] = []
    stop = sandbox.call(sandbox.core.bus.subscribe, Signal, found.append)
    yield found
    sandbox.call(stop)


def write(cube: Any, dialog: Any, text: str = "hello", **fields: Any) -> Any:
    return cube.messages.create(chat_dialog_id=dialog.id, message=text, **fields)


def test_a_message_keeps_its_own_fields_and_updates_the_dialog(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    sent = write(
        mary, dialog, attachments=[{"type": "image", "uid": "x", "size": 5}], extra={"meeting_point": "car park"}
    )
    assert sent.extra == {"meeting_point": "car park"}
    assert sent.recipient_id == 0
    assert (sent.read_ids, sent.delivered_ids, sent.read) == ([user_id(mary)], [user_id(mary)], False)
    found = ada.messages.list(chat_dialog_id=dialog.id, mark_as_read=False).items[0]
    assert found.attachments[0].size == 5
    listed = mary.dialogs.list().items[0]
    assert (listed.last_message, listed.last_message_id, listed.last_message_user_id) == (
        "hello",
        sent.id,
        user_id(mary),
    )
    assert listed.last_message_date_sent == sent.date_sent


def test_a_page_has_at_most_a_hundred_entries(join: Join, sandbox: Sandbox, http: httpx.Client) -> None:
    mary = join("mary")
    dialog = mary.dialogs.create(type=2, name="Climbing", occupants_ids=[])
    core = sandbox.core
    stored = sandbox.call(core.dialogs.get, dialog.id)
    for number in range(101):
        sandbox.call(core.messages.store, stored, Draft(sender_id=user_id(mary), body=str(number)))
    assert len(mary.messages.list(chat_dialog_id=dialog.id, limit=100).items) == 100
    assert len(mary.messages.list(chat_dialog_id=dialog.id, limit=100, skip=100).items) == 1
    # Other clients may ask for more, and get as many.
    query = {"chat_dialog_id": dialog.id, "limit": 1000}
    found = http.get("/chat/Message", params=query, headers={"CB-Token": mary.session.token})
    assert len(found.json()["items"]) == 100
    assert len(mary.messages.list(chat_dialog_id=dialog.id, limit=1000).items) == 100
    assert len(list(mary.messages.list(chat_dialog_id=dialog.id, limit=1000))) == 101


def test_a_message_to_a_user_creates_their_dialog(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    sent = mary.messages.create(recipient_id=user_id(ada), message="Bring the rope")
    assert sent.recipient_id == user_id(ada)
    assert ada.dialogs.list().items[0].id == sent.chat_dialog_id
    refused(lambda: mary.messages.create(recipient_id=1, message="x"), errors.NotFound)


def test_listing_marks_as_read_by_default(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    write(mary, dialog)
    ada.messages.list(chat_dialog_id=dialog.id, mark_as_read=False)
    assert ada.messages.unread_count().total == 1
    assert mary.dialogs.list().items[0].last_message_status == "sent"
    ada.messages.list(chat_dialog_id=dialog.id)
    assert ada.messages.unread_count().total == 0
    assert mary.messages.list(chat_dialog_id=dialog.id).items[0].read_ids == [user_id(mary), user_id(ada)]
    assert mary.dialogs.list().items[0].last_message_status == "read"


def test_only_a_new_mark_updates_a_message(join: Join, sandbox: Sandbox) -> None:
    """Who asks for what was updated since the last time gets a message again when it is read, not at each reading."""
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    sent = write(mary, dialog)

    def updated() -> Any:
        return mary.messages.list(chat_dialog_id=dialog.id, mark_as_read=False).items[0].updated_at

    calls: list[Callable[[], object]] = [
        lambda: ada.messages.update(sent.id, chat_dialog_id=dialog.id, delivered=True),
        lambda: ada.messages.update(sent.id, chat_dialog_id=dialog.id, read=True),
        lambda: ada.messages.list(chat_dialog_id=dialog.id),
        lambda: ada.messages.update_all(chat_dialog_id=dialog.id, delivered=True),
    ]
    times = [updated()]
    for call in calls:
        sandbox.advance(10)
        call()
        times.append(updated())
    assert times[0] < times[1] < times[2] == times[3] == times[4]


def test_marks_and_texts_are_set_by_id_or_for_all_messages(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    first, second = write(mary, dialog), write(mary, dialog)
    ada.messages.update(first.id, chat_dialog_id=dialog.id, delivered=True)
    assert mary.messages.list(chat_dialog_id=dialog.id).items[0].delivered_ids == [user_id(mary), user_id(ada)]
    assert ada.messages.unread_count(chat_dialog_ids=[dialog.id]).dialogs == {dialog.id: 2}
    ada.messages.update_all(chat_dialog_id=dialog.id, read=True)
    assert ada.messages.unread_count().total == 0
    mary.messages.update(second.id, chat_dialog_id=dialog.id, message="changed")
    assert mary.dialogs.list().items[0].last_message == "changed"
    refused(lambda: ada.messages.update(first.id, chat_dialog_id=dialog.id, message="mine"))
    refused(lambda: ada.messages.update("0" * 24, chat_dialog_id=dialog.id, read=True), errors.NotFound)


def test_history_is_filtered_sorted_paged_and_counted(join: Join, both: Both, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    sent = []
    for number in range(5):
        sandbox.advance(10)
        attachments = [{"type": "image"}] if number % 2 else []
        sent.append(write(mary if number < 3 else ada, dialog, f"number {number}", attachments=attachments))

    def texts(**arguments: Any) -> list[str | None]:
        return [one.message for one in both.walk(mary.messages.list(chat_dialog_id=dialog.id, **arguments))]

    assert texts(limit=2) == [f"number {number}" for number in range(5)]
    assert texts(sort_desc="date_sent") == [f"number {number}" for number in reversed(range(5))]
    assert texts(filters={"sender_id": user_id(ada)}) == ["number 3", "number 4"]
    assert texts(filters={"date_sent": {"gt": sent[3].date_sent}}) == ["number 4"]
    assert texts(filters={"attachments.type": "image"}) == ["number 1", "number 3"]
    assert texts(filters={"message": {"ctn": "2"}}) == ["number 2"]
    assert texts(filters={"id": {"in": [sent[0].id, sent[4].id]}}) == ["number 0", "number 4"]
    assert mary.messages.count(chat_dialog_id=dialog.id, filters={"sender_id": {"nin": [user_id(ada)]}}) == 3


def test_a_preview_shows_strangers_twenty_messages_if_allowed(join: Join) -> None:
    mary, eve = join("mary"), join("eve")
    dialog = mary.dialogs.create(type=4, name="News", permissions={"allow_preview": True})
    for number in range(25):
        write(mary, dialog, str(number))
    found = eve.messages.list(chat_dialog_id=dialog.id, preview=True, limit=3).items
    assert [one.message for one in found] == [str(number) for number in range(5, 25)]
    mary.dialogs.update(dialog.id, permissions={"allow_preview": False})
    refused(lambda: eve.messages.list(chat_dialog_id=dialog.id, preview=True))


def test_dialogs_of_others_are_forbidden(join: Join) -> None:
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    dialog = group(mary, ada)
    sent = write(mary, dialog)
    for call in (
        lambda: eve.messages.list(chat_dialog_id=dialog.id),
        lambda: write(eve, dialog),
        lambda: eve.messages.update_all(chat_dialog_id=dialog.id, read=True),
        lambda: eve.messages.update_reactions(sent.id, add="x"),
        lambda: eve.messages.list_reactions(sent.id),
        lambda: eve.dialogs.clear_history(dialog.id),
        lambda: eve.dialogs.get_notifications(dialog.id),
    ):
        refused(call)
    result = eve.messages.delete(sent.id)
    assert result.wrong_permissions is not None
    assert result.wrong_permissions.ids == [sent.id]


def test_deleting_depends_on_dialog_type_and_role(join: Join, signals: list[Signal]) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    first, second, third = write(mary, dialog, "1"), write(mary, dialog, "2"), write(ada, dialog, "3")
    result = ada.messages.delete([first.id, "0" * 24])
    assert result.successfully_deleted is not None
    assert result.successfully_deleted.ids == [first.id]
    assert result.not_found is not None
    assert result.not_found.ids == ["0" * 24]
    assert ada.messages.count(chat_dialog_id=dialog.id) == 2
    assert mary.messages.count(chat_dialog_id=dialog.id) == 3
    result = ada.messages.delete([second.id], force=True)
    assert result.wrong_permissions is not None
    assert result.wrong_permissions.ids == [second.id]
    mary.messages.delete([third.id], force=True)
    assert mary.dialogs.list().items[0].last_message == "2"
    removed = [one for one in signals if isinstance(one, MessageRemoved)]
    assert [(one.message_id, one.user_id, one.recipients) for one in removed] == [
        (third.id, user_id(mary), [user_id(mary), user_id(ada)])
    ]


def test_in_a_private_dialog_users_delete_their_own_messages_for_both(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    sent = mary.messages.create(recipient_id=user_id(ada), message="x")
    result = ada.messages.delete(sent.id, force=True)
    assert result.wrong_permissions is not None
    assert result.wrong_permissions.ids == [sent.id]
    mary.messages.delete(sent.id, force=True)
    assert ada.messages.count(chat_dialog_id=str(sent.chat_dialog_id)) == 0


def test_reactions_are_counted_published_and_removed(join: Join, signals: list[Signal]) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    sent = write(mary, dialog)
    mary.messages.update_reactions(sent.id, add="👍")
    ada.messages.update_reactions(sent.id, add="👍")
    ada.messages.update_reactions(sent.id, add="🧗", remove="👍")
    assert mary.messages.list_reactions(sent.id) == {"👍": [user_id(mary)], "🧗": [user_id(ada)]}
    found = ada.messages.list(chat_dialog_id=dialog.id).items[0].reactions
    assert found is not None
    assert (found.own, found.total) == (["🧗"], {"👍": 1, "🧗": 1})
    told = [one for one in signals if isinstance(one, ReactionsChanged)]
    assert [(one.user_id, one.added, one.removed) for one in told] == [
        (user_id(mary), ["👍"], []),
        (user_id(ada), ["👍"], []),
        (user_id(ada), ["🧗"], ["👍"]),
    ]


def test_only_messages_with_send_to_chat_reach_the_chat(join: Join, signals: list[Signal]) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    write(mary, dialog)
    sent = write(mary, dialog, "loud", send_to_chat=True, markable=True, extra={"mood": "sunny"})
    told = [one for one in signals if isinstance(one, MessageToDeliver)]
    assert [(one.message_id, one.body, one.markable, one.extra, one.private) for one in told] == [
        (sent.id, "loud", True, {"mood": "sunny"}, False)
    ]


def test_a_system_message_goes_to_the_chat_and_is_not_stored(join: Join, signals: list[Signal]) -> None:
    mary, ada = join("mary"), join("ada")
    sent = mary.messages.create_system(recipientId=user_id(ada), extra={"event": "x", "album": {"id": "12"}})
    assert sent.extension_params == {"event": "x", "album": {"id": "12"}}
    told = [one for one in signals if isinstance(one, SystemMessageToDeliver)]
    assert [(one.message_id, one.recipient_id, one.params) for one in told] == [
        (sent.message_id, user_id(ada), {"event": "x", "album": {"id": "12"}})
    ]
    refused(lambda: mary.messages.create_system(recipientId=1), errors.Unprocessable)


def test_search_finds_dialogs_messages_and_users(join: Join, sandbox: Sandbox) -> None:
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    sandbox.create_user("climbing_grace")
    dialog = mary.dialogs.create(type=2, occupants_ids=[user_id(ada)], name="Sunday climbing")
    sent = write(mary, dialog, "Are you coming climbing?")
    found = ada.search.query(search_text="climbing")
    assert [one.id for one in found.dialogs] == [dialog.id]
    assert [one.id for one in found.messages] == [sent.id]
    assert [one.login for one in found.users] == ["climbing_grace"]
    assert ada.search.query(search_text="Climbing").messages == []
    assert [one.id for one in ada.search.query(search_text='"coming climbing"').messages] == [sent.id]
    assert eve.search.query(search_text="climbing").messages == []
    refused(lambda: ada.search.query(search_text="climbing", start_date="2026-01-01T00:00:00Z"), errors.BadRequest)
