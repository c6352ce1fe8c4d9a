"""What users said of a dictionary's nouns and regions after it had learned them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from captionary.schemas.pointing import WHOLE_PICTURE, Pointing

if TYPE_CHECKING:  # the client names corrections, and has no numpy
    from captionary.schemas.dictionary import Picture

CorrectionKind: TypeAlias = Literal["teach", "refuse", "rename", "merge", "alias", "block"]
CORRECTION_KINDS: tuple[CorrectionKind, ...] = get_args(CorrectionKind)

Said: TypeAlias = Literal["nothing", "is", "is not"]
"""What had been said of a region and a noun before a correction."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction that is in force.

    number:   by which it is undone; they rise, and what was said in one go has the same.
    kind:     teach: a region is the noun; refuse: it is not; rename, merge: the noun is called
        `other`; alias: `other` is another name of the noun; block: the noun is no longer learned.
    noun:     the noun, as the dictionary called it then.
    image_id, index: of teach and refuse, the region; WHOLE_PICTURE: the noun is nowhere in it.
    before:   of teach and refuse, what had been said of that until then.
    """

    number: int
    kind: CorrectionKind
    noun: str
    other: str = ""
    image_id: str = ""
    index: int = WHOLE_PICTURE
    before: Said = "nothing"

    @property
    def is_pointing(self) -> bool:
        """Whether it speaks of one picture."""
        return self.kind in ("teach", "refuse")

    def same_region(self, other: "Correction") -> bool:
        """Whether both speak of the same noun and region."""
        return self.is_pointing and other.is_pointing and self._region == other._region

    @property
    def _region(self) -> tuple[str, str, int]:
        return self.noun, self.image_id, self.index

    @property
    def names(self) -> frozenset[str]:
        """The nouns whose pictures it may change, where it is none of a single picture."""
        return frozenset(name for name in (self.noun, self.other) if name)


@dataclass(frozen=True, slots=True)
class NounRules:
    """What the nouns of captions are called, after all corrections, and which teach nothing.

    steps:   (noun, what it is called from then on; "": it is not learned), in order.
    aliases: (other name, noun).
    """

    steps: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    def name(self, noun: str) -> str:
        """What a noun of a caption is called; "" where it is not learned."""
        for before, after in self.steps:
            if noun == before:
                noun = after
        return noun

    def apply(self, picture: "Picture") -> "Picture":
        """A picture with its nouns as they are called."""
        if not self.steps:
            return picture
        named = [tuple(dict.fromkeys(filter(None, map(self.name, own)))) for own in picture.nouns]
        pointings = {(p.index, self.name(p.noun)): p for p in picture.pointings}
        renamed = [
            replace(item, noun=noun) for (_, noun), item in sorted(pointings.items()) if noun
        ]
        return replace(picture, nouns=tuple(named), pointings=tuple(renamed))


def rules_of(corrections: Sequence[Correction]) -> NounRules:
    """The rules that corrections amount to."""
    steps: list[tuple[str, str]] = []
    aliases: list[tuple[str, str]] = []
    for item in corrections:
        if item.kind == "alias":
            aliases.append((item.other, item.noun))
        elif not item.is_pointing:
            steps.append((item.noun, item.other))
            # Other names follow their noun.
            followed = [(a, item.other if noun == item.noun else noun) for a, noun in aliases]
            aliases = [(alias, noun) for alias, noun in followed if noun]
    return NounRules(tuple(steps), tuple(aliases))


def with_pointing(picture: "Picture", index: int, noun: str, said: Said) -> "Picture":
    """A picture of whose region something is said, instead of what was said before."""
    kept = {(item.index, item.noun): item for item in picture.pointings}
    kept.pop((index, noun), None)
    if said != "nothing":
        kept[index, noun] = Pointing(index, noun, refused=said == "is not")
    return replace(picture, pointings=tuple(kept[key] for key in sorted(kept)))


def said_of(picture: "Picture", index: int, noun: str) -> Said:
    """What was said of a region of a picture and a noun."""
    for item in picture.pointings:
        if (item.index, item.noun) == (index, noun):
            return "is not" if item.refused else "is"
    return "nothing"
