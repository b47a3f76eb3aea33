"""The record of consent, and letters that are owed with it: every step of a subscription leaves a Consent row."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django.utils.translation import override

from subscriptions.languages import translated
from subscriptions.models import Consent, Move, Notice, Subscriber
from subscriptions.sentences import Sentence

#: The words under the sign-up form, by the name that records keep; with ".fr" behind it for what was shown in French.
#: New words get a new name; old ones stay.
WORDINGS = {
    "2026-11": Sentence(
        "One letter asks you to confirm. Every letter has a link to leave. Your address is used for nothing else."
    ),
}
TEXT_VERSION = "2026-11"
ENGLISH = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Where a request came from, as far as it may be trusted."""

    ip: str | None = None
    user_agent: str = ""
    form_url: str = ""
    language: str = ENGLISH


def wording(version: str) -> str:
    """The words that a record's text_version names, in the language in which they were shown; "" for unknown ones."""
    name, _, language = version.partition(".")
    with override(language or ENGLISH):
        return translated(WORDINGS.get(name, ""))


def network_of(ip: str | None) -> str:
    """The IPv4 /24 or IPv6 /64 around an address; "" for none."""
    if not ip:
        return ""
    return str(ip_network((ip, 64 if ip_address(ip).version == 6 else 24), strict=False))


def record(subscriber: Subscriber, event: str, *, now: datetime, visit: Visit, **more: Any) -> Consent:
    """Append what happened. `more` are columns of Consent."""
    row = row_of(subscriber, event, now=now, visit=visit, **more)
    row.save()
    return row


def row_of(subscriber: Subscriber, event: str, *, now: datetime, visit: Visit, **more: Any) -> Consent:
    """What happened, to be appended; texts are cut to their room."""
    for name in ("detail", "comment"):
        more[name] = _storable(str(more.get(name, "")), 300)
    version = TEXT_VERSION if visit.language == ENGLISH else f"{TEXT_VERSION}.{visit.language}"
    return Consent(
        subscriber=subscriber,
        event=event,
        at=now,
        ip=visit.ip,
        network=network_of(visit.ip),
        user_agent=_storable(visit.user_agent, 300),
        form_url=_storable(visit.form_url, 200),
        **{"text_version": version, **more},
    )


def owe(
    subscriber: Subscriber,
    kind: str,
    *,
    now: datetime,
    consent: Consent | None = None,
    move: Move | None = None,
    mailbox: str = "",
    wait: timedelta = timedelta(0),
) -> Notice:
    """Owe a letter to the subscriber's mailbox, or to another; it leaves after `wait`."""
    return Notice.objects.create(
        subscriber=subscriber,
        consent=consent,
        move=move,
        kind=kind,
        mailbox=mailbox or subscriber.mailbox,
        created_at=now,
        next_try_at=now + wait,
    )


def set_status(subscriber: Subscriber, status: str, reason: str, *, now: datetime) -> None:
    subscriber.status, subscriber.status_reason, subscriber.status_changed_at = status, reason[:200], now
    subscriber.save(update_fields=["status", "status_reason", "status_changed_at", "confirmed_at"])


def _storable(text: str, most: int) -> str:
    """PostgreSQL stores no NUL and no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:most]
