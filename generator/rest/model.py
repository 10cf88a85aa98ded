"""What the templates see of a spec: its names as safe identifiers, everything else as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ..faults import Fault

OWN_USER: Final = "{user_id}"
"""Stands for the id of the session's user in a path or query."""


@dataclass(frozen=True)
class Type:
    """The Python side of a schema, with what the wire wants.

    `kind` is one of: any, text, integer, number, boolean, flag (1 or 0 on the wire), iso (ISO 8601 time), unix (Unix
    seconds), date, enum, model, list, map, comma (list as text), index_map (list as numbered object), json64 (base64 of
    JSON), json_text, base64 and base64url (binary data inside JSON), union, file (a part of a multipart form), part
    (anything that such a part can hold), and those of a whole body: binary, written (text) and lines (of JSON).
    """

    kind: str
    item: Type | None = None
    name: str = ""
    """The class of an enum or a model, the constant of a union."""
    values: tuple[Any, ...] = ()
    """The values of a closed set."""
    text: bool = False
    """A flag or an enum is text on the wire."""
    limits: tuple[tuple[str, Any], ...] = ()
    index_from: int = 0
    owner: str = ""
    """The class of the objects that an id is of."""
    owner_field: str = "id"
    """Which of their fields it is."""
    nullable: bool = False
    """An entry of a list or a map, or a union, may be null."""
    options: tuple[Type, ...] = ()
    """The members of a union."""
    tag: str = ""
    """The field that tells the members of a union apart."""
    tags: tuple[tuple[str, int], ...] = ()
    """The member that each of its values stands for."""


@dataclass(frozen=True)
class Enum:
    name: str
    module: str
    description: str
    members: tuple[tuple[str, Any], ...]

    @property
    def is_text(self) -> bool:
        return isinstance(self.members[0][1], str)


@dataclass(frozen=True)
class Field:
    name: str
    wire: str
    type: Type
    description: str
    secret: bool = False
    required: bool = False
    nullable: bool = False
    write_only: bool = False
    """No answer has it."""
    identity: bool = False
    """Every answer has it: never `None` in a model."""
    read_only: bool = False
    """Only answers hold it: no request does."""


@dataclass
class Model:
    name: str
    module: str
    description: str
    fields: list[Field] = field(default_factory=list)
    additional: Type | None = None
    """The type of additional keys if the schema has one, `any` if it allows all of them."""
    additional_name: str = "extra"
    closed: bool = False
    """No further keys in a request."""
    answered: bool = False
    """An answer holds it, so it needs a class."""
    sent: bool = False
    """A request holds it, so it needs an input type."""
    input_name: str = ""
    """The name of that type."""

    @property
    def identities(self) -> list[Field]:
        return [entry for entry in self.fields if entry.identity]

    @property
    def sent_fields(self) -> list[Field]:
        """The fields that a request may hold."""
        return [entry for entry in self.fields if not entry.read_only]

    @property
    def read_only_names(self) -> list[str]:
        """The names, here and on the wire, of the fields that only answers hold."""
        return sorted({name for entry in self.fields if entry.read_only for name in (entry.name, entry.wire)})


@dataclass(frozen=True)
class Argument:
    """A parameter of a method."""

    name: str
    wire: str
    place: str
    """path, query, header, cookie, body, or media for the body's media type."""
    type: Type
    required: bool
    nullable: bool
    description: str
    explode: bool = True
    style: str = ""
    default: Any = None
    """Sent when the caller leaves it out."""
    example: Any = None
    """In the wire's form."""
    secret: bool = False
    """Its value, or one inside it, must not show in tracebacks."""
    positional: bool = False
    """Passed by position, although it is not in the path; a list takes a single entry, too."""
    reserved: bool = False
    """Reserved characters are left as they are."""
    empty: bool = False
    """An empty value may stand for the value."""
    assumed: Any = None
    """What the server assumes when the caller leaves it out."""
    fixed: str | None = None
    """Text that is sent when the caller leaves it out, from the query in the path."""
    media: str = ""
    """The media type of its part in a multipart form, if not the usual one."""


@dataclass(frozen=True)
class Form:
    """A body that an operation takes.

    `kind` is one of: json, form (URL-encoded), multipart, text, lines (of JSON), binary.
    """

    kind: str
    media: str
    """Its media type as the document has it, possibly with wildcards."""
    arguments: tuple[Argument, ...] = ()
    whole: bool = False
    """The body is one argument, not its fields."""
    needed: tuple[str, ...] = ()
    """The arguments that it can't do without if it is sent at all."""
    additional: Argument | None = None
    """The argument for additional keys."""
    filled: tuple[tuple[str, str], ...] = ()
    """Fields that the client fills in: wire name and source of the value."""

    @property
    def names(self) -> list[str]:
        """The names of all arguments."""
        return [entry.name for entry in (*self.arguments, *([self.additional] if self.additional else []))]


@dataclass(frozen=True)
class Filters:
    name: str
    lists: str
    fields: tuple[FilterField, ...]
    example: Any = None


@dataclass(frozen=True)
class FilterField:
    name: str
    wire: str
    type: Type
    operators: tuple[str, ...]
    equality: bool
    free: bool
    """A group of free names, as in `extensions[city]`."""
    description: str
    v1_type: str = ""


@dataclass(frozen=True)
class Page:
    style: str
    items: str
    limit: str
    id: str
    step: str
    """The parameter that advances: an offset, a number or a field of the filters."""
    operator: str = ""


