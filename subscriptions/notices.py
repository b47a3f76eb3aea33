"""Letters about the subscription itself: written and sent from the rows that owe them."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import override

from subscriptions import domains, mail, throttle, tokens
from subscriptions.mail import Outcome
from subscriptions.models import Notice
from subscriptions.tokens import Scope

#: Waits between tries; after the last one the notice has failed and the visitor may ask again.
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
BATCH = 200


#: A letter that waited longer is not wanted any more: who asked has gone, or asked again.
TOO_LATE = timedelta(hours=24)
FOLDERS = {
    Notice.Kind.CONFIRM: "confirm",
    Notice.Kind.KNOWN: "manage",
    Notice.Kind.MANAGE: "manage",
    Notice.Kind.MOVE_FROM: "move_from",
    Notice.Kind.MOVE_TO: "move_to",
}


def send_due(*, now: datetime) -> int:
    """Send what is owed now; returns how many letters went out. Letters that strangers cause stop at the breaker."""
    _give_up_late(now=now)
    with mail.Post() as post:
        within = Notice.objects.due(now).filter(kind__in=throttle.WITHIN)
        strangers = Notice.objects.due(now).exclude(kind__in=throttle.WITHIN)
        sent, is_trouble = _send(post, within, now=now)
        if not is_trouble:
            sent += _send(post, strangers, now=now, may_send=lambda: throttle.last_hour(now).is_open)[0]
    return sent


def held(*, now: datetime) -> str:
    """What a person should know of letters that wait at the breaker; "" while it lets them through."""
    hour = throttle.last_hour(now)
    if hour.is_open:
        return ""
    waiting = Notice.objects.filter(status=Notice.Status.QUEUED).exclude(kind__in=throttle.WITHIN).count()
    return (
        f"Confirmations wait: of {hour.sent} that left within an hour {hour.unanswered} have no answer, as when "
        f"somebody signs up other people. {waiting} letters wait; they go on by themselves, slowly, or are dropped "
        "in admin under Notices. Daily letters are not touched."
    )


def _send(
    post: mail.Post, notices: QuerySet[Notice], *, now: datetime, may_send: Callable[[], bool] = lambda: True
) -> tuple[int, bool]:
    """How many went out, and whether there is no way out at present."""
    sent = 0
    for notice in notices.select_related("subscriber", "move").order_by("next_try_at", "pk")[:BATCH]:
        if not may_send():
            break
        # The row changes hands by this update alone: whoever changes it sends.
        if not Notice.objects.due(now).filter(pk=notice.pk).update(status="sending", attempts=F("attempts") + 1):
            continue
        if refusal := domains.refusal(address(notice)):
            _settle(notice, mail.Verdict(Outcome.FAILED, refusal), now=now)
            continue
        verdict = post.send(letter(notice, now=now))
        sent += verdict.outcome is Outcome.SENT
        _settle(notice, verdict, now=now)
        if verdict.outcome is Outcome.TROUBLE:
            return sent, True
    return sent, False


def _give_up_late(*, now: datetime) -> None:
    late = Notice.objects.filter(status=Notice.Status.QUEUED, created_at__lt=now - TOO_LATE)
    late.update(status=Notice.Status.FAILED, reason="waited for more than a day")


def address(notice: Notice) -> str:
    """Where the letter goes: to the subscriber, or to the address it is to move to."""
    if notice.kind == Notice.Kind.MOVE_TO:
        assert notice.move is not None
        return notice.move.email
    return notice.subscriber.email


def _path(notice: Notice, *, now: datetime) -> str:
    match notice.kind:
        case Notice.Kind.CONFIRM:
            assert notice.consent_id is not None
            return reverse("confirm", args=[tokens.issue(Scope.CONFIRM, notice.consent_id, now=now)])
        case Notice.Kind.MOVE_FROM | Notice.Kind.MOVE_TO:
            assert notice.move_id is not None
            is_old = notice.kind == Notice.Kind.MOVE_FROM
            scope, name = (Scope.MOVE_FROM, "move_from") if is_old else (Scope.MOVE_TO, "move_to")
            return reverse(name, args=[tokens.issue(scope, notice.move_id, now=now)])
        case _:
            return reverse("manage", args=[tokens.issue(Scope.MANAGE, notice.subscriber_id, now=now)])


def letter(notice: Notice, *, now: datetime) -> mail.Letter:
    """The letter of a notice, in the reader's language. It holds nothing that a visitor typed."""
    with override(notice.subscriber.language):
        return _letter(notice, now=now)


def _letter(notice: Notice, *, now: datetime) -> mail.Letter:
    folder = f"email/{FOLDERS[Notice.Kind(notice.kind)]}"
    url = settings.DIGEST_BASE_URL + _path(notice, now=now)
    context = {
        "url": url,
        "name": settings.DIGEST_NAME,
        "site": settings.DIGEST_BASE_URL,
        "LANGUAGE_CODE": notice.subscriber.language,
    }
    return mail.Letter.of(
        to=address(notice),
        subject=render_to_string(f"{folder}/subject.txt", context).strip(),
        text=render_to_string(f"{folder}/body.txt", context),
        html=render_to_string(f"{folder}/body.html", context),
        headers={
            "Message-ID": f"<n.{notice.pk}.{int(notice.created_at.timestamp()):x}@{settings.DIGEST_DOMAIN}>",
            "Auto-Submitted": "auto-generated",
            "Feedback-ID": f"{now:%Y%m%d}:{notice.kind.replace(' ', '-')}:paperboy:{settings.DIGEST_FEEDBACK_SENDER}",
        },
    )


def _settle(notice: Notice, verdict: mail.Verdict, *, now: datetime) -> None:
    again = verdict.outcome in {Outcome.DEFERRED, Outcome.TROUBLE} and notice.attempts < len(WAITS)
    if again:
        notice.status, notice.next_try_at = Notice.Status.QUEUED, now + WAITS[notice.attempts]
    elif verdict.outcome is Outcome.SENT:
        notice.status, notice.sent_at = Notice.Status.SENT, now
    elif verdict.outcome is Outcome.UNCERTAIN:
        notice.status = Notice.Status.UNCERTAIN
    else:
        notice.status = Notice.Status.FAILED
    notice.reason = verdict.reason[:300]
    notice.save(update_fields=["status", "next_try_at", "sent_at", "reason"])
