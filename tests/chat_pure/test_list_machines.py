"""Properties of the machines of the contact list and the privacy lists, against simulated servers."""

from __future__ import annotations

import typing
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.chat.machines import contact_list, privacy_lists
from tests.chat_pure.machine_helpers import an_event, events_of, variables
from tests.properties import examples

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
                if theirs not in self.gets:  # Otherwise it is answered silently.
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


@settings(deadline=None, max_examples=examples(300))
@given(data=st.data())
def test_contacts_agree_with_the_server_and_report_each_answer_once(data: st.DataObject) -> None:
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
        else:  # The server sends the roster, and again who asks (RFC 6121 section 3.1.3).
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
def test_contact_may_send_any_event_in_any_state(
    kind: type[Any], state: contact_list.State, told: contact_list.Told
) -> None:
    machine = contact_list.Subscription(state=state, told=told)
    effects = machine.handle(an_event(kind))
    assert len(effects) == len(set(effects))
    if kind in FACTS:
        assert machine.handle(an_event(kind)) == (), "a repeated fact is reported once"


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


@settings(deadline=None, max_examples=examples(200))
@given(names=st.frozensets(st.sampled_from(NAMES)), data=st.data())
def test_lists_match_the_server_and_each_operation_ends_once(names: frozenset[str], data: st.DataObject) -> None:
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
