"""A reader's own page: topics, days and hour, a pause, an import."""

import functools
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext

from subscriptions import clock, consent, interests, preferences, tokens, topics
from subscriptions.consent import READABLE
from subscriptions.forms import TopicsField, written
from subscriptions.languages import translated
from subscriptions.models import MOST_TOPICS, Subscriber
from subscriptions.sentences import Sentence
from subscriptions.tokens import Opened, Scope, TokenError
from subscriptions.topics import Topic
from subscriptions.views.visits import View, by_link, visit

#: What the page says after each form; the address carries the key alone.
DONE = {
    "saved": Sentence("Saved. It holds from the next letter on."),
    "topics": Sentence("Topics saved. They hold from the next letter on."),
    "added": Sentence("The topic is added. It holds from the next letter on."),
    "imported": Sentence("The topics are added. They hold from the next letter on."),
    "full": Sentence("Some topics found no room: there are %(most)s at most.", most=MOST_TOPICS),
    "paused": Sentence("Letters are paused."),
    "resumed": Sentence("Letters go on."),
}
#: Pages of digest, by the addresses on which both agree.
LETTERS, TASTE, FEED = "/letters/mine/", "/taste/", "/feeds/mine/"
PREVIEW, RATE = "/topics/preview", "/topics/rate"
#: A library, and the form around it.
LARGEST_POST = interests.LARGEST + 100_000


@by_link
def manage(request: HttpRequest, token: str) -> HttpResponse:
    """A fresh link opens the page; from then on the page carries a session of its own."""
    subscriber = reader(token)
    if request.method != "POST":
        return _page(request, subscriber, account=_account(token))
    form = preferences.Preferences(request.POST, instance=Subscriber.objects.get(pk=subscriber.pk))
    if not form.is_valid():
        return _page(request, subscriber, form=form)
    values = consent.Preferences(values=form.values())
    consent.change(subscriber, values, now=clock.now(), visit=visit(request))
    return _done(subscriber, "saved")


def a_form(view: View) -> View:
    """One form of the page, which only a post sends; whoever follows its address is led to the page."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, token: str) -> HttpResponse:
        subscriber = reader(token)
        return view(request, subscriber) if request.method == "POST" else _done(subscriber)

    return by_link(wrapped)


@a_form
def change_topics(request: HttpRequest, subscriber: Subscriber) -> HttpResponse:
    rows = preferences.posted_topics(request.POST)
    if not rows.is_valid():
        return _page(request, subscriber, rows=rows)
    topics.replace(subscriber, rows.topics(), now=clock.now(), visit=visit(request))
    return _done(subscriber, "topics")


@a_form
def add_topic(request: HttpRequest, subscriber: Subscriber) -> HttpResponse:
    form = preferences.Builder(request.POST)
    if not form.is_valid():
        return _page(request, subscriber, builder=form)
    left_out = topics.append(subscriber, [form.cleaned_data["topic"]], now=clock.now(), visit=visit(request))
    return _done(subscriber, "full" if left_out else "added")


@a_form
def pause(request: HttpRequest, subscriber: Subscriber) -> HttpResponse:
    if "resume" in request.POST:
        consent.pause(subscriber, None, now=clock.now(), visit=visit(request))
        return _done(subscriber, "resumed")
    form = preferences.Pause(request.POST, today=clock.today())
    if not form.is_valid():
        return _page(request, subscriber, pause=form)
    consent.pause(subscriber, form.cleaned_data["until"], now=clock.now(), visit=visit(request))
    return _done(subscriber, "paused")


@a_form
def import_topics(request: HttpRequest, subscriber: Subscriber) -> HttpResponse:
    """First what was understood is shown, as text to be changed; then it is added."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_POST:
        return _imported(request, subscriber, error=gettext("The file is too large: 2 MB can be read."))
    if "topics" in request.POST:
        field = TopicsField(required=False, max_length=100_000)
        try:
            wanted = field.clean(request.POST["topics"])
        except ValidationError as error:
            return _imported(request, subscriber, text=request.POST["topics"], error=" ".join(error.messages))
        left_out = topics.append(subscriber, wanted, now=clock.now(), visit=visit(request))
        return _done(subscriber, "full" if left_out else "imported")
    form = preferences.Import(request.POST, request.FILES)
    if not form.is_valid():
        return _imported(request, subscriber, error=gettext("Choose a file of at most 2 MB, or paste its text."))
    try:
        found = interests.read(form.content())
    except interests.Unreadable as error:
        return _imported(request, subscriber, error=translated(error.args[0]))
    text = written([Topic(*topic) for topic in found.topics])
    told = {"kind": translated(found.kind), "left_out": [translated(line) for line in found.left_out]}
    return _imported(request, subscriber, found=told, text=text, status=HTTPStatus.OK)


