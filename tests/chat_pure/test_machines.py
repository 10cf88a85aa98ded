"""What holds for the machines whatever happens. The cells of their tables have their own tests, made from the spec."""

from __future__ import annotations

import itertools
import pickle
import typing
from collections import Counter, deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.chat import machines
from connectycube.chat.machines import UndefinedTransition, connection, contact_list, privacy_lists, stream_management

MODULES = [connection, contact_list, privacy_lists, stream_management]
CLASSES: dict[ModuleType, Callable[..., Any]] = {
    connection: connection.Connection,
    contact_list: contact_list.Subscription,
    privacy_lists: privacy_lists.PrivacyLists,
    stream_management: stream_management.StreamManagement,
}
FIELDS = {
    "starttls": True,
    "reason": connection.Reason.NETWORK,
    "subscription": "to",
    "ask": False,
    "name": "list",
    "names": frozenset({"list"}),
    "default": None,
    "condition": "conflict",
    "managed": True,
    "resume": True,
    "resume_id": "id",
    "h": 0,
    "item": "stanza",
}


def events_of(module: Any) -> list[type[Any]]:
    return list(typing.get_args(module.Event))


def an_event(kind: type[Any]) -> Any:
    return kind(**{each.name: FIELDS[each.name] for each in attrs.fields(kind) if each.default is attrs.NOTHING})


def variables(machine: Any) -> dict[str, Any]:
    values = {each.name: getattr(machine, each.name) for each in attrs.fields(type(machine))}
    return {name: list(value) if isinstance(value, deque) else value for name, value in values.items()}


UNDEFINED = [
    pytest.param(module, state, kind, id=f"{module.__name__.rpartition('.')[2]}-{state}-{kind.__name__}")
    for module in MODULES
    for state in module.State
    for kind in events_of(module)
    if (state, kind) not in typing.cast(Any, module).TABLE
]


@pytest.mark.parametrize(("module", "state", "kind"), UNDEFINED)
def test_what_is_not_in_the_table_raises_and_changes_nothing(module: Any, state: Any, kind: type[Any]) -> None:
    machine = CLASSES[module](state=state)
    before = variables(machine)
    event = an_event(kind)
    with pytest.raises(UndefinedTransition, match="is not defined in the state") as caught:
        machine.handle(event)
    assert variables(machine) == before
    assert (caught.value.machine, caught.value.state, caught.value.event) == (type(machine).__name__, state, event)


@pytest.mark.parametrize(
    ("machine", "event"),
    [
        (connection.Connection(state=connection.State.BINDING), connection.Resumed()),
        (contact_list.Subscription(), contact_list.Pushed("remove", False)),
        (contact_list.Subscription(), contact_list.Loaded("remove", True)),
    ],
)
def test_no_case_of_a_rule_raises_and_changes_nothing(machine: Any, event: Any) -> None:
    before = variables(machine)
    with pytest.raises(UndefinedTransition):
        machine.handle(event)
    assert variables(machine) == before


