"""The page, as a developer sees it, while the clients of this project use the sandbox."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from connectycube.rest import DialogType, NotFound
from connectycube.sandbox import Sandbox
from tests.browser.viewer import PASSWORD, people, viewing
from tests.integration.support import run

TIMEOUT = 90.0
HOSTILE = "<script>alert(\"1\")</script> 'q' <img src=x onerror=alert(2)> &amp; </body>"


def lane(page: Page, user_id: int) -> Locator:
    return page.locator(f'.lane[data-lane="{user_id}"]')


def card(where: Locator | Page, kind: str, text: str) -> Locator:
    """A card: of a request (`rest`), or of a stanza from (`in`) or to (`out`) the client."""
    return where.locator(f".card.{kind}").filter(has_text=text)


def test_it_is_empty_before_anything_happens(connectycube_sandbox: Sandbox) -> None:
    async def main() -> None:
        async with viewing(connectycube_sandbox) as viewer:
            page = viewer.page
            await expect(page.get_by_text("No users yet")).to_be_visible()
            await expect(page.locator(".welcome code")).to_have_text(connectycube_sandbox.api_url)
            await expect(page.locator(".lane")).to_have_count(0)
            viewer.check()

    run(main(), TIMEOUT)


def test_users_dialogs_requests_and_stanzas_appear_as_they_come(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with viewing(sandbox) as viewer, people(sandbox, mary="Mary S.", omar="Omar K.") as (mary, omar):
            page = viewer.page
            await expect(page.locator("#users .who b")).to_have_text(["Mary S.", "Omar K."])
            await expect(page.locator("#users .dot.on")).to_have_count(2)
            dialog = await mary.cube.dialogs.create(type=DialogType.GROUP, name="Climbing", occupants_ids=[omar.id])
            await expect(page.locator("#dialogs .entry-dialog")).to_contain_text(["Climbing"])
            await expect(card(lane(page, mary.id), "rest", "/chat/Dialog").locator(".status")).to_have_text("201")
            await mary.chat.join(dialog)
            await omar.chat.join(dialog)
            await mary.chat.send(dialog, "Who drives?")
            # Side by side: out of one lane, into the other.
            await expect(card(lane(page, mary.id), "in", "“Who drives?”")).to_contain_text("Climbing")
            await expect(card(lane(page, omar.id), "out", "“Who drives?”")).to_contain_text("Mary S. in Climbing")
            await expect(page.locator("#dialogs small")).to_have_text(["Who drives?"])
            with pytest.raises(NotFound):
                await omar.cube.dialogs.update("66f1b7d4e4b0d93a51c8e601", name="No such")
            await expect(lane(page, omar.id).locator(".card.rest.failed .status")).to_have_text("404")
            await omar.chat.disconnect()
            await expect(page.locator("#users .dot.on")).to_have_count(1)
            viewer.check()

    run(main(), TIMEOUT)


def test_it_narrows_down_what_it_shows(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with viewing(sandbox) as viewer, people(sandbox, mary="Mary S.", omar="Omar K.") as (mary, omar):
            page = viewer.page
            await mary.chat.send(omar.id, "Bring the ROPE")
            await mary.chat.send(omar.id, "and the coffee")
            mine = lane(page, mary.id)
            await expect(card(mine, "in", "and the coffee")).to_be_visible()
            await page.get_by_label("Search").fill("rope")
            await expect(mine.locator(".card")).to_have_count(1)
            await expect(card(lane(page, omar.id), "out", "Bring the ROPE")).to_be_visible()
            # What comes later is searched, too.
            await mary.chat.send(omar.id, "a second rope")
            await mary.chat.send(omar.id, "a third thing")
            await expect(mine.locator(".card.in")).to_contain_text(["Bring the ROPE", "a second rope"])
            await page.get_by_label("Search").fill("no such text")
            await expect(mine.get_by_text("No matching entries")).to_be_visible()
            await page.get_by_label("Search").fill("")
            await page.get_by_label("stanzas").uncheck()
            await expect(mine.locator(".card.in, .card.out")).to_have_count(0)
            await expect(card(mine, "rest", "/login")).to_be_visible()
            await page.get_by_label("requests").uncheck()
            await page.get_by_label("stanzas").check()
            await expect(mine.locator(".card.rest")).to_have_count(0)
            counting = mine.locator(".what b").get_by_text("a", exact=True)
            await expect(counting).to_have_count(0)
            await page.get_by_label("acknowledgements").check()
            await expect(counting.first).to_be_visible()
            await page.locator("#users button").filter(has_text="Omar K.").click()
            await expect(page.locator(".lane h3 b")).to_have_text(["Omar K."])
            await page.get_by_role("button", name="Clear view").click()
            await expect(page.locator(".card")).to_have_count(0)
            viewer.check()

    run(main(), TIMEOUT)


def test_hostile_texts_are_texts(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with people(sandbox, mary=HOSTILE, omar="Omar K.") as (mary, omar), viewing(sandbox) as viewer:
            page = viewer.page
            dialog = await mary.cube.dialogs.create(type=DialogType.GROUP, name=HOSTILE, occupants_ids=[omar.id])
            await mary.chat.join(dialog)
            await mary.chat.send(dialog, HOSTILE)
            await expect(page.locator("#users .who b").first).to_have_text(HOSTILE)
            await expect(lane(page, mary.id).locator("h3 b")).to_have_text(HOSTILE)
            await expect(page.locator("#dialogs .title b")).to_have_text(HOSTILE)
            await expect(page.locator("#dialogs small")).to_have_text(HOSTILE)
            await page.locator(".entry-dialog").click()
            await expect(page.locator("#conversation h3 b")).to_have_text(HOSTILE)
            await expect(page.locator(".bubble p")).to_have_text(HOSTILE)
            await expect(page.get_by_label("From").locator("option").first).to_have_text(HOSTILE)
            sent = card(lane(page, mary.id), "in", f"“{HOSTILE}”")
            await sent.locator("summary").click()
            await expect(sent.locator("pre")).to_contain_text('&lt;script&gt;alert("1")&lt;/script&gt;')
            made = card(lane(page, mary.id), "rest", "/chat/Dialog")
            await made.locator("summary").click()
            await expect(made.locator("pre").filter(has_text="occupants_ids").first).to_contain_text("onerror=alert(2)")
            await expect(page.locator("img, body script:not([src])")).to_have_count(0)
            viewer.check()

    run(main(), TIMEOUT)


def test_pushes_and_mails_are_shown_until_they_are_hidden(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with viewing(sandbox) as viewer:
            page = viewer.page
            ada = sandbox.create_user("ada", full_name="Ada L.")
            sandbox.journal.outgoing("push", "android device phone", {"message": "<b>hello</b>"}, user_id=ada.id)
            sandbox.journal.outgoing("webhook", "http://127.0.0.1:9001/x", {}, user_id=ada.id, error="no answer")
            push, call = (card(lane(page, ada.id), "outgoing", text) for text in ("<b>hello</b>", "webhook"))
            await push.locator("summary").click()
            await expect(push.locator("pre").first).to_have_text("android device phone")
            await call.locator("summary").click()
            await expect(call.locator("pre").filter(has_text="no answer")).to_be_visible()
            await expect(call).to_have_class(re.compile("failed"))
            await page.locator("#show-outgoing").uncheck()
            await expect(push).to_have_count(0)
            viewer.check()

    run(main(), TIMEOUT)


def test_secrets_are_not_shown(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with viewing(sandbox) as viewer, people(sandbox, mary="Mary S.") as (mary,):
            page = viewer.page
            session = mary.cube.session
            assert session is not None
            assert session.token
            mine = lane(page, mary.id)
            await expect(card(mine, "out", "presence").first).to_be_visible()
            await expect(card(page, "in", "auth").first).to_be_visible()
            await page.locator("#show-counting").check()
            for summary in await page.locator("summary").all():
                await summary.click()
            await expect(page.locator("details:not([open])")).to_have_count(0)
            text = await page.locator("body").inner_text()
            assert "/session" in text
            assert "application_id" in text
            for secret in (PASSWORD, session.token, sandbox.auth_key):
                assert secret not in text
                assert secret not in await page.content()
            # It tells the keys to whom asks for them, and nobody's password or token.
            await page.get_by_role("button", name="Connect").click()
            await expect(page.get_by_role("dialog")).to_contain_text(sandbox.auth_key)
            for secret in (PASSWORD, session.token):
                assert secret not in await page.content()
            viewer.check()

    run(main(), TIMEOUT)


@pytest.mark.parametrize("width", [360, 760, 1000, 1920])
def test_nothing_sticks_out(connectycube_sandbox: Sandbox, width: int) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        names = {"mary": "Mary S.", "omar": "O" * 100, "ada": "Ada L."}
        async with people(sandbox, **names) as (mary, omar, _), viewing(sandbox, width=width) as viewer:
            page = viewer.page
            await mary.cube.dialogs.create(type=DialogType.PUBLIC, name="W" * 200)
            await mary.chat.send(omar.id, "long" * 2000)
            await page.locator(".entry-dialog").filter(has_text="longlong").click()
            await expect(page.locator(".bubble")).to_contain_text("longlong")
            await page.locator("#conversation textarea").fill("long" * 2000)
            sent = card(lane(page, mary.id), "in", "longlong")
            await sent.locator("summary").click()
            await expect(sent.locator("pre")).to_contain_text("longlong")
            wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider == 0
            box = await sent.locator("pre").bounding_box()
            outer = await lane(page, mary.id).bounding_box()
            assert box is not None
            assert outer is not None
            assert outer["x"] < box["x"]
            assert box["x"] + box["width"] < outer["x"] + outer["width"]
            await page.get_by_role("button", name="Connect").click()
            for part in await page.locator("#connection, #connection pre, .copy, #conversation > *").all():
                found = await part.bounding_box()
                assert found is not None
                assert found["x"] >= 0
                assert found["x"] + found["width"] <= width
            viewer.check()

    run(main(), TIMEOUT)


def test_it_follows_a_reset(connectycube_sandbox: Sandbox) -> None:
    sandbox = connectycube_sandbox

    async def main() -> None:
        async with viewing(sandbox) as viewer:
            page = viewer.page
            async with people(sandbox, mary="Mary S.") as (mary,):
                await page.locator("#users button").filter(has_text="Mary S.").click()
                await expect(card(lane(page, mary.id), "rest", "/login")).to_be_visible()
            sandbox.reset()
            await expect(page.get_by_text("No traffic yet")).to_be_visible()
            await expect(page.get_by_text("No users yet")).to_be_visible()
            await expect(page.locator(".lane")).to_have_count(0)
            # The next test's user has the same id.
            async with people(sandbox, omar="Omar K.") as (omar,):
                assert omar.id == mary.id
                await expect(lane(page, omar.id).locator("h3 b")).to_have_text("Omar K.")
                await expect(card(page, "rest", "/users")).to_have_count(1)
            # A chat that is cut off by the reset would connect again, which is news for the page.
            await page.get_by_role("button", name="Pause").click()
            sandbox.reset()
            await expect(page.get_by_text("No users yet")).to_be_visible()
            await expect(card(page, "rest", "/users")).to_have_count(1)
            await page.get_by_role("button", name="Pause").click()
            await expect(page.locator(".lane")).to_have_count(0)
            viewer.check()

    run(main(), TIMEOUT)


def test_it_goes_on_after_the_sandbox_was_gone() -> None:
    """The journal of a new sandbox starts anew; the page must not wait for its numbers to catch up."""

    async def main() -> None:
        async with Sandbox() as first:
            port = int(first.api_url.rpartition(":")[2])
            async with viewing(first) as viewer:
                async with people(first, mary="Mary S.") as (mary,):
                    await expect(card(lane(viewer.page, mary.id), "out", "presence").first).to_be_visible()
                await first.__aexit__(None, None, None)
                await expect(viewer.page.get_by_role("status")).to_have_text("reconnecting")
                async with Sandbox(port=port) as second, people(second, omar="Omar K."):
                    await expect(viewer.page.locator("#users .who b")).to_have_text(["Omar K."])
                    await expect(viewer.page.locator(".lane h3 b").filter(has_text="Mary")).to_have_count(0)
                    await expect(card(viewer.page, "rest", "/users")).to_have_count(1)

    run(main(), TIMEOUT)
