"""Text to words: the one analysis that topics, search and highlighting share.

A word is a run of letters and digits; `+` and `#` belong to it at its end (C++, C#), and each Han, Hiragana or
Katakana sign is a word of its own. Every word has two forms: *exact*, folded for case and accents, and *stem*,
folded for English plurals too. Hyphens part words; who indexes them adds the joined compound (`joined`), so that
`pretraining` and `pre-training` find one another.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

#: Irregular plurals of scholarly English, and words whose final s is no plural.
IRREGULAR = dict(
    pair.split(":")
    for pair in (
        "analyses:analysis axes:axis bases:basis biases:bias buses:bus calves:calf canvases:canvas corpora:corpus "
        "crises:crisis criteria:criterion diagnoses:diagnosis echoes:echo ellipses:ellipsis focuses:focus "
        "formulae:formula foci:focus gases:gas halves:half heroes:hero hypotheses:hypothesis indices:index "
        "knives:knife leaves:leaf lenses:lens loci:locus matrices:matrix menisci:meniscus mice:mouse "
        "minima:minimum maxima:maximum optima:optimum nuclei:nucleus oases:oasis parentheses:parenthesis "
        "phenomena:phenomenon potatoes:potato prognoses:prognosis quizzes:quiz radii:radius selves:self "
        "shelves:shelf simplices:simplex spectra:spectrum stimuli:stimulus strata:stratum syntheses:synthesis "
        "theses:thesis tomatoes:tomato vertices:vertex vetoes:veto viruses:virus vortices:vortex wolves:wolf "
        "aliases:alias atlases:atlas caches:cache niches:niche avalanches:avalanche headaches:headache "
        "movies:movie cookies:cookie zombies:zombie selfies:selfie calories:calorie genies:genie "
        "gpus:gpu cpus:cpu tpus:tpu npus:npu imus:imu apis:api guis:gui mris:mri kpis:kpi lms:lm kgs:kg ids:id "
        "children:child women:woman men:man people:person feet:foot teeth:tooth geese:goose"
    ).split()
)
UNCHANGED = frozenset(
    (
        "alias always atlas bias canvas chaos christmas cosmos does ethos gas lens news pandas pathos perhaps plus "
        "series sometimes species texas thus whereas lucas thomas nicholas james charles wales times towards "
        "besides across unless less mars mathematics physics robotics mechanics linguistics semantics economics "
        "genetics genomics ethics optics electronics graphics kinematics dynamics thermodynamics hydrodynamics "
        "aerodynamics informatics bioinformatics proteomics politics acoustics photonics analytics logistics "
        "pragmatics phonetics haptics kinetics omics transcriptomics metabolomics cybernetics aesthetics athletics "
        "statics numerics mechatronics forensics pediatrics obstetrics athens brussels paris"
    ).split()
)

#: Han, Hiragana and Katakana, with their compatibility forms; escaped, because an editor may normalize them.
_SIGNS = r"\u3038-\u30ff\u3192-\u3195\u3220-\u3289\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U0002f800-\U0002fa1f"
_WORD = re.compile(rf"[{_SIGNS}]|[^\W_{_SIGNS}]+(?:\+\+|#(?!\w))?")
#: What may stand between the parts of a hyphenated compound: hyphens and dashes of every kind but the em dash.
_HYPHEN = re.compile("[-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}\N{MINUS SIGN}\N{SOFT HYPHEN}]")
_POSSESSIVE = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]s(?!\\w)", re.IGNORECASE)
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})


@dataclass(frozen=True, slots=True)
class Word:
    """One word at [start, end) of the text it stands in; `hyphen` says that a hyphen joins it to the word before."""

    start: int
    end: int
    exact: str
    stem: str
    hyphen: bool = False


@lru_cache(maxsize=200_000)
def fold(word: str) -> str:
    """Fold case, accents and compatibility forms: "Poincaré" to "poincare", "ﬁ" to "fi", "ℝ" to "r".

    What was folded folds to itself.
    """
    if word.isascii():
        return word.lower()
    # A compatibility form may hide a capital, and signs that are part of no word: "𝐁" and "½".
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    return "".join(sign for sign in parts if sign.isalnum() or sign in "+#").translate(_LETTERS)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Fold an English plural of a folded word; nothing but plurals, so that *import* and *important* stay apart."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or not word.isalpha():
        return word
    if word in UNCHANGED or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("sses", "ches", "shes", "xes", "zzes")):
        return word[:-2]
    return word[:-1]


def words(text: str) -> Iterator[Word]:
    """All words of a text in order."""
    end = -1
    for match in _WORD.finditer(text):
        start = match.start()
        if start == end + 1 and _POSSESSIVE.match(text, end):
            end = match.end()
            continue
        exact = fold(match.group())
        hyphen = start == end + 1 and _HYPHEN.match(text, end) is not None
        end = match.end()
        if exact:
            yield Word(start, end, exact, stem(exact), hyphen)
