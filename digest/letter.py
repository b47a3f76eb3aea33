"""Delivery to message: the one place where a digest becomes mail.

What is the same for many letters is rendered once: a paper once, the frame around it once an edition. The templates in
`templates/email/digest/` are rendered with marks where a letter's own words go, and cut there; a letter is the parts
joined, with its reasons, labels and links in between.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from html import escape
from secrets import token_hex
from typing import Any, TypeAlias

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext, override

from digest import phrases, prose
from digest.documents import Points, documents
from digest.explain import Encoded, Explainer
from digest.models import Edition, Paper, Placement
from digest.names import name_of
from digest.taken import Sections, Taken
from subscriptions import mail, tokens, topics
from subscriptions.mail import encode
from subscriptions.models import Subscriber
from subscriptions.query import Document
from subscriptions.tokens import Scope

#: Gmail cuts a message off near 102 KB and hides its end, the way out with it.
HTML_BYTES = 90_000
#: An introduction longer than this is shortened to text, so that there is room for papers and for the way out.
INTRO_BYTES, INTRO_CHARACTERS = 30_000, 2_000
ABSTRACT_CHARACTERS = 700
AUTHORS_SHOWN = 4
#: More papers than a letter has.
ALL = 10**9
#: Reasons and names of topics that a press keeps, some 25 MB; of a hundred thousand letters most share theirs.
REASONS_KEPT, OPENINGS_KEPT = 100_000, 10_000
#: Not to be guessed, so that no paper's or editor's text holds one.
_MARK = f"\ue000{token_hex(8)}:{{}}\ue001"
_CUT = re.compile(_MARK.format(r"(\w+)"))

#: What is each letter's own about a paper.
MARKS = ("reason", "token")
#: Encoded text, to be joined.
Pieces: TypeAlias = Sequence[bytes]


class Parts:
    """A rendered template, encoded and cut at its marks: what is the same in many letters is encoded once."""

    def __init__(self, template: str, context: Mapping[str, Any], marks: Sequence[str]) -> None:
        marked = {name: _MARK.format(name) for name in marks}
        pieces = _CUT.split(render_to_string(template, {**context, **marked}))
        #: encoded text and names of marks, in turn
        self.pieces: list[bytes | str] = [piece if at % 2 else encode(piece) for at, piece in enumerate(pieces)]

    def fill(self, values: Mapping[str, Pieces]) -> list[bytes]:
        """The template's pieces with the marks' encoded values, which must be safe for its kind of text."""
        filled: list[bytes] = []
        for piece in self.pieces:
            if isinstance(piece, bytes):
                filled.append(piece)
            else:
                filled += values[piece]
        return filled

    def around(self) -> tuple[bytes, ...]:
        """What stands before, between and after the marks, where each stands once and in their order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, bytes))


class Rendered:
    """One paper as it stands in every letter, around its reason and the token of the link that asks what one says."""

    def __init__(self, context: dict[str, Any], why: Explainer, language: str) -> None:
        self._context, self.why, self._language = context, why, language
        self.html = Parts("email/digest/paper.html", context, MARKS).around()
        self.text = Parts("email/digest/paper.txt", context, MARKS).around()

    @cached_property
    def brief(self) -> tuple[bytes, ...]:
        """For letters that grow too long."""
        with override(self._language):
            return Parts("email/digest/paper.html", {**self._context, "abstract": ""}, MARKS).around()


@dataclass(frozen=True, slots=True)
class Opening:
    """A topic's name, encoded for each of its places: what begins its section, and what stands before each reason.

    A section ends with the way out of its topic: what stands before the reader's own link to leave, and after it. The
    trending papers have none, and are one piece.
    """

    html_section: bytes
    text_section: bytes
    html: bytes
    text: bytes
    html_end: tuple[bytes, ...]
    text_end: tuple[bytes, ...]


