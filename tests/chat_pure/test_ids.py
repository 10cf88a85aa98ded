"""Ids and addresses: what can't be predicted, and who is whom."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise

import pytest

from connectycube.chat._ids import BLOCK, Addresses, IdMaker, Recent, Sender

DIALOG = "66f1a7c2e4b0d93a51c8e201"
ADDRESSES = Addresses(app_id=7001, host="localhost", muc_host="muc.localhost")


def test_message_id_has_the_time_and_random_digits() -> None:
    before = int(time.time())
    ids = [IdMaker().message() for _ in range(BLOCK * 3)]
    assert all(len(found) == 24 and before <= int(found[:8], 16) <= time.time() for found in ids)
    tails = [int(found[8:], 16) for found in ids]
    assert len(set(tails)) == len(tails)
    # Each of the 64 bits changes in about half of all steps: nothing counts up, nothing stays.
    for bit in range(64):
        changes = sum((one ^ two) >> bit & 1 for one, two in pairwise(tails))
        assert BLOCK < changes < BLOCK * 2


def test_request_ids_are_random_too() -> None:
    ids = [IdMaker().request() for _ in range(BLOCK * 2)]
    assert len({found[:8] for found in ids}) == len({found[8:] for found in ids}) == len(ids)


FORK = """
import os
from connectycube.chat._ids import BLOCK, IdMaker
ids = IdMaker()
ids.message()
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, ids.request().encode())
    os._exit(0)
os.wait()
print(os.read(reader, 16).decode(), *(ids.request() for _ in range(BLOCK)))
"""


def test_forked_process_draws_other_ids() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    child, *parent = done.stdout.split()
    assert len(child) == len(parent[0]) == 16
    assert child not in parent


@pytest.mark.parametrize("jid", ["5-7001@localhost", "5-7001@localhost/desk", "5-7001@LOCALHOST/a@b/c_d"])
def test_user_of_this_application_and_host_is_known(jid: str) -> None:
    assert ADDRESSES.sender(jid) == Sender(5, None, 5)
    assert ADDRESSES.user_of(jid) == 5
    assert ADDRESSES.room_of(jid) is None


@pytest.mark.parametrize(
    "jid",
    [
        "5-7001@elsewhere",
        "5-9999@localhost",
        "5-7001@localhost.evil.example/localhost",
        "5-7001@muc.localhost",
        "05-7001@localhost",
        "5-07001@localhost",
        "5@localhost",
        "localhost",
        "",
        f"7001_{DIALOG}@elsewhere/5",
        f"9999_{DIALOG}@muc.localhost/5",
        f"07001_{DIALOG}@muc.localhost/5",
        f"7001_{DIALOG}@localhost/5",
    ],
)
def test_foreign_address_gives_no_id(jid: str) -> None:
    assert ADDRESSES.sender(jid) == Sender(None, None, jid)
    assert ADDRESSES.user_of(jid) is None
    assert ADDRESSES.room_of(jid) is None


@pytest.mark.parametrize(
    ("name", "user_id"), [("/5", 5), ("", None), ("/05", None), ("/5 ", None), ("/mary", None), ("/5/x", None)]
)
def test_occupant_is_a_user_only_by_number(name: str, user_id: int | None) -> None:
    jid = f"7001_{DIALOG}@muc.localhost{name}"
    assert ADDRESSES.sender(jid) == Sender(user_id, DIALOG, user_id or jid)
    assert ADDRESSES.room_of(jid) == (DIALOG, user_id)
    assert ADDRESSES.user_of(jid) is None


def test_recent_keeps_the_last_keys() -> None:
    recent: Recent[int, str] = Recent(2)
    for key, value in [(1, "a"), (2, "b"), (1, "c"), (3, "d")]:
        recent.put(key, value)
    assert [recent.get(key) for key in (1, 2, 3)] == [None, "b", "d"]
