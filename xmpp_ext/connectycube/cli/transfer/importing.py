"""Create the dialogs, messages and files of an export in another account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from connectycube.rest import (
    AsyncConnectyCube,
    BadRequest,
    Forbidden,
    InvalidArgument,
    NotFound,
    Unprocessable,
)
from connectycube.rest.models import Attachment, Dialog, DialogType, File, Message

from .exporting import AT_ONCE, MARGIN, RETRIES, ref_of, server_time
from .folder import Folder, is_name, messages_of
from .state import TransferError, decode, failures
from .summary import Progress, Summary, quiet
from .target import Target
from .walking import PAGE, each, seconds, walk

__all__ = ["import_"]

REFUSALS = (BadRequest, Forbidden, NotFound, Unprocessable, InvalidArgument)
"""What stops one thing. Other errors stop the import."""
RESERVED = frozenset(
    """
    _id chat_dialog_id message date_sent sender_id recipient_id attachments read_ids delivered_ids read views_count
    reactions created_at updated_at edited_at deleted_for_ids send_to_chat markable
    """.split()
)
"""Fields of a message that are the platform's, or mean something in a call."""
BATCH = 50
"""Messages after which the map is committed. Those that are not in it after a kill are found on the server."""


async def import_(
    cube: AsyncConnectyCube,
    folder: Path,
    *,
    app_id: str,
    users: Mapping[int, int] | None = None,
    progress: Progress = quiet,
) -> Summary:
    """Import an export into the account of a client, or continue an import.

    The account owns the dialogs and sends the messages. Nobody is notified: messages are only stored.

    :param cube: a client with a session of a user.
    :param app_id: id of the target's application.
    :param users: ids of users in the target, keyed by their ids in the export. Without it, ids stay the same in the
        same application, and are unknown in another. The exporting user is replaced by the importing one.
    :param progress: called with what is counted (`files`, `dialogs` or `messages`), how many are done, and how many
        there are in all.
    :raises TransferError: if the folder can't be used or written to, or `users` makes the exporting user another.
    :raises ConnectyCubeError: if the server refuses, or can't be reached. The next run continues.
    """
    folder = folder.absolute()
    with failures(folder):
        opened = Folder(folder, create=False)
        try:
            if not opened.get("complete"):
                raise TransferError(f"the export to {folder} is not complete: run `connectycube export` again")
            cube = cube.with_options(max_retries=RETRIES)
            answer = await cube.users.with_raw_response.me()
            me, now = answer.parse().id, server_time(answer.headers) or 0
            source = decode(opened.get("source"))
            if source == {"app_id": app_id, "user_id": me, "base_url": str(cube.base_url)}:
                raise TransferError(f"{folder} is an export of this account: log in to another")
            if users is None and (app_id, str(cube.base_url)) != (source["app_id"], source["base_url"]):
                users = {}  # The same ids belong to strangers there, who must not get into the dialogs.
            exporter = source["user_id"]
            if users and users.get(exporter, me) != me:
                raise TransferError(
                    f"user {exporter}, who exported, is user {users[exporter]} by the file of users, "
                    f"but the account is user {me}'s"
                )
            target = Target(folder, str(cube.base_url), app_id, me)
            try:
                return await _Import(cube, opened, target, me, now, exporter, users, progress).run()
            finally:
                target.state.close()
        finally:
            opened.close()


