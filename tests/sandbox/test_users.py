"""R-008 to R-025: sign-up, changes, look-ups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from connectycube.rest import errors
from connectycube.sandbox import Sandbox, Settings
from tests.rest.both import Both
from tests.sandbox.conftest import PASSWORD, Join, user_id


def test_a_sign_up_needs_no_session_and_answers_with_all_fields(both: Both, sandbox: Sandbox) -> None:
    cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None)
    user = cube.users.create(
        login="mary",
        email="mary@mail.example",
        password=PASSWORD,
        full_name="Mary S.",
        phone="390655500101",
        custom_data='{"shoe": 38}',
        tag_list=["climber", "driver"],
        external_id="crm-1",
    )
    assert user.user_tags == ["climber", "driver"]
    assert user.external_id == "crm-1"
    assert cube.login(email="mary@mail.example", password=PASSWORD).user_id == user.id


def test_a_login_is_unique_and_has_at_least_three_characters(both: Both, sandbox: Sandbox) -> None:
    cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None)
    cube.users.create(login="mary", password=PASSWORD)
    with pytest.raises(errors.Unprocessable) as caught:
        cube.users.create(login="mary", password=PASSWORD)
    assert caught.value.errors == {"login": ["has already been taken"]}
    with pytest.raises(errors.ConnectyCubeError):
        cube.users.create(login="ma", password=PASSWORD)


def test_a_sign_up_with_a_wrong_key_is_refused(both: Both, sandbox: Sandbox) -> None:
    with pytest.raises(errors.Unauthorized):
        both.cube(sandbox.api_url, auth_key="wrong", token=None).users.create(login="mary", password=PASSWORD)


def test_times_narrow_down_a_search(join: Join, sandbox: Sandbox) -> None:
    mary = join("mary")
    made = mary.users.list(filters={"login": "mary"}).items[0].created_at

    def found(wanted: Any) -> int:
        return len(mary.users.list(filters={"login": "mary", "created_at": wanted}).items)

    javascript = made.strftime("%a %b %d %Y %H:%M:%S GMT%z (Coordinated Universal Time)")
    assert [found(made), found({"gte": made}), found({"gt": made}), found({"lte": str(int(made.timestamp()))})] == [
        1,
        1,
        0,
        1,
    ]
    with httpx.Client(base_url=sandbox.api_url, headers={"CB-Token": mary.session.token}) as http:
        for wanted in (javascript, "Thu Jan 01 2099 00:00:00 GMT+0100 (CET)"):
            answer = http.get("/users/v2", params={"login": "mary", "created_at[lte]": wanted})
            assert answer.json()["total_entries"] == 1
        assert http.get("/users/v2", params={"login": "mary", "created_at": "Thu GMT"}).status_code == 400


def test_only_the_owner_changes_an_account(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    changed = mary.users.update(user_id(mary), full_name="Mary Sand", tag_list=["a", "b"])
    assert (changed.full_name, changed.user_tags) == ("Mary Sand", ["a", "b"])
    with pytest.raises(errors.Forbidden):
        ada.users.update(user_id(mary), full_name="x")
    with pytest.raises(errors.NotFound):
        ada.users.update(1, full_name="x")


def test_a_new_password_requires_the_old_one(join: Join, both: Both, sandbox: Sandbox) -> None:
    mary = join("mary")
    with pytest.raises(errors.Unprocessable):
        mary.users.update(user_id(mary), password="another-one-1")
    with pytest.raises(errors.Unprocessable):
        mary.users.update(user_id(mary), password="another-one-1", old_password="wrong")
    mary.users.update(user_id(mary), password="another-one-1", old_password=PASSWORD)
    cube = both.cube(sandbox.api_url, auth_key=sandbox.auth_key, token=None)
    assert cube.login(login="mary", password="another-one-1").user_id == user_id(mary)


def test_user_search_follows_the_rules_of_v2(join: Join, sandbox: Sandbox) -> None:
    for number in range(7):
        sandbox.create_user(f"climber{number}", full_name=f"Climber {number}", tag_list="rope,wall")
    cube = join("mary")
    found = list(cube.users.list(filters={"user_tags": "rope"}, sort_desc="id"))
    assert [user.login for user in found] == [f"climber{number}" for number in reversed(range(7))]
    page = cube.users.list(filters={"full_name": {"start_with": "Climb"}})
    assert len(page.items) == 5
    assert page.total_entries == 7
    assert [user.login for user in cube.users.list(filters={"login": {"in": ["climber1", "climber2"]}})] == [
        "climber1",
        "climber2",
    ]
    assert not list(cube.users.list(filters={"user_tags": "rope", "created_at": {"lt": "2000-01-01T00:00:00Z"}}))
    for wrong in ({"created_at": {"gt": "2000-01-01T00:00:00Z"}}, {"login": {"start_with": "cli"}}):
        with pytest.raises(errors.BadRequest):
            cube.users.list(filters=wrong)


def test_a_list_is_paged_to_its_end(join: Join, both: Both, sandbox: Sandbox) -> None:
    made = [sandbox.create_user(f"walker{number:03}", tag_list="walk").id for number in range(25)]
    cube = join("mary")
    assert [user.id for user in both.walk(cube.users.list(filters={"user_tags": "walk"}, limit=10))] == made


@pytest.fixture(scope="module")
def with_v1() -> Iterator[Sandbox]:
    """A sandbox with version 1 of the users API."""
    with Sandbox(Settings(app_id=7001, users_v1=True)) as sandbox:
        yield sandbox


@pytest.fixture
def v1(both: Both, with_v1: Sandbox) -> Any:
    """A user's client of a sandbox with version 1 of the users API."""
    with_v1.reset()
    cube = both.cube(with_v1.api_url, auth_key=with_v1.auth_key, token=None)
    cube.login(login="mary", password=PASSWORD, create=True)
    return cube


