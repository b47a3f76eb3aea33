"""TeX's macros by name: those that show their argument, drop it, switch a style, or mean a sign."""

import re
import unicodedata
from collections.abc import Callable

from digest.tex.glyphs import ACCENTS, FUNCTIONS, LETTERS, MATH_ACCENTS, ROTTEN_GREEK, SYMBOLS, accented, script
from digest.tex.reader import Reader
from digest.tex.tokens import ends_in_space, last

#: the argument is the text
_SHOW = frozenset(
    "emph textbf textit texttt textsc textsf textrm textsl text textnormal textmd textup textmedium underline uline"
    " uuline uwave ul mbox hbox fbox smash ensuremath mathrm mathbf mathit mathcal mathsf mathtt mathfrak mathscr"
    " mathnormal boldsymbol bm pmb operatorname mathop mathbin mathrel mathord gls Gls glspl acl acs ac num url path"
    " nolinkurl phantom hphantom boxed underbrace overbrace sout st hl MakeUppercase uppercase lowercase".split()
)
#: so many arguments, of which the last is the text
_LAST = {
    "textcolor": 2, "colorbox": 2, "scalebox": 2, "hyperlink": 2, "raisebox": 2, "resizebox": 3, "overset": 2,
    "underset": 2, "stackrel": 2, "hyperref": 2, "foreignlanguage": 2,
}  # fmt: skip
#: so many arguments, none of them text
_DROP = {
    "cite": 1, "citep": 1, "citet": 1, "citealp": 1, "citeyear": 1, "ref": 1, "eqref": 1, "label": 1, "cref": 1,
    "Cref": 1, "footnotemark": 0, "color": 1, "hypersetup": 1, "rule": 2, "begin": 1, "end": 1, "hspace": 1,
    "vspace": 1, "thanks": 1, "tag": 1, "pagestyle": 1, "thispagestyle": 1, "fontsize": 2, "includegraphics": 1,
}  # fmt: skip
#: switches of style and size
_SWITCHES = frozenset(
    "em it bf tt sc rm sf sl cal itshape bfseries ttfamily scshape sffamily rmfamily upshape slshape mdseries"
    " normalfont tiny scriptsize footnotesize small normalsize large Large LARGE huge Huge displaystyle textstyle"
    " scriptstyle noindent indent centering limits nolimits left right middle big Big bigg Bigg bigl bigr Bigl"
    " Bigr biggl biggr Biggl Biggr protect leavevmode relax xspace bfit boldmath unboldmath maketitle item".split()
)
_DOUBLE_STRUCK = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))


