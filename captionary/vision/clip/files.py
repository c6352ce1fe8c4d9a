"""Finding and loading CLIP models: MODEL/TAG of open_clip, `local-dir:FOLDER`, or a bundled name.

Everything that a user can get wrong is found before open_clip is asked, because its own complaints
come as log lines, several retries and long tracebacks.
"""

import difflib
import hashlib
import importlib.util
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import huggingface_hub
import open_clip
import torch
from open_clip.pretrained import download_pretrained, get_pretrained_cfg

from captionary.schemas.errors import MissingExtra, WrongInput, one_line
from captionary.vision.clip.catalogue import BUNDLED, LEARNED, all_model_names
from captionary.vision.clip.texts import TEMPLATES
from captionary.vision.grouping.config import (
    HEAD_FILE,
    LEARNED_KEY,
    METHODS,
    Learned,
    load_head,
    load_pgseg,
    method_of,
    read_learned,
)
from captionary.vision.grouping.stage import Grouping
from captionary.vision.grouping.vilseg import ClusterHead, Clustering

LOCAL_DIR = "local-dir:"
CONFIG_FILE = "open_clip_config.json"
TEMPLATES_KEY = "captionary_templates"
"""Names, in a model's configuration file, the sentences that it is to be asked in."""
EMBED_KEY = "captionary_embed"
"""Names there how regions are to be embedded, where a user does not say."""
WEIGHT_PATTERNS = ("*.safetensors", "*.bin", "*.pth")
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
HUB_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """Where a model's parts are, all present.

    name:       how open_clip names its architecture.
    weights:    path of the weights; None where open_clip finds them by the name itself.
    config:     the architecture's configuration.
    preprocess: overrides of open_clip's preprocessing (mean, std, ...).
    merges:     the byte-pair vocabulary, where it is one of the model's own.
    templates:  the sentences that a name is put in for it, where the folder says so.
    embed:      how regions are best embedded by it, where the folder says so.
    learned:    how it groups by itself, where it has learned to.
    folder:     where it stands, if it is not open_clip that finds it.
    """

    name: str
    weights: str | None
    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    quick_gelu: bool = False
    merges: Path | None = None
    templates: str | None = None
    embed: str | None = None
    learned: Learned | None = None
    folder: Path | None = None

    @property
    def groups(self) -> str | None:
        """The proposer of its groups, by the folder's full path; None: it has learned none."""
        if self.learned is None or self.folder is None:
            return None
        folder = self.folder.resolve()
        bundled = (name for name in LEARNED if BUNDLED[name].resolve() == folder)
        return next(bundled, f"{method_of(self.learned)}:{folder}")


def find_clip(name: str) -> ClipFiles:
    """Find a model's files, downloading weights that are not yet in the hub's cache.

    Raises:
        WrongInput: the name is unknown, the folder is not a model, or the download failed.
        MissingExtra: its tokenizer needs a package that is not installed.
    """
    if name in BUNDLED:
        return _in_folder(BUNDLED[name])
    if name.startswith(LOCAL_DIR):
        return _in_folder(Path(name.removeprefix(LOCAL_DIR)))
    method, colon, folder = name.partition(":")
    if colon and method in METHODS:
        files = _in_folder(Path(folder))
        if files.learned is None or method_of(files.learned) != method:
            raise WrongInput(
                f"{folder} is no model of {method}; train one with 'captionary train {method}'"
            )
        return files
    model, _, tag = name.rpartition("/")
    model = model.replace("/", "-")
    preprocess = get_pretrained_cfg(model, tag)
    config = open_clip.get_model_config(model) if preprocess else None
    if not config:
        raise WrongInput(_unknown(name))
    _need_tokenizer(name, config, siglip="siglip" in model.lower())
    weights = _from_hub(name, preprocess)
    return ClipFiles(model, weights, config, preprocess, bool(preprocess.get("quick_gelu")))


def _unknown(name: str) -> str:
    names = {_letters(known): known for known in [*BUNDLED, *all_model_names()]}
    near = difflib.get_close_matches(_letters(name), names, n=4, cutoff=0.5)
    hint = f"; near it: {', '.join(names[letters] for letters in near)}" if near else ""
    return f"unknown encoder {name!r}{hint}; 'captionary models' lists all MODEL/TAG names"


