"""A receiver of the recording webhook: it stores what was recorded of each meeting.

python examples/recordings_webhook.py FOLDER [PORT]     needs Starlette and uvicorn, which the extra `sandbox` brings

Enter its address in the dashboard's settings of meetings, or for the sandbox as `Settings(recording_webhook=...)`. The
platform calls it when the files of a meeting are there. Their addresses are good for an hour only. Anyone who knows the
address of the receiver can call it: keep it secret, and accept addresses of files from known hosts only.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from connectycube.rest import MeetingRecording, RecordingWebhook

HOSTS = ("s3.amazonaws.com", "127.0.0.1")
"""Where files are downloaded from: these hosts, and those below them."""


def receiver(folder: Path, hosts: Collection[str] = HOSTS) -> Starlette:
    """Return the application.

    :param folder: where to store the recordings.
    """

    async def done(request: Request) -> JSONResponse:
        event = RecordingWebhook.from_dict(await request.json())
        name = "" if event.meeting is None else event.meeting.name
        print(f"meeting {name!r}: {len(event.call_records)} recordings", flush=True)
        # The platform gets its answer at once; large files take long.
        store = BackgroundTask(download, event.call_records)
        return JSONResponse({}, background=store)

    async def download(records: list[MeetingRecording]) -> None:
        async with httpx.AsyncClient() as client:
            for record in records:
                url, path = record.download_url or "", folder / f"{record.id}.mp4"
                if path.exists() or not record.id.isalnum() or not trusted(url, hosts):
                    continue
                part = path.with_suffix(".part")
                async with client.stream("GET", url) as response:
                    response.raise_for_status()
                    with part.open("wb") as file:
                        async for chunk in response.aiter_bytes():
                            file.write(chunk)
                part.rename(path)
                print(f"stored {path.name}", flush=True)

    return Starlette(routes=[Route("/recordings", done, methods=["POST"])])


def trusted(url: str, hosts: Collection[str]) -> bool:
    """Return whether a file may be downloaded from an address."""
    host = urlsplit(url).hostname or ""
    return any(host == one or host.endswith(f".{one}") for one in hosts)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("give a folder for the recordings")
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    uvicorn.run(receiver(target), port=int(sys.argv[2]) if len(sys.argv) > 2 else 9001)
