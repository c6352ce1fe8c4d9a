import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from captionary.schemas.errors import MissingExtra, WrongInput
from captionary.vision.clip.catalogue import BUNDLED, CATALOGUE, LEARNED, all_model_names
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.files import find_clip
from captionary.vision.clip.texts import (
    VectorCache,
    encode_trimmed,
    sentence_lengths,
    trimmable_tower,
    trimmed,
)
from captionary.vision.embedding.embedders import MaskedCrops
from captionary.vision.extraction import RegionExtractor
from captionary.vision.hardware import choose_device, choose_precision
from captionary.vision.pictures.loading import LoadedPicture, load_picture
from captionary.vision.proposers.label_maps import Whole
from captionary.vision.proposers.superpixels import Superpixels

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


def test_fingerprint_is_of_the_content_not_of_the_name(
    encoder: ClipEncoder, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "another name"
    copy.mkdir()
    for file in folder.iterdir():
        shutil.copyfile(file, copy / file.name)
    same = ClipEncoder(f"local-dir:{copy}", device="cpu", precision="float32", templates="plain")
    assert same.fingerprint == encoder.fingerprint
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    other = ClipEncoder(f"local-dir:{copy}", device="cpu", precision="float32", templates="plain")
    assert other.fingerprint != encoder.fingerprint


def test_whole_region_equals_open_clip(
    encoder: ClipEncoder,
    reference: tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]],
    make_picture: MakePicture,
) -> None:
    model, preprocess = reference
    for size in ((300, 200), (64, 90), encoder.input_size_hw):
        picture = make_picture(*size)
        (ours,) = MaskedCrops(encoder).embed(picture, Whole().propose(picture))
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


def test_text_cut_short_equals_the_full_context(
    reference: tuple[open_clip.CLIP, Callable[[Image.Image], torch.Tensor]],
    tokenize: Callable[[list[str]], torch.Tensor],
) -> None:
    model, _ = reference
    tokens = tokenize(["a photo of a dog.", "word " * 60])
    assert sentence_lengths(tokens).tolist() == [8, 32]
    assert torch.equal(trimmed(tokens[None, :1]), tokens[None, :1, :8])
    tower = trimmable_tower(model)
    assert tower is not None
    with torch.inference_mode():
        short = encode_trimmed(tower, tokens[:1, :8])
        np.testing.assert_allclose(short, model.encode_text(tokens[:1]), atol=1e-5)


