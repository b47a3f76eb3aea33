"""Domains that the operator does not write to: thrown-away ones by a list, and those that take no mail.

Asked when a letter is about to leave, never while a visitor waits: the answer and its time tell nobody anything.
"""

import dns.exception
import dns.resolver
from django.conf import settings

#: Seconds that a name server may take.
PATIENCE = 3.0


def refusal(email: str) -> str:
    """Why no letter goes to this address, "" where one may."""
    domain = email.rpartition("@")[2].lower().rstrip(".")
    parts = domain.split(".")
    if any(".".join(parts[at:]) in settings.DIGEST_REFUSED_DOMAINS for at in range(len(parts))):
        return "the operator does not write to this domain"
    if settings.DIGEST_CHECK_MX and not takes_mail(domain):
        return "the domain takes no mail"
    return ""


def takes_mail(domain: str) -> bool:
    """Whether a domain has a server for mail (RFC 5321 section 5.1, RFC 7505). A silent name server is no proof."""
    try:
        found = [str(row.exchange) for row in dns.resolver.resolve(domain, "MX", lifetime=PATIENCE)]
    except dns.resolver.NXDOMAIN:
        return False
    except dns.resolver.NoAnswer:
        return _has_address(domain)
    except (dns.exception.DNSException, UnicodeError):
        return True
    return found != ["."]


def _has_address(domain: str) -> bool:
    for kind in ("A", "AAAA"):
        try:
            if len(dns.resolver.resolve(domain, kind, lifetime=PATIENCE)):
                return True
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            continue
        except dns.exception.DNSException:
            return True
    return False
