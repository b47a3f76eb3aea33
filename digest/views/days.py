"""Editions, weeks, months and what is trending."""

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from digest import archive, cards, keeping, periods, prose
from digest.models import Edition
from digest.periods import Kind, Period
from digest.views.page import Missing, canonical, page, papers, part
from subscriptions import clock
from subscriptions.forms import SignUp
from subscriptions.languages import translated
from subscriptions.sentences import Sentence

_VIEWS = {Kind.DAY: "edition", Kind.WEEK: "week", Kind.MONTH: "month"}
_OTHERS = {Kind.DAY: Sentence("Other days"), Kind.WEEK: Sentence("Other weeks"), Kind.MONTH: Sentence("Other months")}


@page
@keeping.kept()
def front(request: HttpRequest) -> HttpResponse:
    """The newest edition under the invitation to have it in one's inbox; `?topics=` fills in the form."""
    topics = request.GET.get("topics", "")[:2_000]
    form = SignUp(initial={"topics": topics})
    return _edition(request, archive.newest(clock.today()), reverse("front"), form=form)


@page
@keeping.kept()
def newest(request: HttpRequest) -> HttpResponse:
    found = archive.newest(clock.today())
    return _edition(request, found, reverse("edition", args=[found.date]) if found else reverse("papers"))


@page
@keeping.kept()
def edition(request: HttpRequest, text: str) -> HttpResponse:
    """A day's edition; a day without one leads to the last before it."""
    period = _period(Kind.DAY, text)
    found = archive.edition(period.first, today=clock.today())
    if found is None:
        return _back(period)
    return _edition(request, found, reverse("edition", args=[found.date]))


@page
@keeping.kept()
def week(request: HttpRequest, text: str) -> HttpResponse:
    return _span(request, _period(Kind.WEEK, text))


@page
@keeping.kept()
def month(request: HttpRequest, text: str) -> HttpResponse:
    return _span(request, _period(Kind.MONTH, text))


@page
@keeping.kept()
def trending(request: HttpRequest) -> HttpResponse:
    today = clock.today()
    shown = part(request, archive.trending(today, now=clock.now()))
    keys = list(shown.object_list)
    context = {
        "page": shown,
        "cards": cards.of_papers(archive.in_order(keys), archive.featured(keys, today=today)),
        "title": gettext("Trending papers"),
        "description": gettext("What is most noticed now of the papers of the last %(days)s days.")
        % {"days": archive.TRENDING_DAYS},
        "canonical": canonical(reverse("trending"), shown),
        "days": archive.TRENDING_DAYS,
        **_tabs(Kind.DAY, _anchor(today), today),
        "tab": "trending",
    }
    return render(request, "digest/trending.html", context)


@page
def pick(request: HttpRequest) -> HttpResponse:
    """Where the form with the date leads to, which works without scripts."""
    kind = Kind(kind) if (kind := request.GET.get("kind", "day")) in set(Kind) else Kind.DAY
    try:
        day = periods.parse(Kind.DAY, request.GET.get("day", "")).first
    except ValueError as error:
        raise Missing(translated(error.args[0]), status=400) from error
    return redirect(_VIEWS[kind], str(periods.of(kind, day)))


def _period(kind: Kind, text: str) -> Period:
    try:
        period = periods.parse(kind, text)
    except ValueError as error:
        raise Missing(translated(error.args[0])) from error
    if period.first > clock.today():
        raise Missing(gettext("%(period)s is still to come.") % {"period": period})
    return period


def _back(period: Period) -> HttpResponse:
    """To the last period before that has an edition."""
    before = archive.before(period.first, today=clock.today())
    if before is None:
        raise Missing(gettext("There is no edition for %(period)s, nor any before it.") % {"period": period})
    return redirect(_VIEWS[period.kind], str(periods.of(period.kind, before.date)))


def _edition(request: HttpRequest, found: Edition | None, path: str, *, form: SignUp | None = None) -> HttpResponse:
    """A page of one edition."""
    today = clock.today()
    context: dict[str, object] = {"edition": found, "is_front": form is not None, "form": form, "today": today}
    if found:
        shown = part(request, archive.of_edition(found))
        context |= {
            "page": shown,
            "count": papers(shown.paginator.count),
            "cards": cards.of_edition(list(shown.object_list), day=found.date),
            "intro": mark_safe(prose.markdown(found.intro)),
            "name": _name(periods.of(Kind.DAY, found.date)),
            "canonical": canonical(path, shown),
            **_neighbours(Kind.DAY, found.date, found.date, today),
            **_tabs(Kind.DAY, found.date, today),
        }
        if not form:
            day = date_format(found.date, "j F Y")
            context["title"] = gettext("Papers of %(day)s") % {"day": day}
            context["description"] = gettext("%(count)s of %(day)s, the most noticed first.") % {
                "count": context["count"],
                "day": context["name"],
            }
    return render(request, "digest/edition.html", context)


def _span(request: HttpRequest, period: Period) -> HttpResponse:
    """A page of the papers of a week or month."""
    today = clock.today()
    if not archive.published(today).filter(date__gte=period.first, date__lte=period.last).exists():
        return _back(period)
    shown = part(request, archive.ordered(archive.shown(period.first, min(period.last, today)), archive.VOTES))
    featured = dict(shown.object_list)
    name, count = _name(period), papers(shown.paginator.count)
    context = {
        "others": translated(_OTHERS[period.kind]),
        "name": name,
        "title": gettext("Papers of %(day)s") % {"day": name},
        "page": shown,
        "count": count,
        "description": gettext("%(count)s of %(day)s, most votes first.") % {"count": count, "day": name},
        "cards": cards.of_papers(archive.in_order(featured), featured),
        "canonical": canonical(reverse(_VIEWS[period.kind], args=[str(period)]), shown),
        **_neighbours(period.kind, period.first, period.last, today),
        **_tabs(period.kind, min(period.last, today), today),
    }
    return render(request, "digest/period.html", context)


def _neighbours(kind: Kind, first: date, last: date, today: date) -> dict[str, object]:
    """The periods before and after that have an edition, each with its address."""
    found = {"previous": archive.before(first, today=today), "next": archive.after(last, today=today)}
    return {name: _link(kind, edition.date) if edition else None for name, edition in found.items()}


def _link(kind: Kind, day: date) -> dict[str, object]:
    period = periods.of(kind, day)
    return {"url": reverse(_VIEWS[kind], args=[str(period)]), "name": _name(period, short=True)}


def _name(period: Period, *, short: bool = False) -> str:
    """What people call a period; short for a link."""
    match period.kind:
        case Kind.DAY:
            return date_format(period.first, gettext("D j M") if short else gettext("l, j F Y"))
        case Kind.MONTH:
            return date_format(period.first, "F Y")
    if short:
        return gettext("Week of %(day)s") % {"day": date_format(period.first, gettext("j M"))}
    first = "j" if period.first.month == period.last.month else "j F"
    first = first if period.first.year == period.last.year else "j F Y"
    span = {"first": date_format(period.first, first), "last": date_format(period.last, "j F Y")}
    return gettext("%(first)s to %(last)s") % span


def _tabs(kind: Kind, day: date, today: date) -> dict[str, object]:
    """Day, week and month around a day, the one of `kind` being shown."""
    return {"tab": str(kind), "tabs": {str(each): _link(each, day) for each in Kind}, "picked": day, "today": today}


def _anchor(today: date) -> date:
    newest = archive.newest(today)
    return newest.date if newest else today
