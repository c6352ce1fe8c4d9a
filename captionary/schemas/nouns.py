"""Nouns by any spelling: one normal form of what captions teach and of what classes are called."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator

# What spelling rules would get wrong; `tools/tagger` makes the tagger's tables of it, too.
_IRREGULAR = """
algae:alga aloes:aloe alumni:alumnus analyses:analysis antennae:antenna atlases:atlas
avalanches:avalanche axes:axe bacteria:bacterium beanies:beanie bikinis:bikini
birdies:birdie bogies:bogie bookcases:bookcase bookshelves:bookshelf bowties:bowtie
bras:bra briefcases:briefcase brownies:brownie budgies:budgie buses:bus caches:cache
cacti:cactus calves:calf canoes:canoe canvases:canvas cases:case children:child
collies:collie cookies:cookie crises:crisis dice:die dormice:dormouse dwarves:dwarf
elves:elf emus:emu feet:foot forefeet:forefoot fungi:fungus gases:gas geese:goose
genies:genie gnus:gnu grandchildren:grandchild halves:half headaches:headache
hippopotami:hippopotamus hoes:hoe hoodies:hoodie hooves:hoof horseshoes:horseshoe
housewives:housewife irises:iris jetskis:jetski kiwis:kiwi knives:knife larvae:larva
leaves:leaf lenses:lens lice:louse lives:life loaves:loaf magpies:magpie martinis:martini
menus:menu mice:mouse midwives:midwife minibuses:minibus moustaches:moustache movies:movie
mustaches:mustache neckties:necktie niches:niche nuclei:nucleus oases:oasis oboes:oboe
octopi:octopus onesies:onesie oxen:ox paninis:panini phenomena:phenomenon pickaxes:pickaxe
pies:pie pillowcases:pillowcase pinkies:pinkie pixies:pixie quiches:quiche quizzes:quiz
rookies:rookie safaris:safari scarves:scarf selfies:selfie selves:self sheaves:sheaf
shelves:shelf shoes:shoe skis:ski smoothies:smoothie snowshoes:snowshoe sofas:sofa
staircases:staircase stimuli:stimulus suitcases:suitcase taxis:taxi teeth:tooth
theses:thesis thieves:thief ties:tie tiptoes:tiptoe toes:toe townies:townie tutus:tutu
tuxes:tux vases:vase veggies:veggie wharves:wharf wives:wife wolves:wolf
yachtsmen:yachtsman zombies:zombie zucchinis:zucchini
"""
_PLURAL_ONLY = """
abdomen acumen aircraft alias atlas bias binoculars bleachers bourgeois boxers briefs bus
canvas chess christmas clothes corps corpus dungarees earmuffs eyeglasses fireworks gas
glasses goggles graffiti headquarters iris jeans khakis knickers leggings lens mantis
molasses news omen overalls pajamas pampas pancreas pants pliers pyjamas ramen rapids
regimen ruins scissors semen series shades shears shorts species specimen spectacles
sports sunglasses suspenders sweatpants swiss texas tights tongs trousers tweezers
underpants undies woods
"""
_OTHER_THINGS = "boxers briefs clothes glasses news shades spectacles sports woods"

IRREGULAR = dict(pair.split(":") for pair in _IRREGULAR.split())
"""Irregular plurals, with their singulars."""

PLURAL_ONLY = frozenset(_PLURAL_ONLY.split())
"""Words that look plural and are not, or name another thing than their singular does."""

OTHER_THINGS = frozenset(_OTHER_THINGS.split())
"""Those of them whose singular is a thing of its own: a glass is no part of glasses."""

ENDINGS = (("men", "man"), ("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))

_ENDS = " .,;:!?'\"`\u2018\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u3002"
"""What stands around a word and is no part of it."""

_ARTICLE = re.compile(r"\s*(?:an?|the)\s+(?=\S)", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_LONE_LETTER = re.compile(r"^([a-z]) (?=[^\W\d_])")


def spelling(noun: str) -> str:
    """A noun as the dictionary keeps it: lower case, NFKC, single blanks for hyphens.

    So "teddy-bear" and "teddy bear" are one noun. A first letter keeps its hyphen: "t-shirt".
    """
    text = " ".join(_blanks_for_hyphens(unicodedata.normalize("NFKC", noun)).lower().split())
    return _LONE_LETTER.sub(r"\1-", text)


def normal_form(text: str) -> str:
    """What is compared of a name: two that differ in spelling only have the same.

    Case and Unicode form do not count (NFKC, case-folded), nor do signs around the name; blanks,
    hyphens and underscores are one blank. A text of nothing else is left as it is.
    """
    if text.isascii():
        folded = text.lower()
    else:
        # Invisible signs, such as soft hyphens, first: letters may combine without them.
        visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
        folded = unicodedata.normalize("NFD", visible).replace("\u2019", "'")
        for _ in range(2):  # as Unicode defines its caseless match
            folded = unicodedata.normalize("NFKC", folded.casefold())
    plain = " ".join(_blanks_for_hyphens(folded).split()).strip(_ENDS)
    return plain or " ".join(folded.split())


def _blanks_for_hyphens(text: str) -> str:
    if text.isascii():
        return text.replace("-", " ").replace("_", " ")
    return "".join(
        " " if letter == "_" or unicodedata.category(letter) == "Pd" else letter for letter in text
    )


def without_article(name: str) -> str:
    """A name without "a", "an" or "the" before it."""
    match = _ARTICLE.match(name)
    return name[match.end() :] if match else name


def forms(name: str) -> tuple[str, ...]:
    """The normal form of a name, and those of its other number, likeliest first.

    These are the singulars that it may be the plural of, and the plural of what has no singular.
    """
    whole = normal_form(name)
    start = whole.rfind(" ") + 1
    before, word = whole[:start], whole[start:]
    found = [word, *([IRREGULAR[word]] if word in IRREGULAR else [])]
    endings = ENDINGS if before or word not in OTHER_THINGS else ()
    for ending, single in endings:
        # "glass" is no plural of "glas", and "s" alone none of nothing.
        if word.endswith(ending) and not word.endswith("ss") and word.removesuffix(ending) + single:
            found.append(word.removesuffix(ending) + single)
    for plural in (f"{word}s", f"{word}es"):
        if plural in PLURAL_ONLY and (before or plural not in OTHER_THINGS):
            found.append(plural)
    return tuple(dict.fromkeys(before + form for form in found))


class NounIndex:
    """Finds the nouns of a dictionary by any spelling of their names.

    nouns:   as they are stored; of one normal form there may be several.
    aliases: (other name, noun): further names of some of them.
    """

    def __init__(self, nouns: Iterable[str], aliases: Iterable[tuple[str, str]] = ()) -> None:
        by_form: defaultdict[str, list[str]] = defaultdict(list)
        known = dict.fromkeys(nouns)
        for noun in known:
            by_form[normal_form(noun)].append(noun)
        for alias, noun in aliases:
            if noun in known and noun not in by_form[normal_form(alias)]:
                by_form[normal_form(alias)].append(noun)
        by_letters: defaultdict[str, list[str]] = defaultdict(list)
        for form in by_form:
            by_letters[form.replace(" ", "")].append(form)
        self._by_form = {form: tuple(stored) for form, stored in by_form.items()}
        self._by_letters = {
            letters: same[0] for letters, same in by_letters.items() if len(same) == 1
        }

    def find(self, name: str) -> tuple[str, ...]:
        """The nouns that a name means, as they are stored; empty where there are none.

        Tried in turn: the name, without its article, without what stands in brackets, each in
        singular and plural; then the same letters with other blanks, where only one noun has them.
        """
        tried = [form for text in _readings(name) for form in forms(text) if form]
        for form in tried:
            if form in self._by_form:
                return self._by_form[form]
        for form in tried:
            if (close := self._by_letters.get(form.replace(" ", ""))) is not None:
                return self._by_form[close]
        return ()

    def resolve(self, name: str) -> tuple[str, ...]:
        """As `find`, but a name that is itself a stored noun means only that one."""
        same = self._by_form.get(normal_form(name), ())
        return (name,) if name in same else self.find(name)


def _readings(name: str) -> Iterator[str]:
    yield name
    bare = without_article(name)
    yield bare
    yield _BRACKETS.sub(" ", bare)
