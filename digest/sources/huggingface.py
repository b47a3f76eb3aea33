"""Hugging Face Daily Papers: the address of a day's list, and its JSON read into Entries."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlencode, urljoin

from digest import prose
from digest.sources.entry import Author, Entry, Organization, Parsed, SourceError, Submitter, collect
from digest.sources.identifiers import arxiv_id

PAGE_SIZE = 100
_LARGEST = 2**31 - 1

Item = Mapping[str, object]


def url(endpoint: str, day: date, page: int) -> str:
    """The address of one page of `day`'s list; pages count from 0, and the one past the end holds `[]`."""
    query = urlencode({"date": day.isoformat(), "limit": PAGE_SIZE, "p": page})
    return f"{endpoint.rstrip('/')}/api/daily_papers?{query}"


def parse(body: bytes, *, endpoint: str = "https://huggingface.co") -> Parsed:
    """The entries of one page. Raises SourceError for what is no list, and for a list without one usable entry."""
    return collect(_items(body), lambda item: _entry(item, endpoint))


def _items(body: bytes) -> list[object]:
    start = body[:100].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise SourceError("an empty answer came instead of JSON")
    if start.startswith(b"<"):
        raise SourceError("an HTML page came instead of JSON")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceError("something that is no JSON came, or only a part of it") from error
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        raise SourceError(f"an error came instead of a list: {prose.tidy(answer['error'])[:200]}")
    if not isinstance(answer, list):
        raise SourceError("JSON that is no list of papers came")
    return answer


def _entry(item: object, endpoint: str) -> Entry:
    """One item; the nested `paper` is read first, then the top level. Raises ValueError with the reason."""
    if not isinstance(item, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - the reason it is skipped
    nested = item.get("paper")
    places: tuple[Item, ...] = (nested, item) if isinstance(nested, dict) else (item,)
    found = arxiv_id(_text(places, "id"))
    if found is None:
        raise ValueError("it has no usable id")
    title_tex = _title(places)
    title = prose.readable(title_tex)
    if not title:
        raise ValueError(f"{found[0]} has no title")
    abstract_tex = prose.tidy(_text(places, "summary"), paragraphs=True)
    return Entry(
        identifier=found[0],
        version=found[1],
        url=f"https://arxiv.org/abs/{found[0]}",
        title=title,
        title_tex=title_tex,
        abstract=prose.readable(abstract_tex, paragraphs=True),
        abstract_tex=abstract_tex,
        authors=_authors(places[0].get("authors"), endpoint),
        # The publishedAt of the top level is another time under the same name.
        published_at=_moment(places[0].get("publishedAt")),
        keywords=_strings(_first(places, "ai_keywords", list)),
        votes=_count(places, "upvotes"),
        comments=_count(places, "numComments"),
        stars=_count(places, "githubStars"),
        organization=_organization(_first(places, "organization", dict), endpoint),
        submitter=_submitter(item.get("submittedBy"), endpoint) or _submitter(_submitted_by(places), endpoint),
        ai_summary=prose.readable(_text(places, "ai_summary")),
        code_url=prose.link(_text(places, "githubRepo")),
        project_url=prose.link(_text(places, "projectPage")),
        thumbnail_url=_absolute(item.get("thumbnail"), endpoint),
        media_urls=_media(places, endpoint),
        discussion_id=prose.tidy(_text(places, "discussionId")),
    )


def _first(places: Iterable[Item], key: str, kind: type) -> object:
    """The first value under `key` that is of the kind and not empty."""
    return next((place[key] for place in places if isinstance(place.get(key), kind) and place[key]), None)


def _text(places: Iterable[Item], key: str) -> str:
    value = _first(places, key, str)
    return value if isinstance(value, str) else ""


def _count(places: Iterable[Item], key: str) -> int | None:
    """A number that is not negative; `true` is none."""
    for place in places:
        value = place.get(key)
        if type(value) is int and 0 <= value <= _LARGEST:
            return value
    return None


def _title(places: tuple[Item, ...]) -> str:
    """The nested title, unless the top level has the same with its TeX."""
    nested, top = (prose.tidy(_text(part, "title")) for part in (places[:1], places[-1:]))
    same = prose.readable(top) == prose.readable(nested) or _letters(top) == _letters(nested)
    return top if top and (not nested or same) else nested


def _letters(title: str) -> str:
    """What is left of a title when Hugging Face has dropped its TeX signs."""
    return re.sub(r"[\\${}\s]", "", title)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _strings(values: object) -> tuple[str, ...]:
    listed = values if isinstance(values, list) else []
    words = (prose.readable(value) for value in listed if isinstance(value, str))
    return tuple(dict.fromkeys(word for word in words if word))


def _absolute(value: object, endpoint: str) -> str:
    if not isinstance(value, str) or not value:
        return ""
    try:
        return prose.link(urljoin(f"{endpoint.rstrip('/')}/", value))
    except ValueError:
        return ""


def _media(places: tuple[Item, ...], endpoint: str) -> tuple[str, ...]:
    """The list of either level, or the single address the top level had until 2024."""
    listed = _first(places, "mediaUrls", list)
    urls = listed if isinstance(listed, list) else [places[-1].get("mediaUrl")]
    links = (_absolute(address, endpoint) for address in urls)
    return tuple(dict.fromkeys(link for link in links if link))


def _authors(values: object, endpoint: str) -> tuple[Author, ...]:
    listed = values if isinstance(values, list) else []
    return tuple(author for value in listed if (author := _author(value, endpoint)))


def _author(value: object, endpoint: str) -> Author | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    name = prose.name(value["name"])
    extra = tuple((key, _json(held, endpoint)) for key, held in value.items() if key not in ("name", "hidden"))
    return Author(name=name, hidden=value.get("hidden") is True, extra=extra) if name else None


def _json(value: object, endpoint: str, *, depth: int = 4) -> object:
    """A JSON value fit for storing: no control characters, avatars absolute, not nested for ever."""
    if isinstance(value, str):
        return prose.tidy(value)
    if isinstance(value, dict) and depth:
        held = {prose.tidy(key): _json(inner, endpoint, depth=depth - 1) for key, inner in value.items()}
        return held | {key: _absolute(held[key], endpoint) for key in ("avatarUrl", "avatar") if key in held}
    if isinstance(value, list) and depth:
        return [_json(inner, endpoint, depth=depth - 1) for inner in value]
    return value if isinstance(value, bool | int | None) or _is_finite(value) else None


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and value - value == 0


def _organization(value: object, endpoint: str) -> Organization | None:
    if not isinstance(value, dict):
        return None
    name = prose.tidy(_text((value,), "name"))
    if not name:
        return None
    return Organization(
        name=name,
        fullname=prose.tidy(_text((value,), "fullname")),
        avatar_url=_absolute(_text((value,), "avatar") or _text((value,), "avatarUrl"), endpoint),
        id=prose.tidy(_text((value,), "_id")),
    )


def _submitted_by(places: tuple[Item, ...]) -> object:
    return _first(places, "submittedOnDailyBy", dict)


def _submitter(value: object, endpoint: str) -> Submitter | None:
    """A user object, which carries its name as `user`, as `name`, or both."""
    if not isinstance(value, dict):
        return None
    name = prose.tidy(_text((value,), "user") or _text((value,), "name"))
    if not name:
        return None
    return Submitter(
        name=name,
        fullname=prose.tidy(_text((value,), "fullname")),
        avatar_url=_absolute(value.get("avatarUrl"), endpoint),
        is_pro=value.get("isPro") is True,
        id=prose.tidy(_text((value,), "_id")),
    )
