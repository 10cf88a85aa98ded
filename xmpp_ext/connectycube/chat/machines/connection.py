"""The connection, from the first byte to the last: RFC 6120 sections 3 to 7 and 4.9; the reconnection is own policy.

Rule 1: the way up is TCP or WebSocket (section 3), STARTTLS where the transport has no TLS of its own (5), SASL (6),
        resource binding (7) or, in its place, the resumption of a stream (XEP-0198 section 5).

Rule 2: a lost connection is opened again after a pause that doubles from failure to failure, is cut at a maximum and is
        shortened by chance. Before it was ever online, only a reason in `RETRIED` may pass: any other is most likely a
        mistake in the configuration, and the user should hear of it at once (fact U-40). Once it was online, the
        configuration is known to work: whatever the server, a load balancer or a captive portal says may pass, and only
        a reason in `FINAL` ends the connection. A conflict while binding is not final: it is this client's own session
        from before, which the server has not given up yet (RFC 6120 section 7.7.2.2). The failures in a row are
        forgotten when a connection has been stable, not when it is there: a server that drops everybody after a second
        would otherwise be asked twice a second.

Rule 3: two timers belong to the machine: `StartStable` starts the one that ends with `Stable`, `Wait` the one that ends
        with `WaitOver`. `StopTimers` stops whichever runs. None runs in `offline`.

Rule 4: each connection is reported once, and so is its end: as `TellDisconnected` if the user wanted it, otherwise as
        `TellGaveUp`. A loss that is retried is not reported as an end. A new session is reported when it is set up, not
        when it is bound: until the server has handled the presence, it takes the user for offline (RFC 6121 section
        4.2), and may keep what others write for a later session. A session that is lost before is not reported.

The order of effects: timers are stopped, then the transport is closed or opened, then the session is restored, then
the user is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from attrs import define, field, frozen, validators

from ._machine import Move, take

__all__ = [
    "FINAL",
    "RETRIED",
    "TABLE",
    "Abort",
    "Authenticated",
    "Backoff",
    "Begun",
    "Bound",
    "CloseStream",
    "Closed",
    "Connect",
    "Connection",
    "Disconnect",
    "Effect",
    "Event",
    "Lost",
    "Open",
    "Opened",
    "Reason",
    "Restore",
    "Resumed",
    "Secured",
    "Stable",
    "StartStable",
    "State",
    "StopTimers",
    "TellConnected",
    "TellDisconnected",
    "TellGaveUp",
    "TellReconnected",
    "Wait",
    "WaitOver",
]


class State(StrEnum):
    """Where the connection is. The initial state is `OFFLINE`."""

    OFFLINE = "offline"
    """There is no connection, and the user does not want one."""
    CONNECTING = "connecting"
    """The transport is being opened, up to the stream features (RFC 6120 sections 3 and 4.3)."""
    SECURING = "securing"
    """STARTTLS is being negotiated (RFC 6120 section 5)."""
    AUTHENTICATING = "authenticating"
    """SASL is being negotiated (RFC 6120 section 6)."""
    BINDING = "binding"
    """A resource is being bound (RFC 6120 section 7) or a stream resumed (XEP-0198 section 5)."""
    ONLINE = "online"
    """Stanzas can be sent."""
    WAITING = "waiting"
    """The connection is lost; the next attempt comes when the pause is over."""
    CLOSING = "closing"
    """The own end of the stream is closed, the server's is not yet (RFC 6120 section 4.4)."""


class Reason(StrEnum):
    """Why a connection was lost."""

    NETWORK = "network"
    """The transport failed or ended."""
    TIMEOUT = "timeout"
    """The server didn't answer in time."""
    STREAM = "stream"
    """A stream error that may pass, such as system-shutdown or reset (RFC 6120 section 4.9.3)."""
    AUTHENTICATION = "authentication"
    """The server refused the credentials (RFC 6120 section 6.5), or the account is gone or barred. Always final."""
    LOGIN = "login"
    """The login failed for another reason than the credentials, such as no common mechanism. Final at first."""
    CONFLICT = "conflict"
    """Another connection took the resource (RFC 6120 section 4.9.3.3). Final: the two would evict each other."""
    POLICY = "policy"
    """The server refuses this client (RFC 6120 sections 4.9.3.12 and 4.9.3.14). Final at first."""
    TLS = "tls"
    """There is no TLS, or the server's certificate is not trusted. Final at first."""
    PROTOCOL = "protocol"
    """One side broke the protocol. Final at first."""


RETRIED: frozenset[Reason] = frozenset({Reason.NETWORK, Reason.TIMEOUT, Reason.STREAM})
"""The reasons after which a machine with `automatic` tries again even if it was never online."""

FINAL: frozenset[Reason] = frozenset({Reason.AUTHENTICATION, Reason.CONFLICT})
"""The reasons that end a connection even if it was online."""


