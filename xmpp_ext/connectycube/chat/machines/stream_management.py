"""What the server has handled of what was sent: XEP-0198, or pings where the server has none of it.

Rule 1: both sides count stanzas modulo 2**32 (XEP-0198 section 4): outbound from `<enable/>` on, inbound from
        `<enabled/>` on. At any time (sent - acked) modulo 2**32 is the number of items in the queue.

Rule 2: an item stays in the queue until the server acknowledges it. If the session ends before, the item comes out in
        `Requeue`, and it is for the caller to send it again or to tell that it may be lost. No item is lost or told
        twice.

Rule 3: at most one request is out at a time. It is sent when there is something to ask about and the output is flushed,
        and again after the answer if something is still not acknowledged.

Rule 4: a count that covers more than was sent ends the session (XEP-0198 section 4: undefined-condition with
        handled-count-too-high).

Rule 5: in `pinging` the answer to a ping proves that all that was sent before it was handled: a server processes a
        stream in order (RFC 6120 section 10.1). The count of the answer is the one that `WritePing` has.

Rule 6: a resumed session keeps its counters; what the server has not seen is sent again and not counted again
        (XEP-0198 section 5).

The order of effects: a violation, items acknowledged, items to send again or to give back, then what is written.

It sees every stanza in both directions. `RECEIVED`, `FLUSHED` and `ASKED` spare making an event for each of them. A
rule sets the variables itself, after the target of `TABLE` has been set; it only moves on to `off`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from attrs import Factory, define, frozen

from ._machine import UndefinedTransition

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
    """Whether to ask for a session that can be resumed. Without a meaning if not `managed`."""


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
    """A stanza came in and is handled."""


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
        try:
            to, act = TABLE[self.state, type(event)]
        except KeyError:
            raise UndefinedTransition(type(self).__name__, self.state, event) from None
        self.state = to
        return act(self, event)


# Actions

_MASK = 2**32 - 1

_NOTHING: tuple[Effect, ...] = ()
_REQUEST: tuple[Effect, ...] = (WriteRequest(),)


def _nothing(machine: StreamManagement, event: Event) -> tuple[Effect, ...]:
    return _NOTHING


def _take(machine: StreamManagement, h: int) -> tuple[object, ...] | None:
    """Take from the queue what `h` newly covers; None, and nothing taken, if that is more than there is."""
    queue = machine.queue
    covered = (h - machine.acked) & _MASK
    if covered > len(queue):
        return None
    machine.acked = (machine.acked + covered) & _MASK
    machine.asked = False
    return tuple([queue.popleft() for _ in range(covered)])


def _ask(machine: StreamManagement) -> tuple[Effect, ...]:
    """Ask for what is in the queue, if there is anything and no request is out."""
    if machine.asked or not machine.queue:
        return _NOTHING
    machine.asked = True
    return _REQUEST if machine.state is State.ON else (WritePing(machine.sent),)


def _flushed(machine: StreamManagement, event: Flushed) -> tuple[Effect, ...]:
    return _ask(machine)


def _clear(machine: StreamManagement) -> tuple[Effect, ...]:
    items = tuple(machine.queue)
    machine.queue.clear()
    machine.received = machine.sent = machine.acked = 0
    machine.resume_id = None
    machine.asked = False
    return (Requeue(items),) if items else _NOTHING


def _end(machine: StreamManagement, event: Event) -> tuple[Effect, ...]:
    return _clear(machine)


def _violated(machine: StreamManagement, h: int) -> tuple[Effect, ...]:
    violated = Violated(h, machine.sent)
    machine.state = State.OFF
    return (violated, *_clear(machine))


def _start(machine: StreamManagement, event: Start) -> tuple[Effect, ...]:
    left = _clear(machine)
    if event.managed:
        return (*left, WriteEnable(event.resume))
    machine.state = State.PINGING
    return left


def _enabled(machine: StreamManagement, event: Enabled) -> tuple[Effect, ...]:
    machine.received = 0
    machine.resume_id = event.resume_id
    return _ask(machine)


def _not_enabled(machine: StreamManagement, event: Failed) -> tuple[Effect, ...]:
    machine.asked = False
    return _ask(machine)


def _sent(machine: StreamManagement, event: Sent) -> tuple[Effect, ...]:
    machine.sent = (machine.sent + 1) & _MASK
    machine.queue.append(event.item)
    return _NOTHING


def _received(machine: StreamManagement, event: Received) -> tuple[Effect, ...]:
    machine.received = (machine.received + 1) & _MASK
    return _NOTHING


def _acked(machine: StreamManagement, event: Acked) -> tuple[Effect, ...]:
    items = _take(machine, event.h)
    if items is None:
        return _violated(machine, event.h)
    if items:
        return (Acknowledged(items), *_ask(machine))
    return _ask(machine)


def _answer(machine: StreamManagement, event: Asked) -> tuple[Effect, ...]:
    return (WriteAnswer(machine.received),)


def _suspend(machine: StreamManagement, event: Suspended) -> tuple[Effect, ...]:
    if machine.resume_id is None:
        machine.state = State.OFF
        return _clear(machine)
    machine.asked = False
    return _NOTHING


def _resume(machine: StreamManagement, event: Resume) -> tuple[Effect, ...]:
    assert machine.resume_id is not None  # Without one `_suspend` ends the session.
    return (WriteResume(machine.resume_id, machine.received),)


def _resumed(machine: StreamManagement, event: Resumed) -> tuple[Effect, ...]:
    items = _take(machine, event.h)
    if items is None:
        return _violated(machine, event.h)
    effects: tuple[Effect, ...] = (Acknowledged(items),) if items else _NOTHING
    if machine.queue:
        effects = (*effects, Resend(tuple(machine.queue)))
    return (*effects, *_ask(machine))


def _not_resumed(machine: StreamManagement, event: Failed) -> tuple[Effect, ...]:
    # A count that is too high tells nothing: the session is lost anyway.
    items = None if event.h is None else _take(machine, event.h)
    left = _clear(machine)
    return (Acknowledged(items), *left) if items else left


class Rule(NamedTuple):
    """What happens by one event in one state."""

    to: State
    """The state after it, if the action doesn't end the session."""
    act: Callable[[StreamManagement, Any], tuple[Effect, ...]]
    """Sets the variables and returns the effects."""


