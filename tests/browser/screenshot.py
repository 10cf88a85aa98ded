"""Makes the picture of the page in the documentation: `python -m tests.browser.screenshot [FILE]`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from playwright.async_api import expect

from connectycube.chat import MessageReceived, RecipientBlocked
from connectycube.rest import DialogType, NotFound
from connectycube.sandbox import Sandbox
from tests.browser.viewer import people, viewing

PICTURE = Path(__file__).parents[2] / "docs" / "sandbox.png"


async def take(file: Path) -> None:
    """Let three people talk, and take the picture."""
    names = {"mary": "Mary Seacole", "omar": "Omar Khayyam", "ada": "Ada Lovelace"}
    async with Sandbox() as sandbox, people(sandbox, **names) as (mary, omar, ada):
        everybody = [omar.id, ada.id]
        climbing = await mary.cube.dialogs.create(type=DialogType.GROUP, name="Climbing", occupants_ids=everybody)
        await ada.cube.dialogs.create(type=DialogType.PUBLIC, name="Engines")
        for person in (mary, omar, ada):
            await person.chat.join(climbing)
        heard = omar.chat.events(MessageReceived)
        await mary.chat.send(climbing, "Who drives on Sunday?")
        await omar.chat.send(climbing, "I do.")
        await mary.chat.start_typing(omar.id)
        await mary.chat.send(omar.id, "Then I bring the coffee.")
        async for event in heard:
            if event.message.sender_id == mary.id and event.message.dialog_id != climbing.id:
                await omar.chat.mark_read(event.message)
                break
        await ada.chat.privacy.block(omar.id)
        with contextlib.suppress(RecipientBlocked):
            await omar.chat.send(ada.id, "And you?")
        with contextlib.suppress(NotFound):
            await ada.cube.dialogs.update("66f1b7d4e4b0d93a51c8e601", name="Engines")
        assert climbing.id is not None
        await omar.cube.messages.list(chat_dialog_id=climbing.id)
        async with viewing(sandbox, width=1360, height=820) as viewer:
            page = viewer.page
            await page.locator(".entry-dialog").filter(has_text="Climbing").click()
            await page.get_by_label("From").select_option("Ada Lovelace")
            await page.get_by_label("Message").fill("Room for one more?")
            await page.keyboard.press("Enter")
            for name in ("Mary Seacole", "Omar Khayyam"):
                await page.locator(".entry-user").filter(has_text=name).click()
            heard_of = page.locator(".lane").first.locator(".card.out").filter(has_text="“Room for one more?”")
            await heard_of.locator("summary").click()
            await expect(heard_of.locator("pre")).to_be_in_viewport(ratio=1)
            await page.get_by_label("Message").focus()
            await page.mouse.move(0, 0)
            await page.screenshot(path=file)
            viewer.check()


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if sys.argv[1:] else PICTURE))