@frozen
class Backoff:
    """How long to wait between two attempts.

    :ivar first: seconds after the first failure, default 0.5.
    :ivar factor: what each further failure multiplies them by, default 2.
    :ivar maximum: seconds of the longest wait, default 60.
    :ivar spread: share of the wait that chance may take away, from 0 to 1, default 0.5.
    :raises ValueError: if a number is negative or no number, `factor` is below 1 or `spread` is above 1.
    """

    first: float = field(default=0.5, validator=validators.ge(0))
    factor: float = field(default=2.0, validator=validators.ge(1))
    maximum: float = field(default=60.0, validator=validators.ge(0))
    spread: float = field(default=0.5, validator=[validators.ge(0), validators.le(1)])

    def delay(self, attempt: int, jitter: float) -> float:
        """The wait in seconds.

        :param attempt: failures in a row, from 1.
        :param jitter: a random number from 0 to below 1, which the caller draws.
        """
        try:
            pause = min(self.maximum, self.first * self.factor ** (attempt - 1))
        except OverflowError:  # After some 1000 failures, which is less than a day.
            pause = self.maximum
        return pause * (1 - self.spread * jitter)


# Events


@frozen
class Connect:
    """The user wants a connection, or doesn't want to wait for the next attempt."""


@frozen
class Opened:
    """The stream is open and the server's features are known (RFC 6120 section 4.3.2)."""

    starttls: bool
    """Whether STARTTLS comes next; False if the transport is secure already."""


@frozen
class Secured:
    """TLS is there and the stream is open again (RFC 6120 section 5.4.3.3)."""


@frozen
class Authenticated:
    """SASL succeeded and the stream is open again (RFC 6120 section 6.4.6)."""


@frozen
class Bound:
    """The server bound a resource: this is a new session (RFC 6120 section 7.6)."""


@frozen
class Resumed:
    """The server resumed the stream: this is the session from before (XEP-0198 section 5)."""


@frozen
class Begun:
    """The new session is set up: its presence is announced, and everything is restored."""


@frozen
class Lost:
    """The connection failed, at whatever stage."""

    reason: Reason
    """Why."""
    jitter: float = 0.0
    """A random number in [0, 1) for the pause, which the caller draws. Default: 0, which is the longest pause."""


@frozen
class WaitOver:
    """The time of `Wait` is over."""


@frozen
class Stable:
    """The connection has held for the time that `StartStable` began."""


@frozen
class Disconnect:
    """The user wants no connection any more."""


@frozen
class Closed:
    """Both ends of the stream are closed, and the transport is."""


Event: TypeAlias = (
    Connect
    | Opened
    | Secured
    | Authenticated
    | Bound
    | Resumed
    | Begun
    | Lost
    | WaitOver
    | Stable
    | Disconnect
    | Closed
)  # fmt: skip
"""What `Connection.handle` takes."""


# Effects


@frozen
class Open:
    """Open the transport and the stream."""


@frozen
class CloseStream:
    """Close the own end of the stream and wait for the server's (RFC 6120 section 4.4)."""


@frozen
class Abort:
    """Drop the transport at once, if there is still one."""


@frozen
class StartStable:
    """Start the timer that ends with `Stable`."""


@frozen
class StopTimers:
    """Stop the timers of `StartStable` and `Wait`, whichever runs."""


@frozen
class Wait:
    """Start the timer that ends with `WaitOver`."""

    seconds: float
    """How long, in seconds."""
    attempt: int
    """How many attempts have failed in a row, from 1."""


@frozen
class Restore:
    """Make the new session what the old one was: presence, rooms, carbons, status streaming (fact U-41)."""


@frozen
class TellConnected:
    """Tell the user: connected for the first time since `Connect`."""


@frozen
class TellReconnected:
    """Tell the user: connected again."""

    resumed: bool
    """Whether the stream was resumed; False if this is a new session."""


@frozen
class TellGaveUp:
    """Tell the user: the connection is lost, and there will be no further attempt."""

    reason: Reason
    """Why it was lost."""


@frozen
class TellDisconnected:
    """Tell the user: the connection has ended, as the user wanted it to."""


Effect: TypeAlias = (
    Open
    | CloseStream
    | Abort
    | StartStable
    | StopTimers
    | Wait
    | Restore
    | TellConnected
    | TellReconnected
    | TellGaveUp
    | TellDisconnected
)  # fmt: skip
"""What the caller of `Connection.handle` has to do."""


