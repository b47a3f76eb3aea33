"""The links that stand in every letter: to one's own page, and out."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from subscriptions import clock, consent, preferences, tasks, tokens, topics
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope, TokenError
from subscriptions.views.visits import by_link, one_click, visit


@by_link
def link(request: HttpRequest, token: str) -> HttpResponse:
    """Every letter leads here: a forwarded letter must not open its reader's settings, so a fresh link is mailed."""
    subscriber = Subscriber.objects.filter(pk=tokens.read(token, Scope.LINK, now=clock.now())).first()
    if subscriber is None:
        raise TokenError
    if request.method == "POST":
        consent.request_link(subscriber, now=clock.now())
        tasks.soon()
    return render(request, "subscriptions/link.html", {"asked": request.method == "POST"})


@one_click
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    subscriber_id = tokens.read(token, Scope.UNSUBSCRIBE, now=clock.now())
    if request.method == "POST":
        detail = "one click" if request.POST.get("List-Unsubscribe") == "One-Click" else "page"
        consent.unsubscribe(subscriber_id, now=clock.now(), visit=visit(request), detail=detail, **_reason(request))
    context = {"done": request.method == "POST", "form": preferences.Leave()}
    return render(request, "subscriptions/unsubscribe.html", context)


@one_click
def topic(request: HttpRequest, token: str, mark: str) -> HttpResponse:
    """Out of one topic; the page shows what stood over its papers in the letter, and nothing else."""
    row = topics.marked(tokens.read(token, Scope.UNSUBSCRIBE, now=clock.now()), mark)
    if request.method == "POST" and row:
        topics.leave(row.pk, now=clock.now(), visit=visit(request), **_reason(request))
    context = {"done": request.method == "POST", "topic": row, "leave": token, "form": preferences.Leave()}
    return render(request, "subscriptions/leave_topic.html", context)


def _reason(request: HttpRequest) -> dict[str, str]:
    """Why, where that can be read. What cannot be read stops nobody."""
    form = preferences.Leave(request.POST)
    form.is_valid()
    return {name: form.cleaned_data.get(name, "") for name in ("why", "comment")}