class Press:
    """Writes the letters of one edition in one language; keeps what it rendered."""

    def __init__(self, edition: Edition, language: str = settings.LANGUAGE_CODE) -> None:
        self.edition, self.language = edition, language
        self.papers: dict[int, Rendered] = {}
        #: Papers that cannot be rendered, and why: letters with one of them fail, the others leave.
        self.failures: dict[int, str] = {}
        self.notes = dict(Placement.objects.filter(edition=edition).exclude(note="").values_list("paper_id", "note"))
        context = {
            "edition": edition,
            "intro_html": _intro(edition.intro),
            "intro_text": prose.markdown_text(edition.intro),
            "LANGUAGE_CODE": language,
            "name": settings.DIGEST_NAME,
            "site": settings.DIGEST_BASE_URL,
            "edition_url": settings.DIGEST_BASE_URL + reverse("edition", args=[edition.date]),
            "postal_address": settings.DIGEST_POSTAL_ADDRESS,
        }
        links = ["sections", "unsubscribe_url", "link_url", "letter_url", "day", "summary"]
        with override(language):
            self.frame_html = Parts("email/digest/body.html", context, [*links, "more"])
            self.frame_text = Parts("email/digest/body.txt", context, links)
            marks = ["label", "rule", "papers", "leave_url"]
            self.section_html = Parts("email/digest/section.html", {}, marks).around()
            self.section_text = Parts("email/digest/section.txt", {}, marks).around()
            self.trending_html = Parts("email/digest/section.html", {}, marks[:3]).around()
            self.trending_text = Parts("email/digest/section.txt", {}, marks[:3]).around()
        self.points = Points()
        self._openings: dict[str, Opening] = {}
        #: topic → paper → reason
        self._reasons: dict[str, dict[int, Encoded]] = {}
        self._reasons_kept = 0
        self.unsubscribe_link = Link("unsubscribe", Scope.UNSUBSCRIBE)
        self.manage_link = Link("link", Scope.LINK)
        self.feedback_link = Link("feedback", Scope.FEEDBACK, 0)
        self.letter_link = Link("letter", Scope.LETTER)
        self.headers = headers(edition)
        self.domain, self.bounce_domain = settings.DIGEST_DOMAIN, settings.DIGEST_BOUNCE_DOMAIN
        self.leave_address = settings.DIGEST_LEAVE_ADDRESS

    def prepare(self, digests: Iterable[Sections]) -> None:
        """Load and render the papers of a batch that were not rendered before: two queries, whatever its size."""
        wanted = {paper for sections in digests for _, _, papers in sections for paper in papers}
        missing = wanted - self.papers.keys() - self.failures.keys()
        if not missing:
            return
        rows = list(Paper.objects.filter(pk__in=missing))
        for paper, document in zip(rows, documents(rows), strict=True):
            try:
                with override(self.language):
                    self.papers[paper.pk] = self._render(paper, document)
            except (LookupError, TypeError, ValueError) as error:
                self.failures[paper.pk] = f"{paper.identifier}: {type(error).__name__}: {error}"

    def write(self, row: Taken) -> mail.Letter:
        """The letter of a prepared delivery. It is the same on every attempt but for the signatures of its links.

        Raises mail.Unwritable where a paper of it could not be rendered.
        """
        if self.failures:
            for _, _, keys in row.sections:
                if broken := self.failures.keys() & set(keys):
                    raise mail.Unwritable(self.failures[min(broken)])
        unsubscribe = self.unsubscribe_link.token(row.subscriber, now=row.created_at)
        manage = self.manage_link.token(row.subscriber, now=row.created_at)
        letter = self.letter_link.token(row.delivery, now=row.created_at)
        name, line = name_of(row.delivery), phrases.summary(row)
        links: dict[str, Pieces] = {
            "unsubscribe_url": (self.unsubscribe_link.encoded(unsubscribe),),
            "link_url": (self.manage_link.encoded(manage),),
            "letter_url": (self.letter_link.encoded(letter),),
            "day": (phrases.heading(row.day, self.language),),
            "summary": (encode(line),),
        }
        html, text = self._sections(row, links)
        text = self.frame_text.fill({**links, "sections": text})
        if row.format == Subscriber.Format.TEXT:
            html = []
        else:
            if (escaped := escape(line)) != line:
                links["summary"] = (encode(escaped),)
            html = self.frame_html.fill({**links, "sections": html, "more": ()})
            if sum(map(len, html)) > HTML_BYTES:
                html = self._shorter(row, links)
        return mail.Letter(
            to=row.email,
            subject=phrases.subject(row),
            text=text,
            html=html,
            headers={
                "Message-ID": f"<d.{name}@{self.domain}>",
                "List-Unsubscribe": self._ways_out(unsubscribe),
                "X-Delivery-ID": name,
            },
            common=self.headers,
            bounces_to=f"bounces+{name}@{self.bounce_domain}" if self.bounce_domain else "",
        )

    def _ways_out(self, token: str) -> str:
        """The link, and where mail is read, mail with the same token as its subject (RFC 2369)."""
        link = f"<{self.unsubscribe_link.url(token)}>"
        return f"{link}, <mailto:{self.leave_address}?subject={token}>" if self.leave_address else link

    def _render(self, paper: Paper, document: Document) -> Rendered:
        context = {
            "paper": paper,
            "feedback_url": self.feedback_link.before,
            "authors": authors_line(paper),
            "abstract": shorten(paper.ai_summary or paper.abstract, ABSTRACT_CHARACTERS),
            "is_summary": bool(paper.ai_summary),
            "note_html": prose.markdown(self.notes.get(paper.pk, "")),
            "note_text": prose.markdown_text(self.notes.get(paper.pk, "")),
        }
        return Rendered(context, Explainer(document, self.points.resolved), self.language)

    def _sections(
        self, row: Taken, links: Mapping[str, Pieces], *, full: int = ALL, shown: int = ALL
    ) -> tuple[list[bytes], list[bytes]]:
        """The sections as HTML and as text. Of the HTML the first `shown` papers alone, and after `full` brief."""
        html: list[bytes] = []
        text: list[bytes] = []
        leave = links["unsubscribe_url"]
        token = encode(self.feedback_link.token(row.subscriber, now=row.created_at))
        number = 0
        for label, query, keys in row.sections:
            opening = self._openings.get(label) or self._opening(label)
            reasons = self._reasons_of(query)
            begun_html = begun_text = False
            for key in keys:
                if (rendered := self.papers.get(key)) is None:  # deleted since
                    continue
                reason = reasons.get(key)
                if reason is None:
                    with override(self.language):
                        reason = reasons[key] = rendered.why.encoded(query)
                    self._reasons_kept += 1
                if number < shown:
                    if not begun_html:
                        html.append(opening.html_section)
                        begun_html = True
                    before, between, after = rendered.html if number < full else rendered.brief
                    html += (before, opening.html, reason.html, between, token, after)
                if not begun_text:
                    text.append(opening.text_section)
                    begun_text = True
                before, between, after = rendered.text
                text += (before, opening.text, reason.text, between, token, after)
                number += 1
            if begun_html:
                html += _joined(opening.html_end, leave)
            if begun_text:
                text += _joined(opening.text_end, leave)
        return html, text

    def _shorter(self, row: Taken, links: Mapping[str, Pieces]) -> list[bytes]:
        """HTML within the bound: the last papers brief; then the last ones left to the web page."""
        full = shown = total = row.papers_count
        while True:
            left = row.papers_count - shown
            with override(self.language):
                said = gettext("and %(count)s more on the web page of the day") % {"count": left}
            more = [encode(said)] if left else []
            sections, _ = self._sections(row, links, full=full, shown=shown)
            letter = self.frame_html.fill({**links, "sections": sections, "more": more})
            size = sum(map(len, letter))
            if size <= HTML_BYTES or not shown:
                return letter
            step = max(1, (size - HTML_BYTES) * total // size)
            if full:
                full = max(0, full - step)
            else:
                shown = max(0, shown - step)

    def _reasons_of(self, query: str) -> dict[int, Encoded]:
        """The reasons found so far for a topic, by paper."""
        if self._reasons_kept > REASONS_KEPT:
            self._reasons.clear()
            self._reasons_kept = 0
        return self._reasons.setdefault(query, {})

    def _opening(self, label: str) -> Opening:
        if len(self._openings) > OPENINGS_KEPT:
            self._openings.clear()
        words = phrases.words(self.language)
        title = label or words.title
        html_start, html_between, *html_end = self.section_html if label else self.trending_html
        text_start, text_between, text_before, *text_end = self.section_text if label else self.trending_text
        way_out = encode("/" + topics.marks(label)[0])
        opening = self._openings[label] = Opening(
            html_start + encode(escape(title)) + html_between,
            text_start + encode(title) + text_between + encode("=" * len(title)) + text_before,
            encode(f"<em>{escape(label)}</em>{words.colon} ") if label else b"",
            encode(f"{label}{words.colon} ") if label else b"",
            *((before, *(way_out + after for after in rest)) for before, *rest in (html_end, text_end)),
        )
        return opening


def _joined(end: tuple[bytes, ...], link: Pieces) -> Pieces:
    """The end of a section, with a link between its two pieces where there are two."""
    return (end[0], *link, end[1]) if len(end) > 1 else end


class Link:
    """A kind of link, each reader's or letter's with its own token."""

    def __init__(self, view: str, scope: Scope, *more: object) -> None:
        self.scope = scope
        self.before, self.after = (settings.DIGEST_BASE_URL + reverse(view, args=["TOKEN", *more])).split("TOKEN")
        self._encoded = encode(self.before)

    def token(self, value: int, *, now: datetime) -> str:
        return tokens.issue(self.scope, value, now=now)

    def url(self, token: str) -> str:
        return f"{self.before}{token}{self.after}"

    def encoded(self, token: str) -> bytes:
        return self._encoded + encode(f"{token}{self.after}")


class Presses:
    """Presses of the editions and languages being sent, kept for a while: warming one up costs a second or two.

    What an editor changes in a published edition's words reaches letters within KEPT.
    """

    KEPT = timedelta(minutes=10)
    MOST = 8

    def __init__(self) -> None:
        self._presses: dict[tuple[int, str], tuple[datetime, Press]] = {}

    def of(self, row: Taken, *, now: datetime) -> Press:
        """The press of a letter."""
        made = self._presses.pop(row.press, None)
        if made is None or not timedelta(0) <= now - made[0] < self.KEPT:
            for oldest in list(self._presses)[: max(0, len(self._presses) - self.MOST + 1)]:
                del self._presses[oldest]
            made = now, Press(Edition.objects.get(pk=row.edition), row.language)
        self._presses[row.press] = made  # behind the others: the one longest unused is given up first
        return made[1]


def _intro(text: str) -> str:
    html = prose.markdown(text)
    if len(encode(html)) <= INTRO_BYTES:
        return html
    return f"<p>{escape(shorten(prose.markdown_text(text), INTRO_CHARACTERS))}</p>"


def headers(edition: Edition) -> tuple[tuple[str, str], ...]:
    """What all letters of an edition say: RFC 8058, 2369, 2919 and 3834, and Gmail's Feedback-ID."""
    domain = settings.DIGEST_DOMAIN
    return (
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", f"{settings.DIGEST_NAME} daily digest <daily.{domain}>"),
        ("List-Archive", f"<{settings.DIGEST_BASE_URL}{reverse('edition', args=[edition.date])}>"),
        ("Feedback-ID", f"{edition.date:%Y%m%d}:daily:paperboy:{settings.DIGEST_FEEDBACK_SENDER}"),
        ("Auto-Submitted", "auto-generated"),
        ("Precedence", "bulk"),
    )


def authors_line(paper: Paper) -> str:
    names = paper.visible_authors
    more = len(names) - AUTHORS_SHOWN
    if more <= 1:
        return ", ".join(names)
    return gettext("%(names)s and %(count)s more") % {"names": ", ".join(names[:AUTHORS_SHOWN]), "count": more}


def shorten(text: str, most: int) -> str:
    """Cut at the end of a word."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(",;:. ") + " …"
