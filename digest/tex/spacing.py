"""What stands side by side in a formula: words and numbers that belong together, gaps, and where a line may end."""

import re
from collections.abc import Iterator

from digest.tex.nodes import Node

_THIN = "0.167em"
_RELATIONS = frozenset("=≠≈∼≃≅≡≤≥<>≪≫≲≳∈∉⊂⊆⊃⊇→←↔⇒⇐⇔⟹⟺↦∝≔≜,;:+−±×⋅∣")
_POINTS = frozenset(",;:")
_SIGNS = frozenset("+−±∓")
_OPENING = frozenset("([{⟨⌊⌈")
_CLOSING = frozenset(")]}⟩⌋⌉")
#: elements whose children stand above each other
_STACKED = frozenset(("mfrac", "munder", "mover", "munderover", "mtable"))
_SCRIPTS = frozenset(("msub", "msup", "msubsup"))


def row(nodes: list[Node]) -> list[Node]:
    """Nodes side by side, with words and numbers joined and names kept apart from their neighbours."""
    joined: list[Node] = []
    for node in nodes:
        before = joined[-1] if joined else None
        if before is not None and node.style and node.style == before.style and node.tag == before.tag == "mi":
            joined[-1] = Node("mi", before.text + node.text, style=node.style)
        elif before is not None and before.text == ":" and node.text == "=":
            joined[-1] = Node("mo", ":=")
        elif node.text in _SIGNS and node.tag == "mo" and (before is None or _is_open(before)):
            joined.append(Node("mo", node.text, {**node.attributes, "form": "prefix"}))
        elif _goes_on(joined, node):
            number = "".join(part.text for part in joined[-2:]) + node.text
            joined[-2:] = [Node("mn", number)]
        else:
            joined.append(node)
    return list(_gapped(joined))


def _is_open(node: Node) -> bool:
    """Whether what follows a node is the sign of a number and not what joins it to the next."""
    return node.tag == "mo" and node.text not in _CLOSING and "lspace" not in node.attributes


def _goes_on(before: list[Node], node: Node) -> bool:
    """Whether a number goes on behind a comma, as in 12,000."""
    if len(before) < 2 or node.tag != "mn" or before[-1].text != "," or before[-2].tag != "mn":
        return False
    return bool(re.fullmatch(r"[0-9]{3}(\.[0-9]+)?", node.text) and re.fullmatch(r"[1-9][0-9,]*", before[-2].text))


def _gapped(nodes: list[Node]) -> Iterator[Node]:
    for index, node in enumerate(nodes):
        before, after = nodes[index - 1] if index else None, nodes[index + 1] if index + 1 < len(nodes) else None
        if node.is_name and before is not None and not before.is_name and not _parts(before, closing=False):
            yield Node("mspace", attributes={"width": _THIN})
        yield node
        if node.is_name and after is not None and not _parts(after, closing=True):
            yield Node("mspace", attributes={"width": _THIN})


def _parts(neighbour: Node, *, closing: bool) -> bool:
    """Whether a neighbour needs no gap: an operator or a space has its own, and brackets stand close."""
    if neighbour.tag in ("mspace", "mtext"):
        return True
    if neighbour.tag == "mrow" and neighbour.children:
        return closing  # a fenced argument
    return neighbour.tag == "mo" and (closing or neighbour.text not in _CLOSING)


def width(nodes: list[Node]) -> float:
    """About how many letters wide nodes are."""
    return sum(map(_width, nodes))


def _width(node: Node) -> float:
    if node.tag in _STACKED:
        return max(map(_width, node.children), default=0)
    if node.tag in _SCRIPTS:
        scripts = [_width(script) * 0.7 for script in node.children[1:]]
        return _width(node.children[0]) + max(scripts, default=0)
    if node.tag == "mtr":
        return width(node.children) + 2 * len(node.children)
    if node.tag == "mo" and node.text in _RELATIONS - _POINTS:
        return 2 * len(node.text)
    return len(node.text) + width(node.children)


def broken(nodes: list[Node], most: int) -> Iterator[list[Node]]:
    """A row, cut after relations and commas outside brackets where it is wider than `most`."""
    if width(nodes) <= most:
        yield nodes
        return
    piece: list[Node] = []
    depth = 0
    for node in nodes:
        piece.append(node)
        if node.tag == "mo":
            depth += (node.text in _OPENING) - (node.text in _CLOSING)
            if depth <= 0 and node.text in _RELATIONS and width(piece) > 8:
                yield piece
                piece = []
    if piece:
        yield piece
