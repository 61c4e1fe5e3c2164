"""A working day in a real browser on a real Airflow: log in, take the next ticket, work it to its end, be read."""

import json

import pytest

pytestmark = pytest.mark.browser

LABELLED = """() => [...document.querySelectorAll('input, select, textarea, button, a, img, summary')]
    .filter((each) => each.type !== 'hidden')
    .filter((each) => !(each.labels?.length && each.labels[0].innerText.trim()) && !each.innerText?.trim()
        && !each.getAttribute('aria-label') && !each.alt)
    .map((each) => each.outerHTML.slice(0, 120))"""

#: Every pair of text and ground on the page with less contrast than WCAG AA asks of small text.
FAINT = """() => {
    const light = ([r, g, b]) => [r, g, b].map((each) => each / 255)
        .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, nth) => sum + each * [0.2126, 0.7152, 0.0722][nth], 0);
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const ground = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = parts(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const each of document.querySelectorAll('body *')) {
        const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!(own || each.matches('input, textarea, select')) || each.matches('option, script')) continue;
        const style = getComputedStyle(each);
        const hint = each.placeholder ? [getComputedStyle(each, '::placeholder').color] : [];
        for (const colour of [style.color, ...hint]) {
            const [a, b] = [light(parts(colour)), light(ground(each))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) faint.push(`${each.outerHTML.slice(0, 80)}: ${ratio.toFixed(2)}`);
        }
    }
    return faint;
}"""


def is_violation(line):
    """Whether a line of the console tells that the strict policy refused something of the desk's own."""
    return "Content Security Policy" in line.text and "/desk/" in line.location.get("url", "")


