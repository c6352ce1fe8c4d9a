"""What the worker does to the dictionary apart from adding pictures: removals and corrections."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from captionary.indexer.corrector import Corrector
from captionary.indexer.pipeline import Indexer
from captionary.indexer.service.jobs import Order
from captionary.schemas.corrections import Correction
from captionary.schemas.errors import WrongInput
from captionary.schemas.jobs import Job
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vocabulary.stored_dictionary import StoredDictionary

Failure = tuple[str, str]
"""What could not be done, and why."""


class Orders:
    """Does orders; done again after a kill, each completes what was begun.

    between_nouns: called between the nouns that are made anew; may raise, to stop.
    """

    def __init__(
        self,
        dictionary: StoredDictionary,
        indexer: Indexer,
        between_nouns: Callable[[int, int], None],
    ) -> None:
        self._dictionary = dictionary
        self._indexer = indexer
        self._between_nouns = between_nouns
        self._corrector = Corrector(dictionary, indexer.refresher, between_nouns)

    def do(self, order: Order) -> Failure | None:
        """Do an order; why it cannot be done, where the dictionary lacks what it names."""
        if order.kind in ("image", "source"):
            self._remove(order)
            return None
        # What the operator set wrongly is raised, not told as a failure of the correction.
        self._dictionary.engine.check_writable()
        if order.kind == "undo":
            self._undo(int(order.target))
            return None
        wanted = decoded(order.target)
        try:
            self._corrector.correct(wanted)
        except WrongInput as error:
            return wanted.noun, str(error)
        return None

    def teach(self, pairs: Iterable[ImageCaption | PairFailure]) -> Job:
        """Correct the dictionary by the areas of pictures; failures as of `Indexer.index`."""
        failures: list[PairFailure] = []
        notes: list[Note] = []
        for pair in pairs:
            item = pair if isinstance(pair, PairFailure) else self._indexer.embed(pair)
            if isinstance(item, PairFailure):
                failures.append(item)
                continue
            notes += item.notes
            try:
                self._corrector.teach(item)
            except WrongInput as error:
                failures.append(
                    PairFailure(item.source.pair.where, item.source.pair.name, str(error))
                )
        return Job(state="done", failures=tuple(failures), notes=tuple(notes))

    def _remove(self, order: Order) -> None:
        if order.kind == "image":
            found = [order.target]
        else:
            found = [picture.id for picture in self._dictionary.pictures(source=order.target)]
        self._dictionary.retire(found)
        self._indexer.refresher.refresh(self._between_nouns)

    def _undo(self, number: int) -> None:
        if any(item.number == number for item in self._corrector.history()):
            self._corrector.undo(number)
        else:  # undone before a kill, or twice
            self._indexer.refresher.refresh(self._between_nouns)


def encoded(wanted: Correction) -> str:
    """A correction as the target of its order."""
    return json.dumps(asdict(wanted))


def decoded(target: str) -> Correction:
    """The correction of an order's target."""
    return Correction(**json.loads(target))


def stage_of(order: Order) -> str:
    """What metrics call the time that an order takes."""
    return "remove" if order.kind in ("image", "source") else "correct"
