"""Delivery to message: the one place where a digest becomes mail.

What is the same for many letters is rendered once: a paper once, the frame around it once an edition. The templates in
`templates/email/digest/` are rendered with marks where a letter's own words go, and cut there; a letter is the parts
joined, with its reasons, labels and links in between.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from html import escape
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import date_format

from digest import prose, reasons
from digest.documents import documents
from digest.models import Delivery, Edition, Paper, Placement
from subscriptions import mail, tokens
from subscriptions.models import Subscriber
from subscriptions.query import Query, QueryError, matches, parse
from subscriptions.tokens import Scope

#: Gmail cuts a message off near 102 KB and hides its end, the way out with it.
HTML_BYTES = 90_000
ABSTRACT_CHARACTERS = 700
AUTHORS_SHOWN = 4
SUBJECT_CHARACTERS = 78
TEXT_WIDTH = 74
#: Characters of the private use area: no paper holds them, `prose` takes them out.
_MARK = "\ue000{}\ue001"
_CUT = re.compile("\ue000(\\w+)\ue001")


class Parts:
    """A rendered template, cut at its marks."""

    def __init__(self, template: str, context: Mapping[str, Any], marks: Sequence[str]) -> None:
        marked = {name: _MARK.format(name) for name in marks}
        self.pieces = _CUT.split(render_to_string(template, {**context, **marked}))

    def fill(self, **values: str) -> str:
        """The template with the marks' values, which must be safe for its kind of text."""
        pieces = self.pieces
        return "".join(values[piece] if at % 2 else piece for at, piece in enumerate(pieces))


@dataclass(frozen=True, slots=True)
class Rendered:
    """One paper as it stands in every letter: in full, and brief, for letters that would grow too long."""

    html: Parts
    brief_html: Parts
    text: Parts