@pytest.fixture
def page_of(browser, served, tokens):
    """A page as somebody, in English and 390 px wide unless told otherwise; fails for errors of the desk's scripts.

    Nobody: a page that has yet to log in.
    """
    contexts, errors = [], []

    def open_page(who, width=390, scripts=True, language="en-GB", theme="dark"):
        context = browser.new_context(
            viewport={"width": width, "height": 844}, locale=language, color_scheme=theme,
            base_url=served.url, java_script_enabled=scripts,
        )  # fmt: skip
        contexts.append(context)
        if who is not None:
            context.add_cookies([{"name": "_token", "value": tokens[who], "url": served.url}])
        page = context.new_page()
        page.set_default_timeout(40_000)
        page.on(
            "pageerror", lambda error: errors.append(str(error)) if "/desk/" in str(error.stack) else None
        )
        page.on("console", lambda line: errors.append(line.text) if is_violation(line) else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def log_in(page, who):
    """Through Airflow's own login page, to which the desk sends whom it does not know."""
    page.goto("/desk/")
    page.locator("input[name=username]").fill(who)
    page.locator("input[name=password]").fill(f"of {who}")
    page.locator("input[type=submit], button[type=submit]").first.click()
    page.wait_for_url("**/desk/")


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_agent_logs_in_and_works_the_next_ticket_and_the_lead_reads_it_on_the_board(
    page_of, tickets, numbers, ask
):
    page = page_of(None)
    log_in(page, "agent")
    page.keyboard.press("n")
    page.wait_for_url(f"**/desk/tickets/{tickets[0]}")
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

    lead = page_of(None, width=1280)
    log_in(lead, "lead")
    lead.get_by_role("link", name="Board", exact=True).click()
    funnel = lead.locator("#funnel tbody tr")
    funnel.first.wait_for()  # all() would read the page before
    told = {
        row.locator("td").nth(0).inner_text(): row.locator("td").nth(1).inner_text() for row in funnel.all()
    }
    assert {told[step] for step in ("Contacted", "With a plan", "Processed", "Closed", "Won")} == {"1"}
    lead.locator("#sample").get_by_role("link", name=f"#{tickets[0]}").click()
    assert "A-1" in lead.locator("section[aria-labelledby=done]").inner_text()
    assert lead.goto("/desk/board/funnel.svg").ok


def test_an_agent_opens_no_colleagues_ticket_no_board_and_no_dag(page_of, tickets, served, tokens):
    page = page_of(None, width=1280)
    log_in(page, "agent")
    assert page.goto(f"/desk/tickets/{tickets[2]}").status == 404
    for board in ("/desk/board", "/desk/board/service.csv", "/desk/board/funnel.svg"):
        assert page.goto(board).status == 403, board
    here = {"origin": served.url}
    as_operator = {"authorization": f"Bearer {tokens['operator']}"}
    assert page.request.get("/api/v2/dags", headers=as_operator).ok
    pages = ("ui/dags", "api/v2/dags", "api/v2/dags/churn_warning", "api/v2/dags/churn_warning/dagRuns")
    for path in (*pages, "api/v2/connections", "api/v2/variables", "api/v2/assets"):
        assert page.request.get(f"/{path}").status == 403, path
    run = {"logical_date": None}
    assert page.request.post("/api/v2/dags/churn_warning/dagRuns", data=run, headers=here).status == 403
    page.goto("/plugin/retention-desk")
    inside = page.frame_locator("iframe")
    assert inside.locator("a.open").first.inner_text() == f"#{tickets[0]}"


def test_a_lead_sees_the_board_of_the_own_team_alone(page_of, tickets):
    page = page_of("lead", width=1280)
    page.goto("/desk/board?team=vip")
    assert "Mid/high-end retention" in page.locator("h1").inner_text()
    assert "VIP" not in page.locator("main").inner_text()


def test_keys_move_open_and_help_but_never_while_typing(page_of, tickets):
    page = page_of("agent", width=1280)
    page.goto("/desk/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.locator(".row.selected a.open").inner_text() == f"#{tickets[0]}"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    for field in ("input[name=region]", "input[name=q]", "select[name=grade]"):
        page.locator(field).focus()
        page.keyboard.type("njk?")
        assert page.url.endswith("/desk/") and not page.locator("#keys").is_visible(), field
    assert page.locator("input[name=region]").input_value() == "njk?"
    page.locator("input[name=region]").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tickets/{tickets[0]}")
    page.locator("form[action$='/contact'] textarea").focus()
    page.keyboard.type("no n, no j, no ?")
    page.keyboard.press("Enter")
    assert page.url.endswith(f"/tickets/{tickets[0]}")


def test_a_draft_outlives_reloading_and_a_restart_of_airflow_until_it_is_taken(page_of, tickets, served):
    page = page_of("agent", width=1280)
    page.goto(f"/desk/tickets/{tickets[0]}")
    note = page.locator("form[action$='/contact'] textarea")
    note.fill("asked for a letter")
    page.reload()
    assert note.input_value() == "asked for a letter"
    served.stop()
    page.get_by_role("button", name="Reached", exact=True).click()
    page.wait_for_url("chrome-error://**")
    served.start()
    page.goto(f"/desk/tickets/{tickets[0]}")
    assert note.input_value() == "asked for a letter"
    page.get_by_role("button", name="Reached", exact=True).click()
    page.wait_for_load_state()
    assert "asked for a letter" in page.locator("#done + .timeline").inner_text()
    assert note.input_value() == ""
    kept = page.evaluate("JSON.stringify(Object.keys(sessionStorage))")
    assert json.loads(kept) == []


def test_what_one_person_typed_is_gone_when_another_logs_in_in_the_same_tab(page_of, tickets, served):
    page = page_of(None, width=1280)
    typed = {
        f"/desk/tickets/{tickets[0]}": (
            "form[action$='/contact'] textarea",
            "form[action$='/do_not_call'] textarea",
        ),
        "/desk/search": ("textarea[name=said]", "input[name=subscriber_id]"),
    }
    log_in(page, "agent")
    for path, fields in typed.items():
        page.goto(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        for field in fields:
            page.locator(field).fill("only for the agent's eyes")
        page.reload()
        assert [page.locator(field).input_value() for field in fields] == ["only for the agent's eyes"] * 2
    page.context.clear_cookies()
    log_in(page, "lead")
    for path, fields in typed.items():
        page.goto(path)
        assert [page.locator(field).input_value() for field in fields] == ["", ""]
    assert page.evaluate("Object.keys(sessionStorage)") == []
    for _ in typed:  # nor does the browser bring it back by itself
        page.go_back()
        assert "only for the agent" not in str(
            page.locator("textarea, input").evaluate_all("all => all.map(e => e.value)")
        )


def test_a_login_that_ended_while_typing_takes_no_word_with_it(page_of, tickets):
    page = page_of("agent", width=1280)
    page.goto(f"/desk/tickets/{tickets[0]}")
    note = page.locator("form[action$='/contact'] textarea")
    note.fill("asked for a letter")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.get_by_role("button", name="Reached", exact=True).click()
    assert "login has ended" in page.locator("main").inner_text()
    page.context.add_cookies(cookies)
    page.goto(f"/desk/tickets/{tickets[0]}")
    assert note.input_value() == "asked for a letter"


@pytest.mark.parametrize("told", [{"isComposing": True}, {"keyCode": 229}])
def test_escape_while_composing_chinese_keeps_the_field(page_of, tickets, told):
    page = page_of("agent", width=1280)
    page.goto(f"/desk/tickets/{tickets[0]}")
    note = page.locator("form[action$='/contact'] textarea")
    note.focus()
    press = """(field, told) =>
        field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true, ...told}))"""
    note.evaluate(press, told)
    assert note.evaluate("field => field === document.activeElement")
    note.evaluate(press, {})
    assert not note.evaluate("field => field === document.activeElement")


def test_a_double_click_and_a_reload_do_nothing_a_second_time(page_of, tickets, numbers, ask):
    page = page_of("agent", width=1280)
    page.goto("/desk/search")
    for name, words in (("subscriber_id", "N99"), ("said", "call nobody!"), ("done", "promised")):
        page.locator(f"[name={name}]").fill(words)
    page.locator("form[action$='/inbound'] button").click()
    assert "The desk knows nobody with the id" in page.locator("main").inner_text()
    assert page.locator("[name=said]").input_value() == "call nobody!"
    page.locator("button[name=confirmed_id]").dblclick()
    page.wait_for_url("**/search?kept=talk")
    page.reload()
    assert "The talk is kept." in page.locator("main").inner_text()
    assert page.locator("[name=said]").input_value() == ""
    page.goto(f"/desk/tickets/{tickets[0]}")
    page.get_by_role("button", name="Show number").dblclick()
    page.wait_for_url("**?use=*")
    page.reload()
    assert page.locator(".number").inner_text() == numbers[tickets[0]]
    left = ask(
        "select (select count(*) from inbound_contacts) as talks, (select count(*) from desk_uses) as uses"
    )
    assert [tuple(row) for row in left] == [(1, 1)]


def test_writes_work_without_scripts(page_of, tickets, ask):
    page = page_of("agent", scripts=False)
    page.goto("/desk/")
    page.locator("#next").click()
    page.locator("form[action$='/contact'] textarea").fill("said yes")
    page.get_by_role("button", name="Reached", exact=True).click()
    assert "said yes" in page.locator("body").inner_text()
    page.get_by_role("link", name="中文").click()
    page.locator("input[name=needs][value=price]").check()
    page.locator("form[action$='/survey'] button").click()
    assert ask("select needs from needs_surveys") and page.locator("html").get_attribute("lang") == "zh"


def test_every_page_is_read_by_everybody_in_both_languages_and_themes(page_of, tickets, numbers):
    """390 px without scrolling sideways, a name for everything that can be used, contrast of WCAG AA."""
    faults = {}
    for language, theme in (("en-GB", "dark"), ("zh-CN", "light")):
        page = page_of("lead", language=language, theme=theme)
        for path in ("", "?view=team", "search", f"tickets/{tickets[0]}", "board", "tickets/999"):
            page.goto(f"/desk/{path}")
            for details in page.locator("details").all():
                details.evaluate("(each) => { each.open = true; }")
            found = page.evaluate(LABELLED) + page.evaluate(FAINT) + ([] if fits(page) else ["too wide"])
            if page.locator("h1").count() != 1:
                found.append("not one heading of the first order")
            if found:
                faults[(path, language)] = found
    assert faults == {}
