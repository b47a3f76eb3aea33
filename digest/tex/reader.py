"""Reading TeX: groups, arguments, scripts, accents and the signs of prose. Macros by name are in `macros`."""

import re
from abc import ABC, abstractmethod

from digest.tex.glyphs import ACCENTS, FUNCTIONS, accented, script
from digest.tex.tokens import Tokens, ends_in_space, last

#: deeper groups are left as they stand
DEPTH = 40

_SPACING = {
    ",": " ",
    ";": " ",
    ":": " ",
    ">": " ",
    " ": " ",
    "\n": " ",
    "\t": " ",
    "\\": " ",
    "!": "",
    "-": "",
    "/": "",
}
_LITERAL = frozenset("%&#_{}$")
#: what follows an apostrophe that was escaped, as in "don\\'t": no accent
_CONTRACTION = re.compile(r"(?:s|t|d|m|re|ll|ve)(?![a-z]).*", re.DOTALL)
#: what may stand raised outside mathematics, without braces
_RAISED = re.compile(r"\d+|[*+](?![\w*])|[A-Za-z](?![A-Za-z0-9])")


class Reader(Tokens, ABC):
    """Reads one part of a text, which is mathematics or is not; `before` and `after` are its neighbours' characters."""

    def __init__(self, source: str, *, math: bool, before: str = "", after: str = "") -> None:
        super().__init__(source)
        self.math, self.before, self.after = math, before, after
        self.depth = 0
        self.quoted = False

    @abstractmethod
    def _macro(self, name: str, out: list[str], end: int) -> str:
        """The text of a macro whose name was just read; reads its arguments."""

    def read(self) -> str:
        return self._until(len(self.tokens))

    def _until(self, end: int) -> str:
        out: list[str] = []
        while self.at < end:
            token = self.tokens[self.at]
            self.at += 1
            if piece := self._one(token, out, end):
                out.append(piece)
        return "".join(out)

    def _one(self, token: str, out: list[str], end: int) -> str:
        if not token:
            return ""
        if token == "{":
            return self._group(out)
        if token[0] == "\\" and len(token) > 1:
            return self._macro(token[1:], out, end) if token[1].isalpha() else self._sign(token[1], out, end)
        if token in ("^", "_"):
            return self._script(token, out, end)
        if self.math:
            return {"~": " ", "&": " ", "$": "", "$$": "", "--": "–", "---": "—"}.get(token, token)
        return self._prose(token, out)

    def _prose(self, token: str, out: list[str]) -> str:
        if token == "~":
            return " " if self._is_tie(out) else "~"
        if token[0] == "-" and len(token) in (2, 3):
            is_option = len(token) == 2 and ends_in_space(out) and self._peek()[:1].isalpha()
            return token if is_option else "—" if len(token) == 3 else "–"
        if token == "``":
            self.quoted = True
            return "“"
        if token in ("''", '"') and self.quoted:
            self.quoted = False
            return "”"
        return token

    def _is_tie(self, out: list[str]) -> bool:
        following = self._peek() or self.after
        before = last(out) or self.before
        if not following or following[0].isspace() or before.isspace() or before in ("", "/", "(", "~", "=", "<", ">"):
            return False
        return following[0] not in "~/"

    # Groups and arguments

    def _group(self, out: list[str]) -> str:
        """The text of a group whose brace was just read; braces that only protect or switch a style go."""
        close = self.closing.get(self.at - 1)
        if close is None:
            return "{"
        first = self._peek()
        inner = self._inside(close)
        if last(out).isalnum() and (url := out[-1]).startswith("http"):
            # What is left of \\href{url}{words} when the macro was stripped.
            return "" if inner.strip() == url else f" ({inner.strip()})"
        touches = last(out).isalnum() or self._peek()[:1].isalnum()
        marks_up = first[0] in "{`" or (first[0] == "\\" and first != "\\{")
        return inner if self.math or touches or marks_up or not inner else "{" + inner + "}"

    def _inside(self, close: int) -> str:
        """Read on to the closing brace at token `close`, and past it."""
        if self.depth >= DEPTH:
            inner = "".join(self.tokens[self.at : close])
            self.at = close
        else:
            self.depth += 1
            inner = self._until(close)
            self.depth -= 1
        self.at = close + 1
        return inner

    def _argument(self, end: int) -> str | None:
        """The next group, macro or character; None where there is none."""
        at = self.at
        while self.at < end and self.tokens[self.at].isspace():
            self.at += 1
        if self.at >= end or self.tokens[self.at] == "}":
            self.at = at
            return None
        token = self.tokens[self.at]
        self.at += 1
        if token == "{" and (close := self.closing.get(self.at - 1)) is not None:
            doubled = self.closing.get(self.at) == close - 1
            inner = self._inside(close)
            return inner[1:-1] if doubled and inner[:1] == "{" else inner
        if token[0] == "\\" or token in ("^", "_"):
            return self._nested(token, end)
        if len(token) > 1:
            self.at -= 1
            self._cut(1)
        return token[0]

    def _nested(self, token: str, end: int) -> str:
        if self.depth >= DEPTH:
            return token
        self.depth += 1
        whole = self._one(token, [], end)
        self.depth -= 1
        return whole

    def _braced(self, end: int) -> str | None:
        """The argument in braces that follows at once, and None where there is none."""
        if self.at < end and self.tokens[self.at] == "{" and self.at in self.closing:
            return self._argument(end)
        return None

    # Signs, accents and scripts

    def _sign(self, sign: str, out: list[str], end: int) -> str:
        """A backslash and one character that is no letter."""
        if sign in _LITERAL:
            return sign
        if sign in ("'", "`", "^", '"', "~", "=", ".") and not self.math:
            return self._accent(sign, out, end)
        if sign == "|":
            return "‖"
        if sign in _SPACING:
            return _SPACING[sign]
        return "" if sign in "()[]" else "\\" + sign

    def _accent(self, sign: str, out: list[str], end: int) -> str:
        if self._empty_braces():
            return self._bare_script("^", out) if sign == "^" else "~" if sign == "~" else ""
        token = self._peek()
        if not (token == "{" or token[:1].isalpha() or token in ("\\i", "\\j")) or self.at >= end:
            return {"'": "'", '"': '"', "~": "~", "^": "^"}.get(sign, "\\" + sign)
        if (sign == "'" and _CONTRACTION.fullmatch(token)) or (sign == '"' and token[0] not in "{\\aeiouyAEIOUY"):
            return sign
        letter = self._argument(end) or ""
        whole = accented(letter, ACCENTS[sign])
        return whole if token == "{" or len(whole) == 1 else sign + letter

    def _script(self, sign: str, out: list[str], end: int) -> str:
        if self.math:
            return script(self._argument(end) or "", sign)
        following = self._peek()
        braced = following == "{" and 0 < self.closing.get(self.at, 0) - self.at <= 20
        if (braced or (following[1:].isalpha() and following[0] == "\\")) and not ends_in_space(out):
            return script(self._argument(end) or "", sign)
        return self._bare_script(sign, out)

    def _bare_script(self, sign: str, out: list[str]) -> str:
        """`V^3`, `10^-3`, `log_2` in prose; names such as `top_1` stay."""
        following = self.tokens[self.at : self.at + 2]
        if sign == "_":
            is_index = bool(out) and (out[-1] in FUNCTIONS or "α" <= out[-1][-1] <= "ω")
            found = re.match(r"\d+", following[0]) if following and is_index else None
        elif following[:1] == ["-"] and len(following) == 2 and last(out).isdigit():
            if found := re.match(r"\d+", following[1]):
                self.at += 1
                self._cut(found.end())
                return script("-" + found[0], sign)
        else:
            is_raised = last(out).isalnum() or last(out) in (")", "]", "∇")
            found = _RAISED.match(following[0]) if following and is_raised else None
        if not found:
            return sign
        self._cut(found.end())
        return script(found[0], sign)
