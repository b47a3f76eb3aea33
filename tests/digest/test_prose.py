import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import prose
from tests import recorded

EVERYTHING = st.text(alphabet=st.characters(codec=None), max_size=200)
TEXISH = st.lists(
    st.sampled_from(
        [
            *"$\\{}^_~`'\"-()[]%& \n",
            "\\frac",
            "\\sqrt[",
            "\\'",
            "\\textbf",
            "\\verb|",
            "\\href",
            "\\alpha",
            "\\left",
            "x",
            "2",
            "alpha",
            "nabla",
            "mathcal{",
            "^{star}",
            "https://a.example/~b",
            "\\c ",
            "\\b{eta}",
            "$$",
            "\\(",
            "\\)",
        ]
    ),
    max_size=60,
).map("".join)
#: what titles are made of when nothing in them is TeX
ORDINARY = st.text(alphabet="abc XYZ 019 .,:;!?()[]+-*/=<>&%#@'\"éß中α", max_size=120).filter(
    lambda text: "--" not in text and "''" not in text
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("$x^2$", "x²"),
        ("$x^{10}$ and $x_{i}$", "x¹⁰ and xᵢ"),
        ("$x^{q,r}$", "x^(q,r)"),
        (r"$\mathcal{O}(n^{2})$", "O(n²)"),
        (r"\(5.1\times\) faster", "5.1× faster"),
        (r"\[ x \in \mathbb{R}^d \]", "x ∈ ℝᵈ"),
        (r"$\frac{a+b}{2}$ of $\sqrt{n}$ and $\sqrt[3]{n+1}$", "(a+b)/2 of √n and ³√(n+1)"),
        (r"$\hat{x}_i \sim \mathcal{N}(0, 1)$", "x̂ᵢ ∼ N(0, 1)"),
        (r"$n \le 13$, $\sim 41$, $90\%$", "n ≤ 13, ∼41, 90%"),
        (r"$\Omega\!\left(\tfrac{\log n}{k}\right)$", "Ω((log n)/k)"),
        (r"$10^{-3}$, 10^12, 10^-3", "10⁻³, 10¹², 10⁻³"),
        (r"GAN$^2$ at $360^\circ$, $A^*$, $M^\top$", "GAN² at 360°, A*, Mᵀ"),
        ("$p<q$ and $r>s$", "p<q and r>s"),
    ],
)
def test_mathematics_becomes_unicode(written: str, shown: str) -> None:
    assert prose.readable(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10",
        "from $5-$10 to $20,000",
        "Earn $1 Million from Freelancing for 1$",
        "a $1,500 budget beats the others at 10$",
        "R&D and Q&A",
        "C:\\Users\\ada and \\d+",
        "run with --verbose",
        "about ~25 papers",
        "see https://a.example/~ada/x_1--y?z=^2",
        "the star of the log, three times approx in pi",
        "a set {a, b} and top_1 of {name}",
        "Infinity, leqa, sim2real",
        "<b>5 < 6</b>",
    ],
)
def test_what_is_not_tex_stays(text: str) -> None:
    assert prose.readable(text) == text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"\emph{x} {\it y} \textbf{z} \texttt{w} {\em v}", "x y z w v"),
        (
            r"\url{https://a.example/b_c} \href{https://d.example/}{here}",
            "https://a.example/b_c here (https://d.example/)",
        ),
        (r"\href{https://d.example/}{https://d.example/}", "https://d.example/"),
        (r"5\% of R\&D for \$3", "5% of R&D for $3"),
        ("pages 1--9 --- all of them", "pages 1–9 — all of them"),
        ("``quoted'' and `single' words", "“quoted” and ‘single’ words"),
        ("Fig.~2 by~Ada", "Fig. 2 by Ada"),
        (r"as shown~\cite{x2026}.", "as shown."),
        (r"P\textsuperscript{2}-Net \ding{182} first", "P²-Net ❶ first"),
        (r"our \method{} beats \ours, \rev{it says}", "our method beats ours, it says"),
        (r"a rate \b{eta} of {\deg}", "a rate β of °"),
        (r"don\'t, it\'s", "don't, it's"),
        (r"norm\underline{{a}}lly", "normally"),
    ],
)
def test_markup_of_tex_is_read(written: str, shown: str) -> None:
    assert prose.readable(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Q^{star} search", "Q* search"),
        ("mathcal{O}(n)", "O(n)"),
        ("nabla^2DFT", "∇²DFT"),
        ("(lceil log_2 N rceil)", "(⌈log₂ N⌉)"),
        ("this {\\it vs.} that", "this vs. that"),
        ("A^2Search, FaSTA^*: UI2Code^N", "A²Search, FaSTA*: UI2Codeᴺ"),
        ("360^circ views", "360° views"),
        ("texttt{D}ual-texttt{H}ead", "Dual-Head"),
        ("a codebook of 2^{128}, pi_0 and V_{0.5}", "a codebook of 2¹²⁸, π₀ and V₀.₅"),
        ("3times faster with sim50K samples", "3× faster with ∼50K samples"),
        ("https://a.example/x{page}.", "https://a.example/x (page)."),
    ],
)
def test_half_stripped_tex_is_mended(written: str, shown: str) -> None:
    assert prose.readable(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"Paulo  Andr\'e Lima", "Paulo André Lima"),
        (r"J\"urgen M{\"u}ller", "Jürgen Müller"),
        (r"Fran\c{c}ois {\O}stergaard", "François Østergaard"),
        (r"\~na S\o{}ren \L{}ukasz \AA{}ke", "ña Søren Łukasz Åke"),
        (r"Bolet\'{\i}n Mar\'\i a", "Boletín María"),
        (r"Erd\H{o}s \v{S}ime Ho\v cevar", "Erdős Šime Hočevar"),
        (r"Witold Ma\'nczak, O'Brien", "Witold Mańczak, O'Brien"),
        ("王 小明", "王 小明"),
        (" ", ""),
    ],
)
def test_names_lose_their_tex(written: str, shown: str) -> None:
    assert prose.name(written) == shown


