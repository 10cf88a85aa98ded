"""Calls that say what they do: each is one of the other calls, with the usual arguments."""

from __future__ import annotations

import pytest

from connectycube.rest import errors
from connectycube.rest.models import Dialog, Message
from tests.rest.both import Both
from tests.sandbox.conftest import Join, user_id

NOBODYS = "66f1a7c2e4b0d93a51c8e2aa"


def test_dialog_is_got_by_its_id(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = mary.dialogs.create(type=2, name="Climbing", occupants_ids=[user_id(ada)])
    mary.dialogs.create(type=2, name="Skiing", occupants_ids=[user_id(ada)])
    assert ada.dialogs.get(dialog.id).name == "Climbing"
    assert ada.dialogs.get(dialog) == ada.dialogs.get(dialog.id)
    with pytest.raises(errors.NotFound) as caught:
        join("eve").dialogs.get(dialog)
    assert caught.value.status == 404
    assert caught.value.operation == "dialogs.get"
    assert "nothing has this id" in str(caught.value)


def test_message_is_got_without_being_marked_as_read(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    dialog = mary.dialogs.create(type=3, occupants_ids=[user_id(ada)])
    message = mary.messages.create(chat_dialog_id=dialog, message="Bring the rope")
    mary.messages.create(chat_dialog_id=dialog, message="And the nuts")
    found = ada.messages.get(dialog, message)
    assert (found.id, found.message) == (message.id, "Bring the rope")
    assert ada.messages.unread_count().total == 2
    with pytest.raises(errors.NotFound):
        ada.messages.get(dialog, NOBODYS)


def test_raw_response_of_what_does_not_exist(join: Join) -> None:
    response = join("mary").dialogs.with_raw_response.get(NOBODYS)
    assert response.status == 200
    with pytest.raises(errors.NotFound):
        response.parse()


def test_occupants_admins_and_pins(join: Join) -> None:
    mary, ada, eve = join("mary"), join("ada"), join("eve")
    dialog = mary.dialogs.create(type=2, name="Climbing", occupants_ids=[user_id(ada)])
    changed: Dialog = mary.dialogs.add_occupants(dialog, user_id(eve))
    assert changed.occupants_ids == [user_id(mary), user_id(ada), user_id(eve)]
    assert mary.dialogs.add_admins(dialog, [eve.users.me(), user_id(ada)]).admins_ids == [user_id(ada), user_id(eve)]
    assert mary.dialogs.remove_admins(dialog, user_id(ada)).admins_ids == [user_id(eve)]
    message: Message = mary.messages.create(chat_dialog_id=dialog, message="At seven")
    assert mary.dialogs.pin(dialog, message).pinned_messages_ids == [message.id]
    assert mary.dialogs.unpin(dialog, [message.id]).pinned_messages_ids == []
    assert mary.dialogs.remove_occupants(dialog, ada.users.me()).occupants_ids == [user_id(mary), user_id(eve)]


def test_own_account(join: Join) -> None:
    mary = join("mary")
    assert mary.users.me().login == "mary"
    assert mary.users.update_me(full_name="Mary S.").full_name == "Mary S."
    assert mary.users.with_raw_response.me().parse().full_name == "Mary S."


def test_own_account_of_a_session_from_elsewhere(join: Join, both: Both) -> None:
    mary = join("mary")
    other = both.cube(mary.base_url, token=str(mary.session.token))
    assert other.users.me().id == user_id(mary)
    assert other.session is not None
    assert other.session.user_id == user_id(mary)


def test_own_account_needs_a_session_of_a_user(join: Join, both: Both) -> None:
    mary = join("mary")
    cube = both.cube(mary.base_url, auth_key=mary._auth_key, token=None)
    with pytest.raises(
        errors.ConfigurationError, match=r"^users\.me needs the session of a user: call login\(\) first"
    ):
        cube.users.me()
    session = cube.sessions.create()
    assert session.token is not None
    cube.use_session(session.token)
    with pytest.raises(errors.ConfigurationError, match=r"^users\.update_me needs the session of a user"):
        cube.users.update_me(full_name="Nobody")
