from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from captionary.learning.models.clip_models import build_clip
from captionary.vision.grouping.pgseg import PgsegTower
from captionary.vision.grouping.pgseg_stage import PgsegConfig, Stage
from captionary.vision.grouping.spherical_em import centre_tokens, spherical_em
from tests.learning.grouping_models import GROUPING, random_tower, small_architecture

ALONE = replace(GROUPING, depths=(3, 0), groups=(12,), residual=False)


def stage_of(tower: PgsegTower, number: int) -> Stage:
    stage = tower.stages[number]
    assert isinstance(stage, Stage)
    return stage


def test_a_stage_adds_the_group_prototypes_of_its_inputs() -> None:
    tower = random_tower()
    stage, block = stage_of(tower, 0), tower.blocks[0]
    assert stage.told is not None
    random = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, 16, 32, generator=random)

    segments, groups, output = stage([block], tokens, None)

    for number in range(2):
        own = stage.group_tokens
        hidden = block(torch.cat([tokens[number], own])[None])[0]
        unit = centre_tokens(tokens[number])
        prototypes, shares = spherical_em(unit, stage.prototypes, iterations=4, kappa=15.0)
        assert output.group_prototypes is not None
        torch.testing.assert_close(output.group_prototypes[number], prototypes)
        patches = hidden[:16] + stage.told(shares @ prototypes)
        torch.testing.assert_close(groups[number], hidden[16:])
        expected = stage.grouping_block(patches[None], hidden[None, 16:])
        torch.testing.assert_close(segments[number], expected[0][0])
        torch.testing.assert_close(output.assignment[number], expected[2][0])


def test_group_prototypes_do_not_depend_on_the_batch() -> None:
    stage = stage_of(random_tower(), 0)
    tokens = torch.randn(3, 10, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)

    batch = stage.find_group_prototypes(tokens)

    assert not batch[0].requires_grad
    torch.testing.assert_close(batch[0].norm(dim=2), torch.ones(3, 5))
    torch.testing.assert_close(batch[1].sum(dim=2), torch.ones(3, 10))
    for number in range(3):
        alone = stage.find_group_prototypes(tokens[number : number + 1])
        longer = stage.find_group_prototypes(7 * tokens[number : number + 1])
        for own, one, other in zip(batch, alone, longer, strict=True):
            torch.testing.assert_close(own[number], one[0])
            torch.testing.assert_close(own[number], other[0])


def test_group_prototypes_are_found_in_float32() -> None:
    """As the trainer has all else where the processor has bfloat16."""
    stage = stage_of(random_tower(), 0)
    tokens = torch.randn(2, 10, 32, generator=torch.Generator().manual_seed(0))
    expected = stage.find_group_prototypes(tokens)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = stage.find_group_prototypes(tokens)

    for own, other in zip(output, expected, strict=True):
        assert own.dtype == torch.float32
        assert torch.equal(own, other)


def random_pixels(count: int, height: int = 16, width: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=[True, False], ids=["prototypes", "none"])
def tower(request: pytest.FixtureRequest) -> PgsegTower:
    return random_tower(replace(GROUPING, prototypes=request.param))


@settings(max_examples=15)
@given(rows=st.integers(1, 6), columns=st.integers(1, 6), seed=st.integers(0, 99))
def test_pictures_of_any_size_are_grouped(
    tower: PgsegTower, rows: int, columns: int, seed: int
) -> None:
    pixels = random_pixels(2, 4 * rows, 4 * columns, seed)

    grouped = tower.group_patches(pixels)
    maps = tower.group_maps(grouped)
    vectors = tower.dense_map(grouped)

    assert [shares.shape for shares in maps] == [(2, rows, columns, 5), (2, rows, columns, 3)]
    for shares in maps:
        assert shares.min() >= 0
        torch.testing.assert_close(shares.sum(dim=3), torch.ones(2, rows, columns))
    segments = normalize(tower.segment_vectors(grouped), dim=2)
    for number, row, column in np.ndindex(2, rows, columns):
        owner = maps[-1][number, row, column].argmax()
        torch.testing.assert_close(vectors[number, row, column], segments[number, owner])


def test_patches_belong_to_groups_of_groups(tower: PgsegTower) -> None:
    grouped = tower.group_patches(random_pixels(2, 8, 12))
    fine, coarse = grouped.assignments

    maps = tower.group_maps(grouped)

    for number, row, column in np.ndindex(2, 2, 3):
        place = 3 * row + column
        torch.testing.assert_close(maps[0][number, row, column], fine[number, :, place])
        for group in range(3):
            through = [fine[number, own, place] * coarse[number, group, own] for own in range(5)]
            expected = float(sum(through))
            assert float(maps[1][number, row, column, group]) == pytest.approx(expected, abs=1e-6)


