"""Sessions: opening, finding, expiring and ending them (R-001 to R-007).

A chat that logged in with a session's token outlives the session: the platform doesn't document this case (U-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

from ..clock import Clock
from ..config import Settings
from ..errors import bad_request, not_found, required, session_expired, unauthorized, unprocessable
from ..ids import new_token
from ..storage import Database
from .accounts import Accounts, User

__all__ = ["Session", "Sessions"]


@frozen(kw_only=True)
class Session:
    """A session of the application, or of one of its users."""

    id: int
    token: str
    user_id: int | None
    created_at: float
    updated_at: float
    last_call_at: float

    def __repr__(self) -> str:
        return f"<Session {self.id}, user_id={self.user_id}>"


@define(eq=False)
class Sessions:
    """All sessions. A session ends two hours after its last call, a guest's one day after its start."""

    _db: Database
    _clock: Clock
    _settings: Settings
    _accounts: Accounts

    # -- opening

    def open(self, body: Mapping[str, Any], vouched: str | None = None) -> Session:
        """Open a session (R-001). Signatures are not checked (CR-02).

        :param body: the request's body, in the form that the spec describes.
        :param vouched: the user's id at the identity provider that has accepted the login (N-03).
        :raises Refused: 401 if the application, key or user is wrong.
        """
        self.check(body)
        with self._db.transaction():
            if vouched is not None:
                return self._new(self._accounts.of_provider("custom", vouched))
            return self._new(self._user(body, create=self._settings.create_users_on_login))

    def check(self, body: Mapping[str, Any]) -> None:
        """Check for which application a session is opened.

        :raises Refused: 401 if the application or key is wrong.
        """
        settings = self._settings
        if body.get("application_id") != settings.app_id or body.get("auth_key") != settings.auth_key:
            raise unauthorized("Unexpected signature or application")

    def log_in(self, session: Session, body: Mapping[str, Any], vouched: str | None = None) -> User:
        """Give a session a user (R-006).

        :param vouched: the user's id at the identity provider that has accepted the login (N-03).
        :raises Refused: 401 if the credentials are wrong.
        """
        if vouched is not None:
            user: User | None = self._accounts.of_provider("custom", vouched)
        else:
            user = self._user(body if body.get("provider") else {"user": body}, create=False)
        if user is None:
            raise bad_request("login or email with a password, or provider is required")
        self._db.update("sessions", "id = ?", session.id, user_id=user.id, updated_at=self._clock.now())
        self._seen(user.id)
        return self._accounts.get(user.id)

    def log_out(self, session: Session) -> None:
        """Remove the user from a session, which lives on (R-007, U-12)."""
        self._db.update("sessions", "id = ?", session.id, user_id=None, updated_at=self._clock.now())

    def _user(self, body: Mapping[str, Any], *, create: bool) -> User | None:
        provider = body.get("provider")
        if provider is not None:
            return self._vouched(str(provider), body)
        given = body.get("user")
        if not given:
            if body.get("firebase_phone") or body.get("firebase_email"):
                return self._vouched("firebase_phone" if body.get("firebase_phone") else "firebase_email", body)
            return None
        if str(given.get("guest", "0")) == "1":
            return self._accounts.create({"full_name": given.get("full_name")}, guest=True)
        login, email, password = (given.get(name) for name in ("login", "email", "password"))
        if (login is None and email is None) or password is None:
            raise unprocessable("base", "login or email with a password is required")
        return self._accounts.log_in(login=login, email=email, password=password, create=create)

    def _vouched(self, provider: str, body: Mapping[str, Any]) -> User:
        if provider in ("facebook", "twitter"):
            token = (body.get("keys") or {}).get("token")
        else:
            token = (body.get(provider) or {}).get("access_token")
        if not token:
            raise unprocessable("base", f"{provider} requires its token")
        return self._accounts.of_provider(provider, token)

    def _new(self, user: User | None) -> Session:
        now = self._clock.now()
        session_id = self._db.insert(
            "sessions",
            token=new_token(),
            user_id=None if user is None else user.id,
            created_at=now,
            updated_at=now,
            last_call_at=now,
        )
        if user is not None:
            self._seen(user.id)
        return self.get(session_id)

    def open_for(self, user_id: int) -> Session:
        """Open a session without a login, for tests."""
        return self._new(self._accounts.get(user_id))

    # -- finding

    def get(self, session_id: int) -> Session:
        """Return a session by id.

        :raises Refused: 404 if there is none.
        """
        return required(self._db.find(Session, "SELECT * FROM sessions WHERE id = ?", session_id))

    def use(self, token: str) -> Session:
        """Return the session with a token, and extend its life.

        :raises Refused: 401 if there is none or it has expired.
        """
        session = self._find(token)
        if session is None:
            raise session_expired()
        if self._over(session):
            with self._db.attempt():
                self.end(session)
            raise session_expired()
        with self._db.attempt():
            self._db.update("sessions", "id = ?", session.id, last_call_at=self._clock.now())
            if session.user_id is not None:
                self._seen(session.user_id)
        return self.get(session.id)

    def find_token(self, token: str) -> Session | None:
        """Return the live session with a token, without extending its life."""
        session = self._find(token)
        return None if session is None or self._over(session) else session

    def _find(self, token: str) -> Session | None:
        return self._db.find(Session, "SELECT * FROM sessions WHERE token = ?", token)

    def tokens(self, user_id: int) -> list[str]:
        """Return the tokens of a user's live sessions."""
        found = self._db.find_all(Session, "SELECT * FROM sessions WHERE user_id = ?", user_id)
        return [session.token for session in found if not self._over(session)]

    def expiry(self, session: Session) -> float:
        """Return when a session ends if there are no more calls."""
        limits = self._settings.limits
        user = None if session.user_id is None else self._accounts.find(session.user_id)
        if user is not None and user.is_guest:
            # Guests can't log in again, so their session lasts as long as they do.
            return user.created_at + limits.guest_seconds
        return session.last_call_at + limits.session_seconds

    def _over(self, session: Session) -> bool:
        return self.expiry(session) <= self._clock.now()

    def _seen(self, user_id: int) -> None:
        self._db.update("users", "id = ?", user_id, last_request_at=self._clock.now())

    # -- ending

    def end(self, session: Session) -> None:
        """End a session (R-003)."""
        self._db.run("DELETE FROM sessions WHERE id = ?", session.id)

    def end_by_id(self, session: Session, other_id: int) -> None:
        """End another session of the same user (R-004).

        :raises Refused: 404 if there is none.
        """
        # Sessions without a user don't belong together: each may end only itself.
        if session.user_id is None and other_id != session.id:
            raise not_found()
        if not self._db.run("DELETE FROM sessions WHERE id = ? AND user_id IS ?", other_id, session.user_id):
            raise not_found()

    def end_others(self, session: Session) -> None:
        """End all other sessions of the same user (R-005)."""
        self._db.run("DELETE FROM sessions WHERE user_id = ? AND id != ?", session.user_id, session.id)

    def expire(self, user_id: int | None = None) -> int:
        """End the sessions of one user, or all sessions.

        :returns: how many there were.
        """
        return self._db.run("DELETE FROM sessions WHERE user_id = ? OR ?", user_id, user_id is None)