TABLE: Mapping[tuple[State, type[Event]], Rule] = {
    # OFF
    (State.OFF, Start): Rule(State.ENABLING, _start),  # or PINGING
    (State.OFF, Flushed): Rule(State.OFF, _nothing),
    (State.OFF, Received): Rule(State.OFF, _nothing),
    (State.OFF, Suspended): Rule(State.OFF, _nothing),
    (State.OFF, Stop): Rule(State.OFF, _nothing),
    # PINGING
    (State.PINGING, Sent): Rule(State.PINGING, _sent),
    (State.PINGING, Flushed): Rule(State.PINGING, _flushed),
    (State.PINGING, Received): Rule(State.PINGING, _nothing),
    (State.PINGING, Acked): Rule(State.PINGING, _acked),  # or OFF
    (State.PINGING, Suspended): Rule(State.OFF, _end),
    (State.PINGING, Stop): Rule(State.OFF, _end),
    # ENABLING
    (State.ENABLING, Enabled): Rule(State.ON, _enabled),
    (State.ENABLING, Failed): Rule(State.PINGING, _not_enabled),
    (State.ENABLING, Sent): Rule(State.ENABLING, _sent),
    (State.ENABLING, Flushed): Rule(State.ENABLING, _nothing),
    (State.ENABLING, Received): Rule(State.ENABLING, _nothing),
    (State.ENABLING, Suspended): Rule(State.OFF, _end),
    (State.ENABLING, Stop): Rule(State.OFF, _end),
    # ON
    (State.ON, Sent): Rule(State.ON, _sent),
    (State.ON, Flushed): Rule(State.ON, _flushed),
    (State.ON, Received): Rule(State.ON, _received),
    (State.ON, Acked): Rule(State.ON, _acked),  # or OFF
    (State.ON, Asked): Rule(State.ON, _answer),
    (State.ON, Suspended): Rule(State.SUSPENDED, _suspend),  # or OFF
    (State.ON, Stop): Rule(State.OFF, _end),
    # SUSPENDED
    (State.SUSPENDED, Start): Rule(State.ENABLING, _start),  # or PINGING
    (State.SUSPENDED, Flushed): Rule(State.SUSPENDED, _nothing),
    (State.SUSPENDED, Received): Rule(State.SUSPENDED, _nothing),
    (State.SUSPENDED, Suspended): Rule(State.SUSPENDED, _nothing),
    (State.SUSPENDED, Resume): Rule(State.RESUMING, _resume),
    (State.SUSPENDED, Stop): Rule(State.OFF, _end),
    # RESUMING
    (State.RESUMING, Failed): Rule(State.OFF, _not_resumed),
    (State.RESUMING, Flushed): Rule(State.RESUMING, _nothing),
    (State.RESUMING, Received): Rule(State.RESUMING, _nothing),
    (State.RESUMING, Suspended): Rule(State.SUSPENDED, _nothing),
    (State.RESUMING, Resumed): Rule(State.ON, _resumed),  # or OFF
    (State.RESUMING, Stop): Rule(State.OFF, _end),
}
"""The rule of each defined state and event."""