def test_a_pictures_vector_is_that_of_its_mean_segment(tower: PgsegTower) -> None:
    pixels = random_pixels(3)
    grouped = tower.group_patches(pixels)
    segments = [sum(rows) / len(rows) for rows in grouped.segments]

    vectors = tower(pixels)

    assert vectors.shape == (3, 16)
    torch.testing.assert_close(vectors, tower.projector(torch.stack(segments)))
    each = tower.segment_vectors(grouped)
    assert each.shape == (3, 3, 16)
    torch.testing.assert_close(each[2], tower.projector(grouped.segments[2]))


def test_outputs_do_not_depend_on_the_batch(tower: PgsegTower) -> None:
    pixels = random_pixels(4)

    def outputs(some: torch.Tensor) -> list[torch.Tensor]:
        grouped = tower.group_patches(some)
        return [tower(some), *tower.group_maps(grouped), tower.dense_map(grouped)]

    batch = outputs(pixels)

    for number in range(4):
        each = outputs(pixels[number : number + 1])
        for own, expected in zip(each, batch, strict=True):
            torch.testing.assert_close(own[0], expected[number], atol=1e-5, rtol=1e-4)


def test_a_tower_without_group_prototypes_has_no_weights_for_them() -> None:
    tower = random_tower(replace(GROUPING, prototypes=False))

    assert not any("prototypes" in name or "told" in name for name in tower.state_dict())
    assert tower.group_patches(random_pixels(1)).group_prototypes == []
    assert len(random_tower().group_patches(random_pixels(1)).group_prototypes) == 2


def test_group_prototypes_change_the_vectors() -> None:
    tower = random_tower()
    before = tower(random_pixels(2))

    for name, parameter in tower.named_parameters():
        if ".told.2." in name:
            torch.nn.init.zeros_(parameter)

    assert (tower(random_pixels(2)) - before).abs().max() > 1e-3


def test_only_training_is_random() -> None:
    tower = random_tower()
    pixels = random_pixels(2)
    torch.testing.assert_close(tower(pixels), tower(pixels), atol=0, rtol=0)

    tower.train()

    segments = [tower.group_patches(pixels).segments for _ in range(2)]
    assert not torch.equal(*segments)


def test_equal_seeds_build_equal_towers() -> None:
    architecture = small_architecture(GROUPING)
    one, same, other = (build_clip(architecture, seed=seed).state_dict() for seed in (3, 3, 4))

    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["visual.stages.0.prototypes"], other["visual.stages.0.prototypes"])
    lengths = one["visual.stages.1.prototypes"].norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(3))


def test_without_residual_a_patch_is_encoded_alone() -> None:
    tower = random_tower(ALONE)
    pixels = random_pixels(2, 8, 12)
    grouped = tower.group_patches(pixels)
    block = stage_of(tower, 0).grouping_block

    vectors = tower.dense_map(grouped).flatten(1, 2)

    for place in range(6):
        segments, present, *_ = block(grouped.input_tokens[:, [place]], grouped.group_tokens[0])
        assert present.sum(dim=1).tolist() == [1, 1]
        expected = tower.projector(tower.ln_post(segments[present]))
        torch.testing.assert_close(vectors[:, place], normalize(expected, dim=1))


def test_without_residual_empty_groups_do_not_count() -> None:
    tower = random_tower(ALONE)
    pixels = random_pixels(3, 8, 8)
    grouped = tower.group_patches(pixels)

    owners = grouped.assignments[0].argmax(dim=1)
    for number in range(3):
        groups = torch.tensor(sorted({*owners[number].tolist()}))
        assert grouped.present[number].nonzero()[:, 0].tolist() == groups.tolist()
        assert 0 < len(groups) <= 4
        mean = grouped.segments[number, groups].mean(dim=0, keepdim=True)
        torch.testing.assert_close(tower(pixels)[number], tower.projector(mean)[0])
    assert tower.train().group_patches(pixels).present.sum(dim=1).max() <= 4


def test_bfloat16_is_close_to_float32() -> None:
    """As encoders run where the processor has bfloat16."""
    tower = random_tower()
    pixels = random_pixels(2)
    expected, vectors = tower(pixels), tower.dense_map(tower.group_patches(pixels))

    short = tower.to(torch.bfloat16)
    pixels = pixels.to(torch.bfloat16)
    grouped = short.group_patches(pixels)

    torch.testing.assert_close(short(pixels).float(), expected, atol=0.3, rtol=0.1)
    assert short.dense_map(grouped).shape == vectors.shape
    for shares in short.group_maps(grouped):
        torch.testing.assert_close(
            shares.float().sum(dim=3), torch.ones(2, 4, 4), atol=0.02, rtol=0
        )


@pytest.mark.parametrize(("depths", "groups"), [((1, 1), (4, 2)), ((1,), (3,)), ((1, 1), (0,))])
def test_depths_and_groups_that_do_not_fit(
    depths: tuple[int, ...], groups: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="need one less groups"):
        PgsegConfig(depths=depths, groups=groups)


@pytest.mark.parametrize(("depths", "groups"), [((1, 1), (4,)), ((1, 1, 0), (4, 2))])
def test_groupings_that_need_their_residual(
    depths: tuple[int, ...], groups: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="without residual there is one grouping"):
        PgsegConfig(depths=depths, groups=groups, residual=False)
