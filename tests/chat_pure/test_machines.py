"""Properties that hold for the machines in any sequence of events. The spec's conformance tests cover each cell."""

from __future__ import annotations

import itertools
import pickle
import typing
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.chat import machines
from connectycube.chat.machines import UndefinedTransition, connection, contact_list, privacy_lists, stream_management
from tests.chat_pure.machine_helpers import an_event, defined, events_of, variables
from tests.properties import examples

MODULES = [connection, contact_list, privacy_lists, stream_management]
CLASSES: dict[ModuleType, Callable[..., Any]] = {
    connection: connection.Connection,
    contact_list: contact_list.Subscription,
    privacy_lists: privacy_lists.PrivacyLists,
    stream_management: stream_management.StreamManagement,
}


@pytest.mark.parametrize(
    ("machine", "event"),
    [
        (connection.Connection(state=connection.State.BINDING), connection.Resumed()),
        (contact_list.Subscription(), contact_list.Pushed("remove", False)),
        (contact_list.Subscription(), contact_list.Loaded("remove", True)),
        (stream_management.StreamManagement(), stream_management.ASKED),
        (stream_management.StreamManagement(state=stream_management.State.SUSPENDED), stream_management.Resume()),
    ],
)
def test_undefined_transition_raises_and_changes_nothing(machine: Any, event: Any) -> None:
    before = variables(machine)
    with pytest.raises(UndefinedTransition, match="is not defined in the state") as caught:
        machine.handle(event)
    assert variables(machine) == before
    assert (caught.value.machine, caught.value.state, caught.value.event) == (
        type(machine).__name__,
        machine.state,
        event,
    )


def test_error_hides_contents_and_survives_pickle() -> None:
    error = UndefinedTransition("StreamManagement", stream_management.State.OFF, stream_management.Sent("my secret"))
    assert str(error) == "StreamManagement: Sent is not defined in the state off"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.event) == (str(error), error.event)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_module_exports_exactly_its_public_classes(module: Any) -> None:
    classes = {*events_of(module), *typing.get_args(module.Effect)}
    others = {"Event", "Effect", "State", "TABLE", CLASSES[module].__name__}
    special = {
        connection: {"Reason", "RETRIED", "FINAL", "Backoff"},
        contact_list: {"Told"},
        stream_management: {"RECEIVED", "FLUSHED", "ASKED"},
    }
    assert sorted(module.__all__) == sorted({kind.__name__ for kind in classes} | others | special.get(module, set()))
    for kind in classes:
        assert "__dict__" not in dir(kind)
        assert kind.__doc__
        one = an_event(kind) if kind in events_of(module) else None
        if one is not None and attrs.fields(kind):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(one, attrs.fields(kind)[0].name, None)


def test_package_exports_its_modules() -> None:
    assert sorted(machines.__all__) == sorted(
        ["UndefinedTransition", *(module.__name__.rpartition(".")[2] for module in MODULES)]
    )


# Stream management

WRAP = 2**32


@st.composite
def sessions(draw: st.DrawFn) -> stream_management.StreamManagement:
    """Any state, with counters shortly before they start again."""
    count = draw(st.integers(0, 3))
    acked = draw(st.integers(WRAP - 4, WRAP - 1))
    state = draw(st.sampled_from(stream_management.State))
    off = state is stream_management.State.OFF
    resumable = state in (stream_management.State.SUSPENDED, stream_management.State.RESUMING)
    return stream_management.StreamManagement(
        state=state,
        received=0 if off else draw(st.integers(WRAP - 4, WRAP - 1)),
        acked=0 if off else acked,
        sent=0 if off else (acked + count) % WRAP,
        queue=deque([] if off else range(count)),
        resume_id="id" if resumable or (state is stream_management.State.ON and draw(st.booleans())) else None,
    )


