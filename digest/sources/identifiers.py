"""Identifiers: arXiv ids found in ids, links and DOIs; canonical URLs for papers that have none."""

import hashlib
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_NEW = r"\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}"
_OLD = r"[a-z]{1,8}(?:-[a-z]{1,8})?(?:\.[a-z]{2})?/\d{2}(?:0[1-9]|1[0-2])\d{3}"
_ID = rf"(?P<id>{_NEW}|{_OLD})(?:v(?P<version>[1-9]\d{{0,2}}))?(?!\d)"
_WHOLE = re.compile(rf"\s*{_ID}\s*", re.IGNORECASE)
#: where an id stands in links, DOIs and Open Archives ids
_PLACES = re.compile(
    r"(?:(?:^|[/.@])arxiv\.org/(?:abs|pdf|html|format|ps|e-print|src)/"
    r"|(?:^|[/.])(?:huggingface\.co|hf\.co)/papers/"
    r"|(?:^|[/:])10\.48550/arxiv\."
    rf"|(?<![a-z0-9])arxiv(?:\.org)?:\s*){_ID}",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}


def arxiv_id(text: str) -> tuple[str, int | None] | None:
    """The arXiv id without version, and the version where there is one: of an id, a link or a DOI.

    Old ids lose their subject class: `math.GT/0309136` is `math/0309136`.
    """
    found = _WHOLE.fullmatch(text[:100]) or _PLACES.search(text[:2000])
    if not found:
        return None
    identifier = re.sub(r"\.[a-z]{2}/", "/", found["id"].lower())
    return identifier, int(found["version"]) if found["version"] else None


def canonical_url(url: str) -> str:
    """`url` with scheme and host in lower case, without fragment, `utm_*` parameters and default port."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    place = host if port is None or port == _PORTS.get(parts.scheme.lower()) else f"{host}:{port}"
    return urlunsplit((parts.scheme.lower(), place, parts.path or "/", _without_campaign(parts.query), ""))


def web_identifier(url: str) -> str:
    """The identifier of a paper known by its web address alone."""
    return "web." + hashlib.sha256(canonical_url(url).encode()).hexdigest()[:16]


def _without_campaign(query: str) -> str:
    if "utm_" not in query.lower():
        return query
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(key, value) for key, value in pairs if not key.lower().startswith("utm_")])
