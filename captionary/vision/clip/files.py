"""Finding and loading CLIP models: MODEL/TAG of open_clip, `local-dir:FOLDER`, or a bundled name.

Everything that a user can get wrong is found before open_clip is called, because its own errors
come as log lines, several retries and long tracebacks.
"""

import difflib
import importlib.util
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import huggingface_hub
import open_clip
from open_clip.pretrained import download_pretrained, get_pretrained_cfg

from captionary.schemas.errors import MissingExtra, WrongInput, one_line
from captionary.vision.clip.catalogue import BUNDLED, GROUPING_MODELS, all_model_names
from captionary.vision.clip.texts import TEMPLATES
from captionary.vision.grouping.cluster_head import ClusterHead, VilsegConfig
from captionary.vision.grouping.config import (
    GROUPING_KEY,
    GROUPING_METHODS,
    HEAD_FILE,
    GroupingConfig,
    load_head,
    load_pgseg,
    method_name,
    parse_grouping,
)
from captionary.vision.grouping.pgseg_stage import PgsegConfig

LOCAL_DIR = "local-dir:"
CONFIG_FILE = "open_clip_config.json"
TEMPLATES_KEY = "captionary_templates"
"""Key in a model's configuration file: the only sentence templates that it is to be used with."""
EMBED_KEY = "captionary_embed"
"""Key there: how regions are to be embedded, where a user does not say."""
LOOKS_KEY = "captionary_looks"
"""Key there: which look model goes with it, where a user does not say (vision.looks.plan)."""
WEIGHT_PATTERNS = ("*.safetensors", "*.bin", "*.pth")
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
HUB_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """Where a model's files are, all present, and what its folder says about its use.

    name:       of its architecture, as open_clip takes it.
    weights:    path of the weights; None where open_clip finds them by the name itself.
    config:     the architecture's configuration.
    preprocess: overrides of open_clip's preprocessing (mean, std, ...).
    merges:     the file of the byte-pair vocabulary, where the model has one of its own.
    templates:  the only sentence templates to use it with, where the folder names any.
    default_embedding: how regions are best embedded by it, where the folder says so.
    default_looks: the look model that goes with it, where the folder says so.
    grouping:   how it groups patches, where it has learned to.
    folder:     where it is; None: open_clip finds it.
    """

    name: str
    weights: str | None
    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    quick_gelu: bool = False
    merges: Path | None = None
    templates: str | None = None
    default_embedding: str | None = None
    default_looks: str | None = None
    grouping: GroupingConfig | None = None
    folder: Path | None = None

    @property
    def default_proposer(self) -> str | None:
        """The proposer of its learned groups, with the folder's full path; None: it has none."""
        if self.grouping is None or self.folder is None:
            return None
        folder = self.folder.resolve()
        # A bundled model goes by its name: a store may be opened on another machine.
        bundled = (name for name in GROUPING_MODELS if BUNDLED[name].resolve() == folder)
        return next(bundled, f"{method_name(self.grouping)}:{folder}")


def find_clip(name: str) -> ClipFiles:
    """Find a model's files, downloading weights that are not yet in the hub's cache.

    Raises:
        WrongInput: the name is unknown, the folder is not a model, or the download failed.
        MissingExtra: its tokenizer needs a package that is not installed.
    """
    if name in BUNDLED:
        return _read_folder(BUNDLED[name])
    if name.startswith(LOCAL_DIR):
        return _read_folder(Path(name.removeprefix(LOCAL_DIR)))
    method, colon, folder = name.partition(":")
    if colon and method in GROUPING_METHODS:
        files = _read_folder(Path(folder))
        if files.grouping is None or method_name(files.grouping) != method:
            raise WrongInput(
                f"{folder} is no model of {method}; train one with 'captionary train {method}'"
            )
        return files
    model, _, tag = name.rpartition("/")
    model = model.replace("/", "-")
    preprocess = get_pretrained_cfg(model, tag)
    config = open_clip.get_model_config(model) if preprocess else None
    if not config:
        raise WrongInput(_describe_unknown(name))
    _require_tokenizer(name, config, siglip="siglip" in model.lower())
    weights = _download_weights(name, preprocess)
    return ClipFiles(model, weights, config, preprocess, bool(preprocess.get("quick_gelu")))


def _describe_unknown(name: str) -> str:
    # Compared without case and punctuation, as people remember names.
    names = {_normalise(known): known for known in [*BUNDLED, *all_model_names()]}
    near = difflib.get_close_matches(_normalise(name), names, n=4, cutoff=0.5)
    hint = f"; near it: {', '.join(names[letters] for letters in near)}" if near else ""
    return f"unknown encoder {name!r}{hint}; 'captionary models' lists all MODEL/TAG names"


