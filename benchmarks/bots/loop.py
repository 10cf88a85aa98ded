"""The same without `connectycube.bots`: `python loop.py wait|spawn` waits for each acknowledgement, or for none."""

from __future__ import annotations

import asyncio
import os
import sys

from connectycube.chat import AsyncChat, MessageReceived
from connectycube.rest import AsyncConnectyCube


async def main(waits: bool) -> None:
    async with AsyncConnectyCube() as cube:
        await cube.login(login=os.environ["CONNECTYCUBE_LOGIN"], password=os.environ["CONNECTYCUBE_PASSWORD"])
        async with AsyncChat(cube) as chat, asyncio.TaskGroup() as tasks:
            print("online", flush=True)
            async for event in chat.events(MessageReceived):
                answer = chat.reply(event.message, f"{event.message.body} a")
                if waits:
                    await answer
                else:
                    tasks.create_task(answer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] == "wait"))
