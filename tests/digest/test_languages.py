"""Every sentence has its translation, and every page and letter says it."""

import pickle
import re
from copy import deepcopy
from html import unescape

import pytest
from django.conf import settings as configured
from django.test import Client
from django.utils import translation
from django.utils.translation import trans_real

from digest import phrases
from digest.deliveries import ledger
from digest.deliveries.queue import queue
from digest.letter import Press
from digest.models import Edition, Observation
from subscriptions import clock, consent, notices, tokens, topics
from subscriptions.consent import Topic, Visit, Wish
from subscriptions.languages import translated
from subscriptions.models import Consent, Move, Notice, Subscriber
from subscriptions.query import QueryError, parse
from subscriptions.sentences import Sentence
from subscriptions.tokens import Scope
from tests import make, messages
from tests.make import DAY, NOW
from tests.strict import read

OTHERS = [code for code, _ in configured.LANGUAGES if code != "en"]
PLACES = re.compile(r"%\(\w+\)s|%[^ (]|</?\w+[^>]*>")
FRENCH = {"HTTP_ACCEPT_LANGUAGE": "fr"}


@pytest.fixture(autouse=True)
def moment(monkeypatch, settings):
    settings.DIGEST_TODAY = DAY
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr("subscriptions.tasks.soon", lambda: None)


# The catalogue ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated(language):
    catalog = messages.catalog_of(language)

    assert messages.untranslated(catalog) == []
    assert {str(one.id) for one in messages.gathered()} == {str(one.id) for one in catalog}, "run: make messages"


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_filled_in_stands_in_the_translation_too(language):
    for one in messages.catalog_of(language):
        if not one.id:
            continue
        said = one.id[-1] if isinstance(one.id, tuple) else one.id
        told = one.string[-1] if isinstance(one.string, tuple) else one.string
        assert sorted(PLACES.findall(said)) == sorted(PLACES.findall(told)), said


@pytest.mark.parametrize("language", OTHERS)
def test_what_django_reads_is_what_was_translated(language):
    catalog = messages.catalog_of(language)

    assert messages.path_of(language).with_suffix(".mo").read_bytes() == messages.as_mo(catalog), "run: make messages"


# Which language -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepted", "cookie", "language"),
    [("", "", "en"), ("fr", "", "fr"), ("fr-CA,en;q=0.5", "", "fr"), ("de,fr;q=0.5", "", "fr"), ("de", "", "en"),
     ("en", "fr", "fr"), ("fr", "en", "en"), ("en", "FR", "fr"), ("fr", "xx", "fr"), ("fr", "../../etc", "fr"),
      ("f" * 4000, "", "en")],
)  # fmt: skip
def test_a_page_is_in_the_language_that_was_chosen_or_that_the_browser_would_rather_have(accepted, cookie, language):
    client = Client(headers={"accept-language": accepted})
    if cookie:
        client.cookies["django_language"] = cookie

    response = client.get("/")

    assert response["Content-Language"] == language
    assert "Accept-Language" in response["Vary"]
    assert f'<html lang="{language}">' in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/docs", "/api/papers/nothing", "/admin/login/"])
def test_programs_and_staff_are_answered_in_english(path):
    english, french = Client().get(path), Client(**FRENCH).get(path)

    assert re.sub(rb'value="\w{64}"', b"", french.content) == re.sub(rb'value="\w{64}"', b"", english.content)
    assert "Content-Language" not in french


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wanted", "back", "leads"),
    [("fr", "/papers?q=robot", "/papers?q=robot"), ("fr", "https://evil.example/x", "/x"),
     ("fr", "//evil.example", "/"), ("fr", "/\\evil.example", None),
     ("fr", "", "/"), ("xx", "/", "/"), ("", "/", "/"), ("fr", "javascript:1", "/"), ("fr", "//[", "/"),
     ("fr", "http://[::1/x", "/")],
)  # fmt: skip
def test_the_language_is_chosen_at_the_foot_of_a_page(wanted, back, leads):
    client = Client(enforce_csrf_checks=True)

    response = client.post("/language", {"language": wanted, "back": back})

    assert response.status_code == 302
    if leads:
        assert response["Location"] == leads
    assert not re.match(r"[^/]|/[/\\]", response["Location"])
    assert client.get("/")["Content-Language"] == (wanted if wanted == "fr" else "en")


def test_a_link_to_the_choice_is_no_choice(client):
    assert client.get("/language?language=fr").status_code == 405


# Nothing is forgotten -----------------------------------------------------------------------------------------------


