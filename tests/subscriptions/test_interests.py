"""Topics out of plain wishes, and out of files that people have already."""

import json
import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions import interests
from subscriptions.builder import Parts, query
from subscriptions.query import QueryError, parse


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (Parts(every="robot arm"), "robot arm"),
        (Parts(every='robot "world model"'), 'robot "world model"'),
        (Parts(every="world models, robot*"), '"world models" robot*'),
        (Parts(some="a1"), "a1"),
        (Parts(some="fold grasp"), "(fold OR grasp)"),
        (Parts(every="x1", none="medical, soup kitchen"), 'x1 -medical -"soup kitchen"'),
        (Parts(authors="Ada Lovelace"), 'author:"Ada Lovelace"'),
        (Parts(authors="Ada Lovelace, Müller"), '(author:"Ada Lovelace" OR author:"Müller")'),
        (Parts(categories="cs.CL"), "cat:cs.CL"),
        (Parts(categories="cs.CL; cs.RO"), "(cat:cs.CL OR cat:cs.RO)"),
        (Parts(votes=20, has_code=True), "votes:>=20 has:code"),
        (Parts(every="OR not vision-language"), '"OR" "not" vision-language'),
        (Parts(every='title:x (y) -z "'), '"title:x" "(y)" "-z"'),
        (Parts(about='robots that "fold" laundry'), 'about:"robots that fold laundry"'),
        (Parts(), ""),
        (Parts(every=' , "" ', some="  ", authors=",;"), ""),
    ],
)
def test_plain_wishes_become_a_query(parts, text):
    assert query(parts) == text


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_typed_is_words_and_never_an_operator(every, some, authors, categories):
    text = query(Parts(every=every, some=some, authors=authors, categories=categories))
    # Signs alone are no word, and a star wants letters before it; nothing else can be wrong.
    problem = ""
    try:
        parse(text or "x")
    except QueryError as error:
        problem = error.message
    assert not problem or re.search(r"word|letter|\*|cat:", problem + text), problem


BIBTEX = r"""
% a library
@string{x = "y"}
@article{one,
  title = {The {Big} {\"U}bung},
  author = {Lovelace, Ada and M{\"u}ller, J{\'e}r{\^o}me and others},
  keywords = "robots; world models",
}
@misc{two, title="A {"} sign", author={Ada Lovelace}, keywords = {Robots, soup}, year=2026}
@inproceedings(three, title = {Third}, author = {Lovelace, Ada})
@comment{nothing}
@article{broken, title={never
@article{four, title={Fourth}}
"""
RIS = """TY  - JOUR
TI  - One
AU  - Lovelace, Ada
KW  - robots
KW  - soup
ER  -
TY  - JOUR
TI  - Two
KW  - robots
"""
CSL = [
    {"title": "One", "author": [{"family": "Lovelace", "given": "Ada"}], "keyword": "robots, soup"},
    {"title": "Two", "author": [{"literal": "A lab"}, 3], "tags": [{"tag": "robots"}, "video"]},
    7,
]
OPML = """<?xml version="1.0" encoding="iso-8859-1"?>
<opml version="2.0"><body><outline text="arXiv">
<outline text="CL" xmlUrl="https://rss.arxiv.org/rss/cs.CL+cs.RO"/>
<outline text="AI" xmlUrl="http://export.arxiv.org/rss/cs.AI"/>
<outline text="A blog" xmlUrl="https://blog.example.org/feed"/>
</outline></body></opml>"""


def test_bibtex_gives_its_keywords_and_its_regular_authors():
    found = interests.read(BIBTEX.encode())

    assert found.kind == "BibTeX with 4 works"
    assert found.topics == (
        ("robots", "robots"),
        ("world models", '"world models"'),
        ("soup", "soup"),
        ("Authors in my library", 'author:"Ada Lovelace"'),
    )
    assert any("never closed: @article{broken" in line for line in found.left_out)
    assert any("2 of 4 works have no keywords" in line for line in found.left_out)


def test_ris_and_csl_give_their_keywords():
    ris = interests.read(RIS.replace("\n", "\r\n").encode("utf-8-sig"))
    csl = interests.read(json.dumps(CSL).encode())

    assert ris.topics == (("robots", "robots"), ("soup", "soup"))
    assert "The last work has no end (ER): Two" in ris.left_out
    assert csl.topics == (("robots", "robots"), ("soup", "soup"), ("video", "video"))
    assert "Entry 3 is no work." in csl.left_out
    assert interests.read(json.dumps({"items": CSL}).encode()).topics == csl.topics


def test_opml_gives_the_categories_of_arxivs_feeds_and_names_the_others():
    found = interests.read(OPML.encode())

    assert [query for _, query in found.topics] == ["cat:cs.CL", "cat:cs.RO", "cat:cs.AI"]
    assert found.left_out == ("A blog: only feeds of arXiv say what they are about.",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_list_of_keywords_is_read_in_any_encoding(encoding):
    text = 'robots, soup\n- Übung macht\n\nHands = robot* OR "arm"\n"quoted, comma"\nSpoilt = (a\nq:foo\n...\n'

    found = interests.read(text.encode(encoding))

    assert [name for name, _ in found.topics] == ["robots", "soup", "Übung macht", "Hands", '"quoted, comma"']
    assert [line.split(":")[0] for line in found.left_out] == ["(a", "q", "..."]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x" * (interests.LARGEST + 1), "bytes"),
        (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><opml>&a;</opml>", "document type"),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><opml/>", "document type"),
        (b"<opml>" + b"<outline>" * 100, "nested too deep"),
        (b"<opml><body>", "no OPML"),
        (b"<html><body><p>Hello</body></html>", "no OPML"),
        (b"[" * 100_000, "begins like JSON"),
        (b'{"a": ', "begins like JSON"),
        (b"PK\x03\x04\x00\x00", "no text"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(content, says):
    with pytest.raises(interests.Unreadable, match=says):
        interests.read(content)


@pytest.mark.parametrize(
    "content",
    [
        "@a{" * 600_000, "@a{b, " + " " * 1_900_000, "@a{b, title={" + "{" * 1_900_000,
        "\n" * 1_900_000 + "@", "@" * 1_900_000,
        "@a{b, author={" + " " * 1_900_000 + "}}", "a," * 900_000, "x\n" * 900_000, "(" * 1_900_000,
        "TY  - \n" + "KW  - a\n" * 200_000, "[" + "1," * 900_000 + "1]", "\n@a{" * 400_000,
        '@a{b, c="' + '"' * 1_900_000,
        "<opml>" + "<outline xmlUrl='x'/>" * 80_000 + "</opml>", "@a{b," + "c=," * 600_000 + "}",
    ],
    ids=range(15),
)  # fmt: skip
def test_no_file_takes_long(content):
    began = time.process_time()
    try:
        found = interests.read(content.encode())
        assert len(found.topics) <= interests.MOST_TOPICS
        assert len(found.left_out) <= 101
    except interests.Unreadable:
        pass
    assert time.process_time() - began < 5


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content):
    try:
        for _, text in interests.read(content).topics:
            parse(text)
    except interests.Unreadable:
        pass


@given(
    st.text(alphabet='@{}()",=\\ \naé%&;andTY-<>[]:', max_size=200),
    st.sampled_from(["@a{b,", "TY  - ", "[", "<opml>", ""]),
)
def test_any_text_of_any_kind_is_read_or_refused(text, start):
    with suppress(interests.Unreadable):
        interests.read((start + text).encode())
