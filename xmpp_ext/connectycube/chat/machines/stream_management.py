"""What the server has handled of what was sent: by XEP-0198, or by pings where the server doesn't support it.

Rule 1: both sides count stanzas modulo 2**32 (XEP-0198 section 4): outbound from `<enable/>` on, inbound from
        `<enabled/>` on; an inbound stanza counts once it is processed and, if a store is in use,
        saved. At any time (sent - acked) modulo 2**32 is the length of the queue.

Rule 2: an item stays in the queue until the server acknowledges it. If the session ends first, `Requeue` returns the
        item, and the caller decides whether to send it again. No item is lost or returned twice.

Rule 3: at most one request is pending. It is sent when the output is flushed and the queue is not empty, and again
        after an answer that leaves items in the queue. The caller may send further requests in between: their answers
        show the progress of a slow line.

Rule 4: a count that covers more than was sent ends the session (XEP-0198 section 4: undefined-condition with
        handled-count-too-high).

Rule 5: in `pinging` the answer to a ping proves that everything sent before it was handled: a server processes a
        stream in order (RFC 6120 section 10.1). The count of the answer is the one in `WritePing`.

Rule 6: a resumed session keeps its counters; what the server has not seen is sent again and not counted again
        (XEP-0198 section 5).

The order of effects: a violation, items acknowledged, items to send again or to give back, then what is written.

The machine sees every stanza in both directions. `RECEIVED`, `FLUSHED` and `ASKED` avoid creating an event for each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, TypeAlias

from attrs import Factory, define, frozen

from ._machine import Move, take

__all__ = [
    "ASKED",
    "FLUSHED",
    "RECEIVED",
    "TABLE",
    "Acked",
    "Acknowledged",
    "Asked",
    "Effect",
    "Enabled",
    "Event",
    "Failed",
    "Flushed",
    "Received",
    "Requeue",
    "Resend",
    "Resume",
    "Resumed",
    "Sent",
    "Start",
    "State",
    "Stop",
    "StreamManagement",
    "Suspended",
    "Violated",
    "WriteAnswer",
    "WriteEnable",
    "WritePing",
    "WriteRequest",
    "WriteResume",
]


class State(StrEnum):
    """How the session is acknowledged. The initial state is `OFF`."""

    OFF = "off"
    """There is no session."""
    PINGING = "pinging"
    """There is no stream management; the answers to pings acknowledge."""
    ENABLING = "enabling"
    """`<enable/>` is sent and not answered yet (XEP-0198 section 3)."""
    ON = "on"
    """Stanzas are counted in both directions (XEP-0198 section 4)."""
    SUSPENDED = "suspended"
    """The connection is lost; the session can be resumed."""
    RESUMING = "resuming"
    """`<resume/>` is sent and not answered yet (XEP-0198 section 5)."""


# Events


@frozen
class Start:
    """A new session begins: a resource is bound."""

    managed: bool
    """Whether to use XEP-0198; False if the server doesn't offer it or the user doesn't want it."""
    resume: bool
    """Whether to ask for a session that can be resumed. Ignored unless `managed` is true."""


@frozen
class Enabled:
    """The server answered `<enabled/>`."""

    resume_id: str | None
    """The id to resume by; None if the session can't be resumed."""


@frozen
class Failed:
    """The server answered `<failed/>` to `<enable/>` or `<resume/>`."""

    h: int | None
    """How many stanzas it had handled, modulo 2**32, if it said so."""


@frozen
class Sent:
    """A stanza was handed to the transport."""

    item: object
    """The stanza, or whatever stands for it: it is only kept and given back."""


@frozen
class Flushed:
    """The transport has written what it had: a good time to ask."""


@frozen
class Received:
    """An inbound stanza is processed and, if a store is in use, saved."""


@frozen
class Acked:
    """The server sent `<a/>`, or answered a ping."""

    h: int
    """How many stanzas it has handled, modulo 2**32; for a ping the `h` of `WritePing`."""


@frozen
class Asked:
    """The server sent `<r/>`."""


@frozen
class Suspended:
    """The connection is lost."""


@frozen
class Resume:
    """There is a new connection on which the session may be resumed."""


@frozen
class Resumed:
    """The server answered `<resumed/>`."""

    h: int
    """How many stanzas it had handled, modulo 2**32."""


@frozen
class Stop:
    """The session is over, for whatever reason."""


Event: TypeAlias = (
    Start
    | Enabled
    | Failed
    | Sent
    | Flushed
    | Received
    | Acked
    | Asked
    | Suspended
    | Resume
    | Resumed
    | Stop
)  # fmt: skip
"""What `StreamManagement.handle` takes."""

FLUSHED = Flushed()
RECEIVED = Received()
ASKED = Asked()


# Effects


@frozen
class WriteEnable:
    """Write `<enable/>`."""

    resume: bool
    """Whether to ask for a session that can be resumed."""


