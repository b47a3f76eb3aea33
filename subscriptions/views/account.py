"""What only a fresh link may do: take everything along, move to another address, erase."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from subscriptions import account, clock, preferences, tasks, tokens
from subscriptions.consent import READABLE
from subscriptions.models import Subscriber
from subscriptions.tokens import Scope, TokenError
from subscriptions.views.visits import by_link, visit


def _owner(token: str) -> Subscriber:
    subscriber = Subscriber.objects.filter(pk=tokens.read(token, Scope.ACCOUNT, now=clock.now())).first()
    if subscriber is None or subscriber.status not in READABLE:
        raise TokenError
    return subscriber


@by_link
def show(request: HttpRequest, token: str) -> HttpResponse:
    return _page(request, _owner(token), token)


@by_link
def export(request: HttpRequest, token: str) -> HttpResponse:
    """Everything that is known of the reader, as a file."""
    response = JsonResponse(account.export(_owner(token)), json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = 'attachment; filename="my-subscription.json"'
    return response


@by_link
def move(request: HttpRequest, token: str) -> HttpResponse:
    subscriber = _owner(token)
    if request.method != "POST":
        return _page(request, subscriber, token)
    form = preferences.Address(request.POST)
    if not form.is_valid():
        return _page(request, subscriber, token, form=form)
    account.ask_to_move(subscriber, form.cleaned_data["email"], now=clock.now(), visit=visit(request))
    tasks.soon()
    return render(request, "subscriptions/moving.html")


@by_link
def erase(request: HttpRequest, token: str) -> HttpResponse:
    subscriber = _owner(token)
    if request.method != "POST":
        return _page(request, subscriber, token)
    if request.POST.get("sure") != "yes":
        return _page(request, subscriber, token, unsure=True)
    account.erase(subscriber.pk)
    return render(request, "subscriptions/erased.html")


@by_link
def move_from(request: HttpRequest, token: str) -> HttpResponse:
    return _agree(request, tokens.read(token, Scope.MOVE_FROM, now=clock.now()), is_old=True)


@by_link
def move_to(request: HttpRequest, token: str) -> HttpResponse:
    return _agree(request, tokens.read(token, Scope.MOVE_TO, now=clock.now()), is_old=False)


def _agree(request: HttpRequest, move_id: int, *, is_old: bool) -> HttpResponse:
    if request.method == "POST":
        found = account.agree(move_id, is_old=is_old, now=clock.now(), visit=visit(request))
    else:
        found = account.move_of(move_id, now=clock.now())
    agreed = found.old_agreed_at if is_old else found.new_agreed_at
    context = {"move": found, "is_old": is_old, "agreed": bool(agreed)}
    return render(request, "subscriptions/agree.html", context)


def _page(request: HttpRequest, subscriber: Subscriber, token: str, **bound: Any) -> HttpResponse:
    context = {"subscriber": subscriber, "token": token, "form": preferences.Address(), **bound}
    status = HTTPStatus.BAD_REQUEST if bound else HTTPStatus.OK
    return render(request, "subscriptions/account.html", context, status=status)
