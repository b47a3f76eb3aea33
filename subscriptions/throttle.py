"""How much mail strangers may cause: caps by target mailbox, then by network, counted in the rows themselves."""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from subscriptions.models import Consent, Notice

#: Letters to one mailbox that anybody can cause by typing its address: one in 15 minutes, three in a day.
STRANGERS = ((timedelta(minutes=15), 1), (timedelta(days=1), 3))
#: Letters that only who holds one of its letters can cause.
READERS = ((timedelta(minutes=2), 1), (timedelta(days=1), 6))
#: Requests from one address and from its network (IPv4 /24, IPv6 /64) in an hour.
PER_ADDRESS, PER_NETWORK = 5, 20
GMAIL = frozenset({"gmail.com", "googlemail.com"})


def mailbox_of(email: str) -> str:
    """The mailbox behind the spellings of an address: lower case, no +tag, and at Gmail no dots."""
    local, _, domain = email.strip().lower().rpartition("@")
    local = local.partition("+")[0]
    if domain in GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def may_mail(mailbox: str, kind: str, *, now: datetime) -> bool:
    """Whether one more notice of a kind may go to a mailbox now."""
    asked_within = kind == Notice.Kind.MANAGE
    notices = Notice.objects.filter(mailbox=mailbox)
    notices = notices.filter(kind=kind) if asked_within else notices.exclude(kind=Notice.Kind.MANAGE)
    limits = READERS if asked_within else STRANGERS
    return all(notices.filter(created_at__gt=now - span).count() < most for span, most in limits)


def may_ask(ip: str | None, *, now: datetime) -> bool:
    """Whether one more request may come from an address now. An unknown address is let in: other caps hold."""
    if ip is None:
        return True
    hour = Consent.objects.filter(event=Consent.Event.REQUESTED, at__gt=now - timedelta(hours=1))
    if hour.filter(ip=ip).count() >= PER_ADDRESS:
        return False
    network = ip_network((ip, 64 if ip_address(ip).version == 6 else 24), strict=False)
    seen = hour.exclude(ip=None).values_list("ip", flat=True)[: PER_NETWORK * 50]
    return sum(ip_address(str(other)) in network for other in seen) < PER_NETWORK
