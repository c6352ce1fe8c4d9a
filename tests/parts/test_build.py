"""What is read once from names and stores, and which part needs which other."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from captionary.build import ModelNames, Parts
from captionary.indexer.readers import read_pairs
from captionary.schemas.errors import CaptionaryError, FingerprintMismatch, WrongInput
from captionary.vision.clip.catalogue import BUNDLED, DEFAULT_LOOKS
from captionary.vision.embedding.views import DEFAULT, parse_embedding
from captionary.vision.looks.plan import parse_looks
from captionary.vision.pictures.loading import load_picture
from captionary.vision.plan import Plan
from captionary.vision.proposers.plan import ProposerPart, ProposerPlan


def test_a_store_remembers_folders_by_their_full_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()

    def stored_name(*names: str) -> str:
        return str(ProposerPlan(tuple(map(ProposerPart, names))))

    assert stored_name("masks:here") == f"masks:{tmp_path / 'here'}"
    assert stored_name("sam:here") == f"sam:{tmp_path / 'here'}"
    assert stored_name("sam:facebook/sam2.1-hiera-tiny") == "sam:facebook/sam2.1-hiera-tiny"
    assert stored_name("superpixels") == "superpixels"
    assert stored_name("clusters", "masks:here") == f"clusters+masks:{tmp_path / 'here'}"


def model_folder(folder: Path, embed: object) -> str:
    """The bundled model as a folder that names an embedding."""
    copy = shutil.copytree(BUNDLED["mini"], folder)
    config = copy / "open_clip_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "captionary_embed": embed}))
    return f"local-dir:{copy}"


@pytest.mark.parametrize(
    ("named", "by_the_model", "expected"),
    [
        (None, None, DEFAULT),
        (None, "dense:sclip", "dense:sclip"),
        ("tokens", "dense:sclip", "tokens"),
    ],
)
def test_the_embedding_is_named_by_the_user_or_the_model(
    tmp_path: Path, named: str | None, by_the_model: str | None, expected: str
) -> None:
    names = ModelNames(model_folder(tmp_path / "copy", by_the_model), embed=named, device="cpu")
    parts = Parts(None, names)
    plan = parts.plan.completed(parts.encoder)
    assert plan.names["embed"] == expected
    assert Plan.parse(stored=plan.names) == plan
    embedding = parse_embedding(expected)
    maps = embedding.feature_maps(parts.encoder)
    assert (
        parts.extractor.embedder.fingerprint == embedding.embedder(parts.encoder, maps).fingerprint
    )
    assert parts.extractor.proposer.fingerprint.startswith("superpixels-")
    assert "+clusters-" in parts.extractor.proposer.fingerprint


@pytest.mark.parametrize("embed", ["patches", 8])
def test_a_model_that_names_an_unknown_embedding(tmp_path: Path, embed: object) -> None:
    names = ModelNames(model_folder(tmp_path / "copy", embed), device="cpu")
    with pytest.raises(
        WrongInput, match=f"in the configuration of .*copy: unknown way to embed '{embed}'"
    ):
        _ = Parts(None, names).extractor


def test_wrong_names_are_refused_before_a_model_is_loaded() -> None:
    for names in (ModelNames(embed="patches"), ModelNames(proposer="slices")):
        with pytest.raises(WrongInput, match="unknown"):
            _ = (parts := Parts(None, names)).extractor
        assert "encoder" not in parts.built


def test_a_refresher_needs_the_encoder_alone(scenes: Path, tmp_path: Path) -> None:
    """Whatever regions were cut and embedded by; another encoder is known by its fingerprint."""
    store = str(tmp_path / "store")
    names = ModelNames("mini", "superpixels", "tokens+dense", precision="float32", device="cpu")
    pairs = islice(read_pairs(str(scenes / "captions.jsonl")), 2)
    with closing(Parts(store, names)) as parts:
        assert parts.indexer.index(pairs).added == 2
    with closing(Parts(store)) as parts:
        _ = parts.refresher
        assert "extractor" not in parts.built
    with closing(Parts(store, ModelNames(precision="bfloat16", device="cpu"))) as parts:
        with pytest.raises(FingerprintMismatch, match="the store was built with"):
            _ = parts.refresher
        with pytest.raises(FingerprintMismatch, match="the store was built with"):
            _ = parts.segmenter


def test_looks_are_stored_and_taken_up_again(scenes: Path, tmp_path: Path) -> None:
    store, looks = str(tmp_path / "store"), "look-lite0:64"
    names = ModelNames("mini", "superpixels", "crop", looks, device="cpu")
    pairs = list(islice(read_pairs(str(scenes / "captions.jsonl")), 2))
    with closing(Parts(store, names)) as parts:
        assert parts.indexer.index(pairs).added == 2
        assert parts.stored.models["looks"] == looks
        assert parts.stored.look_dim == 1280
    with closing(Parts(store)) as parts:
        assert parts.indexer.index(pairs).known == 2
        pictures = list(parts.stored.pictures())
        table = parts.stored.region_tables(pictures)[0]
        again = parts.extractor.extract(load_picture(pictures[0].image)).table
        assert table.look_vectors is not None
        assert np.array_equal(again.looks, table.looks)
    for other in ("none", "look-lite0:96"):
        parts = Parts(store, ModelNames(looks=other))
        with closing(parts), pytest.raises(FingerprintMismatch):
            _ = parts.segmenter


def test_which_looks_where_nobody_names_any() -> None:
    assert Plan.parse().looks is None
    assert Plan.parse(stored={"encoder": "mini"}).looks == parse_looks("none")  # an older store
    with closing(Parts(None, ModelNames("mini", device="cpu"))) as parts:
        assert str(parts.plan.completed(parts.encoder).looks) == DEFAULT_LOOKS
    with closing(Parts(None, ModelNames("pgseg-mini", device="cpu"))) as parts:
        assert str(parts.plan.completed(parts.encoder).looks) == "none"
        parts.encoder.from_folder = False  # as one that open_clip has found by its name
        assert str(parts.plan.completed(parts.encoder).looks) == DEFAULT_LOOKS
        parts.encoder.default_looks = "look-lite0@2"
        assert str(parts.plan.completed(parts.encoder).looks) == "look-lite0@2"


def test_what_is_removed_needs_no_files_of_the_proposer(scenes: Path, tmp_path: Path) -> None:
    store, masks = str(tmp_path / "store"), shutil.copytree(scenes / "masks", tmp_path / "masks")
    pairs = islice(read_pairs(str(scenes / "captions.jsonl")), 2)
    with closing(Parts(store, ModelNames("mini", f"masks:{masks}", device="cpu"))) as parts:
        assert parts.indexer.index(pairs).added == 2
    shutil.rmtree(masks)
    with closing(Parts(store)) as parts:
        parts.stored.retire([next(parts.stored.pictures()).id])
        assert parts.refresher.refresh()
        with pytest.raises(WrongInput, match="masks"):
            _ = parts.segmenter


def test_threads_build_each_part_once(scenes: Path, tmp_path: Path) -> None:
    """From either end of what the parts need of each other, at the same time."""
    pairs = list(islice(read_pairs(str(scenes / "captions.jsonl")), 2))
    store, names = str(tmp_path / "store"), ModelNames("mini", device="cpu")
    with closing(Parts(store, names)) as parts:
        parts.indexer.index(pairs)
    wanted = ["refresher", "segmenter", "encoder", "retriever"] * 2
    with closing(Parts(store, names)) as parts, ThreadPoolExecutor(len(wanted)) as pool:
        built = [pool.submit(getattr, parts, name) for name in wanted]
        ids = [id(future.result(timeout=60)) for future in built]
        assert ids[:4] == ids[4:]


def test_a_refused_indexer_leaves_the_dictionary_readable(scenes: Path, tmp_path: Path) -> None:
    pairs = list(islice(read_pairs(str(scenes / "captions.jsonl")), 2))
    store = str(tmp_path / "store")
    with closing(Parts(store, ModelNames("mini", "superpixels", device="cpu"))) as parts:
        parts.indexer.index(pairs)
    with closing(Parts(store, ModelNames("mini", "clusters", device="cpu"))) as parts:
        for _ in range(2):
            assert parts.stored.stats().images == 2
            with pytest.raises(FingerprintMismatch, match="the store was built with"):
                _ = parts.indexer


def test_vectors_of_texts_are_kept_where_the_user_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAPTIONARY_CACHE", str(tmp_path / "cache"))
    vectors = []
    for _ in range(2):
        with closing(Parts(None, ModelNames("mini", device="cpu"))) as parts:
            vectors.append(parts.encoder.encode_texts(["dog", "cat"]))
            assert [path.name for path in (tmp_path / "cache").iterdir()] == ["texts.sqlite"]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    monkeypatch.setenv("CAPTIONARY_CACHE", "off")
    with closing(Parts(None, ModelNames("mini", device="cpu"))) as parts:
        np.testing.assert_array_equal(parts.encoder.encode_texts(["dog", "cat"]), vectors[0])


def test_what_is_closed_says_so(tmp_path: Path) -> None:
    parts = Parts(str(tmp_path / "store"), ModelNames("mini", device="cpu"))
    parts.close()
    parts.close()
    for name in ("stored", "encoder", "indexer", "segmenter"):
        with pytest.raises(CaptionaryError, match="is closed; open it again"):
            getattr(parts, name)


def test_an_encoder_is_constructed_in_one_place() -> None:
    """`build` alone constructs encoders: a proposer that needs another one is handed a loader."""
    package = Path(__file__).parents[2] / "captionary"
    files = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "ClipEncoder(" in path.read_text(encoding="utf-8")
    ]
    assert files == ["build.py"]
