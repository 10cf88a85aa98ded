"""A custom identity provider: the developer's own server, which vouches for users (X-05, N-03)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen
from attrs.validators import gt, in_

__all__ = ["IdentityProvider", "is_url"]

_PLACE = re.compile(r"#\{([^{}]*)\}")
_HALF = re.compile(r"[\ud800-\udfff]")
_GIVEN = ("login", "password")
"""What a login gives, and templates may contain."""


def is_url(_: Any, attribute: Attribute[Any], value: str) -> None:
    """Check that a setting is a web address."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{attribute.alias} must be a web address such as http://127.0.0.1:9000/verify, not {value!r}")


def _are_texts(_: Any, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise ValueError(f"{attribute.alias} must map names to texts")


def _are_templates(_: Any, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    _are_texts(_, attribute, value)
    for name in _places(value.values()):
        if name not in _GIVEN:
            raise ValueError(f"{attribute.alias} may contain #{{login}} and #{{password}}, not #{{{name}}}")


def _has_uid(_: Any, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    _are_texts(_, attribute, value)
    if _PLACE.fullmatch(value.get("uid", "")) is None:
        raise ValueError(f'{attribute.alias} must map "uid" to one field of the answer, such as "#{{user.id}}"')


def _places(templates: Iterable[str]) -> list[str]:
    return [name for template in templates for name in _PLACE.findall(template)]


@frozen(kw_only=True)
class IdentityProvider:
    """How the sandbox asks the developer's server who a user is, as the platform's dashboard has it.

    :ivar url: address to call.
    :ivar method: `GET` sends the parameters in the query, `POST` as a JSON object.
    :ivar request: parameters by name, in which `#{login}` and `#{password}` stand for what the client sent.
    :ivar headers: headers by name, with the same templates.
    :ivar response: where the answer, a JSON object, has the user's id: `{"uid": "#{user.id}"}` takes the field `id` of
        the object `user`. Other keys are ignored.
    :ivar timeout: most seconds that a call may take.
    :raises ValueError: if one of them is invalid.
    """

    url: str = field(validator=is_url)
    method: Literal["GET", "POST"] = field(default="GET", validator=in_(("GET", "POST")))
    request: Mapping[str, str] = field(factory=lambda: {"token": "#{login}"}, validator=_are_templates)
    headers: Mapping[str, str] = field(factory=dict, validator=_are_templates, repr=False)
    response: Mapping[str, str] = field(factory=lambda: {"uid": "#{user.id}"}, validator=_has_uid)
    timeout: float = field(default=10.0, validator=gt(0))

    def filled(self, templates: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
        """Return templates with what a login gives in their places."""
        return {
            name: _PLACE.sub(lambda place: given.get(place[1], ""), template) for name, template in templates.items()
        }

    def uid_in(self, answer: Any) -> str | None:
        """Return the user id in a response, or `None` if it has none."""
        (path,) = _places([self.response["uid"]])
        for name in path.split("."):
            answer = answer.get(name) if isinstance(answer, Mapping) else None
        is_id = isinstance(answer, (str, int)) and not isinstance(answer, bool)
        uid = str(answer) if is_id else ""
        # JSON can escape half a character, which can't be stored.
        return uid if uid and not _HALF.search(uid) else None
