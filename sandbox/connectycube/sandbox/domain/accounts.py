"""Users: sign-up, changes, look-ups and passwords (R-006, R-008 to R-025)."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from attrs import define, field, frozen

from ..bus import Bus, UserDeleted
from ..clock import Clock
from ..config import Settings
from ..errors import bad_request, forbidden, required, unauthorized, unprocessable
from ..filters import Column, Condition, where
from ..ids import ObjectIds
from ..storage import Database, dump, load

__all__ = ["SCRAM_ITERATIONS", "Accounts", "Mechanism", "ScramSecrets", "User"]

SCRAM_ITERATIONS = 4096
Mechanism = Literal["SCRAM-SHA-1", "SCRAM-SHA-256"]
_HASHES: Mapping[Mechanism, str] = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}

TEXTS = ("full_name", "phone", "website", "custom_data", "avatar", "external_id", "facebook_id", "twitter_id")
NUMBERS = ("timezone", "external_user_id", "blob_id")
UNIQUE = ("login", "email")

COLUMNS = {
    **{name: Column(sql=f"users.{name}") for name in ("id", *UNIQUE, *TEXTS, *NUMBERS)},
    **{name: Column(sql=f"users.{name}", whole=True) for name in ("created_at", "updated_at", "last_request_at")},
    "user_tags": Column(sql="users.tags", items="value"),
}
STAND_ALONE = frozenset("id login email full_name phone external_id facebook_id twitter_id user_tags".split())
"""Fields that suffice as the only filter of a search (R-009)."""


@frozen(kw_only=True)
class User:
    """An account."""

    id: int
    object_id: str
    login: str | None
    email: str | None
    full_name: str | None
    phone: str | None
    website: str | None
    custom_data: str | None
    timezone: int | None
    tags: Sequence[str] = field(converter=load)
    avatar: str | None
    external_id: str | None
    facebook_id: str | None
    twitter_id: str | None
    external_user_id: int | None
    blob_id: int | None
    is_guest: bool = field(converter=bool)
    created_at: float
    updated_at: float
    last_request_at: float | None
    last_activity_at: float | None

    @property
    def title(self) -> str:
        """The name that others see."""
        return self.full_name or self.login or self.email or str(self.id)


@frozen(kw_only=True)
class ScramSecrets:
    """The server's side of a SCRAM exchange (RFC 5802). A proof made from any of the passwords is right."""

    salt: bytes
    iterations: int
    salted_passwords: Sequence[bytes]


def _salted(hash_name: str, password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, SCRAM_ITERATIONS)