@dataclass(frozen=True)
class Answer:
    """One of the ways in which an operation answers."""

    status: str
    media: str
    """Empty if it has no body."""
    kind: str
    """none, json, text, bytes; events or lines (a stream); scalar (a text that holds one value); plain (text of any
    media type) or loose (whatever it is)."""
    type: Type | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Result:
    """What a method returns."""

    kind: str
    """none, value, page, count, bytes, text or several."""
    type: Type | None = None
    envelope: str = ""
    item_envelope: str = ""
    page: Page | None = None
    examples: tuple[tuple[int, Any], ...] = ()
    answers: tuple[Answer, ...] = ()
    """Those of `several`."""
    optional: bool = False
    """Null or nothing at all is one of these answers."""
    outcomes: tuple[tuple[int, str], ...] = ()
    """Which list of the result holds the only id in the path, by status, where the server doesn't send the lists."""
    first: bool = False
    """The value is the first entry of a list."""

    @property
    def types(self) -> list[Type]:
        """The types of all answers."""
        return [kind for kind in (self.type, *(answer.type for answer in self.answers)) if kind is not None]

    @property
    def streams(self) -> bool:
        """Whether a response may be a stream."""
        return any(answer.kind in ("events", "lines") for answer in self.answers)

    @property
    def binary(self) -> bool:
        """Whether a response may be bytes."""
        return self.kind == "bytes" or any(answer.kind == "bytes" for answer in self.answers)


@dataclass
class Operation:
    name: str
    resource: str
    operation_id: str
    method: str
    path: tuple[str | Argument, ...]
    """Literal pieces and path arguments in turn."""
    summary: str
    description: str
    deprecated: bool
    facts: tuple[str, ...]
    arguments: list[Argument]
    result: Result
    security: tuple[tuple[str, ...], ...]
    """The security schemes that are needed: alternatives, each of one or several; empty for a public operation."""
    body: str = ""
    """The kind of its form, where there is only one."""
    body_required: bool = False
    body_whole: bool = False
    """The body is one argument, not its fields."""
    forms: tuple[Form, ...] = ()
    """The bodies that it takes. The attributes above and `additional` are those of the first."""
    media: Argument | None = None
    """The argument that names the body's media type, where it is not given by the form."""
    envelope: str = ""
    filled: tuple[tuple[str, str], ...] = ()
    """Body fields that the client fills in: wire name and source of the value."""
    own_user: str = ""
    """Example of the id of the session's user, if the client puts it in place of `OWN_USER`."""
    fixed_query: tuple[tuple[str, str], ...] = ()
    path_query: tuple[tuple[tuple[str | Argument, ...], tuple[str | Argument, ...] | None], ...] = ()
    """Pairs of the query in the path that hold arguments or have no value, each half in pieces as in `path`."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that are always sent."""
    filters: Filters | None = None
    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """exactly-one, at-least-one, at-most-one, each over argument names."""
    additional: Argument | None = None
    """The argument for additional keys of the body."""
    server: str = ""
    idempotent: bool = True
    renewable: bool = True
    statuses: tuple[tuple[int | str, Any], ...] = ()
    """Documented errors: status, or a range such as `4XX`, and example."""
    body_examples: tuple[tuple[str, Any], ...] = ()
    source: str = ""

    @property
    def all_arguments(self) -> list[Argument]:
        """The arguments, with those of one name in several forms each by itself."""
        others = [entry for entry in self.arguments if entry.place != "body"]
        further = [form.additional for form in self.forms if form.additional]
        return [*others, *(entry for form in self.forms for entry in form.arguments), *further]

    @property
    def request(self) -> str:
        """The method and the path, with the names of its arguments."""
        pieces = (piece if isinstance(piece, str) else f"{{{piece.name}}}" for piece in self.path)
        return f"{self.method} {''.join(pieces)}"

    @property
    def path_arguments(self) -> list[Argument]:
        """The arguments in the path, each once."""
        pieces = [*self.path, *(piece for pair in self.path_query for half in pair for piece in half or ())]
        found = {piece.name: piece for piece in pieces if isinstance(piece, Argument)}
        return list(found.values())

    @property
    def function(self) -> str:
        """The name of the pure function that makes its call."""
        return f"{self.name}_call"


@dataclass
class Resource:
    name: str
    class_name: str
    description: str
    source: str
    operations: list[Operation] = field(default_factory=list)


@dataclass(frozen=True)
class Scheme:
    """A way to authenticate: a header and the prefix of its value, or a key in the query or in a cookie."""

    name: str
    header: str
    """The name of the header, or of the key."""
    prefix: str
    argument: str
    place: str = "header"
    """header, query or cookie."""
    basic: bool = False
    """The secret is a user name and a password."""


@dataclass
class Api:
    title: str
    description: str
    version: str
    base_url: str
    platform: str
    sdk_version: str = ""
    """The version that the client sends to the server; by default that of the API."""
    schemes: list[Scheme] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    enums: list[Enum] = field(default_factory=list)
    server_path: str = ""
    """The path of a server whose host the document doesn't name."""
    servers: dict[str, Any] = field(default_factory=dict)
    """The servers that have variables, as the runtime's `_servers` wants them."""
    unions: dict[str, list[Type]] = field(default_factory=dict)
    """The unions that are `answered` and `sent`."""
    helpers: dict[str, str] = field(default_factory=dict)
    """Operation ids that a hand-written helper covers."""
    warnings: list[Fault] = field(default_factory=list)
    """What the client can't express and leaves out."""
    webhook_models: list[str] = field(default_factory=list)
    """The models of the requests that the platform sends to an application."""

    @property
    def filters(self) -> list[Filters]:
        found: dict[str, Filters] = {}
        for resource in self.resources:
            for operation in resource.operations:
                if operation.filters:
                    found.setdefault(operation.filters.name, operation.filters)
        return list(found.values())
