"""The subscriptions between the user and one contact: RFC 6121 section 3 and Appendix A; the platform's facts 3.5.

Rule 1: the states are the nine of RFC 6121 Appendix A.1. A roster item determines the state, except for the contact's
        request, which only a presence of type `subscribe` reports: `Pushed` and `Loaded` keep it where possible.

Rule 2: what the user sends follows Appendix A.2. Where the server must not route it, it isn't written.

Rule 3: what comes in follows Appendix A.3. Where the server must not deliver it, it has no effect.

Rule 4: a request from a contact whom the user has subscribed to is accepted at once and not reported (fact 3.5).

Rule 5: the answer to the user's request comes as a presence and as a roster push, in either order. `told` is what the
        user knows: each answer is reported once, an acceptance by whichever comes first, a rejection by the presence,
        because a push without a subscription may also follow from what the user did elsewhere.

Rule 6: nothing is reported when the roster is loaded.

The order of effects: what is written, then the request or the answer, then `TellChanged`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from attrs import define, frozen

from ._machine import Move, take

__all__ = [
    "TABLE",
    "Effect",
    "Event",
    "Loaded",
    "Pushed",
    "Removed",
    "State",
    "Subscribe",
    "SubscribeReceived",
    "Subscribed",
    "SubscribedReceived",
    "Subscription",
    "TellAccepted",
    "TellChanged",
    "TellRejected",
    "TellRequested",
    "Told",
    "Unsubscribe",
    "UnsubscribeReceived",
    "Unsubscribed",
    "UnsubscribedReceived",
    "Write",
]


class State(StrEnum):
    """Who gets whose presence, and who has asked (RFC 6121 Appendix A.1). The initial state is `NONE`."""

    NONE = "none"
    """Neither gets the other's presence, and neither has asked."""
    NONE_OUT = "none-out"
    """Neither gets the other's presence; the user has asked."""
    NONE_IN = "none-in"
    """Neither gets the other's presence; the contact has asked."""
    NONE_OUT_IN = "none-out-in"
    """Neither gets the other's presence; both have asked."""
    TO = "to"
    """The user gets the contact's presence."""
    TO_IN = "to-in"
    """The user gets the contact's presence; the contact has asked for the user's."""
    FROM = "from"
    """The contact gets the user's presence."""
    FROM_OUT = "from-out"
    """The contact gets the user's presence; the user has asked for the contact's."""
    BOTH = "both"
    """Each gets the other's presence."""


class Told(StrEnum):
    """What the user knows of the own request."""

    NOTHING = "nothing"
    """There is none, or it was withdrawn or rejected."""
    ASKED = "asked"
    """It is out."""
    ACCEPTED = "accepted"
    """It was accepted."""


# Events: what the user wants to send


@frozen
class Subscribe:
    """Ask for the contact's presence (RFC 6121 section 3.1.1)."""


@frozen
class Subscribed:
    """Accept the contact's request (RFC 6121 section 3.1.4)."""


@frozen
class Unsubscribe:
    """Give up the contact's presence, or withdraw the request for it (RFC 6121 section 3.3.1)."""


@frozen
class Unsubscribed:
    """Reject the contact's request, or cancel what was accepted (RFC 6121 section 3.2.1)."""


# Events: what comes in


@frozen
class SubscribeReceived:
    """The contact asks for the user's presence (RFC 6121 section 3.1.3)."""


@frozen
class SubscribedReceived:
    """The contact accepts the user's request (RFC 6121 section 3.1.6)."""


@frozen
class UnsubscribeReceived:
    """The contact gives up the user's presence (RFC 6121 section 3.3.3)."""


@frozen
class UnsubscribedReceived:
    """The contact rejects the user's request, or cancels what was accepted (RFC 6121 section 3.2.3)."""


@frozen
class Pushed:
    """The server pushed the roster item (RFC 6121 section 2.1.6). The caller has checked the sender."""

    subscription: str
    """One of `none`, `to`, `from` and `both`; anything else is undefined."""
    ask: bool
    """Whether the user's request is out."""


@frozen
class Loaded:
    """The item was in the roster that the server sent (RFC 6121 section 2.1.4)."""

    subscription: str
    """One of `none`, `to`, `from` and `both`; anything else is undefined."""
    ask: bool
    """Whether the user's request is out."""


