"""The session that a client and its copies share, and what both clients of the platform do with it."""

from __future__ import annotations

import copy
import datetime as dt
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import httpx

from . import _retry, _wire, errors
from ._base import BaseClient, base_address, logger
from ._call import Call, refusal
from ._deadline import shorter
from ._log import show_log
from ._masking import Secret, hide
from ._names import BASE_URL
from ._process import at_fork

if TYPE_CHECKING:
    from .models import Session, User

EXPIRY_HEADER: Final = "CB-Token-ExpirationDate"

Provider = Literal["facebook", "twitter", "firebase_phone", "firebase_email"]
PROVIDERS: Final[tuple[Provider, ...]] = ("facebook", "twitter", "firebase_phone", "firebase_email")


class Mark(NamedTuple):
    """The session that a call is sent with. Its `repr` shows no secret."""

    token: str | None
    user_id: int | None
    epoch: int
    """How many sessions the program had opened, adopted or ended itself."""
    renewals: int
    """How many renewals had ended; if one has failed since, the call does not try again."""


class Renewal:
    """A renewal in progress, which other calls of any thread or event loop wait for."""

    __slots__ = ("by_hook", "cause", "ended", "epoch", "error", "loop", "running", "state", "task", "token")

    def __init__(self, state: SessionState, cause: str, by_hook: bool) -> None:
        self.state = state
        self.cause = cause
        """The call that was refused, and the host."""
        self.epoch = state.epoch
        self.token = state.token
        self.by_hook = by_hook
        self.ended: Future[None] = Future()
        """Holds no error: each call that waits looks again at the session."""
        self.error: Exception | None = None
        self.running = True
        self.loop: Any = None
        """The event loop that runs it."""
        self.task: Any = None

    def failure(self) -> Exception | None:
        """Return its error, in a copy for each caller: raising adds to an exception's traceback."""
        if self.error is None:
            return None
        try:
            return copy.copy(self.error)
        except Exception:
            return self.error  # A hook's own exception, whose arguments are not those of its constructor.


renewing: ContextVar[tuple[Renewal, ...]] = ContextVar("renewing", default=())
"""The renewals that the current code is part of, whose calls must not wait for them."""


