"""Push subscriptions and events (R-060 to R-063).

Nothing is pushed: events are stored for tests to look at, and the journal shows what each device would receive.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from ..clock import Clock, iso
from ..config import Settings
from ..errors import not_found, unprocessable
from ..journal import Journal
from ..storage import Database, dump, load
from .accounts import Accounts

__all__ = ["Push"]

_WEB = ("web_endpoint", "web_auth", "web_p256dh")


@define(eq=False)
class Push:
    """Devices that are subscribed to push notifications, and the events sent to them."""

    _db: Database
    _clock: Clock
    _settings: Settings
    _accounts: Accounts
    _journal: Journal

    # -- subscriptions

    def subscribe(self, user_id: int, fields: Mapping[str, Any]) -> sqlite3.Row:
        """Subscribe a device. One that is subscribed already keeps its subscription's id (R-060).

        :raises Refused: 422 if the channel's keys are missing.
        """
        channel, token, device = fields["notification_channel"], fields["push_token"], fields["device"]
        wanted = _WEB if channel == "web" else ("client_identification_sequence",)
        missing = [name for name in wanted if not token.get(name)]
        if missing:
            raise unprocessable("push_token", f"{', '.join(missing)} is required for {channel}")
        key = (user_id, channel, device["udid"])
        where = "user_id = ? AND channel = ? AND udid = ?"
        values = {"environment": token["environment"], "platform": device["platform"]}
        if not self._db.update("subscriptions", where, *key, **values):
            self._db.insert(
                "subscriptions",
                user_id=user_id,
                channel=channel,
                udid=device["udid"],
                created_at=self._clock.now(),
                **values,
            )
        row = self._db.one(f"SELECT * FROM subscriptions WHERE {where}", *key)
        assert row is not None
        return row

    def subscriptions(self, user_id: int) -> list[sqlite3.Row]:
        """Return a user's subscriptions (R-061)."""
        return self._db.all("SELECT * FROM subscriptions WHERE user_id = ?", user_id)

    def unsubscribe(self, user_id: int, subscription_id: int) -> None:
        """Delete a subscription (R-062).

        :raises Refused: 404 if the user has no such subscription.
        """
        if not self._db.run("DELETE FROM subscriptions WHERE id = ? AND user_id = ?", subscription_id, user_id):
            raise not_found()

    # -- events

    def send(self, user_id: int, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Create the events of a notification, one for each channel of its recipients (R-063).

        :raises Refused: 422 if the message is malformed or nobody can receive it.
        """
        push_type = fields.get("push_type")
        payload = _payload(fields["message"], push_type)
        recipients, tag_query = self._recipients(fields)
        devices = [
            row
            for row in self._devices(recipients)
            if row["environment"] == fields["environment"] and push_type in (None, row["channel"])
        ]
        if not devices:
            raise unprocessable("base", "No one can receive the message")
        if fields.get("event_type", "one_shot") == "one_shot":
            self._show(devices, payload)
        channels = sorted({row["channel"] for row in devices})
        return [self._event(user_id, fields, recipients, channel, tag_query) for channel in channels]

    def alert(self, sender_id: int, recipients: Sequence[int], payload: Mapping[str, Any]) -> None:
        """Create the events of a chat alert: one for each channel and environment of its recipients (F-082)."""
        devices = self._devices(recipients)
        message = base64.b64encode(dump(payload).encode()).decode()
        for channel, environment in sorted({(row["channel"], row["environment"]) for row in devices}):
            self._event(sender_id, {"message": message, "environment": environment}, recipients, channel, None)
        self._show(devices, payload)

    def subscribed(self, users: Sequence[int]) -> list[int]:
        """Return those of some users who have subscribed a device."""
        sql = "SELECT DISTINCT user_id FROM subscriptions WHERE user_id IN (SELECT value FROM json_each(?)) ORDER BY 1"
        return self._db.column(sql, dump(list(users)))

    def _devices(self, users: Sequence[int]) -> list[sqlite3.Row]:
        """Return the subscriptions of some users."""
        sql = "SELECT * FROM subscriptions WHERE user_id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return self._db.all(sql, dump(list(users)))

    def _show(self, devices: Iterable[sqlite3.Row], payload: Mapping[str, Any]) -> None:
        """Record what each device would receive."""
        for row in devices:
            to = f"{row['platform']} device {row['udid']} ({row['channel']}, {row['environment']})"
            self._journal.outgoing("push", to, payload, user_id=row["user_id"])

    def _event(
        self, user_id: int, fields: Mapping[str, Any], recipients: Sequence[int], channel: str, tag_query: str | None
    ) -> dict[str, Any]:
        now = self._clock.now()
        event = {
            "event_type": fields.get("event_type", "one_shot"),
            "message": fields["message"],
            "date": fields.get("date"),
            "period": fields.get("period"),
            "name": fields.get("name"),
            "end_date": fields.get("end_date"),
            "occured_count": 0,
            "active": True,
            "application_id": self._settings.app_id,
            "user_id": user_id,
            "kind": "API",
            "environment": fields["environment"],
            "tag_query": tag_query,
            "notification_channel": {"name": channel},
            "created_at": iso(now),
            "updated_at": iso(now),
        }
        number = self._db.insert(
            "events", user_id=user_id, event=dump(event), recipients=dump(list(recipients)), created_at=now
        )
        return {"id": number, **event}

    def _recipients(self, fields: Mapping[str, Any]) -> tuple[list[int], str | None]:
        """Return the users that the selector chooses, and the text of a selector by tags."""
        user = fields.get("user") or {}
        external = fields.get("external_user")
        tags = user.get("tags") or {}
        selectors = [
            bool(user.get("ids")),
            bool(external),
            *(bool(tags.get(name)) for name in ("any", "all", "exclude")),
        ]
        if sum(selectors) != 1:
            raise unprocessable("base", "exactly one selector of recipients is required")
        if user.get("ids"):
            try:
                ids = [int(part) for part in user["ids"].split(",") if part.strip()]
            except ValueError as error:
                raise unprocessable("user", "ids must be numbers separated by commas") from error
            return self._accounts.known(one for one in ids if abs(one) < 2**63), None
        if external:
            wanted = set(_parts(external["ids"]))
            rows = self._db.all("SELECT id, external_id, external_user_id FROM users ORDER BY id")
            return [row["id"] for row in rows if {row["external_id"], str(row["external_user_id"])} & wanted], None
        name = next(name for name in ("any", "all", "exclude") if tags.get(name))
        wanted = set(_parts(tags[name]))
        found = []
        for row in self._db.all("SELECT id, tags FROM users ORDER BY id"):
            own = set(load(row["tags"]))
            fits = {"any": bool(own & wanted), "all": wanted <= own, "exclude": not own & wanted}[name]
            if fits:
                found.append(row["id"])
        return found, f"{name}: {tags[name]}"

    def events(self) -> list[dict[str, Any]]:
        """Return all events with their `recipients`, for tests."""
        return [
            {"id": row["id"], **load(row["event"]), "recipients": load(row["recipients"])}
            for row in self._db.all("SELECT * FROM events ORDER BY id")
        ]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _payload(message: str, push_type: str | None) -> Mapping[str, Any]:
    """Return what a message says: it is base64 of JSON, after `payload=` if it is for one service only (U-19).

    :raises Refused: 422 if it isn't, or not of an object.
    """
    text = message.removeprefix("payload=") if push_type else message
    try:
        found = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise unprocessable("message", "is not base64 of JSON") from error
    if not isinstance(found, dict):
        raise unprocessable("message", "is not base64 of a JSON object")
    return found