@pytest.fixture
def marked(monkeypatch):
    """Whatever is translated stands between brackets; what no translator will ever see is told."""
    known, unknown = {str(one.id) for one in messages.gathered()}, set()

    def said(kind):
        real = getattr(trans_real, kind)

        def saying(*given):
            text = real(*given)
            key = str(given[:2] if kind == "ngettext" else given[0])
            if text == given[0] and key not in known and given[0].strip():
                unknown.add(key)
            return f"⟦{text}⟧" if given[0] else ""

        return saying

    kept = [value for value in vars(phrases).values() if hasattr(value, "cache_clear")]
    for words in kept:
        words.cache_clear()
    for kind in ("gettext", "ngettext", "pgettext", "npgettext"):
        monkeypatch.setattr(translation._trans, kind, said(kind))
    yield unknown
    for words in kept:
        words.cache_clear()


#: Words that are names, or data of these tests.
NAMES = re.compile(
    r"Paperboy|English|français|arXiv|Hugging Face|BibTeX|RIS|PDF|DOI|JSON|UTC|huggingface|HTML|https?://[^\s)]+|cs\.\w+"
    r"|[\w.+]+@[\w.]+|\w+/[\w/]+|robot\*?|vote[sd]?:\S+"
)


def forgotten(text):
    """The words in Latin letters outside all brackets."""
    while (rest := re.sub(r"⟦[^⟦⟧]*⟧", " ", text)) != text:
        text = rest
    return re.findall(r"[A-Za-zÀ-ÿ]{2,}", NAMES.sub(" ", text))


def words(page):
    """What a page says: its text, and what stands in attributes that are read out or shown."""
    page = re.sub(r"(?s)<(script|style|pre|code|option|textarea)\b.*?</\1>|<!--.*?-->", " ", page)
    shown = re.findall(r'(?:aria-label|placeholder|alt|title|content)="([^"]*⟦[^"]*)"', page)
    shown += re.findall(r'(?:aria-label|alt)="([^"]*)"', page)
    return unescape(" ".join([*shown, re.sub(r"<[^>]*>", " ", page)]))


def papers():
    """Papers of which everything is known, in words without Latin letters."""
    values = {"abstract": "Βββ " * 60, "authors": [{"name": f"Αα {n}", "hidden": False} for n in range(30)],
              "keywords": ["ωω"], "organization": {"name": "Οο"}, "version": 2, "comments": 3, "stars": 4,
              "code_url": "https://example.org/code", "project_url": "https://example.org/project",
              "ai_summary": "Γγγ", "doi": "10.1/1", "journal_ref": "Ππ", "discussion_id": "1",
              "license_url": "https://example.org/by"}  # fmt: skip
    many = [make.paper(f"robot {number}", **values, votes=number) for number in range(3)]
    for number in range(3):
        Observation.objects.create(paper=many[0], at=NOW.replace(hour=number), votes=number)
    return many


