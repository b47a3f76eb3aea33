"""Reading and printing the topic language."""

import time
from datetime import date
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions.query import And, Label, Near, Not, Or, QueryError, Range, Term, parse
from subscriptions.query.parse import LONGEST
from tests.subscriptions import queries
from tests.subscriptions.test_words import LIGATURES


def word(*parts, **more):
    return Term(parts, **more)


def day(year, month, number):
    return date(year, month, number).toordinal()


A, B, C = word("a"), word("b"), word("c")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Transformers", word("transformers")),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a b OR c", Or((And((A, B)), C))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("a (b c)", And((A, B, C))),
        ("-a", Not(A)),
        ("NOT a", Not(A)),
        ("NOT -a", A),
        ("a -b", And((A, Not(B)))),
        ("a-b", word("a", "b")),
        ("NOT a b", And((Not(A), B))),
        ("NOT(a b)", Not(And((A, B)))),
        ("a and b", And((A, word("and"), B))),
        ('"AND"', word("and", quoted=True)),
        ('"World Models"', word("world", "models", quoted=True)),
        ("“World Models”", word("world", "models", quoted=True)),
        ('a"b"', And((A, word("b", quoted=True)))),
        ("transform*", word("transform", prefix=True)),
        ("vision-lang*", word("vision", "lang", prefix=True)),
        ("Schro\u0308dinger", word("schrodinger")),
        ("title:a", word("a", field="title")),
        ("TI: a", word("a", field="title")),
        ("title:(a OR b)", Or((word("a", field="title"), word("b", field="title")))),
        ("-abs:a", Not(word("a", field="abstract"))),
        ("au:Poincaré", word("poincare", field="author")),
        ("Widgets: a", And((word("widgets"), A))),
        ("3:4", word("3", "4")),
        ("cat:cs.CL", Label("cat", "cs.cl")),
        ("cat:cs.*", Label("cat", "cs")),
        ("source:HF", Label("source", "huggingface")),
        ('source:"My Blog"', Label("source", "my blog")),
        ("has:Code", Label("has", "code")),
        ("id:2606.90001v2", Label("id", "2606.90001")),
        ("arXiv:2606.90001", Label("id", "2606.90001")),
        ("id:math.GT/0606001", Label("id", "math.gt/0606001")),
        ("like:2606.90001v2", Near("like", "2606.90001")),
        ("like:arXiv:2606.90001", Near("like", "2606.90001")),
        ('about:"Robots  that learn"', Near("about", "Robots that learn")),
        ("about:robots -about:cats", And((Near("about", "robots"), Not(Near("about", "cats"))))),
        ("about:robot*", Near("about", "robot")),
        ("votes:20", Range("votes", 20, 20)),
        ("votes:=20", Range("votes", 20, 20)),
        ("votes: >= 20", Range("votes", 20, None)),
        ("stars:>100", Range("stars", 101, None)),
        ("comments:<3", Range("comments", None, 2)),
        ("comments:<=3", Range("comments", None, 3)),
        ("votes:5..9", Range("votes", 5, 9)),
        ("year:2026", Range("year", 2026, 2026)),
        ("date:2026-06-02", Range("date", day(2026, 6, 2), day(2026, 6, 2))),
        ("date:2026-02", Range("date", day(2026, 2, 1), day(2026, 2, 28))),
        ("date:2024", Range("date", day(2024, 1, 1), day(2024, 12, 31))),
        ("date:2025-12..2026-02", Range("date", day(2025, 12, 1), day(2026, 2, 28))),
        ("date:>2026-02", Range("date", day(2026, 3, 1), None)),
        ("date:<2026-02", Range("date", None, day(2026, 1, 31))),
        ("date:>9999-12-30", Range("date", date.max.toordinal(), None)),
    ],
)
def test_a_text_is_read_as_a_tree(text, query):
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a AND (b OR NOT c)", "a (b OR NOT c)"),
        ("((a)) OR (b AND c)", "a OR b c"),
        ("-(a b)", "NOT (a b)"),
        ("ti:(a -B)", "title:a NOT title:b"),
        ('author:"Ada Lovelace"', 'author:"ada lovelace"'),
        ("votes:>19", "votes:>=20"),
        ("date:2026-06", "date:2026-06-01..2026-06-30"),
        ('source:"my blog" cat:CS.cl', 'source:"my blog" cat:cs.cl'),
        ("about:Robots like:2606.90001", 'about:"Robots" like:2606.90001'),
        ("about:Schro\u0308dinger", 'about:"Schrödinger"'),
        ('cat:"-cs"', 'cat:"-cs"'),
        ('cat:"//x"', 'cat:"//x"'),
        ("cat:cs.**", "cat:cs"),
        ("id:web.xv1v2", "id:web.x"),
    ],
)
def test_a_query_prints_itself_in_one_normal_form(text, printed):
    assert str(parse(text)) == printed


