"""Feeds of the day, of what is trending, of a search, and of a reader's own topics."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.html import linebreaks
from django.utils.http import http_date, quote_etag
from django.utils.translation import get_language, gettext, override

from digest import archive, cards, keeping, prose, search, stamps, syndication
from digest.documents import documents, resolved
from digest.models import Paper
from digest.reasons import reasons
from digest.syndication import Entry, Feed
from digest.views.page import Missing, address, asked, page
from subscriptions import clock, tokens
from subscriptions.forms import hint
from subscriptions.languages import translated
from subscriptions.models import Subscriber
from subscriptions.query import QueryError, matches, parse
from subscriptions.tokens import Scope, TokenError

#: Editions and papers of a feed at most; days and papers of a reader's own, whose papers are read for the reasons.
EDITIONS, MOST = 10, 200
OWN_DAYS, OWN_MOST = 14, 100
_READS = {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED}


@page
@keeping.kept()
def feed(request: HttpRequest, name: str, form: str) -> HttpResponse:
    """One of those that are the same for everybody."""
    return {"daily": _daily, "trending": _trending, "search": _found}[name](request, form)


def _daily(request: HttpRequest, form: str) -> HttpResponse:
    """The papers of the last editions, the newest first, each edition in its editor's order."""
    editions = list(archive.published(clock.today())[:EDITIONS])
    rows = [row for edition in editions for row in archive.of_edition(edition)[:MOST]][:MOST]
    notes = {row.paper_id: row.note for row in rows}
    papers = list({row.paper_id: row.paper for row in rows}.values())
    return _answer(
        form,
        gettext("%(site_name)s: the day's papers") % {"site_name": settings.DIGEST_NAME},
        "front",
        papers,
        notes=notes,
    )


def _trending(request: HttpRequest, form: str) -> HttpResponse:
    keys = archive.trending(clock.today(), now=clock.now())
    return _answer(
        form,
        gettext("%(site_name)s: trending papers") % {"site_name": settings.DIGEST_NAME},
        "trending",
        archive.in_order(keys),
    )


def _found(request: HttpRequest, form: str) -> HttpResponse:
    """What a topic `?q=` means, the newest first."""
    text = asked(request)
    try:
        parse(text)
        results = search.find(text, mode="words", sort="newest", most=MOST)
    except QueryError as error:
        sentence = f"{translated(error.message)} {hint(error)}".rstrip()
        raise Missing(sentence, status=HTTPStatus.BAD_REQUEST) from error
    papers = archive.in_order([one.paper for one in results.found])
    return _answer(
        form,
        gettext("%(site_name)s: %(topic)s") % {"site_name": settings.DIGEST_NAME, "topic": text},
        "papers",
        papers,
        q=text,
    )


@page
def mine(request: HttpRequest, token: str, form: str) -> HttpResponse:
    """What a reader's topics found in the editions of the last days. The link is theirs alone."""
    try:
        key = tokens.read(token, Scope.FEED, now=clock.now())
    except TokenError as error:
        raise Missing(
            gettext("This feed is not there any more: take its address anew from your subscription.")
        ) from error
    reader = Subscriber.objects.filter(pk=key, status__in=_READS).first()
    if reader is None:
        raise Missing(gettext("This feed ended with the subscription."))
    topics = _topics(reader)
    # Programs ask all day long: what cannot have changed is not put together again.
    etag = quote_etag(sha256(f"{stamps.read()} {clock.today()} {topics} {reader.language}".encode()).hexdigest()[:32])
    response = get_conditional_response(request, etag=etag)
    if response is None:
        with override(reader.language):
            papers, why = _by_topics(topics)
            title = gettext("%(site_name)s: your topics") % {"site_name": settings.DIGEST_NAME}
            response = _answer(form, title, "front", papers, why=why, token=token)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    response["X-Robots-Tag"] = "noindex"
    return response