class SessionState:
    """The current session. Its `repr` shows no secret."""

    __slots__ = (
        "__weakref__",
        "credentials",
        "epoch",
        "expiry",
        "lock",
        "renewal",
        "renewals",
        "session",
        "token",
        "user_id",
    )

    def __init__(self, token: str | None) -> None:
        self.token = hide(token)
        self.user_id: int | None = None
        self.session: Session | None = None
        self.credentials: dict[str, Any] | None = None
        """The `user` argument that a lost session is renewed with."""
        self.expiry = ""
        """When the session ends, in the server's own format."""
        self.renewal: Renewal | None = None
        self.renewals = 0
        self.epoch = 0
        self.lock = threading.Lock()
        at_fork(self)

    def __repr__(self) -> str:
        return f"<SessionState {'with' if self.token else 'without'} token, user_id={self.user_id}>"

    def forked(self) -> None:
        """Leave a renewal to the parent: its thread does not exist in the child."""
        self.lock = threading.Lock()
        self.renewal = None

    def mark(self) -> Mark:
        with self.lock:
            return self._mark()

    def _mark(self) -> Mark:
        return Mark(self.token, self.user_id, self.epoch, self.renewals)

    def inside(self) -> Renewal | None:
        """Return the renewal of this session that the current code is part of."""
        for one in renewing.get():
            if one.running and one.state is self:
                return one
        return None

    def adopt(self, session: Session, credentials: dict[str, Any] | None, expiry: str) -> None:
        """Adopt a session that the server has just opened."""
        if self._set(session.token, session.user_id, session, credentials):
            self.expiry = expiry

    def use(self, token: str | None, user_id: int | None, session: Session | None = None) -> None:
        """Adopt a token from elsewhere."""
        if self._set(token, user_id, session, None):
            self.expiry = ""

    def _set(
        self, token: str | None, user_id: int | None, session: Session | None, credentials: dict[str, Any] | None
    ) -> bool:
        """Change the session, unless a renewal does and the program itself has changed it meanwhile."""
        renewal = self.inside()
        with self.lock:
            if renewal is None:
                self._override()
            elif renewal.epoch != self.epoch:
                return False
            self.token = hide(token)
            self.user_id = user_id
            self.session = session
            self.credentials = credentials
            return True

    def learn(self, token: str, user_id: int | None) -> None:
        """Keep whose session it is, unless it is another one by now."""
        with self.lock:
            if self.token == token:
                self.user_id = user_id

    def override(self) -> int:
        """Have a renewal in progress change nothing."""
        with self.lock:
            if self.inside() is None:
                self._override()
            return self.epoch

    def _override(self) -> None:
        self.epoch += 1
        self._abandon()

    def _abandon(self) -> None:
        """Let the calls that wait for a renewal look again at the session."""
        renewal, self.renewal = self.renewal, None
        if renewal is not None:
            renewal.ended.set_result(None)

    # -- renewals

    def claim(self, mark: Mark, cause: str, by_hook: bool) -> tuple[Renewal | None, bool, Mark | None]:
        """Decide what a refused call does next.

        :param mark: the session it was sent with.
        :param cause: its name and host, for the log.
        :returns: the renewal in progress and whether the call must carry it out; without a renewal, the session to
            repeat the call with, if any.
        """
        with self.lock:
            if self.renewal is not None and self.renewal.loop is not None and self.renewal.loop.is_closed():
                self._abandon()
            if self.token != mark.token:
                return None, False, self._mark() if self._same_user(mark) else None
            if self.renewal is not None:
                return self.renewal, False, None
            if self.renewals != mark.renewals:
                return None, False, None
            self.renewal = Renewal(self, cause, by_hook)
            return self.renewal, True, None

    def _same_user(self, mark: Mark) -> bool:
        """Return whether a call may be repeated with the current session: never as another user."""
        if self.token is None:
            return False
        if self.user_id is not None and mark.user_id is not None:
            return self.user_id == mark.user_id
        return self.epoch == mark.epoch

    def end(self, renewal: Renewal, error: Exception | None, *, complete: bool) -> None:
        """End a renewal.

        :param complete: whether it was carried out; if not, a call that waits for it carries out another.
        """
        with self.lock:
            renewal.running = False
            renewal.error = error
            if self.renewal is renewal:
                self.renewal = None
                self.renewals += complete
            if not renewal.ended.done():
                renewal.ended.set_result(None)
            renewed = self.token != renewal.token
        reason = "" if error is None else f": {type(error).__name__}"
        result = "was renewed" if renewed else "could not be renewed"
        logger.info("the session %s for %s%s", result, renewal.cause, reason)

    @property
    def expires_at(self) -> dt.datetime | None:
        """When the session ends, if the server has said so."""
        try:
            day, time, zone = self.expiry.split()
            offset = "Z" if zone in ("UTC", "GMT") else zone.removeprefix("UTC").removeprefix("GMT")
            return dt.datetime.fromisoformat(f"{day}T{time}{offset}").astimezone(dt.UTC)
        except (ValueError, OverflowError):
            return None


def renew_once(
    state: SessionState,
    mark: Mark,
    cause: str,
    by_hook: bool,
    patience: float | None,
    obtain: Callable[[Renewal], None],
) -> Mark | None:
    """Renew a lost session, once for all threads that lost it.

    :param mark: the session that the refused call was sent with.
    :param cause: the call's name and host, for the log.
    :param by_hook: whether a hook renews it, which may itself be waiting for a call.
    :param patience: seconds to wait for another call's hook.
    :param obtain: opens a new session.
    :returns: the session to repeat the call with, if any.
    """
    while True:
        renewal, leads, newer = state.claim(mark, cause, by_hook)
        if renewal is None:
            return newer
        if leads:
            complete, failure = False, None
            try:
                obtain(renewal)
                complete = True
            except Exception as error:
                complete, failure = True, error
                raise
            finally:
                state.end(renewal, failure, complete=complete)
            continue
        try:
            renewal.ended.result(shorter(patience if renewal.by_hook else None, TimeoutError))
        except TimeoutError as error:
            raise _too_slow() from error
        if (found := renewal.failure()) is not None:
            raise found from renewal.error


