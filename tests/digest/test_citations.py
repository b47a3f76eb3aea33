"""A paper in a reference manager. Outcomes are what BibTeX makes of the names, read by rules written anew here."""

import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.citations import Work, bibtex, key, ris
from tests import make

WORK = Work(
    title="World models for robots that fold paper",
    authors=("Dana Fold", "Eli Crease"),
    day=date(2026, 6, 1),
    url="https://arxiv.org/abs/2606.90001",
    abstract="They fold.\n\nThey crease.",
    keywords=("robots", "origami"),
    arxiv="2606.90001",
    category="cs.RO",
)


def field(entry, name):
    """A field's text between its braces."""
    start = entry.index(f"\n  {name} = {{") + len(name) + 7
    depth, at = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(entry[at], 0)
        at += 1
    return entry[start : at - 1]


def names(*authors):
    return field(bibtex(replace(WORK, authors=authors)), "author")


def rows(record, tag):
    return [line[6:] for line in record.split("\r\n") if line.startswith(f"{tag}  - ")]


def test_a_preprint_is_cited_with_all_that_arxiv_knows():
    assert bibtex(WORK) == (
        "@misc{Fold2026World,\n"
        "  author = {Fold, Dana and Crease, Eli},\n"
        "  title = {World models for robots that fold paper},\n"
        "  year = {2026},\n"
        "  month = jun,\n"
        "  eprint = {2606.90001},\n"
        "  archivePrefix = {arXiv},\n"
        "  primaryClass = {cs.RO},\n"
        "  url = {https://arxiv.org/abs/2606.90001},\n"
        "  keywords = {robots, origami},\n"
        "  abstract = {They fold. They crease.}\n"
        "}\n"
    )
    assert ris(WORK).split("\r\n") == [
        "TY  - UNPB", "AU  - Fold, Dana", "AU  - Crease, Eli", "TI  - World models for robots that fold paper",
        "PY  - 2026", "DA  - 2026/06/01", "PB  - arXiv", "AN  - arXiv:2606.90001",
        "UR  - https://arxiv.org/abs/2606.90001", "KW  - robots", "KW  - origami", "AB  - They fold. They crease.",
        "ER  - ", "",
    ]  # fmt: skip


def test_what_was_published_is_an_article_with_its_journal_and_doi():
    work = replace(WORK, journal="J. Fold. 12 (2026) 3_4", doi="10.90001/a_b(c)%d{e}")
    entry, record = bibtex(work), ris(work)
    assert entry.startswith("@article{")
    assert field(entry, "journal") == r"J. Fold. 12 (2026) 3\_4"
    assert field(entry, "doi") == "10.90001/a_b(c)%d%7Be%7D"
    assert rows(record, "TY") == ["JOUR"]
    assert rows(record, "T2") == ["J. Fold. 12 (2026) 3_4"]
    assert rows(record, "DO") == ["10.90001/a_b(c)%d{e}"]


def test_a_paper_that_is_not_at_arxiv_names_no_eprint():
    entry = bibtex(replace(WORK, arxiv="", url="https://lab.example.org/a b{c}"))
    assert "eprint" not in entry and "archivePrefix" not in entry and "primaryClass" not in entry
    assert field(entry, "url") == "https://lab.example.org/a%20b%7Bc%7D"


@pytest.mark.parametrize(
    ("name", "in_bibtex", "in_ris"),
    [
        ("Jan van der Berg", "van der Berg, Jan", "van der Berg, Jan"),
        ("Ada B. de la Cruz Ruiz", "de la Cruz Ruiz, Ada B.", "de la Cruz Ruiz, Ada B."),
        ("Martin Luther Fold Jr.", "Fold, Jr., Martin Luther", "Fold, Martin Luther, Jr."),
        ("Sam Fold, Jr.", "Fold, Jr., Sam", "Fold, Sam, Jr."),
        ("Henry Fold III", "Fold, III, Henry", "Fold, Henry, III"),
        ("Fold, Dana", "Fold, Dana", "Fold, Dana"),
        ("Plato", "Plato", "Plato"),
        ("others", "{others}", "others"),
        ("danah fold", "fold, danah", "fold, danah"),
        ("Zoë Überfalz", "Überfalz, Zoë", "Überfalz, Zoë"),
        ("李 明", "明, 李", "明, 李"),
        ("Paper Folding Team", "{Paper Folding Team}", "Paper Folding Team"),
        ("Fold & Crease, Inc.", r"{Fold \& Crease, Inc.}", "Fold & Crease Inc."),
        ("Dana Fold and Eli Crease", "{Dana Fold and Eli Crease}", "Dana Fold and Eli Crease"),
        ("Dana {F}old", r"\textbraceleft{}F\textbraceright{}old, Dana", "{F}old, Dana"),
        ("Da\\na 100% Fold", r"{Da\textbackslash{}na 100\% Fold}", "Da\\na 100% Fold"),
        ("Dana\n Fold\x00", "Fold, Dana", "Fold, Dana"),
    ],
)
def test_a_name_is_taken_apart_as_its_owner_would(name, in_bibtex, in_ris):
    assert names(name) == in_bibtex
    assert rows(ris(replace(WORK, authors=(name,))), "AU") == [in_ris]