@settings(deadline=None)
@given(machine=sessions(), data=st.data())
def test_no_item_is_lost_and_counters_match_the_queue(
    machine: stream_management.StreamManagement, data: st.DataObject
) -> None:
    numbers = itertools.count(100)
    given_in: list[object] = list(machine.queue)
    returned: list[object] = []
    received = machine.received
    request_out = False
    for _ in range(data.draw(st.integers(1, 40), label="events")):
        before = variables(machine)
        possible = defined(stream_management, machine.state)
        often = [kind for kind in possible if kind in (stream_management.Sent, stream_management.Acked)]
        kind = data.draw(st.sampled_from(often * 4 + possible), label="event")
        fields: dict[str, Any] = {}
        for each in attrs.fields(kind):
            if each.name == "item":
                fields["item"] = next(numbers)
            elif each.name == "resume_id":
                fields["resume_id"] = data.draw(st.sampled_from(["id", None]))
            elif each.name == "h":
                count = data.draw(st.integers(-1, len(machine.queue) + 1))
                fields["h"] = (machine.acked + count) % WRAP
                if kind is stream_management.Failed and data.draw(st.booleans()):
                    fields["h"] = None
            else:
                fields[each.name] = data.draw(st.booleans())
        event = kind(**fields)
        effects = machine.handle(event)

        if isinstance(event, stream_management.Sent):
            given_in.append(event.item)
        for effect in effects:
            if isinstance(effect, stream_management.Acknowledged | stream_management.Requeue):
                assert effect.items
                returned.extend(effect.items)
            elif isinstance(effect, stream_management.Resend):
                assert list(effect.items) == list(machine.queue) != []
            elif isinstance(effect, stream_management.Violated):
                assert machine.state is stream_management.State.OFF
                assert (effect.h, effect.sent) == (fields["h"], before["sent"])
                assert (effect.h - before["acked"]) % WRAP > len(before["queue"])
            elif isinstance(effect, stream_management.WriteRequest | stream_management.WritePing):
                assert not request_out or kind in (stream_management.Acked, stream_management.Failed)
                assert machine.asked
                assert effect is effects[-1]
                assert isinstance(effect, stream_management.WriteRequest) or effect.h == machine.sent
                on = machine.state is stream_management.State.ON
                assert on is isinstance(effect, stream_management.WriteRequest)
            elif isinstance(effect, stream_management.WriteAnswer | stream_management.WriteResume):
                assert effect.h == received
        request_out = machine.asked

        # Each item once, in order: first those that were returned, then those in the queue.
        assert [*returned, *machine.queue] == given_in
        assert (machine.sent - machine.acked) % WRAP == len(machine.queue)
        assert all(0 <= count < WRAP for count in (machine.sent, machine.acked, machine.received))
        assert not machine.asked or machine.queue
        if before["state"] is stream_management.State.ON and kind is stream_management.Received:
            received = (received + 1) % WRAP
        elif machine.received == 0:
            received = 0
        assert machine.received == received
        if machine.state is stream_management.State.OFF:
            assert variables(machine) == variables(stream_management.StreamManagement())
        if machine.state in (stream_management.State.SUSPENDED, stream_management.State.RESUMING):
            assert machine.resume_id is not None


