"""What the platform sends elsewhere: chat alerts and other pushes, mails, and previews of web pages."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from connectycube.chat import Chat
from connectycube.rest import errors
from connectycube.sandbox import Sandbox, Settings
from tests.rest.both import Both
from tests.sandbox.conftest import PASSWORD, Join, user_id
from tests.sandbox.test_dialogs import group
from tests.sandbox.test_other_resources import subscribe


def chat_of(sandbox: Sandbox, cube: Any) -> Chat:
    return Chat(
        app_id=sandbox.app_id,
        user_id=user_id(cube),
        password=PASSWORD,
        host=sandbox.chat_host,
        port=sandbox.chat_port,
        tls="none",
    )


def alerts(sandbox: Sandbox) -> list[tuple[int | None, Any]]:
    return [(one.user_id, one.content) for one in sandbox.journal.sent("push")]


# -- chat alerts


def test_offline_recipients_get_an_alert_on_each_device(join: Join, sandbox: Sandbox) -> None:
    mary, ada, joe = join("mary"), join("ada"), join("joe")
    dialog = group(mary, ada, joe)
    subscribe(ada)
    subscribe(ada, "apns")
    mary.messages.create(chat_dialog_id=dialog.id, message="Who drives?", send_to_chat=True)
    payload = {"message": "mary: Who drives?", "dialog_id": dialog.id, "user_id": user_id(mary)}
    # Joe is not subscribed.
    assert alerts(sandbox) == [(user_id(ada), payload)] * 2
    assert [one.to for one in sandbox.journal.sent()] == [
        "android device phone (gcm, development)",
        "android device phone (apns, development)",
    ]
    events = sandbox.call(sandbox.core.push.events)
    assert [one["notification_channel"]["name"] for one in events] == ["apns", "gcm"]
    assert json.loads(base64.b64decode(events[0]["message"])) == payload


def test_messages_over_the_chat_alert_only_who_is_offline(join: Join, sandbox: Sandbox) -> None:
    mary, ada, joe = join("mary"), join("ada"), join("joe")
    dialog = group(mary, ada, joe)
    for cube in (mary, ada, joe):
        subscribe(cube)
    with chat_of(sandbox, mary) as chat, chat_of(sandbox, joe):
        chat.send(user_id(joe), "Are you there?")
        assert alerts(sandbox) == []
        sent = chat.send(user_id(ada), "And you?")
        chat.join(dialog.id)
        chat.send(dialog.id, "Who drives?")
    (private, in_group) = alerts(sandbox)
    assert private[0] == in_group[0] == user_id(ada)
    assert (private[1]["message"], private[1]["user_id"]) == ("mary: And you?", user_id(mary))
    assert [one.id for one in ada.messages.list(chat_dialog_id=private[1]["dialog_id"]).items] == [sent.id]
    assert in_group[1] == {"message": "mary: Who drives?", "dialog_id": dialog.id, "user_id": user_id(mary)}


def test_silent_messages_alert_nobody(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = group(mary, ada)
    subscribe(ada)
    with chat_of(sandbox, mary) as chat:
        chat.join(dialog.id)
        chat.send(dialog.id, "one", silent=True)
        mary.messages.create(chat_dialog_id=dialog.id, message="two", send_to_chat=True, extra={"silent": 1})
        chat.send(dialog.id, "three")
    assert [content["message"] for _, content in alerts(sandbox)] == ["mary: three"]


def test_a_silenced_dialog_alerts_nobody_until_it_is_on_again(join: Join, sandbox: Sandbox) -> None:
    mary, ada, joe = join("mary"), join("ada"), join("joe")
    dialog = group(mary, ada, joe)
    subscribe(ada)
    subscribe(joe)

    def alerted(text: str) -> list[int | None]:
        last = sandbox.journal.last_number
        mary.messages.create(chat_dialog_id=dialog.id, message=text, send_to_chat=True)
        return [one.user_id for one in sandbox.journal.sent("push", after=last)]

    ada.dialogs.update_notifications(dialog.id, enabled=False)
    assert alerted("one") == [user_id(joe)]
    ada.dialogs.update_notifications(dialog.id, enabled=True)
    assert alerted("two") == [user_id(ada), user_id(joe)]
    ada.push_subscriptions.delete(ada.push_subscriptions.list()[0].id)
    assert alerted("three") == [user_id(joe)]


def test_a_message_that_is_only_stored_alerts_nobody(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    subscribe(ada)
    mary.messages.create(recipient_id=user_id(ada), message="hello")
    assert alerts(sandbox) == []


@pytest.mark.parametrize(
    ("template", "expected"),
    [("New message in {dialog}: {message}", ["New message in Climbing: [attachment]"]), (None, [])],
)
def test_the_template_decides_what_an_alert_says(both: Both, template: str | None, expected: list[str]) -> None:
    with Sandbox(Settings(app_id=7001, chat_alert=template)) as other:
        mary, ada = (both.cube(other.api_url, auth_key=other.auth_key, token=None) for _ in range(2))
        mary.login(login="mary", password=PASSWORD, create=True)
        ada.login(login="ada", password=PASSWORD, create=True)
        subscribe(ada)
        dialog = mary.dialogs.create(type=2, name="Climbing", occupants_ids=[user_id(ada)])
        attachment = {"type": "image", "uid": "x"}
        mary.messages.create(chat_dialog_id=dialog.id, attachments=[attachment], send_to_chat=True)
        assert [content["message"] for _, content in alerts(other)] == expected


@pytest.mark.parametrize("template", ["{name}: {message}", "{message", "{0}"])
def test_an_invalid_template_is_rejected(template: str) -> None:
    with pytest.raises(ValueError, match=r"chat_alert may contain \{sender\}"):
        Settings(chat_alert=template)


# -- other pushes, mails, previews


def test_an_event_shows_what_each_device_receives(join: Join, sandbox: Sandbox) -> None:
    mary, ada = join("mary"), join("ada")
    subscribe(ada)
    message = {"message": "The rope is packed", "token": "secret-value"}
    mary.push_events.create(environment="development", message=message, user={"ids": [user_id(ada)]})
    (push,) = sandbox.journal.sent("push")
    assert (push.user_id, push.content) == (user_id(ada), {"message": "The rope is packed", "token": "•••"})


def test_a_reset_of_the_password_is_a_mail_in_the_journal(join: Join, sandbox: Sandbox) -> None:
    user = sandbox.create_user("ada", email="ada@mail.example")
    cube = join("mary")
    cube.users.reset_password(email="ada@mail.example")
    (mail,) = sandbox.journal.sent()
    assert (mail.medium, mail.to, mail.user_id) == ("mail", "ada@mail.example", user.id)
    with pytest.raises(errors.NotFound):
        cube.users.reset_password(email="nobody@mail.example")
    assert len(sandbox.journal.sent()) == 1


def test_a_preview_tells_what_the_address_tells(join: Join) -> None:
    cube = join("mary")
    found = cube.link_previews.create(url="https://news.example/2026/old-bridge_closed.html?x=1")
    assert (found.url, found.title) == ("https://news.example/2026/old-bridge_closed.html?x=1", "Old bridge closed")
    assert (found.description, found.images) == ("A page of news.example", [])
    assert cube.link_previews.create(url="https://news.example").title == "news.example"
    for url in ("nonsense", "file:///etc/passwd", "http://[", "https://"):
        with pytest.raises(errors.Unprocessable, match="url is not a web address"):
            cube.link_previews.create(url=url)


def test_the_page_lists_what_goes_elsewhere(http: httpx.Client, join: Join, sandbox: Sandbox) -> None:
    sandbox.create_user("ada", email="ada@mail.example")
    join("mary").users.reset_password(email="ada@mail.example")
    (found,) = http.get("/_sandbox/journal", params={"text": "reset your"}).json()
    assert (found["kind"], found["medium"], found["to"]) == ("outgoing", "mail", "ada@mail.example")
