"""`captionary train pgseg` and `train vilseg`, a few steps on flags."""

import csv
import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from captionary.learning.progress import LOSS_PREFIX
from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.grouping.config import (
    GROUPING_KEY,
    HEAD_FILE,
    WEIGHTS_FILE,
    GroupingConfig,
    serialize_grouping,
)
from captionary.vision.proposers.plan import default_proposer
from tests.cli.running import Answer, captionary
from tests.learning.child_processes import cut_short
from tests.learning.flag_files import write_flag_dataset, write_flags
from tests.learning.grouping_models import (
    CLUSTERING,
    GROUPING,
    METHODS,
    small_architecture,
    write_small,
)

COUNT = 30
VISION = "vision_contrast"
LOSSES = {
    "pgseg": ["contrast", "image_prototypes", "text_prototypes"],
    "vilseg": ["contrast", VISION, "clusters", "nouns"],
}
LEARNED: dict[str, GroupingConfig] = {
    "pgseg": GROUPING,
    "vilseg": replace(CLUSTERING, noun_weight=0.5),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flags as files, with captions."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("flags")
    return write_flags(folder, COUNT)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JSON files, a method each."""
    folder = tmp_path_factory.mktemp("models")
    for method, grouping in METHODS.items():
        config = json.loads(json.dumps(small_architecture(grouping).config))
        del config["text_cfg"]["vocab_size"], config["text_cfg"]["tokenizer_kwargs"]
        config[GROUPING_KEY] = serialize_grouping(LEARNED[method])
        (folder / f"{method}.json").write_text(json.dumps(config))
    return folder


SETTINGS = (
    "--steps 12 --batch 8 --warm-up 2 --learning-rate 0.003 --workers 0 --held-out 6 "
    "--evaluate-every 12 --save-every 4 --device cpu"
)
OPTIONS = tuple(SETTINGS.split())


def command(method: str, source: Path, models: Path, out: Path) -> list[str]:
    chosen = ["--model", str(models / f"{method}.json"), "--merges", "30"]
    return ["train", method, str(source), "--out", str(out), *chosen, *OPTIONS]


def done(answer: Answer) -> None:
    assert answer.code == 0, answer.err


@pytest.fixture(scope="module")
def trained(
    source: Path, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What undisturbed runs have written."""
    folders = {}
    for method in METHODS:
        out = folders[method] = tmp_path_factory.mktemp("trained") / method
        answer = captionary(*command(method, source, models, out))
        done(answer)
        assert answer.out.endswith(f"; use the model with --encoder {method}:{out}\n")
    return folders


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    """What a model consists of."""
    names = [WEIGHTS_FILE, HEAD_FILE, "open_clip_config.json", "merges.txt.gz"]
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


@pytest.mark.parametrize("method", METHODS)
def test_the_log_has_each_loss(method: str, trained: dict[str, Path]) -> None:
    rows = log(trained[method])

    assert [row["step"] for row in rows] == ["10", "12"]
    for row in rows:
        parts = [float(row[LOSS_PREFIX + name]) for name in LOSSES[method]]
        assert float(row["loss"]) == pytest.approx(sum(parts), abs=1e-4)
        assert all(np.isfinite(parts))
        assert any(parts[1:])
    assert rows[-1]["image_to_text_1"]


@pytest.mark.parametrize("method", METHODS)
def test_the_model_segments_by_its_own_groups(
    method: str, trained: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    name = f"{method}:{trained[method]}"
    assert ClipEncoder(name, device="cpu").default_proposer == name
    assert (trained[method] / HEAD_FILE).exists() == (method == "vilseg")

    for encoder in (name, f"local-dir:{trained[method]}"):
        done(
            captionary(
                "segment",
                source.parent / "0.png",
                *("--encoder", encoder, "--fusion", "text", "--device", "cpu"),
                *("--classes", "red, green, blue", "--out", tmp_path),
            )
        )
    assert any(tmp_path.iterdir())


@pytest.mark.parametrize("method", METHODS)
def test_the_model_proposes_for_another_encoder(
    method: str, trained: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    done(
        captionary(
            "segment",
            source.parent / "0.png",
            *("--encoder", "mini", "--fusion", "text", "--device", "cpu"),
            *("--proposer", f"superpixels+{method}:{trained[method]}"),
            *("--classes", "red, green, blue", "--out", tmp_path),
        )
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_ends_in_the_same_weights(
    method: str, trained: dict[str, Path], source: Path, models: Path, tmp_path: Path
) -> None:
    """Also those of the teacher, of the head, and of prototypes that move."""
    out = tmp_path / "cut"
    own = command(method, source, models, out)

    for _ in range(5):  # until the signal came before the last step
        code, printed = cut_short(out, own, signal.SIGKILL)
        step = torch.load(out / "checkpoint.pt", weights_only=True)["state"]["step"]
        if step < 12:
            break

    assert code == -signal.SIGKILL, printed
    assert 0 < step < 12
    done(captionary(*own))
    assert files(out) == files(trained[method])
    assert [row["loss"] for row in log(out)] == [row["loss"] for row in log(trained[method])]
    states = [
        torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["module"]
        for folder in (out, trained[method])
    ]
    assert states[0].keys() == states[1].keys()
    moving = "teacher.visual.conv1.weight" if method == "vilseg" else "clip.visual.stages.0.proto"
    assert any(name.startswith(moving) for name in states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.mark.parametrize(
    ("method", "part", "left"),
    [
        ("pgseg", "image-prototypes", ["contrast", "text_prototypes"]),
        ("pgseg", "text-prototypes", ["contrast", "image_prototypes"]),
        ("vilseg", "vision-contrast", ["contrast", "clusters", "nouns"]),
        ("vilseg", "nouns", ["contrast", "vision_contrast", "clusters"]),
    ],
)
def test_parts_are_left_out(
    method: str, part: str, left: list[str], source: Path, models: Path, tmp_path: Path
) -> None:
    own = [*command(method, source, models, tmp_path / "out"), "--steps", "2"]

    done(captionary(*own, "--without", part))

    (row,) = log(tmp_path / "out")
    assert [name for name in LOSSES[method] if LOSS_PREFIX + name in row] == left
    weights = load_file(tmp_path / "out" / WEIGHTS_FILE)
    if method == "pgseg":
        assert any("prototypes" in name for name in weights) == (part != "image-prototypes")
    ClipEncoder(f"{method}:{tmp_path / 'out'}", device="cpu")
    again = captionary(*own)
    assert again.code == 2
    assert f"without {part}, not nothing" in again.err or "with model" in again.err


def test_without_clusters_a_plain_clip_is_left(source: Path, models: Path, tmp_path: Path) -> None:
    """Which is cut as any other is: a head that has learned nothing would cut it by chance."""
    out = tmp_path / "out"
    own = [*command("vilseg", source, models, out), "--steps", "2", "--without", "clusters"]
    dataset = write_flag_dataset(tmp_path / "flags")

    answer = captionary(*own, "--evaluate", dataset)

    done(answer)
    assert answer.out.endswith(f"2 steps done; use the model with --encoder local-dir:{out}\n")
    (row,) = log(out)
    assert [name for name in LOSSES["vilseg"] if LOSS_PREFIX + name in row] == ["contrast", VISION]
    assert {*files(out)} == {WEIGHTS_FILE, "open_clip_config.json", "merges.txt.gz"}
    encoder = ClipEncoder(f"local-dir:{out}", device="cpu")
    assert str(default_proposer(encoder)) == "superpixels+clusters"
    with pytest.raises(WrongInput, match="is no model of vilseg"):
        ClipEncoder(f"vilseg:{out}", device="cpu")
    figures = tmp_path / "figures.json"
    words = ("--fusion", "text", "--encoder", f"local-dir:{out}", "--device", "cpu")
    done(captionary("evaluate", dataset, *words, "--json", figures))
    assert row["miou"] == f"{json.loads(figures.read_text())['miou']:.4f}"
    done(captionary(*own))  # it is done already


def test_both_parts_of_pgseg_are_left_out(source: Path, models: Path, tmp_path: Path) -> None:
    own = [*command("pgseg", source, models, tmp_path / "out"), "--steps", "2"]

    done(captionary(*own, "--without", "image-prototypes", "--without", "text-prototypes"))

    (row,) = log(tmp_path / "out")
    assert not any(name.startswith(LOSS_PREFIX) for name in row)


@pytest.mark.parametrize("method", METHODS)
def test_a_plain_clip_starts_a_run(method: str, source: Path, models: Path, tmp_path: Path) -> None:
    start = tmp_path / "plain"
    write_small(start, None, seed=4)
    chosen = ["--model", str(models / f"{method}.json"), "--weights", f"local-dir:{start}"]
    still = ["--steps", "1", "--learning-rate", "0"]

    done(captionary("train", method, source, "--out", tmp_path / "out", *chosen, *OPTIONS, *still))

    before = load_file(start / WEIGHTS_FILE)
    after = load_file(tmp_path / "out" / WEIGHTS_FILE)
    layer = "mlp.c_fc.weight"
    blocks = "visual.blocks.2" if method == "pgseg" else "visual.transformer.resblocks.2"
    tower = "text." if method == "pgseg" else ""
    pairs = {
        f"{blocks}.{layer}": f"visual.transformer.resblocks.2.{layer}",
        f"{tower}token_embedding.weight": "token_embedding.weight",
        f"{tower}text_projection": "text_projection",
    }
    for own, given in pairs.items():
        assert torch.equal(after[own], before[given])
    encoder = ClipEncoder(f"{method}:{tmp_path / 'out'}", device="cpu")
    plain = ClipEncoder(f"local-dir:{start}", device="cpu")
    words = ["red above blue"]
    assert encoder.encode_texts(words) == pytest.approx(plain.encode_texts(words), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_goes_on_from_a_model_of_its_method(
    method: str, trained: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    name = f"{method}:{trained[method]}"

    # Of the same seed, a head that starts anew would begin as the first one did.
    begun = ("--out", tmp_path / "on", "--weights", name, "--seed", 5)
    done(captionary("train", method, source, *begun, *OPTIONS))

    folders = trained[method], tmp_path / "on"
    first, second = (float(log(folder)[0][f"{LOSS_PREFIX}contrast"]) for folder in folders)
    assert second < first
    if method == "vilseg":
        heads = [load_file(folder / HEAD_FILE) for folder in folders]
        for name, weights in heads[0].items():
            torch.testing.assert_close(heads[1][name], weights, atol=0.04, rtol=0.04)


@pytest.mark.parametrize(
    ("method", "arguments", "complaint"),
    [
        ("pgseg", "--without clusters", "pgseg has no part 'clusters' to do --without; choose"),
        ("vilseg", "--masked 0.5", "vilseg learns without --masked; leave it out"),
        ("pgseg", "--model MODELS/vilseg.json", "is to be trained by vilseg, not pgseg"),
        ("vilseg", "--model mini", "is to be trained by clip, not vilseg"),
        ("clip", "--model MODELS/pgseg.json", "is to be trained by pgseg, not clip"),
        ("pgseg", "--weights local-dir:PLAIN --model MODELS/wide.json", "are of other layers"),
        ("pgseg", "--weights vilseg:VILSEG", "is to be trained by vilseg, not pgseg"),
        ("pgseg", "--weights pgseg:PGSEG --without image-prototypes", "was trained with what"),
        ("vilseg", "--weights vilseg:VILSEG --model MODELS/vilseg.json", "leave out --model"),
        ("pgseg", "--model MODELS/magic.json", "cannot read the architecture"),
        ("vilseg", "--model MODELS/token.json", 'give it "pool_type": "avg"'),
        ("pgseg", "--weights local-dir:RESNET --model MODELS/pgseg.json", "are of other layers"),
    ],
)
def test_mistakes_are_told_in_one_line(
    method: str,
    arguments: str,
    complaint: str,
    trained: dict[str, Path],
    source: Path,
    models: Path,
    tmp_path: Path,
) -> None:
    for name, other, change in (
        ("wide", "pgseg", {"width": 48}),
        ("magic", "pgseg", {}),
        ("token", "vilseg", {"pool_type": "tok"}),
    ):
        config = json.loads((models / f"{other}.json").read_text())
        config["vision_cfg"].update(change)
        if name == "magic":
            config[GROUPING_KEY]["method"] = "magic"
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
    for file in models.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    if "PLAIN" in arguments:
        write_small(tmp_path / "plain", None)
    if "RESNET" in arguments:
        write_small(tmp_path / "resnet", None, layers=[1, 1, 1, 1], width=8, image_size=64)
    places = {
        "MODELS": tmp_path,
        "PLAIN": tmp_path / "plain",
        "RESNET": tmp_path / "resnet",
        "PGSEG": trained["pgseg"],
        "VILSEG": trained["vilseg"],
    }
    for name, place in places.items():
        arguments = arguments.replace(name, str(place))

    answer = captionary(
        "train", method, source, "--out", tmp_path / "out", *OPTIONS, *arguments.split()
    )

    assert answer.code == 2
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert complaint in answer.err
    assert not (tmp_path / "out" / "checkpoint.pt").exists()
