"""`connectycube export` and `connectycube import`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import attrs

from ..common import CommandFailed, Options, UsageError, flag
from ..output import Printer
from .exporting import export as export_
from .importing import import_ as import__
from .state import TransferError
from .summary import Progress, Summary, quiet
from .users import read_users

__all__ = ["export", "import_"]


async def export(
    folder: Path,
    /,
    *,
    application: Annotated[bool, flag("Export the dialogs of all users, which requires the admin key.")] = False,
    options: Options | None = None,
) -> None:
    """Copy dialogs, messages and files to a folder.

    Run it again to continue after an interruption, or to add what is new.

    :param folder: Folder of the export, which is created if it doesn't exist.
    """
    options = options or Options()
    async with options.cube() as cube:
        if not application and (await cube.sessions.get()).user_id is None:
            raise UsageError(
                "an export needs a user: set CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD, or pass --application"
            )
        with reporting(options) as progress:
            app_id = options.setting("app_id") or ""
            summary = await export_(cube, folder, app_id=app_id, application=application, progress=progress)
    finish(options, "exported", summary)


async def import_(folder: Path, /, *, users: Path | None = None, options: Options | None = None) -> None:
    """Recreate an export in another account.

    The account owns the dialogs and sends all messages; nobody is notified. Run it again to continue after an
    interruption. What can't be carried over is reported.

    :param folder: Folder of the export.
    :param users: CSV or JSON file with the old and the new id of each user. Without it, the ids stay the same.
    """
    options = options or Options()
    with reporting(options) as progress:
        known = None if users is None else read_users(users)
        async with options.cube() as cube:
            if (await cube.sessions.get()).user_id is None:
                raise UsageError("an import needs a user: set CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD")
            app_id = options.setting("app_id") or ""
            summary = await import__(cube, folder, app_id=app_id, users=known, progress=progress)
    finish(options, "imported", summary)


@contextmanager
def reporting(options: Options) -> Generator[Progress]:
    """Show a bar for each kind of thing if there is a terminal, and report failures in one line."""
    try:
        if not options.errors.is_terminal:
            yield quiet
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=options.errors) as bars:
            tasks: dict[str, Any] = {}

            def show(kind: str, done: int, total: int | None) -> None:
                if kind not in tasks:
                    tasks[kind] = bars.add_task(kind, total=total)
                bars.update(tasks[kind], completed=done, total=total)

            yield show
    except TransferError as error:
        raise CommandFailed(str(error)) from error


def finish(options: Options, done: str, summary: Summary) -> None:
    """Print the summary.

    :raises CommandFailed: if something failed.
    """
    if options.json:
        Printer(options).print({**attrs.asdict(summary), "report": summary.report and str(summary.report)})
    else:
        options.console.print(f"{done}: " + ", ".join(f"{n} {kind}" for kind, n in summary.counts.items()))
        options.console.print("new: " + ", ".join(f"{n} {kind}" for kind, n in summary.news.items()))
        for what, count in summary.losses.items():
            options.console.print(f"not carried over: {what} ({count})")
    if summary.problems:
        raise CommandFailed(f"{summary.problems} could not be {done}: see {summary.report}")
