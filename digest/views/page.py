"""What all pages have in common: they are asked for, never posted to, and say what is wrong with an address."""

import functools
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_safe

from subscriptions.languages import number, translated
from subscriptions.query import Query, QueryError

View = Callable[..., HttpResponse]
PER_PAGE = 50


class Missing(Exception):
    """There is no such page. The sentence says so, and what to do."""

    def __init__(self, sentence: str, *, status: int = HTTPStatus.NOT_FOUND) -> None:
        super().__init__(sentence)
        self.sentence, self.status = sentence, status


def page(view: View) -> View:
    """A view for GET and HEAD that may raise Missing."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Missing as missing:
            return render(request, "404.html", {"sentence": missing.sentence}, status=missing.status)

    return require_safe(wrapped)


def part(request: HttpRequest, rows: Any, per_page: int = PER_PAGE) -> Page[Any]:
    """The page of rows that `?p=` names, the first where it names none. Raises Missing for one that is not there."""
    said = request.GET.get("p") or "1"
    paginator = Paginator(rows, per_page)
    wanted = int(said) if re.fullmatch(r"[1-9]\d{0,6}", said, re.ASCII) else 0
    if wanted not in paginator.page_range:
        raise Missing(
            gettext("There is no page “%(asked)s” here: pages go from 1 to %(last)s.")
            % {"asked": said[:20], "last": number(paginator.num_pages)}
        )
    return paginator.page(wanted)


def asked(request: HttpRequest) -> str:
    """What `?q=` asks for."""
    return request.GET.get("q", "").replace("\x00", "").strip()


def papers(count: int) -> str:
    """ "1 paper", "1,204 papers"."""
    return ngettext("%(count)s paper", "%(count)s papers", count) % {"count": number(count)}


def told(error: QueryError) -> dict[str, str]:
    """What a page says of a query that cannot be read, and a query to try instead, if there is one."""
    return {"message": translated(error.message), "suggestion": error.suggestion}


def address(path: str, **parameters: object) -> str:
    """A path with the parameters that say something."""
    said = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(said)}" if said else path


def canonical(path: str, page: Page[Any] | None = None, **parameters: object) -> str:
    """The one address of what is shown; the first page needs no number."""
    return address(path, **parameters, p=page.number if page and page.number > 1 else None)


def as_topic(text: str, query: Query | None) -> str:
    """A query as it can stand among other topics, which commas part."""
    return str(query) if query and "," in text else text


def sign_up(topic: str) -> str:
    """The address of the sign-up form with a topic filled in."""
    return address(reverse("front"), topics=topic) + "#sign-up"
