"""The reader's doors: sign up, confirm, manage, leave. GET shows, POST acts."""

import functools
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from subscriptions import callers, clock, consent, forms, outbox, tasks, tokens
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope, TokenError

View = Callable[..., HttpResponse]


def visit(request: HttpRequest) -> consent.Visit:
    """Who asks."""
    user_agent = request.headers.get("User-Agent", "")
    return consent.Visit(ip=callers.address(request), user_agent=user_agent, form_url=request.path)


def broken_link(view: View) -> View:
    """The same page for every link that does not work, whatever the reason."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (TokenError, consent.Expired):
            return render(request, "subscriptions/broken_link.html", status=HTTPStatus.NOT_FOUND)

    return wrapped


@csrf_exempt  # cached pages and other sites carry the form; it has no rights but to ask a mailbox for its consent
@require_POST
def subscribe(request: HttpRequest) -> HttpResponse:
    """The answer is the same for new, known and suppressed addresses; only the mailbox sees a difference."""
    form = forms.SignUp(request.POST)
    if not form.is_valid():
        return render(request, "subscriptions/sign_up.html", {"form": form}, status=HTTPStatus.BAD_REQUEST)
    if not form.cleaned_data["website"]:
        topics = form.cleaned_data["topics"]
        if consent.subscribe(form.cleaned_data["email"], topics, now=clock.now(), visit=visit(request)):
            tasks.soon()
    return redirect("check_inbox")


@require_safe
def check_inbox(request: HttpRequest) -> HttpResponse:
    return render(request, "subscriptions/check_inbox.html")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@broken_link
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    consent_id = tokens.read(token, Scope.CONFIRM, now=clock.now())
    if request.method != "POST":
        topics = consent.requested(consent_id)
        return render(request, "subscriptions/confirm.html", {"topics": topics})
    subscriber = consent.confirm(consent_id, now=clock.now(), visit=visit(request))
    link = tokens.issue(Scope.SESSION, subscriber.pk, now=clock.now())
    return render(request, "subscriptions/confirmed.html", {"subscriber": subscriber, "session": link})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@broken_link
def manage(request: HttpRequest, token: str) -> HttpResponse:
    """A fresh link opens the page; from then on the page carries a session of its own."""
    now = clock.now()
    subscriber = Subscriber.objects.filter(pk=_manager(token)).first()
    if subscriber is None or subscriber.status not in {Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED}:
        raise TokenError
    session = tokens.issue(Scope.SESSION, subscriber.pk, now=now)
    leave = reverse("unsubscribe", args=[tokens.issue(Scope.UNSUBSCRIBE, subscriber.pk, now=now)])
    context = {"subscriber": subscriber, "session": session, "unsubscribe_url": leave}
    if request.method != "POST":
        topics = [consent.Topic(row.label, row.query) for row in subscriber.subscriptions.order_by("position", "pk")]
        form = forms.Preferences(instance=subscriber, initial={"topics": forms.written(topics)})
        return render(request, "subscriptions/manage.html", {**context, "form": form, "saved": "saved" in request.GET})
    form = forms.Preferences(request.POST, instance=subscriber)
    if not form.is_valid():
        return render(request, "subscriptions/manage.html", {**context, "form": form}, status=HTTPStatus.BAD_REQUEST)
    values = {name: value for name, value in form.cleaned_data.items() if name != "topics"}
    consent.change(subscriber, consent.Preferences(values=values), now=now, visit=visit(request))
    consent.replace_topics(subscriber, form.cleaned_data["topics"], now=now, visit=visit(request))
    return redirect(reverse("manage", args=[session]) + "?saved")


def _manager(token: str) -> int:
    try:
        return tokens.read(token, Scope.MANAGE, now=clock.now())
    except TokenError:
        return tokens.read(token, Scope.SESSION, now=clock.now())


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@broken_link
def link(request: HttpRequest, token: str) -> HttpResponse:
    """Every letter leads here: a forwarded letter must not open its reader's settings, so a fresh link is mailed."""
    subscriber = Subscriber.objects.filter(pk=tokens.read(token, Scope.LINK, now=clock.now())).first()
    if subscriber is None:
        raise TokenError
    if request.method == "POST" and consent.request_link(subscriber, now=clock.now()):
        tasks.soon()
    return render(request, "subscriptions/link.html", {"asked": request.method == "POST"})


@csrf_exempt  # RFC 8058: mail services post here without cookies
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@broken_link
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    subscriber_id = tokens.read(token, Scope.UNSUBSCRIBE, now=clock.now())
    if request.method == "POST":
        detail = "one click" if request.POST.get("List-Unsubscribe") == "One-Click" else "page"
        consent.unsubscribe(subscriber_id, now=clock.now(), visit=visit(request), detail=detail)
    return render(request, "subscriptions/unsubscribe.html", {"done": request.method == "POST"})


# The local outbox ---------------------------------------------------------------------------------------------------


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
