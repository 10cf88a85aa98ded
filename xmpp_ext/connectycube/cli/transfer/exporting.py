"""Copy an account's, or an application's, dialogs, messages and files to a folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

from connectycube.rest import (
    ApiError,
    AsyncConnectyCube,
    BadRequest,
    ConnectionFailed,
    DecodeError,
    Forbidden,
    NotFound,
    RateLimited,
    RequestTimeout,
    SessionExpired,
)
from connectycube.rest.models import Attachment, Dialog, Message

from .folder import Folder, is_name
from .state import failures, sync
from .summary import Progress, Summary, quiet
from .walking import PAGE, each, seconds, walk

__all__ = ["AT_ONCE", "MARGIN", "RETRIES", "export", "ref_of", "server_time"]

AT_ONCE = 8
"""Dialogs or files that are read at the same time."""
RETRIES = 8
"""A rate limit must not end an export, so the client tries more often than usual."""
ROUNDS = 3
"""Each round reads what came during the one before. An application that never rests would go on for ever."""
MARGIN = 300
"""Seconds by which the server's clocks may differ. What changed within it is read twice, and stored once."""


async def export(
    cube: AsyncConnectyCube, folder: Path, *, app_id: str, application: bool = False, progress: Progress = quiet
) -> Summary:
    """Export to a folder, or bring an export up to date.

    Nothing changes on the server: messages stay unread.

    :param cube: a client with a session, of a user unless `application` is true.
    :param app_id: id of the application, which tells exports apart.
    :param application: export all dialogs of the application, which requires the admin key.
    :param progress: called with what is counted (`dialogs`, `messages` or `files`), how many are done, and how many
        there are in all, if that is known.
    :raises TransferError: if the folder can't be used or written to.
    :raises ConnectyCubeError: if the server refuses, or can't be reached. The next run continues.
    """
    folder = folder.absolute()
    with failures(folder):
        opened = Folder(folder, create=True)
        try:
            return await _Export(cube.with_options(max_retries=RETRIES), opened, app_id, application, progress).run()
        finally:
            opened.close()