@define(eq=False)
class Accounts:
    """The application's users."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _bus: Bus
    _settings: Settings
    # Every REST call asks for expired guests, so the time of the next one is kept in memory.
    _next_end_of_guest: float = field(default=-math.inf, init=False)

    # -- reading

    def find(self, user_id: int) -> User | None:
        """Return a user by id."""
        return self.find_by("id", user_id)

    def exists(self, user_id: int) -> bool:
        """Return whether there is a user with an id."""
        return self._db.value("SELECT 1 FROM users WHERE id = ?", user_id) is not None

    def get(self, user_id: int) -> User:
        """Return a user by id.

        :raises Refused: 404 if there is none.
        """
        return required(self.find(user_id))

    def find_by(self, column: str, value: Any) -> User | None:
        """Return the first user with a value in a column."""
        return self._db.find(User, f"SELECT * FROM users WHERE {column} = ? ORDER BY id LIMIT 1", value)

    def get_by(self, column: str, value: Any) -> User:
        """Return the first user with a value in a column.

        :raises Refused: 404 if there is none.
        """
        return required(self.find_by(column, value))

    def known(self, ids: Iterable[int]) -> list[int]:
        """Return the ids that belong to users, in order and without repeats."""
        return [one for one in dict.fromkeys(ids) if self.exists(one)]

    def search(
        self,
        conditions: Sequence[Condition],
        *,
        skip: int,
        limit: int,
        order: tuple[str, bool] | None = None,
        among: Sequence[int] | None = None,
    ) -> tuple[list[User], int]:
        """Return a page of the users who meet all conditions, and the number of all of them.

        :param order: the field to sort by, and whether to sort descending.
        """
        sql, values = where(conditions, COLUMNS)
        if among is not None:
            sql += f" AND id IN ({', '.join('?' * len(among))})"
            values += among
        name, down = order or ("id", False)
        if name not in COLUMNS:
            raise bad_request(f"{name} is not a field to sort by")
        way = "DESC" if down else "ASC"
        return self._db.page(User, "users", sql, values, f"{COLUMNS[name].sql} {way}, id {way}", skip=skip, limit=limit)

    def search_v2(
        self, conditions: Sequence[Condition], *, skip: int, limit: int, order: tuple[str, bool] | None
    ) -> tuple[list[User], int, int]:
        """Search under the rules of R-009.

        :returns: a page of users, the number of all of them, and the page size that was used.
        """
        if not any(one.field in STAND_ALONE and one.operator in ("", "in", "start_with") for one in conditions):
            raise bad_request("At least one stand-alone filter is required")
        for one in conditions:
            if one.operator == "start_with":
                if len(str(one.value)) < 4:
                    raise bad_request(f"{one.field}: start_with requires at least 4 characters")
                limit = 5
        users, total = self.search(conditions, skip=skip, limit=limit, order=order)
        return users, total, limit

    # -- changing

    def create(self, fields: Mapping[str, Any], *, guest: bool = False) -> User:
        """Sign up a user (R-008).

        :param fields: the fields by their names in REST, including `password` and `tag_list`.
        :raises Refused: 422 if the login or email is taken, or a field is invalid.
        """
        if not guest and not fields.get("login") and not fields.get("email") and not fields.get("provider"):
            raise unprocessable("base", "login or email is required")
        now = self._clock.now()
        values = self._values(fields)
        with self._db.transaction():
            try:
                user_id = self._db.insert(
                    "users",
                    object_id=self._ids.new(),
                    is_guest=int(guest),
                    created_at=now,
                    updated_at=now,
                    **values,
                )
            except sqlite3.IntegrityError as error:
                raise self._taken(values, None) from error
            if guest:
                self._db.update("users", "id = ?", user_id, login=f"guest_{user_id}")
                self._next_end_of_guest = min(self._next_end_of_guest, now + self._settings.limits.guest_seconds)
        return self.get(user_id)

    def update(self, user_id: int, fields: Mapping[str, Any]) -> User:
        """Change an account (R-020).

        :raises Refused: 422 if a field is invalid or `old_password` is wrong.
        """
        user = self.get(user_id)
        if "password" in fields:
            old = fields.get("old_password")
            if not isinstance(old, str):
                raise unprocessable("old_password", "is required to change the password")
            if not self.check_password(user.id, old):
                raise unprocessable("old_password", "is wrong")
        values = self._values(fields)
        try:
            self._db.update("users", "id = ?", user_id, updated_at=self._clock.now(), **values)
        except sqlite3.IntegrityError as error:
            raise self._taken(values, user_id) from error
        return self.get(user_id)

    def _values(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        plain = (*UNIQUE, *TEXTS, *NUMBERS, "provider", "provider_key")
        values = {name: fields[name] for name in plain if name in fields}
        if "tag_list" in fields:
            values["tags"] = dump(self._tags(fields["tag_list"]))
        if "password" in fields:
            salt = secrets.token_bytes(16)
            values["salt"] = salt
            values["salted_sha1"] = _salted("sha1", fields["password"], salt)
            values["salted_sha256"] = _salted("sha256", fields["password"], salt)
        return values

    def _tags(self, given: str | None) -> list[str]:
        tags = list(dict.fromkeys(part.strip() for part in (given or "").split(",") if part.strip()))
        most = self._settings.limits.user_tags
        if len(tags) > most:
            raise unprocessable("tag_list", f"has more than {most} tags")
        return tags

    def _taken(self, values: Mapping[str, Any], own: int | None) -> Exception:
        """Say which unique value another user has already."""
        for name in UNIQUE:
            value = values.get(name)
            if value is not None and self._db.value(
                f"SELECT 1 FROM users WHERE {name} = ? AND id IS NOT ?", value, own
            ):
                return unprocessable(name, "has already been taken")
        return unprocessable("base", "this user exists already")

    def delete(self, user_id: int) -> None:
        """Delete an account and all that belongs to it: sessions, contacts, memberships (R-021, R-099).

        :raises Refused: 404 if there is none.
        """
        self.get(user_id)
        # Foreign keys delete the rows that belong to the user; the bus ends the user's streams.
        self._db.run("DELETE FROM users WHERE id = ?", user_id)
        self._bus.publish(UserDeleted(user_id=user_id))

    def end_guests(self) -> None:
        """Delete the guests whose time is over (R-001)."""
        now, lifetime = self._clock.now(), self._settings.limits.guest_seconds
        if now < self._next_end_of_guest:
            return
        for user_id in self._db.column("SELECT id FROM users WHERE is_guest AND created_at <= ?", now - lifetime):
            with self._db.attempt():
                self.delete(user_id)
        first = self._db.value("SELECT min(created_at) FROM users WHERE is_guest")
        self._next_end_of_guest = math.inf if first is None else first + lifetime

    def require_own(self, user_id: int, current: int) -> None:
        """Check that users change only their own account.

        :raises Refused: 404 if there is no such account, 403 if it belongs to someone else.
        """
        self.get(user_id)
        if user_id != current:
            raise forbidden()

    # -- logging in

    def check_password(self, user_id: int, password: str) -> bool:
        """Return whether a password is the user's own."""
        row = self._db.one("SELECT salt, salted_sha256 FROM users WHERE id = ?", user_id)
        if row is None or row["salt"] is None:
            return False
        return hmac.compare_digest(_salted("sha256", password, row["salt"]), row["salted_sha256"])

    def log_in(self, *, login: str | None, email: str | None, password: str, create: bool) -> User:
        """Return the user with a login or email and a password (R-001, R-006).

        :param create: whether to sign up an unknown user.
        :raises Refused: 401 if the credentials are wrong.
        """
        column, value = ("login", login) if login is not None else ("email", email)
        user = self.find_by(column, value)
        if user is None and create:
            if login is not None and not 3 <= len(login) <= 70:
                raise unprocessable("login", "must have 3 to 70 characters")
            return self.create({column: value, "password": password})
        if user is None or user.is_guest or not self.check_password(user.id, password):
            raise unauthorized()
        return user

    def of_provider(self, provider: str, credential: str) -> User:
        """Return the user whom another service vouches for, signing them up the first time.

        The sandbox asks no service but `custom`, the developer's: it accepts every token, and the same token means the
        same user.
        """
        key = hashlib.sha256(credential.encode()).hexdigest()
        user = self._db.find(User, "SELECT * FROM users WHERE provider = ? AND provider_key = ?", provider, key)
        if user is not None:
            return user
        own = {f"{provider}_id": key[:16]} if provider in ("facebook", "twitter") else {}
        if provider == "custom":
            own = {"external_id": credential}
        return self.create({"login": f"{provider}_{key[:12]}", "provider": provider, "provider_key": key, **own})

    def scram(self, user_id: int, mechanism: Mechanism, tokens: Iterable[str]) -> ScramSecrets | None:
        """Return what a SCRAM login is checked against, or `None` for an unknown user.

        :param tokens: passwords that are accepted besides the account's own.
        """
        name = _HASHES[mechanism]
        row = self._db.one(f"SELECT salt, salted_{name} AS salted FROM users WHERE id = ?", user_id)
        if row is None:
            return None
        salt = row["salt"] or secrets.token_bytes(16)
        keys = [row["salted"]] if row["salted"] is not None else []
        keys += [_salted(name, token, salt) for token in tokens]
        return ScramSecrets(salt=salt, iterations=SCRAM_ITERATIONS, salted_passwords=keys)
