"""A tour of the REST client: log in, send a message, list, upload, and handle errors.

python examples/rest_quickstart.py          against a small server that the example starts itself
python examples/rest_quickstart.py --live   against the platform: CONNECTYCUBE_APP_ID, CONNECTYCUBE_AUTH_KEY,
                                            CONNECTYCUBE_LOGIN and CONNECTYCUBE_PASSWORD must be set
"""

from __future__ import annotations

import argparse
import os
import sys

from connectycube.rest import ConnectyCube, DialogType, InvalidArgument, NotFound
from local_server import APP_ID, AUTH_KEY, LOGIN, PASSWORD, LocalServer

DIALOGS = 5
LIVE = ("CONNECTYCUBE_APP_ID", "CONNECTYCUBE_AUTH_KEY", "CONNECTYCUBE_LOGIN", "CONNECTYCUBE_PASSWORD")


def tour(cube: ConnectyCube, login: str, password: str) -> None:
    session = cube.login(login=login, password=password)
    print(f"logged in as user {session.user_id}")

    dialogs = [
        cube.dialogs.create(type=DialogType.GROUP, name=f"Tour {number}", occupants_ids=[])
        for number in range(1, DIALOGS + 1)
    ]
    print(f"created {len(dialogs)} dialogs, the first is {dialogs[0].name!r}")

    dialog = dialogs[0]
    message = cube.messages.create(chat_dialog_id=dialog.id, message="See you at seven", extra={"place": "car park"})
    print(f"sent {message.message!r} at {message.date_sent:%H:%M:%S}, with place={message.extra['place']!r}")

    page = cube.messages.list(chat_dialog_id=dialog.id, filters={"message": {"ctn": "seven"}}, mark_as_read=False)
    print(f"messages about seven: {len(page.items)}")

    page_of_two = cube.dialogs.list(limit=2, filters={"type": DialogType.GROUP})
    print(f"first page: {len(page_of_two.items)} of {page_of_two.total_entries} dialogs")
    print(f"all pages: {', '.join(sorted(one.name or '' for one in page_of_two))}")

    steps: list[float] = []
    data = os.urandom(200_000)
    file = cube.files.upload(
        data, name="route.bin", progress=lambda sent, total: steps.append(sent / total if total else 0)
    )
    print(f"uploaded {file.name} of {file.size} bytes; progress went up to {max(steps):.0%}")
    print(f"downloaded the same bytes: {cube.files.download(file.uid) == data}")

    try:
        cube.dialogs.update("000000000000000000000000", name="No such dialog")
    except NotFound as error:
        print(f"{type(error).__name__}: {error}")
    try:
        cube.dialogs.list(limit=0)
    except InvalidArgument as error:
        print(f"{type(error).__name__}: {error}; nothing was sent")

    for dialog in dialogs:
        cube.dialogs.delete(dialog.id)
    cube.logout()
    print("deleted the dialogs and logged out")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", action="store_true", help="talk to the platform")
    if parser.parse_args().live:
        if missing := [name for name in LIVE if not os.environ.get(name)]:
            parser.error(f"set {', '.join(missing)}")
        with ConnectyCube() as cube:
            tour(cube, os.environ["CONNECTYCUBE_LOGIN"], os.environ["CONNECTYCUBE_PASSWORD"])
    else:
        with LocalServer() as server, ConnectyCube(APP_ID, AUTH_KEY, base_url=server.url) as cube:
            tour(cube, LOGIN, PASSWORD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