@frozen
class Removed:
    """The item was removed from the roster (RFC 6121 section 2.5)."""


Event: TypeAlias = (
    Subscribe
    | Subscribed
    | Unsubscribe
    | Unsubscribed
    | SubscribeReceived
    | SubscribedReceived
    | UnsubscribeReceived
    | UnsubscribedReceived
    | Pushed
    | Loaded
    | Removed
)  # fmt: skip
"""What `Subscription.handle` takes."""


# Effects


@frozen
class Write:
    """Write a presence to the contact."""

    type: Literal["subscribe", "subscribed", "unsubscribe", "unsubscribed"]
    """Its type."""


@frozen
class TellRequested:
    """Tell the user: the contact asks for your presence."""


@frozen
class TellAccepted:
    """Tell the user: the contact has accepted your request."""


@frozen
class TellRejected:
    """Tell the user: the contact has rejected your request or cancelled the subscription."""


@frozen
class TellChanged:
    """Tell the user: the contact has changed."""


Effect: TypeAlias = Write | TellRequested | TellAccepted | TellRejected | TellChanged
"""What the caller of `Subscription.handle` has to do."""


@define(kw_only=True, eq=False)
class Subscription:
    """The subscriptions between the user and one contact. RFC 6121 Appendix A."""

    state: State = State.NONE
    """Default: none."""
    told: Told = Told.NOTHING
    """What the user knows of the own request. Default: nothing."""

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Change the state by `event` and return what to do, in this order.

        Raises `UndefinedTransition` if a roster item has another subscription than those of RFC 6121 section 2.1.2.5
        that are states; nothing has changed then.
        """
        return take(self, TABLE, event)


# Rules

Step: TypeAlias = Move[State, Effect]
Rule: TypeAlias = Step | Callable[[Subscription, Any], Step | None]

_SUBSCRIBE = (Write("subscribe"),)
_SUBSCRIBED = (Write("subscribed"),)
_UNSUBSCRIBE = (Write("unsubscribe"),)
_UNSUBSCRIBED = (Write("unsubscribed"),)
_REQUESTED = (TellRequested(),)
_GRANTED = (Write("subscribed"), TellChanged())
_ACCEPTED_NOW = (TellAccepted(), TellChanged())
_REJECTED_NOW = (TellRejected(), TellChanged())
_CHANGED = (TellChanged(),)

_NOTHING_TOLD = {"told": Told.NOTHING}
_ASKED = {"told": Told.ASKED}
_ACCEPTED = {"told": Told.ACCEPTED}


def _accepted(machine: Subscription, event: SubscribedReceived) -> Step:
    """The push came first and has reported this, unless it came before the request was known."""
    if machine.told is Told.ACCEPTED:
        return Move(machine.state)
    return Move(machine.state, (TellAccepted(),), _ACCEPTED)


def _rejected(machine: Subscription, event: UnsubscribedReceived) -> Step:
    """The push came first and has reported nothing, or there was no request."""
    if machine.told is Told.NOTHING:
        return Move(machine.state)
    return Move(machine.state, (TellRejected(),), _NOTHING_TOLD)


_IN = frozenset({State.NONE_IN, State.NONE_OUT_IN, State.TO_IN})
"""The states in which the contact has asked."""

_ITEMS: Mapping[tuple[str, bool, bool], State] = {
    ("none", False, False): State.NONE,
    ("none", False, True): State.NONE_IN,
    ("none", True, False): State.NONE_OUT,
    ("none", True, True): State.NONE_OUT_IN,
    ("to", False, False): State.TO,
    ("to", False, True): State.TO_IN,
    ("to", True, False): State.TO,
    ("to", True, True): State.TO_IN,
    ("from", False, False): State.FROM,
    ("from", False, True): State.FROM,
    ("from", True, False): State.FROM_OUT,
    ("from", True, True): State.FROM_OUT,
    ("both", False, False): State.BOTH,
    ("both", False, True): State.BOTH,
    ("both", True, False): State.BOTH,
    ("both", True, True): State.BOTH,
}
"""The state by a roster item's subscription and ask, and by whether the contact had asked."""

