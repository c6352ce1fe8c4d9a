"""Captions from a small grammar that describes a layout: counts, plurals, synonyms, relations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captionary.pictograms.grounds import Ground
from captionary.pictograms.layouts import Layout, Pose
from captionary.pictograms.nouns import Noun, Word

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
SYNONYM_SHARE = 0.2
"""How often a noun is replaced by a synonym."""
LEFT_OUT_SHARE = 0.12
"""How often a caption of several nouns leaves out the smallest of them."""
GROUND_SHARE = 0.5
"""How often a caption names the ground."""

_ADJECTIVES = ("small", "big", "lovely", "beautiful", "old", "nice", "cute", "pretty", "strange")
_OPENINGS = ("a photo of {}", "a picture of {}", "{} can be seen", "here we see {}", "look at {}")
_SINGLE = ("a photo of {}", "a view of {}", "an image of {}", "just {}", "a snapshot of {}")
_ENDINGS = ("on a sunny day", "this morning", "in the middle", "again", "for once", "as always")
_PLACES = {
    "night sky": ("in the {}", "under the {}"),
    "wall": ("in front of a {}", "on the {}"),
    "tablecloth": ("on a {}", "on the {}"),
    "snow": ("in the {}", "on the {}"),
    "water": ("on the {}", "in the {}"),
    "mud": ("in the {}", "on the {}"),
}
_ON = ("on the {}", "over the {}")


@dataclass(frozen=True, slots=True)
class _Group:
    """The objects of one noun in a layout."""

    noun: Noun
    poses: tuple[Pose, ...]

    @property
    def area(self) -> float:
        return sum(pose.side**2 for pose in self.poses)


def draw_captions(
    random: np.random.Generator, layout: Layout, count: int, *, ground_share: float = GROUND_SHARE
) -> tuple[str, ...]:
    """Draw `count` captions of a layout, which may be equal.

    Args:
        ground_share: how often the ground is named, in [0, 1].
    """
    return tuple(_draw_caption(random, layout, ground_share) for _ in range(count))


def _draw_caption(random: np.random.Generator, layout: Layout, ground_share: float) -> str:
    groups = _group_by_noun(layout)
    if len(groups) > 1 and random.uniform() < LEFT_OUT_SHARE:
        groups.remove(min(groups, key=lambda group: group.area))
    order = [groups[i] for i in random.permutation(len(groups))]
    place = _draw_place(random, layout.ground) if random.uniform() < ground_share else ""
    text = " ".join(filter(None, (_draw_statement(random, order), place)))
    if random.uniform() < 0.2:
        text = f"{text} {_choose(random, _ENDINGS)}"
    return f"{text}." if random.uniform() < 0.3 else text


def _group_by_noun(layout: Layout) -> list[_Group]:
    nouns = dict.fromkeys(pose.noun for pose in layout.poses)
    return [
        _Group(noun, tuple(pose for pose in layout.poses if pose.noun is noun)) for noun in nouns
    ]


def _draw_statement(random: np.random.Generator, groups: Sequence[_Group]) -> str:
    phrases = [_draw_noun_phrase(random, group) for group in groups]
    nouns = [noun for noun, _ in phrases]
    style = random.uniform()
    if len(groups) == 1 and style < 0.4:
        return _choose(random, _SINGLE).format(nouns[0])
    if len(groups) == 1 and style < 0.6:
        return f"there {'are' if phrases[0][1] else 'is'} {nouns[0]}"
    if len(groups) > 1 and style < 0.5:
        first = f"{nouns[0]} {_draw_relation(random, groups[0], groups[1])} {nouns[1]}"
        return f"{first}, with {_join_with_and(nouns[2:])}" if len(nouns) > 2 else first
    listed = _join_with_and(nouns)
    return _choose(random, _OPENINGS).format(listed) if style > 0.85 else listed


def _join_with_and(nouns: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(nouns[:-1]), nouns[-1])))


def _draw_noun_phrase(random: np.random.Generator, group: _Group) -> tuple[str, bool]:
    """`a dog`, `two small cats`, `some corn`, and whether the verb is plural."""
    word = _draw_word(random, group.noun.words)
    adjective = f"{_choose(random, _ADJECTIVES)} " if random.uniform() < 0.12 else ""
    number = len(group.poses)
    if not word.plural:
        return f"some {adjective}{word.singular}", False
    if number > 1:
        vague = "a pair of" if number == 2 else "several"
        how_many = vague if random.uniform() < 0.2 else NUMBERS[number]
        return f"{how_many} {adjective}{word.plural}", True
    if word.plural == word.singular:
        return f"some {adjective}{word.singular}", True
    named = f"{adjective}{word.singular}"
    if random.uniform() < 0.15:
        return f"the {named}", False
    article = "an" if named.startswith(("a", "e", "i", "o", "u", "hour")) else "a"
    return f"{article} {named}", False


def _draw_relation(random: np.random.Generator, one: _Group, other: _Group) -> str:
    """Where the first object of one group is, relative to the first of another."""
    a, b = one.poses[0], other.poses[0]
    right, down = a.x - b.x, a.y - b.y
    true_relations = ["beside", "next to", "near"]
    if abs(right) > 0.2:
        true_relations.append("to the right of" if right > 0 else "to the left of")
    if abs(down) > 0.2:
        true_relations.append("below" if down > 0 else "above")
    return _choose(random, true_relations)


def _draw_place(random: np.random.Generator, ground: Ground) -> str:
    word = _draw_word(random, ground.words)
    return _choose(random, _PLACES.get(ground.name, _ON)).format(word.singular)


def _draw_word(random: np.random.Generator, words: Sequence[Word]) -> Word:
    """The usual word, or sometimes a synonym."""
    usual = len(words) == 1 or random.uniform() >= SYNONYM_SHARE
    return words[0] if usual else words[1 + int(random.integers(len(words) - 1))]


def _choose(random: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(random.integers(len(choices)))]