@pytest.mark.django_db
def test_no_page_says_anything_that_is_not_translated(marked):
    many = papers()
    edition = make.edition(many)
    edition.placements.update(note="Σσ")
    make.edition(many[:1], day=DAY.replace(day=1))
    reader = make.subscriber(topics=[("Ρρ", "robot*")])
    asked = consent.subscribe("new@example.net", Wish((Topic("Ττ", "robot"),), "weekly"), now=NOW, visit=Visit())
    move = Move.objects.create(subscriber=reader, email="other@example.net", asked_at=NOW)
    queue(now=NOW, today=DAY)
    token = {scope: tokens.issue(scope, reader.pk, now=NOW) for scope in Scope}
    confirm = tokens.issue(Scope.CONFIRM, asked.consent_id, now=NOW)
    session, account = token[Scope.SESSION], token[Scope.ACCOUNT]
    asks = ["/", "/papers", "/papers/date/2026-06-02", "/papers/week/2026-W23", "/papers/month/2026-06", "/editions",
            "/papers/trending", "/papers/date/x", "/papers/week/x", "/papers/month/2026-09", "/papers/date/1999-01-01",
            "/papers?q=robot", "/papers?q=robot -x", "/papers?q=robot OR", "/papers?q=votes:x", "/papers?q=",
            "/papers?q=Ψψ", "/papers?q=robot&since=x", "/papers?q=robot&mode=x", "/papers?p=9",
            "/topics/preview?q=robot", "/topics/preview?q=(",
            f"/papers/{many[0].identifier}", "/papers/x", "/editions?year=1", "/nothing",
            "/subscribe/embed", "/subscribe/form", "/subscribe/form?sent", "/subscribe/check-inbox",
            f"/confirm/{confirm}", "/confirm/x", f"/manage/{session}", f"/manage/{token[Scope.MANAGE]}",
            f"/account/{account}", f"/link/{token[Scope.LINK]}", f"/u/{token[Scope.UNSUBSCRIBE]}",
            f"/u/{token[Scope.UNSUBSCRIBE]}/{topics.marks('Ρρ')[0]}",
            f"/move-from/{tokens.issue(Scope.MOVE_FROM, move.pk, now=NOW)}",
            f"/move-to/{tokens.issue(Scope.MOVE_TO, move.pk, now=NOW)}",
            f"/letters/mine/{session}", f"/taste/{session}",
            f"/feedback/{token[Scope.FEEDBACK]}/{many[0].pk}"]  # fmt: skip
    posts = [("/subscribe", {"email": "x", "topics": "robot OR, (", "cadence": "x"}),
             ("/subscribe", {"email": "x@example.net", "topics": ",".join(f"a{n}" for n in range(101))}),
             (f"/manage/{session}", {"cadence": "chosen", "send_hour": "99", "max_papers": "0"}),
             (f"/manage/{session}/topics", {"topic-TOTAL_FORMS": "2", "topic-INITIAL_FORMS": "2",
              "topic-0-name": "Ρ", "topic-0-query": "robot", "topic-1-name": "Ρ", "topic-1-query": "robot*"}),
             (f"/manage/{session}/add", {}), (f"/manage/{session}/pause", {"until": "2020-01-01"}),
             (f"/manage/{session}/import", {"text": "robot\nΩ OR\nΦ = ("}),
             (f"/manage/{session}/import", {"text": '<!DOCTYPE opml><opml/>'}), (f"/manage/{session}/import", {}),
             (f"/account/{account}/move", {"email": "x"}), (f"/account/{account}/erase", {}),
             (f"/feedback/{token[Scope.FEEDBACK]}/{many[0].pk}", {"kind": "more"}),
             (f"/link/{token[Scope.LINK]}", {}), (f"/confirm/{confirm}", {})]  # fmt: skip
    client = Client(**FRENCH)
    found = {}

    for path in asks:
        found[path] = client.get(path)
    for path, data in posts:
        found[path, str(data)[:80]] = client.post(path, data, follow=True)

    statuses = {path: response.status_code for path, response in found.items()}
    assert not [path for path, status in statuses.items() if status >= 500 or status == 405]
    assert {path for path in asks if statuses[path] == 404} == {
        "/papers/date/x", "/papers/week/x", "/papers/month/2026-09", "/papers/date/1999-01-01", "/papers?p=9",
        "/papers/x", "/editions?year=1", "/nothing", "/confirm/x",
    }  # fmt: skip
    left = {path: forgotten(words(response.content.decode())) for path, response in found.items()}
    assert {path: rest for path, rest in left.items() if rest} == {}
    assert marked == set()


@pytest.mark.django_db
def test_a_plot_has_the_same_numbers_in_every_language():
    make.edition(many := papers())
    make.edition([make.paper("robot")], day=DAY.replace(day=1))
    for path in ("/topics/preview?q=robot", f"/papers/{many[0].identifier}"):
        english, french = (
            Client(headers={"accept-language": code}).get(path).content.decode() for code in ("en", "fr")
        )
        plot = re.compile(r'\b(?:x|y|width|height|points|viewBox)="[^"]*"')
        assert plot.findall(english) == plot.findall(french)
        assert "<rect" in french or "<polyline" in french


@pytest.mark.django_db
def test_no_letter_says_anything_that_is_not_translated(marked):
    many = papers()
    edition = make.edition(many, is_sample=True)
    reader = make.subscriber(topics=[("Ρρ", "robot votes:>=1 has:code cat:cs date:2026"), ("Ππ", "-Ψψ")], language="fr")
    queue(now=NOW, today=DAY)
    rows = ledger.waiting(ledger.claim("w", now=NOW), now=NOW)
    press = Press(Edition.objects.get(pk=edition.pk), "fr")
    press.prepare(row.sections for row in rows)
    (row,) = rows
    asked = Consent.objects.create(subscriber=reader, event="requested", at=NOW)
    move = Move.objects.create(subscriber=reader, email="other@example.net", asked_at=NOW)

    letters = [press.write(row), press.write(row._replace(sections=[], papers_count=0))]
    for kind in Notice.Kind:
        owed = Notice(pk=1, subscriber=reader, consent=asked, move=move, kind=kind, created_at=NOW)
        letters.append(notices.letter(owed, now=NOW))

    for one in letters:
        seen = read(one.as_bytes(now=NOW))
        for text in (one.subject, seen.text, words(seen.html)):
            assert forgotten(text) == [], text
    assert marked == set()


