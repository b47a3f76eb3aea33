"""Glyphs: which Unicode characters stand for TeX's accents, symbols, superscripts and subscripts."""

import re
import unicodedata

from pylatexenc.latex2text import get_default_latex_context_db  # type: ignore[import-untyped,unused-ignore]

ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331",
}  # fmt: skip

MATH_ACCENTS = {
    "grave": "\u0300", "acute": "\u0301", "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303",
    "widetilde": "\u0303", "bar": "\u0304", "overline": "\u0304", "breve": "\u0306", "dot": "\u0307",
    "ddot": "\u0308", "mathring": "\u030a", "check": "\u030c", "widecheck": "\u030c", "vec": "\u20d7",
}  # fmt: skip

#: letters that are macros of their own in names and words; a pair of braces may follow
LETTERS = {
    "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å",
    "AA": "Å", "i": "i", "j": "j", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
}  # fmt: skip

#: arXiv's export turns \beta, \theta and kin into an accent over the rest of the word
ROTTEN_GREEK = {("b", "eta"): "β", ("t", "heta"): "θ", ("t", "au"): "τ", ("r", "ho"): "ρ", ("c", "hi"): "χ"}

_SMALL = "abcdefghijklmnoprstuvwxyz"
SUPERSCRIPTS = (
    dict(zip("0123456789+-=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾", strict=True))
    | dict(zip(_SMALL, "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))
    | dict(zip("ABDEGHIJKLMNOPRTUVW", "ᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ", strict=True))
    | dict(zip("αβγδθϵεφϕχ−", "ᵅᵝᵞᵟᶿᵋᵋᵠᵠᵡ⁻", strict=True))
    | {"*": "*", "∗": "*", "⋆": "*", "★": "*", "∘": "°", "°": "°", "⊤": "ᵀ", "′": "′", "'": "′", "†": "†", "‡": "‡"}
)
SUBSCRIPTS = (
    dict(zip("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", strict=True))
    | dict(zip("aehijklmnoprstuvx", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
    | dict(zip("βγρφϕχ−", "ᵦᵧᵨᵩᵩᵪ₋", strict=True))
)

#: symbols pylatexenc has not, or has in a form less known to readers
_OURS = {
    "epsilon": "ε", "phi": "φ", "varphi": "φ", "varepsilon": "ε", "prime": "′", "degree": "°", "deg": "°",
    "checkmark": "✓", "cmark": "✓", "xmark": "✗", "iff": "⟺", "implies": "⟹", "bigstar": "★", "dots": "…", "dotsc": "…",
    "dotsb": "…", "cdots": "⋯", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "mid": "|", "vert": "|",
    "coloneqq": ":=", "textgreater": ">", "textless": "<", "textbar": "|", "textasciitilde": "~", "textbackslash": "\\",
    "textasciicircum": "^", "textunderscore": "_", "sim": "∼", "textdegree": "°", "textmu": "µ", "texttimes": "×",
    "quad": " ", "qquad": " ", "enspace": " ", "space": " ", "newline": " ", "linebreak": " ", "par": "\n\n",
    "eg": "e.g.", "ie": "i.e.", "etc": "etc.", "etal": "et al.", "LaTeX": "LaTeX", "TeX": "TeX", "nobreakspace": " ",
    "colon": ":", "ne": "≠", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "slash": "/", "And": "&",
}  # fmt: skip

#: upright names: a blank that follows them is kept
FUNCTIONS = frozenset(
    "arccos arcsin arctan arg argmax argmin cos cosh cot csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln"
    " log max min mod Pr sec sin sinh sup tan tanh lcm tr rank sign sgn softmax diag".split()
)


def _symbols() -> dict[str, str]:
    """One text for each argument-less macro of pylatexenc; `\\today` is left out, for it reads the clock."""
    known: dict[str, str] = {}
    for macro in get_default_latex_context_db().iter_macro_specs():
        text = macro.simplify_repl
        if isinstance(text, str) and text and "%" not in text and macro.macroname[:1].isalpha():
            known[macro.macroname] = text
    known.pop("today", None)
    # Macros that take arguments, or whose text stands for something left out.
    for name in ("ref", "autoref", "cref", "Cref", "eqref", "cite", "citet", "citep", *LETTERS, *ACCENTS):
        known.pop(name, None)
    return known | {name: name for name in FUNCTIONS} | _OURS


SYMBOLS = _symbols()


def script(body: str, sign: str) -> str:
    """`body` raised (`^`) or lowered (`_`): in Unicode where every character has a form, else `^(body)`."""
    body = body.strip()
    if not body:
        return ""
    table = SUPERSCRIPTS if sign == "^" else SUBSCRIPTS
    if len(body) <= 40:
        shapes = [table.get(character) for character in body]
        if sign == "_" and re.fullmatch(r"\d+(\.\d+)+", body):
            shapes = [table.get(character, character) for character in body]
        if None not in shapes:
            return "".join(shape or "" for shape in shapes)
    return sign + body if len(body) == 1 else f"{sign}({body})"


def accented(letter: str, mark: str) -> str:
    """`letter` with a combining mark on its first character, composed where Unicode can."""
    letter = letter.strip()
    return unicodedata.normalize("NFC", letter[:1] + mark + letter[1:])
