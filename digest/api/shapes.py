"""The shapes of Hugging Face's answers, for the description of the API and for clients generated from it."""

from ninja import Schema
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

MOMENT: JsonDict = {"format": "date-time", "pattern": r"Z$"}
DAY: JsonDict = {"format": "date"}


class Shape(Schema):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")


class User(Shape):
    id_: str = Field(alias="_id")
    user: str
    name: str
    fullname: str
    avatarUrl: str
    isPro: bool
    type: str


class Organization(Shape):
    id_: str = Field(alias="_id")
    name: str
    fullname: str
    avatar: str
    avatarUrl: str


class Author(Shape):
    id_: str = Field(alias="_id")
    name: str
    hidden: bool = Field(description="Not to be shown.")
    status: str | None = None
    statusLastChangedAt: str | None = Field(None, json_schema_extra=MOMENT)
    user: User | None = None


class Linked(Shape):
    """A model, dataset or Space; Paperboy knows of none."""

    id: str


class Known(Shape):
    """What may be known of a paper; absent where it is not."""

    upvotes: int = Field(ge=0)
    summary: str = Field(description="The abstract as it was listed, TeX and all.")
    ai_summary: str | None = Field(None, description="One sentence by a machine, as listed.")
    ai_keywords: list[str] | None = None
    organization: Organization | None = None
    projectPage: str | None = None
    githubRepo: str | None = None
    githubStars: int | None = Field(None, ge=0)
    mediaUrls: list[str] | None = None
    linkedModels: list[Linked]
    linkedDatasets: list[Linked]
    linkedSpaces: list[Linked]


class HubPaper(Known):
    id: str = Field(description="arXiv id without version.")
    authors: list[Author]
    publishedAt: str = Field(description="The paper's own time.", json_schema_extra=MOMENT)
    title: str
    discussionId: str
    submittedOnDailyAt: str | None = Field(None, description="The day it was featured.", json_schema_extra=MOMENT)
    submittedOnDailyBy: User | None = None


class HubItem(Known):
    """A paper in a list; what both levels have is the same."""

    paper: HubPaper
    publishedAt: str = Field(description="The day it was featured.", json_schema_extra=MOMENT)
    title: str
    thumbnail: str
    numComments: int = Field(ge=0)
    submittedBy: User | None
    isAuthorParticipating: bool


class HubPaperAlone(HubPaper):
    thumbnail: str
    numComments: int = Field(ge=0)
    numTotalModels: int
    numTotalDatasets: int
    numTotalSpaces: int


class Repos(Shape):
    models: list[Linked]
    datasets: list[Linked]
    spaces: list[Linked]