@frozen
class WriteResume:
    """Write `<resume/>`."""

    previous: str
    """The id that `Enabled` gave."""
    h: int
    """How many stanzas were handled here, modulo 2**32."""


@frozen
class WriteAnswer:
    """Write `<a/>`."""

    h: int
    """How many stanzas were handled here, modulo 2**32."""


@frozen
class WriteRequest:
    """Write `<r/>`."""


@frozen
class WritePing:
    """Write a ping (XEP-0199); its answer is `Acked(h)`. The ping itself is not `Sent`."""

    h: int
    """How many stanzas were sent before it, modulo 2**32."""


@frozen
class Acknowledged:
    """The server has handled these."""

    items: tuple[object, ...]
    """The oldest first."""


@frozen
class Resend:
    """Write these again, without `Sent`: they are still in the queue."""

    items: tuple[object, ...]
    """The oldest first."""


@frozen
class Requeue:
    """The session is over, and these were not acknowledged. The server may or may not have handled them."""

    items: tuple[object, ...]
    """The oldest first."""


@frozen
class Violated:
    """The server acknowledged more than was sent: end the stream (XEP-0198 section 4)."""

    h: int
    """What the server said it had handled."""
    sent: int
    """What was sent, modulo 2**32."""


Effect: TypeAlias = (
    WriteEnable
    | WriteResume
    | WriteAnswer
    | WriteRequest
    | WritePing
    | Acknowledged
    | Resend
    | Requeue
    | Violated
)  # fmt: skip
"""What the caller of `StreamManagement.handle` has to do."""


