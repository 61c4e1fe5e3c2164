"""Pictures of the desk for the documentation, taken from a running demo by people who log in as staff.

python -m tests.desk.pictures [--out docs/pictures] [--all] [--url URL --people FILE]

Without options: the pictures the documentation shows, from the demo of `make run` in this checkout. `--all` takes
every page in every language, theme and width. A picture's name says what it shows: queue-zh-dark-390.png. Only a
demo is photographed: its people are simulated.
"""

import argparse
import base64
import json
import re
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.domain.errors import BadInput, Refused

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = "/usr/bin/chromium"
LANGUAGES, THEMES, WIDTHS = ("en", "zh"), ("light", "dark"), (1280, 390)
#: Who sees each page, and how much of it a picture shows, in pixels, on a wide and on a narrow screen.
PAGES: Mapping[str, tuple[str, Mapping[int, int]]] = {
    "queue": ("agent", {1280: 760, 390: 780}),
    "ticket": ("agent", {1280: 1500, 390: 1500}),
    "board": ("lead", {1280: 1500, 390: 1100}),
    "team": ("lead", {1280: 760, 390: 780}),
    "airflow": ("agent", {1280: 760, 390: 780}),
}
_LOCALES = {"en": "en-GB", "zh": "zh-CN"}
#: Two colours no farther apart than this (sum of squares of 0–255) are one to the eye.
_ALIKE = 60
_QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


@dataclass(frozen=True)
class Picture:
    """What one picture shows."""

    page: str
    language: str
    theme: str
    width: int

    @property
    def name(self) -> str:
        """Its file."""
        return f"{self.page}-{self.language}-{self.theme}-{self.width}.png"

    @classmethod
    def named(cls, name: str) -> "Picture":
        """The picture of a file name; BadInput when it names none."""
        found = re.fullmatch(r"(\w+)-(\w+)-(\w+)-(\d+)\.png", name)
        picture = cls(found[1], found[2], found[3], int(found[4])) if found else None
        if picture is None or picture not in every_picture():
            raise BadInput(f"'{name}' is no picture of the desk: <page>-<language>-<theme>-<width>.png.")
        return picture


def every_picture() -> list[Picture]:
    """Every page in every language, theme and width."""
    return [Picture(*each) for each in product(PAGES, LANGUAGES, THEMES, WIDTHS)]


def shown_pictures(root: Path = ROOT) -> list[Picture]:
    """The pictures the documentation shows."""
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    names = {name for page in pages for name in re.findall(r"pictures/([^\s\")]+)", page.read_text("utf-8"))}
    return [Picture.named(name) for name in sorted(names)]


@dataclass(frozen=True)
class Site:
    """A running Airflow, and the login of an agent, a lead and a manager: role → (user, password)."""

    url: str
    people: Mapping[str, tuple[str, str]]


def the_demo() -> Site:
    """The demo of this checkout; Refused when none runs."""
    from include.local import components, sites
    from include.local.summary import ask

    demo = sites.Site.named("demo")
    if not components.are_running(demo):
        raise Refused("No demo is running here. Start it (make run), or name another (--url, --people).")
    # of each role the first of the team whose cycle is the busiest
    rows = [row for row in ask(demo, "list_people") if row["role"] == "manager" or row["team"] == "mid_high"]
    first = {row["role"]: row["airflow_username"] for row in reversed(rows)}
    return Site(demo.url, {role: (user, demo.password_of(user)) for role, user in first.items()})


def another(url: str, people: Path) -> Site:
    """A site told on the command line; the passwords come from a file, where no process list shows them."""
    told = json.loads(people.read_text("utf-8"))
    return Site(url.rstrip("/"), {role: (user, password) for role, (user, password) in told.items()})


def take(site: Site, pictures: Iterable[Picture], out: Path) -> Iterator[Path]:
    """Take pictures; the file of each when it is written."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        # what the browser itself writes into a field for a date follows its own language, not the page's
        browsers = {
            language: driver.chromium.launch(
                executable_path=CHROMIUM, chromium_sandbox=False,
                args=[*_QUIET, "--hide-scrollbars", f"--lang={locale}"],
            )
            for language, locale in _LOCALES.items()
        }  # fmt: skip
        logins: dict[str, Any] = {}
        for picture in pictures:
            browser, role = browsers[picture.language], PAGES[picture.page][0]
            if role not in logins:
                logins[role] = log_in(browser, site, role)
            file = out / picture.name
            with _page(browser, site, picture, logins[role]) as page:
                _open(page, picture)
                file.write_bytes(as_png(_pixels(page, page.screenshot())))
            yield file
        for browser in browsers.values():
            browser.close()


def log_in(browser: "Browser", site: Site, role: str) -> Any:
    """The cookies of a person after Airflow's own login page; Refused when it is not a demo."""
    user, password = site.people[role]
    with browser.new_context(base_url=site.url, locale="en-GB") as context:
        page = context.new_page()
        page.goto("/desk/")
        page.locator("input[name=username]").fill(user)
        page.locator("input[name=password]").fill(password)
        page.locator("input[type=submit], button[type=submit]").first.click()
        page.wait_for_url("**/desk/")
        name = page.request.get("/ui/config").json().get("instance_name", "")
        if not name.endswith("(demo)"):
            raise Refused(f"'{name}' at {site.url} is no demo. Real customers are not photographed.")
        return context.storage_state()