@settings(max_examples=200, deadline=None)
@given(queries.trees)
def test_what_a_tree_prints_is_read_as_that_tree(query):
    assert parse(str(query)) == query


def test_what_thousands_of_trees_print_is_read_as_those_trees():
    random = Random(2606)
    for _ in range(5_000):
        query = queries.tree(random)
        assert parse(str(query)) == query


def refused(text):
    """The error of a text that cannot be read, once its place and suggestion were looked at; None for a query."""
    try:
        query = parse(text)
    except QueryError as error:
        return error
    printed = str(query)
    if len(printed) <= LONGEST:
        assert parse(printed) == query
        assert str(parse(printed)) == printed
    return None


def check(text):
    """Any text is a query that prints itself, or an error with a place in the text and a suggestion that is a query."""
    if error := refused(text):
        assert error.message
        assert 0 <= error.position <= error.position + error.length <= len(text)
        assert not error.suggestion or parse(error.suggestion)


PIECES = (
    *'( ) ( ) " “ ” - - NOT AND OR * ** : .. > >= < = title: ti: cat: id: has: votes: date: year: source:'.split(),
    *"like: about:".split(),
    *"titel: arXiv: code cs.CL cs.* 2606.90001v2 20 5..9 9..5 2026-06 2026-13-01 99999999999999999999 a b*c".split(),
    *"transformer* C++ C# fusion vision-language Poincaré é ½ ⑴ ﷺ 机器人 İ ǰ ﬁ 𝐁 ͺ ｱｲ ㈠ 's _ // , # +".split(),
    *("http://example.org/a?b=c", "\xad", "\u200b", "\x85", "\0", "\n", " ", " "),
)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=LIGATURES), max_size=20))
def test_any_text_is_read_or_refused_with_a_place_and_a_readable_suggestion(text):
    check(text)


@pytest.mark.parametrize("between", ["", " "])
def test_thousands_of_odd_queries_are_read_or_refused_in_the_same_way(between):
    random = Random(2606)
    for _ in range(4_000):
        check(between.join(random.choices(PIECES, k=random.randint(1, 14))))


@pytest.mark.parametrize(
    "text",
    [
        "a " * 5_000,
        "a " * 999,
        "title:(" + "a " * 900 + ")",
        "(" * 1_000,
        ")" * 1_000,
        "(" * 900 + "a" + ")" * 900,
        "( )" * 600,
        "(a " * 600,
        "title:(" * 250,
        "title:" * 300,
        "a:" * 999,
        "AND " * 600,
        "AND " * 400,
        "a OR " * 400,
        "-" * 1_000,
        "- " * 1_000,
        "-(" * 900,
        "NOT " * 500,
        "NOT " * 490 + "a",
        '"' * 1_999,
        '"' * 10_000,
        "“”" * 1_000,
        "“" * 1_999,
        "'" * 1_999,
        "„" * 1_999,
        '"a" ' * 490,
        "<" * 1_999,
        "votes:>=" * 200,
        "votes:" + "9" * 1_990,
        "votes:0.." + "9" * 1_980,
        "date:" + "1" * 1_990,
        "date:" + "1-" * 990,
        "id:" + "v1" * 990 + "!",
        "id:" + "a.-" * 600 + "!",
        "*" * 1_999,
        "a*" * 999,
        "\0" * 1_999,
        "\xad" * 1_999,
        "\n" * 1_999,
    ],
)
def test_what_is_too_long_too_deep_or_too_odd_is_refused_at_once(text):
    start = time.process_time()

    assert refused(text)
    check(text)

    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("text", ["a " * 200, "title:(" + "a OR " * 199 + "a)", "(" * 30 + "a" + ")" * 30, "a" * 2_000])
def test_the_largest_queries_are_read(text):
    assert not refused(text)


