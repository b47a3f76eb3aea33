"""The local outbox: every letter as its reader would see it, for a first look without a mail server."""

import functools

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from subscriptions import outbox
from subscriptions.views.visits import View


def while_debugging(view: View) -> View:
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


@require_GET
@while_debugging
def outbox_list(request: HttpRequest) -> HttpResponse:
    return render(request, "subscriptions/outbox.html", {"letters": outbox.letters(most=200)})


@require_GET
@while_debugging
def outbox_letter(request: HttpRequest, name: str) -> HttpResponse:
    letter = outbox.letter(name)
    if letter is None:
        raise Http404("No such letter")
    return render(request, "subscriptions/outbox_letter.html", {"letter": letter, "text": letter.body("plain")})


@require_GET
@while_debugging
@xframe_options_sameorigin
def outbox_html(request: HttpRequest, name: str) -> HttpResponse:
    """The letter's HTML as it is, in a frame that runs nothing."""
    letter = outbox.letter(name)
    if letter is None or not letter.body("html"):
        raise Http404("No such letter")
    response = HttpResponse(letter.body("html"))
    response["Content-Security-Policy"] = "sandbox allow-popups allow-popups-to-escape-sandbox; script-src 'none'"
    return response