@contextmanager
def _page(browser: "Browser", site: Site, picture: Picture, login: Any) -> "Iterator[Page]":
    """A page of the person, as wide and high as the picture, in its language and colours."""
    height = PAGES[picture.page][1][picture.width]
    with browser.new_context(
        base_url=site.url,
        viewport={"width": picture.width, "height": height},
        locale=_LOCALES[picture.language],
        color_scheme="dark" if picture.theme == "dark" else "light",
        storage_state=login,
        reduced_motion="reduce",
    ) as context:
        yield context.new_page()


def _open(page: "Page", picture: Picture) -> None:
    """Go where the picture is taken, as a person would; cut a page that ends early."""
    page.goto("/plugin/retention-desk" if picture.page == "airflow" else "/desk/")
    if picture.page == "airflow":
        page.frame_locator("iframe").locator("table.queue").wait_for()
    elif picture.page == "team":
        page.goto("/desk/?view=team")
    elif picture.page == "ticket":
        page.locator("a.open").first.click()
    elif picture.page == "board":
        page.goto("/desk/board")
        cycles = page.locator("select[name=cycle] option")
        if cycles.count() > 1:  # the newest is not worked yet
            page.goto(f"/desk/board?cycle={cycles.nth(1).get_attribute('value')}")
    page.wait_for_load_state("networkidle")
    if picture.page != "airflow":
        needed = page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)")
        height = min(PAGES[picture.page][1][picture.width], needed)
        page.set_viewport_size({"width": picture.width, "height": height})


# ---------------------------------------------------------------- small files


def _pixels(page: "Page", png: bytes) -> np.ndarray:
    """Height × width × 3 of a screenshot, decoded by the browser that took it."""
    blank = page.context.new_page()
    told = blank.evaluate(
        """async (png) => {
            const bitmap = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
            const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
            canvas.drawImage(bitmap, 0, 0);
            const data = canvas.getImageData(0, 0, bitmap.width, bitmap.height).data;
            let text = '';
            for (let at = 0; at < data.length; at += 32768)
                text += String.fromCharCode(...data.subarray(at, at + 32768));
            return [bitmap.height, bitmap.width, btoa(text)];
        }""",
        base64.b64encode(png).decode(),
    )
    height, width, data = told
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[:, :, :3]


def as_png(pixels: np.ndarray) -> bytes:
    """A PNG of 256 colours at most, each pixel in the one nearest to its own: a third of the size."""
    height, width, _ = pixels.shape
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, which, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colours = np.stack([found >> 16 & 255, found >> 8 & 255, found & 255], axis=1).astype(np.int32)
    kept = _palette(colours[np.argsort(-counts, kind="stable")])
    nearest = np.array([((kept - colour) ** 2).sum(axis=1).argmin() for colour in colours], np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = nearest[which].reshape(height, width)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (
        (b"IHDR", head), (b"PLTE", kept.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""),
    )  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _palette(colours: np.ndarray) -> np.ndarray:
    """The commonest colours (they come first) that are not nearly one taken already: rare ones have a place, too."""
    taken = colours[:1]
    for colour in colours[1:]:
        if len(taken) < 256 and ((taken - colour) ** 2).sum(axis=1).min() > _ALIKE:
            taken = np.vstack([taken, colour])
    return taken


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main() -> int:
    """Take the pictures; 1 when there is nothing to take them of."""
    parser = argparse.ArgumentParser(prog="python -m tests.desk.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--all", action="store_true", help="every page, language, theme and width")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument("--url", help="of another running demo")
    parser.add_argument("--people", type=Path, help='of it: JSON {"agent": [user, password], "lead": …}')
    given = parser.parse_args()
    try:
        site = another(given.url, given.people) if given.url else the_demo()
        wanted = every_picture() if given.all else shown_pictures()
        for file in take(site, [each for each in wanted if given.only in each.name], given.out):
            print(f"{file.stat().st_size:>9,}  {file}")
    except (Refused, BadInput) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
