import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from captionary.schemas.errors import WrongInput
from captionary.schemas.regions import Region
from captionary.schemas.vectors import unit
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.embedders import Blend, MaskedCrops, PooledFeatures, RegionTokens
from captionary.vision.embedding.views import (
    DEFAULT,
    Embedding,
    View,
    default_embedding,
    parse_embedding,
)
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.plan import default_proposer, parse_proposer
from captionary.vision.proposers.superpixels import Superpixels

MakePicture = Callable[..., LoadedPicture]


@pytest.fixture(scope="module")
def small() -> ClipEncoder:
    return ClipEncoder("mini", device="cpu", precision="float32", templates="plain")


def test_parses_all_kinds_of_views() -> None:
    assert parse_embedding("crop") == Embedding((View("crop"),))
    assert parse_embedding("tokens:448") == Embedding((View("tokens", side="448"),))
    assert parse_embedding("dense") == Embedding((View("dense"),))
    assert parse_embedding("dense:sclip:2x") == Embedding((View("dense", "sclip", "2x"),))
    windows = View("dense", side="336", window=224)
    assert parse_embedding("dense:336/224") == Embedding((windows,))
    assert parse_embedding("crop:.5x+dense:336/224+tokens") == Embedding(
        (View("crop", side=".5x"), windows, View("tokens"))
    )
    assert len(parse_embedding(DEFAULT).views) == 3


@pytest.mark.parametrize(
    "wrong",
    ["", "crops", "dense:", "dense:448:sclip", "tokens:-1", "tokens:sclip", "crop:96/64", "crop+"],
)
def test_unknown_embeddings(wrong: str) -> None:
    with pytest.raises(WrongInput, match=r"choose crop\[:SIDE\], tokens\[:SIDE\], dense"):
        parse_embedding(wrong)


def test_unknown_last_block() -> None:
    with pytest.raises(WrongInput, match="choose one of naclip, clearclip, sclip, maskclip"):
        parse_embedding("dense:clip")


def test_crops_alone_do_not_blend() -> None:
    with pytest.raises(WrongInput, match="would not see small regions"):
        parse_embedding("crop+crop:2x")


@pytest.mark.parametrize(
    ("side", "pixels"), [("1x", 64), ("2x", 128), (".3x", 16), ("100", 96), ("1", 8), ("0x", 8)]
)
def test_sides_are_whole_patches(small: ClipEncoder, side: str, pixels: int) -> None:
    assert View("dense", side=side).pixels(small) == pixels


def test_whole_picture_by_token_is_the_picture(
    small: ClipEncoder, make_picture: MakePicture
) -> None:
    picture = make_picture(64, 64)
    whole = [Region(np.ones((64, 64), dtype=np.bool_))]
    crop = MaskedCrops(small).embed(picture, whole)
    np.testing.assert_allclose(RegionTokens(small, 64).embed(picture, whole), crop, atol=1e-5)


def test_pooled_features_are_means_weighted_by_area(
    encoder: ClipEncoder, make_picture: MakePicture
) -> None:
    maps = parse_embedding("dense").feature_maps(encoder)
    picture = make_picture(70, 90)
    features = maps(picture)
    rows, columns = features.shape[:2]
    regions = Superpixels().propose(picture)
    vectors = PooledFeatures(maps).embed(picture, regions)
    for region, vector in zip(regions, vectors, strict=True):
        fine = region.mask.repeat(rows, axis=0).repeat(columns, axis=1)
        shares = fine.reshape(rows, 70, columns, 90).mean(axis=(1, 3))
        expected = (shares[..., None] * features).sum(axis=(0, 1))
        np.testing.assert_allclose(vector, unit(expected[None])[0], atol=1e-4)


@pytest.mark.parametrize(
    "text", ["crop", "crop:.5x", "tokens:96", "dense", "dense:maskclip:128/64", DEFAULT]
)
def test_every_embedding_gives_the_same_unit_vectors_twice(
    small: ClipEncoder, make_picture: MakePicture, text: str
) -> None:
    embedding = parse_embedding(text)
    picture = make_picture(50, 80)
    regions = Superpixels().propose(picture)
    vectors = embedding.embedder(small, embedding.feature_maps(small)).embed(picture, regions)
    again = embedding.embedder(small, embedding.feature_maps(small)).embed(picture, regions)
    assert vectors.shape == (len(regions), small.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, again)


def test_fingerprints_differ(small: ClipEncoder) -> None:
    texts = ["crop", "crop:96", "tokens", "tokens:96", "dense", "dense:plain", "dense:128"]
    texts += ["dense:128/64", "crop+dense", "crop+tokens", "crop+tokens:96", "dense+tokens"]
    ways = [parse_embedding(text) for text in texts]
    prints = {way.embedder(small, way.feature_maps(small)).fingerprint for way in ways}
    assert len(prints) == len(texts)


