"""The session that a client and its copies share, and what both clients of the platform do with it."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx

from . import _wire, errors
from ._base import BaseClient
from ._call import Call, refusal
from ._names import BASE_URL

if TYPE_CHECKING:
    import asyncio

    from .models import Session

EXPIRY_HEADER: Final = "CB-Token-ExpirationDate"

Provider = Literal["facebook", "twitter", "firebase_phone", "firebase_email"]
PROVIDERS: Final[tuple[Provider, ...]] = ("facebook", "twitter", "firebase_phone", "firebase_email")

renewing: ContextVar[bool] = ContextVar("renewing", default=False)
"""Set while a renewal runs, whose own calls must not start another."""


class SessionState:
    """The current session. Its `repr` shows no secret."""

    __slots__ = ("credentials", "expiry", "renewal", "renewal_lock", "renewals", "session", "token", "user_id")

    def __init__(self, token: str | None) -> None:
        self.token = token
        self.user_id: int | None = None
        self.session: Session | None = None
        self.credentials: dict[str, Any] | None = None
        """The `user` argument that a lost session is renewed with."""
        self.expiry = ""
        """When the session ends, in the server's own format."""
        self.renewal: Any = None
        """The renewal in progress."""
        self.renewals = 0
        """How many renewals have ended, successful or not."""
        self.renewal_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<SessionState {'with' if self.token else 'without'} token, user_id={self.user_id}>"

    def adopt(self, session: Session, credentials: dict[str, Any] | None) -> None:
        """Adopt a session that the server has just opened.

        :raises DecodeError: if it has no token.
        """
        if not session.token:
            error = errors.DecodeError("the response to sessions.create has no token")
            error.operation = "sessions.create"
            raise error
        self.session = session
        self.token = session.token
        self.user_id = session.user_id
        self.credentials = credentials

    def use(self, token: str | None, user_id: int | None) -> None:
        """Adopt a token from elsewhere."""
        self.token = token
        self.user_id = user_id
        self.session = None
        self.credentials = None
        self.expiry = ""

    @property
    def expires_at(self) -> dt.datetime | None:
        """When the session ends, if the server has said so."""
        try:
            day, time, zone = self.expiry.split()
            offset = "Z" if zone in ("UTC", "GMT") else zone.removeprefix("UTC").removeprefix("GMT")
            return dt.datetime.fromisoformat(f"{day}T{time}{offset}").astimezone(dt.UTC)
        except (ValueError, OverflowError):
            return None


def renew_once(state: SessionState, used: str | None, renewals: int, obtain: Callable[[], bool]) -> bool:
    """Renew a lost session, once for all threads that lost it.

    :param used: the token that the refused call carried.
    :param renewals: how many renewals had ended when it was sent; if one has failed since, the call does not try again.
    :param obtain: opens a new session; returns false if it can't.
    :returns: whether to repeat the call.
    """
    with state.renewal_lock:
        if state.token != used:
            return True
        if state.renewal is None and state.renewals != renewals:
            return False
        future: Future[bool] | None = state.renewal
        leads = future is None
        if future is None:
            future = state.renewal = Future()
    if not leads:
        return future.result()
    try:
        renewed = obtain()
    except BaseException as error:
        _end(state)
        future.set_exception(error)
        raise
    _end(state)
    future.set_result(renewed)
    return renewed


def _end(state: SessionState) -> None:
    with state.renewal_lock:
        state.renewal = None
        state.renewals += 1


async def arenew_once(
    state: SessionState, used: str | None, renewals: int, obtain: Callable[[], Awaitable[bool]]
) -> bool:
    """Like `renew_once`, for tasks of one event loop. Cancelling one task does not cancel the others' renewal."""
    if state.token != used:
        return True
    # Imported late: the sync client does not need it.
    import asyncio

    task: asyncio.Task[bool] | None = state.renewal
    if task is None or task.get_loop() is not asyncio.get_running_loop():
        if state.renewals != renewals:
            return False
        task = state.renewal = asyncio.ensure_future(_finish(state, obtain))
    return await asyncio.shield(task)


