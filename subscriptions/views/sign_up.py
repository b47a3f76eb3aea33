"""Signing up: on our pages, in a frame on other people's, and as JSON; then the button behind the letter's link."""

import json
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from subscriptions import clock, consent, forms, proof, tasks, throttle, tokens
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope, TooOld
from subscriptions.views.visits import by_link, visit

LARGEST_JSON = 100_000
#: The form may stand in a frame on any site: all that can be stolen by it is one letter that asks.
FRAMED_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors *"
)


@csrf_exempt  # nobody is signed in, and the form stands on pages that caches keep: there is nothing to forge
@require_POST
def subscribe(request: HttpRequest) -> HttpResponse:
    """The answer is the same for new, known and suppressed addresses; only the mailbox sees a difference."""
    form = forms.SignUp(request.POST)
    if not form.is_valid():
        return render(request, "subscriptions/sign_up.html", {"form": form}, status=HTTPStatus.BAD_REQUEST)
    _ask(request, form)
    return redirect("check_inbox")


def _ask(request: HttpRequest, form: forms.SignUp) -> None:
    values, now = form.cleaned_data, clock.now()
    # Both are used up whether they are needed or not.
    was_shown = bool(values["form"]) and proof.accept_form(values["form"], now=now)
    has_worked = bool(values["proof"]) and proof.accept(values["proof"], now=now)
    is_waiting = throttle.is_pressed(now) and not (was_shown and has_worked)
    if not values["website"]:
        here = visit(request)
        wish = consent.Wish(tuple(values["topics"]), values["cadence"], values["time_zone"], here.language)
        wait = throttle.UNPROVEN_WAIT if is_waiting else throttle.AT_ONCE
        consent.subscribe(values["email"], wish, now=now, visit=here, wait=wait)
    tasks.soon()  # whatever came of it, so that no difference shows


@require_safe
def check_inbox(request: HttpRequest) -> HttpResponse:
    return render(request, "subscriptions/check_inbox.html")


@never_cache
@require_safe
def challenge(request: HttpRequest) -> JsonResponse:
    """What a form on a page that caches keep cannot carry: its own token, and work while many ask at once."""
    now = clock.now()
    work = proof.challenge(now=now) if throttle.is_pressed(now) else None
    return JsonResponse({"form": proof.form(now=now), "work": work})


# On other people's pages --------------------------------------------------------------------------------------------


@csrf_exempt  # as `subscribe`
@never_cache
@xframe_options_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def framed(request: HttpRequest) -> HttpResponse:
    """The form for a frame on any site."""
    status = HTTPStatus.OK
    if request.method == "POST":
        form = forms.SignUp(request.POST)
        if form.is_valid():
            _ask(request, form)
            return _framed(redirect(reverse("sign_up_framed") + "?sent"))
        status = HTTPStatus.BAD_REQUEST
    else:
        form = forms.SignUp(initial={"form": proof.form(now=clock.now())})
    context = {"form": form, "sent": "sent" in request.GET}
    return _framed(render(request, "subscriptions/framed.html", context, status=status))


def _framed(response: HttpResponse) -> HttpResponse:
    response["Content-Security-Policy"] = FRAMED_POLICY
    return response


@require_safe
def embed(request: HttpRequest) -> HttpResponse:
    """How to put the form on a page of one's own."""
    base = settings.DIGEST_BASE_URL
    addresses = {"framed": reverse("sign_up_framed"), "plain": reverse("subscribe"), "json": reverse("subscribe_json")}
    return render(request, "subscriptions/embed.html", {name: base + path for name, path in addresses.items()})


@csrf_exempt  # as `subscribe`
@never_cache
@require_http_methods(["POST", "OPTIONS"])
def subscribe_json(request: HttpRequest) -> HttpResponse:
    """`{"email": …, "topics": ["robot", {"name": …, "query": …}], "cadence": …}`: the same as the form, as JSON."""
    response = HttpResponse(status=HTTPStatus.NO_CONTENT) if request.method == "OPTIONS" else _json(request)
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "POST"
    response["Access-Control-Allow-Headers"] = "Content-Type"
    return response


def _json(request: HttpRequest) -> JsonResponse:
    if request.content_type != "application/json":
        return _refused("Send a JSON object with Content-Type: application/json.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_JSON:
        return _refused(
            f"Send at most {LARGEST_JSON:,} bytes.",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    try:
        value = json.loads(request.body)
        data = {name: _text(value, name) for name in ("email", "cadence", "time_zone", "form", "proof", "website")}
        data["topics"] = _topics(value.get("topics", []))
        "".join(data.values()).encode()  # half of a surrogate pair is no text
    except (ValueError, AttributeError, TypeError, LookupError, RecursionError):
        return _refused('Send a JSON object such as {"email": "you@example.org", "topics": ["robot"]}.')
    form = forms.SignUp(data)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=HTTPStatus.BAD_REQUEST)
    _ask(request, form)
    return JsonResponse({"status": "If the address can be written to, a letter asks it to confirm."}, status=202)


def _refused(text: str, status: int = HTTPStatus.BAD_REQUEST) -> JsonResponse:
    return JsonResponse({"error": text}, status=status)


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name, "")
    if not isinstance(found, str):
        raise TypeError(name)
    return found


def _topics(value: Any) -> str:
    """Topics as text for the form's field, one a line."""
    if isinstance(value, str):
        return value
    lines = [f"{row['name']} = {row['query']}" if isinstance(row, dict) and row.get("name") else
             row["query"] if isinstance(row, dict) else row for row in value]  # fmt: skip
    return "\n".join(" ".join(line.split()) for line in lines)


# The letter's link --------------------------------------------------------------------------------------------------


@by_link
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    now = clock.now()
    try:
        consent_id = tokens.read(token, Scope.CONFIRM, now=now)
    except TooOld as old:
        return _too_old(request, old.value)
    wish = consent.requested(consent_id)
    if request.method != "POST":
        how_often = Subscriber.Cadence(wish.cadence).label if wish.cadence else ""
        return render(request, "subscriptions/confirm.html", {"topics": wish.topics, "cadence": how_often})
    subscriber = consent.confirm(consent_id, now=now, visit=visit(request))
    link = tokens.issue(Scope.SESSION, subscriber.pk, now=now)
    return render(request, "subscriptions/confirmed.html", {"subscriber": subscriber, "session": link})


def _too_old(request: HttpRequest, consent_id: int) -> HttpResponse:
    """A genuine link that came too late may have another letter sent to the same mailbox."""
    consent.requested(consent_id)
    if request.method == "POST":
        consent.ask_again(consent_id, now=clock.now(), visit=visit(request))
        tasks.soon()
        return redirect("check_inbox")
    return render(request, "subscriptions/too_old.html", status=HTTPStatus.GONE)
