"""What testers get: faults, the clock, the journal, seeds, data files, the sandbox in code."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from connectycube.rest import AsyncConnectyCube, ConnectyCube, errors
from connectycube.sandbox import Clock, DataFileError, Exchange, Sandbox, SeedError, Settings
from connectycube.sandbox.bus import Bus, Signal, UserDeleted
from connectycube.sandbox.domain.contacts import ContactState
from connectycube.sandbox.faults import Faults
from tests.sandbox.conftest import Join, user_id

SEED = """
users:
  - {login: mary, password: correct-horse-9, full_name: Mary S.}
  - {login: ada, password: battery-staple-4}
dialogs:
  - {name: Climbing, type: group, owner: mary, occupants: [ada]}
messages:
  - {dialog: Climbing, from: mary, message: "Who drives?"}
  - {to: ada, from: mary, message: Bring the rope, read_by: [ada]}
contacts:
  - [mary, ada]
"""


# -- faults


def test_injected_failures_end_after_their_number_of_times(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    sandbox.faults.fail_next(429, 2, retry_after=7, path="/chat")
    cube.users.list(filters={"login": "mary"})
    with pytest.raises(errors.RateLimited):
        cube.dialogs.count()
    with pytest.raises(errors.RateLimited) as caught:
        cube.dialogs.count()
    assert caught.value.errors == {"base": ["Rate limit exceeded"]}
    assert cube.dialogs.count() == 0
    assert sandbox.faults.pending() == []
    last = sandbox.journal.exchanges()[-2]
    assert (last.status, last.fault, last.response_headers["retry-after"]) == (429, "answered with 429", "7")


def test_a_client_that_retries_gets_through(join: Join, sandbox: Sandbox, waits: list[float]) -> None:
    cube = join("mary").with_options(max_retries=2)
    sandbox.faults.fail_next(503, 2)
    assert cube.dialogs.count() == 0
    assert len(waits) == 2


def test_a_connection_is_dropped_without_an_answer(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary")
    sandbox.faults.drop_next(method="GET")
    with pytest.raises(errors.ConnectionFailed):
        cube.dialogs.count()
    assert cube.dialogs.count() == 0


def test_an_answer_is_delayed(join: Join, sandbox: Sandbox) -> None:
    cube = join("mary").with_options(timeout=httpx.Timeout(30, read=0.05))
    sandbox.faults.delay_next(0.5)
    with pytest.raises(errors.RequestTimeout):
        cube.dialogs.count()


def test_chat_faults_are_counted_down() -> None:
    faults = Faults()
    faults.chat.refuse_resume = 1
    assert [faults.take_chat("refuse_resume") for _ in range(2)] == [True, False]
    with pytest.raises(ValueError, match="not an error status"):
        faults.fail_next(200)
    for wrong in (partial(faults.fail_next, 500, 0), partial(faults.drop_next, -1), partial(faults.delay_next, -1.0)):
        with pytest.raises(ValueError, match="at least 1"):
            wrong()
    assert faults.pending() == []


# -- clock, bus and journal


def test_the_clock_is_advanced_frozen_and_reset() -> None:
    system = [100.0]
    clock = Clock(lambda: system[0])
    moves: list[float] = []
    stop = clock.on_move(moves.append)
    clock.advance(50)
    system[0] += 1
    assert clock.now() == 151
    clock.freeze()
    system[0] += 100
    assert clock.now() == 151
    clock.advance(9)
    clock.unfreeze()
    system[0] += 1
    assert clock.now() == 161
    stop()
    clock.reset()
    assert clock.now() == system[0]
    assert moves == [150, 160]
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


def test_a_failing_listener_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    bus, found = Bus(), list[Signal]()

    def broken(_: Signal) -> None:
        raise ZeroDivisionError

    bus.subscribe(UserDeleted, broken)
    bus.subscribe(Signal, found.append)
    with caplog.at_level("CRITICAL"):
        bus.publish(UserDeleted(user_id=1))
    assert found == [UserDeleted(user_id=1)]


def test_the_journal_can_be_awaited_and_searched_and_is_bounded(join: Join, sandbox: Sandbox) -> None:
    mary = join("mary")
    after = sandbox.journal.last_number
    thread = threading.Thread(target=mary.dialogs.create, kwargs={"type": 4, "name": "Findable"})
    if not hasattr(mary, "runner"):
        thread.start()
        entry = sandbox.journal.wait_for(
            lambda one: isinstance(one, Exchange) and one.path == "/chat/Dialog", after=after
        )
        thread.join()
        assert entry.user_id == user_id(mary)
    else:
        mary.dialogs.create(type=4, name="Findable")
    assert len(sandbox.journal.entries(text="findable", user_id=user_id(mary))) == 1
    assert sandbox.journal.entries(user_id=1) == []
    with pytest.raises(TimeoutError):
        sandbox.journal.wait_for(lambda _: False, timeout=0.01)


def test_the_journal_hides_sasl_data(sandbox: Sandbox) -> None:
    xml = '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AG1hcnkAc2VjcmV0</auth>'
    sandbox.journal.stanza("in", xml, user_id=None)
    sandbox.journal.stanza("out", "<message><body>hello</body></message>", user_id=7, resource="a")
    first, second = sandbox.journal.stanzas()
    assert "AG1hcnkAc2VjcmV0" not in first.xml
    assert (second.user_id, second.direction, "hello" in second.xml) == (7, "out", True)


# -- seeds and data


def test_a_seed_is_planted_at_the_start_and_after_each_reset(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(SEED)
    with Sandbox(seed=path) as sandbox:
        for _ in range(2):
            with ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
                cube.login(login="ada", password="battery-staple-4")
                assert sorted(str(dialog.last_message) for dialog in cube.dialogs.list()) == [
                    "Bring the rope",
                    "Who drives?",
                ]
                assert cube.messages.unread_count().total == 1
            mary = sandbox.call(sandbox.core.accounts.get_by, "login", "mary")
            assert [one.subscription for one in sandbox.call(sandbox.core.contacts.listed, mary.id)] == ["both"]
            sandbox.reset()


@pytest.mark.parametrize(
    ("seed", "text"),
    [
        ({"people": []}, "parts"),
        ({"users": "mary"}, "not a list"),
        ({"users": [{"login": "mary"}, {"login": "mary"}]}, r"users\[1\].*taken"),
        ({"users": [3]}, r"users\[0\] is malformed"),
        ({"users": [{"login": "mary", "pasword": "x"}]}, r"users\[0\]: pasword is unknown"),
        ({"users": [{"login": ["mary"]}]}, r"users\[0\] is malformed"),
        ({"users": [{"login": "mary", "external_user_id": 2**70}]}, r"users\[0\] is malformed"),
        ({"messages": [{"from": "nobody", "to": "x"}]}, r"messages\[0\]: there is no user nobody"),
        ({"messages": [{"from": "x" * 1000, "to": "x"}]}, r"^messages\[0\]: there is no user x{,200}…$"),
        ("missing.yaml", "can't be read"),
    ],
    ids=["part", "not a list", "twice", "not a map", "typing error", "kind", "size", "nobody", "long", "no file"],
)
def test_an_invalid_seed_names_its_entry(seed: Any, text: str) -> None:
    with pytest.raises(SeedError, match=text), Sandbox(seed=seed):
        pass


def test_a_data_file_survives_a_killed_sandbox(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with Sandbox(data=path) as sandbox:
        cube = ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url)
        cube.login(login="mary", password="correct-horse-9", create=True)
        ada = sandbox.create_user("ada")
        cube.messages.create(recipient_id=ada.id, message="hello")
        file = cube.files.upload(b"content")
        mary = user_id(cube)
        sandbox.call(sandbox.core.privacy.set, mary, "blocked", [{"value": "x"}])
        state = ContactState(contact_id=ada.id, listed=True, ask=True)
        sandbox.call(sandbox.core.contacts.put, mary, state)
        sandbox.call(sandbox.core.presence.store_offline, ada.id, "<message/>")
        # As a killed process leaves it: nothing closed, the write-ahead log beside it.
        copy = tmp_path / "copy.db"
        for suffix in ("", "-wal"):
            copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
        token = str(cube.session.token if cube.session else "")
        cube.close()
    with Sandbox(data=copy, seed=None) as again:
        cube = ConnectyCube(again.app_id, again.auth_key, base_url=again.api_url)
        cube.use_session(token, user_id=mary)
        assert [one.last_message for one in cube.dialogs.list()] == ["hello"]
        assert cube.files.download(str(file.uid)) == b"content"
        assert again.call(again.core.privacy.names, mary) == ["blocked"]
        assert again.call(again.core.contacts.listed, mary) == [state]
        kept = again.call(again.core.presence.take_offline, ada.id)
        assert kept is not None
        assert kept.stanza == "<message/>"
        cube.close()


def test_a_file_of_another_type_is_refused(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text", tmp_path / "other.db", tmp_path / "newer.db"
    text.write_text("This is no database at all." * 100)
    for path, statement in ((other, "CREATE TABLE x (y)"), (newer, "PRAGMA user_version = 99")):
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
    for path, why in (
        (text, "not a data file"),
        (other, "another program"),
        (newer, "version 99"),
        (tmp_path, "opened"),
    ):
        with pytest.raises(DataFileError, match=why), Sandbox(data=path):
            pass


def as_version_1(path: Path) -> None:
    """Make of a data file what the first version of the store was."""
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE contacts DROP COLUMN groups")
    connection.execute("DROP TABLE keys")
    connection.execute("DROP TABLE recordings")
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def columns(path: Path) -> list[list[tuple[object, ...]]]:
    connection = sqlite3.connect(path)
    tables = ("contacts", "keys", "recordings")
    found = [connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables]
    connection.close()
    return found


def test_an_older_file_is_upgraded(tmp_path: Path) -> None:
    path, new, seed = tmp_path / "sandbox.db", tmp_path / "new.db", tmp_path / "seed.yaml"
    seed.write_text(SEED)
    with Sandbox(data=path, seed=seed), Sandbox(data=new):
        pass
    as_version_1(path)
    for groups in ((), ("Climbers", "Friends")):
        with Sandbox(data=path) as sandbox:
            mary = sandbox.call(sandbox.core.accounts.get_by, "login", "mary").id
            (ada,) = sandbox.call(sandbox.core.contacts.listed, mary)
            assert (ada.subscription, ada.groups) == ("both", groups)
            sandbox.call(sandbox.core.contacts.put, mary, evolve(ada, groups=("Climbers", "Friends")))
    assert columns(path) == columns(new)


def test_an_incomplete_older_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE x (y); PRAGMA user_version = 1;")
    connection.close()
    with pytest.raises(DataFileError, match="not a data file"), Sandbox(data=path):
        pass
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


# -- in code


def test_it_runs_in_an_async_block_and_beside_another() -> None:
    async def run() -> None:
        async with Sandbox() as first, Sandbox(Settings(app_id=9)) as second:
            for sandbox in (first, second):
                async with AsyncConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
                    session = await cube.login(login="mary", password="correct-horse-9", create=True)
                    assert session.application_id == sandbox.app_id

    asyncio.run(run())


def test_a_taken_port_is_an_error_that_leaves_nothing_open() -> None:
    with Sandbox() as sandbox:
        port = int(sandbox.api_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), Sandbox(port=port):
            pass
    with Sandbox(port=port) as sandbox:
        assert httpx.get(sandbox.api_url).status_code == 200
    for use in (lambda: sandbox.api_url, lambda: sandbox.core, lambda: sandbox.call(time.time)):
        with pytest.raises(RuntimeError, match="is not running"):
            use()


def test_it_stops_during_delayed_calls_and_slow_downloads(caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox() as sandbox, ConnectyCube(sandbox.app_id, sandbox.auth_key, base_url=sandbox.api_url) as cube:
        cube.login(login="mary", password="correct-horse-9", create=True)
        uid = str(cube.files.upload(bytes(20_000_000)).uid)
        place = httpx.URL(cube.files.url(uid, private=True))
        address = httpx.URL(httpx.get(place).headers["location"])
        sandbox.faults.delay_next(600.0, path="/session")
        clients = [socket.create_connection((address.host, address.port or 80)) for _ in range(2)]
        clients[0].sendall(b"GET " + address.raw_path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        clients[1].sendall(b"GET /session HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert clients[0].recv(12) == b"HTTP/1.1 200"
    for client in clients:
        client.close()
    assert not [one for one in caplog.records if one.exc_info]


def test_it_can_be_started_again() -> None:
    sandbox = Sandbox()
    for _ in range(2):
        with sandbox:
            with pytest.raises(RuntimeError, match="already running"):
                sandbox.start()
            assert httpx.get(sandbox.api_url).status_code == 200


def test_listening_outside_the_loopback_interface_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(host="0.0.0.0"):
        assert "anyone" in caplog.text
