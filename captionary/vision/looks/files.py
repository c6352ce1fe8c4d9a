"""Finding and loading vision models of timm: a name, downloaded once, or `local-dir:FOLDER`."""

import difflib
import json
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
from timm.models import get_pretrained_cfg

from captionary.schemas.errors import WrongInput, one_line
from captionary.vision.clip.catalogue import BUNDLED_LOOKS
from captionary.vision.clip.files import HUB_TIMEOUT_S, LOCAL_DIR

CONFIG_FILE = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
HUB = "hf-hub:"


def load_vision_model(name: str) -> Any:
    """Build a model with its weights, without its classifier, in float32 on the CPU.

    Args:
        name: of a bundled model, of timm (`vit_small_patch14_dinov2.lvd142m`), `hf-hub:OWNER/NAME`,
            or `local-dir:FOLDER` in timm's layout.

    Raises:
        WrongInput: there is no such model, or it cannot be downloaded or loaded.
    """
    if name in BUNDLED_LOOKS:
        name = f"{LOCAL_DIR}{BUNDLED_LOOKS[name]}"
    elif name.startswith(LOCAL_DIR):
        _check_folder(Path(name.removeprefix(LOCAL_DIR)))
    else:
        _check_weights(name)
    try:
        model = _create(name)
    except Exception as error:  # damaged files fail in many ways: safetensors, pickle, torch
        raise WrongInput(
            f"the look model {name} cannot be loaded ({one_line(error)}); copy or download it again"
        ) from error
    return model.eval().requires_grad_(False)


def _create(name: str) -> Any:
    # No classifier: of the last map's channels none is thrown away by it, and it is never run.
    create = partial(timm.create_model, name, pretrained=True, num_classes=0)
    try:
        # Transformers take pictures of any size only when they are told to.
        return create(dynamic_img_size=True)
    except TypeError:
        return create()


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise WrongInput(f"the folder of looks {folder} does not exist; check the path")
    try:
        architecture = str(json.loads((folder / CONFIG_FILE).read_bytes())["architecture"])
    except FileNotFoundError as error:
        raise WrongInput(
            f"{folder} has no {CONFIG_FILE}; give a folder in timm's layout"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInput(
            f"{folder / CONFIG_FILE} is not the configuration of a model of timm "
            f"({one_line(error)}); copy the folder again"
        ) from error
    if not timm.is_model(architecture):
        raise WrongInput(f"{folder / CONFIG_FILE} names {architecture!r}, which timm has not")
    if not any((folder / file).is_file() for file in WEIGHTS):
        raise WrongInput(f"{folder} has no weights ({WEIGHTS[0]}); copy the folder again")


def _check_weights(name: str) -> None:
    """Find out whether a model can be had, before timm says so in a long way."""
    if name.startswith(HUB):
        repository = name.removeprefix(HUB)
    else:
        known = timm.is_model(name) and get_pretrained_cfg(name)
        if not known or not known.has_weights:
            near = difflib.get_close_matches(name, timm.list_pretrained(), n=3, cutoff=0.4)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise WrongInput(
                f"unknown look model {name!r}{hint}; 'captionary models' names some, and "
                "'none' does without"
            )
        repository = str(known.hf_hub_id)
    if any(
        isinstance(huggingface_hub.try_to_load_from_cache(repository, file), str)
        for file in WEIGHTS
    ):
        return
    try:
        # One quick request: the download itself retries for most of a minute.
        huggingface_hub.HfApi().model_info(repository, timeout=HUB_TIMEOUT_S)
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise WrongInput(
            f"cannot download {repository} for --looks {name} ({one_line(error)}); check the "
            "network, work offline with local-dir:FOLDER, or do without: --looks none"
        ) from error
