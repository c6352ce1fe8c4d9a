"""Finding and loading SAM models: a folder that transformers has saved, or a name on the hub.

As with CLIP, what a user can get wrong is found here and reported in one line. A name on the hub
becomes a folder of the hub's cache, so that both are loaded the same way. transformers is optional,
and is imported only where it is used.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.errors import GatedRepoError

from captionary.schemas.errors import MissingExtra, WrongInput, one_line
from captionary.vision.clip.digest import update_with_weights, without_keys
from captionary.vision.clip.files import HUB_TIMEOUT_S

MODEL_TYPES = ("sam", "sam2", "sam2_video", "sam3_tracker", "sam3_video")
"""Values of `model_type` in config.json: models that take points, and video models around one."""

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
ORIGIN_KEYS = ("_name_or_path", "transformers_version")
"""Entries of a configuration that only say by whom and where it was saved."""


@dataclass(frozen=True, slots=True)
class SamFiles:
    """A folder with a SAM's configuration, weights and preprocessing, all present.

    config: the content of config.json.
    """

    folder: Path
    config: Mapping[str, Any]


def find_sam(name: str) -> SamFiles:
    """Find a model's files, downloading those that are not yet in the hub's cache.

    Args:
        name: a folder, or OWNER/NAME on the hub.

    Raises:
        WrongInput: there is no such folder, it is not a SAM, or the download failed.
        MissingExtra: transformers is not installed.
    """
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtra("the proposer sam needs: pip install 'captionary[sam]'")
    folder = Path(name)
    if not folder.is_dir():
        if not HUB_NAME.fullmatch(name):
            raise WrongInput(f"the folder of SAM {name} does not exist; check the path")
        folder = _download(name)
    config = _read_config(folder)
    if not (folder / WEIGHTS_FILE).is_file():
        raise WrongInput(f"{folder} has no weights ({WEIGHTS_FILE}); copy the folder again")
    if not any((folder / file).is_file() for file in PROCESSOR_FILES):
        raise WrongInput(
            f"{folder} has no {' or '.join(PROCESSOR_FILES)}; save the model's processor there too"
        )
    return SamFiles(folder, config)


def _read_config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except FileNotFoundError as error:
        raise WrongInput(
            f"{folder} has no {CONFIG_FILE}; give a folder where transformers has saved a SAM"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInput(
            f"{path} is not a model configuration ({one_line(error)}); copy the folder again"
        ) from error
    if kind not in MODEL_TYPES:
        raise WrongInput(
            f"{path} describes a {kind!r}, which is no SAM that takes points; "
            f"choose one of {', '.join(MODEL_TYPES)}"
        )
    typed: Mapping[str, Any] = config
    return typed


def _download(name: str) -> Path:
    """Return the model's folder in the cache, downloading it when the weights are not there."""
    cached = huggingface_hub.try_to_load_from_cache(name, WEIGHTS_FILE)
    if isinstance(cached, str):
        folder = Path(cached).parent
        if (folder / CONFIG_FILE).exists() and any((folder / f).exists() for f in PROCESSOR_FILES):
            return folder
    try:
        # One quick request first: the download itself retries for most of a minute.
        huggingface_hub.HfApi().model_info(name, timeout=HUB_TIMEOUT_S)
        return Path(
            huggingface_hub.snapshot_download(name, allow_patterns=["*.json", WEIGHTS_FILE])
        )
    except GatedRepoError as error:
        raise WrongInput(
            f"the SAM {name} is handed out to those who accept its licence; "
            "do so on its page at the hub, then run: hf auth login"
        ) from error
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise WrongInput(
            f"the SAM {name} is no folder, nor can it be downloaded ({one_line(error)}); "
            "check the path and the network"
        ) from error


def load_sam(files: SamFiles, device: torch.device) -> tuple[Any, Any]:
    """Build the model with its weights, in float32, ready to run, and its image processor.

    Raises:
        WrongInput: the files are damaged, or do not fit each other.
    """
    from transformers import AutoImageProcessor, AutoModelForMaskGeneration

    try:
        with _silence_transformers():
            processor = AutoImageProcessor.from_pretrained(files.folder, local_files_only=True)
            model, report = AutoModelForMaskGeneration.from_pretrained(
                files.folder, dtype=torch.float32, output_loading_info=True, local_files_only=True
            )
    except Exception as error:  # damaged files fail in many ways: safetensors, checks of config
        raise WrongInput(
            f"the SAM {files.folder} cannot be loaded ({one_line(error)}); "
            "copy or download it again"
        ) from error
    # transformers would go on with random weights in place of those that the file lacks.
    if missing := sorted(report["missing_keys"]):
        raise WrongInput(
            f"{files.folder / WEIGHTS_FILE} lacks {len(missing)} of the model's weights, "
            f"{missing[0]} for one; copy or download it again"
        )
    return model.eval().requires_grad_(False).to(device), processor


@contextmanager
def _silence_transformers() -> Iterator[None]:
    """Keep transformers from printing progress bars and reports: what matters is raised."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def sam_digest(model: torch.nn.Module, processor: Any, files: SamFiles) -> str:
    """Digest of configuration, preprocessing and every weight: independent of names.

    Returns:
        12 hexadecimal digits.
    """
    facts = [
        without_keys(files.config, ORIGIN_KEYS),
        without_keys(json.loads(processor.to_json_string()), ORIGIN_KEYS),
    ]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    update_with_weights(digest, model)
    return digest.hexdigest()[:12]
