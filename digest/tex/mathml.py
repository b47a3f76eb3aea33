"""One formula in TeX → MathML Core, which browsers show without a script or a font of ours.

latex2mathml reads the TeX; what comes of it is rebuilt here from a closed list of elements and attributes. It is never
given a macro that defines another, repeats its argument, or reaches out of mathematics, so time and size stay in
proportion to the formula.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from xml.etree.ElementTree import Element

from latex2mathml import commands
from latex2mathml.converter import Converter
from latex2mathml.symbols_parser import convert_symbol

from digest.tex import spacing
from digest.tex.nodes import Node, Unreadable, leaf
from digest.tex.tokens import pairs

#: deeper formulas are left to the reading in Unicode
DEPTH = 20
#: a formula wider than so many letters may be broken after a relation, and what cannot be broken must be narrower
#: than the smallest screen
BREAKABLE = 20
WIDTH = 28

_KNOWN = frozenset(
    "frac dfrac tfrac cfrac binom dbinom tbinom sqrt left right middle big Big bigg Bigg bigl bigm bigr Bigl Bigm Bigr"
    " biggl biggm biggr Biggl Biggm Biggr begin end limits nolimits overset underset stackrel operatorname pmod mod"
    " bmod not phantom displaystyle textstyle substack boxed text textrm textnormal textup textit textbf textsf texttt"
    " textmd emph mbox hbox mathrm mathbf mathit mathcal mathbb mathsf mathtt mathfrak mathscr mathnormal boldsymbol"
    " bm pmb Bbb mathbin mathrel mathord mathop mathopen mathclose mathpunct mathinner rm bf it sf tt cal frak quad"
    " qquad enspace thinspace thickspace negthinspace nobreakspace space smash argmax argmin det gcd liminf limsup lim"
    " max min sup inf Pr overline underline overbrace underbrace widehat widetilde widecheck hat tilde bar vec dot ddot"
    " dddot check breve acute grave mathring overrightarrow overleftarrow xrightarrow xleftarrow".split()
) | {name[1:] for name in commands.FUNCTIONS}
_ENVIRONMENTS = frozenset("array matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix cases split align*".split())
#: other names of what latex2mathml knows
_RENAMED = (
    (re.compile(r"(?<!\\)%"), r"\\%"),
    (re.compile(r"\\(?:ensuremath|xspace|nonumber|notag|limits|nolimits|protect|boldmath)(?![A-Za-z])"), " "),
    (re.compile(r"\\(?:mathds|mathbbm|mathbbold)(?![A-Za-z])"), r"\\mathbb"),
    (re.compile(r"\\(?:nicefrac|sfrac)(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:textsc|textsl|textmd)(?![A-Za-z])"), r"\\text"),
    (re.compile(r"\\not\s*="), r"\\neq "),
    (re.compile(r"\\(begin|end)\{(?:aligned|align|equation|gathered|split)\*?\}"), r"\\\1{align*}"),
    (re.compile(r"(\\\\)\s*\[[^\[\]]{0,9}\]"), r"\1"),
)
_MACRO = re.compile(r"\\([A-Za-z]+)")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{([^{}]*)\}")

_ARITY = {"msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "mfrac": 2, "mroot": 2}
_LEAVES = frozenset(("mi", "mn", "mo", "mtext"))
#: elements that take any number of children
_ROWS = frozenset(("msqrt", "mtd", "mtr", "mtable", "mphantom", "mstyle"))
#: elements of which only the children are kept
_OPENED = frozenset(("math", "mrow", "mpadded", "menclose"))
_ACCENTED = frozenset(text for text, _ in commands.DIACRITICS.values())
_LONG = frozenset(commands.DIACRITICS[name][0] for name in (commands.OVERLINE, commands.OVERBRACE,
                  commands.UNDERBRACE, commands.OVERRIGHTARROW, commands.OVERLEFTARROW))  # fmt: skip
_SPACES = {"negativethinmathspace": "-0.167em", "thinmathspace": "0.167em", "thickmathspace": "0.278em"}
_LENGTH = re.compile(r"-?[0-9]?(?:\.[0-9]{1,3})?em")
_VALUES = {
    "stretchy": re.compile("true|false"),
    "form": re.compile("prefix|postfix"),
    "movablelimits": re.compile("true"),
    "displaystyle": re.compile("true|false"),
    "scriptlevel": re.compile("[012]"),
    "linethickness": re.compile("0"),
    "minsize": _LENGTH,
    "maxsize": _LENGTH,
    "width": _LENGTH,
}
_ATTRIBUTES = {
    "mo": ("stretchy", "form", "movablelimits", "minsize", "maxsize"),
    "mstyle": ("displaystyle", "scriptlevel"),
    "mfrac": ("linethickness",),
    "mspace": ("width",),
}


@lru_cache(maxsize=4096)
def formula(source: str, *, block: bool = False) -> tuple[str, ...]:
    """The mathematics between dollar signs as `<math>` elements, and none where it cannot be shown so.

    A line may end between two of them. They hold no element, attribute or value that is not listed in this module.
    """
    try:
        row = spacing.row(_children(_tree(source, block=block), block=block, depth=0))
        return tuple(_pieces(row, block=block))
    except Unreadable:
        return ()


def _tree(source: str, *, block: bool) -> Element:
    for pattern, replacement in _RENAMED:
        source = pattern.sub(replacement, source)
    if not _is_known(source) or _nesting(source) > DEPTH:
        raise Unreadable
    try:
        return Converter(display="block" if block else "inline").convert_to_element(source)
    except Exception as error:  # it raises whatever it stumbles on in what a stranger wrote
        raise Unreadable from error


def _is_known(source: str) -> bool:
    names = set(_MACRO.findall(source)) - _KNOWN
    return all(convert_symbol("\\" + name) for name in names) and _ENVIRONMENTS.issuperset(_ENVIRONMENT.findall(source))


def _nesting(source: str) -> int:
    """How deep braces stand in each other, and a large number where one has no partner."""
    tokens = re.findall(r"\\.|[{}]", source, re.DOTALL)
    matched = pairs(tokens)
    if len(matched) * 2 != tokens.count("{") + tokens.count("}"):
        return DEPTH + 1
    deepest = depth = 0
    for token in tokens:
        depth += (token == "{") - (token == "}")
        deepest = max(deepest, depth)
    return deepest


# From latex2mathml's elements to ours


def _children(element: Element, *, block: bool, depth: int) -> list[Node]:
    if depth > 4 * DEPTH:
        raise Unreadable
    return [node for child in element for node in _nodes(child, block=block, depth=depth + 1)]


def _nodes(element: Element, *, block: bool, depth: int) -> list[Node]:
    """What an element becomes: nothing, itself, or its children."""
    tag = element.tag
    if tag in _LEAVES and not len(element):
        grows = element.get("stretchy") == "true" or element.get("minsize") is not None
        node = leaf(tag, element.text or "", element.get("mathvariant", ""), grows=grows)
        return [_with_attributes(node, element)]
    if tag in _LEAVES and not element.text:  # \mathbin{…} and kin
        return _children(element, block=block, depth=depth)
    if tag == "mspace":
        node = _with_attributes(Node(tag), element)
        return [node] if node.attributes else []
    if tag in _ARITY:
        return [_scripts(element, block=block, depth=depth)]
    children = _children(element, block=block, depth=depth)
    if tag in _ROWS:
        node = _with_attributes(Node(tag, children=spacing.row(children)), element)
        return node.children if tag == "mstyle" and not node.attributes else [node]
    if tag not in _OPENED:
        raise Unreadable
    if len(children) == 1 and children[0].tag == "mo" and "stretchy" not in children[0].attributes:
        # A sign in braces is no operator to TeX.
        return [Node("mo", children[0].text, {**children[0].attributes, "lspace": "0", "rspace": "0"})]
    is_fenced = any("form" in child.attributes for child in children)
    return [Node("mrow", children=spacing.row(children))] if is_fenced else children


def _with_attributes(node: Node, element: Element) -> Node:
    for name in _ATTRIBUTES.get(node.tag, ()):
        value = element.get(name, "")
        value = _SPACES.get(value, value)
        if _VALUES[name].fullmatch(value):
            node.attributes[name] = value
    if "minsize" in node.attributes:
        node.attributes.pop("stretchy", None)
    return node


def _scripts(element: Element, *, block: bool, depth: int) -> Node:
    """An element whose children each have a meaning: a base, a script, a numerator."""
    tag = element.tag
    parts = [_one(child, block=block, depth=depth) for child in element]
    if len(parts) != _ARITY[tag]:
        raise Unreadable
    node = _with_attributes(Node(tag, children=parts), element)
    if block and parts[0].has_limits:
        node.tag = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}.get(tag, tag)
    if tag in ("mover", "munder") and element[1].text in _ACCENTED:
        node.attributes["accent" if tag == "mover" else "accentunder"] = "true"
        parts[1].attributes.pop("lspace", None)
        parts[1].attributes["stretchy"] = "true" if element[1].text in _LONG or len(parts[0].text) > 1 else "false"
    node.is_name = parts[0].is_name
    return node


def _one(element: Element, *, block: bool, depth: int) -> Node:
    nodes = spacing.row(_nodes(element, block=block, depth=depth))
    return nodes[0] if len(nodes) == 1 else Node("mrow", children=nodes)


# To HTML


def _pieces(row: list[Node], *, block: bool) -> Iterator[str]:
    inside = "".join(map(_html, row))
    if block and spacing.width(row) <= WIDTH:
        yield f'<math display="block">{inside}</math>'
        return
    pieces = list(spacing.broken(row, BREAKABLE))
    if max(map(spacing.width, pieces), default=0) <= WIDTH:
        yield from (f"<math>{''.join(map(_html, piece))}</math>" for piece in pieces)
    elif block:
        yield f'<math display="block" tabindex="0">{inside}</math>'  # scrolls, also by keyboard


def _html(node: Node) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in node.attributes.items())
    inside = escape(node.text, quote=False) + "".join(map(_html, node.children))
    if not inside:
        return f"<{node.tag}{attributes}/>"
    return f"<{node.tag}{attributes}>{inside}</{node.tag}>"
