import unicodedata

import pytest

from subscriptions.query.words import UNCHANGED, fold, stem, words

#: Two signs that stand for two words each; nothing else in Unicode does.
LIGATURES = "ゟヿ"
LAST_LETTER = 0x323AF


def exact(text):
    return [word.exact for word in words(text)]


@pytest.mark.parametrize(
    ("word", "folded"),
    [
        ("Fusion", "fusion"),
        ("Poincaré", "poincare"),
        ("Ångström", "angstrom"),
        ("Łukasiewicz", "lukasiewicz"),
        ("Erdős", "erdos"),
        ("Straße", "strasse"),
        ("Bjørn", "bjorn"),
        ("Æther", "aether"),
        ("İstanbul", "istanbul"),
        ("ﬁne", "fine"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("ℝ", "r"),
        ("𝐁ERT", "bert"),
        ("ＧＰＴ", "gpt"),
        ("H₂O", "h2o"),
        ("½", "12"),
    ],
)
def test_case_accents_and_compatibility_forms_are_folded(word, folded):
    assert fold(word) == folded


def test_whatever_was_folded_is_a_word_that_folds_to_itself():
    for sign in map(chr, range(LAST_LETTER + 1)):
        changed = unicodedata.normalize("NFKD", sign.casefold()) != sign
        if changed and sign.isalnum() and sign not in LIGATURES:
            folded = fold(sign * 2)
            assert fold(folded) == folded, (sign, hex(ord(sign)))
            assert exact(" ".join(exact(sign * 2))) == exact(sign * 2), (sign, hex(ord(sign)))


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("models", "model"),
        ("studies", "study"),
        ("ties", "tie"),
        ("classes", "class"),
        ("approaches", "approach"),
        ("boxes", "box"),
        ("matrices", "matrix"),
        ("analyses", "analysis"),
        ("biases", "bias"),
        ("movies", "movie"),
        ("indices", "index"),
        ("mice", "mouse"),
        ("llms", "llm"),
        ("vaes", "vae"),
        ("gpus", "gpu"),
        ("tpus", "tpu"),
        ("apis", "api"),
        ("guis", "gui"),
        ("lms", "lm"),
    ],
)
def test_english_plurals_are_folded(plural, singular):
    assert stem(plural) == stem(singular) == singular


@pytest.mark.parametrize("word", ["analysis", "class", "corpus", "basis", "gas", "this", "r2s", "physics"])
def test_a_final_s_that_is_no_plural_stays(word):
    assert stem(word) == word


def test_words_that_are_no_plurals_stay():
    assert [stem(word) for word in UNCHANGED] == list(UNCHANGED)


@pytest.mark.parametrize(("one", "other"), [("import", "important"), ("new", "news"), ("lens", "len"), ("mar", "mars")])
def test_nothing_but_plurals_is_folded(one, other):
    assert stem(one) != stem(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n—…!?", []),
        ("Fusion, not diffusion.", ["fusion", "not", "diffusion"]),
        ("a_b", ["a", "b"]),
        ("C++ and C#, not C+", ["c++", "and", "c#", "not", "c"]),
        ("C#sharp", ["c", "sharp"]),
        ("GPT-4o", ["gpt", "4o"]),
        ("the model's video, the models' end", ["the", "model", "video", "the", "models", "end"]),
        ("DALL·E’s", ["dall", "e"]),
        ("let's, lets", ["let", "lets"]),
        ("机器人", ["机", "器", "人"]),
        ("ロボ・アーム", ["ロ", "ホ", "ア", "ー", "ム"]),
        ("ﾛﾎﾞ", ["ロ", "ホ"]),
        ("a機械b", ["a", "機", "械", "b"]),
    ],
)
def test_a_text_falls_into_words(text, expected):
    assert exact(text) == expected


def test_korean_words_are_runs_of_letters():
    assert len(exact("언어 모델")) == 2


@pytest.mark.parametrize("sign", "-‐‑‒–−\xad")
def test_a_hyphen_of_any_kind_joins_a_word_to_the_one_before(sign):
    first, second = words(f"pre{sign}training")

    assert (first.hyphen, second.hyphen) == (False, True)


@pytest.mark.parametrize("sign", [" - ", "—", "--", "/", " ", "- "])
def test_nothing_else_joins_words(sign):
    assert [word.hyphen for word in words(f"pre{sign}training")] == [False, False]


@pytest.mark.parametrize("text", ["The Poincaré ball’s “C++” – 机器, ﬁne-tuned…", "x—ø", "𝐁ERT-½ Straße"])
def test_a_word_stands_where_it_says(text):
    for word in words(text):
        assert fold(text[word.start : word.end]) == word.exact
        assert stem(word.exact) == word.stem