def test_towers_that_read_their_padding_are_not_cut() -> None:
    small = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    build = open_clip.transformer.TextTransformer
    assert trimmable_tower(torch.nn.ModuleDict({"x": build(**small)})) is None
    for option in ({"no_causal_mask": True}, {"embed_cls": True}, {"pool_type": "last"}):
        model = torch.nn.Module()
        model.text = build(**small, **option)
        assert trimmable_tower(model) is None
    text = build(**small, proj_bias=True, output_dim=4)
    model.text = text
    tower = trimmable_tower(model)
    tokens = torch.tensor([[1, 2, 49, 0, 0, 0, 0, 0]])
    with torch.inference_mode():
        np.testing.assert_allclose(encode_trimmed(tower, tokens[:, :4]), text(tokens), atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vector_is_the_same_in_any_company(
    precision: str, encoder: ClipEncoder, fast_encoder: ClipEncoder
) -> None:
    encoder = {each.precision: each for each in (encoder, fast_encoder)}[precision]
    crops = torch.rand(11, 3, *encoder.input_size_hw, generator=torch.Generator().manual_seed(1))
    together = encoder.encode_images(crops)
    assert together.shape == (11, encoder.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    assert np.array_equal(encoder.encode_images(crops[order]), together[order.numpy()])
    assert np.array_equal(encoder.encode_images(crops[10:]), together[10:])


def test_text_vector_is_the_same_in_any_company(model: str) -> None:
    def fresh() -> ClipEncoder:
        return ClipEncoder(model, device="cpu", templates="7")

    together = fresh().encode_texts([*NAMES, "dog"])
    assert np.array_equal(together[0], together[4])
    alone = fresh()
    for name, vector in zip(NAMES, together, strict=False):
        assert np.array_equal(alone.encode_texts([name])[0], vector)
        assert np.array_equal(alone.encode_texts([name])[0], vector)


def test_nothing_in_nothing_out(encoder: ClipEncoder, make_picture: MakePicture) -> None:
    nothing = (0, encoder.dim)
    assert encoder.encode_texts([]).shape == nothing
    assert encoder.encode_images(torch.empty(0, 3, *encoder.input_size_hw)).shape == nothing
    assert MaskedCrops(encoder).embed(make_picture(9, 9), []).shape == nothing


def test_wrong_input_size_is_a_fault(encoder: ClipEncoder) -> None:
    height, width = encoder.input_size_hw
    with pytest.raises(ValueError, match=rf"takes \(N, 3, {height}, {width}\), got \(2, 3, 9, 9\)"):
        encoder.encode_images(torch.zeros(2, 3, 9, 9))


def test_bfloat16_is_close_to_float32(
    encoder: ClipEncoder, fast_encoder: ClipEncoder, make_picture: MakePicture
) -> None:
    picture = make_picture(120, 160)
    regions = Superpixels().propose(picture)
    exact = MaskedCrops(encoder).embed(picture, regions)
    fast = MaskedCrops(fast_encoder).embed(picture, regions)
    # Plain patches, as here, are the worst case: photographs have a median of 0.998.
    assert (exact * fast).sum(axis=1).min() > 0.95
    assert np.median((exact * fast).sum(axis=1)) > 0.99


SCRIPT = """
import sys
import numpy as np
import torch
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.embedders import MaskedCrops
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import load_picture
from captionary.vision.proposers.superpixels import Superpixels
model, picture, threads, out = sys.argv[1:]
torch.set_num_threads(int(threads))
encoder = ClipEncoder(model, device="cpu", precision="bfloat16", templates="plain")
table = RegionExtractor(Superpixels(), MaskedCrops(encoder)).extract(load_picture(picture)).table
np.savez(out, regions=table.vectors, texts=encoder.encode_texts(["dog"]))
"""


def test_two_processes_agree_bit_for_bit(
    fast_encoder: ClipEncoder, model: str, make_picture: MakePicture, tmp_path: Path
) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(make_picture(120, 160).pixels).save(path)
    threads = str(torch.get_num_threads())
    arguments = [model, str(path), threads, str(tmp_path / "a.npz")]
    subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], check=True, cwd=Path(__file__).parents[3]
    )
    extractor = RegionExtractor(Superpixels(), MaskedCrops(fast_encoder))
    here = extractor.extract(load_picture(path)).table
    there = np.load(tmp_path / "a.npz")
    assert np.array_equal(here.vectors, there["regions"])
    assert np.array_equal(fast_encoder.encode_texts(["dog"]), there["texts"])


def wrong(name: str) -> str:
    with pytest.raises(WrongInput) as caught:
        ClipEncoder(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_names_list_near_ones() -> None:
    assert "ViT-B-16/openai" in wrong("ViT-B-16/opnai")
    assert "ViT-B-32/" in wrong("ViT-B32/openai")
    assert "ViT-B-16/openai" in wrong("ViT-B-16")
    assert "captionary models" in wrong("zzz")
    assert "captionary models" in wrong("")


def test_folders_that_are_no_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mini: str
) -> None:
    source = BUNDLED[mini]
    shutil.copy(source / "merges.txt.gz", tmp_path)
    assert "does not exist" in wrong(f"local-dir:{tmp_path}/none")
    assert "no open_clip_config.json" in wrong(f"local-dir:{tmp_path}")
    config = tmp_path / "open_clip_config.json"
    config.write_text("{}")
    assert "not a model configuration" in wrong(f"local-dir:{tmp_path}")
    config.write_text((source / config.name).read_text())
    assert "no weights" in wrong(f"local-dir:{tmp_path}")
    weights = tmp_path / "open_clip_model.safetensors"
    weights.write_bytes((source / weights.name).read_bytes()[:100_000])
    assert "cannot be loaded" in wrong(f"local-dir:{tmp_path}")
    shutil.copyfile(source / weights.name, weights)
    text = json.loads(config.read_text())
    text["model_cfg"]["embed_dim"] = 64
    config.write_text(json.dumps(text))
    assert "cannot be loaded" in wrong(f"local-dir:{tmp_path}")
    text["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "some/tokenizer"
    config.write_text(json.dumps(text))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match="pip install transformers"):
        find_clip(f"local-dir:{tmp_path}")