def reader(token: str) -> Subscriber:
    """Whose page this link opens. Raises TokenError."""
    subscriber = Subscriber.objects.filter(pk=_opened(token).value).first()
    if subscriber is None or subscriber.status not in READABLE:
        raise TokenError
    return subscriber


def _opened(token: str) -> Opened:
    now = clock.now()
    try:
        return tokens.opened(token, Scope.MANAGE, now=now)
    except TokenError:
        return tokens.opened(token, Scope.SESSION, now=now)


def _account(token: str) -> str:
    """A link to what only a fresh letter's link may do: as old as that, so that it ends with it. "" for a session."""
    try:
        opened = tokens.opened(token, Scope.MANAGE, now=clock.now())
    except TokenError:
        return ""
    return tokens.issue(Scope.ACCOUNT, opened.value, now=opened.issued_at)


def _page(request: HttpRequest, subscriber: Subscriber, *, account: str = "", **bound: Any) -> HttpResponse:
    """The page with all its forms, one of which may hold what has to be mended."""
    now = clock.now()
    session = tokens.issue(Scope.SESSION, subscriber.pk, now=now)
    context = {
        "subscriber": subscriber,
        "session": session,
        "letters": LETTERS + session,
        "taste": TASTE + session,
        # The same at every visit, so that a program need not be told again.
        "feed": f"{FEED}{tokens.issue(Scope.FEED, subscriber.pk, now=subscriber.created_at)}.atom",
        "preview": PREVIEW,
        "rate": RATE,
        "account": account,
        "link": tokens.issue(Scope.LINK, subscriber.pk, now=now),
        "leave": tokens.issue(Scope.UNSUBSCRIBE, subscriber.pk, now=now),
        "is_paused": subscriber.status == Subscriber.Status.PAUSED,
        "detects_zone": subscriber.time_zone == settings.DIGEST_TIME_ZONE,
        "done": translated(DONE.get(request.GET.get("done", ""), "")),
        "wrong": bool(bound),
        "form": preferences.Preferences(instance=subscriber),
        "rows": preferences.topic_set(topics.of(subscriber)) if "rows" not in bound else None,
        "builder": preferences.Builder(),
        "pause": preferences.Pause(today=clock.today()),
        "imports": preferences.Import(),
        **bound,
    }
    status = HTTPStatus.BAD_REQUEST if bound else HTTPStatus.OK
    return render(request, "subscriptions/manage.html", context, status=status)


def _imported(request: HttpRequest, subscriber: Subscriber, *, status: int = 400, **more: Any) -> HttpResponse:
    session = tokens.issue(Scope.SESSION, subscriber.pk, now=clock.now())
    context = {"session": session, "imports": preferences.Import(), **more}
    return render(request, "subscriptions/imported.html", context, status=status)


def _done(subscriber: Subscriber, what: str = "") -> HttpResponse:
    path = reverse("manage", args=[tokens.issue(Scope.SESSION, subscriber.pk, now=clock.now())])
    return redirect(f"{path}?done={what}" if what else path)
