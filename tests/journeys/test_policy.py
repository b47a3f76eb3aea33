"""What browsers refuse to do on our pages: nothing, as no page asks for anything that its policy forbids."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.urls import reverse

from digest import editions
from subscriptions import outbox
from tests import make
from tests.journeys.conftest import DESKTOP
from tests.make import DAY, NOW

WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", event =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile} ${event.sample}`));
"""


class Eyes:
    """A browser that tells what it was asked to do and refused."""

    def __init__(self, page, site):
        self.page, self.site, self.told = page, site, []
        page.add_init_script(WATCH)
        page.on(
            "console", lambda line: line.type in {"error", "warning"} and self.told.append(f"{page.url} {line.text}")
        )
        page.on("pageerror", lambda error: self.told.append(f"{page.url} {error}"))

    def open(self, path):
        answer = self.page.goto(self.site + path)
        assert answer.status == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        self.look()

    def look(self):
        self.page.wait_for_load_state("load")
        self.told += [f"{self.page.url} {line}" for line in self.page.evaluate("window.refused")]


@pytest.fixture
def eyes(browser, live_server, settings, moment):
    settings.DEBUG, settings.DIGEST_BASE_URL = True, live_server.url
    context = browser.new_context(**DESKTOP)
    yield Eyes(context.new_page(), live_server.url)
    context.close()


def test_the_watch_sees_what_is_refused(eyes):
    eyes.open("/")
    eyes.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p style=color:red>x</p><img src=http://x.test/>')"
    )
    eyes.page.wait_for_function("window.refused.length == 2")
    eyes.look()

    assert len([line for line in eyes.told if " style-src-attr " in line or " img-src " in line]) == 2


def test_no_page_asks_for_what_its_policy_forbids(eyes):
    paper = make.paper("Robots")
    make.edition([paper, make.paper("Soup")], intro="Good *morning*.")
    make.edition([make.paper("Old")], day=DAY - timedelta(days=1))
    make.subscriber("reader@example.net", topics=["robots"])
    call_command("deliver", "--date", str(DAY))
    letter = outbox.letters(most=1)[0]

    paths = ["/", f"/papers/date/{DAY}", "/papers/week/2026-W23", "/papers/month/2026-06", "/papers/trending",
             f"/papers/{paper.identifier}", "/papers?q=robots", "/topics/preview?q=robots", "/editions", "/api/docs",
             "/subscribe/check-inbox", "/outbox/", f"/outbox/{letter.name}"]  # fmt: skip
    for path in paths:
        eyes.open(path)
    frame = eyes.page.frame_locator("iframe.letter")
    assert frame.get_by_text("Robots").count()

    assert eyes.told == []


def test_the_desk_asks_for_nothing_that_its_policy_forbids(eyes, admin_user):
    make.edition([make.paper("Robots"), make.paper("Soup")])
    draft = make.edition([make.paper("Spam")], day=DAY + timedelta(days=1), published=False)
    make.subscriber("reader@example.net", topics=["robots"])
    call_command("deliver", "--date", str(DAY))
    page = eyes.page
    eyes.open("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="The desk").wait_for()
    eyes.look()

    seen = 0
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        eyes.open(reverse(f"{name}_changelist"))
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            eyes.open(reverse(f"{name}_change", args=[row.pk]))
            eyes.open(reverse(f"{name}_history", args=[row.pk]))
            seen += 1
    for path in ["/admin/digest/source/add/", "/admin/auth/user/add/", "/admin/password_change/"]:
        eyes.open(path)
    assert seen > 7

    eyes.open(f"/admin/digest/edition/{draft.pk}/change/")
    page.get_by_role("button", name="Save and publish").click()
    page.get_by_text("is published").wait_for()
    eyes.look()
    assert editions.Edition.objects.get(pk=draft.pk).published_at == NOW
    assert eyes.told == []