def test_download_without_a_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    message = wrong("ViT-B-16/openai")
    assert "open_clip_model.safetensors" in message
    assert "local-dir:" in message


def test_downloaded_weights_are_found_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--vit_base_patch16_clip_224.openai"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    file = repository / "snapshots" / "abc" / "open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    found = find_clip("ViT-B/16/openai")
    assert found.weights == str(file)
    assert found.quick_gelu
    assert found.preprocess["mean"][0] == pytest.approx(0.4815, abs=1e-4)


def test_devices_and_precisions() -> None:
    cpu = torch.device("cpu")
    assert choose_device("cpu") == cpu
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}
    assert choose_precision("float32", cpu) is torch.float32
    assert choose_precision("bfloat16", cpu) is torch.bfloat16
    assert choose_precision("auto", torch.device("mps")) is torch.float32
    with pytest.raises(WrongInput, match="auto, cpu, cuda, mps"):
        choose_device("gpu")
    with pytest.raises(WrongInput, match="auto, float32, bfloat16"):
        choose_precision("half", cpu)
    if not torch.cuda.is_available():
        with pytest.raises(WrongInput, match="not available"):
            choose_device("cuda")


def test_unknown_templates() -> None:
    with pytest.raises(WrongInput, match="80, 7, plain"):
        ClipEncoder("ViT-B-16/openai", templates="8")


@pytest.mark.parametrize("named", ["8", ["80"], 80, ""])
def test_unknown_templates_in_a_folder_are_told_with_their_file(
    named: object, tmp_path: Path, mini: str
) -> None:
    copy = shutil.copytree(BUNDLED[mini], tmp_path / "copy")
    config = copy / "open_clip_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "captionary_templates": named}))
    assert wrong(f"local-dir:{copy}") == (
        f"{config} names unknown captionary_templates {named!r}; choose one of 80, 7, plain"
    )


def test_a_folder_says_how_its_model_is_to_be_asked(tmp_path: Path, mini: str) -> None:
    copy = shutil.copytree(BUNDLED[mini], tmp_path / "copy")
    config = copy / "open_clip_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "captionary_templates": "7"}))
    encoder = ClipEncoder(f"local-dir:{copy}", device="cpu")
    plain, seven = (
        ClipEncoder(mini, device="cpu", templates=templates).encode_texts(["dog"])
        for templates in ("plain", "7")
    )
    for templates in (None, "80"):
        assert np.array_equal(encoder.encode_texts(["dog"], templates=templates), seven)
    assert not np.allclose(plain, seven)


def test_cache_forgets_what_was_not_asked_for() -> None:
    cache = VectorCache(2)
    for name in ("a", "b"):
        cache.put(name, np.zeros(1, np.float32))
    assert cache.get("a") is not None
    cache.put("c", np.zeros(1, np.float32))
    assert cache.get("b") is None
    assert len(cache) == 2


def test_catalogue_agrees_with_open_clip() -> None:
    names = all_model_names()
    assert len(names) == len(set(names)) > 100
    for model in (model for name, model in CATALOGUE.items() if name not in BUNDLED):
        assert model.name in names
        config = open_clip.get_model_config(model.name.partition("/")[0])
        assert config["embed_dim"] == model.dim


@pytest.mark.parametrize("name", BUNDLED)
def test_catalogue_agrees_with_what_is_bundled(name: str) -> None:
    encoder = ClipEncoder(name, device="cpu", templates="plain")
    weights = load_file(BUNDLED[name] / "open_clip_model.safetensors").values()
    assert CATALOGUE[name].dim == encoder.dim
    assert encoder.groups == (name if name in LEARNED else None)
    in_float32 = 4 * sum(each.numel() for each in weights) / 1e6
    assert CATALOGUE[name].size_mb == pytest.approx(in_float32, abs=1)
