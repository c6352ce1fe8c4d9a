"""From plural to singular: tables for the carried lemmatiser, from a treebank and spelling rules.

The tables are those of spaCy's rule lemmatiser. The rules of a part of speech are tried in order:
of the results that are known words the last wins; where none is known, the first result wins.
Exceptions go before all.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from captionary.schemas.nouns import IRREGULAR, PLURAL_ONLY

RULES = (
    ("ss", "ss"),
    ("us", "us"),
    ("is", "is"),
    ("men", "man"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("sses", "ss"),
    ("xes", "x"),
    ("zzes", "zz"),
    ("ies", "y"),
    ("oes", "o"),
    ("s", ""),
    ("", ""),
)
"""Endings and what they become. The first three keep an unknown word that is singular already; the
last keeps any known word."""

OTHER_TAGS = (
    "adj", "adp", "adv", "aux", "cconj", "det", "intj", "num", "part", "pron", "punct", "sconj",
    "sym", "verb", "x",
)  # fmt: skip
"""These keep their form, by a rule of their own: the lemmatiser remembers only what rules gave."""


def lemma_tables(nouns: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Make the tables `lemma_rules`, `lemma_index` and `lemma_exc` from (form, lemma) pairs.

    Proper nouns get the tables of common nouns, so a word has one lemma however it was tagged.
    """
    lemmas = Counter(lemma.lower() for form, lemma in nouns if form.isalpha())
    index = {word for word in lemmas if word not in IRREGULAR and _is_lemma(word, lemmas)}
    words = sorted(index | PLURAL_ONLY)
    exceptions = {form: [lemma] for form, lemma in IRREGULAR.items()}
    rules: dict[str, list[tuple[str, str]]] = {tag: [("", "")] for tag in OTHER_TAGS}
    rules |= {"noun": list(RULES), "propn": list(RULES)}
    return {
        "lemma_rules": rules,
        "lemma_index": {"noun": words, "propn": words},
        "lemma_exc": {"noun": exceptions, "propn": exceptions},
    }


def _is_lemma(word: str, lemmas: Counter[str]) -> bool:
    """Whether to trust a lemma of the treebank: a few are plurals left as they were, or slips."""
    if not word.endswith("s") or word.endswith("ss"):
        return True
    singular, longer = lemmas[word[:-1]], lemmas[word + "s"]
    return lemmas[word] > 1 and lemmas[word] > singular and not longer
