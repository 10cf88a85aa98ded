"""Recordings of meetings (R-082, R-093, R-094). The sandbox holds no conferences: tests add what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from ..clock import Clock
from ..ids import ObjectIds
from ..storage import Database, dump, load
from .files import Files, StoredFile
from .meetings import Meetings

__all__ = ["Recording", "Recordings"]


@frozen(kw_only=True)
class Recording:
    """A recorded part of a meeting.

    :ivar duration: length in seconds.
    """

    id: str
    meeting_id: str
    file_id: int
    participants: Sequence[int] = field(converter=load)
    duration: float
    created_at: float


@define(eq=False)
class Recordings:
    """The recordings of the application's meetings."""

    _db: Database
    _clock: Clock
    _ids: ObjectIds
    _meetings: Meetings
    _files: Files

    def add(self, meeting_id: str, content: bytes, participants: Iterable[int] | None, duration: float) -> Recording:
        """Add a recording to a meeting.

        :param participants: ids of the recorded users, by default the meeting's host.
        :raises Refused: 404 if there is no such meeting.
        """
        meeting = self._meetings.get(meeting_id)
        recording_id = self._ids.new()
        with self._db.transaction():
            file = self._files.create(meeting.host_id, {"name": f"{recording_id}.mp4", "content_type": "video/mp4"})
            self._files.put(file, [content])
            self._files.complete(file.id, meeting.host_id, len(content))
            self._db.insert(
                "recordings",
                id=recording_id,
                meeting_id=meeting.id,
                file_id=file.id,
                participants=dump([meeting.host_id] if participants is None else list(participants)),
                duration=duration,
                created_at=self._clock.now(),
            )
        return self.list(meeting.id)[-1]

    def list(self, meeting_id: str) -> list[Recording]:
        """Return a meeting's recordings, oldest first."""
        sql = "SELECT * FROM recordings WHERE meeting_id = ? ORDER BY file_id"
        return self._db.find_all(Recording, sql, meeting_id)

    def file(self, recording: Recording) -> StoredFile:
        """Return the file of a recording."""
        return self._files.get(recording.file_id)

    def delete(self, meeting_id: str) -> None:
        """Delete a meeting's recordings and their files (R-094).

        :raises Refused: 404 if there is no such meeting.
        """
        meeting = self._meetings.get(meeting_id)
        with self._db.transaction():
            for recording in self.list(meeting.id):
                self._files.delete(recording.file_id, meeting.host_id)
