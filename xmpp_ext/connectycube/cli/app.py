"""The root of the command line: which commands there are, and how they end."""

from __future__ import annotations

import ast
import io
import os
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader
from importlib.machinery import PathFinder
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

from connectycube._extras import MissingExtra, missing_extra

try:
    from cyclopts import App, CycloptsError, Group, Parameter

    from .common import CommandFailed, UsageError
    from .output import clean
except ModuleNotFoundError as error:
    raise missing_extra("cli", error) from error

__all__ = ["main"]

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""Exit statuses; the last two are those of a process that a signal has ended."""


def resources() -> dict[str, str]:
    """Return the resources of the REST client, by name, with what they are.

    They are read from the client's source, because importing it would double the time that `--help` takes.
    """
    rest = find_spec("connectycube.rest")
    assert rest is not None
    client = PathFinder.find_spec("connectycube.rest.client", rest.submodule_search_locations)
    assert client is not None
    assert isinstance(client.loader, InspectLoader)
    source = client.loader.get_source(client.name) or ""
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    methods = (node for node in next(classes).body if isinstance(node, ast.FunctionDef) and node.decorator_list)
    return {method.name: ast.get_docstring(method) or "" for method in methods}


def dashed(name: str) -> str:
    """Return the name of an argument or of an enum's member as an option: with dashes, otherwise as on the wire."""
    return (name.lower() if name.isupper() else name).replace("_", "-")


def build() -> App:
    """Return the commands. Those of a resource are made, and modules imported, when one of them is asked for."""
    app = App(
        name="connectycube",
        help="Work with the ConnectyCube chat platform from the command line.",
        version=lambda: version("connectycube"),
        default_parameter=Parameter(negative_iterable="", name_transform=dashed),
        help_format="plaintext",
        group_commands=Group("Commands", sort_key=0),
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    app.command("connectycube.cli.messaging:send", help="Send a message, and wait until the server has it.")
    app.command("connectycube.cli.messaging:tail", help="Print messages as they arrive.")
    app.command("connectycube.cli.transfer.commands:export", help="Copy dialogs, messages and files to a folder.")
    app.command(
        "connectycube.cli.transfer.commands:import_",
        name="import",
        help="Recreate an export in another account.",
    )
    group = Group("Operations of the REST API", sort_key=1)
    for name, summary in resources().items():
        app.command(f"connectycube.cli.operations:of_{name}", name=name.replace("_", "-"), help=summary, group=group)
    app.register_install_completion_command(add_to_startup=False)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # The caller has closed it, as the shell does for `>&-`.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            # Text may hold characters that the encoding can't represent, such as half a surrogate pair.
            stream.reconfigure(errors="backslashreplace")
    status = 0
    try:
        build()(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        status = BROKEN_PIPE
    except Exception as error:
        # cyclopts wraps what the import of a command's module raises.
        cause = error.__cause__ if isinstance(error.__cause__, MissingExtra) else error
        found = status_of(cause)
        if found is None:
            raise
        status = found
        print(f"connectycube: {clean(' '.join(str(cause).split()))}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes once more at exit, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def status_of(error: Exception) -> int | None:
    """Return the exit status for an error, or `None` for a bug."""
    if isinstance(error, (CycloptsError, UsageError)):
        return USAGE
    # What has not been imported has raised nothing.
    rest = sys.modules.get("connectycube.rest")
    if rest is not None and isinstance(error, (rest.InvalidArgument, rest.ConfigurationError)):
        return USAGE
    if isinstance(error, (CommandFailed, MissingExtra, OSError)) or (
        rest and isinstance(error, rest.ConnectyCubeError)
    ):
        return FAILED
    return None