class _Import:
    def __init__(
        self,
        cube: AsyncConnectyCube,
        folder: Folder,
        target: Target,
        me: int,
        now: int,
        exporter: int | None,
        users: Mapping[int, int] | None,
        progress: Progress,
    ) -> None:
        self._cube = cube
        self._folder = folder
        self._target = target
        self._me = me
        self._now = now
        self._exporter = exporter
        self._users = users
        self._known = {**({} if exporter is None else {exporter: me}), **(users or {})}
        self._progress = progress
        self._uncommitted = 0

    async def run(self) -> Summary:
        folder, target = self._folder, self._target
        kinds = ("files", "dialogs", "messages")
        before = {kind: target.count(kind) for kind in kinds}
        for uid, file in folder.files():
            await self._file(uid, file)
            self._progress("files", target.count("files"), folder.count("files"))
        for old, row, _ in folder.dialogs():
            await self._dialog(old, Dialog.from_dict(row))
            self._progress("dialogs", target.count("dialogs"), folder.count("dialogs"))
        self._done = before["messages"]
        await each(folder.dialogs(), self._messages, AT_ONCE)
        counts = {kind: target.count(kind) for kind in kinds}
        report = target.finish()
        return Summary(
            counts=counts,
            news={kind: counts[kind] - before[kind] for kind in kinds},
            losses=target.losses(),
            problems=target.count("problems"),
            report=report,
        )

    def _user(self, old: int | None) -> int | None:
        """Return who a user is in the target, or `None` if that is unknown."""
        return None if old is None else self._known.get(old, old if self._users is None else None)

    # -- files

    async def _file(self, old: str, row: dict[str, Any]) -> None:
        target, wanted = self._target, File.from_dict(row)
        if target.file(old) is not None:
            return
        began = target.start("files", old, self._now)
        try:
            file = None if began is None else await self._lost_file(wanted, began)
            if file is None:
                file = await self._cube.files.upload(
                    self._folder.file_path(old),
                    name=wanted.name or old,
                    content_type=wanted.content_type or None,
                    public=bool(wanted.public),
                )
        except REFUSALS as error:
            target.problem("file", old, str(error))
            return
        target.state.run("UPDATE files SET id = ?, uid = ? WHERE old = ?", file.id, file.uid, old)
        target.state.commit()

    async def _lost_file(self, wanted: File, began: int) -> File | None:
        """Return the file that a killed run uploaded but did not note. What it left half uploaded is deleted."""
        async for file in self._cube.files.list(per_page=PAGE):
            is_same = (file.name, file.content_type) == (wanted.name, wanted.content_type)
            if is_same and seconds(file.created_at) >= began - MARGIN and not self._target.is_mapped("files", file.id):
                if file.size == wanted.size:
                    return file
                if file.size is None:
                    await self._cube.files.delete(file.id)
        return None

    # -- dialogs

    async def _dialog(self, old: str, dialog: Dialog) -> None:
        target = self._target
        if target.dialog(old) is not None:
            return
        fields = self._fields(dialog)
        if isinstance(fields, str):
            target.problem("dialog", old, fields)
            return
        began = target.start("dialogs", old, self._now)
        try:
            new = None if began is None else await self._lost_dialog(fields, began)
            if new is None:
                new = await self._cube.dialogs.create(**fields)
        except REFUSALS as error:
            target.problem("dialog", old, str(error))
            return
        target.state.run("UPDATE dialogs SET new = ? WHERE old = ?", new.id, old)
        unknown = sum(self._user(one) is None for one in dialog.occupants_ids)
        for what, count in (
            ("owners of dialogs", int(self._user(dialog.user_id) != self._me)),
            ("occupants who are not in the --users file", unknown),
            ("types of meeting dialogs, which are now groups", int(dialog.type == DialogType.MEETING)),
        ):
            if count:
                target.lose(what, count)
        target.state.commit()

    def _fields(self, dialog: Dialog) -> dict[str, Any] | str:
        """Return the arguments that create a dialog, or why that is impossible."""
        others = [one for one in map(self._user, dialog.occupants_ids) if one not in (None, self._me)]
        admins = [one for one in map(self._user, dialog.admins_ids) if one not in (None, self._me)]
        fields: dict[str, Any] = {
            "type": DialogType.GROUP if dialog.type == DialogType.MEETING else dialog.type,
            "occupants_ids": None if dialog.type == DialogType.PUBLIC else others,
            "description": dialog.description,
            "extensions": dialog.extensions,
            "permissions": dialog.permissions,
        }
        if dialog.type == DialogType.PRIVATE:
            if self._me not in map(self._user, dialog.occupants_ids):
                return "is a private dialog of other users, so only they can create it"
            return fields if len(others) == 1 else "is a private dialog with a user who is not in the --users file"
        photo = dialog.photo
        if photo and is_name(photo):
            photo = self._new_file(photo)[1]
        return {**fields, "name": dialog.name, "photo": photo, "admins_ids": admins or None}

    async def _lost_dialog(self, fields: dict[str, Any], began: int) -> Dialog | None:
        """Return the dialog that a killed run created but did not note. A private one is never created twice."""
        if fields["type"] == DialogType.PRIVATE:
            return None
        filters: dict[str, Any] = {"created_at": {"gte": max(0, began - MARGIN)}}
        users = None if fields["occupants_ids"] is None else {self._me, *fields["occupants_ids"]}
        wanted = (self._me, fields["type"], fields["name"], fields["description"])
        async for one in self._cube.dialogs.list(filters=filters, sort_asc="created_at", limit=PAGE):
            found = (one.user_id, one.type, one.name, one.description)
            is_same = found == wanted and (users is None or users == set(one.occupants_ids))
            if is_same and not self._target.is_mapped("dialogs", one.id):
                return one
        return None

    # -- messages

    async def _messages(self, found: tuple[str, dict[str, Any], int]) -> None:
        """Create the messages of a dialog that are not there yet, in the order of the export."""
        target, (old, row, length) = self._target, found
        new = target.dialog(old)
        place, since, pinned = target.state.run(
            "SELECT place, since, pinned FROM dialogs WHERE old = ? UNION ALL SELECT 0, NULL, 0", old
        ).fetchone()
        if new is None:
            return
        try:
            if place < length:
                await self._find_lost(new, old, since)
                for end, message in messages_of(self._folder.messages_path(old), place, length):
                    await self._message(old, new, message)
                    target.state.run("UPDATE dialogs SET place = ? WHERE old = ?", end, old)
            pins = [one for one in map(target.message, row.get("pinned_messages_ids", ())) if one is not None]
            if pins and not pinned:
                await self._cube.dialogs.pin(new, pins)
            target.state.run("UPDATE dialogs SET pinned = 1 WHERE old = ?", old)
        except (Forbidden, NotFound) as error:
            target.problem("dialog", old, str(error))

    async def _find_lost(self, new: str, old: str, since: int | None) -> None:
        """Find messages that a killed run created but did not note: each carries the id of its original."""
        target = self._target
        if since is None:
            sql = "UPDATE dialogs SET since = ? WHERE old = ?"
            target.state.run(sql, self._now, old)
            target.state.commit()
            return
        start = max(0, since - MARGIN)
        async for page in walk(partial(self._page, new), lambda message: seconds(message.date_sent), start):
            for message in page:
                original = message.extra.get("imported_id")
                if message.sender_id == self._me and isinstance(original, str):
                    target.put_message(original, message.id)

    async def _page(self, dialog_id: str, place: int | None, skip: int) -> Sequence[Message]:
        resource: Any = self._cube.messages.list
        filters = {"date_sent": {"gte": place}}
        page = await resource(
            chat_dialog_id=dialog_id,
            filters=filters,
            sort_asc="date_sent",
            limit=PAGE,
            skip=skip or None,
            mark_as_read=False,
        )
        found: Sequence[Message] = page.items
        return found

    async def _message(self, old_dialog: str, dialog: str, message: Message) -> None:
        target, losses = self._target, Counter[str]()
        attachments = [self._attachment(one, losses) for one in message.attachments]
        if target.message(message.id) is None:
            own = {name: value for name, value in message.extra.items() if name not in RESERVED}
            sender, sent = message.sender_id, seconds(message.date_sent)
            if sender == self._exporter and str(own.get("imported_sender_id")).isdecimal():
                # An imported message that is exported and imported again keeps its first sender and time. What others
                # put into these fields can be forged.
                sender, sent = int(own["imported_sender_id"]), own.get("imported_date_sent", sent)
            try:
                created = await self._cube.messages.create(
                    chat_dialog_id=dialog,
                    message=message.message,
                    attachments=attachments or None,
                    extra={
                        **own,
                        "imported_id": message.id,
                        "imported_sender_id": self._user(sender) or sender,
                        "imported_date_sent": sent,
                    },
                )
            except (BadRequest, Unprocessable, InvalidArgument) as error:
                target.problem("message", message.id, str(error))
                return
            target.put_message(message.id, created.id)
            sql = "UPDATE dialogs SET since = ? WHERE old = ?"
            target.state.run(sql, seconds(created.date_sent), old_dialog)
            self._uncommitted += 1
        losses["times at which messages were sent"] += 1
        losses["senders of other users' messages"] += self._user(message.sender_id) != self._me
        losses["messages' reactions"] += message.reactions is not None
        losses["delivered and read marks"] += bool({*message.read_ids, *message.delivered_ids} - {message.sender_id})
        for what, count in losses.items():
            if count:
                target.lose(what, count)
        self._done += 1
        if self._uncommitted >= BATCH:
            self._uncommitted = 0
            target.state.commit()
        self._progress("messages", self._done, self._folder.count("messages"))

    def _attachment(self, attachment: Attachment, losses: Counter[str]) -> Attachment:
        """Make an attachment refer to the file in the target."""
        ref = ref_of(attachment)
        if ref is None:
            return attachment
        number, uid = self._new_file(ref)
        if number is None:
            losses["attachments whose file is not in the export"] += 1
            return attachment
        if attachment.url and ref in attachment.url:
            attachment.url = self._cube.files.url(uid)
        if attachment.uid is not None:
            attachment.uid = uid
        if attachment.id is not None:
            attachment.id = str(number) if attachment.id.isdigit() else uid
        return attachment

    def _new_file(self, ref: str) -> tuple[int | None, str]:
        """Return the id and uid of a file in the target; if it has no such file, `None` and what was given."""
        uid = self._folder.file_uid(ref)
        found = None if uid is None else self._target.file(uid)
        return found or (None, ref)
