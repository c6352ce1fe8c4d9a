"""Corrections on every engine: each does what it says, and undone leaves the store as it was."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captionary.indexer.corrector import Corrected, Corrector
from captionary.indexer.refresh import Refresher
from captionary.schemas.corrections import with_pointing
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import WrongInput
from captionary.schemas.pointing import FIRST_POINTED, WHOLE_PICTURE
from captionary.schemas.regions import PointedTable
from captionary.vocabulary.copying import copy_store
from captionary.vocabulary.engines.engine import NAMES
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.engines import RULE_ENGINES, Open, opener
from tests.contract.exact_engine import ExactEngine
from tests.indexer.test_refresh import DIM, PlantedText, in_memory, pairs_of_nouns
from tests.vocabulary.made_up_records import tagged

State = dict[str, Any]


@pytest.fixture(params=RULE_ENGINES)
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with opener(request.param, tmp_path) as opened:
        yield opened


def filled(dictionary: StoredDictionary) -> Corrector:
    dictionary.add(pairs_of_nouns(1))
    refresher = Refresher(dictionary, PlantedText(), workers=2)
    refresher.refresh()
    return Corrector(dictionary, refresher)


def state_of(dictionary: StoredDictionary) -> State:
    """All points, and the corrections: everything but the revision."""
    found: State = {"corrections": dictionary.corrections.all()}
    for name in NAMES:
        points = dictionary.engine.collection(name).scroll(with_vectors=True)
        found[name] = [
            (p.id, p.payload, None if p.vector is None else p.vector.tobytes()) for p in points
        ]
    return found


def own_region(dictionary: StoredDictionary, noun: str, image_id: str) -> int | None:
    return next((t.index for t in tagged(dictionary, noun) if t.image_id == image_id), None)


def pointed(dictionary: StoredDictionary, corrector: Corrector, noun: str, image_id: str) -> int:
    """Point at an area that looks like the picture's region 7, which is clutter."""
    picture = dictionary.picture(image_id)
    assert picture is not None
    table = dictionary.region_tables([picture])[0].rows([7])
    index = FIRST_POINTED + 5
    amended = with_pointing(picture, index, noun, "is")
    dictionary.amend([amended], {image_id: PointedTable((index,), table)})
    corrector._refresher.refresh()
    return index


def test_each_correction_and_its_undo_leave_the_store_as_it_was(open_engine: Open) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        before = state_of(dictionary)
        name = "p003"
        picture = dictionary.picture(name)
        assert picture is not None
        noun = picture.nouns[0][0]
        said: tuple[Callable[[], Corrected], ...] = (
            lambda: corrector.point(noun, name, 7, refused=False),
            lambda: corrector.point(noun, name, 0, refused=True),
            lambda: corrector.point(noun, name, refused=True),
            lambda: corrector.point("zebra", name, 9, refused=False),
            lambda: corrector.refuse_all([("dog", "p003"), (noun, name), ("cat", "p000")]),
            lambda: corrector.rename(noun, "Hounds"),
            lambda: corrector.merge("dog", "cat"),
            lambda: corrector.alias("dog", "pooch"),
            lambda: corrector.block("tree"),
        )
        for correct in said:
            done = correct()
            assert done.corrections
            assert corrector.history() == done.corrections
            after = state_of(dictionary)
            assert after != before
            assert not correct().corrections, "the same again changes nothing"
            assert state_of(dictionary) == after
            assert corrector.undo().corrections == done.corrections
            assert state_of(dictionary) == before
        with pytest.raises(WrongInput, match="no correction to undo"):
            corrector.undo()


def test_what_is_pointed_at_is_certain_and_what_is_refused_is_never_chosen(
    open_engine: Open,
) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        assert own_region(dictionary, "cat", "p000") is not None
        index = pointed(dictionary, corrector, "cat", "p000")
        assert own_region(dictionary, "cat", "p000") == index
        kinds = [item.kind for item in dictionary.prototypes(["cat"])]
        assert kinds == ["guessed", "pointed"]
        (other,) = [t for t in tagged(dictionary, "cat") if t.image_id == "p005"]
        corrector.point("cat", "p005", other.index, refused=True)
        # All boxes of this world are the same, so what overlaps the refused region is all of it.
        assert own_region(dictionary, "cat", "p005") is None
        assert [p.kind for p in dictionary.prototypes(["cat"])] == ["guessed", "pointed", "refused"]
        corrector.point("cat", "p006", refused=True)
        assert own_region(dictionary, "cat", "p006") is None


def test_a_region_pointed_at_goes_when_nothing_is_said_of_it(open_engine: Open) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        before = state_of(dictionary)
        index = pointed(dictionary, corrector, "cat", "p000")
        assert len(dictionary.rows_of([("p000", index)])) == 1
        picture = dictionary.picture("p000")
        assert picture is not None
        dictionary.amend([with_pointing(picture, index, "cat", "nothing")])
        corrector._refresher.refresh()
        assert state_of(dictionary) == before


