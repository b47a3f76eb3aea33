"""Papers' words and meanings, read once when papers come in and kept beside them."""

from django.db.models import Q, QuerySet

from digest import documents, index, meaning, stamps
from digest.models import Analysis, Paper

CHUNK = 500


def refresh(papers: QuerySet[Paper]) -> int:
    """Analyse those of these papers whose text, or the way of reading it, has changed; returns how many."""
    keys = list(papers.order_by("pk").values_list("pk", flat=True))
    return sum(_chunk(keys[at : at + CHUNK]) for at in range(0, len(keys), CHUNK))


def refresh_missing(*, most: int = 20_000) -> int:
    """Analyse papers that have no analysis, or one by another model; the newest first. Returns how many."""
    current = Q(analysis__text_hash__startswith=documents.reading())
    missing = Paper.objects.exclude(current).order_by("-pk").values_list("pk", flat=True)[:most]
    return refresh(Paper.objects.filter(pk__among=list(missing)))


def _chunk(keys: list[int]) -> int:
    rows = list(Paper.objects.filter(pk__among=keys).order_by("pk"))
    plain = [documents.document(row, ()) for row in rows]
    stored = dict(Analysis.objects.filter(paper__among=keys).values_list("paper_id", "text_hash"))
    hashes = [documents.text_hash(paper) for paper in plain]
    changed = [at for at, row in enumerate(rows) if stored.get(row.pk) != hashes[at]]
    vectors = documents.vectors(plain[at] for at in changed)
    Analysis.objects.bulk_create(
        [
            Analysis(
                paper_id=rows[at].pk,
                text_hash=hashes[at],
                words=index.pack(plain[at]),
                model=meaning.name(),
                vector=vector,
            )
            for at, vector in zip(changed, vectors, strict=True)
        ],
        update_conflicts=True,
        unique_fields=["paper"],
        update_fields=["text_hash", "words", "model", "vector"],
    )
    if changed:
        stamps.bump("papers")
    return len(changed)
