"""Parses the captions of the pictogram world, by a grammar of its own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import Word, read_nouns

NUMBERS = {"a pair of": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
VAGUE = ("some", "several", "the", "a", "an")
ADJECTIVES = ("small", "big", "lovely", "beautiful", "old", "nice", "cute", "pretty", "strange")
RELATIONS = ("beside", "next to", "near", "above", "below", "to the left of", "to the right of")
ENDINGS = ("on a sunny day", "this morning", "in the middle", "again", "for once", "as always")
OPENINGS = (
    "a photo of",
    "a picture of",
    "a view of",
    "an image of",
    "a snapshot of",
    "just",
    "there is",
    "there are",
    "here we see",
    "look at",
)


def one_of(texts: Iterable[str]) -> str:
    """A pattern for any of some texts, the longest first."""
    return "|".join(sorted(map(re.escape, texts), key=len, reverse=True))


def forms_of(words: list[Word]) -> dict[str, Word]:
    return {form: word for word in words for form in (word.singular, word.plural) if form}


THINGS = forms_of([word for noun in read_nouns() for word in noun.words])
PLACES = forms_of([word for ground in GROUNDS for word in ground.words])

THING = rf"(?:{one_of({*NUMBERS, *VAGUE})}) (?:(?:{one_of(ADJECTIVES)}) )?(?:{one_of(THINGS)})"
PARTS = re.compile(
    rf"({one_of({*NUMBERS, *VAGUE})}) (?:({one_of(ADJECTIVES)}) )?({one_of(THINGS)})"
)
CAPTION = re.compile(
    rf"(?:(?:{one_of(OPENINGS)}) )?"
    rf"(?P<first>{THING})"
    rf"(?: (?P<relation>{one_of(RELATIONS)}) (?P<other>{THING}))?"
    rf"(?P<others>(?:(?:, with |, | and ){THING})*)"
    r"(?: can be seen)?"
    rf"(?: (?:on|over|under|in front of|in) (?:the|a) (?P<place>{one_of(PLACES)}))?"
    rf"(?: (?:{one_of(ENDINGS)}))?"
    r"\.?"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """One thing that a caption names: `two small cats`. form: the noun as it stands there."""

    number: str
    adjective: str
    form: str

    @property
    def word(self) -> Word:
        return THINGS[self.form]


@dataclass(frozen=True, slots=True)
class ParsedCaption:
    """A parsed caption. relation: of the first thing to the second; empty if there is none."""

    things: tuple[Mention, ...]
    relation: str
    place: Word | None


def parse_caption(caption: str) -> ParsedCaption:
    """Parse a whole caption; fails if it has anything that the grammar does not know."""
    match = CAPTION.fullmatch(caption)
    assert match is not None, caption
    phrases = " ".join(filter(None, (match["first"], match["other"], match["others"])))
    things = tuple(Mention(*parts) for parts in PARTS.findall(phrases))
    place = PLACES[match["place"]] if match["place"] else None
    return ParsedCaption(things, match["relation"] or "", place)


def words_of(caption: str) -> set[str]:
    """The nouns that a caption names, singular."""
    parsed = parse_caption(caption)
    places = {parsed.place.singular} if parsed.place else set()
    return {thing.word.singular for thing in parsed.things} | places