async def _finish(state: SessionState, obtain: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await obtain()
    finally:
        _end(state)


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
        token: str | None,
        admin_key: str | None,
    ) -> None:
        environ = os.environ.get
        self._app_id = app_id or environ("CONNECTYCUBE_APP_ID") or None
        self._auth_key = auth_key or environ("CONNECTYCUBE_AUTH_KEY") or None
        self._admin_key = admin_key or environ("CONNECTYCUBE_ADMIN_KEY") or None
        self._session = SessionState(token)
        url = base_url or environ("CONNECTYCUBE_BASE_URL") or BASE_URL
        self._configure(url, path_suffix, timeout, max_retries, {})

    def _secret(self, scheme: str) -> str | None:
        return {"session": self._session.token, "authKey": self._auth_key, "adminKey": self._admin_key}.get(scheme)

    def _fill(self, what: str) -> object:
        value = self._app_id if what == "app_id" else self._auth_key
        if value is None:
            variable = f"CONNECTYCUBE_{what.upper()}"
            raise errors.ConfigurationError(f"the client has no {what}: pass it, or set {variable}")
        return int(value) if what == "app_id" and isinstance(value, str) and value.isdigit() else value

    def _unauthorized(self, call: Call[Any]) -> errors.ConfigurationError:
        wants = {
            "session": "needs a session: call login() or use_session() first",
            "authKey": "needs the authorization key: pass auth_key, or set CONNECTYCUBE_AUTH_KEY",
            "adminKey": "needs the administration key: pass admin_key, or set CONNECTYCUBE_ADMIN_KEY",
        }
        return errors.ConfigurationError(f"{call.operation.name} {wants[call.operation.security[0]]}")

    def _mark(self) -> tuple[str | None, int]:
        return self._session.token, self._session.renewals

    def _lost(self, call: Call[Any], response: httpx.Response) -> bool:
        operation = call.operation
        if not operation.foreign:
            self._session.expiry = response.headers.get(EXPIRY_HEADER) or self._session.expiry
        if response.status_code != 401 or not operation.renewable or "session" not in operation.security:
            return False
        return not renewing.get() and isinstance(refusal(operation, response), errors.SessionExpired)

    @property
    def session(self) -> Session | None:
        """The current session, `None` before the first login. A lost session is renewed in place."""
        if self._session.session is None and self._session.token is not None:
            from .models import Session

            self._session.session = Session(token=self._session.token, user_id=self._session.user_id)
        return self._session.session

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
        self._session.use(token, given.user_id if isinstance(given, Session) else self._session.user_id)
        self._session.session = given if isinstance(given, Session) else None

    def use_session(self, token: str, user_id: int | None = None) -> Session:
        """Continue a session from elsewhere. Only `on_session_expired` can renew it.

        :param token: the session's token.
        :param user_id: the id of its user, if it has one.
        :raises InvalidArgument: if the token is empty.
        """
        self._session.use(_wire.text("token", token, min_length=1), user_id)
        session = self.session
        assert session is not None
        return session


def password_user(login: str | None, email: str | None, password: str) -> dict[str, Any]:
    """Return the `user` argument of a session with a password.

    :raises InvalidArgument: unless there is exactly one of login and email, and a password.
    """
    _wire.exactly_one(login=login, email=email)
    user: dict[str, Any] = {"password": _wire.text("password", password, min_length=1)}
    if login is not None:
        user["login"] = _wire.text("login", login, min_length=1)
    if email is not None:
        user["email"] = _wire.text("email", email, min_length=1)
    return user


def provider_arguments(provider: str, token: str, secret: str | None, project_id: str | None) -> dict[str, Any]:
    """Return the arguments of `sessions.create` for an identity provider."""
    _wire.choice("provider", provider, PROVIDERS)
    token = _wire.text("token", token, min_length=1)
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
        keys["secret"] = _wire.text("secret", secret, min_length=1)
    return {"provider": provider, "keys": keys}
