"""Reading a dictionary while a writer, as in another process, replaces prototypes."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from captionary.schemas.errors import CaptionaryError, FingerprintMismatch
from captionary.vocabulary.engines.engine import Engine, Payload
from captionary.vocabulary.engines.server import ServerEngine
from captionary.vocabulary.engines.server_settings import ServerSettings
from captionary.vocabulary.generations import whole_generation
from captionary.vocabulary.records.points import prototype_point
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.engines import RULE_ENGINES, Open, opener
from tests.contract.exact_engine import ExactEngine
from tests.stand_in.running import running
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, pair, prototypes

NOUNS = ("cat", "dog", "tree")
CHANGES = 60


@pytest.fixture(params=[kind for kind in RULE_ENGINES if kind != "edge"])
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """An engine that two processes could open at the same time."""
    with opener(request.param, tmp_path) as opening:
        yield opening


def writing(engine: Engine) -> StoredDictionary:
    return StoredDictionary(engine, fingerprint=FINGERPRINT, dim=DIM)


def reading(engine: Engine) -> StoredDictionary:
    return StoredDictionary(engine, fingerprint=None, dim=None)


def test_a_reader_catches_up(open_engine: Open) -> None:
    writer = writing(open_engine())
    reader = reading(open_engine())
    assert not reader.catch_up()
    writer.add([pair(number) for number in range(4)])
    writer.replace_prototypes("dog", prototypes("dog", 2))
    assert reader.revision == 0
    assert reader.catch_up()
    assert (reader.revision, reader.sample()) == (2, [])
    drawn = writer.draw_sample(3)
    assert reader.catch_up()
    assert reader.sample() == drawn
    assert not reader.catch_up()
    assert not writer.catch_up()


def test_a_reader_tells_a_dictionary_that_is_another(open_engine: Open) -> None:
    writer = writing(open_engine())
    writer.replace_prototypes("dog", prototypes("dog", 2))
    reader = reading(open_engine())
    meta = writer.engine.read_meta() or {}
    writer.engine.write_meta({**meta, "fingerprint": "other"})
    with pytest.raises(FingerprintMismatch, match="'other'"):
        reader.catch_up()
    for other in ({"revision": 0}, {"made": "later"}):
        writer.engine.write_meta({**meta, **other})
        with pytest.raises(CaptionaryError, match="removed or made anew; start this again"):
            reader.catch_up()
    writer.engine.write_meta(meta)
    assert not reader.catch_up()


def test_no_two_stores_have_one_name(open_engine: Open) -> None:
    names = set()
    for engine in (open_engine(), ExactEngine()):
        writing(engine)
        names.add((engine.read_meta() or {})["made"])
    assert len(names) == 2


def left_in_a_change(engine: Engine) -> Payload:
    """A store whose writer was cut off: two generations of dogs, an odd revision."""
    writer = writing(engine)
    writer.replace_prototypes("dog", prototypes("dog", 2))
    new = [prototype_point(item, of=3) for item in prototypes("dog", 3, generation="g2")]
    engine.collection("prototypes").upsert(new)
    meta = {**(engine.read_meta() or {}), "revision": 3}
    engine.write_meta(meta)
    return meta


def test_opening_to_read_writes_nothing(open_engine: Open) -> None:
    engine = open_engine()
    left = left_in_a_change(engine)
    reader = reading(open_engine())
    assert reader.revision == 3
    assert engine.read_meta() == left


def test_a_writer_completes_a_change_that_was_cut_off(open_engine: Open) -> None:
    engine = open_engine()
    left_in_a_change(engine)
    reader = reading(open_engine())
    retriever = Retriever(reader)
    before = retriever.matrix(["dog"])
    assert writing(open_engine()).revision == 4
    assert reader.catch_up()
    assert reader.revision == 4
    assert retriever.matrix(["dog"]) is not before


def test_one_generation_is_read_of_two(open_engine: Open) -> None:
    engine = open_engine()
    left_in_a_change(engine)
    reader = reading(open_engine())
    found = reader.prototypes(["dog"])
    assert {item.generation for item in found} == {"g2"}
    assert len(Retriever(reader).matrix(["dog"]).prototypes) == 3
    # As if the new generation had not been written completely yet.
    engine.collection("prototypes").delete([prototype_point(found[0], of=3).id])
    assert [item.generation for item in reader.prototypes(["dog"])] == ["g1", "g1"]
    assert reader.prototypes(["cat"]) == []


def test_a_generation_is_whole_when_it_has_as_many_as_it_says() -> None:
    old = [prototype_point(item, of=3) for item in prototypes("dog", 3, generation="old")]
    new = [prototype_point(item, of=2) for item in prototypes("dog", 2, generation="new")]
    assert whole_generation([*old, *new[:1]]) == old
    assert whole_generation([*old[:2], *new]) == new
    assert whole_generation([*old, *new]) == whole_generation([*new, *old]) == old
    assert whole_generation([old[0], new[0]]) == whole_generation([]) == []


def test_a_change_that_fails_uses_its_number_up() -> None:
    class Noted(ExactEngine):
        def write_meta(self, meta: Payload) -> None:
            written.append(meta["revision"])
            super().write_meta(meta)

    written: list[int] = []
    writer = writing(Noted())
    good = prototypes("dog", 2)
    bad = [*good[:1], *(item for item in prototypes("dog", 2, dim=DIM + 1)[1:])]
    with pytest.raises(CaptionaryError, match="vectors of shape"):
        writer.replace_prototypes("dog", bad)
    assert writer.revision == 1
    writer.replace_prototypes("dog", good)
    assert written == [0, 1, 3, 4]


def test_an_end_of_a_change_that_was_not_written_is_written_later() -> None:
    class Failing(ExactEngine):
        def write_meta(self, meta: Payload) -> None:
            if meta["revision"] == 2 and not failed:
                failed.append(2)
                raise CaptionaryError("no answer")
            super().write_meta(meta)

    failed: list[int] = []
    engine = Failing()
    writer, reader = writing(engine), reading(engine)
    with pytest.raises(CaptionaryError, match="no answer"):
        writer.replace_prototypes("dog", prototypes("dog", 2))
    assert reader.catch_up()
    writer.replace_prototypes("dog", prototypes("dog", 2))  # has nothing to change
    writer.settle([])
    assert reader.catch_up()
    assert (writer.revision, reader.revision) == (2, 2)
    writer.settle([])
    assert not reader.catch_up()


class Follower(Thread):
    """Reads all nouns again and again; keeps what it found wrong."""

    def __init__(self, dictionary: StoredDictionary, done: Event) -> None:
        super().__init__()
        self.retriever = Retriever(dictionary)
        self.wrong: list[str] = []
        self.reads = 0
        self._done = done

    def run(self) -> None:
        try:
            while not self._done.is_set():
                self.retriever.dictionary.catch_up()
                self._read_all()
        except BaseException as error:
            self.wrong.append(repr(error))

    def _read_all(self) -> None:
        self.reads += 1
        matrix = self.retriever.matrix(NOUNS)
        found = matrix.prototypes
        if matrix.vectors.shape != (len(found), DIM):
            self.wrong.append(f"vectors {matrix.vectors.shape}")
        if self.retriever.nouns() != NOUNS:
            self.wrong.append(f"nouns {self.retriever.nouns()}")
        for noun in NOUNS:
            own = [item for item in found if item.noun == noun]
            generations = {item.generation for item in own}
            expected = {_count(generation) for generation in generations}
            if len(generations) != 1 or expected != {len(own)}:
                self.wrong.append(f"{noun}: {len(own)} of {generations}")


def _count(generation: str) -> int:
    """How many prototypes a generation of the test has."""
    return 1 + int(generation[1:]) % 5


def test_readers_never_find_a_noun_empty_and_see_the_last_state(tmp_path: Path) -> None:
    with running(tmp_path / "server") as stand_in:
        writer, done = writing(ServerEngine(stand_in.url, ServerSettings())), Event()
        for noun in NOUNS:
            writer.replace_prototypes(noun, prototypes(noun, 1, generation="g0"))
        readers = [reading(ServerEngine(stand_in.url, ServerSettings())) for _ in range(2)]
        followers = [Follower(dictionary, done) for dictionary in readers]
        for follower in followers:
            follower.start()
        try:
            for number in range(1, CHANGES + 1):
                noun, generation = NOUNS[number % 3], f"g{number}"
                made = prototypes(noun, _count(generation), generation=generation)
                writer.replace_prototypes(noun, made)
        finally:
            done.set()
            for follower in followers:
                follower.join()
        for follower in followers:
            assert follower.wrong == []
            assert follower.reads > 5
            follower.retriever.dictionary.catch_up()
            assert follower.retriever.revision == writer.revision == 2 * (CHANGES + 3)
            found = follower.retriever.matrix(NOUNS).prototypes
            assert {item.generation for item in found} == {
                f"g{number}" for number in range(CHANGES - 2, CHANGES + 1)
            }
        for dictionary in (writer, *readers):
            dictionary.close()
