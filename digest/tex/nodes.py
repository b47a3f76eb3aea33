"""The elements of a formula as they are to be shown, and how a letter, number or sign becomes one."""

import re
import unicodedata
from dataclasses import dataclass, field
from html import unescape

from digest.tex.alphabets import styled


class Unreadable(Exception):
    """A formula that is not shown as MathML."""


@dataclass(slots=True)
class Node:
    """An element; attributes hold values of our own choice, text is escaped when written."""

    tag: str
    text: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[Node]" = field(default_factory=list)
    style: str = ""  # letters side by side in one style other than italic make one word
    is_name: bool = False  # log, max: wants a gap to its neighbours
    has_limits: bool = False  # in a formula on its own line its scripts stand below and above


#: signs that stand like a letter, without the gaps of an operator
_ORDINARY = frozenset("∞∅∂∇∀∃∄⊤⊥|‖/!?.¬…⋯⋮⋱⋰§¶%#@℧ℵ′″‴⁗°ο★☆✓✗□◻△⟂")
_BRACKETS = frozenset("()[]{}⟨⟩⌊⌋⌈⌉")
_OPERATORS = frozenset(":;,")
_SIGNS = {"-": "−", "*": "∗", "~": "∼", "―": "‾"}
_LIMITS = frozenset("lim max min sup inf argmax argmin det gcd limsup liminf Pr ∑ ∏ ⋃ ⋂ ⨁ ⨂ ∐".split())
#: TeX that latex2mathml did not understand and passed on
_RAW = frozenset(("&", "{", "}", "$", "#", "\\", "^", "_", "`"))
_RAW_TEXT = re.compile(r"[\\{}$^`]")


def leaf(tag: str, raw: str, variant: str, *, grows: bool = False) -> Node:
    """The element for one sign, number or word as latex2mathml wrote it, its entities still to be decoded.

    A sign that `grows` stays an operator, whatever it is.
    """
    text = unescape(raw)
    if raw in _RAW or (len(text) > 1 and "\\" in text):
        raise Unreadable
    if grows and len(text) == 1:
        return Node("mo", text)
    if tag == "mtext":
        if _RAW_TEXT.search(text):
            raise Unreadable
        return Node(tag, text)
    if re.fullmatch(r"[0-9]*\.?[0-9]+|[0-9]+\.", text):
        return Node("mn", styled(text, variant))
    if len(text) > 1 and text.replace("\u2009", "").replace("\u2006", "").isalpha() and not variant:
        word = re.sub("[\u2006\u2009]", "\u2009", text)
        return Node("mi", word, is_name=True, has_limits=word.replace("\u2009", "") in _LIMITS)
    if len(text) == 1:
        return _sign(_SIGNS.get(text, text), tag, variant)
    return Node("mn" if text.isdigit() else tag, text)


def _sign(text: str, tag: str, variant: str) -> Node:
    if text.isalpha() and text not in _ORDINARY:
        if variant == "normal":
            return Node("mi", text, {"mathvariant": "normal"}, style=variant)
        shown = styled(text, variant)
        return Node("mi", shown, style=variant if shown != text else "")
    if text in _ORDINARY:
        return Node("mi", text)
    if text in _BRACKETS:
        return Node("mo", text, {"stretchy": "false"})  # only \\left and kin make them grow
    is_operator = tag == "mo" or text in _OPERATORS or unicodedata.category(text) == "Sm"
    return Node("mo" if is_operator else "mi", text, has_limits=text in _LIMITS)