class Press:
    """Writes the letters of one edition; keeps what it rendered."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.papers: dict[int, Rendered] = {}
        self.documents: dict[int, Any] = {}
        self.notes = dict(Placement.objects.filter(edition=edition).exclude(note="").values_list("paper_id", "note"))
        context = {
            "edition": edition,
            "intro_html": prose.markdown(edition.intro),
            "intro_text": prose.markdown_text(edition.intro),
            "name": settings.DIGEST_NAME,
            "site": settings.DIGEST_BASE_URL,
            "edition_url": settings.DIGEST_BASE_URL + reverse("edition", args=[edition.date]),
            "postal_address": settings.DIGEST_POSTAL_ADDRESS,
        }
        links = ["sections", "unsubscribe_url", "link_url", "day", "summary"]
        self.frame_html = Parts("email/digest/body.html", context, [*links, "more"])
        self.frame_text = Parts("email/digest/body.txt", context, links)
        self.section_html = Parts("email/digest/section.html", {}, ["label", "papers"])
        self.section_text = Parts("email/digest/section.txt", {}, ["label", "rule", "papers"])

    def prepare(self, deliveries: Iterable[Delivery]) -> None:
        """Load and render the papers of a batch that were not rendered before: two queries, whatever its size."""
        wanted = {paper for delivery in deliveries for _, _, papers in delivery.sections for paper in papers}
        rows = list(Paper.objects.filter(pk__in=wanted - self.papers.keys()))
        for paper, document in zip(rows, documents(rows), strict=True):
            self.documents[paper.pk] = document
            self.papers[paper.pk] = self._render(paper)

    def write(self, delivery: Delivery, subscriber: Subscriber) -> mail.Letter:
        """The letter of a prepared delivery. It is the same on every attempt but for the signatures of its links."""
        unsubscribe = self._link("unsubscribe", Scope.UNSUBSCRIBE, subscriber, delivery)
        links = {
            "unsubscribe_url": unsubscribe,
            "link_url": self._link("link", Scope.LINK, subscriber, delivery),
            "day": date_format(delivery.day, "l, j F Y"),
            "summary": summary(delivery),
        }
        html_links = {name: escape(value) for name, value in links.items()}
        html = "" if subscriber.format == Subscriber.Format.TEXT else self._html(delivery, html_links)
        text = self.frame_text.fill(sections=self._sections_text(delivery), **links)
        return mail.Letter(
            to=delivery.email,
            subject=subject(delivery),
            text=text,
            html=html,
            headers=headers(delivery, self.edition, unsubscribe),
        )

    def _render(self, paper: Paper) -> Rendered:
        context = {
            "paper": paper,
            "authors": authors_line(paper),
            "abstract": shorten(paper.ai_summary or paper.abstract, ABSTRACT_CHARACTERS),
            "is_summary": bool(paper.ai_summary),
            "note_html": prose.markdown(self.notes.get(paper.pk, "")),
            "note_text": prose.markdown_text(self.notes.get(paper.pk, "")),
        }
        brief = {**context, "abstract": ""}
        return Rendered(
            Parts("email/digest/paper.html", context, ["reason"]),
            Parts("email/digest/paper.html", brief, ["reason"]),
            Parts("email/digest/paper.txt", context, ["reason"]),
        )

    def _html(self, delivery: Delivery, links: Mapping[str, str]) -> str:
        """In full while there is room; then the last papers brief; then the last ones left to the web page."""
        total = delivery.papers_count
        letter = self._html_of(delivery, links, full=total, shown=total)
        full = shown = total
        while len(letter.encode()) > HTML_BYTES and shown:
            over = len(letter.encode()) - HTML_BYTES
            step = max(1, over * total // max(1, len(letter.encode())))
            if full:
                full = max(0, full - step)
            else:
                shown = max(0, shown - step)
            letter = self._html_of(delivery, links, full=full, shown=shown)
        return letter

    def _html_of(self, delivery: Delivery, links: Mapping[str, str], *, full: int, shown: int) -> str:
        sections, number = [], 0
        for label, query, keys in delivery.sections:
            papers = []
            for key in keys:
                number += 1
                if number <= shown and (rendered := self.papers.get(key)):
                    parts = rendered.html if number <= full else rendered.brief_html
                    papers.append(parts.fill(reason=self._reason_html(label, query, key)))
            if papers:
                sections.append(self.section_html.fill(label=escape(label or TRENDING), papers="".join(papers)))
        left = delivery.papers_count - shown
        more = f"and {left} more on the web page of the day" if left else ""
        return self.frame_html.fill(sections="".join(sections), more=more, **links)

    def _sections_text(self, delivery: Delivery) -> str:
        sections = []
        for label, query, keys in delivery.sections:
            papers = [
                rendered.text.fill(reason=self._reason_text(label, query, key))
                for key in keys
                if (rendered := self.papers.get(key))
            ]
            title = label or TRENDING
            sections.append(self.section_text.fill(label=title, rule="=" * len(title), papers="".join(papers)))
        return "".join(sections)

    def _reason_html(self, label: str, query: str, paper: int) -> str:
        if not label:
            return "trending today"
        found = ", ".join(
            f"<strong>{escape(reason.what)}</strong> {escape(reason.where)}".rstrip()
            for reason in self._reasons(query, paper)
        )
        return f"<em>{escape(label)}</em>: {found}"

    def _reason_text(self, label: str, query: str, paper: int) -> str:
        if not label:
            return "trending today"
        found = f"{label}: " + ", ".join(str(reason) for reason in self._reasons(query, paper))
        return textwrap.fill(found, TEXT_WIDTH, subsequent_indent="  ")

    def _reasons(self, query: str, paper: int) -> list[reasons.Reason]:
        parsed, document = _parsed(query), self.documents[paper]
        match = matches(parsed, document) if parsed else None
        # A vote less, or a new version, and the paper matches no more: the topic alone is the reason then.
        return reasons.reasons(match, document) if match else [reasons.Reason("matched when the edition was made")]

    def _link(self, view: str, scope: Scope, subscriber: Subscriber, delivery: Delivery) -> str:
        token = tokens.issue(scope, subscriber.pk, now=delivery.created_at)
        return f"{settings.DIGEST_BASE_URL}{reverse(view, args=[token])}"


TRENDING = "Trending today"


@lru_cache(maxsize=100_000)
def _parsed(query: str) -> Query | None:
    try:
        return parse(query)
    except QueryError:
        return None


def headers(delivery: Delivery, edition: Edition, unsubscribe_url: str) -> dict[str, str]:
    """RFC 8058, 2369, 2919 and 3834, and Gmail's Feedback-ID."""
    domain = settings.DIGEST_DOMAIN
    return {
        "Message-ID": f"<d.{delivery.key}@{domain}>",
        "List-Id": f"{settings.DIGEST_NAME} daily digest <daily.{domain}>",
        "List-Unsubscribe": f"<{unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Archive": f"<{settings.DIGEST_BASE_URL}{reverse('edition', args=[edition.date])}>",
        "Feedback-ID": f"{edition.date:%Y%m%d}:daily:paperboy:{settings.DIGEST_FEEDBACK_SENDER}",
        "Auto-Submitted": "auto-generated",
        "Precedence": "bulk",
        "X-Delivery-ID": delivery.key,
    }


def subject(delivery: Delivery) -> str:
    """Count and date first, then topics while there is room: "7 papers for Tue 2 June: robots, tiny models"."""
    start = f"{_papers(delivery.papers_count)} for {_short_day(delivery.day)}"
    labels = [mail.one_line(label) for label, _, _ in delivery.sections if label] or ["trending today"]
    shown = ""
    for label in labels:
        longer = f"{shown}, {label}" if shown else f": {label}"
        if len(start) + len(longer) > SUBJECT_CHARACTERS:
            break
        shown = longer
    return start + shown


def summary(delivery: Delivery) -> str:
    """The line that mail programs show beside the subject."""
    counts = [f"{len(papers)} {label or 'trending'}" for label, _, papers in delivery.sections]
    return f"{_papers(delivery.papers_count)}: {', '.join(counts)}" if counts else "No paper matched your topics."


def authors_line(paper: Paper) -> str:
    names = paper.visible_authors
    more = len(names) - AUTHORS_SHOWN
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:AUTHORS_SHOWN])} and {more} more"


def shorten(text: str, most: int) -> str:
    """Cut at the end of a word."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(",;:. ") + " …"


def _papers(count: int) -> str:
    return f"{count} paper" if count == 1 else f"{count or 'No'} papers"


def _short_day(day: date) -> str:
    return date_format(day, "D j F")
