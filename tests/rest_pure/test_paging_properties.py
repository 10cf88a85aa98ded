"""Whatever happens to a list while it is walked: nothing that stays is left out, nothing comes twice, it ends."""

from __future__ import annotations

import copy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties import examples

from .lists import Change, Echo, ListServer, numbered, walk, walk_async

PLACES = st.integers(0, 40)
COME_AND_GO = st.tuples(st.sampled_from(["insert", "delete", "touch"]), PLACES)
AT_THE_HEAD = st.one_of(
    st.tuples(st.just("insert"), st.just(0)),
    st.tuples(st.sampled_from(["delete", "touch"]), PLACES),
)
ECHOES = st.sampled_from(["none", "honest", "asked"])

steadily = settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def scripts(change: st.SearchStrategy[Change], most: int) -> st.SearchStrategy[list[list[Change]]]:
    return st.lists(st.lists(change, max_size=6), max_size=most)


def bound(server: ListServer) -> int:
    """Each change may cost a search for the lost place and one more reading of the list."""
    disturbances = sum(1 for changes in server.script if changes)
    return 10 + (disturbances + 2) * (server.longest + 6)


@given(
    count=st.integers(0, 25),
    cap=st.integers(2, 8),
    limit=st.none() | st.integers(1, 12),
    skip=st.none() | st.integers(0, 6),
    total=st.booleans(),
    echo=ECHOES,
    script=scripts(COME_AND_GO, 12),
)
@steadily
def test_entries_in_stable_order_are_returned_exactly_once(
    count: int, cap: int, limit: int | None, skip: int | None, total: bool, echo: Echo, script: list[list[Change]]
) -> None:
    server = ListServer(numbered(count), cap, total, echo, script)
    given_ids = walk(server, limit=limit, skip=skip)
    assert len(given_ids) == len(set(given_ids))
    assert server.steady - server.moved <= set(given_ids)
    assert len(server.requests) <= bound(server)


@given(
    count=st.integers(0, 20),
    cap=st.integers(2, 8),
    limit=st.none() | st.integers(1, 12),
    echo=ECHOES,
    script=scripts(AT_THE_HEAD, 9),
)
@steadily
def test_entries_moving_to_the_front_are_returned_once_if_the_total_is_known(
    count: int, cap: int, limit: int | None, echo: Echo, script: list[list[Change]]
) -> None:
    server = ListServer(numbered(count), cap, True, echo, script)
    given_ids = walk(server, limit=limit)
    assert len(given_ids) == len(set(given_ids))
    assert server.steady <= set(given_ids)
    assert len(server.requests) <= bound(server)


@given(
    count=st.integers(0, 40),
    cap=st.integers(2, 10),
    limit=st.none() | st.integers(1, 12),
    skip=st.none() | st.integers(0, 6),
    total=st.booleans(),
    echo=ECHOES,
)
@steadily
def test_unchanged_list_is_complete_and_ordered(
    count: int, cap: int, limit: int | None, skip: int | None, total: bool, echo: Echo
) -> None:
    server = ListServer(numbered(count), cap, total, echo)
    assert walk(server, limit=limit, skip=skip) == numbered(count)[skip or 0 :]
    size = min(limit or cap, cap)
    # Pages overlap by one; the end of a list without a total shows when nothing more comes.
    assert len(server.requests) <= 3 + count // max(size - 1, 1)


@given(count=st.integers(0, 15), limit=st.integers(1, 5), total=st.booleans(), script=scripts(COME_AND_GO, 8))
@settings(max_examples=examples(60), deadline=None)
def test_async_client_sends_and_returns_the_same(
    count: int, limit: int, total: bool, script: list[list[Change]]
) -> None:
    server = ListServer(numbered(count), 4, total, "none", script)
    twin = copy.deepcopy(server)
    assert walk_async(twin, limit=limit) == walk(server, limit=limit)
    assert twin.requests == server.requests
