"""How much mail strangers may cause: caps by target mailbox, by network, and in all, counted in the rows themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from subscriptions import mime
from subscriptions.models import Consent, Notice
from subscriptions.records import network_of

#: Letters to one mailbox that anybody can cause by typing its address: one in 15 minutes, three in a day.
STRANGERS = ((timedelta(minutes=15), 1), (timedelta(days=1), 3))
#: Letters that only who holds one of its letters can cause.
READERS = ((timedelta(minutes=2), 1), (timedelta(days=1), 6))
WITHIN = (Notice.Kind.MANAGE, Notice.Kind.MOVE_FROM)
#: Requests from one address and from its network (IPv4 /24, IPv6 /64) in an hour.
PER_ADDRESS, PER_NETWORK = 5, 20
HOUR = timedelta(hours=1)
AT_ONCE = timedelta(0)
#: So many requests of an hour without an answer, and browsers are asked for a proof of work.
ASK_PROOF = 20
#: Letters without it wait so long, in the hope that their reader comes back with a browser that can.
UNPROVEN_WAIT = timedelta(minutes=30)
#: So many letters of an hour that nobody has answered stop all others; so does this share, once there are enough.
MOST_UNANSWERED = 100
MOST_SHARE, SHARE_OF = 0.6, 50
GMAIL = frozenset({"gmail.com", "googlemail.com"})


def mailbox_of(email: str) -> str:
    """The mailbox behind the spellings of an address: lower case, domain in ASCII, no +tag, and at Gmail no dots."""
    local, _, domain = mime.ascii_domain(email.strip().lower()).rpartition("@")
    local = local.partition("+")[0]
    if domain in GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def may_mail(mailbox: str, kind: str, *, now: datetime) -> bool:
    """Whether one more notice of a kind may go to a mailbox now."""
    is_asked_within = kind in WITHIN
    notices = Notice.objects.filter(mailbox=mailbox)
    notices = notices.filter(kind=kind) if is_asked_within else notices.exclude(kind__in=WITHIN)
    limits = READERS if is_asked_within else STRANGERS
    return all(notices.filter(created_at__gt=now - span).count() < most for span, most in limits)


def may_ask(ip: str | None, *, now: datetime) -> bool:
    """Whether one more request may come from an address now. An unknown address is let in: other caps hold."""
    if ip is None:
        return True
    hour = Consent.objects.filter(event=Consent.Event.REQUESTED, at__gt=now - HOUR)
    if hour.filter(ip=ip)[:PER_ADDRESS].count() >= PER_ADDRESS:
        return False
    return hour.filter(network=network_of(ip))[:PER_NETWORK].count() < PER_NETWORK


@dataclass(frozen=True, slots=True)
class Hour:
    """Letters to strangers that left in an hour, and how many of them nobody has answered."""

    sent: int
    unanswered: int

    @property
    def is_open(self) -> bool:
        """Whether one more may leave. Otherwise somebody is using us to fill other people's mailboxes."""
        is_flood = self.sent >= SHARE_OF and self.unanswered > MOST_SHARE * self.sent
        return self.unanswered < MOST_UNANSWERED and not is_flood


def last_hour(now: datetime) -> Hour:
    """What left within the hour before `now`; the breaker is `Hour.is_open`."""
    letters = Notice.objects.exclude(kind__in=WITHIN).filter(Q(sent_at__gt=now - HOUR) | Q(status="sending"))
    return Hour(letters.count(), letters.filter(_UNANSWERED).count())


def is_pressed(now: datetime) -> bool:
    """Whether so many requests of the last hour are without an answer that a proof of work is asked for."""
    letters = Notice.objects.exclude(kind__in=WITHIN).filter(_UNANSWERED, created_at__gt=now - HOUR)
    return letters[:ASK_PROOF].count() >= ASK_PROOF


_UNANSWERED = ~Exists(Consent.objects.filter(request=OuterRef("consent"), event=Consent.Event.CONFIRMED))
