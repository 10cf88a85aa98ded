"""Names from a spec as safe Python identifiers."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Container
from functools import cache

from openapi_python_client.strings import ClassName, PythonIdentifier

#: The classes of the generated module of errors that are the same in every package.
ERRORS = """ApiError BadRequest ConfigurationError ConnectionFailed DecodeError FileFailed Forbidden InvalidArgument
NotFound RateLimited RequestInfo RequestTimeout ResponseTooLarge STATUS_ERRORS ServerFailure SessionExpired TlsFailed
Unauthorized Unavailable Unprocessable""".split()

#: The class of each status that has one.
STATUS_ERRORS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    422: "Unprocessable",
    429: "RateLimited",
    500: "ServerFailure",
    503: "Unavailable",
}


def error_of(status: int | str) -> str:
    """The class of a documented status, or of a range such as `5XX`."""
    if isinstance(status, int):
        return STATUS_ERRORS.get(status, "ApiError")
    return "ServerFailure" if status == "5XX" else "ApiError"


TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What the name of a method, a header or a cookie may be (RFC 9110 section 5.6.2)."""

#: Names that generated modules use themselves: a class of a spec must not take them.
TAKEN_CLASSES = frozenset(
    """Any Awaitable Callable ContextVar Final Generic IntEnum Iterator AsyncIterator Literal Mapping Model Omit
    OMIT Page AsyncPage PageCall PageData RawResponse Self Iterable StrEnum TracebackType TypedDict TypeVar Call
    Operation Client AsyncClient ClientError ConnectyCube AsyncConnectyCube ConnectyCubeError None True False""".split()
).union(ERRORS, (name for name in dir(builtins) if name[0].isupper()))

#: Names that annotations and decorators in the body of a model need.
TAKEN_FIELDS = frozenset(
    "self str int float bool list dict bytes dt extra from_dict to_dict define field classmethod".split()
)

#: Names that annotations in the body of a resource need, and its own members.
TAKEN_METHODS = frozenset(
    "with_raw_response with_streaming_response str int float bool bytes builtins dt models inputs filters_".split()
)

#: Names that the body of a client needs, and its own members.
TAKEN_RESOURCES = frozenset(
    """aclose base_url bool bytes close deadline dict errors float httpx inputs int lazy login login_guest
    login_provider logout max_retries models object path_suffix session str timeout tuple type use_session
    with_options""".split()
)

#: Further members of a client of a platform.
TAKEN_ON_PLATFORMS = frozenset("request with_raw_response with_session".split())

LONGEST_MODULE = 100
"""Characters of a module's name: no file system takes more than 255 bytes."""


#: Names that generated functions use themselves: an argument must not take them.
TAKEN_ARGUMENTS = frozenset(
    """self cls wire inputs models filters_ filter_pairs calls path query headers cookies styles body content dict str
    Any Call PageCall OMIT""".split()
)

TAKEN_BODY_ARGUMENTS = TAKEN_ARGUMENTS - {"body"}
"""The same for the fields of a body: no function that has them has a `body` of its own."""


def argument(wire: str, taken: frozenset[str] = TAKEN_ARGUMENTS) -> str:
    """The Python name of a parameter or a field: the wire's own as far as Python allows."""
    name = wire.lstrip("_")
    if not (name.isascii() and name.isidentifier()):
        name = str(PythonIdentifier(_ascii(name), prefix="field_"))
    if keyword.iskeyword(name) or name in taken:
        name += "_"
    return name


def field(wire: str) -> str:
    """The Python name of a model's field: snake case."""
    name = argument(wire)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if keyword.iskeyword(name) or name in TAKEN_FIELDS or name.startswith("__"):
        name = f"{name.strip('_') or 'field'}_"
    return name


def is_identity(wire: str) -> bool:
    """Whether a field is named as an identity: `id`, `_id`, `uid`, `messageId`, `token`."""
    return field(wire).rpartition("_")[2] in ("id", "uid", "uuid", "guid", "token")


def method(operation_id: str, resource: str) -> str:
    """`dialogs_update` of the resource `dialogs` is `update`."""
    name = _snake(operation_id)
    if name.startswith(f"{resource}_") and len(name) > len(resource) + 1:
        name = name[len(resource) + 1 :]
    if not name.isidentifier() or name.startswith("_"):
        name = f"call_{name.strip('_')}"
    return f"{name}_" if keyword.iskeyword(name) or name in TAKEN_METHODS else name


def resource(tag: str, platform: str = "") -> str:
    """A tag as the name of an attribute and of a module."""
    name = _snake(tag).strip("_")[:LONGEST_MODULE]
    if not name or not name.isidentifier():
        name = f"tag_{name}".rstrip("_")
    taken = name in TAKEN_RESOURCES or (platform and name in TAKEN_ON_PLATFORMS)
    return f"{name}_" if keyword.iskeyword(name) or taken else name


@cache
def class_name(name: str) -> str:
    """A schema's name as a class name; never one that generated code needs itself."""
    result = ""
    # openapi-python-client makes it once more from what it is given: the second time it must stay as it is.
    while result != (result := str(ClassName(_ascii(result or name), prefix="Model"))):
        pass
    if not result.isidentifier():
        result = "Model"
    return f"{result.rstrip('_')}Model" if result in TAKEN_CLASSES or result.endswith("_") else result


def function(class_name: str) -> str:
    """The name of a function of a class: snake case."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()
    taken = name in TAKEN_ARGUMENTS or name == "dt" or hasattr(builtins, name)
    return f"{name}_" if taken or keyword.iskeyword(name) else name


def member(value: object, given: object = None) -> str:
    """The name of an enum's member."""
    name = re.sub(r"\W+", "_", _ascii(str(given if given is not None else value)), flags=re.ASCII).strip("_").upper()
    if not name or name[0].isdigit():
        name = f"VALUE_{'NEGATIVE_' if str(value).startswith('-') else ''}{name}"
    return f"{name}_" if name == "MRO" else name


def unique(name: str, used: Container[str]) -> str:
    """A name that is not used yet."""
    if name not in used:
        return name
    number = 2
    while f"{name}_{number}" in used:
        number += 1
    return f"{name}_{number}"


def _snake(name: str) -> str:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _ascii(name))
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]+", "_", name)).strip("_").lower() or "call"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
