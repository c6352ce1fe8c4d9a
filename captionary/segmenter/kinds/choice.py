"""Which nouns of a dictionary are kinds of which class of a list."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from captionary.schemas.classes import ClassName
from captionary.schemas.nouns import NounIndex, forms, normal_form
from captionary.segmenter.background import BACKGROUND
from captionary.segmenter.kinds.lexicon import Lexicon, wordnet
from captionary.segmenter.kinds.table import KindRules, KindTable
from captionary.vocabulary.retrieval import Retriever

MIN_REGIONS = 3
"""A noun of fewer regions does not stand in for another word."""


def kinds_in_dictionary(
    classes: Sequence[ClassName],
    by_name: Iterable[Iterable[str]],
    retriever: Retriever,
    rules: KindRules,
) -> tuple[tuple[tuple[str, int], ...], ...]:
    """The dictionary's nouns that are kinds of each class, with how many pictures each has.

    Those of most pictures come first.

    Args:
        classes:   the class list.
        by_name:   the nouns among the names of each class.
        retriever: reads the dictionary; not asked where there are no kinds.
        rules:     as `kinds_of_classes`.
    """
    if rules.exact:
        return ((),) * len(classes)
    entries = sorted(retriever.entries(), key=lambda entry: (-entry.pictures, entry.noun))
    seldom = {entry.noun for entry in entries if entry.regions < MIN_REGIONS}
    pictures = {entry.noun: entry.pictures for entry in entries}
    named = {noun for of_class in by_name for noun in of_class}
    found = kinds_of_classes(classes, list(pictures), named, rules, seldom)
    return tuple(tuple((noun, pictures[noun]) for noun in nouns) for nouns in found)


def kinds_of_classes(
    classes: Sequence[ClassName],
    nouns: Sequence[str],
    named: Collection[str],
    rules: KindRules,
    seldom: Collection[str] = (),
) -> list[tuple[str, ...]]:
    """The nouns that are kinds of each class, in the order they are given in.

    A noun is a kind of the class that it is nearest to, counted in steps up the lexicon; of
    several, where they are equally near: it tells them from all others. The user's word goes first:
    a class of the table takes its row, one that is written out (`person: man | woman`) no kinds.
    What is nearest to one of these is a kind of no other class either. The background takes none.

    Args:
        classes: the class list.
        nouns:   of the dictionary, as they are stored.
        named:   those of them that are names of classes, and so are no kinds.
        rules:   what the user has laid down.
        seldom:  nouns that become kinds by the user's table only.
    """
    if rules.exact:
        return [()] * len(classes)
    taken = set(named)
    free = [noun for noun in nouns if noun not in taken]
    rows = _rows_of_classes(classes, rules.table)
    index = NounIndex(free)
    laid_down: defaultdict[str, set[int]] = defaultdict(set)
    for class_id, row in rows.items():
        for kind in row:
            for noun in index.find(kind):
                laid_down[noun].add(class_id)
    decided = {number for number, item in enumerate(classes) if item.written_out} | rows.keys()
    lexicon = wordnet()
    owners = _owners_of_synsets(classes, lexicon)
    found: list[list[str]] = [[] for _ in classes]
    for noun in free:
        owned = laid_down.get(noun, set())
        if not owned and noun not in seldom:
            owned |= _nearest(noun, owners, lexicon) - decided
        for class_id in owned:
            found[class_id].append(noun)
    return [tuple(of_class) for of_class in found]


def _rows_of_classes(
    classes: Sequence[ClassName], table: KindTable
) -> Mapping[int, tuple[str, ...]]:
    """The rows of the table by class; a row is named by any name of a class, in any spelling."""
    by_name = {form: row for name, row in reversed(table) for form in reversed(forms(name))}
    rows: dict[int, tuple[str, ...]] = {}
    for class_id, item in enumerate(classes):
        for prompt in item.prompts:
            if not item.written_out and (row := by_name.get(normal_form(prompt))) is not None:
                rows.setdefault(class_id, row)
    return rows


def _owners_of_synsets(
    classes: Sequence[ClassName], lexicon: Lexicon
) -> Mapping[int, frozenset[int]]:
    """The classes that mean each synset."""
    owners: defaultdict[int, set[int]] = defaultdict(set)
    for class_id, item in enumerate(classes):
        if normal_form(item.name) != BACKGROUND:
            for synset in _senses_of_names(item.prompts, lexicon):
                owners[synset].add(class_id)
    return {synset: frozenset(of_synset) for synset, of_synset in owners.items()}


def _senses_of_names(names: Iterable[str], lexicon: Lexicon) -> frozenset[int]:
    """The synsets that the names of one class mean.

    They explain each other: of the senses of "bike", beside "bicycle", that of a bicycle is meant.
    """
    meant = {name: lexicon.senses(name) for name in names}
    found: set[int] = set()
    for name, senses in meant.items():
        others = frozenset[int]().union(*(meant[other] for other in meant if other != name))
        found |= (lexicon.all_senses(name) & others) or senses
    return frozenset(found)


def _nearest(noun: str, owners: Mapping[int, frozenset[int]], lexicon: Lexicon) -> frozenset[int]:
    """The classes that a noun is a kind of in the fewest steps; maybe none."""
    for level in lexicon.levels(lexicon.senses_of_compound(noun)):
        nearest = [owners[synset] for synset in level if synset in owners]
        if nearest:
            return frozenset[int]().union(*nearest)
    return frozenset()