def _letters(name: str) -> str:
    """A name as people compare them: without case and punctuation."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _in_folder(folder: Path) -> ClipFiles:
    if not folder.is_dir():
        raise WrongInput(f"the encoder folder {folder} does not exist; check the path")
    path = folder / CONFIG_FILE
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        config, templates = written["model_cfg"], written.get(TEMPLATES_KEY)
        embed = written.get(EMBED_KEY) and str(written[EMBED_KEY])
        learned = read_learned(written[LEARNED_KEY]) if LEARNED_KEY in written else None
    except FileNotFoundError as error:
        raise WrongInput(
            f"{folder} has no {CONFIG_FILE}; give a folder in open_clip's local-dir layout"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInput(
            f"{path} is not a model configuration ({one_line(error)}); copy the folder again"
        ) from error
    if templates is not None and templates not in list(TEMPLATES):
        raise WrongInput(
            f"{path} names unknown {TEMPLATES_KEY} {templates!r}; "
            f"choose one of {', '.join(TEMPLATES)}"
        )
    if not any(next(folder.glob(pattern), None) for pattern in WEIGHT_PATTERNS):
        raise WrongInput(
            f"{folder} has no weights ({', '.join(WEIGHT_PATTERNS)}); copy the folder again"
        )
    _need_tokenizer(str(folder), config, siglip=False)
    return ClipFiles(
        f"{LOCAL_DIR}{folder}",
        None,
        config,
        written.get("preprocess_cfg", {}) if isinstance(learned, Grouping) else {},
        merges=_merges(folder, config),
        templates=templates,
        embed=embed,
        learned=learned,
        folder=folder,
    )


def _merges(folder: Path, config: Mapping[str, Any]) -> Path | None:
    """The vocabulary that a configuration names, by a path that is relative to its folder."""
    named = (config.get("text_cfg", {}).get("tokenizer_kwargs") or {}).get("bpe_path")
    path = None if named is None else folder / str(named)
    if path is not None and not path.is_file():
        raise WrongInput(f"{folder} has no vocabulary {named}; copy the folder again")
    return path


def _need_tokenizer(name: str, config: Mapping[str, Any], *, siglip: bool) -> None:
    text = config.get("text_cfg", {})
    foreign = siglip or text.get("hf_tokenizer_name") or text.get("hf_model_name")
    if foreign and importlib.util.find_spec("transformers") is None:
        raise MissingExtra(f"the encoder {name} needs: pip install transformers")


def _from_hub(name: str, preprocess: Mapping[str, Any]) -> str:
    """Path of the weights in the cache; asks the hub only when they are not there."""
    repository, _, file = str(preprocess["hf_hub"]).rpartition("/")
    wanted = (str(PurePosixPath(file).with_suffix(".safetensors")), file) if file else HUB_WEIGHTS
    for candidate in wanted:
        cached = huggingface_hub.try_to_load_from_cache(repository, candidate)
        if isinstance(cached, str):
            return cached
    try:
        # One quick question first: the download itself retries for most of a minute.
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
        if files.folder is not None and isinstance(files.learned, Grouping):
            model = load_pgseg(files.folder, files.config, files.preprocess, files.learned)
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
    """The clustering head that stands beside a model of ViL-Seg; None: the model is of no such.

    Raises:
        WrongInput: it is missing or damaged.
    """
    if files.folder is None or not isinstance(files.learned, Clustering):
        return None
    try:
        head = load_head(files.folder, files.config["vision_cfg"]["width"], files.learned)
    except Exception as error:  # as above
        raise WrongInput(
            f"cannot read {files.folder / HEAD_FILE} ({one_line(error)}); copy the folder again"
        ) from error
    return head.eval().requires_grad_(False)


def load_tokenizer(files: ClipFiles) -> Any:
    """The model's tokenizer: N sentences to (N, context length) int64.

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
    known = int(files.config["text_cfg"].get("vocab_size", 0))
    if tokenizer.eot_token_id + 1 != known:
        raise WrongInput(
            f"the vocabulary {files.merges} has {tokenizer.eot_token_id + 1} symbols but the model "
            f"knows {known}; copy the folder again"
        )
    return tokenizer


def clip_digest(model: torch.nn.Module, files: ClipFiles, head: ClusterHead | None = None) -> str:
    """Digest of configuration, preprocessing, vocabulary and every weight: independent of names.

    Args:
        model, files: as found and loaded.
        head:         the clustering head beside them, where its clusters are asked, too.

    Returns:
        12 hexadecimal digits.
    """
    facts: dict[str, Any] = {"config": _own(files.config), "quick_gelu": files.quick_gelu}
    if files.learned is not None:
        facts["learned"] = asdict(files.learned)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    if files.merges is not None:
        digest.update(files.merges.read_bytes())
    cfg = open_clip.get_model_preprocess_cfg(model)
    digest.update(repr((cfg["mean"], cfg["std"], cfg["size"])).encode())
    add_weights(digest, model)
    if head is not None:
        add_weights(digest, head)
    return digest.hexdigest()[:12]


def add_weights(digest: "hashlib._Hash", model: torch.nn.Module) -> None:
    """Feed every weight and buffer of a model to a digest, by name."""
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what only says where first weights came from."""
    start = ("timm_model_pretrained", "hf_model_pretrained")
    return {
        key: _own(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in start
    }