def test_paragraphs_are_kept_where_asked_for() -> None:
    text = "One\nline.\n \n\nTwo  $x^2$.\r\n\r\nThree."
    assert prose.readable(text, paragraphs=True) == "One line.\n\nTwo x².\n\nThree."
    assert prose.readable(text) == "One line. Two x². Three."


def test_tidying_keeps_tex_and_drops_what_harms() -> None:
    assert prose.tidy(" a\x00b \u202ec\u2066 \ud800 e\u0301 $x^2$\n ") == "ab c é $x^2$"


@given(EVERYTHING | TEXISH)
def test_no_text_breaks_reading(text: str) -> None:
    for paragraphs in (False, True):
        shown = prose.readable(text, paragraphs=paragraphs)
        assert prose.tidy(shown, paragraphs=paragraphs) == shown
    prose.name(text)
    prose.plain(text)
    prose.link(text)
    prose.markdown_text(text)


@given(ORDINARY)
def test_ordinary_text_is_only_tidied(text: str) -> None:
    assert prose.readable(text) == prose.tidy(text)


@pytest.mark.parametrize(
    "unit", ["$", "{", "\\", "\\ ", "^", "{\\it ", "\\frac", "`", "_{", "\\sqrt[", "--", "⌈ ", "<p", "<a '\""]
)
def test_a_million_hostile_characters_take_well_under_a_second(unit: str) -> None:
    for size in (prose.TEX_LENGTH - 10, 1_000_000):
        text = unit * (size // len(unit))
        began = time.process_time()
        prose.readable(text, paragraphs=True)
        prose.plain(text)
        assert time.process_time() - began < 0.9


def test_html_becomes_lines_of_text() -> None:
    html = (
        "<p>One &amp; <b>bold</b><br>line</p><script>alert('x')</script><ul><li>a<li title='x>y'>b</ul><!-- no -->3 < 4"
    )
    assert prose.plain(html) == "One & bold\nline\n\na\nb\n\n3 < 4"


def test_a_note_becomes_safe_html() -> None:
    html = prose.markdown("# Hi\n\n*Read* [this](https://a.example/?x=1&y=2) and `code`.\n\n- one\n- two\n\n> said")
    assert '<a href="https://a.example/?x=1&amp;y=2" rel="noopener noreferrer">this</a>' in html
    assert html.startswith("<h3>Hi</h3>")
    assert all(tag in html for tag in ("<em>Read</em>", "<code>code</code>", "<li>one</li>", "<blockquote>"))


@pytest.mark.parametrize(
    "note",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,hi)",
        "[x](//evil.example)",
        "[x](https://user@evil.example/)",
        "<img src=x onerror=alert(1)>",
        '<a href="https://a.example" onclick="x()">y</a>',
        "<style>@import 'x'</style><svg onload=x><math>",
        "![x](https://a.example/x.png)",
    ],
)
def test_a_note_holds_nothing_active(note: str) -> None:
    active: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            if tag not in ("p", "em", "strong", "code") or attributes:
                active.append(tag)

    Tags().feed(prose.markdown(note))
    assert active == []


def test_a_note_as_text_shows_its_addresses() -> None:
    note = "See [this](https://a.example/) by [Ada](mailto:ada@a.example) & <https://b.example/>.\n\n1. x < y\n2. two"
    assert prose.markdown_text(note) == (
        "See this (https://a.example/) by Ada (ada@a.example) & https://b.example/.\n\n- x < y\n- two"
    )


def test_a_note_nested_too_deep_is_shown_as_typed() -> None:
    assert prose.markdown("1. " * 5000).startswith("<p>1. 1. ")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user@a.example/",
        "https://user:word@a.example/",
        "https://",
        "//a.example/",
        "/x",
        "ftp://a.example/",
        "https://a.example/\nx",
        "https://a.example/\u202ex",
        "https://a.example:port/",
        "https://[bad/",
        "https://a.example/" + "x" * 3000,
        "",
    ],
)
def test_other_than_plain_web_links_are_refused(url: str) -> None:
    assert prose.link(url) == ""


@pytest.mark.parametrize(
    "url", ["https://a.example", "HTTP://A.example:8080/x?y=z@w#f", "https://[::1]/x", "https://ü.example/é"]
)
def test_web_links_pass(url: str) -> None:
    assert prose.link(f" {url} ") == url


def test_recorded_titles_and_abstracts_are_readable(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [paper[key] for paper in recorded.lines("arxiv_listing.jsonl.gz") for key in ("title", "summary")]
    shown = [prose.readable(text, paragraphs=True) for text in texts]
    with_tex = sum("$" in text or "\\" in text for text in texts)
    math_left = sum(bool(re.search(r"\$[^$]*\\[A-Za-z]+[^$]*\$", text)) for text in shown)
    commands_left = sum(bool(re.search(r"\\[A-Za-z]", text)) for text in shown)
    changing = sum(prose.readable(text, paragraphs=True) != text for text in shown)
    with capsys.disabled():
        print(f"\n{len(texts)} texts, {with_tex} with TeX: {math_left} with mathematics left,", end=" ")
        print(f"{commands_left} with commands left, {changing} change when read twice")
    assert math_left <= len(texts) * 0.0001
    assert commands_left <= len(texts) * 0.0005
    assert changing <= len(texts) * 0.001
