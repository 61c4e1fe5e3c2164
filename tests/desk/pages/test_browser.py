"""A working morning in a real browser: an agent takes the next ticket and works it to its end by keys and clicks."""

import json

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def page_of(browser, served, tokens):
    """A page as somebody, in English and 390 px wide unless told otherwise; fails for errors on the console."""
    contexts, errors = [], []

    def open_page(who, width=390):
        context = browser.new_context(
            viewport={"width": width, "height": 844}, locale="en-GB", color_scheme="dark", base_url=served
        )
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": tokens[who], "url": served}])
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def test_an_agent_works_the_next_ticket_by_keys_and_clicks(page_of, tickets, numbers, ask, clock):
    page = page_of("agent")
    page.goto("/")
    page.keyboard.press("n")
    page.wait_for_url(f"**/tickets/{tickets[0]}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Call", exact=True).first.click()
    assert page.locator("a[href^='tel:']").get_attribute("href") == f"tel:{numbers[tickets[0]]}"
    page.get_by_role("button", name="Reached", exact=True).click()
    page.locator("input[name=needs][value=price]").check()
    page.locator("form[action$='/survey'] button").click()
    page.locator("form[action$='/plan'] button").click()
    page.locator("form[action$='/processing'] input[name=order_number]").fill("A-1")
    page.get_by_role("button", name="Done", exact=True).click()
    page.locator("button[value='retained/accepted_offer']").click()
    page.wait_for_load_state()
    closed = ask("select state, outcome from tickets where ticket_id = :id", id=tickets[0])
    assert [tuple(row) for row in closed] == [("closed", "retained")]


def test_keys_move_open_and_help_but_never_while_typing(page_of, tickets):
    page = page_of("agent", width=1280)
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.locator(".row.selected a.open").inner_text() == f"#{tickets[0]}"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.locator("input[name=region]").focus()
    page.keyboard.type("njk?")
    assert page.locator("input[name=region]").input_value() == "njk?"
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tickets/{tickets[0]}")


def test_a_draft_outlives_the_page_until_it_is_taken(page_of, tickets):
    page = page_of("agent", width=1280)
    page.goto(f"/tickets/{tickets[0]}")
    note = page.locator("form[action$='/contact'] textarea")
    note.fill("asked for a letter")
    page.goto("about:blank")
    page.goto(f"/tickets/{tickets[0]}")
    assert note.input_value() == "asked for a letter"
    page.get_by_role("button", name="Reached", exact=True).click()
    page.wait_for_load_state()
    assert note.input_value() == ""
    kept = page.evaluate("JSON.stringify(Object.keys(sessionStorage))")
    assert json.loads(kept) == []
