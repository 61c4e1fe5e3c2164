"""The desk inside Airflow's frame, which may neither dial nor leave: links for that go by the page around it."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

SITE = "http://desk.test"
SCRIPT = Path(__file__).resolve().parents[3] / "include" / "desk" / "static" / "desk.js"
#: As Airflow 3.3 frames a page of a plugin.
FRAME = '<iframe src="/desk" sandbox="allow-scripts allow-same-origin allow-forms allow-downloads"></iframe>'
INNER = (
    '<html><body><dialog id="keys"></dialog><a id="out" target="_top" href="/desk/tickets/1">out</a>'
    '<script src="/desk.js"></script></body></html>'
)


def test_a_link_out_of_the_frame_opens_in_the_whole_window(browser):
    page = browser.new_page()
    pages = {"/": FRAME, "/desk": INNER, "/desk/tickets/1": "<h1>whole</h1>"}

    def answer(route):
        path = route.request.url.removeprefix(SITE)
        if path == "/desk.js":
            route.fulfill(body=SCRIPT.read_text("utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body=pages.get(path, ""), content_type="text/html")

    page.route("**/*", answer)
    page.goto(f"{SITE}/")
    inner = page.frame_locator("iframe")
    inner.locator("html.in-frame").wait_for()
    inner.locator("#out").click()
    page.wait_for_url(f"{SITE}/desk/tickets/1")
    assert page.locator("h1").inner_text() == "whole"
    page.close()