def test_all_of_many_authors_are_named():
    authors = tuple(f"Dana Number{'abcdefghij'[n % 10]}{n // 10 * 'x'}" for n in range(664))
    assert names(*authors).count(" and ") == 663
    assert len(rows(ris(replace(WORK, authors=authors)), "AU")) == 664


def test_nobody_is_named_where_all_are_hidden():
    work = replace(WORK, authors=())
    assert "author" not in bibtex(work)
    assert "AU  -" not in ris(work)
    assert key(work) == "Paper2026World"


@pytest.mark.parametrize(
    ("title", "cited"),
    [
        ("FoldGPT: a model of paper", "{FoldGPT}: a model of paper"),
        ("A Bayesian theory of folds (in 3D)", "A {Bayesian} theory of folds (in {3D})"),
        ("World Models for Robots That Fold Paper", "World Models for Robots That Fold Paper"),
        ("Q-Learning to Fold 90% of $x_i$ & {y}",
         r"{Q-Learning} to Fold 90\% of \$x\_i\$ \& \textbraceleft{}y\textbraceright{}"),
        ("Folds ~ x^2 \\ #1", r"Folds \textasciitilde{} x\textasciicircum{}2 \textbackslash{} \#1"),
        ("Überfalten mit µ-Genauigkeit", "Überfalten mit {µ-Genauigkeit}"),
        ("折纸的世界模型", "折纸的世界模型"),
        ("} Unbalanced {", r"\textbraceright{} Unbalanced \textbraceleft{}"),
    ],
)  # fmt: skip
def test_a_title_keeps_its_capitals_and_its_signs(title, cited):
    assert field(bibtex(replace(WORK, title=title)), "title") == cited


@pytest.mark.parametrize(
    ("authors", "title", "expected"),
    [
        (("Jan van der Berg",), "On the folding of paper", "VanderBerg2026Folding"),
        (("Łukasz Øst",), "A 3D fold", "Ost20263D"),
        (("李 明", "Zoë Überfalz"), "折纸 and folds", "Uberfalz2026Folds"),
        (("李 明",), "折纸的", "Paper2026"),
        (("Paper Folding Team",), "To be or not to be", "PaperFoldingTeam2026"),
    ],
)
def test_a_key_is_author_year_and_word_in_plain_letters(authors, title, expected):
    assert key(replace(WORK, authors=authors, title=title)) == expected


words = st.text(max_size=60)


@given(words, st.lists(words, max_size=4), words, words, words)
def test_no_text_ends_a_field_or_a_record(title, authors, abstract, doi, journal):
    work = replace(WORK, title=title, authors=tuple(authors), abstract=abstract, doi=doi, journal=journal,
                   keywords=(title,))  # fmt: skip
    entry, record = bibtex(work), ris(work)

    depth, entry_ends = 0, 0
    for at, sign in enumerate(entry):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
        if sign == "}" and depth == 0:
            entry_ends = at
            break
    assert entry_ends == len(entry) - 2
    assert re.fullmatch(r"(?:[A-Z][A-Z0-9]  - [^\r\n]*\r\n)+", record)
    assert record.count("\r\nER  - ") == 1 and record.endswith("ER  - \r\n")
    entry.encode()
    record.encode()


# The door -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("form", "kind", "first"), [("bib", "application/x-bibtex", "@misc{"), ("ris", "application/x-research", "TY  - ")]
)
def test_a_citation_is_saved_under_the_papers_id(client, form, kind, first):
    paper = make.paper(authors=[{"name": "Dana Fold", "hidden": False}, {"name": "Eli Crease", "hidden": True}])

    response = client.get(f"/papers/{paper.identifier}.{form}")

    assert response.status_code == 200
    assert response["Content-Type"].startswith(kind)
    assert response["Content-Disposition"] == f'attachment; filename="{paper.identifier}.{form}"'
    text = response.content.decode()
    assert text.startswith(first)
    assert "Fold" in text and "Crease" not in text


@pytest.mark.django_db
def test_an_old_id_a_version_and_a_paper_that_is_not_there(client):
    make.paper(identifier="math/0609123", url="https://arxiv.org/abs/math/0609123")
    make.paper(identifier="2606.99001")

    assert client.get("/papers/math/0609123.bib")["Content-Disposition"] == 'attachment; filename="math-0609123.bib"'
    assert client.get("/papers/2606.99001v3.ris").url == "/papers/2606.99001.ris"
    for path in ("/papers/2606.99999.bib", "/papers/x%00y.ris", f"/papers/{'9' * 900}.bib"):
        response = client.get(path)
        assert response.status_code == 404
        assert "nothing to cite" in response.content.decode()
    assert client.post("/papers/2606.99001.bib").status_code == 405
