"""A short async version of `rest_quickstart.py`: the same methods, awaited, and several calls at once."""

from __future__ import annotations

import asyncio

from connectycube.rest import AsyncConnectyCube, ConnectyCubeError
from local_server import APP_ID, AUTH_KEY, LOGIN, PASSWORD, LocalServer


async def tour(base_url: str) -> None:
    async with AsyncConnectyCube(APP_ID, AUTH_KEY, base_url=base_url) as cube:
        session = await cube.login(login=LOGIN, password=PASSWORD)
        print(f"logged in as user {session.user_id}")

        names = [f"Tour {number}" for number in range(1, 6)]
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(cube.dialogs.create(type=2, name=name, occupants_ids=[81002]))
        print(f"created {await cube.dialogs.count()} dialogs at once")

        found = [dialog.name or "" async for dialog in cube.dialogs.list(limit=2)]
        print(f"all pages: {', '.join(sorted(found))}")

        try:
            await cube.messages.list(chat_dialog_id="000000000000000000000000")
        except ConnectyCubeError as error:
            print(f"{type(error).__name__}: {error}")
        await cube.logout()


if __name__ == "__main__":
    with LocalServer() as server:
        asyncio.run(tour(server.url))
