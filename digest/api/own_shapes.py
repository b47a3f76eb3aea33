"""The shapes of our own answers."""

from pydantic import Field

from digest.api.shapes import DAY, MOMENT, Shape


class Words(Shape):
    """What an editor wrote."""

    markdown: str
    html: str = Field(description="Safe to show as it is.")


class Institution(Shape):
    name: str
    fullname: str
    avatar_url: str


class Paper(Shape):
    """A paper; what is not known is empty or null."""

    identifier: str = Field(description="arXiv id without version, or web.… for papers known by their address alone.")
    version: int | None
    url: str
    title: str = Field(description="Readable Unicode.")
    title_tex: str = Field(description="As it was listed, TeX and all.")
    abstract: str = Field(description="Readable Unicode, a blank line between paragraphs.")
    abstract_tex: str
    authors: list[str]
    categories: list[str] = Field(description="The primary one first.")
    keywords: list[str]
    organization: Institution | None
    published_at: str | None = Field(json_schema_extra=MOMENT)
    ai_summary: str = Field(description="By a machine, as listed.")
    code_url: str
    project_url: str
    thumbnail_url: str
    media_urls: list[str]
    doi: str
    journal_ref: str
    license_url: str
    votes: int | None
    comments: int | None
    stars: int | None
    featured: str | None = Field(description="The first day that showed it.", json_schema_extra=DAY)
    is_sample: bool = Field(description="Invented, for a look around.")


class Listing(Shape):
    source: str = Field(description="As source: in a topic names it.")
    label: str
    day: str = Field(json_schema_extra=DAY)
    announce: str = Field(description="new, cross or replace.")
    submitter: str | None


class Observation(Shape):
    """What was read of a paper; one whenever a number had changed."""

    at: str = Field(json_schema_extra=MOMENT)
    votes: int | None
    comments: int | None
    stars: int | None


class Place(Shape):
    date: str = Field(description="Of the edition.", json_schema_extra=DAY)
    rank: int


class WholePaper(Paper):
    listings: list[Listing]
    observations: list[Observation]
    editions: list[Place]


class EditionInList(Shape):
    date: str = Field(json_schema_extra=DAY)
    url: str
    published_at: str = Field(json_schema_extra=MOMENT)
    papers: int
    intro: Words
    warnings: list[str] = Field(description="What readers should know, such as a late source.")
    is_sample: bool


class Placement(Shape):
    rank: int
    score: float
    is_pinned: bool = Field(description="Put there by the editor.")
    announce: str
    listed: str = Field(description="The first day on which a source listed it.", json_schema_extra=DAY)
    note: Words
    paper: Paper


class Edition(EditionInList):
    placements: list[Placement]


class Parsed(Shape):
    query: str = Field(description="The query in its normal form.")


class PreviewDay(Shape):
    date: str = Field(json_schema_extra=DAY)
    count: int
    papers: list[str] = Field(description="Their identifiers, in the order of the edition.")


class Preview(Parsed):
    total: int
    days: list[PreviewDay] = Field(description="Those with an edition, the oldest first.")


class NotRead(Shape):
    """Why the text is no query, so that it was searched for as words."""

    error: str
    position: int
    length: int
    suggestion: str


class Reason(Shape):
    what: str
    where: str


class Span(Shape):
    """Where a word that was asked for stands: characters start to end of a field's text number part."""

    field: str
    part: int
    start: int
    end: int
    text: str


class Result(Shape):
    tier: str = Field(description="phrase, words, some or meaning: what of the query the paper has, most first.")
    score: float
    reasons: list[Reason] = Field(description="Why, in words; empty where the paper is near in meaning alone.")
    places: list[Span]
    paper: Paper


class Results(Shape):
    query: str | None = Field(description="The query in its normal form; null where the text is none.")
    error: NotRead | None
    total: int = Field(description="Results that the pages lead to.")
    exact: int = Field(description="How many the query means exactly as a topic would.")
    results: list[Result]
