"""The part of the Python interface by which a dictionary is shared, and takes others in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from captionary.build import Parts
from captionary.schemas.errors import WrongInput

if TYPE_CHECKING:
    from captionary.schemas.jobs import Job
    from captionary.vocabulary.sharing import Exported, Share


class Exchanging:
    """What `Dictionary` gives to others, and takes from them."""

    _parts: Parts
    _writing: AbstractContextManager[object]

    def export(
        self,
        path: str | PathLike[str],
        *,
        thumbnails: bool = True,
        license: str = "",
        notes: Mapping[str, str] = {},
        on_picture: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "Exported":
        """Write the whole dictionary into one file, which `import_` reads anywhere.

        Prototypes are not in it: they are made anew from all pictures where it is imported.

        Args:
            path:       of the file; one that is there is replaced.
            thumbnails: with the small pictures that evidence is shown by.
            license:    under what the dictionary may be used; a free text.
            notes:      by names of sources, where their pictures are from; free texts.
            on_picture: called with how many pictures are written, of how many.

        Returns:
            How many pictures and regions were written.

        Raises:
            WrongInput: the file cannot be written, or there is no such source.
            MissingRegions: the store lacks regions of a picture.
        """
        from captionary.vocabulary.sharing import SharedStore, write_share

        with self._writing:
            return write_share(
                SharedStore(self._parts.stored),
                Path(path),
                thumbnails=thumbnails,
                license=license,
                notes=notes,
                report=on_picture,
            )

    def import_(
        self,
        *sources: str | PathLike[str],
        on_picture: Callable[[int, int], None] = lambda _done, _total: None,
        on_noun: Callable[[int, int], None] = lambda _done, _due: None,
    ) -> "Job":
        """Take in other dictionaries of the same models: pictures, tags, corrections.

        New pictures are added, captions, tags and areas of known ones are joined. Killed, the same
        call goes on where it was; called twice it changes nothing. All sources are checked before
        anything is written. A store without a dictionary is given the models of the first source.

        Args:
            sources:    files that `export` wrote, folders of stores, or addresses of them.
            on_picture: called with how many pictures are done, of how many.
            on_noun:    called after every noun with how many are refreshed, and of how many.

        Returns:
            The job: counts of pictures, and each whose id belongs to another picture here.

        Raises:
            WrongInput: a source is none, is damaged, or is of other models.
        """
        with self._writing, ExitStack() as opened:
            shares = [opened.enter_context(_opened(fspath(source))) for source in sources]
            total = sum(share.total for share in shares)
            return self._parts.importer(shares).take_in(
                shares, report=lambda job: on_picture(job.pairs, total), refreshed=on_noun
            )


@contextmanager
def _opened(source: str) -> "Iterator[Share]":
    """A file, or the dictionary of a store."""
    from captionary.vocabulary.engines.choice import open_engine
    from captionary.vocabulary.sharing import SharedFile, SharedStore
    from captionary.vocabulary.stored_dictionary import StoredDictionary

    if "://" in source or Path(source).is_dir():
        with StoredDictionary(open_engine(source), fingerprint=None, dim=None) as stored:
            yield SharedStore(stored)
    elif Path(source).is_file():
        yield SharedFile(Path(source))
    else:
        raise WrongInput(
            f"there is no {source}; name a file of 'captionary vocabulary export', or the folder "
            "or address of a dictionary"
        )