_TO = frozenset({State.TO, State.TO_IN, State.BOTH})
"""The states in which the user gets the contact's presence."""


def _pushed(machine: Subscription, event: Pushed) -> Step | None:
    to = _ITEMS.get((event.subscription, event.ask, machine.state in _IN))
    if to is None:
        return None
    changed = _CHANGED if to is not machine.state else ()
    if to in _TO:
        accepted = (TellAccepted(),) if machine.told is Told.ASKED else ()
        return Move(to, (*accepted, *changed), _ACCEPTED)
    return Move(to, changed, _ASKED if event.ask else {})


def _loaded(machine: Subscription, event: Loaded) -> Step | None:
    to = _ITEMS.get((event.subscription, event.ask, machine.state in _IN))
    if to is None:
        return None
    if to in _TO:
        return Move(to, (), _ACCEPTED)
    return Move(to, (), _ASKED if event.ask else _NOTHING_TOLD)


TABLE: Mapping[tuple[State, type[Event]], Rule] = {
    # Subscribe
    (State.NONE, Subscribe): Move(State.NONE_OUT, _SUBSCRIBE, _ASKED),
    (State.NONE_OUT, Subscribe): Move(State.NONE_OUT, _SUBSCRIBE, _ASKED),
    (State.NONE_IN, Subscribe): Move(State.NONE_OUT_IN, _SUBSCRIBE, _ASKED),
    (State.NONE_OUT_IN, Subscribe): Move(State.NONE_OUT_IN, _SUBSCRIBE, _ASKED),
    (State.TO, Subscribe): Move(State.TO, _SUBSCRIBE),
    (State.TO_IN, Subscribe): Move(State.TO_IN, _SUBSCRIBE),
    (State.FROM, Subscribe): Move(State.FROM_OUT, _SUBSCRIBE, _ASKED),
    (State.FROM_OUT, Subscribe): Move(State.FROM_OUT, _SUBSCRIBE, _ASKED),
    (State.BOTH, Subscribe): Move(State.BOTH, _SUBSCRIBE),
    # Unsubscribe
    (State.NONE, Unsubscribe): Move(State.NONE, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.NONE_OUT, Unsubscribe): Move(State.NONE, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.NONE_IN, Unsubscribe): Move(State.NONE_IN, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.NONE_OUT_IN, Unsubscribe): Move(State.NONE_IN, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.TO, Unsubscribe): Move(State.NONE, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.TO_IN, Unsubscribe): Move(State.NONE_IN, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.FROM, Unsubscribe): Move(State.FROM, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.FROM_OUT, Unsubscribe): Move(State.FROM, _UNSUBSCRIBE, _NOTHING_TOLD),
    (State.BOTH, Unsubscribe): Move(State.FROM, _UNSUBSCRIBE, _NOTHING_TOLD),
    # Subscribed
    (State.NONE, Subscribed): Move(State.NONE),
    (State.NONE_OUT, Subscribed): Move(State.NONE_OUT),
    (State.NONE_IN, Subscribed): Move(State.FROM, _SUBSCRIBED),
    (State.NONE_OUT_IN, Subscribed): Move(State.FROM_OUT, _SUBSCRIBED),
    (State.TO, Subscribed): Move(State.TO),
    (State.TO_IN, Subscribed): Move(State.BOTH, _SUBSCRIBED),
    (State.FROM, Subscribed): Move(State.FROM),
    (State.FROM_OUT, Subscribed): Move(State.FROM_OUT),
    (State.BOTH, Subscribed): Move(State.BOTH),
    # Unsubscribed
    (State.NONE, Unsubscribed): Move(State.NONE),
    (State.NONE_OUT, Unsubscribed): Move(State.NONE_OUT),
    (State.NONE_IN, Unsubscribed): Move(State.NONE, _UNSUBSCRIBED),
    (State.NONE_OUT_IN, Unsubscribed): Move(State.NONE_OUT, _UNSUBSCRIBED),
    (State.TO, Unsubscribed): Move(State.TO),
    (State.TO_IN, Unsubscribed): Move(State.TO, _UNSUBSCRIBED),
    (State.FROM, Unsubscribed): Move(State.NONE, _UNSUBSCRIBED),
    (State.FROM_OUT, Unsubscribed): Move(State.NONE_OUT, _UNSUBSCRIBED),
    (State.BOTH, Unsubscribed): Move(State.TO, _UNSUBSCRIBED),
    # SubscribeReceived
    (State.NONE, SubscribeReceived): Move(State.NONE_IN, _REQUESTED),
    (State.NONE_OUT, SubscribeReceived): Move(State.NONE_OUT_IN, _REQUESTED),
    (State.NONE_IN, SubscribeReceived): Move(State.NONE_IN),
    (State.NONE_OUT_IN, SubscribeReceived): Move(State.NONE_OUT_IN),
    (State.TO, SubscribeReceived): Move(State.BOTH, _GRANTED),
    (State.TO_IN, SubscribeReceived): Move(State.BOTH, _GRANTED),
    (State.FROM, SubscribeReceived): Move(State.FROM),
    (State.FROM_OUT, SubscribeReceived): Move(State.FROM_OUT),
    (State.BOTH, SubscribeReceived): Move(State.BOTH),
    # SubscribedReceived
    (State.NONE, SubscribedReceived): Move(State.NONE),
    (State.NONE_OUT, SubscribedReceived): Move(State.TO, _ACCEPTED_NOW, _ACCEPTED),
    (State.NONE_IN, SubscribedReceived): Move(State.NONE_IN),
    (State.NONE_OUT_IN, SubscribedReceived): Move(State.TO_IN, _ACCEPTED_NOW, _ACCEPTED),
    (State.TO, SubscribedReceived): _accepted,
    (State.TO_IN, SubscribedReceived): _accepted,
    (State.FROM, SubscribedReceived): Move(State.FROM),
    (State.FROM_OUT, SubscribedReceived): Move(State.BOTH, _ACCEPTED_NOW, _ACCEPTED),
    (State.BOTH, SubscribedReceived): _accepted,
    # UnsubscribeReceived
    (State.NONE, UnsubscribeReceived): Move(State.NONE),
    (State.NONE_OUT, UnsubscribeReceived): Move(State.NONE_OUT),
    (State.NONE_IN, UnsubscribeReceived): Move(State.NONE, _CHANGED),
    (State.NONE_OUT_IN, UnsubscribeReceived): Move(State.NONE_OUT, _CHANGED),
    (State.TO, UnsubscribeReceived): Move(State.TO),
    (State.TO_IN, UnsubscribeReceived): Move(State.TO, _CHANGED),
    (State.FROM, UnsubscribeReceived): Move(State.NONE, _CHANGED),
    (State.FROM_OUT, UnsubscribeReceived): Move(State.NONE_OUT, _CHANGED),
    (State.BOTH, UnsubscribeReceived): Move(State.TO, _CHANGED),
    # UnsubscribedReceived
    (State.NONE, UnsubscribedReceived): _rejected,
    (State.NONE_OUT, UnsubscribedReceived): Move(State.NONE, _REJECTED_NOW, _NOTHING_TOLD),
    (State.NONE_IN, UnsubscribedReceived): _rejected,
    (State.NONE_OUT_IN, UnsubscribedReceived): Move(State.NONE_IN, _REJECTED_NOW, _NOTHING_TOLD),
    (State.TO, UnsubscribedReceived): Move(State.NONE, _REJECTED_NOW, _NOTHING_TOLD),
    (State.TO_IN, UnsubscribedReceived): Move(State.NONE_IN, _REJECTED_NOW, _NOTHING_TOLD),
    (State.FROM, UnsubscribedReceived): _rejected,
    (State.FROM_OUT, UnsubscribedReceived): Move(State.FROM, _REJECTED_NOW, _NOTHING_TOLD),
    (State.BOTH, UnsubscribedReceived): Move(State.FROM, _REJECTED_NOW, _NOTHING_TOLD),
    # Pushed, Loaded, Removed: the state before doesn't matter, but for the contact's request.
    **{(state, Pushed): _pushed for state in State},
    **{(state, Loaded): _loaded for state in State},
    **{(state, Removed): Move(State.NONE, _CHANGED, _NOTHING_TOLD) for state in State},
}
"""The rule of each state and event: a move, or a function that chooses one."""
