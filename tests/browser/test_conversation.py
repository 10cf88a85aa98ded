"""Conversations on the page, and what clients need to connect, as a developer uses them."""

from __future__ import annotations

from playwright.async_api import Page, expect

from connectycube.bots import Bot, Context
from connectycube.chat import MessageReceived
from connectycube.rest import DialogType
from connectycube.sandbox import Sandbox
from tests.browser.test_page import TIMEOUT, card, lane
from tests.browser.viewer import people, viewing
from tests.integration.support import run


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.keyboard.press("Enter")


def test_a_bot_is_tried_by_hand(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox
    bot = Bot()

    @bot.message()
    async def answer(ctx: Context) -> None:
        await ctx.reply(f"You said: {ctx.text}")

    async def main() -> None:
        sandbox.create_user("mary", full_name="Mary S.")
        ada = sandbox.create_user("ada", full_name="Ada L.")
        async with sandbox.bot(bot) as robot, viewing(sandbox) as viewer:
            page = viewer.page
            await page.get_by_role("button", name="New message").click()
            # The bot is online, and nobody else.
            await expect(page.get_by_label("From")).to_have_value(str(ada.id - 1))
            await expect(page.get_by_label("To")).to_have_value(str(robot.id))
            await page.get_by_label("From").select_option("Ada L.")
            await say(page, "Hello")
            await expect(page.locator(".bubble p")).to_have_text(["Hello", "You said: Hello"])
            await expect(page.locator(".bubble.own p")).to_have_text(["Hello"])
            # Now it is a dialog like any other, among whose members one can choose.
            await expect(page.locator("#conversation h3 b")).to_have_text("Ada L., bot")
            await expect(page.get_by_label("To")).to_be_hidden()
            await expect(page.get_by_label("From")).to_have_value(str(ada.id))
            await page.get_by_label("Message").fill("And again")
            await page.get_by_role("button", name="Send").click()
            await expect(page.locator(".bubble p").last).to_have_text("You said: And again")
            await expect(page.get_by_label("Message")).to_have_value("")
            await expect(card(lane(page, robot.id), "out", "“And again”")).to_be_visible()
            await page.get_by_label("From").select_option("bot")
            await expect(page.locator(".bubble.own p")).to_have_text(["You said: Hello", "You said: And again"])
            await page.get_by_role("button", name="Close conversation").click()
            await expect(page.locator("#conversation")).to_be_hidden()
            viewer.check()

    run(main(), TIMEOUT)


def test_a_dialog_opens_as_a_conversation(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with people(sandbox, mary="Mary S.", omar="Omar K.") as (mary, omar), viewing(sandbox) as viewer:
            page = viewer.page
            climbing = await mary.cube.dialogs.create(type=DialogType.GROUP, name="Climbing", occupants_ids=[omar.id])
            news = await mary.cube.dialogs.create(type=DialogType.BROADCAST, name="News", occupants_ids=[omar.id])
            for person in (mary, omar):
                await person.chat.join(climbing)
            entry = page.locator(".entry-dialog").filter(has_text="Climbing")
            await entry.click()
            await expect(entry).to_have_attribute("aria-pressed", "true")
            # What comes while it is open appears, the last message in view.
            for number in range(30):
                await mary.chat.send(climbing, f"Message {number}")
            await expect(page.locator(".bubble")).to_have_count(30)
            await expect(page.locator(".bubble").last).to_be_in_viewport()
            heard = omar.chat.events(MessageReceived)
            await say(page, "   ")
            await say(page, "Written on the page")
            assert (await anext(heard)).message.body == "Written on the page"
            await expect(page.locator(".bubble").last).to_contain_text("Mary S.")
            await expect(page.locator(".bubble").last).to_be_in_viewport()
            await page.locator(".entry-dialog").filter(has_text="News").click()
            await page.get_by_label("From").select_option("Omar K.")
            await page.get_by_label("Message").fill("May I?")
            await page.get_by_role("button", name="Send").click()
            await expect(page.get_by_role("alert")).to_contain_text("appropriate permissions")
            await expect(page.get_by_label("Message")).to_have_value("May I?")
            viewer.errors.clear()  # The console names the answer 403.
            await mary.cube.dialogs.delete(news.id, force=True)
            await expect(page.locator("#conversation")).to_be_hidden()
            viewer.check()

    run(main(), TIMEOUT)


def test_a_conversation_fills_a_narrow_screen(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with (
            people(sandbox, mary="Mary S.", omar="Omar K.") as (mary, omar),
            viewing(sandbox, width=390, height=700) as viewer,
        ):
            page = viewer.page
            for number in range(15):
                await mary.chat.send(omar.id, f"Message {number}")
            await page.locator(".entry-dialog").click()
            await expect(page.locator(".bubble")).to_have_count(15)
            for part in ("#conversation h3", "#conversation form"):
                await expect(page.locator(part)).to_be_in_viewport(ratio=0.98)
            await say(page, "Written on the page")
            await expect(page.locator(".bubble").last).to_contain_text("Written on the page")
            await expect(page.locator(".bubble").last).to_be_in_viewport(ratio=0.98)
            await expect(page.locator("#conversation form")).to_be_in_viewport(ratio=0.98)
            viewer.check()

    run(main(), TIMEOUT)


def test_what_clients_need_can_be_copied(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with viewing(sandbox) as viewer:
            page = viewer.page
            await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            await page.get_by_role("button", name="Connect").click()
            for label, value in {
                "authorization key": sandbox.auth_key,
                "chat port (TLS)": str(sandbox.chat_tls_port),
                "CA certificate": str(sandbox.ca_file),
            }.items():
                button = page.get_by_role("button", name=f"Copy {label}", exact=True)
                await button.click()
                await expect(button).to_have_text("Copied")
                assert await page.evaluate("navigator.clipboard.readText()") == value
            await page.locator("#connection h3 button").click()
            await expect(page.locator("#connection h3 button")).to_have_text("Copied")
            copied = await page.evaluate("navigator.clipboard.readText()")
            assert f"export CONNECTYCUBE_BASE_URL={sandbox.api_url}\n" in copied
            await page.get_by_role("button", name="Close", exact=True).click()
            await expect(page.get_by_role("dialog")).to_be_hidden()
            viewer.check()

    run(main(), TIMEOUT)


def test_the_last_entry_opens_in_view(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with people(sandbox, mary="Mary S.", omar="Omar K.") as (mary, omar), viewing(sandbox) as viewer:
            for number in range(20):
                await mary.chat.send(omar.id, f"Message {number}")
            last = card(lane(viewer.page, mary.id), "in", "Message 19")
            await expect(last).to_be_in_viewport()
            await last.locator("summary").click()
            await expect(last.locator("pre")).to_be_in_viewport(ratio=1)
            viewer.check()

    run(main(), TIMEOUT)
