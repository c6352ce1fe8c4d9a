"""Corrections of a dictionary: what it is taught by pointing, what nouns are called, and undoing.

A correction is listed first, then the records are changed, then nouns are made anew; cut short,
the same correction again completes it. What was said already is not said twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from captionary.indexer.records import Changes, EmbeddedPair, merge
from captionary.indexer.refresh import Refresher
from captionary.schemas.corrections import (
    Correction,
    CorrectionKind,
    Said,
    said_of,
    with_pointing,
)
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import NotStored, WrongInput
from captionary.schemas.nouns import NounIndex, spelling, without_article
from captionary.schemas.pointing import WHOLE_PICTURE, Pointing
from captionary.vocabulary.stored_dictionary import StoredDictionary


@dataclass(frozen=True, slots=True)
class Corrected:
    """What came of a correction.

    corrections: as listed, or those that were undone; none: they were in force already.
    nouns:       how many nouns were made anew.
    """

    corrections: tuple[Correction, ...]
    nouns: int

    @property
    def number(self) -> int | None:
        """By which it is, or was, undone; None where nothing was to be done."""
        return self.corrections[0].number if self.corrections else None


class Corrector:
    """Corrects a dictionary; its methods raise WrongInput for what cannot be done.

    Of that, what the dictionary lacks is NotStored.

    between_nouns: called between the nouns that are made anew, as by `Refresher.refresh`.
    """

    def __init__(
        self,
        dictionary: StoredDictionary,
        refresher: Refresher,
        between_nouns: Callable[[int, int], None] = lambda _done, _due: None,
    ) -> None:
        self._dictionary = dictionary
        self._refresher = refresher
        self._between_nouns = between_nouns

    def history(self) -> tuple[Correction, ...]:
        """The corrections in force, oldest first."""
        return self._dictionary.corrections.all()

    def correct(self, wanted: Correction) -> Corrected:
        """Do any correction but of a new picture; number and `before` do not matter."""
        match wanted.kind:
            case "teach" | "refuse":
                refused = wanted.kind == "refuse"
                return self.point(wanted.noun, wanted.image_id, wanted.index, refused=refused)
            case "rename":
                return self.rename(wanted.noun, wanted.other)
            case "merge":
                return self.merge(wanted.noun, wanted.other)
            case "alias":
                return self.alias(wanted.noun, wanted.other)
            case "block":
                return self.block(wanted.noun)

    def check(self, wanted: Correction) -> None:
        """Raise what `correct` would raise, and change nothing."""
        match wanted.kind:
            case "teach" | "refuse":
                self._check_region(self._picture(wanted.image_id), wanted.index)
                self._learned(wanted.noun)
            case "rename":
                self._free(self._stored(wanted.noun), _spelled(wanted.other))
            case "merge":
                self._stored(wanted.noun)
                self._stored(wanted.other)
            case "alias":
                self._stored(wanted.noun)
                _spelled(wanted.other)
            case "block":
                _spelled(wanted.noun)

    # Regions

    def teach(self, item: EmbeddedPair) -> Corrected:
        """Keep what a picture's areas say, and all else that its pair brings."""
        changes = merge([item], self._dictionary.picture)
        if changes.conflicts:
            raise WrongInput(changes.conflicts[0].reason)
        stored = self._dictionary.picture(item.picture.id) or item.picture
        said = []
        for pointing in item.pointings:
            self._learned(pointing.noun)
            said.append((stored, pointing))
        return self._changed(self._list_pointings(said), changes)

    def point(
        self, noun: str, image_id: str, index: int = WHOLE_PICTURE, *, refused: bool
    ) -> Corrected:
        """Say that a stored region is a noun, or is not; that the noun is nowhere in a picture."""
        picture = self._picture(image_id)
        if index == WHOLE_PICTURE and not refused:
            raise WrongInput("name the region that it is; only what it is not holds for a picture")
        self._check_region(picture, index)
        pointing = Pointing(index, self._learned(noun), refused)
        return self._say([(picture, pointing)])

    def refuse_all(self, unsupported: Sequence[tuple[str, str]]) -> Corrected:
        """Say of nouns and the ids of pictures that the noun is nowhere in the picture, in one go.

        Pictures that are gone are left out.
        """
        said = [
            (picture, Pointing(WHOLE_PICTURE, self._learned(noun), refused=True))
            for noun, image_id in unsupported
            if (picture := self._dictionary.picture(image_id)) is not None
        ]
        return self._say(said)

    def _say(self, said: Sequence[tuple[Picture, Pointing]]) -> Corrected:
        listed = self._list_pointings(said)
        amended: dict[str, Picture] = {}
        for picture, item in said:
            words: Said = "is not" if item.refused else "is"
            now = amended.get(picture.id, picture)
            amended[picture.id] = with_pointing(now, item.index, item.noun, words)
        return self._changed(listed, Changes(amended=amended))

    def _list_pointings(self, said: Sequence[tuple[Picture, Pointing]]) -> tuple[Correction, ...]:
        """List what is said of regions, but for what was the last that was said of them."""
        corrections, new = self._dictionary.corrections, list[Correction]()
        before, number = corrections.all(), corrections.next_number()
        for picture, item in said:
            kind: CorrectionKind = "refuse" if item.refused else "teach"
            had = said_of(picture, item.index, item.noun)
            one = Correction(number, kind, item.noun, "", picture.id, item.index, had)
            same = [other for other in (*before, *new) if other.same_region(one)]
            known = same[-1].kind == kind if same else had == ("is not" if item.refused else "is")
            if not known:
                new.append(one)
        if new:
            corrections.replace([*before, *new], changed=())
        return tuple(new)

    def _changed(self, listed: tuple[Correction, ...], changes: Changes) -> Corrected:
        self._dictionary.add(list(changes.new.values()), changes.pointed)
        self._dictionary.amend(list(changes.amended.values()), changes.pointed)
        return Corrected(listed, self._refresh())

    def _refresh(self) -> int:
        return self._refresher.refresh(self._between_nouns)

    def _picture(self, image_id: str) -> Picture:
        if (picture := self._dictionary.picture(image_id)) is None:
            raise NotStored(f"the dictionary has no picture {image_id!r}")
        return picture

    def _check_region(self, picture: Picture, index: int) -> None:
        there = index in picture.pointed_indices or 0 <= index < picture.regions
        if not there and index != WHOLE_PICTURE:
            pointed = f", and {len(picture.pointed_indices)} that were pointed at"
            raise WrongInput(
                f"picture {picture.id!r} has no region {index}; it has 0 to {picture.regions - 1}"
                f"{pointed if picture.pointed_indices else ''}"
            )

    # Names

    def rename(self, noun: str, name: str) -> Corrected:
        """Call a noun otherwise from now on, also in captions to come."""
        noun, name = self._stored(noun), _spelled(name)
        self._free(noun, name)
        return self._call("rename", noun, name)

    def _free(self, noun: str, name: str) -> None:
        """Check that a noun may be called so."""
        known = self._dictionary.corrections.rules.name(noun) == name
        if not known and name in self._nouns():
            raise WrongInput(f"the dictionary has a noun {name!r} already; merge {noun!r} into it")

    def merge(self, noun: str, other: str) -> Corrected:
        """Make one noun a part of another, also in captions to come."""
        return self._call("merge", self._stored(noun), self._stored(other))

    def block(self, noun: str) -> Corrected:
        """Learn a noun no more, and forget what was learned of it."""
        found = NounIndex(self._nouns()).resolve(noun)
        return self._call("block", found[0] if found else _spelled(noun), "")

    def alias(self, noun: str, name: str) -> Corrected:
        """Let another name stand for a noun where classes are named."""
        noun, name = self._stored(noun), _spelled(name)
        corrections = self._dictionary.corrections
        if (name, noun) in corrections.rules.aliases or name == noun:
            return Corrected((), 0)
        return self._call("alias", noun, name)

    def _call(self, kind: CorrectionKind, noun: str, name: str) -> Corrected:
        corrections = self._dictionary.corrections
        if corrections.rules.name(noun) == name and kind != "alias":
            return Corrected((), self._refresh())
        new = Correction(corrections.next_number(), kind, noun, name)
        changed = () if kind == "alias" else new.names
        corrections.replace([*corrections.all(), new], changed)
        return Corrected((new,), self._refresh())

    def _nouns(self) -> list[str]:
        return [entry.noun for entry in self._dictionary.entries()]

    def _stored(self, noun: str) -> str:
        found = NounIndex(self._nouns()).resolve(noun)
        rules = self._dictionary.corrections.rules
        if not found and rules.name(_spelled(noun)) != _spelled(noun):
            return _spelled(noun)  # it is called otherwise by now: the same may be said again
        if not found:
            raise NotStored(
                f"the dictionary has no noun {noun!r}; see 'captionary vocabulary list'"
            )
        if len(found) > 1:
            raise WrongInput(f"{noun!r} may be {' or '.join(map(repr, found))}; name one of them")
        return found[0]

    def _learned(self, noun: str) -> str:
        """What a noun is called by now, to be pointed at."""
        found = NounIndex(self._nouns()).resolve(noun)
        named = found[0] if found else _spelled(noun)
        called = self._dictionary.corrections.rules.name(named)
        if not called:
            raise WrongInput(f"the noun {named!r} is blocked; undo that first")
        return called

    # The way back

    def undo(self, number: int | None = None) -> Corrected:
        """Take a correction back, as if it had never been said; the last one if none is named."""
        corrections, listed = self._dictionary.corrections, self.history()
        found = [item for item in listed if number in (None, item.number)]
        if not found:
            which = "correction" if number is None else f"correction {number}"
            raise NotStored(f"there is no {which} to undo; see 'captionary vocabulary history'")
        undone = tuple(item for item in found if item.number == found[-1].number)
        left = [item for item in listed if item not in undone]
        if not undone[0].is_pointing:
            corrections.replace(left, () if undone[0].kind == "alias" else undone[0].names)
            return Corrected(undone, self._refresh())
        unsaid: dict[str, Picture] = {}
        for item in undone:
            later = [other for other in left if other.same_region(item)]
            later = [other for other in later if other.number > item.number]
            if later:  # what was said since holds; undone, it goes back to what this one had found
                left = [replace(i, before=item.before) if i is later[0] else i for i in left]
            elif picture := unsaid.get(item.image_id) or self._dictionary.picture(item.image_id):
                unsaid[picture.id] = with_pointing(picture, item.index, item.noun, item.before)
        # Off the list last: cut short, it is there to be undone again.
        for picture in unsaid.values():
            self._unsay(picture)
        corrections.replace(left, changed=())
        return Corrected(undone, self._refresh())

    def _unsay(self, picture: Picture) -> None:
        if picture.captions or picture.pointings:
            self._dictionary.amend([picture])
        else:  # it came only to be pointed at
            self._dictionary.retire([picture.id])


def _spelled(name: str) -> str:
    if not (spelled := spelling(without_article(name.strip()))):
        raise WrongInput("a noun needs at least one letter")
    return spelled
