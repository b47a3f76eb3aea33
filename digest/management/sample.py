"""An invented day, for a look around without a network. None of these papers exists."""

from datetime import UTC, datetime
from typing import NamedTuple

from digest.sources.entry import Author, Entry, Organization


class _Sample(NamedTuple):
    title: str
    authors: str
    category: str
    votes: int
    comments: int
    stars: int
    abstract: str
    keywords: str
    organization: str


_PAPERS = (
    ("Counting Widgets with Very Small Models", "Ada Example, Ben Sample, Chris Placeholder", "cs.LG", 94, 7, 312,
     "We ask how small a model may be and still count widgets. Four parameters are enough for up to seven widgets; "
     "beyond that a fifth is of help. We publish all five parameters.",
     "widget counting, small models", "Example Lab"),
    ("World Models for Robots That Fold Paper", "Dana Fold, Eli Crease", "cs.RO", 61, 4, 87,
     "A robot that knows what paper will do next needs fewer sheets. We train a world model on an hour of video of "
     "paper being folded, and let a robot arm plan in it. It folds a crane at the third try.",
     "world model, robot learning, video", "Institute of Paper"),
    ("Diffusion Models Draw Maps of Places That Are Not There", "Fay Contour, Gus Meridian, Hal Isobar, Ivy Graticule",
     "cs.CV", 45, 2, 0,
     "Maps drawn by diffusion models look right and lead nowhere. We measure how far one can walk before noticing, "
     "and give the models a compass.",
     "diffusion models, cartography", ""),
    ("A Benchmark of Questions Nobody Has Asked", "Jo Query", "cs.CL", 38, 5, 15,
     "Language models are tested with questions that people ask. We collect ten thousand that nobody has asked yet "
     "and find that models answer them with the same confidence.",
     "benchmark, language models, evaluation", "Example Lab"),
    ("Pre-training on Nothing but Footnotes", "Kim Asterisk, Lou Dagger", "cs.CL", 33, 1, 41,
     "Footnotes hold what authors could not bear to leave out. A language model pre-trained on footnotes alone hedges "
     "more and errs less.",
     "pre-training, language models", ""),
    ("Multi-Agent Bargaining over the Last Biscuit", "Max Crumb, Nia Oat", "cs.MA", 27, 9, 0,
     "Agents that share a plate leave the last biscuit. We show that politeness is an equilibrium when memory exceeds "
     "one tea, and that it breaks when agents are large.",
     "multi-agent systems, game theory", "Society for Tea"),
    ("Transformers without Attention to Detail", "Ola Gist, Pat Outline", "cs.LG", 22, 0, 130,
     "We remove detail from attention and keep the gist. The transformer becomes faster, and summaries of its own "
     "mistakes become shorter.",
     "transformers, efficiency", "Outline AI"),
    ("Robot Manipulation of Very Soft Objects: The Case of Soup", "Quin Ladle, Rae Broth", "cs.RO", 18, 3, 9,
     "Soup has no shape to grasp. We let a robot learn from spills, with a reward for what remains in the bowl.",
     "robot manipulation, reinforcement learning", "Institute of Paper"),
    ("Graph Neural Networks Get Lost in Mazes, Too", "Sam Corner, Tess Thread", "cs.LG", 11, 0, 4,
     "Message passing finds its way out of a maze only if somebody leaves a thread. We prove that one thread of "
     "logarithmic length is enough.",
     "graph neural networks", ""),
    ("Reading the Small Print: Retrieval for Long Contracts", "Uma Clause, Vic Proviso", "cs.IR", 8, 1, 0,
     "Retrieval misses what contracts hide on purpose. We index by what a sentence takes away rather than by what it "
     "says.",
     "retrieval, long documents", ""),
    ("On the Sleep of Language Models", "Wes Drowse", "cs.AI", 3, 0, 0,
     "Models that pause between answers consolidate nothing, but their readers do.",
     "language models", ""),
    ("Video Generation of Drying Paint at 4K", "Xan Gloss, Yve Matte, Zoe Satin", "cs.CV", 0, 0, 2,
     "Slow change is hard to generate: models hurry. Our sampler waits, and its paint dries on time.",
     "video generation", ""),
)  # fmt: skip


def entries() -> list[Entry]:
    return [_entry(number, _Sample(*paper)) for number, paper in enumerate(_PAPERS, start=90001)]


def _entry(number: int, paper: _Sample) -> Entry:
    return Entry(
        identifier=f"sample.{number}",
        url=f"https://example.org/papers/{number}",
        title=paper.title,
        abstract=paper.abstract,
        authors=tuple(Author(name=name) for name in paper.authors.split(", ")),
        categories=(paper.category,),
        keywords=tuple(paper.keywords.split(", ")),
        published_at=datetime(2026, 1, 5, tzinfo=UTC),
        votes=paper.votes,
        comments=paper.comments,
        stars=paper.stars,
        organization=Organization(name=paper.organization) if paper.organization else None,
        code_url=f"https://example.org/code/{number}" if paper.stars else "",
    )