@define(kw_only=True, eq=False)
class Connection:
    """One connection that is opened, lost, opened again and closed. RFC 6120."""

    state: State = State.OFFLINE
    """Default: offline."""
    attempt: int = 0
    """How many attempts have failed in a row. Default: 0."""
    automatic: bool = True
    """Whether to connect again after a loss. Default: True."""
    been_online: bool = False
    """Whether it was online since `Connect`. Default: False."""
    begun: bool = False
    """Whether the session is set up. Default: False."""
    told: bool = False
    """Whether the user was told of a connection since `Connect`. Default: False."""
    backoff: Backoff = Backoff()
    """The pauses between attempts. Default: `Backoff()`."""

    def handle(self, event: Event) -> tuple[Effect, ...]:
        """Change the state by `event` and return what to do, in this order.

        Raises `UndefinedTransition` if the event is not expected in this state; nothing has changed then.
        """
        return take(self, TABLE, event)


# Rules

Step: TypeAlias = Move[State, Effect]
Rule: TypeAlias = Step | Callable[[Connection, Any], Step | None]


def _opened(machine: Connection, event: Opened) -> Step:
    return Move(State.SECURING if event.starttls else State.AUTHENTICATING)


def _bound(machine: Connection, event: Bound) -> Step:
    if machine.been_online:
        return Move(State.ONLINE, (StartStable(), Restore()), {"begun": False})
    return Move(State.ONLINE, (StartStable(),), {"been_online": True})


def _resumed(machine: Connection, event: Resumed) -> Step | None:
    if not machine.been_online:
        return None  # There is nothing to resume.
    return Move(State.ONLINE, (StartStable(), TellReconnected(resumed=True)) if machine.begun else (StartStable(),))


def _begun(machine: Connection, event: Begun) -> Step | None:
    if machine.begun:
        return None  # A session begins once.
    told = TellReconnected(resumed=False) if machine.told else TellConnected()
    return Move(State.ONLINE, (told,), {"begun": True, "told": True})


def _lost(machine: Connection, event: Lost) -> Step:
    passing = event.reason not in FINAL if machine.been_online else event.reason in RETRIED
    return _wait(machine, event) if machine.automatic and passing else _give_up(event)


def _lost_binding(machine: Connection, event: Lost) -> Step:
    if machine.automatic and machine.been_online and event.reason is Reason.CONFLICT:
        return _wait(machine, event)
    return _lost(machine, event)


def _lost_online(machine: Connection, event: Lost) -> Step:
    step = _lost(machine, event)
    return Move(step.to, (StopTimers(), *step.effects), step.then)


def _wait(machine: Connection, event: Lost) -> Step:
    attempt = machine.attempt + 1
    wait = Wait(machine.backoff.delay(attempt, event.jitter), attempt)
    return Move(State.WAITING, (Abort(), wait), {"attempt": attempt})


def _give_up(event: Lost) -> Step:
    return Move(State.OFFLINE, (Abort(), TellGaveUp(event.reason)))


_AFRESH: Mapping[str, Any] = {"attempt": 0, "been_online": False, "begun": False, "told": False}
_CANCELLED: Step = Move(State.OFFLINE, (Abort(), TellDisconnected()))

TABLE: Mapping[tuple[State, type[Event]], Rule] = {
    # OFFLINE
    (State.OFFLINE, Connect): Move(State.CONNECTING, (Open(),), _AFRESH),
    (State.OFFLINE, Disconnect): Move(State.OFFLINE),
    # CONNECTING
    (State.CONNECTING, Opened): _opened,
    (State.CONNECTING, Lost): _lost,
    (State.CONNECTING, Disconnect): _CANCELLED,
    # SECURING
    (State.SECURING, Secured): Move(State.AUTHENTICATING),
    (State.SECURING, Lost): _lost,
    (State.SECURING, Disconnect): _CANCELLED,
    # AUTHENTICATING
    (State.AUTHENTICATING, Authenticated): Move(State.BINDING),
    (State.AUTHENTICATING, Lost): _lost,
    (State.AUTHENTICATING, Disconnect): _CANCELLED,
    # BINDING
    (State.BINDING, Bound): _bound,
    (State.BINDING, Resumed): _resumed,
    (State.BINDING, Lost): _lost_binding,
    (State.BINDING, Disconnect): _CANCELLED,
    # ONLINE
    (State.ONLINE, Begun): _begun,
    (State.ONLINE, Stable): Move(State.ONLINE, (), {"attempt": 0}),
    (State.ONLINE, Lost): _lost_online,
    (State.ONLINE, Disconnect): Move(State.CLOSING, (StopTimers(), CloseStream())),
    # WAITING
    (State.WAITING, WaitOver): Move(State.CONNECTING, (Open(),)),
    (State.WAITING, Connect): Move(State.CONNECTING, (StopTimers(), Open())),
    (State.WAITING, Disconnect): Move(State.OFFLINE, (StopTimers(), TellDisconnected())),
    # CLOSING
    (State.CLOSING, Closed): Move(State.OFFLINE, (TellDisconnected(),)),
    (State.CLOSING, Lost): _CANCELLED,
    (State.CLOSING, Disconnect): Move(State.CLOSING),
}
"""The rule of each defined state and event: a move, or a function that chooses one."""