def test_an_encoder_that_cannot_embed_by_tokens(photo_mini: str) -> None:
    encoder = ClipEncoder(photo_mini, device="cpu", precision="float32", templates="plain")
    tokens = parse_embedding("tokens")
    with pytest.raises(WrongInput, match=r"cannot embed .* by 'tokens'.*--embed crop or dense"):
        tokens.embedder(encoder, tokens.feature_maps(encoder))


def test_a_blend_is_the_sum_of_its_views(small: ClipEncoder, make_picture: MakePicture) -> None:
    picture = make_picture(90, 120)
    regions = Superpixels().propose(picture)
    alone = {}
    for text in ("crop:.5x", "tokens:96", "dense:128", "crop:.5x+tokens:96+dense:128"):
        way = parse_embedding(text)
        alone[text] = way.embedder(small, way.feature_maps(small)).embed(picture, regions)
    crop, tokens, dense, blend = alone.values()
    large = np.array([region.area >= 0.05 for region in regions])[:, None]
    assert 0 < large.sum() < len(regions)
    np.testing.assert_allclose(blend, unit(np.where(large, crop, 0) + tokens + dense), atol=1e-5)


def test_a_blend_shares_its_maps_with_proposers(encoder: ClipEncoder) -> None:
    way = parse_embedding("crop+dense+dense:2x")
    maps = way.feature_maps(encoder)
    assert maps.side == 2 * encoder.input_size_hw[0]
    blend = way.embedder(encoder, maps)
    assert isinstance(blend, Blend)
    assert isinstance(blend.parts[2], PooledFeatures)
    assert blend.parts[2].maps is maps
    other = parse_embedding("crop").feature_maps(encoder)
    assert other.last_block == ("clearclip" if encoder.tower.has_attention else "plain")


def test_crops_of_another_size_are_similar(encoder: ClipEncoder, make_picture: MakePicture) -> None:
    side = 2 * encoder.input_size_hw[0]
    picture = make_picture(side, side)
    whole = [Region(np.ones((side, side), dtype=np.bool_))]
    vector = MaskedCrops(encoder, side).embed(picture, whole)
    usual = MaskedCrops(encoder).embed(picture, whole)
    assert 0.5 < float(vector[0] @ usual[0]) < 0.9999


def save(folder: Path, vision: dict[str, object]) -> str:
    """A model of random weights with such an image tower, in open_clip's layout."""
    text = {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    timm = "timm_model_name" in vision
    made = open_clip.CustomTextCLIP(**config) if timm else open_clip.CLIP(**config)
    facts = {"model_cfg": {**config, "custom_text": timm}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(facts))
    save_file(made.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def test_an_encoder_of_one_size(tmp_path: Path, make_picture: MakePicture) -> None:
    resnet = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
    encoder = ClipEncoder(save(tmp_path, resnet), device="cpu", precision="float32")
    assert encoder.tower.ways == ("crop", "dense")
    way = parse_embedding("crop:2x+dense")
    with pytest.raises(WrongInput, match="one size only; use crop instead of crop:2x"):
        way.embedder(encoder, way.feature_maps(encoder))
    usual = default_embedding(encoder)
    assert [view.way for view in usual.views] == ["crop", "dense", "dense"]
    picture = make_picture(40, 60)
    vectors = usual.embedder(encoder, usual.feature_maps(encoder)).embed(
        picture, Superpixels().propose(picture)
    )
    assert np.isfinite(vectors).all()
    altered = parse_embedding("dense:sclip")
    with pytest.raises(WrongInput, match="no attention for 'sclip' to alter"):
        altered.feature_maps(encoder)


def test_an_encoder_that_can_only_crop(tmp_path: Path) -> None:
    """A transformer of timm, with an input of no whole number of the usual strides."""
    vision = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "", "image_size": 224}
    encoder = ClipEncoder(save(tmp_path, vision), device="cpu", precision="float32")
    assert encoder.tower.ways == ("crop",)
    assert default_embedding(encoder).text == "crop"
    assert str(default_proposer(encoder)) == "superpixels"
    way = parse_embedding("crop")
    assert way.embedder(encoder, way.feature_maps(encoder)) == MaskedCrops(encoder)
    vectors = encoder.encode_images(torch.rand(2, 3, 224, 224))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    with pytest.raises(WrongInput, match="no feature maps to find clusters in; use --proposer"):
        parse_proposer("superpixels+clusters").build(
            encoder, way.feature_maps(encoder), ClipEncoder
        )


@pytest.mark.parametrize("window", [0, 4, 50, 500])
def test_windows_are_whole_patches(
    small: ClipEncoder, make_picture: MakePicture, window: int
) -> None:
    maps = parse_embedding(f"dense:64/{window}").feature_maps(small)
    assert maps.window
    assert maps.window % small.tower.patch == 0
    assert np.isfinite(maps(make_picture(60, 80))).all()


def test_sides_have_a_limit(small: ClipEncoder) -> None:
    with pytest.raises(WrongInput, match="6400 pixels a side; give at most 4096"):
        parse_embedding("dense:100x").feature_maps(small)
