"""What clients agree on beyond the API, over real sockets: attachments, notices, call history, webhooks, pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectycube.chat import Chat, SystemMessageReceived
from connectycube.rest import (
    CallHistory,
    CallOutcome,
    InvalidArgument,
    Place,
    RecordingWebhook,
    SystemNotice,
    SystemNoticeKind,
    whiteboard_url,
)
from connectycube.sandbox import Sandbox
from tests.rest_pure.schemas import document
from tests.sandbox.conftest import PASSWORD, Join, user_id
from tests.sandbox.test_dialogs import group

CARD = {"name": "Ada", "phone": "390115550102"}


@pytest.mark.parametrize("data", [CARD, json.dumps(CARD, separators=(",", ":"))], ids=["mapping", "text"])
def test_contact_card_is_encoded_once(data: Any, join: Join) -> None:
    """F-076, N-14."""
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    mary.messages.create(chat_dialog_id=dialog.id, attachments=[{"type": "contact", "data": data}])
    found = ada.messages.list(chat_dialog_id=dialog.id).items[0].attachments[0]
    assert json.loads(found.data) == CARD


@pytest.mark.parametrize(
    "attachment",
    [
        Place(45.07, 7.68).to_attachment(),
        {"type": "location", "data": {"lat": 45.07, "lng": 7.68}},
        {"type": "location", "data": '{"latitude": "45.07", "longitude": "7.68"}'},
    ],
    ids=["attributes", "data", "text"],
)
def test_place_is_read_from_attributes_and_from_data(attachment: dict[str, Any], join: Join) -> None:
    """X-24, N-15, CX-19."""
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    mary.messages.create(chat_dialog_id=dialog.id, attachments=[attachment, {"type": "image", "uid": "u"}])
    place, image = ada.messages.list(chat_dialog_id=dialog.id).items[0].attachments
    assert Place.from_attachment(place) == Place(45.07, 7.68)
    assert Place.from_attachment(image) is None


@pytest.mark.parametrize(("latitude", "longitude", "argument"), [(91, 0, "latitude"), (0, -181, "longitude")])
def test_place_off_the_map_is_rejected(latitude: float, longitude: float, argument: str) -> None:
    with pytest.raises(InvalidArgument, match=argument):
        Place(latitude, longitude)


def test_invalid_contact_does_not_reject_the_address_book(join: Join) -> None:
    """X-43."""
    mary = join("mary")
    result = mary.address_book.upload(
        contacts=[
            {"name": "Ada", "phone": "390115550102"},
            {"name": "Short", "phone": "112"},
            {"name": "Long", "phone": "1" * 16},
            {"name": "", "phone": "390115550103"},
            {"phone": "390115550104"},
            {"name": "Grace", "phone": "390115550105"},
        ]
    )
    assert (result.created, sorted(result.rejected)) == (2, ["1", "2", "3", "4"])
    assert [contact.name for contact in mary.address_book.get()] == ["Ada", "Grace"]


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_dialogs_are_sorted_by_time(field: str, join: Join, sandbox: Sandbox) -> None:
    """N-10."""
    mary, ada = join("mary"), join("ada")
    first = group(mary, ada)
    sandbox.advance(60)
    second = group(mary, ada)
    sandbox.advance(60)
    mary.dialogs.update(first.id, name="Changed last")
    expected = [first.id, second.id] if field == "created_at" else [second.id, first.id]
    assert [dialog.id for dialog in mary.dialogs.list(sort_asc=field).items] == expected
    assert [dialog.id for dialog in mary.dialogs.list(sort_desc=field).items] == expected[::-1]


def test_page_of_dialogs_names_its_users(join: Join) -> None:
    """F-026."""
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    assert mary.dialogs.list().user_ids == set()
    group(mary, ada)
    group(eve, mary)
    assert mary.dialogs.list().user_ids == {user_id(mary), user_id(ada), user_id(eve)}
    assert mary.dialogs.list(limit=1).user_ids == {user_id(mary), user_id(eve)}
    mary.messages.create(recipient_id=user_id(ada), message="x")
    dialog = mary.dialogs.list(filters={"type": 3}).items[0]
    assert mary.messages.list(chat_dialog_id=dialog.id).user_ids == {user_id(mary), user_id(ada)}


def test_page_limit_is_documented() -> None:
    """N-12."""
    found = set()
    for path in document()["paths"].values():
        for operation in (entry for entry in path.values() if isinstance(entry, dict) and "x-page" in entry):
            limit = operation["x-page"]["limit"]
            for parameter in operation["parameters"]:
                parameter = resolved(parameter)
                if parameter["name"] == limit:
                    found.add(operation["operationId"])
                    assert "100" in parameter["description"]
    assert len(found) >= 12


def resolved(node: Any) -> Any:
    while "$ref" in node:
        found = document()
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def test_call_history_is_told_from_text(join: Join) -> None:
    """N-08."""
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    mary.messages.create(
        chat_dialog_id=dialog.id,
        message=CallOutcome.HUNG_UP,
        extra={"callHistory": "1", "callType": "video", "duration": "42"},
    )
    mary.messages.create(chat_dialog_id=dialog.id, message="hungUp")
    call, text = ada.messages.list(chat_dialog_id=dialog.id).items
    assert CallHistory.from_message(call) == CallHistory(outcome=CallOutcome.HUNG_UP, call_type="video", duration=42)
    assert CallHistory.from_message(text) is None


def test_recording_webhook_is_read() -> None:
    """X-46, N-04."""
    media = document()["webhooks"]["recordingDone"]["post"]["requestBody"]["content"]["application/json"]
    found = RecordingWebhook.from_dict(media["example"])
    assert found.meeting is not None
    assert found.meeting.name == "Route planning"
    assert found.host_user is not None
    assert found.host_user.id == 81001
    assert [record.file_uid for record in found.call_records] == [media["example"]["callRecords"][0]["file_uid"]]
    assert "signature" not in repr(found)


def test_whiteboard_has_an_address(join: Join) -> None:
    """X-47."""
    mary, ada = join("mary"), join("ada")
    board = mary.whiteboards.create(chat_dialog_id=group(mary, ada).id, name="Final route")
    url = whiteboard_url(board, username="Mary & co")
    assert url == (
        f"https://whiteboard.connectycube.com?whiteboardid={board.id}&username=Mary+%26+co&title=Final+route"
    )


@pytest.mark.parametrize("kind", SystemNoticeKind)
def test_notice_is_read_as_it_was_written(kind: SystemNoticeKind) -> None:
    """N-02."""
    ids = (81002, 81003) if kind in (SystemNoticeKind.ADD_PARTICIPANTS, SystemNoticeKind.REMOVE_PARTICIPANTS) else ()
    notice = SystemNotice(kind, "66f1a7c2e4b0d93a51c8e201", ids)
    assert SystemNotice.from_message(notice.body, notice.params) == notice


def test_parameters_of_a_notice_are_those_of_the_official_clients() -> None:
    """N-02."""
    notice = SystemNotice(SystemNoticeKind.ADD_PARTICIPANTS, "66f1a7c2e4b0d93a51c8e201", [81002, 81003])
    assert notice.body == "dialog/ADD_PARTICIPANTS"
    assert notice.params == {"dialogId": "66f1a7c2e4b0d93a51c8e201", "addedParticipantsIds": "81002,81003"}


@pytest.mark.parametrize(
    ("body", "params", "user_ids"),
    [
        ("dialog/NEW_DIALOG", {}, None),
        ("dialog/NEW_DIALOG", {"dialogId": ""}, None),
        ("dialog/OTHER", {"dialogId": "d"}, None),
        (None, {"dialogId": "d"}, None),
        (None, {"dialogId": "d", "body": "dialog/NEW_DIALOG"}, ()),
        ("dialog/REMOVE_PARTICIPANTS", {"dialogId": "d", "removedParticipantsIds": "x,5,," + "9" * 30}, (5,)),
        ("user/UPDATE", {}, ()),
    ],
)
def test_malformed_notice_is_an_ordinary_message(
    body: str | None, params: dict[str, Any], user_ids: tuple[int, ...] | None
) -> None:
    notice = SystemNotice.from_message(body, params)
    assert (None if notice is None else notice.user_ids) == user_ids


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (("dialog/NONE", "d"), "kind"),
        (([], "d"), "kind"),
        ((SystemNoticeKind.NEW_DIALOG,), "dialog_id"),
        ((SystemNoticeKind.NEW_DIALOG, 5), "dialog_id"),
        ((SystemNoticeKind.NEW_DIALOG, "d", [5]), "user_ids"),
        ((SystemNoticeKind.ADD_PARTICIPANTS, "d", ["x"]), "user_ids"),
        ((SystemNoticeKind.ADD_PARTICIPANTS, "d", "5"), "user_ids"),
    ],
)
def test_wrong_notice_is_rejected(arguments: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument, match=argument):
        SystemNotice(*arguments)


@pytest.mark.parametrize("both", ["sync"], indirect=True)
def test_notice_over_rest_is_read_in_the_chat(join: Join, sandbox: Sandbox) -> None:
    """N-02, X-28."""
    mary, ada = join("mary"), join("ada")
    notice = SystemNotice(SystemNoticeKind.NEW_DIALOG, group(mary, ada).id)
    place: dict[str, Any] = {"host": sandbox.chat_host, "port": sandbox.chat_port, "tls": "none"}
    with Chat(app_id=sandbox.app_id, user_id=user_id(ada), password=PASSWORD, **place) as chat:
        events = chat.events(SystemMessageReceived)
        mary.messages.create_system(recipientId=user_id(ada), body=notice.body, extra=notice.params)
        event = next(events)
    assert (event.user_id, event.notice) == (user_id(mary), notice)


def test_record_refers_to_a_file(join: Join) -> None:
    """X-45: a field of the class holds the file's uid."""
    cube = join("mary")
    file = cube.files.upload(b"poster", name="poster.png", content_type="image/png")
    record = cube.custom_objects.create("Movie", fields={"title": "T", "poster": file.uid})
    found = cube.custom_objects.get_many("Movie", record.id)[0].fields["poster"]
    assert cube.files.download(found) == b"poster"


def test_report_is_a_record(join: Join) -> None:
    """X-52, N-09."""
    mary, ada = join("mary"), join("ada")
    report = {"reportedUserId": user_id(ada), "reason": "spam"}
    mary.custom_objects.create("UserReports", fields=report)
    found = mary.custom_objects.list("UserReports", filters={"reportedUserId": user_id(ada)}).items
    assert [one.fields for one in found] == [report]