def test_names_hold_for_captions_to_come(open_engine: Open) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        corrector.rename("dog", "hound")
        corrector.merge("cat", "tree")
        corrector.block("wug")
        corrector.alias("hound", "pooch")
        dictionary.add(pairs_of_nouns(1, first=100))
        corrector._refresher.refresh()
        entries = {entry.noun: entry.pictures for entry in dictionary.entries()}
        assert entries == {"bench": 10, "blicket": 10, "hound": 10, "tree": 18}
        assert Retriever(dictionary).noun_index().find("pooch") == ("hound",)
        picture = dictionary.picture("p000")
        assert picture is not None
        assert picture.nouns == pairs_of_nouns(1)[0][0].nouns
        for number in (4, 3, 2, 1):
            corrector.undo(number)
        with in_memory() as never:
            filled(never)
            never.add(pairs_of_nouns(1, first=100))
            Refresher(never, PlantedText()).refresh()
            assert _names(dictionary) == _names(never)


def _names(dictionary: StoredDictionary) -> list[tuple[str, str, int]]:
    return [
        (p.noun, p.generation, p.size)
        for p in dictionary.prototypes([entry.noun for entry in dictionary.entries()])
    ]


def test_a_removed_picture_takes_what_was_said_of_it_along(open_engine: Open) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        corrector.point("dog", "p003", 7, refused=False)
        corrector.point("cat", "p004", 7, refused=True)
        dictionary.retire(["p003"])
        corrector._refresher.refresh()
        assert [item.image_id for item in corrector.history()] == ["p004"]
        with pytest.raises(WrongInput, match="no picture 'p003'"):
            corrector.point("dog", "p003", 7, refused=False)


def test_a_copy_has_the_corrections_and_can_undo_them() -> None:
    source, target = ExactEngine(), ExactEngine()
    with StoredDictionary(source, fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        before = state_of(dictionary)
        corrector.rename("dog", "hound")
        corrector.point("cat", "p004", 7, refused=True)
    copy_store(source, target, report=lambda *_: None)
    with StoredDictionary(target, fingerprint="planted", dim=DIM) as copied:
        other = Corrector(copied, Refresher(copied, PlantedText()))
        other.undo()
        other.undo()
        assert state_of(copied) == before


def test_undoing_in_any_order_goes_back_to_the_start() -> None:
    with in_memory() as dictionary:
        corrector = filled(dictionary)
        start = state_of(dictionary)

        @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(data=st.data())
        def check(data: st.DataObject) -> None:
            steps = data.draw(st.lists(st.sampled_from(range(6)), min_size=1, max_size=4))
            for step in steps:
                _step(corrector, step)
            numbers = [item.number for item in corrector.history()]
            for number in data.draw(st.permutations(numbers)):
                corrector.undo(number)
            assert state_of(dictionary) == start

        check()


def _step(corrector: Corrector, step: int) -> None:
    try:
        if step == 0:
            corrector.point("dog", "p003", 7, refused=False)
        elif step == 1:
            corrector.point("dog", "p003", 7, refused=True)
        elif step == 2:
            corrector.rename("dog", "hound")
        elif step == 3:
            corrector.merge("hound", "cat")
        elif step == 4:
            corrector.block("cat")
        else:
            corrector.point("cat", "p000", WHOLE_PICTURE, refused=True)
    except WrongInput:
        pass  # what it speaks of is not there any more


def test_what_is_wrong_is_said(open_engine: Open) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        before = state_of(dictionary)
        mistakes: tuple[tuple[str, Callable[[], Corrected]], ...] = (
            ("no noun 'zebra'", lambda: corrector.rename("zebra", "horse")),
            ("a noun 'cat' already; merge", lambda: corrector.rename("dog", "cat")),
            ("no noun 'zebra'", lambda: corrector.merge("dog", "zebra")),
            (
                "no region 99; it has 0 to 9",
                lambda: corrector.point("dog", "p000", 99, refused=True),
            ),
            ("name the region", lambda: corrector.point("dog", "p000", refused=False)),
            ("at least one letter", lambda: corrector.rename("dog", "  ")),
            ("no correction 7", lambda: corrector.undo(7)),
        )
        for message, wrong in mistakes:
            with pytest.raises(WrongInput, match=message):
                wrong()
        assert state_of(dictionary) == before
        corrector.block("dog")
        with pytest.raises(WrongInput, match="'dog' is blocked; undo that"):
            corrector.point("dog", "p000", 7, refused=False)


def test_a_rename_that_was_cut_short_is_completed() -> None:
    with in_memory() as dictionary, in_memory() as other:
        corrector, whole = filled(dictionary), filled(other)
        whole.rename("dog", "hound")
        finish = dictionary.corrections.finish
        dictionary.corrections.finish = lambda: None  # type: ignore[method-assign]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Refresher, "refresh", lambda *_: 0)
            corrector.rename("dog", "hound")
        dictionary.corrections.finish = finish  # type: ignore[method-assign]
        Refresher(dictionary, PlantedText()).refresh()
        assert state_of(dictionary) == state_of(other)


def test_refused_looks_are_kept_as_prototypes_that_do_not_speak(open_engine: Open) -> None:
    with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
        corrector = filled(dictionary)
        corrector.point("zebra", "p000", 3, refused=True)
        assert [item.kind for item in dictionary.prototypes(["zebra"])] == ["refused"]
        retriever = Retriever(dictionary)
        assert "zebra" not in retriever.nouns()
        assert "zebra" not in {entry.noun for entry in dictionary.entries()}
        vector = dictionary.region_tables([_picture(dictionary, "p000")])[0].looks[3]
        near = retriever.nearest_nouns(np.asarray(vector), limit=20)
        assert "zebra" not in {item.noun for item in near}


def _picture(dictionary: StoredDictionary, image_id: str) -> Picture:
    picture = dictionary.picture(image_id)
    assert picture is not None
    return picture