@settings(deadline=None)
@given(data=st.data(), start=st.integers(WRAP - 5, WRAP - 1), managed=st.booleans())
def test_responsive_server_acknowledges_everything_in_order(data: st.DataObject, start: int, managed: bool) -> None:
    """A server that handles everything, a line in both directions, and stanzas at any time."""
    machine = stream_management.StreamManagement(
        state=stream_management.State.ON if managed else stream_management.State.PINGING, sent=start, acked=start
    )
    to_server: deque[int | str] = deque()
    to_client: deque[int] = deque()
    handled = start
    acknowledged: list[object] = []
    count = 0

    def carry_out(effects: tuple[stream_management.Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case stream_management.Acknowledged(items):
                    acknowledged.extend(items)
                case stream_management.WriteRequest() | stream_management.WritePing():
                    to_server.append("request")
                case _:
                    raise AssertionError(effect)

    steps = data.draw(st.lists(st.sampled_from(["send", "flush", "server", "client"]), max_size=40))
    for step in [*steps, "flush", *["server", "client"] * 100]:
        if step == "send":
            to_server.append(count)
            carry_out(machine.handle(stream_management.Sent(count)))
            count += 1
        elif step == "flush":
            carry_out(machine.handle(stream_management.FLUSHED))
        elif step == "server" and to_server:
            if to_server.popleft() == "request":
                to_client.append(handled)
            else:
                handled = (handled + 1) % WRAP
        elif step == "client" and to_client:
            carry_out(machine.handle(stream_management.Acked(to_client.popleft())))
    assert acknowledged == list(range(count))
    assert not to_server
    assert not machine.asked


# Connection


@settings(deadline=None, max_examples=examples(200))
@given(automatic=st.booleans(), data=st.data())
def test_no_timer_outlives_a_connection_and_each_life_is_reported_once(automatic: bool, data: st.DataObject) -> None:
    machine = connection.Connection(automatic=automatic)
    state = connection.State
    timers: set[str] = set()
    transport = False
    lives: list[list[type[Any]]] = []
    for _ in range(data.draw(st.integers(1, 40), label="events")):
        before = machine.state
        possible = [
            kind
            for kind in defined(connection, machine.state)
            if not (kind is connection.Stable and "stable" not in timers)
            and not (kind is connection.WaitOver and "wait" not in timers)
            and not (kind is connection.Resumed and not machine.been_online)
            and not (kind is connection.Begun and machine.begun)
        ]
        kind = data.draw(st.sampled_from(possible), label="event")
        event: connection.Event
        if kind is connection.Opened:
            event = connection.Opened(data.draw(st.booleans()))
        elif kind is connection.Lost:
            event = connection.Lost(
                data.draw(st.sampled_from(connection.Reason)), data.draw(st.floats(0, 1, exclude_max=True))
            )
            transport = False
        else:
            event = kind()
        if kind is connection.Connect and before is state.OFFLINE:
            lives.append([])
        if kind is connection.Closed:
            transport = False
        timers -= {connection.Stable: {"stable"}, connection.WaitOver: {"wait"}}.get(kind, set())
        for effect in machine.handle(event):
            match effect:
                case connection.StartStable():
                    assert not timers
                    timers.add("stable")
                case connection.Wait(seconds, attempt):
                    assert not timers
                    timers.add("wait")
                    assert 0 < seconds <= machine.backoff.maximum
                    assert attempt == machine.attempt > 0
                case connection.StopTimers():
                    timers.clear()
                case connection.Open():
                    assert not transport
                    transport = True
                case connection.Abort():
                    transport = False
                case connection.CloseStream():
                    assert transport
                case connection.Restore():
                    pass
                case _:
                    lives[-1].append(type(effect))

        if machine.state is not state.ONLINE:
            assert "stable" not in timers
        assert ("wait" in timers) is (machine.state is state.WAITING)
        assert transport is (machine.state not in (state.OFFLINE, state.WAITING))
    for life in lives:
        over = life is not lives[-1] or machine.state is state.OFFLINE
        ends = [kind for kind in life if kind in (connection.TellGaveUp, connection.TellDisconnected)]
        assert ends == (life[-1:] if over else [])
        told = [kind for kind in life if kind not in ends]
        assert told == [
            connection.TellReconnected if place else connection.TellConnected for place, _ in enumerate(told)
        ]


@pytest.mark.parametrize("reason", connection.Reason)
@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("been_online", [True, False])
def test_what_may_pass_is_retried(reason: connection.Reason, automatic: bool, been_online: bool) -> None:
    machine = connection.Connection(state=connection.State.CONNECTING, automatic=automatic, been_online=been_online)
    effects = machine.handle(connection.Lost(reason))
    final = reason in "authentication conflict".split()
    if automatic and (not final if been_online else reason in "network timeout stream".split()):
        assert effects[1:] == (connection.Wait(0.5, 1),)
    else:
        assert effects[1:] == (connection.TellGaveUp(reason),)


def test_delays_grow_to_the_maximum() -> None:
    backoff = connection.Backoff()
    assert [backoff.delay(attempt, 0) for attempt in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.delay(10**6, 0) == 60
    assert backoff.delay(1, 0.5) == 0.375


@given(
    backoff=st.builds(
        connection.Backoff,
        first=st.floats(0, 1e6),
        factor=st.floats(1, 1e6),
        maximum=st.floats(0, 1e6),
        spread=st.floats(0, 1),
    ),
    attempt=st.integers(1, 10**9),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_delay_is_between_zero_and_the_maximum(backoff: connection.Backoff, attempt: int, jitter: float) -> None:
    pause = backoff.delay(attempt, jitter)
    longest = backoff.delay(attempt, 0)
    assert 0 <= pause <= longest <= backoff.maximum
    assert pause >= longest * (1 - backoff.spread)


@pytest.mark.parametrize(
    "wrong",
    [{"first": -1}, {"factor": 0.5}, {"maximum": -0.1}, {"spread": 1.1}, {"spread": -1}, {"first": float("nan")}],
)
def test_invalid_backoff_is_rejected(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        connection.Backoff(**wrong)
