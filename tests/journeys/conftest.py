import os
import shutil
from typing import ClassVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from subscriptions import clock
from tests.clocks import Clock
from tests.make import NOW

# Playwright keeps a loop in this thread, which Django takes for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
PHONE = {"viewport": {"width": 375, "height": 812}, "color_scheme": "dark"}
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
LANDMARKS = ["landmark-one-main", "region"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="package")
def browser():
    names = ["/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome"]
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no chromium at /usr/bin/chromium or in PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def moment(monkeypatch):
    """The clock of test and live server alike: it stands at NOW until a test lets time go by."""
    moment = Clock(NOW)
    monkeypatch.setattr(clock, "now", moment.now)
    return moment


@pytest.fixture
def locale():
    """The language of the reader's browser."""
    return "en-GB"


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def reader(request, browser, live_server, settings, moment, locale):
    settings.DEBUG, settings.DIGEST_BASE_URL = True, live_server.url
    context = browser.new_context(**request.param, locale=locale, java_script_enabled=False)
    glass = browser.new_context(**request.param, locale=locale)
    reader = Reader(context, glass, live_server.url)
    yield reader
    context.close()
    glass.close()
    assert not reader.strays, "requests left the site"


class Reader:
    """Somebody with a browser that runs no scripts."""

    #: What was looked at once need not be again.
    seen: ClassVar[set[tuple[int, str, str]]] = set()

    def __init__(self, context, glass, site):
        self.site = site
        self.strays = []
        context.on("request", lambda request: request.url.startswith(site) or self.strays.append(request.url))
        self.page = context.new_page()
        self.glass = glass.new_page()

    def open(self, path):
        self.page.goto(path if path.startswith(self.site) else self.site + path)

    def press(self, name):
        self.page.get_by_role("button", name=name).click()

    def sees(self, heading):
        """The page with this heading, which looks right."""
        self.page.get_by_role("heading", level=1, name=heading).wait_for(timeout=5_000)
        known = (self.page.viewport_size["width"], self.page.title(), heading)
        if known not in self.seen:
            self.looks_right()
        self.seen.add(known)
        return self.page

    def looks_right(self):
        """Fit for eyes, for screen readers, and for narrow phones."""
        page, glass, size = self.page, self.glass, self.page.viewport_size
        # axe needs scripts: it is shown what the reader sees in a page that runs them.
        glass.route(page.url, lambda route: route.fulfill(body=page.content(), content_type="text/html"), times=1)
        glass.goto(page.url)
        # A letter's landmarks are those of the mail program around it.
        parts = {} if page.locator("main").count() else {"rules": {name: {"enabled": False} for name in LANDMARKS}}
        found = Axe().run(glass, options={"resultTypes": ["violations"], **parts}).response["violations"]
        assert not found, f"{page.title()}: {[(one['id'], one['nodes'][0]['html']) for one in found]}"
        for width in (320, size["width"]):
            page.set_viewport_size({**size, "width": width})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{page.title()} at {width}"

    def opens_letter(self, subject):
        """The newest letter of this subject in the outbox, as HTML."""
        self.open("/outbox/")
        self.sees("Outbox").get_by_role("link", name=subject).first.click()
        self.sees(subject)
        return self.page.frame_locator("iframe.letter")

    def follows(self, letter, name):
        """A link of a letter, which opens beside it."""
        with self.page.expect_popup() as beside:
            letter.get_by_role("link", name=name).click()
        self.page.close()
        self.page = beside.value