class _Export:
    def __init__(
        self, cube: AsyncConnectyCube, folder: Folder, app_id: str, application: bool, progress: Progress
    ) -> None:
        self._cube = cube
        self._folder = folder
        self._app_id = app_id
        self._application = application
        self._progress = progress
        self._now: int | None = None
        """The server's time. Where it is unknown, each pass reads a dialog from its start."""
        self._total: int | None = None

    async def run(self) -> Summary:
        folder = self._folder
        user_id = await self._look()
        folder.bind({"app_id": self._app_id, "user_id": user_id, "base_url": str(self._cube.base_url)})
        before = {kind: folder.count(kind) for kind in ("dialogs", "messages", "files")}
        folder.put("complete", 0)
        folder.state.run("DELETE FROM problems")
        folder.commit()
        news, began = await self._round(None), self._now
        for _ in range(1, ROUNDS):
            if not news:
                break
            await self._look()
            news, began = await self._round(0 if began is None else began - MARGIN), self._now
        await self._files()
        counts = {kind: folder.count(kind) for kind in before}
        report = folder.finish({**counts, "exported_at": int(time.time())})
        return Summary(
            counts=counts,
            news={kind: counts[kind] - before[kind] for kind in counts},
            problems=folder.count("problems"),
            report=report,
        )

    async def _look(self) -> int | None:
        """Note the server's time, and return whose account it is."""
        if self._application:
            answer: Any = await self._cube.admin.with_raw_response.list_dialogs(limit=1)
        else:
            answer = await self._cube.users.with_raw_response.me()
        found = answer.parse()
        self._total = found.total_entries if self._application else None
        self._now = server_time(answer.headers)
        return None if self._application else int(found.id)

    # -- dialogs and messages

    async def _round(self, active_since: int | None) -> int:
        """Read all dialogs once and the messages of those that are new or active, and return how many were new."""
        folder, before, done = self._folder, self._folder.count("messages"), 0
        total = self._total if self._application else await self._cube.dialogs.count()
        seen: set[str] = set()
        async for page in walk(self._dialogs, self._key("created_at")):
            due = []
            for dialog in page:
                if not is_name(dialog.id):
                    folder.problem("dialog", dialog.id, "its id can't be the name of a file")
                    continue
                is_new = folder.put_dialog(dialog.id, dialog.to_dict())
                if dialog.photo and is_name(dialog.photo):
                    folder.want_file(dialog.photo)
                is_active = active_since is None or seconds(dialog.last_message_date_sent) >= active_since
                if (is_new or is_active) and dialog.id not in seen:
                    due.append(dialog.id)
            seen = {dialog.id for dialog in page}
            await each(due, self._messages, AT_ONCE)
            folder.commit()
            done = folder.count("dialogs")
            self._progress("dialogs", done, None if total is None else max(done, total))
        return folder.count("messages") - before

    async def _dialogs(self, place: Any, skip: int) -> Sequence[Dialog]:
        options = self._page("created_at", place, skip)
        if self._application:
            return (await self._cube.admin.list_dialogs(**options)).items
        return (await self._cube.dialogs.list(**options)).items

    async def _messages_of(self, dialog_id: str, since: int | None, place: Any, skip: int) -> Sequence[Message]:
        options = self._page("date_sent", place, skip)
        if since is not None:
            options["filters"]["updated_at"] = {"gte": since}
        if self._application:
            return (await self._cube.admin.list_messages(chat_dialog_id=dialog_id, **options)).items
        return (await self._cube.messages.list(chat_dialog_id=dialog_id, mark_as_read=False, **options)).items

    def _page(self, time: str, place: Any, skip: int) -> dict[str, Any]:
        """Return the arguments that request a page, by id where that is possible, otherwise by time."""
        field = "_id" if self._application else time
        options: dict[str, Any] = {"filters": {}, "sort_asc": field, "limit": PAGE}
        if place is not None:
            options["filters"]["id" if self._application else time] = {"gte": place}
        return {**options, "skip": skip} if skip else options

    async def _messages(self, dialog_id: str) -> None:
        """Read the messages of a dialog that changed since its last pass.

        By its last change, a message is found wherever its sender's clock put it.
        """
        folder = self._folder
        since, began, place = folder.reading(dialog_id)
        if began is None:
            began, place = self._now, None
        key = self._key("date_sent")
        try:
            async for page in walk(partial(self._messages_of, dialog_id, since), key, place):
                new = [message for message in page if folder.is_new(message.id)]
                for attachment in (one for message in new for one in message.attachments):
                    if (ref := ref_of(attachment)) is not None:
                        folder.want_file(ref)
                folder.append(dialog_id, [message.to_dict() for message in new])
                folder.set_reading(dialog_id, since, began, key(page[-1]))
                folder.commit(if_much=True)
                self._progress("messages", folder.count("messages"), None)
        except (BadRequest, Forbidden, NotFound, DecodeError) as error:
            folder.problem("dialog", dialog_id, str(error))
            return
        folder.set_reading(dialog_id, None if began is None else began - MARGIN, None, None)
        folder.solved("dialog", dialog_id)

    def _key(self, time: str) -> Callable[[Any], Any]:
        """Return what entries are sorted by."""
        return (lambda entry: entry.id) if self._application else (lambda entry: seconds(getattr(entry, time)))

    # -- files

    async def _files(self) -> None:
        folder = self._folder
        if not self._application:
            try:
                async for file in self._cube.files.list(per_page=PAGE):
                    if file.size is not None:  # Otherwise nothing was ever uploaded.
                        folder.want_file(file.uid)
            except (BadRequest, Forbidden, NotFound) as error:
                folder.problem("files", "own", f"files that are not attached to a message can't be listed: {error}")
        folder.commit()
        await each(folder.missing_files(), self._file, AT_ONCE)
        folder.commit()

    async def _file(self, ref: str) -> None:
        files, folder = self._cube.files, self._folder
        try:
            file = await (files.get(int(ref)) if ref.isdigit() else files.get_object(ref))
            if not is_name(file.uid):
                raise DecodeError(f"the uid {file.uid!r} can't be the name of a file")
            path = folder.file_path(file.uid)
            size = await files.download(file.uid, path)
        except (RateLimited, SessionExpired):
            raise
        except (ApiError, DecodeError, ConnectionFailed, RequestTimeout) as error:
            await self._look()  # Unless the server can't be reached, the file is at fault.
            folder.problem("file", ref, str(error))
            return
        if file.size not in (None, size):
            path.unlink()
            folder.problem("file", ref, f"has {size} bytes, but the server reports {file.size}")
            return
        await asyncio.to_thread(sync, path)
        file.size, file.blob_object_access = size, None  # Its address lets anyone read the file for a week.
        folder.put_file(ref, file.uid, file.to_dict())
        folder.commit()
        self._progress("files", folder.count("files"), folder.state.value("SELECT count(*) FROM files"))


def server_time(headers: Mapping[str, str]) -> int | None:
    """Return the time of a response by the server's clock."""
    date = headers.get("date")
    return None if date is None else int(parsedate_to_datetime(date).timestamp())


def ref_of(attachment: Attachment) -> str | None:
    """Return the uid of an attachment's stored file, or its id if it has no uid; `None` without a stored file."""
    ref = attachment.uid or attachment.id
    return ref if ref and is_name(ref) else None