async def arenew_once(
    state: SessionState,
    mark: Mark,
    cause: str,
    by_hook: bool,
    patience: float | None,
    obtain: Callable[[Renewal], Awaitable[None]],
) -> Mark | None:
    """Like `renew_once`, for tasks of any event loops. Cancelling one does not cancel the others' renewal."""
    # Imported late: the sync client does not need it.
    import asyncio

    while True:
        renewal, leads, newer = state.claim(mark, cause, by_hook)
        if renewal is None:
            return newer
        if leads:
            renewal.loop = asyncio.get_running_loop()
            renewal.task = asyncio.ensure_future(_carry_out(state, renewal, obtain))
        ended = asyncio.shield(asyncio.wrap_future(renewal.ended))
        try:
            await asyncio.wait_for(ended, patience if renewal.by_hook and not leads else None)
        except TimeoutError as error:
            raise _too_slow() from error
        if (found := renewal.failure()) is not None:
            raise found from renewal.error


async def _carry_out(state: SessionState, renewal: Renewal, obtain: Callable[[Renewal], Awaitable[None]]) -> None:
    complete, failure = False, None
    try:
        await obtain(renewal)
        complete = True
    except Exception as error:
        complete, failure = True, error
    finally:
        state.end(renewal, failure, complete=complete)


def _too_slow() -> errors.RequestTimeout:
    return errors.RequestTimeout("on_session_expired did not return in time: it may itself wait for this call")


class BaseSessionClient(BaseClient):
    """What the sync and the async client share: the application's keys and the session."""

    _app_id: str | int | None
    _auth_key: str | None
    _admin_key: str | None
    _session: SessionState

    def _set_up(
        self,
        app_id: str | int | None,
        auth_key: str | None,
        base_url: str | None,
        path_suffix: str,
        timeout: float | httpx.Timeout | None,
        max_retries: int,
        deadline: float | None,
        token: str | None,
        admin_key: str | None,
        allow_insecure: bool = False,
    ) -> None:
        environ = os.environ.get
        show_log()
        self._app_id = app_id or environ("CONNECTYCUBE_APP_ID") or None
        self._auth_key = hide(auth_key or environ("CONNECTYCUBE_AUTH_KEY") or None)
        self._admin_key = hide(admin_key or environ("CONNECTYCUBE_ADMIN_KEY") or None)
        self._session = SessionState(token)
        self._allow_insecure = allow_insecure
        given = environ("CONNECTYCUBE_BASE_URL")
        if not base_url and given:
            base_url = base_address(given, insecure=allow_insecure, source="CONNECTYCUBE_BASE_URL")
        self._configure(base_url or BASE_URL, path_suffix, timeout, max_retries, deadline, {})

    def _secret(self, scheme: str, mark: Mark) -> str | None:
        if scheme == "session":
            return mark.token
        return self._auth_key if scheme == "authKey" else self._admin_key

    def _fill(self, what: str) -> object:
        value = self._app_id if what == "app_id" else self._auth_key
        if value is None:
            variable = f"CONNECTYCUBE_{what.upper()}"
            raise errors.ConfigurationError(f"the client has no {what}: pass it, or set {variable}")
        return int(value) if what == "app_id" and isinstance(value, str) and value.isdigit() else value

    def _unauthorized(self, call: Call[Any]) -> errors.ConfigurationError:
        wants: dict[object, str] = {
            "session": "needs a session: call login() or use_session() first",
            "authKey": "needs the authorization key: pass auth_key, or set CONNECTYCUBE_AUTH_KEY",
            "adminKey": "needs the administration key: pass admin_key, or set CONNECTYCUBE_ADMIN_KEY",
        }
        return errors.ConfigurationError(f"{call.operation.name} {wants[call.operation.security[0]]}")

    def _user_text(self, call: Call[Any], user_id: int | None) -> str:
        """Return the id of the session's user for a path."""
        if user_id is None:
            error = errors.ConfigurationError(f"{call.operation.name} needs the session of a user: call login() first")
            error.operation = call.operation.name
            raise error
        return str(user_id)

    def _mark(self) -> Mark:
        return self._session.mark()

    def _lost(self, call: Call[Any], response: httpx.Response, mark: Mark) -> bool:
        operation, state = call.operation, self._session
        if not operation.foreign and mark.token == state.token:
            state.expiry = response.headers.get(EXPIRY_HEADER) or state.expiry
        if response.status_code != 401 or not operation.renewable or "session" not in operation.security:
            return False
        return state.inside() is None and isinstance(refusal(operation, response), errors.SessionExpired)

    def _patience(self) -> float:
        """Return how long a call waits for the hook that another one has called."""
        seconds = self.timeout.read if isinstance(self.timeout, httpx.Timeout) else self.timeout
        return _retry.LONGEST_TOTAL if seconds is None else seconds

    @property
    def session(self) -> Session | None:
        """The current session, `None` before the first login. A lost session is renewed in place."""
        state = self._session
        with state.lock:
            if state.session is None and state.token is not None:
                from .models import Session

                state.session = Session(token=str(state.token), user_id=state.user_id)
            return state.session

    @property
    def session_expires_at(self) -> dt.datetime | None:
        """When the session ends unless another call is made, according to the server's last response."""
        return self._session.expires_at

    def _take(self, given: object) -> None:
        """Adopt what `on_session_expired` returned."""
        from .models import Session

        token = given.token if isinstance(given, Session) else given
        if token is None or token == self._session.token:
            return  # Nothing, or the hook has already opened the session with this client.
        if not isinstance(token, str) or not token:
            raise errors.ConfigurationError(
                f"on_session_expired must return a token, a Session or None, not {type(given).__name__}"
            )
        session = given if isinstance(given, Session) else None
        self._session.use(token, self._session.user_id if session is None else session.user_id, session)

    def use_session(self, token: str, user_id: int | User | None = None) -> Session:
        """Continue a session from elsewhere. Only `on_session_expired` can renew it.

        :param token: the session's token.
        :param user_id: the id of its user, if it has one.
        :raises InvalidArgument: if the token is empty.
        """
        token = hide(token)
        user_id = None if user_id is None else _wire.integer("user_id", _wire.id_of("user_id", user_id, "User"))
        self._session.use(_wire.text("token", token, min_length=1), user_id)
        session = self.session
        assert session is not None
        return session