@pytest.mark.parametrize(
    ("text", "said", "wrong", "suggestion"),
    [
        ("", "The query is empty", "", ""),
        (" \n", "The query is empty", "", ""),
        ('robot "world model', "quotation mark is never closed", '"', 'robot "world model"'),
        ("(robot OR video", "parenthesis is never closed", "(", "(robot OR video)"),
        ("robot (", "parenthesis is never closed", "(", "robot"),
        ("robot) video", "closes nothing", ")", "robot video"),
        (") video", "closes nothing", ")", "video"),
        ("robot () video", "nothing between these", "()", "robot video"),
        ("robot AND", "Something must follow AND", "AND", "robot"),
        ("(robot OR) video", "Something must follow OR", "OR", "(robot ) video"),
        ("robot NOT", "Something must follow NOT", "NOT", "robot"),
        ("OR robot", "OR needs a word before it", "OR", "robot"),
        ("robot AND OR video", "OR needs a word before it", "OR", "robot AND video"),
        ("robot - video", "There is no word in -", "-", "robot video"),
        ('robot ""', 'There is no word in ""', '""', "robot"),
        ("foo*bar", "The star stands at the end", "foo*bar", ""),
        ("robot a*", "A star needs 2 letters", "a*", ""),
        ("titel:robot", "did you mean title:?", "titel:", "title:robot"),
        ("vote:>=20 robot", "did you mean votes:?", "vote:", "votes:>=20 robot"),
        ("Re:Zero anime", "There is no field Re:", "Re:Zero", '"Re Zero" anime'),
        ("title: AND robot", "title: needs something after it", "title:", ""),
        ("author:", "author: needs something after it", "author:", ""),
        ("title:(robot cat:cs)", "cannot stand inside the parentheses of title:", "cat:", ""),
        ("cat:(cs OR math)", "takes one value", "(", ""),
        ("cat:=cs.CL robot", "cat: is not compared", "=", "cat:cs.CL robot"),
        ("has:cod robot", "takes one of code", "cod", "has:code robot"),
        ("has:money", "takes one of code", "money", ""),
        ('cat:"" robot', "needs something after it", '""', ""),
        ("id:a/b", "is no id of a paper", "a/b", ""),
        ("like:robots/x", "is no id of a paper", "robots/x", ""),
        ("about:", 'such as about:"robots that learn from video"', "about:", ""),
        ("about:(a b)", "takes one value", "(", ""),
        ("about:>3", "about: is not compared", ">", "about:3"),
        ('robots about:"…"', "There is no word in", '"…"', ""),
        ("lik:2606.90001", "did you mean like:", "lik:", "like:2606.90001"),
        (">=20", "A comparison needs a field", ">=", ""),
        ("votes:many", "votes: takes a number", "many", ""),
        ("votes:-5", "votes: needs something after it", "votes:", ""),
        ("votes:>=-5", "votes: takes a number", "-", ""),
        ("votes:9999999999", "votes: takes a number", "9999999999", ""),
        ("votes:20..10 robot", "ends before it begins", "20..10", "votes:10..20 robot"),
        ("votes:>5..9", "not both", ">5..9", ""),
        ("votes:<0", "Nothing is less", "<0", ""),
        ("votes:5..", "votes: takes a number", "5..", ""),
        ("date:2026-02-30", "date: takes a day, month or year", "2026-02-30", ""),
        ("date:2026-00-05", "date: takes a day, month or year", "2026-00-05", ""),
        ("date:2026-06-02-01", "date: takes a day, month or year", "2026-06-02-01", ""),
        ("date:" + "9" * 20, "date: takes a day, month or year", "9" * 20, ""),
        ("date:<0001-01-01", "Nothing is less", "<0001-01-01", ""),
        ("year:2026-06", "year: takes a number", "2026-06", ""),
        ("robot votes>=20", "A comparison needs a colon: votes:>=20", "votes>=20", "robot votes:>=20"),
        ("stars=100", "A comparison needs a colon", "stars=100", "stars:=100"),
    ],
)
def test_a_wrong_query_is_told_what_is_wrong_where_and_what_was_meant(text, said, wrong, suggestion):
    with pytest.raises(QueryError) as caught:
        parse(text)

    error = caught.value
    assert said in error.message
    assert text[error.position : error.position + error.length].strip() == wrong
    assert error.suggestion == suggestion


def test_an_error_counts_the_characters_of_the_text_as_it_was_given():
    with pytest.raises(QueryError) as caught:
        parse("“Poincaré” 𝐁ERT  titel:x")

    assert (caught.value.position, caught.value.length) == (17, 6)


def test_a_suggestion_is_no_longer_than_a_query_may_be():
    with pytest.raises(QueryError) as caught:
        parse('"' + "a" * (LONGEST - 1))

    assert caught.value.suggestion == ""


def test_a_text_that_is_too_long_is_wrong_from_where_it_is_too_long():
    with pytest.raises(QueryError) as caught:
        parse("a" * (LONGEST + 7))

    assert (caught.value.position, caught.value.length) == (LONGEST, 7)


@pytest.mark.parametrize("text", ["2606.01234", "2606.01234v3", "arXiv:2606.01234", "id:arXiv:2606.01234v2"])
def test_an_id_means_its_paper_however_it_is_pasted(text):
    assert str(parse(text)) == "id:2606.01234"


@pytest.mark.parametrize("text", ["„world models“", "«world models»", "“world models”"])
def test_quotation_marks_of_other_hands_quote_too(text):
    assert str(parse(text)) == '"world models"'


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["robot", "AND", "OR", "NOT", "or", "2606", "é", "ﬁne", "视频", "c", "x1"]), min_size=1)
)
def test_plain_words_are_read_as_the_grammar_reads_them(said):
    from subscriptions.query.parse import _Parser

    def read(how):
        try:
            return how()
        except QueryError as error:
            return error.message

    text = " ".join(said)
    assert read(lambda: parse(text)) == read(lambda: _Parser(text).whole())
