"""A paper as a Markdown document, its TeX kept for those who read it."""

import re

from digest.models import Paper

#: What only HTML has; `$x<y$ and $z>0$` has none of it.
_TAG = re.compile(r"<(?=/?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>|[!?])")
#: A link, for a source's text has addresses and no links.
_LINK = re.compile(r"\]\((?=\s*<?[A-Za-z][\w+.-]*:)")
#: What would begin a heading, a list, a quotation or a fence.
_OPENING = re.compile(r"^(?=#{1,6}\s|[-+*>|=]|```|~~~)|^(\d{1,9})(?=[.)]\s)")


def document(paper: Paper) -> str:
    parts = [f"# {_plain(paper.title_tex or paper.title)}"]
    if paper.visible_authors:
        parts.append(_plain(", ".join(paper.visible_authors)))
    parts.append("\n".join(f"- {name}: {value}" for name, value in _facts(paper) if value))
    if paper.ai_summary:
        parts += ["## Summary by a machine", _plain(paper.ai_summary)]
    if abstract := paper.abstract_tex or paper.abstract:
        parts += ["## Abstract", *map(_plain, abstract.split("\n\n"))]
    return "\n\n".join(parts) + "\n"


def _facts(paper: Paper) -> list[tuple[str, str]]:
    organization = paper.organization or {}
    at = paper.published_at
    return [
        ("Paper", f"<{paper.url}>"),
        ("Identifier", paper.identifier + (f", version {paper.version}" if paper.version else "")),
        ("Published", f"{at:%Y-%m-%d}" if at else ""),
        ("Organization", _plain(str(organization.get("fullname") or organization.get("name") or ""))),
        ("Categories", _plain(", ".join(paper.categories))),
        ("Keywords", _plain(", ".join(paper.keywords))),
        ("Code", f"<{paper.code_url}>" if paper.code_url else ""),
        ("Project page", f"<{paper.project_url}>" if paper.project_url else ""),
        ("DOI", _plain(paper.doi)),
        ("Published in", _plain(paper.journal_ref)),
        ("Votes", str(paper.votes) if paper.votes is not None else ""),
    ]


def _plain(text: str) -> str:
    """A paragraph as it stands, but for what Markdown would take for HTML, a link or another block."""
    text = _LINK.sub("]&#40;", _TAG.sub("&lt;", " ".join(text.split())))
    return _OPENING.sub(lambda found: f"{found[1]}\\" if found[1] else "\\", text)
