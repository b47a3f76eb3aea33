"""Staff at the door and at the desk, in a real browser; hostile words there and on the site."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group, User
from django_otp.oath import totp

from digest.models import Act, Edition, Placement
from digest.staff import roles
from tests import make
from tests.faults.system import record
from tests.journeys.conftest import DESKTOP, PHONE
from tests.make import DAY

PASSWORD = "a long and quiet password"
HOSTILE = [
    "<script>window.hit=1</script>",
    '<img src=x onerror="window.hit=1">',
    '"><svg onload="window.hit=1">',
    "[x](javascript:window.hit=1)",
    "</textarea><script>window.hit=1</script>",
    "{{ 7|add:7 }}{% debug %}<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
]


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request, browser, live_server, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.DIGEST_TODAY = DAY
    context = browser.new_context(**request.param)
    yield context.new_page()
    context.close()


def curator():
    roles.prepare()
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    user.groups.set(Group.objects.filter(name="curator"))
    return user


def looks_right(page, width):
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert not found, f"{page.title()}: {[(one['id'], one['nodes'][0]['html']) for one in found]}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def sign_in(page, site):
    page.goto(f"{site}/admin/digest/edition/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_a_curator_comes_in_for_the_first_time_publishes_and_leaves(page, live_server, settings):
    settings.DIGEST_STAFF_TWO_FACTOR = True
    curator()
    edition = make.edition([make.paper("Soup")], published=False)
    reader = make.subscriber()
    width = page.viewport_size["width"]

    sign_in(page, live_server.url)
    page.get_by_role("heading", name="Set up an authenticator").wait_for()
    assert page.locator("svg path").count()
    looks_right(page, width)
    key = "".join(page.locator("p code").inner_text().split())
    page.get_by_label("Code").fill(f"{totp(_bytes(key)):06}")
    page.get_by_role("button", name="Set up").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    looks_right(page, width)
    spare = page.locator("ol code").first.inner_text()
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url("**/admin/digest/edition/")

    page.goto(f"{live_server.url}/admin/digest/edition/{edition.pk}/change/")
    page.get_by_role("button", name="Save and publish").click()
    page.get_by_text("is published; its letters leave").wait_for()
    assert Edition.objects.get().published_by == "ada"
    refused = page.goto(f"{live_server.url}/admin/subscriptions/subscriber/{reader.pk}/change/")
    assert refused.status == 403

    page.goto(f"{live_server.url}/admin/")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Logged out").wait_for()
    sign_in(page, live_server.url)
    page.get_by_role("heading", name="Second step").wait_for()
    looks_right(page, width)
    page.get_by_label("Code").fill(spare)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/admin/digest/edition/")
    assert {"signed in", "signed out", "two-factor", "did"} <= set(Act.objects.values_list("action", flat=True))


def test_no_word_of_a_curator_runs_anywhere(page, live_server, settings):
    settings.DIGEST_STAFF_TWO_FACTOR = False
    user = curator()
    user.groups.set(Group.objects.filter(name="administrator"))
    papers = [make.paper(text, organization={"name": text}) for text in HOSTILE]
    source = make.source("lab", label=HOSTILE[1])
    edition = make.edition(papers, intro="\n\n".join(HOSTILE), warnings=HOSTILE)
    Placement.objects.update(note="\n\n".join(HOSTILE))
    for text in HOSTILE:
        Act.objects.create(at=make.NOW, who=text[:150], action="did", name=text, detail=text, changes={text: [text]})
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog) or dialog.dismiss())

    sign_in(page, live_server.url)
    page.wait_for_url("**/admin/digest/edition/")
    act = Act.objects.order_by("pk").first()
    paths = (
        f"/admin/digest/edition/{edition.pk}/change/",
        "/admin/digest/placement/",
        f"/admin/digest/placement/{Placement.objects.first().pk}/change/",
        "/admin/digest/paper/",
        f"/admin/digest/paper/{papers[0].pk}/change/",
        f"/admin/digest/source/{source.pk}/change/",
        "/admin/digest/source/",
        "/admin/digest/act/",
        f"/admin/digest/act/{act.pk}/change/",
        "/",
        f"/papers/date/{DAY}",
        f"/papers/{papers[0].identifier}",
    )
    for path in paths:
        assert page.goto(live_server.url + path).status == 200, path
        page.wait_for_timeout(50)
        assert page.evaluate("window.hit") is None, path
        assert not page.locator("a[href^='javascript:'], [onerror], [onload]").count(), path
    assert not dialogs
    record("W20", letters=len(paths))


def _bytes(typed):
    import base64

    return base64.b32decode(typed)