def test_users_are_found_by_one_field(v1: Any, with_v1: Sandbox) -> None:
    user = with_v1.create_user(
        "ada",
        email="ada@mail.example",
        full_name="Ada L.",
        phone="390115550102",
        facebook_id="f1",
        twitter_id="t1",
        external_user_id=77,
    )
    found = [
        v1.users.get(user.id),
        v1.users.get_by_login(login="ada"),
        v1.users.get_by_email(email="ada@mail.example"),
        v1.users.get_by_facebook_id(facebook_id="f1"),
        v1.users.get_by_twitter_id(twitter_id="t1"),
        v1.users.get_by_phone(phone="390115550102"),
        v1.users.get_by_external_id(77),
        v1.users.list_by_full_name(full_name="Ada L.").items[0],
    ]
    assert {one.id for one in found} == {user.id}
    with pytest.raises(errors.NotFound):
        v1.users.get_by_login(login="nobody")
    with pytest.raises(errors.NotFound):
        v1.users.get(2**62)


def test_v1_lists_are_filtered_sorted_and_paged(v1: Any, both: Both, with_v1: Sandbox) -> None:
    made = [with_v1.create_user(login, tag_list="walk").id for login in ("ada", "grace", "kathleen")]
    found = v1.users.list_v1(filters={"login": {"in": ["ada", "grace"]}}, order="desc string login")
    assert [user.login for user in found] == ["grace", "ada"]
    between = v1.users.list_v1(filters={"id": {"between": made[:2]}})
    assert [user.id for user in between] == made[:2]
    assert [user.id for user in both.walk(v1.users.list_by_tags(tags=["walk"], per_page=2))] == made


@pytest.mark.parametrize(
    "look",
    [
        lambda cube: cube.users.list_v1(),
        lambda cube: cube.users.get(user_id(cube)),
        lambda cube: cube.users.get_by_login(login="mary"),
        lambda cube: cube.users.get_by_email(email="mary@mail.example"),
        lambda cube: cube.users.get_by_facebook_id(facebook_id="f1"),
        lambda cube: cube.users.get_by_twitter_id(twitter_id="t1"),
        lambda cube: cube.users.list_by_tags(tags=["walk"]),
        lambda cube: cube.users.get_by_external_id(77),
    ],
    ids=["list", "id", "login", "email", "facebook", "twitter", "tags", "external"],
)
def test_v1_is_refused_by_default(join: Join, look: Callable[[Any], Any]) -> None:
    cube = join("mary")
    with pytest.raises(errors.BadRequest, match="use /users/v2"):
        look(cube)
    assert cube.users.list(filters={"id": user_id(cube)}).items[0].login == "mary"


def test_undisputed_look_ups_need_no_permission(join: Join, sandbox: Sandbox) -> None:
    user = sandbox.create_user("ada", full_name="Ada L.", phone="390115550102")
    cube = join("mary")
    assert cube.users.get_by_phone(phone="390115550102").id == user.id
    assert cube.users.list_by_full_name(full_name="Ada L.").items[0].id == user.id


def test_only_the_owner_deletes_an_account(join: Join) -> None:
    mary, ada = join("mary"), join("ada")
    with pytest.raises(errors.Forbidden):
        ada.users.delete(user_id(mary))
    mary.users.delete(user_id(mary))
    assert ada.users.list(filters={"login": "mary"}).total_entries == 0


def test_users_are_online_while_connected_to_the_chat(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    assert cube.users.count_online() == 0
    sandbox.call(sandbox.core.presence.came_online, user_id(cube))
    assert [user.id for user in cube.users.list_online()] == [user_id(cube)]
    assert cube.users.count_online() == 1
    sandbox.call(sandbox.core.presence.went_offline, user_id(cube))
    assert cube.users.count_online() == 0


def test_online_users_are_a_permission(both: Both) -> None:
    with Sandbox(Settings(app_id=7001, online_users=False)) as other:
        cube = both.cube(other.api_url, auth_key=other.auth_key, token=None)
        cube.login(login="mary", password=PASSWORD, create=True)
        for call in (cube.users.list_online, cube.users.count_online):
            with pytest.raises(errors.Forbidden, match="Online Users API is disabled"):
                call()
