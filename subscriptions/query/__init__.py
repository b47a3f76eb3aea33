"""The topic language: what you can search, you can subscribe to.

`parse` reads it, `str` of what it returns prints it, `matches` says whether a paper is meant and why. What asks for
meaning (`like:`, `about:`) must be given its vectors first, by `meaning.resolve`. The grammar:

    query   = either { "OR" either }                      AND binds closer than OR
    either  = part { ["AND"] part }                       words side by side mean AND
    part    = ( "NOT" | "-" ) part | "(" query ")" | [ field ":" ] term
    term    = word [ "*" ] | '"' words '"' | range | "(" query ")" after a field of words
    range   = number | op number | number ".." number     op is one of > >= < <= =

Pure: no Django, no clock; papers come as `Document` values.
"""

from subscriptions.query.document import Document
from subscriptions.query.match import Hit, Match, matches
from subscriptions.query.parse import parse
from subscriptions.query.refusals import QueryError
from subscriptions.query.tree import And, Label, Near, Not, Or, Query, Range, Term

__all__ = [
    "And",
    "Document",
    "Hit",
    "Label",
    "Match",
    "Near",
    "Not",
    "Or",
    "Query",
    "QueryError",
    "Range",
    "Term",
    "matches",
    "parse",
]