def token_of(session: Session) -> str:
    """Return the token of a session that the server has just opened.

    :raises DecodeError: if it has none.
    """
    if not session.token:
        error = errors.DecodeError("the response to sessions.create has no token")
        error.operation = "sessions.create"
        raise error
    return session.token


def unknown_login(error: errors.NotFound) -> errors.Unauthorized:
    """Return the error for a login that doesn't exist, which the platform may answer with 404 instead of 401 (U-62)."""
    return errors.Unauthorized(
        error.status,
        errors=error.errors,
        body=error.body,
        request=error.request,
        operation=error.operation,
        headers=error.headers,
    )


def password_user(login: str | None, email: str | None, password: str) -> dict[str, Any]:
    """Return the `user` argument of a session with a password.

    :raises InvalidArgument: unless there is exactly one of login and email, and a password.
    """
    _wire.exactly_one(login=login, email=email)
    user: dict[str, Any] = {"password": Secret(_wire.text("password", password, min_length=1))}
    if login is not None:
        user["login"] = _wire.text("login", login, min_length=1)
    if email is not None:
        user["email"] = _wire.text("email", email, min_length=1)
    return user


def provider_arguments(provider: str, token: str, secret: str | None, project_id: str | None) -> dict[str, Any]:
    """Return the arguments of `sessions.create` for an identity provider."""
    _wire.choice("provider", provider, PROVIDERS)
    token = Secret(_wire.text("token", token, min_length=1))
    if provider.startswith("firebase_"):
        if project_id is None:
            raise errors.InvalidArgument("project_id", f"must be given for {provider}")
        if secret is not None:
            raise errors.InvalidArgument("secret", f"is not known to {provider}")
        project_id = _wire.text("project_id", project_id, min_length=1)
        return {"provider": provider, provider: {"project_id": project_id, "access_token": token}}
    if project_id is not None:
        raise errors.InvalidArgument("project_id", f"is not known to {provider}")
    keys = {"token": token}
    if secret is not None:
        keys["secret"] = Secret(_wire.text("secret", secret, min_length=1))
    return {"provider": provider, "keys": keys}
