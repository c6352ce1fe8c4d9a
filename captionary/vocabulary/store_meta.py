"""What a store says of itself, as one process knows it: models, revision, sample.

The revision tells readers in other processes what they know. It is even at rest and odd while
prototypes change: it is written before a change begins and after it has ended. So what was read
under a number is never older than it, and a number that a store has left never comes back.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any
from uuid import uuid4

from captionary.schemas.errors import CaptionaryError, FingerprintMismatch, WrongInput
from captionary.vocabulary.engines.engine import Engine, Payload, look_dim_of

COPYING = "copying"
"""Key in the meta of a store that is an unfinished copy: the address of what is copied."""

CORRECTIONS, RENAMING, CORRECTED = "corrections", "renaming", "corrected"
"""Keys: what users corrected (corrections.py); nouns whose records are being made anew; whether
there ever was any of it, so that the engine knows the fields that it brings."""

WEIGHTS = "weights"
"""Key: how much each witness counts, where that was chosen for this dictionary."""

MADE_WITH = "made_with"
"""Key: what all nouns but those of pending pictures were made with, where all are known to be."""

LAST_NUMBER = "last_correction"
"""Key of the highest number that a correction ever had: none is given twice, for who undoes one by
its number may not know yet that another has undone it."""

MADE = "made"
"""Key of the random name that each store is given when it is made."""


def new_made() -> str:
    """A random name for a new store: it tells it from whatever later takes its place."""
    return uuid4().hex


class Meta:
    """The meta of a store; safe between threads. Arguments and errors: as StoredDictionary."""

    def __init__(
        self,
        engine: Engine,
        fingerprint: str | None,
        dim: int | None,
        look_dim: int | None,
        models: Mapping[str, str],
    ) -> None:
        self._engine = engine
        self._lock = Lock()
        self._known = self._opened(fingerprint, dim, look_dim, models)
        if fingerprint is not None and self.revision % 2:
            # The last writer was cut off in a change; what it left is a state like any other.
            self.write(revision=self.revision + 1)

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def get(self, key: str, default: Any) -> Any:
        """What it says of something that not every store speaks of."""
        return self._known.get(key, default)

    @property
    def revision(self) -> int:
        """As last written or taken over."""
        return int(self._known["revision"])

    @property
    def look_dim(self) -> int:
        """The size of look vectors; 0: there are none."""
        return look_dim_of(self._known)

    @property
    def models(self) -> dict[str, str]:
        """How the models were called; empty where they were not named."""
        return dict(self._known["models"])

    def write(self, **changes: Any) -> None:
        """Replace some of it."""
        with self._lock:
            # A new dict each time: readers hold on to the old one without a lock.
            known = {**self._known, **changes}
            self._engine.write_meta(known)
            self._known = known

    def catch_up(self) -> bool:
        """Take over what is stored; whether it was anything new."""
        before, stored = self._known, self._engine.read_meta()
        gone = stored is None or COPYING in stored or stored[MADE] != before[MADE]
        if stored is None or gone or stored["revision"] < before["revision"]:
            raise CaptionaryError(
                f"the dictionary at {self._engine.address} was removed or made anew; "
                "start this again"
            )
        if stored["fingerprint"] != before["fingerprint"]:
            raise FingerprintMismatch(store=stored["fingerprint"], running=before["fingerprint"])
        with self._lock:
            # Another thread may have caught up, or written, since this one read.
            if self._known is before:
                self._known = stored
        return bool(self._known != before)

    def _opened(
        self,
        fingerprint: str | None,
        dim: int | None,
        look_dim: int | None,
        models: Mapping[str, str],
    ) -> Payload:
        meta = self._engine.read_meta()
        if meta is None:
            if fingerprint is None or dim is None:
                raise WrongInput(
                    f"there is no dictionary at {self._engine.address}; "
                    "make one with 'captionary index', or give another --store"
                )
            # The meta comes after: without it a creation that was cut short is known and repeated.
            self._engine.create(dim=dim, look_dim=look_dim or 0)
            meta = {"fingerprint": fingerprint, "models": dict(models), "dim": dim}
            meta |= {"look_dim": look_dim or 0, "revision": 0, "sample": None, MADE: new_made()}
            self._engine.write_meta(meta)
        if COPYING in meta:
            raise WrongInput(
                f"the store {self._engine.address} is an unfinished copy; run 'captionary "
                f"vocabulary copy {meta[COPYING]} {self._engine.address}' again"
            )
        if fingerprint not in (None, meta["fingerprint"]):
            raise FingerprintMismatch(store=str(meta["fingerprint"]), running=str(fingerprint))
        if dim not in (None, meta["dim"]):
            raise FingerprintMismatch(store=f"vectors of {meta['dim']}", running=f"of {dim}")
        if look_dim not in (None, look_dim_of(meta)):
            raise FingerprintMismatch(
                store=f"look vectors of {look_dim_of(meta) or 'none'}",
                running=f"of {look_dim or 'none'}",
            )
        return meta
