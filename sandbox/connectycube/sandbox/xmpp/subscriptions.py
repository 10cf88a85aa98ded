"""Presence subscriptions as a table: RFC 6121, appendix A.

One half of it changes the state of the user who sends a request, the other the state of the contact who receives it.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from attrs import evolve, frozen

from ..domain.contacts import ContactState, Subscription

__all__ = ["Kind", "Outcome", "inbound", "outbound", "state_name"]

Kind = Literal["subscribe", "subscribed", "unsubscribe", "unsubscribed"]

# The states of appendix A.1: the subscription, and which requests are open.
NONE, NONE_OUT, NONE_IN, NONE_OUT_IN = "none", "none+out", "none+in", "none+out+in"
TO, TO_IN, FROM, FROM_OUT, BOTH = "to", "to+in", "from", "from+out", "both"
STATES = (NONE, NONE_OUT, NONE_IN, NONE_OUT_IN, TO, TO_IN, FROM, FROM_OUT, BOTH)

ALWAYS = frozenset(STATES)

OUTBOUND: dict[Kind, tuple[dict[str, str], frozenset[str]]] = {
    "subscribe": ({NONE: NONE_OUT, NONE_IN: NONE_OUT_IN, FROM: FROM_OUT}, ALWAYS),
    "unsubscribe": (
        {NONE_OUT: NONE, NONE_OUT_IN: NONE_IN, TO: NONE, TO_IN: NONE_IN, FROM_OUT: FROM, BOTH: FROM},
        ALWAYS,
    ),
    "subscribed": (
        {NONE_IN: FROM, NONE_OUT_IN: FROM_OUT, TO_IN: BOTH},
        frozenset((NONE_IN, NONE_OUT_IN, TO_IN)),
    ),
    "unsubscribed": (
        {NONE_IN: NONE, NONE_OUT_IN: NONE_OUT, TO_IN: TO, FROM: NONE, FROM_OUT: NONE_OUT, BOTH: TO},
        frozenset((NONE_IN, NONE_OUT_IN, TO_IN, FROM, FROM_OUT, BOTH)),
    ),
}
"""Appendix A.2: what a user's own request changes, and the states in which it is sent to the contact."""

INBOUND: dict[Kind, dict[str, str]] = {
    "subscribe": {NONE: NONE_IN, NONE_OUT: NONE_OUT_IN, TO: TO_IN},
    "unsubscribe": {NONE_IN: NONE, NONE_OUT_IN: NONE_OUT, TO_IN: TO, FROM: NONE, FROM_OUT: NONE_OUT, BOTH: TO},
    "subscribed": {NONE_OUT: TO, NONE_OUT_IN: TO_IN, FROM_OUT: BOTH},
    "unsubscribed": {NONE_OUT: NONE, NONE_OUT_IN: NONE_IN, TO: NONE, TO_IN: NONE_IN, FROM_OUT: FROM, BOTH: FROM},
}
"""Appendix A.3: what a contact's request changes. Without a change, the user doesn't see it either."""


@frozen
class Outcome:
    """The result of a request.

    :ivar state: the new state.
    :ivar passes: whether the request is passed on, to the contact or to the user's devices.
    :ivar answer: the server's immediate answer on the user's behalf.
    """

    state: ContactState
    passes: bool
    answer: Kind | None = None


def state_name(state: ContactState) -> str:
    """Return the name that appendix A.1 gives a state."""
    return f"{state.subscription}{'+out' if state.ask else ''}{'+in' if state.pending_in else ''}"


def _in_state(state: ContactState, name: str) -> ContactState:
    subscription, *open_ = name.split("+")
    assert subscription in get_args(Subscription)
    kept = state.request if "in" in open_ else None
    return evolve(
        state,
        subscription=cast("Subscription", subscription),
        ask="out" in open_,
        pending_in="in" in open_,
        request=kept,
    )


def outbound(state: ContactState, kind: Kind) -> Outcome:
    """Apply a user's own request to the user's state (appendix A.2)."""
    name = state_name(state)
    changes, passes = OUTBOUND[kind]
    new = _in_state(state, changes.get(name, name))
    if kind == "subscribe":
        new = evolve(new, listed=True)
    elif kind == "subscribed":
        # Without a request, this is a pre-approval (section 3.4).
        early = name in (NONE, NONE_OUT, TO)
        new = evolve(new, listed=True, approved=early or state.approved)
    elif kind == "unsubscribed":
        new = evolve(new, approved=False)
    return Outcome(new, name in passes)


def inbound(state: ContactState, kind: Kind, request: str | None = None) -> Outcome:
    """Apply a contact's request to the user's state (appendix A.3).

    :param request: the stanza, which is repeated at each login until it is answered (section 3.1.3).
    """
    name = state_name(state)
    if kind == "subscribe":
        if state.from_:
            return Outcome(state, False, "subscribed")
        if state.approved:
            granted = {NONE: FROM, NONE_OUT: FROM_OUT, TO: BOTH}.get(name)
            if granted is not None:
                return Outcome(_in_state(state, granted), False, "subscribed")
    changed = INBOUND[kind].get(name)
    if changed is None:
        return Outcome(state, False)
    new = _in_state(state, changed)
    return Outcome(evolve(new, request=request) if kind == "subscribe" else new, True)
