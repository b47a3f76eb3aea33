"""Where mail services report: Anymail checks and reads their requests, this maps their words to ours, once."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, AnymailTrackingEvent, inbound, tracking
from django.conf import settings
from django.dispatch import receiver

from digest.deliveries import report
from digest.models import DeliveryEvent
from subscriptions import bounce, clock, consent

Kind = DeliveryEvent.Kind
_KINDS = {
    "delivered": Kind.DELIVERED,
    "deferred": Kind.DELAYED,
    "bounced": Kind.HARD,
    "complained": Kind.COMPLAINT,
    "unsubscribed": Kind.UNSUBSCRIBED,
    "autoresponded": Kind.AUTO_REPLY,
}
#: Words of Amazon SES and of Brevo that Anymail does not know.
_BESIDES = {"DeliveryDelay": Kind.DELAYED, "Subscription": Kind.UNSUBSCRIBED, "unsubscribed": Kind.UNSUBSCRIBED}
_OF_BOUNCE = {
    bounce.Kind.HARD: Kind.HARD,
    bounce.Kind.SOFT: Kind.SOFT,
    bounce.Kind.COMPLAINT: Kind.COMPLAINT,
    bounce.Kind.POLICY: Kind.POLICY,
    bounce.Kind.AUTO_REPLY: Kind.AUTO_REPLY,
    bounce.Kind.DELIVERED: Kind.DELIVERED,
    bounce.Kind.DELAYED: Kind.DELAYED,
}
#: Reasons for a refusal that are the recipient's (Anymail's normalised names); the others are about us.
_OF_RECIPIENT = frozenset({"invalid", "bounced"})


@receiver(tracking, dispatch_uid="paperboy.tracking")
def hear(sender: Any, event: AnymailTrackingEvent, esp_name: str, **kwargs: Any) -> None:
    raw = event.esp_event if isinstance(event.esp_event, Mapping) else {}
    kind = kind_of(event, raw)
    if kind is None:
        return
    report.hear(
        service=esp_name[:32],
        kind=kind,
        name=_name(event),
        event_id=str(event.event_id or "") or _digest(event, raw),
        email=str(event.recipient or ""),
        detail=" ".join(str(event.description or event.mta_response or event.reject_reason or "").split()),
        at=event.timestamp or clock.now(),
    )


@receiver(inbound, dispatch_uid="paperboy.inbound")
def hear_mail(sender: Any, event: AnymailInboundEvent, esp_name: str, **kwargs: Any) -> None:
    """Mail to us, where the mail service passes it on."""
    message: AnymailInboundMessage = event.message
    read_mail(message.as_bytes(), service=esp_name[:32])


def read_mail(raw: bytes, *, service: str) -> bool:
    """Mail that asks to leave, or that came back to our envelope sender. False for one that is neither."""
    if settings.DIGEST_LEAVE_ADDRESS and consent.unsubscribe_by_mail(raw, now=clock.now()):
        return True
    found = bounce.read(raw, domain=settings.DIGEST_BOUNCE_DOMAIN)
    if found is None or not found.name or found.kind not in _OF_BOUNCE:
        return False
    return report.hear(
        service=service,
        kind=_OF_BOUNCE[found.kind],
        name=found.name,
        event_id=hashlib.sha256(raw).hexdigest(),
        detail=f"{found.status} {found.detail}".strip(),
        at=clock.now(),
    )


def kind_of(event: AnymailTrackingEvent, raw: Mapping[str, Any]) -> str | None:
    """Our word for an event, None for one that says nothing to us (queued, sent, opened and the like)."""
    if event.event_type == "rejected":
        return Kind.HARD if event.reject_reason in _OF_RECIPIENT else Kind.POLICY
    if event.event_type == "unknown":
        return _BESIDES.get(str(raw.get("eventType") or raw.get("event")))
    kind = _KINDS.get(event.event_type)
    if kind == Kind.HARD and event.reject_reason in {"blocked", "spam"}:
        return Kind.POLICY
    return Kind.SOFT if kind == Kind.HARD and _is_soft(raw) else kind


def _is_soft(raw: Mapping[str, Any]) -> bool:
    """Anymail calls hard and soft bounces the same; each service says it in a word of its own."""
    details = raw.get("bounce") or raw.get("data", {})
    details = details if isinstance(details, Mapping) else {}
    inner = details.get("bounce")
    inner = inner if isinstance(inner, Mapping) else {}
    words = {
        str(details.get("bounceType", "")),  # Amazon SES
        str(inner.get("type", "")),  # Resend
        str(raw.get("Type", "")),  # Postmark
        str(raw.get("event", "")),  # Brevo
        str(raw.get("type", "")),  # SendGrid
    }
    return bool(words & {"Transient", "Temporary", "SoftBounce", "DnsError", "soft_bounce", "blocked"})


def _name(event: AnymailTrackingEvent) -> str:
    """The delivery's name: from what we gave the service to keep, else from our own Message-ID."""
    kept = event.metadata or {}
    if name := str(kept.get("delivery", "")):
        return name
    reference = str(event.message_id or "").strip("<>")
    return reference.removeprefix("d.").partition("@")[0] if reference.startswith("d.") else ""


def _digest(event: AnymailTrackingEvent, raw: Mapping[str, Any]) -> str:
    """A name for an event of a service that gives it none."""
    content = json.dumps([event.event_type, str(event.message_id), str(event.recipient), str(event.timestamp), raw],
                         sort_keys=True, default=str)  # fmt: skip
    return hashlib.sha256(content.encode()).hexdigest()
