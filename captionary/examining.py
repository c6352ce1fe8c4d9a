"""The part of the Python interface by which a dictionary is asked how good it is, and tuned."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from captionary.build import Parts

if TYPE_CHECKING:
    from captionary.indexer.corrector import Corrected
    from captionary.segmenter.quality import Calibration, Examination, Report


class Examining:
    """How `Dictionary` is examined: by its own captions, without any mask.

    In all of these `on_picture` is called after every picture with how many are done, of how many.
    """

    _parts: Parts
    _writing: AbstractContextManager[object]

    def examine(
        self, on_picture: Callable[[int, int], None] = lambda _done, _total: None
    ) -> "Examination":
        """Ask the dictionary about its own pictures, each as if it had not been indexed."""
        from captionary.segmenter.quality import examine

        segmenter = self._parts.segmenter
        return examine(
            self._parts.retriever,
            segmenter.text,
            weights=segmenter.weights,
            report=on_picture,
        )

    def report(
        self, on_picture: Callable[[int, int], None] = lambda _done, _total: None
    ) -> "Report":
        """Say of every frequent noun how good it is, doubtful ones first, and what to do next."""
        from captionary.segmenter.quality import report_of

        return report_of(self.examine(on_picture))

    def calibrate(
        self,
        *,
        on: str | PathLike[str] | None = None,
        part: str | None = None,
        keep: bool = True,
        on_picture: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "Calibration":
        """Choose how much each witness counts in this dictionary, and keep it in the store.

        Args:
            on:   a dataset folder with masks, to choose by these; None: by the dictionary's own
                captions.
            part: "N/M" of it, as `evaluate`.
            keep: whether the store keeps them; all that read it take them then.
        """
        from captionary.segmenter.quality import calibrate, calibrate_on
        from captionary.vision.masks.datasets import DatasetFolder

        if on is None:
            found = calibrate(self.examine(on_picture))
        else:
            data = DatasetFolder(Path(on), part=part)
            found = calibrate_on(self._parts.segmenter, data, report=on_picture)
        if keep:
            with self._writing:
                self._parts.stored.keep_weights(found.to_store())
        return found

    def reset_weights(self) -> None:
        """Let witnesses count as in any dictionary again."""
        with self._writing:
            self._parts.stored.keep_weights({})

    def prune(
        self,
        *,
        keep: bool = True,
        on_picture: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "tuple[list[tuple[str, str]], Corrected | None]":
        """Take from pictures the nouns of captions that nothing in them supports.

        Args:
            keep: whether it is done, as one correction that can be undone.

        Returns:
            Nouns with the ids of pictures; and the correction, where it was made.
        """
        from captionary.segmenter.quality import unsupported

        found = unsupported(self.examine(on_picture))
        if not keep or not found:
            return found, None
        with self._writing:
            return found, self._parts.corrector.refuse_all(found)
