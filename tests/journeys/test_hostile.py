"""What strangers write never runs, breaks a page or leaves its place: a browser with scripts on, and with a policy."""

from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest

from digest.models import Observation, Paper
from tests import make
from tests.journeys.conftest import DESKTOP, PHONE
from tests.make import DAY, NOW

#: What runs or leads elsewhere, but for our own scripts.
ALIVE = """[...document.querySelectorAll(`
    main script:not([src^="/static/"]), main iframe, main svg script, main style, base, [style],
    [onerror], [onload], [onclick], [onfocus], [onmouseover], [ontoggle]`)].map(each => each.outerHTML)"""
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
ALERTS = [
    "<script>alert(1)</script>",
    "</title></style></textarea></script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" autofocus onfocus="alert(1)" x="',
    "<svg/onload=alert(1)><svg><script href=data:,alert(1) />",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<math><mtext></p><style><!--</style><img src=x onerror=alert(1)>--></style></math>",
    "<a href=javascript:alert(1)>x</a><form action=javascript:alert(1)><button>x</button></form>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'><base href=//evil.example/>",
    "<style>@import 'https://evil.example/x.css';*{display:none}</style><link rel=stylesheet href=//evil.example/x>",
    "{{ 7|add:7 }}{% debug %}{% include 'x' %}${7*7}<%= 7*7 %>",
    "[x](javascript:alert(1)) ![x](https://evil.example/x.png) <javascript:alert(1)> [y]: javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    "$\\href{javascript:alert(1)}{x}$ \\(\\style{background:url(//evil.example)}{x}\\) $<img src=x onerror=alert(1)>$",
]
ODD = [
    "\u202egnp.exe \u2066isolated \u200fרות\u200e العربية",
    "Z\u0351\u036b\u0343\u036a\u0302" * 40,
    "\ufeff\u0001\u0008\u000b\u007f\ufffe\uffff \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "W" * 300,
    "https://evil.example/" + "a" * 200,
    "\u3000\u00a0\u2028\u2029 blank",
]
LINKS = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)", "https://example.org/\" onclick=\"alert(1)", "//evil.example/", "https://u:p@evil.example/",
]  # fmt: skip


@pytest.fixture
def papers(live_server, settings):
    settings.DEBUG, settings.DIGEST_BASE_URL = False, live_server.url
    made = []
    for at, text in enumerate(ALERTS + ODD):
        link = LINKS[at % len(LINKS)]
        made.append(
            make.paper(
                text[:300],
                title_tex=text[:900],
                abstract=f"{text}\n\n{text} " * 9,
                abstract_tex=text,
                ai_summary=text,
                authors=[{"name": text}] * (664 if at % 5 == 0 else 3),
                keywords=[text[:100]],
                categories=[text[:30]],
                organization={"name": text, "fullname": text},
                code_url=link,
                project_url=link,
                license_url=link,
                thumbnail_url=link,
                media_urls=[link],
                doi=text[:200],
                journal_ref=text[:300],
                url=link,
                votes=at,
                identifier=f"2606.9{at:04}" if at % 2 else f"web.{at:016x}",
                published_at=NOW,
            )
        )
        Observation.objects.create(paper=made[-1], at=NOW - timedelta(hours=3), votes=1)
        Observation.objects.create(paper=made[-1], at=NOW, votes=at)
    source = make.source()
    source.label = ALERTS[0]
    source.save()
    edition = make.edition(made, intro="\n\n".join(ALERTS), warnings=ALERTS)
    edition.placements.update(note="\n\n".join(ALERTS))
    return made


def addresses():
    yield from ["/", "/papers", f"/papers/date/{DAY}", "/papers/week/2026-W23", "/papers/month/2026-06"]
    yield from ["/papers/trending", "/editions"]
    yield from (f"/papers/{paper.identifier}" for paper in Paper.objects.order_by("pk"))
    for text in [*ALERTS, *ODD]:
        text = text.replace("\ufeff", "")
        yield "/?" + urlencode({"topics": text})
        yield "/papers?" + urlencode({"q": text})
        yield "/topics/preview?" + urlencode({"q": text})
    for text in (ALERTS[2], ALERTS[5], ODD[0]):
        yield "/papers/" + quote(text, safe="")
        yield "/papers/week/" + quote(text, safe="")
        yield "/papers?" + urlencode({"q": "x", "mode": text})
        yield "/papers?" + urlencode({"q": text, "category": text})
        yield "/papers/date?" + urlencode({"day": text})
        yield "/?" + urlencode({"p": text})
        yield "/editions?" + urlencode({"year": text})


@pytest.mark.parametrize("glass", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_hostile_papers_and_addresses_do_nothing_on_any_page(browser, live_server, papers, moment, glass):
    trouble = []
    context = browser.new_context(**glass)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('policy', e.violatedDirective, e.blockedURI))"
    )

    def with_policy(route):
        answer = route.fetch(max_redirects=0)
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})

    context.route(f"{live_server.url}/**", with_policy)
    context.on("request", lambda asked: asked.url.startswith(live_server.url) or trouble.append(("left", asked.url)))
    page = context.new_page()
    page.on("dialog", lambda dialog: (trouble.append(("alert", page.url)), dialog.dismiss()))
    page.on("pageerror", lambda error: trouble.append(("error", page.url, str(error))))
    page.on(
        "console",
        # Chromium tells of a page's own 404 as an error.
        lambda said: said.type == "error" and "status of 40" not in said.text and trouble.append((said.text, page.url)),
    )
    statuses = set()
    for path in addresses():
        statuses.add(page.goto(live_server.url + path).status)
        for summary in page.locator("summary").all()[:40]:
            summary.evaluate("summary => summary.parentElement.open = true")
        alive = page.evaluate(ALIVE)
        links = page.evaluate("[...document.links].map(link => link.protocol)")
        assert not alive, (path, alive)
        assert set(links) <= {"http:", "https:"}, path
        assert page.locator("footer").is_visible(), path
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= glass["viewport"]["width"], (path, width)
    page.wait_for_load_state("networkidle")
    context.unroute_all(behavior="wait")
    context.close()

    assert not trouble
    assert statuses == {200, 400, 404}
