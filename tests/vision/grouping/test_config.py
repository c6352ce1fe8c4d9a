import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.digest import clip_digest
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.files import find_clip, load_clip, load_cluster_head
from captionary.vision.grouping.cluster_head import VilsegConfig, patch_features
from captionary.vision.grouping.config import (
    GROUPING_KEY,
    HEAD_FILE,
    WEIGHTS_FILE,
    GroupingConfig,
    method_name,
    parse_grouping,
    serialize_grouping,
)
from captionary.vision.grouping.pgseg_stage import PgsegConfig
from tests.learning.grouping_models import CLUSTERING, GROUPING, METHODS, write_small

CONFIG = "open_clip_config.json"


def encoder_of(name: str, precision: str = "float32") -> ClipEncoder:
    return ClipEncoder(name, device="cpu", precision=precision, templates="plain")


@pytest.fixture(scope="module", params=["pgseg", "vilseg"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(method: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    """A folder, and the model that was written into it."""
    folder = tmp_path_factory.mktemp("made") / method
    return folder, write_small(folder, METHODS[method])


@pytest.fixture
def copy(made: tuple[Path, torch.nn.Module], tmp_path: Path) -> Path:
    """The folder again, to be changed."""
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def random_pixels(count: int = 2, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "learned",
    [
        PgsegConfig(),
        GROUPING,
        PgsegConfig(depths=(1, 2), groups=(4,), prototypes=False, kappa=3.5),
        VilsegConfig(),
        CLUSTERING,
    ],
)
def test_what_is_serialized_is_parsed(learned: GroupingConfig) -> None:
    written = json.loads(json.dumps(serialize_grouping(learned)))

    assert parse_grouping(written) == learned
    assert written["method"] == method_name(learned)


def test_missing_fields_have_defaults() -> None:
    assert parse_grouping({"method": "pgseg", "kappa": 5.0}) == PgsegConfig(kappa=5.0)
    assert parse_grouping({"method": "vilseg"}) == VilsegConfig()


def test_a_loaded_model_computes_the_same(method: str, made: tuple[Path, Any]) -> None:
    folder, clip = made
    encoder = encoder_of(f"{method}:{folder}")
    pixels, other = random_pixels(), random_pixels(1, 8, 28)[0]
    with torch.inference_mode():
        vectors = normalize(clip.encode_image((pixels - 0.5) / 0.5), dim=1)
        if method == "pgseg":
            grouped = clip.visual.group_patches((other[None] - 0.5) / 0.5)
            maps = clip.visual.group_maps(grouped)
            dense = clip.visual.dense_map(grouped)[0]
            near = encoder.encode_map(other, last_block="plain")
            alike = torch.cosine_similarity(near, dense, dim=-1)
            assert alike.quantile(0.2) > 0.99  # a patch between two groups may fall to the other
        else:
            head = load_cluster_head(find_clip(f"vilseg:{folder}"))
            assert head is not None
            features = patch_features(clip.visual, (other[None] - 0.5) / 0.5)
            maps = [head(features).softmax(dim=-1)]

    # Weights are written in float16.
    torch.testing.assert_close(
        torch.tensor(encoder.encode_images(pixels)), vectors, atol=0.02, rtol=0
    )
    own = encoder.group_maps(other)
    assert [shares.shape[:2] for shares in own] == [(2, 7)] * len(maps)
    for shares, expected in zip(own, maps, strict=True):
        assert shares.dtype == torch.float32
        torch.testing.assert_close(shares.sum(dim=2), torch.ones(2, 7))
        torch.testing.assert_close(shares, expected[0], atol=0.05, rtol=0)


def test_an_encoder_names_its_default_proposer(method: str, made: tuple[Path, Any]) -> None:
    folder, _ = made
    named, plain = encoder_of(f"{method}:{folder}"), encoder_of(f"local-dir:{folder}")

    assert named.default_proposer == plain.default_proposer == f"{method}:{folder}"
    assert named.fingerprint == plain.fingerprint
    assert named.tower.ways == ("crop", "dense")
    assert named.tower.any_size
    assert named.tower.patch == 4
    assert named.input_size_hw == (16, 16)
    assert named.mean == (0.5, 0.5, 0.5)
    assert named.encode_texts(["red above blue"]).shape == (1, 16)
    assert encoder_of("mini").default_proposer is None


def test_a_folder_is_the_same_by_any_path(
    method: str, made: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = made
    monkeypatch.chdir(folder.parent)

    assert find_clip(f"{method}:{folder.name}").default_proposer == f"{method}:{folder}"


def test_bfloat16_is_close_to_float32(method: str, made: tuple[Path, Any]) -> None:
    folder, _ = made
    short, long = (encoder_of(f"{method}:{folder}", name) for name in ("bfloat16", "float32"))

    alike = (short.encode_images(random_pixels()) * long.encode_images(random_pixels())).sum(axis=1)

    assert alike.min() > 0.95
    assert short.encode_map(random_pixels()[0], last_block="plain").shape == (4, 4, 16)
    for shares in short.group_maps(random_pixels()[0]):
        torch.testing.assert_close(shares.sum(dim=2), torch.ones(4, 4), atol=0.02, rtol=0)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    written = json.loads((folder / CONFIG).read_text())
    change(written)
    (folder / CONFIG).write_text(json.dumps(written))


def reweigh(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path)


def error_message(name: str) -> str:
    with pytest.raises(WrongInput) as error:
        encoder_of(name)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_model_of_another_kind_is_refused(method: str, copy: Path, tmp_path: Path) -> None:
    (other,) = {*METHODS} - {method}
    write_small(tmp_path / "plain", None)

    for name, folder in ((other, copy), (method, tmp_path / "plain")):
        assert error_message(f"{name}:{folder}") == (
            f"{folder} is no model of {name}; train one with 'captionary train {name}'"
        )
    assert "does not exist" in error_message(f"{method}:{tmp_path}/none")
    (tmp_path / "empty").mkdir()
    assert f"no {CONFIG}" in error_message(f"{method}:{tmp_path}/empty")


@pytest.mark.parametrize(
    "groups",
    [
        {"method": "magic"},
        {"method": ["pgseg"]},
        {"kappa": 20},
        {"method": "pgseg", "colour": 3},
        {"method": "pgseg", "depths": [1, 1], "groups": [3, 2]},
        {"method": "pgseg", "depths": 3},
        {},
        [],
        "pgseg",
        None,
        7,
    ],
)
def test_unknown_entries_in_the_configuration_are_refused(groups: object, tmp_path: Path) -> None:
    write_small(tmp_path, GROUPING)
    rewrite(tmp_path, lambda written: written.update({GROUPING_KEY: groups}))

    for name in ("pgseg", "local-dir"):
        error = error_message(f"{name}:{tmp_path}")
        assert error.startswith(f"{tmp_path / CONFIG} is not a model configuration")


def test_layers_that_are_not_those_of_the_weights_are_refused(method: str, copy: Path) -> None:
    other = {"pgseg": {"groups": [5, 4]}, "vilseg": {"clusters": 7}}[method]
    rewrite(copy, lambda written: written[GROUPING_KEY].update(other))

    assert "copy" in error_message(f"{method}:{copy}")


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_damaged_weights_are_refused(method: str, copy: Path, content: bytes | None) -> None:
    path = copy / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)

    assert "cannot be loaded" in error_message(f"{method}:{copy}")


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_a_missing_or_damaged_cluster_head_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    write_small(tmp_path, CLUSTERING)
    path = tmp_path / HEAD_FILE
    path.unlink() if content is None else path.write_bytes(content)

    for name in ("vilseg", "local-dir"):
        assert f"cannot read {path}" in error_message(f"{name}:{tmp_path}")


def test_fingerprints_follow_the_configuration_and_all_weights(method: str, copy: Path) -> None:
    def fingerprint() -> str:
        return encoder_of(f"{method}:{copy}").fingerprint

    digests = [fingerprint()]
    assert fingerprint() == digests[0]
    changes: list[Callable[[], None]]
    if method == "pgseg":
        name = "visual.stages.1.prototypes"
        changes = [
            lambda: rewrite(copy, lambda written: written[GROUPING_KEY].update(kappa=16.0)),
            lambda: rewrite(copy, lambda written: written[GROUPING_KEY].update(iterations=5)),
            lambda: reweigh(copy / WEIGHTS_FILE, lambda state: state[name].mul_(-1)),
        ]
    else:
        changes = [
            lambda: reweigh(copy / WEIGHTS_FILE, lambda state: state["visual.proj"].mul_(-1)),
            lambda: reweigh(copy / HEAD_FILE, lambda state: state["layers.0.bias"].add_(1)),
        ]
    for change in changes:
        change()
        digests.append(fingerprint())

    assert len(set(digests)) == len(digests)


def test_a_digest_is_of_the_content_not_of_the_place(method: str, made: Any, copy: Path) -> None:
    digests = []
    for folder in (made[0], copy):
        files = find_clip(f"{method}:{folder}")
        digests.append(clip_digest(load_clip(files), files))

    assert digests[0] == digests[1]
    other = replace(files, grouping=CHANGED[method])
    assert clip_digest(load_clip(files), other) != digests[0]


CHANGED: Mapping[str, GroupingConfig] = {
    "pgseg": replace(GROUPING, kappa=16.0),
    "vilseg": replace(CLUSTERING, local_views=9),
}
