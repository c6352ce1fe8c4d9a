"""What an English caption says is not there: "no cars", "without a helmet", "isn't a cat".

Rules on words and parts of speech; there is no parser. They read the phrase right after the word
that negates, with what "or" adds to it. What is negated further away goes unnoticed.
"""

import re
from collections.abc import Iterator

from spacy.tokens import Doc, Token

_ARTICLES = frozenset(("a", "an", "any", "one", "single"))
_HAVING = re.compile(
    "ha(?:ve|s|d|ving)|(?:wear|hold|contain|show)(?:s|ing)?|carr(?:y|ies|ying)|includ(?:e|es|ing)"
    "|see|feature|use"
)
"""Verbs whose object is not there where they are negated; "not eating the cake" has a cake."""
_NOT = frozenset(("not", "n't", "n\u2019t", "nt", "never"))
_WITHOUT = frozenset(("without", "sans"))
_NO_SIGN = frozenset(("doubt", "matter", "one", "other", "less", "fewer", "more"))
"""After "no" these do not negate what follows."""
_FREE = frozenset(("free", "devoid", "void", "empty", "bare", "absence", "lack"))
_LACKING = frozenset(("lack", "lacks", "lacking"))
_ONLY = frozenset(("only", "just", "merely", "simply"))
_PICTURES = frozenset(("photo", "photograph", "picture", "image", "shot", "view"))
_SIGNS = re.compile("(?:sign|symbol|zone|area)s?|sticker|poster")
_PROHIBITED = frozenset(
    (
        *("access", "bikes", "cars", "dogs", "drinks", "entry"),
        *("exit", "food", "outlet", "pets", "trucks", "turn"),
    )
)
"""What signs forbid, besides what ends in "ing"."""
_DEFINITE = re.compile("the|th(?:is|at|[eo]se)|his|her|its|their|my|your|our")
_WITHIN = frozenset(("DET", "ADJ", "NUM", "ADV", "PRON", "NOUN", "PROPN"))
_NOUNS = ("NOUN", "PROPN")
_HYPHEN = "-"


def negated(doc: Doc) -> frozenset[int]:
    """The places of the tokens that stand in a negated phrase."""
    found: set[int] = set()
    for token in doc:
        if token.text == "free" and _follows_hyphen(token):
            found.update(range(max(0, token.i - 2), token.i))  # "car-free"
        elif token.i not in found and (start := _phrase_after(token)):
            found.update(_negated_from(doc, start, token))
    return frozenset(found)


def _phrase_after(token: Token) -> int:
    """Where the phrase begins that a token negates; 0 if it negates none."""
    word, after = token.text, _text(token.doc, token.i + 1)
    start = token.i + 1
    if word == "no" and after == "longer":
        return _after_not(token.doc, start + 1)
    if word == "no" and after == "one":
        having = _after_having(token.doc, start + 1)
        return having if having > start + 1 else 0
    if word == "no":
        number = start < len(token.doc) and token.doc[start].pos_ == "NUM"
        return 0 if number or after in _NO_SIGN or after == _HYPHEN else start
    if word in _WITHOUT:
        return _after_having(token.doc, start)
    if word in _NOT:
        return _after_not(token.doc, start)
    if word in _FREE and after in ("of", "from"):
        return 0 if _breaks_free(token) else start + 1
    if (word, after) in (("instead", "of"), ("rather", "than")):
        return _after_having(token.doc, start + 1)
    lacking = word in _LACKING and token.pos_ == "VERB"
    if lacking or (word in ("neither", "nor") and after != "of"):
        return start
    return 0


def _after_not(doc: Doc, start: int) -> int:
    """The phrase of "not a dog" or "not wearing shoes"; 0 for "not far from a dog"."""
    having = _after_having(doc, start)
    return having if having > start or _text(doc, start) in _ARTICLES else 0


def _after_having(doc: Doc, start: int) -> int:
    """Past a verb of having, with an adverb before it, if there is one."""
    verb = start
    if verb < len(doc) and doc[verb].pos_ == "ADV" and doc[verb].text not in _ONLY:
        verb += 1
    return verb + 1 if _HAVING.fullmatch(_text(doc, verb)) else start


def _negated_from(doc: Doc, start: int, negation: Token) -> Iterator[int]:
    """The tokens of the phrase at `start`, and of those that a list with "or" adds."""
    end = _phrase_end(doc, start)
    if end == start or _is_named_so(doc, start, end, negation):
        return
    yield from range(start, end)
    last = end
    while True:
        link = _text(doc, last)
        begin = last + 1 + (link == "," and _text(doc, last + 1) in ("or", "nor"))
        link = _text(doc, begin - 1)
        bare = negation.text in _WITHOUT and begin < len(doc) and doc[begin].pos_ in _NOUNS
        if not (link in ("or", "nor", ",") or (link == "and" and bare)):
            return
        last = _phrase_end(doc, begin)
        if last == begin:
            return
        if link != ",":
            yield from range(end, last)  # with what commas added before
            end = last


def _phrase_end(doc: Doc, start: int) -> int:
    """Where a noun phrase ends that begins at `start`, which it is if there is none."""
    i = start
    while i < len(doc) and (doc[i].pos_ in _WITHIN or _is_participle(doc[i])):
        if doc[i].pos_ in _NOUNS and not _goes_on(doc, i + 1):
            return max(i + 1, _phrase_end(doc, i + 2)) if _is_part(doc, i) else i + 1
        i += 2 if _text(doc, i + 1) in (_HYPHEN, "'s", "\u2019s") else 1
    return start


def _is_part(doc: Doc, i: int) -> bool:
    """Whether what follows a noun is negated with it: "cups of tea", but not "of the girl"."""
    if _text(doc, i + 1) != "of" or doc[i].text in _PICTURES:
        return False
    return not _DEFINITE.fullmatch(_text(doc, i + 2))


def _goes_on(doc: Doc, i: int) -> bool:
    return i < len(doc) and (doc[i].pos_ in _NOUNS or doc[i].text in (_HYPHEN, "'s", "\u2019s"))


def _is_participle(token: Token) -> bool:
    """Whether it is a verb before a noun, as in "no parked cars"."""
    after = token.i + 1
    return (
        token.pos_ == "VERB"
        and token.text.endswith(("ed", "ing", "en"))
        and after < len(token.doc)
        and token.doc[after].pos_ in ("ADJ", *_NOUNS)
    )


def _is_named_so(doc: Doc, start: int, end: int, negation: Token) -> bool:
    """Whether "no" is part of a name, as in "no parking sign"; what has the name is there."""
    if negation.text != "no" or end - start < 2:
        return False
    if negation.i > 0 and negation.nbor(-1).pos_ in ("DET", "NUM"):
        return True  # "a no sleeve shirt"
    if not _SIGNS.fullmatch(doc[end - 1].text):
        return False
    words = [token.text for token in doc[start : end - 1]]
    return any(word.endswith("ing") or word in _PROHIBITED for word in words)


def _breaks_free(token: Token) -> bool:
    return token.i > 0 and token.nbor(-1).text.startswith(("break", "broke", "get", "pull", "set"))


def _follows_hyphen(token: Token) -> bool:
    return token.i > 1 and token.nbor(-1).text == _HYPHEN and not token.nbor(-1).whitespace_


def _text(doc: Doc, i: int) -> str:
    return doc[i].text if i < len(doc) else ""