class Macros(Reader):
    """A reader that knows macros."""

    def _macro(self, name: str, out: list[str], end: int) -> str:
        name = name.rstrip("*")
        if (handler := _HANDLERS.get(name)) is not None:
            return handler(self, out, end)
        if name in _SHOW:
            return self._argument(end) or ""
        if name in _LAST:
            return ([self._plain_argument(end) for _ in range(_LAST[name])] or [""])[-1]
        if name in _DROP:
            if name.startswith("cite") and out and out[-1].isspace():
                out.pop()
            return self._drop(_DROP[name], end)
        if name in _SWITCHES:
            return self._switch(name, out)
        if name in MATH_ACCENTS and (self.math or self._peek() == "{"):
            return self._over(MATH_ACCENTS[name], end)
        if name in ACCENTS and (whole := self._lettered_accent(name, end)) is not None:
            return whole
        if name in LETTERS and not self.math:
            self._after_letter()
            return LETTERS[name]
        if name in SYMBOLS and not _in_a_word(out, math=self.math):
            return self._symbol(name, out)
        return self._unknown(name, out, end)

    def _plain_argument(self, end: int) -> str:
        self._option(end)
        return self._argument(end) or ""

    def _drop(self, count: int, end: int) -> str:
        self._option(end)
        for _ in range(count):
            self._braced(end)
        return ""

    def _switch(self, name: str, out: list[str]) -> str:
        if name in ("left", "right", "middle") and self._peek().startswith("."):
            self.tokens[self.at] = self.tokens[self.at][1:] or " "
        if not self.math or not out:
            self._skip_space()
        return ""

    def _over(self, mark: str, end: int) -> str:
        base = self._argument(end) or ""
        return accented(base, mark) if len(base.strip()) == 1 else base

    def _lettered_accent(self, name: str, end: int) -> str | None:
        """`\\c{c}`, `\\v s`: an accent whose name is a letter, which needs an argument to be one."""
        following = self.tokens[self.at : self.at + 2]
        if following[:1] == ["{"] and self.at in self.closing:
            letter = self._argument(end) or ""
            return ROTTEN_GREEK.get((name, letter)) or accented(letter, ACCENTS[name])
        is_letter = len(following) == 2 and following[0] == " " and following[1][:1].isalpha()
        if self.math or not is_letter:
            return None
        whole = unicodedata.normalize("NFC", following[1][0] + ACCENTS[name])
        if len(whole) > 1:
            return None
        self._argument(end)
        return whole

    def _after_letter(self) -> None:
        """`\\o{}` and `\\o ` end the macro: neither is text."""
        if not self._empty_braces() and self._peek() == " ":
            self.at += 1

    def _symbol(self, name: str, out: list[str]) -> str:
        closed = self._empty_braces() or name in FUNCTIONS
        if self.math and not closed and self._peek().isspace() and not last(out).isspace():
            self.at += 1
        gap = " " if self.math and name in FUNCTIONS and last(out).isalnum() else ""
        return gap + SYMBOLS[name]

    def _unknown(self, name: str, out: list[str], end: int) -> str:
        """An author's own macro: its argument where it is markup, else its name; paths and escapes stay."""
        if self.math:
            return self._braced(end) or name
        if len(name) == 1 or _in_a_word(out, math=False):
            return "\\" + name
        body = self._braced(end)
        return body if body and name[0].islower() else name + (f" {body}" if body else "")

    # Macros with a meaning of their own

    def _fraction(self, out: list[str], end: int) -> str:
        parts = [(self._argument(end) or "").strip() for _ in range(2)]
        over, under = (part if part.isalnum() or len(part) < 2 else f"({part})" for part in parts)
        return f"{over}/{under}" if over or under else ""

    def _root(self, out: list[str], end: int) -> str:
        degree = self._option(end)
        body = (self._argument(end) or "").strip()
        return (script(degree, "^") if degree else "") + "√" + (body if body.isalnum() else f"({body})")

    def _binomial(self, out: list[str], end: int) -> str:
        return f"C({self._argument(end) or ''}, {self._argument(end) or ''})"

    def _raised(self, out: list[str], end: int) -> str:
        return script(self._argument(end) or "", "^")

    def _lowered(self, out: list[str], end: int) -> str:
        return script(self._argument(end) or "", "_")

    def _link(self, out: list[str], end: int) -> str:
        url, shown = (self._argument(end) or "").strip(), (self._argument(end) or "").strip()
        return shown if url in shown or not url else f"{shown} ({url})" if shown else url

    def _footnote(self, out: list[str], end: int) -> str:
        body = (self._braced(end) or "").strip()
        return f" ({body})" if body else ""

    def _dingbat(self, out: list[str], end: int) -> str:
        code = self._argument(end) or ""
        number = int(code) if code.isdecimal() and len(code) == 3 else 0
        if 172 <= number <= 211:
            return chr(0x2460 + number - 172) if number < 182 else chr(0x2776 + number - 182)
        return {"51": "✓", "52": "✔", "55": "✗", "56": "✘"}.get(code, "")

    def _modulus(self, out: list[str], end: int) -> str:
        return ("" if ends_in_space(out) else " ") + f"(mod {self._argument(end) or ''})"

    def _code_point(self, out: list[str], end: int) -> str:
        code = (self._argument(end) or "").strip().lower().removeprefix("x")
        return chr(int(code, 16)) if re.fullmatch(r"[0-9a-f]{2,5}", code) else ""

    def _verbatim(self, out: list[str], end: int) -> str:
        following = self._peek()
        if not following or following[0].isalnum() or following[0].isspace() or self.at >= end:
            return ""
        fence, rest = following[0], "".join(self.tokens[self.at : min(end, self.at + 60)])
        held, closed, _ = rest[1:].partition(fence)
        if not closed:
            return ""
        self._advance(len(held) + 2)
        return held

    def _double_struck(self, out: list[str], end: int) -> str:
        body = self._argument(end) or ""
        return _DOUBLE_STRUCK.get(body.strip(), body)

    def _arrow(self, out: list[str], end: int) -> str:
        self._option(end)
        label = (self._argument(end) or "").strip()
        return f"→ ({label})" if label else "→"

    def _negated(self, out: list[str], end: int) -> str:
        return accented(self._argument(end) or "", "\u0338")


_HANDLERS: dict[str, Callable[[Macros, list[str], int], str]] = {
    "frac": Macros._fraction,
    "dfrac": Macros._fraction,
    "tfrac": Macros._fraction,
    "cfrac": Macros._fraction,
    "nicefrac": Macros._fraction,
    "sqrt": Macros._root,
    "binom": Macros._binomial,
    "textsuperscript": Macros._raised,
    "textsubscript": Macros._lowered,
    "href": Macros._link,
    "footnote": Macros._footnote,
    "footnotetext": Macros._footnote,
    "ding": Macros._dingbat,
    "pmod": Macros._modulus,
    "unicode": Macros._code_point,
    "verb": Macros._verbatim,
    "lstinline": Macros._verbatim,
    "mathbb": Macros._double_struck,
    "mathds": Macros._double_struck,
    "Bbb": Macros._double_struck,
    "xrightarrow": Macros._arrow,
    "not": Macros._negated,
}


def _in_a_word(out: list[str], *, math: bool) -> bool:
    """Whether the macro touches a word before it, as `\\Users` does in a path."""
    return not math and (last(out).isalpha() or last(out) in (":", "\\"))