def _normalise(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _read_folder(folder: Path) -> ClipFiles:
    if not folder.is_dir():
        raise WrongInput(f"the encoder folder {folder} does not exist; check the path")
    files = _read_configuration(folder)
    if files.templates is not None and files.templates not in list(TEMPLATES):
        raise WrongInput(
            f"{folder / CONFIG_FILE} names unknown {TEMPLATES_KEY} {files.templates!r}; "
            f"choose one of {', '.join(TEMPLATES)}"
        )
    if not any(next(folder.glob(pattern), None) for pattern in WEIGHT_PATTERNS):
        raise WrongInput(
            f"{folder} has no weights ({', '.join(WEIGHT_PATTERNS)}); copy the folder again"
        )
    _require_tokenizer(str(folder), files.config, siglip=False)
    return replace(files, merges=_find_merges(folder, files.config))


def _read_configuration(folder: Path) -> ClipFiles:
    path = folder / CONFIG_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        config, own = content["model_cfg"], content.get("preprocess_cfg", {})
        grouping = parse_grouping(content[GROUPING_KEY]) if GROUPING_KEY in content else None
        return ClipFiles(
            name=f"{LOCAL_DIR}{folder}",
            weights=None,
            config=config,
            # open_clip reads the preprocessing of a folder itself, unless the model is built here.
            preprocess=own if isinstance(grouping, PgsegConfig) else {},
            templates=content.get(TEMPLATES_KEY),
            default_embedding=content.get(EMBED_KEY) and str(content[EMBED_KEY]),
            default_looks=content.get(LOOKS_KEY) and str(content[LOOKS_KEY]),
            grouping=grouping,
            folder=folder,
        )
    except FileNotFoundError as error:
        raise WrongInput(
            f"{folder} has no {CONFIG_FILE}; give a folder in open_clip's local-dir layout"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInput(
            f"{path} is not a model configuration ({one_line(error)}); copy the folder again"
        ) from error


def _find_merges(folder: Path, config: Mapping[str, Any]) -> Path | None:
    """Find the vocabulary that a configuration names, by a path that is relative to its folder."""
    named = (config.get("text_cfg", {}).get("tokenizer_kwargs") or {}).get("bpe_path")
    path = None if named is None else folder / str(named)
    if path is not None and not path.is_file():
        raise WrongInput(f"{folder} has no vocabulary {named}; copy the folder again")
    return path


def _require_tokenizer(name: str, config: Mapping[str, Any], *, siglip: bool) -> None:
    text = config.get("text_cfg", {})
    # Only these tokenizers come from transformers, which is an extra.
    foreign = siglip or text.get("hf_tokenizer_name") or text.get("hf_model_name")
    if foreign and importlib.util.find_spec("transformers") is None:
        raise MissingExtra(f"the encoder {name} needs: pip install transformers")


def _download_weights(name: str, preprocess: Mapping[str, Any]) -> str:
    """Return the path of the weights in the cache, downloading them when they are not there."""
    repository, _, file = str(preprocess["hf_hub"]).rpartition("/")
    wanted = (str(PurePosixPath(file).with_suffix(".safetensors")), file) if file else HUB_WEIGHTS
    for candidate in wanted:
        cached = huggingface_hub.try_to_load_from_cache(repository, candidate)
        if isinstance(cached, str):
            return cached
    try:
        # One quick request first: the download itself retries for most of a minute.
        huggingface_hub.HfApi().model_info(repository, timeout=HUB_TIMEOUT_S)
        return str(download_pretrained(preprocess))
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise WrongInput(
            f"cannot download {wanted[0]} of {repository} for the encoder {name} "
            f"({one_line(error)}); check the network, or work offline with local-dir:FOLDER"
        ) from error


def load_clip(files: ClipFiles) -> Any:
    """Build the model with its weights, in float32 on the CPU, ready to run.

    Raises:
        WrongInput: the weights are damaged, or do not fit the configuration.
    """
    try:
        if files.folder is not None and isinstance(files.grouping, PgsegConfig):
            model = load_pgseg(files.folder, files.config, files.preprocess, files.grouping)
        else:
            model = open_clip.create_model(
                files.name,
                pretrained=files.weights,
                force_quick_gelu=files.quick_gelu,
                force_preprocess_cfg=dict(files.preprocess),
                require_pretrained=True,
            )
    except Exception as error:  # damaged files fail in many ways: safetensors, pickle, torch
        raise WrongInput(
            f"the encoder {files.name} cannot be loaded ({one_line(error)}); "
            "copy or download it again"
        ) from error
    return model.eval().requires_grad_(False)


def load_cluster_head(files: ClipFiles) -> ClusterHead | None:
    """Load the cluster head of a ViL-Seg model; None: the model is no such.

    Raises:
        WrongInput: it is missing or damaged.
    """
    if files.folder is None or not isinstance(files.grouping, VilsegConfig):
        return None
    try:
        head = load_head(files.folder, files.config["vision_cfg"]["width"], files.grouping)
    except Exception as error:  # as above
        raise WrongInput(
            f"cannot read {files.folder / HEAD_FILE} ({one_line(error)}); copy the folder again"
        ) from error
    return head.eval().requires_grad_(False)


def load_tokenizer(files: ClipFiles) -> Any:
    """Load the model's tokenizer: N sentences to (N, context length) int64.

    Raises:
        WrongInput: its vocabulary is damaged, or of another model.
    """
    if files.merges is None:
        return open_clip.get_tokenizer(files.name)
    try:
        tokenizer = open_clip.get_tokenizer(files.name, bpe_path=str(files.merges))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise WrongInput(
            f"cannot read the vocabulary {files.merges} ({one_line(error)}); copy the folder again"
        ) from error
    # A vocabulary of another model would give numbers that mean other words, or none at all.
    known = int(files.config["text_cfg"].get("vocab_size", 0))
    if tokenizer.eot_token_id + 1 != known:
        raise WrongInput(
            f"the vocabulary {files.merges} has {tokenizer.eot_token_id + 1} symbols but the model "
            f"knows {known}; copy the folder again"
        )
    return tokenizer
