"""Which script and which language a caption is in, as far as a tagger must know.

Languages are told by their function words, of which spaCy has lists, and by their letters: cheap,
and silent about names and other short captions. Which of two related languages it is, is a guess.
"""

import re
import runpy
import unicodedata
from collections import Counter
from collections.abc import Collection
from functools import cache, lru_cache
from pathlib import Path

import spacy.lang

NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "sv": "Swedish",
    "da": "Danish",
    "nb": "Norwegian",
    "fi": "Finnish",
    "cs": "Czech",
    "hu": "Hungarian",
    "ro": "Romanian",
    "tr": "Turkish",
    "id": "Indonesian",
    "vi": "Vietnamese",
}
"""The languages that are told apart; of two that fit a caption equally well, the first is named."""

FEWEST_WORDS = 2
"""Words of another language that make a caption look like it."""
FEWEST_OF_A_NAME = 3
"""The same where all other words are capitalised: "Puerto de la Cruz" says nothing."""

SHORTEST_KNOWN = 3

_WORD = re.compile(r"[^\W\d_]+")
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"))
_SCRIPT_NAMES = {"CJK": "Han"}
_NO_SIGN_OF_ANY = frozenset("bcdfghjklmnpqrstvwx")
"""Letters that, alone, are as often an initial or the rest of "man's" as a word."""


class LanguageCheck:
    """Compares captions with the language that a tagger reads.

    language: its ISO 639-1 code.
    known:    words of that language, in lower case, besides those on spaCy's list.
    """

    def __init__(self, language: str, known: Collection[str] = ()) -> None:
        own = _function_words(language)
        self.language = NAMES.get(language, language)
        self._own = own
        # Shorter ones are more often words of others: "di", "et", "op".
        self._known = own.union(word for word in known if len(word) >= SHORTEST_KNOWN)
        letters = Counter(filter(None, (_script(letter) for word in own for letter in word)))
        # The lists have strays: the Chinese one numbers in Greek letters.
        scripts = {name for name, n in letters.items() if n >= letters.total() / 10}
        if scripts & _EAST_ASIAN:
            scripts |= _EAST_ASIAN
        # Names and brands are in Latin letters everywhere.
        self._scripts = frozenset((*scripts, "LATIN", "")) if scripts else None

    def readable(self, text: str) -> str:
        """The text with commas for what the tagger cannot read; "" where that is most of it."""
        if text.isascii() or self._scripts is None:
            return text
        if self.unread_script(text):
            return ""
        return "".join(sign if _script(sign) in self._scripts else "," for sign in text)

    def unread_script(self, text: str) -> str:
        """The script of most of its letters, such as "Han", if the tagger cannot read that."""
        if text.isascii() or self._scripts is None:
            return ""
        counts = Counter(filter(None, map(_script, text)))
        unread = {name: n for name, n in counts.items() if name not in self._scripts}
        if 2 * sum(unread.values()) <= counts.total():
            return ""
        most = max(unread, key=unread.__getitem__)
        return _SCRIPT_NAMES.get(most, most.capitalize())

    def other_language(self, text: str) -> str:
        """The language that a text looks like, such as "German", if not like the tagger's own."""
        if not self._own:
            return ""
        votes: Counter[str] = Counter()
        own = 0
        only_names = True
        for word in _WORD.findall(text):
            lower = word.lower()
            if lower in self._known:
                own += 1
            elif languages := _languages_of(lower):
                votes.update(languages)
            elif word[0].islower():
                only_names = False
        if not votes:
            return ""
        best = max(NAMES, key=votes.__getitem__)  # of equals the first
        fewest = FEWEST_OF_A_NAME if only_names else FEWEST_WORDS
        return NAMES[best] if votes[best] >= max(fewest, own + 1) else ""


@cache
def _function_words(language: str) -> frozenset[str]:
    """SpaCy's stop words of a language; none where it has no list."""
    path = Path(spacy.lang.__path__[0]) / language / "stop_words.py"
    if not path.is_file():
        return frozenset()
    # Not imported: the package around it would compile expressions, in French for seconds.
    words: Collection[str] = runpy.run_path(str(path))["STOP_WORDS"]
    return frozenset(word.lower() for word in words)


@cache
def _speakers() -> dict[str, frozenset[str]]:
    """Each function word, and each letter beyond a to z, with the languages that have it."""
    found: dict[str, set[str]] = {}
    for language in NAMES:
        for word in _function_words(language):
            found.setdefault(word, set()).add(language)
            for letter in word:
                if not letter.isascii():
                    found.setdefault(letter, set()).add(language)
    return {sign: frozenset(languages) for sign, languages in found.items()}


@lru_cache(maxsize=1 << 14)
def _languages_of(word: str) -> frozenset[str]:
    """The languages that a word in lower case is a sign of."""
    speakers = _speakers()
    if word in speakers:
        return frozenset() if word in _NO_SIGN_OF_ANY else speakers[word]
    letters = [letter for letter in word if not letter.isascii()]
    if not letters:
        return frozenset()
    return frozenset.intersection(*(speakers.get(letter, frozenset()) for letter in letters))


@lru_cache(maxsize=1 << 14)
def _script(letter: str) -> str:
    """The first word of a letter's Unicode name, which is its script; "" for other signs."""
    if unicodedata.category(letter) not in ("Lu", "Ll", "Lt", "Lo"):
        return ""
    return unicodedata.name(letter, "").partition(" ")[0]