def _topics(reader: Subscriber) -> list[tuple[str, str]]:
    """Name and query of each topic that is not muted, in the reader's order."""
    rows = reader.subscriptions.filter(is_muted=False).order_by("position", "pk")
    return list(rows.values_list("label", "query"))


def _by_topics(topics: Sequence[tuple[str, str]]) -> tuple[list[Paper], dict[int, str]]:
    """The newest papers that any topic means, and for each which topic, and why."""
    today = clock.today()
    rows = archive.shown(today - timedelta(days=OWN_DAYS - 1), today).order_by("-edition__date", "rank", "pk")
    order = {key: at for at, key in enumerate(rows.values_list("paper_id", flat=True))}
    labels: dict[int, tuple[str, str]] = {}
    for label, query in topics:
        try:
            meant = search.exact(parse(query))
        except QueryError:
            continue  # as in letters, it finds nothing
        for key in meant & order.keys():
            labels.setdefault(key, (label, query))
    papers = archive.in_order(sorted(labels, key=order.__getitem__)[:OWN_MOST])
    why = {}
    for paper, document in zip(papers, documents(papers), strict=True):
        label, query = labels[paper.pk]
        match = matches(resolved(parse(query)), document)
        because = ", ".join(str(cards.worded(reason)) for reason in reasons(match, document)) if match else ""
        why[paper.pk] = gettext("%(topic)s: %(why)s") % {"topic": label, "why": because}
    return papers, why


def _answer(
    form: str, title: str, view: str, papers: Sequence[Paper], *, q: str = "", token: str = "",
    notes: Mapping[int, str] | None = None, why: Mapping[int, str] | None = None,
) -> HttpResponse:  # fmt: skip
    site = settings.DIGEST_BASE_URL
    notes, why = notes or {}, why or {}
    appeared = archive.appeared([paper.pk for paper in papers], today=clock.today())
    here = "search" if q else {"front": "daily"}.get(view, view)
    own = reverse("my_feed", args=[token, form]) if token else address(reverse("feed", args=[here, form]), q=q)
    feed = Feed(
        language=get_language() or settings.LANGUAGE_CODE,
        title=title,
        description=gettext("Papers, with what is known of each."),
        url=site + address(reverse(view), q=q),
        address=site + own,
        at=clock.now().replace(hour=0, minute=0, second=0, microsecond=0),
        entries=[
            _entry(
                paper,
                at=appeared.get(paper.pk, paper.created_at),
                note=notes.get(paper.pk, ""),
                why=why.get(paper.pk, ""),
            )
            for paper in papers
        ],
    )
    response = HttpResponse(syndication.written(feed, form), content_type=syndication.TYPES[form])
    response["Last-Modified"] = http_date(feed.updated_at.timestamp())
    response["Content-Language"] = feed.language
    return response


def _entry(paper: Paper, *, at: datetime, note: str, why: str) -> Entry:
    """Dated by its first edition, so that a new edition is new to all who ask, and votes make nothing new again."""
    parts = [f"<p><em>{escape(why)}</em></p>"] if why else []
    if note:
        parts.append(prose.markdown(note))
    if paper.ai_summary:
        mark = gettext("(AI summary)")
        parts.append(f"<p>{escape(paper.ai_summary)} <small>{mark}</small></p>")
    parts.append(linebreaks(paper.abstract, autoescape=True))
    source = prose.link(paper.url)
    links = ((gettext("Read it"), source), ("PDF", cards.pdf(paper)), (gettext("Code"), prose.link(paper.code_url)))
    shown = [f'<a href="{escape(url)}">{words}</a>' for words, url in links if url]
    parts.append(f"<p>{' · '.join(shown)}</p>" if shown else "")
    return Entry(
        source=source,
        url=settings.DIGEST_BASE_URL + reverse("paper", args=[paper.identifier]),
        title=paper.title,
        html="\n".join(parts),
        authors=tuple(paper.visible_authors),
        categories=tuple(dict.fromkeys([*paper.categories, *paper.keywords])),
        at=at,
    )
