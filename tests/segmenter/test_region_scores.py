"""What each fusion makes of what its witnesses say, against plain loops in double precision."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from captionary.schemas.arrays import Vectors
from captionary.schemas.classes import parse_classes
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import FUSIONS, WITNESSES, Fusion, Witness, witnesses_of
from captionary.schemas.regions import RegionTable
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.region_scores import (
    CAPTION_WEIGHT,
    PROTOTYPE_SCALE,
    PROTOTYPE_WEIGHT,
    RegionScores,
    Weights,
    label_regions,
    score_regions,
)
from captionary.segmenter.scoring import LEAST, UNSAID
from captionary.vocabulary.centring import CommonParts
from captionary.vocabulary.neighbours import Neighbours
from tests.vocabulary.made_up_records import LOOK_DIM, prototypes, table, unit

Numbers = NDArray[np.float64]

TEXT_SCALE = 3.0
CLASSES = parse_classes("pet: dog | cat, tree, bench, zeppelin")
PET, TREE, BENCH, ZEPPELIN = range(4)
"""Two nouns and their prototypes; one of each; a noun in captions alone; a word and no more."""

PROTOTYPES = (*prototypes("cat", 1), *prototypes("dog", 2), *prototypes("tree", 1))
REGIONS = 6
TABLE = table(3, regions=REGIONS, look_dim=LOOK_DIM)
COMMON_PARTS = CommonParts(0.3 * unit(1, seed=50)[0], 0.3 * unit(1, seed=51, dim=LOOK_DIM)[0])
VECTORS = ClassVectors(
    classes=CLASSES,
    prompts=unit(6, seed=20),  # pet, dog, cat, tree, bench, zeppelin
    prompt_owner=np.array([PET, PET, PET, TREE, BENCH, ZEPPELIN]),
    prototypes=PROTOTYPES,
    looks=unit(4, seed=30, dim=LOOK_DIM),
    column=np.array([0, 1, 2, 3]),
    owner=np.array([PET, PET, PET, TREE]),
    weight=np.array([1, 0.6, 0.4, 1], np.float32),
    against=np.zeros(0, np.int64),
    against_owner=np.zeros(0, np.int64),
    trust=np.array([0.25, 1, 1, 1], np.float32),
    nouns=(frozenset({"cat", "dog"}), frozenset({"tree"}), frozenset({"bench"}), frozenset()),
    sampled=np.array([True, True, True, False]),
    without_noun=(ZEPPELIN,),
    kinds=((),) * 4,
    common=COMMON_PARTS,
    revision=2,
)
SAID = (frozenset({"dog", "tree"}), frozenset({"bench", "lamp"}), frozenset[str]())
NEIGHBOURS = Neighbours(
    words=unit(REGIONS, seed=40),
    weight=np.random.default_rng(41).dirichlet([1, 1, 1], REGIONS).astype(np.float32),
    nouns=SAID,
)
WEIGHTS = Weights(TEXT_SCALE)
ALL_FUSIONS: tuple[Fusion, ...] = (
    *FUSIONS,
    *("+".join(some) for count in (2, 3, 4) for some in combinations(WITNESSES, count)),
    *("neighbours", "captions"),
)


def scored(
    fusion: Fusion,
    *,
    regions: RegionTable = TABLE,
    neighbours: Neighbours | None = NEIGHBOURS,
    weights: Weights = WEIGHTS,
) -> RegionScores:
    return score_regions(regions, VECTORS, neighbours, fusion=fusion, weights=weights)


def shares(logits: list[float]) -> Numbers:
    weight = np.array([math.exp(one) for one in logits])
    return np.asarray(weight / weight.sum())


def without(vector: Vectors, common: Vectors) -> Numbers:
    moved = vector.astype(np.float64) - common
    return np.asarray(moved / np.linalg.norm(moved))


def by_words(vector: Numbers) -> Numbers:
    """The classes by their nearest names."""
    nearest = [-math.inf] * len(CLASSES)
    for prompt, owner in zip(VECTORS.prompts, VECTORS.prompt_owner, strict=True):
        nearest[owner] = max(nearest[owner], float(prompt @ vector))
    return shares([TEXT_SCALE * one for one in nearest])


def shared_out(said: dict[int, float], words: Numbers) -> Numbers:
    """What words give to all that a witness knows, shared as it says in logits."""
    mixed, known = words.copy(), list(said)
    mixed[known] = shares(list(said.values())) * words[known].sum()
    return mixed


def by_prototypes(look: Numbers, text: Numbers) -> Numbers:
    votes = {}
    for class_id in (PET, TREE):
        links = [n for n, owner in enumerate(VECTORS.owner) if owner == class_id]
        total = sum(float(VECTORS.weight[n]) for n in links)
        votes[class_id] = math.log(
            sum(
                float(VECTORS.weight[n])
                / total
                * math.exp(PROTOTYPE_SCALE * float(VECTORS.looks[VECTORS.column[n]] @ look))
                for n in links
            )
        )
    return shared_out(votes, text)


def by_captions(row: int, text: Numbers) -> Numbers:
    votes = {}
    for class_id in (PET, TREE, BENCH):
        named = [bool(said & VECTORS.nouns[class_id]) for said in SAID]
        share = sum(float(NEIGHBOURS.weight[row, n]) for n, yes in enumerate(named) if yes)
        votes[class_id] = math.log(share + UNSAID)
    return shared_out(votes, text)


def said_of(row: int, *, centring: bool = True) -> dict[Witness, Numbers]:
    """What each witness says of a region, (C,) each."""
    own = without(TABLE.vectors[row], COMMON_PARTS.vector * centring)
    text = by_words(own)
    return {
        "text": text,
        "neighbours": by_words(NEIGHBOURS.words[row].astype(np.float64)),
        "prototypes": by_prototypes(without(TABLE.looks[row], COMMON_PARTS.look), text),
        "captions": by_captions(row, text),
    }


def fused(said: dict[Witness, Numbers], witnesses: tuple[Witness, ...]) -> Numbers:
    """What some witnesses say together."""
    spoken = [said[name] for name in witnesses if name in ("text", "neighbours")]
    words = np.mean(spoken or [said["text"]], axis=0)
    parts: list[tuple[Numbers, float]] = []
    if spoken:
        trusted = words.copy()
        if "prototypes" in witnesses:
            for one in (PET, TREE):
                trust = float(VECTORS.trust[one])
                trusted[one] = trust * words[one] + (1 - trust) * said["prototypes"][one]
            trusted[:2] *= words[:2].sum() / trusted[:2].sum()
        parts.append((trusted, 1 - PROTOTYPE_WEIGHT if "prototypes" in witnesses else 1))
    if "prototypes" in witnesses:
        parts.append((said["prototypes"], PROTOTYPE_WEIGHT if spoken else 1))
    if "captions" in witnesses:
        parts.append((said["captions"], CAPTION_WEIGHT))
    if len(parts) == 1:
        return parts[0][0]
    total = sum(weight for _, weight in parts)
    mean = [
        sum(weight / total * math.log(max(float(one[class_id]), LEAST)) for one, weight in parts)
        for class_id in (PET, TREE, BENCH)
    ]
    # The classes that anything but words knows; the last keeps what words give it.
    return shared_out(dict(enumerate(mean)), words)


@pytest.mark.parametrize("fusion", ALL_FUSIONS)
def test_every_fusion_equals_the_plain_formula(fusion: Fusion) -> None:
    scores = scored(fusion)

    for row in range(REGIONS):
        said = said_of(row, centring=fusion != "text")
        for witness, expected in said.items():
            if witness in scores.by_witness:
                assert_allclose(scores.by_witness[witness][row], expected, rtol=1e-4)
        assert_allclose(scores.fused[row], fused(said, witnesses_of(fusion)), rtol=1e-3)
    assert scores.fused.dtype == np.float32
    assert_allclose(scores.fused.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_witness_alone_has_its_say(witness: Witness) -> None:
    scores = scored("calibrated" if witness == "text" else witness)

    assert_array_equal(scores.fused, scores.by_witness[witness])


def test_names_of_fusions_are_short_for_their_witnesses() -> None:
    for name in ("both", "all"):
        for names in (FUSIONS[name], FUSIONS[name][::-1]):
            assert_array_equal(scored("+".join(names)).fused, scored(name).fused)
    # By itself, text reads no dictionary, and is not centred.
    assert np.abs(scored("text").fused - scored("calibrated").fused).max() > 0.01


@pytest.mark.parametrize("fusion", ["", "votes", "text+votes", "all+text", "text,captions"])
def test_what_is_no_fusion_is_refused(fusion: str) -> None:
    with pytest.raises(WrongInput, match="unknown fusion"):
        scored(fusion)


def test_a_witness_of_no_weight_is_left_out() -> None:
    silent = scored("all", weights=replace(WEIGHTS, captions=0))
    assert_allclose(silent.fused, scored("text+neighbours+prototypes").fused, rtol=1e-5)
    looks = scored("both", weights=replace(WEIGHTS, prototypes=1.0))
    assert_allclose(looks.fused, scored("prototypes").fused, rtol=1e-4)


def test_words_are_compared_with_words_and_looks_with_looks() -> None:
    """Other look vectors change what prototypes say, and nothing that text says; and so back."""
    before = scored("all")
    turned = replace(TABLE, look_vectors=np.roll(TABLE.looks, 1, axis=0))
    others = scored("all", regions=turned)
    assert_array_equal(others.by_witness["text"], before.by_witness["text"])
    assert_allclose(others.similarity, np.roll(before.similarity, 1, axis=0), rtol=1e-5)

    renamed = replace(TABLE, vectors=np.roll(TABLE.vectors, 1, axis=0))
    others = scored("all", regions=renamed)
    assert_array_equal(others.similarity, before.similarity)
    assert np.abs(others.by_witness["text"] - before.by_witness["text"]).max() > 0.01


def test_each_region_tells_what_each_witness_said_of_its_class() -> None:
    scores = scored("all")
    # Each class is somewhere the best, whatever the numbers are.
    painted = np.eye(4, dtype=np.float32)[np.arange(REGIONS) % 4]

    labelled = label_regions(TABLE, painted, scores, VECTORS, max_evidence=2)

    silent: dict[int, set[Witness]] = {BENCH: {"prototypes"}, ZEPPELIN: {"prototypes", "captions"}}
    for row, region in enumerate(labelled):
        assert (region.class_id, region.score) == (row % 4, 1)
        assert region.by_witness.keys() == set(WITNESSES) - silent.get(region.class_id, set())
        for witness, said in region.by_witness.items():
            assert said == scores.by_witness[witness][row, region.class_id]
        own = VECTORS.column[VECTORS.owner == region.class_id]
        nearest = sorted((float(scores.similarity[row, column]) for column in own), reverse=True)
        assert [one.similarity for one in region.evidence] == nearest[:2]
    assert {one.noun for one in labelled[TREE].evidence} == {"tree"}


@pytest.mark.parametrize(("fusion", "said"), [("text", {"text"}), ("both", {"text", "prototypes"})])
def test_without_neighbours_nothing_is_said_by_them(fusion: Fusion, said: set[str]) -> None:
    scores = scored(fusion, neighbours=None)

    (pet, *_) = label_regions(
        TABLE, np.eye(4, dtype=np.float32)[[PET] * REGIONS], scores, VECTORS, max_evidence=0
    )

    assert scores.by_witness.keys() == pet.by_witness.keys() == said
    assert scores.similarity.shape == (REGIONS, 4 if "prototypes" in said else 0)


def test_a_class_that_near_nouns_stand_in_for_is_known() -> None:
    """It has prototypes, though no caption names it: what these say counts as of any other."""
    lent = replace(
        VECTORS,
        nouns=(VECTORS.nouns[PET], frozenset(), *VECTORS.nouns[BENCH:]),
        sampled=np.array([True, False, True, False]),
    )
    found = score_regions(TABLE, lent, NEIGHBOURS, fusion="both", weights=WEIGHTS)
    assert_array_equal(found.fused, scored("both").fused)
    found = score_regions(TABLE, lent, NEIGHBOURS, fusion="all", weights=WEIGHTS)
    captions, text = found.by_witness["captions"], found.by_witness["text"]
    assert_array_equal(captions[:, TREE], text[:, TREE])
    assert np.abs(found.fused[:, TREE] - text[:, TREE]).max() > 0.01


def test_a_class_is_held_down_near_what_is_not_it() -> None:
    """As much as a plain loop says, in the vote of prototypes alone, and only for that class."""
    held = replace(VECTORS, against=np.array([3]), against_owner=np.array([PET]))
    plain = score_regions(TABLE, VECTORS, NEIGHBOURS, fusion="prototypes", weights=WEIGHTS)
    less = score_regions(TABLE, held, NEIGHBOURS, fusion="prototypes", weights=WEIGHTS)
    odds = np.log(plain.fused[:, PET] / plain.fused[:, TREE])
    expected = [
        odds[row] - PROTOTYPE_SCALE * max(0.0, float(cosine[3]) - max(float(x) for x in cosine[:3]))
        for row, cosine in enumerate(plain.similarity)
    ]
    assert_allclose(np.log(less.fused[:, PET] / less.fused[:, TREE]), expected, rtol=1e-3)
    assert (less.fused[:, PET] < plain.fused[:, PET]).any()


def test_captions_that_were_not_asked_say_nothing_against_a_class() -> None:
    """As of a noun that was only pointed at, or that no picture of the sample has."""
    silent = replace(VECTORS, sampled=np.zeros(4, np.bool_))
    found = score_regions(TABLE, silent, NEIGHBOURS, fusion="all", weights=WEIGHTS)
    others = scored("text+neighbours+prototypes")
    odds = [np.log(one.fused[:, PET] / one.fused[:, TREE]) for one in (found, others)]
    assert_allclose(odds[0], odds[1], rtol=1e-4, atol=1e-5)
