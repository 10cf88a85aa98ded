# What the sandbox uses of scramp, which has no types of its own.
from collections.abc import Callable
from typing import Any

from .utils import ServerError

class ScramException(Exception):
    server_error: ServerError | None

class ScramMechanism:
    hf: Callable[..., Any]
    def __init__(self, mechanism: str = ...) -> None: ...
    def make_server(
        self, auth_fn: Callable[..., tuple[bytes, bytes, bytes, int]], channel_binding: Any = ..., s_nonce: str = ...
    ) -> Any: ...
