"""Letters in the browser: one by the link in it, and a reader's list of them."""

import functools
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext

from digest.letter import Press
from digest.models import Delivery, Edition
from digest.phrases import subject
from digest.taken import COLUMNS, Taken
from digest.views.page import Missing, View, page, part
from subscriptions import clock, tokens
from subscriptions.mail import Unwritable
from subscriptions.mime import decode
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope, TokenError

#: A letter brings its own styles, and nothing that runs; its links open beside it.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)


def private(view: View) -> View:
    """For one reader's eyes: kept by nobody, found by no search, its address told to nobody."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except TokenError:
            response = render(request, "subscriptions/broken_link.html", status=HTTPStatus.NOT_FOUND)
        response["Cache-Control"] = "private, no-store"
        response["X-Robots-Tag"] = "noindex, nofollow"
        response["Referrer-Policy"] = "no-referrer"
        return response

    return wrapped


@private
@page
def letter(request: HttpRequest, token: str) -> HttpResponse:
    """A letter as it was mailed, without papers that were deleted since; whoever left may still read it."""
    key = tokens.read(token, Scope.LETTER, now=clock.now())
    found = Delivery.objects.filter(pk=key, subscriber__isnull=False).values_list(*COLUMNS).first()
    if found is None:
        raise TokenError
    row = Taken._make(found)
    press = Press(Edition.objects.get(pk=row.edition), row.language)
    press.prepare([row.sections])
    try:
        written = press.write(row)
    except Unwritable as error:
        raise Missing(gettext("This letter cannot be shown: one of its papers cannot be written any more.")) from error
    if written.html:
        response = HttpResponse(decode(written.html))
    else:
        response = HttpResponse(decode(written.text), content_type="text/plain; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["Content-Language"] = row.language
    return response


@private
@page
def mine(request: HttpRequest, token: str) -> HttpResponse:
    """A reader's letters, newest first."""
    now = clock.now()
    subscriber = Subscriber.objects.filter(pk=tokens.read(token, Scope.SESSION, now=now)).first()
    if subscriber is None:
        raise TokenError
    sent = Delivery.objects.filter(subscriber=subscriber, status=Delivery.Status.SENT).order_by("-day", "-pk")
    shown = part(request, sent.values_list(*COLUMNS))
    context = {"page": shown, "letters": [_line(Taken._make(row)) for row in shown.object_list], "session": token}
    return render(request, "digest/letters.html", context)


def _line(row: Taken) -> dict[str, object]:
    token = tokens.issue(Scope.LETTER, row.delivery, now=row.created_at)
    return {"day": row.day, "subject": subject(row), "url": reverse("letter", args=[token])}
