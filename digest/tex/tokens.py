"""The tokens of TeX, and a place among them."""

import re

TOKEN = re.compile(
    r"https?://[^\s{}\\$<>\"]+|\\[A-Za-z]+\*?|\\.|\$\$?|[{}^_~&]|\s+|-{2,}|`+|''|\"|[^\\${}^_~&\s`'\"-]+|.",
    re.DOTALL,
)


class Tokens:
    """The tokens of one text; `at` is the next to be read, `closing` tells where each opening brace closes."""

    def __init__(self, source: str) -> None:
        self.tokens: list[str] = TOKEN.findall(source)
        self.closing = pairs(self.tokens)
        self.at = 0

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _cut(self, length: int) -> None:
        """Take the first characters off the token at hand."""
        self.tokens[self.at] = self.tokens[self.at][length:]
        if not self.tokens[self.at]:
            self.at += 1

    def _advance(self, length: int) -> None:
        while length and self.at < len(self.tokens):
            step = min(length, len(self.tokens[self.at]))
            self._cut(step)
            length -= step

    def _skip_space(self) -> None:
        if self._peek().isspace():
            self.at += 1

    def _option(self, end: int) -> str:
        """Skip an optional `[…]` and return what it held."""
        if not self._peek().startswith("["):
            return ""
        for last in range(self.at, min(end, self.at + 20)):
            if "]" in self.tokens[last]:
                held, _, rest = "".join(self.tokens[self.at : last + 1]).partition("]")
                self.at, self.tokens[last] = last, rest
                self._cut(0)
                return held[1:]
        return ""

    def _empty_braces(self) -> bool:
        """Skip `{}` where it follows at once, and say whether it did."""
        if self._peek() != "{" or self.closing.get(self.at) != self.at + 1:
            return False
        self.at += 2
        return True


def pairs(tokens: list[str]) -> dict[int, int]:
    """Where each opening brace that has a partner closes, by token."""
    pairs: dict[int, int] = {}
    waiting: list[int] = []
    for index, token in enumerate(tokens):
        if token == "{":
            waiting.append(index)
        elif token == "}" and waiting:
            pairs[waiting.pop()] = index
    return pairs


def last(out: list[str]) -> str:
    return out[-1][-1] if out else ""


def ends_in_space(out: list[str]) -> bool:
    return not out or out[-1][-1].isspace()
