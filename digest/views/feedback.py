"""A reader's word on a paper, by a link in each letter, and what was learned of it. GET shows, POST acts."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from digest import feedback
from digest.models import Feedback, Paper
from subscriptions import clock, tokens
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope, TokenError

_READS = {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED}
#: What each button does, in the order in which they stand.
_ACTS = {"more": _("More like this"), "less": _("Less like this"), "saved": _("Save for later")}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rate(request: HttpRequest, token: str, paper: int) -> HttpResponse:
    """More like this, less like this, save: a button each, pressed or not."""
    reader = _reader(token, Scope.FEEDBACK)
    if reader is None:
        return render(request, "subscriptions/broken_link.html", status=HTTPStatus.NOT_FOUND)
    found = get_object_or_404(Paper, pk=paper)
    if request.method == "POST":
        kind, taken_back = request.POST.get("kind", ""), "back" in request.POST
        if kind not in Feedback.Kind.values:
            return HttpResponse("Say one of more, less and saved.", status=400, content_type="text/plain")
        if taken_back:
            feedback.take_back(reader, found, kind)
        else:
            feedback.give(reader, found, kind, now=clock.now())
        return redirect("feedback", token, paper)
    said = feedback.said(reader, found)
    acts = [(kind, label, kind in said) for kind, label in _ACTS.items()]
    return render(request, "digest/feedback.html", {"paper": found, "acts": acts, "said": bool(said)})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def taste(request: HttpRequest, token: str) -> HttpResponse:
    """What a reader's letters are tuned by, and a button that forgets it. Opened from the manage page."""
    reader = _reader(token, Scope.SESSION)
    if reader is None:
        return render(request, "subscriptions/broken_link.html", status=HTTPStatus.NOT_FOUND)
    forgotten = feedback.reset(reader) if request.method == "POST" else None
    context = {"learned": feedback.learned(reader), "token": token, "forgotten": forgotten}
    return render(request, "digest/taste.html", context)


def _reader(token: str, scope: Scope) -> Subscriber | None:
    try:
        key = tokens.read(token, scope, now=clock.now())
    except TokenError:
        return None
    return Subscriber.objects.filter(pk=key, status__in=_READS).first()
