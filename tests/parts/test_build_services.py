"""How the services are put together: what is claimed first, and what is handed on."""

from contextlib import closing
from pathlib import Path

import pytest

from captionary.build import IndexingOptions, ModelNames, Parts
from captionary.build_services import open_app
from captionary.indexer.service import JobQueue
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption
from captionary.serving.settings import ServeSettings


def test_a_queue_in_use_is_told_before_anything_is_loaded_or_made(tmp_path: Path) -> None:
    state, store = tmp_path / "state", tmp_path / "store"
    state.mkdir()
    models = ModelNames("nothing/here")
    with closing(JobQueue(state)) as taken:
        taken.open()
        with (
            pytest.raises(WrongInput, match=r"in use by another process; .* another --state"),
            open_app("indexer", models, str(store), ServeSettings(), state=state),
        ):
            raise AssertionError("two have the queue")
    assert not store.exists()


def test_the_limits_of_a_service_hold_for_what_is_indexed(
    mini: str, scenes: Path, tmp_path: Path
) -> None:
    pair = ImageCaption(str(scenes / "images" / "00000.png"), ("an apple",), where="here")
    models, store = ModelNames(mini, device="cpu"), str(tmp_path / "store")
    with closing(Parts(store, models, IndexingOptions(workers=1, max_pixels=99))) as parts:
        (failure,) = parts.indexer.index([pair]).failures
    assert "more than the limit of 99" in failure.reason
