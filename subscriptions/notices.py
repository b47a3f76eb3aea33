"""Letters about the subscription itself: written and sent from the rows that owe them."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse

from subscriptions import mail, tokens
from subscriptions.mail import Outcome
from subscriptions.models import Notice
from subscriptions.tokens import Scope

#: Waits between tries; after the last one the notice has failed and the visitor may ask again.
WAITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
BATCH = 200


def send_due(*, now: datetime) -> int:
    """Send what is owed now; returns how many letters went out."""
    sent = 0
    with mail.Post() as post:
        for notice in Notice.objects.due(now).select_related("subscriber").order_by("next_try_at", "pk")[:BATCH]:
            # The row changes hands by this update alone: whoever changes it sends.
            if not Notice.objects.due(now).filter(pk=notice.pk).update(status="sending", attempts=F("attempts") + 1):
                continue
            verdict = post.send(letter(notice, now=now))
            sent += verdict.outcome is Outcome.SENT
            _settle(notice, verdict, now=now)
            if verdict.outcome is Outcome.TROUBLE:
                break
    return sent


def letter(notice: Notice, *, now: datetime) -> mail.Letter:
    """The letter of a notice. It holds nothing that a visitor typed."""
    if notice.kind == Notice.Kind.CONFIRM:
        assert notice.consent_id is not None
        path = reverse("confirm", args=[tokens.issue(Scope.CONFIRM, notice.consent_id, now=now)])
    else:
        path = reverse("manage", args=[tokens.issue(Scope.MANAGE, notice.subscriber_id, now=now)])
    context = {"url": settings.DIGEST_BASE_URL + path, "name": settings.DIGEST_NAME, "site": settings.DIGEST_BASE_URL}
    folder = "email/confirm" if notice.kind == Notice.Kind.CONFIRM else "email/manage"
    return mail.Letter.of(
        to=notice.subscriber.email,
        subject=render_to_string(f"{folder}/subject.txt", context).strip(),
        text=render_to_string(f"{folder}/body.txt", context),
        html=render_to_string(f"{folder}/body.html", context),
        headers={
            "Message-ID": f"<n.{notice.pk}.{int(notice.created_at.timestamp()):x}@{settings.DIGEST_DOMAIN}>",
            "Auto-Submitted": "auto-generated",
            "Feedback-ID": f"{now:%Y%m%d}:{notice.kind}:paperboy:{settings.DIGEST_FEEDBACK_SENDER}",
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
