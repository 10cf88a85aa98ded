"""R-001 to R-007: sessions, and when they end."""

from __future__ import annotations

import datetime as dt

import pytest

from connectycube.rest import ConnectyCube, errors
from connectycube.sandbox import Sandbox
from tests.rest.both import Both
from tests.sandbox.conftest import PASSWORD, Join, session_id, user_id


def bare(both: Both, sandbox: Sandbox, **options: object) -> ConnectyCube:
    return both.cube(sandbox.api_url, **{"auth_key": sandbox.auth_key, "token": None, "max_retries": 0, **options})


def test_an_unknown_login_creates_a_user_who_can_log_in_again(join: Join) -> None:
    assert user_id(join("mary")) == user_id(join("mary"))


def test_a_login_creates_a_user_only_on_request(both: Both, sandbox: Sandbox) -> None:
    cube = bare(both, sandbox)
    for _ in range(2):
        with pytest.raises(errors.Unauthorized):
            cube.login(login="mary", password=PASSWORD)
    created = cube.login(login="mary", password=PASSWORD, create=True)
    assert cube.login(login="mary", password=PASSWORD).user_id == created.user_id


def test_a_renewal_does_not_create_the_deleted_user_again(join: Join, both: Both, sandbox: Sandbox) -> None:
    cube = join("mary")
    other = bare(both, sandbox)
    other.login(login="mary", password=PASSWORD)
    other.users.delete(user_id(other))
    with pytest.raises(errors.Unauthorized):
        cube.dialogs.list()
    with pytest.raises(errors.Unauthorized):
        bare(both, sandbox).login(login="mary", password=PASSWORD)


def test_a_wrong_password_is_refused(join: Join, both: Both, sandbox: Sandbox) -> None:
    join("mary")
    with pytest.raises(errors.Unauthorized):
        bare(both, sandbox).login(login="mary", password="wrong")


def test_a_wrong_key_or_application_is_refused(both: Both, sandbox: Sandbox) -> None:
    for wrong in ({"auth_key": "wrong"}, {"app_id": 1}):
        with pytest.raises(errors.Unauthorized):
            bare(both, sandbox, **wrong).sessions.create()


def test_a_session_has_its_user_and_expiry(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    session = cube.sessions.get()
    assert session.user is not None
    assert session.user.login == "mary"
    response = cube.sessions.with_raw_response.get()
    end = dt.datetime.strptime(response.headers["CB-Token-ExpirationDate"], "%Y-%m-%d %H:%M:%S UTC")
    left = end.replace(tzinfo=dt.UTC).timestamp() - sandbox.clock.now()
    assert 7195 < left <= 7200


def test_a_session_ends_two_hours_after_its_last_call(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    for _ in range(3):
        sandbox.advance(7100)
        cube.dialogs.count()
    sandbox.advance(7201)
    with pytest.raises(errors.SessionExpired) as caught:
        cube.sessions.get()
    assert caught.value.errors == {"base": ["Required session does not exist"]}


def test_a_client_with_credentials_renews_an_expired_session(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    assert sandbox.expire_sessions() == 1
    assert cube.dialogs.count() == 0
    assert [entry.status for entry in sandbox.journal.exchanges()][-4:] == [401, 201, 200, 200]


def test_a_guest_exists_for_a_day_and_has_no_password(both: Both, sandbox: Sandbox) -> None:
    cube = bare(both, sandbox)
    session = cube.login_guest(full_name="Passer-by")
    assert session.user is not None
    assert session.user.is_guest
    sandbox.advance(23 * 3600)
    cube.sessions.get()
    sandbox.advance(3601)
    with pytest.raises(errors.SessionExpired):
        cube.sessions.get()


def test_a_guest_is_deleted_after_a_day_without_any_call(both: Both, join: Join, sandbox: Sandbox) -> None:
    guest = bare(both, sandbox).login_guest(full_name="Passer-by").user
    assert guest is not None
    sandbox.advance(24 * 3600 - 60)
    bare(both, sandbox).login_guest(full_name="Another")
    assert join("mary").users.list(filters={"full_name": "Passer-by"}).total_entries == 1
    sandbox.advance(120)
    mary = join("mary")
    assert mary.users.list(filters={"full_name": "Passer-by"}).total_entries == 0
    assert mary.users.list(filters={"full_name": "Another"}).total_entries == 1


@pytest.mark.parametrize(
    "how",
    [
        {"provider": "facebook", "token": "fb-1"},
        {"provider": "twitter", "token": "tw-1", "secret": "s"},
        {"provider": "firebase_phone", "project_id": "p", "token": "fp-1"},
        {"provider": "firebase_email", "project_id": "p", "token": "fe-1"},
    ],
    ids=lambda how: how["provider"],
)
def test_a_provider_token_always_means_the_same_user(both: Both, sandbox: Sandbox, how: dict[str, str]) -> None:
    first, second = (bare(both, sandbox).login_provider(**how) for _ in range(2))  # type: ignore[arg-type]
    assert first.user_id == second.user_id
    assert first.user_id is not None


def test_an_application_session_gains_and_loses_a_user(join: Join, both: Both, sandbox: Sandbox) -> None:
    mary = user_id(join("mary"))
    cube = bare(both, sandbox)
    token = cube.sessions.create().token
    cube.use_session(str(token))
    with pytest.raises(errors.ApiError):
        cube.dialogs.count()
    assert cube.sessions.login(login="mary", password=PASSWORD).id == mary
    assert cube.dialogs.count() == 0
    cube.sessions.logout()
    assert cube.sessions.get().user_id is None


def test_other_sessions_are_ended_by_id_and_all_at_once(join: Join, both: Both, sandbox: Sandbox) -> None:
    first, second, third = join("mary"), join("mary"), join("mary")
    ids = [session_id(cube) for cube in (first, second, third)]
    first.sessions.delete_by_id(ids[1])
    with pytest.raises(errors.NotFound):
        first.sessions.delete_by_id(ids[1])
    first.sessions.delete_others()
    assert sandbox.call(sandbox.core.db.column, "SELECT id FROM sessions") == [ids[0]]
    first.logout()
    assert sandbox.call(sandbox.core.db.column, "SELECT id FROM sessions") == []


def test_sessions_of_others_cannot_be_ended(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    with pytest.raises(errors.NotFound):
        ada.sessions.delete_by_id(session_id(mary))