@define(kw_only=True, eq=False)
class StreamManagement:
    """The counters and the queue of one session. XEP-0198."""

    state: State = State.OFF
    """Default: off."""
    received: int = 0
    """How many stanzas came in and are handled, modulo 2**32. Default: 0."""
    sent: int = 0
    """How many stanzas went out, modulo 2**32. Default: 0."""
    acked: int = 0
    """How many of them the server has handled, modulo 2**32. Default: 0."""
    queue: deque[object] = Factory(deque[object])
    """What was sent and is not acknowledged, the oldest first. Default: empty."""
    resume_id: str | None = None
    """The id to resume by. Default: None, the session can't be resumed."""
    asked: bool = False
    """Whether a request is out. Default: False."""

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Change the state by `event` and return what to do, in this order.

        Raises `UndefinedTransition` if the event is not expected in this state; nothing has changed then.
        """
        return take(self, TABLE, event)


# Rules

Step: TypeAlias = Move[State, Effect]
Rule: TypeAlias = Step | Callable[[StreamManagement, Any], Step | None]

_MASK = 2**32 - 1
_NEW = {"received": 0, "sent": 0, "acked": 0, "resume_id": None, "asked": False}
_REQUEST = (WriteRequest(),)
_ASK: Step = Move(State.ON, _REQUEST, {"asked": True})
_STAY: Mapping[State, Step] = {state: Move(state) for state in State}


def _request(machine: StreamManagement, to: State) -> tuple[Effect, ...]:
    return _REQUEST if to is State.ON else (WritePing(machine.sent),)


def _flushed(machine: StreamManagement, event: Flushed) -> Step:
    if machine.asked or not machine.queue:
        return _STAY[machine.state]
    return _ASK if machine.state is State.ON else Move(State.PINGING, (WritePing(machine.sent),), {"asked": True})


def _count_sent(machine: StreamManagement, event: Sent) -> None:
    machine.sent = (machine.sent + 1) & _MASK
    machine.queue.append(event.item)


def _count_received(machine: StreamManagement, event: Received) -> None:
    machine.received = (machine.received + 1) & _MASK


def _clear(machine: StreamManagement, event: Event) -> None:
    machine.queue.clear()


def _answer(machine: StreamManagement, event: Asked) -> Step:
    return Move(State.ON, (WriteAnswer(machine.received),))


def _covered(machine: StreamManagement, h: int) -> int | None:
    """How many items of the queue a count newly covers; None if that is more than there are."""
    covered = (h - machine.acked) & _MASK
    return covered if covered <= len(machine.queue) else None


def _acknowledged(machine: StreamManagement, covered: int) -> tuple[Effect, ...]:
    return (Acknowledged(tuple(islice(machine.queue, covered))),) if covered else ()


def _end(
    machine: StreamManagement,
    to: State = State.OFF,
    before: tuple[Effect, ...] = (),
    after: tuple[Effect, ...] = (),
    skip: int = 0,
) -> Step:
    """Forget the session, and give back what is in the queue but the oldest `skip` items."""
    left = tuple(islice(machine.queue, skip, None))
    effects = (*before, *((Requeue(left),) if left else ()), *after)
    return Move(to, effects, _NEW, _clear)


def _counted(machine: StreamManagement, h: int, to: State, resend: bool = False) -> Step:
    covered = _covered(machine, h)
    if covered is None:
        return _end(machine, before=(Violated(h, machine.sent),))
    effects = _acknowledged(machine, covered)
    if covered == len(machine.queue):
        return Move(to, effects, {"acked": h & _MASK, "asked": False}, _clear)
    if resend:
        effects += (Resend(tuple(islice(machine.queue, covered, None))),)

    def drop(machine: StreamManagement, event: Event) -> None:
        for _ in range(covered):
            machine.queue.popleft()

    return Move(to, effects + _request(machine, to), {"acked": h & _MASK, "asked": True}, drop)


def _acked(machine: StreamManagement, event: Acked) -> Step:
    return _counted(machine, event.h, machine.state)


def _stop(machine: StreamManagement, event: Event) -> Step:
    return _end(machine)


def _start(machine: StreamManagement, event: Start) -> Step:
    if event.managed:
        return _end(machine, State.ENABLING, after=(WriteEnable(event.resume),))
    return _end(machine, State.PINGING)


def _enabled(machine: StreamManagement, event: Enabled) -> Step:
    ask = bool(machine.queue) and not machine.asked
    then = {"received": 0, "resume_id": event.resume_id, "asked": machine.asked or ask}
    return Move(State.ON, _REQUEST if ask else (), then)


def _not_enabled(machine: StreamManagement, event: Failed) -> Step:
    # No server answers an `<r/>` that was sent before.
    left = bool(machine.queue)
    return Move(State.PINGING, _request(machine, State.PINGING) if left else (), {"asked": left})


def _suspend(machine: StreamManagement, event: Suspended) -> Step:
    if machine.resume_id is None:
        return _end(machine)
    return Move(State.SUSPENDED, (), {"asked": False})


def _resume(machine: StreamManagement, event: Resume) -> Step | None:
    if machine.resume_id is None:
        return None  # `_suspend` ends such a session.
    return Move(State.RESUMING, (WriteResume(machine.resume_id, machine.received),))


def _resumed(machine: StreamManagement, event: Resumed) -> Step:
    return _counted(machine, event.h, State.ON, resend=True)


def _not_resumed(machine: StreamManagement, event: Failed) -> Step:
    # A count that is too high says nothing: the session is lost anyway.
    covered = (None if event.h is None else _covered(machine, event.h)) or 0
    return _end(machine, before=_acknowledged(machine, covered), skip=covered)


TABLE: Mapping[tuple[State, type[Event]], Rule] = {
    # OFF
    (State.OFF, Start): _start,
    (State.OFF, Flushed): _STAY[State.OFF],
    (State.OFF, Received): _STAY[State.OFF],
    (State.OFF, Suspended): _STAY[State.OFF],
    (State.OFF, Stop): _STAY[State.OFF],
    # PINGING
    (State.PINGING, Sent): Move(State.PINGING, change=_count_sent),
    (State.PINGING, Flushed): _flushed,
    (State.PINGING, Received): _STAY[State.PINGING],
    (State.PINGING, Acked): _acked,
    (State.PINGING, Suspended): _stop,
    (State.PINGING, Stop): _stop,
    # ENABLING
    (State.ENABLING, Enabled): _enabled,
    (State.ENABLING, Failed): _not_enabled,
    (State.ENABLING, Sent): Move(State.ENABLING, change=_count_sent),
    (State.ENABLING, Flushed): _STAY[State.ENABLING],
    (State.ENABLING, Received): _STAY[State.ENABLING],
    (State.ENABLING, Suspended): _stop,
    (State.ENABLING, Stop): _stop,
    # ON
    (State.ON, Sent): Move(State.ON, change=_count_sent),
    (State.ON, Flushed): _flushed,
    (State.ON, Received): Move(State.ON, change=_count_received),
    (State.ON, Acked): _acked,
    (State.ON, Asked): _answer,
    (State.ON, Suspended): _suspend,
    (State.ON, Stop): _stop,
    # SUSPENDED
    (State.SUSPENDED, Start): _start,
    (State.SUSPENDED, Flushed): _STAY[State.SUSPENDED],
    (State.SUSPENDED, Received): _STAY[State.SUSPENDED],
    (State.SUSPENDED, Suspended): _STAY[State.SUSPENDED],
    (State.SUSPENDED, Resume): _resume,
    (State.SUSPENDED, Stop): _stop,
    # RESUMING
    (State.RESUMING, Failed): _not_resumed,
    (State.RESUMING, Flushed): _STAY[State.RESUMING],
    (State.RESUMING, Received): _STAY[State.RESUMING],
    (State.RESUMING, Suspended): Move(State.SUSPENDED),
    (State.RESUMING, Resumed): _resumed,
    (State.RESUMING, Stop): _stop,
}
"""The rule of each state and event: a move, or a function that chooses one."""
