import csv
import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image

from captionary.vision.clip.encoder import ClipEncoder
from tests.cli.running import captionary
from tests.indexer.readers.shards import write_shard
from tests.learning.child_processes import cut_short
from tests.learning.flag_files import write_flag_dataset, write_flags
from tests.learning.flag_pictures import TINY

COUNT = 60


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flags as files, with captions; one of them cannot be read."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("flags")
    source = write_flags(folder, COUNT)
    (folder / "7.png").write_bytes(b"no picture")
    return source


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.fixture(scope="module")
def options(model: Path) -> tuple[str, ...]:
    text = "--merges 30 --steps 40 --batch 8 --warm-up 5 --learning-rate 0.003 --workers 0"
    saving = "--evaluate-every 20 --save-every 5 --device cpu"
    return ("--model", str(model), *text.split(), *saving.split())


@pytest.fixture(scope="module")
def trained(
    source: Path, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What an undisturbed run has written."""
    out = tmp_path_factory.mktemp("trained") / "flags"
    answer = captionary("train", "clip", source, "--out", out, *options)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["step 20", "step 40"]
    assert "image_to_text_1 " in lines[0]
    assert lines[2] == f"40 steps done; use the model with --encoder local-dir:{out}"
    return out


def weights(folder: Path) -> bytes:
    return (folder / "open_clip_model.safetensors").read_bytes()


def losses(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_the_loss_falls_and_the_folder_is_an_encoder(trained: Path) -> None:
    encoder = ClipEncoder(f"local-dir:{trained}", device="cpu", templates="plain")

    assert losses(trained)[-1] < losses(trained)[0] - 0.1
    assert encoder.encode_texts(["red above blue"]).shape == (1, encoder.dim)


def test_the_model_segments(trained: Path, source: Path, tmp_path: Path) -> None:
    words = ("--classes", "red, green, blue", "--fusion", "text", "--device", "cpu")

    answer = captionary(
        "segment",
        source.parent / "0.png",
        *words,
        "--encoder",
        f"local-dir:{trained}",
        "--out",
        tmp_path,
    )

    assert answer.code == 0, answer.err


def test_the_same_command_again_changes_nothing(
    trained: Path, source: Path, options: tuple[str, ...]
) -> None:
    before = weights(trained), (trained / "log.csv").read_bytes()

    answer = captionary("train", "clip", source, "--out", trained, *options)

    assert answer.code == 0
    assert (weights(trained), (trained / "log.csv").read_bytes()) == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_cut_short_ends_in_the_same_weights(
    how: signal.Signals, trained: Path, source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "cut"
    command = ["train", "clip", str(source), "--out", str(out), *options]

    code, printed = cut_short(out, command, how)

    assert code == (-how if how == signal.SIGKILL else 130), printed
    if how != signal.SIGKILL:
        assert printed.endswith("interrupted; nothing is lost, run the same command again\n")
    answer = captionary(*command)

    assert answer.code == 0, answer.err
    assert weights(out) == weights(trained)
    assert losses(out) == losses(trained)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_run_loses_nothing(
    how: signal.Signals, source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    """Terminals, torchrun and job queues signal the readers of pictures too."""
    out = tmp_path / "cut"
    command = ["train", "clip", str(source), "--out", str(out), *options]

    code, printed = cut_short(
        out, [*command, "--workers", "1", "--steps", "4000"], how, everyone=True
    )

    assert code == 130, printed
    assert printed.endswith("interrupted; nothing is lost, run the same command again\n")
    assert "Traceback" not in printed


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flag_dataset(tmp_path_factory.mktemp("dataset") / "flags")


def test_miou_is_measured_meanwhile_as_evaluate_measures_it(
    trained: Path, source: Path, dataset: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    out, json_file = tmp_path / "out", tmp_path / "figures.json"
    answer = captionary("train", "clip", source, "--out", out, *options, "--evaluate", dataset)
    assert answer.code == 0, answer.err
    model = ("--encoder", f"local-dir:{out}", "--device", "cpu")
    captionary("evaluate", dataset, "--fusion", "text", "--json", json_file, *model)

    with (out / "log.csv").open() as file:
        logged = [row["miou"] for row in csv.DictReader(file)]
    miou = json.loads(json_file.read_text())["miou"]
    assert [bool(figure) for figure in logged] == [False, True, False, True]
    assert logged[-1] == f"{miou:.4f}"
    assert f"miou {miou:.3f}" in answer.out
    assert weights(out) == weights(trained)
    assert not (out / "measured").exists()


def test_what_is_wrong_with_the_dataset_is_told_before_the_training(
    source: Path, dataset: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(dataset, broken)
    Image.new("L", (40, 40), 9).save(broken / "masks" / "two.png")
    out = tmp_path / "out"

    for folder, complaint in ((broken, "two.png holds the value 9"), (tmp_path, "has no folder")):
        answer = captionary("train", "clip", source, "--out", out, *options, "--evaluate", folder)
        assert answer.code == 2
        assert answer.err.count("\n") == 1
        assert complaint in answer.err
    assert not out.exists()


def test_an_accumulated_run_that_was_killed_ends_in_the_same_weights(
    source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    commands = [
        ["train", "clip", str(source), "--out", str(out), *options, "--accumulate", "2"]
        for out in (whole, cut)
    ]
    cut_short(cut, commands[1], signal.SIGKILL)
    for command in commands:
        assert captionary(*command).code == 0

    assert weights(cut) == weights(whole)
    assert losses(cut) == losses(whole)


def test_a_world_is_drawn_and_learned(model: Path, tmp_path: Path) -> None:
    options = f"--model {model} --merges 50 --steps 4 --batch 4 --held-out 6 --workers 1"

    answer = captionary(
        "train",
        "clip",
        "--world",
        "pictograms",
        "--out",
        tmp_path / "a",
        *options.split(),
        "--device",
        "cpu",
    )

    assert answer.code == 0, answer.err
    assert "accuracy" in answer.out


def test_a_run_goes_on_from_the_weights_of_another(
    trained: Path, source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    rest = options[options.index("--steps") :]
    start = ("--weights", f"local-dir:{trained}", "--masked", "0.5")

    answer = captionary("train", "clip", source, "--out", tmp_path / "on", *start, *rest)

    assert answer.code == 0, answer.err
    assert losses(tmp_path / "on")[0] < losses(trained)[0] - 0.1
    assert weights(tmp_path / "on") != weights(trained)


def test_shards_are_learned_from_by_several_readers(
    source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    for number in range(2):
        files: dict[str, bytes] = {}
        for row in rows[number::2]:
            picture = source.parent / row["image"]
            files[picture.name] = picture.read_bytes()
            files[f"{picture.stem}.json"] = json.dumps({"caption": row["captions"][0]}).encode()
        write_shard(tmp_path / "shards" / f"{number:03}.tar", files)
    few = ("--steps", "3", "--held-out", "6", "--workers", "2")

    for name in ("shards/{000..001}.tar", "shards"):
        answer = captionary(
            "train", "clip", tmp_path / name, "--out", tmp_path / "out", *options, *few
        )
        assert answer.code == 0, answer.err
    assert losses(tmp_path / "out")


def test_no_held_out_pictures_no_figures(
    source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    answer = captionary(
        "train", "clip", source, "--out", tmp_path, *options, "--held-out", 0, "--steps", 3
    )

    assert answer.code == 0
    assert answer.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "either a SOURCE or --world"),
        (("SOURCE", "--world", "pictograms"), "either a SOURCE or --world"),
        (("--world", "moon"), "unknown world 'moon'"),
        (("missing.jsonl",), "missing.jsonl does not exist"),
        (("FOLDER",), "FOLDER"),
        (("SOURCE", "--held-out", "60"), "of which 60 are to be held out"),
        (("SOURCE", "--batch", "55"), "a batch of 55 is more than the 54 pictures"),
        (("SOURCE", "--model", "vit"), "unknown model 'vit'"),
        (("SOURCE", "--weights", "mini"), "leave out --merges"),
        (("SOURCE", "--device", "tpu"), "unknown device 'tpu'"),
        (("SOURCE", "--steps", "0"), "greater than or equal to 1"),
        (("SOURCE", "--accumulate", "3"), "a batch of 8 does not divide into 3 equal parts"),
        (("SOURCE", "--without", "contrast"), "clip has no part 'contrast' to do --without"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: tuple[str, ...],
    complaint: str,
    source: Path,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    named = {"SOURCE": str(source), "FOLDER": str(tmp_path)}
    complaint = complaint.replace("FOLDER", named["FOLDER"])

    answer = captionary(
        "train",
        "clip",
        "--out",
        tmp_path / "out",
        *options,
        *(named.get(argument, argument) for argument in arguments),
    )

    assert answer.code == 2
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert complaint in answer.err


def test_only_known_methods_are_trained(source: Path, tmp_path: Path) -> None:
    answer = captionary("train", "magic", source, "--out", tmp_path / "out")

    assert answer.code == 2
    assert answer.err.startswith("captionary: unknown method 'magic'; choose clip")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("--batch", "4"), "batch_size 8, not 4"),
        (("--accumulate", "2"), "accumulate 1, not 2"),
        (("--merges", "20"), "with model tiny"),
        (("--held-out", "10"), "with pictures 54 "),
    ],
)
def test_another_run_in_the_same_folder_is_refused(
    change: tuple[str, ...],
    complaint: str,
    trained: Path,
    source: Path,
    options: tuple[str, ...],
) -> None:
    before = {file.name: file.read_bytes() for file in trained.iterdir()}

    answer = captionary("train", "clip", source, "--out", trained, *options, *change)

    assert answer.code == 2
    assert complaint in answer.err
    assert {file.name: file.read_bytes() for file in trained.iterdir()} == before


def test_files_and_other_models_are_not_written_over(
    source: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "open_clip_config.json").write_text("{}")

    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "log.csv").write_text("step,mine\n1,2\n")

    for name, complaint in (
        ("file", "cannot write into"),
        ("model", "holds a model already"),
        ("log", "is no log of this training"),
    ):
        answer = captionary("train", "clip", source, "--out", tmp_path / name, *options)
        assert answer.code == 2
        assert complaint in answer.err
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "log" / "log.csv").read_text() == "step,mine\n1,2\n"
