"""Papers as Hugging Face's API writes them.

Its own client reads most fields of a list's items from the top level, where Hugging Face leaves them out, so they stand
in both places. What stands on top wins there; `authors` would arrive as bare objects, so they stand in `paper` alone.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from hashlib import blake2b
from typing import Any

from digest.models import Paper

Json = dict[str, Any]

#: What both levels of an item have.
SHARED = ("upvotes", "summary", "ai_summary", "ai_keywords", "organization", "projectPage", "githubRepo", "githubStars",
          "mediaUrls", "linkedModels", "linkedDatasets", "linkedSpaces")  # fmt: skip


def item(paper: Paper, *, featured: date | None, submitter: Json | None) -> Json:
    """A paper in a list. `publishedAt` is the paper's own time inside and the time it was featured on top."""
    inside = _paper(paper, featured=featured, submitter=submitter)
    shown = {
        "paper": inside,
        "publishedAt": inside.get("submittedOnDailyAt") or inside["publishedAt"],
        "title": inside["title"],
        "thumbnail": paper.thumbnail_url,
        "numComments": paper.comments or 0,
        "submittedBy": user(submitter),
        "isAuthorParticipating": False,
    }
    return shown | {key: inside[key] for key in SHARED if key in inside}


def flat(paper: Paper, *, featured: date | None, submitter: Json | None) -> Json:
    """A paper by itself."""
    return {
        **_paper(paper, featured=featured, submitter=submitter),
        "thumbnail": paper.thumbnail_url,
        "numComments": paper.comments or 0,
        "numTotalModels": 0,
        "numTotalDatasets": 0,
        "numTotalSpaces": 0,
    }


def _paper(paper: Paper, *, featured: date | None, submitter: Json | None) -> Json:
    known = {
        "submittedOnDailyAt": moment(datetime.combine(featured, time(), UTC)) if featured else None,
        "submittedOnDailyBy": user(submitter),
        "mediaUrls": paper.media_urls,
        "projectPage": paper.project_url,
        "githubRepo": paper.code_url,
        "githubStars": paper.stars,
        "ai_summary": paper.ai_summary,
        "ai_keywords": paper.keywords,
        "organization": organization(paper.organization),
    }
    return {
        "id": paper.identifier,
        "authors": [_author(paper, number, held) for number, held in enumerate(paper.authors)],
        "publishedAt": moment(paper.published_at or paper.created_at),
        "title": paper.title_tex or paper.title,
        "summary": paper.abstract_tex or paper.abstract,
        "upvotes": paper.votes or 0,
        "discussionId": paper.discussion_id,
        **{key: value for key, value in known.items() if value not in (None, "", [])},
        "linkedModels": [],
        "linkedDatasets": [],
        "linkedSpaces": [],
    }


def moment(at: datetime) -> str:
    """Hugging Face's clients read no other zone than Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def user(held: Mapping[str, Any] | None) -> Json | None:
    """A user, whose name older clients look for under `user` and others under `name`."""
    name = _text(held, "user") or _text(held, "name")
    if not held or not name:
        return None
    return {
        "_id": _text(held, "_id") or _text(held, "id") or _id("user", name),
        "user": name,
        "name": name,
        "fullname": _text(held, "fullname") or name,
        "avatarUrl": _text(held, "avatarUrl") or _text(held, "avatar_url"),
        "isPro": (held.get("isPro") or held.get("is_pro")) is True,
        "type": "user",
    }


def organization(held: Mapping[str, Any] | None) -> Json | None:
    name = _text(held, "name")
    if not name:
        return None
    avatar = _text(held, "avatar_url")
    return {
        "_id": _text(held, "id") or _id("organization", name),
        "name": name,
        "fullname": _text(held, "fullname") or name,
        "avatar": avatar,
        "avatarUrl": avatar,
    }


def _author(paper: Paper, number: int, held: Mapping[str, Any]) -> Json:
    account = held.get("user")
    known = {
        "status": _text(held, "status"),
        "statusLastChangedAt": _moment(_text(held, "statusLastChangedAt")),
        "user": user(account) if isinstance(account, dict) else None,
    }
    return {
        "_id": _text(held, "_id") or _id(paper.identifier, str(number)),
        "name": _text(held, "name"),
        "hidden": held.get("hidden") is True,
        **{key: value for key, value in known.items() if value},
    }


def _text(held: Mapping[str, Any] | None, key: str) -> str:
    value = (held or {}).get(key)
    return value if isinstance(value, str) else ""


def _moment(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return moment(at) if at.tzinfo else ""


def _id(*names: str) -> str:
    """In the place of an id that was never given: as long as theirs, and always the same."""
    return blake2b("\n".join(names).encode(), digest_size=12).hexdigest()