def test_the_error_tells_no_contents_and_survives_pickle() -> None:
    error = UndefinedTransition("StreamManagement", stream_management.State.OFF, stream_management.Sent("my secret"))
    assert str(error) == "StreamManagement: Sent is not defined in the state off"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.event) == (str(error), error.event)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_module_exports_its_events_effects_and_no_others(module: Any) -> None:
    classes = {*events_of(module), *typing.get_args(module.Effect)}
    others = {"Event", "Effect", "State", "TABLE", CLASSES[module].__name__}
    special = {
        connection: {"Reason", "RETRIED", "Backoff"},
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


def test_the_package_exports_its_modules() -> None:
    assert sorted(machines.__all__) == sorted(
        ["UndefinedTransition", *(module.__name__.rpartition(".")[2] for module in MODULES)]
    )


def defined(module: Any, state: Any) -> list[type[Any]]:
    """In the order of `Event`, which hypothesis can shrink along."""
    return [kind for kind in events_of(module) if (state, kind) in module.TABLE]


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
def test_nothing_sent_is_lost_and_the_counters_match_the_queue(
    machine: stream_management.StreamManagement, data: st.DataObject
) -> None:
    numbers = itertools.count(100)
    given_in: list[object] = list(machine.queue)
    told: list[object] = []
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
                told.extend(effect.items)
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

        # Each item once, in its order: first the told ones, then those that still wait.
        assert [*told, *machine.queue] == given_in
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
def test_a_server_that_answers_has_everything_acknowledged_in_order(
    data: st.DataObject, start: int, managed: bool
) -> None:
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


@settings(deadline=None, max_examples=200)
@given(automatic=st.booleans(), data=st.data())
def test_no_timer_outlives_a_connection_and_each_life_is_told_once(automatic: bool, data: st.DataObject) -> None:
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
def test_only_what_may_pass_is_retried(reason: connection.Reason, automatic: bool) -> None:
    machine = connection.Connection(state=connection.State.ONLINE, automatic=automatic)
    effects = machine.handle(connection.Lost(reason))
    if automatic and reason in "network timeout stream".split():
        assert effects[2:] == (connection.Wait(0.5, 1),)
    else:
        assert effects[2:] == (connection.TellGaveUp(reason),)


def test_the_pauses_grow_to_the_maximum_and_stay_there() -> None:
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
def test_a_pause_is_between_nothing_and_the_maximum(backoff: connection.Backoff, attempt: int, jitter: float) -> None:
    pause = backoff.delay(attempt, jitter)
    longest = backoff.delay(attempt, 0)
    assert 0 <= pause <= longest <= backoff.maximum
    assert pause >= longest * (1 - backoff.spread)


@pytest.mark.parametrize(
    "wrong",
    [{"first": -1}, {"factor": 0.5}, {"maximum": -0.1}, {"spread": 1.1}, {"spread": -1}, {"first": float("nan")}],
)
def test_a_backoff_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        connection.Backoff(**wrong)


# Contact list

Pair = tuple[str, str]
OTHER = {"ann": "bob", "bob": "ann"}


class RosterServer:
    """The two servers of RFC 6121 section 3 in one: who gets whose presence, and who has asked for it.

    What a stanza changes for a user comes as a push and a presence, in the order that `push_first` draws.
    """

    def __init__(self, push_first: Callable[[], bool]) -> None:
        self.gets: set[Pair] = set()
        self.asks: set[Pair] = set()
        self.lines: dict[str, deque[contact_list.Event]] = {"ann": deque(), "bob": deque()}
        self.push_first = push_first
        self.answers: Counter[tuple[str, type[Any]]] = Counter()

    def item(self, user: str) -> tuple[str, bool]:
        pair = (user, OTHER[user])
        subscription = {
            (False, False): "none",
            (True, False): "to",
            (False, True): "from",
            (True, True): "both",
        }[pair in self.gets, pair[::-1] in self.gets]
        return subscription, pair in self.asks

    def deliver(self, user: str, *events: contact_list.Event, push: bool = True) -> None:
        if push:
            pushed = contact_list.Pushed(*self.item(user))
            events = (pushed, *events) if self.push_first() else (*events, pushed)
        self.lines[user].extend(events)

    def write(self, user: str, kind: str, push: bool = True) -> None:
        other = OTHER[user]
        own, theirs = (user, other), (other, user)
        match kind:
            case "subscribe" if own not in self.gets | self.asks:
                self.asks.add(own)
                if theirs not in self.gets:  # Else it is answered silently.
                    self.answers[other, contact_list.TellRequested] += 1
                self.deliver(user)
                self.deliver(other, contact_list.SubscribeReceived(), push=False)
            case "subscribed" if theirs in self.asks:
                self.asks.remove(theirs)
                self.gets.add(theirs)
                self.answers[other, contact_list.TellAccepted] += 1
                self.deliver(user)
                self.deliver(other, contact_list.SubscribedReceived())
            case "unsubscribe" if own in self.gets | self.asks:
                shown = own in self.gets  # A request of another is not in the roster.
                self.gets.discard(own)
                self.asks.discard(own)
                self.deliver(user, push=push)
                self.deliver(other, contact_list.UnsubscribeReceived(), push=shown)
            case "unsubscribed" if theirs in self.gets | self.asks:
                shown = theirs in self.gets
                self.gets.discard(theirs)
                self.asks.discard(theirs)
                self.answers[other, contact_list.TellRejected] += 1
                self.deliver(user, push=push and shown)
                self.deliver(other, contact_list.UnsubscribedReceived())

    def sensible(self, user: str) -> list[str]:
        """What a user is likely to do."""
        own = (user, OTHER[user])
        first = "unsubscribe" if own in self.gets | self.asks else "subscribe"
        return [first, *(["subscribed", "unsubscribed"] if own[::-1] in self.asks else [])]

    def remove(self, user: str) -> None:
        """RFC 6121 section 2.5.2."""
        self.write(user, "unsubscribe", push=False)
        self.write(user, "unsubscribed", push=False)
        self.lines[user].append(contact_list.Removed())

    def truth(self, user: str) -> contact_list.State:
        pair = (user, OTHER[user])
        subscription, ask = self.item(user)
        marks = ["out"] * ask + ["in"] * (pair[::-1] in self.asks)
        return contact_list.State("-".join([subscription, *marks]))

    def known(self, user: str) -> contact_list.Told:
        pair = (user, OTHER[user])
        if pair in self.gets:
            return contact_list.Told.ACCEPTED
        return contact_list.Told.ASKED if pair in self.asks else contact_list.Told.NOTHING


ACTIONS: dict[str, contact_list.Event | None] = {
    "subscribe": contact_list.Subscribe(),
    "subscribed": contact_list.Subscribed(),
    "unsubscribe": contact_list.Unsubscribe(),
    "unsubscribed": contact_list.Unsubscribed(),
    "remove": None,
    "reconnect": None,
}


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_two_contacts_agree_with_the_server_and_each_answer_is_told_once(data: st.DataObject) -> None:
    server = RosterServer(lambda: data.draw(st.booleans(), label="push first"))
    users = {"ann": contact_list.Subscription(), "bob": contact_list.Subscription()}
    told: Counter[tuple[str, type[Any]]] = Counter()

    def handle(user: str, event: contact_list.Event) -> None:
        before = users[user].state
        effects = users[user].handle(event)
        for effect in effects:
            if isinstance(effect, contact_list.Write):
                server.write(user, effect.type)
            elif not isinstance(effect, contact_list.TellChanged):
                told[user, type(effect)] += 1
        if contact_list.TellChanged() in effects and not isinstance(event, contact_list.Removed):
            assert users[user].state is not before

    for _ in range(data.draw(st.integers(1, 15), label="actions")):
        user = data.draw(st.sampled_from(["ann", "bob"]), label="user")
        action = data.draw(st.sampled_from(server.sensible(user) * 4 + list(ACTIONS)), label="action")
        event = ACTIONS[action]
        if event is not None:
            handle(user, event)
        elif action == "remove":
            server.remove(user)
        else:  # The server tells the roster, and then again who asks (RFC 6121 section 3.1.3).
            handle(user, contact_list.Loaded(*server.item(user)))
            if (OTHER[user], user) in server.asks:
                handle(user, contact_list.SubscribeReceived())
        while waiting := [each for each, line in server.lines.items() if line]:
            next_one = data.draw(st.sampled_from(waiting), label="delivered to")
            handle(next_one, server.lines[next_one].popleft())
        for each, machine in users.items():
            assert (machine.state, machine.told) == (server.truth(each), server.known(each))
        assert told == server.answers


FACTS = [
    contact_list.Pushed,
    contact_list.Loaded,
    contact_list.SubscribedReceived,
    contact_list.UnsubscribeReceived,
    contact_list.UnsubscribedReceived,
]


@pytest.mark.parametrize("told", contact_list.Told)
@pytest.mark.parametrize("state", contact_list.State)
@pytest.mark.parametrize("kind", events_of(contact_list), ids=lambda kind: kind.__name__)
def test_a_contact_can_do_anything_at_any_time(
    kind: type[Any], state: contact_list.State, told: contact_list.Told
) -> None:
    machine = contact_list.Subscription(state=state, told=told)
    effects = machine.handle(an_event(kind))
    assert len(effects) == len(set(effects))
    if kind in FACTS:
        assert machine.handle(an_event(kind)) == (), "a fact that is told twice is news once"


# Privacy lists

NAMES = ["one", "two", "three"]


class PrivacyServer:
    """The lists of one user, as XEP-0016 has them; a list that is the default can't be removed (section 2.8)."""

    def __init__(self, names: frozenset[str], default: str | None) -> None:
        self.names = set(names)
        self.default = default

    def fault(self, effect: privacy_lists.Effect) -> str | None:
        match effect:
            case privacy_lists.WriteDefault(name) | privacy_lists.WriteRemove(name) if name not in self.names:
                return "item-not-found"
            case privacy_lists.WriteRemove(name) if name == self.default:
                return "conflict"
        return None

    def obey(self, effect: privacy_lists.Effect) -> None:
        match effect:
            case privacy_lists.WriteDecline():
                self.default = None
            case privacy_lists.WriteDefault(name):
                self.default = name
            case privacy_lists.WriteList(name):
                self.names.add(name)
            case privacy_lists.WriteRemove(name):
                self.names.remove(name)


OPERATIONS = [
    privacy_lists.Set,
    privacy_lists.Update,
    privacy_lists.Remove,
    privacy_lists.Activate,
    privacy_lists.Deactivate,
]


@settings(deadline=None, max_examples=200)
@given(names=st.frozensets(st.sampled_from(NAMES)), data=st.data())
def test_the_lists_are_as_on_the_server_and_each_operation_ends_once(
    names: frozenset[str], data: st.DataObject
) -> None:
    server = PrivacyServer(names, data.draw(st.sampled_from([None, *sorted(names)]), label="default"))
    machine = privacy_lists.PrivacyLists()
    state = privacy_lists.State
    for _ in range(data.draw(st.integers(1, 6), label="operations")):
        if machine.state is state.UNKNOWN:
            assert machine.handle(privacy_lists.Listed(frozenset(server.names), server.default)) == ()
        protected_by = server.default
        kind = data.draw(st.sampled_from(OPERATIONS), label="operation")
        fields = [data.draw(st.sampled_from(NAMES), label="name") for _ in attrs.fields(kind)]
        effects = machine.handle(typing.cast(Any, kind)(*fields))
        refused: list[tuple[privacy_lists.State, str]] = []
        while True:
            (effect,) = effects
            if isinstance(effect, privacy_lists.Finished | privacy_lists.Failed):
                break
            answer = data.draw(st.sampled_from(["done"] * 4 + ["refused", "pushed", "lost"]), label="answer")
            fault = "internal-server-error" if answer == "refused" else server.fault(effect)
            if answer == "pushed":
                before = variables(machine)
                assert machine.handle(privacy_lists.Pushed("one")) == (privacy_lists.TellChanged("one"),)
                assert variables(machine) == before
            elif answer == "lost":
                effects = machine.handle(privacy_lists.Reset())
                refused.append((state.UNKNOWN, "disconnected"))
                assert effects == (privacy_lists.Failed("disconnected"),)
                break
            elif fault is not None:
                refused.append((machine.state, fault))
                effects = machine.handle(privacy_lists.Refused(fault))
            else:
                server.obey(effect)
                effects = machine.handle(privacy_lists.Done())
        assert machine.target is machine.fault is None
        assert (set(machine.names), machine.default) == (server.names, server.default)
        if not refused:
            assert effects == (privacy_lists.Finished(),)
        elif refused[-1][0] is state.UNKNOWN:
            assert machine.state is state.UNKNOWN
            continue
        else:
            assert effects == (privacy_lists.Failed(refused[0][1]),), "the first refusal is the reason"
            last_resort = refused[-1][0] in (state.RESTORING, state.REACTIVATING)
            assert server.default == (None if last_resort else protected_by)
        assert machine.state is state.IDLE
