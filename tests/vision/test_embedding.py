from collections.abc import Callable

import numpy as np
import pytest

from schemas.errors import WrongInput
from schemas.regions import Region
from vision.embedders import MaskedCrops, PooledFeatures, RegionTokens
from vision.embedding import Embedding, choose_embedding
from vision.encoder import ClipEncoder
from vision.pictures import LoadedPicture
from vision.proposers.superpixels import Superpixels
from vision.sphere import unit

MakePicture = Callable[..., LoadedPicture]


@pytest.fixture(scope="module")
def mini() -> ClipEncoder:
    return ClipEncoder("mini", device="cpu", precision="float32", templates="plain")


def test_reads_what_is_written() -> None:
    assert choose_embedding("crop") == Embedding("crop")
    assert choose_embedding("tokens:448") == Embedding("tokens", side=448)
    assert choose_embedding("dense") == Embedding("dense", "naclip")
    assert choose_embedding("dense:sclip") == Embedding("dense", "sclip")
    assert choose_embedding("dense:336/224") == Embedding("dense", side=336, window=224)
    assert choose_embedding("dense:clearclip:448") == Embedding("dense", "clearclip", 448)


@pytest.mark.parametrize(
    "wrong", ["", "crops", "dense:", "dense:448:sclip", "tokens:-1", "dense/2"]
)
def test_what_is_no_way_to_embed(wrong: str) -> None:
    with pytest.raises(WrongInput, match=r"choose crop, tokens\[:SIDE\] or dense"):
        choose_embedding(wrong)


def test_unknown_last_block() -> None:
    with pytest.raises(WrongInput, match="choose one of naclip, clearclip, sclip, maskclip"):
        choose_embedding("dense:clip")


def test_whole_picture_by_token_is_the_picture(
    mini: ClipEncoder, make_picture: MakePicture
) -> None:
    picture = make_picture(64, 64)
    whole = [Region(np.ones((64, 64), dtype=np.bool_))]
    crop = MaskedCrops(mini).embed(picture, whole)
    np.testing.assert_allclose(RegionTokens(mini, 64).embed(picture, whole), crop, atol=1e-5)


def test_pooled_features_are_means_weighted_by_area(
    encoder: ClipEncoder, make_picture: MakePicture
) -> None:
    maps = Embedding("dense").maps(encoder)
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


@pytest.mark.parametrize("text", ["crop", "tokens", "tokens:96", "dense", "dense:maskclip:128/64"])
def test_every_way_gives_unit_vectors_again_and_again(
    mini: ClipEncoder, make_picture: MakePicture, text: str
) -> None:
    embedding = choose_embedding(text)
    picture = make_picture(50, 80)
    regions = Superpixels().propose(picture)
    vectors = embedding.embedder(embedding.maps(mini)).embed(picture, regions)
    again = embedding.embedder(embedding.maps(mini)).embed(picture, regions)
    assert vectors.shape == (len(regions), mini.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, again)


def test_fingerprints_differ(mini: ClipEncoder) -> None:
    texts = ["crop", "tokens", "tokens:96", "dense", "dense:plain", "dense:128", "dense:128/64"]
    ways = [choose_embedding(text) for text in texts]
    prints = {way.embedder(way.maps(mini)).fingerprint for way in ways}
    assert len(prints) == len(texts)


def test_an_encoder_says_what_it_cannot(photo_mini: str) -> None:
    encoder = ClipEncoder(photo_mini, device="cpu", precision="float32", templates="plain")
    tokens = choose_embedding("tokens")
    with pytest.raises(WrongInput, match=r"cannot embed .* by 'tokens'.*--embed crop or dense"):
        tokens.embedder(tokens.maps(encoder))
