"""Mathematics on pages: TeX → MathML that any browser shows and no stranger can abuse."""

import html
import re
import time
import unicodedata
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest import prose, tex
from digest.tex.mathml import formula
from tests import recorded
from tests.digest.test_prose import EVERYTHING, TEXISH

ELEMENTS = frozenset(
    "math mrow mi mn mo mtext mspace msub msup msubsup munder mover munderover mfrac msqrt mroot mtable mtr mtd"
    " mphantom mstyle span mark".split()
)
ATTRIBUTES = frozenset(
    "display stretchy form lspace rspace minsize maxsize movablelimits displaystyle scriptlevel linethickness width"
    " accent accentunder mathvariant tabindex class".split()
)
VALUE = re.compile(r"true|false|block|prefix|postfix|normal|whole|-?[0-9]?(\.[0-9]{1,3})?(em)?")

FORMULAS = st.lists(
    st.sampled_from(
        r"\frac \sqrt \sqrt[3] \left( \right) \left \right \begin{cases} \end{cases} \begin{array}{cc} & \\ \mathbb"
        r" \text \text{<b>} \href{javascript:a}{b} \class{a} \style{color:red} \unicode{x3c} \rule{9em}{9em}"
        r" \def\a{\a\a} \newcommand{\b}{\b\b} \a \b \sideset \hat \overline \underbrace \operatorname{a} \kern9999em"
        r" \hspace{9em} \not \limits \sum \infty ^ _ ' { } x 2 , < > & \& \{ \} \% % # $ \$ ~ \, \! \mathrm{ab} \log"
        r" \over \choose \verb|x| \tag{1} \mathop \big \bigl( \xrightarrow{a} é α 𝔽".split()
    ),
    max_size=30,
).map(" ".join)


def parsed(shown: str) -> ET.Element:
    return ET.fromstring(f"<p>{shown}</p>")


def words(text: str) -> list[str]:
    return sorted(sign for sign in unicodedata.normalize("NFKC", text) if sign.isalnum())


def assert_safe(shown: str) -> None:
    for element in parsed(shown).iter():
        assert element.tag in ELEMENTS | {"p"}
        for name, value in element.attrib.items():
            assert name in ATTRIBUTES
            assert VALUE.fullmatch(value), (name, value)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("$x^2$", "<math><msup><mi>x</mi><mn>2</mn></msup></math>"),
        (r"$\frac{a}{2}$", "<math><mfrac><mi>a</mi><mn>2</mn></mfrac></math>"),
        (r"$\mathbb{R}^d$", "<math><msup><mi>ℝ</mi><mi>d</mi></msup></math>"),
        (r"$\mathcal{O}$ $\mathbf{W}_1$", "<math><mi>𝒪</mi></math> <math><msub><mi>𝐖</mi><mn>1</mn></msub></math>"),
        (r"$\mathrm{ReLU}$", "<math><mi>ReLU</mi></math>"),
        (
            r"$n\log n$",
            '<math><mi>n</mi><mspace width="0.167em"/><mi>log</mi><mspace width="0.167em"/><mi>n</mi></math>',
        ),
        (r"$a \sim b$", "<math><mi>a</mi><mo>∼</mo><mi>b</mi></math>"),
        (r"$x = -1$", '<math><mi>x</mi><mo>=</mo><mo form="prefix">−</mo><mn>1</mn></math>'),
        (r"$n < 12,000$", "<math><mi>n</mi><mo>&lt;</mo><mn>12,000</mn></math>"),
        (r"$|x|$", "<math><mi>|</mi><mi>x</mi><mi>|</mi></math>"),
        (
            r"$\hat{x}$",
            '<math><mover accent="true"><mi>x</mi><mo stretchy="false">^</mo></mover></math>',
        ),
        (
            r"\[\sum_i x\]",
            '<math display="block"><munder><mo>∑</mo><mi>i</mi></munder><mi>x</mi></math>',
        ),
        (r"at ($k$).", 'at <span class="whole">(<math><mi>k</mi></math>).</span>'),
        (r"\'etale $k$ & <b>", "étale <math><mi>k</mi></math> &amp; &lt;b&gt;"),
    ],
)
def test_formulas_become_mathml_and_the_rest_readable(written: str, shown: str) -> None:
    assert prose.mathematics(written) == shown


@pytest.mark.parametrize("written", [r"$90\%$", r"$5.1\times$", "$5 and $10", r"$\mine{x}$ of C:\dir", "no TeX <i>"])
def test_numbers_prices_and_unknown_macros_stay_text(written: str) -> None:
    assert prose.mathematics(written) == html.escape(prose.readable(written), quote=False)


@pytest.mark.parametrize(
    "written",
    [
        r"$\href{javascript:alert(1)}{x}$",
        r"$\class{evil}{x}$",
        r"$\style{position:fixed}{x}$",
        r"$\text{<script>alert(1)</script>}$",
        r"$\unicode{x3cscript}$",
        r"$x &#x3c;script&#x3e;$",
        r"$\color{red}{x}\colorbox{red}{x}$",
        r"$x\kern-900em y\hspace{99em}\rule{99em}{99em}$",
        "<math><mi href='javascript:alert(1)'>x</mi></math> $x$",
        "\ue000 $x$ \ue000",
    ],
)
def test_hostile_formulas_are_only_text(written: str) -> None:
    shown = prose.mathematics(written)

    assert_safe(shown)
    assert "<script" not in shown


