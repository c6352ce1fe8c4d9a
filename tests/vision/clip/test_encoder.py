"""The encoder: vectors equal open_clip's, and depend on nothing but the input."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from captionary.vision.clip.catalogue import BUNDLED
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.files import LOCAL_DIR
from captionary.vision.clip.texts import (
    encode_trimmed,
    sentence_lengths,
    trim_padding,
    trimmable_tower,
)
from captionary.vision.embedding.embedders import MaskedCrops
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture, load_picture
from captionary.vision.proposers.label_maps import WholePicture
from captionary.vision.proposers.superpixels import Superpixels
from tests.conftest import SHARED
from tests.processes import Forked

MakePicture = Callable[..., LoadedPicture]
NAMES = ["dog", "fire hydrant", "a very long name of a thing that needs many more tokens", "sky"]


@pytest.fixture(scope="module")
def reference(folder: Path) -> tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]]:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval(), preprocess


@pytest.fixture(scope="module")
def tokenize(folder: Path) -> Callable[[list[str]], torch.Tensor]:
    """open_clip's tokenizer, which looks for a model's own vocabulary where the process runs."""
    merges = folder / "merges.txt.gz"
    own = {"bpe_path": str(merges)} if merges.exists() else {}
    tokenizer: Callable[[list[str]], torch.Tensor] = open_clip.get_tokenizer(
        f"local-dir:{folder}", **own
    )
    return tokenizer


def test_describes_itself(model: str, encoder: ClipEncoder, fast_encoder: ClipEncoder) -> None:
    assert (encoder.dim, encoder.input_size_hw[0]) == ((192, 64) if model == "mini" else (512, 224))
    assert encoder.input_size_hw[0] == encoder.input_size_hw[1]
    assert encoder.mean == encoder.std == (0.5, 0.5, 0.5)
    assert 1 < encoder.logit_scale <= 100.5
    assert encoder.fingerprint.startswith("clip-")
    assert encoder.fingerprint.endswith("-float32")
    assert fast_encoder.fingerprint == encoder.fingerprint.replace("float32", "bfloat16")


def test_fingerprint_is_of_the_content_not_of_the_name(mini: str, tmp_path: Path) -> None:
    def fingerprint(name: str) -> str:
        encoder = ClipEncoder(name, device="cpu", precision="float32", templates="plain")
        return encoder.fingerprint

    copy = tmp_path / "another name"
    shutil.copytree(BUNDLED[mini], copy)
    assert fingerprint(f"local-dir:{copy}") == fingerprint(mini)
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    assert fingerprint(f"local-dir:{copy}") != fingerprint(mini)


def test_whole_region_equals_open_clip(
    encoder: ClipEncoder,
    reference: tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]],
    make_picture: MakePicture,
) -> None:
    model, preprocess = reference
    for size in ((300, 200), (64, 90), encoder.input_size_hw):
        picture = make_picture(*size)
        (ours,) = MaskedCrops(encoder).embed(picture, WholePicture().propose(picture))
        with torch.inference_mode():
            batch = preprocess(Image.fromarray(picture.pixels))[None]
            theirs = model.encode_image(batch, normalize=True)[0].numpy()
        # The input size needs no resizing; elsewhere Pillow and torch round some pixels apart.
        assert float(ours @ theirs) > (1 - 1e-6 if size == encoder.input_size_hw else 0.999)


def test_text_ensemble_equals_a_plain_loop(
    encoder: ClipEncoder,
    reference: tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]],
    tokenize: Callable[[list[str]], torch.Tensor],
) -> None:
    model, _ = reference
    ours = encoder.encode_texts(NAMES)
    for name, vector in zip(NAMES, ours, strict=True):
        sentences = [template(name) for template in open_clip.SIMPLE_IMAGENET_TEMPLATES]
        with torch.inference_mode():
            each = [model.encode_text(tokenize([s]), normalize=True)[0] for s in sentences]
        mean = torch.stack(each).mean(0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=2e-6)


def test_trimmed_text_equals_the_full_context(
    reference: tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]],
    tokenize: Callable[[list[str]], torch.Tensor],
) -> None:
    model, _ = reference
    tokens = tokenize(["a photo of a dog.", "word " * 60])
    assert sentence_lengths(tokens).tolist() == [8, 32]
    assert torch.equal(trim_padding(tokens[None, :1]), tokens[None, :1, :8])
    tower = trimmable_tower(model)
    assert tower is not None
    with torch.inference_mode():
        short = encode_trimmed(tower, tokens[:1, :8])
        np.testing.assert_allclose(short, model.encode_text(tokens[:1]), atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vectors_do_not_depend_on_the_batch(
    precision: str, encoder: ClipEncoder, fast_encoder: ClipEncoder
) -> None:
    encoder = {each.precision: each for each in (encoder, fast_encoder)}[precision]
    crops = torch.rand(11, 3, *encoder.input_size_hw, generator=torch.Generator().manual_seed(1))
    batch = encoder.encode_images(crops)
    assert batch.shape == (11, encoder.dim)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-6)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    assert np.array_equal(encoder.encode_images(crops[order]), batch[order.numpy()])
    assert np.array_equal(encoder.encode_images(crops[10:]), batch[10:])


def test_text_vectors_do_not_depend_on_the_batch(model: str) -> None:
    def fresh() -> ClipEncoder:
        return ClipEncoder(model, device="cpu", templates="7")

    batch = fresh().encode_texts([*NAMES, "dog"])
    assert np.array_equal(batch[0], batch[4])
    alone = fresh()
    for name, vector in zip(NAMES, batch, strict=False):
        assert np.array_equal(alone.encode_texts([name])[0], vector)
        assert np.array_equal(alone.encode_texts([name])[0], vector)


def test_empty_input_gives_empty_output(encoder: ClipEncoder, make_picture: MakePicture) -> None:
    nothing = (0, encoder.dim)
    assert encoder.encode_texts([]).shape == nothing
    assert encoder.encode_images(torch.empty(0, 3, *encoder.input_size_hw)).shape == nothing
    assert MaskedCrops(encoder).embed(make_picture(9, 9), []).shape == nothing


def test_wrong_input_size_raises(encoder: ClipEncoder) -> None:
    height, width = encoder.input_size_hw
    with pytest.raises(ValueError, match=rf"takes \(N, 3, {height}, {width}\), got \(2, 3, 9, 9\)"):
        encoder.encode_images(torch.zeros(2, 3, 9, 9))


def test_bfloat16_is_close_to_float32(
    encoder: ClipEncoder, fast_encoder: ClipEncoder, make_picture: MakePicture
) -> None:
    picture = make_picture(60, 80)
    regions = Superpixels().propose(picture)
    exact = MaskedCrops(encoder).embed(picture, regions)
    fast = MaskedCrops(fast_encoder).embed(picture, regions)
    # Plain patches, as here, are the worst case: photographs have a median of 0.998.
    assert (exact * fast).sum(axis=1).min() > 0.95
    assert np.median((exact * fast).sum(axis=1)) > 0.99


def embed_elsewhere(picture: Path, threads: int, folder: Path, models: list[str]) -> None:
    torch.set_num_threads(threads)
    for number, model in enumerate(models):
        encoder = ClipEncoder(model, device="cpu", precision="bfloat16", templates="plain")
        extractor = RegionExtractor(Superpixels(), MaskedCrops(encoder))
        regions = extractor.extract(load_picture(picture)).table.vectors
        np.savez(folder / f"{number}.npz", regions=regions, texts=encoder.encode_texts(["dog"]))


@pytest.fixture(scope="module")
def other_process(
    make_picture: MakePicture, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Mapping[str, Path]]:
    """A picture, and by model what another process made of it: one start for all models."""
    folder = tmp_path_factory.mktemp("other_process")
    path = folder / "picture.png"
    Image.fromarray(make_picture(60, 80).pixels).save(path)
    photo = SHARED / "models" / "photo-mini"
    models = ["mini", *([f"{LOCAL_DIR}{photo}"] if photo.is_dir() else [])]
    process = Forked(
        embed_elsewhere,
        path,
        torch.get_num_threads(),
        folder,
        models,
        output=folder / "output.txt",
        errors=folder / "errors.txt",
    )
    assert process.wait() == 0, process.errors.read_text()
    return path, {model: folder / f"{number}.npz" for number, model in enumerate(models)}


def test_two_processes_agree_bit_for_bit(
    fast_encoder: ClipEncoder, model: str, other_process: tuple[Path, Mapping[str, Path]]
) -> None:
    path, outputs = other_process
    extractor = RegionExtractor(Superpixels(), MaskedCrops(fast_encoder))
    here = extractor.extract(load_picture(path)).table
    there = np.load(outputs[model])
    assert np.array_equal(here.vectors, there["regions"])
    assert np.array_equal(fast_encoder.encode_texts(["dog"]), there["texts"])