# What it is for -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_who_signs_up_in_french_gets_french_letters(client):
    client.post("/subscribe", {"email": "lectrice@example.net", "topics": "robot"}, **FRENCH)

    reader = Subscriber.objects.get()
    owed = notices.letter(Notice.objects.get(), now=NOW)
    assert reader.language == "fr"
    assert owed.subject.startswith("Veuillez confirmer")
    assert Consent.objects.get().text_version == f"{consent.TEXT_VERSION}.fr"


@pytest.mark.django_db
def test_each_reader_gets_the_letter_in_their_language():
    edition = make.edition([make.paper("Robots", votes=1200)])
    for language in ("en", "fr", "xx"):
        make.subscriber(f"{language}@example.net", topics=[("Topic", "robot votes:>=1")], language=language)
    queue(now=NOW, today=DAY)
    rows = {row.language: row for row in ledger.waiting(ledger.claim("w", now=NOW), now=NOW)}

    letters = {}
    for language, row in rows.items():
        press = Press(edition, language)
        press.prepare([row.sections])
        letters[language] = press.write(row)

    assert letters["en"].subject == "1 paper for Tue 2 June: Topic"
    assert letters["fr"].subject == "1 article pour le mardi 2 juin\xa0: Topic"
    assert letters["xx"].subject == letters["en"].subject
    english, french = (read(letters[language].as_bytes(now=NOW)) for language in ("en", "fr"))
    assert "Topic: Robots in the title, 1,200 votes" in english.text
    assert "Topic\xa0: Robots dans le titre, 1\xa0200 votes" in french.text
    assert '<html lang="fr">' in french.html


@pytest.mark.django_db
def test_a_reader_changes_the_language_of_letters(client):
    reader = make.subscriber()
    path = f"/manage/{tokens.issue(Scope.SESSION, reader.pk, now=NOW)}"
    values = {"cadence": "daily", "send_hour": "9", "time_zone": "UTC", "max_papers": "5", "format": "html"}

    client.post(path, {**values, "language": "fr"})
    reader.refresh_from_db()
    assert reader.language == "fr"
    client.post(path, values)
    reader.refresh_from_db()
    assert reader.language == "fr"
    assert client.post(path, {**values, "language": "xx"}).status_code == 400


@pytest.mark.django_db
def test_a_program_hears_in_english_what_a_page_says_in_french(client):
    page = client.get("/papers", {"q": "votes:x"}, **FRENCH).content.decode()
    program = client.get("/api/v1/topics/preview", {"q": "votes:x"}, **FRENCH).json()

    assert "votes: attend un nombre, par exemple votes:&gt;=20, et non &#x27;x&#x27;." in page
    assert program["message"] == "votes: takes a number, such as votes:>=20, not 'x'."


def test_a_sentence_is_english_where_no_language_is_known():
    with translation.override("fr"), pytest.raises(QueryError, match="A query may have 2,000 characters"):
        parse("x" * 2001)


@pytest.mark.django_db
def test_a_letter_that_is_too_long_is_short_in_its_own_language():
    many = [
        make.paper(f"Robot {number} {'x' * 300}", abstract="robot " * 300, votes=9, comments=3) for number in range(90)
    ]
    edition = make.edition(many)
    make.subscriber(topics=["robot"], max_papers=100, language="fr")
    queue(now=NOW, today=DAY)
    (row,) = ledger.waiting(ledger.claim("w", now=NOW), now=NOW)
    press = Press(edition, "fr")
    press.prepare([row.sections])

    html = read(press.write(row).as_bytes(now=NOW)).html

    assert html.count("Donner votre avis") > 30
    assert "More or less" not in html
    assert re.search(r"et \d+ de plus sur la page web du jour", html)


@pytest.mark.django_db
def test_what_is_in_a_readers_language_says_so(client):
    make.edition([make.paper("Robots")])
    reader = make.subscriber(topics=["robot"], language="fr")
    feed = client.get(f"/feeds/mine/{tokens.issue(Scope.FEED, reader.pk, now=NOW)}.atom")
    queue(now=NOW, today=DAY)
    page = client.get(f"/letters/{tokens.issue(Scope.LETTER, reader.deliveries.get().pk, now=NOW)}")

    assert (feed["Content-Language"], page["Content-Language"]) == ("fr", "fr")
    assert "dans le titre" in feed.content.decode()
    assert "dans le titre" in page.content.decode()
    assert "Content-Language" not in client.get("/robots.txt", **FRENCH)


def test_a_sentence_is_the_same_after_a_copy():
    sentence = Sentence("%(count)s of %(what)s", count=1200, what="100%s")
    for copy in (pickle.loads(pickle.dumps(sentence)), deepcopy(sentence)):
        assert (copy, copy.template, copy.values) == (sentence, sentence.template, sentence.values)
    assert translated(sentence) == sentence == "1,200 of 100%s"
