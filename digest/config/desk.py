"""The admin site: who may in, by which way, and for how long. Every page registered here is audited."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

import django_otp
from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from digest.config.audited import Audited, record
from digest.models import Act
from digest.staff import factors, gate
from subscriptions import callers, clock

#: However busy somebody is, a sign-in ends after this; idle ones end after SESSION_COOKIE_AGE.
LONGEST = timedelta(days=3)
#: How exactly idleness is known: a page sooner after another writes nothing.
GRAIN = timedelta(minutes=5)
OURS = ("digest.", "subscriptions.")


class SignIn(AdminAuthenticationForm):
    """Name and password, with a limit on tries. A refusal is the same whether or not there is such an account."""

    def clean(self) -> Any:
        request, name = cast("HttpRequest", self.request), self.cleaned_data.get("username") or ""
        try:
            ticket, last = gate.enter(name, callers.address(request), now=clock.now())
        except gate.Refused as error:
            request.is_refused = True  # type: ignore[attr-defined]
            raise forms.ValidationError(str(error), code="refused") from error
        try:
            cleaned = super().clean()
        except forms.ValidationError:
            record(request, Act.Action.FAILED, who=name, detail="password")
            if last:
                record(request, Act.Action.LOCKED, who=name)
            raise
        gate.passed(ticket)
        return cleaned


class Code(forms.Form):
    code = forms.CharField(
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "size": 24}),
    )
    offer = forms.CharField(required=False, max_length=500, widget=forms.HiddenInput)


class Desk(AdminSite):
    login_form = SignIn

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Pages of our own only: those that libraries bring show their secrets."""
        if admin_class is None or not admin_class.__module__.startswith(OURS):
            return
        audited = type(admin_class.__name__, (Audited, admin_class), {"__module__": admin_class.__module__})
        super().register(model_or_iterable, audited, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and _is_fresh(request) and not _next_step(request)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        steps = [
            # Also for somebody who has not got further than the password.
            path("logout/", self.logout, name="logout"),
            path("code/", _step(self.code), name="code"),
            path("authenticator/", _step(self.authenticator), name="authenticator"),
        ]
        return [*steps, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        was = request.user.pk if request.user.is_authenticated else None
        if request.method == "GET" and super().has_permission(request) and _is_fresh(request):
            step = _next_step(request)
            return HttpResponseRedirect(_with_next(request, reverse(f"admin:{step or 'index'}")))
        answer = super().login(request, extra_context)
        if getattr(request, "is_refused", False):
            answer.status_code = 429
        if request.method == "POST" and answer.status_code == 302:
            if was is not None:
                request.session.cycle_key()
            request.session["since"] = request.session["seen"] = clock.now().timestamp()
            if not _next_step(request):
                gate.forget(request.user.get_username(), callers.address(request))
                record(request, Act.Action.SIGNED_IN)
        return answer

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if request.method == "POST" and request.user.is_authenticated:
            record(request, Act.Action.SIGNED_OUT)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        answer = super().password_change(request, extra_context)
        if request.method == "POST" and answer.status_code == 302:
            record(request, Act.Action.PASSWORD, detail="their own")
        return answer

    def code(self, request: HttpRequest) -> HttpResponse:
        """The second step: a code of the authenticator, or a recovery code."""
        if _next_step(request) != "code":
            return HttpResponseRedirect(reverse("admin:login"))
        form = Code(request.POST or None)
        if request.method == "POST" and form.is_valid():
            device = self._tried(request, form, lambda code: factors.check(_user(request), code))
            if device is not None:
                self._let_in(request, device)
                if device.name == "recovery codes":
                    left = factors.codes_left(_user(request))
                    record(request, Act.Action.TWO_FACTOR, detail=f"recovery code used, {left} left")
                return HttpResponseRedirect(_next(request))
        return self._show(request, "admin/code.html", form, title="Second step")

    def authenticator(self, request: HttpRequest) -> HttpResponse:
        """Set up the authenticator: at the first sign-in, or in place of another by somebody who has shown theirs."""
        if _next_step(request) == "code":
            return HttpResponseRedirect(reverse("admin:login"))
        offered = request.POST.get("offer") or factors.offer(_user(request))
        key = factors.secret_of(offered, _user(request))
        if key is None:
            return HttpResponseRedirect(reverse("admin:authenticator"))
        form = Code(request.POST or None, initial={"offer": offered})
        if request.method == "POST" and form.is_valid():
            made = self._tried(request, form, lambda code: factors.set_up(_user(request), key, code))
            if made is not None:
                device, codes = made
                self._let_in(request, device)
                record(request, Act.Action.TWO_FACTOR, _user(request), detail="set up")
                return self._show(
                    request, "admin/recovery.html", form, title="Recovery codes", codes=codes, next=_next(request)
                )
        picture = factors.picture(key, _user(request))
        return self._show(
            request, "admin/authenticator.html", form, title="Set up an authenticator",
            picture=picture, typed=factors.typed(key),
        )  # fmt: skip

    def _tried(self, request: HttpRequest, form: Code, check: Any) -> Any:
        """What a check of the code gives, within the limit on tries; else None, and the form says why."""
        name = request.user.get_username()
        try:
            ticket, last = gate.enter(name, callers.address(request), now=clock.now())
        except gate.Refused as error:
            request.is_refused = True  # type: ignore[attr-defined]
            form.add_error("code", str(error))
            return None
        found = check(form.cleaned_data["code"])
        if found is not None:
            gate.passed(ticket)
            return found
        record(request, Act.Action.FAILED, detail="code")
        if last:
            record(request, Act.Action.LOCKED)
        form.add_error("code", "This code is not right, or was used before. Wait for the next one and try again.")
        return None

    def _let_in(self, request: HttpRequest, device: Any) -> None:
        """A new session key, so that nothing known before the code is worth anything after it."""
        request.session.cycle_key()
        django_otp.login(request, device)
        gate.forget(request.user.get_username(), callers.address(request))
        record(request, Act.Action.SIGNED_IN)

    def _show(self, request: HttpRequest, template: str, form: Code, **more: Any) -> HttpResponse:
        context = {**self.each_context(request), "form": form, "next": _next(request), **more}
        return render(request, template, context, status=429 if getattr(request, "is_refused", False) else 200)


def _step(view: Any) -> Any:
    """For staff who have given their password, and no further."""

    def wrapped(request: HttpRequest) -> HttpResponse:
        if not (request.user.is_active and getattr(request.user, "is_staff", False) and _is_fresh(request)):
            return HttpResponseRedirect(reverse("admin:login"))
        answer: HttpResponse = view(request)
        return answer

    return never_cache(csrf_protect(wrapped))


def _user(request: HttpRequest) -> User:
    """Who has given a password; the doors that ask have made sure of it."""
    return cast("User", request.user)


def _next_step(request: HttpRequest) -> str:
    """The page that is still between a password and the desk; empty: none."""

    if getattr(request.user, "otp_device", None) is not None:
        return ""
    if factors.has_one(_user(request)):
        return "code"
    return "authenticator" if settings.DIGEST_STAFF_TWO_FACTOR else ""


def _is_fresh(request: HttpRequest) -> bool:
    """Whether the sign-in still holds. Looking at the desk puts off its idle end, and never the other."""
    now, session = clock.now(), request.session
    since = datetime.fromtimestamp(session.get("since", now.timestamp()), UTC)
    if now - since > LONGEST:
        session.flush()
        return False
    if now.timestamp() - session.get("seen", 0) > GRAIN.total_seconds():
        session["since"], session["seen"] = since.timestamp(), now.timestamp()
    return True


def _next(request: HttpRequest) -> str:
    """Where somebody wanted to go: a page of the desk, nowhere else."""
    asked = request.POST.get("next") or request.GET.get("next") or ""
    home = reverse("admin:index")
    safe = url_has_allowed_host_and_scheme(asked, allowed_hosts=None) and asked.startswith(home)
    return asked if safe else home


def _with_next(request: HttpRequest, address: str) -> str:

    wanted = _next(request)
    if address == reverse("admin:index"):
        return wanted
    return address if wanted == reverse("admin:index") else f"{address}?{urlencode({'next': wanted})}"