@settings(deadline=None)  # a busy machine is no fault
@given(EVERYTHING | TEXISH | FORMULAS.map(lambda text: f"a ${text}$ b") | FORMULAS.map(lambda text: rf"\[{text}\]"))
def test_no_text_breaks_mathematics(text: str) -> None:
    assert_safe(prose.mathematics(text, paragraphs=True))


@given(st.text("abcxyz019 .,()<>&", max_size=40), st.text("abcxyz019 .,()<>&", max_size=40))
def test_the_words_around_a_formula_are_kept(before: str, after: str) -> None:
    text = f"{before} $x^2$ {after}"

    assert words("".join(parsed(prose.mathematics(text)).itertext())) == words(prose.readable(text))


@pytest.mark.parametrize(
    "unit",
    [
        "$x_{1}^{2}$ ",
        "${{{{",
        "$" + "{" * 700 + "}" * 700 + "$ ",
        "$" + r"\hat" * 300 + "x$ ",
        "$" + r"\sqrt{x^" * 100 + "2" + "}" * 100 + "$ ",
        r"$\sideset{}{}" * 20 + "$ ",
        r"$\def\a{\b\b}\def\b{\c\c}\a$ ",
        "$" + r"\left(" * 200 + r"\right)" * 200 + "$ ",
        "$" + "x'" * 600 + "$ ",
        "$" + r"\verb|" * 250 + "$ ",
    ],
)
def test_fifty_thousand_hostile_characters_take_well_under_a_second(unit: str) -> None:
    text = "".join(unit.replace("1", str(number)) for number in range(50_000 // len(unit)))[:50_000]
    start = time.process_time()

    shown = prose.mathematics(text)

    assert time.process_time() - start < 2
    assert len(shown) < 12 * len(text) + 10_000
    assert_safe(shown)


def test_long_formulas_may_be_broken_and_what_cannot_is_text() -> None:
    terms = " = ".join(f"x_{{{number}}} + y" for number in range(9))

    assert prose.mathematics(f"${terms}$").count("<math>") > 2
    assert "<math" not in prose.mathematics(r"$\text{" + "many words of text " * 5 + "}$")
    assert prose.mathematics(rf"\[ \frac{{{'a + ' * 20} b}}{{c}} \]").startswith('<math display="block" tabindex="0">')


def test_blank_lines_between_paragraphs_stay() -> None:
    assert prose.mathematics("one $x$\n\n two", paragraphs=True) == "one <math><mi>x</mi></math>\n\ntwo"


@pytest.mark.parametrize(
    ("spans", "shown"),
    [
        ([], "a &lt;b&gt; c"),
        ([(0, 1)], "<mark>a</mark> &lt;b&gt; c"),
        ([(2, 4), (3, 5)], "a <mark>&lt;b&gt;</mark> c"),
        ([(6, 99), (-5, 1)], "<mark>a</mark> &lt;b&gt; <mark>c</mark>"),
        ([(3, 3), (5, 2)], "a &lt;b&gt; c"),
    ],
)
def test_spans_are_marked_in_escaped_text(spans: list[tuple[int, int]], shown: str) -> None:
    assert prose.marked("a <b> c", spans) == shown


@given(st.text("ab<>& ", max_size=20), st.lists(st.tuples(st.integers(-3, 25), st.integers(-3, 25)), max_size=6))
def test_marking_never_changes_the_text(text: str, spans: list[tuple[int, int]]) -> None:
    assert html.unescape(re.sub("</?mark>", "", prose.marked(text, spans))) == text


def test_recorded_formulas_become_mathematics(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [paper[key] for paper in recorded.lines("arxiv_listing.jsonl.gz") for key in ("title", "summary")]
    with_math = [text for text in texts if "$" in text or r"\(" in text or r"\[" in text]
    parts = [part for text in with_math for part in tex.parts(prose.tidy(text)) if part.is_math]
    formula.cache_clear()
    start = time.process_time()

    shown = [prose.mathematics(text, paragraphs=True) for text in with_math]

    seconds = time.process_time() - start
    written = sum(text.count("<math") > 0 for text in shown)
    read = [bool(formula(part.source.strip(), block=part.is_block)) for part in parts]
    left = 0
    for source, text in zip(with_math, shown, strict=True):
        assert_safe(text)
        seen = "".join(parsed(text).itertext())
        plain = prose.readable(source, paragraphs=True)
        left += seen.count("$") > plain.count("$") or len(re.findall(r"\\[A-Za-z]", seen)) > len(
            re.findall(r"\\[A-Za-z]", plain)
        )
    with capsys.disabled():
        print(f"\n{len(with_math)} texts with {len(parts)} formulas, {sum(read)} of them MathML, in {written} texts:")
        print(f"{1000 * seconds / len(with_math):.2f} ms a text, {left} with TeX left")
    assert left == 0
    assert sum(read) >= 0.97 * len(parts)
