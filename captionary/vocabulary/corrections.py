"""What users corrected, as the store keeps it: the list in its meta, and the records it changes.

Records keep the nouns of captions as these have them; what they are called is in fields of their
own, which every correction of a name makes anew. So a correction that is undone leaves no trace.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from captionary.schemas.corrections import Correction, NounRules, rules_of
from captionary.vocabulary.engines.engine import Collection, Engine, Payload, Where
from captionary.vocabulary.records.paging import pages
from captionary.vocabulary.records.points import pending_again
from captionary.vocabulary.store_meta import CORRECTED, CORRECTIONS, LAST_NUMBER, RENAMING, Meta

AT_ONCE = 256
"""Records written at a time."""


class Corrections:
    """The corrections of one store; as its dictionary, written by one process."""

    def __init__(self, engine: Engine, meta: Meta) -> None:
        self._engine = engine
        self._meta = meta
        self._rules: tuple[Any, NounRules] = (None, NounRules())

    @property
    def ever(self) -> bool:
        """Whether anything was ever corrected, or pointed at."""
        return bool(self._meta.get(CORRECTED, False))

    def all(self) -> tuple[Correction, ...]:
        """Those in force, oldest first."""
        return tuple(Correction(**item) for item in self._meta.get(CORRECTIONS, ()))

    @property
    def rules(self) -> NounRules:
        """What they make of the nouns of captions."""
        stored = self._meta.get(CORRECTIONS, ())
        known, rules = self._rules
        if stored is not known:
            rules = rules_of(self.all())
            self._rules = (stored, rules)
        return rules

    def prepare(self) -> None:
        """Make known to the engine what corrections write, before any is written."""
        if not self.ever:
            self._engine.index_corrected()
            self._meta.write(**{CORRECTED: True})

    def next_number(self) -> int:
        """The number of the next correction."""
        listed = max((item.number for item in self.all()), default=0)
        return max(listed, int(self._meta.get(LAST_NUMBER, 0))) + 1

    def replace(self, corrections: Sequence[Correction], changed: Iterable[str]) -> None:
        """Put other corrections in force; `finish` then does what these ask of the records.

        Args:
            changed: nouns whose pictures may be called otherwise from now on.
        """
        self.prepare()
        due = sorted({*changed, *self._meta.get(RENAMING, ())})
        # A new revision, for other names than before may be found, and captions are read anew.
        revision = (self._meta.revision | 1) + 1
        listed = [asdict(item) for item in corrections]
        last = max([int(self._meta.get(LAST_NUMBER, 0)), *(item.number for item in corrections)])
        self._meta.write(
            **{CORRECTIONS: listed, LAST_NUMBER: last, RENAMING: due, "revision": revision}
        )
        self.finish()

    def finish(self) -> None:
        """Call the nouns of records as the corrections say, where a kill left that undone."""
        due: Sequence[str] = self._meta.get(RENAMING, ())
        if not due:
            return
        pictures = self._engine.collection("pictures")
        for field in ("noun", "said"):
            self._rename(pictures, Where(any_of={field: due}, none_of={"state": ["gone"]}))
        pictures.flush()
        self._meta.write(**{RENAMING: []})

    def _rename(self, pictures: Collection, where: Where) -> None:
        # All ids first: a record that is written may leave what is being read.
        ids = [point.id for point in pictures.scroll(where, fields=[])]
        for page in pages(ids, AT_ONCE):
            old = pictures.retrieve(page)
            new = [pending_again(point.payload, self.rules) for point in old]
            both = zip(old, new, strict=True)
            pictures.upsert([b for a, b in both if not _call_alike(a.payload, b.payload)])

    def forget_pictures(self, image_ids: Iterable[str]) -> None:
        """Drop what was said of pictures that are removed."""
        gone = set(image_ids)
        left = [item for item in self.all() if not (item.is_pointing and item.image_id in gone)]
        if len(left) < len(self.all()):
            self._meta.write(**{CORRECTIONS: [asdict(item) for item in left]})


def _call_alike(before: Payload, after: Payload) -> bool:
    """Whether two states of a record call its nouns the same."""
    return all(before.get(name) == after.get(name) for name in ("noun", "pointed", "said"))
